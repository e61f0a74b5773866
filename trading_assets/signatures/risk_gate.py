"""The risk gate: every control in one list, each with an id, a value and a bound.

A control answers how many of the plan's shares it allows. Fewer than asked is a breach; the smallest answer is what may be
traded, and less than one share is a veto. Controls never enlarge a plan, and a value that cannot be computed allows nothing.
Exits and trims only reduce and pass every control but the one on shares held.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

from trading_assets.core.preferences import Preferences
from trading_assets.core.slots import Slot
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Portfolio
from trading_assets.signatures.exposure import (
    committed,
    free_cash,
    gross,
    shares_of,
    short_exposure,
    sides_of,
    stop_risk,
)
from trading_assets.signatures.model import Breach, Ruling, Verdict
from trading_assets.signatures.state import StateRuling

SIGNER = "risk_gate"
SIZE_MULTIPLE_MAX = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the gate knows beside the plan.

    Average volume is in shares per session; a missing sector or volume allows nothing. `related` names for each symbol those whose
    theses share its risk; a symbol shares its own, whether it is named or not.
    """

    portfolio: Portfolio
    state: StateRuling
    sectors: Mapping[str, str]
    average_volume: Mapping[str, float]
    preferences: Preferences
    related: Mapping[str, AbstractSet[str]] = field(default_factory=dict)

    def fraction(self, limit: float) -> Decimal:
        """A limit that is given as a fraction of equity, USD."""
        return self.portfolio.equity * Decimal(str(limit))


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many shares a control allows, and its value and bound in words."""

    quantity: int
    value: str
    bound: str


@dataclass(frozen=True, slots=True)
class Control:
    """One control: its id in docs/safety.md, its name, and its rule."""

    id: str
    name: str
    allow: Callable[[TradePlan, Surroundings], Allowance]


def judge(plan: TradePlan, around: Surroundings) -> Verdict:
    """The gate's verdict on one plan, listing every control that allows less than the plan asks."""
    controls = CONTROLS if plan.opens else EXIT_CONTROLS
    allowances = [(control, _allowed(control, plan, around)) for control in controls]
    quantity = max(0, min([plan.quantity, *(allowance.quantity for _, allowance in allowances)]))
    breaches = tuple(_breach(c, a, plan) for c, a in allowances if a.quantity < plan.quantity)
    ruling: Ruling = "veto" if quantity < 1 else "approve" if quantity == plan.quantity else "shrink"
    return Verdict(
        signer=SIGNER,
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling=ruling,
        quantity=quantity,
        breaches=breaches,
    )


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


def _allowed(control: Control, plan: TradePlan, around: Surroundings) -> Allowance:
    """The control's answer; NaN or infinite money allows nothing, and the verdict says so."""
    try:
        return control.allow(plan, around)
    except ArithmeticError as absurd:
        return Allowance(0, f"a value that cannot be computed ({type(absurd).__name__})", "finite values")


def _breach(control: Control, allowance: Allowance, plan: TradePlan) -> Breach:
    allowed = f"{max(0, allowance.quantity)} of {plan.quantity} shares"
    sentence = f"{control.id} {control.name}: {allowance.value}, bound {allowance.bound}; allows {allowed}"
    return Breach(control=control.id, value=allowance.value, bound=allowance.bound, sentence=sentence)


def _shares(budget: Decimal, per_share: Decimal) -> int:
    """Whole shares that a budget pays; none when the budget is spent or the price is not positive."""
    if not (budget > 0 and per_share > 0):
        return 0
    return int((budget / per_share).to_integral_value(rounding=ROUND_FLOOR))


def _all_or_nothing(passes: bool, plan: TradePlan, value: str, bound: str) -> Allowance:
    return Allowance(plan.quantity if passes else 0, value, bound)


def _state(plan: TradePlan, around: Surroundings) -> Allowance:
    return _all_or_nothing(around.state.state == "ACTIVE", plan, around.state.reason, "ACTIVE")


