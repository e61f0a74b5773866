"""What following the weekly portfolios would have brought, beside buying the same universe once and holding it.

Both sides trade at the open of the session after the run, pay the same costs in basis points of what they trade, and earn price
returns with splits taken out; dividends, theses, votes, stops and limits are left out. It says what the portfolios are worth, not
what the book earned: that is in the trades of the strategy `weekly_portfolio`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.regimes.moves import daily_moves
from trading_assets.weekly.model import TOTAL

Row = Mapping[str, Any]
Prices = Mapping[date, Mapping[str, tuple[float, float]]]
_BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class Walk:
    """Growth of 1, by session at the close.

    Args:
        portfolios: How many were followed.
        days: Sessions from the first open on.
        growth: Of the weekly portfolio.
        held: Of buy-and-hold of the universe of the first portfolio, in equal parts.
        turnover: What was traded over what there was, summed over portfolios.
        cost_bp: Costs of what is traded, basis points.
    """

    portfolios: int
    days: tuple[date, ...]
    growth: tuple[float, ...]
    held: tuple[float, ...]
    turnover: float
    cost_bp: float

    def measures(self) -> Mapping[str, float | int | str | None]:
        """The figures that are shown; None where nothing was walked."""
        return {
            "portfolios": self.portfolios,
            "sessions": len(self.days),
            "return": self.growth[-1] - 1 if self.days else None,
            "universe_return": self.held[-1] - 1 if self.days else None,
            "drawdown": _drawdown(self.growth),
            "universe_drawdown": _drawdown(self.held),
            "turnover": self.turnover,
            "cost_bp": self.cost_bp,
        }


def followed(
    portfolios: pl.DataFrame,
    screens: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    last: date,
    cost_bp: float,
) -> Walk:
    """The walk from the open after the first portfolio to the close of `last`.

    Args:
        portfolios: Rows of WEEKLY_PORTFOLIO.
        screens: Rows of WEEKLY_SCREEN: those of the first portfolio are the universe that is held.
        bars: Rows of DAILY_BARS.
        actions: Rows of CORPORATE_ACTIONS.
        last: Later sessions are not read.
        cost_bp: Costs of a purchase or a sale, basis points of its value.
    """
    made = sorted({day for day in portfolios["session"] if day < last})
    if not made:
        return Walk(0, (), (), (), 0.0, cost_bp)
    prices = _prices(bars, actions, made[0], last)
    by_day = {day: portfolios.filter(pl.col("session") == day).rows(named=True) for day in made}
    universe = screens.filter(pl.col("session") == made[0])["symbol"].sort().to_list()
    book, held = _Book(cost_bp), _Book(cost_bp)
    growth: list[float] = []
    beside: list[float] = []
    days = tuple(session.day for session in XNYS.sessions(XNYS.next(made[0]).day, last))
    for day in days:
        before, today = XNYS.previous(day).day, prices.get(day, {})
        book.mark(today, at_open=True)
        held.mark(today, at_open=True)
        if before in by_day:
            book.follow(by_day[before], today)
        if before == made[0]:
            held.buy(universe, today)
        growth.append(book.mark(today, at_open=False))
        beside.append(held.mark(today, at_open=False))
    return Walk(len(made), days, tuple(growth), tuple(beside), book.turnover, cost_bp)


class _Book:
    """Cash and the value of each symbol, as fractions of what there was at first."""

    def __init__(self, cost_bp: float) -> None:
        self.cash, self.turnover = 1.0, 0.0
        self._values: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._cost = cost_bp * _BASIS_POINT

    def mark(self, prices: Mapping[str, tuple[float, float]], *, at_open: bool) -> float:
        """The whole at the open or the close; a symbol without a price keeps its value."""
        for symbol in self._values:
            if symbol in prices:
                price = prices[symbol][0 if at_open else 1]
                self._values[symbol] *= price / self._last[symbol]
                self._last[symbol] = price
        return self.cash + math.fsum(self._values.values())

    def follow(self, rows: Sequence[Row], prices: Mapping[str, tuple[float, float]]) -> None:
        """Sells and buys what a portfolio changes; what it keeps, and what has no price today, stays as it is."""
        whole = self.cash + math.fsum(self._values.values())
        wanted = {row["symbol"]: row["weight"] for row in rows if row["symbol"] != TOTAL and row["action"] != "keep"}
        changes = {s: weight * whole - self._values.get(s, 0.0) for s, weight in sorted(wanted.items()) if s in prices}
        for symbol, value in sorted(changes.items(), key=lambda each: each[1]):
            self._trade(symbol, min(value, self.cash / (1 + self._cost)), prices[symbol][0])
        self.turnover += math.fsum(abs(value) for value in changes.values()) / whole

    def buy(self, symbols: Sequence[str], prices: Mapping[str, tuple[float, float]]) -> None:
        """Everything there is, in equal parts."""
        open_ = [symbol for symbol in symbols if symbol in prices]
        for symbol in open_:
            self._trade(symbol, 1.0 / len(open_) / (1 + self._cost), prices[symbol][0])

    def _trade(self, symbol: str, value: float, price: float) -> None:
        self._values[symbol] = self._values.get(symbol, 0.0) + value
        self._last[symbol] = price
        self.cash -= value + abs(value) * self._cost
        if abs(self._values[symbol]) < 1e-12:
            del self._values[symbol]


def _prices(bars: pl.DataFrame, actions: pl.DataFrame, first: date, last: date) -> Prices:
    """By session and symbol, open and close in the share count of the first bar."""
    moves = daily_moves(bars, actions, last=last).filter(pl.col("session") >= first)
    joined = moves.join(bars.select("symbol", "session", "open", "close"), on=["symbol", "session"]).sort("session")
    prices: dict[date, dict[str, tuple[float, float]]] = {}
    index: dict[str, float] = {}
    for symbol, day, move, opened, close in joined.select("symbol", "session", "move", "open", "close").iter_rows():
        index[symbol] = (
            index[symbol] * math.exp(move) if symbol in index and move is not None else index.get(symbol, 1.0)
        )
        prices.setdefault(day, {})[symbol] = (index[symbol] * opened / close, index[symbol])
    return prices


def _drawdown(growth: Sequence[float]) -> float | None:
    """The deepest fall from an earlier height, a fraction; of the start, 1, too."""
    if not growth:
        return None
    top, deepest = 1.0, 0.0
    for value in growth:
        top = max(top, value)
        deepest = max(deepest, 1 - value / top)
    return deepest
