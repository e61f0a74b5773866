"""The processes of a rehearsal: started, watched, measured, and always ended, each by its own number.

A process is known by its number and the moment at which it started: a number that came back is another process. What a process of
the crew has started itself (a code server, runs) belongs to the crew too, and is ended with it even when its parent was killed.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from trading_assets.core.errors import TransientFailure
from trading_assets.core.settings import PROJECT

if TYPE_CHECKING:
    import psutil

GATEWAY, WATCHDOG, DAEMON = "gateway", "watchdog", "daemon"
PATIENCE_S = 20.0
_LAST_WORDS = 4
Identity = tuple[int, float]


@dataclass(slots=True)
class Usage:
    """What a process and everything that it started have used."""

    cpu_s: float = 0.0
    memory_mb_max: float = 0.0
    starts: int = 0


@dataclass
class Crew:
    """Named processes over one environment.

    Args:
        logs: Folder for what they say.
        commands: How a process of a name is started.
    """

    environment: Mapping[str, str]
    logs: Path
    commands: Callable[[str], Sequence[str]] = lambda name: command_of(name)  # noqa: PLW0108 - defined below
    usage: dict[str, Usage] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _seen: dict[Identity, tuple[str, float]] = field(default_factory=dict)
    _wanted: set[str] = field(default_factory=set)

    def start(self, name: str) -> None:
        """Starts a process of a name that has a command; one that runs already is left alone."""
        if self.is_alive(name):
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                self.commands(name),
                env=dict(self.environment),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wanted.add(name)
        self.usage.setdefault(name, Usage()).starts += 1

    def is_alive(self, name: str) -> bool:
        """Whether the process of a name runs."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def pid(self, name: str) -> int:
        """The number of a running process; TransientFailure where there is none."""
        if not self.is_alive(name):
            raise TransientFailure(f"the {name} of the rehearsal does not run", hint=f"read {self.logs / name}.log")
        return self._running[name].pid

    def kill(self, name: str) -> None:
        """As a crash would end it: at once, and alone."""
        self._wanted.discard(name)
        process = self._running[name]
        process.kill()
        process.wait(PATIENCE_S)

    def look(self) -> tuple[str, ...]:
        """Measures everything that runs; the names of those that ended and were not told to."""
        for name, process in self._running.items():
            if process.poll() is None:
                self._measure(name, process.pid)
        lost = tuple(sorted(name for name in self._wanted if not self.is_alive(name)))
        for name in lost:
            self._wanted.discard(name)
            self.ended.append(f"{name} ended with code {self._running[name].returncode}: {self.last_words(name)}")
        return lost

    def last_words(self, name: str) -> str:
        """The end of what a process said."""
        log = self.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " / ".join(lines[-_LAST_WORDS:])[-600:]

    def descendants(self, name: str) -> "Sequence[psutil.Process]":
        """What a process has started and that runs now."""
        import psutil

        try:
            return list(psutil.Process(self.pid(name)).children(recursive=True))
        except (psutil.NoSuchProcess, TransientFailure):
            return ()

    def stop(self) -> tuple[int, ...]:
        """Ends everything, gently and then not; the numbers of what lives even so."""
        self._wanted.clear()
        self.look()
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        _wait(self._running.values(), PATIENCE_S)
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE_S)
        return self._end_the_rest()

    def _end_the_rest(self) -> tuple[int, ...]:
        """Whatever the crew's processes left behind; only what is the very process that was seen."""
        import psutil

        left = [process for identity in sorted(self._seen) if (process := _found(identity)) is not None]
        for process in left:
            process.kill()
        _, alive = psutil.wait_procs(left, timeout=PATIENCE_S)
        return tuple(sorted(process.pid for process in alive))

    def _measure(self, name: str, pid: int) -> None:
        import psutil

        try:
            root = psutil.Process(pid)
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        memory = 0.0
        for process in family:
            try:
                with process.oneshot():
                    times, used = process.cpu_times(), process.memory_info().rss
                    identity = (process.pid, process.create_time())
            except psutil.NoSuchProcess:
                continue
            memory += used / 1e6
            self._seen[identity] = (name, times.user + times.system)
        usage = self.usage[name]
        usage.memory_mb_max = max(usage.memory_mb_max, memory)
        usage.cpu_s = sum(spent for owner, spent in self._seen.values() if owner == name)


def command_of(name: str) -> tuple[str, ...]:
    """How a process is started."""
    if name == DAEMON:
        beside = Path(sys.executable).with_name("dagster-daemon")
        return (str(beside), "run", "-w", str(PROJECT / "workspace.yaml"))
    return (sys.executable, "-m", "desk.main", name)


def interrupted_by_signals() -> None:
    """A polite end of the command ends the crew as well: it arrives as KeyboardInterrupt, like Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the handler's signature
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _found(identity: Identity) -> "psutil.Process | None":
    import psutil

    try:
        process = psutil.Process(identity[0])
        same = abs(process.create_time() - identity[1]) < 0.01 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _wait(processes: Collection[subprocess.Popen[bytes]], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and any(each.poll() is None for each in processes):
        time.sleep(0.1)
