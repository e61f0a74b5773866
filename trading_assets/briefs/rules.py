"""The rules members of the analysts: the same inputs and answers as a model's, deterministic, the desk's baseline without a key.

Signals are means of simple points in −1…1; confidence says how far the points agree and how many of them exist. Every point cites
what it was made from, and the same points show whether another's answer contradicts what it cites. Headlines: `news_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trading_assets.briefs.roles import SENTENCE_MAX, BreadthInputs, MacroInputs, Opinion, TechnicalInputs

# A market and an economy move slowly: a month's usual swing, as a fraction or in percentage points, is half a point.
_EQUITY_SWING, _OIL_SWING, _SPREAD_SWING = 0.08, 0.30, 0.30
_SPREAD_USUAL, _SPREAD_ROOM = 1.0, 0.8
_INFLATION_AIM, _INFLATION_ROOM = 0.02, 0.02
_STRONG = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that the rules see, -1 to 1, with the ids that it was made from.

    `own` are the ids that belong to this point alone: a close stands in several.
    """

    score: float
    reason: str
    evidence: tuple[str, ...]
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """The readings by column, each with its id; `always` is cited beside every one, `shared` columns belong to no point alone."""

    values: Mapping[str, tuple[str, float]]
    always: tuple[str, ...] = ()
    shared: tuple[str, ...] = ("close",)

    def point(
        self,
        columns: tuple[str, ...],
        words: Callable[[Sequence[float]], str],
        score: Callable[[Sequence[float]], float],
    ) -> Iterator[Point]:
        """One point made of some columns; none when a value is unknown."""
        known = [self.values[column] for column in columns if column in self.values]
        if len(known) == len(columns):
            values, ids = [value for _, value in known], [id_ for id_, _ in known]
            own = tuple(self.values[column][0] for column in columns if column not in self.shared)
            yield Point(score(values), words(values), (*ids, *self.always), own)


def technical_opinion(inputs: TechnicalInputs) -> Opinion | None:
    """Trend points in trends, oversold and overbought points in ranges; None without indicators."""
    return opinion_of(technical_points(inputs), expected=2 if _in_range(inputs) else 4)


def breadth_opinion(inputs: BreadthInputs) -> Opinion | None:
    """Participation of the universe; None without readings."""
    return opinion_of(breadth_points(inputs), expected=3)


def macro_opinion(inputs: MacroInputs) -> Opinion | None:
    """Equities, oil, credit and core prices of the last two months; None where none of the known series is there."""
    return opinion_of(macro_points(inputs), expected=5)


def technical_points(inputs: TechnicalInputs) -> Sequence[Point]:
    """What the rules see of one symbol in its regime."""
    values = {price.column: (price.id, price.value) for price in inputs.prices}
    values |= {reading.column: (reading.id, reading.value) for reading in inputs.readings}
    given = _Given(values, (inputs.view.id,) if inputs.view else ())
    return list(_range_points(given) if _in_range(inputs) else _trend_points(given))


def breadth_points(inputs: BreadthInputs) -> Sequence[Point]:
    """What the rules see of the universe."""
    return list(_breadth_points(_Given({reading.column: (reading.id, reading.value) for reading in inputs.readings})))


def macro_points(inputs: MacroInputs) -> Sequence[Point]:
    """What the rules see of the economy; series that they do not know are left to models."""
    moved = {reading.series: reading for reading in inputs.series}
    known = {name: (r.id, r.change_two_months) for name, r in moved.items() if r.change_two_months is not None}
    given = _Given({name: (id_, change) for name, (id_, change) in known.items() if change is not None}, shared=())
    yields = tuple(moved[name].id for name in ("AAA", "BAA") if name in moved)
    return [*_moving_points(given), *_credit_points(inputs, yields)]


def contradiction(points: Sequence[Point], opinion: Opinion) -> str | None:
    """The complaint about a strong signal when every point that its citations make speaks the other way; None otherwise."""
    cited = set(opinion.evidence)
    scored = [point for point in points if cited.intersection(point.own)]
    if abs(opinion.signal) < _STRONG or not scored or any(point.score * opinion.signal >= 0 for point in scored):
        return None
    ids = sorted(cited.intersection(id_ for point in scored for id_ in point.own))
    return f"a signal of {opinion.signal:+.2f} contradicts its own evidence: {', '.join(ids)} point the other way"


def opinion_of(points: Sequence[Point], *, expected: int) -> Opinion | None:
    """The mean of the points; less sure when they disagree, or are fewer than expected; None without any."""
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


def _in_range(inputs: TechnicalInputs) -> bool:
    return inputs.view is not None and inputs.view.name == "range"


def _moving_points(given: _Given) -> Iterator[Point]:
    indices = tuple(name for name in ("SP500", "NASDAQCOM") if name in given.values)
    if indices:
        yield from given.point(
            indices,
            lambda v: f"equity indices moved {sum(v) / len(v):+.1%} in two months",
            lambda v: _bounded(sum(v) / len(v) / _EQUITY_SWING),
        )
    yield from given.point(
        ("DCOILWTICO",), lambda v: f"oil moved {v[0]:+.1%} in two months", lambda v: _bounded(-v[0] / _OIL_SWING)
    )
    yield from given.point(
        ("CPILFESL",),
        lambda v: f"core prices rise at {_yearly(v[0]):.1%} a year",
        lambda v: _bounded((_INFLATION_AIM - _yearly(v[0])) / _INFLATION_ROOM),
    )


def _credit_points(inputs: MacroInputs, yields: tuple[str, ...]) -> Iterator[Point]:
    spread, change = inputs.credit_spread, inputs.credit_spread_change
    if spread is not None:
        score = _bounded((_SPREAD_USUAL - spread) / _SPREAD_ROOM)
        yield Point(score, f"credit costs {spread:.1f} points over the best borrowers", yields, yields)
    if change is not None:
        score = _bounded(-change / _SPREAD_SWING)
        yield Point(score, f"the credit spread moved {change:+.2f} points in two months", yields, yields)


def _yearly(two_months: float) -> float:
    return float((1.0 + two_months) ** 6 - 1.0)


def _trend_points(given: _Given) -> Iterator[Point]:
    for column in ("sma_50", "sma_200"):
        yield from given.point(("close", column), _above(column), lambda v: 1.0 if v[0] > v[1] else -1.0)
    yield from given.point(
        ("macd_histogram_12_26_9",),
        lambda v: f"MACD histogram is {v[0]:+.3f}",
        lambda v: 1.0 if v[0] > 0 else -1.0,
    )
    yield from given.point(("mom_252_21",), lambda v: f"12-1 momentum is {v[0]:+.1%}", lambda v: _bounded(v[0] / 0.20))


def _range_points(given: _Given) -> Iterator[Point]:
    yield from given.point(("rsi_14",), lambda v: f"RSI is {v[0]:.1f}", lambda v: _bounded((50.0 - v[0]) / 20.0))
    yield from given.point(
        ("close", "bb_lower_20_2", "bb_upper_20_2"),
        lambda v: f"close {v[0]:.2f} stands against bands {v[1]:.2f} and {v[2]:.2f}",
        lambda v: _bounded(1.0 - 2.0 * (v[0] - v[1]) / (v[2] - v[1])) if v[2] > v[1] else 0.0,
    )


def _breadth_points(given: _Given) -> Iterator[Point]:
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
