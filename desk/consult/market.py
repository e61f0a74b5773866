"""Look-ups of facts and of what the analysts made of them: bars, indicators, regimes, breadth, news, narratives, briefs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from desk.consult.reading import Arguments, Desk, Found, Look, found, row, sentences
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.core.settings import Symbol
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.documents.model import NEWS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS
from trading_assets.theses.memory.records import regime_history

NEWS_SESSIONS = 10
_QUARTER = 63
Rows = Annotated[int, Field(ge=1, le=30)]
_KEYS = frozenset({"session", "symbol", "knowable_at"})


class OfSymbol(Arguments):
    """The newest rows of one symbol up to a session, or those of a range."""

    symbol: Symbol
    first: date | None = None
    last: date | None = None
    rows: Rows = 10


class AtSession(Arguments):
    """One symbol in one session; without one, in the newest."""

    symbol: Symbol
    session: date | None = None


class Labels(Arguments):
    """The newest labels of one symbol; without one, of all symbols in the newest session."""

    symbol: Symbol | None = None
    rows: Rows = 5


class Newest(Arguments):
    """The newest sessions."""

    rows: Rows = 5


class Words(Arguments):
    """What was written of one symbol, or of all."""

    symbol: Symbol | None = None
    first: date | None = None
    last: date | None = None
    rows: Rows = 10


class Opinions(Arguments):
    """What was said of one symbol, or of all, for one session or for the newest."""

    symbol: Symbol | None = None
    session: date | None = None
    rows: Rows = 15


def bars(desk: Desk, wanted: OfSymbol) -> Found:
    """Daily bars as traded."""
    first = wanted.first or desk.since(DAILY_BARS, wanted.rows, last=wanted.last)
    held = desk.rows(DAILY_BARS, facts=True, first=first, last=wanted.last, symbols=[wanted.symbol])
    kept = held if wanted.first else held[-wanted.rows :]
    shown = [row(each, "session", "open", "high", "low", "close", "volume") for each in kept]
    nothing = f"no bar of {wanted.symbol} from {first} on is known; the desk trades {', '.join(desk.symbols)}"
    return found(shown, most=wanted.rows, empty=nothing, note="USD as traded, oldest first")


def indicators(desk: Desk, wanted: AtSession) -> Found:
    """All indicators of one session that are known."""
    held = desk.newest(INDICATORS, facts=True, session=wanted.session, symbols=[wanted.symbol])
    shown = [row(each, "session", *(name for name in each if name not in _KEYS)) for each in held]
    return found(shown, empty=f"no indicators of {wanted.symbol} are known", note="prices in USD, shares as fractions")


def regimes(desk: Desk, wanted: Labels) -> Found:
    """Market, symbol and liquidity regimes."""
    columns = ("session", "symbol", "regime", "strategy_view", "probability", "since")
    if wanted.symbol is None:
        shown = [row(each, *columns) for each in desk.newest(REGIME_LABELS, facts=True)]
        return found(shown, empty="no regime is known")
    first = desk.since(REGIME_LABELS, wanted.rows)
    held = desk.rows(REGIME_LABELS, facts=True, first=first, symbols=[wanted.symbol])
    held = held or desk.newest(REGIME_LABELS, facts=True, symbols=[wanted.symbol])
    liquid = desk.newest(LIQUIDITY_REGIMES, facts=True, symbols=[wanted.symbol])
    shown = [row(each, *columns) for each in reversed(held[-wanted.rows :])]
    shown += [row({**each, "liquidity": each["regime"]}, "session", "symbol", "liquidity", "since") for each in liquid]
    other = f"no regime of {wanted.symbol} is known; {MARKET} names the whole market"
    return found(shown, empty=other, note=_past(desk, wanted.symbol) or "newest first")


def _past(desk: Desk, symbol: str) -> str:
    """How long the regime lasts and what came before it, as far as a quarter of a year reaches back."""
    first = desk.since(REGIME_LABELS, _QUARTER)
    rows = desk.rows(REGIME_LABELS, facts=True, first=first, symbols=[symbol])
    past = regime_history(rows, symbol=symbol, as_of=desk.now)
    if past is None:
        return ""
    before = ", ".join(f"{regime} from {session}" for session, regime in past.changes)
    return f"newest first; {past.regime} for {past.sessions} sessions; in the last {_QUARTER} sessions: {before}"


def breadth(desk: Desk, wanted: Newest) -> Found:
    """How many symbols take part."""
    held = desk.rows(BREADTH, facts=True, first=desk.since(BREADTH, wanted.rows))
    shown = [row(each, "session", *(name for name in each if name not in _KEYS)) for each in held[-wanted.rows :]]
    return found(shown[::-1], empty="no breadth is known", note="newest first")


def news(desk: Desk, wanted: Words) -> Found:
    """Headlines, the newest first; their words are their publishers'."""
    first = wanted.first or desk.since(NEWS, NEWS_SESSIONS, last=wanted.last)
    symbols = [wanted.symbol] if wanted.symbol else None
    held = desk.rows(NEWS, facts=True, first=first, last=wanted.last, symbols=symbols)
    held.sort(key=lambda each: (each["published_at"], each["symbol"], each["item"]), reverse=True)
    columns = ("symbol", "published_at")
    shown = [row(each, *columns, quoted=(f"{each['publisher']}: {each['headline']}",)) for each in held]
    return found(shown, most=wanted.rows, empty=f"no headline since {first} is known", note="New York time")


def narratives(desk: Desk, wanted: Opinions) -> Found:
    """Stories that the news tells, with stage and edge."""
    symbols = [wanted.symbol] if wanted.symbol else None
    held = desk.newest(NARRATIVES, session=wanted.session, symbols=symbols)
    columns = ("session", "symbol", "stage", "direction", "velocity", "consensus", "source_diversity", "edge", "items")
    shown = [row(each, *columns, "route", quoted=(each["story"], each["counter_story"])) for each in held]
    return found(shown, most=wanted.rows, empty="no narrative is known")


def briefs(desk: Desk, wanted: Opinions) -> Found:
    """What the analysts said before the open."""
    symbols = [wanted.symbol, MARKET] if wanted.symbol else None
    held = desk.newest(ANALYST_BRIEFS, session=wanted.session, symbols=symbols)
    columns = ("session", "agent", "symbol", "signal", "confidence", "route")
    shown = [row(each, *columns, quoted=(sentences(each["reasons"]),)) for each in held]
    return found(shown, most=wanted.rows, empty="no brief is known; desk brief asks the analysts now")


MARKET_TOOLS: Mapping[str, Look[Any]] = {
    "bars": Look("daily bars of a symbol", OfSymbol, bars),
    "indicators": Look("indicators of a symbol: means, RSI, MACD, ATR, bands, momentum", AtSession, indicators),
    "regimes": Look("market, symbol and liquidity regimes", Labels, regimes),
    "breadth": Look("how many symbols rise, fall and stand above their means", Newest, breadth),
    "news": Look("dated headlines", Words, news),
    "narratives": Look("stories in the news: stage, direction, edge", Opinions, narratives),
    "briefs": Look("what the analysts said of a symbol and of the market", Opinions, briefs),
}
