"""Rules about the orders as they would be written: how many shares, of what, at which prices, and in which shape.

Nothing is shrunk at sending: a rule passes all shares or none, and names everything that is wrong.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from trading_assets.broker.model import OrderRequest, Side
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.allowance import Allowance, Surroundings, all_or_nothing, is_price, is_whole
from trading_assets.signatures.sending import AtSending

SendingRule = Callable[[TradePlan, Surroundings, AtSending], Allowance]
TICKER = re.compile(r"[A-Z][A-Z0-9]{0,9}([. -][A-Z0-9]{1,8})?")


def side_of(plan: TradePlan) -> Side:
    """On which side the plan trades now."""
    return "buy" if (plan.side == "long") == plan.opens else "sell"


def entry_of(plan: TradePlan, sending: AtSending) -> OrderRequest | None:
    """The one order that opens the position; None when there is none, or more than one."""
    opening = [order for order in sending.orders if order.side == side_of(plan)]
    return opening[0] if len(opening) == 1 else None


def passes_without(problems: Iterator[str], plan: TradePlan, bound: str) -> Allowance:
    """All shares when nothing is wrong; otherwise none, and everything that is."""
    found = "; ".join(problems)
    return all_or_nothing(not found, plan, found or "nothing wrong", bound)


def _shares(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    """The plan has the intent's quantity here; that this is a whole number was asked before."""
    trading = [order.quantity for order in sending.orders if order.side == side_of(plan)]
    sound = (
        bool(trading) and all(is_whole(order.quantity) for order in sending.orders) and sum(trading) <= plan.quantity
    )
    passes = sound and (plan.opens or len(trading) == len(sending.orders))
    told = ", ".join(f"{order.side} {order.quantity}" for order in sending.orders) or "no order"
    return all_or_nothing(passes, plan, told, f"{side_of(plan)} 1 to {plan.quantity} shares")


