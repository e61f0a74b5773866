"""What a decision may see: the newest facts that were knowable at a moment, and nothing else.

A `FactBook` holds the facts of a range in memory, so that a walk over hundreds of slots reads the lake once; `at(as_of)` cuts it.
The cut is by each row's `knowable_at`, the same rule as the lake's reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trading_assets.briefs.cuts import BySession, IntradayRows, MacroRows, NewsRows
from trading_assets.core.money import share_ratio, usd
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS
from trading_assets.weekly.model import WEEKLY_PORTFOLIO, Portfolios, Targets

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
BEFORE_FIRST = timedelta(days=14)
FACT_TABLES: tuple[Table, ...] = (DAILY_BARS, CORPORATE_ACTIONS, INDICATORS, BREADTH, REGIME_LABELS)
# What a decision can do without: a desk without news, macro series or intraday bars has no rows of them.
CONTEXT_TABLES: tuple[Table, ...] = (
    NEWS,
    MACRO_SERIES,
    CORRELATIONS,
    LIQUIDITY_REGIMES,
    INTRADAY_FEATURES,
    WEEKLY_PORTFOLIO,
)
# Ten sessions of news span three weeks at worst (2001-09), macro series 90 days; a few days more cover closed ones. A weekly
# portfolio may be thirteen weeks old, and is remembered as long again after it went stale.
_REACH = {
    NEWS.name: timedelta(days=28),
    MACRO_SERIES.name: timedelta(days=97),
    WEEKLY_PORTFOLIO.name: timedelta(days=200),
}


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """The last session of one symbol.

    `previous` holds the indicators of the session before it, and nothing when a split lies between: they would be in another share
    count. `split_ratio` is that of a split which took effect since, else 1.
    """

    symbol: str
    session: date
    bar: Row
    indicators: Row
    previous: Row
    regime: Row | None
    split_ratio: Decimal

    @property
    def price(self) -> Decimal:
        """The last close in today's share count, USD."""
        return usd(usd(self.bar["close"]) / self.split_ratio)

    @property
    def view(self) -> str:
        """The strategy-facing regime; "unknown" before there is enough history."""
        return str(self.regime["strategy_view"]) if self.regime else "unknown"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything knowable at `as_of`; `session` is the newest closed session among them.

    Args:
        news: By symbol (or MARKET), rows of NEWS of the last ten sessions, the one at hand among them, oldest first.
        macro: By series, rows of MACRO_SERIES of the last 90 days, newest vintage of each observation, oldest first.
        correlations: Rows of CORRELATIONS of `session`.
        liquidity: By symbol, the row of LIQUIDITY_REGIMES of `session`.
        intraday: By symbol, the newest row of INTRADAY_FEATURES of the session that is being decided.
        weekly: The newest portfolio of the weekly desk, stale or not.
    """

    as_of: datetime
    session: date | None
    symbols: Mapping[str, SymbolFacts]
    breadth: Row | None
    market_regime: Row | None
    news: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    macro: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    correlations: tuple[Row, ...] = ()
    liquidity: Mapping[str, Row] = field(default_factory=dict)
    intraday: Mapping[str, Row] = field(default_factory=dict)
    weekly: Targets | None = None


def numbers(row: Row, *columns: str) -> dict[str, float] | None:
    """The columns of a row as finite numbers; None when one of them is missing, empty, NaN or infinite."""
    values = {column: row.get(column) for column in columns}
    known = {column: float(value) for column, value in values.items() if value is not None and math.isfinite(value)}
    return known if len(known) == len(columns) else None


class FactBook:
    """Facts of a range, by table and session. Tables that are not among the frames have no rows."""

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self._bars = BySession(frames[DAILY_BARS.name])
        self._indicators = BySession(frames[INDICATORS.name])
        self._breadth = BySession(frames[BREADTH.name])
        self._regimes = BySession(frames[REGIME_LABELS.name])
        self._actions, self._splits = dict[date, list[Row]](), dict[str, list[Row]]()
        for row in frames[CORPORATE_ACTIONS.name].rows(named=True):
            self._actions.setdefault(row["session"], []).append(row)
            if row["kind"] == "split":
                self._splits.setdefault(row["symbol"], []).append(row)
        self._correlations = BySession(frames.get(CORRELATIONS.name))
        self._liquidity = BySession(frames.get(LIQUIDITY_REGIMES.name))
        self._news = NewsRows(frames.get(NEWS.name))
        self._macro = MacroRows(frames.get(MACRO_SERIES.name))
        self._intraday = IntradayRows(frames.get(INTRADAY_FEATURES.name))
        wanted = frames.get(WEEKLY_PORTFOLIO.name)
        self._weekly = Portfolios(wanted.rows(named=True) if wanted is not None else ())

    @classmethod
    def load(cls, lake: Lake, span: Span, *, as_of: datetime) -> FactBook:
        """Facts for decisions in the span: its sessions, and before the first as far as each table is looked back on."""
        frames = {
            t.name: lake.read(t, as_of=as_of, first=span.first - _REACH.get(t.name, BEFORE_FIRST), last=span.last)
            for t in (*FACT_TABLES, *CONTEXT_TABLES)
            if t is not CORPORATE_ACTIONS
        }
        # A book may have lived through every split there ever was.
        return cls({**frames, CORPORATE_ACTIONS.name: lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)})

    def at(self, as_of: datetime) -> Facts:
        """The cut at one moment."""
        session = self._bars.newest(as_of)
        if session is None:
            return Facts(as_of, None, {}, None, None)
        regimes = self._regimes.of(session, as_of)
        bars = self._bars.of(session, as_of)
        breadth = self._breadth.of(session, as_of)
        return Facts(
            as_of=as_of,
            session=session,
            symbols={symbol: self._symbol(bar, session, regimes, as_of) for symbol, bar in bars.items()},
            breadth=next(iter(breadth.values()), None),
            market_regime=regimes.get(MARKET),
            news=self._news.at(as_of),
            macro=self._macro.at(as_of),
            correlations=tuple(self._correlations.known(session, as_of)),
            liquidity=self._liquidity.of(session, as_of),
            intraday=self._intraday.at(as_of),
            weekly=self._weekly.at(as_of),
        )

    def has_intraday(self, day: date) -> bool:
        """Whether there is any intraday feature of that session, whenever it became knowable."""
        return self._intraday.has(day)

    def bars(self, session: date) -> Sequence[Row]:
        """The bars of one session, for settlement after its close."""
        return self._bars.rows(session)

    def actions(self, session: date) -> Sequence[Row]:
        """Corporate actions with that ex-date."""
        return self._actions.get(session, [])

    def splits_until(self, session: date) -> Sequence[Row]:
        """Every split that took effect up to a session, whatever its symbol."""
        return [row for of in self._splits.values() for row in of if row["session"] <= session]

    def _symbol(self, bar: Row, session: date, regimes: Mapping[str, Row], as_of: datetime) -> SymbolFacts:
        symbol = bar["symbol"]
        earlier = self._indicators.newest(as_of, before=session)
        split_ratio = self._split_since(symbol, session, as_of)
        comparable = earlier is not None and self._split_since(symbol, earlier, as_of) == split_ratio
        return SymbolFacts(
            symbol=symbol,
            session=session,
            bar=bar,
            indicators=self._indicators.of(session, as_of).get(symbol, {}),
            previous=self._indicators.of(earlier, as_of).get(symbol, {}) if earlier and comparable else {},
            regime=regimes.get(symbol),
            split_ratio=split_ratio,
        )

    def _split_since(self, symbol: str, session: date, as_of: datetime) -> Decimal:
        ratio = Decimal(1)
        for row in self._splits.get(symbol, ()):
            if row["session"] > session and row["knowable_at"] <= as_of:
                ratio *= share_ratio(row["ratio"])
        return ratio