def _quantity(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.preferences.order_quantity_max
    return Allowance(min(plan.quantity, limit), f"{plan.quantity} shares", f"{limit} shares")


def _notional(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.preferences.order_notional_usd
    return Allowance(_shares(limit, plan.entry), f"{plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _style(plan: TradePlan, _: Surroundings) -> Allowance:
    return _all_or_nothing(plan.style != "market", plan, plan.style, "an order with a limit")


def _position(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.position_fraction_max)
    held = committed(around.portfolio, plan.symbol)
    value = f"{held + plan.notional:,.2f} USD in {plan.symbol}"
    return Allowance(_shares(limit - held, plan.entry), value, f"{limit:,.2f} USD")


def _positions(plan: TradePlan, around: Surroundings) -> Allowance:
    after = len(around.portfolio.symbols | {plan.symbol})
    limit = around.preferences.positions_max
    return _all_or_nothing(after <= limit, plan, f"{after} positions", f"{limit} positions")


def _gross(plan: TradePlan, around: Surroundings) -> Allowance:
    held = gross(around.portfolio)
    limit = around.fraction(around.preferences.gross_exposure_fraction_max)
    return Allowance(_shares(limit - held, plan.entry), f"{held + plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _cash(plan: TradePlan, around: Surroundings) -> Allowance:
    free = free_cash(around.portfolio)
    return Allowance(_shares(free, plan.entry), f"{plan.notional:,.2f} USD", f"{free:,.2f} USD free cash")


def _sector(plan: TradePlan, around: Surroundings) -> Allowance:
    sector = around.sectors.get(plan.symbol)
    if sector is None:
        return Allowance(0, f"{plan.symbol} has no sector", "a sector in settings.yaml")
    peers = [symbol for symbol in around.portfolio.symbols if around.sectors.get(symbol, symbol) == sector]
    held = sum((committed(around.portfolio, symbol) for symbol in peers), Decimal(0))
    limit = around.fraction(around.preferences.sector_fraction_max)
    value = f"{held + plan.notional:,.2f} USD in {sector}"
    return Allowance(_shares(limit - held, plan.entry), value, f"{limit:,.2f} USD")


def _price(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.preferences.price_usd_min
    return _all_or_nothing(plan.reference >= Decimal(str(limit)), plan, f"{plan.reference:.2f} USD", f"{limit:.2f} USD")


def _volume(plan: TradePlan, around: Surroundings) -> Allowance:
    average = around.average_volume.get(plan.symbol)
    if average is None or not average > 0:
        return Allowance(0, f"{plan.symbol} has no average volume", "20 sessions of volume")
    limit = int(Decimal(str(average)) * Decimal(str(around.preferences.order_share_of_volume_max)))
    return Allowance(
        min(plan.quantity, limit), f"{plan.quantity} shares", f"{limit} shares of {average:,.0f} a session"
    )


def _at_risk(plan: TradePlan, stop: Decimal) -> Decimal:
    """What a share loses at the stop, USD; not positive for a stop on the wrong side."""
    return plan.entry - stop if plan.side == "long" else stop - plan.entry


def _stop_distance(plan: TradePlan, around: Surroundings) -> Allowance:
    low, high = around.preferences.stop_distance_fraction_min, around.preferences.stop_distance_fraction_max
    if plan.stop is None or not _at_risk(plan, plan.stop) > 0:
        side = "below" if plan.side == "long" else "above"
        return Allowance(0, f"stop {plan.stop} against entry {plan.entry}", f"a stop {side} the entry")
    distance = _at_risk(plan, plan.stop) / plan.entry
    passes = Decimal(str(low)) <= distance <= Decimal(str(high))
    return _all_or_nothing(passes, plan, f"{distance:.2%} of the entry", f"{low:.2%} to {high:.2%}")


def _reward_to_risk(plan: TradePlan, around: Surroundings) -> Allowance:
    limit, ratio = around.preferences.reward_to_risk_min, plan.reward_to_risk
    passes = ratio is not None and ratio >= Decimal(str(limit))
    return _all_or_nothing(passes, plan, f"{ratio:.2f}" if ratio is not None else "undefined", f"{limit:.2f}")


def _risk(plan: TradePlan, around: Surroundings) -> Allowance:
    """An addition is part of the same trade: what its position may still lose counts."""
    limit = around.fraction(around.preferences.risk_per_trade_fraction_max)
    if plan.stop is None:
        return Allowance(0, "no stop", f"{limit:,.2f} USD")
    held = stop_risk(around.portfolio, {plan.symbol} & around.portfolio.holdings.keys())
    per_share = _at_risk(plan, plan.stop)
    value = f"{held + per_share * plan.quantity:,.2f} USD at risk"
    return Allowance(_shares(limit - held, per_share), value, f"{limit:,.2f} USD")


def _related_risk(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.related_risk_fraction_max)
    if plan.stop is None:
        return Allowance(0, "no stop", f"{limit:,.2f} USD")
    symbols = {plan.symbol, *around.related.get(plan.symbol, ())}
    shared, per_share = stop_risk(around.portfolio, symbols), _at_risk(plan, plan.stop)
    value = f"{shared + per_share * plan.quantity:,.2f} USD at risk in {', '.join(sorted(symbols))}"
    return Allowance(_shares(limit - shared, per_share), value, f"{limit:,.2f} USD")


def _one_side(plan: TradePlan, around: Surroundings) -> Allowance:
    against = sorted(side or "unknown" for side in sides_of(around.portfolio, plan.symbol) - {plan.side})
    value = f"{plan.side} beside {', '.join(against) or 'nothing'}"
    return _all_or_nothing(not against, plan, value, "one side of a symbol")


def _short_sale(plan: TradePlan, around: Surroundings) -> Allowance:
    """Both legs of a pair sell short: the one is not wanted without the other."""
    passes = around.preferences.short_selling or (plan.side == "long" and not plan.pair)
    value = f"the pair {plan.pair}" if plan.pair else plan.side
    return _all_or_nothing(passes, plan, value, "short_selling on")


def _short_exposure(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.short_exposure_fraction_max)
    if plan.side == "long":
        return Allowance(plan.quantity, "long", f"{limit:,.2f} USD")
    held = short_exposure(around.portfolio)
    return Allowance(_shares(limit - held, plan.entry), f"{held + plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _addition(plan: TradePlan, around: Surroundings) -> Allowance:
    held = plan.symbol in around.portfolio.holdings
    return _all_or_nothing(plan.action == "enter" or held, plan, f"no {plan.symbol} held", "a position to add to")


def _multiple(plan: TradePlan, around: Surroundings) -> Allowance:
    """Whatever the plan calls itself, an entry into what is held is an addition."""
    holding = around.portfolio.holdings.get(plan.symbol)
    if holding is None:
        return Allowance(plan.quantity, "nothing held", "nothing")
    limit, shares = SIZE_MULTIPLE_MAX * holding.base_quantity, shares_of(around.portfolio, plan.symbol)
    if shares is None:
        return Allowance(0, "a pending entry of unknown size", f"{limit} shares")
    return Allowance(min(plan.quantity, limit - shares), f"{shares + plan.quantity} shares", f"{limit} shares")


def _loser(plan: TradePlan, around: Surroundings) -> Allowance:
    holding = around.portfolio.holdings.get(plan.symbol)
    if holding is None or around.preferences.add_to_losers:
        return Allowance(plan.quantity, f"{plan.reference} USD", "add_to_losers on")
    bound = f"{holding.entry} USD, what a share cost"
    gains = holding.entry is not None and (
        plan.reference >= holding.entry if plan.side == "long" else plan.reference <= holding.entry
    )
    return _all_or_nothing(gains, plan, f"{plan.reference} USD", bound)


def _held(plan: TradePlan, around: Surroundings) -> Allowance:
    holding = around.portfolio.holdings.get(plan.symbol)
    held = max(0, holding.quantity if plan.side == "long" else -holding.quantity) if holding else 0
    verb = "held" if plan.side == "long" else "owed"
    return Allowance(min(plan.quantity, held), f"{plan.quantity} shares", f"{held} shares {verb}")


CONTROLS: tuple[Control, ...] = (
    Control("C1", "trading state", _state),
    Control("C3", "quantity per order", _quantity),
    Control("C4", "notional per order", _notional),
    Control("C6", "limit on what opens", _style),
    Control("C7", "position per symbol", _position),
    Control("C8", "concurrent positions", _positions),
    Control("C9", "gross exposure", _gross),
    Control("C9b", "free cash", _cash),
    Control("C10", "sector concentration", _sector),
    Control("C18", "minimum price", _price),
    Control("C18b", "share of average volume", _volume),
    Control("C19", "stop distance", _stop_distance),
    Control("C19b", "reward to risk", _reward_to_risk),
    Control("C20", "risk per trade", _risk),
    Control("C20b", "risk of related theses", _related_risk),
    Control("C27", "one side of a symbol", _one_side),
    Control("C28", "short sales", _short_sale),
    Control("C28b", "short exposure", _short_exposure),
    Control("C30", "additions", _addition),
    Control("C30b", "size of additions", _multiple),
    Control("C30c", "adding to a loser", _loser),
)
EXIT_CONTROLS: tuple[Control, ...] = (Control("X1", "shares held", _held),)
