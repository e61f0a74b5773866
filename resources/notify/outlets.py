"""What still has to go out on one channel, in a thread of its own: one that fails or hangs delays nobody else.

What waits is kept in memory. What a dead process leaves unsent was told on another channel, or is told again: a page repeats until
it is answered.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from resources.notify.model import WANTS_AN_ANSWER, Notice
from resources.notify.senders import Sender

WAITING_MAX = 200
PAUSE_FIRST, PAUSE_MAX = timedelta(seconds=5), timedelta(minutes=5)


class _Attempt(threading.Thread):
    """One call of a sender; `problem` is empty when it was told."""

    def __init__(self, sender: Sender, notices: Sequence[Notice]) -> None:
        super().__init__(name=f"notify-{sender.name}", daemon=True)
        self.notices = tuple(notices)
        self.problem = ""
        self._sender = sender

    def run(self) -> None:
        """Whatever goes wrong in a channel is a problem of that channel."""
        try:
            self._sender.send(self.notices)
        except Exception as failed:  # noqa: BLE001 - a library's bug must not silence the other channels
            self.problem = str(failed) or type(failed).__name__


class Outlet:
    """One sender, and what waits for it.

    Args:
        redact: Takes secrets out of what a sender says of its failure.
    """

    def __init__(self, sender: Sender, redact: Callable[[str], str]) -> None:
        self.sender = sender
        self._redact = redact
        self._waiting: dict[str, Notice] = {}
        self._attempt: _Attempt | None = None
        self._is_late = False
        self._failures = 0
        self._not_before: datetime | None = None

    @property
    def is_late(self) -> bool:
        """Whether an attempt takes longer than it may."""
        return self._is_late

    @property
    def waiting(self) -> int:
        """How many notices have not been told."""
        return len(self._waiting)

    def add(self, notices: Sequence[Notice]) -> None:
        """Queues what the sender is to tell; the oldest news gives way when too much waits."""
        for notice in notices:
            if notice.severity in self.sender.severities:
                self._waiting[notice.key] = notice
        while len(self._waiting) > WAITING_MAX:
            news = (key for key, each in self._waiting.items() if each.severity not in WANTS_AN_ANSWER)
            del self._waiting[next(news, next(iter(self._waiting)))]

    def drop_answered(self, unanswered: Collection[int]) -> None:
        """Forgets pages that were answered while they waited."""
        gone = [
            key
            for key, each in self._waiting.items()
            if each.page and each.severity in WANTS_AN_ANSWER and each.page not in unanswered
        ]
        for key in gone:
            del self._waiting[key]

    def begin(self, now: datetime) -> None:
        """Starts to tell what waits, unless an earlier attempt still runs or a pause after a failure does."""
        paused = self._not_before is not None and now < self._not_before
        if self._waiting and self._attempt is None and not paused:
            self._attempt = _Attempt(self.sender, list(self._waiting.values()))
            self._attempt.start()

    def finish(self, wait_s: float, now: datetime) -> tuple[frozenset[str], str]:
        """Waits for the attempt: keys of what was told, and what there is to say of the channel, empty for nothing new.

        One that takes longer is said to hang, once, and goes on: nobody waits for it again, and no second attempt runs beside it.
        """
        attempt = self._attempt
        if attempt is None:
            return frozenset(), ""
        attempt.join(0.0 if self._is_late else max(0.0, wait_s))
        if attempt.is_alive():
            return frozenset(), self._late()
        self._attempt, self._is_late = None, False
        if attempt.problem:
            return frozenset(), self._failed(attempt.problem, now)
        for notice in attempt.notices:
            if self._waiting.get(notice.key) is notice:
                del self._waiting[notice.key]
        return frozenset(notice.key for notice in attempt.notices), self._recovered()

    def _late(self) -> str:
        if self._is_late:
            return ""
        self._is_late = True
        self._failures += 1
        return f"channel {self.sender.name} hangs; {len(self._waiting)} notices wait for it"

    def _failed(self, problem: str, now: datetime) -> str:
        """Told when it begins to fail; the pause doubles."""
        is_new = self._failures == 0
        pause = min(PAUSE_FIRST * 2 ** min(self._failures, 10), PAUSE_MAX)
        self._failures += 1
        self._not_before = now + pause
        again = f"trying again after {pause.total_seconds():.0f} s and longer"
        return f"channel {self.sender.name} fails: {self._redact(problem)}; {again}" if is_new else ""

    def _recovered(self) -> str:
        was, self._failures, self._not_before = self._failures, 0, None
        return f"channel {self.sender.name} works again after {was} failures" if was else ""
