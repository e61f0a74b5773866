"""Reads what really happened: the account's file, the ledger's tables, Dagster's history, the lake's files.

It opens the databases itself, read-only, with SQL of its own. The desk's readers are part of what is checked.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from desk.rehearsing.seen import Booked, Claim, Close, Decision, Fill, Halt, Intent, Order, Run, Sample, Told

BOOK = "desk"
_USD_PLACES = 4
_BUSY_S = 10.0
_CLAIMS = "day/part/"
_STARTED = "Started process for run (pid: "
_RUNS = """SELECT runs.run_id, pipeline_name, status, start_time, end_time, create_timestamp,
    max(CASE WHEN key = 'desk/part' THEN value END), max(CASE WHEN key = 'dagster/partition' THEN value END),
    max(CASE WHEN key = 'desk/slot' THEN value END)
    FROM runs LEFT JOIN run_tags ON run_tags.run_id = runs.run_id GROUP BY runs.run_id ORDER BY runs.id"""
_INTENTS = """SELECT intents.id, slot, strategy, symbol, action, quantity, plan_digest, plan,
    coalesce(state, ''), coalesce(why, ''), coalesce(opens, 0)
    FROM intents LEFT JOIN intent_states ON intent_id = intents.id WHERE intents.book = ? AND session = ? ORDER BY seq"""
_HALTS = """SELECT halts.id, cause, halts.at, acknowledgements.at FROM halts
    LEFT JOIN acknowledgements ON halt_id = halts.id WHERE book = ? ORDER BY halts.id"""
_TOLD = {
    "journal": "SELECT seq, at, kind, trim(symbol || ' ' || title) FROM journal WHERE book = ? AND seq > ? ORDER BY seq",
    "pages": "SELECT id, raised_at, severity, code || ': ' || sentence FROM pages WHERE book = ? AND id > ? ORDER BY id",
}


class Account:
    """The paper account, looked at while others trade in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sample(self, machine: float) -> Sample | None:
        """The account now; None while it is not there."""
        try:
            with _reading(self._path) as raw:
                meta = dict(raw.execute("SELECT name, value FROM meta"))
                held = dict(raw.execute("SELECT symbol, quantity FROM holdings"))
                orders = [
                    _order(row[0]) for row in raw.execute("SELECT said FROM orders WHERE open = 1 ORDER BY perm_id")
                ]
                marks = {
                    name: _mark(json.loads(quote)) for name, quote in raw.execute("SELECT symbol, quote FROM views")
                }
        except sqlite3.Error:
            return None
        known = {name: mark for name, mark in sorted(marks.items()) if mark is not None}
        at = datetime.fromisoformat(meta["lived_until"])
        return Sample(at, machine, Decimal(meta["cash"]), held, known, tuple(orders))

    def orders(self) -> tuple[Order, ...]:
        """Every order that it ever had."""
        with _reading(self._path) as raw:
            return tuple(_order(row[0]) for row in raw.execute("SELECT said FROM orders ORDER BY perm_id"))

    def fills(self) -> tuple[Fill, ...]:
        """Every execution that it ever had."""
        with _reading(self._path) as raw:
            return tuple(_fill(row[0]) for row in raw.execute("SELECT said FROM fills ORDER BY rowid"))


