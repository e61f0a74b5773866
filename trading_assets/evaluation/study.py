"""The monthly study: every value of the grid that the bounds allow, on the trades of the months before.

One parameter at a time over its whole grid, then the best values of the two best parameters together. Each trial is a chance for
luck, so the interval of the best is judged at the level that all trials keep together (Bonferroni; the trials resemble each other,
so it is on the careful side). What it finds is proposed one step at a time, and only where that step alone would have gained too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

from trading_assets.core.learning import ProposalRules
from trading_assets.core.parameters import BOUNDS, Parameters, Suggestion
from trading_assets.evaluation.proposals_counted import Counted, Move, admissible, counted, evidence_of
from trading_assets.evaluation.study_replay import History

_PLACES = 6


@dataclass(frozen=True, slots=True)
class Study:
    """What a study tried, and what it suggests: one step towards the best values."""

    trials: tuple[Counted, ...]
    suggestions: tuple[Suggestion, ...]


def study(history: History, now: Parameters, rules: ProposalRules, *, last: date) -> Study:
    """Tries the grid on a history and suggests steps towards what it supports best."""
    singles = list(_singles(history, now))
    pair = _best_pair(history, now, singles, rules)
    trials = counted([*singles, *pair], rules)
    best = max((each for each in trials if each.supported), key=_gain, default=None)
    return Study(trials, tuple(_steps(history, now, best, last)) if best else ())


def study_rows(found: Study, session: date) -> list[dict[str, object]]:
    """Rows of PARAMETER_STUDY but for the instant from which they are known."""
    return [
        {
            "session": session,
            "trial": _told(each.move.values),
            "parameters": ",".join(sorted(each.move.values)),
            "tried": each.tried,
            "trades": len(each.move.gains_usd),
            "gain": round(each.interval.mean, _PLACES) if each.interval else None,
            "low": round(each.interval.low, _PLACES) if each.interval else None,
            "high": round(each.interval.high, _PLACES) if each.interval else None,
            "level": round(each.interval.level, _PLACES) if each.interval else None,
            "supported": each.supported,
        }
        for each in found.trials
    ]


def _singles(history: History, now: Parameters) -> Iterator[Move]:
    """Every other value of every parameter that can stand beside those in force."""
    for name, bound in sorted(BOUNDS.items()):
        for step in range(round((bound.high - bound.low) / bound.step) + 1):
            value = bound.moved(bound.low, step)
            if value is not None and abs(value - getattr(now, name)) > 1e-9 and admissible(now, {name: value}):
                yield Move({name: value}, history.gains({name: value}))


def _best_pair(history: History, now: Parameters, singles: Sequence[Move], rules: ProposalRules) -> list[Move]:
    """The best values of the two best parameters, together; empty where fewer than two have enough trades."""
    best: dict[str, Move] = {}
    for move in singles:
        ((name, _),) = move.values.items()
        if len(move.gains_usd) >= rules.trades_min and (name not in best or _mean(move) > _mean(best[name])):
            best[name] = move
    ranked = sorted(best.values(), key=lambda move: (-_mean(move), sorted(move.values)))
    for one, other in combinations(ranked, 2):
        values = {**one.values, **other.values}
        if admissible(now, values):
            return [Move(values, history.gains(values))]
    return []


def _steps(history: History, now: Parameters, best: Counted, last: date) -> Iterator[Suggestion]:
    """One step of each of its parameters, where the step alone can be taken and would have gained."""
    interval = best.interval
    for name, value in sorted(best.move.values.items()) if interval else ():
        there = BOUNDS[name].moved(getattr(now, name), 1 if value > getattr(now, name) else -1)
        if there is None or not admissible(now, {name: there}):
            continue
        step = Move({name: there}, history.gains({name: there}))
        if interval and step.gains_usd and _mean(step) > 0:
            reason = (
                f"of {best.tried} sets of values {_told(best.move.values)} gained most: {interval.mean:+.2f} USD on each of "
                f"{interval.observations} trades ({interval.level:.2%} interval {interval.low:+.2f} to {interval.high:+.2f}); "
                f"this step alone {float(_mean(step)):+.2f}"
            )
            evidence = {
                **evidence_of(interval, best.tried, last=last),
                "best": _plain(best.move.values),
                "step_gain_usd": round(float(_mean(step)), 4),
            }
            yield Suggestion(name, getattr(now, name), there, reason, evidence, interval.observations)


def _gain(each: Counted) -> tuple[float, str]:
    return (each.interval.mean if each.interval else 0.0, _told(each.move.values))


def _mean(move: Move) -> Decimal:
    return sum(move.gains_usd, Decimal(0)) / len(move.gains_usd) if move.gains_usd else Decimal(0)


def _told(values: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value:g}" for name, value in sorted(values.items()))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))
