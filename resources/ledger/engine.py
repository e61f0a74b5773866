"""Opening a ledger file: pragmas on each connection, and the schema brought to this version's head.

SQLite in WAL mode; FULL synchronous where money is booked, NORMAL for a backtest that can be walked again.
"""

from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger.schema import HEAD
from trading_assets.core.errors import PermanentFailure, TransientFailure

Durability = Literal["FULL", "NORMAL"]
_BUSY_TIMEOUT_MS = 5_000


def open_ledger(path: Path, *, durability: Durability) -> sa.Engine:
    """An engine on the ledger file, created and migrated when needed.

    Raises:
        PermanentFailure: the file is no ledger, cannot be written, or was made by a newer version.
        TransientFailure: another process held the file for longer than the busy time-out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", lambda raw, _: _configure(raw, durability))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            _migrate(connection, path)
    except sa.exc.OperationalError as busy:
        raise TransientFailure(f"the ledger cannot be opened: {busy.orig}", value=path, hint="desk doctor") from busy
    except sa.exc.DatabaseError as broken:
        raise PermanentFailure(f"the ledger is damaged: {broken.orig}", value=path, hint="restore a backup") from broken
    return engine


def _configure(raw: Any, durability: Durability) -> None:
    raw.isolation_level = None
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
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
