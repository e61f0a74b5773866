"""The filter chain: candidates in, ranked members out, or the step that stopped it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trading_assets.market.universe.config import Between, Compare, Extreme, Filter, InSet, RankBy, Universe
from trading_assets.market.universe.model import Step

Value = float | str
Lookup = Callable[[str], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Member:
    """A member with its place; `score` is the value that it was ranked by."""

    symbol: str
    rank: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Selected:
    """What the chain left, best rank first, and how it got there."""

    members: tuple[Member, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why the chain has no result: the sentence names the filter or the bound."""

    what: str
    steps: tuple[Step, ...]


def select(universe: Universe, candidates: Sequence[str], values: Lookup) -> Selected | Stopped:
    """The members of a universe.

    A security without a value of a filter's field does not pass the filter. A field that no candidate has stops the chain.

    Args:
        universe: Filters, bounds and rank.
        candidates: Symbols of the base.
        values: Field to symbol to value; symbols without a value are absent.
    """
    left, steps = sorted(set(candidates)), [Step(universe.base, len(set(candidates)), 0, len(set(candidates)))]
    if not left:
        return Stopped(f"its base {universe.base} has no security", tuple(steps))
    for each in universe.filters:
        known = _known(left, values(each.field))
        if not known:
            return Stopped(_no_value(each.field, len(left), f"filter {labelled(each)}"), tuple(steps))
        kept = _passing(each, known)
        steps.append(Step(labelled(each), len(left), len(left) - len(known), len(kept)))
        if not kept:
            return Stopped(f"filter {labelled(each)} left nothing", tuple(steps))
        left = kept
    return _bounded(universe, left, steps, values)


def labelled(each: Filter) -> str:
    """The filter in words: field, operator, value."""
    value = list(each.value) if isinstance(each.value, tuple) else each.value
    return f"{each.field} {each.operator} {value}"


def _bounded(universe: Universe, left: Sequence[str], steps: list[Step], values: Lookup) -> Selected | Stopped:
    ranked = _ranked(universe.rank_by, left, values)
    if universe.rank_by and not ranked:
        return Stopped(_no_value(universe.rank_by.field, len(left), "rank_by"), tuple(steps))
    if universe.rank_by and len(ranked) < len(left):
        label = f"rank_by {universe.rank_by.field}"
        steps.append(Step(label, len(left), len(left) - len(ranked), len(ranked)))
    if universe.max_securities is not None and len(ranked) > universe.max_securities:
        steps.append(Step(f"max_securities {universe.max_securities}", len(ranked), 0, universe.max_securities))
        ranked = ranked[: universe.max_securities]
    if len(ranked) < universe.min_securities:
        return Stopped(f"{len(ranked)} left, min_securities is {universe.min_securities}", tuple(steps))
    return Selected(
        tuple(Member(symbol, place, score) for place, (symbol, score) in enumerate(ranked, 1)), tuple(steps)
    )


def _ranked(rank_by: RankBy | None, left: Sequence[str], values: Lookup) -> list[tuple[str, float | None]]:
    """Symbols with their scores, best first; equal scores in the order of the symbols."""
    if rank_by is None:
        return [(symbol, None) for symbol in sorted(left)]
    known = _numbers(_known(left, values(rank_by.field)))
    sign = -1.0 if rank_by.order == "descending" else 1.0
    return [(symbol, known[symbol]) for symbol in sorted(known, key=lambda symbol: (sign * known[symbol], symbol))]


def _passing(each: Filter, known: Mapping[str, Value]) -> list[str]:
    if isinstance(each, InSet):
        return sorted(symbol for symbol, word in known.items() if word in each.value)
    numbers = _numbers(known)
    if isinstance(each, Extreme):
        sign = -1.0 if each.operator == "top_n" else 1.0
        return sorted(sorted(numbers, key=lambda symbol: (sign * numbers[symbol], symbol))[: each.value])
    return sorted(symbol for symbol, number in numbers.items() if _holds(each, number))


def _holds(each: Compare | Between, number: float) -> bool:
    if isinstance(each, Between):
        return each.value[0] <= number <= each.value[1]
    return number > each.value if each.operator == "greater_than" else number < each.value


def _known(left: Sequence[str], values: Mapping[str, Value]) -> dict[str, Value]:
    """The values of the securities that have one; a number that is not finite is none."""
    found = {symbol: values[symbol] for symbol in left if symbol in values}
    return {s: value for s, value in found.items() if isinstance(value, str) or math.isfinite(value)}


def _numbers(known: Mapping[str, Value]) -> dict[str, float]:
    return {symbol: value for symbol, value in known.items() if not isinstance(value, str)}


def _no_value(field: str, count: int, user: str) -> str:
    return f"{field} has no value for any of {count} securities, and {user} needs it"
