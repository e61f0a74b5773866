"""The real means of a watchdog: its connection, its role in the ledger, the halt file, the clock."""

import importlib.metadata
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from resources.brokers.opening import open_broker
from resources.clock import desk_clock, speed_of
from resources.ledger.halt_file import HaltFile
from resources.stretching import pace_of, stretched
from trading_assets.broker.model import Commission, Execution, OrderReport
from trading_assets.broker.settings import ExecutionSettings, load_execution
from trading_assets.core.calendar import Session
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import config_folder, desk_home, load_settings
from warden.core import Means
from warden.seen import Holder, Identity, LedgerSeen, Sign
from warden.steps import Sale
from warden.takeover import GatewayTakeover

if TYPE_CHECKING:
    from warden.ledger import SqlWatchLedger

BOOK = "desk"
LEDGER_URL = "LEDGER_URL"
BUSY_MS = 250
"""How long one write waits for another process: a look writes a few times, and the hand must not wait for the ledger."""


class Note:
    """The halt file as a note of this process."""

    def __init__(self, folder: Path) -> None:
        self._file = HaltFile(folder)

    def read(self) -> str:
        """See the port."""
        found = self._file.read()
        return "" if found is None else found.cause or "the halt file gives no cause"

    def write(self, cause: str, *, by: str, as_of: datetime) -> None:
        """See the port."""
        self._file.write(cause, by, as_of)


class LateLedger:
    """A ledger that is opened at the first use, and tried again at each while it cannot be: the watch does not wait for it."""

    def __init__(self, where: Path | str, *, busy_ms: int = BUSY_MS, on_the_way: timedelta | None = None) -> None:
        self._where = where
        self._on_the_way = on_the_way
        self._busy_ms = busy_ms
        self._ledger: SqlWatchLedger | None = None

    def open(self) -> "SqlWatchLedger":
        """The ledger in the watchdog's role; PermanentFailure or TransientFailure where there is none to be had."""
        if self._ledger is None:
            from resources.ledger.roles import open_ledger_as
            from warden.ledger import ON_THE_WAY, SqlWatchLedger

            if isinstance(self._where, Path):
                refuse_damaged(self._where)
            engine = open_ledger_as(self._where, "watchdog", lane=BOOK, busy_timeout_ms=self._busy_ms)
            self._ledger = SqlWatchLedger(engine, BOOK, on_the_way=self._on_the_way or ON_THE_WAY)
        return self._ledger

    def look(self, session: Session | None) -> LedgerSeen:
        """See the port."""
        return self.open().look(session)

    def signs(self, *, as_of: datetime) -> Mapping[str, Sign]:
        """See the port."""
        return self.open().signs(as_of=as_of)

    def holder(self) -> Holder | None:
        """See the port."""
        return self.open().holder()

    def beat(self, state: str, identity: Identity, *, as_of: datetime) -> None:
        """See the port."""
        self.open().beat(state, identity, as_of=as_of)

    def halt(self, cause: str, *, as_of: datetime) -> None:
        """See the port."""
        self.open().halt(cause, as_of=as_of)

    def page(self, severity: str, code: str, sentence: str, *, as_of: datetime) -> None:
        """See the port."""
        self.open().page(severity, code, sentence, as_of=as_of)

    def write_ahead(
        self, sale: Sale, order_id: int, client_id: int, cause: str, *, visible: frozenset[str], as_of: datetime
    ) -> str:
        """See the port."""
        return self.open().write_ahead(sale, order_id, client_id, cause, visible=visible, as_of=as_of)

    def protect_ahead(
        self,
        symbol: str,
        con_id: int,
        quantity: int,
        stop: Decimal,
        order_id: int,
        client_id: int,
        cause: str,
        *,
        as_of: datetime,
    ) -> str:
        """See the port."""
        ledger = self.open()
        return ledger.protect_ahead(symbol, con_id, quantity, stop, order_id, client_id, cause, as_of=as_of)

    def book(
        self,
        client_id: int,
        reports: Sequence[OrderReport],
        executions: Sequence[Execution],
        commissions: Sequence[Commission],
        *,
        as_of: datetime,
    ) -> None:
        """See the port."""
        self.open().book(client_id, reports, executions, commissions, as_of=as_of)

    def newest_order_id(self, client_id: int) -> int:
        """See the port."""
        return self.open().newest_order_id(client_id)


