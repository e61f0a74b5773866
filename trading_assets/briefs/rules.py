"""The rules members of the analysts: the same inputs and answers as a model's, deterministic, the desk's baseline without a key.

Signals are means of simple readings in −1…1; confidence says how far the readings agree and how many of them exist. Every reading
cites what it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trading_assets.briefs.roles import SENTENCE_MAX, BreadthInputs, Opinion, TechnicalInputs


@dataclass(frozen=True, slots=True)
class _Point:
    score: float
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """The readings by column, each with its id; `always` is cited beside every one."""

    values: Mapping[str, tuple[str, float]]
    always: tuple[str, ...]

    def point(
        self,
        columns: tuple[str, ...],
        words: Callable[[Sequence[float]], str],
        score: Callable[[Sequence[float]], float],
    ) -> Iterator[_Point]:
        """One point made of some columns; none when a value is unknown."""
        known = [self.values[column] for column in columns if column in self.values]
        if len(known) == len(columns):
            values = [value for _, value in known]
            yield _Point(score(values), words(values), (*(id_ for id_, _ in known), *self.always))


def technical_opinion(inputs: TechnicalInputs) -> Opinion | None:
    """Trend points in trends, oversold and overbought points in ranges; None without indicators."""
    values = {price.column: (price.id, price.value) for price in inputs.prices}
    values |= {reading.column: (reading.id, reading.value) for reading in inputs.readings}
    given = _Given(values, (inputs.view.id,) if inputs.view else ())
    in_range = inputs.view is not None and inputs.view.name == "range"
    points = list(_range_points(given) if in_range else _trend_points(given))
    return _opinion(points, expected=2 if in_range else 4)


def breadth_opinion(inputs: BreadthInputs) -> Opinion | None:
    """Participation of the universe; None without readings."""
    given = _Given({reading.column: (reading.id, reading.value) for reading in inputs.readings}, ())
    return _opinion(list(_breadth_points(given)), expected=3)


def _opinion(points: Sequence[_Point], *, expected: int) -> Opinion | None:
    if not points:
        return None
    signal = sum(point.score for point in points) / len(points)
    agreement = abs(signal)
    return Opinion(
        signal=round(signal, 6),
        confidence=round(min(1.0, len(points) / expected) * (0.5 + 0.5 * agreement), 6),
        reasons=tuple(point.reason[:SENTENCE_MAX] for point in points),
        evidence=tuple(dict.fromkeys(id_ for point in points for id_ in point.evidence)),
    )


def _trend_points(given: _Given) -> Iterator[_Point]:
    for column in ("sma_50", "sma_200"):
        yield from given.point(("close", column), _above(column), lambda v: 1.0 if v[0] > v[1] else -1.0)
    yield from given.point(
        ("macd_histogram_12_26_9",),
        lambda v: f"MACD histogram is {v[0]:+.3f}",
        lambda v: 1.0 if v[0] > 0 else -1.0,
    )
    yield from given.point(("mom_252_21",), lambda v: f"12-1 momentum is {v[0]:+.1%}", lambda v: _bounded(v[0] / 0.20))


def _range_points(given: _Given) -> Iterator[_Point]:
    yield from given.point(("rsi_14",), lambda v: f"RSI is {v[0]:.1f}", lambda v: _bounded((50.0 - v[0]) / 20.0))
    yield from given.point(
        ("close", "bb_lower_20_2", "bb_upper_20_2"),
        lambda v: f"close {v[0]:.2f} stands against bands {v[1]:.2f} and {v[2]:.2f}",
        lambda v: _bounded(1.0 - 2.0 * (v[0] - v[1]) / (v[2] - v[1])) if v[2] > v[1] else 0.0,
    )


def _breadth_points(given: _Given) -> Iterator[_Point]:
    if sum(value for column, (_, value) in given.values.items() if column in {"advances", "declines"}):
        yield from given.point(
            ("advances", "declines"),
            lambda v: f"{v[0]:.0f} symbols rose and {v[1]:.0f} fell",
            lambda v: (v[0] - v[1]) / (v[0] + v[1]),
        )
    for column, words in (("above_sma_50_share", "50-session mean"), ("above_sma_200_share", "200-session mean")):
        yield from given.point((column,), _share(words), lambda v: 2.0 * v[0] - 1.0)


def _share(words: str) -> Callable[[Sequence[float]], str]:
    return lambda v: f"{v[0]:.0%} of symbols close above their {words}"


def _above(column: str) -> Callable[[Sequence[float]], str]:
    return lambda v: f"close {v[0]:.2f} is {'above' if v[0] > v[1] else 'below'} {column} {v[1]:.2f}"


def _bounded(score: float) -> float:
    return max(-1.0, min(1.0, score))
