"""What the session's parameters do to a slot: which entries they withhold, and what the journal says of what is in force."""

from collections.abc import Iterator, Sequence
from datetime import date

from trading_assets.core.ids import short_id
from trading_assets.core.parameters import Tuned
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Breach, Verdict

MONITOR = "monitor"
"""The control that the vetoes of withheld entries name."""


def withheld(plans: Sequence[TradePlan]) -> tuple[tuple[TradePlan, Verdict], ...]:
    """Entries of what is switched off, each with the veto that keeps it on record: a replay shows what it would have earned."""
    return tuple((plan, _refused(plan)) for plan in plans)


def in_force(tuned: Tuned, day: date) -> Iterator[tuple[str, str, str]]:
    """A remark (title, sentence, symbol) where a session's parameters are not the configured ones, or an experiment runs on it.

    The digest is that of all values, so that whoever replays the decision can tell that it used the same.
    """
    now, arms = tuned.at(day), sorted(tuned.arm_names(day).items())
    base = tuned.base.model_dump()
    moved = [f"{name} {value} instead of {base[name]}" for name, value in now.unlike(tuned.base).items()]
    told = [*moved, *(f"experiment {experiment}: arm {arm}" for experiment, arm in arms)]
    if told:
        yield "parameters in force", f"{'; '.join(told)}; digest {short_id(now.model_dump(mode='json'))}", ""


def _refused(plan: TradePlan) -> Verdict:
    value = f"{plan.strategy} in {plan.regime}"
    sentence = f"{MONITOR}: {value} is switched off; allows 0 of {plan.quantity} shares"
    breach = Breach(control=MONITOR, value=value, bound="switched on", sentence=sentence)
    return Verdict(
        signer=SIGNERS[0], plan_id=plan.id, plan_digest=plan.digest, ruling="veto", quantity=0, breaches=(breach,)
    )
