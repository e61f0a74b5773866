"""From an approved plan to the orders that the broker gets: a capped entry with its stop and target, or an exit."""

from dataclasses import replace

from trading_assets.core.ids import short_id
from trading_assets.execution.model import Order
from trading_assets.execution.ports import Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict


def intent_for(plan: TradePlan, verdict: Verdict, *, book: str, limits_hash: str) -> Intent:
    """The intent of one book for an approved plan; its id comes from the slot, never from sizes or prices."""
    return Intent(
        id=short_id(book, plan.id),
        session=plan.session,
        slot=plan.slot,
        plan=plan,
        verdict=verdict,
        quantity=verdict.quantity,
        limits_hash=limits_hash,
    )


def orders_of(intent: Intent) -> tuple[Order, ...]:
    """A bracket for an entry; one market order, which only reduces, for an exit."""
    return _bracket(intent) if intent.plan.action == "enter" else (_exit(intent),)


def _bracket(intent: Intent) -> tuple[Order, ...]:
    plan = intent.plan
    entry = Order(
        id=f"{intent.id}-entry",
        intent_id=intent.id,
        symbol=plan.symbol,
        side="buy",
        type="limit",
        role="entry",
        quantity=intent.quantity,
        placed_at=plan.as_of,
        session=plan.session,
        time_in_force="day",
        limit_price=plan.entry,
    )
    child = replace(entry, side="sell", limit_price=None, time_in_force="gtc", parent_id=entry.id, status="held")
    stop = replace(child, id=f"{intent.id}-stop", role="stop", type="stop", stop_price=plan.stop)
    target = replace(child, id=f"{intent.id}-target", role="target", type="limit", limit_price=plan.target)
    return entry, stop, target


def _exit(intent: Intent) -> Order:
    return Order(
        id=f"{intent.id}-exit",
        intent_id=intent.id,
        symbol=intent.plan.symbol,
        side="sell",
        type="market",
        role="exit",
        quantity=intent.quantity,
        placed_at=intent.plan.as_of,
        session=intent.plan.session,
        time_in_force="day",
    )
