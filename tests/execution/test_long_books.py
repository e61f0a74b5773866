"""Long brackets trade as they did before shorts existed: digests of whole walks, recorded with the code that knew no shorts.

The walks are made of `Random.random`, which Python promises to keep. One bracket a symbol at a time: no symbol was ever bought
while it was held.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from tests.execution.desks import SESSIONS, bracket, order
from tests.signatures.gated import LIMITS, plan, portfolio
from trading_assets.core.money import usd
from trading_assets.execution.book import place
from trading_assets.execution.corporate import Action, apply_actions
from trading_assets.execution.matching import Matched, match_session
from trading_assets.execution.model import Book, Costs, Fill, Order, PriceBar
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import DividendPaid
from trading_assets.execution.round_trips import Origin, round_trips
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.risk_gate import Surroundings, judge
from trading_assets.signatures.state import StateRuling

NAMES = ("AAA", "BBB", "CCC")
RATIOS = (Decimal(2), Decimal("1.5"), Decimal("0.1"), Decimal(3))
BOOKS = "a08dadedbc3b32985cbd34dd3f7d711c2789c5036ca4b8850f86af238f157d48"
TRIPS = "ef2aaa763c042cc56e0e04402d8ee16f329184dacf289f451811677bddcbd5fe"
VERDICTS = "ab5b00d96ca9b1d761bb0a715dd78748f1edcb9ec7e5b087778474ad0ff95c88"
CONTROLS = {"C1", "C3", "C4", "C7", "C8", "C9", "C9b", "C10", "C18", "C18b", "C19", "C19b", "C20", "X1"}
Cents = dict[str, int]


def digest(lines: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def whole(rng: Random, low: int, high: int) -> int:
    """A number from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


def money(cents: int) -> str:
    return str(Decimal(max(cents, 1)) / 100)


def told_order(each: Order) -> str:
    prices = f"{each.limit_price} {each.stop_price}"
    size = f"{each.quantity} {each.filled} {each.fills}"
    return f"{each.id} {each.side} {each.type} {each.role} {size} {prices} {each.status} {each.reason}"


def told_fill(each: Fill) -> str:
    return (
        f"{each.id} {each.side} {each.quantity} {each.price} {each.fee} {each.at.isoformat()} {each.reason} {each.cash}"
    )


def told_book(book: Book) -> Iterator[str]:
    yield str(book.cash)
    yield from (f"{held.symbol} {held.quantity} {held.cost}" for held in book.positions.values())
    yield from (told_order(each) for each in book.orders.values())


def told(matched: Matched) -> Iterator[str]:
    yield from map(told_fill, matched.fills)
    yield from map(told_order, (*matched.filled, *matched.cancelled))
    yield from told_book(matched.book)


def some_costs(rng: Random) -> Costs:
    fees = (Decimal("0.005"), Decimal(1), Decimal("0.01"))
    return Costs(*fees, Decimal(whole(rng, 0, 40)), Decimal(whole(rng, 1, 100)) / 100)


def some_actions(rng: Random, number: int, cents: Cents) -> list[Action]:
    found = []
    for symbol in NAMES:
        if rng.random() < 0.1:
            found.append(Action(symbol, SESSIONS[number].day, "cash_dividend", amount=Decimal(whole(rng, 1, 90)) / 100))
        if rng.random() < 0.05:
            ratio = RATIOS[whole(rng, 0, 3)]
            cents[symbol] = max(100, int(cents[symbol] / ratio))
            found.append(Action(symbol, SESSIONS[number].day, "split", ratio=ratio))
    return found


