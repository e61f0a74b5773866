"""How often an experiment without any effect finds one, and how often a real effect is found.

`python -m bench.experiments [--json]` ends with one JSON line. Every experiment is drawn as the desk draws it: its own seed, its
own assignment, all planned looks. Five worlds of session returns: independent, heavy tails (Student's t, 3 degrees of freedom),
autocorrelated (+0.3 and -0.3), volatility in clusters (GARCH).

Beside the desk's test stand three that others use: Welch's t-test after every session (naive peeking), Welch's t-test at the
planned looks with the bounds of Lan and DeMets, and an always-valid confidence sequence (Robbins' normal mixture with estimated
variance) after every session. `--experiments N` sets the number per world (default 2,000).
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from hashlib import sha256
from math import log

import numpy as np
from numpy.typing import NDArray

from bench.timing import emit
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.experiments.assignment import assignment
from trading_assets.evaluation.experiments.boundaries import boundaries
from trading_assets.evaluation.experiments.model import PER_BLOCK, Design, Draft
from trading_assets.evaluation.experiments.randomization import Look, Observed, crossed_at

EXPERIMENTS = 2000
POWERED = 400
REDRAWS = 999
EFFECTS = (0.3, 0.5, 0.8)  # standard deviations of a session
DRAFT = Draft(
    id="bench",
    hypothesis="nothing differs, or a constant does",
    arms={"other": {"stop_atr": 2.5}},
    measure="session_return_bp",
    better="higher",
    smallest_effect=1.0,
    sessions_min=20,
    sessions_max=60,
    looks=5,
)
FIRST = date(2022, 1, 3)
Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], Floats]


def _independent(dice: np.random.Generator, count: int) -> Floats:
    return dice.standard_normal(count)


def _heavy(dice: np.random.Generator, count: int) -> Floats:
    return dice.standard_t(3, count) / 3**0.5


def _following(by: float) -> World:
    def made(dice: np.random.Generator, count: int) -> Floats:
        drawn = dice.standard_normal(count + 50) * (1 - by * by) ** 0.5
        values = np.zeros(count + 50)
        for place in range(1, count + 50):
            values[place] = by * values[place - 1] + drawn[place]
        return values[50:]

    return made


def _clusters(dice: np.random.Generator, count: int) -> Floats:
    """GARCH(1,1) with 0.15 and 0.80: unit variance in the long run."""
    values, variance = np.zeros(count + 200), 1.0
    for place in range(count + 200):
        values[place] = dice.standard_normal() * variance**0.5
        variance = 0.05 + 0.15 * values[place] ** 2 + 0.80 * variance
    return values[200:]


WORLDS: Mapping[str, World] = {
    "independent": _independent,
    "heavy_tails": _heavy,
    "following": _following(0.3),
    "reverting": _following(-0.3),
    "clusters": _clusters,
}


class Trial:
    """One experiment: its assignment, drawn as the desk draws it, and its results."""

    def __init__(self, number: int, world: str, effect: float = 0.0) -> None:
        seed = sha256(f"{world}{number}".encode()).hexdigest()
        design = Design(
            draft=DRAFT,
            first=FIRST,
            seed=seed,
            base={"stop_atr": 2.0},
            spread=1.0,
            spread_sessions=0,
            sessions_needed=1,
        )
        total = 2 * DRAFT.look_sizes[-1]
        self.treated = np.array([arm == "other" for arm in list(assignment(design, XNYS).values())[:total]])
        self.values = (
            WORLDS[world](np.random.default_rng([number, list(WORLDS).index(world)]), total) + effect * self.treated
        )
        self.seed = int(seed[:12], 16)

    def desk(self) -> bool:
        """Whether the desk's test finds a difference at one of the planned looks."""
        blocks = tuple(place // (2 * PER_BLOCK) for place in range(len(self.values)))
        observed = Observed(tuple(self.values.tolist()), tuple(self.treated.tolist()), blocks)
        looks = [Look(2 * size, size / DRAFT.look_sizes[-1]) for size in DRAFT.look_sizes]
        found = crossed_at(observed, looks, level=0.05, spending=DRAFT.spending, seed=self.seed, redraws=REDRAWS)
        return found > 0

    def peeking(self) -> bool:
        """Welch's test at 5 % after every session from the least on."""
        first = 2 * DRAFT.look_sizes[0]
        return any(abs(self.welch(count)) > 1.96 for count in range(first, len(self.values) + 1))

    def spending(self, bounds: tuple[float, ...]) -> bool:
        """Welch's statistic at the planned looks, against the bounds for a normal one."""
        return any(abs(self.welch(2 * n)) > bound for n, bound in zip(DRAFT.look_sizes, bounds, strict=True))

    def always_valid(self) -> bool:
        """Robbins' mixture around the difference, tuned to the middle of the plan, after every session from the least on."""
        first, tuned = 2 * DRAFT.look_sizes[0], len(self.values) / 2
        return any(abs(self.welch(count)) > _mixture(count, tuned) for count in range(first, len(self.values) + 1))

    def welch(self, count: int) -> float:
        """The difference of the arms' means in standard errors."""
        one, other = self.values[:count][self.treated[:count]], self.values[:count][~self.treated[:count]]
        error = (one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)) ** 0.5
        return float((one.mean() - other.mean()) / error)