def refuse_damaged(path: Path) -> None:
    """Raises PermanentFailure for a file that the database itself cannot read through; one that is not there is told later."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_MS / 1000)) as connection:
            found = [row[0] for row in connection.execute("pragma integrity_check(1)")]
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError as broken:
        found = [str(broken)]
    if found != ["ok"]:
        raise PermanentFailure(
            "the ledger is damaged",
            value=found[0] if found else "no answer",
            bound="no damage",
            hint="desk doctor --verify-ledger; restore the backup",
        )


def refuse_unwatchable(execution: ExecutionSettings, typed_account: str) -> None:
    """Raises ConfigurationError where there is nothing to watch, or no word of which account may be sold."""
    if not execution.dispatches:
        raise ConfigurationError(
            "broker bars fills orders after the close: there is nothing to watch",
            value=execution.broker,
            bound="paper, ib",
            hint="set broker in config/execution.yaml",
        )
    if execution.broker == "ib" and not execution.ib.account:
        raise ConfigurationError(
            "no account is configured", value="", bound="ib.account", hint="set ib.account in config/execution.yaml"
        )
    if execution.mode == "live" and typed_account != execution.ib.account:
        raise ConfigurationError(
            "mode live asks for the account to be typed",
            value=typed_account or "nothing",
            bound=execution.ib.account,
            hint="desk watchdog --account <the account>",
        )


@contextmanager
def opened(typed_account: str = "") -> Iterator[tuple[Means, LateLedger, float]]:
    """Everything that the desk's watchdog works with, and how fast the desk's clock runs.

    Raises:
        ConfigurationError: There is nothing to watch, or a file is not as it must be.
    """
    home, folder, clock = desk_home(), config_folder(), desk_clock()
    execution, settings = load_execution(folder), load_settings(folder)
    refuse_unwatchable(execution, typed_account)
    pace = pace_of(clock, execution)
    os.umask(0o077)
    preferences, limits_hash = load_preferences(folder / "preferences.yaml")
    execution, preferences, settings = stretched(execution, preferences, settings, pace)
    patience = timedelta(seconds=execution.rhythm.reconcile_seconds)
    ledger = LateLedger(os.environ.get(LEDGER_URL) or home.ledger(BOOK), on_the_way=patience)
    ids = execution.ib
    takeover = GatewayTakeover(
        ledger,
        lambda: open_broker(execution, settings, home, clock, client_id=ids.gateway_client_id),
        lease=execution.lease,
        just_renewed=execution.lease / 10,
    )
    means = Means(
        broker=open_broker(execution, settings, home, clock, client_id=ids.watchdog_client_id),
        ledger=ledger,
        note=Note(home.root),
        takeover=takeover,
        clock=clock,
        settings=execution,
        preferences=preferences,
        identity=Identity(importlib.metadata.version("dagster-trading-desk"), limits_hash),
        account=ids.account if execution.broker == "ib" else "",
    )
    yield means, ledger, speed_of(clock) or 1.0


def notifier_of(means: Means) -> AbstractContextManager[object]:
    """Whoever tells people what waits for them, beside the watchdog: it works with everything else dead."""
    from resources.ledger.roles import open_ledger_as
    from resources.notify.notifier import open_notifier, telling

    home = desk_home()
    where = os.environ.get(LEDGER_URL) or home.ledger(BOOK)
    notifier = open_notifier(
        lambda: open_ledger_as(where, "watchdog", lane=BOOK),
        BOOK,
        home.root,
        config_folder(),
        os.environ,
        repeat=timedelta(minutes=means.settings.watch.repeat_minutes),
    )
    return telling(notifier, means.clock)
