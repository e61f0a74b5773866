"""Bars and corporate actions of many instruments as one frame, with a note for each instrument that had none.

Providers know tickers; the lake knows instruments. Each instrument is asked for under its ticker, only for the part of the span
that lies in its life, and its rows are renamed to its symbol.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import polars as pl

from trading_assets.core.errors import PermanentFailure, TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData, QuoteData
from trading_assets.market.universe.listings import (
    Listed,
    PlainSymbol,
    check_lives,
    is_ended_owner,
    life_within,
    outside_life,
    refuse_twice,
)

_PARALLEL_REQUESTS_MAX = 4
SIMULATED = "simulated"
# These answer for a ticker with the history of the company that owns it now, whatever the days asked for.
_PRESENT_OWNER_ONLY = frozenset({"yfinance", "ib"})
Ask = Callable[[MarketData, str, Span], pl.DataFrame]


@runtime_checkable
class _Chain(Protocol):
    """A provider of several sources."""

    def without(self, names: Collection[str]) -> MarketData | None:
        """The other sources; None when none is left."""
        ...


@dataclass(frozen=True, slots=True)
class Collected:
    """What a provider delivered.

    Args:
        frame: Conforming rows of all instruments under their symbols, sorted by the table's key.
        notes: Symbol to sentence, for each instrument without a row.
    """

    frame: pl.DataFrame
    notes: Mapping[str, str]


def collect_bars(
    provider: MarketData, instruments: Sequence[str | Listed], frequency: Frequency, span: Span
) -> Collected:
    """Bars of the instruments in the span; one without bars, or without a life in the span, becomes a note.

    A plain string is a symbol that is its own ticker and has no ends.

    Raises:
        EmptyAnswer: No instrument has a bar in the span.
        TableMismatch: The provider returned rows that were not asked for, or that do not fit the table.
        ConfigurationError: Two instruments own one ticker at once.
        UnknownSymbol, UnsupportedRequest, MalformedAnswer, ProviderUnavailable: As the provider raised it.
    """
    table = DAILY_BARS if frequency == "1d" else INTRADAY_BARS
    collected = _collected(
        provider, table, instruments, span, lambda source, ticker, part: source.bars(ticker, frequency, part)
    )
    if collected.frame.is_empty():
        raise EmptyAnswer(
            f"{provider.name} has no {frequency} bar of any symbol from {span.first} to {span.last}",
            value=", ".join(collected.notes),
            hint="choose other symbols or days, or another provider",
        )
    return collected


def collect_actions(provider: MarketData, instruments: Sequence[str | Listed], span: Span) -> Collected:
    """Splits and dividends of the instruments with ex-dates in the span and in their lives; an empty frame when there was none.

    Raises:
        TableMismatch: The provider returned rows that were not asked for, or that do not fit the table.
        ConfigurationError: Two instruments own one ticker at once.
        UnknownSymbol, MalformedAnswer, ProviderUnavailable: As the provider raised it.
    """
    return _collected(
        provider,
        CORPORATE_ACTIONS,
        instruments,
        span,
        lambda source, ticker, part: source.corporate_actions(ticker, part),
    )


def collect_quotes(provider: MarketData, instruments: Sequence[str | Listed], span: Span) -> Collected:
    """Quotes of the instruments in the span; a source that has no quotes at all delivers none and says so.

    Raises:
        TableMismatch: The provider returned rows that were not asked for, or that do not fit the table.
        ConfigurationError: Two instruments own one ticker at once.
        UnknownSymbol, MalformedAnswer, ProviderUnavailable: As the provider raised it.
    """
    if not isinstance(provider, QuoteData):
        return Collected(QUOTE_BARS.empty(), {"every symbol": f"{provider.name} has no quotes"})
    return _collected(provider, QUOTE_BARS, instruments, span, _quotes)


def refuse_mixture(arriving: Collection[str], stored: Collection[str]) -> None:
    """Invented prices and real ones never stand in one lake: breadth, market index and universes look at all of it.

    Raises:
        PermanentFailure: One of the two names only `simulated` as its source, and the other names anything else.
    """
    invented = [set(sources) == {SIMULATED} for sources in (arriving, stored)]
    if arriving and stored and any(invented) and not all(invented):
        raise PermanentFailure(
            "simulated and real prices do not go into one lake",
            value=", ".join(sorted(arriving)),
            bound=", ".join(sorted(stored)),
            hint="keep simulated prices in a home of their own: DESK_HOME=.desk-simulated desk ingest --provider simulated",
        )


def _quotes(source: MarketData, ticker: str, part: Span) -> pl.DataFrame:
    if not isinstance(source, QuoteData):
        raise EmptyAnswer(f"{source.name} has no quotes of {ticker}")
    quoting: QuoteData = source
    return quoting.quotes(ticker, part)


def _collected(
    provider: MarketData,
    table: Table,
    instruments: Sequence[str | Listed],
    span: Span,
    ask: Ask,
) -> Collected:
    wanted = _wanted(instruments)
    with ThreadPoolExecutor(_PARALLEL_REQUESTS_MAX, thread_name_prefix="market-data") as pool:
        answers = list(pool.map(lambda instrument: _answer(provider, table, instrument, span, ask), wanted))
    named = list(zip((instrument.symbol for instrument in wanted), answers, strict=True))
    notes = {symbol: answer for symbol, answer in named if isinstance(answer, str)}
    frames = [answer for _, answer in named if not isinstance(answer, str)]
    return Collected(table.conform(pl.concat(frames)) if frames else table.empty(), notes)


def _wanted(instruments: Sequence[str | Listed]) -> list[Listed]:
    every = [PlainSymbol(each) if isinstance(each, str) else each for each in instruments]
    if not every:
        raise PermanentFailure("no symbol was asked for", hint="name at least one symbol")
    refuse_twice(every)
    wanted = sorted({each.symbol: each for each in every}.values(), key=lambda each: each.symbol)
    check_lives(wanted)
    return wanted


def _answer(
    provider: MarketData,
    table: Table,
    instrument: Listed,
    span: Span,
    ask: Ask,
) -> pl.DataFrame | str:
    """The instrument's rows under its symbol, or why there is none."""
    part = life_within(instrument, span)
    if part is None:
        return outside_life(instrument, span)
    source = _source_of(provider, instrument)
    if source is None:
        return f"{provider.name} knows {instrument.traded_as} only as its present owner; provide files for {instrument.symbol}"
    try:
        answer = ask(source, instrument.traded_as, part)
    except EmptyAnswer as empty:
        return str(empty)
    table.conform(answer)
    _refuse_strangers(source, table, instrument.traded_as, answer, part)
    if answer.is_empty():
        return f"no row of {table.name} from {part.first} to {part.last}"
    return answer.with_columns(pl.lit(instrument.symbol).alias("symbol"))


def _source_of(provider: MarketData, instrument: Listed) -> MarketData | None:
    """The provider, for an ended owner without the sources that would answer with the present one; None when none is left."""
    if not is_ended_owner(instrument):
        return provider
    if isinstance(provider, _Chain):
        return provider.without(_PRESENT_OWNER_ONLY)
    return None if provider.name in _PRESENT_OWNER_ONLY else provider


def _refuse_strangers(provider: MarketData, table: Table, ticker: str, frame: pl.DataFrame, part: Span) -> None:
    asked_for = pl.col("session").is_between(part.first, part.last) & (pl.col("symbol") == ticker)
    strangers = frame.filter(~asked_for)
    if strangers.height:
        raise TableMismatch(
            f"{provider.name} returned {table.name} that were not asked for",
            value=strangers.select("symbol", "session").row(0, named=True),
            bound=f"{ticker} from {part.first} to {part.last}",
        )
