"""A command that is killed leaves nothing behind: its keeper ends everything that carries its mark, and nothing else."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from desk.rehearsing import keeper
from desk.rehearsing.home import environment
from trading_assets.core.settings import PROJECT

SLEEPS = "import time; time.sleep(300)"
GRANDPARENT = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}], start_new_session=True).wait()"
)
COMMAND = f"""
import os, subprocess, sys, time
from desk.rehearsing.keeper import kept, mark
with kept() as keeper:
    given = {{**os.environ, **mark()}}
    subprocess.Popen([sys.executable, "-c", {GRANDPARENT!r}], env=given, start_new_session=True)
    print(mark()["DESK_REHEARSAL"], keeper.pid, flush=True)
    if sys.argv[1] == "stay":
        time.sleep(300)
    time.sleep(1)
"""


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.05)


def commanded(how: str) -> tuple[subprocess.Popen[str], str, psutil.Process]:
    """A command with a child that has a child of its own session; its mark; its keeper."""
    process = subprocess.Popen([sys.executable, "-c", COMMAND, how], stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    assert process.stdout is not None
    mark, pid = process.stdout.readline().split()
    until(lambda: len(list(keeper.marked(mark))) == 2)
    return process, mark, psutil.Process(int(pid))


@pytest.fixture
def stranger() -> Iterator[psutil.Process]:
    """A process of somebody else's rehearsal."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS], env={**os.environ, keeper.MARK: "1-1.00"}) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_what_a_command_started_ends_when_the_command_is_killed(stranger: psutil.Process) -> None:
    process, mark, its_keeper = commanded("stay")
    time.sleep(2)
    assert its_keeper.is_running()
    assert len(list(keeper.marked(mark))) == 2, "a keeper of a command that lives ends nobody"
    with process:
        process.kill()
    until(lambda: not its_keeper.is_running())
    assert list(keeper.marked(mark)) == []
    assert stranger.is_running()


def test_what_an_orderly_end_forgot_is_ended_before_the_command_ends(stranger: psutil.Process) -> None:
    process, mark, its_keeper = commanded("leave")
    with process:
        assert process.wait(60) == 0
    assert not its_keeper.is_running()
    assert list(keeper.marked(mark)) == []
    assert stranger.is_running()


def test_a_sweep_of_a_mark_that_nobody_carries_finds_nothing() -> None:
    assert keeper.sweep("0-0.00")


def test_every_process_of_a_rehearsal_carries_the_mark_of_its_command_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keeper.MARK, "another command's")
    given = environment(tmp_path, tmp_path / "config", "a clock")
    assert given[keeper.MARK] == keeper.mark()[keeper.MARK]
    assert given[keeper.MARK].startswith(f"{os.getpid()}-")
