"""What a decision leaves to be sealed: an intent, what the three signers said of it, and what they said it on."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading_assets.execution.counsel import Opinions
from trading_assets.execution.ports import Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict
from trading_assets.theses.model import Mind


@dataclass(frozen=True, slots=True)
class ToSeal:
    """An intent that all three signers approved; `mind` is that after the slot."""

    intent: Intent
    verdicts: tuple[Verdict, ...]
    said: Opinions
    mind: Mind


def to_seal(
    intents: Sequence[Intent], judged: Sequence[tuple[TradePlan, Verdict]], said: Opinions, mind: Mind
) -> tuple[ToSeal, ...]:
    """Each intent with the verdicts on its plan."""
    return tuple(
        ToSeal(intent, tuple(verdict for plan, verdict in judged if plan.id == intent.plan.id), said, mind)
        for intent in intents
    )
