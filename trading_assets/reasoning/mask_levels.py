"""Price levels rebased so that the first is 100, coarse enough that the cent which they traded in cannot be counted back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isfinite

from trading_assets.core.errors import PermanentFailure

_HUNDRED = Decimal(100)
_FINE = Decimal("0.01")
_COARSE = tuple(Decimal(step) for step in ("0.05", "0.1", "0.2", "0.5", "1"))
_CENTS_OF_A_STEP = 2
_DIGITS_SMALL, _DIGITS_LARGE = 3, 5


class Rebased:
    """The levels of one asset in one question: ratios to the first one kept to a step of the scale.

    From 10 on a step is at least 0.05, and at least two cents of the first level, so that every price of the same class could have
    been rounded to it: one class for all prices from 40 USD on, then down to 20, 10, 4 and 2 USD. Below 2 USD the step stays 1, and
    the cent can show. From 1 to 10 a step is 0.01, below three significant digits, above five. Signs are kept and no two levels
    change their order; two within a step may become equal.
    """

    def __init__(self, levels: Sequence[float | Decimal]) -> None:
        exact = [_exact(level) for level in levels]
        self._base = next((abs(level) for level in exact if level), _HUNDRED)
        self._coarse = next((step for step in _COARSE if step * self._base >= _CENTS_OF_A_STEP), _COARSE[-1])
        self._hidden = {level: self._placed(level) for level in exact}
        pairs = zip(exact, levels, strict=True)
        self._first = {self._hidden[key]: level for key, level in reversed([*pairs])}

    def hide(self, level: float | Decimal) -> float | Decimal:
        """The rebased level, of the same type."""
        hidden = self._hidden[_exact(level)]
        return hidden if isinstance(level, Decimal) else float(hidden)

    def show(self, hidden: float | Decimal) -> float | Decimal:
        """The first level of the question that was rebased to this one, or the level in the same ratio to the question's first."""
        exact = _exact(hidden)
        level = self._first.get(exact, exact * self._base / _HUNDRED)
        return _exact(level) if isinstance(hidden, Decimal) else float(level)

    @property
    def written(self) -> Sequence[tuple[str, float | Decimal]]:
        """Each rebased level as a question writes it, with the level behind it."""
        return [(repr(float(hidden)), level) for hidden, level in self._first.items()]

    def _placed(self, level: Decimal) -> Decimal:
        size = abs(level) * _HUNDRED / self._base
        if not size:
            return size
        step = self._step(size)
        place = (size / step).to_integral_value() * step
        if not 0 < float(place) < float("inf"):
            raise PermanentFailure(
                "the levels of a question lie too far apart to be masked", value=level, bound=self._base
            )
        return place.copy_sign(level)

    def _step(self, size: Decimal) -> Decimal:
        if size < 1:
            return _digits(size, _DIGITS_SMALL)
        return _FINE if size < 10 else max(self._coarse, _digits(size, _DIGITS_LARGE))


def _digits(size: Decimal, digits: int) -> Decimal:
    return Decimal(1).scaleb(size.adjusted() + 1 - digits)


def _exact(level: float | Decimal) -> Decimal:
    if not isfinite(level):
        raise PermanentFailure("a level must be finite", value=level)
    return level if isinstance(level, Decimal) else Decimal(repr(level))
