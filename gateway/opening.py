"""The real means of a gateway: ledger, broker, clock, files; opened once, closed at the end."""

import hashlib
import importlib.metadata
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.means import Means, Setup
from gateway.process import News
from resources.brokers.opening import open_broker
from resources.clock import desk_clock, speed_of
from resources.ledger.bus import publish
from resources.ledger.state import Heartbeats, Lease, LeaseLost, Leases
from resources.stretching import pace_of, stretched_execution, stretched_preferences
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings, load_execution
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure
from trading_assets.core.messages import Draft
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import Home, Settings, config_folder, desk_home, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from resources.lake import ParquetLake
    from resources.ledger.halt_file import HaltFile
    from trading_assets.execution.ports import Intent

BOOK = "desk"
SENDER = "gateway"
_LOG = logging.getLogger("desk.gateway")
LEDGER_URL = "LEDGER_URL"


class LedgerTenure:
    """The book's lease in the ledger; `speed` is that of the desk's clock, by which leases run."""

    def __init__(self, leases: Leases, book: str, ttl: timedelta) -> None:
        self._leases = leases
        self._name = f"gateway:{book}"
        self._ttl = ttl
        self._lease: Lease | None = None

    @property
    def token(self) -> int:
        """See the port."""
        return self._lease.token if self._lease is not None else 0

    @property
    def until(self) -> datetime | None:
        """See the port."""
        return self._lease.until if self._lease is not None else None

    def acquire(self, *, as_of: datetime) -> str:
        """See the port."""
        holder = f"{socket.gethostname()} pid {os.getpid()}"
        self._lease = self._leases.acquire(self._name, holder, as_of=as_of, ttl=self._ttl)
        if self._lease is not None:
            return ""
        current = self._leases.current(self._name)
        return "somebody" if current is None else f"{current.holder} until {current.until.isoformat()}"

    def renew(self, *, as_of: datetime) -> None:
        """See the port."""
        if self._lease is None:
            raise LeaseLost("the lease was never acquired", hint="start the gateway anew")
        self._lease = self._leases.renew(self._lease, as_of=as_of, ttl=self._ttl)


class LedgerSigns:
    """Signs of life in the ledger, with this process's version and limits."""

    def __init__(self, heartbeats: Heartbeats, version: str, limits_hash: str) -> None:
        self._heartbeats = heartbeats
        self._version = version
        self._limits_hash = limits_hash

    def beat(self, process: str, state: str, *, as_of: datetime) -> None:
        """See the port."""
        self._heartbeats.beat(
            process, pid=os.getpid(), state=state, as_of=as_of, version=self._version, limits_hash=self._limits_hash
        )

    def age(self, process: str, *, as_of: datetime) -> timedelta | None:
        """See the port."""
        found = self._heartbeats.ages(as_of=as_of).get(process)
        return None if found is None else found.age

    def word(self, process: str, *, as_of: datetime) -> str:
        """See the port."""
        found = self._heartbeats.ages(as_of=as_of).get(process)
        return "" if found is None else found.state


class LakeBackdrop:
    """Volumes of the session before, and the mind's relations, read once a session."""

    def __init__(self, lake: "ParquetLake", engine: "Engine", book: str) -> None:
        self._lake = lake
        self._engine = engine
        self._book = book
        self._volumes: dict[date, Mapping[str, float]] = {}
        self._related: dict[date, Mapping[str, AbstractSet[str]]] = {}

    def average_volume(self, session: date) -> Mapping[str, float]:
        """See the port."""
        if session not in self._volumes:
            self._volumes = {session: self._read(session)}
        return self._volumes[session]

    def related(self, session: date) -> Mapping[str, AbstractSet[str]]:
        """See the port."""
        if session not in self._related:
            from resources.ledger.store import SqlLedger
            from trading_assets.theses.relations import related

            with SqlLedger(self._engine, self._book).reading() as ledger:
                self._related = {session: related(ledger.mind(XNYS.session(session).close))}
        return self._related[session]

    def _read(self, session: date) -> Mapping[str, float]:
        from trading_assets.features.model import INDICATORS

        before = XNYS.previous(session).day
        rows = self._lake.read(INDICATORS, as_of=XNYS.session(session).open, first=before, last=before)
        volumes = zip(rows["symbol"].to_list(), rows["volume_mean_20"].to_list(), strict=True)
        return {symbol: volume for symbol, volume in volumes if volume is not None}


