"""The two lanes: a walk that can be cut, interrupted and repeated, and a desk that decides the due slot once and nothing else."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.execution.test_cycle import scrambled
from tests.execution.world import (
    EVER,
    YEAR,
    backtest,
    booked,
    days,
    decided,
    judge,
    lane,
    market,
    same,
    sessions,
    slot_of,
    walked,
    with_cash,
)
from trading_assets.briefs.facts import FACT_TABLES, FactBook
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.questions import rules_briefs
from trading_assets.briefs.rows import brief_rows
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DataNotReady, DuplicateDecision, GateClosed, PermanentFailure, SlotRefused
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import PROJECT
from trading_assets.core.slots import slots_of
from trading_assets.execution.lanes import BacktestWalk, Lane, decide_due, due_or_refused, store_booked
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.market.model import DAILY_BARS

SPRING = Span(date(2012, 3, 1), date(2012, 4, 30))
MIDDLE = date(2012, 4, 2)
FIRST_HALF = Span(SPRING.first, MIDDLE)
SECOND_HALF = Span(XNYS.next(MIDDLE).day, SPRING.last)
BROKEN = date(2012, 4, 10)


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> Lane:
    """One uninterrupted walk of the spring, to compare with."""
    return walked(lane(tmp_path_factory.mktemp("spring") / "home"), SPRING)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def _all_same(one: Lane, other: Lane, span: Span) -> bool:
    return same(decided(one, span), decided(other, span)) and same(booked(one, span), booked(other, span))


def _refuse(where: Lane, day: date) -> None:
    version = where.lake.versions(DAILY_BARS, Span(day, day))[day]
    where.gates.record_gates([GateRecord(DAILY_BARS.name, day, version, False, ("a hole",))], as_of=EVER)


def _accept(where: Lane, day: date) -> None:
    version = where.lake.versions(DAILY_BARS, Span(day, day))[day]
    where.gates.record_gates([GateRecord(DAILY_BARS.name, day, version, True)], as_of=EVER)


def _closes(where: Lane) -> list[date]:
    with where.ledger.session() as ledger:
        return [close.session for close in ledger.closes(XNYS.first, XNYS.last)]


# --- the backtest lane ---------------------------------------------------------------------------------------------


def test_a_shorter_backtest_decides_what_the_longer_one_decided(home: Path, spring: Lane) -> None:
    assert _all_same(walked(lane(home), FIRST_HALF), spring, FIRST_HALF)


def test_two_walks_that_go_on_are_one_walk(home: Path, spring: Lane) -> None:
    where = walked(walked(lane(home), FIRST_HALF), SECOND_HALF, fresh=False)
    assert _all_same(where, spring, SPRING)


def test_walking_session_by_session_is_walking_once(home: Path, spring: Lane) -> None:
    where, fortnight = lane(home), Span(SPRING.first, days(SPRING)[9])
    for day in days(fortnight):
        walked(where, Span(day, day), fresh=False)
    assert _all_same(where, spring, fortnight)


def test_facts_from_after_the_middle_change_nothing_before_it(home: Path, spring: Lane) -> None:
    """The lake itself holds another future: scrambled bars, features and briefs, judged as passed."""
    where, after = lane(home), XNYS.session(MIDDLE).close
    frames = scrambled(market().frames, after, Random(7))
    made = Span(frames[DAILY_BARS.name]["session"].min(), YEAR.last)  # type: ignore[arg-type]
    for table in FACT_TABLES:
        where.lake.write(table, frames[table.name], made)
    facts = FactBook(frames)
    rows = [
        row for s in sessions(YEAR) for row in brief_rows(rules_briefs(facts.at(s.open - timedelta(hours=1))), s.day)
    ]
    where.lake.write(ANALYST_BRIEFS, ANALYST_BRIEFS.frame(rows), YEAR, lane="backtest")
    judge(where.lake, where.gates, made)
    walk = BacktestWalk.begin(where, FIRST_HALF, fresh=True)
    walk.walk()
    walk.store()
    store_booked(where, FIRST_HALF)
    assert _all_same(where, spring, FIRST_HALF)


def test_the_same_walk_a_second_time_gives_the_same_rows(home: Path, spring: Lane) -> None:
    where = walked(walked(lane(home), FIRST_HALF), FIRST_HALF)
    assert _all_same(where, spring, FIRST_HALF)


def test_an_interrupted_walk_keeps_the_sessions_before_in_ledger_and_lake(home: Path, spring: Lane) -> None:
    where = lane(home)
    _refuse(where, BROKEN)
    walk = BacktestWalk.begin(where, SPRING, fresh=True)
    with pytest.raises(GateClosed, match="refused daily_bars of 2012-04-10: a hole"):
        walk.walk()
    walk.store()
    kept = Span(SPRING.first, XNYS.previous(BROKEN).day)
    assert tuple(walk.done) == days(kept)
    assert tuple(_closes(where)[1:]) == days(kept)
    assert same(decided(where, SPRING), decided(spring, kept))


def test_a_rerun_after_the_mending_equals_a_walk_that_was_never_interrupted(home: Path, spring: Lane) -> None:
    where = lane(home)
    _refuse(where, BROKEN)
    with pytest.raises(GateClosed):
        walked(where, SPRING)
    _accept(where, BROKEN)
    assert _all_same(walked(where, SPRING, fresh=False), spring, SPRING)


def test_an_interrupted_walk_can_go_on_where_it_stopped(home: Path, spring: Lane) -> None:
    where = lane(home)
    _refuse(where, BROKEN)
    walk = BacktestWalk.begin(where, SPRING, fresh=True)
    with pytest.raises(GateClosed):
        walk.walk()
    walk.store()
    _accept(where, BROKEN)
    walked(where, Span(BROKEN, SPRING.last), fresh=False)
    store_booked(where, SPRING)
    assert _all_same(where, spring, SPRING)


def test_an_interrupted_rerun_leaves_no_rows_of_the_path_before(home: Path) -> None:
    """The first path started richer; what the second path has not reached must not be shown as its own."""
    rich = walked(with_cash(lane(home), 250_000.0), SPRING)
    assert decided(rich, SECOND_HALF)["orders"].height
    where = lane(home)
    _refuse(where, BROKEN)
    walk = BacktestWalk.begin(where, SPRING, fresh=False)
    with pytest.raises(GateClosed):
        walk.walk()
    walk.store()
    left = Span(BROKEN, SPRING.last)
    assert {name: frame.height for name, frame in decided(where, left).items()} == dict.fromkeys(
        (table.name for table in DECIDED), 0
    )
    assert {name: frame.height for name, frame in booked(where, SPRING).items()} == dict.fromkeys(
        (table.name for table in BOOKED), 0
    )


def test_a_rerun_of_the_beginning_forgets_what_came_after(home: Path) -> None:
    where = walked(walked(lane(home), SPRING), FIRST_HALF, fresh=False)
    assert _closes(where)[-1] == MIDDLE
    for held in (decided(where, SECOND_HALF), booked(where, SECOND_HALF)):
        assert [frame.height for frame in held.values()] == [0] * len(held)


def test_a_fresh_walk_starts_a_new_book_and_forgets_what_came_before(home: Path) -> None:
    where = walked(walked(lane(home), FIRST_HALF), SECOND_HALF)
    assert _closes(where) == [MIDDLE, *days(SECOND_HALF)]
    assert booked(where, FIRST_HALF)["account"].is_empty()
    with where.ledger.session() as ledger:
        opened = ledger.close_of(MIDDLE)
    assert opened is not None
    assert (opened.equity, dict(opened.book.positions)) == (Decimal(100_000), {})


def test_a_new_book_takes_the_starting_cash_of_now(home: Path) -> None:
    """Also when it was not asked to be fresh: nothing was decided before its first session."""
    where = walked(with_cash(lane(home), 50_000.0), FIRST_HALF)
    again = walked(lane(home), FIRST_HALF, fresh=False)
    with where.ledger.session() as ledger:
        opened = ledger.latest_close(SPRING.first)
    assert opened is not None
    assert opened.equity == Decimal(100_000)
    assert again.rules.first_book.cash == Decimal(100_000)


def test_a_walk_that_would_leave_a_hole_in_the_book_is_refused(home: Path) -> None:
    where = walked(lane(home), FIRST_HALF)
    late = Span(days(SECOND_HALF)[3], SPRING.last)
    with pytest.raises(DataNotReady, match=f"last settled on {MIDDLE} and cannot open {late.first}"):
        walked(where, late, fresh=False)
    assert _closes(where)[-1] == MIDDLE


def test_sessions_that_were_not_walked_are_not_shown_as_settled(home: Path) -> None:
    where = walked(lane(home), FIRST_HALF)
    with pytest.raises(DataNotReady, match="has not walked all sessions") as raised:
        store_booked(where, SPRING)
    assert raised.value.value == SECOND_HALF.first
    assert _closes(where)[-1] == MIDDLE


def test_a_failed_gate_before_the_first_session_writes_nothing(home: Path) -> None:
    where = lane(home)
    _refuse(where, XNYS.previous(SPRING.first).day)
    walk = BacktestWalk.begin(where, SPRING, fresh=True)
    with pytest.raises(GateClosed, match="2012-02-29"):
        walk.walk()
    assert walk.store() == {}
    assert _closes(where) == []


def test_the_loss_of_a_books_very_first_session_counts(home: Path) -> None:
    """A new book opens with the close of the session before: its starting cash."""
    where = walked(lane(home), FIRST_HALF)
    with where.ledger.session() as ledger:
        opened, after_one = ledger.equity_history(days(SPRING)[1])
        assert opened == Decimal(100_000)
        assert after_one == ledger.closes(SPRING.first, SPRING.first)[0].equity


def test_facebook_is_never_traded_before_it_exists() -> None:
    with backtest().ledger.session() as ledger:
        traded = [intent.session for intent in ledger.intents(YEAR.last) if intent.plan.symbol == "FB"]
        assert all(day > date(2012, 5, 18) for day in traded)
    known = decided(backtest(), YEAR)["theses"].filter(pl.col("symbol") == "FB")
    assert known["session"].min() > date(2012, 5, 18)  # type: ignore[operator]


# --- the desk lane -------------------------------------------------------------------------------------------------


def _at(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK)


MONDAY, SATURDAY, THANKSGIVING, EARLY = date(2012, 6, 18), date(2012, 6, 16), date(2012, 11, 22), date(2012, 11, 23)


@pytest.mark.parametrize(
    ("keys", "label", "now", "reason"),
    [
        ((), "", _at(MONDAY, "09:29:59"), "no slot of 2012-06-18 has begun at 09:29:59"),
        ((), "", _at(MONDAY, "09:40:00"), "slot 09:30 of 2012-06-18 ended at 09:40:00 New York; it never runs late"),
        ((), "", _at(MONDAY, "16:00:00"), "the session of 2012-06-18 closed at 16:00"),
        ((), "", _at(SATURDAY, "10:00:00"), "2012-06-16 is not a session; the next one is 2012-06-18"),
        ((), "", _at(THANKSGIVING, "10:00:00"), "2012-11-22 is not a session; the next one is 2012-11-23"),
        ((), "", _at(EARLY, "13:00:00"), "the session of 2012-11-23 closed at 13:00"),
        ((), "13:00", _at(EARLY, "12:35:00"), "2012-11-23 12:30 is due"),
        ((), "10:00", _at(MONDAY, "09:31:00"), "2012-06-18 09:30 is due"),
        (("2012-06-15",), "", _at(MONDAY, "09:31:00"), "2012-06-18 09:30 is due"),
        (("2012-06-15", "2012-06-18"), "", _at(MONDAY, "09:31:00"), "value: 2012-06-15, 2012-06-18 whichever is due"),
        (("2012-06-19",), "09:30", _at(MONDAY, "09:31:00"), "value: 2012-06-19 09:30"),
        (("2012-06-15",), "", _at(SATURDAY, "09:31:00"), "is not a session"),
    ],
)
def test_anything_but_the_due_slot_is_refused_with_the_reason(
    keys: Sequence[str], label: str, now: datetime, reason: str
) -> None:
    with pytest.raises(SlotRefused, match="the desk decides due slots only") as raised:
        due_or_refused(backtest().rules, keys, label, now=now)
    assert reason in str(raised.value)


@pytest.mark.parametrize("keys", [(), ("2012-06-18",)])
@pytest.mark.parametrize("label", ["", "09:30"])
@pytest.mark.parametrize("clock", ["09:30:00", "09:39:59"])
def test_the_due_slot_is_found_however_it_is_asked_for(keys: Sequence[str], label: str, clock: str) -> None:
    assert due_or_refused(backtest().rules, keys, label, now=_at(MONDAY, clock)) == slot_of(MONDAY)


def _desk_day(desk: Lane, day: date) -> None:
    for slot in slots_of(XNYS.session(day), desk.rules.settings.decisions.slots):
        decide_due(desk, slot)


@pytest.mark.slow
def test_the_desk_slot_by_slot_decides_and_earns_what_the_backtest_does(home: Path, spring: Lane) -> None:
    """The same cycle, fills and book: only ids differ, which carry the book's name."""
    desk, fortnight = lane(home, "desk"), Span(SPRING.first, days(SPRING)[9])
    for day in days(fortnight):
        _desk_day(desk, day)
        store_booked(desk, Span(day, day))
    for one, other in (
        (decided(desk, fortnight), decided(spring, fortnight)),
        (booked(desk, fortnight), booked(spring, fortnight)),
    ):
        for name, frame in one.items():
            own = ["order_id", "intent_id", "fill_id", "trade_id", "lesson_id"]
            assert (
                frame.drop(own, strict=False).sort(pl.all()).equals(other[name].drop(own, strict=False).sort(pl.all()))
            ), name
    assert decided(desk, fortnight)["orders"].height > 0


