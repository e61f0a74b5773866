"""Buy-and-hold of the same universe: what the money would have become without any decision.

The starting cash is divided equally among the symbols. Each part is a small book of its own at the paper broker, so fees,
slippage, rounding, splits and dividends are those of the desk; only the limit on a bar's volume is lifted. A symbol that is listed
later keeps its cash until then; dividends and cash in lieu stay cash; a symbol without a bar is worth its last close.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.money import TICK_USD, to_tick, usd
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmarks.rows import Day
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Costs, Order
from trading_assets.execution.ports import SessionClose
from trading_assets.execution.settlement import Opening, open_session, settle

Row = Mapping[str, Any]


def buy_and_hold(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    starting_cash: Decimal,
    costs: Costs,
    symbols: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of BENCHMARK for every session of the span.

    Args:
        bars: Rows of DAILY_BARS; those outside the span are ignored.
        actions: Rows of CORPORATE_ACTIONS; those outside the span are ignored.
        span: The book's life.
        starting_cash: What the book begins with, USD.
        costs: The paper broker's.
        symbols: The universe. Without it the symbols of `bars` count, and one that is listed later changes the whole history.
    """
    days = held_days(bars, actions, span=span, starting_cash=starting_cash, costs=costs, symbols=symbols)
    return BENCHMARK.frame(
        [{"session": day.session.day, "equity": usd(day.equity), "knowable_at": day.session.close} for day in days]
    )


def held_days(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    starting_cash: Decimal,
    costs: Costs,
    symbols: Sequence[str] | None = None,
) -> tuple[Day, ...]:
    """The same with what was traded and paid in each session; arguments as in `buy_and_hold`."""
    sessions = XNYS.sessions(span.first, span.last)
    traded = rows_by_symbol(bars, span)
    due = rows_by_symbol(actions, span)
    universe = sorted(set(symbols)) if symbols is not None else sorted(traded)
    part = (starting_cash / len(universe)).quantize(TICK_USD, rounding=ROUND_FLOOR) if universe else Decimal(0)
    unlimited = replace(costs, volume_share_max=Decimal(1))
    rest = starting_cash - part * len(universe)
    days = [Day(session, rest) for session in sessions]
    for symbol in universe:
        held = _held(sessions, traded.get(symbol, {}), due.get(symbol, {}), part, unlimited)
        days = [_together(day, one) for day, one in zip(days, held, strict=True)]
    return tuple(days)


def _together(one: Day, other: Day) -> Day:
    return Day(one.session, one.equity + other.equity, one.traded_value + other.traded_value, one.fees + other.fees)


def rows_by_symbol(frame: pl.DataFrame, span: Span) -> dict[str, dict[date, list[Row]]]:
    """Rows of a table within the span by symbol and session."""
    found: dict[str, dict[date, list[Row]]] = {}
    for row in frame.filter(pl.col("session").is_between(span.first, span.last)).iter_rows(named=True):
        found.setdefault(row["symbol"], {}).setdefault(row["session"], []).append(row)
    return found


def _held(
    sessions: Sequence[Session],
    bars: Mapping[date, Sequence[Row]],
    actions: Mapping[date, Sequence[Row]],
    cash: Decimal,
    costs: Costs,
) -> Iterator[Day]:
    """One symbol's book at each close: bought once, then held."""
    opening, bought = Opening(Book(cash=cash), {}, ()), False
    for session in sessions:
        if session.day in actions:
            opening = open_session(opening.book, opening.prices, actions[session.day], session)
        traded = fees = Decimal(0)
        for bar in bars.get(session.day, ()):
            if not bought:
                close = _bought(session, opening, bar, costs)
                opening, traded, fees = Opening(close.book, {}, ()), close.traded_value, close.fees
                bought = bool(opening.book.positions)
            opening = replace(opening, prices={bar["symbol"]: to_tick(bar["close"])})
        yield Day(session, opening.book.equity(opening.prices), traded, fees)


def _bought(session: Session, opening: Opening, bar: Row, costs: Costs) -> SessionClose:
    """The session after the book spent its cash at the open; nothing happens when the cash buys no share."""
    affordable = int(opening.book.cash / to_tick(bar["open"]))
    if not affordable:
        return settle(session, opening, [bar], costs).close
    order = Order(
        id=f"hold-{bar['symbol']}-{session.key}",
        intent_id="buy-and-hold",
        symbol=bar["symbol"],
        side="buy",
        type="market",
        role="entry",
        quantity=affordable,
        placed_at=bar["start"],
        session=session.day,
        time_in_force="day",
    )
    ready = replace(opening, book=place(opening.book, [order]))
    return settle(session, ready, [bar], costs).close
