"""Rows of orders at a broker as the values that they stand for, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from resources.ledger import schema as t
from resources.ledger.text import instant_of, instant_text, storable
from trading_assets.broker.journaling import new_york_day
from trading_assets.broker.lifecycle import Leg, LegState
from trading_assets.broker.model import REF_PREFIX, Contract, Execution, HeldPosition, OrderReport
from trading_assets.core.errors import PermanentFailure

CONTRACT = TypeAdapter(Contract)
REPORT = TypeAdapter(OrderReport)
REPORTS = TypeAdapter(tuple[OrderReport, ...])
POSITIONS = TypeAdapter(tuple[HeldPosition, ...])
OPEN_LEGS: tuple[LegState, ...] = ("sent", "held", "working", "pending_cancel")


def leg_of(row: Any, perm_ids: Sequence[int], filled: Decimal) -> Leg:
    """A row of `legs`, with what the broker calls it and what it has filled."""
    return Leg(
        key=row.key,
        intent_id=row.intent_id,
        ref=f"{REF_PREFIX}{row.intent_id}",
        role=row.role,
        symbol=row.symbol,
        con_id=row.con_id,
        side=row.side,
        kind=row.kind,
        quantity=row.quantity,
        state=row.state,
        order_id=row.order_id,
        client_id=row.client_id,
        perm_ids=tuple(perm_ids),
        filled=filled,
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        parent_key=row.parent_key,
        oca_group=row.oca_group,
        sent_at=instant_of(row.sent_at),
    )


def execution_of(row: Any) -> Execution:
    """A row of `executions`."""
    return Execution(
        exec_id=row.exec_id,
        perm_id=row.perm_id,
        order_id=row.order_id,
        client_id=row.client_id,
        ref=row.ref,
        account=row.account,
        symbol=row.symbol,
        con_id=row.con_id,
        side=row.side,
        quantity=Decimal(row.quantity),
        price=Decimal(row.price),
        at=instant_of(row.executed_at),
        liquidation=bool(row.liquidation),
    )


def execution_row(done: Execution) -> dict[str, Any]:
    """What `executions` keeps of an execution itself.

    Raises:
        PermanentFailure: Quantity or price is not a number that can be booked.
    """
    if not (done.quantity.is_finite() and done.quantity > 0):
        raise PermanentFailure(f"execution {done.exec_id} has no quantity", value=done.quantity, bound="more than 0")
    if not (done.price.is_finite() and done.price >= 0):
        raise PermanentFailure(f"execution {done.exec_id} has no price", value=done.price, bound="0 or more")
    told: Mapping[str, Any] = asdict(done)
    return {
        **{name: value for name, value in told.items() if name != "at"},
        "exec_id": storable("an execution's id", done.exec_id),
        "session": new_york_day(done.at),
        "quantity": format(done.quantity, "f"),
        "price": format(done.price, "f"),
        "executed_at": instant_text(done.at),
    }


def perm_ids_of(connection: sa.Connection, keys: sa.ColumnElement[bool]) -> dict[str, tuple[int, ...]]:
    """What the broker calls each order that fits."""
    found: dict[str, tuple[int, ...]] = {}
    query = sa.select(t.PERM_IDS.c.key, t.PERM_IDS.c.perm_id).where(keys).order_by(t.PERM_IDS.c.perm_id)
    for row in connection.execute(query):
        found[row.key] = (*found.get(row.key, ()), int(row.perm_id))
    return found
