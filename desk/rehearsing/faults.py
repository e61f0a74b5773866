"""What goes wrong in a rehearsal, done for real: processes are killed, files are locked or taken away.

Each fault says what it expects of the desk; the expectation is a verdict like every invariant. A flash crash is in the minutes of
the market and begins by itself: here it is only noted.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread

from desk.rehearsing.crew import DAEMON, GATEWAY, Crew
from desk.rehearsing.invariants import Verdict, opens
from desk.rehearsing.plan import Fault
from desk.rehearsing.reading import Ledger, process_of, runs_of, tag_of
from desk.rehearsing.seen import Evidence, Run
from resources.brokers.opening import PAPER_ACCOUNT
from resources.clock import ReplayedClock
from resources.launching.worker import parse_worker
from trading_assets.core.errors import DeskError
from trading_assets.core.settings import Home

LOOK_S = 0.001
WORKER_TAG = "desk/worker"
CRASH_TOLD = timedelta(minutes=5)


@dataclass
class Happened:
    """A fault as it was played; instants are of the desk's clock.

    Args:
        until: When it was over; None while it lasts.
        note: What it met.
    """

    fault: Fault
    at: datetime
    until: datetime | None = None
    note: str = ""


@dataclass
class Player:
    """Plays the faults of a rehearsal when their moments come.

    Args:
        say: Tells the timeline.
    """

    faults: tuple[Fault, ...]
    home: Home
    crew: Crew
    clock: ReplayedClock
    ledger: Ledger
    say: Callable[[str, str], None]
    happened: list[Happened] = field(default_factory=list)
    _ends: list[tuple[float, Callable[[], None], Happened]] = field(default_factory=list)
    _done: set[int] = field(default_factory=set)
    _over: Event = field(default_factory=Event)
    _watcher: Thread | None = None
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """Starts to watch for a moment that is over in milliseconds."""
        for fault in self.faults:
            if fault.moment == "submitting":
                self._watcher = Thread(target=self._wait_for_submitting, args=(fault,), daemon=True)
                self._watcher.start()

    def tick(self) -> None:
        """Begins what is due and ends what has lasted."""
        now = self.clock.now()
        for number, fault in enumerate(self.faults):
            if number not in self._done and fault.moment != "submitting" and self._is_due(fault, now):
                self._done.add(number)
                self._play(fault)
        with self._lock:
            due = [each for each in self._ends if each[0] <= time.monotonic()]
            self._ends = [each for each in self._ends if each not in due]
        for _, end, happened in due:
            self._finish(end, happened)

    def end(self) -> None:
        """Whatever still lasts is over: nothing stays locked or hidden."""
        self._over.set()
        if self._watcher is not None:
            self._watcher.join(5)
        waiting, self._ends = self._ends, []
        for _, end, happened in waiting:
            self._finish(end, happened)

    @property
    def is_over(self) -> bool:
        """Whether nothing lasts any more."""
        return not self._ends

    def ends_within(self, seconds: float) -> bool:
        """Whether something that lasts is over in so many seconds of the machine."""
        return any(each[0] <= time.monotonic() + seconds for each in self._ends)

    def _is_due(self, fault: Fault, now: datetime) -> bool:
        if fault.at is not None:
            return fault.at <= now
        return fault.moment == "deciding" and self._deciding() is not None

    def _play(self, fault: Fault) -> None:
        happened = Happened(fault, self.clock.now())
        self.happened.append(happened)
        self.say("fault", fault.words)
        _PLAYED[fault.name](self, happened)

    def _finish(self, end: Callable[[], None], happened: Happened) -> None:
        end()
        happened.until = self.clock.now()
        self.say("fault", f"{happened.fault.name} is over")

    def _later(self, happened: Happened, end: Callable[[], None]) -> None:
        with self._lock:
            self._ends.append((time.monotonic() + happened.fault.machine_s, end, happened))

    def _crash(self, happened: Happened) -> None:
        happened.until = happened.at

    def _outage(self, happened: Happened) -> None:
        """The account's file is taken away: nobody reaches the broker, and what was being sent may or may not have arrived."""
        path = self.home.root / PAPER_ACCOUNT
        hidden = path.with_name(f"{path.name}.away")
        with suppress(FileNotFoundError):
            path.rename(hidden)
        self._later(happened, lambda: _back(hidden, path))

    def _kill_daemon(self, happened: Happened) -> None:
        self.crew.kill(DAEMON)
        self._later(happened, lambda: self.crew.start(DAEMON))

    def _kill_gateway(self, happened: Happened) -> None:
        self.crew.kill(GATEWAY)
        self._later(happened, lambda: self.crew.start(GATEWAY))

    def _kill_run(self, happened: Happened) -> None:
        run = self._deciding()
        pid = self._worker_of(run) if run is not None else 0
        happened.until = happened.at
        if run is None or not pid:
            happened.note = "no run was under way"
            return
        os.kill(pid, signal.SIGKILL)
        happened.note = f"run {run.id} of slot {run.slot}"

    def _lock_ledger(self, happened: Happened) -> None:
        """Nobody else can write, as under a stuck transaction of another program."""
        raw = sqlite3.connect(self.home.ledger("desk"), isolation_level=None, timeout=10, check_same_thread=False)
        raw.execute("BEGIN IMMEDIATE")

        def release() -> None:
            raw.execute("ROLLBACK")
            raw.close()

        self._later(happened, release)

    def _deciding(self) -> Run | None:
        runs = runs_of(self.home.dagster / "history" / "runs.db")
        return next((run for run in runs if run.job == "decide" and run.status == "STARTED"), None)

    def _worker_of(self, run: Run) -> int:
        """The process of a run: what the warm launcher wrote down, or what the run said of itself, if the daemon's crew has it."""
        history = self.home.dagster / "history"
        told = parse_worker(tag_of(history / "runs.db", run.id, WORKER_TAG))
        if told is not None:
            return told.pid
        said = process_of(history / "runs" / f"{run.id}.db")
        return said if said in {each.pid for each in self.crew.descendants(DAEMON)} else 0

    def _wait_for_submitting(self, fault: Fault) -> None:
        """The gateway is held still while the fault begins, so that it begins within the send and not after it."""
        while not self._over.is_set():
            if "SUBMITTING" in self._states():
                with suppress(DeskError, ProcessLookupError):
                    pid = self.crew.pid(GATEWAY)
                    os.kill(pid, signal.SIGSTOP)
                    self._play(fault)
                    os.kill(pid, signal.SIGCONT)
                return
            time.sleep(LOOK_S)

    def _states(self) -> tuple[str, ...]:
        try:
            return self.ledger.state_now()
        except sqlite3.Error:
            return ()


