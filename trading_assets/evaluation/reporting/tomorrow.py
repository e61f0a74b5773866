"""What comes: the next session, each symbol's regime, view, position and orders, theses that end, and what the calendar holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.core.slots import slots_of
from trading_assets.evaluation.reporting.document import Block, Bullets, Grid, Line, Words
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.words import count, spoken
from trading_assets.execution.model import Order
from trading_assets.market.model import CORPORATE_ACTIONS
from trading_assets.regimes.model import MARKET, REGIME_LABELS
from trading_assets.theses.model import Thesis
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO

SYMBOLS_SHOWN = 20
SESSIONS_AHEAD = 3


@dataclass(frozen=True, slots=True)
class RegimeLine:
    """A regime at the last close, which the next session begins with; `since` is the session that confirmed it."""

    regime: str
    view: str
    probability: float
    since: date


@dataclass(frozen=True, slots=True)
class SymbolLine:
    """A symbol as the next session finds it; what it has not is None or empty. Prices in USD."""

    symbol: str
    regime: RegimeLine | None
    thesis: str
    confidence: float | None
    expires: date | None
    shares: int
    stop: Decimal | None
    target: Decimal | None
    working: int


@dataclass(frozen=True, slots=True)
class WeeklyLine:
    """A symbol of the weekly desk's newest portfolio: shares of its capital, now and in the portfolio before."""

    symbol: str
    action: str
    weight: float
    weight_before: float


@dataclass(frozen=True, slots=True)
class Weekly:
    """The weekly desk's newest portfolio: made after the close of `made`, and the share of equity that it may use."""

    made: date
    valid_until: date
    capital_fraction: float
    lines: tuple[WeeklyLine, ...]


@dataclass(frozen=True, slots=True)
class Tomorrow:
    """The next session, and with what the book goes into it."""

    session: date
    opens: str
    closes: str
    is_early_close: bool
    slots: int
    regimes_of: date | None
    market: RegimeLine | None
    symbols: tuple[SymbolLine, ...]
    settled: bool
    orders_working: int
    unprotected: tuple[str, ...]
    expiring: tuple[str, ...]
    events: tuple[str, ...]
    weekly: Weekly | None


def tomorrow(record: Record) -> Tomorrow:
    """Reads regimes, the mind, the settled book and the calendar."""
    following, mind, close = record.period.next, record.told.mind(), record.told.close()
    regimes = _regimes(record)
    theses = mind.theses if mind else ()
    working = [order for order in close.book.orders.values() if order.open_quantity] if close else []
    held = {symbol: position.quantity for symbol, position in close.book.positions.items()} if close else {}
    covered = {order.symbol for order in working if order.type == "stop"}
    return Tomorrow(
        session=following.day,
        opens=f"{following.open.astimezone(NEW_YORK):%H:%M}",
        closes=f"{following.close.astimezone(NEW_YORK):%H:%M}",
        is_early_close=following.is_early_close,
        slots=len(slots_of(following, record.rules.settings.decisions.slots)),
        regimes_of=record.period.last if regimes else None,
        market=regimes.get(MARKET),
        symbols=_symbols({s: line for s, line in regimes.items() if s != MARKET}, theses, held, working),
        settled=close is not None,
        orders_working=len(working),
        unprotected=tuple(sorted(symbol for symbol in held if symbol not in covered)),
        expiring=tuple(_expiring(theses, following.day)),
        events=tuple(_events(record)),
        weekly=_weekly(record),
    )


def tell_tomorrow(found: Tomorrow, record: Record) -> Iterator[Block]:
    """The part in words, one table and a list."""
    early = ", an early close" if found.is_early_close else ""
    yield Words(
        f"{found.session:%A %Y-%m-%d}, {found.opens} to {found.closes} New York{early}, {count(found.slots, 'slot')}. "
        + _market(found, record)
    )
    if found.symbols:
        yield _symbols_grid(found.symbols[:SYMBOLS_SHOWN])
    lines = list(_lines(found))
    if len(found.symbols) > SYMBOLS_SHOWN:
        lines.append(Line(f"{len(found.symbols) - SYMBOLS_SHOWN} more symbols, none held", command="desk regimes"))
    yield Bullets(tuple(lines))


def _regimes(record: Record) -> Mapping[str, RegimeLine]:
    rows = record.facts(REGIME_LABELS, Span(record.period.last, record.period.last))
    columns = ("symbol", "regime", "strategy_view", "probability", "since")
    return {symbol: RegimeLine(*rest) for symbol, *rest in rows.select(columns).sort("symbol").iter_rows()}


def _symbols(
    regimes: Mapping[str, RegimeLine], theses: Sequence[Thesis], held: Mapping[str, int], working: Sequence[Order]
) -> tuple[SymbolLine, ...]:
    """Held ones first, then those with a thesis, then the rest, by name."""
    names = {*regimes, *held, *(thesis.symbol for thesis in theses), *(order.symbol for order in working)}
    lines = (_symbol(name, regimes.get(name), theses, held.get(name, 0), working) for name in sorted(names))
    return tuple(sorted(lines, key=lambda line: (line.shares == 0, not line.thesis, line.symbol)))


