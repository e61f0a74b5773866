"""Words of the bus: what one process tells another, typed by topic.

A message is stored before it counts as sent. Topics and their payloads are a closed list (`TOPICS`): an unknown topic, or a payload
that does not fit it, is refused by sender and receiver alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime

from trading_assets.core.strict_yaml import Strict
from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table

Topic = Literal[
    "decision",
    "order",
    "signed",
    "state",
    "execution",
    "fill",
    "halt",
    "resume",
    "bar",
    "news",
    "alert",
    "timer",
    "regime",
    "note",
]


class Decided(Strict):
    """A slot was decided."""

    slot: str
    state: str
    reason: str
    plans: int
    vetoes: int


class Ordered(Strict):
    """An order was placed."""

    order_id: str
    intent_id: str
    symbol: str
    side: str
    role: str
    quantity: int


class Signed(Strict):
    """All three signers have sealed an intent."""

    intent_id: str
    symbol: str


class StateChanged(Strict):
    """An intent stands elsewhere in its life; `why` is empty where the state says it all."""

    intent_id: str
    state: str
    why: str


class Executed(Strict):
    """A broker told of an execution. USD; `intent_id` is empty where no order of the desk explains it."""

    exec_id: str
    intent_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal


class Filled(Strict):
    """An execution was booked. USD."""

    fill_id: str
    order_id: str
    symbol: str
    side: str
    quantity: int
    price: Decimal
    fee: Decimal


class Halted(Strict):
    """A book stopped."""

    halt_id: int
    cause: str


class Resumed(Strict):
    """The operator answered a halt."""

    halt_id: int
    reason: str


class BarClosed(Strict):
    """A bar is complete. USD as traded, shares."""

    symbol: str
    start: AwareDatetime
    seconds: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class NewsArrived(Strict):
    """A headline was stored in the lake."""

    symbol: str
    news_id: str
    published: AwareDatetime


class Alert(Strict):
    """Something needs eyes: a price level, a risk event, a file that could not be written."""

    severity: Literal["info", "warning", "critical"]
    code: str
    sentence: str
    symbol: str = ""


class TimerFired(Strict):
    """A moment that somebody waited for."""

    name: str


class RegimeChanged(Strict):
    """A confirmed change of regime."""

    symbol: str
    before: str
    after: str


class Note(Strict):
    """Free words between processes."""

    text: str


Payload = (
    Decided
    | Ordered
    | Signed
    | StateChanged
    | Executed
    | Filled
    | Halted
    | Resumed
    | BarClosed
    | NewsArrived
    | Alert
    | TimerFired
    | RegimeChanged
    | Note
)
TOPICS: Mapping[Topic, type[Payload]] = {
    "decision": Decided,
    "order": Ordered,
    "signed": Signed,
    "state": StateChanged,
    "execution": Executed,
    "fill": Filled,
    "halt": Halted,
    "resume": Resumed,
    "bar": BarClosed,
    "news": NewsArrived,
    "alert": Alert,
    "timer": TimerFired,
    "regime": RegimeChanged,
    "note": Note,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is sent. `at` is the moment that it speaks of; no recipient means everyone."""

    book: str
    session: date
    at: datetime
    sender: str
    payload: Payload
    recipient: str | None = None
    correlation_id: str = ""
    signature: str | None = None

    @property
    def topic(self) -> Topic:
        """The topic of the payload's type."""
        return _TOPIC_OF[type(self.payload)]


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; ids ascend in the order in which messages became visible."""

    id: int
    draft: Draft


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages somebody wants to hear.

    No topic means every topic. With a recipient it is what is said to that recipient and to everyone; without one, what is said to
    anybody.
    """

    topics: frozenset[Topic] = frozenset()
    recipient: str | None = None
    book: str | None = None

    def fits(self, draft: Draft) -> bool:
        """Whether the message is one of them."""
        heard = self.recipient is None or draft.recipient in {None, self.recipient}
        return heard and (not self.topics or draft.topic in self.topics) and self.book in {None, draft.book}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the bus; every bound is included, and one that is absent does not limit.

    Sessions are those that messages name, instants those that messages speak of.
    """

    first_id: int = 1
    last_id: int | None = None
    first_session: date = date.min
    last_session: date = date.max
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, message: Message) -> bool:
        """Whether the message lies in it."""
        at, day = message.draft.at, message.draft.session
        return (
            self.first_id <= message.id
            and (self.last_id is None or message.id <= self.last_id)
            and self.first_session <= day <= self.last_session
            and (self.since is None or self.since <= at)
            and (self.until is None or at <= self.until)
        )


BUS_MESSAGES = Table(
    name="bus_messages",
    doc="One message of the bus that the ledger has handed over to the lake.",
    key=("id",),
    columns=(
        SESSION,
        KNOWABLE_AT,
        Column("id", "text", "Number of the message in its ledger, 19 digits; ascends as messages became visible."),
        Column("day", "day", "Day that the message names; `session` is the first session on or after it."),
        Column("book", "text", "Whose message it is."),
        Column("sender", "text", "Who said it."),
        Column("recipient", "text", "To whom; empty for everyone.", nullable=True),
        Column("topic", "text", "What it is about; names the payload's type."),
        Column("payload", "text", "What was said, as canonical JSON."),
        Column("correlation_id", "text", "Ties messages, orders and entries of one decision together."),
        Column("signature", "text", "The sender's signature.", nullable=True),
    ),
)
_TOPIC_OF: Mapping[type[Payload], Topic] = {payload: topic for topic, payload in TOPICS.items()}
