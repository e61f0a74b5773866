"""The simulated market: what a provider would deliver, and the truth that no provider has."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from simulation.market import frames
from simulation.market.cast import draw_cast
from simulation.market.daily import Life, live
from simulation.market.events import LEAD_MAX
from simulation.market.liquidity import liquidity_codes, planted, quotes_of
from simulation.market.minutes import Minutes, minutes_of, pause_after_jump
from simulation.market.model import (
    BREAKDOWN_TRUTH,
    EVENT_TRUTH,
    HALT_TRUTH,
    LIQUIDITY,
    LIQUIDITY_TRUTH,
    MARKET,
    NAME,
    REGIME_TRUTH,
    REGIMES,
    Instrument,
    Pair,
)
from simulation.market.news import items_of
from simulation.market.regimes import Codes
from simulation.market.returns import Factors
from simulation.market.timeline import timeline
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market.hours import BAR_LENGTH
from trading_assets.market.model import Frequency
from trading_assets.market.ports import EmptyAnswer, UnknownSymbol, UnsupportedRequest


class SimulatedMarket:
    """One market per seed: the same bits for the same seed, whatever is asked, in which order, in how many parts.

    Args:
        seed: Which market.
        lead_sessions: How many sessions before a jump its news appears, 1 to 20; bars do not depend on it.
    """

    def __init__(self, seed: int, *, lead_sessions: int = 3) -> None:
        if not 1 <= lead_sessions <= LEAD_MAX:
            raise PermanentFailure("lead_sessions is out of bounds", value=lead_sessions, bound=f"1 to {LEAD_MAX}")
        self.seed = seed
        self.lead_sessions = lead_sessions
        self._cast = draw_cast(seed)
        self._factors = Factors(seed, self._cast)
        self._life = lru_cache(maxsize=64)(self._live)

    def cast(self) -> tuple[Instrument, ...]:
        """All 600 instruments, in order of their symbols."""
        return tuple(self._cast.instruments.values())

    def instrument(self, symbol: str) -> Instrument:
        """The instrument of a symbol, or UnknownSymbol."""
        if symbol not in self._cast.instruments:
            raise UnknownSymbol(f"{NAME} does not know {symbol}", bound="SIM000 to SIM599")
        return self._cast.instruments[symbol]

    def planted_pairs(self) -> tuple[Pair, ...]:
        """Ten pairs that are cointegrated all their life, then five whose bond breaks at times."""
        return tuple(self._cast.pairs.values())

    def daily(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of DAILY_BARS of one symbol; EmptyAnswer when it did not trade in the span."""
        rows = frames.daily_frame([(symbol, self._life(symbol))], self._numbers(span))
        if rows.is_empty():
            raise self._nothing(symbol, "1d", span)
        return rows

    def daily_panel(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of DAILY_BARS of many symbols; those that did not trade in the span have none."""
        return frames.daily_frame([(symbol, self._life(symbol)) for symbol in _unique(symbols)], self._numbers(span))

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of CORPORATE_ACTIONS of one symbol with ex-dates in the span; empty when there were none."""
        return frames.action_frame(symbol, self._life(symbol).actions, self._numbers(span))

    def intraday(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """Rows of INTRADAY_BARS of one symbol.

        Raises:
            UnsupportedRequest: The frequency is none of 1h, 5m and 1m.
            EmptyAnswer: It did not trade in the span.
        """
        self.instrument(symbol)
        if frequency not in BAR_LENGTH:
            raise UnsupportedRequest(
                f"{NAME} has no {frequency} bars of {symbol}", bound=", ".join(("1d", *BAR_LENGTH))
            )
        minutes = self._minutes(symbol, frequency, span)
        length = BAR_LENGTH[frequency] // timedelta(minutes=1)
        return frames.intraday_frame(symbol, frequency, length, minutes if length == 1 else minutes.merged(length))

    def quotes(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of QUOTE_BARS of one symbol, one per minute bar; EmptyAnswer when it did not trade in the span."""
        one, minutes = self.instrument(symbol), self._minutes(symbol, "1m", span)
        quoted = quotes_of(self.seed, one, self._life(symbol), planted(self.seed, symbol), minutes)
        return frames.quote_frame(symbol, minutes, quoted)

    def news(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of NEWS about the symbols, by the session in which each became knowable; empty when there was none."""
        numbers = self._numbers(span)
        told = [
            (symbol, item)
            for symbol in _unique(symbols)
            for item in items_of(self.seed, symbol, self._life(symbol), numbers, lead=self.lead_sessions)
        ]
        return frames.news_frame(told)

    def truth(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of REGIME_TRUTH: the regimes of MARKET and of the symbols in the sessions of their lives."""
        numbers = np.array(self._numbers(span), dtype=np.int64)
        parts = [_labelled("regime", REGIMES, MARKET, numbers, self._factors.states[numbers])]
        for symbol in _unique(name for name in symbols if name != MARKET):
            life = self._life(symbol)
            lived = numbers[(numbers >= life.numbers.start) & (numbers < life.numbers.stop)]
            parts.append(_labelled("regime", REGIMES, symbol, lived, life.states[lived - life.first].astype(np.int64)))
        return REGIME_TRUTH.conform(pl.concat(parts))

    def liquidity_truth(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of LIQUIDITY_TRUTH of the symbols in the sessions of their lives."""
        numbers = self._numbers(span)
        parts = [self._liquidity(symbol, numbers) for symbol in _unique(symbols)]
        return LIQUIDITY_TRUTH.conform(pl.concat(parts)) if parts else LIQUIDITY_TRUTH.empty()

    def events(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of EVENT_TRUTH: jumps and earnings gaps in the span."""
        numbers, days = self._numbers(span), timeline().days
        rows = [
            {
                "session": days[life.first + place],
                "symbol": symbol,
                "kind": kind,
                "move": float(moves[place]),
                "news_session": days[life.first + place - lead],
            }
            for symbol in _unique(symbols)
            for life in [self._life(symbol)]
            for kind, moves, lead in (("jump", life.jumps, self.lead_sessions), ("earnings", life.earnings, 0))
            for place in np.flatnonzero(moves).tolist()
            if life.first + place in numbers
        ]
        return EVENT_TRUTH.frame(rows)

    def halts(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of HALT_TRUTH: sessions without a bar, and the pauses after jumps."""
        numbers = self._numbers(span)
        rows = [row for symbol in _unique(symbols) for row in self._halted(symbol) if row[0] in numbers]
        line = timeline()
        columns = {
            "session": [line.days[number] for number, *_ in rows],
            "symbol": [symbol for _, symbol, *_ in rows],
            "kind": [kind for _, _, kind, _ in rows],
            "start": [_minute(number, minutes.start) for number, _, _, minutes in rows],
            "end": [_minute(number, minutes.stop) for number, _, _, minutes in rows],
        }
        return frames.shaped(HALT_TRUTH, columns)

    def breakdowns(self) -> pl.DataFrame:
        """Rows of BREAKDOWN_TRUTH: every episode in which the bond of a pair is cut."""
        days = timeline().days
        rows = [
            {
                "session": days[episode.first],
                "first": pair.first,
                "second": pair.second,
                "last_session": days[episode.last],
                "converged_session": days[episode.converged],
            }
            for pair in self.planted_pairs()
            for episode in self._factors.episodes(pair)
        ]
        return BREAKDOWN_TRUTH.frame(rows)

    def _nothing(self, symbol: str, frequency: str, span: Span) -> EmptyAnswer:
        """The refusal of a span in which a symbol did not trade."""
        life = self.instrument(symbol).life
        return EmptyAnswer(
            f"{NAME} has no {frequency} bar of {symbol} from {span.first} to {span.last}",
            bound=f"{life.first} to {life.last}",
        )

    def _numbers(self, span: Span) -> range:
        return timeline().numbers(span)

    def _minutes(self, symbol: str, frequency: Frequency, span: Span) -> Minutes:
        life = self._life(symbol)
        numbers = frames.traded(life, self._numbers(span)).tolist()
        if not numbers:
            raise self._nothing(symbol, frequency, span)
        return minutes_of(self.seed, symbol, life, numbers)

    def _liquidity(self, symbol: str, numbers: range) -> pl.DataFrame:
        life = self._life(symbol)
        codes = liquidity_codes(self.instrument(symbol), life, planted(self.seed, symbol))
        wanted = frames.traded(life, numbers)
        return _labelled("liquidity", LIQUIDITY, symbol, wanted, codes[wanted - life.first])

    def _halted(self, symbol: str) -> Iterator[tuple[int, str, str, range]]:
        life = self._life(symbol)
        for number in (life.first + np.flatnonzero(life.jumps)).tolist():
            yield number, symbol, "pause", pause_after_jump(self.seed, symbol, number)
        for number in (life.first + np.flatnonzero(life.halted)).tolist():
            yield number, symbol, "session", range(int(timeline().minutes[number]))

    def _live(self, symbol: str) -> Life:
        return live(self.seed, self.instrument(symbol), self._factors.diffusion(symbol))


def _unique(symbols: Iterable[str]) -> list[str]:
    return sorted(set(symbols))


def _minute(number: int, minute: int) -> datetime:
    return XNYS.session(timeline().days[number]).open + timedelta(minutes=minute)


def _labelled(column: str, names: Sequence[str], symbol: str, numbers: Codes, codes: Codes) -> pl.DataFrame:
    columns = {
        "session": frames.days(numbers),
        "symbol": frames.same(symbol, numbers.size),
        column: pl.Series(names, dtype=pl.String()).gather(pl.Series(codes.astype(np.int64))),
    }
    return pl.DataFrame(columns)