@contextmanager
def opened(typed_account: str = "") -> Iterator[tuple[Setup, Means, News, float]]:
    """Everything that the desk's gateway works with, from its configuration, its home and its environment.

    Raises:
        ConfigurationError: No gateway sends for the configured broker, or a file or key is not as it must be.
        PermanentFailure, TransientFailure: The ledger cannot be opened.
    """
    from resources.ledger.engine import open_ledger

    home, folder, clock = desk_home(), config_folder(), desk_clock()
    execution = load_execution(folder)
    pace = pace_of(clock, execution)
    execution = stretched_execution(execution, pace)
    if not execution.dispatches:
        raise ConfigurationError(
            "broker bars fills orders after the close and needs no gateway",
            value=execution.broker,
            bound="paper, ib",
            hint="set broker in config/execution.yaml",
        )
    os.umask(0o077)
    engine = open_ledger(os.environ.get(LEDGER_URL) or home.ledger(BOOK), durability="FULL", lane=BOOK)
    _refuse_unhealthy(engine)
    setup = make_setup(home, folder, execution, load_settings(folder), engine, typed_account, pace=pace)
    ids = execution.ib
    broker = open_broker(execution, load_settings(folder), home, clock, client_id=ids.gateway_client_id)
    means = make_means(setup, home, folder, engine, clock, broker)
    try:
        yield setup, means, _news(engine, clock), speed_of(clock) or 1.0
    finally:
        engine.dispose()


def make_setup(
    home: Home,
    folder: Path,
    execution: ExecutionSettings,
    settings: Settings,
    engine: "Engine",
    typed_account: str,
    *,
    pace: float = 1.0,
) -> Setup:
    """What stays fixed: limits as they lie there now, keys, the universe, and the gate that each connection passes.

    Args:
        execution: Stretched already; the limits that bound the machine are stretched here by `pace`.
    """
    from resources.keys import KeyRing
    from trading_assets.reasoning.settings import load_reasoning

    preferences, limits_hash = load_preferences(folder / "preferences.yaml")
    budget = load_reasoning(folder).budget
    is_ib = execution.broker == "ib"
    if is_ib and not execution.ib.account:
        raise ConfigurationError(
            "no account is configured", value="", bound="ib.account", hint="set ib.account in config/execution.yaml"
        )
    return Setup(
        book=BOOK,
        version=importlib.metadata.version("dagster-trading-desk"),
        settings=execution,
        preferences=stretched_preferences(preferences, pace),
        limits_hash=limits_hash,
        account=execution.ib.account if is_ib else "",
        symbols=settings.market.symbols,
        sectors=settings.market.sectors,
        keys=KeyRing(home).verifying(),
        cost_per_decision_usd=Decimal(str(budget.decision_usd)),
        cost_per_day_usd=Decimal(str(budget.day_usd)),
        gate=_gate(execution, folder, limits_hash, engine, typed_account),
    )


def _gate(
    execution: ExecutionSettings, folder: Path, limits_hash: str, engine: "Engine", typed: str
) -> Callable[[tuple[str, ...], datetime], tuple[str, ...]]:
    """The live gate; the paper broker's own account is whichever its file says, and its prefix must say paper."""
    from resources.keys import could_write
    from resources.ledger.permits import SqlPermits
    from trading_assets.signatures.live_gate import live_gate
    from trading_assets.signatures.permits import record_of

    permits = SqlPermits(engine)
    is_ib = execution.broker == "ib"

    def gate(accounts: tuple[str, ...], now: datetime) -> tuple[str, ...]:
        expected = execution.ib.account if is_ib else next(iter(accounts), "")
        promotion = permits.current("promotion", expected, as_of=now)
        return live_gate(
            execution.mode,
            execution.ib.port if is_ib else 0,
            accounts,
            expected,
            optin=permits.current("live", expected, as_of=now),
            typed_account=typed,
            paper_sessions=record_of(promotion, account=expected, limits_hash=limits_hash, now=now),
            limits_hash=limits_hash,
            limits_writable=could_write(folder / "preferences.yaml"),
            now=now,
        )

    return gate


