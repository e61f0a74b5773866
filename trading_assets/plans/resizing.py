"""Trims and additions of a slot: the rules of `scaling` inside the limits, at the open only."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from trading_assets.plans.context import Context, reducing
from trading_assets.plans.exits import thesis_of
from trading_assets.plans.model import OrderStyle, PlanAction, TradePlan
from trading_assets.plans.portfolio import Holding
from trading_assets.plans.quorum import too_few_analysts
from trading_assets.plans.scaling import Addition, addition, reduction
from trading_assets.plans.sizing import Taken, shares, stop_risk
from trading_assets.plans.strategies.model import REWARD_TO_RISK_MIN, capped, ordered, reward_to_risk
from trading_assets.plans.style import Liquidity, liquidity_of, placed
from trading_assets.theses.model import Thesis


@dataclass(frozen=True, slots=True)
class _Priced:
    """An addition with its limit, and the style that it is ordered in."""

    wanted: Addition
    style: OrderStyle
    entry: Decimal
    liquidity: Liquidity

    @property
    def risk_per_share(self) -> Decimal:
        return self.entry - self.wanted.stop


def trims(context: Context, busy: Collection[str]) -> Iterator[TradePlan]:
    """What has gained while its thesis faded, by symbol; a sale of everything is an exit."""
    for holding, thesis in _steady(context, busy):
        wanted = reduction(holding, context.price(holding), thesis, context.agents.scaling)
        if wanted is not None:
            action: PlanAction = "exit" if wanted.quantity >= holding.quantity else "trim"
            yield reducing(context, holding, action, min(wanted.quantity, holding.quantity), wanted.reason, thesis)


def additions(context: Context, busy: Collection[str]) -> Iterator[TradePlan]:
    """What is added to losers that the desk is still sure of, by symbol; none unless the operator's limits switch it on."""
    if not context.room.preferences.add_to_losers or context.stance is None:
        return
    taken = Taken()
    for holding, thesis in _steady(context, busy):
        off = context.parameters.stops(holding.strategy, context.view(holding.symbol))
        if off or holding.strategy not in context.stance.strategies or _unheard(context, holding):
            continue
        priced = _priced(context, holding, thesis)
        quantity = _quantity(context, holding, priced, taken) if priced else 0
        if priced and quantity:
            risk, value = priced.risk_per_share * quantity, priced.entry * quantity
            taken = taken.plus(holding.symbol, risk, strategy=holding.strategy, value=value)
            yield _plan(context, holding, thesis, priced, quantity)


def _steady(context: Context, busy: Collection[str]) -> Iterator[tuple[Holding, Thesis]]:
    """Holdings with a live thesis, a fresh price in an unchanged share count, and nothing on its way."""
    waiting = {pending.symbol for pending in context.portfolio.pending}
    for symbol, holding in sorted(context.portfolio.holdings.items()) if context.slot.is_first else ():
        known, thesis = context.facts.symbols.get(symbol), thesis_of(holding, context.mind)
        moving = symbol in busy or symbol in waiting or symbol in context.portfolio.exiting
        if known is not None and known.split_ratio == 1 and thesis is not None and not moving:
            yield holding, thesis


def _unheard(context: Context, holding: Holding) -> bool:
    return too_few_analysts((holding.symbol,), context.heard, context.agents) is not None


def _priced(context: Context, holding: Holding, thesis: Thesis) -> _Priced | None:
    """The addition at its limit; None where its bracket does not win enough for what it risks."""
    price = context.price(holding)
    wanted = addition(holding, price, thesis, context.agents.scaling)
    if wanted is None:
        return None
    liquidity = liquidity_of(holding.symbol, context.facts, context.slot)
    style, entry = placed(price, capped(price, "long"), "long", liquidity)
    fits = ordered("long", entry, wanted.stop, wanted.target)
    enough = fits and reward_to_risk(entry, wanted.stop, wanted.target) >= REWARD_TO_RISK_MIN
    return _Priced(wanted, style, entry, liquidity) if enough else None


def _quantity(context: Context, holding: Holding, priced: _Priced, taken: Taken) -> int:
    """The addition within what a position may weigh, one trade's risk for the whole position, and what related positions leave."""
    room, limits = context.room, context.room.preferences
    fraction = Decimal(str(context.stance_fraction)) * Decimal(str(priced.liquidity.size_fraction))
    wanted = int((priced.wanted.quantity * fraction).to_integral_value(rounding=ROUND_FLOOR))
    position = room.position(holding.strategy, holding.symbol) - context.portfolio.committed(holding.symbol)
    share_left = room.share_left(holding.strategy, taken)
    if share_left is not None:
        position = min(position, share_left)
    risk = min(
        room.fraction(limits.risk_per_trade_fraction_max) - stop_risk(holding),
        room.risk_left([holding.symbol], taken),
    )
    return min(wanted, shares(position, priced.entry), shares(risk, priced.risk_per_share))


def _plan(context: Context, holding: Holding, thesis: Thesis, priced: _Priced, quantity: int) -> TradePlan:
    return TradePlan(
        session=context.slot.session.day,
        slot=context.slot.label,
        as_of=context.slot.at,
        action="add",
        strategy=holding.strategy,
        symbol=holding.symbol,
        regime=context.view(holding.symbol),
        quantity=quantity,
        reference=context.price(holding),
        entry=priced.entry,
        stop=priced.wanted.stop,
        target=priced.wanted.target,
        thesis_id=thesis.id,
        confidence=thesis.confidence,
        reasons=(priced.wanted.reason, priced.liquidity.words(priced.style)),
        style=priced.style,
    )
