"""`python -m desk.rehearsing.keeper`: ends what a rehearsal started when the rehearsal itself can no longer do so.

A command that is killed with SIGKILL ends nobody. Its keeper reads from a pipe whose other end only the command holds: when the
command is gone, however that came about, the system closes it, and the keeper kills every process that carries the command's
mark in its environment. The mark is handed on to all that is started, down to the runs of a code server. Remaining gap: a
keeper that is killed together with the command ends nobody either.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from trading_assets.core.settings import PROJECT

if TYPE_CHECKING:
    import psutil

MARK = "DESK_REHEARSAL"
SWEEPS_S = 20.0
_PAUSE_S = 0.2


def mark() -> Mapping[str, str]:
    """What everything that this process starts for a rehearsal carries in its environment."""
    return {MARK: _of_process(os.getpid())}


@contextmanager
def kept() -> Iterator[subprocess.Popen[bytes]]:
    """While it lasts a keeper watches over this process; it ends with it."""
    command = [sys.executable, "-m", __name__, mark()[MARK]]
    with subprocess.Popen(  # noqa: S603 - our own program, no shell
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=PROJECT, start_new_session=True
    ) as keeper:
        yield keeper


def marked(wanted: str) -> "Iterator[psutil.Process]":
    """Living processes that carry a mark, this one not among them."""
    import psutil

    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == wanted and process.pid != os.getpid():
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def sweep(wanted: str) -> bool:
    """Kills what carries a mark until a look finds nothing; whether one did in time. New ones may be started between two looks."""
    import psutil

    ends = time.monotonic() + SWEEPS_S
    while time.monotonic() < ends:
        found = list(marked(wanted))
        if not found:
            return True
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(_PAUSE_S)
    return False


@lru_cache
def _of_process(pid: int) -> str:
    """Number and start: a number that comes back is another process."""
    import psutil

    return f"{pid}-{psutil.Process(pid).create_time():.2f}"


def main(arguments: list[str]) -> int:
    """Waits for the end of the pipe. Exit code 1: something could not be ended."""
    (wanted,) = arguments
    while sys.stdin.buffer.read(1):
        pass
    return 0 if sweep(wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
