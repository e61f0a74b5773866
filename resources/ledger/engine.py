"""Opening a ledger file: pragmas on each connection, and the schema brought to this version's head.

SQLite in WAL mode; FULL synchronous where money is booked, NORMAL for a backtest that can be walked again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger.schema import HEAD
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure

Durability = Literal["FULL", "NORMAL"]
BUSY_TIMEOUT_MS = 5_000
_PASSING = {
    sqlite3.SQLITE_BUSY: "another process holds it; wait until that process ends, then run this again",
    sqlite3.SQLITE_LOCKED: "another process holds it; wait until that process ends, then run this again",
    sqlite3.SQLITE_FULL: "make room on the disk, then run this again",
    sqlite3.SQLITE_IOERR: "mend the disk, then run this again",
}
_LASTING = {
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the folder exist and be writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CORRUPT: "restore a backup; desk doctor examines it",
    sqlite3.SQLITE_NOTADB: "restore a backup; desk doctor examines it",
}


def open_ledger(path: Path, *, durability: Durability, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sa.Engine:
    """An engine on the ledger file, created and migrated when needed.

    Raises:
        PermanentFailure: the file is no ledger, cannot be written, or was made by a newer version.
        TransientFailure: another process held the file for longer than the busy time-out, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as refused:
        raise PermanentFailure(
            f"the ledger cannot be written: {refused.strerror}", value=path, hint=_LASTING[sqlite3.SQLITE_READONLY]
        ) from refused
    # Connections never create the file: a ledger that is deleted while the desk runs must stop it, not begin an empty book.
    url = sa.URL.create("sqlite", database=path.absolute().as_uri(), query={"mode": "rw", "uri": "true"})
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", lambda raw, _: _configure(raw, durability, busy_timeout_ms))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with transaction(engine) as connection:
        _migrate(connection, path)
    return engine


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that has the write lock; what the file or the disk refuses is raised as a failure that names the file."""
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.StatementError as failed:
        known = _known(failed, engine.url.database)
        if known is None:
            raise
        raise known from failed


def _known(failed: sa.exc.StatementError, path: str | None) -> DeskError | None:
    """The failure in the desk's words where the file, the disk or an amount is to blame; None for a bug."""
    if isinstance(failed.orig, DeskError):
        return failed.orig
    code = getattr(failed.orig, "sqlite_errorcode", 0) & 0xFF
    what = f"the ledger refused: {failed.orig}"
    if code in _PASSING:
        return TransientFailure(what, value=path, hint=_PASSING[code])
    if code in _LASTING:
        return PermanentFailure(what, value=path, hint=_LASTING[code])
    return None


def _configure(raw: Any, durability: Durability, busy_timeout_ms: int) -> None:
    raw.isolation_level = None
    for pragma in (
        f"busy_timeout = {busy_timeout_ms}",
        "journal_mode = WAL",
        f"synchronous = {durability}",
        "foreign_keys = ON",
    ):
        raw.execute(f"PRAGMA {pragma}")


def _migrate(connection: sa.Connection, path: Path) -> None:
    version = _version(connection)
    if version == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise PermanentFailure("the ledger was made by a newer version", value=version, bound=HEAD, hint=f"see {path}")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("select version_num from alembic_version")).scalar()
