"""How sure a number of the record is: confidence intervals from resampled blocks of neighbouring observations.

Results of neighbouring sessions and trades resemble each other, so single observations may not be drawn alone. The stationary
bootstrap (Politis and Romano, "The Stationary Bootstrap", JASA 89, 1994) draws blocks of random length, on average `mean_block`,
from the series closed to a circle.

Plain percentiles of it are too narrow on short series: their variance comes from few blocks. The percentiles are therefore moved
outwards as Student's t stands outside the normal, as Hesterberg proposes for single draws ("What Teachers Should Know About the
Bootstrap", The American Statistician 69, 2015), with n / (1.5 mean_block) degrees of freedom, the count of independent blocks that
met the level best where it was measured (docs/learning.md).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_assets.core.errors import PermanentFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

OBSERVATIONS_MIN = 10
SAMPLES = 2000
MEAN_BLOCK = 5.0
SESSIONS_PER_YEAR = 252
_BLOCKS_MIN = 2.0
_CELLS_MAX = 500_000  # of one piece of the resampling, so that memory does not grow with the record
_UNDEFINED_MAX = 0.01  # of the resamples may have no value, such as the ratio of a constant
_BLOCKS_PER_FREEDOM = 1.5
_SMALL = 1e-12

Statistic = Callable[["Floats"], "Floats"]
"""From a matrix to one number for each of its rows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and what it may as well be: `mean` is the estimate itself, whatever the statistic."""

    mean: float
    low: float
    high: float
    level: float
    observations: int

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high < 0


def mean_of(rows: "Floats") -> "Floats":
    """The mean of each row."""
    means: Floats = rows.mean(axis=-1)
    return means


def sharpe_of(rows: "Floats") -> "Floats":
    """The annual Sharpe ratio of each row of session returns, without a risk-free rate; NaN for a constant row."""
    import numpy as np

    spread = rows.std(axis=-1, ddof=1)
    flat = spread <= _SMALL * np.maximum(1.0, np.abs(rows).max(axis=-1))
    ratios: Floats = np.where(flat, np.nan, rows.mean(axis=-1) / np.where(flat, 1.0, spread)) * SESSIONS_PER_YEAR**0.5
    return ratios


def win_rate_of(rows: "Floats") -> "Floats":
    """The share of each row that is above zero."""
    shares: Floats = (rows > 0).mean(axis=-1)
    return shares


def profit_factor_of(rows: "Floats") -> "Floats":
    """Gains over losses of each row; NaN where nothing was lost."""
    import numpy as np

    lost = -np.minimum(rows, 0.0).sum(axis=-1)
    factors: Floats = np.where(lost > 0, np.maximum(rows, 0.0).sum(axis=-1) / np.where(lost > 0, lost, 1.0), np.nan)
    return factors


def block_bootstrap(
    values: Sequence[float], *, level: float, seed: int, samples: int = SAMPLES, mean_block: float = MEAN_BLOCK
) -> Interval | None:
    """The interval of the mean of a series in its order; None where it has too few values.

    Raises:
        PermanentFailure: a value is not a finite number, or a level, block or number of samples makes no sense.
    """
    return block_bootstrap_of(mean_of, values, level=level, seed=seed, samples=samples, mean_block=mean_block)


def block_bootstrap_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float,
    seed: int,
    samples: int = SAMPLES,
    mean_block: float = MEAN_BLOCK,
) -> Interval | None:
    """The interval of mean(first) − mean(second) of two series that belong together place by place.

    Raises:
        PermanentFailure: as `block_bootstrap`, or the series differ in length.
    """
    return block_bootstrap_difference_of(
        mean_of, first, second, level=level, seed=seed, samples=samples, mean_block=mean_block
    )


def block_bootstrap_of(
    statistic: Statistic,
    values: Sequence[float],
    *,
    level: float,
    seed: int,
    samples: int = SAMPLES,
    mean_block: float = MEAN_BLOCK,
) -> Interval | None:
    """The interval of any statistic of a series, such as `sharpe_of`.

    None where the series is too short, or where the statistic has no value on it or on more than 1 % of its resamples.

    Raises:
        PermanentFailure: as `block_bootstrap`.
    """
    _check(level, samples, mean_block)
    series = _series(values)
    if not _long_enough(len(series), mean_block):
        return None
    drawn = [statistic(series[places]) for places in _places(len(series), samples, mean_block, seed)]
    return _interval(float(statistic(series[None, :])[0]), drawn, level, len(series), mean_block)


def block_bootstrap_difference_of(
    statistic: Statistic,
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float,
    seed: int,
    samples: int = SAMPLES,
    mean_block: float = MEAN_BLOCK,
) -> Interval | None:
    """The interval of statistic(first) − statistic(second); both are drawn at the same places.

    Raises:
        PermanentFailure: as `block_bootstrap_difference`.
    """
    _check(level, samples, mean_block)
    one, other = _series(first), _series(second)
    if len(one) != len(other):
        raise PermanentFailure(
            "two series that belong together differ in length", value=f"{len(one)} and {len(other)}", bound="equal"
        )
    if not _long_enough(len(one), mean_block):
        return None
    drawn = [
        statistic(one[places]) - statistic(other[places]) for places in _places(len(one), samples, mean_block, seed)
    ]
    estimate = float(statistic(one[None, :])[0] - statistic(other[None, :])[0])
    return _interval(estimate, drawn, level, len(one), mean_block)


def block_bootstrap_between(
    statistic: Statistic,
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float,
    seed: int,
    samples: int = SAMPLES,
    mean_block: float = MEAN_BLOCK,
) -> Interval | None:
    """The interval of statistic(first) − statistic(second) of two series of different sessions or trades, each drawn alone.

    Raises:
        PermanentFailure: as `block_bootstrap`.
    """
    _check(level, samples, mean_block)
    one, other = _series(first), _series(second)
    fewest = min(len(one), len(other))
    if not _long_enough(fewest, mean_block):
        return None
    draws = zip(
        _drawn(statistic, one, samples, mean_block, seed),
        _drawn(statistic, other, samples, mean_block, seed + 1),
        strict=True,
    )
    estimate = float(statistic(one[None, :])[0] - statistic(other[None, :])[0])
    found = _interval(estimate, [a - b for a, b in draws], level, fewest, mean_block)
    return None if found is None else Interval(found.mean, found.low, found.high, level, len(one) + len(other))


def _drawn(statistic: Statistic, series: "Floats", samples: int, mean_block: float, seed: int) -> "list[Floats]":
    """The statistic of every resample, as one piece."""
    import numpy as np

    return [np.concatenate([statistic(series[at]) for at in _places(len(series), samples, mean_block, seed)])]


def _check(level: float, samples: int, mean_block: float) -> None:
    if not 0 < level < 1:
        raise PermanentFailure("a level of confidence", value=level, bound="between 0 and 1")
    if not 100 <= samples <= 1_000_000:
        raise PermanentFailure("a number of resamples", value=samples, bound="100 to 1,000,000")
    if not 1 <= mean_block <= 1000:
        raise PermanentFailure("a mean length of blocks", value=mean_block, bound="1 to 1000 observations")


def _series(values: Sequence[float]) -> "Floats":
    import numpy as np

    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or not bool(np.isfinite(series).all()):
        raise PermanentFailure("a series holds what is not a finite number", value=f"{len(series)} values")
    return series


def _long_enough(observations: int, mean_block: float) -> bool:
    return observations >= max(OBSERVATIONS_MIN, _BLOCKS_MIN * mean_block)


def _places(length: int, samples: int, mean_block: float, seed: int) -> "Iterator[NDArray[np.int64]]":
    """Where each resample takes its values from, in pieces of bounded size: rows are resamples."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, _CELLS_MAX // length)
    for begun in range(0, samples, rows):
        yield _blocks(rng, min(rows, samples - begun), length, mean_block)


