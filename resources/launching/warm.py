"""The warm run launcher: a run is a fork of a process that has Dagster and the code location imported.

Problem: an interpreter and its imports cost a run two to six seconds. Decision: the process that launches runs owns a fork server
(resources/launching/server.py). At each launch the code on disk is compared with what the server has in memory, so that a run never
executes older code than a new interpreter would; the run carries the fingerprint and the identity of its process as tags before it
begins. Whoever opens the instance can therefore end a run or say whether it lives, also after the daemon was started anew.

A run that was not forked here (from the command line, say) has no such tag: of it nothing is known, and Dagster's own limits apply
as with the stock launcher. Nothing is ever resumed. Remaining gap: a fork that dies in the instant between hearing of its run and
reporting its start is found by its server, or, if that died as well, by the start timeout of Dagster's run monitoring.
"""

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from resources.launching.fingerprint import fingerprint, watched
from resources.launching.forks import Fork, ForkServer
from resources.launching.modules import LOCATIONS, PRELOAD, WARM
from resources.launching.orders import Order
from resources.launching.worker import Worker, parse_worker
from trading_assets.core.errors import TransientFailure

WORKER_TAG = "desk/worker"
CODE_TAG = "desk/code"
_TRIES = 2
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the fork server has in memory, and its limits; see `Order`."""

    preload: Sequence[str] = PRELOAD
    locations: Sequence[str] = LOCATIONS
    warm: Sequence[str] = WARM
    watch: Sequence[str] = ()
    spare: bool = True
    pause_seconds: float = 20.0
    linger_seconds: float = 120.0
    start_seconds: float = 60.0
    kill_seconds: float = 20.0


class WarmRunLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Launches each run as a fork of a process that has everything imported."""

    def __init__(self, preparation: Preparation | None = None, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._preparation = preparation or Preparation()
        self._lock = threading.Lock()
        self._server: ForkServer | None = None
        self._released: list[ForkServer] = []
        super().__init__()  # type: ignore[no-untyped-call]  # Dagster's base class is untyped here

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """How dagster.yaml names this class."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The fields of `Preparation`, all optional."""
        names, seconds = dg.Field([str], is_required=False), dg.Field(dg.Float, is_required=False)
        lists = dict.fromkeys(("preload", "locations", "warm", "watch"), names)
        limits = dict.fromkeys(("pause_seconds", "linger_seconds", "start_seconds", "kill_seconds"), seconds)
        return {**lists, **limits, "spare": dg.Field(bool, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "WarmRunLauncher":
        """The launcher that dagster.yaml describes."""
        return cls(Preparation(**config_value), inst_data)

    def prepare(self) -> str:
        """Starts the fork server now, so that the first run is warm; the fingerprint of its code."""
        with self._lock:
            return self._ready().code

    def launch_run(self, context: LaunchRunContext) -> None:
        """Forks the run's process, writes down who it is, and only then lets it begin.

        Raises:
            DeskError: No process could be had. Nothing was started; the run ends as a failure and is not tried again.
        """
        run = context.dagster_run
        fork, code = self._fork(run.run_id)
        try:
            self._instance.add_run_tags(run.run_id, {WORKER_TAG: str(fork.worker), CODE_TAG: code})
        except BaseException:
            fork.drop()
            raise
        fork.go(run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Asks the run's process to stop, and kills it when it has not after `kill_seconds`; False when there is none."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.status != DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)
        worker = parse_worker(run.tags.get(WORKER_TAG))
        if worker is None or not worker.signal(signal.SIGTERM):
            return False
        threading.Thread(target=self._kill_later, args=(worker,), daemon=True).start()
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's run monitoring asks for every run that has started."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the very process that the run was given to still lives."""
        told = run.tags.get(WORKER_TAG)
        worker = parse_worker(told)
        if told is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "started by another program, which nobody can ask")
        if worker is None or not worker.lives:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {told} has ended", run_worker_id=told)
        return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=told)

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:  # noqa: ARG002 - Dagster's signature
        """One line for the run's history."""
        return f"process {run.tags.get(WORKER_TAG, 'unknown')}, code {run.tags.get(CODE_TAG, 'unknown')}"

    @property
    def supports_resume_run(self) -> bool:
        """Never: a run that died may have led to an order."""
        return False

    def dispose(self) -> None:
        """Lets the fork server go; runs that are under way get `linger_seconds` to end."""
        with self._lock:
            self._release()
            self._released = [server for server in self._released if not server.ended(_POLL_S)]

    def _fork(self, run_id: str) -> tuple[Fork, str]:
        """A fork of a server with today's code. One that has died, or dies while it is asked, is replaced once."""
        with self._lock:
            for _ in range(_TRIES - 1):
                try:
                    server = self._ready()
                    return server.fork(run_id), server.code
                except TransientFailure:
                    self._release(kill=True)
            server = self._ready()
            return server.fork(run_id), server.code

    def _ready(self) -> ForkServer:
        self._released = [server for server in self._released if not server.ended()]
        order = self._order()
        if self._server is not None and (not self._server.lives or self._server.code != fingerprint(order.folders)):
            self._release()
        if self._server is None:
            self._server = self._started(order)
        return self._server

    def _started(self, order: Order) -> ForkServer:
        """A new one; code that changes while it is being read is read once more."""
        seconds = self._preparation.start_seconds
        try:
            return ForkServer.start(order, seconds=seconds)
        except TransientFailure:
            return ForkServer.start(order, seconds=seconds)

    def _release(self, *, kill: bool = False) -> None:
        if self._server is not None:
            self._server.kill() if kill else self._server.release()
            self._released.append(self._server)
        self._server = None

    def _order(self) -> Order:
        asked = self._preparation
        return Order(
            instance=serialize_value(self._instance.get_ref()),
            preload=tuple(asked.preload),
            locations=tuple(asked.locations),
            warm=tuple(asked.warm),
            watch=tuple(asked.watch or map(str, watched())),
            spare=asked.spare,
            pause_seconds=asked.pause_seconds,
            linger_seconds=asked.linger_seconds,
        )

    def _kill_later(self, worker: Worker) -> None:
        """Python may not come to see a signal while a library holds it; the kernel's own always arrives."""
        pause = threading.Event()
        left = self._preparation.kill_seconds
        while worker.lives and left > 0:
            pause.wait(_POLL_S)
            left -= _POLL_S
        worker.signal(signal.SIGKILL)
