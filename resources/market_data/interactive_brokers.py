"""Historical bars of Interactive Brokers, brought back to what was traded.

Interactive Brokers adjusts the trades that it serves for later splits, and does not say for which: another source must know the
splits since the span's first session, or the request is refused. Its hours begin at the full hour and those of the desk at
the open, so hours are put together from half hours. Dividends and splits themselves are not served at all.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import polars as pl

from resources.market_data.ib_pacing import Pacing, pacing_of
from resources.market_data.ib_wire import NAME, IbWire, Question
from resources.market_data.rows import VALUES, daily_rows, intraday_rows, not_empty
from resources.market_data.yahoo_wire import Patience
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.core.settings import InteractiveBrokersData
from trading_assets.market.hours import BAR_LENGTH, resampled
from trading_assets.market.model import Frequency
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    MarketData,
    ProviderUnavailable,
    UnsupportedRequest,
)

_DAY: Final = timedelta(days=1)
_PRICE_PLACES = 4
_SHARES_WHOLE = 0.005
_PATIENCE: Final = Patience(attempts=3, timeout_s=60.0, pause_s=10.0, pause_s_max=60.0)


@dataclass(frozen=True, slots=True)
class Ask:
    """How a bar length is asked for: the size by Interactive Brokers' name, and the calendar days of one request at most."""

    size: str
    days: int


ASKED: Final = MappingProxyType(
    {"1d": Ask("1 day", 365), "1h": Ask("30 mins", 28), "5m": Ask("5 mins", 7), "1m": Ask("1 min", 1)}
)


