"""One quarter from bars to the report in one run, as `desk backtest` does it, and what is on record afterwards."""

import json
from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from desk.runner import Outcome, run_job
from resources.desk import BACKTEST, DeskResource
from tests.orchestration.homes import AFTER_EVERYTHING, HISTORY, QUARTER, done
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.core.tables import Table
from trading_assets.definitions import defs
from trading_assets.evaluation.assets import COLUMNS_HOLD, MODELS
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.model import ACCOUNT, FILLS, TRADES
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import THESES

WALKED = {session.key for session in XNYS.sessions(QUARTER.first, QUARTER.last)}
STORED = {session.key for session in XNYS.sessions(HISTORY.first, HISTORY.last)}
RESULTS = tuple(table.name for table in (*DECIDED, *BOOKED))
FACTS = (DAILY_BARS, CORPORATE_ACTIONS, INDICATORS, BREADTH, REGIME_LABELS)
JOB = defs.resolve_job_def("backtest").asset_layer
MARTS = {model.name for model in MODELS}
WALKED_ASSETS = sorted(JOB.selected_asset_keys)


@pytest.fixture
def instance(quarter: Home) -> Iterator[dg.DagsterInstance]:
    """Dagster's record of the quarter."""
    with dg.DagsterInstance.get() as opened:
        yield opened


def rows(table: Table, lane: str = "facts") -> pl.DataFrame:
    """All rows of a table in the present home."""
    return DeskResource().lake().read(table, as_of=AFTER_EVERYTHING, lane=lane)


@pytest.mark.parametrize("key", WALKED_ASSETS, ids=lambda key: key.to_user_string())
def test_every_asset_is_materialized_for_every_session(key: dg.AssetKey, instance: dg.DagsterInstance) -> None:
    made = set(instance.get_materialized_partitions(key))
    assert made >= WALKED
    assert made <= STORED


@pytest.mark.parametrize("key", WALKED_ASSETS, ids=lambda key: key.to_user_string())
def test_every_materialization_says_what_was_stored(key: dg.AssetKey, instance: dg.DagsterInstance) -> None:
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    if key.path[-1] == "improvement_report":
        assert {"report", "markdown", "json", "html", "equity_usd"} <= metadata.keys()
    elif key.path[-1] == "week_in_review":
        assert {"why"} & metadata.keys() or {"markdown", "json", "html"} <= metadata.keys()
    else:
        assert isinstance(metadata["rows"].value, int)
        assert {"lake_file", "dagster/partition_row_count"} & metadata.keys() or key.path[-1] in MARTS


def test_every_check_of_the_run_was_evaluated_and_passed(instance: dg.DagsterInstance) -> None:
    keys = JOB.asset_graph.asset_check_keys
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    assert records.keys() == set(keys)
    assert {record.status for record in records.values()} == {AssetCheckExecutionRecordStatus.SUCCEEDED}


def test_the_metrics_checks_carry_the_names_of_dbts_tests() -> None:
    of_whole_tables = {path.stem for path in (PROJECT / "dbt_metrics" / "tests").glob("*.sql")}
    in_dagster = {key.name for key in JOB.asset_graph.asset_check_keys if key.asset_key.path[0] == BACKTEST}
    assert of_whole_tables | {COLUMNS_HOLD} <= in_dagster


def test_the_lake_holds_a_row_of_account_for_every_session(quarter: Home) -> None:
    account = rows(ACCOUNT, BACKTEST)
    assert {day.isoformat() for day in account["session"]} == WALKED
    assert rows(FILLS, BACKTEST).height > 0
    assert rows(TRADES, BACKTEST).height > 0


def test_every_verdict_of_the_gate_is_about_the_stored_file(quarter: Home) -> None:
    home = DeskResource()
    verdicts, versions = home.gates().gates(DAILY_BARS.name, HISTORY), home.lake().versions(DAILY_BARS, HISTORY)
    assert {day: verdict.version for day, verdict in verdicts.items()} == versions
    assert all(verdict.passed for verdict in verdicts.values())


def test_the_facts_before_the_range_were_made_first(quarter: Home) -> None:
    """The first decision of a range sees the session before it, which the range itself does not make."""
    before = XNYS.previous(QUARTER.first).day
    labels = DeskResource().lake().versions(REGIME_LABELS, HISTORY)
    assert min(labels) == before


def test_the_report_lies_where_the_command_says(quarter: Home) -> None:
    folder = quarter.reports / BACKTEST / QUARTER.last.isoformat()
    assert (folder / "report.md").read_text().startswith("#")
    assert json.loads((folder / "report.json").read_text())
    assert list(folder.glob("*.png"))


