"""All plans of a slot before the risk gate: in order, each against everything that was approved before it, pairs as one."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Portfolio
from trading_assets.signatures.allowance import Surroundings
from trading_assets.signatures.exposure import pending_of
from trading_assets.signatures.model import Breach, Verdict
from trading_assets.signatures.risk_gate import judge
from trading_assets.signatures.state import StateRuling

PAIR_CONTROL = "P1"
PAIR_LEGS = 2
Judged = tuple[TradePlan, Verdict]


@dataclass(frozen=True, slots=True)
class _Gate:
    """What stays the same while the plans of a slot are judged."""

    ruling: StateRuling
    sectors: Mapping[str, str]
    average_volume: Mapping[str, float]
    related: Mapping[str, AbstractSet[str]]
    preferences: Preferences

    def judge(self, legs: Sequence[TradePlan], portfolio: Portfolio) -> tuple[list[Judged], Portfolio]:
        """Verdicts one after another, and the portfolio with what they allow on its way."""
        judged = []
        for plan in legs:
            around = Surroundings(
                portfolio, self.ruling, self.sectors, self.average_volume, self.preferences, self.related
            )
            verdict = judge(plan, around)
            if plan.opens and verdict.quantity:
                portfolio = portfolio.with_pending(pending_of(plan, verdict.quantity))
            judged.append((plan, verdict))
        return judged, portfolio


def judge_all(
    plans: Sequence[TradePlan],
    portfolio: Portfolio,
    ruling: StateRuling,
    *,
    sectors: Mapping[str, str],
    average_volume: Mapping[str, float],
    related: Mapping[str, AbstractSet[str]],
    preferences: Preferences,
) -> tuple[Judged, ...]:
    """The verdict on each plan, in the order of the plans; what was approved counts in full against the next.

    The legs of a pair are judged together, where the first of them stands: unless both are approved as they are, both are vetoed,
    and count for nothing.

    Args:
        sectors: By symbol; a symbol without one may not be entered.
        average_volume: Shares per session by symbol; as sectors.
        related: By symbol, the symbols whose theses share its risk.
    """
    gate = _Gate(ruling, sectors, average_volume, related, preferences)
    verdicts: dict[int, Judged] = {}
    for number, plan in enumerate(plans):
        if number in verdicts:
            continue
        numbers = _legs(plans, plan) if plan.opens and plan.pair else [number]
        judged, after = gate.judge([plans[each] for each in numbers], portfolio)
        if plan.opens and plan.pair and (complaint := _broken(judged)):
            judged = list(pair_vetoes(judged, complaint))
        else:
            portfolio = after
        verdicts.update(zip(numbers, judged, strict=True))
    return tuple(verdicts[number] for number in range(len(plans)))


def _legs(plans: Sequence[TradePlan], plan: TradePlan) -> list[int]:
    return [number for number, other in enumerate(plans) if other.opens and other.pair == plan.pair]


def _broken(legs: Sequence[Judged]) -> str:
    """Why the legs of a pair may not trade; empty when they may."""
    shape = {(plan.symbol, plan.side) for plan, _ in legs}
    symbols, sides = {symbol for symbol, _ in shape}, {side for _, side in shape}
    if not len(legs) == len(symbols) == len(sides) == PAIR_LEGS:
        return f"{len(legs)} legs: " + ", ".join(f"{plan.symbol} {plan.side}" for plan, _ in legs)
    cut = [f"{plan.symbol} {verdict.ruling}" for plan, verdict in legs if verdict.ruling != "approve"]
    return ", ".join(cut)


def pair_vetoes(legs: Sequence[Judged], complaint: str) -> Iterator[Judged]:
    """Legs of a pair as they are refused together, each with what it breached before."""
    bound = "one long and one short leg, both approved in full"
    for plan, verdict in legs:
        sentence = f"{PAIR_CONTROL} pair {plan.pair}: {complaint}, bound {bound}; allows 0 of {plan.quantity} shares"
        breach = Breach(control=PAIR_CONTROL, value=complaint, bound=bound, sentence=sentence)
        breaches = (*verdict.breaches, breach)
        yield plan, verdict.model_copy(update={"ruling": "veto", "quantity": 0, "breaches": breaches})
