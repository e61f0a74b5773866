"""Hand-made rows of news, macro series, pairs, liquidity and intraday bars, and facts that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from tests.plans.ideas import known
from trading_assets.briefs.facts import FACT_TABLES, FactBook, Facts
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.tables import Table
from trading_assets.features.model import CORRELATIONS, INTRADAY_FEATURES
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES

TODAY: Session = XNYS.session(date(2012, 6, 18))
BEFORE: Session = XNYS.previous(TODAY.day)
AS_OF = TODAY.open - timedelta(hours=1)
TICK = timedelta(microseconds=1)
Row = dict[str, Any]


def told(
    headline: str, *, symbol: str = "AAA", at: datetime | None = None, publisher: str = "Wire One", ago: int = 1
) -> Row:
    """One headline, published at noon `ago` sessions before TODAY, or at a moment."""
    moment = at or (XNYS.previous(TODAY.day, ago) if ago else TODAY).open + timedelta(hours=2, minutes=30)
    return filled(
        NEWS,
        symbol=symbol,
        session=session_of(moment),
        item=f"{publisher} {moment.isoformat()} {headline}",
        headline=headline,
        publisher=publisher,
        published_at=moment,
        knowable_at=moment,
    )


def observed(series: str, on: date, value: float, *, at: datetime, unit: str = "index points") -> Row:
    """One observation as released at a moment."""
    return filled(
        MACRO_SERIES, series=series, observed_on=on, value=value, unit=unit, session=session_of(at), knowable_at=at
    )


def daily(series: str, changes: Mapping[int, float], *, unit: str = "index points") -> list[Row]:
    """A series of 100 up to the session before TODAY, changed by a fraction on some of its days before today, in weekdays."""
    days = [XNYS.previous(TODAY.day, ago) for ago in range(60, 0, -1)]
    value, rows = 100.0, []
    for ago, session in zip(range(60, 0, -1), days, strict=True):
        value *= 1 + changes.get(ago, 0.0)
        rows.append(observed(series, session.day, value, at=session.close, unit=unit))
    return rows


def paired(
    first: str, second: str, *, session: Session = BEFORE, at: datetime | None = None, gap_z: float = 2.5
) -> Row:
    """One row of CORRELATIONS."""
    return filled(
        CORRELATIONS, symbol_a=first, symbol_b=second, session=session.day, gap_z=gap_z, knowable_at=at or session.close
    )


def traded(symbol: str, regime: str = "normal", *, session: Session = BEFORE, at: datetime | None = None) -> Row:
    """One row of LIQUIDITY_REGIMES."""
    return filled(LIQUIDITY_REGIMES, symbol=symbol, session=session.day, regime=regime, knowable_at=at or session.close)


def minutes(symbol: str, frequency: str, start: datetime, *, close: float = 100.0) -> Row:
    """One intraday bar, knowable at its end."""
    length = {"1m": 1, "5m": 5, "1h": 60}[frequency]
    return filled(
        INTRADAY_FEATURES,
        symbol=symbol,
        session=session_of(start),
        frequency=frequency,
        start=start,
        close=close,
        knowable_at=start + timedelta(minutes=length),
    )


def bar(symbol: str = "AAA", session: Session = BEFORE) -> Row:
    """One daily bar."""
    return filled(DAILY_BARS, symbol=symbol, session=session.day, close=100.0, knowable_at=session.close)


def book(*, bars: Sequence[Row] = (), **rows: Sequence[Row]) -> FactBook:
    """A fact book of some rows, by the names of their tables; one bar makes the session before TODAY known."""
    tables = {t.name: t for t in (NEWS, MACRO_SERIES, CORRELATIONS, LIQUIDITY_REGIMES, INTRADAY_FEATURES)}
    frames: dict[str, pl.DataFrame] = {table.name: table.empty() for table in FACT_TABLES}
    frames[DAILY_BARS.name] = DAILY_BARS.frame([*bars] or [bar()])
    return FactBook(frames | {name: tables[name].frame([*of]) for name, of in rows.items()})


def facts_of(*, symbols: Sequence[str] = ("AAA",), as_of: datetime = AS_OF, **rows: Sequence[Row]) -> Facts:
    """What the book of some rows shows an hour before TODAY's open."""
    return book(bars=[bar(symbol) for symbol in symbols], **rows).at(as_of)


def with_indicators(values: Mapping[str, float], view: str = "trending_bull") -> Facts:
    """Facts of one symbol with indicators and a regime, as the session before TODAY left them."""
    held = known(view, {"close": 100.0}, values)
    return Facts(AS_OF, held.session, {held.symbol: held}, None, None)


def past_sessions(count: int = 12) -> dict[Session, Facts]:
    """Facts before each of some sessions up to TODAY: breadth, and three symbols whose newest ones lack a reading."""
    found = {}
    for number in range(count):
        session = XNYS.previous(TODAY.day, count - 1 - number) if number < count - 1 else TODAY
        before = XNYS.previous(session.day).day
        values = {
            "close": 100.0 + number,
            "sma_50": 99.0,
            "macd_histogram_12_26_9": 3.0 - number,
            "rsi_14": 40.0 + number,
        }
        symbols = {
            name: replace(known("mixed", {"close": 100.0}, values | extra, symbol=name), session=before)
            for name, extra in (("AAA", {"sma_200": 104.0}), ("BBB", {"mom_252_21": 0.1}), ("CCC", {}))
        }
        breadth = {"advances": 3 + number, "declines": 4, "above_sma_50_share": 0.5 + number / 50}
        found[session] = Facts(session.open - timedelta(hours=1), before, symbols, breadth, None)
    return found


def session_of(moment: datetime) -> date:
    """The first session whose close is not before the moment."""
    session = XNYS.next(moment.date() - timedelta(days=1))
    while session.close < moment:
        session = XNYS.next(session.day)
    return session.day


def filled(table: Table, **given: Any) -> Row:
    """A row of a table: what is given, and something of the right type elsewhere."""
    moment = given.get("knowable_at", datetime(2012, 6, 1, tzinfo=UTC))
    kinds: dict[str, Any] = {
        "text": "x", "day": given.get("session"), "instant": moment, "number": 1.0, "count": 1, "flag": False
    }  # fmt: skip
    return {column.name: kinds[column.type] for column in table.columns} | given
