"""Bars and corporate actions of many symbols as one frame, with a note for each symbol that had none."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from trading_assets.core.errors import PermanentFailure, TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData

_PARALLEL_REQUESTS_MAX = 4
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Collected:
    """What a provider delivered.

    Args:
        frame: Conforming rows of all symbols, sorted by the table's key.
        notes: Symbol to sentence, for each symbol without a row.
    """

    frame: pl.DataFrame
    notes: Mapping[str, str]


def collect_bars(provider: MarketData, symbols: Sequence[str], frequency: Frequency, span: Span) -> Collected:
    """Bars of `symbols` in the span; a symbol without bars becomes a note.

    Raises:
        EmptyAnswer: No symbol has a bar in the span.
        TableMismatch: The provider returned rows that were not asked for, or that do not fit the table.
        UnknownSymbol, UnsupportedRequest, MalformedAnswer, ProviderUnavailable: As the provider raised it.
    """
    table = DAILY_BARS if frequency == "1d" else INTRADAY_BARS
    answers = _each(symbols, lambda symbol: _bars(provider, symbol, frequency, span))
    notes = {symbol: str(answer) for symbol, answer in answers.items() if isinstance(answer, EmptyAnswer)}
    if len(notes) == len(answers):
        raise EmptyAnswer(
            f"{provider.name} has no {frequency} bar of any symbol from {span.first} to {span.last}",
            value=", ".join(answers),
            hint="choose other symbols or days, or another provider",
        )
    frames = {symbol: answer for symbol, answer in answers.items() if not isinstance(answer, EmptyAnswer)}
    return Collected(_joined(provider, table, frames, span), notes)


def collect_actions(provider: MarketData, symbols: Sequence[str], span: Span) -> Collected:
    """Splits and dividends of `symbols` with ex-dates in the span; an empty frame when there was none.

    Raises:
        TableMismatch: The provider returned rows that were not asked for, or that do not fit the table.
        UnknownSymbol, MalformedAnswer, ProviderUnavailable: As the provider raised it.
    """
    frames = _each(symbols, lambda symbol: provider.corporate_actions(symbol, span))
    notes = {
        symbol: f"no corporate action from {span.first} to {span.last}"
        for symbol, frame in frames.items()
        if frame.is_empty()
    }
    return Collected(_joined(provider, CORPORATE_ACTIONS, frames, span), notes)


def _bars(provider: MarketData, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame | EmptyAnswer:
    try:
        return provider.bars(symbol, frequency, span)
    except EmptyAnswer as empty:
        return empty


def _each(symbols: Sequence[str], ask: Callable[[str], Answer]) -> dict[str, Answer]:
    wanted = sorted(set(symbols))
    if not wanted:
        raise PermanentFailure("no symbol was asked for", hint="name at least one symbol")
    with ThreadPoolExecutor(_PARALLEL_REQUESTS_MAX, thread_name_prefix="market-data") as pool:
        return dict(zip(wanted, pool.map(ask, wanted), strict=True))


def _joined(provider: MarketData, table: Table, frames: Mapping[str, pl.DataFrame], span: Span) -> pl.DataFrame:
    for symbol, frame in frames.items():
        table.conform(frame)
        _refuse_strangers(provider, table, symbol, frame, span)
    return table.conform(pl.concat(frames.values()))


def _refuse_strangers(provider: MarketData, table: Table, symbol: str, frame: pl.DataFrame, span: Span) -> None:
    asked_for = pl.col("session").is_between(span.first, span.last) & (pl.col("symbol") == symbol)
    strangers = frame.filter(~asked_for)
    if strangers.height:
        raise TableMismatch(
            f"{provider.name} returned {table.name} that were not asked for",
            value=strangers.select("symbol", "session").row(0, named=True),
            bound=f"{symbol} from {span.first} to {span.last}",
        )
