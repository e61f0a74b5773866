"""`desk watch`: one screen that fits, tells the newest messages, and survives a ledger that does not answer."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.screen import Item
from desk.watch import fitted, look, newest_messages, run_watch
from resources.desk import DESK, DeskResource
from resources.ledger.bus import publish
from tests.desk.at_a_broker import held as held_by_another
from tests.desk.test_status import holding
from tests.resources.ledger.dispatching import NOW
from tests.resources.ledger.entries import DAYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import Draft, Note
from trading_assets.core.settings import PROJECT, Home

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CLOCK", (NOW + timedelta(seconds=7)).isoformat())


def said(*words: str) -> None:
    drafts = [Draft(DESK, DAYS[0], NOW, "test", Note(text=each)) for each in words]
    publish(DeskResource().engine(DESK), drafts)


def screen(width: int = 100, height: int = 30) -> list[str]:
    return [line.plain for line in look(DeskResource(), DESK, width=width, height=height)]


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (200, 60)])
def test_a_screen_fits_and_ends_with_the_newest_message(home: Home, width: int, height: int) -> None:
    holding()
    with DeskResource().ledger(DESK).session() as ledger:
        for number in range(9):
            ledger.add_halt(f"cause {number} " + "word " * 40, as_of=NOW)
    said(*(f"message {number} " + "and more " * 30 for number in range(80)))
    lines = screen(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "message 79" in lines[-1]
    assert lines[-1].endswith(" …")
    assert "message 76" in "".join(lines), "four messages at least"
    assert any(line.startswith("HALTED") for line in lines[:5])
    assert "more lines: desk status" in "".join(lines)


@given(st.integers(0, 40), st.integers(10, 60), st.integers(60, 150))
def test_whatever_is_told_the_screen_is_never_exceeded(halts: int, height: int, width: int) -> None:
    told = {"halts": [f"{number}: " + "w" * number for number in range(halts)]}
    lines = fitted(told, [Item("m" * 300)] * 100, width=width, height=height)
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)


def test_bars_and_timers_do_not_push_messages_off_the_screen(home: Home) -> None:
    said("first", "second")
    topics = {message.draft.topic for message in newest_messages(DeskResource(), DESK, 10)}
    assert topics == {"note"}
    assert [message.draft.payload for message in newest_messages(DeskResource(), DESK, 1)] == [Note(text="second")]


def test_a_look_writes_nothing_into_an_empty_home(home: Home) -> None:
    lines = screen()
    assert not home.ledger(DESK).exists()
    assert "nothing was said yet" in lines[-1]


def test_a_look_reads_while_another_process_writes(home: Home) -> None:
    holding()
    said("before the lock")
    with held_by_another(home):
        lines = screen()
    assert "before the lock" in lines[-1]
    assert not any("cannot be read" in line for line in lines)


def test_a_ledger_that_is_damaged_is_told_on_the_screen(home: Home) -> None:
    home.ledger(DESK).parent.mkdir(parents=True)
    home.ledger(DESK).write_bytes(b"no ledger" * 1000)
    lines = screen()
    assert sum("cannot be read" in line for line in lines) >= 3
    assert "New York" in lines[0], "the clock is still there"


def test_without_a_terminal_it_names_what_to_use(home: Home) -> None:
    with pytest.raises(PermanentFailure, match="desk status --json"):
        run_watch(DESK)


def test_in_a_real_terminal_it_draws_and_ends_with_ctrl_c(home: Home, tmp_path: Path) -> None:
    holding()
    said("hello from the bus")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "desk.main", "watch"]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        drawn = _read_until(ours, b"hello from the bus")
        process.send_signal(signal.SIGINT)
        drawn += _read_until(ours, b"\x1b[?1049l")
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in drawn, "a screen of its own, given back at the end"
    assert b"Traceback" not in drawn


def _read_until(descriptor: int, words: bytes) -> bytes:
    """What the terminal shows, until it shows the words."""
    seen, until = b"", time.monotonic() + PATIENCE_S
    while words not in seen:
        assert time.monotonic() < until, seen[-2000:]
        ready, _, _ = select.select([descriptor], [], [], 0.2)
        if ready:
            seen += os.read(descriptor, 65536)
    return seen
