"""The regime rules written out a second time, one session after the other in plain Python, for the check that recomputes a label.

Nothing is shared with `rules.py` and `evidence.py`; the numbers of the definition in docs/features.md stand here again. A change
of the rules has to be made in both places, or the check turns red.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import polars as pl

from trading_assets.core.calendar import XNYS

# high, low and close in one share count
Bar = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Split:
    """From this session on a share is `ratio` shares."""

    session: date
    ratio: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What the rules say of one session. Not `sure`: the last digits of a number, or a tie, could turn the label."""

    regime: str
    since: date
    probability: float
    volatility_percentile: float
    trend_strength: float
    adx_14: float
    sure: bool


@dataclass(frozen=True, slots=True)
class _Evidence:
    session: date
    percentile: float
    trend: float
    adx: float


def expected_label(bars: Mapping[date, Bar], splits: Sequence[Split], session: date) -> Expected | None:
    """The label of a symbol's session from its bars as traded, first bar first; None where there is no bar or it is too early."""
    past = {day: bar for day, bar in bars.items() if day <= session}
    evidence = _evidence(list(past), _in_one_share_count(past, splits, session))
    if not evidence or evidence[-1].session != session:
        return None
    lower, told, higher = (_confirmed([_raw(one, nudge) for one in evidence]) for nudge in (-1.0, 0.0, 1.0))
    regime, since, probability = told
    last = evidence[-1]
    return Expected(
        regime,
        evidence[since].session,
        probability,
        last.percentile,
        last.trend,
        last.adx,
        sure=lower == told == higher,
    )


def plain_bars(bars: pl.DataFrame) -> dict[date, Bar]:
    """One symbol's rows of DAILY_BARS by session, in order of time."""
    rows = bars.sort("session").select("session", "high", "low", "close").iter_rows()
    return {day: (high, low, close) for day, high, low, close in rows}


def plain_splits(actions: pl.DataFrame, symbol: str) -> list[Split]:
    """One symbol's splits among rows of CORPORATE_ACTIONS."""
    found = actions.filter((pl.col("symbol") == symbol) & (pl.col("kind") == "split"))
    return [Split(day, ratio) for day, ratio in found.select("session", "ratio").iter_rows()]


def index_bars(bars: pl.DataFrame, actions: pl.DataFrame) -> dict[date, Bar]:
    """MARKET's bars: every symbol with a bar in a session and in the exchange's session before moves the index by an equal part."""
    calendar = pl.DataFrame({"session": XNYS.days[1:], "before": XNYS.days[:-1]})
    before = bars.select("symbol", pl.col("session").alias("before"), pl.col("close").alias("base"))
    splits = actions.filter(pl.col("kind") == "split").select("symbol", "session", "ratio")
    paired = bars.join(calendar, on="session").join(before, on=["symbol", "before"])
    based = paired.join(splits, on=["symbol", "session"], how="left").with_columns(
        pl.col("base") / pl.col("ratio").fill_null(1.0)
    )
    moves = based.group_by("session").agg((pl.col("high", "low", "close") / pl.col("base")).mean()).sort("session")
    level, index = 100.0, {}
    for day, high, low, close in moves.iter_rows():
        index[day] = (high * level, low * level, close * level)
        level *= close
    return index


def _in_one_share_count(bars: Mapping[date, Bar], splits: Sequence[Split], session: date) -> list[Bar]:
    later = sorted(((s.session, s.ratio) for s in splits if s.session <= session), reverse=True)
    adjusted, factor = [], 1.0
    for day in sorted(bars, reverse=True):
        high, low, close = bars[day]
        while later and day < later[0][0]:
            factor *= later.pop(0)[1]
        adjusted.append((high / factor, low / factor, close / factor))
    return adjusted[::-1]


def _evidence(days: Sequence[date], bars: Sequence[Bar]) -> list[_Evidence]:
    """One row from the session on for which everything is defined: 252 volatilities of 15 returns."""
    moves = [math.log(after[2] / before[2]) for before, after in pairwise(bars)]
    adx = _adx(bars)
    volatilities = [_deviation(moves[at - 15 : at]) for at in range(15, len(moves) + 1)]
    ranked: list[float] = []
    told = []
    for place, volatility in enumerate(volatilities):
        insort(ranked, volatility)
        if place >= 756:
            del ranked[bisect_left(ranked, volatilities[place - 756])]
        bar = place + 15
        if len(ranked) >= 252 and bar >= 30:
            share = (bisect_left(ranked, volatility) + bisect_right(ranked, volatility)) / 2 / len(ranked)
            told.append(_Evidence(days[bar], share, _trend(moves[bar - 30 : bar]), adx[bar]))
    return told


def _trend(moves: Sequence[float]) -> float:
    scale = _deviation(moves) * math.sqrt(30)
    return math.fsum(moves) / scale if scale else 0.0


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _adx(bars: Sequence[Bar]) -> list[float]:
    """Wilder's ADX of 14 with TA-Lib's start: the first sums hold 13 steps, the first ADX is the mean of 14 indexes."""
    plus = minus = true_range = 0.0
    indexes: list[float] = []
    smoothed = [math.nan] * len(bars)
    for place, (before, bar) in enumerate(pairwise(bars), start=1):
        up, down = bar[0] - before[0], before[1] - bar[1]
        decay = 0.0 if place < 14 else 1 / 14
        plus += (up if up > down and up > 0 else 0.0) - plus * decay
        minus += (down if down > up and down > 0 else 0.0) - minus * decay
        true_range += max(bar[0], before[2]) - min(bar[1], before[2]) - true_range * decay
        if place >= 14:
            moved = plus + minus
            same = indexes[-1] if indexes else 0.0
            indexes.append(100 * abs(plus - minus) / moved if true_range and moved else same)
            smoothed[place] = _next_adx(smoothed[place - 1], indexes)
    return smoothed


def _next_adx(before: float, indexes: Sequence[float]) -> float:
    if len(indexes) < 14:
        return math.nan
    return math.fsum(indexes) / 14 if len(indexes) == 14 else (before * 13 + indexes[-1]) / 14


def _raw(evidence: _Evidence, nudge: float) -> str:
    """The label of the session by itself. `nudge` moves every threshold by about as much as rounding and ties can."""
    if evidence.percentile > 0.85 + 0.001 * nudge:
        return "high_volatility"
    if evidence.percentile < 0.15 - 0.001 * nudge:
        return "low_volatility"
    if evidence.adx > 20 + 1e-6 * nudge and abs(evidence.trend) > 1 + 1e-9 * nudge:
        return "trending_up" if evidence.trend > 0 else "trending_down"
    return "ranging"


def _confirmed(raw: Sequence[str]) -> tuple[str, int, float]:
    """The last confirmed label, the place where it was confirmed, and its share of the last ten raw labels."""
    label, since = raw[0], 0
    for place in range(2, len(raw)):
        settled = raw[place] == raw[place - 1] == raw[place - 2]
        if settled and raw[place] != label:
            label, since = raw[place], place
    recent = raw[-10:]
    return label, since, sum(word == label for word in recent) / len(recent)
