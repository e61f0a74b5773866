"""The rules desk, and all benchmarks as Dagster makes them, on weeks of the embedded prices."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from resources.desk import DeskResource
from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from tests.execution.world import EVER, booked, copy_ledger, judge, walked
from tests.execution.world import lane as lane_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateRecord, Span
from trading_assets.evaluation.benchmark_model import (
    BENCHMARK_NAMES,
    BENCHMARK_NOTES,
    BENCHMARK_TABLES,
    BENCHMARKS,
    COIN_LIVES,
    RULES_DESK,
)
from trading_assets.evaluation.benchmarks.assets import benchmark_assets
from trading_assets.evaluation.benchmarks.beside import compare
from trading_assets.evaluation.benchmarks.shadow import catch_up, models_of, of_the_book, rules_counsel
from trading_assets.evaluation.benchmarks.shadow import walked as shadow_walked
from trading_assets.execution.lanes import Lane
from trading_assets.execution.model import ACCOUNT, TRADES
from trading_assets.market.model import DAILY_BARS
from trading_assets.plans.model import VOTES

WEEKS = Span(date(2012, 3, 1), date(2012, 3, 16))
MIDDLE = date(2012, 3, 9)
NAME = "rules-of-a-test"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Lane:
    """A backtest of the weeks, in a folder that is laid out as a home."""
    home = tmp_path_factory.mktemp("shadow") / "home"
    where = walked(lane_of(home), WEEKS)
    (home / "ledger").mkdir()
    for name in ("desk", "backtest"):
        copy_ledger(home / f"{name}.sqlite", home / "ledger" / f"{name}.sqlite")
    return where


@pytest.fixture
def home(book: Lane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = Path(str(book.lake._root)).parent  # type: ignore[attr-defined]
    monkeypatch.setenv("DESK_HOME", str(root))
    yield root
    os.environ.pop("DAGSTER_HOME", None)


def shadow_of(book: Lane, folder: Path) -> Lane:
    ledger = SqlLedger(open_ledger(folder / "shadow.sqlite", durability="NORMAL", lane=NAME), NAME)
    return Lane(book.lake, book.gates, ledger, replace(book.rules, book=NAME), rules_counsel())


def equity(book: Lane) -> list[object]:
    return booked(book, WEEKS)["account"]["equity"].to_list()


def materialized() -> dg.ExecuteInProcessResult:
    days = XNYS.sessions(WEEKS.first, WEEKS.last)
    tags = {
        "dagster/asset_partition_range_start": days[0].key,
        "dagster/asset_partition_range_end": days[-1].key,
    }
    return dg.materialize(benchmark_assets("backtest"), resources={"desk": DeskResource()}, tags=tags)


def read(book: Lane, table: object) -> pl.DataFrame:
    return book.lake.read(table, as_of=EVER, lane="backtest")  # type: ignore[arg-type]


def test_a_shadow_walks_the_books_sessions_as_the_book_did_and_in_a_ledger_of_its_own(
    book: Lane, tmp_path: Path
) -> None:
    before = equity(book)
    shadow = shadow_of(book, tmp_path)
    told = shadow_walked(shadow, WEEKS, ("anthropic",))
    assert [row["equity"] for row in told.rows] == before
    assert told.sentence == "anthropic decided; the rules walked the same sessions"
    assert equity(book) == before
    with book.ledger.reading() as ledger:
        assert {intent.plan.session <= WEEKS.last for intent in ledger.intents(WEEKS.last)} == {True}


def test_each_evening_it_walks_what_is_new_and_ends_where_one_walk_would(book: Lane, tmp_path: Path) -> None:
    shadow = shadow_of(book, tmp_path)
    assert catch_up(shadow, Span(WEEKS.first, MIDDLE))[-1] == MIDDLE
    following = XNYS.next(MIDDLE).day
    assert catch_up(shadow, Span(WEEKS.first, following)) == (following,)
    assert catch_up(shadow, Span(WEEKS.first, following)) == ()
    told = shadow_walked(shadow, WEEKS, ("anthropic",))
    assert [row["equity"] for row in told.rows] == equity(book)


def test_a_session_whose_bars_are_refused_stops_it_for_the_evening_and_is_told(book: Lane, tmp_path: Path) -> None:
    shadow = shadow_of(book, tmp_path)
    one = Span(MIDDLE, MIDDLE)
    version = book.lake.versions(DAILY_BARS, one)[MIDDLE]
    book.gates.record_gates([GateRecord(DAILY_BARS.name, MIDDLE, version, False, ("a hole",))], as_of=EVER)
    try:
        told = shadow_walked(shadow, WEEKS, ("anthropic",))
    finally:
        judge(book.lake, book.gates, one)
    assert told.state == "made"
    assert told.rows[-1]["session"] == XNYS.previous(MIDDLE).day
    assert "it stopped after 2012-03-08" in told.sentence
    assert len(shadow_walked(shadow, WEEKS, ("anthropic",)).rows) == len(equity(book)), "the next evening goes on"


def test_a_book_that_ran_on_rules_is_its_own_rules_desk(book: Lane) -> None:
    assert models_of(book.lake, "backtest", WEEKS) == ()
    told = of_the_book(booked(book, WEEKS)["account"], book.rules.first_book.cash)
    assert told.state == "equal"
    assert [row["equity"] for row in told.rows] == equity(book)


def test_the_assets_make_every_benchmark_say_how_and_make_the_same_again(book: Lane, home: Path) -> None:
    assert materialized().success
    rows, notes = read(book, BENCHMARKS), read(book, BENCHMARK_NOTES)
    assert sorted(notes["name"]) == sorted(BENCHMARK_NAMES)
    assert set(notes["session"]) == {WEEKS.last}
    states = dict(notes.select("name", "state").iter_rows())
    assert states == {
        "buy_and_hold": "made",
        "coin_flip": "made",
        "momentum_12_1": "missing",
        "rules_desk": "equal",
    }, "the world of the tests has too little history"
    assert rows.filter(pl.col("name") == RULES_DESK)["equity"].to_list() == equity(book)
    assert read(book, COIN_LIVES).height == 200
    assert not list((home / "ledger").glob("rules_*"))
    found = compare(
        read(book, ACCOUNT),
        read(book, TRADES),
        rows,
        read(book, COIN_LIVES),
        notes,
        starting_cash=book.rules.first_book.cash,
    )
    assert [each.state for each in found.others] == ["made", "missing", "made", "equal"]
    before = [read(book, table) for table in BENCHMARK_TABLES]
    assert materialized().success
    assert all(one.equals(read(book, table)) for one, table in zip(before, BENCHMARK_TABLES, strict=True))


def test_where_a_model_voted_the_rules_walk_in_a_file_beside_the_desks(book: Lane, home: Path) -> None:
    votes = read(book, VOTES)
    spoken = votes.with_columns(route=pl.lit("anthropic"))
    book.lake.write(VOTES, spoken, WEEKS, lane="backtest")
    try:
        assert models_of(book.lake, "backtest", WEEKS) == ("anthropic",)
        assert materialized().success
        notes = read(book, BENCHMARK_NOTES).filter(pl.col("name") == RULES_DESK)
        assert notes["state"].to_list() == ["made"]
        assert read(book, BENCHMARKS).filter(pl.col("name") == RULES_DESK)["equity"].to_list() == equity(book)
        assert len(list((home / "ledger").glob("rules_backtest_*.sqlite"))) == 1
    finally:
        book.lake.write(VOTES, votes, WEEKS, lane="backtest")
