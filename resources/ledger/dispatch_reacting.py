"""A reaction in one transaction: the intent, its orders and SUBMITTING, so that one sync lies between a price and the wire.

Whoever reacts decides from a picture in memory. Bookings, adoptions and orders of others would make it another picture, and all
of them leave a mark: the transaction that makes the order reads it, and writes nothing where it has moved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_reading import tracked_of
from resources.ledger.dispatch_reductions import Made, order_text
from resources.ledger.dispatch_rows import OPEN_LEGS, leg_of
from resources.ledger.dispatch_states import lease_name
from resources.ledger.text import instant_text
from trading_assets.broker.lifecycle import IntentState, Tracked
from trading_assets.core.journal import Json
from trading_assets.execution.dispatch import NewLeg

LegsOf = Callable[[str], Sequence[NewLeg]]
"""Makes the orders of an intent, by its id."""
_L = t.LEGS.c
_OTHERS = sa.and_(_L.book == sa.bindparam("book"), _L.state.in_(OPEN_LEGS), _L.client_id != sa.bindparam("client_id"))
_MARK = sa.select(
    sa.select(sa.func.max(t.EXECUTIONS.c.seq)).scalar_subquery(),
    sa.select(sa.func.max(t.EXECUTION_FEES.c.seq)).scalar_subquery(),
    sa.select(sa.func.max(t.ADOPTIONS.c.seq)).scalar_subquery(),
    sa.func.count(),
    sa.func.sum(_L.order_id),
    sa.func.sum(_L.client_id),
).where(_OTHERS)
Mark = tuple[int | None, ...]
INSERT_LEGS = t.LEGS.insert()
_S, _LEASES = t.INTENT_STATES.c, t.LEASES.c
_HOLDS = sa.exists().where(
    _LEASES.name == sa.bindparam("lease"), _LEASES.token == sa.bindparam("held"), _LEASES.until > sa.bindparam("now")
)
_HALTED = sa.exists().where(
    t.HALTS.c.book == sa.bindparam("of_book"), t.HALTS.c.id.not_in(sa.select(t.ACKNOWLEDGEMENTS.c.halt_id))
)
SUBMISSION = t.INTENT_STATES.update().where(
    _S.intent_id == sa.bindparam("intent"),
    _S.book == sa.bindparam("of_book"),
    _S.state == "INTENT",
    _HOLDS,
    sa.not_(_S.opens) | ~_HALTED,
)
"""The one update after which orders may be on the wire."""


def mark_of(connection: sa.Connection, book: str, client_id: int) -> Mark:
    """What moves when a picture of the book becomes another one, but for orders of this client.

    An order that another client has placed since has a greater number than every one of its orders that has ended: count and sums
    cannot stay.
    """
    row = connection.execute(_MARK, {"book": book, "client_id": client_id}).one()
    return tuple(None if value is None else int(value) for value in row)


def submission(book: str, intent_id: str, token: int, as_of: datetime) -> dict[str, Any]:
    """What `SUBMISSION` is executed with."""
    now = instant_text(as_of)
    values = {"state": "SUBMITTING", "why": "", "token": token, "submitted_at": now, "at": now}
    return {**values, "intent": intent_id, "of_book": book, "lease": lease_name(book), "held": token, "now": now}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a new intent stands, as a row of `intent_states` with what `intents` says of it."""

    intent_id: str
    book: str
    symbol: str
    session: date
    slot: str
    quantity: int
    token: int
    state: IntentState = "INTENT"
    why: str = ""


def standing_of(made: Made, token: int) -> Standing:
    """An intent that this transaction has made."""
    return Standing(made.id, made.book, made.symbol, made.session, made.slot, made.quantity, token)


def submitted(row: Standing, legs: Sequence[dict[str, Any]], as_of: datetime) -> Tracked:
    """The intent and its orders as `known` will tell them from the commit on."""
    at = instant_text(as_of)
    kept = [leg_of(SimpleNamespace(**leg), (), Decimal(0)) for leg in legs]
    state = {"symbol": row.symbol, "quantity": row.quantity, "opens": False, "token": row.token, "absences": 0}
    told = {**state, "intent_id": row.intent_id, "state": "SUBMITTING", "submitted_at": at}
    return tracked_of(SimpleNamespace(**told), kept)


def leg_row(book: str, client_id: int, intent_id: str, leg: NewLeg, token: int, as_of: datetime) -> dict[str, Any]:
    """An order that is handed over, as `legs` keeps it."""
    request, now = leg.request, instant_text(as_of)
    return {
        "key": request.key,
        "book": book,
        "intent_id": intent_id,
        "role": leg.role,
        "symbol": request.contract.symbol,
        "con_id": request.contract.con_id,
        "side": request.side,
        "kind": request.kind,
        "quantity": request.quantity,
        "state": "sent",
        "why": "",
        "order_id": request.order_id,
        "client_id": client_id,
        "limit_price": request.limit_price,
        "stop_price": request.stop_price,
        "parent_key": leg.parent_key,
        "oca_group": request.oca_group,
        "token": token,
        "sent_at": now,
        "at": now,
    }


def new_order_text(intent_id: str, leg: NewLeg, as_of: datetime) -> str:
    """An order that no decision has written, as `orders` keeps it."""
    request = leg.request
    prices = {"limit_price": request.limit_price, "stop_price": request.stop_price}
    more: dict[str, Json] = {name: None if price is None else format(price, "f") for name, price in prices.items()}
    more |= {"parent_id": leg.parent_key or None, "time_in_force": request.tif}
    symbol = request.contract.symbol
    return order_text(
        request.key, intent_id, symbol, request.side, request.kind, leg.role, request.quantity, as_of, **more
    )
