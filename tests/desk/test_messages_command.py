"""`desk messages`: what it prints, from ledger and archive alike, and how it follows."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from desk.messages import run_messages
from resources.desk import DESK, DeskResource
from resources.ledger.bus import publish
from tests.resources.ledger.bus_parts import note
from tests.resources.ledger.entries import DAYS, at
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import Alert, Draft, Filled, Payload
from trading_assets.core.settings import Home

PROJECT = Path(__file__).parents[2]
FILL = Filled(
    fill_id="f1", order_id="o1", symbol="AAA", side="buy", quantity=7, price=Decimal("100.5"), fee=Decimal("0.0350")
)
ALERT = Alert(severity="warning", code="file", sentence="A file could not be written.")


def said(payload: Payload, day: date = DAYS[0], to: str | None = None) -> Draft:
    return replace(note("", day=day, to=to), payload=payload, at=at(day), sender="gateway")


def sent(*drafts: Draft) -> None:
    publish(DeskResource().engine(DESK), drafts)


def shown(
    capsys: pytest.CaptureFixture[str],
    topic: str = "",
    first: date | None = None,
    last: date | None = None,
    archive_before: date | None = None,
    as_json: bool = False,
) -> str:
    """What the command prints on stdout."""
    capsys.readouterr()
    run_messages(topic, first, last, lane=DESK, follow_on=False, archive_before=archive_before, as_json=as_json)
    return capsys.readouterr().out


def test_a_message_is_one_line_in_new_york_time(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    sent(said(FILL), said(ALERT, to="desk"), note("two\nlines\x1b[2J"))
    lines = shown(capsys).splitlines()
    assert lines == [
        "2013-10-22 09:30:00  gateway           fill      fill_id f1, order_id o1, symbol AAA, side buy, quantity 7,"
        " price 100.5, fee 0.0350",
        "2013-10-22 09:30:00  gateway -> desk   alert     warning file: A file could not be written.",
        r"2013-10-22 09:30:00  desk              note      two\x0alines\x1b[2J",
    ]


def test_topics_and_sessions_choose(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    sent(*(said(payload, day) for day in DAYS[:4] for payload in (FILL, ALERT)))
    assert len(shown(capsys).splitlines()) == 8
    assert len(shown(capsys, "fill, note").splitlines()) == 4
    assert len(shown(capsys, "fill", DAYS[1], DAYS[2]).splitlines()) == 2
    assert shown(capsys, "halt") == ""


def test_an_unknown_topic_is_refused_with_the_list_of_topics(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PermanentFailure, match="no such topic.*fills.*decision, order, signed, state, execution, fill"):
        shown(capsys, "fill,fills")


def test_json_holds_the_payload_as_it_is(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    sent(said(FILL, to="desk"))
    (message,) = json.loads(shown(capsys, as_json=True))["messages"]
    assert message["payload"] == {**FILL.model_dump(), "price": "100.5", "fee": "0.0350"}
    assert {name: message[name] for name in ("id", "session", "book", "sender", "recipient", "topic")} == {
        "id": 1,
        "session": "2013-10-22",
        "book": "desk",
        "sender": "gateway",
        "recipient": "desk",
        "topic": "fill",
    }


def test_archived_messages_are_still_shown(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    sent(*(said(FILL, day) for day in DAYS[:4]))
    before = shown(capsys)
    done = json.loads(shown(capsys, archive_before=DAYS[2], as_json=True))
    assert done == {"archived_through": 2, "messages": 2, "held_up_by": [], "silent": []}
    assert shown(capsys) == before
    assert "archived through  2" in shown(capsys, archive_before=DAYS[2])


def test_following_prints_what_comes_until_it_is_interrupted(home: Home) -> None:
    sent(note("before"))
    code = (
        # A shell's background job inherits an ignored interrupt.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from desk.messages import run_messages;"
        "run_messages('note', None, None, lane='desk', follow_on=True, archive_before=None, as_json=True)"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, cwd=PROJECT, env=os.environ, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["payload"] == {"text": "before"}
        sent(said(FILL), note("live"))
        assert json.loads(process.stdout.readline())["payload"] == {"text": "live"}
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate()
    assert (process.returncode, out) == (0, "")
    assert "Ctrl-C ends" in errors