def _kinds(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    """Only where everything must go now is there a market order."""
    problems = (each for order in sending.orders for each in badly_priced(order, market=sending.flattens))
    return passes_without(problems, plan, "a limit or a stop on the tick; a market order only to flatten")


def badly_priced(order: OrderRequest, *, market: bool) -> Iterator[str]:
    """What is wrong with kind and prices of an order."""
    limit, stop = order.limit_price, order.stop_price
    if order.kind == "market" and not market:
        yield f"{order.key} is a market order"
    if (order.kind == "limit", order.kind == "stop") != (limit is not None, stop is not None):
        yield f"{order.key} is a {order.kind} order with limit {limit} and stop {stop}"
    for price in (limit, stop):
        if price is not None and not on_tick(price, order.contract.min_tick):
            yield f"{order.key} at {price} USD, tick {order.contract.min_tick}"
    if order.outside_hours:
        yield f"{order.key} may trade outside the session"


def on_tick(price: Decimal, tick: Decimal) -> bool:
    """Whether an order may carry the price: positive, finite, and a multiple of the smallest step."""
    return is_price(price) and is_price(tick) and price % tick == 0


def _left(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    """What is held less what leaves already: two exits at once never sell anything twice."""
    holding = around.portfolio.holdings.get(plan.symbol)
    held = (holding.quantity if plan.side == "long" else -holding.quantity) if holding else 0
    passes = sending.leaving >= 0 and plan.quantity <= held - sending.leaving
    return all_or_nothing(
        passes, plan, f"{plan.quantity} shares", f"{held} held less {sending.leaving} that leave already"
    )


def _symbol(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    limit = around.preferences.universe_max
    return passes_without(_unresolved(plan, sending, limit), plan, f"one of at most {limit} symbols, with one contract")


def _unresolved(plan: TradePlan, sending: AtSending, limit: int) -> Iterator[str]:
    if not TICKER.fullmatch(plan.symbol):
        yield f"{plan.symbol!a} is no ticker"
    if not sending.listed:
        yield f"{plan.symbol!a} is not on the desk's list"
    if sending.contracts != 1:
        yield f"{sending.contracts} contracts"
    if not 1 <= sending.universe <= limit:
        yield f"a list of {sending.universe} symbols"
    named = sorted({(order.contract.symbol, order.contract.con_id) for order in sending.orders})
    if len(named) != 1 or named[0][0] != plan.symbol or not named[0][1] > 0:
        yield f"orders for {named!a}"


def _instrument(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    average, least = around.average_volume.get(plan.symbol), around.preferences.average_volume_min
    problems = _unfit(sending, average, least)
    return passes_without(problems, plan, f"a stock in the account's USD, at least {least:,} shares a session")


def _unfit(sending: AtSending, average: float | None, least: int) -> Iterator[str]:
    if average is None or not least <= average < float("inf"):
        yield f"{average} shares a session"
    for kind, currency in sorted({(order.contract.kind, order.contract.currency) for order in sending.orders}):
        if kind != "STK" or not currency == sending.values.currency == "USD":
            yield f"{kind} in {currency}, account in {sending.values.currency}"


def _bracket(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    entry = entry_of(plan, sending)
    low, high = around.preferences.stop_distance_fraction_min, around.preferences.stop_distance_fraction_max
    bound = f"an entry that waits for its stop, {low:.2%} to {high:.2%} away, beyond the quote, transmitted last"
    return passes_without(_broken(plan, around, sending, entry), plan, bound)


def _broken(plan: TradePlan, around: Surroundings, sending: AtSending, entry: OrderRequest | None) -> Iterator[str]:
    if entry is None or sending.orders[0] is not entry or entry.parent_id:
        yield "no single entry that is written first"
        return
    children = sending.orders[1:]
    yield from _wrong_children(plan, entry, children)
    if [order.transmit for order in sending.orders] != [*(False for _ in children), True]:
        yield "transmitted before the stop is there"
    yield from _stop_too_near(plan, around, sending, entry)


def _wrong_children(plan: TradePlan, entry: OrderRequest, children: Sequence[OrderRequest]) -> Iterator[str]:
    found = [(order.kind, order.stop_price if order.kind == "stop" else order.limit_price) for order in children]
    if found not in ([("stop", plan.stop)], [("limit", plan.target), ("stop", plan.stop)]):
        yield f"children {', '.join(f'{kind} {price}' for kind, price in found) or 'none'}"
    for child in children:
        if child.parent_id != entry.order_id or child.side == entry.side or child.quantity != entry.quantity:
            yield f"{child.key} does not close what the entry opens"
        if child.tif != "gtc" or entry.tif != "day":
            yield f"{child.key} lasts {child.tif}, the entry {entry.tif}"
    if len({child.oca_group for child in children}) > 1 or not all(child.oca_group for child in children):
        yield "children that do not reduce each other"
    if len({order.ref for order in (entry, *children)}) > 1:
        yield "orders of more than one intent"


def _stop_too_near(plan: TradePlan, around: Surroundings, sending: AtSending, entry: OrderRequest) -> Iterator[str]:
    """Measured from the limit that is sent, which may be better than the plan's, and from the quote that would set it off."""
    quote, limits = sending.quote, around.preferences
    if plan.stop is None or entry.limit_price is None or quote is None or quote.bid is None or quote.ask is None:
        yield "no stop, limit or quote to measure"
        return
    sign = 1 if plan.side == "long" else -1
    distance = sign * (entry.limit_price - plan.stop) / entry.limit_price
    if (
        not Decimal(str(limits.stop_distance_fraction_min))
        <= distance
        <= Decimal(str(limits.stop_distance_fraction_max))
    ):
        yield f"a stop {distance:.2%} from the limit"
    near = quote.bid if plan.side == "long" else quote.ask
    if not sign * (near - plan.stop) > 0:
        yield f"a stop at {plan.stop} with the quote at {near}"


OPENING: Mapping[str, SendingRule] = {"C3": _shares, "C17": _symbol, "C18c": _instrument, "C19c": _bracket}
"""By id of the control, the rule for what opens."""
REDUCING: Mapping[str, SendingRule] = {"C3": _shares, "C6": _kinds, "X1": _left}
"""By id of the control, the rule for what reduces."""
