"""How far apart two arms must be at each look, so that looking several times costs no more than the level that was written down.

Lan and DeMets ("Discrete Sequential Boundaries for Clinical Trials", Biometrika 70, 1983) spend the level over the looks; the
boundary at each follows from the probability of having come so far without crossing, integrated numerically over the statistic's
density look by look (Armitage, McPherson and Rowe, JRSS A 132, 1969; Jennison and Turnbull, "Group Sequential Methods", 2000,
chapter 19).

These boundaries plan an experiment: how many sessions an effect needs. What judges one is `randomization`, which spends the same
levels without assuming a distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import e, log
from typing import TYPE_CHECKING, Literal

from trading_assets.core.errors import PermanentFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Spending = Literal["obrien_fleming", "pocock"]
_REACH = 8.0  # standard deviations: what lies further out has no weight
_POINTS = 401  # of the grid; bounds agree with published ones to three places
_DRIFT_MAX = 20.0


def spent(spending: Spending, level: float, fraction: float) -> float:
    """How much of a two-sided level may be used up at a fraction of the planned information.

    O'Brien and Fleming's way spends next to nothing early: 4 − 4 Φ(z / √fraction) with z at level / 4. Pocock's spends evenly:
    level · ln(1 + (e − 1) fraction). Both spend the whole level at the end.
    """
    from scipy.special import ndtr, ndtri

    if not 0 < level < 1:
        raise PermanentFailure("a level of error", value=level, bound="between 0 and 1")
    if not 0 < fraction <= 1:
        raise PermanentFailure("a fraction of the information", value=fraction, bound="above 0, at most 1")
    if spending == "pocock":
        return level * log(1 + (e - 1) * fraction)
    return 4 * float(ndtr(ndtri(level / 4) / fraction**0.5))


def boundaries(spending: Spending, level: float, fractions: Sequence[float]) -> tuple[float, ...]:
    """The standardised difference that ends the experiment at each look, two-sided and symmetric.

    Raises:
        PermanentFailure: the fractions do not ascend to at most 1, or the level is none.
    """
    from scipy.optimize import brentq

    _check(fractions)
    so_far, bounds, already = _start(), list[float](), 0.0
    for fraction in fractions:
        target = spent(spending, level, fraction)
        more, here = target - already, so_far
        bound = float(brentq(lambda at: here.beyond(at, fraction) - more, 0.0, 3 * _REACH, xtol=1e-9))  # noqa: B023
        bounds.append(bound)
        so_far, already = so_far.after(bound, fraction), target
    return tuple(bounds)


def crossing(bounds: Sequence[float], fractions: Sequence[float], drift: float) -> float:
    """The probability that a boundary is crossed at some look.

    Args:
        drift: Expectation of the standardised difference at fraction 1; 0 without an effect.
    """
    _check(fractions)
    so_far, crossed = _start(drift), 0.0
    for bound, fraction in zip(bounds, fractions, strict=True):
        crossed += so_far.beyond(bound, fraction)
        so_far = so_far.after(bound, fraction)
    return crossed


def drift_for(power: float, bounds: Sequence[float], fractions: Sequence[float]) -> float:
    """The drift at which the boundaries are crossed with a given probability.

    Raises:
        PermanentFailure: the power is none, or not above what is crossed without any effect.
    """
    from scipy.optimize import brentq

    if not crossing(bounds, fractions, 0.0) < power < 1:
        raise PermanentFailure("a power of an experiment", value=power, bound="above its level, below 1")
    found = brentq(lambda drift: crossing(bounds, fractions, drift) - power, 0.0, _DRIFT_MAX, xtol=1e-4)
    return float(found)


@dataclass(frozen=True)
class _SoFar:
    """Where the score stands at a look without having crossed anything: points, and the weight of each."""

    drift: float
    begun: float
    points: "Floats"
    weight: "Floats"

    def beyond(self, bound: float, fraction: float) -> float:
        """The probability of stepping over a bound at the next look."""
        from scipy.special import ndtr

        step, edge = (fraction - self.begun) ** 0.5, bound * fraction**0.5
        centre = self.points + self.drift * (fraction - self.begun)
        return float((ndtr((-edge - centre) / step) + ndtr((centre - edge) / step)) @ self.weight)

    def after(self, bound: float, fraction: float) -> "_SoFar":
        """The same at the next look, for what did not step over its bound."""
        import numpy as np

        middle, reach, edge = self.drift * fraction, _REACH * fraction**0.5, bound * fraction**0.5
        low, high = max(-edge, middle - reach), min(edge, middle + reach)
        if low >= high:
            return _SoFar(self.drift, fraction, np.zeros(1), np.zeros(1))
        points, step = np.linspace(low, high, _POINTS), fraction - self.begun
        moved = (points[:, None] - self.points[None, :] - self.drift * step) / step**0.5
        density = (np.exp(-0.5 * moved**2) @ self.weight) / (2 * np.pi * step) ** 0.5
        return _SoFar(self.drift, fraction, points, density * _simpson(points))


def _start(drift: float = 0.0) -> _SoFar:
    import numpy as np

    return _SoFar(drift, 0.0, np.zeros(1), np.ones(1))


def _simpson(points: "Floats") -> "Floats":
    import numpy as np

    weights = np.full(len(points), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    scaled: Floats = weights * (points[1] - points[0]) / 3
    return scaled


def _check(fractions: Sequence[float]) -> None:
    ascending = all(a < b for a, b in pairwise(fractions))
    if not fractions or not ascending or not 0 < fractions[0] <= fractions[-1] <= 1 + 1e-12:
        raise PermanentFailure(
            "the looks of an experiment must follow each other", value=list(fractions), bound="0 to 1"
        )
