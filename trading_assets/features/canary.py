"""A second opinion on stored features: a few rows, chosen by a digest, are computed again in the plainest way.

A table whose producer was replaced, or that holds rows of other inputs, still has the right shape and finite numbers; it does not
have the right numbers. The sample depends on the table and the span, so that a producer cannot know which rows are looked at
unless it computes them, and the same run always looks at the same rows.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import talib

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.model import INDICATOR_COLUMNS
from trading_assets.features.windows import Floats

AGREEMENT = 1e-9
SAMPLES = 3
_FLAT = 1e-6
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a value must be, within 1e-9 of itself or of `scale`, whichever is larger; None for an empty one."""

    value: float | None
    scale: float = 0.0

    def agrees(self, stored: object) -> bool:
        """Whether a stored value is this one."""
        if self.value is None or not math.isfinite(self.value):
            return stored is None
        if not isinstance(stored, int | float):
            return False
        return bool(abs(stored - self.value) <= AGREEMENT * max(abs(self.value), abs(stored), self.scale))


def sampled(rows: pl.DataFrame, name: str, span: Span, *, count: int = SAMPLES) -> list[dict[str, Any]]:
    """Up to `count` rows chosen by a digest of name and span, and the last one, whose windows are the fullest."""
    if rows.is_empty():
        return []
    digests = (hashlib.sha256(f"{name} {span.first} {span.last} {n}".encode()).digest() for n in range(count))
    places = {int.from_bytes(digest[:8]) % rows.height for digest in digests} | {rows.height - 1}
    return [rows.row(place, named=True) for place in sorted(places)]


def disagreements(where: str, stored: Row | None, expected: Mapping[str, Expected]) -> list[str]:
    """One sentence for each value that is not what it must be, or one for a row that is not there."""
    if stored is None:
        return [f"{where}: there is no row"]
    return [
        f"{where}: {name} is {stored.get(name)} and must be {known.value}"
        for name, known in expected.items()
        if not known.agrees(stored.get(name))
    ]


def row_of(frame: pl.DataFrame, **key: object) -> Row | None:
    """The row with that key, or None."""
    found = frame.filter(pl.all_horizontal(pl.col(name) == pl.lit(value) for name, value in key.items()))
    return found.row(0, named=True) if found.height else None


def share_factor(actions: pl.DataFrame, symbol: str, after: date, until: date) -> float:
    """How many shares one share became through splits with an ex-date after one session and up to another."""
    return float(share_factors(actions, symbol, [after], until)[0])


def share_factors(actions: pl.DataFrame, symbol: str, after: Sequence[date], until: date) -> Floats:
    """The same for several sessions."""
    mine = (pl.col("kind") == "split") & (pl.col("symbol") == symbol) & (pl.col("session") <= until)
    splits = actions.filter(mine).select("session", "ratio").rows()
    return np.array([math.prod(ratio for ex_date, ratio in splits if ex_date > day) for day in after], dtype=np.float64)


def indicator_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, panel: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """INDICATORS against TA-Lib on the split-adjusted series, and numpy where TA-Lib has no function.

    Args:
        bars: Rows of DAILY_BARS from the first bar on.
        actions: Rows of CORPORATE_ACTIONS.
        panel: Stored rows of INDICATORS of the span.
        span: The sessions to sample from.
    """
    found: list[str] = []
    for bar in sampled(bars.filter(pl.col("session").is_between(span.first, span.last)), "indicators", span):
        symbol, day = bar["symbol"], bar["session"]
        expected = _indicators(_adjusted(bars, actions, symbol, day))
        stored = row_of(panel, symbol=symbol, session=day)
        found += disagreements(f"{symbol} {day}", stored, expected | {"close": Expected(bar["close"])})
    return tuple(found)


def _adjusted(bars: pl.DataFrame, actions: pl.DataFrame, symbol: str, day: date) -> dict[str, Floats]:
    past = bars.filter((pl.col("symbol") == symbol) & (pl.col("session") <= day)).sort("session")
    shares = share_factors(actions, symbol, past["session"].to_list(), day)
    prices = {name: past[name].to_numpy() / shares for name in ("high", "low", "close")}
    return {**prices, "volume": past["volume"].to_numpy() * shares}