@pytest.mark.slow
def test_the_desk_settles_what_was_left_open_before_it_decides(home: Path, spring: Lane) -> None:
    """Nobody ran the post-close job: the next open still decides on the true book, and shows it later."""
    desk, week = lane(home, "desk"), Span(SPRING.first, days(SPRING)[9])
    for day in days(week):
        _desk_day(desk, day)
    store_booked(desk, week)
    assert booked(desk, week)["account"].equals(booked(spring, week)["account"])


@pytest.mark.slow
def test_a_desk_that_was_off_for_days_settles_them_in_order(home: Path) -> None:
    desk, on, off = lane(home, "desk"), days(SPRING)[0], days(SPRING)[6]
    _desk_day(desk, on)
    _desk_day(desk, off)
    assert _closes(desk) == [XNYS.previous(on).day, *days(Span(on, XNYS.previous(off).day))]


def test_the_same_slot_a_second_time_is_refused_and_changes_nothing(home: Path) -> None:
    desk, slot = lane(home, "desk"), slot_of(SPRING.first)
    decide_due(desk, slot)
    before = decided(desk, SPRING)
    with pytest.raises(DuplicateDecision, match="is decided already in book desk"):
        decide_due(desk, slot)
    assert same(decided(desk, SPRING), before)
    with desk.ledger.session() as ledger:
        assert len(ledger.decisions(SPRING.first, SPRING.first)) == 1


