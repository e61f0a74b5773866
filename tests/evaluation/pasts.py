"""Closed trades for the tests of learning: round numbers, one symbol for each trade, bars that say what became of it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tests.evaluation.books import FREE, actions, bar_row, bars, day, plan
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.evaluation.study_replay import History, Market, Past
from trading_assets.plans.model import TradePlan

LIMITS = Preferences(stop_distance_fraction_max=0.25, position_fraction_max=0.05, risk_per_trade_fraction_max=0.05)
Bar = tuple[float, float, float, float]


def idea(number: int = 1, symbol: str = "AAPL", **changed: Any) -> TradePlan:
    """A breakout from 100 with one true range of 2: stop 96, target 106.40, ten shares."""
    fields = {
        "strategy": "momentum_breakout",
        "entry": Decimal(100),
        "reference": Decimal(100),
        "stop": Decimal(96),
        "target": Decimal("106.40"),
    }
    return plan(number, **{**fields, "symbol": symbol, **changed})


def market(given: Sequence[dict[str, Any]], last: int = 60, due: Sequence[dict[str, Any]] = ()) -> Market:
    """What happened from the first session of the tests to the `last`."""
    return Market.of(bars(*given), actions(*due), Span(day(1), day(last)), FREE)


def walk(symbol: str, first: int, *days: Bar) -> list[dict[str, Any]]:
    """Bars (open, high, low, close) of one symbol from a session on."""
    return [
        bar_row(first + n, opens, close, symbol=symbol, high=high, low=low)
        for n, (opens, high, low, close) in enumerate(days)
    ]


def past(plan: TradePlan, *, left: date | None = None, closed: int = 5, quantity: int = 10) -> Past:
    """The plan as a closed trade."""
    return Past(plan.id, plan, quantity, day(closed), left)


def history(trades: Sequence[Past], given: Sequence[dict[str, Any]], tuned: Tuned | None = None) -> History:
    """The trades with what happened."""
    return History(tuple(trades), tuned or Tuned(), market(given), LIMITS)


NEAR = Tuned(Parameters(stop_atr=1.75))
"""A nearer stop, so that a nearer target still wins enough."""


def record(count: int, days: Sequence[Bar], *, spoiled: int = 0, otherwise: Sequence[Bar] = ()) -> History:
    """`count` trades by `NEAR`, one a session, that all go the same way; the first `spoiled` go another."""
    plans = [idea(number, f"S{number:03d}", stop=Decimal("96.50")) for number in range(1, count + 1)]
    ways = [otherwise if number < spoiled else days for number in range(count)]
    rows = [row for each, way in zip(plans, ways, strict=True) for row in walk(each.symbol, _number(each), *way)]
    return history([past(each, closed=_number(each) + len(days)) for each in plans], rows, NEAR)


def tuned_by(**values: Any) -> Tuned:
    """Everything configured but for some values."""
    return Tuned(Parameters().with_values(values))


def _number(each: TradePlan) -> int:
    return next(number for number in range(1, 400) if day(number) == each.session)


__all__ = ["LIMITS", "NEAR", "history", "idea", "market", "past", "record", "tuned_by", "walk"]
