"""What the broker told of a session, as decisions and settlements read it."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from pydantic import TypeAdapter

from resources.ledger import schema as t
from resources.ledger.dispatch_executions import Counted, Executions
from resources.ledger.dispatch_reading import open_legs, read_legs, read_snapshot
from resources.ledger.text import instant_of
from trading_assets.broker.journaling import new_york_day
from trading_assets.broker.lifecycle import Leg
from trading_assets.broker.model import REF_PREFIX
from trading_assets.execution.model import Order
from trading_assets.execution.told import Adoption, AtBroker, BookedExecution

_ORDER = TypeAdapter(Order)
_S, _A = t.INTENT_STATES.c, t.ADOPTIONS.c


def read_at_broker(connection: sa.Connection, book: str, session: date) -> AtBroker:
    """Executions and adoptions of a session, and orders that can still fill or are on their way to the broker."""
    executions = Executions(book)
    executions.read(connection)
    of_session = list(executions.counted(session, session))
    return AtBroker(
        executions=tuple(with_roles(connection, sorted(of_session, key=lambda booked: booked.execution.at))),
        adoptions=tuple(_adoptions(connection, book, session)),
        legs=(*read_legs(connection, executions, open_legs(book)), *_on_their_way(connection, book)),
        held=_held(connection, book),
    )


def with_roles(connection: sa.Connection, found: Sequence[Counted]) -> Iterator[BookedExecution]:
    """Executions, each with what its order is for."""
    keys = sorted({booked.leg_key for booked in found})
    query = sa.select(t.LEGS.c.key, t.LEGS.c.role).where(t.LEGS.c.key.in_(keys))
    roles = {row.key: row.role for row in connection.execute(query)} if keys else {}
    for booked in found:
        yield BookedExecution(
            execution=booked.execution,
            leg_key=booked.leg_key,
            intent_id=booked.intent_id,
            role=roles.get(booked.leg_key),
            fee=booked.fee,
        )


def _held(connection: sa.Connection, book: str) -> dict[str, int] | None:
    """Shares as the broker last told them; a part of a share is none that could be sold."""
    told = read_snapshot(connection, book)
    return None if told is None else {held.symbol: int(held.quantity) for held in told.positions}


def _adoptions(connection: sa.Connection, book: str, session: date) -> Iterator[Adoption]:
    for row in connection.execute(sa.select(t.ADOPTIONS).where(_A.book == book).order_by(_A.seq)):
        if new_york_day(instant_of(row.at)) == session:
            yield Adoption(row.symbol, Decimal(row.quantity), Decimal(row.average_cost), row.cash)


def _on_their_way(connection: sa.Connection, book: str) -> Iterator[Leg]:
    """Orders of intents that no gateway has sent yet."""
    waits = (_S.book == book) & _S.state.in_(("PROPOSED", "SIGNED", "INTENT"))
    query = sa.select(t.ORDERS.c.placed).join(t.INTENT_STATES, _S.intent_id == t.ORDERS.c.intent_id).where(waits)
    for row in connection.execute(query.order_by(t.ORDERS.c.seq)):
        order = _ORDER.validate_json(row.placed)
        yield Leg(
            key=order.id,
            intent_id=order.intent_id,
            ref=f"{REF_PREFIX}{order.intent_id}",
            role=order.role,
            symbol=order.symbol,
            con_id=0,
            side=order.side,
            kind=order.type,
            quantity=order.quantity,
            state="planned",
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            parent_key=order.parent_id or "",
            sent_at=order.placed_at,
        )
