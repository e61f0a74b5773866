"""Opening and settling a session of the paper book: corporate actions at the open, then the session's bars."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from typing import Any

from trading_assets.core.calendar import Session
from trading_assets.core.money import to_tick, usd
from trading_assets.execution.corporate import Action, apply_actions
from trading_assets.execution.matching import match_bars
from trading_assets.execution.model import Book, Costs, Fill, PriceBar
from trading_assets.execution.ports import DividendPaid, SessionClose

Row = Mapping[str, Any]
_FINEST_FIRST = ("1m", "5m", "1h")


@dataclass(frozen=True, slots=True)
class Opening:
    """A session's book at its open, last known prices in today's share count, and what the day's actions paid."""

    book: Book
    prices: Mapping[str, Decimal]
    dividends: tuple[DividendPaid, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled session."""

    close: SessionClose
    fills: tuple[Fill, ...]
    dividends: tuple[DividendPaid, ...]


def open_session(book: Book, prices: Mapping[str, Decimal], actions: Sequence[Row], session: Session) -> Opening:
    """The book that was carried into a session, after the session's splits and dividends.

    Args:
        prices: Last closes of the symbols held, USD in the share count of the session before.
        actions: Rows of CORPORATE_ACTIONS with this ex-date.
    """
    due = [Action.from_row(row) for row in actions]
    result = apply_actions(book, due, session=session.day, last_close=prices)
    splits = {action.symbol: action.ratio for action in due if action.kind == "split"}
    adjusted = {symbol: usd(price / splits.get(symbol, Decimal(1))) for symbol, price in prices.items()}
    return Opening(result.book, adjusted, result.payments)


def settle(
    session: Session, opening: Opening, bars: Sequence[Row], costs: Costs, intraday: Sequence[Row] = ()
) -> Settled:
    """Matches the opening book against the session's bars and values it at their closes.

    Args:
        bars: Rows of DAILY_BARS of the session.
        intraday: Rows of INTRADAY_BARS of the session. A symbol that has a daily bar is matched on its finest intraday bars that
            reach from the session's open to its close; every other symbol on its daily bar.
    """
    priced = {bar.symbol: bar for bar in (price_bar(row) for row in bars)}
    wanted = {order.symbol for order in opening.book.orders.values()} & priced.keys()
    finer = dict(_walkable([row for row in intraday if row["symbol"] in wanted], session)) if wanted else {}
    walked = [bar for symbol, bar in priced.items() if symbol not in finer]
    matched = match_bars(opening.book, (*walked, *(bar for each in finer.values() for bar in each)), costs)
    prices = {
        symbol: priced[symbol].close if symbol in priced else opening.prices[symbol]
        for symbol in matched.book.positions
    }
    close = SessionClose(
        session=session.day,
        book=matched.book,
        prices=prices,
        fees=sum((fill.fee for fill in matched.fills), Decimal(0)),
        dividends=sum((paid.amount for paid in opening.dividends), Decimal(0)),
        traded_value=sum((fill.price * fill.quantity for fill in matched.fills), Decimal(0)),
    )
    return Settled(close, matched.fills, opening.dividends)


def _walkable(rows: Sequence[Row], session: Session) -> Iterator[tuple[str, list[PriceBar]]]:
    """Symbols whose bars of one frequency reach from open to close, each with its finest ones.

    A series that begins late or ends early would leave stops unwatched.
    """
    order = {frequency: rank for rank, frequency in enumerate(_FINEST_FIRST)}
    known = [row for row in rows if row["frequency"] in order and row["session"] == session.day]
    known.sort(key=lambda row: (row["symbol"], order[row["frequency"]], row["start"]))
    found = set[str]()
    for (symbol, _), some in groupby(known, key=lambda row: (row["symbol"], row["frequency"])):
        series = list(some)
        whole = series[0]["start"] == session.open and series[-1]["knowable_at"] == session.close
        if whole and symbol not in found:
            found.add(symbol)
            yield symbol, [price_bar(row) for row in series]


def price_bar(row: Row) -> PriceBar:
    """A row of DAILY_BARS or INTRADAY_BARS in exact cents and whole shares."""
    return PriceBar(
        symbol=row["symbol"],
        session=row["session"],
        start=row["start"],
        end=row["knowable_at"],
        open=to_tick(row["open"]),
        high=to_tick(row["high"]),
        low=to_tick(row["low"]),
        close=to_tick(row["close"]),
        volume=int(Decimal(str(row["volume"])).to_integral_value(rounding=ROUND_HALF_EVEN)),
    )
