"""The rate of messages: never more than allowed in any second, cancels first, orders in their sequence, each once."""

import heapq
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.ib.outbox import WINDOW_S, Outbox

PER_SECOND, RESERVE = 8, 3


class Loop:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (when, next(self._order), callback))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._calls and self._calls[0][0] <= end:
            when, _, callback = heapq.heappop(self._calls)
            self.now = max(self.now, when)
            callback()
        self.now = end


class Desk:
    """An outbox and what it wrote, with the times."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.box = Outbox(self.loop, per_second=PER_SECOND, reserve=RESERVE)
        self.written: list[tuple[float, str]] = []

    def write(self, name: str) -> Callable[[], None]:
        return lambda: self.written.append((self.loop.now, name))

    def place(self, *order_ids: int) -> None:
        self.box.place(order_ids, [self.write(f"order {number}") for number in order_ids])

    def cancel(self, order_id: int) -> None:
        self.box.cancel(order_id, self.write(f"cancel {order_id}"))

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.written]


def test_orders_are_written_at_once_while_there_is_room() -> None:
    desk = Desk()
    desk.place(1, 2, 3)
    assert desk.names == ["order 1", "order 2", "order 3"]
    assert desk.box.pending == 0


@pytest.mark.fault(42)
def test_orders_beyond_the_rate_are_written_later_in_their_sequence_and_once() -> None:
    desk = Desk()
    desk.place(*range(1, 31))
    assert len(desk.written) == PER_SECOND - RESERVE
    assert desk.box.pending == 30 - (PER_SECOND - RESERVE)
    desk.loop.run(10)
    assert desk.names == [f"order {number}" for number in range(1, 31)]
    assert desk.box.pending == 0


@pytest.mark.fault(42)
def test_a_cancel_overtakes_queued_orders_and_uses_the_room_that_they_may_not() -> None:
    desk = Desk()
    desk.place(*range(1, 20))
    desk.cancel(99)
    assert desk.names[-1] == "cancel 99"
    assert desk.box.pending_orders == 19 - (PER_SECOND - RESERVE)


def test_even_cancels_keep_the_rate() -> None:
    desk = Desk()
    for number in range(20):
        desk.cancel(number)
    assert len(desk.written) == PER_SECOND
    desk.loop.run(5)
    assert desk.names == [f"cancel {number}" for number in range(20)]


def test_a_cancel_of_a_queued_order_waits_behind_it_and_its_siblings() -> None:
    desk = Desk()
    desk.place(*range(1, 6))
    desk.place(10, 11, 12)
    desk.cancel(10)
    desk.place(20)
    desk.loop.run(5)
    assert desk.names[5:] == ["order 10", "order 11", "order 12", "cancel 10", "order 20"]


def test_a_cancel_of_an_order_that_is_half_written_with_its_siblings_waits_for_them() -> None:
    desk = Desk()
    desk.place(1, 2, 3)
    desk.place(10, 11, 12)
    assert desk.names[-1] == "order 11"
    desk.cancel(10)
    assert desk.names[-1] == "order 11"
    desk.loop.run(2)
    assert desk.names[-2:] == ["order 12", "cancel 10"]


def test_a_cancel_of_everything_comes_behind_every_queued_order() -> None:
    desk = Desk()
    desk.place(*range(1, 12))
    desk.box.cancel_all(desk.write("all"))
    desk.loop.run(5)
    assert desk.names[-2:] == ["order 11", "all"]


def test_a_question_overtakes_orders_but_leaves_the_reserve_alone() -> None:
    desk = Desk()
    desk.place(*range(1, 12))
    desk.box.ask(desk.write("time"))
    assert "time" not in desk.names
    desk.loop.run(WINDOW_S)
    assert desk.names[PER_SECOND - RESERVE] == "time"


def test_what_was_not_written_is_forgotten_with_the_connection() -> None:
    desk = Desk()
    desk.place(*range(1, 12))
    desk.cancel(11)
    written = list(desk.names)
    desk.box.clear()
    desk.loop.run(10)
    assert desk.names == written
    assert desk.box.pending == 0


def test_what_a_write_causes_is_written_after_it() -> None:
    desk = Desk()

    def write() -> None:
        desk.cancel(7)
        desk.write("first")()

    desk.box.place((1,), (write,))
    assert desk.names == ["first", "cancel 7"]


ACTIONS = st.one_of(
    st.tuples(st.just("place"), st.integers(1, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 60)),
    st.tuples(st.just("ask"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 1500)),
)


@pytest.mark.fault(42)
@settings(max_examples=25)
@given(st.lists(ACTIONS, max_size=60))
def test_no_second_holds_more_messages_than_allowed_and_nothing_is_lost_or_doubled(
    actions: list[tuple[str, int]],
) -> None:
    desk, numbers, given_names = Desk(), count(1), []
    for action, value in actions:
        if action == "place":
            ids = [next(numbers) for _ in range(value)]
            given_names += [f"order {number}" for number in ids]
            desk.place(*ids)
        elif action == "cancel":
            given_names.append(f"cancel {value}")
            desk.cancel(value)
        elif action == "ask":
            given_names.append("ask")
            desk.box.ask(desk.write("ask"))
        else:
            desk.loop.run(value / 1000)
    desk.loop.run(60)
    assert sorted(desk.names) == sorted(given_names)
    times = [at for at, _ in desk.written]
    assert all(later - first >= WINDOW_S - 1e-9 for first, later in zip(times, times[PER_SECOND:], strict=False))
    calm = [at for at, name in desk.written if not name.startswith("cancel")]
    bound = PER_SECOND - RESERVE
    assert all(later - first >= WINDOW_S - 1e-9 for first, later in zip(calm, calm[bound:], strict=False))
    orders = [name for name in desk.names if name.startswith("order")]
    assert orders == [name for name in given_names if name.startswith("order")]
    _cancels_follow_their_orders(desk.names, given_names)


def _cancels_follow_their_orders(written: list[str], given_names: list[str]) -> None:
    for name in set(given_names):
        number = name.removeprefix("order ")
        cancels = [at for at, other in enumerate(given_names) if other == f"cancel {number}"]
        if name.startswith("order") and cancels and min(cancels) > given_names.index(name):
            assert written.index(f"cancel {number}") > written.index(name)
