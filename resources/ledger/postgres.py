"""The ledger on a PostgreSQL server: each lane is a schema of its own, with one writer at a time as in a file."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

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
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure

CONNECTIONS, MORE_CONNECTIONS, CONNECTION_TIMEOUT_S = 5, 5, 5.0
_GONE = "start the server or wait for it, then run this again; what was not committed is not stored"
_SIGN_IN = "mend user, password, database and options in LEDGER_URL, or let the server admit them"
_REACTIONS: Mapping[str | int, Reaction] = {
    **passing(["55P03"], HELD),
    **passing(["40001", "40P01", "57014", "25P03"], "run this again"),
    **passing(["53100"], FULL_DISK),
    **passing(["53200", "53300", "53400"], "end other work on the server, then run this again"),
    **passing(["57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006", "08007"], _GONE),
    **passing(["58030"], BROKEN_DISK),
    **lasting(["25006"], "name the server that may be written in LEDGER_URL"),
    **lasting(["42501"], "grant the user of LEDGER_URL the right to create and write the lane's schema"),
    **lasting(["28000", "28P01", "3D000"], _SIGN_IN),
    **lasting(["XX001", "XX002"], DAMAGED),
}
# What libpq and the server say while a connection is made carries no code.
_WRONG_ADDRESS = re.compile(
    "password|authentication|pg_hba|role .* does not exist|database .* does not exist|connection option"
)
_LANE = re.compile("[a-z][a-z0-9_]{0,62}")
_LEVELS = {"FULL": "on", "NORMAL": "off"}


def open_server(url: str, *, durability: str, lane: str, busy_timeout_ms: int) -> sa.Engine:
    """An engine on the lane's schema, which is made when the schema is migrated.

    Raises:
        ConfigurationError: the address is not PostgreSQL's, or the lane cannot name a schema.
    """
    address = _address(url)
    if not _LANE.fullmatch(lane):
        raise ConfigurationError("a lane names a schema: small letters, digits and _", value=lane, bound=_LANE.pattern)
    wanted = {
        "connect_timeout": int(CONNECTION_TIMEOUT_S),
        "application_name": f"desk {lane}",
        "tcp_user_timeout": 30_000,
    }
    engine = sa.create_engine(
        address,
        poolclass=sa.QueuePool,
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=CONNECTION_TIMEOUT_S,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={name: value for name, value in wanted.items() if name not in address.query},
        execution_options={"ledger": _shown(address, lane)},
    )
    key, level = _key(lane), _LEVELS[durability]

    def connected(raw: Any, _: Any) -> None:
        _configure(raw, lane, busy_timeout_ms)
        if durability == "FULL":
            _require_synced(raw, _shown(address, lane))

    def begun(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("ledger_reads", False):
            connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
        else:
            connection.exec_driver_sql(
                "select pg_advisory_xact_lock(%s), set_config('synchronous_commit', %s, true)", (key, level)
            )

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)
    return engine


def make_schema(connection: sa.Connection, lane: str) -> None:
    """Creates the lane's schema where it is missing; the lane's lock is held, since two processes cannot create it at once."""
    if not connection.scalar(sa.text("select to_regnamespace(:lane)"), {"lane": f'"{lane}"'}):
        connection.exec_driver_sql(f'create schema "{lane}"')


def explain(failed: sa.exc.StatementError, ledger: str, *, committing: bool) -> DeskError | None:
    """The failure in the desk's words where the server or the way to it is to blame; None for a bug."""
    code: str | None = getattr(failed.orig, "sqlstate", None)
    lost = isinstance(failed, sa.exc.DBAPIError) and failed.connection_invalidated
    if committing and (lost or code is None):
        return UNKNOWN_OUTCOME.tell(failed.orig, ledger)
    if code is not None and code in _REACTIONS:
        return _REACTIONS[code].tell(failed.orig, ledger)
    if code is None and _WRONG_ADDRESS.search(str(failed.orig)):
        return _REACTIONS["28000"].tell(failed.orig, ledger)
    if lost or (code is None and isinstance(failed, sa.exc.OperationalError)):
        return _REACTIONS["08006"].tell(failed.orig, ledger)
    return None


def _address(url: str) -> sa.URL:
    """What the URL says; it is never shown, since it may hold a password that it does not look like holding."""
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        address = sa.URL.create("unreadable")
    if address.drivername not in {"postgres", "postgresql", "postgresql+psycopg"} or not address.database:
        raise ConfigurationError(
            "the ledger's address is not one of PostgreSQL",
            value=address.drivername,
            bound="postgresql://user:password@host:port/database",
            hint="mend LEDGER_URL, or unset it to keep the ledger in a file",
        )
    return address.set(drivername="postgresql+psycopg")


def _shown(address: sa.URL, lane: str) -> str:
    """The address without password and options."""
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{address.username or ''}@{address.host or ''}{port}/{address.database} schema {lane}"


def _configure(raw: Any, lane: str, busy_timeout_ms: int) -> None:
    raw.autocommit = True
    raw.execute(
        "select set_config('search_path', %s, false), set_config('lock_timeout', %s, false),"
        " set_config('timezone', 'UTC', false)",
        (f'"{lane}"', f"{busy_timeout_ms}ms"),
    )
    raw.autocommit = False


def _require_synced(raw: Any, ledger: str) -> None:
    raw.autocommit = True
    lowered = [name for name in ("fsync", "full_page_writes") if raw.execute(f"show {name}").fetchone()[0] != "on"]
    raw.autocommit = False
    if lowered:
        raise PermanentFailure(
            f"the server would lose booked money in a power cut: {' and '.join(lowered)} is off",
            value=ledger,
            bound="on",
            hint="turn it on in postgresql.conf and restart the server",
        )


def _key(lane: str) -> int:
    """The number that stands for the lane's lock in its database."""
    return int.from_bytes(hashlib.sha256(f"ledger {lane}".encode()).digest()[:8], signed=True)