_PLAYED: Mapping[str, Callable[[Player, Happened], None]] = {
    "flash-crash": Player._crash,
    "broker-outage": Player._outage,
    "kill-daemon": Player._kill_daemon,
    "kill-gateway": Player._kill_gateway,
    "kill-run": Player._kill_run,
    "lock-ledger": Player._lock_ledger,
}


def expectations(
    happened: list[Happened], evidence: Evidence, told: Mapping[str, datetime], agreed: datetime | None
) -> tuple[Verdict, ...]:
    """What each fault expects of the desk.

    Args:
        told: Codes of pages, and when each was raised first.
        agreed: When ledger and broker agreed last.
    """
    return tuple(
        Verdict(
            f"expected of {each.fault.name}: {_EXPECTED[each.fault.name][0]}",
            tuple(_EXPECTED[each.fault.name][1](each, evidence, told, agreed)),
        )
        for each in happened
    )


def _closed_to_entries(
    each: Happened, evidence: Evidence, told: Mapping[str, datetime], _: datetime | None
) -> Iterator[str]:
    noticed = told.get("flash_crash")
    if noticed is None or noticed > each.at + CRASH_TOLD:
        yield "nobody was told of the crash within five minutes"
        return
    for order in evidence.orders:
        if noticed < order.since < evidence.closed and opens(order, evidence):
            yield f"order {order.perm_id} in {order.symbol} was sent after the crash was noticed"


def _agrees_again(
    each: Happened, _evidence: Evidence, _told: Mapping[str, datetime], agreed: datetime | None
) -> Iterator[str]:
    if each.until is None or agreed is None or agreed < each.until:
        yield "ledger and broker did not agree again"


def _works_again(
    each: Happened, evidence: Evidence, _told: Mapping[str, datetime], _agreed: datetime | None
) -> Iterator[str]:
    later = [slot for slot in evidence.due if each.until is not None and evidence.slot_at(slot) > each.until]
    decided = {decision.slot for decision in evidence.decisions}
    if later and not decided & set(later):
        yield "no slot was decided after the daemon came back"


def _fails_closed(
    each: Happened, evidence: Evidence, _told: Mapping[str, datetime], _agreed: datetime | None
) -> Iterator[str]:
    if not each.note.startswith("run "):
        yield f"nothing was killed: {each.note}"
        return
    run = next((run for run in evidence.runs if run.id in each.note), None)
    if run is None or run.status not in {"FAILURE", "CANCELED"}:
        yield f"{each.note} is {run.status if run else 'gone'}"


_Expected = Callable[[Happened, Evidence, Mapping[str, datetime], "datetime | None"], Iterator[str]]
_EXPECTED: Mapping[str, tuple[str, _Expected]] = {
    "flash-crash": ("somebody is told and nothing opens any more", _closed_to_entries),
    "broker-outage": ("ledger and broker agree again", _agrees_again),
    "kill-daemon": ("slots are decided again after it", _works_again),
    "kill-gateway": ("ledger and broker agree again", _agrees_again),
    "kill-run": ("the run ends as failed and is not retried", _fails_closed),
    "lock-ledger": ("ledger and broker agree again", _agrees_again),
}


def _back(hidden: Path, path: Path) -> None:
    if hidden.exists() and not path.exists():
        hidden.rename(path)