def _blocks(rng: "Generator", rows: int, length: int, mean_block: float) -> "NDArray[np.int64]":
    import numpy as np

    begins = rng.random((rows, length)) < 1.0 / mean_block
    begins[:, 0] = True
    column = np.arange(length, dtype=np.int64)
    begun = np.maximum.accumulate(np.where(begins, column, 0), axis=1)
    starts = np.take_along_axis(rng.integers(0, length, (rows, length)), begun, axis=1)
    places: NDArray[np.int64] = (starts + column - begun) % length
    return places


def _interval(
    estimate: float, drawn: "list[Floats]", level: float, observations: int, mean_block: float
) -> Interval | None:
    import numpy as np

    values = np.concatenate(drawn)
    defined = values[np.isfinite(values)]
    if not np.isfinite(estimate) or len(defined) < (1 - _UNDEFINED_MAX) * len(values):
        return None
    tail = _tail((1 - level) / 2, observations, mean_block)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), level, observations)


def _tail(nominal: float, observations: int, mean_block: float) -> float:
    """The percentile that stands where Student's t stands, with as many degrees of freedom as there are free blocks."""
    from scipy.special import ndtr, stdtrit

    free = max(_BLOCKS_MIN, observations / (_BLOCKS_PER_FREEDOM * mean_block))
    widened = float(stdtrit(free, nominal)) * (observations / (observations - 1)) ** 0.5
    return float(ndtr(widened))