class Ledger:
    """The ledger's tables, for one session of the desk's book."""

    def __init__(self, path: Path, day: date) -> None:
        self._path, self._day = path, day.isoformat()

    def decisions(self) -> tuple[Decision, ...]:
        """Every decision of the session, in the order of its writing."""
        sql = "SELECT slot, as_of, state, reason FROM decisions WHERE book = ? AND session = ? ORDER BY id"
        with _reading(self._path) as raw:
            return tuple(Decision(r[0], _instant(r[1]), r[2], r[3]) for r in raw.execute(sql, (BOOK, self._day)))

    def intents(self) -> tuple[Intent, ...]:
        """Every intent of the session with its history and its seals."""
        with _reading(self._path) as raw:
            return tuple(_intent(raw, row) for row in raw.execute(_INTENTS, (BOOK, self._day)).fetchall())

    def state_now(self) -> tuple[str, ...]:
        """Where the session's intents stand."""
        with _reading(self._path) as raw:
            return tuple(row[0] for row in raw.execute("SELECT state FROM intent_states WHERE book = ?", (BOOK,)))

    def executions(self) -> tuple[Booked, ...]:
        """Every execution that the ledger holds."""
        sql = "SELECT exec_id, ref, symbol, side, quantity, price, executed_at FROM executions WHERE book = ? ORDER BY seq"
        with _reading(self._path) as raw:
            rows = raw.execute(sql, (BOOK,)).fetchall()
        return tuple(Booked(r[0], r[1], r[2], r[3], Decimal(r[4]), Decimal(r[5]), _instant(r[6])) for r in rows)

    def bar_orders(self) -> int:
        """How many orders of the session are filled from bars."""
        sql = "SELECT count(*) FROM orders WHERE book = ? AND session = ?"
        with _reading(self._path) as raw:
            return int(raw.execute(sql, (BOOK, self._day)).fetchone()[0])

    def bar_fills(self) -> tuple[Fill, ...]:
        """Every fill of the session from bars."""
        sql = """SELECT id, intent_id, symbol, side, quantity, price, fee, at FROM fills
            WHERE book = ? AND session = ? ORDER BY seq"""
        with _reading(self._path) as raw:
            rows = raw.execute(sql, (BOOK, self._day)).fetchall()
        return tuple(
            Fill(r[0], 0, f"D1:{r[1]}", r[2], r[3], r[4], _usd(r[5]), _usd(r[6]), _instant(r[7])) for r in rows
        )

    def halts(self) -> tuple[Halt, ...]:
        """Every halt, and when it was lifted."""
        with _reading(self._path) as raw:
            rows = raw.execute(_HALTS, (BOOK,)).fetchall()
        return tuple(Halt(r[0], r[1], _instant(r[2]), _instant(r[3]) if r[3] else None) for r in rows)

    def claims(self) -> tuple[Claim, ...]:
        """What became of the parts of the session."""
        sql = "SELECT key, value FROM app_state WHERE key LIKE ? ORDER BY key"
        with _reading(self._path) as raw:
            rows = raw.execute(sql, (f"{_CLAIMS}%/{self._day}%",)).fetchall()
        found = []
        for key, text in rows:
            told = json.loads(text)
            found.append(Claim(key.removeprefix(_CLAIMS), told["state"], told["attempt"], told.get("why", "")))
        return tuple(found)

    def close(self) -> Close | None:
        """How the session was settled; None where it was not."""
        sql = "SELECT cash, state FROM closes WHERE book = ? AND session = ?"
        with _reading(self._path) as raw:
            row = raw.execute(sql, (BOOK, self._day)).fetchone()
            held = dict(raw.execute("SELECT symbol, quantity FROM positions WHERE book = ? AND quantity != 0", (BOOK,)))
        return None if row is None else Close(_usd(row[0]), held)

    def journaled(self) -> frozenset[str]:
        """Slots whose decision stands in the journal."""
        sql = "SELECT body FROM journal WHERE book = ? AND session = ? AND kind = 'decision'"
        with _reading(self._path) as raw:
            return frozenset(json.loads(row[0])["slot"] for row in raw.execute(sql, (BOOK, self._day)))

    def missed_in_words(self) -> frozenset[str]:
        """Slots that the journal says were missed."""
        sql = "SELECT correlation_id FROM journal WHERE book = ? AND session = ? AND title LIKE 'missed: slot %'"
        with _reading(self._path) as raw:
            return frozenset(str(row[0]).rpartition("/")[2] for row in raw.execute(sql, (BOOK, self._day)))

    def gate_at(self, table: str, day: date) -> datetime | None:
        """When the gate of a session of a table was passed first."""
        sql = "SELECT min(at) FROM gates WHERE table_name = ? AND session = ? AND passed = 1"
        with _reading(self._path) as raw:
            row = raw.execute(sql, (table, day.isoformat())).fetchone()
        return _instant(row[0]) if row and row[0] else None

    def agreed_at(self) -> datetime | None:
        """When the newest complete snapshot was taken, if ledger and broker agreed in it."""
        with _reading(self._path) as raw:
            row = raw.execute("SELECT at FROM snapshots WHERE book = ? AND agrees = 1", (BOOK,)).fetchone()
        return _instant(row[0]) if row else None

    def paged(self) -> Mapping[str, datetime]:
        """The codes of pages, and when each was raised first."""
        sql = "SELECT code, min(raised_at) FROM pages WHERE book = ? GROUP BY code ORDER BY code"
        with _reading(self._path) as raw:
            return {code: _instant(at) for code, at in raw.execute(sql, (BOOK,))}

    def sign_of(self, process: str) -> str:
        """The last word of a process; empty where it never gave one."""
        with _reading(self._path) as raw:
            row = raw.execute("SELECT state FROM heartbeats WHERE process = ?", (process,)).fetchone()
        return str(row[0]) if row else ""

    def told(self, table: str, after: int) -> tuple[tuple[int, Told], ...]:
        """New lines of the journal or of the pages, each with its number."""
        with _reading(self._path) as raw:
            rows = raw.execute(_TOLD[table], (BOOK, after)).fetchall()
        return tuple((row[0], Told(_instant(row[1]), row[2], row[3])) for row in rows)


