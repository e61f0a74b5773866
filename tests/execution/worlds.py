"""Random worlds for the properties of the book: bars with gaps and holes, splits, dividends, brackets, exits, tight cash."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import strategies as st

from tests.execution.desks import SESSIONS, bracket, order
from trading_assets.execution.book import held_quantity, place
from trading_assets.execution.corporate import Action, ActionResult, apply_actions, split_price
from trading_assets.execution.matching import Matched, match_session
from trading_assets.execution.model import Book, Costs, Order, PriceBar, TimeInForce

SYMBOLS = ("AAA", "BBB")
RATIOS = ("2", "1.5", "3", "0.5", "0.1", "0.03333333333333333")
FLOOR_CENTS, CEILING_CENTS = 200, 2_000_000


@dataclass(frozen=True)
class Day:
    """One session of a world: what is in force at its open, what is placed then, and its bars."""

    number: int
    actions: tuple[Action, ...]
    orders: tuple[Order, ...]
    bars: Mapping[str, PriceBar]


@dataclass(frozen=True)
class World:
    """Cash, costs and days."""

    cash: Decimal
    costs: Costs
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Step:
    """One walked session: the book before and after corporate actions, with orders, and after matching.

    `carried` are the last known prices before the session in its share count, `closes` those after it.
    """

    day: Day
    before: Book
    acted: ActionResult
    placed: Book
    matched: Matched
    carried: Mapping[str, Decimal]
    closes: Mapping[str, Decimal]


def walk(world: World, *, reverse: bool = False) -> tuple[Step, ...]:
    """Walks a world's days; `reverse` turns the order of every mapping and batch that goes in."""
    state, closes, steps = Book(world.cash), dict[str, Decimal](), []
    for day in world.days:
        if reverse:
            state = _turned(state)
        actions = day.actions[::-1] if reverse else day.actions
        session = SESSIONS[day.number].day
        acted = apply_actions(state, actions, session=session, last_close=closes)
        placed = place(acted.book, day.orders[::-1] if reverse else day.orders)
        bars = dict(reversed(tuple(day.bars.items()))) if reverse else day.bars
        matched = match_session(placed, bars, world.costs)
        ratios = {action.symbol: action.ratio for action in day.actions if action.kind == "split"}
        carried = {symbol: price / ratios.get(symbol, Decimal(1)) for symbol, price in closes.items()}
        closes = {**carried, **{symbol: each.close for symbol, each in day.bars.items()}}
        steps.append(Step(day, state, acted, placed, matched, carried, closes))
        state = matched.book
    return tuple(steps)


def held(state: Book) -> dict[str, int]:
    """Shares by symbol."""
    return {symbol: held_quantity(state, symbol) for symbol in SYMBOLS}


def _turned(state: Book) -> Book:
    return replace(
        state,
        positions=dict(reversed(tuple(state.positions.items()))),
        orders=dict(reversed(tuple(state.orders.items()))),
    )


@st.composite
def worlds(draw: st.DrawFn, *, splits: bool = True, exits: bool = True) -> World:
    """Up to eight sessions of two symbols."""
    count = draw(st.integers(2, 8))
    cents = {symbol: draw(st.integers(1_000, 20_000)) for symbol in SYMBOLS}
    days = []
    for number in range(count):
        actions = tuple(draw(_actions(number, splits=splits)))
        for action in actions:
            cents[action.symbol] = _after(cents[action.symbol], action)
        orders = draw(_orders(number, cents, exits=exits))
        bars = {}
        for symbol in SYMBOLS:
            made = draw(_bar(symbol, number, cents[symbol]))
            cents[symbol] = int(made.close * 100)
            if draw(st.integers(0, 9)):
                bars[symbol] = made
        days.append(Day(number, actions, orders, bars))
    return World(Decimal(draw(st.sampled_from([0, 1_000, 25_000, 1_000_000]))), draw(_costs()), tuple(days))


@st.composite
def _actions(draw: st.DrawFn, number: int, *, splits: bool) -> list[Action]:
    session, found = SESSIONS[number].day, []
    for symbol in SYMBOLS:
        if number and draw(st.integers(0, 7)) == 0:
            amount = Decimal(draw(st.integers(1, 30_000))) / 10_000
            found.append(Action(symbol, session, "cash_dividend", amount=amount))
        if splits and number and draw(st.integers(0, 5)) == 0:
            found.append(Action(symbol, session, "split", ratio=Decimal(draw(st.sampled_from(RATIOS)))))
    return found


