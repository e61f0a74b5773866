"""Who a process is, so that nobody else is taken for it."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.launching import worker
from resources.launching.worker import Worker, parse_worker, threads, worker_of
from tests.launching.parts import gone, until

WAITING = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def test_this_process_lives_and_is_itself() -> None:
    me = worker_of(os.getpid())
    assert me is not None
    assert me.lives
    assert worker_of(os.getpid()) == me


def test_a_process_that_ended_is_dead_before_and_after_its_parent_looks() -> None:
    process = subprocess.Popen(WAITING)
    who = worker_of(process.pid)
    assert who is not None
    assert who.lives
    process.send_signal(signal.SIGKILL)
    until(lambda: worker_of(process.pid) != who, "the process that only left its exit status counts as dead")
    process.wait()
    assert who.signal(signal.SIGTERM) is False


@pytest.mark.parametrize("field", ["started", "boot"])
def test_a_process_that_was_given_the_pid_of_another_is_neither_taken_for_it_nor_hit(field: str) -> None:
    process = subprocess.Popen(WAITING)
    who = worker_of(process.pid)
    assert who is not None
    former = replace(who, started=who.started - 1) if field == "started" else replace(who, boot="00000000")
    assert not former.lives
    assert former.signal(signal.SIGKILL) is False
    assert process.poll() is None
    assert who.signal(signal.SIGKILL) is True
    assert process.wait() == -signal.SIGKILL


def test_without_handles_of_the_kernel_a_signal_still_meets_only_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = subprocess.Popen(WAITING)
    who = worker_of(process.pid)
    assert who is not None
    assert replace(who, started=0).signal(signal.SIGKILL) is False
    assert who.signal(signal.SIGTERM) is True
    process.wait()
    assert gone(who.pid)


def test_where_there_is_no_proc_a_process_is_known_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PROC", worker._PROC / "nowhere")
    process = subprocess.Popen(WAITING)
    who = worker_of(process.pid)
    assert who is not None
    assert who.lives
    assert threads() >= 1
    process.kill()
    process.wait()
    assert not who.lives


@given(st.integers(0, 2**22), st.integers(0, 2**62), st.text("0123456789abcdef.", min_size=1, max_size=8))
@settings(max_examples=60)
def test_what_a_tag_says_is_read_back(pid: int, started: int, boot: str) -> None:
    who = Worker(pid, started, boot)
    assert parse_worker(str(who)) == who


@pytest.mark.parametrize("text", [None, "", "12", "12.34", "12.34.", "x.34.b", "12.-3.b", "-1.2.b", "1 2.3.b"])
def test_a_tag_that_names_nobody_is_nobody(text: str | None) -> None:
    assert parse_worker(text) is None


def test_threads_are_counted() -> None:
    before, stop = threads(), threading.Event()
    waiting = threading.Thread(target=stop.wait)
    waiting.start()
    assert threads() == before + 1
    stop.set()
    waiting.join()
