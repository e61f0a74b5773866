"""The process that runs are forks of, started by whoever launches runs (resources/launching/forks.py).

It imports what it is told to, executes nothing, and has one thread for as long as it lives: a fork of a process with threads can
wait for ever for a lock that nobody holds any more. Its forks may start threads, for nobody forks them. One fork waits in advance,
with the data libraries imported and Dagster's instance open.

A fork does nothing before it is told its run over a socket that only its launcher holds; where that socket closes first, it ends.
So a launch that breaks in the middle has started nothing, and may be tried again.

A fork that ends without having finished its run is followed by another that says so in Dagster's history. When the launcher is
gone, no more runs are taken; those that run get some time, then a signal to stop, then are killed, and the process ends with the
last.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from resources.launching.fingerprint import fingerprint
from resources.launching.orders import Order, read_line
from resources.launching.run_files import QuickEventLogStorage
from resources.launching.worker import resident_mb, threads, worker_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

_LOOK_S = 0.2
_STOP_S = 10.0


class NotForkable(Exception):
    """Why nothing may be forked from this process."""


class CodeChanged(NotForkable):
    """Half of what is in memory may be older than the other half."""


@dataclass(slots=True)
class _Child:
    """A fork: who it is, the hand that tells it its run while it waits, and the run that it was given out for."""

    pid: int
    hand: socket.socket | None
    run: str = ""


@dataclass(slots=True)
class _Server:
    link: socket.socket
    order: Order
    children: dict[int, _Child] = field(default_factory=dict)
    spare: _Child | None = None
    next_spare: float = 0.0
    ends: float | None = None
    signalled: int = 0

    def serve(self) -> None:
        """Until the launcher is gone and the last fork has ended."""
        while self.ends is None or self.children:
            self._keep_spare()
            if self.ends is not None:
                self._wind_down()
            elif _STOPPED:
                self._leave()
            elif select.select([self.link], [], [], _LOOK_S)[0]:
                self._hear()
            self._reap()

    def _hear(self) -> None:
        line = read_line(self.link)
        if not line:
            self._leave()
            return
        child = self._take()
        child.run = json.loads(line)["run"]
        worker = worker_of(child.pid)
        answer = json.dumps({"worker": str(worker) if worker else ""}).encode() + b"\n"
        hand = child.hand
        child.hand = None
        if hand is None:
            raise NotForkable(f"fork {child.pid} was given out already")
        with hand, contextlib.suppress(OSError):
            socket.send_fds(self.link, [answer], [hand.fileno()])
        self.next_spare = time.monotonic() + self.order.pause_seconds

    def _leave(self) -> None:
        """Takes no more runs; whoever waits for one ends."""
        self.ends = time.monotonic() + self.order.linger_seconds
        self.link.close()
        if self.spare is not None and self.spare.hand is not None:
            self.spare.hand.close()
        self.spare = None

    def _take(self) -> _Child:
        child, self.spare = self.spare or self._fork(), None
        return child

    def _keep_spare(self) -> None:
        """One fork ahead, but not while the last one that was given out needs the processor."""
        busy = time.monotonic() < self.next_spare and any(child.run for child in self.children.values())
        if self.order.spare and self.spare is None and self.ends is None and not busy:
            self.spare = self._fork()

    def _fork(self) -> _Child:
        mine, its = socket.socketpair()
        pid = os.fork()
        if not pid:
            self._close_all(mine)
            _in_fork(lambda: _wait_and_run(its, self.order))
        its.close()
        child = _Child(pid, mine)
        self.children[pid] = child
        return child

    def _close_all(self, mine: socket.socket) -> None:
        """A fork keeps nobody else's socket open: the others must see when their launcher goes."""
        mine.close()
        self.link.close()
        for child in self.children.values():
            if child.hand is not None:
                child.hand.close()

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            child = self.children.pop(pid)
            if child is self.spare:
                self.spare, self.next_spare = None, time.monotonic() + self.order.pause_seconds
            if child.run and status:
                self._bury(child.run, os.waitstatus_to_exitcode(status))

    def _bury(self, run: str, code: int) -> None:
        pid = os.fork()
        if not pid:
            if self.link.fileno() >= 0:
                self.link.close()
            _in_fork(lambda: _say_how_it_ended(self.order, run, code))
        self.children[pid] = _Child(pid, None)

    def _wind_down(self) -> None:
        late = time.monotonic() - (self.ends or 0.0)
        number = signal.SIGKILL if late > _STOP_S else signal.SIGTERM
        if late >= 0 and self.signalled != number:
            for pid in sorted(self.children):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            self.signalled = number
        time.sleep(_LOOK_S)