def _indicators(past: Mapping[str, Floats]) -> dict[str, Expected]:
    close, high, low = past["close"], past["high"], past["low"]
    typical, volume = (high + low + close) / 3, past["volume"]
    line, signal, histogram = talib.MACD(close, 12, 26, 9)
    steps = np.diff(np.log(close))[-20:]
    lines = {
        **{f"sma_{n}": _mean(close, n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(close, n)[-1] for n in (12, 26, 50)},
        "macd_12_26_9": line[-1],
        "macd_signal_12_26_9": signal[-1],
        "macd_histogram_12_26_9": histogram[-1],
        "rsi_14": talib.RSI(close, 14)[-1],
        "bb_middle_20_2": _mean(close, 20),
        "bb_upper_20_2": _mean(close, 20) + 2 * float(close[-20:].std()),
        "bb_lower_20_2": _mean(close, 20) - 2 * float(close[-20:].std()),
        "atr_14": talib.ATR(high, low, close, 14)[-1],
        "adx_14": talib.ADX(high, low, close, 14)[-1],
        "vwap_20": _weighted(typical[-20:], volume[-20:]) if close.size >= 20 else math.nan,
        **{f"high_{n}": float(high[-n:].max()) if high.size >= n else math.nan for n in (20, 252)},
        **{f"low_{n}": float(low[-n:].min()) if low.size >= n else math.nan for n in (20, 252)},
        "vol_20": float(steps.std(ddof=1)) * math.sqrt(252) if steps.size >= 20 else math.nan,
        "volume_mean_20": _mean(volume, 20),
        "mom_252_21": close[-22] / close[-253] - 1 if close.size > 252 else math.nan,
    }
    scales = _scales(close)
    return {c.name: Expected(float(lines[c.name]), scales.get(c.name, 0.0)) for c in INDICATOR_COLUMNS}


def _scales(close: Floats) -> dict[str, float]:
    """What 1e-9 is a part of where a value comes near zero: the dearest price that a smoothed value has seen.

    TA-Lib takes the deviation from sums of squares; where the price stands still it is noise, and the bands are compared loosely.
    """
    dearest = float(close.max())
    flat = close.size >= 20 and float(close[-20:].std()) < _FLAT * float(close[-1])
    bands = dearest * 1e4 if flat else dearest
    macd = {f"macd_{name}12_26_9": dearest for name in ("", "signal_", "histogram_")}
    averages = {name: dearest for n in (12, 26, 50) for name in (f"ema_{n}",)}
    sums = {f"sma_{n}": dearest for n in (20, 50, 200)} | {"bb_middle_20_2": dearest, "atr_14": dearest}
    shares = {"rsi_14": 100.0, "adx_14": 100.0, "vol_20": 1.0, "mom_252_21": 1.0}
    return {**macd, **averages, **sums, **shares, "bb_upper_20_2": bands, "bb_lower_20_2": bands}


def _mean(values: Floats, length: int) -> float:
    return math.fsum(values[-length:]) / length if values.size >= length else math.nan


def _weighted(values: Floats, weights: Floats) -> float:
    whole = math.fsum(weights)
    return math.fsum(values * weights) / whole if whole > 0 else math.nan


def breadth_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, panel: pl.DataFrame, breadth: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """BREADTH against counting symbol by symbol.

    Args:
        bars: Rows of DAILY_BARS of the span and the session before it.
        actions: Rows of CORPORATE_ACTIONS.
        panel: Rows of INDICATORS of the span.
        breadth: Stored rows of BREADTH of the span.
        span: The sessions to sample from.
    """
    found: list[str] = []
    inside = bars.filter(pl.col("session").is_between(span.first, span.last))
    for chosen in sampled(inside.select("session").unique().sort("session"), "breadth", span):
        day = chosen["session"]
        before = XNYS.previous(day).day
        closes = {b["symbol"]: b["close"] for b in bars.filter(pl.col("session") == before).rows(named=True)}
        levels = {row["symbol"]: row for row in panel.filter(pl.col("session") == day).rows(named=True)}
        today = bars.filter(pl.col("session") == day).rows(named=True)
        factors = {bar["symbol"]: share_factor(actions, bar["symbol"], before, day) for bar in today}
        expected = _counted(today, {s: price / factors[s] for s, price in closes.items() if s in factors}, levels)
        found += disagreements(str(day), row_of(breadth, session=day), expected)
    return tuple(found)


def _counted(today: Sequence[Row], closes: Mapping[str, float], levels: Mapping[str, Row]) -> dict[str, Expected]:
    moved = [bar for bar in today if bar["symbol"] in closes]
    up = [bar for bar in moved if bar["close"] / closes[bar["symbol"]] > 1]
    down = [bar for bar in moved if bar["close"] / closes[bar["symbol"]] < 1]
    known = [(bar, levels.get(bar["symbol"], {})) for bar in today]
    volume = math.fsum(bar["volume"] for bar in moved)
    counts = {
        "symbols": len(moved),
        "advances": len(up),
        "declines": len(down),
        "new_highs_252": sum(bar["high"] >= level for bar, level in _with(known, "high_252")),
        "new_lows_252": sum(bar["low"] <= level for bar, level in _with(known, "low_252")),
        "up_volume_share": math.fsum(bar["volume"] for bar in up) / volume if volume > 0 else None,
    }
    for mean in ("sma_50", "sma_200"):
        above = [bar["close"] > level for bar, level in _with(known, mean)]
        counts[f"above_{mean}_share"] = sum(above) / len(above) if above else None
    return {name: Expected(value) for name, value in counts.items()}


def _with(known: Sequence[tuple[Row, Row]], name: str) -> list[tuple[Row, float]]:
    return [(bar, levels[name]) for bar, levels in known if levels.get(name) is not None]
