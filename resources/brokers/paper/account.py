"""The account in an SQLite file that several processes hold open: every change is one transaction, synced before it counts.

A process keeps the book in memory as long as nobody else has written; SQLite says so (`data_version`). Whoever holds the write lock
holds it for one short transaction, and a file that was deleted or replaced is never written.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from resources.brokers.paper.book import Book, Costs, Fill, Holding, PaperOrder, View
from resources.brokers.paper.exchange import Exchange
from resources.brokers.paper.wording import (
    event_of,
    event_text,
    fill_of,
    fill_row,
    order_of,
    order_row,
    quote_of,
    quote_text,
)
from resources.ledger.disks import require_local_disk
from trading_assets.broker.model import BrokerEvent, Contract
from trading_assets.broker.ports import BrokerDown
from trading_assets.core.errors import DeskError, PermanentFailure

VERSION: Final = 1
EVENTS_KEPT: Final = 20_000
_DIGITS = 7
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE contracts (con_id INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE, tick TEXT NOT NULL) STRICT;
CREATE TABLE orders (perm_id INTEGER PRIMARY KEY, client_id INTEGER NOT NULL, order_id INTEGER NOT NULL, ref TEXT NOT NULL,
    open INTEGER NOT NULL, since TEXT NOT NULL, said TEXT NOT NULL, UNIQUE (client_id, order_id)) STRICT;
CREATE INDEX open_orders ON orders (open) WHERE open = 1;
CREATE TABLE fills (exec_id TEXT PRIMARY KEY, perm_id INTEGER NOT NULL, at TEXT NOT NULL, said TEXT NOT NULL) STRICT;
CREATE INDEX fills_by_time ON fills (at);
CREATE TABLE holdings (symbol TEXT PRIMARY KEY, con_id INTEGER NOT NULL, quantity INTEGER NOT NULL, cost TEXT NOT NULL) STRICT;
CREATE TABLE views (symbol TEXT PRIMARY KEY, quote TEXT NOT NULL, taken_bid INTEGER NOT NULL, taken_ask INTEGER NOT NULL,
    traded INTEGER NOT NULL) STRICT;
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, client_id INTEGER NOT NULL, kind TEXT NOT NULL,
    said TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
"""
_HOLDING = "INSERT INTO holdings VALUES (?, ?, ?, ?)"
_VIEW = "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)"
_ORDER = "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)"
_FILL = "INSERT INTO fills VALUES (?, ?, ?, ?)"
_OPEN = """SELECT said FROM orders WHERE open = 1
    OR perm_id IN (SELECT json_extract(said, '$.parent') FROM orders WHERE open = 1) ORDER BY perm_id"""
_LASTING = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


