"""How fast messages go to Interactive Brokers: below its own limit, with room kept for cancels.

Three queues: cancels first, then questions, then orders in their sequence. A cancel of an order that is itself still queued waits
behind it and its siblings: ahead of them it would be refused as unknown, and the order would be placed afterwards.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

WINDOW_S: Final = 1.0
Write = Callable[[], None]


class Timer(Protocol):
    """The part of an event loop that is needed: a clock that never goes back, and calls at its times."""

    def time(self) -> float:
        """Seconds."""
        ...

    def call_at(self, when: float, callback: Write) -> object:
        """Calls back once it is that late."""
        ...


@dataclass(slots=True)
class _Batch:
    """Orders that were given together, and what cancels some of them."""

    order_ids: frozenset[int]
    writes: deque[Write]


class Outbox:
    """Writes at once while there is room, and otherwise as soon as there is some.

    Args:
        timer: The event loop.
        per_second: Messages in any second, all kinds together.
        reserve: How many of them only cancels may use.
    """

    def __init__(self, timer: Timer, *, per_second: int, reserve: int) -> None:
        self._timer = timer
        self._room = {True: per_second, False: max(per_second - reserve, 1)}
        self._sent: deque[float] = deque()
        self._urgent: deque[Write] = deque()
        self._asks: deque[Write] = deque()
        self._batches: deque[_Batch] = deque()
        self._is_waiting = False
        self._is_writing = False

    @property
    def pending(self) -> int:
        """Messages that are not written yet."""
        return len(self._urgent) + len(self._asks) + self.pending_orders

    @property
    def pending_orders(self) -> int:
        """Orders, and cancels behind them, that are not written yet."""
        return sum(len(batch.writes) for batch in self._batches)

    def place(self, order_ids: Sequence[int], writes: Sequence[Write]) -> None:
        """Orders in their sequence, one message each."""
        self._batches.append(_Batch(frozenset(order_ids), deque(writes)))
        self._write()

    def cancel(self, order_id: int, write: Write) -> None:
        """A cancel; it overtakes everything but its own order."""
        batch = next((batch for batch in self._batches if order_id in batch.order_ids), None)
        (self._urgent if batch is None else batch.writes).append(write)
        self._write()

    def cancel_all(self, write: Write) -> None:
        """A cancel of everything, behind every order that is queued."""
        (self._batches[-1].writes if self._batches else self._urgent).append(write)
        self._write()

    def ask(self, write: Write) -> None:
        """A question; it overtakes orders, but does not use the room that is kept for cancels."""
        self._asks.append(write)
        self._write()

    def clear(self) -> None:
        """Forgets what was not written; the connection is gone."""
        self._urgent.clear()
        self._asks.clear()
        self._batches.clear()

    def _write(self) -> None:
        if self._is_writing:
            return
        self._is_writing = True
        try:
            while (write := self._next()) is not None:
                self._sent.append(self._timer.time())
                write()
        finally:
            self._is_writing = False
        if self.pending and not self._is_waiting:
            self._is_waiting = True
            self._timer.call_at(self._sent[0] + WINDOW_S, self._again)

    def _again(self) -> None:
        self._is_waiting = False
        self._write()

    def _next(self) -> Write | None:
        if self._urgent and self._has_room(urgent=True):
            return self._urgent.popleft()
        if self._asks and self._has_room(urgent=False):
            return self._asks.popleft()
        if self._batches and self._has_room(urgent=False):
            return self._next_order()
        return None

    def _next_order(self) -> Write:
        batch = self._batches[0]
        write = batch.writes.popleft()
        if not batch.writes:
            self._batches.popleft()
        return write

    def _has_room(self, *, urgent: bool) -> bool:
        now = self._timer.time()
        while self._sent and now - self._sent[0] >= WINDOW_S:
            self._sent.popleft()
        return len(self._sent) < self._room[urgent]
