"""All indicators in one pass: columns in any order of rows in, columns and validity bits out.

Up to LANES_MAX jobs (a symbol in one share count, see `epochs.py`) go side by side, one lane each. Bar after bar, every step is
done for all lanes by vector instructions, and all that a step needs stays in the processor's cache. A value is made from its
own job's bars in an order that depends on their number since the first bar and on nothing else: neighbours and the rows
asked for cannot change a bit.

Sums and extremes of windows are put together from two parts (van Herk 1992; Gil and Werman 1993): time is cut into blocks as long
as the window; what the window holds of the block before was folded from that block's end, what it holds of this one grows bar
by bar. So each value is made from the rows of its own window, whatever came before. Smoothed series keep a state. Sources
and starting points of the definitions are in docs/features.md.
"""

import math

import numpy as np
import numpy.typing as npt

from trading_assets.features.compiling import compiled, part

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]

LANES_MAX = 504
"""Not a power of two: rows 4096 bytes apart would share a few places of the first-level cache."""
LOOK_BACK = 252

COLUMNS = (
    "sma_20", "sma_50", "sma_200", "ema_12", "ema_26", "ema_50",
    "macd_12_26_9", "macd_signal_12_26_9", "macd_histogram_12_26_9", "rsi_14",
    "bb_upper_20_2", "bb_middle_20_2", "bb_lower_20_2", "atr_14", "adx_14", "vwap_20",
    "high_20", "low_20", "high_252", "low_252", "vol_20", "volume_mean_20", "mom_252_21",
)  # fmt: skip
FIRST_BAR = np.array([19, 49, 199, 11, 25, 49, 33, 33, 33, 14, 19, 19, 19, 14, 27, 19, 19, 19, 251, 251, 20, 19, 252])
"""For each of COLUMNS, the bar of a job, counted from 0, that has the first value."""
_YEAR_ROOT = math.sqrt(252)
_CLEARED = np.array([255 - (1 << bit) for bit in range(8)], dtype=np.uint8)
_LOCATED = 16
_STEADY = 50

# Rows of the working table, one place for each lane: the columns, the bar, what is in between, then the windows.
(
    SMA_20, SMA_50, SMA_200, EMA_12, EMA_26, EMA_50, MACD, SIGNAL, HISTOGRAM, RSI, UPPER, MIDDLE, LOWER, ATR, ADX, VWAP,
    HIGH_20, LOW_20, HIGH_252, LOW_252, VOL_20, VOLUME_MEAN, MOMENTUM,
    HIGH_BEFORE, HIGH, LOW_FLIPPED, LOW_BEFORE, LOW, CLOSE_BEFORE, CLOSE, VOLUME, TURNOVER, RETURN,
    CLOSE_SUM, VOLUME_SUM, TURNOVER_SUM, RETURN_MEAN, SPREAD, RETURN_SPREAD, _FREE,
) = range(40)  # fmt: skip
SUM, MAX = range(2)


def _laid_out() -> tuple[npt.NDArray[np.int64], int]:
    """The windows as (operation, how many rows, length, first row of the bars, first row of the results, first own row).

    Rows that stand together are one window: sums of closes, volumes, turnovers and returns, highest highs and, with their signs
    flipped, lowest lows. And the row after them.
    """
    windows = [
        (SUM, 4, 20, CLOSE, CLOSE_SUM), (SUM, 1, 50, CLOSE, SMA_50), (SUM, 1, 200, CLOSE, SMA_200),
        (MAX, 2, 20, HIGH, HIGH_20), (MAX, 2, 252, HIGH, HIGH_252),
    ]  # fmt: skip
    rows, free = [], _FREE
    for window in windows:
        rows.append((*window, free))
        free += window[1] * (1 + window[2])
    return np.array(rows), free


