"""A made market for the proofs of causality, and ways to alter its future.

Three symbols over four years and a half with a split, a dividend, halts, missing days and quotes of two of them. November 2012 is
the part that is looked at: clocks go back on the 4th, the 23rd closes early, two days in October were closed by a storm.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache

import polars as pl

from tests.features.frames import splits_of, walk
from tests.features.intraday_frames import minutes, quotes
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS

Frames = Mapping[str, pl.DataFrame]
Alter = Callable[[str, pl.DataFrame, datetime], pl.DataFrame]

FIRST, FINE_FIRST, LAST = date(2008, 6, 2), date(2012, 10, 1), date(2012, 11, 30)
LOOKED_AT = Span(date(2012, 11, 7), date(2012, 11, 26))
AFTER_CLOCKS_WENT_BACK, EX_DATE, EARLY_CLOSE = date(2012, 11, 5), date(2012, 11, 14), date(2012, 11, 23)
SAMPLED = (AFTER_CLOCKS_WENT_BACK, EX_DATE, EARLY_CLOSE)
SLOTS = ("09:30", *(f"{hour}:{half}" for hour in range(10, 16) for half in ("00", "30")))
SYMBOLS = ("AAA", "BBB", "CCC")
_AWAY = {"BBB": [date(2012, 11, 8)], "CCC": [date(2012, 6, 4), date(2012, 6, 5)]}
_KEYS = {table.name: table.key for table in (DAILY_BARS, CORPORATE_ACTIONS, INTRADAY_BARS, QUOTE_BARS)}


@cache
def facts() -> Frames:
    """Every table that enters the desk, by its name."""
    days = [day for day in XNYS.days if FIRST <= day <= LAST]
    fine = [day for day in days if day >= FINE_FIRST]
    bars = [
        walk(symbol, len(days), seed=70 + n, first=FIRST).filter(~pl.col("session").is_in(_AWAY.get(symbol, [])))
        for n, symbol in enumerate(SYMBOLS)
    ]
    intraday = [
        minutes("AAA", fine, seed=1, frequency="5m", gaps=3),
        minutes("BBB", fine, seed=2, frequency="5m"),
        minutes("AAA", fine[-6:], seed=3, frequency="1m", gaps=20),
        minutes("CCC", fine, seed=4, frequency="1h"),
    ]
    told = [quotes("AAA", fine, seed=5), quotes("CCC", fine[12:], seed=6, spread_bp=12.0)]
    splits = splits_of(("AAA", EX_DATE, 2.0), ("BBB", date(2011, 12, 1), 3.0))
    paid = splits.head(1).with_columns(kind=pl.lit("cash_dividend"), ratio=pl.lit(1.0), amount=pl.lit(0.5))
    return {
        DAILY_BARS.name: DAILY_BARS.conform(pl.concat(bars)),
        CORPORATE_ACTIONS.name: CORPORATE_ACTIONS.conform(pl.concat([splits, paid])),
        INTRADAY_BARS.name: INTRADAY_BARS.conform(pl.concat(intraday)),
        QUOTE_BARS.name: QUOTE_BARS.conform(pl.concat(told)),
    }


def known_at(frames: Frames, moment: datetime) -> Frames:
    """What the lake's reader would show at a moment."""
    return {name: cut(name, frame, moment) for name, frame in frames.items()}


def altered(frames: Frames, moment: datetime, alter: Alter) -> Frames:
    """The same past and another future."""
    return {name: alter(name, frame, moment) for name, frame in frames.items()}


def cut(_name: str, frame: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """No future at all."""
    return frame.filter(pl.col("knowable_at") <= moment)


def nudged(_name: str, frame: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """The smallest lie: every later number a thousandth higher."""
    factor = pl.when(pl.col("knowable_at") > moment).then(1.001).otherwise(1.0)
    return frame.with_columns(pl.col(pl.Float64) * factor)


def scrambled(name: str, frame: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Later rows swap their numbers and grow, a fifth of them vanish; every symbol splits on every later day."""
    later = frame.filter(pl.col("knowable_at") > moment)
    past = frame.filter(pl.col("knowable_at") <= moment)
    if name == CORPORATE_ACTIONS.name:
        return pl.concat([past, _splits_after(moment)])
    kept = later.sample(fraction=0.8, seed=later.height)
    numbers = [column for column, kind in kept.schema.items() if kind == pl.Float64]
    swapped = kept.with_columns(kept.select(numbers).sample(fraction=1.0, shuffle=True, seed=3) * 2.5)
    return pl.concat([past, swapped]).sort(*_KEYS[name])


def _splits_after(moment: datetime) -> pl.DataFrame:
    days = [s.day for s in XNYS.sessions(FINE_FIRST, LAST) if s.open > moment]
    return splits_of(*((symbol, day, 3.0) for symbol in SYMBOLS for day in days))


ALTERATIONS: Mapping[str, Alter] = {"cut": cut, "nudged": nudged, "scrambled": scrambled}
