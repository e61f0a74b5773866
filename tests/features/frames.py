"""Bars and corporate actions that the tests of features and regimes share: real ones and made ones."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from resources.market_data.embedded import EmbeddedMarketData
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.windows import Floats
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS

REFERENCES = Path(__file__).parents[2].parent / "shared" / "data" / "lean_indicators"
FIRST = date(2000, 3, 1)
SPLITS = (("AAPL", date(2000, 6, 21), 2.0), ("AAPL", date(2005, 2, 28), 2.0), ("MSFT", date(2003, 2, 18), 2.0))
_SESSIONS = pl.DataFrame(
    {
        "session": XNYS.days,
        "start": [session.open for session in XNYS.sessions(XNYS.first, XNYS.last)],
        "knowable_at": [session.close for session in XNYS.sessions(XNYS.first, XNYS.last)],
    },
    schema_overrides={"start": pl.Datetime("us", "UTC"), "knowable_at": pl.Datetime("us", "UTC")},
)


def days_from(count: int, first: date = FIRST) -> list[date]:
    """The first `count` sessions from a day on."""
    return [day for day in XNYS.days if day >= first][:count]


def span_of(bars: pl.DataFrame) -> Span:
    """From the first to the last session of some bars."""
    days = bars["session"].unique().sort().to_list()
    return Span(days[0], days[-1])


def bars_of(
    symbol: str, days: Sequence[date], high: Floats, low: Floats, close: Floats, volume: Floats
) -> pl.DataFrame:
    """DAILY_BARS rows; the open is the middle of the range."""
    frame = pl.DataFrame(
        {"session": days, "high": high, "low": low, "close": close, "volume": volume, "open": (high + low) / 2}
    )
    named = frame.with_columns(symbol=pl.lit(symbol), source=pl.lit("made"))
    return DAILY_BARS.conform(named.join(_SESSIONS, on="session"))


def walk(symbol: str, count: int, *, seed: int, first: date = FIRST, price_usd: float = 100.0) -> pl.DataFrame:
    """A seeded random walk of `count` sessions."""
    random = np.random.default_rng(seed)
    close = price_usd * np.exp(np.cumsum(random.normal(0.0003, 0.015, count)))
    reach = np.exp(np.abs(random.normal(0, 0.006, (2, count))))
    volume = np.floor(random.lognormal(13, 0.5, count))
    return bars_of(symbol, days_from(count, first), close * reach[0], close / reach[1], close, volume)


def from_returns(symbol: str, returns: Floats, *, first: date = FIRST) -> pl.DataFrame:
    """Bars whose closes follow the log returns; each range spans the close before and the close."""
    close = 100.0 * np.exp(np.cumsum(returns))
    before = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(before, close) * 1.001, np.minimum(before, close) / 1.001
    return bars_of(symbol, days_from(returns.size, first), high, low, close, np.full(returns.size, 1e6))


def splits_of(*events: tuple[str, date, float]) -> pl.DataFrame:
    """CORPORATE_ACTIONS rows for (symbol, ex-date, ratio)."""
    rows = [
        {
            "symbol": symbol,
            "session": day,
            "kind": "split",
            "ratio": ratio,
            "amount": 0.0,
            "source": "made",
            "knowable_at": XNYS.session(day).open,
        }
        for symbol, day, ratio in events
    ]
    return CORPORATE_ACTIONS.conform(pl.DataFrame(rows, schema=dict(CORPORATE_ACTIONS.polars_schema())))


@st.composite
def markets(draw: st.DrawFn, *, sessions_min: int = 40, sessions_max: int = 330) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars of one to three symbols that begin on different days and miss a few, with up to two splits each."""
    parts, events = [], []
    for symbol in ("AAA", "BBB", "CCC")[: draw(st.integers(1, 3))]:
        days = days_from(draw(st.integers(sessions_min, sessions_max)), draw(st.sampled_from(days_from(60))))
        bars = walk(symbol, len(days), seed=draw(st.integers(0, 999)), first=days[0])
        missing = draw(st.lists(st.sampled_from(days[1:]), max_size=3))
        parts.append(bars.filter(~pl.col("session").is_in(missing)))
        ratios = st.sampled_from([2.0, 3.0, 1.5, 7.0, 0.1])
        events += [
            (symbol, day, ratio)
            for day, ratio in draw(st.dictionaries(st.sampled_from(days), ratios, max_size=2)).items()
        ]
    return DAILY_BARS.conform(pl.concat(parts)), splits_of(*events)


def scrambled_after(bars: pl.DataFrame, day: date, *, seed: int) -> pl.DataFrame:
    """The same bars, with every row after `day` replaced by another price and volume, and some rows gone."""
    later = bars.filter(pl.col("session") > day).sample(fraction=0.8, seed=seed)
    factor = 0.3 + (seed % 7)
    changed = later.with_columns(pl.col("open", "high", "low", "close") * factor, pl.col("volume") * 3 + seed)
    return DAILY_BARS.conform(pl.concat([bars.filter(pl.col("session") <= day), changed]))


@cache
def embedded() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars as traded of AAPL, FB, GOOG, IBM and MSFT 2000 to 2013, and their splits and dividends."""
    provider = EmbeddedMarketData()
    lives = {symbol: provider.life(symbol, "1d") for symbol in provider.symbols()}
    bars = (provider.bars(symbol, "1d", life) for symbol, life in lives.items())
    actions = (provider.corporate_actions(symbol, life) for symbol, life in lives.items())
    return DAILY_BARS.conform(pl.concat(bars)), CORPORATE_ACTIONS.conform(pl.concat(actions))


def reference(name: str, **columns: str) -> pl.DataFrame:
    """Columns of a published reference series under our names, as numbers; the test is skipped where it is absent."""
    path = REFERENCES / name
    if not path.exists():
        pytest.skip(f"the reference series {name} lies beside the checkout and is not here")
    raw = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy")
    stripped = raw.rename(lambda header: header.strip())
    return stripped.select(
        pl.col(theirs).str.strip_chars().cast(pl.Float64, strict=False).alias(ours) for ours, theirs in columns.items()
    )