WINDOWS, _AFTER_WINDOWS = _laid_out()
CLOSES, RETURNS, YEAR = _AFTER_WINDOWS, _AFTER_WINDOWS + 40, _AFTER_WINDOWS + 80
"""The last 20 closes and returns, each row kept twice so that they always stand together; and the closes of a year."""
_YEAR_ROWS = 256
ROWS = YEAR + _YEAR_ROWS


@part
def _windows(work: Floats, flat: Floats, spots: Places, bar: int) -> None:
    """Everything that is made from the last bars, for one bar of every lane.

    Args:
        work: The working table; `flat` is the same memory as one line.
        spots: Where in its block each window stands.
        bar: Number of the bar.
    """
    lanes = work.shape[1]
    for lane in range(lanes):
        work[TURNOVER, lane] = (work[HIGH, lane] + work[LOW, lane] + work[CLOSE, lane]) / 3 * work[VOLUME, lane]
    for lane in range(lanes):
        work[LOW_FLIPPED, lane] = -work[LOW, lane]
    for lane in range(lanes):
        work[RETURN, lane] = math.log(work[CLOSE, lane] / work[CLOSE_BEFORE, lane])
    for window in range(WINDOWS.shape[0]):
        operation, size, length = WINDOWS[window, 0], WINDOWS[window, 1] * lanes, WINDOWS[window, 2]
        spots[window] = spots[window] + 1 if spots[window] + 1 < length else 0
        _fold(flat, operation, size, length, WINDOWS[window, 3] * lanes, WINDOWS[window, 5] * lanes, spots[window])
        _join(flat, operation, size, length, WINDOWS[window, 4] * lanes, WINDOWS[window, 5] * lanes, spots[window])
    for lane in range(lanes):
        mean = work[CLOSE_SUM, lane] / 20
        work[SMA_20, lane] = mean
        work[MIDDLE, lane] = mean
    for lane in range(lanes):
        work[RETURN_MEAN, lane] /= 20
    for lane in range(lanes):
        work[SMA_50, lane] /= 50
    for lane in range(lanes):
        work[SMA_200, lane] /= 200
    _spread(work, CLOSE, CLOSES, SMA_20, SPREAD, bar)
    _spread(work, RETURN, RETURNS, RETURN_MEAN, RETURN_SPREAD, bar)
    _finish(work, bar)


@part
def _fold(flat: Floats, operation: int, size: int, length: int, source: int, own: int, spot: int) -> None:
    """Takes the bar into a window: its first row grows from the block's first bar on, the others hold the block bar by bar.

    When a block is complete, each of its rows becomes the sum or extreme from there to the block's end.
    """
    kept = own + (1 + spot) * size
    if spot == 0:
        for row in range(length - 1, 0, -1):
            _grow(flat, operation, size, own + row * size, own + (row + 1) * size)
        for place in range(size):
            value = flat[np.uint64(source + place)]
            flat[np.uint64(own + place)] = value
            flat[np.uint64(kept + place)] = value
    else:
        _grow(flat, operation, size, own, source)
        for place in range(size):
            flat[np.uint64(kept + place)] = flat[np.uint64(source + place)]


@part
def _join(flat: Floats, operation: int, size: int, length: int, to: int, own: int, spot: int) -> None:
    """The window's value: the rest of the block before, and this block so far."""
    rest = own + (2 + spot) * size
    if spot == length - 1:
        for place in range(size):
            flat[np.uint64(to + place)] = flat[np.uint64(own + place)]
    elif operation == SUM:
        for place in range(size):
            flat[np.uint64(to + place)] = flat[np.uint64(rest + place)] + flat[np.uint64(own + place)]
    else:
        for place in range(size):
            one, other = flat[np.uint64(rest + place)], flat[np.uint64(own + place)]
            flat[np.uint64(to + place)] = one if one > other else other


@part
def _grow(flat: Floats, operation: int, size: int, to: int, other: int) -> None:
    """In place: what is written and read under one index is seen to be one by the compiler, which then uses vectors."""
    if operation == SUM:
        for place in range(size):
            flat[np.uint64(to + place)] += flat[np.uint64(other + place)]
    else:
        for place in range(size):
            one, more = flat[np.uint64(to + place)], flat[np.uint64(other + place)]
            flat[np.uint64(to + place)] = one if one > more else more


