"""Batches as the ledger keeps them: what was asked, what it may cost, and the provider's handle, readable in any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

import sqlalchemy as sa
from pydantic import BaseModel

from resources.ledger import schema as t
from resources.ledger.text import canonical, instant_of, instant_text, storable
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.model import Budget, RouteName

State = Literal["reserving", "submitting", "submitted", "ended", "collected", "refused"]
OPEN: tuple[State, ...] = ("reserving", "submitting", "submitted", "ended")
_IDENTITY = 24


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One question of a batch.

    Args:
        key: The key under which a replay looks the answer up.
        skill: Whose question it is.
        skill_hash: The skill as it was rendered.
        request: The whole request as the answer book keeps it.
        system: The standing words.
        user: The question.
        output: The answer's type.
        max_tokens: The most output tokens.
        budget: What it is paid from.
    """

    key: str
    skill: str
    skill_hash: str
    request: str
    system: str
    user: str
    output: type[BaseModel]
    max_tokens: int
    budget: Budget


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """What another process needs to know of a question. `reserved_usd` is the most that it may cost."""

    key: str
    skill: str
    skill_hash: str
    request: str
    day: str
    reserved_usd: Decimal


@dataclass(frozen=True, slots=True)
class BatchTicket:
    """A batch and how far it is. `provider_id` is the provider's own name for it, once it has one."""

    id: str
    route: RouteName
    model: str
    state: State
    requests: int
    at: datetime
    provider_id: str | None = None


@dataclass(frozen=True)
class BatchRow:
    """A ticket with everything behind it; `pending` is the provider's handle as JSON, at first only what its requests share."""

    ticket: BatchTicket
    requests: tuple[StoredRequest, ...]
    pending: dict[str, Any]

    def reservation(self, place: int) -> str:
        """The reservation of one question, which is also its name in the provider's results."""
        return f"{self.ticket.id}_{place}"


def identity_of(route: RouteName, model: str, keys: Sequence[str]) -> str:
    """What batches of the same questions to the same model share; they differ in the number behind it."""
    return hashlib.sha256(canonical([route, model, sorted(keys)]).encode()).hexdigest()[:_IDENTITY]


def newest(connection: sa.Connection, identity: str) -> BatchRow | None:
    """The newest batch of the same questions."""
    same = sa.select(t.BATCHES).where(t.BATCHES.c.id.startswith(f"{identity}-", autoescape=True))
    rows = [_row(found) for found in connection.execute(same)]
    return max(rows, key=lambda row: _number(row.ticket.id), default=None)


def next_id(identity: str, before: BatchRow | None) -> str:
    """The id of the next batch of the same questions."""
    return f"{identity}-{_number(before.ticket.id) + 1 if before else 1}"


def insert(
    connection: sa.Connection, batch: str, route: RouteName, model: str, requests: Sequence[StoredRequest], at: datetime
) -> BatchRow:
    """Stores a batch that nothing was reserved for yet."""
    stored = [
        {
            "key": one.key,
            "skill": one.skill,
            "skill_hash": one.skill_hash,
            "request": storable("a batch's request", one.request),
            "day": one.day,
            "reserved_usd": str(one.reserved_usd),
        }
        for one in requests
    ]
    connection.execute(
        t.BATCHES.insert(),
        {
            "id": batch,
            "route": route,
            "model": model,
            "state": "reserving",
            "pending": canonical({}),
            "requests": canonical(stored),
            "at": instant_text(at),
        },
    )
    return BatchRow(BatchTicket(batch, route, model, "reserving", len(stored), at), tuple(requests), {})


def load(connection: sa.Connection, batch: str) -> BatchRow:
    """The batch.

    Raises:
        PermanentFailure: there is none of that id.
    """
    found = connection.execute(sa.select(t.BATCHES).where(t.BATCHES.c.id == batch)).first()
    if found is None:
        raise PermanentFailure("there is no such batch", value=batch)
    return _row(found)


def unfinished(connection: sa.Connection) -> tuple[BatchRow, ...]:
    """The batches that are neither collected nor refused, oldest first."""
    query = sa.select(t.BATCHES).where(t.BATCHES.c.state.in_(OPEN)).order_by(t.BATCHES.c.at, t.BATCHES.c.id)
    return tuple(_row(found) for found in connection.execute(query))


def provider_ids(connection: sa.Connection) -> set[str]:
    """The provider's names of all batches that are known to be the desk's."""
    pending: Sequence[str] = connection.execute(sa.select(t.BATCHES.c.pending)).scalars().all()
    handles = [json.loads(handle) for handle in pending]
    return {str(handle["id"]) for handle in handles if "id" in handle}


def reserved(connection: sa.Connection, row: BatchRow) -> list[str]:
    """The batch's reservations that nobody has settled yet."""
    mine = t.RESERVATIONS.c.id.startswith(f"{row.ticket.id}_", autoescape=True)
    return list(connection.execute(sa.select(t.RESERVATIONS.c.id).where(mine)).scalars())


def move(
    connection: sa.Connection,
    row: BatchRow,
    state: State,
    *,
    pending: dict[str, Any] | None = None,
    collected: datetime | None = None,
) -> bool:
    """From the row's state to another one; False when another process has moved it meanwhile."""
    values: dict[str, Any] = {"state": state}
    if pending is not None:
        values["pending"] = canonical(pending)
    if collected is not None:
        values["collected"] = instant_text(collected)
    mine = sa.and_(t.BATCHES.c.id == row.ticket.id, t.BATCHES.c.state == row.ticket.state)
    return connection.execute(t.BATCHES.update().where(mine).values(values)).rowcount == 1


def _row(found: Any) -> BatchRow:
    requests = tuple(
        StoredRequest(**{**one, "reserved_usd": Decimal(one["reserved_usd"])}) for one in json.loads(found.requests)
    )
    pending = json.loads(found.pending)
    if found.route not in get_args(RouteName):
        raise PermanentFailure("a batch is of no route that is known", value=found.route)
    ticket = BatchTicket(
        found.id, found.route, found.model, found.state, len(requests), instant_of(found.at), pending.get("id")
    )
    return BatchRow(ticket, requests, pending)


def _number(batch: str) -> int:
    return int(batch.rpartition("-")[2])
