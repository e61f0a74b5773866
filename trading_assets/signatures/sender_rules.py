"""Rules about who sends: signatures, rates, margin, account, models' cost, limits, lease, and whether the book is known."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

from trading_assets.plans.model import TradePlan
from trading_assets.signatures.allowance import Allowance, Surroundings, all_or_nothing
from trading_assets.signatures.order_rules import SendingRule, passes_without
from trading_assets.signatures.sending import AtSending

ZERO = Decimal(0)


def _seals(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    """A reduction of the gateway's own has none; whatever else says that it is the gateway's own is refused."""
    if sending.own:
        return all_or_nothing(not plan.opens, plan, f"the gateway's own {plan.action}", "an order that reduces")
    bound = "three signatures of this plan, quantity and limits"
    return all_or_nothing(not sending.seals, plan, sending.seals or bound, bound)


def _rate(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    limits = around.preferences
    bound = (
        f"{limits.orders_per_minute_max} a minute, {limits.orders_per_day_max} a day, "
        f"{limits.symbol_pause_seconds_min:g} s between two in {plan.symbol}"
    )
    return passes_without(_too_often(plan, around, sending), plan, bound)


def _too_often(plan: TradePlan, around: Surroundings, sending: AtSending) -> Iterator[str]:
    limits, counters = around.preferences, sending.counters
    if not 0 <= counters.orders_last_minute < limits.orders_per_minute_max:
        yield f"{counters.orders_last_minute} in the last minute"
    if not 0 <= counters.orders_today < limits.orders_per_day_max:
        yield f"{counters.orders_today} today"
    last = counters.last_order.get(plan.symbol)
    if last is not None and not sending.now - last >= timedelta(seconds=limits.symbol_pause_seconds_min):
        yield f"the last in {plan.symbol} {(sending.now - last).total_seconds():.0f} s ago"


def _entries(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    entered, limit = sending.counters.entries_today.get(plan.symbol, 0), around.preferences.entries_per_symbol_max
    value = f"{entered} entries in {plan.symbol} before this one"
    return all_or_nothing(0 <= entered < limit, plan, value, f"{limit} a session")


def _margin(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    """Excess liquidity as it is now and as it would be: the smaller of the two."""
    fraction, margin = around.preferences.margin_fraction_max, sending.margin
    excess, bound = sending.values.excess_liquidity, f"{fraction:.0%} of excess liquidity"
    if margin is None or margin.initial_margin_after is None or excess is None:
        return Allowance(0, "what the order needs is not known", bound)
    if margin.equity_after is None or margin.maintenance_margin_after is None:
        return Allowance(0, "what the order leaves is not known", bound)
    least = min(excess, margin.equity_after - margin.maintenance_margin_after)
    value = f"initial margin {margin.initial_margin_after:,.2f} of {least:,.2f} USD"
    passes = ZERO <= margin.initial_margin_after <= least * Decimal(str(fraction)) and least > 0
    return all_or_nothing(passes, plan, value, bound)


def _intraday_margin(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    """Without the broker's field there is cash only, and a short sale is not paid in cash."""
    field, pending = sending.values.intraday_excess_liquidity, around.portfolio.pending_notional
    if field is None and plan.side == "short":
        return Allowance(0, "no intraday margin, a short sale", "cash only")
    means, name = (sending.values.cash, "cash") if field is None else (field, "intraday excess liquidity")
    if means is None:
        return Allowance(0, "neither intraday margin nor cash is known", "cash only")
    value = f"{plan.notional + pending:,.2f} USD with what is pending"
    return all_or_nothing(ZERO < plan.notional + pending <= means, plan, value, f"{means:,.2f} USD {name}")


def _account(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    return all_or_nothing(not sending.account, plan, sending.account or "as expected", "the expected account")


def _capital(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    limit = sending.capital_usd + Decimal(str(around.preferences.capital_excess_usd_max))
    equity = sending.values.equity
    passes = equity is not None and sending.capital_usd > 0 and ZERO < equity <= limit
    return all_or_nothing(passes, plan, f"{equity} USD in the account", f"above 0, at most {limit:,.2f} USD")


def _model_cost(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    spent = (sending.counters.decision_cost_usd, sending.counters.day_cost_usd)
    caps = (sending.cost_per_decision_usd, sending.cost_per_day_usd)
    passes = all(ZERO <= cost <= cap for cost, cap in zip(spent, caps, strict=True))
    value = f"{spent[0]} USD for the decision, {spent[1]} USD today"
    return all_or_nothing(passes, plan, value, f"{caps[0]} USD and {caps[1]} USD")


def _limits(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    hashes = (sending.limits_hash, sending.pinned_hash, sending.intent_hash)
    told = "the file {:.12}, pinned {:.12}, signed {:.12}".format(*(each or "unknown" for each in hashes))
    return all_or_nothing(bool(hashes[0]) and len(set(hashes)) == 1, plan, told, "one and the same limits file")


def _lease(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    return all_or_nothing(not sending.lease, plan, sending.lease or "held", "the lease, with the newest token")


def _reconciled(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    seconds = around.preferences.reconciled_seconds_max
    return passes_without(
        _unreconciled(sending, seconds), plan, f"a complete snapshot of at most {seconds:g} s that agrees"
    )


def _unreconciled(sending: AtSending, seconds: float) -> Iterator[str]:
    if sending.reconciled_at is None:
        yield "never reconciled"
    elif not timedelta(0) <= sending.now - sending.reconciled_at <= timedelta(seconds=seconds):
        yield f"reconciled {(sending.now - sending.reconciled_at).total_seconds():.1f} s ago"
    if sending.disagrees:
        yield sending.disagrees


OPENING: Mapping[str, SendingRule] = {
    "C2": _seals,
    "C14": _rate,
    "C15": _entries,
    "C21": _margin,
    "C22": _intraday_margin,
    "C29": _account,
    "C30": _capital,
    "C31": _model_cost,
    "C32": _limits,
    "C33": _lease,
    "C34": _reconciled,
}
"""By id of the control, the rule for what opens."""
REDUCING: Mapping[str, SendingRule] = {"C2": _seals, "C29": _account, "C33": _lease}
"""By id of the control, the rule for what reduces."""
