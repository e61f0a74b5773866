"""Reconciliation again and again against a broker that loses, delays and ends orders: it always comes to rest, covered.

The broker is the truth here and keeps its own books; the loop does nothing but what the changes demand.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.accounts import EMPTY, SENT, bracket, fill, looked, reducing, report, seen
from trading_assets.broker.applying import applied
from trading_assets.broker.lifecycle import AT_BROKER, Change, Known, Leg, Mismatch, MustCancel, MustProtect, Tracked
from trading_assets.broker.model import ENDED, BrokerStatus, Execution, Snapshot

TICK = timedelta(seconds=5)
QUIET_TICKS = 40


@dataclass
class Resting:
    """An order at the broker."""

    leg: Leg
    status: BrokerStatus = "working"
    filled: int = 0

    @property
    def is_live(self) -> bool:
        return self.status not in ENDED


@dataclass
class World:
    """A broker, what is still on its way to it, and a loop that knows only what it is told."""

    now: datetime = SENT
    known: Known = EMPTY
    previous: Snapshot | None = None
    orders: dict[int, Resting] = field(default_factory=dict)
    on_the_way: list[tuple[datetime, tuple[Leg, ...]]] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    next_id: int = 1
    protections: int = 0
    told: list[Mismatch] = field(default_factory=list)
    loses_protections: int = 0

    @property
    def position(self) -> int:
        return int(sum((one.signed for one in self.executions), Decimal(0)))

    def send(self, intent: Tracked, *, late: int | None) -> None:
        """Writes ahead, and then the request arrives, arrives late, or never does (`late` is None)."""
        self.next_id += len(intent.legs)
        sent = tuple(replace(leg, state="sent", sent_at=self.now, perm_ids=()) for leg in intent.legs)
        submitted = replace(intent, legs=sent, state="SUBMITTING", submitted_at=self.now)
        self.known = replace(self.known, intents=(*self.known.intents, submitted))
        if late is not None:
            self.on_the_way.append((self.now + late * TICK, sent))

    def arrive(self) -> None:
        for at, legs in list(self.on_the_way):
            if at <= self.now:
                self.on_the_way.remove((at, legs))
                self.orders |= {leg.order_id: Resting(leg) for leg in legs}

    def trade(self, order: Resting, shares: int) -> None:
        if not order.is_live or shares < 1:
            return
        order.filled += shares
        self.executions.append(fill(order.leg, shares, f"e{len(self.executions)}.01", at=self.now))
        if order.filled == order.leg.quantity:
            order.status = "filled"

    def end(self, order: Resting, status: BrokerStatus = "cancelled") -> None:
        """Ends an order; a parent that never filled takes its children along."""
        if not order.is_live:
            return
        order.status = status
        if not order.filled:
            for child in self._children(order):
                self.end(child)

    def can_sell(self, order: Resting) -> int:
        """Shares that a sell order could sell now: a child no more than came in through its parent."""
        left = order.leg.quantity - order.filled
        parents = [one for one in self.orders.values() if one.leg.key == order.leg.parent_key]
        if not parents:
            return left
        gone = sum(one.filled for one in self._children(parents[0]))
        return min(left, parents[0].filled - gone)

    def _children(self, parent: Resting) -> list[Resting]:
        return [one for one in self.orders.values() if one.leg.parent_key == parent.leg.key]

    def live(self, role: str) -> list[Resting]:
        return [order for order in self.orders.values() if order.leg.role == role and order.is_live]

    def look(self) -> tuple[Change, ...]:
        """One turn of the loop: five seconds pass, the broker is asked, what it demands is done."""
        self.now += TICK
        self.arrive()
        reports = [report(one.leg, one.status, done=one.filled) for one in self.orders.values()]
        snapshot = seen(reports, self.executions, held=self.position, at=self.now)
        changes = looked(self.known, snapshot, previous=self.previous)
        self.known, self.previous = applied(self.known, changes), snapshot
        for change in changes:
            if isinstance(change, Mismatch):
                self.told.append(change)
            if isinstance(change, MustCancel):
                self.end(self.orders[change.order_id])
            if isinstance(change, MustProtect):
                self._protect(int(change.quantity))
        return changes

    def _protect(self, shares: int) -> None:
        self.protections += 1
        self.loses_protections -= 1
        guard = reducing(
            f"p{self.protections}", "protect", shares, first_id=self.next_id, kind="stop", stop=Decimal(95)
        )
        self.send(guard, late=None if self.loses_protections >= 0 else 0)


ACTIONS = ["enter", "lose", "delay", "fill", "finish", "cancel", "stop out", "break stop", "break guard", "wait"]


def act(world: World, action: str, number: int) -> None:
    late = {"enter": 0, "lose": None, "delay": 1 + number}
    if action in late:
        intent = bracket(f"i{world.next_id}", quantity=10, first_id=world.next_id, named=False)
        world.send(intent, late=late[action])
    entries = world.live("entry")
    stops = [*world.live("stop"), *world.live("protect")]
    if action in {"fill", "finish"} and entries:
        left = entries[0].leg.quantity - entries[0].filled
        world.trade(entries[0], left if action == "finish" else min(left, 1 + number % 5))
    if action == "cancel" and entries:
        world.end(entries[0])
    if action == "stop out":
        for stop in stops:
            world.trade(stop, world.can_sell(stop))
    if action == "break stop" and world.live("stop"):
        world.end(world.live("stop")[0])
    if action == "break guard":
        world.loses_protections = 1


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), max_size=25))
@settings(max_examples=20, deadline=None)
@pytest.mark.fault(4)
@pytest.mark.fault(38)
@pytest.mark.fault(39)
@pytest.mark.fault(59)
@pytest.mark.fault(65)
@pytest.mark.fault(66)
def test_the_loop_comes_to_rest_covered_whatever_happened(history: list[tuple[str, int]]) -> None:
    world = World()
    for action, number in history:
        act(world, action, number)
        assert world.position >= 0
        world.look()
    for _ in range(QUIET_TICKS):
        changes = world.look()
    assert changes == ()
    assert world.known.position("AAPL") == world.position
    assert {change.code for change in world.told} <= {"zombie"}
    assert all(intent.state not in {"SUBMITTING", "UNKNOWN"} for intent in world.known.intents)
    stops = [*world.live("stop"), *world.live("protect")]
    assert sum(world.can_sell(stop) for stop in stops) == world.position
    for intent in world.known.intents:
        working = [world.orders[leg.order_id].is_live for leg in intent.legs[:1] if leg.order_id in world.orders]
        assert (intent.state in AT_BROKER) == any(working)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), max_size=20))
@settings(max_examples=20, deadline=None)
@pytest.mark.control("W1")
def test_shares_lack_cover_for_three_looks_at_most(history: list[tuple[str, int]]) -> None:
    """Ten seconds of patience while the symbol trades, and one look to see it; a protection that is lost begins anew."""
    world, naked = World(), 0
    for action, number in [(a, n) for a, n in history if a not in {"break guard", "fill", "finish"}] + [
        ("wait", 0)
    ] * 8:
        act(world, action, number)
        if action == "enter":
            world.look()
            act(world, "finish", 0)
        world.look()
        world.arrive()
        covered = sum(world.can_sell(stop) for stop in (*world.live("stop"), *world.live("protect")))
        naked = naked + 1 if covered < world.position else 0
        assert naked <= 3