def _after(cents: int, action: Action) -> int:
    if action.kind != "split":
        return cents
    price = split_price(Decimal(cents) / 100, action.ratio, "ROUND_HALF_EVEN")
    return min(max(int(price * 100), FLOOR_CENTS), CEILING_CENTS)


@st.composite
def _bar(draw: st.DrawFn, symbol: str, number: int, before: int) -> PriceBar:
    low_side, high_side = max(1, before * 70 // 100), before * 130 // 100 + 1
    prices = [min(max(draw(st.integers(low_side, high_side)), 50), CEILING_CENTS) for _ in range(4)]
    first, last = prices[0], prices[1]
    session = SESSIONS[number]
    volume = draw(st.sampled_from([0, 7, 500, 3_000, 10**6]))
    high, low = Decimal(max(prices)) / 100, Decimal(min(prices)) / 100
    opened, closed = Decimal(first) / 100, Decimal(last) / 100
    return PriceBar(symbol, session.day, session.open, session.close, opened, high, low, closed, volume)


@st.composite
def _orders(draw: st.DrawFn, number: int, cents: Mapping[str, int], *, exits: bool) -> tuple[Order, ...]:
    made: tuple[Order, ...] = ()
    for position in range(draw(st.integers(0, 3))):
        symbol = draw(st.sampled_from(SYMBOLS))
        name = f"{number}{position}{symbol[0]}"
        tif: TimeInForce = "day" if draw(st.booleans()) else "gtc"
        minutes = draw(st.sampled_from([-60, 0, 0, 0, 30]))
        leaves = exits and draw(st.integers(0, 3)) == 0
        orders = draw((_exit if leaves else _entry)(name, symbol, cents[symbol], tif))
        at = SESSIONS[number].open + timedelta(minutes=minutes)
        made += tuple(replace(each, placed_at=at, session=SESSIONS[number].day) for each in orders)
    return made


@st.composite
def _entry(draw: st.DrawFn, name: str, symbol: str, cents: int, tif: TimeInForce) -> tuple[Order, ...]:
    kind = draw(st.sampled_from(["market", "limit", "stop"]))
    level = max(50, cents * draw(st.integers(85, 115)) // 100)
    entry = order(
        f"{name}-entry",
        type=kind,  # type: ignore[arg-type]
        quantity=draw(st.integers(1, 300)),
        limit=_price(level) if kind == "limit" else None,
        stop=_price(level) if kind == "stop" else None,
        symbol=symbol,
        tif=tif,
    )
    below = max(1, level * draw(st.integers(80, 98)) // 100)
    above = level * draw(st.integers(102, 125)) // 100 + 1
    return bracket(entry, stop=_price(below), target=_price(above))


@st.composite
def _exit(draw: st.DrawFn, name: str, symbol: str, cents: int, tif: TimeInForce) -> tuple[Order, ...]:
    kind = draw(st.sampled_from(["market", "limit"]))
    limit = _price(cents * draw(st.integers(90, 110)) // 100) if kind == "limit" else None
    quantity = draw(st.integers(1, 400))
    return (order(f"{name}-exit", "exit", kind, quantity, limit=limit, symbol=symbol, tif=tif),)  # type: ignore[arg-type]


@st.composite
def _costs(draw: st.DrawFn) -> Costs:
    return Costs(
        fee_per_share=Decimal(draw(st.sampled_from(["0", "0.005", "0.0035"]))),
        fee_min=Decimal(draw(st.sampled_from(["0", "0.35", "1"]))),
        fee_fraction_max=Decimal(draw(st.sampled_from(["0.005", "0.01", "1"]))),
        slippage_bp=Decimal(draw(st.sampled_from(["0", "2", "37.5", "500"]))),
        volume_share_max=Decimal(draw(st.sampled_from(["0.01", "0.05", "0.333", "1"]))),
    )


def _price(cents: int) -> str:
    return str(Decimal(cents) / 100)