def test_slots_of_a_session_share_its_partition(home: Path) -> None:
    desk = lane(home, "desk")
    decide_due(desk, slot_of(SPRING.first))
    theses = decided(desk, SPRING)["theses"]
    decide_due(desk, slot_of(SPRING.first, "10:00"))
    assert decided(desk, SPRING)["theses"].equals(theses)
    assert theses["slot"].unique().to_list() == ["09:30"]


def test_a_refused_gate_stops_the_desk_until_it_passes(home: Path) -> None:
    desk, before = lane(home, "desk"), XNYS.previous(SPRING.first).day
    _refuse(desk, before)
    with pytest.raises(GateClosed, match="2012-02-29: a hole"):
        decide_due(desk, slot_of(SPRING.first))
    assert _closes(desk) == []
    assert decided(desk, SPRING)["theses"].is_empty()
    _accept(desk, before)
    result, written = decide_due(desk, slot_of(SPRING.first))
    assert result.mind is not None
    assert result.mind.theses
    assert set(written) == {table.name for table in DECIDED}


def test_a_desk_that_never_decided_begins_at_the_session_it_is_asked_to_show(home: Path) -> None:
    desk = lane(home, "desk")
    store_booked(desk, Span(MIDDLE, MIDDLE))
    assert _closes(desk) == [MIDDLE]
    assert booked(desk, SPRING)["account"]["equity"].to_list() == [Decimal(100_000)]


