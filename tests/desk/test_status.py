"""`desk status`: every section of one look at a book, in numbers for a script and in words for a person."""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.glance import UNREADABLE, Glance
from desk.glance_book import Held, Seen
from desk.screen import BAD, LOUD, Block, Item, blocks_of, lines_of
from desk.status import run_status
from resources.clock import RealClock
from resources.day.claims import Claims
from resources.desk import BACKTEST, DESK, DeskResource
from resources.ledger.costs import SqlCostBook
from resources.ledger.halt_file import HaltFile
from resources.ledger.health import SqlHealth
from resources.ledger.state import Heartbeats
from resources.notify.pages import LedgerPages
from tests.desk.at_a_broker import sent_desk, set_clock, the_json, with_execution
from tests.resources.ledger.dispatching import NOW, executed, held, leg_changed, snapshot
from tests.resources.ledger.entries import DAYS
from trading_assets.broker.lifecycle import IntentChanged
from trading_assets.core.asking import Ask, Missed, Settle
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.day import Part
from trading_assets.core.settings import Home

PAPER = "broker: paper\nmode: paper\n"
LATER = NOW + timedelta(seconds=7)


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands a few seconds after the orders: five minutes after an open."""
    monkeypatch.setenv("DESK_CLOCK", LATER.isoformat())
    monkeypatch.setenv("COLUMNS", "140")


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders rest at a broker."""
    with_execution(tmp_path / "config", PAPER, monkeypatch)


def told(capsys: pytest.CaptureFixture[str], lane: str = DESK) -> Any:
    run_status(lane, as_json=True)
    return the_json(capsys)


def shown(capsys: pytest.CaptureFixture[str], lane: str = DESK) -> str:
    run_status(lane, as_json=False)
    return capsys.readouterr().out


def holding(*, says: str = '{"state": "ACTIVE", "link": "up", "reason": "fine"}') -> None:
    """Seven shares at a broker with a stop, and processes that live."""
    desk = sent_desk()
    wanted = desk.submitted("AAA")
    desk.apply(
        leg_changed(wanted, "entry", "filled", 501),
        IntentChanged(wanted.id, "WORKING"),
        executed(wanted),
        leg_changed(wanted, "stop", "working", 502),
        leg_changed(wanted, "target", "working", 503),
    )
    desk.store.keep_snapshot(snapshot(held("AAA", "7", "100.40"), equity="99000"), token=desk.token, as_of=NOW)
    beats = Heartbeats(desk.engine)
    for process in ("gateway", "watchdog", "feed", "daemon"):
        beats.beat(process, pid=7, state=says if process != "daemon" else "looking for slots", as_of=NOW)


# A home that begins


def test_a_home_that_begins_has_no_ledger_afterwards_and_says_what_is_missing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys)
    assert not home.ledger(DESK).exists(), "a look makes nothing"
    assert said["halts"] == said["pages"] == said["positions"] == said["orders"] == said["proposals"] == []
    assert said["money"]["equity_usd"] is None
    assert said["data"]["last_settled_session"] is None
    assert {table["newest"] for table in said["data"]["tables"]} == {None}
    assert (said["models"]["spent_usd"], said["health"]["state"]) == ("0", "unknown")
    words = shown(capsys)
    assert "daily_bars none; desk ingest fetches them" in words
    assert "nothing is settled yet" in words


def test_a_desk_at_a_broker_that_never_ran_may_open_nothing(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys)
    assert said["standing"] == {"may_open": False, "why_not": ["there is no ledger: the desk has never run"]}
    assert {each["process"]: each["alive"] for each in said["processes"]} == dict.fromkeys(
        ("gateway", "watchdog", "feed", "daemon"), False
    )
    assert shown(capsys).count("NEVER SEEN") == 4


# The clock