def test_the_run_is_on_record_as_one_run_over_the_range(instance: dg.DagsterInstance) -> None:
    runs = [run for run in instance.get_runs() if run.job_name == "backtest"]
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
    assert runs[0].tags["dagster/asset_partition_range_start"] == "2012-10-01"
    assert runs[0].tags["dagster/asset_partition_range_end"] == "2012-12-31"


# Again, and in two parts


def state() -> dict[str, object]:
    """Versions of the facts and content of the results; generations of rewritten results do not count."""
    lake = DeskResource().lake()
    facts: dict[str, object] = {table.name: dict(lake.versions(table, HISTORY)) for table in FACTS}
    return {**facts, **{table.name: rows(table, BACKTEST).rows() for table in (*DECIDED, *BOOKED)}}


@pytest.mark.slow
def test_the_same_range_again_changes_no_fact_and_gives_the_same_fills(own_quarter: Home) -> None:
    before = state()
    done("backtest", "--from", QUARTER.first, "--to", QUARTER.last)
    assert state() == before


def walk(first: str, last: str, *, fresh: bool) -> Outcome:
    """The decisions and the book of a range, on facts that are there."""
    selection = [key_of(table, BACKTEST) for table in (*DECIDED, *BOOKED)]
    config = {"backtest_decisions": {"config": {"fresh": fresh}}}
    return run_job(
        "backtest", Span(date.fromisoformat(first), date.fromisoformat(last)), config=config, selection=selection
    )


@pytest.mark.slow
def test_a_range_that_is_continued_ends_like_one_walked_at_once(own_quarter: Home) -> None:
    whole = state()
    assert walk("2012-10-01", "2012-11-14", fresh=True).success
    assert rows(ACCOUNT, BACKTEST)["session"][-1] == date(2012, 11, 14)
    assert walk("2012-11-15", "2012-12-31", fresh=False).success
    assert {name: state()[name] for name in RESULTS} == {name: whole[name] for name in RESULTS}


def test_a_continued_range_that_skips_sessions_is_refused(own_quarter: Home) -> None:
    """A book cannot jump: fills, dividends and halts of the sessions between would be missing."""
    assert walk("2012-10-01", "2012-10-05", fresh=True).success
    jump = walk("2012-10-11", "2012-10-12", fresh=False)
    assert not jump.success
    assert "2012-10-08" in jump.failures[0]
    assert rows(ACCOUNT, BACKTEST)["session"][-1] == date(2012, 10, 5)


@pytest.mark.slow
def test_a_shorter_book_is_compared_with_buy_and_hold_of_its_own_life(own_quarter: Home) -> None:
    del own_quarter
    done("backtest", "--from", "2012-11-01", "--to", "2012-11-30")
    sessions = rows(ACCOUNT, BACKTEST)["session"]
    assert (sessions[0], sessions[-1]) == (date(2012, 11, 1), date(2012, 11, 30))
    assert rows(BENCHMARK, BACKTEST)["session"].to_list() == sessions.to_list()


def test_the_thesis_graph_is_a_picture_on_its_asset_and_in_the_report(
    quarter: Home, instance: dg.DagsterInstance
) -> None:
    event = instance.get_latest_materialization_event(key_of(THESES, BACKTEST))
    assert event is not None
    shown = event.asset_materialization
    assert shown is not None
    assert "data:image/png;base64," in str(shown.metadata["graph"].value)
    (picture,) = (quarter.root / "reports" / BACKTEST).glob("*/theses.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_every_thought_of_a_walk_stands_in_the_lake(quarter: Home) -> None:
    """From a fill back to its plan, votes, thesis, briefs: what `desk trace` walks."""
    del quarter
    plans = rows(TRADE_PLANS, BACKTEST).filter(pl.col("action") == "enter")
    theses, votes = rows(THESES, BACKTEST), rows(VOTES, BACKTEST)
    assert plans.height > 0
    assert set(plans["thesis_id"]) <= set(theses["thesis_id"])
    cast = votes.filter(pl.col("outcome") == "planned").select("session", "slot", "strategy", "symbol").unique()
    assert cast.height == plans.select("session", "slot", "strategy", "symbol").unique().height
    lessons, trades = rows(LESSONS, BACKTEST), rows(TRADES, BACKTEST)
    assert set(lessons["lesson_id"]) == set(trades["trade_id"])
