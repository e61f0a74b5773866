"""Processes of a crew end, whatever happened to them, and nothing else does."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from desk.rehearsing.crew import DAEMON, GATEWAY, WATCHDOG, Crew, command_of
from trading_assets.core.errors import TransientFailure

SLEEPER = "import time; time.sleep(300)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', '{SLEEPER}']); time.sleep(300)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
DYING = "print('no ledger'); raise SystemExit(3)"
WORKING = "while True: pass"
TEXTS = {"sleeper": SLEEPER, "parent": PARENT, "deaf": DEAF, "dying": DYING, "working": WORKING}


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    made = Crew(dict(os.environ), tmp_path / "logs", lambda name: (sys.executable, "-c", TEXTS[name]))
    yield made
    made.stop()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.05)


def child_of(crew: Crew) -> psutil.Process:
    until(lambda: crew.descendants("parent"))
    (child,) = crew.descendants("parent")
    return child


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_what_a_process_started_ends_with_it(crew: Crew) -> None:
    crew.start("parent")
    child = child_of(crew)
    assert crew.stop() == ()
    assert gone(child)
    assert not crew.is_alive("parent")


def test_what_a_killed_process_left_behind_is_ended_too(crew: Crew) -> None:
    crew.start("parent")
    child = child_of(crew)
    crew.look()
    crew.kill("parent")
    assert child.is_running()
    assert crew.look() == ()
    assert crew.stop() == ()
    assert gone(child)


def test_a_process_that_hears_no_polite_word_is_killed(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.rehearsing.crew.PATIENCE_S", 1.0)
    crew.start("deaf")
    until(lambda: "deaf" in crew.last_words("deaf"))
    assert crew.stop() == ()
    assert not crew.is_alive("deaf")


def test_one_that_ends_by_itself_is_told_of_once_with_its_last_words(crew: Crew) -> None:
    crew.start("dying")
    until(lambda: not crew.is_alive("dying"))
    assert crew.look() == ("dying",)
    assert crew.look() == ()
    assert crew.ended == ["dying ended with code 3: no ledger"]
    with pytest.raises(TransientFailure, match="does not run"):
        crew.pid("dying")


def test_a_process_that_runs_is_not_started_again_and_one_that_was_killed_is(crew: Crew) -> None:
    crew.start("sleeper")
    first = crew.pid("sleeper")
    crew.start("sleeper")
    assert crew.pid("sleeper") == first
    crew.kill("sleeper")
    crew.start("sleeper")
    assert crew.pid("sleeper") != first
    assert crew.usage["sleeper"].starts == 2


def test_what_is_used_is_measured_and_kept_over_a_restart(crew: Crew) -> None:
    crew.start("working")
    until(lambda: crew.look() == () and crew.usage["working"].cpu_s > 0.2)
    before = crew.usage["working"].cpu_s
    crew.kill("working")
    crew.start("working")
    until(lambda: crew.look() == () and crew.usage["working"].cpu_s > before)
    assert crew.usage["working"].memory_mb_max > 1


def test_nothing_else_on_the_machine_is_touched(crew: Crew, tmp_path: Path) -> None:
    other = Crew(dict(os.environ), tmp_path / "other", crew.commands)
    other.start("sleeper")
    crew.start("sleeper")
    crew.stop()
    assert other.is_alive("sleeper")
    assert other.stop() == ()


def test_each_process_is_the_desks_own_command() -> None:
    assert command_of(GATEWAY)[1:] == ("-m", "desk.main", "gateway")
    assert command_of(WATCHDOG)[1:] == ("-m", "desk.main", "watchdog")
    assert command_of(DAEMON)[0].endswith("dagster-daemon")
