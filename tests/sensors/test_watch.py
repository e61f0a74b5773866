"""Halts, drift and freshness: what stands is said, what is wrong is told once, and nothing is lifted or started."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.day.telling import Notice, tell
from resources.desk import DESK, DeskResource
from resources.ledger.halt_file import HaltFile
from resources.ledger.journal import read_journal
from resources.notify.pages import LedgerPages
from sensors.watch import Apart, drifting, halted, lasting, see_drift, see_freshness, see_halts, stale_before_open
from tests.desk.at_a_broker import with_execution
from tests.schedules.outlines import at
from trading_assets.core.calendar import XNYS
from trading_assets.core.operations import Drift
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.core.tables import Table
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.model import STANCES

NOW = at("2024-03-25T10:00")
SHARES = st.dictionaries(st.sampled_from("ABCD"), st.integers(-5, 5).map(Decimal))


def titles() -> list[str]:
    return [record.entry.title for record in read_journal(DeskResource().engine(DESK), kind="note")]


# Halts


@pytest.mark.fault(108)
def test_an_open_halt_is_paged_said_and_not_lifted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())
    desk = DeskResource()
    assert see_halts(desk) == "no halt is open"
    with desk.ledger(DESK).session() as ledger:
        ledger.add_halt("the operator said so", as_of=NOW)
    for _ in range(2):
        assert see_halts(desk) == "nothing is opened; halt 1: the operator said so; only the operator lifts it"
    [page] = LedgerPages(desk.engine(DESK), DESK).unanswered()
    assert (page.severity, page.code) == ("critical", "halt 1")
    with desk.ledger(DESK).reading() as ledger:
        assert ledger.open_halt() is not None


def test_a_halt_file_is_told_once_and_said_as_long_as_it_lies_there(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())
    desk = DeskResource()
    desk.engine(DESK)
    HaltFile(home.root).write("the disk is full", "watchdog", NOW)
    for _ in range(2):
        assert "the halt file says: the disk is full" in see_halts(desk)
    assert titles() == ["halt file"]


def test_whatever_halts_is_named() -> None:
    assert halted([], "") == "no halt is open"
    assert halted([(1, "a"), (2, "b")], "c") == (
        "nothing is opened; halt 1: a; halt 2: b; the halt file says: c; only the operator lifts it"
    )


# Drift


@settings(deadline=None, max_examples=60)
@given(SHARES, SHARES, st.integers(0, 4))
def test_a_symbol_is_apart_exactly_when_it_differs_by_more_than_the_bound(
    book: dict[str, Decimal], broker: dict[str, Decimal], bound: int
) -> None:
    found = {one.symbol for one in drifting(book, broker, (), Drift(shares=bound), at=NOW)}
    assert found == {s for s in {*book, *broker} if abs(book.get(s, Decimal(0)) - broker.get(s, Decimal(0))) > bound}


def test_shares_that_are_not_a_number_are_apart() -> None:
    [one] = drifting({"A": Decimal(1)}, {"A": Decimal("NaN")}, (), Drift(), at=NOW)
    assert one.symbol == "A"


def test_a_difference_is_told_when_it_lasts_and_begins_anew_when_it_changes() -> None:
    drift, later = Drift(minutes=1), NOW + timedelta(minutes=1)
    first = drifting({"A": Decimal(5)}, {}, (), drift, at=NOW)
    assert lasting(first, drift, at=NOW + timedelta(seconds=59)) == ()
    same = drifting({"A": Decimal(5)}, {}, first, drift, at=later)
    assert lasting(same, drift, at=later) == (Apart("A", Decimal(5), Decimal(0), NOW),)
    other = drifting({"A": Decimal(6)}, {}, same, drift, at=later)
    assert lasting(other, drift, at=later) == ()
    assert drifting({"A": Decimal(5)}, {"A": Decimal(5)}, same, drift, at=later) == ()


def test_before_the_broker_has_told_anything_there_is_nothing_to_compare(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_execution(tmp_path / "config", "broker: paper\n", monkeypatch)
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())
    assert see_drift(DeskResource(), "[]") == ("[]", "the broker has told nothing yet")


# Freshness


@settings(deadline=None, max_examples=60)
@given(st.none() | st.integers(-5, 3))
def test_only_the_session_that_is_needed_or_a_newer_one_up_to_today_is_fresh(days: int | None) -> None:
    session = XNYS.session(date(2024, 3, 27))
    needed = date(2024, 3, 26)
    newest = None if days is None else needed + timedelta(days=days)
    stale = stale_before_open(session, {"daily_bars": newest}, {"daily_bars": needed})
    assert (not stale) == (newest in {needed, session.day})


def there(last: date, *tables: Table) -> None:
    """Tables of the lake that end with a session; what stands in them does not matter."""
    for table in tables:
        DeskResource().lake().write(table, table.empty(), Span(last, last))


@pytest.mark.fault(105)
def test_yesterdays_data_is_shown_at_once_and_told_once_before_the_open(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regimes end a session too early, and nobody gave an opinion."""
    there(date(2024, 3, 22), DAILY_BARS, INDICATORS)
    there(date(2024, 3, 21), REGIME_LABELS)
    says = "regime_labels end with 2024-03-21, needed is 2024-03-22; stances are not there, needed is 2024-03-25"
    for moment, told in (("08:35", []), ("09:15", ["stale facts"]), ("09:20", ["stale facts"])):
        monkeypatch.setenv("DESK_CLOCK", at(f"2024-03-25T{moment}").isoformat())
        assert see_freshness(DeskResource()) == says
        assert titles() == told


def test_fresh_facts_and_closed_days_are_said_to_be_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    there(date(2024, 3, 28), DAILY_BARS, INDICATORS, REGIME_LABELS)
    DeskResource().lake().write(STANCES, STANCES.empty(), Span(date(2024, 4, 1), date(2024, 4, 1)), lane=DESK)
    for moment, says in (
        ("2024-03-29T09:00", "2024-03-29 is not a session"),
        ("2024-04-01T09:20", "the facts for 2024-04-01 are fresh"),
        ("2024-04-01T16:00", "the session of 2024-04-01 is over"),
    ):
        monkeypatch.setenv("DESK_CLOCK", at(moment).isoformat())
        assert see_freshness(DeskResource()) == says
    assert titles() == []


# Telling


def test_an_occasion_is_told_once_whoever_finds_it(home: Home) -> None:
    engine = DeskResource().engine(DESK)
    first = Notice("drift/A/5", date(2024, 3, 25), "critical", "position drift", "A differs")
    other = Notice("drift/B/5", date(2024, 3, 25), "critical", "position drift", "B differs")
    assert tell(engine, DESK, [first], as_of=NOW) == (first,)
    assert tell(engine, DESK, [first, other], as_of=NOW) == (other,)
    assert tell(engine, DESK, [], as_of=NOW) == ()
    assert titles() == ["position drift", "position drift"]