def some_entry(rng: Random, number: int, symbol: str, cents: int) -> tuple[Order, ...]:
    kind = ("market", "limit", "limit", "stop")[whole(rng, 0, 3)]
    level = cents * whole(rng, 95, 105) // 100
    entry = order(
        f"{number}{symbol}-entry",
        type=kind,  # type: ignore[arg-type]
        quantity=whole(rng, 1, 300),
        limit=money(level) if kind == "limit" else None,
        stop=money(level) if kind == "stop" else None,
        symbol=symbol,
        day=number,
        tif="day" if rng.random() < 0.7 else "gtc",
    )
    late = timedelta(minutes=30 if rng.random() < 0.1 else 0)
    below, above = money(level * whole(rng, 85, 97) // 100), money(level * whole(rng, 103, 120) // 100 + 1)
    made = bracket(replace(entry, placed_at=entry.placed_at + late), stop=below, target=above)
    return tuple(replace(each, session=SESSIONS[number].day) for each in made)


def some_orders(rng: Random, number: int, book: Book, cents: Cents) -> Iterator[Order]:
    for symbol in NAMES:
        held = book.positions.get(symbol)
        busy = any(each.symbol == symbol for each in book.orders.values())
        if held is None and not busy and rng.random() < 0.6:
            yield from some_entry(rng, number, symbol, cents[symbol])
        elif held is not None and rng.random() < 0.15:
            yield order(f"{number}{symbol}-exit", "exit", quantity=held.quantity, symbol=symbol, day=number, tif="day")


def some_bars(rng: Random, number: int, cents: Cents) -> Mapping[str, PriceBar]:
    session, bars = SESSIONS[number], {}
    for symbol in NAMES:
        opened = max(100, cents[symbol] * whole(rng, 94, 106) // 100)
        closed = max(100, opened * whole(rng, 94, 106) // 100)
        high, low = max(opened, closed) * whole(rng, 100, 105) // 100, min(opened, closed) * whole(rng, 95, 100) // 100
        first, top, bottom, last = (Decimal(each) / 100 for each in (opened, high, low, closed))
        volume = (0, 90, 2_000, 10**6)[whole(rng, 0, 3)]
        cents[symbol] = closed
        if rng.random() < 0.95:
            bars[symbol] = PriceBar(symbol, session.day, session.open, session.close, first, top, bottom, last, volume)
    return bars


class Walk:
    """Fifty sessions of three symbols, and everything that they brought about."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.lines: list[str] = []
        self.fills: list[Fill] = []
        self.splits: list[Action] = []
        self.paid: list[DividendPaid] = []
        cents, costs = {symbol: whole(rng, 1_000, 20_000) for symbol in NAMES}, some_costs(rng)
        closes: dict[str, Decimal] = {}
        book = Book(usd(whole(rng, 5_000, 200_000)))
        for number in range(50):
            actions = some_actions(rng, number, cents)
            acted = apply_actions(book, actions, session=SESSIONS[number].day, last_close=closes)
            self.splits += actions
            self.paid += acted.payments
            self.lines += [*told_book(acted.book), *map(str, acted.payments), *acted.notes]
            placed = place(acted.book, list(some_orders(rng, number, acted.book, cents)))
            bars = some_bars(rng, number, cents)
            matched = match_session(placed, bars, costs)
            self.fills += matched.fills
            self.lines += told(matched)
            closes = {symbol: Decimal(price) / 100 for symbol, price in cents.items()}
            book = matched.book
        self.book = book

    def trips(self) -> Iterator[str]:
        origins = {each.intent_id: Origin("any", "any", Decimal(9)) for each in self.fills}
        for trip in round_trips(self.fills, self.splits, self.paid, origins):
            prices = f"{trip.entry_price} {trip.exit_price} {trip.stop_price}"
            earned = f"{trip.fees} {trip.dividends} {trip.pnl} {trip.return_fraction!r}"
            yield f"{trip.session} {trip.trade_id} {trip.symbol} {trip.quantity} {prices} {earned} {trip.exit_reason}"


def walks() -> list[Walk]:
    return [Walk(seed) for seed in range(12)]


def some_plan(rng: Random) -> TradePlan:
    cents = whole(rng, 400, 40_000)
    leaves = rng.random() < 0.2
    return plan(
        whole(rng, 1, 700),
        entry=money(cents),
        stop=None if leaves else money(cents * whole(rng, 930, 1_001) // 1_000),
        target=None if leaves else money(cents * whole(rng, 1_000, 1_150) // 1_000),
        symbol=NAMES[whole(rng, 0, 2)],
    )


def judged(seed: int) -> Iterator[str]:
    rng = Random(seed)
    sectors = {"AAA": "Software", "BBB": "Software"}
    for _ in range(200):
        asked = some_plan(rng)
        volumes = {symbol: float(whole(rng, 0, 60_000)) for symbol in NAMES}
        around = Surroundings(
            portfolio(cash=whole(rng, 0, 150_000)), StateRuling("ACTIVE", "as said"), sectors, volumes, LIMITS
        )
        verdict = judge(asked, around)
        yield f"{verdict.plan_digest} {verdict.ruling} {verdict.quantity}"
        yield from (breach.sentence for breach in verdict.breaches if breach.control in CONTROLS)
        if verdict.quantity:
            yield from map(told_order, orders_of(intent_for(asked, verdict, book="backtest", limits_hash="pinned")))


def test_books_of_long_brackets_are_what_they_were() -> None:
    found = walks()
    assert sum(len(walk.fills) for walk in found) > 500
    assert digest(line for walk in found for line in walk.lines) == BOOKS


def test_round_trips_of_long_brackets_are_what_they_were() -> None:
    assert digest(line for walk in walks() for line in walk.trips()) == TRIPS


def test_verdicts_and_orders_of_long_plans_are_what_they_were() -> None:
    assert digest(line for seed in range(5) for line in judged(seed)) == VERDICTS