@part
def _copy(work: Floats, row: int, to: int) -> None:
    for lane in range(work.shape[1]):
        work[to, lane] = work[row, lane]


@part
def _spread(work: Floats, source: int, kept: int, mean: int, to: int, bar: int) -> None:
    """Squared distances of the last 20 values from their mean, oldest first; two passes, so that nothing cancels."""
    _copy(work, source, kept + bar % 20)
    _copy(work, source, kept + 20 + bar % 20)
    lanes = work.shape[1]
    values = work[kept + bar % 20 + 1 : kept + bar % 20 + 21].ravel()
    for lane in range(lanes):
        squares = 0.0
        for back in range(20):
            apart = values[lane + back * lanes] - work[mean, lane]
            squares += apart * apart
        work[to, lane] = squares


@part
def _finish(work: Floats, bar: int) -> None:
    """Bands, the volume-weighted mean (NaN without volume), mean volume, volatility and momentum."""
    lanes = work.shape[1]
    for lane in range(lanes):
        reach = 2 * math.sqrt(work[SPREAD, lane] / 20)
        work[UPPER, lane] = work[SMA_20, lane] + reach
        work[LOWER, lane] = work[SMA_20, lane] - reach
    for lane in range(lanes):
        work[LOW_20, lane] = -work[LOW_20, lane]
    for lane in range(lanes):
        work[LOW_252, lane] = -work[LOW_252, lane]
    for lane in range(lanes):
        work[VOLUME_MEAN, lane] = work[VOLUME_SUM, lane] / 20
    for lane in range(lanes):
        shares = work[VOLUME_SUM, lane]
        work[VWAP, lane] = work[TURNOVER_SUM, lane] / shares if shares > 0 else math.nan
    for lane in range(lanes):
        work[VOL_20, lane] = math.sqrt(work[RETURN_SPREAD, lane] / 19) * _YEAR_ROOT
    year, month = YEAR + (bar + 4) % _YEAR_ROWS, YEAR + (bar + 235) % _YEAR_ROWS
    for lane in range(lanes):
        work[MOMENTUM, lane] = work[month, lane] / work[year, lane] - 1
    _copy(work, CLOSE, YEAR + bar % _YEAR_ROWS)


E_12, E_26, E_50, FAST, TRIGGER, GAIN, LOSS, RANGE, PLUS, MINUS, RANGES, INDEX = (
    number * LANES_MAX for number in range(12)
)


@part
def _smoothed(work: Floats, state: Floats, bar: int) -> None:
    """Carries the states of all lanes on by a bar and writes their columns."""
    high, low = work[HIGH_BEFORE : HIGH + 1].ravel(), work[LOW_BEFORE : LOW + 1].ravel()
    close, lanes = work[CLOSE_BEFORE : CLOSE + 1].ravel(), work.shape[1]
    if bar < _STEADY:
        _seed(state, high, low, close, bar)
    else:
        _advance(state, high, low, close, lanes)
    for lane in range(lanes):
        work[EMA_12, lane] = state[E_12 + lane]
        work[EMA_26, lane] = state[E_26 + lane]
        work[EMA_50, lane] = state[E_50 + lane]
    for lane in range(lanes):
        work[SIGNAL, lane] = state[TRIGGER + lane]
        work[ATR, lane] = state[RANGE + lane]
        work[ADX, lane] = state[INDEX + lane]
    for lane in range(lanes):
        apart = state[FAST + lane] - state[E_26 + lane]
        work[MACD, lane] = apart
        work[HISTOGRAM, lane] = apart - state[TRIGGER + lane]
    for lane in range(lanes):
        total = state[GAIN + lane] + state[LOSS + lane]
        work[RSI, lane] = 100 * (state[GAIN + lane] / total) if total > 0 else 0.0


