"""Price paths as machine code: each path is a pure function of its key and its number.

Random numbers are SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators") used by counter: the
n-th number of a stream is a hash of the stream's key and n, so nothing depends on which thread asks first, on how paths are cut
into blocks, or on which other symbols are simulated. The stream of path p is keyed by the p-th number of its task's stream.

Prices are fractions of the reference. Within one session the stop counts first when both levels are touched, because daily bars do
not say which came first and the other guess flatters. Importing this module imports numba.
"""

import math

import numpy as np
import numpy.typing as npt

from trading_assets.features.compiling import compiled, part
from trading_assets.features.windows import Floats

Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

OPEN, HIGH, LOW, CLOSE = 0, 1, 2, 3
STOPPED, REACHED, NEITHER = 0, 1, 2
TOTAL, SQUARES = 3, 4
SUMS = 5
BOOTSTRAP, GBM = 0, 1

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31, _S32 = (np.uint64(shift) for shift in (11, 27, 30, 31, 32))
_LOW_32 = np.uint64(0xFFFFFFFF)
_ONE, _TWO, _SIX = np.uint64(1), np.uint64(2), np.uint64(6)
_UNIT = 2.0**-53
_NEGLIGIBLE = 40.0
_SIGNATURE = (
    "void(float64[:, ::1], int64[:, ::1], float64[:, ::1], uint64[::1], int64, int64, int64, uint64, float64[:, ::1])"
)


@part
def draw(key: np.uint64, counter: np.uint64) -> np.uint64:
    """The counter-th 64-bit number of SplitMix64 seeded with `key`; the first has counter 0."""
    mixed = key + (counter + _ONE) * _GAMMA
    mixed = (mixed ^ (mixed >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    return mixed ^ (mixed >> _S31)


@part
def _unit(bits: np.uint64) -> float:
    """A number in (0, 1]."""
    return np.float64((bits >> _S11) + _ONE) * _UNIT


@part
def _resampled(
    relatives: Floats, stop: float, target: float, horizon: int, restart: np.uint64, stream: np.uint64
) -> tuple[int, float]:
    """One stationary-bootstrap path (Politis and Romano 1994): how it ended, and at which fraction of the reference.

    A session continues the block with the next past session (the first follows the last) or, with probability restart / 2^32,
    begins a new block at a uniform one. A session that opens beyond the stop ends there, not at the stop.
    """
    count = np.uint64(relatives.shape[0])
    price, place = 1.0, np.int64(0)
    for step in range(horizon):
        bits = draw(stream, np.uint64(step))
        if step == 0 or (bits >> _S32) < restart:
            place = np.int64(((bits & _LOW_32) * count) >> _S32)
        else:
            place += 1
            if place == relatives.shape[0]:
                place = np.int64(0)
        if price * relatives[place, LOW] <= stop:
            return STOPPED, min(stop, price * relatives[place, OPEN])
        if price * relatives[place, HIGH] >= target:
            return REACHED, target
        price *= relatives[place, CLOSE]
    return NEITHER, price


@part
def _diffused(
    drift: float, deviation: float, stop: float, target: float, horizon: int, stream: np.uint64
) -> tuple[int, float]:
    """One path of a geometric Brownian motion, one step a session: how it ended, and at which fraction of the reference.

    Between two points of the path the logarithm is a Brownian bridge: it touched level b, beyond neither end, with probability
    exp(-2 (b - x)(b - y) / variance) (Glasserman 2003, "Monte Carlo Methods in Financial Engineering", section 6.4). Each level is
    decided by a uniform of its own, the stop first: exact for the stop, and for the target too dark where one step reaches both.
    Normals are Box-Muller.
    """
    low, high = math.log(stop), math.log(target)
    variance = deviation * deviation
    here, spare = 0.0, 0.0
    for step in range(horizon):
        first = np.uint64(step // 2) * _SIX
        if step % 2 == 0:
            radius = math.sqrt(-2.0 * math.log(_unit(draw(stream, first))))
            angle = 2.0 * math.pi * _unit(draw(stream, first + _ONE))
            normal, spare = radius * math.cos(angle), radius * math.sin(angle)
        else:
            normal = spare
        there = here + drift + deviation * normal
        first += _TWO + np.uint64(step % 2) * _TWO
        below = 2.0 * (here - low) * (there - low)
        if there <= low or (
            below < _NEGLIGIBLE * variance and _unit(draw(stream, first)) <= math.exp(-below / variance)
        ):
            return STOPPED, stop
        above = 2.0 * (high - here) * (high - there)
        if there >= high or (
            above < _NEGLIGIBLE * variance and _unit(draw(stream, first + _ONE)) <= math.exp(-above / variance)
        ):
            return REACHED, target
        here = there
    return NEITHER, math.exp(here)


@part
def log_moments(relatives: Floats) -> tuple[float, float]:
    """Mean and sample deviation of the log close-to-close returns, in two passes."""
    count = relatives.shape[0]
    mean = 0.0
    for place in range(count):
        mean += math.log(relatives[place, CLOSE])
    mean /= count
    squares = 0.0
    for place in range(count):
        squares += (math.log(relatives[place, CLOSE]) - mean) ** 2
    return mean, math.sqrt(squares / (count - 1))


@compiled(_SIGNATURE)
def walk_tasks(
    relatives: Floats,
    windows: Places,
    levels: Floats,
    keys: Keys,
    method: int,
    paths: int,
    horizon: int,
    restart: np.uint64,
    sums: Floats,
) -> None:
    """Simulates tasks and fills their rows of `sums`.

    Args:
        relatives: [n, 4] open, high, low and close of past sessions over the close before.
        windows: [tasks, 2] first row and end row of each task's past in `relatives`.
        levels: [tasks, 2] stop and target as fractions of the reference.
        keys: [tasks] key of each task's stream.
        method: BOOTSTRAP or GBM.
        paths: Paths per task.
        horizon: Sessions per path.
        restart: Probability of a new block, times 2^32.
        sums: [tasks, 5] out: paths stopped, reached, neither; sum of the returns and of their squares.
    """
    for task in range(keys.size):
        past = relatives[windows[task, 0] : windows[task, 1]]
        stop, target = levels[task, 0], levels[task, 1]
        drift, deviation = 0.0, 0.0
        if method == GBM:
            drift, deviation = log_moments(past)
        row = sums[task]
        row[:] = 0.0
        for path in range(paths):
            stream = draw(keys[task], np.uint64(path))
            if method == GBM:
                ended, value = _diffused(drift, deviation, stop, target, horizon, stream)
            else:
                ended, value = _resampled(past, stop, target, horizon, restart, stream)
            row[ended] += 1.0
            row[TOTAL] += value - 1.0
            row[SQUARES] += (value - 1.0) * (value - 1.0)
