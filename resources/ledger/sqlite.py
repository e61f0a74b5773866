"""The ledger in an SQLite file: write-ahead log, one writer at a time, and never another file than the one that was opened."""

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.ledger.disks import require_local_disk
from resources.ledger.failures import (
    BROKEN_DISK,
    DAMAGED,
    FULL_DISK,
    HELD,
    UNKNOWN_OUTCOME,
    Reaction,
    lasting,
    passing,
)
from trading_assets.core.errors import DeskError, PermanentFailure

WRITABLE = "make the file and its folder writable for this user"
CONNECTIONS, MORE_CONNECTIONS, CONNECTION_TIMEOUT_S = 5, 10, 5.0
_REACTIONS: Mapping[str | int, Reaction] = {
    **passing([sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED], HELD),
    **passing([sqlite3.SQLITE_FULL], FULL_DISK),
    **passing([sqlite3.SQLITE_IOERR], BROKEN_DISK),
    **lasting([sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM], WRITABLE),
    **lasting([sqlite3.SQLITE_CANTOPEN], "make the folder exist and be writable for this user"),
    **lasting([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB], DAMAGED),
}
_RETRY_S = 0.01
Identity = tuple[int, int] | None


def open_file(path: Path, *, durability: str, busy_timeout_ms: int) -> sa.Engine:
    """An engine on the file, which is made when it is not there; the schema is not touched.

    Connections are kept and used again. Each use of one sets `synchronous` anew, and looks whether the file and its log are still
    those that were opened: what is written to a file that was deleted or replaced would be lost without a word.

    Raises:
        PermanentFailure: the file or its folder cannot be written, or is not on a disk of this machine.
    """
    path = path.absolute()
    require_local_disk(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        file = _identity(path)
    except OSError as refused:
        raise PermanentFailure(
            f"the ledger cannot be written: {refused.strerror}", value=path, hint=WRITABLE
        ) from refused
    # Connections never create the file: a ledger that is deleted while the desk runs must stop it, not begin an empty book.
    url = sa.URL.create("sqlite", database=path.as_uri(), query={"mode": "rw", "uri": "true"})
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=CONNECTION_TIMEOUT_S,
        execution_options={"ledger": str(path)},
    )

    def connected(raw: Any, record: Any) -> None:
        _configure(raw, busy_timeout_ms)
        # The log is opened by the first read, and only then does another process that closes leave it where it is.
        raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        record.info["log"] = None
        _require_same(path, file, _identity(path))

    def taken(raw: Any, record: Any, _: Any) -> None:
        _require_same(path, file, _identity(path))
        log = _identity(_log_of(path))
        # A file that has never been written has no log yet.
        _require_same(_log_of(path), record.info["log"] or log, log)
        record.info["log"] = log
        raw.execute(f"PRAGMA synchronous = {durability}")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "checkout", taken)
    sa.event.listen(engine, "begin", _begin)
    return engine


def explain(failed: sa.exc.StatementError, ledger: str, *, committing: bool) -> DeskError | None:
    """The failure in the desk's words where the file or the disk is to blame; None for a bug.

    A disk that fails while the commit is synced leaves the end of the log to chance: the next start may find the commit, or not.
    """
    code = getattr(failed.orig, "sqlite_errorcode", 0) & 0xFF
    if committing and code == sqlite3.SQLITE_IOERR:
        return UNKNOWN_OUTCOME.tell(failed.orig, ledger)
    return _REACTIONS[code].tell(failed.orig, ledger) if code in _REACTIONS else None


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("ledger_reads", False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _configure(raw: Any, busy_timeout_ms: int) -> None:
    raw.isolation_level = None
    raw.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    _write_ahead(raw, busy_timeout_ms)
    raw.execute("PRAGMA foreign_keys = ON")
    # Without it, INSERT OR REPLACE removes a row of history past the trigger that refuses its deletion.
    raw.execute("PRAGMA recursive_triggers = ON")


def _write_ahead(raw: Any, busy_timeout_ms: int) -> None:
    """Turns the log on. SQLite does not wait for another process that is doing the same to a new file, so it is asked again."""
    until = time.monotonic() + busy_timeout_ms / 1000
    while True:
        try:
            mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as held:
            if held.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_RETRY_S)
        else:
            break
    if mode != "wal":
        raise PermanentFailure(
            "the disk cannot carry a write-ahead log", value=mode, hint="keep DESK_HOME on a local disk"
        )


def _require_same(path: Path, opened: Identity, found: Identity) -> None:
    if found != opened:
        raise PermanentFailure(
            "a file of the ledger was deleted or replaced while it was in use",
            value=path,
            hint="stop every process of the desk, restore the file or a backup, then run desk doctor",
        )


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _identity(path: Path) -> Identity:
    """Which file stands under the name; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twice in each transaction
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
