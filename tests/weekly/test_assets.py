"""The assets in Dagster: what they store and show, and that a constant for a body turns a check red."""

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
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.weekly.assets import weekly_portfolio, weekly_report, weekly_results, weekly_screen
from trading_assets.weekly.checks import (
    weekly_portfolio_holds,
    weekly_run_days_have_portfolios,
    weekly_screen_holds,
)
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_RESULTS, WEEKLY_SCREEN

SPAN = Span(date(2012, 6, 15), date(2012, 6, 29))
RUNS = [date(2012, 6, day) for day in (15, 22, 29)]
CHECKS = [weekly_screen_holds, weekly_portfolio_holds, weekly_run_days_have_portfolios]
WHOLE = [weekly_screen, weekly_portfolio, weekly_results, weekly_report, *CHECKS]


@pytest.fixture
def facts(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose lake holds the facts of two weeks of June 2012, and a configuration with few paths and no screen."""
    folder = config_with(tmp_path / "config", paths="500", screen="[]")
    for name in ("settings.yaml", "preferences.yaml", "execution.yaml"):
        (folder / name).write_text((CONFIG / name).read_text())
    (folder / "operations.yaml").write_text("weekly: {p_loss_max: 0.6, capital_fraction: 0.2, holdings_max: 3}\n")
    monkeypatch.setenv("DESK_CONFIG", str(folder))
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


def stored(table: Any, span: Span = SPAN) -> pl.DataFrame:
    return DeskResource().lake().read(table, as_of=XNYS.session(SPAN.last).close, first=span.first, last=span.last)


def failed(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {e.check_name: str(e.description) for e in result.get_asset_check_evaluations() if not e.passed}


def test_a_range_has_rows_on_its_run_days_only_a_report_and_green_checks(facts: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(WHOLE, SPAN, instance)
        assert result.success
        assert len(result.get_asset_check_evaluations()) == 3
        assert failed(result) == {}
        made = instance.get_materialized_partitions(key_of(WEEKLY_PORTFOLIO))
        shown = instance.get_latest_materialization_event(dg.AssetKey("weekly_report"))
    assert len(made) == 11, "every session is made; those that are no run day have no rows"
    assert sorted(set(stored(WEEKLY_SCREEN)["session"])) == RUNS
    portfolios, results = stored(WEEKLY_PORTFOLIO), stored(WEEKLY_RESULTS)
    assert sorted(set(portfolios["session"])) == RUNS
    assert portfolios.filter(pl.col("symbol") == TOTAL)["capital_fraction"].unique().to_list() == [0.2]
    assert sorted(set(results["made"])) == RUNS[:2]
    page = facts.reports / "weekly" / "2012-06-29" / "report.md"
    assert page.read_text().startswith("# Weekly desk after 2012-06-29")
    assert {each.name for each in page.parent.iterdir()} == {"report.md", "expected.png", "bands.png", "growth.png"}
    assert shown is not None
    assert shown.asset_materialization is not None
    metadata = shown.asset_materialization.metadata
    assert {"report", "folder", "expected", "bands", "growth", "run_days", "next_run"} <= set(metadata)
    assert metadata["next_run"].value == "2012-07-06"


@pytest.mark.slow
def test_one_run_day_after_another_stores_what_the_range_stores(facts: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in RUNS:
            assert run(WHOLE, Span(day, day), instance).success
        weeks = [stored(table) for table in (WEEKLY_SCREEN, WEEKLY_PORTFOLIO, WEEKLY_RESULTS)]
        assert run(WHOLE, SPAN, instance).success
    for one_by_one, table in zip(weeks, (WEEKLY_SCREEN, WEEKLY_PORTFOLIO, WEEKLY_RESULTS), strict=True):
        assert stored(table).equals(one_by_one, null_equal=True)


def test_a_run_day_without_facts_makes_no_portfolio_and_still_a_report_that_says_so(facts: Home) -> None:
    day = RUNS[1]
    lake = DeskResource().lake()
    empty = Span(date(2012, 6, 18), day)
    lake.write(INDICATORS, INDICATORS.empty(), empty)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(WHOLE, SPAN, instance)
        assert result.success, "it stops nothing"
    assert failed(result) == {"run_days_have_portfolios": f"no portfolio was made on {day}: no symbol has indicators"}
    rows = stored(WEEKLY_PORTFOLIO)
    assert sorted(set(rows["session"])) == [each for each in RUNS if each != day]
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(WHOLE, Span(day, day), instance).success
    page = facts.reports / "weekly" / day.isoformat() / "report.md"
    assert "No portfolio was made" in page.read_text()


def test_a_desk_that_is_switched_off_makes_nothing_and_says_when_it_would(facts: Home, tmp_path: Path) -> None:
    (tmp_path / "config" / "operations.yaml").write_text("weekly: {enabled: false}\n")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(WHOLE, SPAN, instance)
        assert result.success
        event = instance.get_latest_materialization_event(key_of(WEEKLY_PORTFOLIO))
    assert stored(WEEKLY_PORTFOLIO).is_empty()
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["next_run"].value == "never: weekly.enabled is false"


def test_a_constant_for_a_body_turns_the_portfolios_check_red_and_blocks_what_follows(facts: Home) -> None:
    @dg.multi_asset(
        specs=[spec(WEEKLY_PORTFOLIO, group="weekly", kinds={"python"})],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def constant(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        right, span = stored(WEEKLY_PORTFOLIO), span_of(context.partition_keys)
        desk.lake().write(WEEKLY_PORTFOLIO, right.with_columns(weight_before=pl.lit(0.0)), span)
        return dg.MaterializeResult(asset_key=key_of(WEEKLY_PORTFOLIO))

    followed = []

    @dg.asset(deps=[key_of(WEEKLY_PORTFOLIO)], partitions_def=SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def follower() -> None:
        followed.append("ran")

    with dg.DagsterInstance.ephemeral() as instance:
        assert run([weekly_screen, weekly_portfolio], SPAN, instance).success
        result = run([constant, weekly_portfolio_holds, follower], SPAN, instance)
    assert not result.success
    assert "portfolio_holds" in failed(result)
    assert followed == []
