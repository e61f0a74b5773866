"""Indicators written out from their definitions, one row at a time and without TA-Lib, to compare the panel with.

Sources: Wilder, New Concepts in Technical Trading Systems (1978) for RSI, true range, ATR and ADX; Appel for MACD; Bollinger
for the bands; the starting points are TA-Lib's, where the literature leaves them open.
"""

import itertools
import math
from collections.abc import Sequence

from trading_assets.features.windows import Floats

Line = list[float]
NOTHING = math.nan


def sma(values: Sequence[float], length: int) -> Line:
    """The mean of each full window, summed exactly."""
    return [math.fsum(w) / length if w else NOTHING for w in _windows(values, length)]


def ema(values: Sequence[float], length: int, *, start: int = 0) -> Line:
    """Weight 2 / (length + 1) on the newest value, seeded with the mean of the first window from `start` on."""
    line = [NOTHING] * len(values)
    seed = start + length - 1
    if seed < len(values):
        line[seed] = math.fsum(values[start : seed + 1]) / length
    for i in range(seed + 1, len(values)):
        line[i] = line[i - 1] + (values[i] - line[i - 1]) * 2 / (length + 1)
    return line


def macd(values: Sequence[float]) -> tuple[Line, Line]:
    """MACD line and signal (12, 26, 9): both means start so that their seeds fall on row 25, the signal's on row 33."""
    fast, slow = ema(values, 12, start=14), ema(values, 26)
    line = [f - s for f, s in zip(fast, slow, strict=True)]
    signal = ema(line, 9, start=25)
    return [x if not math.isnan(s) else NOTHING for x, s in zip(line, signal, strict=True)], signal


def rsi(values: Sequence[float], length: int) -> Line:
    """100 times Wilder's mean gain over mean gain plus mean loss."""
    steps = [b - a for a, b in itertools.pairwise(values)]
    gains, losses = (wilder([max(sign * s, 0.0) for s in steps], length) for sign in (1, -1))
    return [NOTHING, *(100 * g / (g + b) if g + b else 0.0 for g, b in zip(gains, losses, strict=True))][: len(values)]


def wilder(values: Sequence[float], length: int) -> Line:
    """Wilder's smoothing: the mean of the first window, then a step of 1 / length towards each new value."""
    line = [NOTHING] * len(values)
    for i in range(length - 1, len(values)):
        older = math.fsum(values[:length]) / length if i == length - 1 else line[i - 1]
        line[i] = older if i == length - 1 else (older * (length - 1) + values[i]) / length
    return line


def true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float]) -> Line:
    """The range with the close before included, from the second bar on (the first bar has none)."""
    return [
        max(top, before) - min(bottom, before) for top, bottom, before in zip(high[1:], low[1:], close, strict=False)
    ]


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], length: int) -> Line:
    """Wilder's smoothing of the true range."""
    return [NOTHING, *wilder(true_range(high, low, close), length)][: len(close)]


def adx(high: Sequence[float], low: Sequence[float], length: int, *, first_sum: int) -> Line:
    """Wilder's smoothing of the directional index; the true range cancels out of the index.

    `first_sum` is the number of steps in the first running sum: Wilder's is the window, TA-Lib's is one fewer.
    """
    up = [b - a for a, b in itertools.pairwise(high)]
    down = [a - b for a, b in itertools.pairwise(low)]
    plus = _running_sum([u if u > d and u > 0 else 0.0 for u, d in zip(up, down, strict=True)], length, first_sum)
    minus = _running_sum([d if d > u and d > 0 else 0.0 for u, d in zip(up, down, strict=True)], length, first_sum)
    spread = [100 * abs(p - m) / (p + m) if p + m else NOTHING for p, m in zip(plus, minus, strict=True)]
    return [*[NOTHING] * length, *wilder(spread[length - 1 :], length)][: len(high)]


def bollinger(values: Sequence[float], length: int, width: float) -> tuple[Line, Line]:
    """Upper and lower band: the mean plus and minus `width` population deviations."""
    upper, lower = [], []
    for mean, window in zip(sma(values, length), _windows(values, length), strict=True):
        deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in window) / length)
        upper.append(mean + width * deviation)
        lower.append(mean - width * deviation)
    return upper, lower


def deviation(values: Sequence[float], length: int) -> Line:
    """The sample deviation of each full window."""
    means = sma(values, length)
    return [
        math.sqrt(math.fsum((x - m) ** 2 for x in w) / (length - 1)) if w else NOTHING
        for m, w in zip(means, _windows(values, length), strict=True)
    ]


def weighted_mean(values: Sequence[float], weights: Sequence[float], length: int) -> Line:
    """The mean of each full window with weights."""
    products = [v * w for v, w in zip(values, weights, strict=True)]
    return [p / w for p, w in zip(sma(products, length), sma(weights, length), strict=True)]


def highest(values: Sequence[float], length: int) -> Line:
    """The highest value of each full window."""
    return [max(w) if w else NOTHING for w in _windows(values, length)]


def lowest(values: Sequence[float], length: int) -> Line:
    """The lowest value of each full window."""
    return [min(w) if w else NOTHING for w in _windows(values, length)]


def log_steps(values: Sequence[float]) -> Line:
    """The logarithm of each value over the one before."""
    return [NOTHING, *(math.log(b / a) for a, b in itertools.pairwise(values))][: len(values)]


def lists(*columns: Floats) -> list[Line]:
    """Arrays as lists of Python numbers."""
    return [column.tolist() for column in columns]


def _running_sum(values: Sequence[float], length: int, first_sum: int) -> Line:
    line: Line = []
    for i, value in enumerate(values):
        older = line[i - 1] if i else 0.0
        line.append(older + value if i < first_sum else older - older / length + value)
    return line


def _windows(values: Sequence[float], length: int) -> list[Sequence[float]]:
    return [values[max(i + 1 - length, 0) : i + 1] if i + 1 >= length else [] for i in range(len(values))]