def _mixture(count: int, tuned: float, level: float = 0.05) -> float:
    """The bound on a standardised mean that no count crosses with more than the level: normal mixture of variance 1 / tuned."""
    ratio = count / tuned
    return float(((1 + 1 / ratio) * (log(1 + ratio) - 2 * log(level))) ** 0.5)


def false_positives(world: str, experiments: int) -> dict[str, float]:
    """The share of experiments without an effect in which each test finds one."""
    bounds = boundaries(DRAFT.spending, 0.05, DRAFT.fractions)
    trials = [Trial(number, world) for number in range(experiments)]
    return {
        "desk": _share(trial.desk() for trial in trials),
        "peeking": _share(trial.peeking() for trial in trials),
        "welch_spending": _share(trial.spending(bounds) for trial in trials),
        "always_valid": _share(trial.always_valid() for trial in trials),
    }


def power(world: str, effect: float, experiments: int = POWERED) -> dict[str, float]:
    """The share of experiments in which each test finds an effect that is there."""
    bounds = boundaries(DRAFT.spending, 0.05, DRAFT.fractions)
    trials = [Trial(number, world, effect) for number in range(experiments)]
    return {
        "desk": _share(trial.desk() for trial in trials),
        "welch_spending": _share(trial.spending(bounds) for trial in trials),
        "always_valid": _share(trial.always_valid() for trial in trials),
    }


def measured(experiments: int) -> dict[str, float]:
    """All figures, by name."""
    figures: dict[str, float] = {"nominal": 0.05, "experiments_per_world": experiments}
    rates: dict[str, list[float]] = {}
    for world in WORLDS:
        for test, rate in false_positives(world, experiments).items():
            rates.setdefault(test, []).append(rate)
            figures[f"false_positives_{world}_{test}"] = rate
    rate = float(np.mean(rates["desk"]))
    error = 1.96 * (rate * (1 - rate) / (experiments * len(WORLDS))) ** 0.5
    figures |= {
        "false_positive_rate": round(rate, 4),
        "false_positive_rate_low": round(rate - error, 4),
        "false_positive_rate_high": round(rate + error, 4),
        "naive_peeking_rate": round(float(np.mean(rates["peeking"])), 4),
    }
    for effect in EFFECTS:
        for world in ("independent", "heavy_tails"):
            for test, share in power(world, effect).items():
                figures[f"power_{effect:g}_{world}_{test}"] = share
    return figures


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return round(sum(values) / len(values), 4)


def main() -> None:
    """Prints the figures."""
    asked = sys.argv.index("--experiments") if "--experiments" in sys.argv else 0
    figures = measured(int(sys.argv[asked + 1]) if asked else EXPERIMENTS)
    if "--json" not in sys.argv:
        sys.stdout.write("\n".join(f"{name:48} {value}" for name, value in figures.items()) + "\n")
    emit(figures)


if __name__ == "__main__":
    main()
