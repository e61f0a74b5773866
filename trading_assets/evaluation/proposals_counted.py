"""Moves of a parameter that the record of closed trades supports: each bounded parameter one step up and one step down.

A move is tried where at least `trades_min` trades would have been another trade by it. It is supported where the whole interval of
its mean gain lies above zero. Many moves are tried, and luck would support some: the interval is widened to the level that all of
them together keep (Bonferroni), and how many were tried stands in the evidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil
from typing import Any

from trading_assets.core.ids import digest
from trading_assets.core.learning import ProposalRules
from trading_assets.core.parameters import BOUNDS, Parameters, Suggestion
from trading_assets.evaluation.statistics import SAMPLES, Interval, block_bootstrap
from trading_assets.evaluation.study_replay import History

METHOD = "replay of closed trades alone, stationary block bootstrap of the mean gain, Bonferroni"
_PLACES = 4
# The tail beyond the interval must hold some resamples, however narrow the level makes it.
_TAIL_SAMPLES = 20
_SAMPLES_MAX = 40_000


@dataclass(frozen=True, slots=True)
class Move:
    """Values to go to, and what the trades that they would have changed would have gained, USD, in the order they closed."""

    values: Mapping[str, Any]
    gains_usd: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A move that was tried: the interval of its mean gain for each trade, USD, at the level that all `tried` moves keep."""

    move: Move
    interval: Interval | None
    tried: int

    @property
    def supported(self) -> bool:
        """Whether the whole interval lies above no gain; unknown supports nothing."""
        return self.interval is not None and self.interval.low > 0


def counted_moves(history: History, now: Parameters, rules: ProposalRules) -> tuple[Counted, ...]:
    """Every move that enough trades speak about, by name and direction, supported or not."""
    return counted(list(_moves(history, now)), rules)


def counted(moves: Sequence[Move], rules: ProposalRules) -> tuple[Counted, ...]:
    """The moves with enough trades, each judged at the level that all of them together keep."""
    tried = [move for move in moves if len(move.gains_usd) >= rules.trades_min]
    level = 1 - (1 - rules.level) / max(1, len(tried))
    return tuple(Counted(move, interval_of(move, level), len(tried)) for move in tried)


def interval_of(move: Move, level: float) -> Interval | None:
    """The interval of the mean gain; the same record gives the same in every process."""
    values = [float(each) for each in move.gains_usd]
    samples = min(_SAMPLES_MAX, max(SAMPLES, ceil(2 * _TAIL_SAMPLES / (1 - level))))
    seed = int(digest(sorted(move.values.items()), values)[:8], 16)
    return block_bootstrap(values, level=level, seed=seed, samples=samples)


def suggestions(found: Sequence[Counted], now: Parameters, *, last: date) -> tuple[Suggestion, ...]:
    """A suggestion for each supported move of one parameter, the surest first."""
    sure = [each for each in found if each.supported and each.interval is not None and len(each.move.values) == 1]
    sure.sort(key=lambda each: (-(each.interval.low if each.interval else 0.0), sorted(each.move.values)))
    return tuple(_suggestion(each, each.interval, now, last) for each in sure if each.interval is not None)


def evidence_of(interval: Interval, tried: int, *, last: date) -> dict[str, Any]:
    """What a proposal rests on, as JSON values."""
    return {
        "method": METHOD,
        "gain_usd": {name: round(getattr(interval, name), _PLACES) for name in ("mean", "low", "high")},
        "level": round(interval.level, 6),
        "tried": tried,
        "trades": interval.observations,
        "last_session": last.isoformat(),
    }


def _moves(history: History, now: Parameters) -> Iterator[Move]:
    for name, bound in sorted(BOUNDS.items()):
        for steps in (-1, 1):
            there = bound.moved(getattr(now, name), steps)
            if there is not None and admissible(now, {name: there}):
                yield Move({name: there}, history.gains_by_steps({name: steps}))


def admissible(now: Parameters, values: Mapping[str, Any]) -> bool:
    """Whether the values can stand beside the others."""
    try:
        now.with_values(values)
    except ValueError:
        return False
    return True


def _suggestion(each: Counted, interval: Interval, now: Parameters, last: date) -> Suggestion:
    ((name, after),) = each.move.values.items()
    reason = (
        f"{interval.observations} closed trades would have gained {interval.mean:+.2f} USD each with {name} {after:g} "
        f"({interval.level:.1%} interval {interval.low:+.2f} to {interval.high:+.2f}, {each.tried} moves tried)"
    )
    evidence = evidence_of(interval, each.tried, last=last)
    return Suggestion(name, getattr(now, name), after, reason, evidence, interval.observations)
