"""A bad bar stops the day: the check fails, nothing is made of it, the next decision is refused, and a good bar heals it."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from desk.runner import Outcome, run_job
from resources.desk import BACKTEST, DESK, DeskResource
from tests.orchestration.homes import AFTER_EVERYTHING, desk, done, living_in
from trading_assets.catalog import key_of
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.core.tables import Table
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.model import OPINIONS

SPOILT, NEXT = date(2012, 12, 27), date(2012, 12, 28)
ONE = Span(SPOILT, SPOILT)
FEATURES = (INDICATORS, BREADTH, REGIME_LABELS)


def spoil(symbol: str = "IBM") -> None:
    """Writes a bar whose high lies below its low through the lake, as a buggy provider would."""
    lake = DeskResource().lake()
    bars = lake.read(DAILY_BARS, as_of=AFTER_EVERYTHING, first=SPOILT, last=SPOILT)
    worse = pl.when(pl.col("symbol") == symbol).then(pl.col("low") - 1).otherwise(pl.col("high"))
    lake.write(DAILY_BARS, bars.with_columns(high=worse), ONE)


def spoil_file(root: Path, day: date = SPOILT, symbol: str = "IBM", *, close: str = "-1.0") -> None:
    """Replaces the close of one day in a provider's file."""
    path = root / "bars" / "daily" / f"{symbol}.csv"
    frame = pl.read_csv(path)
    bad = pl.when(pl.col("date") == day.isoformat()).then(pl.lit(float(close))).otherwise(pl.col("close"))
    frame.with_columns(close=bad).write_csv(path)


def versions(tables: Sequence[Table], lane: str = "facts") -> dict[str, object]:
    """The stored file of each table for the spoilt session."""
    lake = DeskResource().lake()
    return {table.name: lake.versions(table, ONE, lane=lane).get(SPOILT) for table in tables}


def test_a_bad_bar_from_the_provider_stops_the_backtest_with_one_sentence(files: Path) -> None:
    spoil_file(files)
    before = versions(FEATURES)
    said = desk("backtest", "--from", "2012-12-26", "--to", "2012-12-31")
    assert said.code == 1
    assert said.out == ""
    assert "check quality on daily_bars" in said.err
    assert "IBM" in said.err
    assert SPOILT.isoformat() in said.err
    assert "Traceback" not in said.err
    assert versions(FEATURES) == before
    gate = DeskResource().gates().gates(DAILY_BARS.name, ONE)[SPOILT]
    assert not gate.passed
    assert any("IBM" in sentence for sentence in gate.failures)
    with dg.DagsterInstance.get() as instance:
        run = next(run for run in instance.get_runs() if run.job_name == "backtest")
        assert run.status == dg.DagsterRunStatus.FAILURE
        steps = {stat.step_key: stat.status and stat.status.value for stat in instance.get_run_step_stats(run.run_id)}
    entered = {"daily_bars", "corporate_actions", "cross_check_bars", "news", "filings", "macro_series"}
    assert {steps.pop(name) for name in entered} == {"SUCCESS"}
    documents = {f"{name}_quality" for name in ("news", "filings", "macro_series")}
    assert set(steps) == {"daily_bars_quality", *documents}, "nothing is made of refused bars"


@pytest.mark.slow
def test_mending_the_file_and_walking_again_heals_the_gate(files: Path) -> None:
    good = (files / "bars" / "daily" / "IBM.csv").read_bytes()
    spoil_file(files)
    words = ("--from", "2012-12-26", "--to", "2012-12-31")
    assert desk("ingest", *words).code == 1
    (files / "bars" / "daily" / "IBM.csv").write_bytes(good)
    done("ingest", *words)
    assert DeskResource().gates().gates(DAILY_BARS.name, ONE)[SPOILT].passed
    done("backtest", *words)


def decide_alone() -> Outcome:
    """The decisions of the day after, started without anything else."""
    span = Span(NEXT, NEXT)
    selection = [key_of(table, BACKTEST) for table in (*DECIDED, *BOOKED)]
    return run_job("backtest", span, config={"backtest_decisions": {"config": {"fresh": True}}}, selection=selection)


def test_a_bar_that_changed_after_it_was_judged_refuses_the_decision_of_the_day_after(own_quarter: Home) -> None:
    spoil()
    outcome = decide_alone()
    assert not outcome.success
    assert f"daily_bars of {SPOILT} changed after the quality gate judged them" in outcome.failures[0]
    assert f"desk ingest --from {SPOILT} --to {SPOILT}" in outcome.failures[0]
    done("ingest", "--from", SPOILT, "--to", SPOILT)
    assert decide_alone().success