def runs_of(path: Path) -> tuple[Run, ...]:
    """Every run in Dagster's history."""
    if not path.exists():
        return ()
    with _reading(path) as raw:
        rows = raw.execute(_RUNS).fetchall()
    return tuple(
        Run(
            id=row[0],
            job=row[1],
            status=row[2],
            part=row[6] or "",
            partition=row[7] or "",
            slot=row[8] or "",
            asked=datetime.fromisoformat(row[5]).replace(tzinfo=UTC).timestamp(),
            started=row[3] or 0.0,
            ended=row[4] or 0.0,
        )
        for row in rows
    )


def process_of(events: Path) -> int:
    """The process in which a run says that it was started; 0 where it has not said so."""
    if not events.exists():
        return 0
    with _reading(events) as raw:
        row = raw.execute(
            "SELECT event FROM event_logs WHERE event LIKE ? ORDER BY id LIMIT 1", (f"%{_STARTED}%",)
        ).fetchone()
    found = re.search(re.escape(_STARTED) + r"(\d+)\)", row[0]) if row else None
    return int(found[1]) if found else 0


def late_rows(lake: Path, day: date, decided: Mapping[str, datetime]) -> Iterator[str]:
    """Rows of the desk's own tables that a decision of the session could not have known when it was made, in words.

    Opinions must have been knowable at the first decision of the day; a plan carries the instant of its own decision.
    """
    import polars as pl

    if not decided:
        return
    first = min(decided.values())
    for name in ("analyst_briefs", "stances"):
        for file in sorted((lake / BOOK / name).rglob("*.parquet")):
            rows = pl.read_parquet(file).filter(pl.col("session") == day)
            late = rows.filter(pl.col("knowable_at") > first)
            if len(late):
                yield f"{len(late)} rows of {name} were knowable after {first.isoformat()}"


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One consistent look; nothing can be written through it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_BUSY_S)) as raw:
        raw.execute("BEGIN")
        yield raw


def _intent(raw: sqlite3.Connection, row: tuple[Any, ...]) -> Intent:
    history = raw.execute("SELECT state FROM intent_history WHERE intent_id = ? ORDER BY seq", (row[0],)).fetchall()
    seals = raw.execute("SELECT signer, at, seal FROM seals WHERE intent_id = ? ORDER BY seq", (row[0],)).fetchall()
    return Intent(
        id=row[0],
        slot=row[1],
        strategy=row[2],
        symbol=row[3],
        action=row[4],
        quantity=row[5],
        digest=row[6],
        flat_by_close=bool(json.loads(row[7]).get("flat_by_close")),
        state=row[8],
        why=row[9],
        opens=bool(row[10]),
        states=tuple(each[0] for each in history),
        seals={signer: _instant(at) for signer, at, _ in seals},
        sealed_digests=frozenset(json.loads(each[2])["plan_digest"] for each in seals),
    )


def _order(text: str) -> Order:
    told = json.loads(text)
    return Order(
        perm_id=told["perm_id"],
        ref=told["ref"],
        symbol=told["symbol"],
        side=told["side"],
        kind=told["kind"],
        wanted=told["wanted"],
        filled=told["filled"],
        reduced=told["reduced"],
        status=told["status"],
        since=_instant(told["since"]),
        parent=told["parent"],
        oca_group=told["oca_group"],
        limit_price=_price(told["limit_price"]),
        stop_price=_price(told["stop_price"]),
        triggered=bool(told["triggered"]),
    )


def _fill(text: str) -> Fill:
    told = json.loads(text)
    return Fill(
        exec_id=told["exec_id"],
        perm_id=told["perm_id"],
        ref=told["ref"],
        symbol=told["symbol"],
        side=told["side"],
        quantity=int(Decimal(told["quantity"])),
        price=Decimal(told["price"]),
        fee=Decimal(told["fee"]),
        at=_instant(told["at"]),
    )


def _mark(quote: Mapping[str, Any]) -> Decimal | None:
    bid, ask, last = (_price(quote.get(name)) for name in ("bid", "ask", "last"))
    if bid is not None and ask is not None:
        return (bid + ask) / 2
    return last or bid or ask


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _usd(scaled: int) -> Decimal:
    return Decimal(scaled).scaleb(-_USD_PLACES)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def tag_of(path: Path, run_id: str, key: str) -> str | None:
    """A tag of a run."""
    with _reading(path) as raw:
        row = raw.execute("SELECT value FROM run_tags WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
    return str(row[0]) if row else None