def test_the_desks_own_book_can_never_be_walked_again(home: Path) -> None:
    desk = lane(home, "desk")
    _desk_day(desk, SPRING.first)
    for fresh in (True, False):
        with pytest.raises(PermanentFailure, match="only a backtest's book can be walked again"):
            BacktestWalk.begin(desk, SPRING, fresh=fresh)
    with desk.ledger.session() as ledger:
        assert len(ledger.decisions(SPRING.first, SPRING.first)) == 13
    assert decided(desk, SPRING)["theses"].height


def race(home: str) -> None:
    """What another process of the desk does that wants the same slot: it says when it is ready, and how it went."""
    desk = lane(Path(home), "desk")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    try:
        decide_due(desk, slot_of(SPRING.first))
    except DuplicateDecision:
        sys.stdout.write("refused\n")
    else:
        sys.stdout.write("decided\n")


@pytest.mark.slow
def test_two_processes_that_race_for_a_slot_make_one_decision(home: Path) -> None:
    desk = lane(home, "desk")
    command = [
        sys.executable,
        "-c",
        "import sys; from tests.execution.test_lanes import race; race(sys.argv[1])",
        str(home),
    ]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    ready = [racer.stdout.readline() for racer in racers if racer.stdout]
    told = [racer.communicate("go\n") for racer in racers]
    assert ready == ["ready\n"] * 2, told
    assert sorted(out for out, _ in told) == ["decided\n", "refused\n"], told
    with desk.ledger.session() as ledger:
        assert len(ledger.decisions(SPRING.first, SPRING.first)) == 1
        placed = [order for order, _ in ledger.orders_placed(SPRING.first, SPRING.first)]
    assert len({order.id for order in placed}) == len(placed)
    assert decided(desk, SPRING)["theses"].height == 4
