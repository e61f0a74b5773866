"""From an approved plan to the orders that the broker gets: an entry with its stop and target, or a market order that reduces."""

from dataclasses import replace

from trading_assets.core.ids import short_id
from trading_assets.execution.model import Order, OrderRole, Side
from trading_assets.execution.ports import Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict


def intent_for(
    plan: TradePlan, verdict: Verdict, *, book: str, limits_hash: str, quantity: int | None = None
) -> Intent:
    """The intent of one book for an approved plan; its id comes from the slot, never from sizes or prices.

    Args:
        verdict: The risk gate's.
        quantity: What all signers allow; what the gate allows where it is left out.
    """
    return Intent(
        id=short_id(book, plan.id),
        session=plan.session,
        slot=plan.slot,
        plan=plan,
        verdict=verdict,
        quantity=verdict.quantity if quantity is None else quantity,
        limits_hash=limits_hash,
    )


def orders_of(intent: Intent) -> tuple[Order, ...]:
    """A bracket for what opens or enlarges a position; one market order for an exit or a trim.

    An addition has a bracket of its own. A position that ends with the session has a third leg, which trades at the close; its stop
    and target stay on, for the volume of the last bar may leave a part of it.
    """
    return _bracket(intent) if intent.plan.opens else (_reduction(intent),)


def _bracket(intent: Intent) -> tuple[Order, ...]:
    plan = intent.plan
    opening, closing = _sides(plan)
    role: OrderRole = "addition" if plan.action == "add" else "entry"
    entry = Order(
        id=f"{intent.id}-{role}",
        intent_id=intent.id,
        symbol=plan.symbol,
        side=opening,
        type="market" if plan.style == "market" else "limit",
        role=role,
        quantity=intent.quantity,
        placed_at=plan.as_of,
        session=plan.session,
        time_in_force="day",
        limit_price=None if plan.style == "market" else plan.entry,
    )
    child = replace(entry, side=closing, limit_price=None, time_in_force="gtc", parent_id=entry.id, status="held")
    stop = replace(child, id=f"{intent.id}-stop", role="stop", type="stop", stop_price=plan.stop)
    target = replace(child, id=f"{intent.id}-target", role="target", type="limit", limit_price=plan.target)
    if not plan.flat_by_close:
        return entry, stop, target
    close = replace(child, id=f"{intent.id}-close", role="close", type="market", time_in_force="day")
    return entry, stop, target, close


def _reduction(intent: Intent) -> Order:
    _, closing = _sides(intent.plan)
    return Order(
        id=f"{intent.id}-exit",
        intent_id=intent.id,
        symbol=intent.plan.symbol,
        side=closing,
        type="market",
        role="exit",
        quantity=intent.quantity,
        placed_at=intent.plan.as_of,
        session=intent.plan.session,
        time_in_force="day",
    )


def _sides(plan: TradePlan) -> tuple[Side, Side]:
    """The side that opens the plan's position, and the one that closes it."""
    return ("buy", "sell") if plan.side == "long" else ("sell", "buy")
