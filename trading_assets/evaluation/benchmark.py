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
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Costs, Order
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
    sessions = XNYS.sessions(span.first, span.last)
    traded = rows_by_symbol(bars, span)
    due = rows_by_symbol(actions, span)
    universe = sorted(set(symbols)) if symbols is not None else sorted(traded)
    part = (starting_cash / len(universe)).quantize(TICK_USD, rounding=ROUND_FLOOR) if universe else Decimal(0)
    unlimited = replace(costs, volume_share_max=Decimal(1))
    equity = [starting_cash - part * len(universe)] * len(sessions)
    for symbol in universe:
        values = _held(sessions, traded.get(symbol, {}), due.get(symbol, {}), part, unlimited)
        equity = [total + value for total, value in zip(equity, values, strict=True)]
    return BENCHMARK.frame(
        [
            {"session": session.day, "equity": usd(total), "knowable_at": session.close}
            for session, total in zip(sessions, equity, strict=True)
        ]
    )


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
) -> Iterator[Decimal]:
    """Value of one symbol's book at each close: bought once, then held."""
    opening, bought = Opening(Book(cash=cash), {}, ()), False
    for session in sessions:
        if session.day in actions:
            opening = open_session(opening.book, opening.prices, actions[session.day], session)
        for bar in bars.get(session.day, ()):
            if not bought:
                opening = Opening(_bought(session, opening, bar, costs), {}, ())
                bought = bool(opening.book.positions)
            opening = replace(opening, prices={bar["symbol"]: to_tick(bar["close"])})
        yield opening.book.equity(opening.prices)


def _bought(session: Session, opening: Opening, bar: Row, costs: Costs) -> Book:
    """The book after it spent its cash at the session's open; unchanged when the cash buys no share."""
    affordable = int(opening.book.cash / to_tick(bar["open"]))
    if not affordable:
        return opening.book
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
    return settle(session, ready, [bar], costs).close.book
