"""What the regime rules measure, compiled: one job (a symbol's past in one share count, see `features/epochs.py`) after another."""

import math

import numpy as np

from trading_assets.features.compiling import compiled, part
from trading_assets.features.kernel import END, FRESH, OFFSET, SCALES, SCALES_END, Floats, Places

VOLATILITY_SESSIONS = 15
TREND_SESSIONS = 30
MEAN_SESSIONS = 50
MEAN_RISE_SESSIONS = 10
_VECTOR = "Array(float64, 1, 'C', True)"
_PLACES = "Array(int64, 1, 'C', True)"
_JOBS = "Array(int64, 2, 'C', True)"
_ADX_SEED = 27


@compiled(f"void(UniTuple({_VECTOR}, 3), {_PLACES}, {_JOBS}, {_PLACES}, {_VECTOR}, float64[:, ::1])")
def evidence_into(
    traded: tuple[Floats, ...],
    order: Places,
    jobs: Places,
    scale_bars: Places,
    scales: Floats,
    out: Floats,
) -> None:
    """Writes volatility, trend strength, directional index and climbing of each job's fresh bars into the lines of `out`.

    `traded` is high, low and close; the other arguments are those of `features/kernel.py`; NaN where a value is not defined.
    """
    longest = jobs[:, END].max()
    prices, values = np.empty((3, longest)), np.empty((5, longest))
    for job in range(jobs.shape[0]):
        rows = order[jobs[job, OFFSET] : jobs[job, OFFSET] + jobs[job, END]]
        _gather(traded[0], rows, jobs[job], scale_bars, scales, prices[0])
        _gather(traded[1], rows, jobs[job], scale_bars, scales, prices[1])
        _gather(traded[2], rows, jobs[job], scale_bars, scales, prices[2])
        _returns(prices[2], rows.size, values[4])
        _sums(values[4], rows.size, VOLATILITY_SESSIONS, values[3])
        _deviations(values[4], values[3], rows.size, VOLATILITY_SESSIONS, values[0])
        _sums(values[4], rows.size, TREND_SESSIONS, values[3])
        _deviations(values[4], values[3], rows.size, TREND_SESSIONS, values[1])
        _strengths(values[3], rows.size, values[1])
        _directions(prices, rows.size, values[2])
        _sums(prices[2], rows.size, MEAN_SESSIONS, values[4])
        _climbs(prices[2], rows.size, values[4], values[3])
        for line in range(4):
            for bar in range(jobs[job, FRESH], rows.size):
                out[line, rows[bar]] = values[line, bar]


@part
def _gather(column: Floats, rows: Places, job: Places, scale_bars: Places, scales: Floats, out: Floats) -> None:
    for bar in range(rows.size):
        out[bar] = column[rows[bar]]
    for scale in range(job[SCALES], job[SCALES_END]):
        end = scale_bars[scale + 1] if scale + 1 < job[SCALES_END] else rows.size
        for bar in range(scale_bars[scale], end):
            out[bar] /= scales[scale]


@part
def _returns(close: Floats, bars: int, out: Floats) -> None:
    out[0] = math.nan
    for bar in range(1, bars):
        out[bar] = math.log(close[bar] / close[bar - 1])


@part
def _sums(values: Floats, bars: int, length: int, out: Floats) -> None:
    """Sum of the last `length` values of each bar from the first full window on, oldest first."""
    count = max(bars - length + 1, 0)
    totals = out[length - 1 : length - 1 + count]
    totals[:] = 0.0
    for back in range(length):
        oldest = values[back : back + count]
        for bar in range(count):
            totals[bar] += oldest[bar]


@part
def _deviations(returns: Floats, sums: Floats, bars: int, length: int, out: Floats) -> None:
    """Sample deviation of the last `length` returns, in two passes, so that nothing cancels."""
    out[:length] = math.nan
    count = max(bars - length, 0)
    squares, totals = out[length : length + count], sums[length : length + count]
    squares[:] = 0.0
    for back in range(length):
        oldest = returns[1 + back : 1 + back + count]
        for bar in range(count):
            apart = oldest[bar] - totals[bar] / length
            squares[bar] += apart * apart
    for bar in range(count):
        squares[bar] = math.sqrt(squares[bar] / (length - 1))