def test_the_clock_names_session_due_slot_and_the_next_one(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    clock = told(capsys)["clock"]
    assert (clock["session"], clock["due"]) == (DAYS[0].isoformat(), f"{DAYS[0]} 09:30")
    assert (clock["is_open"], clock["is_due"], clock["kind"]) == (True, True, "stands")
    assert clock["next_slot"] == f"{DAYS[0]} 10:00"
    assert clock["minutes_to_next_slot"] == pytest.approx(24.9)
    assert clock["minutes_to_close"] == pytest.approx(384.9)


@pytest.mark.parametrize(
    ("instant", "session", "next_slot", "early"),
    [
        (datetime(2024, 7, 3, 16, 0, tzinfo=UTC), "2024-07-03", "2024-07-03 12:30", True),
        (datetime(2024, 7, 3, 17, 30, tzinfo=UTC), "2024-07-03", "2024-07-05 09:30", True),
        (datetime(2024, 7, 4, 15, 0, tzinfo=UTC), None, "2024-07-05 09:30", False),
        (datetime(2024, 7, 6, 15, 0, tzinfo=UTC), None, "2024-07-08 09:30", False),
    ],
)
def test_half_days_and_closed_days_are_the_calendars(
    home: Home, instant: datetime, session: str | None, next_slot: str, early: bool
) -> None:
    clock = Glance(DeskResource(), DESK, instant).tell()["clock"]
    assert (clock["session"], clock["next_slot"], clock["early_close"]) == (session, next_slot, early)


def test_a_replay_is_named_with_its_speed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    began = RealClock().now().isoformat()
    os.environ["DESK_CLOCK"] = f"2024-03-25T09:29:00-04:00@60/{began}"
    assert told(capsys)["clock"]["kind"] == "replay 60x"
    assert "New York, replay 60x" in shown(capsys)


# Halts, processes, standing


def test_an_open_halt_is_the_second_line_and_forbids_opening(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.add_halt("positions differ\x07", as_of=NOW)
    said = told(capsys)
    assert said["halts"] == ["1: positions differ\ufffd"]
    assert said["standing"]["why_not"][0] == "halt 1: positions differ\ufffd"
    lines = shown(capsys).splitlines()
    loud = next(line for line in lines if line.startswith("HALTED"))
    assert "halt 1: positions differ" in loud
    assert lines.index(loud) <= 2
    assert "desk resume 1" in "".join(lines)
    assert next(line for line in lines if line.startswith("may open")).split()[2] == "NO:"


def test_halts_are_drawn_in_the_loudest_colour() -> None:
    [block, _] = blocks_of({"halts": ["3: lost"]})
    assert block.items == [Item("halt 3: lost", LOUD)]


def test_a_halt_file_gets_its_number_and_is_told_once(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.root.mkdir(parents=True)
    HaltFile(home.root).write("W4 lost", "watchdog", NOW)
    assert told(capsys)["halts"] == ["1: halt file: W4 lost (by watchdog)"]


def test_processes_that_live_let_the_desk_open(home: Home, paper: None, capsys: pytest.CaptureFixture[str]) -> None:
    holding()
    set_clock(LATER)
    said = told(capsys)
    assert {each["process"]: each["alive"] for each in said["processes"]} == dict.fromkeys(
        ("gateway", "watchdog", "feed", "daemon"), True
    )
    assert said["processes"][0]["says"] == "ACTIVE, link up, fine"
    assert said["standing"] == {"may_open": True, "why_not": []}
    assert "may open   yes" in shown(capsys)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(seconds=40), "gateway gave its last sign of life 40 s ago"),
        (timedelta(hours=6, minutes=10), "nothing is opened after 15:30"),
        (timedelta(hours=8), "the exchange is closed"),
    ],
)
def test_silence_a_late_hour_and_a_closed_exchange_forbid_opening(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str], after: timedelta, reason: str
) -> None:
    holding()
    set_clock(NOW + after)
    standing = told(capsys)["standing"]
    assert not standing["may_open"]
    assert any(reason in each for each in standing["why_not"]), standing


def test_a_gateway_that_says_reducing_forbids_opening_and_is_shown(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str]
) -> None:
    holding(says='{"state": "REDUCING", "reason": "C13 stop-outs"}')
    said = told(capsys)
    assert not said["standing"]["may_open"]
    assert said["processes"][0]["says"] == "REDUCING, C13 stop-outs"
    assert "gateway REDUCING 7 s ago" in shown(capsys)


# Money, positions, orders


