"""Whether two arms differ, judged by the assignments that could have been drawn as well.

Session returns are autocorrelated, heavy-tailed and come in calm and wild stretches; a formula for the variance of their difference
is right for one of these worlds and wrong for another. What is known for certain is how sessions were assigned. If the arms do not
differ, every assignment that could have been drawn would have seen the same results: the assignment that was drawn is one among
equals. The test draws thousands of others, block by block as the design does, and asks how often they come as far apart.

Several looks spend the level as planned: of all assignments, at each look as many of those furthest apart are struck out as the
level spent so far allows, and the experiment is decided where its own assignment is struck out. So the rate of false findings is
the level itself, whatever the results look like (sequential conditional randomization: Plamadeala and Rosenberger, Annals of
Statistics 40, 2012).

The interval holds every constant effect that the same test would not reject after being taken off the results.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_assets.core.errors import PermanentFailure
from trading_assets.evaluation.experiments.boundaries import Spending, spent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

REDRAWS = 4999
_HALVINGS = 40
_WIDENINGS = 60


@dataclass(frozen=True, slots=True)
class Observed:
    """Results in their order: what was measured, whether under the treatment, and in which block of the assignment."""

    values: tuple[float, ...]
    treated: tuple[bool, ...]
    blocks: tuple[int, ...]

    def first(self, results: int) -> "Observed":
        """The first of them."""
        return Observed(self.values[:results], self.treated[:results], self.blocks[:results])


@dataclass(frozen=True, slots=True)
class Look:
    """A planned look: how many results it sees, and the share of the plan that they are."""

    results: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What the looks so far say. `crossed` is the number of the look, from 1, at which the arms differed; 0 for none."""

    estimate: float
    low: float
    high: float
    level: float
    crossed: int


def compared(
    observed: Observed,
    looks: Sequence[Look],
    *,
    level: float,
    spending: Spending,
    seed: int,
    redraws: int = REDRAWS,
) -> Compared:
    """Treatment against control at the looks taken so far.

    Args:
        looks: Those taken, in order; each must end with a block, and see both arms.
        level: Of error, for all planned looks together.
        seed: Of the redraws; the same at every look, so that a later look sees the earlier ones as they were.

    Raises:
        PermanentFailure: results are no numbers, or a look sees one arm only or cuts a block.
    """
    _check(observed, looks)
    paths = _Paths.of(observed, looks, seed, redraws)
    allowed = _allowed(looks, level, spending, redraws)
    low, high = (_edge(paths, allowed, way) for way in (-1.0, 1.0))
    return Compared(paths.estimate, low, high, 1 - level, paths.crossed(0.0, allowed))


def crossed_at(
    observed: Observed, looks: Sequence[Look], *, level: float, spending: Spending, seed: int, redraws: int = REDRAWS
) -> int:
    """The look, from 1, at which the arms differed, or 0: `compared` without its interval, which takes longer.

    Raises:
        PermanentFailure: as `compared`.
    """
    _check(observed, looks)
    allowed = _allowed(looks, level, spending, redraws)
    return _Paths.of(observed, looks, seed, redraws).crossed(0.0, allowed)


def _allowed(looks: Sequence[Look], level: float, spending: Spending, redraws: int) -> list[int]:
    """How many assignments, the drawn one among them, may be struck out up to each look."""
    return [int(spent(spending, level, look.fraction) * (redraws + 1) + 1e-9) for look in looks]


@dataclass(frozen=True)
class _Paths:
    """Differences of means at each look (columns) for each assignment (rows; the first is the one that was drawn).

    Taking an effect off the treated results moves each difference by a multiple of it: `slopes`.
    """

    differences: "Floats"
    slopes: "Floats"

    @classmethod
    def of(cls, observed: Observed, looks: Sequence[Look], seed: int, redraws: int) -> "_Paths":
        import numpy as np

        values = np.asarray(observed.values, dtype=np.float64)
        labels = _labels(observed, seed, redraws)
        drawn = labels[:, 0]
        differences = np.stack([_difference(values, labels, look.results) for look in looks], axis=1)
        slopes = np.stack([_difference(drawn, labels, look.results) for look in looks], axis=1)
        return cls(differences, slopes)

    @property
    def estimate(self) -> float:
        """The difference at the last look."""
        return float(self.differences[0, -1])

    def crossed(self, effect: float, allowed: Sequence[int]) -> int:
        """The look, from 1, at which the drawn assignment is struck out when an effect is taken off; 0 for none.

        Ties are struck out only where all of them may be.
        """
        import numpy as np

        away = np.abs(self.differences - effect * self.slopes)
        left = np.ones(len(away), dtype=bool)
        for look, most in enumerate(allowed):
            may = most - int((~left).sum())
            if may <= 0:
                continue
            here = away[left, look]
            edge = np.partition(here, len(here) - may - 1)[len(here) - may - 1]
            out = left & (away[:, look] > edge + 1e-12 * max(1.0, float(edge)))
            if out[0]:
                return look + 1
            left &= ~out
        return 0


def _labels(observed: Observed, seed: int, redraws: int) -> "Floats":
    """1 where treated: results by assignments; within each block the labels change places."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    treated = np.asarray(observed.treated, dtype=np.float64)
    blocks = np.asarray(observed.blocks, dtype=np.float64)
    places = np.argsort(blocks[:, None] + rng.random((len(treated), redraws)), axis=0)
    return np.concatenate([treated[:, None], treated[places]], axis=1)


def _difference(values: "Floats", labels: "Floats", results: int) -> "Floats":
    """Mean of the treated less mean of the others, for each assignment; blocks keep the counts of all of them equal."""
    seen, under = values[:results], labels[:results]
    count = under[:, 0].sum()
    treated = seen @ under
    means: Floats = treated / count - (seen.sum() - treated) / (results - count)
    return means


def _edge(paths: _Paths, allowed: Sequence[int], way: float) -> float:
    """How far from the estimate, in one direction, an effect is not rejected; infinite where none is."""
    kept, step = 0.0, float(abs(paths.differences).max()) or 1.0
    for _ in range(_WIDENINGS):
        if paths.crossed(paths.estimate + way * (kept + step), allowed):
            break
        kept, step = kept + step, 2 * step
    else:
        return way * float("inf")
    beyond = kept + step
    for _ in range(_HALVINGS):
        middle = (kept + beyond) / 2
        if paths.crossed(paths.estimate + way * middle, allowed):
            beyond = middle
        else:
            kept = middle
    return paths.estimate + way * beyond


def _check(observed: Observed, looks: Sequence[Look]) -> None:
    import numpy as np

    total, blocks = len(observed.values), list(observed.blocks)
    if not total == len(observed.treated) == len(blocks) or blocks != sorted(blocks):
        raise PermanentFailure("results of an experiment need an arm and a block each, in order", value=total)
    if not bool(np.isfinite(np.asarray(observed.values, dtype=np.float64)).all()):
        raise PermanentFailure("a result of an experiment is not a finite number", value=list(observed.values)[:10])
    sizes = [look.results for look in looks]
    if not looks or sizes != sorted(set(sizes)) or not 0 < sizes[0] <= sizes[-1] <= total:
        raise PermanentFailure("the looks must follow each other within the results", value=sizes, bound=total)
    for size in sizes:
        under = sum(observed.treated[:size])
        if not 0 < under < size or (size < total and blocks[size] == blocks[size - 1]):
            raise PermanentFailure("a look sees both arms and ends with a block", value=size)