def _symbol(
    name: str, regime: RegimeLine | None, theses: Sequence[Thesis], shares: int, working: Sequence[Order]
) -> SymbolLine:
    mine = sorted((t for t in theses if t.symbol == name), key=lambda t: (-t.confidence, t.direction))
    best = mine[0] if mine else None
    orders = [order for order in working if order.symbol == name]
    return SymbolLine(
        symbol=name,
        regime=regime,
        thesis=f"{best.direction}, {best.status}" if best else "",
        confidence=best.confidence if best else None,
        expires=best.expires if best else None,
        shares=shares,
        stop=_price(order.stop_price for order in orders if order.role == "stop"),
        target=_price(order.limit_price for order in orders if order.role == "target"),
        working=len(orders),
    )


def _price(prices: Iterator[Decimal | None]) -> Decimal | None:
    return next((price for price in prices if price is not None), None)


def _expiring(theses: Sequence[Thesis], following: date) -> Iterator[str]:
    until = XNYS.next(following, SESSIONS_AHEAD - 1).day
    for thesis in sorted(theses, key=lambda t: (t.expires, t.symbol, t.direction)):
        if thesis.expires <= until:
            yield f"{thesis.symbol} {thesis.direction}, confidence {thesis.confidence:.2f}, ends with {thesis.expires}"


def _events(record: Record) -> Iterator[str]:
    """Corporate actions already known, and days on which the exchange is closed or closes early."""
    following = record.period.next
    until = XNYS.next(following.day, SESSIONS_AHEAD - 1)
    rows = record.facts(CORPORATE_ACTIONS, Span(following.day, until.day)).sort("session", "symbol")
    for row in rows.iter_rows(named=True):
        yield _action(row)
    for session in XNYS.sessions(following.day, until.day):
        if session.is_early_close:
            yield f"{session.day}: the exchange closes at {session.close.astimezone(NEW_YORK):%H:%M} New York"
    day = record.period.last + timedelta(days=1)
    while day < until.day:
        if day.weekday() < 5 and not XNYS.is_session(day):
            yield f"{day}: the exchange is closed"
        day += timedelta(days=1)


def _action(row: Mapping[str, Any]) -> str:
    if row["kind"] == "split":
        return f"{row['session']}: {row['symbol']} splits {row['ratio']:g} for 1"
    return f"{row['session']}: {row['symbol']} goes ex {spoken(row['kind'])} of {row['amount']:.4f} USD a share"


def _market(found: Tomorrow, record: Record) -> str:
    if found.regimes_of is None:
        return f"No regime of {record.period.last} is on record: the desk will not open on stale facts."
    if found.market is None:
        return "The market as a whole has no regime."
    line = found.market
    return f"The market is {spoken(line.regime)} since {line.since}; strategies see {spoken(line.view)}."


def _symbols_grid(symbols: Sequence[SymbolLine]) -> Grid:
    columns = (
        "Symbol",
        "Regime, since",
        "Strategies see",
        "Thesis",
        "Confidence",
        "Until",
        "Shares",
        "Stop",
        "Target",
        "Orders",
    )
    return Grid(columns, tuple(map(_symbol_row, symbols)), text=(0, 1, 2, 3, 5))


def _symbol_row(line: SymbolLine) -> tuple[str, ...]:
    regime = line.regime
    return (
        line.symbol,
        f"{spoken(regime.regime)}, {regime.since}" if regime else "unknown",
        spoken(regime.view) if regime else "unknown",
        line.thesis or "none",
        "" if line.confidence is None else f"{line.confidence:.2f}",
        "" if line.expires is None else str(line.expires),
        f"{line.shares:,d}" if line.shares else "",
        "" if line.stop is None else f"{line.stop:.2f}",
        "" if line.target is None else f"{line.target:.2f}",
        str(line.working) if line.working else "",
    )


def _lines(found: Tomorrow) -> Iterator[Line]:
    if not found.settled:
        yield Line("the session is not settled, so positions and orders are not known", strong="book")
    else:
        yield Line(f"{found.orders_working or 'none'} at work", strong="orders")
    if found.unprotected:
        yield Line(f"held without a working stop: {', '.join(found.unprotected)}", strong="unprotected")
    for sentence in found.expiring:
        yield Line(sentence, strong="thesis ends")
    for sentence in found.events:
        yield Line(sentence, strong="event")
    if found.weekly is not None:
        yield Line(_weekly_words(found.weekly), strong="weekly desk")


def _weekly(record: Record) -> Weekly | None:
    """The newest portfolio; None where there never was one."""
    rows = record.read(WEEKLY_PORTFOLIO)
    if not rows.height:
        return None
    newest = rows.filter(pl.col("session") == rows["session"].max()).sort("symbol").rows(named=True)
    total = next((row for row in newest if row["symbol"] == TOTAL), newest[0])
    wanted = (row for row in newest if row["symbol"] != TOTAL and (row["weight"] > 0 or row["weight_before"] > 0))
    lines = tuple(WeeklyLine(row["symbol"], row["action"], row["weight"], row["weight_before"]) for row in wanted)
    return Weekly(total["session"], total["valid_until"], total["capital_fraction"], lines)


def _weekly_words(weekly: Weekly) -> str:
    wanted = [f"{line.symbol} {line.weight:.1%} (was {line.weight_before:.1%})" for line in weekly.lines]
    told = ", ".join(wanted) or "nothing is wanted"
    paper = "it may use no capital, so none of it is traded" if not weekly.capital_fraction else ""
    return f"portfolio of {weekly.made}, until {weekly.valid_until}: {told}; " + (
        paper or f"of {weekly.capital_fraction:.0%} of equity"
    )
