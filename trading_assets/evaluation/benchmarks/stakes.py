"""What a coin copies of the desk: when it opened something, for how much money, on which side, and how long it stayed.

Every order that opened or enlarged a position is a stake. It ends with the round trip that it belongs to: at the session's open
where the desk left by a decision, else at its close.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.execution.model import OPENING
from trading_assets.plans.model import PlanSide

Row = Mapping[str, Any]
DECIDED_EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Stake:
    """One opening of the desk. `value_usd` is before fees; `closed` is None while the position is held."""

    id: str
    opened: date
    closed: date | None
    side: PlanSide
    value_usd: Decimal
    leaves_at_open: bool


def stakes_of(fills: pl.DataFrame, trades: pl.DataFrame) -> tuple[Stake, ...]:
    """The desk's openings in the order of session and intent, from rows of FILLS and TRADES."""
    trips: dict[str, list[Row]] = {}
    for trip in trades.sort("session", "trade_id").iter_rows(named=True):
        trips.setdefault(trip["symbol"], []).append(trip)
    opening = fills.filter(pl.col("role").is_in(sorted(OPENING))).sort("session", "fill_id")
    found = (_stake(rows, trips) for rows in _by_intent(opening))
    return tuple(sorted(found, key=lambda stake: (stake.opened, stake.id)))


def _by_intent(opening: pl.DataFrame) -> Iterator[Sequence[Row]]:
    found: dict[str, list[Row]] = {}
    for row in opening.iter_rows(named=True):
        found.setdefault(row["intent_id"], []).append(row)
    return iter(found.values())


def _stake(rows: Sequence[Row], trips: Mapping[str, Sequence[Row]]) -> Stake:
    first = rows[0]
    trip = next((each for each in trips.get(first["symbol"], ()) if _belongs(first, each)), None)
    return Stake(
        id=first["intent_id"],
        opened=first["session"],
        closed=None if trip is None else trip["session"],
        side="long" if first["side"] == "buy" else "short",
        value_usd=sum((row["price"] * row["quantity"] for row in rows), Decimal(0)),
        leaves_at_open=trip is not None and trip["exit_reason"] == DECIDED_EXIT and trip["session"] > first["session"],
    )


def _belongs(fill: Row, trip: Row) -> bool:
    """Whether a fill opened the trip or enlarged it; an entry in the session that closed the trip began the next one."""
    if fill["intent_id"] == trip["trade_id"]:
        return True
    inside = bool(trip["opened"] <= fill["session"] < trip["session"])
    return inside or bool(fill["session"] == trip["session"] and fill["role"] == "addition")
