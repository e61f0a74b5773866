"""Universes and pairs as assets: what could be looked at in each session, from facts known at its close."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import config_folder
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS, Refusal
from trading_assets.partitions import span_of

if TYPE_CHECKING:
    from trading_assets.market.universe.pairs import Tested

GROUP = "market"
_FACTS = (key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS))
_SHOWN = 20


@dg.multi_asset(
    specs=[spec(UNIVERSE, group=GROUP, kinds={"python", "parquet"}, deps=_FACTS)],
    name="universe",
    backfill_policy=SINGLE_RUN,
)
def universe(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Members of every universe of config/universes.yaml in the run's sessions."""
    from trading_assets.market.universe.config import load_universes
    from trading_assets.market.universe.membership import facts_needed_from, memberships, read_facts

    span, lake = span_of(context.partition_keys), desk.lake()
    config, instruments = load_universes(config_folder()), desk.settings().market.instruments
    first, as_of = facts_needed_from(config, span, XNYS), XNYS.session(span.last).close
    facts = read_facts(lake, instruments, first=first, session=span.last, as_of=as_of)
    snapshot = memberships(config, facts, span=span, calendar=XNYS)
    extra = {"universes": len(config.universes), **_refused(snapshot.refusals)}
    return stored(UNIVERSE, lake.write(UNIVERSE, snapshot.frame, span), extra=extra)


@dg.multi_asset(
    specs=[spec(UNIVERSE_PAIRS, group=GROUP, kinds={"python", "parquet", "statsmodels"}, deps=_FACTS)],
    name="universe_pairs",
    backfill_policy=SINGLE_RUN,
)
def universe_pairs(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Cointegrated pairs of the run's sessions, with the number of pairs tested to find them."""
    from trading_assets.market.universe.config import load_universes
    from trading_assets.market.universe.membership import read_facts
    from trading_assets.market.universe.pairs import cointegrated_pairs, pairs_need_from

    span, lake = span_of(context.partition_keys), desk.lake()
    config, instruments = load_universes(config_folder()), desk.settings().market.instruments
    first, as_of = pairs_need_from(config, span, XNYS), XNYS.session(span.last).close
    facts = read_facts(lake, instruments, first=first, session=span.last, as_of=as_of)
    snapshot = cointegrated_pairs(config, facts, span=span, calendar=XNYS)
    extra = {**_counts(snapshot.tested), **_refused(snapshot.refusals)}
    return stored(UNIVERSE_PAIRS, lake.write(UNIVERSE_PAIRS, snapshot.frame, span), extra=extra)


def _refused(refusals: Sequence[Refusal]) -> dict[str, object]:
    lines = "\n".join(f"- {refusal}" for refusal in refusals[:_SHOWN])
    return {"refused": len(refusals), "refusals": dg.MetadataValue.md(lines or "none")}


def _counts(tested: "Sequence[Tested]") -> dict[str, object]:
    return {
        "searches": len(tested),
        "pairs_tested": sum(each.tested for each in tested),
        "pairs_left_out_by_tests_max": sum(each.correlated - each.tested for each in tested),
        "pairs_found": sum(each.found for each in tested),
        "false_finds_expected": round(sum(each.false_finds_expected for each in tested), 2),
    }