def make_means(setup: Setup, home: Home, folder: Path, engine: "Engine", clock: Clock, broker: Broker) -> Means:
    """The ports over the ledger, the lake and the files."""
    from resources.brokers.feeds.chosen import second_prices_of
    from resources.lake import ParquetLake
    from resources.ledger.halt_file import HaltFile
    from resources.ledger.journal_files import JournalFiles
    from resources.notify.pages import LedgerPager
    from resources.telemetry.processes import tracer_of
    from resources.telemetry.sending import TracedDispatch

    halt_file, speed = HaltFile(home.root), speed_of(clock) or 1.0
    tell: Callable[[Sequence[Draft]], None] = lambda drafts: _publish(engine, drafts)  # noqa: E731 - a name for the type
    lake = ParquetLake(home.lake)
    return Means(
        broker=broker,
        store=TracedDispatch(
            engine,
            setup.book,
            JournalFiles(home.journal(setup.book)),
            client_id=broker.client_id,
            tracer=tracer_of("gateway"),
        ),
        tenure=LedgerTenure(Leases(engine), setup.book, setup.settings.lease),
        signs=LedgerSigns(Heartbeats(engine), setup.version, setup.limits_hash),
        clock=clock,
        monotonic=lambda: _seconds_awake_or_asleep() * speed,
        second=second_prices_of(setup.settings.second_prices, lake=lake, cache=home.root / "cache"),
        backdrop=LakeBackdrop(lake, engine, setup.book),
        pager=LedgerPager(engine, setup.book),
        publish=tell,
        limits_hash=lambda: _hash_of(folder / "preferences.yaml"),
        entries=lambda symbols: _entries(engine, setup.book, symbols),
        released=lambda: _released(engine, setup.book),
        halt_file=lambda: _halt_in(halt_file),
        write_halt=lambda cause, as_of: halt_file.write(cause, SENDER, as_of),
    )


def _seconds_awake_or_asleep() -> float:
    """Linux's clock that goes on while the machine sleeps; where there is none, the monotonic one."""
    which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(which)


def _hash_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _halt_in(file: "HaltFile") -> str:
    found = file.read()
    return found.cause if found is not None else ""


def _publish(engine: "Engine", drafts: Sequence[Draft]) -> None:
    """The bus is a courtesy: what cannot be told is in ledger and journal already."""
    try:
        publish(engine, drafts)
    except DeskError as failed:
        _LOG.warning("the bus did not take a message: %s", failed)


def _entries(engine: "Engine", book: str, symbols: Sequence[str]) -> Mapping[str, "Intent"]:
    from resources.ledger.store import SqlLedger

    with SqlLedger(engine, book).reading() as ledger:
        return ledger.entries_of(symbols)


def _released(engine: "Engine", book: str) -> bool:
    import sqlalchemy as sa

    from resources.ledger import schema as t
    from resources.ledger.engine import reading

    mine = sa.select(t.HALTS.c.id).where(t.HALTS.c.book == book)
    query = sa.select(t.ACKNOWLEDGEMENTS.c.halt_id).where(t.ACKNOWLEDGEMENTS.c.halt_id.in_(mine)).limit(1)
    with reading(engine) as connection:
        return connection.execute(query).first() is not None


def _refuse_unhealthy(engine: "Engine") -> None:
    from resources.ledger.engine import reading
    from resources.ledger.integrity import damage

    with reading(engine) as connection:
        found = list(damage(connection))
    if found:
        raise PermanentFailure(
            "the ledger is damaged",
            value=found[0],
            bound="no damage",
            hint="desk doctor --verify-ledger; restore the backup",
        )


def _news(engine: "Engine", clock: Clock) -> News:
    """Wake-ups of the bus: what is waiting is read from the ledger, so nothing hangs on a message."""
    from resources.ledger.wakeups import listener_on

    listener = listener_on(engine, SENDER, clock)

    def wait(seconds: float) -> bool:
        listener.open()
        rung = listener.wait(seconds)
        if not rung:
            listener.renew()
        return rung

    return wait