_STOPPED: list[int] = []


def main(descriptor: int) -> int:
    """Prepares itself, says that it is ready or why not, and serves; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: _STOPPED.append(number))
    link = socket.socket(fileno=descriptor)
    order = Order.read(read_line(link))
    told: dict[str, Any]
    try:
        told = {"ready": _prepare(order), "mb": round(resident_mb(), 1)}
    except CodeChanged as changed:
        told = {"error": str(changed), "again": True}
    except Exception as broken:  # noqa: BLE001 - whatever an import raises is told to the launcher, who refuses
        told = {"error": f"{type(broken).__name__}: {broken}"}
    link.sendall(json.dumps(told).encode() + b"\n")
    if "error" in told:
        return 1
    _Server(link, order).serve()
    return 0


def _prepare(order: Order) -> str:
    """Imports everything that starts no thread; the fingerprint of the code that is now in memory."""
    code = fingerprint(order.folders)
    for name in order.preload:
        importlib.import_module(name)
    for name in order.locations:
        _definitions(name)
    with _instance(order) as instance:
        log = instance.event_log_storage
        if isinstance(log, QuickEventLogStorage):
            log.get_ready()
    if threads() != 1:
        raise NotForkable(f"{threads()} threads run after the imports {', '.join((*order.preload, *order.locations))}")
    if fingerprint(order.folders) != code:
        raise CodeChanged("the code changed while it was read")
    gc.collect()
    gc.freeze()
    return code


def _definitions(name: str) -> None:
    """Builds the repository of a location and every job in it, as a run does."""
    from dagster import Definitions
    from dagster._core.definitions.reconstruct import repository_def_from_target_def

    module = importlib.import_module(name)
    for value in vars(module).values():
        if isinstance(value, Definitions):
            repository = repository_def_from_target_def(value)
            if repository is not None:
                repository.load_all_definitions()


def _in_fork(work: Any) -> NoReturn:
    """Does the work as a process of its own, and never returns into the server's loop."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = work()
    except KeyboardInterrupt:
        code = 1
    except BaseException:  # noqa: BLE001 - a fork has no caller: it says what happened and ends
        traceback.print_exc()
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    """What a normal end does, except to wait for threads that somebody left behind."""
    import atexit

    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _wait_and_run(hand: socket.socket, order: Order) -> int:
    """Makes itself ready, waits for a run, executes it; 0 as well when no run came."""
    with _instance(order) as instance:
        instance.all_asset_keys()
        _warm(hand, order.warm)
        run = read_line(hand).decode().strip()
        hand.close()
        return _execute(instance, run) if run else 0


def _warm(hand: socket.socket, modules: Sequence[str]) -> None:
    """Imports in advance; a run that is there already imports what it needs by itself."""
    for name in modules:
        if select.select([hand], [], [], 0)[0]:
            return
        importlib.import_module(name)


def _execute(instance: dg.DagsterInstance, run: str) -> int:
    from dagster._cli.api import _execute_run_command_body
    from dagster._utils.interrupts import capture_interrupts

    with capture_interrupts():
        _execute_run_command_body(run, instance, lambda _: None, set_exit_code_on_failure=False)
    ended = instance.get_run_by_id(run)
    return 0 if ended is None or ended.is_finished else 1


def _say_how_it_ended(order: Order, run_id: str, code: int) -> int:
    """Ends the run in Dagster's history, unless somebody else has."""
    from dagster import DagsterRunStatus

    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    with _instance(order) as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return 0
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, f"The run's process was stopped ({how}).")
        else:
            instance.report_run_failed(run, f"The run's process ended before its run did ({how}); nothing is retried.")
    return 0


def _instance(order: Order) -> dg.DagsterInstance:
    from dagster import DagsterInstance
    from dagster._core.instance import InstanceRef
    from dagster._serdes import deserialize_value

    return DagsterInstance.from_ref(deserialize_value(order.instance, InstanceRef))
