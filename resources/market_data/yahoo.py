"""Yahoo's bars through yfinance, brought back to what was traded.

Yahoo delivers prices in today's share count, whatever is asked for. The splits that come with the same answer undo that:
the daily request reaches from the span's first day to `as_of`, so that every later split is in it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from resources.market_data.rows import VALUES, action_rows, daily_rows, intraday_rows, not_empty, within
from resources.market_data.yahoo_wire import NAME, Patience, YahooWire
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.ports import Span
from trading_assets.market.model import Frequency
from trading_assets.market.ports import EmptyAnswer, UnsupportedRequest

_DAY: Final = timedelta(days=1)
_PRICE_PLACES = 4


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back Yahoo keeps a bar length, and how many days one request may span."""

    days_back: int
    days_per_request: int


REACH: Final = MappingProxyType({"1h": Reach(730, 730), "5m": Reach(60, 60), "1m": Reach(30, 7)})


class YahooMarketData:
    """Bars and actions as Yahoo knows them at `as_of`; a bar that had not ended then is left out.

    Prices are rounded to a hundredth of a cent and volumes to whole shares: Yahoo stores single-precision numbers, and an
    undone split would show their noise.

    Args:
        as_of: UTC instant; later bars and later splits are not asked for.
        cache: Folder where yfinance keeps time zones and cookies; made when it does not exist.
        session: A curl_cffi session, or None for the one that yfinance makes.
        sleep: Waits for some seconds between attempts.
        patience: Attempts, time-outs and pauses.
    """

    def __init__(
        self,
        *,
        as_of: datetime,
        cache: Path,
        session: Any = None,
        sleep: Callable[[float], None] = time.sleep,
        patience: Patience | None = None,
    ) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._as_of = as_of
        self._today = as_of.astimezone(NEW_YORK).date()
        self._wire = YahooWire(cache, sleep, patience or Patience(), session)

    @property
    def name(self) -> str:
        """`yfinance`."""
        return NAME

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """Bars as traded of the span's sessions up to `as_of`."""
        if span.first > self._today:
            raise EmptyAnswer(f"{NAME} has no {frequency} bar of {symbol} after {self._today}", value=span.first)
        if frequency == "1d":
            answer = self._days(symbol, span.first)
            prices = _as_traded(answer, _splits(answer))
            rows = daily_rows(prices, symbol=symbol, source=NAME)
        else:
            rows = self._intraday(symbol, frequency, span)
        ended = within(rows, span).filter(pl.col("knowable_at") <= self._as_of)
        return not_empty(ended, provider=NAME, symbol=symbol, frequency=frequency, span=span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Splits and dividends with ex-dates in the span; amounts are per share as held on the day before."""
        if span.first > self._today:
            return action_rows(_NO_ACTIONS, symbol=symbol, source=NAME)
        try:
            answer = self._days(symbol, span.first)
        except EmptyAnswer:
            return action_rows(_NO_ACTIONS, symbol=symbol, source=NAME)
        found = action_rows(_actions(answer), symbol=symbol, source=NAME)
        return within(found, span).filter(pl.col("knowable_at") <= self._as_of)

    def _intraday(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        reach = REACH[frequency]
        oldest = self._today - timedelta(days=reach.days_back)
        if span.first < oldest:
            raise UnsupportedRequest(
                f"{NAME} keeps {frequency} bars for {reach.days_back} days",
                value=f"{symbol} from {span.first}",
                bound=f"{oldest} and later",
                hint="ask for later sessions or longer bars, or ingest files",
            )
        splits = _splits(self._days(symbol, span.first))
        answers = [self._part(symbol, frequency, *part) for part in _parts(span, self._today, reach)]
        found = [answer for answer in answers if answer is not None]
        if not found:
            raise EmptyAnswer(f"{NAME} has no {frequency} bar of {symbol} from {span.first} to {span.last}")
        prices = _as_traded(_dated(pl.concat(found)), splits).with_columns(pl.col("at").alias("start"))
        return intraday_rows(prices.drop("session"), symbol=symbol, frequency=frequency, source=NAME)

    def _part(self, symbol: str, frequency: Frequency, first: date, end: date) -> pl.DataFrame | None:
        try:
            return self._wire.history(symbol, frequency, first, end)
        except EmptyAnswer:
            return None

    def _days(self, symbol: str, first: date) -> pl.DataFrame:
        return _dated(self._wire.history(symbol, "1d", first, self._today + _DAY))


_NO_ACTIONS = pl.DataFrame(
    schema={"session": pl.Date(), "kind": pl.String(), "ratio": pl.Float64(), "amount": pl.Float64()}
)


def _parts(span: Span, today: date, reach: Reach) -> Iterator[tuple[date, date]]:
    """Days from and up to but not including, that together cover the span."""
    first, end = span.first, min(span.last, today) + _DAY
    while first < end:
        last = min(first + timedelta(days=reach.days_per_request), end)
        yield first, last
        first = last


def _dated(answer: pl.DataFrame) -> pl.DataFrame:
    return answer.with_columns(session=pl.col("at").dt.convert_time_zone(NEW_YORK.key).dt.date())


def _splits(answer: pl.DataFrame) -> pl.DataFrame:
    """Ex-dates, and how many of today's shares one share from before became."""
    happened = answer.filter(pl.col("split") > 0).sort("session")
    return happened.select(pl.col("session").alias("ex_date"), shares=pl.col("split").cum_prod(reverse=True))


def _as_traded(answer: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    prices = [name for name in VALUES if name != "volume"]
    return _with_shares(answer, splits, ex_date_included=False).with_columns(
        *(_rounded(pl.col(name) * pl.col("shares")) for name in prices), (pl.col("volume") / pl.col("shares")).round()
    )


def _rounded(price: pl.Expr) -> pl.Expr:
    """To the places that single precision keeps (an error of price / 2**24): four below 500 USD, one less per decade."""
    places = pl.when(price < 500).then(price.round(_PRICE_PLACES)).when(price < 5_000).then(price.round(3))
    return places.when(price < 50_000).then(price.round(2)).otherwise(price.round(1)).name.keep()


def _actions(answer: pl.DataFrame) -> pl.DataFrame:
    columns = ("session", "kind", "ratio", "amount")
    splits = answer.filter(pl.col("split") > 0).with_columns(
        kind=pl.lit("split"), ratio=pl.col("split"), amount=pl.lit(0.0)
    )
    paid = _with_shares(answer.filter(pl.col("dividend") > 0), _splits(answer), ex_date_included=True)
    dividends = paid.with_columns(
        kind=pl.lit("cash_dividend"),
        ratio=pl.lit(1.0),
        amount=(pl.col("dividend") * pl.col("shares")).round(_PRICE_PLACES),
    )
    return pl.concat([splits.select(columns), dividends.select(columns)])


def _with_shares(rows: pl.DataFrame, splits: pl.DataFrame, *, ex_date_included: bool) -> pl.DataFrame:
    dated = rows.sort("at").join_asof(
        splits, left_on="session", right_on="ex_date", strategy="forward", allow_exact_matches=ex_date_included
    )
    return dated.with_columns(pl.col("shares").fill_null(1.0))
