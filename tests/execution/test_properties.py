"""What holds in every world: nothing is lost, nothing is invented, nothing is known too early."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from tests.execution.desks import SESSIONS
from tests.execution.worlds import SYMBOLS, Step, World, held, in_every_world, walk
from trading_assets.core.money import TICK_USD
from trading_assets.execution.book import OPEN
from trading_assets.execution.corporate import split_shares
from trading_assets.execution.matching import fee, match_session
from trading_assets.execution.model import Fill, Order, PriceBar

Steps = tuple[Step, ...]


def fills_of(steps: tuple[Step, ...]) -> list[Fill]:
    return [fill for step in steps for fill in step.matched.fills]


def placed_in(world: World) -> dict[str, Order]:
    return {order.id: order for day in world.days for order in day.orders}


def orders_after(step: Step) -> list[Order]:
    return [*step.matched.book.orders.values(), *step.matched.filled, *step.matched.cancelled]


@in_every_world()
def test_cash_moves_only_by_fills_dividends_and_cash_in_lieu(world: World, steps: Steps) -> None:
    moved = sum((fill.cash for fill in fills_of(steps)), Decimal(0))
    moved += sum((step.acted.cash_dividends + step.acted.cash_in_lieu for step in steps), Decimal(0))
    assert world.cash + moved == steps[-1].matched.book.cash


@in_every_world()
def test_payments_are_the_dividends_and_the_cash_in_lieu_once_per_symbol(world: World, steps: Steps) -> None:
    for step in steps:
        payments = step.acted.payments
        assert sum((p.amount for p in payments), Decimal(0)) == step.acted.cash_dividends + step.acted.cash_in_lieu
        assert len({payment.symbol for payment in payments}) == len(payments)


@in_every_world()
def test_shares_are_the_sum_of_fills_in_the_share_count_of_the_day(world: World, steps: Steps) -> None:
    counted = dict.fromkeys(SYMBOLS, 0)
    for step in steps:
        for action in step.day.actions:
            if action.kind == "split":
                counted[action.symbol], _ = split_shares(counted[action.symbol], action.ratio)
        for fill in step.matched.fills:
            counted[fill.symbol] += fill.quantity if fill.side == "buy" else -fill.quantity
        assert counted == held(step.matched.book)


@in_every_world(shorts=False)
def test_neither_cash_nor_a_position_is_ever_negative_without_short_sales(world: World, steps: Steps) -> None:
    for step in steps:
        for state in (step.acted.book, step.matched.book):
            assert state.cash >= 0
            assert all(position.quantity > 0 and position.cost >= 0 for position in state.positions.values())


@in_every_world()
def test_a_position_and_its_cost_have_the_same_sign(world: World, steps: Steps) -> None:
    """Fees may eat all that a tiny sale brings in, and no more."""
    for step in steps:
        for state in (step.acted.book, step.matched.book):
            for position in state.positions.values():
                assert position.quantity != 0
                assert position.quantity * position.cost >= 0


@in_every_world()
def test_no_fill_turns_a_position_into_its_opposite(world: World, steps: Steps) -> None:
    """And only entries leave nothing: an addition meets a position, everything else a position that it reduces."""
    for step in steps:
        counted = held(step.placed)
        for fill in step.matched.fills:
            before = counted[fill.symbol]
            after = before + (fill.quantity if fill.side == "buy" else -fill.quantity)
            assert before * after >= 0
            assert (abs(after) > abs(before)) == fill.opens
            assert fill.role == "entry" or before
            counted[fill.symbol] = after
        assert counted == held(step.matched.book)


@in_every_world()
def test_what_short_sales_brought_in_pays_for_no_purchase(world: World, steps: Steps) -> None:
    """Cash less the proceeds of open shorts, counted anew fill by fill, pays every purchase that opens."""
    for step in steps:
        cash = step.placed.cash
        proceeds = {s: -p.cost for s, p in step.placed.positions.items() if p.quantity < 0}
        owed = {s: -q for s, q in held(step.placed).items() if q < 0}
        for fill in step.matched.fills:
            cash += fill.cash
            if fill.side == "sell" and fill.opens:
                proceeds[fill.symbol] = proceeds.get(fill.symbol, Decimal(0)) + fill.cash
                owed[fill.symbol] = owed.get(fill.symbol, 0) + fill.quantity
            elif fill.side == "buy" and not fill.opens:
                proceeds[fill.symbol] -= proceeds[fill.symbol] * fill.quantity / owed[fill.symbol]
                owed[fill.symbol] -= fill.quantity
            elif fill.side == "buy":
                assert cash - sum(proceeds.values()) >= -Decimal("0.01")


@in_every_world(shorts=False)
def test_cash_is_never_negative_between_two_fills_without_short_sales(world: World, steps: Steps) -> None:
    for step in steps:
        cash = step.placed.cash
        for fill in step.matched.fills:
            cash += fill.cash
            assert cash >= 0


@in_every_world()
def test_booked_amounts_have_at_most_four_places(world: World, steps: Steps) -> None:
    for step in steps:
        state = step.matched.book
        amounts = [state.cash, *(position.cost for position in state.positions.values())]
        amounts += [payment.amount for payment in step.acted.payments]
        assert all(amount == amount.quantize(Decimal("0.0001")) for amount in amounts)


@in_every_world(splits=False)
def test_no_order_fills_more_than_was_ordered(world: World, steps: Steps) -> None:
    ordered, filled = placed_in(world), Counter[str]()
    for fill in fills_of(steps):
        filled[fill.order_id] += fill.quantity
    assert all(0 < quantity <= ordered[order_id].quantity for order_id, quantity in filled.items())


@in_every_world()
def test_filled_never_exceeds_quantity_in_any_state(world: World, steps: Steps) -> None:
    for step in steps:
        for order in [*step.placed.orders.values(), *orders_after(step)]:
            assert 0 <= order.filled <= order.quantity
            assert (order.status == "filled") == (order.filled == order.quantity)


@in_every_world(splits=False)
def test_a_bracket_closes_at_most_what_its_entry_opened(world: World, steps: Steps) -> None:
    net = Counter[str]()
    for fill in fills_of(steps):
        if fill.role != "exit":
            net[fill.intent_id] += fill.quantity if fill.opens else -fill.quantity
            assert net[fill.intent_id] >= 0


@in_every_world()
def test_every_position_is_covered_exactly_by_its_stops_and_by_its_targets(world: World, steps: Steps) -> None:
    """Whatever was trimmed, split, or closed in part."""
    for step in steps:
        for state in (step.acted.book, step.matched.book):
            working = [order for order in state.orders.values() if order.status == "working" and not order.opens]
            for symbol, quantity in held(state).items():
                for role in ("stop", "target"):
                    mine = [order for order in working if order.symbol == symbol and order.role == role]
                    assert sum(order.open_quantity for order in mine) == abs(quantity)
                    assert all((order.side == "sell") == (quantity > 0) for order in mine)


@in_every_world()
def test_no_fill_lies_outside_its_bar_by_more_than_slippage_and_a_cent(world: World, steps: Steps) -> None:
    for step in steps:
        for fill in step.matched.fills:
            bar = step.day.bars[fill.symbol]
            slip = bar.high * world.costs.slippage_bp / 10_000 + TICK_USD
            assert bar.low - slip <= fill.price <= bar.high + slip
            assert fill.price > 0
            assert fill.price == fill.price.quantize(TICK_USD)


@in_every_world()
def test_no_fill_happens_before_its_order_was_placed(world: World, steps: Steps) -> None:
    ordered = placed_in(world)
    for step in steps:
        for fill in step.matched.fills:
            assert step.day.bars[fill.symbol].start >= ordered[fill.order_id].placed_at
            assert fill.session == SESSIONS[step.day.number].day


@in_every_world()
def test_fills_of_a_bar_keep_within_the_volume_share(world: World, steps: Steps) -> None:
    for step in steps:
        taken = Counter[str]()
        for fill in step.matched.fills:
            taken[fill.symbol] += fill.quantity
        assert all(n <= world.costs.volume_share_max * step.day.bars[symbol].volume for symbol, n in taken.items())


@in_every_world()
def test_fees_are_those_of_the_schedule(world: World, steps: Steps) -> None:
    for fill in fills_of(steps):
        assert fill.fee == fee(world.costs, fill.price, fill.quantity)
        assert fill.fee < world.costs.fee_fraction_max * fill.price * fill.quantity + TICK_USD


@in_every_world()
def test_limits_never_fill_at_a_worse_price(world: World, steps: Steps) -> None:
    for step in steps:
        for fill in step.matched.fills:
            limit = step.placed.orders[fill.order_id].limit_price
            if limit is not None:
                assert fill.price <= limit if fill.side == "buy" else fill.price >= limit


@in_every_world()
def test_equity_moves_by_prices_and_costs_and_by_nothing_else(world: World, steps: Steps) -> None:
    """Equity after the bar is equity before it, plus price moves of what was held, plus what each fill won or lost by the close."""
    for step in steps:
        before = held(step.placed)
        priced = {**dict.fromkeys(SYMBOLS, Decimal(0)), **step.carried}
        closes = {**priced, **step.closes}
        moves = sum((before[s] * (closes[s] - priced[s]) for s in SYMBOLS), Decimal(0))
        for fill in step.matched.fills:
            signed = fill.quantity if fill.side == "buy" else -fill.quantity
            moves += signed * (closes[fill.symbol] - fill.price) - fill.fee
        change = step.matched.book.equity(closes) - step.placed.equity(priced)
        assert abs(change - moves) < Decimal("1e-12")
        assert abs(change) <= bound_of(step, world, before) + Decimal("1e-12")


def bound_of(step: Step, world: World, before: dict[str, int]) -> Decimal:
    """The most that equity can move: the way of each price times the shares in play, plus slippage, rounding and fees."""
    total = Decimal(0)
    for symbol, bar in step.day.bars.items():
        if symbol in step.carried:
            total += abs(before[symbol]) * abs(bar.close - step.carried[symbol])
        way = bar.high - bar.low + bar.high * world.costs.slippage_bp / 10_000 + TICK_USD
        fills = [fill for fill in step.matched.fills if fill.symbol == symbol]
        total += sum((fill.quantity * way + fill.fee for fill in fills), Decimal(0))
    return total


@in_every_world()
def test_the_same_world_gives_the_same_books(world: World, steps: Steps) -> None:
    assert walk(world) == steps


@in_every_world()
def test_the_order_of_mappings_and_batches_changes_nothing(world: World, steps: Steps) -> None:
    for straight, turned in zip(steps, walk(world, reverse=True), strict=True):
        assert straight.matched == turned.matched
        assert list(straight.matched.book.orders) == list(turned.matched.book.orders)
        assert list(straight.matched.book.positions) == list(turned.matched.book.positions)
        assert straight.acted.payments == turned.acted.payments


@in_every_world()
def test_every_order_ends_exactly_once_or_is_still_open(world: World, steps: Steps) -> None:
    ends = Counter(order.id for step in steps for order in (*step.matched.filled, *step.matched.cancelled))
    left = steps[-1].matched.book.orders
    assert set(placed_in(world)) == set(ends) | set(left)
    assert set(ends.values()) <= {1}
    assert not set(ends) & set(left)
    assert all(order.status in OPEN for order in left.values())
    assert all(order.reason for step in steps for order in step.matched.cancelled)
    assert not any(order.reason for step in steps for order in step.matched.filled)


@in_every_world()
def test_no_day_order_outlives_its_session(world: World, steps: Steps) -> None:
    for step in steps:
        assert all(order.time_in_force == "gtc" for order in step.matched.book.orders.values())


@in_every_world()
def test_a_child_never_works_for_an_entry_that_has_not_filled(world: World, steps: Steps) -> None:
    bought = set[str]()
    for step in steps:
        bought |= {fill.order_id for fill in step.matched.fills if fill.opens}
        for order in step.matched.book.orders.values():
            if order.parent_id is not None:
                assert (order.status == "working") == (order.parent_id in bought)


@in_every_world()
def test_fill_ids_are_unique_and_number_the_fills_of_their_order(world: World, steps: Steps) -> None:
    fills = fills_of(steps)
    assert len({fill.id for fill in fills}) == len(fills)
    seen = Counter[str]()
    for fill in fills:
        seen[fill.order_id] += 1
        assert fill.id == f"{fill.order_id}#{seen[fill.order_id]}"


@in_every_world()
def test_fills_at_the_open_do_not_know_the_rest_of_the_bar(world: World, steps: Steps) -> None:
    for step in steps:
        flat = {symbol: flattened(bar) for symbol, bar in step.day.bars.items()}
        blind = match_session(step.placed, flat, world.costs)
        assert at_open(blind.fills) == at_open(step.matched.fills)


def flattened(bar: PriceBar) -> PriceBar:
    return replace(bar, high=bar.open, low=bar.open, close=bar.open)


def at_open(fills: tuple[Fill, ...]) -> list[Fill]:
    return [fill for fill in fills if fill.reason in {"open", "gap"}]


@in_every_world()
def test_fills_come_in_the_order_of_time(world: World, steps: Steps) -> None:
    for step in steps:
        times = [fill.at for fill in step.matched.fills]
        assert times == sorted(times)
        session = SESSIONS[step.day.number]
        assert all(
            fill.at == (session.open if fill in at_open((fill,)) else session.close) for fill in step.matched.fills
        )
