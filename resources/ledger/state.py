"""The state of processes: small values, signs of life, and leases that keep a paused holder from writing late."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import instant_of, instant_text, storable, words
from trading_assets.core.errors import PermanentFailure, TradingHalted


class AppState:
    """Small values under a key, for what must survive a restart and belongs to no other table."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, key: str) -> str | None:
        """The value, or None when the key was never set."""
        with reading(self._engine) as connection:
            return state_value(connection, key)

    def set(self, key: str, value: str, *, as_of: datetime) -> None:
        """Replaces the value."""
        with transaction(self._engine) as connection:
            put_state(connection, key, value, as_of)

    def compare_and_set(self, key: str, expected: str | None, value: str, *, as_of: datetime) -> bool:
        """Replaces the value if it is the expected one (None: never set); whether it did. Of many callers one wins."""
        with transaction(self._engine) as connection:
            if state_value(connection, key) != expected:
                return False
            put_state(connection, key, value, as_of)
            return True


def state_value(connection: sa.Connection, key: str) -> str | None:
    """`AppState.get` on an open transaction."""
    found = connection.execute(sa.select(t.APP_STATE.c.value).where(t.APP_STATE.c.key == key)).scalar()
    return None if found is None else str(found)


def put_state(connection: sa.Connection, key: str, value: str, as_of: datetime) -> None:
    """`AppState.set` on an open writing transaction."""
    row = {"value": storable("a value", value), "at": instant_text(as_of)}
    changed = connection.execute(t.APP_STATE.update().where(t.APP_STATE.c.key == storable("a key", key)).values(row))
    if changed.rowcount == 0:
        connection.execute(t.APP_STATE.insert().values({"key": key, **row}))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of a process. `age` is negative when the process's clock is ahead.

    `version` is the program that it runs and `limits_hash` the sha256 of the limits that it was started with; empty where it says
    nothing.
    """

    process: str
    pid: int
    state: str
    at: datetime
    age: timedelta
    version: str = ""
    limits_hash: str = ""

    def is_fresh(self, limit: timedelta) -> bool:
        """Whether it is at most `limit` old; one that lies further ahead than that proves nothing either."""
        return abs(self.age) <= limit


class Heartbeats:
    """Signs of life of the long-lived processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def beat(
        self, process: str, *, pid: int, state: str, as_of: datetime, version: str = "", limits_hash: str = ""
    ) -> None:
        """Says that the process lives, what it is doing and under which limits; the latest call counts, whatever its clock says."""
        told = {"version": storable("a version", version), "limits_hash": storable("a limits hash", limits_hash)}
        row = {"pid": pid, "state": words(state), "at": instant_text(as_of), **told}
        mine = t.HEARTBEATS.c.process == storable("a process's name", process)
        with transaction(self._engine) as connection:
            changed = connection.execute(t.HEARTBEATS.update().where(mine).values(row))
            if changed.rowcount == 0:
                connection.execute(t.HEARTBEATS.insert().values({"process": process, **row}))

    def ages(self, *, as_of: datetime) -> dict[str, Heartbeat]:
        """Process to its last sign of life."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(t.HEARTBEATS).order_by(t.HEARTBEATS.c.process)).all()
        return {
            row.process: Heartbeat(
                process=row.process,
                pid=row.pid,
                state=row.state,
                at=instant_of(row.at),
                age=as_of - instant_of(row.at),
                version=row.version,
                limits_hash=row.limits_hash,
            )
            for row in rows
        }


class LeaseLost(TradingHalted):
    """Another process holds the lease, or it ran out: what it guarded must not be done."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone until an instant. Each grant has a greater token than all before it."""

    name: str
    holder: str
    token: int
    until: datetime


class Leases:
    """Rights that one process holds at a time.

    A holder that was paused does not know that its lease ran out. So the token is compared in the transaction that writes
    (`guarded`, `require`): on one writer at a time, nobody can take the lease between the comparison and the commit.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def acquire(self, name: str, holder: str, *, as_of: datetime, ttl: timedelta) -> Lease | None:
        """The lease under a new token, or None while anybody holds it, also when that is an earlier grant to the same holder."""
        until = _until(as_of, ttl)
        storable("a lease's name or holder", name + holder)
        with transaction(self._engine) as connection:
            row = _lease(connection, name)
            if row is not None and row.until > instant_text(as_of):
                return None
            token = 1 if row is None else row.token + 1
            values = {"holder": holder, "token": token, "until": until}
            insert = t.LEASES.insert().values({"name": name, **values})
            connection.execute(insert if row is None else _of(name).values(values))
        return Lease(name, holder, token, instant_of(until))

    def renew(self, lease: Lease, *, as_of: datetime, ttl: timedelta) -> Lease:
        """The same grant for longer; a clock that stepped back does not shorten it.

        Raises:
            LeaseLost: it ran out or belongs to another grant; acquire it anew.
        """
        with self.guarded(lease, as_of=as_of) as connection:
            until = max(_until(as_of, ttl), instant_text(lease.until))
            connection.execute(_of(lease.name).values(until=until))
        return Lease(lease.name, lease.holder, lease.token, instant_of(until))

    def release(self, lease: Lease, *, as_of: datetime) -> bool:
        """Ends the grant at once; False when it was lost before."""
        with transaction(self._engine) as connection:
            mine = _of(lease.name).where(t.LEASES.c.token == lease.token, t.LEASES.c.until > instant_text(as_of))
            return connection.execute(mine.values(until=instant_text(as_of))).rowcount == 1

    def current(self, name: str) -> Lease | None:
        """The newest grant, run out or not."""
        with reading(self._engine) as connection:
            row = _lease(connection, name)
        return None if row is None else Lease(row.name, row.holder, row.token, instant_of(row.until))

    @contextmanager
    def guarded(self, lease: Lease, *, as_of: datetime) -> Iterator[sa.Connection]:
        """A writing transaction for the holder.

        Raises:
            LeaseLost: before anything is written.
        """
        with transaction(self._engine) as connection:
            require(connection, lease, as_of=as_of)
            yield connection


def require(connection: sa.Connection, lease: Lease, *, as_of: datetime) -> None:
    """Refuses unless the lease is the newest grant and still runs; belongs into the transaction whose writes it guards.

    Raises:
        LeaseLost: names the holder that came after.
    """
    row = _lease(connection, lease.name)
    if row is None or row.token != lease.token:
        who = "nobody" if row is None else f"{row.holder} (token {row.token})"
        raise LeaseLost(f"the lease {lease.name} has passed on", value=f"token {lease.token}", bound=who, hint=_HINT)
    if row.until <= instant_text(as_of):
        raise LeaseLost(f"the lease {lease.name} has run out", value=instant_text(as_of), bound=row.until, hint=_HINT)


# Statements of the hot path are made once: making one costs more than running it.
_LEASE = sa.select(t.LEASES).where(t.LEASES.c.name == sa.bindparam("name"))
_HINT = "stop, or acquire it anew and read everything again before going on"


def _lease(connection: sa.Connection, name: str) -> Any:
    return connection.execute(_LEASE, {"name": name}).first()


def _of(name: str) -> sa.Update:
    return t.LEASES.update().where(t.LEASES.c.name == name)


def _until(as_of: datetime, ttl: timedelta) -> str:
    if ttl <= timedelta(0):
        raise PermanentFailure("a lease must run for some time", value=ttl)
    return instant_text(as_of + ttl)
