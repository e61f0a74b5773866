"""News, filings and macro series in Dagster: real runs, real lake, real ledger."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from resources.desk import DeskResource
from tests.market.documents.drafts import EVERYTHING
from trading_assets.catalog import SINGLE_RUN
from trading_assets.catalog import stored as made
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.core.tables import Table
from trading_assets.market.documents import assets, checks
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS, SOURCE_ANSWERS
from trading_assets.partitions import span_of

WEEK = Span(date(2012, 10, 22), date(2012, 10, 26))
APPLE_EVENT = date(2012, 10, 24)
DOCUMENTS = (NEWS, FILINGS, MACRO_SERIES)
LATER = "2026-01-05T12:00:00+00:00"


@pytest.fixture
def desk(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskResource]:
    """A desk with a configuration of its own, whose clock stands long after the embedded data."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.setenv("DESK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DESK_CLOCK", LATER)
    yield DeskResource()
    os.environ.pop("DESK_CLOCK", None)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def configured(part: str, **words: Any) -> None:
    """Other words in one part of the desk's documents.yaml."""
    path = Path(os.environ["DESK_CONFIG"]) / "documents.yaml"
    settings = yaml.safe_load(path.read_text())
    settings[part].update(words)
    path.write_text(yaml.safe_dump(settings))


def run(
    desk: DeskResource, instance: dg.DagsterInstance, span: Span, tables: Sequence[Table] = DOCUMENTS
) -> dg.ExecuteInProcessResult:
    """One run over the span, in one pass as a backfill does it."""
    selection = dg.AssetSelection.assets(*(dg.AssetKey(table.name) for table in tables))
    defs = dg.Definitions(
        assets=dg.load_assets_from_modules([assets]),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[dg.define_asset_job("documents", selection=selection, executor_def=dg.in_process_executor)],
        resources={"desk": desk},
    )
    tags = {"dagster/asset_partition_range_start": str(span.first), "dagster/asset_partition_range_end": str(span.last)}
    return defs.resolve_job_def("documents").execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def stored(desk: DeskResource, table: Table) -> pl.DataFrame:
    return desk.lake().read(table, as_of=EVERYTHING)


def drop(home: Home, name: str, *items: dict[str, object]) -> None:
    path = home.root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def note(headline: str, published_at: str, **other: object) -> dict[str, object]:
    return {"symbol": "AAPL", "headline": headline, "published_at": published_at, **other}


def sentences(result: dg.ExecuteInProcessResult, kind: str) -> str:
    return " ".join(str(one.metadata[kind].value) for one in result.get_asset_check_evaluations())


def test_a_range_is_stored_and_judged_in_one_run_with_no_network(
    desk: DeskResource, instance: dg.DagsterInstance
) -> None:
    result = run(desk, instance, WEEK)
    assert result.success
    assert "iPad mini" in " ".join(stored(desk, NEWS)["headline"])
    assert set(stored(desk, MACRO_SERIES)["series"]) == {"SP500", "NASDAQCOM", "DCOILWTICO"}
    assert stored(desk, FILINGS).is_empty()
    sessions = [session.day for session in XNYS.sessions(WEEK.first, WEEK.last)]
    for table in DOCUMENTS:
        gates = desk.gates().gates(table.name, WEEK)
        assert list(gates) == sessions
        assert all(gate.passed for gate in gates.values())
        assert {day: gate.version for day, gate in gates.items()} == dict(desk.lake().versions(table, WEEK))


def test_a_decision_sees_an_item_only_from_the_moment_it_is_knowable(
    desk: DeskResource, instance: dg.DagsterInstance
) -> None:
    run(desk, instance, WEEK, [NEWS])
    session = XNYS.session(APPLE_EVENT)
    of_day = {"first": APPLE_EVENT, "last": APPLE_EVENT, "symbols": ["AAPL"]}
    assert desk.lake().read(NEWS, as_of=XNYS.previous(APPLE_EVENT).close, **of_day).is_empty()  # type: ignore[arg-type]
    assert desk.lake().read(NEWS, as_of=session.open, **of_day).height == 1  # type: ignore[arg-type]