def test_a_gate_that_failed_refuses_the_decision_of_the_day_after(files: Path) -> None:
    """Blocking acts within one run only; the decision reads the verdict itself."""
    spoil_file(files)
    assert desk("ingest", "--from", SPOILT, "--to", SPOILT).code == 1
    outcome = decide_alone()
    assert not outcome.success
    assert f"the quality gate refused daily_bars of {SPOILT}" in outcome.failures[0]
    assert "IBM" in outcome.failures[0]


def test_a_walk_that_stops_at_a_closed_gate_keeps_the_sessions_before_it(own_quarter: Home) -> None:
    spoil()
    span = Span(date(2012, 12, 24), date(2012, 12, 31))
    selection = [key_of(table, BACKTEST) for table in (*DECIDED, *BOOKED)]
    config = {"backtest_decisions": {"config": {"fresh": True}}}
    assert not run_job("backtest", span, config=config, selection=selection).success
    with DeskResource().ledger(BACKTEST).session() as ledger:
        decided = {decision.session for decision in ledger.decisions(span.first, span.last)}
    assert decided == {date(2012, 12, 24), date(2012, 12, 26)}
    with dg.DagsterInstance.get() as instance:
        run_id = next(run.run_id for run in instance.get_runs() if run.job_name == "backtest")
        made = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [entry.get_dagster_event() for entry in made]
    keys = {(event.asset_key.path[-1], event.partition) for event in events if event.asset_key}
    assert keys == {(t.name, d.isoformat()) for t in DECIDED for d in decided}


def test_a_session_that_is_missing_closes_the_gate(files: Path) -> None:
    path = files / "bars" / "daily" / "IBM.csv"
    pl.read_csv(path).filter(pl.col("date") != SPOILT.isoformat()).write_csv(path)
    said = desk("ingest", "--from", "2012-12-26", "--to", "2012-12-31")
    assert said.code == 1
    assert "IBM" in said.err
    assert SPOILT.isoformat() in said.err


def test_the_report_appears_on_the_day_the_gate_failed_and_tells_of_it(files: Path) -> None:
    spoil_file(files)
    assert desk("backtest", "--from", SPOILT, "--to", SPOILT).code == 1
    report = json.loads(done("report", "--lane", BACKTEST, "--session", SPOILT, "--json").out)
    text = Path(report["report"]).read_text()
    assert SPOILT.isoformat() in text
    assert "IBM" in text


def test_a_post_close_that_fails_still_makes_the_desks_report_and_ends_with_1(files: Path) -> None:
    spoil_file(files)
    said = desk("run", "postclose", "--session", SPOILT)
    assert said.code == 1
    assert "report: done" in said.err
    assert "check quality on daily_bars" in said.err
    assert "IBM" in (files / "home" / "reports" / DESK / SPOILT.isoformat() / "report.md").read_text()
    with DeskResource().ledger(DESK).session() as ledger:
        assert ledger.closes(SPOILT, SPOILT) == [], "a session with refused bars is not settled"


@pytest.mark.parametrize("selection", [(INDICATORS,), (REGIME_LABELS,)], ids=lambda tables: tables[0].name)
def test_a_selection_of_features_is_made_without_the_bars_being_judged_again(
    own_quarter: Home, selection: tuple[Table, ...]
) -> None:
    """Features of a spoilt bar can be looked at; what is refused is a decision."""
    spoil()
    chosen = [key_of(table) for table in selection]
    assert run_job("premarket", ONE, selection=chosen).success
    assert not decide_alone().success


def test_the_briefs_of_a_day_without_facts_before_it_are_refused(own_quarter: Home) -> None:
    day = Span(date(2011, 6, 1), date(2011, 6, 1))
    outcome = run_job("premarket", day, selection=[key_of(table, DESK) for table in OPINIONS])
    assert not outcome.success
    assert "there are no facts before 2011-06-01" in outcome.failures[0]
    assert "2011-05-31" in outcome.failures[0]


def test_a_backtest_without_bars_before_it_names_the_command_that_fetches_them(own_quarter: Home) -> None:
    said = desk("backtest", "--from", "2011-06-01", "--to", "2011-06-03")
    assert said.code == 2
    assert "2011-05-31" in said.err
    assert "desk ingest --from" in said.err


def test_the_range_of_a_run_that_has_not_closed_is_refused(own_quarter: Home) -> None:
    """A bar that still forms is not a fact."""
    with living_in(own_quarter.root, clock="2012-12-31T15:59:59-05:00"):
        said = desk("ingest", "--from", "2012-12-28", "--to", "2012-12-31")
    assert said.code == 1
    assert "the session of 2012-12-31 has not closed" in said.err
    assert "sessions up to 2012-12-28" in said.err
