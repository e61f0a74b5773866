"""Blocking checks on universes: non-empty, within bounds, within lives, and the same when sampled sessions are computed anew."""

from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import config_folder
from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS
from trading_assets.partitions import SESSIONS, span_of

if TYPE_CHECKING:
    from trading_assets.market.universe.judge import Judgement


@dg.asset_check(
    asset=key_of(UNIVERSE),
    name="membership",
    description="Required universes have members, counts are within bounds, members live, sampled sessions computed anew agree.",
    blocking=True,
    partitions_def=SESSIONS,
)
def universe_membership(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Computes sampled sessions anew, each from facts read as of its own close, and compares."""
    from trading_assets.market.universe.config import load_universes
    from trading_assets.market.universe.judge import judge_universes, sampled
    from trading_assets.market.universe.membership import facts_needed_from, memberships, read_facts

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    config, instruments = load_universes(config_folder()), desk.settings().market.instruments
    anew = {}
    for day in sampled(span, XNYS):
        only, close = Span(day, day), XNYS.session(day).close
        first = facts_needed_from(config, only, XNYS)
        facts = read_facts(lake, instruments, first=first, session=day, as_of=close)
        anew[day] = memberships(config, facts, span=only, calendar=XNYS).frame
    rows = lake.read(UNIVERSE, as_of=XNYS.session(span.last).close, first=span.first, last=span.last)
    return _result(judge_universes(rows, config, instruments, span=span, calendar=XNYS, anew=anew), rows.height)


@dg.asset_check(
    asset=key_of(UNIVERSE_PAIRS),
    name="pairs",
    description="Pairs meet their limits, their members live, and the last session computed anew agrees.",
    blocking=True,
    partitions_def=SESSIONS,
)
def universe_pairs_hold(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Computes the last session anew from facts read as of its close, and compares."""
    from trading_assets.market.universe.config import load_universes
    from trading_assets.market.universe.judge import judge_pairs
    from trading_assets.market.universe.membership import read_facts
    from trading_assets.market.universe.pairs import cointegrated_pairs, pairs_need_from

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    config, instruments = load_universes(config_folder()), desk.settings().market.instruments
    only, close = Span(span.last, span.last), XNYS.session(span.last).close
    facts = read_facts(lake, instruments, first=pairs_need_from(config, only, XNYS), session=span.last, as_of=close)
    anew = {span.last: cointegrated_pairs(config, facts, span=only, calendar=XNYS).frame}
    rows = lake.read(UNIVERSE_PAIRS, as_of=close, first=span.first, last=span.last)
    return _result(judge_pairs(rows, config, instruments, anew=anew), rows.height)


def _result(judgement: "Judgement", rows: int) -> dg.AssetCheckResult:
    return check_result(
        judgement.failures,
        otherwise=f"{rows} rows hold",
        rows=rows,
        failures=bullets(judgement.failures),
        warnings=bullets(judgement.warnings),
    )