class AccountFile:
    """One connection to the account. Not for several threads.

    Args:
        path: The file; it is made, with `starting_cash` USD in it, when it is not there.
        busy_s: How long another process's transaction is waited for before the broker counts as down.
    """

    def __init__(self, path: Path, *, starting_cash: Decimal, busy_s: float = 2.0) -> None:
        self.path = path.absolute()
        self._starting_cash = starting_cash
        self.busy_s = busy_s
        self._raw: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._book: Book | None = None
        self._version = -1

    def open(self, now: datetime) -> None:
        """Opens the file, or makes it.

        Raises:
            PermanentFailure: It cannot be written, is no account, is of another version, or has lived longer than the clock says.
            BrokerDown: Another process holds it for too long, or the disk fails.
        """
        require_local_disk(self.path)
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._identity is not None and not self.is_there:
                raise BrokerDown("the file of the paper account was deleted or replaced", value=self.path)
            raw = sqlite3.connect(self.path, timeout=self.busy_s, isolation_level=None)
            raw.row_factory = sqlite3.Row
            self._raw = raw
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = FULL")
            self._identity = _identity(self.path)
            self._found(now)
        lived = self.book().lived_until
        if now < lived:
            self.close()
            raise PermanentFailure(
                "the paper account has lived longer than the clock says",
                value=now.isoformat(),
                bound=lived.isoformat(),
                hint="choose a later DESK_CLOCK, or another DESK_HOME for another replay",
            )

    def close(self) -> None:
        """Ends the connection."""
        if self._raw is not None:
            self._raw.close()
        self._raw, self._book = None, None

    def durability(self) -> tuple[str, int]:
        """The journal's mode and how far each commit is synced: `wal` and 2."""
        with self._explained():
            raw = self._connection()
            mode, synced = (raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
            return mode, synced

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one that was opened."""
        return self._identity is not None and _identity(self.path) == self._identity

    def book(self) -> Book:
        """The account as it is now; read anew only when another process has written."""
        with self._reading():
            return self._loaded()

    def is_changed(self) -> bool:
        """Whether another process has written since the book was read."""
        with self._explained():
            return self._book is None or self._data_version() != self._version

    @contextmanager
    def changing(self, costs: Costs, now: datetime) -> Iterator[Exchange]:
        """One transaction: everything that the exchange does in it is kept, or nothing is."""
        with self._transaction():
            exchange = Exchange(self._loaded().copied(), costs)
            yield exchange
            self._save(exchange, now)
        self._book = _pruned(exchange.book)
        self._version = self._data_version()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            raw = self._connection()
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield raw
                raw.execute("COMMIT")
            except BaseException:
                self._book = None
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            raw = self._connection()
            raw.execute("BEGIN")
            try:
                yield raw
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")

    def history(self, since: datetime) -> tuple[Book, tuple[PaperOrder, ...], tuple[Fill, ...]]:
        """The book, the orders that are open or came since then, and the fills since then: all of one moment."""
        with self._reading() as raw:
            text = since.isoformat()
            orders = raw.execute(
                "SELECT said FROM orders WHERE open = 1 OR since >= ? ORDER BY perm_id", (text,)
            ).fetchall()
            fills = raw.execute("SELECT said FROM fills WHERE at >= ? ORDER BY rowid", (text,)).fetchall()
            return self._loaded(), tuple(order_of(row[0]) for row in orders), tuple(fill_of(row[0]) for row in fills)

    def order_ids(self, client_id: int) -> tuple[int, ...]:
        """The order ids that a client has used, ascending."""
        with self._explained():
            rows = self._connection().execute(
                "SELECT order_id FROM orders WHERE client_id = ? ORDER BY 1", (client_id,)
            )
            return tuple(row[0] for row in rows)

    def recall(self, exchange: Exchange, client_id: int, order_ids: Sequence[int]) -> set[int]:
        """Inside a change: which of the ids the client has used. The orders join the book, so that a child finds its parent."""
        found = set()
        for order_id in dict.fromkeys(order_ids):
            sql = "SELECT said FROM orders WHERE client_id = ? AND order_id = ?"
            for row in self._connection().execute(sql, (client_id, order_id)):
                order = order_of(row[0])
                exchange.book.orders.setdefault(order.perm_id, order)
                found.add(order_id)
        return found

    def list_contract(self, contract: Contract) -> None:
        """Makes a contract known to the account."""
        if contract.con_id not in self.book().contracts:
            with self._transaction() as raw:
                values = (contract.con_id, contract.symbol, str(contract.min_tick))
                raw.execute("INSERT OR IGNORE INTO contracts VALUES (?, ?, ?)", values)
            self._book = None

    def refuse_next(self, text: str) -> None:
        """The next order is refused with a text: for drills. Each call is for one more order."""
        with self._transaction():
            self._write_meta({"refusals": json.dumps([*self._loaded().refusals, text])})
        self._book = None

    def events(self, after: int) -> tuple[tuple[int, int, BrokerEvent], ...]:
        """Events behind an id: id, who hears it, and what it says."""
        with self._explained():
            rows = self._connection().execute("SELECT * FROM events WHERE id > ? ORDER BY id", (after,)).fetchall()
            return tuple((row["id"], row["client_id"], event_of(row["kind"], row["said"])) for row in rows)

    def newest_event(self) -> int:
        """The id of the newest event, 0 when there is none."""
        with self._explained():
            row = self._connection().execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
            return int(row[0]) if row else 0

    def _found(self, now: datetime) -> None:
        with self._transaction() as raw:
            version = raw.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not raw.execute("SELECT 1 FROM sqlite_schema").fetchone():
                for statement in _SCHEMA.split(";\n"):
                    raw.execute(statement)
                self._write_meta({"account": _account_of(self.path), "cash": str(self._starting_cash)})
                self._write_meta({"lived_until": now.isoformat(), "refusals": "[]"})
                self._write_meta({"next_perm_id": "1", "next_execution": "1"})
            elif version != VERSION:
                raise PermanentFailure(
                    "the file is no paper account of this version", value=f"{self.path}: {version}", bound=VERSION
                )
            last = raw.execute("SELECT max(id) FROM events").fetchone()[0] or 0
            raw.execute("DELETE FROM events WHERE id <= ?", (last - EVENTS_KEPT,))

    def _loaded(self) -> Book:
        version = self._data_version()
        if self._book is None or version != self._version:
            self._book, self._version = self._load(), version
        return self._book

    def _load(self) -> Book:
        raw = self._connection()
        meta = {row["name"]: row["value"] for row in raw.execute("SELECT * FROM meta")}
        orders = [order_of(row["said"]) for row in raw.execute(_OPEN)]
        held = [
            Holding(r["symbol"], r["con_id"], r["quantity"], Decimal(r["cost"]))
            for r in raw.execute("SELECT * FROM holdings")
        ]
        views = {
            r["symbol"]: View(quote_of(r["quote"]), r["taken_bid"], r["taken_ask"], r["traded"])
            for r in raw.execute("SELECT * FROM views")
        }
        listed = raw.execute("SELECT * FROM contracts").fetchall()
        return Book(
            account=meta["account"],
            cash=Decimal(meta["cash"]),
            lived_until=datetime.fromisoformat(meta["lived_until"]),
            next_perm_id=int(meta["next_perm_id"]),
            next_execution=int(meta["next_execution"]),
            orders={order.perm_id: order for order in orders},
            holdings={holding.symbol: holding for holding in held},
            views=views,
            contracts={r["con_id"]: Contract(r["symbol"], r["con_id"], min_tick=Decimal(r["tick"])) for r in listed},
            refusals=tuple(json.loads(meta["refusals"])),
        )

    def _save(self, exchange: Exchange, now: datetime) -> None:
        raw, book = self._connection(), exchange.book
        book.lived_until = max(book.lived_until, now)
        raw.executemany(_ORDER, [order_row(book.orders[perm_id]) for perm_id in sorted(exchange.touched)])
        raw.executemany(_FILL, [fill_row(fill) for fill in exchange.fills])
        if exchange.fills:
            raw.execute("DELETE FROM holdings")
            raw.executemany(
                _HOLDING, [(h.symbol, h.con_id, h.quantity, str(h.cost)) for _, h in sorted(book.holdings.items())]
            )
        views = [(name, view) for name, view in sorted(book.views.items())]
        raw.executemany(_VIEW, [(n, quote_text(v.quote), v.taken_bid, v.taken_ask, v.traded) for n, v in views])
        told = [(each.client_id, *event_text(each.event)) for each in exchange.happened]
        raw.executemany("INSERT INTO events (client_id, kind, said) VALUES (?, ?, ?)", told)
        self._write_meta(
            {"cash": str(book.cash), "lived_until": book.lived_until.isoformat(), "refusals": json.dumps(book.refusals)}
        )
        self._write_meta({"next_perm_id": str(book.next_perm_id), "next_execution": str(book.next_execution)})

    def _write_meta(self, values: Mapping[str, str]) -> None:
        self._connection().executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", sorted(values.items()))

    def _data_version(self) -> int:
        return int(self._connection().execute("PRAGMA data_version").fetchone()[0])

    def _connection(self) -> sqlite3.Connection:
        if self._raw is None:
            raise BrokerDown("the paper account is not open", value=self.path)
        if not self.is_there:
            raise BrokerDown("the file of the paper account was deleted or replaced", value=self.path)
        return self._raw

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as failed:
            raise _in_our_words(failed, self.path) from failed
        except OSError as failed:
            raise PermanentFailure(
                f"the paper account cannot be written: {failed.strerror}", value=self.path
            ) from failed


def _pruned(book: Book) -> Book:
    """The book without orders that have ended, but for the parents of open ones."""
    parents = {order.parent for order in book.orders.values() if order.is_open}
    book.orders = {p: order for p, order in book.orders.items() if order.is_open or p in parents}
    return book


def _account_of(path: Path) -> str:
    """A paper account's id, made from where the file is."""
    return f"DU{int(hashlib.sha256(str(path).encode()).hexdigest(), 16) % 10**_DIGITS:0{_DIGITS}}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _in_our_words(failed: sqlite3.Error, path: Path) -> DeskError:
    code = getattr(failed, "sqlite_errorcode", 0) & 0xFF
    if code in _LASTING:
        return PermanentFailure(f"the paper account cannot be used: {failed}", value=path)
    return BrokerDown(f"the paper account does not answer: {failed}", value=path)
