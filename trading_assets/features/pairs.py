"""The arithmetic of one pair of symbols over its whole history, compiled: moments over windows, the spread, its past episodes.

A pair's life is the sessions that both symbols have, begun anew after more than `SILENCE_MAX` sessions without (a ticker that
changed owner must not meet its predecessor's past). Window sums come from blocks that are fixed by the life's first session:
the sum over a window is the end of one block plus the beginning of the next. That costs the same for any window length, its
rounding does not grow with the history, and its bits do not depend on the span asked for.
"""

import math

import numpy as np

from trading_assets.features.compiling import compiled, part
from trading_assets.features.norms import Places
from trading_assets.features.windows import Floats

SHORT, LONG, GAP = 20, 120, 60
SILENCE_MAX = 5
WIDE, CLOSED, PATIENCE = 2.0, 0.5, 20
MEASURES = ("correlation_20", "correlation_120", "gap_z", "half_life_sessions", "converged", "episodes")
_NOISE = 1e-12


@part
def _add(sums: Floats, dx: float, dy: float) -> None:
    sums[0] += dx
    sums[1] += dy
    sums[2] += dx * dx
    sums[3] += dy * dy
    sums[4] += dx * dy


@part
def _centre(head: Floats, tail: Floats, dx: float, dy: float, length: int, moments: Floats) -> None:
    sx, sy = tail[0] + head[0], tail[1] + head[1]
    sxx, syy = tail[2] + head[2], tail[3] + head[3]
    vx, vy = sxx - sx * sx / length, syy - sy * sy / length
    moments[0] = vx if vx > _NOISE * sxx else 0.0
    moments[1] = vy if vy > _NOISE * syy else 0.0
    moments[2] = tail[4] + head[4] - sx * sy / length
    moments[3] = dx - sx / length
    moments[4] = dy - sy / length


@part
def _window_moments(x: Floats, y: Floats, size: int, length: int, moments: Floats) -> None:
    """Centred sums of squares and products over the last `length` values, and how far the newest lies from the mean.

    `moments`, one row for each of the `size` values: Sxx, Syy, Sxy, x - mean(x), y - mean(y); untouched until the window is
    full. Values are taken relative to the first of the newer block, so that a large level does not eat the digits of a small
    spread. tails[n] are the sums of the last n values of the block before, head those of the block so far.
    """
    tails, head = np.zeros((length + 1, 5)), np.zeros(5)
    for at in range(size):
        begun = at % length
        anchor = at - begun
        if begun == 0:
            for place in range(5):
                head[place] = 0.0
            for count in range(1, min(anchor, length) + 1):
                for place in range(5):
                    tails[count, place] = tails[count - 1, place]
                _add(tails[count], x[at - count] - x[at], y[at - count] - y[at])
        dx, dy = x[at] - x[anchor], y[at] - y[anchor]
        _add(head, dx, dy)
        if at + 1 >= length:
            _centre(head, tails[length - 1 - begun], dx, dy, length, moments[at])


@part
def _correlation(moments: Floats) -> float:
    if not (moments[0] > 0 and moments[1] > 0):
        return math.nan
    correlation: float = moments[2] / math.sqrt(moments[0] * moments[1])
    return max(-1.0, min(1.0, correlation))


@part
def _spread_z(moments: Floats, beta: float) -> float:
    """Deviations of the newest a - beta b from its mean over the window; NaN where the spread does not move."""
    whole = moments[0] + beta * beta * moments[1]
    square = whole - 2 * beta * moments[2]
    if not square > _NOISE * whole:
        return math.nan
    z: float = (moments[3] - beta * moments[4]) / math.sqrt(square / (GAP - 1))
    return z