def test_money_at_a_broker_is_measured_against_the_days_first_balance(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str]
) -> None:
    holding()
    desk = sent_desk()
    desk.store.keep_snapshot(snapshot(held("AAA", "7"), equity="96030"), token=desk.token, as_of=NOW)
    money = told(capsys)["money"]
    assert (money["equity_usd"], money["cash_usd"], money["day_usd"]) == ("96030.0000", "50000.0000", "-2970.0000")
    assert (money["day_fraction"], money["drawdown_fraction"]) == (-0.03, 0.03)
    assert money["source"] == "the broker 7 s ago, agrees with the ledger"
    words = shown(capsys)
    assert "day -2,970.00 (-3.00%; reduces at -2.00%, halts at -4.00%)" in words
    assert "drawdown 3.00%, halts at 8.00%" in words


def test_a_broker_that_tells_no_equity_is_unknown_and_not_zero(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = sent_desk()
    desk.store.keep_snapshot(snapshot(held("ZZZ", "7"), equity=None), token=desk.token, as_of=NOW)
    money = told(capsys)["money"]
    assert (money["equity_usd"], money["day_fraction"], money["drawdown_fraction"]) == (None, None, None)
    words = shown(capsys)
    assert "equity unknown" in words
    assert "DIFFERS from the ledger" in words
    assert "NO STOP" in words


def test_a_position_stands_with_its_strategy_its_stop_and_its_orders(
    home: Home, paper: None, capsys: pytest.CaptureFixture[str]
) -> None:
    holding()
    said = told(capsys)
    [position] = said["positions"]
    assert (position["symbol"], position["quantity"], position["strategy"]) == ("AAA", "7", "momentum_breakout")
    assert (position["stop_usd"], position["price_usd"], position["stop_distance_fraction"]) == ("95.2500", None, None)
    assert sorted((order["role"], order["state"]) for order in said["orders"]) == [
        ("stop", "working"),
        ("target", "working"),
    ]
    words = shown(capsys)
    assert "7 AAA (momentum_breakout) at 100.40; price unknown; stop 95.25" in words
    assert "AAA stop sell 7 at 95.25 working" in words


@given(
    price=st.decimals("1", "900", places=2),
    stop=st.decimals("1", "900", places=2),
    quantity=st.integers(-500, 500).filter(bool),
)
def test_a_stops_distance_is_never_below_zero_and_gains_follow_the_side(
    price: Decimal, stop: Decimal, quantity: int
) -> None:
    line = Held("AAA", Decimal(quantity), Decimal(100), stop).told({"AAA": Seen(price, "10:00")}, {}, None, "")
    assert line["stop_distance_fraction"] >= 0
    assert line["stop_distance_fraction"] == pytest.approx(abs(float(price) - float(stop)) / float(price), abs=1e-6)
    assert Decimal(line["unrealised_usd"]) == ((price - 100) * quantity).quantize(Decimal("0.01"))


# The day


def part_of(name: Any, label: str, at: datetime, hours: float = 1) -> Part:
    return Part(name, XNYS.session(DAYS[0]), at, at + timedelta(hours=hours), label)


def test_slots_and_parts_tell_their_claims(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    opens = XNYS.session(DAYS[0]).open
    claims = Claims(DeskResource().engine(DESK), DESK, "h")
    claims.begun(as_of=opens - timedelta(hours=3), keep=True)
    first, second = part_of("slot", "09:30", opens), part_of("slot", "10:00", opens + timedelta(minutes=30))
    claims.miss([Missed(first, "the machine slept")], {}, as_of=LATER, machine=LATER)
    claims.take(Ask(second, second.at), None, machine=LATER)
    review = part_of("review", "10:05", opens + timedelta(minutes=35))
    claims.settle(Settle(review, "failed", "no bars"), None, machine=LATER)
    set_clock(opens + timedelta(minutes=65))
    day = told(capsys)["day"]
    slots = {slot["slot"]: (slot["state"], slot["why"]) for slot in day["slots"]}
    assert slots["09:30"] == ("missed", "the machine slept")
    assert slots["10:00"][0] == "asked"
    assert slots["10:30"][0] == "due"
    assert slots["11:00"][0] == "later"
    parts = {part["part"]: part["state"] for part in day["parts"]}
    assert (parts["review 10:05"], parts["review 11:05"], parts["facts"]) == ("failed", "later", "missed")
    words = shown(capsys)
    assert "0 decided, 1 due, 1 missed of 13" in words
    assert "09:30 MISSED" in words
    assert "review 10:05 FAILED" in words
    assert "postclose at 16:20" in words


def test_what_was_over_before_the_desk_began_was_not_asked_of_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = Claims(DeskResource().engine(DESK), DESK, "h")
    noon = XNYS.session(DAYS[0]).open + timedelta(hours=2, minutes=31)
    claims.begun(as_of=noon, keep=True)
    set_clock(noon + timedelta(hours=1))
    states = {slot["slot"]: slot["state"] for slot in told(capsys)["day"]["slots"]}
    assert (states["11:30"], states["12:00"], states["12:30"]) == ("not asked", "missed", "missed")
    assert (states["13:00"], states["13:30"]) == ("due", "later")


# What waits for the operator, and the machine


def test_pages_wait_for_an_answer(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    LedgerPages(DeskResource().engine(DESK), DESK).raise_page("warning", "link", "gone\x1b[2J", as_of=NOW)
    [page] = told(capsys)["pages"]
    assert (page["page"], page["severity"], page["sentence"]) == (1, "warning", "gone\ufffd[2J")
    words = shown(capsys)
    assert "1 wait for an answer: desk answer 1" in words
    assert "\x1b" not in words


def test_the_newest_health_check_is_told_with_what_is_not_normal(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [{"name": "disk", "state": "warning", "sentence": "4 GB left"}, {"name": "clock", "state": "normal"}]
    rounds = SqlHealth(DeskResource().engine(DESK))
    for state, listed in (("normal", checks[1:]), ("warning", checks)):
        rounds.record(state, {"state": state, "checks": listed}, as_of=NOW, keep_from=NOW)
    health = told(capsys)["health"]
    assert (health["state"], health["age_seconds"]) == ("warning", 7.0)
    assert [check["name"] for check in health["checks"]] == ["disk"]
    assert "disk warning: 4 GB left" in shown(capsys)


def test_models_tell_mode_and_what_is_left_of_the_days_money(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    SqlCostBook(DeskResource().engine(DESK))
    models = told(capsys)["models"]
    assert models["mode"] == "rules"
    assert Decimal(models["left_usd"]) == Decimal(models["cap_usd"])
    assert models["day"] == RealClock().now().astimezone(NEW_YORK).date().isoformat()


# What cannot be read


def test_a_section_that_cannot_be_read_takes_nothing_else_with_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    holding()
    home.ledger(DESK).unlink()
    home.ledger(DESK).write_bytes(b"no ledger" * 1000)
    glance = Glance(DeskResource(), DESK, LATER).tell()
    assert UNREADABLE in glance["halts"]
    assert UNREADABLE in glance["standing"], "what is unknown is never a yes"
    assert glance["clock"]["session"] == DAYS[0].isoformat()
    blocks = {block.label: block for block in blocks_of(glance)}
    assert blocks["halts"].items[0].style == BAD
    assert "cannot be read" in blocks["standing"].items[0].words
    assert glance["data"].keys() >= {UNREADABLE} or glance["data"]["tables"]


def test_a_backtest_has_no_processes_no_day_and_no_money_for_models(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, BACKTEST)
    assert said["clock"]["book"] == BACKTEST
    assert said["processes"] == []
    assert not {"day", "proposals", "models", "health"} & said.keys()


# Lines


@given(
    words=st.lists(st.text("ab c;", min_size=1, max_size=90), min_size=1, max_size=8),
    width=st.integers(40, 160),
    one_a_line=st.booleans(),
)
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(words: list[str], width: int, one_a_line: bool) -> None:
    lines = lines_of(Block("label", [Item(each) for each in words], one_a_line=one_a_line), width)
    assert all(line.cell_len <= width for line in lines)
    letters = "".join("".join(line.plain.split()) for line in lines)
    assert letters == "label" + "".join("".join(each.split()) for each in words)


def test_the_same_book_at_the_same_instant_is_told_the_same(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    holding()
    assert told(capsys) == told(capsys)
    assert date.fromisoformat(told(capsys)["clock"]["session"]) == DAYS[0]
