"""Which process a run lives in.

A pid alone does not say: the kernel gives it to somebody else later, perhaps on the day a daemon comes back. So a worker is a pid,
the moment when that process began, and the boot of the machine that it began in.
"""

import importlib
import os
import signal
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_DEAD = frozenset("ZX")
_STARTED = 19  # of the fields behind the name in /proc/<pid>/stat, proc(5) counts it as 22


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of this machine, told apart from every other that had or will have its pid.

    Args:
        pid: Its number.
        started: When it began, in the kernel's ticks since the machine started.
        boot: Which start of the machine that was.
    """

    pid: int
    started: int
    boot: str

    def __str__(self) -> str:
        return f"{self.pid}.{self.started}.{self.boot}"

    @property
    def lives(self) -> bool:
        """Whether this very process still runs; one that has ended and waits for its parent does not."""
        return worker_of(self.pid) == self

    def signal(self, number: int) -> bool:
        """Sends it a signal, and nobody else: False when it has ended."""
        if not hasattr(os, "pidfd_open"):
            return self._signal_by_pid(number)
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.lives:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def _signal_by_pid(self, number: int) -> bool:
        if not self.lives:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def worker_of(pid: int) -> Worker | None:
    """The process that has this pid now; None when there is none, or only its exit status is left."""
    if not _PROC.joinpath("self", "stat").exists():
        return _elsewhere(pid)
    try:
        text = _PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 1 :].split()
    return None if fields[0] in _DEAD else Worker(pid, int(fields[_STARTED]), _boot())


def parse_worker(text: str | None) -> Worker | None:
    """The worker that a run's tag names; None where it names none."""
    pid, _, rest = (text or "").partition(".")
    started, _, boot = rest.partition(".")
    return Worker(int(pid), int(started), boot) if pid.isdecimal() and started.isdecimal() and boot else None


def threads() -> int:
    """Threads of this process, as the kernel counts them."""
    tasks = _PROC / "self" / "task"
    if tasks.exists():
        return len(list(tasks.iterdir()))
    return int(_psutil().Process().num_threads())


def resident_mb() -> float:
    """Memory of this process that is in use now, in megabytes; 0 where the system does not say."""
    statm = _PROC / "self" / "statm"
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


@cache
def _boot() -> str:
    told = _PROC / "sys" / "kernel" / "random" / "boot_id"
    return told.read_text().strip()[:8] if told.exists() else sys.platform


def _elsewhere(pid: int) -> Worker | None:
    """Where there is no /proc."""
    psutil = _psutil()
    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return None if dead else Worker(pid, round(process.create_time() * 100), str(int(psutil.boot_time())))
    except psutil.NoSuchProcess:
        return None


def _psutil() -> Any:
    """Heavy, and not needed where /proc is."""
    return importlib.import_module("psutil")
