"""One run per part: of all that ask at once, one gets the claim, whatever process it is."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.day.claims import BEGUN, PREFIX, Claims
from resources.ledger.bus import read_messages
from resources.ledger.engine import open_ledger, reading
from resources.ledger.journal import read_journal
from resources.ledger.state import AppState
from tests.schedules.outlines import at, part
from trading_assets.core.asking import Ask, Missed, Settle
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import Alert, Wanted
from trading_assets.core.settings import PROJECT

SLOT, CLOSE = part("slot", "2024-03-25", "10:00"), part("postclose", "2024-03-25")
REAL = datetime(2030, 1, 1, tzinfo=UTC)
NOW = at("2024-03-25T16:30")


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return open_ledger(tmp_path / "desk.sqlite", durability="NORMAL")


@pytest.mark.fault(101)
@pytest.mark.fault(103)
def test_of_processes_that_ask_at_the_same_moment_one_gets_each_attempt(tmp_path: Path, engine: sa.Engine) -> None:
    """Real processes, each as another daemon would ask; every attempt has one winner."""
    words = (sys.executable, "-m", "tests.schedules.asker", str(tmp_path / "desk.sqlite"), "0.002", "20")
    askers = [subprocess.Popen((*words, f"daemon {n}"), cwd=PROJECT, stdin=-1, stdout=-1, text=True) for n in range(3)]
    for each in askers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    told = []
    for each in askers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in askers:
        out, _ = each.communicate(timeout=60)
        assert each.returncode == 0
        told += [int(word) for word in out.split() if word != "0"]
    assert len(told) == len(set(told)), "an attempt was given twice"
    held = Claims(engine, "desk", "x").read([CLOSE.key])[CLOSE.key]
    assert sorted(told) == list(range(1, held.attempt + 1))
    assert held.attempt >= 1


def test_who_read_an_older_claim_gets_nothing(engine: sa.Engine) -> None:
    one, other = Claims(engine, "desk", "a"), Claims(engine, "desk", "b")
    first = one.take(Ask(SLOT, SLOT.at), None, machine=REAL)
    assert first is not None
    assert first.run_key == "slot/2024-03-25/10:00#1"
    assert other.take(Ask(SLOT, SLOT.at), None, machine=REAL) is None
    assert other.read([SLOT.key]) == {SLOT.key: first}


def test_a_failed_attempt_is_released_and_the_next_one_is_another_run(engine: sa.Engine) -> None:
    claims = Claims(engine, "desk", "a")
    first = claims.take(Ask(CLOSE, CLOSE.at), None, machine=REAL)
    assert claims.settle(Settle(CLOSE, "failed", "run failed"), first, machine=REAL)
    assert not claims.settle(Settle(CLOSE, "done", ""), first, machine=REAL), "somebody else said so already"
    failed = claims.read([CLOSE.key])[CLOSE.key]
    assert (failed.state, failed.why) == ("failed", "run failed")
    second = claims.take(Ask(CLOSE, CLOSE.again[0]), failed, machine=REAL)
    assert second is not None
    assert second.run_key == "postclose/2024-03-25#2"


@pytest.mark.fault(105)
def test_a_missed_part_is_told_once_in_journal_and_bus(engine: sa.Engine) -> None:
    claims = Claims(engine, "desk", "a")
    missed = [Missed(SLOT, "nobody asked for it"), Missed(CLOSE, "nobody asked for it")]
    assert claims.miss(missed, {}, as_of=NOW, machine=REAL) == (SLOT.key, CLOSE.key)
    assert Claims(engine, "desk", "b").miss(missed, {}, as_of=NOW, machine=REAL) == (), (
        "found by another daemon as well"
    )
    entries = [record.entry for record in read_journal(engine, kind="note")]
    assert [(entry.title, entry.session, entry.correlation_id) for entry in entries] == [
        ("missed: slot 10:00", date(2024, 3, 25), SLOT.key),
        ("missed: postclose", date(2024, 3, 25), CLOSE.key),
    ]
    with reading(engine) as connection:
        alerts = [each.draft.payload for each in read_messages(connection, Wanted(), after=0, limit=10)]
    assert alerts == [
        Alert(severity="warning", code="missed slot", sentence="slot 10:00 of 2024-03-25 was missed: nobody asked for it"),
        Alert(severity="warning", code="missed postclose", sentence="postclose of 2024-03-25 was missed: nobody asked for it"),
    ]  # fmt: skip


def test_what_the_operator_made_by_hand_is_done(engine: sa.Engine) -> None:
    claims = Claims(engine, "desk", "a")
    claims.take(Ask(CLOSE, CLOSE.at), None, machine=REAL)
    claims.done_by_hand(CLOSE.key, machine=REAL)
    assert claims.read([CLOSE.key])[CLOSE.key].state == "done"


def test_the_first_look_is_kept_and_a_replay_of_an_earlier_day_begins_there(engine: sa.Engine) -> None:
    claims = Claims(engine, "desk", "a")
    assert claims.begun(as_of=NOW, keep=False) == NOW
    assert AppState(engine).get(BEGUN) is None, "a schedule's tick is no look at the whole day"
    assert claims.begun(as_of=NOW, keep=True) == NOW
    assert claims.begun(as_of=at("2024-03-28T09:00"), keep=True) == NOW
    assert claims.begun(as_of=at("2012-12-28T09:00"), keep=False) == at("2012-12-28T09:00")
    assert AppState(engine).get(BEGUN) == "2024-03-25T20:30:00.000000+00:00"


def test_a_claim_that_cannot_be_read_stops_the_look_with_its_name(engine: sa.Engine) -> None:
    AppState(engine).set(PREFIX + SLOT.key, '{"state": "asked"}', as_of=NOW)
    with pytest.raises(PermanentFailure, match="slot/2024-03-25/10:00"):
        Claims(engine, "desk", "a").read([SLOT.key])