class InteractiveBrokersMarketData:
    """Bars as Interactive Brokers knows them at `as_of`; a bar that had not ended then is left out.

    Prices are rounded to a hundredth of a cent and volumes to whole shares, as undone splits leave noise behind. The connection
    is for reading, has a client id of its own, and ends with `close` or with the last reference to this object.

    Args:
        where: Host, port and client id of TWS or the Gateway.
        as_of: UTC instant; later bars are not asked for.
        splits: Who knows the splits since a span's first session; None when nobody does.
        pacing: Holds requests back; the one that all users of the same Gateway in this process share when None.
        patience: Attempts, time-outs and pauses.
        sleep: Waits for some seconds between attempts.
        connect_timeout_s: Seconds to wait for the connection.
    """

    def __init__(
        self,
        where: InteractiveBrokersData,
        *,
        as_of: datetime,
        splits: MarketData | None,
        pacing: Pacing | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self._as_of = as_of
        self._today = as_of.astimezone(NEW_YORK).date()
        self._splits_known_by = splits
        self._pacing = pacing or pacing_of(where.host, where.port)
        self._patience = patience or _PATIENCE
        self._sleep = sleep
        self._wire = IbWire(where, timeout_s=self._patience.timeout_s, connect_timeout_s=connect_timeout_s)

    @property
    def name(self) -> str:
        """`ib`."""
        return NAME

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """Bars as traded of the span's sessions up to `as_of`."""
        sessions = XNYS.sessions(span.first, min(span.last, self._today)) if span.first <= self._today else ()
        if not sessions:
            raise EmptyAnswer(f"{NAME} has no {frequency} bar of {symbol} from {span.first} to {span.last}")
        splits = self._splits(symbol, sessions[0])
        answers = [self._part(symbol, frequency, part) for part in _parts(sessions, ASKED[frequency].days)]
        found = [answer for answer in answers if answer is not None]
        if not found:
            raise EmptyAnswer(f"{NAME} has no {frequency} bar of {symbol} from {span.first} to {span.last}")
        prices = _as_traded(_dated(pl.concat(found)), splits, symbol)
        rows = self._rows(prices, symbol, frequency).filter(pl.col("knowable_at") <= self._as_of)
        return not_empty(rows, provider=NAME, symbol=symbol, frequency=frequency, span=span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Always refused: a chain asks its next source."""
        raise UnsupportedRequest(
            f"{NAME} does not serve the corporate actions of {symbol} from {span.first} to {span.last}",
            hint="add a source that knows them to market.fallbacks in config/settings.yaml, for example yfinance or files",
        )

    def close(self) -> None:
        """Ends the connection; the next question opens a new one."""
        self._wire.close()

    def _rows(self, prices: pl.DataFrame, symbol: str, frequency: Frequency) -> pl.DataFrame:
        if frequency == "1d":
            return daily_rows(prices, symbol=symbol, source=NAME)
        starts = prices.select(pl.col("at").alias("start"), *VALUES)
        if frequency == "1h":
            starts = resampled(starts, length=BAR_LENGTH["1h"], calendar=XNYS).select("start", *VALUES)
        return intraday_rows(starts, symbol=symbol, frequency=frequency, source=NAME)

    def _splits(self, symbol: str, first: Session) -> pl.DataFrame:
        """Ex-dates after the first session, and how many of today's shares one share from before became."""
        if first.day >= self._today:
            return _NO_SPLITS
        if self._splits_known_by is None:
            raise UnsupportedRequest(
                f"{NAME} adjusts its bars of {symbol} for later splits and does not say which",
                value=f"bars from {first.day}",
                bound=f"no source knows the splits up to {self._today}",
                hint="add yfinance or files to market.fallbacks or market.cross_check in config/settings.yaml",
            )
        actions = self._splits_known_by.corporate_actions(symbol, Span(first.day + _DAY, self._today))
        splits = actions.filter(pl.col("kind") == "split").sort("session")
        return splits.select(pl.col("session").alias("ex_date"), shares=pl.col("ratio").cum_prod(reverse=True))

    def _part(self, symbol: str, frequency: Frequency, sessions: tuple[Session, ...]) -> pl.DataFrame | None:
        first, last = sessions[0], sessions[-1]
        question = Question(
            symbol=symbol.replace(".", " ").replace("-", " "),
            end=min(last.close, self._as_of),
            duration=f"{(last.day - first.day).days + 1} D",
            size=ASKED[frequency].size,
            about=f"{frequency} bars of {symbol} from {first.day} to {last.day}",
        )
        try:
            answer = self._asked(question)
        except EmptyAnswer:
            return None
        day = pl.col("at") if frequency == "1d" else pl.col("at").dt.convert_time_zone(NEW_YORK.key).dt.date()
        return answer.filter(day.is_between(first.day, last.day))

    def _asked(self, question: Question) -> pl.DataFrame:
        for attempt in range(1, self._patience.attempts):
            self._pacing.wait(question.symbol, question)
            try:
                return self._wire.history(question)
            except ProviderUnavailable:
                self._sleep(self._patience.pause_after(attempt, question.symbol))
        self._pacing.wait(question.symbol, question)
        return self._wire.history(question)


_NO_SPLITS = pl.DataFrame(schema={"ex_date": pl.Date(), "shares": pl.Float64()})


def _parts(sessions: tuple[Session, ...], days_max: int) -> Iterator[tuple[Session, ...]]:
    """Runs of sessions that one request may span."""
    rest = sessions
    while rest:
        end = rest[0].day + timedelta(days=days_max)
        part = tuple(session for session in rest if session.day < end)
        yield part
        rest = rest[len(part) :]


def _dated(answer: pl.DataFrame) -> pl.DataFrame:
    if answer.schema["at"] == pl.Date():
        return answer.with_columns(session="at")
    return answer.with_columns(session=pl.col("at").dt.convert_time_zone(NEW_YORK.key).dt.date())


def _as_traded(answer: pl.DataFrame, splits: pl.DataFrame, symbol: str) -> pl.DataFrame:
    prices = [name for name in VALUES if name != "volume"]
    dated = answer.sort("at").join_asof(
        splits, left_on="session", right_on="ex_date", strategy="forward", allow_exact_matches=False
    )
    shares = pl.col("shares").fill_null(1.0)
    traded = dated.with_columns(pl.col(*prices) * shares, pl.col("volume") / shares)
    _refuse_lots(traded, symbol)
    return traded.with_columns(pl.col(*prices).round(_PRICE_PLACES), pl.col("volume").round())


def _refuse_lots(traded: pl.DataFrame, symbol: str) -> None:
    """Volumes in hundreds of shares have decimals; whole lots on every bar cannot be told from shares."""
    noise = _SHARES_WHOLE / pl.min_horizontal(pl.col("shares").fill_null(1.0), 1.0)
    broken = ((pl.col("volume") - pl.col("volume").round()).abs() > noise) & (pl.col("volume") > 0)
    parts = traded.filter(broken)
    if parts.height * 2 > traded.height:
        raise MalformedAnswer(
            f"{NAME} delivered volumes of {symbol} that are no whole shares",
            value=parts["volume"][0],
            hint='switch off "Send market data in lots for US stocks" in the API settings of TWS or the Gateway',
        )
