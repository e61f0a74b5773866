"""Three signatures over each plan of a slot: the risk gate first, and on what it allows the two with other eyes.

A plan becomes an intent when all three approve; what may be traded is the least that any of them allows. Legs of a pair trade
together or not at all, whoever of the three refuses one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trading_assets.plans.model import TradePlan
from trading_assets.signatures.judging import Judged, pair_vetoes
from trading_assets.signatures.model import SIGNERS, Verdict

Check = Callable[[TradePlan], tuple[Verdict, Verdict]]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A plan with every verdict on it: the gate's alone where it refused, all three otherwise."""

    plan: TradePlan
    verdicts: tuple[Verdict, ...]

    @property
    def quantity(self) -> int:
        """Shares that all signers allow; 0 unless all three have spoken."""
        spoken = {verdict.signer for verdict in self.verdicts}
        return min(verdict.quantity for verdict in self.verdicts) if spoken == set(SIGNERS) else 0

    @property
    def judged(self) -> tuple[Judged, ...]:
        """The plan with each verdict, in the order of the signers."""
        return tuple((self.plan, verdict) for verdict in self.verdicts)


def ruled(judged: Sequence[Judged], check: Check) -> tuple[Ruled, ...]:
    """Every plan with its verdicts, in the order of the plans.

    Args:
        check: The fact checker's and the double checker's verdict on a plan that the gate allows.
    """
    plans = [Ruled(plan, (gate, *(check(plan) if gate.quantity else ()))) for plan, gate in judged]
    broken = {each.plan.pair for each in plans if _is_leg(each) and not each.quantity}
    return tuple(_with_its_pair(each) if _is_leg(each) and each.plan.pair in broken else each for each in plans)


def _is_leg(each: Ruled) -> bool:
    return each.plan.opens and bool(each.plan.pair)


def _with_its_pair(each: Ruled) -> Ruled:
    """A leg that was approved by all, refused because the other was not."""
    if not each.quantity:
        return each
    *earlier, last = each.verdicts
    ((_, refused),) = pair_vetoes([(each.plan, last)], "a signer refused the other leg")
    return Ruled(each.plan, (*earlier, refused))
