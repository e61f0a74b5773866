"""12-1 momentum on the desk's universe: the winners of the past year without its last month, held in equal parts for a month.

The score of a symbol is its total return from 252 to 21 sessions before, as of the close before the rebalance: the year's return
that skips the newest month (Jegadeesh and Titman, "Returns to Buying Winners and Selling Losers", Journal of Finance 48, 1993, with
the month left out as in Asness, Moskowitz and Pedersen, "Value and Momentum Everywhere", Journal of Finance 68, 2013). The best
third is held, of fewer than six symbols the best half. The book is rebalanced at the open of the month's first session through the
paper broker's matching; all holdings together take the share of equity that the desk's own limits would let it hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from math import ceil
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.money import to_tick
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.evaluation.benchmark_model import MOMENTUM
from trading_assets.evaluation.benchmarks.rows import Day, Told, missing, rows_of
from trading_assets.execution.book import held_quantity, place
from trading_assets.execution.model import Book, Costs, Order, OrderRole, Side
from trading_assets.execution.settlement import Opening, open_session, settle
from trading_assets.market.adjust import adjusted

FAR, NEAR = 252, 21
SYMBOLS_MIN = 2
_THIRD_FROM = 6
Row = Mapping[str, Any]
Scores = Mapping[date, Mapping[str, float]]


def exposure_cap(preferences: Preferences) -> Decimal:
    """The largest share of equity that a book without shorts may hold under the desk's limits."""
    positions = Decimal(str(preferences.position_fraction_max)) * preferences.positions_max
    gross, net = preferences.gross_exposure_fraction_max, preferences.net_exposure_fraction_max
    return min(positions, Decimal(str(gross)), Decimal(str(net)))


def momentum(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    starting_cash: Decimal,
    costs: Costs,
    exposure: Decimal,
) -> Told:
    """The benchmark over a span, or why there is no number.

    Args:
        bars: Rows of DAILY_BARS of the universe, from at least FAR + 1 sessions before the span on.
        actions: Rows of CORPORATE_ACTIONS over the same time.
        span: The book's life.
        starting_cash: USD.
        costs: The paper broker's.
        exposure: Share of equity that all holdings together take, `exposure_cap` of the desk.
    """
    sessions = XNYS.sessions(span.first, span.last)
    if not sessions:
        return missing(MOMENTUM, "there is no session")
    scores = scores_by_session(bars, actions, last=span.last)
    ranked = scores.get(XNYS.previous(sessions[0].day).day, {})
    if len(ranked) < SYMBOLS_MIN:
        why = f"{len(ranked)} symbols had {FAR + 1} sessions of history before {sessions[0].day}, {SYMBOLS_MIN} are needed"
        return missing(MOMENTUM, why)
    traded, due = _by_session(bars, span), _by_session(actions, span)
    days = list(_walked(sessions, scores, traded, due, _last_closes(bars, sessions[0]), starting_cash, costs, exposure))
    sentence = f"best {_held_count(len(ranked))} of {len(ranked)} symbols at first, {exposure:.0%} of equity, monthly"
    return Told(MOMENTUM, "made", sentence, tuple(rows_of(MOMENTUM, days, starting_cash)))


def scores_by_session(bars: pl.DataFrame, actions: pl.DataFrame, *, last: date) -> Scores:
    """For each session whose close is known, symbol to total return from FAR to NEAR of the symbol's own bars before."""
    sound = bars.filter((pl.col("session") <= last) & (pl.col("close") > 0)).sort("symbol", "session")
    if sound.is_empty():
        return {}
    held = adjusted(sound, actions.filter(pl.col("session") <= last), as_of_session=last)
    close = pl.col("close")
    scored = held.select("symbol", "session", score=(close.shift(NEAR) / close.shift(FAR) - 1).over("symbol"))
    found: dict[date, dict[str, float]] = {}
    for symbol, session, score in scored.drop_nulls("score").iter_rows():
        found.setdefault(session, {})[symbol] = score
    return found


def winners(scores: Mapping[str, float]) -> tuple[str, ...]:
    """The symbols to hold, best first; equal scores in the order of the alphabet."""
    return tuple(sorted(scores, key=lambda symbol: (-scores[symbol], symbol))[: _held_count(len(scores))])


def _held_count(symbols: int) -> int:
    return ceil(symbols / (3 if symbols >= _THIRD_FROM else 2))


def _walked(
    sessions: Sequence[Session],
    scores: Scores,
    bars: Mapping[date, Sequence[Row]],
    actions: Mapping[date, Sequence[Row]],
    closes: Mapping[str, Decimal],
    cash: Decimal,
    costs: Costs,
    exposure: Decimal,
) -> Iterator[Day]:
    book, prices = Book(cash=cash), dict(closes)
    before = (XNYS.previous(sessions[0].day), *sessions)
    for earlier, session in pairwise(before):
        opening = open_session(book, prices, actions.get(session.day, ()), session)
        prices = dict(opening.prices)
        if session is sessions[0] or session.day.month != earlier.day.month:
            chosen = winners(scores.get(earlier.day, {}))
            orders = _orders(session, opening.book, chosen, prices, exposure)
            opening = Opening(place(opening.book, orders), prices, opening.dividends)
        today = bars.get(session.day, ())
        known = {order.symbol for order in opening.book.orders.values()} | set(opening.book.positions)
        closed = settle(session, opening, [row for row in today if row["symbol"] in known], costs).close
        prices.update({row["symbol"]: to_tick(row["close"]) for row in today})
        book = closed.book
        yield Day(session, closed.equity, closed.traded_value, closed.fees)


def _orders(
    session: Session, book: Book, chosen: Sequence[str], prices: Mapping[str, Decimal], exposure: Decimal
) -> tuple[Order, ...]:
    """Market orders from what is held to equal parts of what was chosen; sales come first and pay for purchases."""
    part = book.equity(prices) * exposure / len(chosen) if chosen else Decimal(0)
    wanted = {symbol: int((part / prices[symbol]).to_integral_value(ROUND_FLOOR)) for symbol in chosen}
    steps = {s: wanted.get(s, 0) - held_quantity(book, s) for s in sorted({*wanted, *book.positions})}
    sales = [_order(session, symbol, "sell", "exit", -step) for symbol, step in steps.items() if step < 0]
    return (*sales, *(_order(session, symbol, "buy", "entry", step) for symbol, step in steps.items() if step > 0))


def _order(session: Session, symbol: str, side: Side, role: OrderRole, quantity: int) -> Order:
    return Order(
        id=f"{session.key}-{'1' if side == 'sell' else '2'}-{symbol}",
        intent_id=MOMENTUM,
        symbol=symbol,
        side=side,
        type="market",
        role=role,
        quantity=quantity,
        placed_at=session.open,
        session=session.day,
        time_in_force="day",
    )


def _last_closes(bars: pl.DataFrame, first: Session) -> Mapping[str, Decimal]:
    """Each symbol's last close before a session, in the share count of that day."""
    known = bars.filter(pl.col("session") < first.day).sort("session").group_by("symbol").last()
    return {symbol: to_tick(close) for symbol, close in known.select("symbol", "close").sort("symbol").iter_rows()}


def _by_session(frame: pl.DataFrame, span: Span) -> Mapping[date, Sequence[Row]]:
    found: dict[date, list[Row]] = {}
    for row in frame.filter(pl.col("session").is_between(span.first, span.last)).iter_rows(named=True):
        found.setdefault(row["session"], []).append(row)
    return found
