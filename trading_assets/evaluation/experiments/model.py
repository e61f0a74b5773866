"""What an experiment is: written down before it begins, never changed, and judged by nothing but what was written down.

A draft is what the operator writes; a design is a draft that was checked, with what it begins from: the first session, the values
that its control has, a seed that nobody could choose, and the number of sessions that its promise needs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.journal import canonical
from trading_assets.core.strict_yaml import Strict
from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table
from trading_assets.evaluation.experiments.boundaries import Spending

CONTROL = "control"
PER_BLOCK = 2  # sessions of each arm in a block of assignments
TIME_FACTOR = 2  # calendar sessions set aside for each one wanted: a desk that rests does not end its experiments

MeasureName = Literal[
    "session_return_bp", "session_loss_bp", "opened_return_bp", "trade_pnl_usd", "slippage_bp", "fees_bp"
]
Verdict = Literal["better", "worse", "no_difference", "undecided", "broken", "stopped"]
MEASURES: Mapping[MeasureName, str] = {
    "session_return_bp": "the book's return from close to close, basis points",
    "session_loss_bp": "how far the close stands below the close before, basis points; 0 on a gain",
    "opened_return_bp": "P&L of the trades opened in the session, once all are closed, basis points of equity",
    "trade_pnl_usd": "mean P&L of the trades opened in the session, once all are closed, USD; only sessions with one",
    "slippage_bp": "entry prices against the last price that the decision knew, basis points; above zero costs",
    "fees_bp": "fees, basis points of equity",
}
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,39}$")]


class Draft(Strict):
    """What the operator writes.

    Args:
        arms: Each arm's changes of parameters; `control` changes nothing and need not be named.
        better: Which way the measure should move.
        smallest_effect: The least difference that would matter, in the measure's unit.
        spread: Standard deviation of the measure from session to session; None takes it from the record.
        alpha: How often an experiment without any effect may end with one, all looks and arms together.
        power: How often the smallest effect must be found.
        sessions_min: Of each arm, before anything is said.
        sessions_max: Of each arm, at which it ends.
        looks: How many times it is judged, from the least to the most sessions.
    """

    id: Name
    hypothesis: Annotated[str, Field(min_length=10, max_length=500)]
    arms: Annotated[dict[Name, dict[str, float]], Field(min_length=1, max_length=4)]
    measure: MeasureName
    better: Literal["higher", "lower"]
    smallest_effect: Annotated[float, Field(gt=0)]
    spread: Annotated[float, Field(gt=0)] | None = None
    alpha: Annotated[float, Field(ge=0.001, le=0.2)] = 0.05
    power: Annotated[float, Field(ge=0.5, le=0.99)] = 0.8
    sessions_min: Annotated[int, Field(ge=10, le=500)] = 20
    sessions_max: Annotated[int, Field(ge=10, le=1000)] = 120
    looks: Annotated[int, Field(ge=1, le=10)] = 5
    spending: Spending = "obrien_fleming"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.arms.get(CONTROL):
            raise ValueError("the arm control changes nothing")
        if not self.treatments:
            raise ValueError("an experiment needs an arm beside control")
        if self.sessions_max < self.sessions_min:
            raise ValueError(f"sessions_max {self.sessions_max} is below sessions_min {self.sessions_min}")
        if self.looks > 1 and self.sessions_max < self.sessions_min + PER_BLOCK * (self.looks - 1):
            raise ValueError(
                f"{self.looks} looks do not fit between {self.sessions_min} and {self.sessions_max} sessions"
            )
        return self

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms beside control, in the order of their names."""
        return tuple(sorted(name for name in self.arms if name != CONTROL))

    @property
    def names(self) -> tuple[str, ...]:
        """All arms, control first."""
        return (CONTROL, *self.treatments)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter that some arm moves."""
        return tuple(sorted({name for values in self.arms.values() for name in values}))

    @property
    def level(self) -> float:
        """The level of each comparison with control: Bonferroni's share of alpha."""
        return self.alpha / len(self.treatments)

    @property
    def look_sizes(self) -> tuple[int, ...]:
        """Sessions of each arm at each look, in whole blocks."""
        steps = max(self.looks - 1, 1)
        first = self.sessions_max if self.looks == 1 else self.sessions_min
        sizes = (first + (self.sessions_max - first) * look / steps for look in range(self.looks))
        return tuple(PER_BLOCK * -(-round(size) // PER_BLOCK) for size in sizes)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The share of the planned sessions at each look."""
        return tuple(size / self.look_sizes[-1] for size in self.look_sizes)


class Design(Strict):
    """A draft with what it begins from.

    Args:
        first: The first session that counts.
        seed: Hash of the journal when it was written down: whoever wrote the draft could not choose it.
        base: The values that control has.
        spread: The draft's, or that of the record.
        spread_sessions: Sessions of record behind the spread; 0 where the draft named it.
        sessions_needed: Of each arm, to keep the draft's promise.
    """

    draft: Draft
    first: date
    seed: str
    base: dict[str, float]
    spread: Annotated[float, Field(gt=0)]
    spread_sessions: Annotated[int, Field(ge=0)]
    sessions_needed: Annotated[int, Field(ge=1)]

    @property
    def id(self) -> str:
        """The draft's id."""
        return self.draft.id

    @property
    def text(self) -> str:
        """The canonical JSON that is stored."""
        return canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ended:
    """How an experiment ended: after which session, and why."""

    experiment: str
    session: date
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Registered:
    """An experiment on record, and its end where it has one."""

    design: Design
    ended: Ended | None = None

    @property
    def running(self) -> bool:
        """Whether nothing has ended it."""
        return self.ended is None


def running_only(registered: Sequence[Registered]) -> tuple[Registered, ...]:
    """Those that nothing has ended."""
    return tuple(each for each in registered if each.running)


EXPERIMENT_RESULTS = Table(
    name="experiment_results",
    doc="Where each arm of each experiment stood after a session; numbers only from looks that were planned.",
    key=("session", "experiment", "arm"),
    columns=(
        SESSION,
        Column("experiment", "text", "Its id."),
        Column("arm", "text", "The arm that is compared with control."),
        Column("measure", "text", "What is compared; the unit is the name's ending."),
        Column("assigned", "text", "The arm of this session."),
        Column("observations", "count", "Sessions of the arm that count so far."),
        Column("observations_control", "count", "Sessions of control that count so far."),
        Column("sessions_next_look", "count", "Sessions of each arm at the next look; 0 after the last."),
        Column("look", "count", "Looks taken; 0 before the first."),
        Column("looks", "count", "Looks planned."),
        Column("estimate", "number", "Mean of the arm less that of control, at the last look.", nullable=True),
        Column("low", "number", "Lower end of its interval, all looks considered.", nullable=True),
        Column("high", "number", "Upper end of its interval, all looks considered.", nullable=True),
        Column("level", "number", "Level of confidence of the interval."),
        Column("verdict", "text", "better, worse, no_difference, undecided, broken or stopped; empty while it runs."),
        Column("sentence", "text", "The same for a person."),
        KNOWABLE_AT,
    ),
)
