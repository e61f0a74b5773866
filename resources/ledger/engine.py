"""Opening a ledger, in an SQLite file or on a PostgreSQL server, and the two ways to work with it: write alone, or read a snapshot.

The schema is brought to this version's head when a ledger is opened.
"""

import atexit
import os
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger import postgres, sqlite
from resources.ledger.failures import OutcomeUnknown
from resources.ledger.schema import HEAD
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure

__all__ = ["BUSY_TIMEOUT_MS", "Durability", "OutcomeUnknown", "open_ledger", "reading", "transaction"]

Durability = Literal["FULL", "NORMAL"]
BUSY_TIMEOUT_MS = 5_000
_DATABASES: Mapping[str, Any] = {"sqlite": sqlite, "postgresql": postgres}
# A process that opens ledgers again and again keeps the idle connections of the newest few only.
ENGINES_WITH_IDLE_CONNECTIONS_MAX = 16
_OPEN: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
_NEWEST: deque[weakref.ref[sa.Engine]] = deque()
_OF_PARENTS: list[object] = []


def open_ledger(
    where: Path | str, *, durability: Durability, lane: str = "desk", busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> sa.Engine:
    """An engine on the ledger, created and migrated when needed.

    Args:
        where: A file, or the URL of a PostgreSQL database: postgresql://user:password@host/database.
        durability: FULL: a power cut loses nothing that was committed. NORMAL: it may lose the newest commits, and only those.
        lane: The schema on a server; a file holds one lane.
        busy_timeout_ms: How long to wait for another writer.

    Raises:
        ConfigurationError: the URL is not PostgreSQL's.
        PermanentFailure: no ledger, or one of a newer version; not writable; not on a local disk; a server that does not sync.
        TransientFailure: another process wrote for longer than the busy time-out; a full disk; a server that cannot be reached.
    """
    if isinstance(where, Path):
        engine = sqlite.open_file(where, durability=durability, busy_timeout_ms=busy_timeout_ms)
    else:
        engine = postgres.open_server(where, durability=durability, lane=lane, busy_timeout_ms=busy_timeout_ms)
    _remember(engine)
    with reading(engine) as connection:
        at_head = _version(connection) == HEAD
    if not at_head:
        with transaction(engine) as connection:
            _migrate(connection, lane)
        # The first connection was made before the file had its log.
        engine.dispose()
    return engine


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction of the ledger's only writer: whatever it reads stays true until it commits.

    Raises:
        OutcomeUnknown: the database failed in the commit; read again by key what became of it.
        TransientFailure, PermanentFailure: what file, disk or server refused; nothing is stored.
    """
    committing = False
    try:
        with engine.begin() as connection:
            yield connection
            committing = True
    except sa.exc.SQLAlchemyError as failed:
        known = _known(failed, engine, committing=committing)
        if known is None:
            raise
        raise known from failed


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A snapshot that waits for no writer and makes none wait; writing in it is refused by the database.

    Raises:
        TransientFailure, PermanentFailure: what file, disk or server refused.
    """
    try:
        with engine.connect().execution_options(ledger_reads=True) as connection, connection.begin():
            yield connection
    except sa.exc.SQLAlchemyError as failed:
        known = _known(failed, engine, committing=False)
        if known is None:
            raise
        raise known from failed


def _known(failed: sa.exc.SQLAlchemyError, engine: sa.Engine, *, committing: bool) -> DeskError | None:
    """The failure in the desk's words where the database or an amount is to blame; None for a bug."""
    ledger = engine.get_execution_options()["ledger"]
    if isinstance(failed, sa.exc.TimeoutError):
        return TransientFailure(
            "every connection to the ledger is in use",
            value=ledger,
            hint="end other work of this process, then run this again",
        )
    if not isinstance(failed, sa.exc.StatementError):
        return None
    if isinstance(failed.orig, DeskError):
        return failed.orig
    known: DeskError | None = _DATABASES[engine.dialect.name].explain(failed, ledger, committing=committing)
    return known


def _migrate(connection: sa.Connection, lane: str) -> None:
    """Brings the schema to this version's head, unless another process did so in the meantime."""
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
        ledger = connection.get_execution_options()["ledger"]
        raise PermanentFailure(
            "the ledger was made by a newer version",
            value=version,
            bound=HEAD,
            hint=f"install the version that made it, or restore the backup from before it: {ledger}",
        )
    if connection.dialect.name == "postgresql":
        postgres.make_schema(connection, lane)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("select version_num from alembic_version")).scalar()


def _remember(engine: sa.Engine) -> None:
    _OPEN.add(engine)
    _NEWEST.append(weakref.ref(engine))
    while len(_NEWEST) > ENGINES_WITH_IDLE_CONNECTIONS_MAX:
        older = _NEWEST.popleft()()
        if older is not None:
            older.dispose()


def _leave_to_the_parent() -> None:
    """A forked child opens connections of its own; it neither uses nor closes those of its parent."""
    for engine in list(_OPEN):
        _OF_PARENTS.append(engine.pool)
        engine.dispose(close=False)


def _close_all() -> None:
    """The last process to close an SQLite file moves its log into it."""
    for engine in list(_OPEN):
        engine.dispose()


os.register_at_fork(after_in_child=_leave_to_the_parent)
atexit.register(_close_all)
