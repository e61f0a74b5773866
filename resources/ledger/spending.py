"""What models cost, read from the booked calls: sums by route, model, skill, decision or day, and what is reserved now."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, get_args

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.costs import LATE
from trading_assets.reasoning.model import Usage

Grouping = Literal["route", "model", "skill", "decision", "day"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
_CALLS = t.MODEL_CALLS.c
# A late end tells of a call that has its row already.
_IS_CALL = _CALLS.reservation.not_like(f"%{LATE}")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sum:
    """What some calls came to, USD; `shadow_usd` is the list price of calls that a subscription paid for."""

    name: str
    calls: int
    failed: int
    cost_usd: Decimal
    shadow_usd: Decimal
    usage: Usage

    @property
    def cached_share(self) -> float:
        """The part of the input that came from the provider's cache, 0 to 1."""
        return self.usage.cached_tokens / self.usage.input_tokens if self.usage.input_tokens else 0.0


@dataclass(frozen=True, slots=True)
class Reserved:
    """Calls under way, or whose process died and that are not swept yet."""

    calls: int
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class PerDecision:
    """What decisions cost, USD."""

    decisions: int
    mean_usd: Decimal
    most_usd: Decimal
    most_expensive: str


def total(connection: sa.Connection, first: date, last: date) -> Sum:
    """All calls of the days."""
    row = connection.execute(_within(sa.select(*_MEASURES), first, last)).one()
    return _sum("total", row)


def sums(connection: sa.Connection, first: date, last: date, by: Grouping) -> list[Sum]:
    """The calls of the days in groups: days in their order, everything else by cost, the highest first."""
    key = _CALLS[by]
    rows = connection.execute(_within(sa.select(key.label("name"), *_MEASURES), first, last).group_by(key)).all()
    found = [_sum(str(row.name), row) for row in rows]
    return sorted(found, key=lambda each: each.name if by == "day" else (-each.cost_usd, each.name))


def outcomes(connection: sa.Connection, first: date, last: date) -> dict[str, int]:
    """How many calls of the days ended how, the most frequent first."""
    number = sa.func.count().label("calls")
    query = _within(sa.select(_CALLS.outcome, number), first, last).where(_IS_CALL).group_by(_CALLS.outcome)
    rows = connection.execute(query.order_by(number.desc(), _CALLS.outcome))
    return {row.outcome: row.calls for row in rows}


def per_decision(connection: sa.Connection, first: date, last: date) -> PerDecision | None:
    """Cost per decision over the days; the same decision asked about in two backfills counts as two."""
    cost = sa.func.sum(_CALLS.cost, type_=t.CallUsd).label("cost")
    own = _within(sa.select(_CALLS.decision, _CALLS.backfill, cost), first, last)
    rows = connection.execute(own.group_by(_CALLS.decision, _CALLS.backfill)).all()
    if not rows:
        return None
    most = min(rows, key=lambda row: (-row.cost, row.decision))
    mean = sum((row.cost for row in rows), _ZERO) / len(rows)
    return PerDecision(len(rows), mean.quantize(Decimal("1e-9")), most.cost, str(most.decision))


def backfills(connection: sa.Connection, first: date, last: date) -> list[str]:
    """The backfills that spent money on the days."""
    query = _within(sa.select(_CALLS.backfill).distinct(), first, last).where(_CALLS.backfill != "")
    return [str(name) for (name,) in connection.execute(query.order_by(_CALLS.backfill)).all()]


def reserved(connection: sa.Connection) -> Reserved:
    """What is reserved at this moment."""
    amount = _usd(t.RESERVATIONS.c.amount)
    query = sa.select(sa.func.count().label("calls"), amount.label("usd")).select_from(t.RESERVATIONS)
    row = connection.execute(query).one()
    return Reserved(row.calls, row.usd)


def newest_day(connection: sa.Connection) -> date | None:
    """The last day on which a model was asked."""
    found: date | None = connection.execute(sa.select(sa.func.max(_CALLS.day))).scalar()
    return found


def _usd(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.sum(column, type_=t.CallUsd), sa.literal(_ZERO, t.CallUsd), type_=t.CallUsd)


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count().filter(condition)


def _tokens(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.sum(column), 0)


_MEASURES = (
    _count(_IS_CALL).label("calls"),
    _count(_IS_CALL & (_CALLS.outcome != "ok")).label("failed"),
    _usd(_CALLS.cost).label("cost"),
    _usd(_CALLS.shadow_cost).label("shadow"),
    _tokens(_CALLS.input_tokens).label("input"),
    _tokens(_CALLS.cached_tokens).label("cached"),
    _tokens(_CALLS.output_tokens).label("output"),
)


def _within(query: sa.Select[Any], first: date, last: date) -> sa.Select[Any]:
    return query.where(_CALLS.day.between(first, last))


def _sum(name: str, row: Any) -> Sum:
    usage = Usage(int(row.input), int(row.cached), int(row.output))
    return Sum(name, int(row.calls), int(row.failed), row.cost, row.shadow, usage)
