"""What the reasoner needs from the ledger, and what stages need from the reasoner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, In, Out, Outcome, Role, Usage

Gate = Literal["pass", "trial", "open"]


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that is about to be made, for the cost book."""

    reservation: str
    budget: Budget
    skill: str
    skill_hash: str
    route: str
    model: str
    answer_key: str


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """How a call ended. USD to the billionth, rounded up."""

    outcome: Outcome
    usage: Usage
    cost_usd: Decimal
    shadow_usd: Decimal
    latency_ms: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A pocket that the call does not fit into."""

    pocket: str
    wanted_usd: Decimal
    left_usd: Decimal
    sentence: str


class CostBook(Protocol):
    """Money is reserved before a call and settled after it; a reservation whose process died counts as spent."""

    def left(self, budget: Budget) -> Decimal:
        """The least that is left in any pocket of the budget, USD; 0 when a pocket's number of calls is used up."""
        ...

    def reserve(self, call: PlannedCall, amount_usd: Decimal, *, as_of: datetime, hold: timedelta) -> OverBudget | None:
        """Takes the amount out of every pocket at once, or out of none and says which pocket is too small."""
        ...

    def settle(self, reservation: str, finished: FinishedCall, *, as_of: datetime) -> None:
        """Books what the call really cost and frees the rest; settling twice changes nothing."""
        ...

    def sweep(self, *, as_of: datetime) -> int:
        """Books reservations past their hold as lost, at their whole amount; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """A recorded answer: the request it answers and the response, both as canonical JSON."""

    key: str
    route: str
    model: str
    skill: str
    skill_hash: str
    request: str
    response: str


class AnswerBook(Protocol):
    """Content-addressed answers; a damaged one raises, it is never a miss."""

    def find(self, keys: Sequence[str]) -> AnswerRecord | None:
        """The record of the first of the keys that has one."""
        ...

    def keep(self, record: AnswerRecord, *, as_of: datetime) -> None:
        """Stores a record; the same key with another response is refused, with the same one ignored."""
        ...


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a route is left alone. A trial whose process died frees itself after `trial_lease`."""

    failures_max: int = 3
    cooldown: timedelta = timedelta(seconds=30)
    cooldown_max: timedelta = timedelta(seconds=900)
    trial_lease: timedelta = timedelta(seconds=120)


class Breakers(Protocol):
    """One breaker for each route, shared by all processes."""

    def acquire(self, route: str, policy: BreakerPolicy, *, as_of: datetime) -> Gate:
        """May the route be asked now? After a cool-down exactly one caller over all processes gets the trial."""
        ...

    def succeeded(self, route: str, *, as_of: datetime) -> None:
        """Closes the breaker."""
        ...

    def failed(
        self,
        route: str,
        policy: BreakerPolicy,
        reason: str,
        *,
        as_of: datetime,
        at_least: timedelta = timedelta(0),
        open_now: bool = False,
    ) -> None:
        """Counts a failure; opens after `failures_max`, at once with `open_now` or when a trial failed; a cool-down doubles."""
        ...


class AgentHealth(Protocol):
    """How often each agent answered, failed and was replayed, and what it cost."""

    def count(
        self, agent: str, route: str, day: date, *, answers: int, replays: int, failures: int, cost_usd: Decimal,
        latency_ms: int, as_of: datetime,
    ) -> None:  # fmt: skip
        """Adds to the counters of an agent, a day and a route."""
        ...


class Reasoner(Protocol):
    """Asks the roles' routes in order of priority, inside the budget."""

    def ask(self, role: Role[In, Out], inputs: In, *, budget: Budget, as_of: datetime) -> Answer[Out] | Abstention:
        """One typed question; `as_of` is the moment that the inputs describe."""
        ...

    def ask_many(
        self,
        role: Role[In, Out],
        questions: Sequence[In],
        *,
        budget: Budget | Sequence[Budget],
        as_of: Sequence[datetime],
    ) -> Sequence[Answer[Out] | Abstention]:
        """Many questions of one role at once, answers in their order; one budget for all, or one for each question."""
        ...

    def gather(
        self, asks: Sequence[Ask[Any, Any]], *, within: timedelta | None = None
    ) -> Sequence[Answer[Any] | Abstention]:
        """Questions of different roles side by side, answers in their order.

        Who has not answered `within` that time is left alone, and the rules answer for it.
        """
        ...
