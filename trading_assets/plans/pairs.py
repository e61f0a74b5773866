"""Correlation breakdown: two symbols that usually move together came apart, and such gaps mostly closed again.

The lagging leg is bought and the leading one sold short for the same money, so that what moves both cancels. The table of
correlations carries no beta, so legs are equal in dollars, not in beta; pairs of clearly positive correlation only. The short leg
needs `short_selling` in preferences.yaml: the risk gate refuses both legs while it is off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading_assets.briefs.facts import Facts, Row, SymbolFacts, numbers
from trading_assets.core.parameters import Parameters
from trading_assets.plans.model import PlanSide
from trading_assets.plans.strategies.model import Setup, atr_bracket

NAME = "correlation_convergence"
# Deviations: the breakdown must be as unusual in correlation as in price; 2 is where the table begins to count an episode.
DIVERGENCE_MIN, GAP_MIN = 2.0, 2.0
# Without a usual tie there is nothing to break, and a negative one would make both legs the same bet.
CORRELATION_MIN = 0.5
# A coin's odds must lie below the whole 95 % interval; five episodes are the fewest with which it can (5 of 5 gives 0.57).
CONVERGENCE_LOW_MIN, EPISODES_MIN = 0.5, 5
# From 2 to 0.5 deviations are two half-lives, and the odds are those of 20 sessions.
HALF_LIFE_MAX = 10.0
GAP_CLOSED = 0.5
_COLUMNS = (
    "correlation_20",
    "correlation_120",
    "divergence",
    "gap_z",
    "half_life_sessions",
    "convergence_odds",
    "convergence_low",
    "convergence_high",
    "episodes",
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A pair that came apart: buy `long`, sell `short`. The odds are of closing within 20 sessions, with their 95 % interval."""

    long: str
    short: str
    gap_z: float
    convergence_low: float
    reasons: tuple[str, ...]


def gaps(facts: Facts) -> tuple[Gap, ...]:
    """All pairs that qualify, the surest first."""
    found = [gap for row in facts.correlations for gap in _gap(row)]
    return tuple(sorted(found, key=lambda gap: (-gap.convergence_low, -abs(gap.gap_z), gap.long, gap.short)))


def leg(known: SymbolFacts, side: PlanSide, gap: Gap, parameters: Parameters) -> Setup | None:
    """One leg with stop and target in average true ranges; the pair itself ends when the gap has closed."""
    now = numbers(known.indicators, "atr_14")
    return atr_bracket(known, now["atr_14"], gap.reasons, parameters, side=side) if now is not None else None


def closed(facts: Facts, one: str, other: str) -> str | None:
    """The sentence of a gap that has closed; None while it is open or not measured."""
    row = _row_of(facts.correlations, one, other)
    now = numbers(row, "gap_z") if row is not None else None
    if now is None or abs(now["gap_z"]) >= GAP_CLOSED:
        return None
    return f"the gap between {one} and {other} has closed: {now['gap_z']:+.2f} deviations"


def _gap(row: Row) -> Iterator[Gap]:
    now = numbers(row, *_COLUMNS)
    if now is None or not _qualifies(now):
        return
    a, b = str(row["symbol_a"]), str(row["symbol_b"])
    long, short = (b, a) if now["gap_z"] > 0 else (a, b)
    yield Gap(
        long,
        short,
        now["gap_z"],
        now["convergence_low"],
        (
            f"{a} against {b}: 20-session correlation {now['correlation_20']:.2f} after {now['correlation_120']:.2f} "
            f"over 120, {now['divergence']:+.1f} standard errors; gap {now['gap_z']:+.1f} deviations",
            f"{now['convergence_odds']:.0%} of {now['episodes']:.0f} earlier gaps closed within 20 sessions "
            f"(95 % interval {now['convergence_low']:.0%} to {now['convergence_high']:.0%}); "
            f"half-life {now['half_life_sessions']:.1f} sessions",
        ),
    )


def _qualifies(now: dict[str, float]) -> bool:
    return (
        now["divergence"] <= -DIVERGENCE_MIN
        and abs(now["gap_z"]) > GAP_MIN
        and now["correlation_120"] >= CORRELATION_MIN
        and now["convergence_low"] > CONVERGENCE_LOW_MIN
        and now["episodes"] >= EPISODES_MIN
        and now["half_life_sessions"] <= HALF_LIFE_MAX
    )


def _row_of(rows: Sequence[Row], one: str, other: str) -> Row | None:
    first, second = sorted((one, other))
    return next((row for row in rows if row["symbol_a"] == first and row["symbol_b"] == second), None)
