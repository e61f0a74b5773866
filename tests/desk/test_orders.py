"""`desk orders`: where each intent stands, with its seals, orders and fills, and who is alive."""

from datetime import timedelta

import pytest

from desk.orders import EXPECTED, run_orders
from resources.desk import DESK, DeskResource
from resources.ledger.state import Heartbeats
from tests.desk.at_a_broker import sent_desk, set_clock, the_json
from tests.resources.ledger.dispatching import NOW, executed, held, leg_changed, proposed, snapshot
from tests.resources.ledger.entries import DAYS
from trading_assets.broker.lifecycle import IntentChanged
from trading_assets.core.settings import Home


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands a few seconds after the orders."""
    monkeypatch.setenv("DESK_CLOCK", (NOW + timedelta(seconds=7)).isoformat())
    monkeypatch.setenv("COLUMNS", "250")


def working(symbol: str = "AAA", first_id: int = 1, **where: object) -> str:
    """An intent whose entry filled seven shares."""
    desk = sent_desk()
    wanted = desk.submitted(symbol, first_id, **where)
    desk.apply(
        leg_changed(wanted, "entry", "working", 500 + first_id),
        IntentChanged(wanted.id, "WORKING"),
        executed(wanted, f"e{first_id}"),
        leg_changed(wanted, "stop", "held"),
    )
    return wanted.id


def test_a_desk_without_orders_says_so_and_who_was_never_seen(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_orders(None, only_open=False, as_json=False)
    said = capsys.readouterr().err
    assert "no intents on their way to a broker" in said
    assert "the broker was never read" in said
    assert said.count("never seen") == len(EXPECTED)
    run_orders(None, only_open=False, as_json=True)
    told = the_json(capsys)
    assert (told["intents"], told["snapshot"], told["halts"], told["broker"]) == ([], None, [], "bars")


def test_an_intent_is_told_with_its_seals_orders_and_fills(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    number = working()
    run_orders(None, only_open=False, as_json=True)
    (intent,) = the_json(capsys)["intents"]
    assert (intent["intent"], intent["session"], intent["symbol"], intent["state"]) == (
        number,
        DAYS[0].isoformat(),
        "AAA",
        "WORKING",
    )
    assert intent["seals"] == ["risk_gate", "fact_checker", "double_checker"]
    assert [(leg["role"], leg["state"], leg["filled"]) for leg in intent["legs"]] == [
        ("entry", "working", "7"),
        ("target", "sent", "0"),
        ("stop", "held", "0"),
    ]
    assert intent["legs"][0]["perm_ids"] == [501]
    (fill,) = intent["fills"]
    assert (fill["exec_id"], fill["quantity"], fill["price"], fill["fee"]) == ("e1", "7", "100.40", None)


def test_a_person_sees_a_line_for_each_intent_and_process(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    number = working()
    desk = sent_desk()
    desk.store.keep_snapshot(snapshot(held("AAA", "7")), token=desk.token, as_of=NOW)
    beats = Heartbeats(desk.engine)
    beats.beat("gateway", pid=11, state="ACTIVE", as_of=NOW + timedelta(seconds=5))
    beats.beat("watchdog", pid=12, state="ACTIVE", as_of=NOW - timedelta(seconds=60))
    run_orders(None, only_open=False, as_json=False)
    said = capsys.readouterr()
    assert number in said.out
    assert "WORKING" in said.out
    assert "3 of 3" in said.out
    assert "entry working, target sent, stop held" in said.out
    assert "gateway    2.0 s ago, pid 11" in said.err
    assert "watchdog   67.0 s ago, pid 12" in said.err
    assert "the broker, 7.0 s ago" in said.err


def test_a_snapshot_that_differs_is_shouted(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    desk = sent_desk()
    desk.store.keep_snapshot(snapshot(held("ZZZ", "7")), token=desk.token, as_of=NOW)
    run_orders(None, only_open=False, as_json=True)
    told = the_json(capsys)["snapshot"]
    assert (told["age_seconds"], told["agrees"], told["positions"], told["equity_usd"]) == (
        7.0,
        False,
        {"ZZZ": "7"},
        "100000.0000",
    )
    run_orders(None, only_open=False, as_json=False)
    assert "DIFFERS from the ledger" in capsys.readouterr().err


def test_the_newest_session_is_shown_and_another_on_demand(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = working("AAA", 1, day=DAYS[0]), working("BBB", 11, day=DAYS[1])
    for session, expected in ((None, [second]), (DAYS[0], [first]), (DAYS[1], [second]), (DAYS[2], [])):
        run_orders(session, only_open=False, as_json=True)
        assert [intent["intent"] for intent in the_json(capsys)["intents"]] == expected


def test_open_ones_are_those_that_have_not_ended_or_have_an_order_that_can_fill(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = sent_desk()
    working("AAA", 1, day=DAYS[0])
    (vetoed,) = proposed(desk.engine, "BBB", day=DAYS[1])
    desk.store.expire(vetoed.id, "nobody signed", as_of=NOW)
    (waiting,) = proposed(desk.engine, "CCC", day=DAYS[2])
    run_orders(None, only_open=True, as_json=True)
    assert [intent["symbol"] for intent in the_json(capsys)["intents"]] == ["AAA", "CCC"]
    run_orders(DAYS[1], only_open=False, as_json=True)
    (intent,) = the_json(capsys)["intents"]
    assert (intent["state"], intent["why"], intent["seals"], intent["legs"]) == ("EXPIRED", "nobody signed", [], [])
    run_orders(DAYS[1], only_open=True, as_json=True)
    assert the_json(capsys)["intents"] == []
    assert waiting.id


def test_halts_and_unknown_processes_are_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    desk = DeskResource()
    Heartbeats(desk.engine(DESK)).beat("somebody", pid=9, state="", as_of=NOW)
    with desk.ledger(DESK).session() as ledger:
        ledger.add_halt("positions differ\x07", as_of=NOW)
    run_orders(None, only_open=False, as_json=False)
    said = capsys.readouterr().err
    assert "halt 1: positions differ\ufffd" in said
    assert "somebody" in said


def test_a_clock_that_is_ahead_is_seen_as_an_age_below_zero(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    Heartbeats(DeskResource().engine(DESK)).beat("gateway", pid=1, state="", as_of=NOW + timedelta(seconds=60))
    set_clock(NOW)
    run_orders(None, only_open=False, as_json=True)
    (gateway,) = [each for each in the_json(capsys)["processes"] if each["process"] == "gateway"]
    assert gateway["age_seconds"] == -60.0
