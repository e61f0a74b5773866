"""The risk gate, the first of three signers: every control of the catalogue that needs the plan, the book and the limits alone.

It is code and asks nobody. Exits and trims only reduce and pass every control but the one on shares held.
"""

import json
from collections.abc import Sequence

from trading_assets.core.slots import Slot
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.allowance import Allowance, Surroundings, is_whole
from trading_assets.signatures.controls import CONTROLS, QUANTITY, answers, verdict
from trading_assets.signatures.model import Verdict

__all__ = ["CONTROLS", "SIGNER", "Surroundings", "judge", "verdict_rows"]

SIGNER = "risk_gate"


def judge(plan: TradePlan, around: Surroundings) -> Verdict:
    """The gate's verdict on one plan, listing every control that allows less than the plan asks."""
    if is_whole(plan.quantity):
        return verdict(SIGNER, plan, plan.quantity, answers(plan, around))
    refused = (QUANTITY, Allowance(0, f"{plan.quantity} shares", "a whole number, at least 1"))
    return verdict(SIGNER, plan, 1, [refused, *answers(plan.model_copy(update={"quantity": 1}), around)])


def verdict_rows(judged: Sequence[tuple[TradePlan, Verdict]], slot: Slot) -> list[dict[str, object]]:
    """The verdicts as rows of VERDICTS."""
    return [
        {
            "session": plan.session,
            "slot": plan.slot,
            "plan_id": plan.id,
            "plan_digest": verdict.plan_digest,
            "signer": verdict.signer,
            "strategy": plan.strategy,
            "symbol": plan.symbol,
            "ruling": verdict.ruling,
            "quantity": verdict.quantity,
            "controls": ",".join(breach.control for breach in verdict.breaches),
            "reasons": json.dumps(verdict.sentences, ensure_ascii=False),
            "knowable_at": slot.at,
        }
        for plan, verdict in judged
    ]
