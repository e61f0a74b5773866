"""Random worlds for the properties of the book.

Bars with gaps and holes, splits, dividends, brackets on both sides, additions, positions that end at the close, exits, tight cash.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import TypeVar

from tests.execution.desks import SESSIONS, bracket, order
from trading_assets.execution.book import held_quantity, place
from trading_assets.execution.corporate import Action, ActionResult, apply_actions, split_price
from trading_assets.execution.matching import Matched, match_session
from trading_assets.execution.model import Book, Costs, Order, OrderRole, OrderType, PriceBar, Side, TimeInForce

T = TypeVar("T")
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


Check = Callable[[World, tuple[Step, ...]], None]
WORLDS = 250


def in_every_world(
    *, splits: bool = True, exits: bool = True, shorts: bool = True
) -> Callable[[Check], Callable[[], None]]:
    """Makes a check of a world and its walk a test over many of them, which all tests of a process share."""

    def decorate(check: Check) -> Callable[[], None]:
        def test() -> None:
            for world, steps in _walked(splits, exits, shorts):
                check(world, steps)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate


@cache
def _walked(splits: bool, exits: bool, shorts: bool) -> tuple[tuple[World, tuple[Step, ...]], ...]:
    made = (world_of(number, splits=splits, exits=exits, shorts=shorts) for number in range(WORLDS))
    return tuple((world, walk(world)) for world in made)


def held(state: Book) -> dict[str, int]:
    """Shares by symbol."""
    return {symbol: held_quantity(state, symbol) for symbol in SYMBOLS}


def _turned(state: Book) -> Book:
    return replace(
        state,
        positions=dict(reversed(tuple(state.positions.items()))),
        orders=dict(reversed(tuple(state.orders.items()))),
    )


def world_of(number: int, *, splits: bool = True, exits: bool = True, shorts: bool = True) -> World:
    """Three to eight sessions of two symbols; the same number makes the same world."""
    return _Maker(Random(number), splits=splits, exits=exits, shorts=shorts).world()


class _Maker:
    """Draws a world piece by piece. Most orders of a symbol stand on one side, so that additions and exits meet a position."""

    def __init__(self, rng: Random, *, splits: bool, exits: bool, shorts: bool) -> None:
        self.rng, self.splits, self.exits = rng, splits, exits
        self.sides: tuple[Side, ...] = ("buy", "sell") if shorts else ("buy",)
        self.cents = {symbol: self.whole(1_000, 20_000) for symbol in SYMBOLS}
        self.usual = {symbol: self.one(*self.sides) for symbol in SYMBOLS}

    def world(self) -> World:
        days = tuple(self.day(number) for number in range(self.whole(3, 8)))
        return World(Decimal(self.one(0, 1_000, 25_000, 1_000_000, 1_000_000)), self.costs(), days)

    def day(self, number: int) -> Day:
        actions = tuple(self.actions(number)) if number else ()
        for action in actions:
            self.cents[action.symbol] = _after(self.cents[action.symbol], action)
        orders = tuple(each for place in range(self.whole(0, 4)) for each in self.orders(number, place))
        bars = {symbol: self.bar(symbol, number) for symbol in SYMBOLS}
        return Day(number, actions, orders, {symbol: bar for symbol, bar in bars.items() if self.often(9, 10)})

    def actions(self, number: int) -> Iterator[Action]:
        session = SESSIONS[number].day
        for symbol in SYMBOLS:
            if self.often(1, 8):
                yield Action(symbol, session, "cash_dividend", amount=Decimal(self.whole(1, 30_000)) / 10_000)
            if self.splits and self.often(1, 6):
                yield Action(symbol, session, "split", ratio=Decimal(self.one(*RATIOS)))

    def bar(self, symbol: str, number: int) -> PriceBar:
        before, wide, session = self.cents[symbol], self.one(4, 12, 30), SESSIONS[number]
        prices = [min(max(before * self.whole(100 - wide, 100 + wide) // 100, 50), CEILING_CENTS) for _ in range(4)]
        self.cents[symbol] = prices[1]
        opened, closed, high, low = (Decimal(each) / 100 for each in (*prices[:2], max(prices), min(prices)))
        volume = self.one(0, 7, 500, 3_000, 10**6, 10**6)
        return PriceBar(symbol, session.day, session.open, session.close, opened, high, low, closed, volume)

    def orders(self, number: int, place: int) -> tuple[Order, ...]:
        symbol = self.one(*SYMBOLS)
        name = f"{number}{place}{symbol[0]}"
        tif: TimeInForce = self.one("day", "gtc")
        side = self.usual[symbol] if self.often(5, 6) else self.one(*self.sides)
        made = (self.exit if self.exits and self.often(1, 4) else self.entry)(name, symbol, side, tif)
        at = SESSIONS[number].open + timedelta(minutes=self.one(-60, 0, 0, 0, 30))
        return tuple(replace(each, placed_at=at, session=SESSIONS[number].day) for each in made)

    def entry(self, name: str, symbol: str, side: Side, tif: TimeInForce) -> tuple[Order, ...]:
        kind: OrderType = self.one("market", "limit", "stop")
        role: OrderRole = self.one("entry", "entry", "addition")
        level = max(50, self.cents[symbol] * self.whole(85, 115) // 100)
        entry = order(
            f"{name}-{role}",
            role,
            kind,
            self.whole(1, 300),
            side=side,
            limit=_price(level) if kind == "limit" else None,
            stop=_price(level) if kind == "stop" else None,
            symbol=symbol,
            tif=tif,
        )
        below = _price(max(1, level * self.whole(80, 98) // 100))
        above = _price(level * self.whole(102, 125) // 100 + 1)
        stop, target = (below, above) if side == "buy" else (above, below)
        return bracket(entry, stop=stop, target=target, close=tif == "day" and self.often(1, 2))

    def exit(self, name: str, symbol: str, side: Side, tif: TimeInForce) -> tuple[Order, ...]:
        kind: OrderType = self.one("market", "limit")
        limit = _price(self.cents[symbol] * self.whole(90, 110) // 100) if kind == "limit" else None
        leaves: Side = "sell" if side == "buy" else "buy"
        quantity = self.whole(1, 400)
        return (order(f"{name}-exit", "exit", kind, quantity, side=leaves, limit=limit, symbol=symbol, tif=tif),)

    def costs(self) -> Costs:
        return Costs(
            fee_per_share=Decimal(self.one("0", "0.005", "0.0035")),
            fee_min=Decimal(self.one("0", "0.35", "1")),
            fee_fraction_max=Decimal(self.one("0.005", "0.01", "1")),
            slippage_bp=Decimal(self.one("0", "2", "37.5", "500")),
            volume_share_max=Decimal(self.one("0.01", "0.05", "0.333", "1", "1")),
        )

    def whole(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def often(self, times: int, of: int) -> bool:
        return self.whole(1, of) <= times

    def one(self, *options: T) -> T:
        return options[self.whole(0, len(options) - 1)]


def _after(cents: int, action: Action) -> int:
    if action.kind != "split":
        return cents
    price = split_price(Decimal(cents) / 100, action.ratio, "ROUND_HALF_EVEN")
    return min(max(int(price * 100), FLOOR_CENTS), CEILING_CENTS)


def _price(cents: int) -> str:
    return str(Decimal(cents) / 100)
