"""Theses become plans: which strategy may act on which symbol, what it enters, how much, and what it leaves.

Size comes from risk: the quantity that loses `risk_per_trade_fraction_max` of equity at the stop, never above the position limit.
Exits come first: a view that turned against the holding, or a holding past its strategy's time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.core.preferences import Preferences
from trading_assets.core.slots import Slot
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Holding, Portfolio
from trading_assets.plans.strategies import STRATEGIES, Setup, Strategy
from trading_assets.theses.model import Thesis


def make_plans(
    slot: Slot,
    facts: Facts,
    theses: Sequence[Thesis],
    portfolio: Portfolio,
    *,
    strategies: Sequence[str],
    preferences: Preferences,
    flatten: str | None = None,
) -> tuple[TradePlan, ...]:
    """Exits for holdings that ended, then entries by falling confidence.

    Args:
        flatten: Why everything must be sold now (a halt); then there are no entries.
    """
    by_symbol = {thesis.symbol: thesis for thesis in theses}
    exits = tuple(_exits(slot, facts, by_symbol, portfolio, flatten))
    if flatten:
        return exits
    chosen = [STRATEGIES[name] for name in strategies]
    entries = _entries(slot, facts, by_symbol, portfolio, chosen, preferences)
    return (*exits, *sorted(entries, key=lambda plan: (-plan.confidence, plan.symbol)))


def plan_rows(plans: Sequence[TradePlan], slot: Slot) -> list[dict[str, object]]:
    """The plans as rows of TRADE_PLANS."""
    return [
        {
            **plan.model_dump(exclude={"as_of", "reasons", "votes"}),
            "plan_id": plan.id,
            "plan_digest": plan.digest,
            "votes": json.dumps(dict(plan.votes), sort_keys=True),
            "reasons": json.dumps(plan.reasons, ensure_ascii=False),
            "knowable_at": slot.at,
        }
        for plan in plans
    ]


def _exits(
    slot: Slot, facts: Facts, theses: Mapping[str, Thesis], portfolio: Portfolio, flatten: str | None
) -> Iterator[TradePlan]:
    for symbol, holding in sorted(portfolio.holdings.items()):
        known, thesis = facts.symbols.get(symbol), theses.get(symbol)
        if known is None or symbol in portfolio.exiting:
            continue
        reason = flatten or _exit_reason(holding, known)
        if reason:
            yield TradePlan(
                session=slot.session.day,
                slot=slot.label,
                as_of=slot.at,
                action="exit",
                strategy=holding.strategy,
                symbol=symbol,
                regime=known.view,
                quantity=holding.quantity,
                reference=known.price,
                entry=known.price,
                stop=None,
                target=None,
                thesis_id=thesis.id if thesis else "",
                confidence=thesis.confidence if thesis else 0.0,
                reasons=(reason,),
            )


def _exit_reason(holding: Holding, known: SymbolFacts) -> str | None:
    longest = STRATEGIES[holding.strategy].holding_sessions_max
    if holding.sessions_held >= longest:
        return f"held for {holding.sessions_held} sessions; {holding.strategy} holds at most {longest}"
    if known.view == "trending_bear":
        return f"the view of {holding.symbol} turned to trending_bear"
    return None


def _entries(
    slot: Slot,
    facts: Facts,
    theses: Mapping[str, Thesis],
    portfolio: Portfolio,
    strategies: Sequence[Strategy],
    preferences: Preferences,
) -> Iterator[TradePlan]:
    for symbol, known in sorted(facts.symbols.items()):
        thesis = theses.get(symbol)
        free = symbol not in portfolio.symbols and known.split_ratio == 1
        if thesis is None or thesis.direction != "long" or not free:
            continue
        for strategy in strategies:
            setup = strategy.setup(known, thesis) if strategy.view == known.view else None
            quantity = _quantity(setup, portfolio.equity, preferences) if setup else 0
            if setup and quantity:
                yield _entry(slot, known, thesis, strategy, setup, quantity)


def _entry(
    slot: Slot, known: SymbolFacts, thesis: Thesis, strategy: Strategy, setup: Setup, quantity: int
) -> TradePlan:
    return TradePlan(
        session=slot.session.day,
        slot=slot.label,
        as_of=slot.at,
        action="enter",
        strategy=strategy.name,
        symbol=known.symbol,
        regime=known.view,
        quantity=quantity,
        reference=known.price,
        entry=setup.entry,
        stop=setup.stop,
        target=setup.target,
        thesis_id=thesis.id,
        confidence=thesis.confidence,
        reasons=setup.reasons,
    )


def _quantity(setup: Setup, equity: Decimal, preferences: Preferences) -> int:
    risk = setup.entry - setup.stop
    if risk <= 0 or equity <= 0:
        return 0
    by_risk = equity * Decimal(str(preferences.risk_per_trade_fraction_max)) / risk
    by_position = equity * Decimal(str(preferences.position_fraction_max)) / setup.entry
    return int(min(by_risk, by_position).to_integral_value(rounding=ROUND_FLOOR))
