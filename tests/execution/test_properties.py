"""What holds in every world: nothing is lost, nothing is invented, nothing is known too early."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings

from tests.execution.desks import SESSIONS
from tests.execution.worlds import SYMBOLS, Step, World, held, walk, worlds
from trading_assets.core.money import TICK_USD
from trading_assets.execution.book import OPEN
from trading_assets.execution.corporate import split_shares
from trading_assets.execution.matching import fee, match_session
from trading_assets.execution.model import Fill, Order, PriceBar

every_world = settings(
    deadline=None,
    max_examples=100,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def fills_of(steps: tuple[Step, ...]) -> list[Fill]:
    return [fill for step in steps for fill in step.matched.fills]


def placed_in(world: World) -> dict[str, Order]:
    return {order.id: order for day in world.days for order in day.orders}


def orders_after(step: Step) -> list[Order]:
    return [*step.matched.book.orders.values(), *step.matched.filled, *step.matched.cancelled]


@given(worlds())
@every_world
def test_cash_moves_only_by_fills_dividends_and_cash_in_lieu(world: World) -> None:
    steps = walk(world)
    moved = sum((fill.cash for fill in fills_of(steps)), Decimal(0))
    moved += sum((step.acted.cash_dividends + step.acted.cash_in_lieu for step in steps), Decimal(0))
    assert world.cash + moved == steps[-1].matched.book.cash


@given(worlds())
@every_world
def test_payments_are_the_dividends_and_the_cash_in_lieu_once_per_symbol(world: World) -> None:
    for step in walk(world):
        payments = step.acted.payments
        assert sum((p.amount for p in payments), Decimal(0)) == step.acted.cash_dividends + step.acted.cash_in_lieu
        assert len({payment.symbol for payment in payments}) == len(payments)


@given(worlds())
@every_world
def test_shares_are_the_sum_of_fills_in_the_share_count_of_the_day(world: World) -> None:
    counted = dict.fromkeys(SYMBOLS, 0)
    for step in walk(world):
        for action in step.day.actions:
            if action.kind == "split":
                counted[action.symbol], _ = split_shares(counted[action.symbol], action.ratio)
        for fill in step.matched.fills:
            counted[fill.symbol] += fill.quantity if fill.side == "buy" else -fill.quantity
        assert counted == held(step.matched.book)


@given(worlds())
@every_world
def test_neither_cash_nor_a_position_is_ever_negative(world: World) -> None:
    for step in walk(world):
        for state in (step.acted.book, step.matched.book):
            assert state.cash >= 0
            assert all(position.quantity > 0 and position.cost >= 0 for position in state.positions.values())


@given(worlds())
@every_world
def test_cash_is_never_negative_between_two_fills(world: World) -> None:
    for step in walk(world):
        cash = step.placed.cash
        for fill in step.matched.fills:
            cash += fill.cash
            assert cash >= 0


@given(worlds())
@every_world
def test_booked_amounts_have_at_most_four_places(world: World) -> None:
    for step in walk(world):
        state = step.matched.book
        amounts = [state.cash, *(position.cost for position in state.positions.values())]
        amounts += [payment.amount for payment in step.acted.payments]
        assert all(amount == amount.quantize(Decimal("0.0001")) for amount in amounts)


@given(worlds(splits=False))
@every_world
def test_no_order_fills_more_than_was_ordered(world: World) -> None:
    ordered, filled = placed_in(world), Counter[str]()
    for fill in fills_of(walk(world)):
        filled[fill.order_id] += fill.quantity
    assert all(0 < quantity <= ordered[order_id].quantity for order_id, quantity in filled.items())


@given(worlds())
@every_world
def test_filled_never_exceeds_quantity_in_any_state(world: World) -> None:
    for step in walk(world):
        for order in [*step.placed.orders.values(), *orders_after(step)]:
            assert 0 <= order.filled <= order.quantity
            assert (order.status == "filled") == (order.filled == order.quantity)


@given(worlds(splits=False))
@every_world
def test_a_bracket_sells_at_most_what_its_entry_bought(world: World) -> None:
    net = Counter[str]()
    for fill in fills_of(walk(world)):
        if fill.role != "exit":
            net[fill.intent_id] += fill.quantity if fill.side == "buy" else -fill.quantity
            assert net[fill.intent_id] >= 0


@given(worlds(exits=False, splits=False))
@every_world
def test_every_position_is_covered_exactly_by_its_stops_and_by_its_targets(world: World) -> None:
    for step in walk(world):
        working = [order for order in step.matched.book.orders.values() if order.status == "working"]
        for symbol, quantity in held(step.matched.book).items():
            for role in ("stop", "target"):
                assert sum(o.open_quantity for o in working if o.symbol == symbol and o.role == role) == quantity


@given(worlds())
@every_world
def test_no_position_is_ever_without_a_stop_for_all_of_it(world: World) -> None:
    for step in walk(world):
        working = [order for order in step.matched.book.orders.values() if order.status == "working"]
        for symbol, quantity in held(step.matched.book).items():
            stops = [order.open_quantity for order in working if order.symbol == symbol and order.role == "stop"]
            assert sum(stops) >= quantity
            assert all(stop <= quantity for stop in stops)


@given(worlds())
@every_world
def test_no_fill_lies_outside_its_bar_by_more_than_slippage_and_a_cent(world: World) -> None:
    for step in walk(world):
        for fill in step.matched.fills:
            bar = step.day.bars[fill.symbol]
            slip = bar.high * world.costs.slippage_bp / 10_000 + TICK_USD
            assert bar.low - slip <= fill.price <= bar.high + slip
            assert fill.price > 0
            assert fill.price == fill.price.quantize(TICK_USD)


@given(worlds())
@every_world
def test_no_fill_happens_before_its_order_was_placed(world: World) -> None:
    ordered = placed_in(world)
    for step in walk(world):
        for fill in step.matched.fills:
            assert step.day.bars[fill.symbol].start >= ordered[fill.order_id].placed_at
            assert fill.session == SESSIONS[step.day.number].day


@given(worlds())
@every_world
def test_fills_of_a_bar_keep_within_the_volume_share(world: World) -> None:
    for step in walk(world):
        taken = Counter[str]()
        for fill in step.matched.fills:
            taken[fill.symbol] += fill.quantity
        assert all(n <= world.costs.volume_share_max * step.day.bars[symbol].volume for symbol, n in taken.items())


@given(worlds())
@every_world
def test_fees_are_those_of_the_schedule(world: World) -> None:
    for fill in fills_of(walk(world)):
        assert fill.fee == fee(world.costs, fill.price, fill.quantity)
        assert fill.fee < world.costs.fee_fraction_max * fill.price * fill.quantity + TICK_USD


@given(worlds())
@every_world
def test_limits_never_fill_at_a_worse_price(world: World) -> None:
    for step in walk(world):
        for fill in step.matched.fills:
            limit = step.placed.orders[fill.order_id].limit_price
            if limit is not None:
                assert fill.price <= limit if fill.side == "buy" else fill.price >= limit


@given(worlds())
@every_world
def test_equity_moves_by_prices_and_costs_and_by_nothing_else(world: World) -> None:
    """Equity after the bar is equity before it, plus price moves of what was held, plus what each fill won or lost by the close."""
    for step in walk(world):
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
            total += before[symbol] * abs(bar.close - step.carried[symbol])
        way = bar.high - bar.low + bar.high * world.costs.slippage_bp / 10_000 + TICK_USD
        fills = [fill for fill in step.matched.fills if fill.symbol == symbol]
        total += sum((fill.quantity * way + fill.fee for fill in fills), Decimal(0))
    return total


@given(worlds())
@every_world
def test_the_same_world_gives_the_same_books(world: World) -> None:
    assert walk(world) == walk(world)


@given(worlds())
@every_world
def test_the_order_of_mappings_and_batches_changes_nothing(world: World) -> None:
    for straight, turned in zip(walk(world), walk(world, reverse=True), strict=True):
        assert straight.matched == turned.matched
        assert list(straight.matched.book.orders) == list(turned.matched.book.orders)
        assert list(straight.matched.book.positions) == list(turned.matched.book.positions)
        assert straight.acted.payments == turned.acted.payments


@given(worlds())
@every_world
def test_every_order_ends_exactly_once_or_is_still_open(world: World) -> None:
    steps = walk(world)
    ends = Counter(order.id for step in steps for order in (*step.matched.filled, *step.matched.cancelled))
    left = steps[-1].matched.book.orders
    assert set(placed_in(world)) == set(ends) | set(left)
    assert set(ends.values()) <= {1}
    assert not set(ends) & set(left)
    assert all(order.status in OPEN for order in left.values())
    assert all(order.reason for step in steps for order in step.matched.cancelled)
    assert not any(order.reason for step in steps for order in step.matched.filled)


@given(worlds())
@every_world
def test_no_day_order_outlives_its_session(world: World) -> None:
    for step in walk(world):
        assert all(order.time_in_force == "gtc" for order in step.matched.book.orders.values())


@given(worlds())
@every_world
def test_a_child_never_works_for_an_entry_that_has_bought_nothing(world: World) -> None:
    bought = set[str]()
    for step in walk(world):
        bought |= {fill.order_id for fill in step.matched.fills if fill.side == "buy"}
        for order in step.matched.book.orders.values():
            if order.parent_id is not None:
                assert (order.status == "working") == (order.parent_id in bought)


@given(worlds())
@every_world
def test_fill_ids_are_unique_and_number_the_fills_of_their_order(world: World) -> None:
    fills = fills_of(walk(world))
    assert len({fill.id for fill in fills}) == len(fills)
    seen = Counter[str]()
    for fill in fills:
        seen[fill.order_id] += 1
        assert fill.id == f"{fill.order_id}#{seen[fill.order_id]}"


@given(worlds())
@every_world
def test_fills_at_the_open_do_not_know_the_rest_of_the_bar(world: World) -> None:
    for step in walk(world):
        flat = {symbol: flattened(bar) for symbol, bar in step.day.bars.items()}
        blind = match_session(step.placed, flat, world.costs)
        assert at_open(blind.fills) == at_open(step.matched.fills)


def flattened(bar: PriceBar) -> PriceBar:
    return replace(bar, high=bar.open, low=bar.open, close=bar.open)


def at_open(fills: tuple[Fill, ...]) -> list[Fill]:
    return [fill for fill in fills if fill.reason in {"open", "gap"}]


@given(worlds())
@every_world
def test_fills_come_in_the_order_of_time(world: World) -> None:
    for step in walk(world):
        times = [fill.at for fill in step.matched.fills]
        assert times == sorted(times)
        session = SESSIONS[step.day.number]
        assert all(
            fill.at == (session.open if fill in at_open((fill,)) else session.close) for fill in step.matched.fills
        )
