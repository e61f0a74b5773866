"""Rules that need the plan, the book and the limits alone: judged at the decision in every lane, and once more at sending.

Each answers how many of the plan's shares it allows; a value that cannot be computed allows nothing.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from trading_assets.plans.model import TradePlan
from trading_assets.signatures.allowance import Allowance, Surroundings, all_or_nothing, is_price, whole_shares
from trading_assets.signatures.exposure import (
    committed,
    free_cash,
    gross,
    net_towards,
    shares_of,
    short_exposure,
    sides_of,
    stop_risk,
)

PlanRule = Callable[[TradePlan, Surroundings], Allowance]
SIZE_MULTIPLE_MAX = 3
REACH_MAX = 2
"""A target of more than twice the entry is a slip of a digit, not a target."""


def _state(plan: TradePlan, around: Surroundings) -> Allowance:
    return all_or_nothing(around.state.state == "ACTIVE", plan, around.state.reason, "ACTIVE")


def _quantity(plan: TradePlan, around: Surroundings) -> Allowance:
    """Whatever is not a whole number of shares never comes here: see `controls.py`."""
    limit = around.preferences.order_quantity_max
    return Allowance(min(plan.quantity, limit), f"{plan.quantity} shares", f"{limit} shares")


def _notional(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.preferences.order_notional_usd
    return Allowance(whole_shares(limit, plan.entry), f"{plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _style(plan: TradePlan, _: Surroundings) -> Allowance:
    return all_or_nothing(plan.style != "market", plan, plan.style, "an order with a limit")


def _position(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.position_fraction_max)
    held = committed(around.portfolio, plan.symbol)
    value = f"{held + plan.notional:,.2f} USD in {plan.symbol}"
    return Allowance(whole_shares(limit - held, plan.entry), value, f"{limit:,.2f} USD")


def _positions(plan: TradePlan, around: Surroundings) -> Allowance:
    after = len(around.portfolio.symbols | {plan.symbol})
    limit = around.preferences.positions_max
    return all_or_nothing(after <= limit, plan, f"{after} positions", f"{limit} positions")


def _gross(plan: TradePlan, around: Surroundings) -> Allowance:
    held = gross(around.portfolio)
    limit = around.fraction(around.preferences.gross_exposure_fraction_max)
    return Allowance(whole_shares(limit - held, plan.entry), f"{held + plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _net(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.net_exposure_fraction_max)
    held = net_towards(around.portfolio, plan.side)
    value = f"{held + plan.notional:,.2f} USD {plan.side} on balance"
    return Allowance(whole_shares(limit - held, plan.entry), value, f"{limit:,.2f} USD")


def _cash(plan: TradePlan, around: Surroundings) -> Allowance:
    free = free_cash(around.portfolio)
    return Allowance(whole_shares(free, plan.entry), f"{plan.notional:,.2f} USD", f"{free:,.2f} USD free cash")


def _sector(plan: TradePlan, around: Surroundings) -> Allowance:
    sector = around.sectors.get(plan.symbol)
    if sector is None:
        return Allowance(0, f"{plan.symbol} has no sector", "a sector in settings.yaml")
    peers = [symbol for symbol in around.portfolio.symbols if around.sectors.get(symbol, symbol) == sector]
    held = sum((committed(around.portfolio, symbol) for symbol in peers), Decimal(0))
    limit = around.fraction(around.preferences.sector_fraction_max)
    value = f"{held + plan.notional:,.2f} USD in {sector}"
    return Allowance(whole_shares(limit - held, plan.entry), value, f"{limit:,.2f} USD")


def _price(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.preferences.price_usd_min
    passes = is_price(plan.reference) and plan.reference >= Decimal(str(limit))
    return all_or_nothing(passes, plan, f"{plan.reference:.2f} USD", f"{limit:.2f} USD")


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
    return all_or_nothing(passes, plan, f"{distance:.2%} of the entry", f"{low:.2%} to {high:.2%}")


def _reward_to_risk(plan: TradePlan, around: Surroundings) -> Allowance:
    limit, ratio = around.preferences.reward_to_risk_min, plan.reward_to_risk
    if ratio is None or plan.target is None:
        return Allowance(0, "undefined", f"{limit:.2f}")
    if not (is_price(plan.target) and plan.target <= REACH_MAX * plan.entry):
        return Allowance(0, f"target {plan.target}, entry {plan.entry}", f"at most {REACH_MAX} times the entry")
    return all_or_nothing(ratio >= Decimal(str(limit)), plan, f"{ratio:.2f}", f"{limit:.2f}")


def _risk(plan: TradePlan, around: Surroundings) -> Allowance:
    """An addition is part of the same trade: what its position may still lose counts."""
    limit = around.fraction(around.preferences.risk_per_trade_fraction_max)
    if plan.stop is None:
        return Allowance(0, "no stop", f"{limit:,.2f} USD")
    held = stop_risk(around.portfolio, {plan.symbol} & around.portfolio.holdings.keys())
    per_share = _at_risk(plan, plan.stop)
    value = f"{held + per_share * plan.quantity:,.2f} USD at risk"
    return Allowance(whole_shares(limit - held, per_share), value, f"{limit:,.2f} USD")


def _related_risk(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.related_risk_fraction_max)
    if plan.stop is None:
        return Allowance(0, "no stop", f"{limit:,.2f} USD")
    symbols = {plan.symbol, *around.related.get(plan.symbol, ())}
    shared, per_share = stop_risk(around.portfolio, symbols), _at_risk(plan, plan.stop)
    value = f"{shared + per_share * plan.quantity:,.2f} USD at risk in {', '.join(sorted(symbols))}"
    return Allowance(whole_shares(limit - shared, per_share), value, f"{limit:,.2f} USD")


def _one_side(plan: TradePlan, around: Surroundings) -> Allowance:
    against = sorted(side or "unknown" for side in sides_of(around.portfolio, plan.symbol) - {plan.side})
    value = f"{plan.side} beside {', '.join(against) or 'nothing'}"
    return all_or_nothing(not against, plan, value, "one side of a symbol")


def _short_sale(plan: TradePlan, around: Surroundings) -> Allowance:
    """Both legs of a pair sell short: the one is not wanted without the other."""
    passes = around.preferences.short_selling or (plan.side == "long" and not plan.pair)
    value = f"the pair {plan.pair}" if plan.pair else plan.side
    return all_or_nothing(passes, plan, value, "short_selling on")


def _short_exposure(plan: TradePlan, around: Surroundings) -> Allowance:
    limit = around.fraction(around.preferences.short_exposure_fraction_max)
    if plan.side == "long":
        return Allowance(plan.quantity, "long", f"{limit:,.2f} USD")
    held = short_exposure(around.portfolio)
    return Allowance(whole_shares(limit - held, plan.entry), f"{held + plan.notional:,.2f} USD", f"{limit:,.2f} USD")


def _addition(plan: TradePlan, around: Surroundings) -> Allowance:
    held = plan.symbol in around.portfolio.holdings
    return all_or_nothing(plan.action == "enter" or held, plan, f"no {plan.symbol} held", "a position to add to")


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
    return all_or_nothing(gains, plan, f"{plan.reference} USD", bound)


def _held(plan: TradePlan, around: Surroundings) -> Allowance:
    holding = around.portfolio.holdings.get(plan.symbol)
    held = max(0, holding.quantity if plan.side == "long" else -holding.quantity) if holding else 0
    verb = "held" if plan.side == "long" else "owed"
    return Allowance(min(plan.quantity, held), f"{plan.quantity} shares", f"{held} shares {verb}")


OPENING: Mapping[str, PlanRule] = {
    "C1": _state,
    "C3": _quantity,
    "C4": _notional,
    "C6": _style,
    "C7": _position,
    "C8": _positions,
    "C9": _gross,
    "C9b": _cash,
    "C9c": _net,
    "C10": _sector,
    "C18": _price,
    "C18b": _volume,
    "C19": _stop_distance,
    "C19b": _reward_to_risk,
    "C20": _risk,
    "C20b": _related_risk,
    "C27": _one_side,
    "C28": _short_sale,
    "C28b": _short_exposure,
    "A1": _addition,
    "A2": _multiple,
    "A3": _loser,
}
"""By id of the control, the rule for what opens."""
REDUCING: Mapping[str, PlanRule] = {"X1": _held}
"""By id of the control, the rule for exits and trims."""