@part
def _advance(state: Floats, high: Floats, low: Floats, close: Floats, lanes: int) -> None:
    """One bar for every lane; each pair of rows holds the bar before and the bar."""
    for lane in range(lanes):
        now, before = close[lanes + lane], close[lane]
        state[E_12 + lane] += (now - state[E_12 + lane]) * (2 / 13)
        state[E_50 + lane] += (now - state[E_50 + lane]) * (2 / 51)
        fast = state[FAST + lane] + (now - state[FAST + lane]) * (2 / 13)
        slow = state[E_26 + lane] + (now - state[E_26 + lane]) * (2 / 27)
        state[FAST + lane], state[E_26 + lane] = fast, slow
        state[TRIGGER + lane] += ((fast - slow) - state[TRIGGER + lane]) * 0.2
        move = now - before
        state[GAIN + lane] += ((move if move > 0 else 0.0) - state[GAIN + lane]) * (1 / 14)
        state[LOSS + lane] += ((-move if move < 0 else 0.0) - state[LOSS + lane]) * (1 / 14)
        top, bottom = high[lanes + lane], low[lanes + lane]
        reach = _true_range(top, bottom, before)
        state[RANGE + lane] += (reach - state[RANGE + lane]) * (1 / 14)
        up, down = top - high[lane], low[lane] - bottom
        plus = state[PLUS + lane] + ((up if up > down and up > 0 else 0.0) - state[PLUS + lane] * (1 / 14))
        minus = state[MINUS + lane] + ((down if down > up and down > 0 else 0.0) - state[MINUS + lane] * (1 / 14))
        ranges = state[RANGES + lane] + (reach - state[RANGES + lane] * (1 / 14))
        state[PLUS + lane], state[MINUS + lane], state[RANGES + lane] = plus, minus, ranges
        index = _directional(plus, minus, ranges, state[INDEX + lane])
        state[INDEX + lane] += (index - state[INDEX + lane]) * (1 / 14)


@part
def _true_range(top: float, bottom: float, before: float) -> float:
    widest = top - bottom
    up, down = abs(top - before), abs(bottom - before)
    widest = widest if widest > up else up
    return widest if widest > down else down


@part
def _directional(plus: float, minus: float, ranges: float, otherwise: float) -> float:
    """100 × |plus - minus| ÷ (plus + minus); `otherwise` where there is no range or no movement, as in TA-Lib."""
    total = plus + minus
    return 100 * abs(plus - minus) / total if ranges > 0 and total > 0 else otherwise


@part
def _seed(state: Floats, high: Floats, low: Floats, close: Floats, bar: int) -> None:
    """The bars until every state has begun: plain sums first, their mean, then smoothing."""
    lanes = close.size // 2
    for lane in range(lanes):
        now, before = close[lanes + lane], close[lane]
        top, bottom = high[lanes + lane], low[lanes + lane]
        reach = _true_range(top, bottom, before)
        up, down = top - high[lane], low[lane] - bottom
        _begin(state, E_12 + lane, now, bar, 12, 2 / 13)
        _begin(state, E_26 + lane, now, bar, 26, 2 / 27)
        _begin(state, E_50 + lane, now, bar, 50, 2 / 51)
        _begin(state, FAST + lane, now, bar - 14, 12, 2 / 13)
        _begin(state, TRIGGER + lane, state[FAST + lane] - state[E_26 + lane], bar - 25, 9, 0.2)
        _begin(state, GAIN + lane, max(now - before, 0.0), bar - 1, 14, 1 / 14)
        _begin(state, LOSS + lane, max(before - now, 0.0), bar - 1, 14, 1 / 14)
        _begin(state, RANGE + lane, reach, bar - 1, 14, 1 / 14)
        _begin_sum(state, PLUS + lane, up if up > down and up > 0 else 0.0, bar)
        _begin_sum(state, MINUS + lane, down if down > up and down > 0 else 0.0, bar)
        _begin_sum(state, RANGES + lane, reach, bar)
        kept = state[INDEX + lane] if bar > 27 else 0.0
        index = _directional(state[PLUS + lane], state[MINUS + lane], state[RANGES + lane], kept)
        _begin(state, INDEX + lane, index, bar - 14, 14, 1 / 14)