@part
def _strengths(sums: Floats, bars: int, out: Floats) -> None:
    """Turns the deviation of TREND_SESSIONS returns into their sum over it; 0 in a market that stands still."""
    for bar in range(TREND_SESSIONS, bars):
        scale = out[bar] * math.sqrt(TREND_SESSIONS)
        if scale > 0:
            out[bar] = sums[bar] / scale
        elif scale == 0:
            out[bar] = 0.0


@part
def _directions(prices: Floats, bars: int, out: Floats) -> None:
    """The average directional index, Wilder, with TA-Lib's starting points."""
    high, low, close = prices[0], prices[1], prices[2]
    plus, minus, ranges, index = 0.0, 0.0, 0.0, 0.0
    out[:_ADX_SEED] = math.nan
    for bar in range(1, bars):
        up, down = high[bar] - high[bar - 1], low[bar - 1] - low[bar]
        kept = 0.0 if bar < 14 else 1 / 14
        plus += (up if up > down and up > 0 else 0.0) - plus * kept
        minus += (down if down > up and down > 0 else 0.0) - minus * kept
        before = close[bar - 1]
        ranges += max(high[bar] - low[bar], abs(high[bar] - before), abs(low[bar] - before)) - ranges * kept
        total = plus + minus
        moved = ranges > 0 and total > 0
        spread = 100 * abs(plus - minus) / total if moved else index
        if bar > _ADX_SEED:
            index += (spread - index) * (1 / 14)
        elif bar >= 14:
            index += spread if moved else 0.0
            index = index / 14 if bar == _ADX_SEED else index
        if bar >= _ADX_SEED:
            out[bar] = index


@part
def _climbs(close: Floats, bars: int, sums: Floats, out: Floats) -> None:
    """1.0 where the close is above a mean that stands higher than MEAN_RISE_SESSIONS ago, else 0.0."""
    first = MEAN_SESSIONS - 1 + MEAN_RISE_SESSIONS
    out[: min(first, bars)] = 0.0
    for bar in range(first, bars):
        rises = sums[bar] > sums[bar - MEAN_RISE_SESSIONS]
        out[bar] = 1.0 if rises and close[bar] > sums[bar] / MEAN_SESSIONS else 0.0


@compiled(f"void({_VECTOR}, {_PLACES}, {_PLACES}, int64, int64, float64[::1])")
def percentiles_into(values: Floats, order: Places, starts: Places, longest: int, least: int, out: Floats) -> None:
    """Mid-rank of each value within the last `longest` of its symbol: the share below plus half of the share that is equal.

    NaN for a NaN and where the window holds fewer than `least` numbers. `order` and `starts` as in `epochs.Histories`.
    """
    line = np.empty(values.size)
    for symbol in range(starts.size - 1):
        rows = order[starts[symbol] : starts[symbol + 1]]
        for bar in range(rows.size):
            line[bar] = values[rows[bar]]
        numbers = 0
        for bar in range(rows.size):
            numbers += not math.isnan(line[bar])
            if bar >= longest:
                numbers -= not math.isnan(line[bar - longest])
            rank = _mid_rank(line[max(bar + 1 - longest, 0) : bar + 1])
            out[rows[bar]] = rank / numbers if numbers >= least else math.nan


@part
def _mid_rank(window: Floats) -> float:
    """How many values are below the newest, plus half of those that equal it; NaN for a NaN."""
    newest = window[window.size - 1]
    below, equal = 0, 0
    for place in range(window.size):
        below += window[place] < newest
    for place in range(window.size):
        equal += window[place] == newest
    return below + 0.5 * equal if equal else math.nan
