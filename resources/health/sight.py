"""What one round of checks sees: the machine, the processes, and the ledger in one snapshot. Dagster is not imported."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.clock import RealClock, speed_of
from resources.hardware import Machine, measure
from resources.health.model import Report
from resources.ledger import schema as t
from resources.ledger.dispatch_states import open_halts
from resources.ledger.engine import reading
from resources.ledger.state import Heartbeat, Heartbeats
from resources.ledger.text import instant_of
from resources.stretching import pace_of, stretched_execution, stretched_settings
from trading_assets.broker.settings import ExecutionSettings, load_execution
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.operations import OperationsSettings, load_operations
from trading_assets.core.ports import Clock
from trading_assets.core.settings import Settings, load_settings

BOOK = "desk"
BARS = "daily_bars"
_RECENT = 5


@dataclass(frozen=True, slots=True)
class Alive:
    """A process as the kernel shows it."""

    pid: int
    resident_bytes: int
    cpu_seconds: float
    open_files: int


@dataclass(frozen=True, slots=True)
class Gate:
    """The newest verdict on a session's bars."""

    session: date
    passed: bool
    failures: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """A route's breaker that is not closed, as text of the ledger: state, until when, and why."""

    route: str
    state: str
    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent did today over all routes."""

    answers: int
    failures: int
    cost_usd: Decimal
    latency_ms: int


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """What the ledger holds for the checks."""

    beats: Mapping[str, Heartbeat]
    halts: tuple[str, ...]
    snapshot_at: datetime | None
    agrees: bool
    decided: frozenset[str]
    decides: bool
    gates: Mapping[date, Gate]
    breakers: tuple[Breaker, ...]
    agents: Mapping[str, Agent]


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that the checks look at. `problem` says why the ledger could not be read."""

    now: datetime
    machine_now: datetime
    speed: float
    operations: OperationsSettings
    execution: ExecutionSettings
    settings: Settings
    machine: Machine
    disk_free_bytes: int
    ledger_bytes: int
    wal_bytes: int
    alive: Mapping[int, Alive | None] = field(default_factory=dict)
    ledger: LedgerSeen | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """A round of checks with what it saw; nothing where the configuration could not be read."""

    report: Report
    sight: Sight | None


class Eyes:
    """Looks at a desk's home; one instance for a process, one look a round."""

    def __init__(self, home: Path, folder: Path, engine: sa.Engine | None, clock: Clock, *, problem: str = "") -> None:
        self._home = home
        self._folder = folder
        self._engine = engine
        self._clock = clock
        self._problem = problem

    def now(self) -> datetime:
        """The desk's clock."""
        return self._clock.now()

    def look(self) -> Sight:
        """One look. What the ledger refuses is noted.

        Raises:
            ConfigurationError: A file of the configuration is not as it must be.
        """
        now, execution = self._clock.now(), load_execution(self._folder)
        pace = pace_of(self._clock, execution)
        seen, problem = self._ledger(now)
        pids = [beat.pid for beat in seen.beats.values()] if seen is not None else []
        ledger = self._file()
        return Sight(
            now=now,
            machine_now=RealClock().now(),
            speed=speed_of(self._clock) or 1.0,
            operations=load_operations(self._folder),
            execution=stretched_execution(execution, pace),
            settings=stretched_settings(load_settings(self._folder), pace),
            machine=measure(),
            disk_free_bytes=shutil.disk_usage(self._home).free,
            ledger_bytes=_size(ledger),
            wal_bytes=_size(ledger.with_name(ledger.name + "-wal")),
            alive={pid: alive(pid) for pid in sorted(set(pids))},
            ledger=seen,
            problem=problem,
        )

    def _file(self) -> Path:
        return self._home / "ledger" / f"{BOOK}.sqlite"

    def _ledger(self, now: datetime) -> tuple[LedgerSeen | None, str]:
        if self._engine is None:
            return None, self._problem or "the ledger is not open"
        try:
            beats = Heartbeats(self._engine).ages(as_of=now)
            with reading(self._engine) as connection:
                return ledger_seen(connection, beats, now), ""
        except (DeskError, sa.exc.SQLAlchemyError) as refused:
            return None, str(refused)


def ledger_seen(connection: sa.Connection, beats: Mapping[str, Heartbeat], now: datetime) -> LedgerSeen:
    """What the ledger holds at `now`, in one snapshot."""
    day = now.astimezone(NEW_YORK).date()
    since = XNYS.previous(day, _RECENT).day
    snapshot = connection.execute(
        sa.select(t.SNAPSHOTS.c.at, t.SNAPSHOTS.c.agrees).where(t.SNAPSHOTS.c.book == BOOK)
    ).first()
    decisions = connection.execute(
        sa.select(t.DECISIONS.c.session, t.DECISIONS.c.slot).where(
            t.DECISIONS.c.book == BOOK, t.DECISIONS.c.session.between(since, day)
        )
    ).all()
    return LedgerSeen(
        beats=beats,
        halts=tuple(halt.cause for halt in open_halts(connection, BOOK)),
        snapshot_at=instant_of(snapshot.at) if snapshot else None,
        agrees=bool(snapshot and snapshot.agrees),
        decided=frozenset(row.slot for row in decisions if row.session == day),
        decides=bool(decisions),
        gates=_gates(connection, since - timedelta(days=7), day),
        breakers=_breakers(connection),
        agents=_agents(connection, day),
    )


def _gates(connection: sa.Connection, first: date, last: date) -> dict[date, Gate]:
    column = t.GATES.c
    query = sa.select(column.session, column.passed, column.failures).where(
        column.table_name == BARS, column.session.between(first, last)
    )
    found = connection.execute(query.order_by(column.id))
    return {row.session: Gate(row.session, bool(row.passed), _joined(row.failures)) for row in found}


def _breakers(connection: sa.Connection) -> tuple[Breaker, ...]:
    column = t.BREAKERS.c
    rows = connection.execute(sa.select(t.BREAKERS).where(column.state != "closed").order_by(column.route))
    return tuple(Breaker(row.route, row.state, row.open_until, row.reason) for row in rows)


def _agents(connection: sa.Connection, day: date) -> dict[str, Agent]:
    found: dict[str, Agent] = {}
    rows = connection.execute(sa.select(t.AGENT_HEALTH).where(t.AGENT_HEALTH.c.day == day))
    for row in rows:
        more = found.get(row.agent, Agent(0, 0, Decimal(0), 0))
        found[row.agent] = Agent(
            more.answers + row.answers,
            more.failures + row.failures,
            more.cost_usd + row.cost,
            more.latency_ms + row.latency_ms,
        )
    return dict(sorted(found.items()))


def alive(pid: int) -> Alive | None:
    """The process, or None where none of that id lives; a zombie does not."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            times = process.cpu_times()
            return Alive(pid, process.memory_info().rss, times.user + times.system, _open_files(process))
    except psutil.Error:
        return None


def _open_files(process: Any) -> int:
    """0 where this user may not count them."""
    import psutil

    try:
        return int(process.num_fds())
    except (psutil.Error, AttributeError):
        return 0


def _joined(failures: str) -> str:
    try:
        told = json.loads(failures)
    except ValueError:
        return failures
    return "; ".join(str(each) for each in told) if isinstance(told, list) else str(told)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