@part
def _begin(state: Floats, at: int, value: float, step: int, length: int, weight: float) -> None:
    """Sums `length` values from step 0 on, takes their mean, and goes on with the weight; nothing before step 0."""
    if step >= length:
        state[at] += (value - state[at]) * weight
    elif step >= 0:
        total = value if step == 0 else state[at] + value
        state[at] = total / length if step == length - 1 else total


@part
def _begin_sum(state: Floats, at: int, value: float, bar: int) -> None:
    """Wilder's running sum of 14 steps as TA-Lib begins it: the bars 1 to 13 are added up."""
    if bar <= 1:
        state[at] = value if bar == 1 else 0.0
    else:
        state[at] += value if bar < 14 else value - state[at] * (1 / 14)


OFFSET, END, FRESH, SCALES, SCALES_END = range(5)
"""Columns of a table of jobs: where its bars begin in `order`, how many it has, the first bar to write, its part of the scales."""
_VECTOR = "Array(float64, 1, 'C', True)"
_PLACES = "Array(int64, 1, 'C', True)"


@compiled(
    f"void(UniTuple({_VECTOR}, 4), {_PLACES}, Array(int64, 2, 'C', True), {_PLACES}, {_VECTOR}, "
    "int64, int64, float64[:, ::1], uint8[:, ::1])"
)
def indicators_into(
    bars: tuple[Floats, ...],
    order: Places,
    jobs: Places,
    scale_bars: Places,
    scales: Floats,
    lanes: int,
    first: int,
    out: Floats,
    valid: Bits,
) -> None:
    """Writes COLUMNS into the lines of `out`; bits of `valid` (Arrow's order) are cleared where a value is not defined.

    Args:
        bars: High, low and close of all bars, USD as traded, and volume in shares; rows in any order.
        order: For each job the rows of its bars, oldest first, one job's bars after another's.
        jobs: One line per job, see OFFSET to SCALES_END.
        scale_bars: The bars from which on a job's next scale counts; `scales` are what its prices are divided by and its
            volumes multiplied with.
        lanes: Jobs side by side, at most LANES_MAX.
        first: The row that is written to the first column of `out`.
    """
    work, state, scale_now = np.ones((ROWS, lanes)), np.zeros(12 * LANES_MAX), np.zeros(lanes, dtype=np.int64)
    flat, spots = work.ravel(), np.zeros(WINDOWS.shape[0], dtype=np.int64)
    places, targets = np.empty((_LOCATED, lanes), dtype=np.int64), np.empty(lanes, dtype=np.int64)
    for tile in range(0, jobs.shape[0], lanes):
        group = jobs[tile : tile + lanes]
        used, scaled, fresh = group.shape[0], _is_scaled(group, scale_now), group[:, FRESH].min()
        newest, begin = group[:, FRESH].max(), max(fresh - LOOK_BACK, 0)
        for window in range(WINDOWS.shape[0]):
            spots[window] = (begin - 1) % WINDOWS[window, 2]
        for bar in range(group[:, END].max()):
            if bar % _LOCATED == 0:
                _locate(order, group, bar, places)
            place = places[bar % _LOCATED, :used]
            even = _is_even(place)
            _load(work, HIGH, bars[0], place, even)
            _load(work, LOW, bars[1], place, even)
            _load(work, CLOSE, bars[2], place, even)
            _load(work, VOLUME, bars[3], place, even)
            if scaled:
                _rescale(work, group, scale_bars, scales, scale_now, bar)
            _smoothed(work, state, bar)
            if bar >= begin:
                _windows(work, flat, spots, bar)
            if bar >= fresh and even and bar >= newest:
                _store(work, place[0] - first, used, bar, out, valid)
            elif bar >= fresh:
                _aim(group, place, bar, first, targets)
                _scatter(work, targets[:used], bar, out, valid)
            _copy(work, HIGH, HIGH_BEFORE)
            _copy(work, LOW, LOW_BEFORE)
            _copy(work, CLOSE, CLOSE_BEFORE)