def test_the_same_run_again_changes_nothing(desk: DeskResource, instance: dg.DagsterInstance) -> None:
    run(desk, instance, WEEK)
    before = {table.name: desk.lake().versions(table, WEEK) for table in DOCUMENTS}
    assert run(desk, instance, WEEK).success
    assert {table.name: desk.lake().versions(table, WEEK) for table in DOCUMENTS} == before


def test_sessions_one_by_one_and_a_backfill_store_the_same(desk: DeskResource, instance: dg.DagsterInstance) -> None:
    tables, days = (NEWS, MACRO_SERIES), Span(date(2012, 10, 23), date(2012, 10, 25))
    for session in XNYS.sessions(days.first, days.last):
        assert run(desk, instance, Span(session.day, session.day), tables).success
    single = {table.name: stored(desk, table) for table in tables}
    shutil.rmtree(desk.home().lake)
    run(desk, instance, days, tables)
    assert all(stored(desk, table).equals(single[table.name]) for table in tables)


def test_a_later_run_of_the_same_session_adds_and_never_rewrites(
    desk: DeskResource, instance: dg.DagsterInstance, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Span(APPLE_EVENT, APPLE_EVENT)
    monkeypatch.setenv("DESK_CLOCK", "2012-10-24T14:00:00+00:00")
    drop(home, "news/a.jsonl", note("First", "2012-10-24T13:00:00Z"))
    run(desk, instance, day, [NEWS])
    first = stored(desk, NEWS)
    monkeypatch.setenv("DESK_CLOCK", "2012-10-24T17:00:00+00:00")
    drop(home, "news/a.jsonl", note("First", "2012-10-24T13:00:00Z"), note("Second", "2012-10-24T16:00:00Z"))
    run(desk, instance, day, [NEWS])
    both = stored(desk, NEWS)
    assert both.filter(pl.col("headline") != "Second").equals(first)
    assert both.filter(pl.col("headline") == "Second")["knowable_at"][0].hour == 17
    drop(home, "news/a.jsonl")
    run(desk, instance, day, [NEWS])
    assert stored(desk, NEWS).equals(both), "a file that is gone takes nothing back"


def test_a_file_that_stays_in_the_inbox_is_stored_once_and_passes_each_day(
    desk: DeskResource, instance: dg.DagsterInstance, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(home, "news/a.jsonl", note("Stays", "2012-10-20"))
    drop(home, "macro/a.jsonl", {"series": "AAA", "observed_on": "2010-01-01", "value": 5.26, "unit": "percent a year"})
    configured("macro", sources=["inbox"])
    for day in (date(2012, 10, 23), date(2012, 10, 24)):
        monkeypatch.setenv("DESK_CLOCK", f"{day}T15:00:00+00:00")
        assert run(desk, instance, Span(day, day), [NEWS, MACRO_SERIES]).success
    assert stored(desk, NEWS).filter(pl.col("headline") == "Stays")["session"].to_list() == [date(2012, 10, 23)]
    assert stored(desk, MACRO_SERIES)["session"].to_list() == [date(2012, 10, 23)]


def test_a_session_that_has_not_begun_is_refused(
    desk: DeskResource, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_CLOCK", "2012-10-23T19:59:00+00:00")
    result = run(desk, instance, Span(APPLE_EVENT, APPLE_EVENT), [NEWS])
    assert not result.success
    failure = next(e for e in result.all_events if e.is_step_failure).step_failure_data.error
    assert failure is not None
    assert "cannot be collected before the session before it has closed" in str(failure.cause or failure)


def test_a_source_that_fails_closes_its_own_gate_and_keeps_what_others_had(
    desk: DeskResource, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRED_API_KEY", raising=False)
    configured("macro", sources=["fred", "embedded"])
    configured("filings", sources=["edgar"])
    result = run(desk, instance, WEEK)
    assert not result.success
    assert "FRED_API_KEY" in sentences(result, "failures")
    assert "edgar_contact" in sentences(result, "failures")
    assert stored(desk, MACRO_SERIES).height > 10
    passed = {table.name: all(g.passed for g in desk.gates().gates(table.name, WEEK).values()) for table in DOCUMENTS}
    assert passed == {"news": True, "filings": False, "macro_series": False}
    configured("macro", sources=["embedded"])
    configured("filings", sources=["inbox"])
    assert run(desk, instance, WEEK).success, "the next run heals it"
    assert all(g.passed for table in DOCUMENTS for g in desk.gates().gates(table.name, WEEK).values())


def test_a_line_that_cannot_be_read_and_an_item_from_the_future_are_warnings(
    desk: DeskResource, instance: dg.DagsterInstance, home: Home
) -> None:
    drop(home, "news/a.jsonl", {"oops": 1}, note("Not yet", "2030-01-01T00:00:00Z"))
    result = run(desk, instance, WEEK, [NEWS])
    assert result.success
    assert "news/a.jsonl line 1" in sentences(result, "warnings")
    assert "Not yet" in sentences(result, "warnings")
    assert "Not yet" not in stored(desk, NEWS)["headline"]


def test_a_row_that_was_spoilt_in_the_lake_is_found_when_it_is_judged_again(
    desk: DeskResource, instance: dg.DagsterInstance
) -> None:
    run(desk, instance, WEEK, [NEWS])
    rows = stored(desk, NEWS)
    spoilt = pl.when(pl.col("session") == APPLE_EVENT).then(pl.lit("")).otherwise(pl.col("headline"))
    desk.lake().write(NEWS, rows.with_columns(headline=spoilt), WEEK)
    result = run(desk, instance, WEEK, [NEWS])
    assert not result.success
    gates = desk.gates().gates(NEWS.name, WEEK)
    assert [day for day, gate in gates.items() if not gate.passed] == [APPLE_EVENT]
    assert "has no headline" in gates[APPLE_EVENT].failures[0]


def test_an_asset_whose_body_is_a_constant_turns_red(desk: DeskResource, instance: dg.DagsterInstance) -> None:
    """It stores conforming rows, and nobody was asked for them."""

    @dg.multi_asset(specs=list(assets.news.specs), name="news", backfill_policy=SINGLE_RUN)
    def news(context: dg.AssetExecutionContext, desk: DeskResource) -> Any:
        span = span_of(context.partition_keys)
        return made(NEWS, desk.lake().write(NEWS, NEWS.empty(), span))

    day = str(APPLE_EVENT)
    result = dg.materialize(
        [news, checks.news_quality],
        partition_key=day,
        instance=instance,
        resources={"desk": desk},
        raise_on_error=False,
    )
    assert not result.success
    assert "source embedded was not asked for this session" in sentences(result, "failures")


def test_the_run_says_what_was_added_by_whom(desk: DeskResource, instance: dg.DagsterInstance) -> None:
    result = run(desk, instance, WEEK, [NEWS])
    made = result.asset_materializations_for_node("news")[-1]
    assert made.metadata["added"].value == stored(desk, NEWS).height
    assert made.metadata["sources"].value == "embedded, inbox"


def test_what_the_sources_answered_is_kept_for_each_session(desk: DeskResource, instance: dg.DagsterInstance) -> None:
    run(desk, instance, WEEK)
    answers = stored(desk, SOURCE_ANSWERS)
    sessions = len(XNYS.sessions(WEEK.first, WEEK.last))
    assert answers.height == 5 * sessions
    assert answers.filter(pl.col("documents") == "news")["items"].sum() == stored(desk, NEWS).height
    assert answers["failure"].unique().to_list() == [""]


def test_loading_the_assets_imports_no_data_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, trading_assets.market.documents.assets, trading_assets.market.documents.checks;"
        "print([m for m in ('polars', 'great_expectations', 'requests', 'feedparser', 'yfinance') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
