"""What a book has at stake: exposure, risk at the stops and free cash, with what is on its way counted as if it were filled.

Whatever is not known counts as the most that it can be: a holding without a stop is at risk with its whole value, and so is a
pending entry of which only the notional is known.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from trading_assets.plans.model import PlanSide, TradePlan
from trading_assets.plans.portfolio import Holding, Pending, Portfolio

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class PendingEntry(Pending):
    """An entry that may still fill: its side, its shares, and what they lose at their stop, USD."""

    side: PlanSide
    quantity: int
    risk: Decimal


def pending_of(plan: TradePlan, quantity: int) -> PendingEntry:
    """An approved plan on its way."""
    notional = plan.entry * quantity
    risk = notional if plan.risk_per_share is None else plan.risk_per_share * quantity
    return PendingEntry(plan.symbol, notional, plan.side, quantity, risk)


def committed(portfolio: Portfolio, symbol: str) -> Decimal:
    """Value held or owed of a symbol plus what is pending in it, USD."""
    held = portfolio.holdings.get(symbol)
    return (abs(held.value) if held else NOTHING) + sum((p.notional for p in _pending(portfolio, symbol)), NOTHING)


def gross(portfolio: Portfolio) -> Decimal:
    """All values held and owed, and everything pending, USD."""
    return sum((abs(each.value) for each in portfolio.holdings.values()), NOTHING) + portfolio.pending_notional


def net_towards(portfolio: Portfolio, side: PlanSide) -> Decimal:
    """How much more is at stake on one side than on the other, USD; below zero where the other side has more.

    What is pending on the side, or does not tell its side, counts as filled; what is pending on the other side may never fill, and
    offsets nothing.
    """
    sign = 1 if side == "long" else -1
    held = sign * sum((each.value for each in portfolio.holdings.values()), NOTHING)
    return held + sum((each.notional for each in portfolio.pending if side_of(each) in {side, None}), NOTHING)


def owed(portfolio: Portfolio) -> Decimal:
    """The value of all short positions, USD."""
    return sum((abs(each.value) for each in portfolio.holdings.values() if each.quantity < 0), NOTHING)


def short_exposure(portfolio: Portfolio) -> Decimal:
    """The value of all short positions and of all entries that may become one, USD."""
    sides = ((side_of(each), each.notional) for each in portfolio.pending)
    return owed(portfolio) + sum((notional for side, notional in sides if side != "long"), NOTHING)


def free_cash(portfolio: Portfolio) -> Decimal:
    """Cash that nothing lays claim to, USD: what is pending needs its notional, and a short position twice its value.

    Once because the money that it brought in is owed, and once more as what stands behind it. So selling short never pays for a
    purchase, and takes as much cash as buying.
    """
    return portfolio.cash - portfolio.pending_notional - 2 * owed(portfolio)


def stop_risk(portfolio: Portfolio, symbols: Collection[str]) -> Decimal:
    """What the holdings in some symbols would lose from their last prices to their stops, and their pending entries, USD."""
    held = (_holding_risk(each) for symbol, each in portfolio.holdings.items() if symbol in symbols)
    coming = (_pending_risk(each) for each in portfolio.pending if each.symbol in symbols)
    return sum(held, NOTHING) + sum(coming, NOTHING)


def shares_of(portfolio: Portfolio, symbol: str) -> int | None:
    """Shares held or owed and pending of a symbol; None where a pending entry does not tell."""
    held = portfolio.holdings.get(symbol)
    coming = [each.quantity if isinstance(each, PendingEntry) else None for each in _pending(portfolio, symbol)]
    known = [quantity for quantity in coming if quantity is not None]
    return abs(held.quantity if held else 0) + sum(known) if len(known) == len(coming) else None


def sides_of(portfolio: Portfolio, symbol: str) -> frozenset[PlanSide | None]:
    """The sides on which a symbol is held or pending; None stands for a pending entry that does not tell."""
    held = portfolio.holdings.get(symbol)
    return frozenset([*([held.side] if held else []), *(side_of(each) for each in _pending(portfolio, symbol))])


def side_of(pending: Pending) -> PlanSide | None:
    """The side of a pending entry, where it tells."""
    return pending.side if isinstance(pending, PendingEntry) else None


def _pending(portfolio: Portfolio, symbol: str) -> list[Pending]:
    return [each for each in portfolio.pending if each.symbol == symbol]


def _holding_risk(holding: Holding) -> Decimal:
    if holding.stop is None:
        return abs(holding.value)
    return max(NOTHING, holding.value - holding.stop * holding.quantity)


def _pending_risk(pending: Pending) -> Decimal:
    return pending.risk if isinstance(pending, PendingEntry) else pending.notional