@part
def _is_scaled(group: Places, scale_now: Places) -> bool:
    """Whether a job of the group has scales; sets each job's to its first."""
    found = False
    for lane in range(group.shape[0]):
        scale_now[lane] = group[lane, SCALES]
        found |= group[lane, SCALES] < group[lane, SCALES_END]
    return found


@part
def _locate(order: Places, group: Places, begin: int, places: Places) -> None:
    """The rows of each lane's next bars; -1 after its last."""
    for lane in range(group.shape[0]):
        for bar in range(begin, begin + _LOCATED):
            places[bar - begin, lane] = order[group[lane, OFFSET] + bar] if bar < group[lane, END] else -1


@part
def _is_even(place: Places) -> bool:
    """Whether all lanes have a bar and their rows stand side by side."""
    apart = 0
    for lane in range(place.size):
        apart += place[lane] != place[0] + lane
    return apart == 0 and place[0] >= 0


@part
def _load(work: Floats, to: int, column: Floats, place: Places, even: bool) -> None:
    begin = place[0]
    if even:
        for lane in range(place.size):
            work[to, lane] = column[np.uint64(begin + lane)]
    else:
        for lane in range(place.size):
            work[to, lane] = column[place[lane]] if place[lane] >= 0 else 1.0


@part
def _rescale(work: Floats, group: Places, scale_bars: Places, scales: Floats, now: Places, bar: int) -> None:
    """Brings the bar into the share count of each job's last bar."""
    for lane in range(group.shape[0]):
        if group[lane, SCALES] == group[lane, SCALES_END]:
            continue
        while now[lane] + 1 < group[lane, SCALES_END] and scale_bars[now[lane] + 1] <= bar:
            now[lane] += 1
        scale = scales[now[lane]]
        work[HIGH, lane] /= scale
        work[LOW, lane] /= scale
        work[CLOSE, lane] /= scale
        work[VOLUME, lane] *= scale


@part
def _store(work: Floats, begin: int, used: int, bar: int, out: Floats, valid: Bits) -> None:
    """Writes the bar of all lanes side by side."""
    for column in range(out.shape[0]):
        if bar >= FIRST_BAR[column]:
            for lane in range(used):
                out[column, np.uint64(begin + lane)] = work[column, lane]
        else:
            for lane in range(used):
                _empty(out, valid, column, begin + lane)
    if bar >= FIRST_BAR[VWAP]:
        for lane in range(used):
            if not work[VOLUME_SUM, lane] > 0:
                _empty(out, valid, VWAP, begin + lane)


@part
def _aim(group: Places, place: Places, bar: int, first: int, targets: Places) -> None:
    """Where each lane's bar is written, -1 where it is not."""
    for lane in range(place.size):
        wanted = place[lane] >= 0 and bar >= group[lane, FRESH]
        targets[lane] = place[lane] - first if wanted else -1


@part
def _scatter(work: Floats, targets: Places, bar: int, out: Floats, valid: Bits) -> None:
    """Writes the bar of each lane to its own place."""
    for column in range(out.shape[0]):
        defined = bar >= FIRST_BAR[column]
        for lane in range(targets.size):
            if targets[lane] >= 0:
                out[column, targets[lane]] = work[column, lane]
                if not defined or (column == VWAP and not work[VOLUME_SUM, lane] > 0):
                    _empty(out, valid, column, targets[lane])


@part
def _empty(out: Floats, valid: Bits, column: int, place: int) -> None:
    out[column, place] = 0.0
    valid[column, place >> 3] &= _CLEARED[place & 7]