@part
def _half_life(x: Floats, y: Floats, last: int, beta: float) -> float:
    """The time ln 2 / -ln(phi) of s(t) = c + phi s(t-1), least squares over the window; NaN unless 0 < phi < 1."""
    first, steps = last - GAP + 1, GAP - 1
    mean = (x[last] - x[first] - beta * (y[last] - y[first])) / steps
    before = 0.0
    for at in range(first, last):
        before += (x[at] - x[last] - beta * (y[at] - y[last])) / steps
    square, product = 0.0, 0.0
    for at in range(first, last):
        apart = x[at] - x[last] - beta * (y[at] - y[last]) - before
        square += apart * apart
        product += apart * (x[at + 1] - x[at] - beta * (y[at + 1] - y[at]) - mean)
    phi = 1 + product / square if square > 0 else 1.0
    return math.log(2) / -math.log(phi) if 0 < phi < 1 else math.nan


@part
def _life(x: Floats, y: Floats, at: Places, size: int, wanted: Places, out: Floats) -> None:
    """One life of a pair: `size` log prices at sessions `at`; fills the rows of `out` whose session is wanted (ascending)."""
    steps_x, steps_y = np.zeros(size), np.zeros(size)
    for now in range(1, size):
        steps_x[now - 1], steps_y[now - 1] = x[now] - x[now - 1], y[now] - y[now - 1]
    moments = np.full((3, size, 5), math.nan)
    short, long, gap = moments[0], moments[1], moments[2]
    _window_moments(steps_x, steps_y, size - 1, SHORT, short)
    _window_moments(steps_x, steps_y, size - 1, LONG, long)
    _window_moments(x, y, size, GAP, gap)
    converged, episodes, since, before, row = 0, 0, -1, math.nan, 0
    for now in range(size):
        while row < wanted.size and wanted[row] < at[now]:
            row += 1
        asked = row < wanted.size and wanted[row] == at[now]
        moved = now >= LONG and long[now - 1, 1] > 0
        beta = long[now - 1, 2] / long[now - 1, 1] if moved else math.nan
        z = _spread_z(gap[now], beta)
        if asked:
            out[row, 4], out[row, 5] = converged, episodes
            out[row, 2] = z
            if now > 0:
                out[row, 0], out[row, 1] = _correlation(short[now - 1]), _correlation(long[now - 1])
            if moved:
                out[row, 3] = _half_life(x, y, now, beta)
        if since >= 0 and (abs(z) < CLOSED or now - since >= PATIENCE):
            converged += 1 if abs(z) < CLOSED else 0
            episodes += 1
            since = -1
        elif since < 0 and abs(z) > WIDE and abs(before) <= WIDE:
            since = now
        before = z


@compiled("void(float64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[:, ::1])")
def measure_pairs(prices: Floats, first: Places, second: Places, begins: Places, wanted: Places, out: Floats) -> None:
    """Fills `out`, one row for each wanted session of each pair, with `MEASURES`; NaN where a window is not full.

    Args:
        prices: Log prices in one share count, symbols by sessions of the exchange; NaN without a bar.
        first: Row in `prices` of each pair's symbol a.
        second: Row in `prices` of each pair's symbol b.
        begins: Where each pair's wanted sessions begin in `wanted`, and their end as one more number.
        wanted: Columns in `prices`, ascending within each pair.
        out: Wanted sessions by measures, NaN at the start; "converged" and "episodes" count what ended before the session.
    """
    sessions = prices.shape[1]
    x, y, at = np.empty(sessions), np.empty(sessions), np.empty(sessions, np.int64)
    for pair in range(first.size):
        mine, theirs = prices[first[pair]], prices[second[pair]]
        asked, rows = wanted[begins[pair] : begins[pair + 1]], out[begins[pair] : begins[pair + 1]]
        size = 0
        for session in range(asked[-1] + 1):
            if not (math.isfinite(mine[session]) and math.isfinite(theirs[session])):
                continue
            if size > 0 and session - at[size - 1] > SILENCE_MAX + 1:
                _life(x, y, at, size, asked, rows)
                size = 0
            x[size], y[size], at[size] = mine[session], theirs[session], session
            size += 1
        _life(x, y, at, size, asked, rows)
