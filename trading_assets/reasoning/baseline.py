"""The reasoner that asks nobody: every role's deterministic member answers, at once and for nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, In, Out, Role, Usage

NOTHING_USD = Decimal(0)
NO_OPINION = "the rules have no opinion"


class RulesReasoner:
    """The Reasoner port without a model, a ledger or a skill."""

    def ask(self, role: Role[In, Out], inputs: In, *, budget: Budget, as_of: datetime) -> Answer[Out] | Abstention:  # noqa: ARG002
        """See the port."""
        return by_rules(role, inputs)

    def ask_many(
        self,
        role: Role[In, Out],
        questions: Sequence[In],
        *,
        budget: Budget | Sequence[Budget],  # noqa: ARG002
        as_of: Sequence[datetime],  # noqa: ARG002
    ) -> Sequence[Answer[Out] | Abstention]:
        """See the port."""
        return [by_rules(role, inputs) for inputs in questions]

    def gather(
        self,
        asks: Sequence[Ask[Any, Any]],
        *,
        within: timedelta | None = None,  # noqa: ARG002
    ) -> Sequence[Answer[Any] | Abstention]:
        """See the port."""
        return [by_rules(ask.role, ask.inputs) for ask in asks]


def ruled(role: Role[In, Out], inputs: In) -> Out | None:
    """What the role's deterministic member says; None where there is none or it has no opinion.

    Raises:
        PermanentFailure: it answers against the role's own check.
    """
    value = None if role.rules is None else role.rules(inputs)
    complaint = role.check(inputs, value) if role.check is not None and value is not None else None
    if complaint is not None:
        raise PermanentFailure(f"the rules of {role.skill} answer against their own check", value=complaint)
    return value


def by_rules(role: Role[In, Out], inputs: In) -> Answer[Out] | Abstention:
    """The same as an answer; nothing is rendered, looked up or written."""
    value = ruled(role, inputs)
    if value is None:
        return Abstention(NO_OPINION)
    return Answer(
        value=value,
        route="rules",
        model="",
        skill_hash="",
        prompt_hash="",
        key="",
        usage=Usage(),
        cost_usd=NOTHING_USD,
        shadow_usd=NOTHING_USD,
        latency_ms=0,
        cached=False,
        leakage="clean",
    )
