"""What a process may write: the watchdog and the agents open the ledger under rights of their own.

On a server these are the server's: a role with grants, which `make_roles` or deploy/postgres_roles.sql makes. In a file, SQLite
asks before each statement. Both guard against what a process does by mistake or is talked into, not against whoever owns file or
server.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger import postgres, sqlite
from resources.ledger.engine import BUSY_TIMEOUT_MS, Durability, reading
from resources.ledger.schema import HEAD, METADATA
from trading_assets.core.errors import PermanentFailure

Role = Literal["watchdog", "agents"]
Right = Literal["INSERT", "UPDATE", "DELETE"]
ROLES: Mapping[Role, str] = {"watchdog": "desk_watchdog", "agents": "desk_agents"}
_ADD: tuple[Right, ...] = ("INSERT",)
_KEEP: tuple[Right, ...] = ("INSERT", "UPDATE")
_ALL: tuple[Right, ...] = ("INSERT", "UPDATE", "DELETE")
RIGHTS: Mapping[Role, Mapping[str, tuple[Right, ...]]] = {
    # It halts, pages, says that it lives, writes its own orders down before they are sent, and books what they came to.
    "watchdog": {
        "cursors": _KEEP,
        "execution_fees": _ADD,
        "executions": _ADD,
        "halts": _ADD,
        "heartbeats": _KEEP,
        "intent_history": _ADD,
        "intent_states": _KEEP,
        "intents": _ADD,
        "journal": _ADD,
        "leases": _KEEP,
        "legs": _KEEP,
        "listeners": _ALL,
        "messages": _ADD,
        "orders": _ADD,
        "pages": _KEEP,
        "perm_ids": _ADD,
    },
    # They think, pay for it and propose; orders, halts, seals and limits are not theirs.
    "agents": {
        "agent_health": _KEEP,
        "answers": _ADD,
        "batches": _KEEP,
        "breakers": _KEEP,
        "cursors": _KEEP,
        "heartbeats": _KEEP,
        "journal": _ADD,
        "listeners": _ALL,
        "messages": _ADD,
        "model_calls": _ADD,
        "pockets": _KEEP,
        "proposals": _ADD,
        "reservations": _ALL,
    },
}
_HINT = "this process was given fewer rights on purpose; let the process whose work it is do it"
_WRITES = {sqlite3.SQLITE_INSERT: "INSERT", sqlite3.SQLITE_UPDATE: "UPDATE", sqlite3.SQLITE_DELETE: "DELETE"}
_READS = frozenset(
    {
        *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE),
        *(sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),
    }
)
_PRAGMAS = frozenset({"query_only", "synchronous"})


def open_ledger_as(
    where: Path | str,
    role: Role,
    *,
    durability: Durability = "FULL",
    lane: str = "desk",
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> sa.Engine:
    """An engine on a ledger that exists, with the rights of a role; the schema is never changed.

    Raises:
        PermanentFailure: There is no ledger, it is of another version, or the server has no such role or does not grant it.
    """
    if isinstance(where, Path):
        if not where.exists():
            raise PermanentFailure("there is no ledger", value=where, hint="desk init makes it")
        engine = sqlite.open_file(where, durability=durability, busy_timeout_ms=busy_timeout_ms)
        _limit_file(engine, role)
    else:
        engine = postgres.open_server(where, durability=durability, lane=lane, busy_timeout_ms=busy_timeout_ms)
        _limit_server(engine, role)
    _require_head(engine)
    return engine


def make_roles(engine: sa.Engine, *, lane: str = "desk") -> None:
    """Makes or mends the roles on a PostgreSQL server, as the owner of the lane's schema; for the operator."""
    with engine.begin() as connection:
        for statement in statements(lane):
            connection.exec_driver_sql(statement)


def statements(lane: str = "desk") -> tuple[str, ...]:
    """What makes the roles, in SQL; it may be run again after every migration."""
    return tuple(statement for role in ROLES for statement in _of_role(role, lane))


def _of_role(role: Role, lane: str) -> list[str]:
    name = ROLES[role]
    made = [
        f"do $$ begin if not exists (select from pg_roles where rolname = '{name}')"
        f" then create role {name} nologin; end if; end $$",
        f"revoke all on all tables in schema {lane} from {name}",
        f"grant usage on schema {lane} to {name}",
        f"grant select on all tables in schema {lane} to {name}",
        f"grant usage on all sequences in schema {lane} to {name}",
    ]
    for table, rights in sorted(RIGHTS[role].items()):
        made.append(f"grant {', '.join(rights).lower()} on {lane}.{METADATA.tables[table].name} to {name}")
    return [*made, f"grant {name} to current_user"]


def _limit_server(engine: sa.Engine, role: Role) -> None:
    def connected(raw: Any, _: Any) -> None:
        raw.autocommit = True
        raw.execute(f"set role {ROLES[role]}")
        raw.autocommit = False

    sa.event.listen(engine, "connect", connected)


def _limit_file(engine: sa.Engine, role: Role) -> None:
    rights = RIGHTS[role]

    def allowed(action: int, first: str | None, _: str | None, __: str | None, ___: str | None) -> int:
        if action in _READS or (action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS):
            return sqlite3.SQLITE_OK
        # SQLite counts rows in a table of its own.
        if first == "sqlite_sequence" and action in _WRITES:
            return sqlite3.SQLITE_OK
        writes = _WRITES.get(action) in rights.get(first or "", ())
        return sqlite3.SQLITE_OK if writes else sqlite3.SQLITE_DENY

    def connected(raw: Any, _: Any) -> None:
        raw.set_authorizer(allowed)

    def refused(context: Any) -> None:
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_AUTH:
            raise PermanentFailure(
                f"the role {role} may not do this to the ledger", value=context.statement, hint=_HINT
            )

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "handle_error", refused)


def _require_head(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        version = connection.execute(sa.text("select version_num from alembic_version")).scalar()
    if version != HEAD:
        raise PermanentFailure(
            "the ledger is of another version than this program",
            value=version,
            bound=HEAD,
            hint="start the desk or the gateway of this version first: it brings the ledger up to date",
        )
