"""What holds whatever comes: random orders, cancels, quotes and closes against one account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.paper.book import Costs, fee
from resources.brokers.paper.exchange import Exchange
from tests.brokers.paper.books import NOW, STARTING_CASH, book, bracket, exchange, order, place, prices, quote
from tests.brokers.paper.stage import COSTS
from trading_assets.broker.model import BrokerEvent, Executed, OrderRequest, Reported
from trading_assets.execution.matching import fee as fee_of_bars

cents = st.integers(9_700, 10_300)
sizes = st.none() | st.integers(0, 80)


@dataclass
class Life:
    """An account to which things happen; `after` counts seconds."""

    on: Exchange = field(default_factory=exchange)
    after: int = 0
    placed: dict[int, OrderRequest] = field(default_factory=dict)

    def place(self, *requests: OrderRequest) -> None:
        place(self.on, *requests, now=NOW + timedelta(seconds=self.after))
        self.placed.update({request.order_id: request for request in requests})

    @property
    def next_id(self) -> int:
        return max(self.placed, default=0) + 1


Deed = Callable[[Life], None]


def _quoted(bid: int, spread: int, sizes_: tuple[int | None, int | None], halted: bool, symbol: str) -> Deed:
    def deed(life: Life) -> None:
        life.after += 1
        sides = (f"{bid / 100:.2f}", f"{(bid + spread) / 100:.2f}")
        said: dict[str, Any] = {"bid_size": sizes_[0], "ask_size": sizes_[1], "halted": halted}
        life.on.quote(quote(*sides, after=life.after, symbol=symbol, **said))

    return deed


def _bracketed(quantity: int, entry: int) -> Deed:
    def deed(life: Life) -> None:
        life.place(*bracket(life.next_id, quantity, entry=f"{entry / 100:.2f}", stop="98.00", target="102.00"))

    return deed


def _joined(quantity: int) -> Deed:
    """A sale joins the group of the first bracket, for no more shares than its stop has left."""

    def deed(life: Life) -> None:
        open_stops = [o for o in life.on.book.orders.values() if o.kind == "stop" and o.is_open and o.parent]
        for stop in open_stops[:1]:
            bought = life.on.book.orders[stop.parent].filled - stop.reduced - stop.filled
            if bought > 0:
                life.place(order(life.next_id, "sell", min(quantity, bought), oca_group=stop.oca_group, name="exit"))

    return deed


def _cancelled(which: int) -> Deed:
    def deed(life: Life) -> None:
        entries = [o for o in life.on.book.orders.values() if not o.parent and not o.oca_group]
        if entries:
            chosen = entries[which % len(entries)]
            life.on.cancel(chosen.order_id, client_id=11, ended=not chosen.is_open)

    return deed


quotes = st.builds(
    _quoted,
    cents,
    st.integers(0, 6),
    st.tuples(sizes, sizes),
    st.sampled_from((False, False, False, True)),
    st.just("AAPL"),
)
bracketed = st.builds(_bracketed, st.integers(1, 200), cents)
joined = st.builds(_joined, st.integers(1, 200))
cancelled = st.builds(_cancelled, st.integers(0, 5))
lives = st.lists(st.one_of(quotes, quotes, quotes, bracketed, joined, cancelled), max_size=30)


def lived(deeds: list[Deed]) -> Life:
    life = Life()
    for deed in deeds:
        deed(life)
    return life


@settings(max_examples=25, deadline=None)
@given(lives)
def test_cash_and_shares_are_what_the_executions_say(deeds: list[Deed]) -> None:
    on = lived(deeds).on
    flow = sum((-f.execution.signed * f.execution.price - f.fee for f in on.fills), Decimal(0))
    assert on.book.cash == STARTING_CASH + flow
    assert on.book.held("AAPL") == sum(f.execution.signed for f in on.fills)
    assert len({f.execution.exec_id for f in on.fills}) == len(on.fills)


@settings(max_examples=25, deadline=None)
@given(lives)
def test_no_order_fills_beyond_its_quantity_and_none_after_its_end(deeds: list[Deed]) -> None:
    life = lived(deeds)
    filled: dict[int, int] = {}
    ended: set[int] = set()
    for happened in life.on.happened:
        event: BrokerEvent = happened.event
        if isinstance(event, Executed):
            number = event.execution.order_id
            assert number not in ended
            filled[number] = filled.get(number, 0) + int(event.execution.quantity)
            assert filled[number] <= life.placed[number].quantity
        elif isinstance(event, Reported) and event.report.status in {"cancelled", "filled", "rejected"}:
            ended.add(event.report.order_id)
    assert {o.order_id: o.filled for o in life.on.book.orders.values() if o.filled} == filled


@settings(max_examples=25, deadline=None)
@given(lives)
def test_a_group_never_sells_more_than_its_entry_has_bought(deeds: list[Deed]) -> None:
    life = Life()
    on = life.on
    for deed in deeds:
        deed(life)
        for entry in [o for o in on.book.orders.values() if not o.parent and not o.oca_group]:
            group = f"D1:{entry.order_id}"
            sold = sum(o.filled for o in on.book.orders.values() if o.oca_group == group)
            assert sold <= entry.filled
        assert on.book.held("AAPL") >= 0


@settings(max_examples=25, deadline=None)
@given(lives)
def test_shares_of_a_bracket_are_never_without_a_stop_of_their_size(deeds: list[Deed]) -> None:
    life = Life()
    for deed in deeds:
        deed(life)
        covered = sum(o.remaining for o in life.on.book.orders.values() if o.kind == "stop" and o.is_open)
        assert covered >= life.on.book.held("AAPL")


@settings(max_examples=30, deadline=None)
@given(lives)
def test_the_same_life_lived_twice_is_the_same(deeds: list[Deed]) -> None:
    one, two = lived(deeds).on, lived(deeds).on
    assert (one.happened, one.book) == (two.happened, two.book)


@settings(max_examples=25, deadline=None)
@given(lives)
def test_a_quote_heard_twice_fills_once(deeds: list[Deed]) -> None:
    """As two processes hear the same market: every quote arrives twice, and nothing more trades."""
    once, twice = Life(), Life()
    for deed in deeds:
        deed(once)
        before = twice.after
        deed(twice)
        if twice.after != before:
            view = twice.on.book.views["AAPL"]
            twice.on.quote(view.quote)
    assert prices(once.on) == prices(twice.on)


@settings(max_examples=25, deadline=None)
@given(lives)
def test_what_is_held_cost_what_was_paid_for_it(deeds: list[Deed]) -> None:
    life = lived(deeds)
    held, bought = life.on.book.holdings.get("AAPL"), [f for f in life.on.fills if f.execution.side == "buy"]
    if held is not None and held.quantity and len(bought) == len(life.on.fills):
        assert held.cost == sum((f.execution.quantity * f.execution.price + f.fee for f in bought), Decimal(0))
    assert held is None or held.quantity != 0


@settings(max_examples=25, deadline=None)
@given(st.decimals("0.01", 5000, places=2), st.integers(1, 100_000))
def test_the_fee_is_that_of_the_bars(price: Decimal, quantity: int) -> None:
    costs: Costs = COSTS
    assert fee(costs, price, quantity) == fee_of_bars(COSTS, price, quantity)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-200, 200).filter(bool), cents), min_size=1, max_size=12))
def test_a_flat_position_has_earned_what_cash_has_gained(trades: list[tuple[int, int]]) -> None:
    account = book(Decimal(10_000_000))
    on = exchange(account)
    for number, (signed, price) in enumerate(trades, 1):
        on.quote(quote(f"{price / 100:.2f}", f"{price / 100:.2f}", after=number))
        place(on, order(number, "buy" if signed > 0 else "sell", abs(signed)), now=NOW + timedelta(seconds=number))
    equity = on.book.values().equity
    assert equity is not None
    held = on.book.held("AAPL")
    last = Decimal(trades[-1][1]) / 100
    assert abs(equity - (on.book.cash + held * last)) <= Decimal("0.0001")
