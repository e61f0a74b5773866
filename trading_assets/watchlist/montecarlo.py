"""The odds of target before stop within a horizon, from simulated paths."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np

from trading_assets.core.errors import PermanentFailure
from trading_assets.features.windows import Floats
from trading_assets.watchlist.model import MEASURES, Method
from trading_assets.watchlist.paths import (
    BOOTSTRAP,
    GBM,
    NEITHER,
    REACHED,
    SQUARES,
    STOPPED,
    SUMS,
    TOTAL,
    Keys,
    Places,
    walk_tasks,
)

_CODES: Mapping[Method, int] = {"bootstrap": BOOTSTRAP, "gbm": GBM}
_CHUNKS_PER_WORKER = 8


@dataclass(frozen=True, slots=True)
class Odds:
    """What the paths of one symbol showed. Probabilities sum to 1; returns are fractions of the entry, before costs."""

    p_target: float
    p_stop: float
    p_neither: float
    p_target_se: float
    p_stop_se: float
    expected_return: float
    expected_return_se: float


@dataclass(frozen=True, slots=True)
class Tasks:
    """Symbols to simulate.

    Args:
        relatives: [n, 4] open, high, low and close of past sessions over the close before.
        windows: [tasks, 2] first row and end row of each task's past in `relatives`.
        levels: [tasks, 2] stop and target as fractions of the entry.
    """

    relatives: Floats
    windows: Places
    levels: Floats

    def __post_init__(self) -> None:
        sound = np.isfinite(self.levels).all(axis=1) & (self.levels[:, 0] > 0) & (self.levels[:, 0] < 1)
        if not (sound & (self.levels[:, 1] > 1)).all():
            raise PermanentFailure("a simulation needs 0 < stop < entry < target", value=self.levels.tolist()[:3])
        if (np.diff(self.windows, axis=1) < 2).any():
            raise PermanentFailure("a simulation needs at least two past returns", bound=2)


@dataclass(frozen=True, slots=True)
class Design:
    """How paths are made: number and length in sessions, and the mean length of a bootstrapped block in sessions."""

    paths: int
    horizon_sessions: int
    block_sessions: float

    def __post_init__(self) -> None:
        if self.paths < 1 or self.horizon_sessions < 1 or not 1 <= self.block_sessions < math.inf:
            raise PermanentFailure("paths, horizon_sessions and block_sessions are at least 1", value=self, bound=1)


def probabilities(
    relatives: Floats,
    *,
    entry: float,
    stop: float,
    target: float,
    horizon_sessions: int,
    paths: int,
    seed: int,
    method: Method,
    block_sessions: float = 10.0,
) -> Odds:
    """The odds for one symbol; PermanentFailure unless 0 < stop < entry < target and there are two returns.

    Args:
        relatives: [n, 4] open, high, low and close of past sessions over the close before, oldest first.
        entry: Price at which paths begin, USD; `stop` and `target` likewise.
        stop: Level below the entry.
        target: Level above the entry.
        horizon_sessions: Sessions after which a path ends where it is.
        paths: Number of paths.
        seed: Key of the random stream, 0 to 2^64 - 1.
        method: `bootstrap` resamples the past sessions, `gbm` takes only the mean and deviation of their log returns.
        block_sessions: Mean length of a bootstrapped block; 1 draws each session on its own.
    """
    tasks = Tasks(
        np.asarray(relatives, dtype=np.float64),
        np.array([[0, len(relatives)]], dtype=np.int64),
        np.array([[stop / entry, target / entry]]),
    )
    design = Design(paths, horizon_sessions, block_sessions)
    columns = simulated(tasks, np.array([seed], dtype=np.uint64), design, method, workers=1)
    return Odds(*(float(columns[name][0]) for name in MEASURES))


def simulated(
    tasks: Tasks, keys: Keys, design: Design, method: Method, *, workers: int | None = None
) -> Mapping[str, Floats]:
    """The odds of each task by name (MEASURES), the same to the bit for any number of workers and any company of tasks.

    Args:
        tasks: What to simulate.
        keys: [tasks] key of each task's random stream.
        design: How paths are made.
        method: See `probabilities`.
        workers: Threads; the kernel runs without the interpreter's lock. One per core by default.
    """
    relatives, windows = np.array(tasks.relatives, order="C"), np.array(tasks.windows, order="C")
    levels = np.array(tasks.levels, order="C")
    count = len(levels)
    sums = np.zeros((count, SUMS))
    restart = np.uint64(round(2**32 / design.block_sessions))
    threads = workers or os.cpu_count() or 1
    size = max(1, math.ceil(count / (threads * _CHUNKS_PER_WORKER)))

    def walk(first: int) -> None:
        part = slice(first, first + size)
        shape = (_CODES[method], design.paths, design.horizon_sessions, restart)
        walk_tasks(relatives, windows[part], levels[part], keys[part], *shape, sums[part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(walk, range(0, count, size)))
    return _odds(sums, design.paths)


def stream_keys(seed: int, sessions: Sequence[date], symbols: Sequence[str], method: Method) -> Keys:
    """[n] the key of each symbol's random stream in its session."""
    names = (f"{seed}/{day.isoformat()}/{symbol}/{method}" for day, symbol in zip(sessions, symbols, strict=True))
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _odds(sums: Floats, paths: int) -> Mapping[str, Floats]:
    p_target, p_stop, p_neither = (sums[:, outcome] / paths for outcome in (REACHED, STOPPED, NEITHER))
    mean = sums[:, TOTAL] / paths
    spread = np.maximum(sums[:, SQUARES] / paths - mean * mean, 0.0)
    values = (p_target, p_stop, p_neither, *(_share_error(p, paths) for p in (p_target, p_stop)))
    return dict(zip(MEASURES, (*values, mean, np.sqrt(spread / paths)), strict=True))


def _share_error(share: Floats, paths: int) -> Floats:
    return np.asarray(np.sqrt(share * (1 - share) / paths))
