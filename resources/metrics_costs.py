"""What models were paid for each decision of a lane, from the calls that the ledger has booked."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading


def paid_by_decision(engine: sa.Engine, lane: str) -> dict[tuple[date, str], tuple[int, float]]:
    """By session and slot, the calls that were booked for the lane's decisions, ever, and their cost, USD.

    What was asked for anything else (a chat, a probe) is no decision's cost and is left out.
    """
    calls = t.MODEL_CALLS.c
    query = (
        sa.select(calls.decision, sa.func.count(), sa.func.sum(calls.cost, type_=t.CallUsd))
        .where(calls.decision.like(f"{lane}/%"))
        .group_by(calls.decision)
        .order_by(calls.decision)
    )
    found: dict[tuple[date, str], tuple[int, float]] = {}
    with reading(engine) as connection:
        for row in connection.execute(query):
            _, day, slot = str(row[0]).split("/", 2)
            if _is_slot(day, slot):
                found[date.fromisoformat(day), slot] = (int(row[1]), float(row[2]))
    return found


def _is_slot(day: str, slot: str) -> bool:
    """Whether the words after the lane are a session and a slot, or the session's close."""
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return slot == "close" or slot[:1].isdigit()
