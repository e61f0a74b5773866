"""The second opinion on intraday features: one bar at a time, with lists and loops."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.features.canary import Expected, Row, disagreements, row_of, sampled, share_factor
from trading_assets.market.hours import BAR_LENGTH

_OPENING = timedelta(minutes=30)


def intraday_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame, features: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """INTRADAY_FEATURES against loops over the bars.

    Args:
        bars: Rows of INTRADAY_BARS of the span and the 20 sessions before it.
        actions: Rows of CORPORATE_ACTIONS of the same sessions.
        quotes: Rows of QUOTE_BARS of the same sessions.
        features: Stored rows of INTRADAY_FEATURES of the span.
        span: The sessions to sample from.
    """
    found: list[str] = []
    for bar in sampled(bars.filter(pl.col("session").is_between(span.first, span.last)), "intraday_features", span):
        symbol, frequency = bar["symbol"], bar["frequency"]
        mine = bars.filter((pl.col("symbol") == symbol) & (pl.col("frequency") == frequency)).sort("start")
        told = quotes.filter(pl.col("symbol") == symbol).sort("start")
        stored = row_of(features, symbol=symbol, frequency=frequency, start=bar["start"])
        found += disagreements(f"{symbol} {frequency} {bar['start']}", stored, _expected(bar, mine, actions, told))
    return tuple(found)


def _expected(bar: Row, mine: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame) -> dict[str, Expected]:
    session, length = XNYS.session(bar["session"]), BAR_LENGTH[bar["frequency"]]
    today = _until(mine, session, bar["start"])
    place = (bar["start"] - session.open) // length
    return {
        "close": Expected(bar["close"]),
        **_from_session(today, session, place, length),
        "volume_ratio": Expected(_volume_ratio(bar, today, mine, actions, place)),
        **_from_quotes(quotes, session, place, length),
    }


def _until(rows: pl.DataFrame, session: Session, last: datetime) -> list[dict[str, Any]]:
    inside = (pl.col("session") == session.day) & pl.col("start").is_between(session.open, last)
    return rows.filter(inside & (pl.col("start") < session.close)).rows(named=True)


def _from_session(today: Sequence[Row], session: Session, place: int, length: timedelta) -> dict[str, Expected]:
    close = today[-1]["close"]
    vwap = _vwap(today)
    high, low = _opening_range(today, session, place, length)
    return {
        "vwap_session": Expected(vwap),
        "vwap_20": Expected(_vwap(today[-20:]) if len(today) >= 20 else None),
        "return_from_open": Expected(close / today[0]["open"] - 1, 1.0),
        "opening_range_high_30": Expected(high),
        "opening_range_low_30": Expected(low),
        "above_vwap": Expected(None if vwap is None else float(close > vwap)),
        "above_opening_range": Expected(None if high is None else float(close > high)),
        "below_opening_range": Expected(None if low is None else float(close < low)),
        "atr_14": Expected(_atr(today), close),
        "rsi_14": Expected(_rsi([bar["close"] for bar in today]), 100.0),
    }


def _vwap(bars: Sequence[Row]) -> float | None:
    volume = math.fsum(bar["volume"] for bar in bars)
    traded = math.fsum((bar["high"] + bar["low"] + bar["close"]) / 3 * bar["volume"] for bar in bars)
    return traded / volume if volume > 0 else None


def _opening_range(
    today: Sequence[Row], session: Session, place: int, length: timedelta
) -> tuple[float | None, float | None]:
    early = [bar for bar in today if (bar["start"] - session.open) // length < _OPENING // length]
    if not early or (place + 1) * length < _OPENING:
        return None, None
    return max(bar["high"] for bar in early), min(bar["low"] for bar in early)


def _atr(today: Sequence[Row]) -> float | None:
    ranges = [max(b["high"], p["close"]) - min(b["low"], p["close"]) for p, b in pairwise(today)]
    return _wilder(ranges)


def _rsi(closes: Sequence[float]) -> float | None:
    steps = [b - a for a, b in pairwise(closes)]
    gain, loss = _wilder([max(step, 0.0) for step in steps]), _wilder([max(-step, 0.0) for step in steps])
    if gain is None or loss is None:
        return None
    return 100 * gain / (gain + loss) if gain + loss > 0 else 0.0


def _wilder(values: Sequence[float], length: int = 14) -> float | None:
    """The mean of the first 14 values, then 13 parts of it and one of the next."""
    if len(values) < length:
        return None
    smooth = sum(values[:length]) / length
    for value in values[length:]:
        smooth = (smooth * (length - 1) + value) / length
    return smooth


def _volume_ratio(
    bar: Row, today: Sequence[Row], mine: pl.DataFrame, actions: pl.DataFrame, place: int
) -> float | None:
    day, length = bar["session"], BAR_LENGTH[bar["frequency"]]
    totals = []
    for back in range(1, 21):
        session = XNYS.previous(day, back)
        past = _until(mine, session, session.close)
        if past and session.open + place * length < session.close:
            counted = math.fsum(b["volume"] for b in past if (b["start"] - session.open) // length <= place)
            totals.append(counted * share_factor(actions, bar["symbol"], session.day, day))
    usual = sum(totals) / len(totals) if len(totals) >= 5 else 0.0
    return math.fsum(b["volume"] for b in today) / usual if usual > 0 else None


def _from_quotes(quotes: pl.DataFrame, session: Session, place: int, length: timedelta) -> dict[str, Expected]:
    now = _minutes_of(quotes, session, place, length)
    spread = _spread(now)
    past = [_spread(_minutes_of(quotes, XNYS.previous(session.day, back), place, length)) for back in range(1, 21)]
    known = [value for value in past if value is not None]
    usual = median(known) if len(known) >= 5 else 0.0
    shown = [q for q in now if _whole(q["bid_depth"]) and _whole(q["ask_depth"])]
    bid, ask = math.fsum(q["bid_depth"] for q in shown), math.fsum(q["ask_depth"] for q in shown)
    return {
        "spread_bp": Expected(spread, 1e-3),
        "spread_ratio_20": Expected(spread / usual if spread is not None and usual > 0 else None, 1e-3),
        "depth_imbalance": Expected(bid / (bid + ask) if bid + ask > 0 else None),
    }


def _minutes_of(quotes: pl.DataFrame, session: Session, place: int, length: timedelta) -> list[dict[str, Any]]:
    """Quotes of one place on the clock that can be reckoned with."""
    begin = session.open + place * length
    end = min(begin + length, session.close)
    inside = (pl.col("start") >= begin) & (pl.col("start") < end) & (pl.col("knowable_at") <= begin + length)
    rows = quotes.filter((pl.col("session") == session.day) & inside).rows(named=True)
    return [q for q in rows if math.isfinite(q["bid"] + q["ask"]) and 0 < q["bid"] <= q["ask"]]


def _spread(minutes: Sequence[Row]) -> float | None:
    parts = [1e4 * (q["ask"] - q["bid"]) / ((q["ask"] + q["bid"]) / 2) for q in minutes]
    return math.fsum(parts) / len(parts) if parts else None


def _whole(depth: float | None) -> bool:
    return depth is not None and math.isfinite(depth) and depth >= 0
