"""The asset in Dagster: what it stores, what it shows, and that a constant for a body turns its check red."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from resources.desk import DeskResource
from tests.features.frames import embedded
from tests.watchlist.worlds import CONFIG, config_with, facts_of
from trading_assets.catalog import key_of, spec
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.watchlist.assets import watchlist
from trading_assets.watchlist.checks import watchlist_odds_hold
from trading_assets.watchlist.model import METHODS, WATCHLIST

SPAN = Span(date(2012, 6, 1), date(2012, 6, 29))
ODDS_HOLD = (watchlist, watchlist_odds_hold)


@pytest.fixture
def facts(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose lake holds the facts of June 2012, and a configuration with few paths."""
    monkeypatch.setenv("DESK_CONFIG", str(config_with(tmp_path / "config", paths="500")))
    bars, actions = (frame.filter(pl.col("session") <= SPAN.last) for frame in embedded())
    made = facts_of(bars, actions, SPAN)
    whole, lake = Span(bars["session"].min(), SPAN.last), DeskResource().lake()  # type: ignore[arg-type]
    lake.write(DAILY_BARS, bars, whole)
    lake.write(CORPORATE_ACTIONS, actions, whole)
    lake.write(INDICATORS, made.panel, SPAN)
    lake.write(REGIME_LABELS, made.labels, SPAN)
    return home


def run(assets: Sequence[Any], span: Span, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """One run over the span."""
    tags = {
        "dagster/asset_partition_range_start": span.first.isoformat(),
        "dagster/asset_partition_range_end": span.last.isoformat(),
    }
    resources = {"desk": DeskResource()}
    return dg.materialize(assets, instance=instance, resources=resources, tags=tags, raise_on_error=False)


def stored(span: Span = SPAN) -> pl.DataFrame:
    return DeskResource().lake().read(WATCHLIST, as_of=XNYS.session(SPAN.last).close, first=span.first, last=span.last)


def test_a_range_run_stores_every_symbol_of_every_session_and_passes_its_check(facts: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(ODDS_HOLD, SPAN, instance)
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        assert check.passed
        made = instance.get_materialized_partitions(key_of(WATCHLIST))
    rows = stored()
    assert rows.height == 21 * 5
    assert made == {day.isoformat() for day in rows["session"].unique()}
    assert rows["paths"].unique().to_list() == [500]
    assert rows["selected"].any()
    assert set(rows.filter(pl.col("symbol") == "FB")["selected"]) == {False}


def test_the_newest_session_shows_its_candidates(facts: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(ODDS_HOLD, SPAN, instance)
        events = instance.fetch_materializations(key_of(WATCHLIST), limit=50).records
    shown = {
        event.asset_materialization.partition: event.asset_materialization.metadata
        for event in events
        if event.asset_materialization
    }
    table = shown["2012-06-29"]["candidates"].value
    assert len(table.records) == 5  # type: ignore[union-attr]
    assert "candidates" not in shown["2012-06-28"]
    assert shown["2012-06-28"]["selected"].value + shown["2012-06-28"]["refused"].value == 105  # type: ignore[operator]


def test_single_runs_store_what_the_range_stores_and_a_second_run_changes_nothing(facts: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(ODDS_HOLD, SPAN, instance)
        whole, versions = stored(), DeskResource().lake().versions(WATCHLIST, SPAN)
        for day in (date(2012, 6, 1), date(2012, 6, 15)):
            assert run(ODDS_HOLD, Span(day, day), instance).success
    assert DeskResource().lake().versions(WATCHLIST, SPAN) == versions
    assert stored().equals(whole, null_equal=True)


def test_a_constant_for_a_body_turns_the_check_red_and_blocks_what_follows(facts: Home) -> None:
    followed = []

    @dg.multi_asset(
        specs=[spec(WATCHLIST, group="watchlist", kinds={"python"})], backfill_policy=dg.BackfillPolicy.single_run()
    )
    def constant(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        span, lake = span_of(context.partition_keys), desk.lake()
        right = stored(span)
        odds = {
            f"{name}_{m}": v for m in METHODS for name, v in (("p_target", 0.5), ("p_stop", 0.3), ("p_neither", 0.2))
        }
        given = pl.col("stop").is_not_null()
        lake.write(WATCHLIST, right.with_columns(pl.when(given).then(v).alias(n) for n, v in odds.items()), span)
        return dg.MaterializeResult(asset_key=key_of(WATCHLIST))

    @dg.asset(deps=[key_of(WATCHLIST)], partitions_def=SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def follower() -> None:
        followed.append("ran")

    with dg.DagsterInstance.ephemeral() as instance:
        assert run([*ODDS_HOLD, follower], SPAN, instance).success
        assert followed == ["ran"]
        result = run([constant, watchlist_odds_hold, follower], SPAN, instance)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "are not what the same facts and seed give" in str(check.description)
    assert followed == ["ran"]


def test_rules_changed_since_the_list_was_made_turn_the_check_red(facts: Home, tmp_path: Path) -> None:
    """A list of other rules is not the list of these; making it again heals it."""

    @dg.multi_asset(
        specs=[spec(WATCHLIST, group="watchlist", kinds={"python"})], backfill_policy=dg.BackfillPolicy.single_run()
    )
    def untouched() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(asset_key=key_of(WATCHLIST))

    with dg.DagsterInstance.ephemeral() as instance:
        run(ODDS_HOLD, SPAN, instance)
        config_with(tmp_path / "config", paths="600")
        assert not run([untouched, watchlist_odds_hold], SPAN, instance).success
        assert run(ODDS_HOLD, SPAN, instance).success


def test_without_facts_the_list_is_empty_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CONFIG", str(CONFIG))
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(ODDS_HOLD, SPAN, instance)
    assert result.success
    assert stored().is_empty()


def test_wrong_rules_stop_the_run_with_their_sentence(facts: Home, tmp_path: Path) -> None:
    config_with(tmp_path / "config", paths="1")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(ODDS_HOLD, SPAN, instance)
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.error
    assert ConfigurationError.__name__ in str(failure.step_failure_data.error.to_string())
    assert "watchlist.yaml: paths" in str(failure.step_failure_data.error.to_string())
