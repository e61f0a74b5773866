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

from trading_assets.core.strict_yaml import Strict

Topic = Literal["decision", "order", "fill", "halt", "resume", "bar", "news", "alert", "timer", "regime", "note"]


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
    start: datetime
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
    published: datetime


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
    Decided | Ordered | Filled | Halted | Resumed | BarClosed | NewsArrived | Alert | TimerFired | RegimeChanged | Note
)
TOPICS: Mapping[Topic, type[Payload]] = {
    "decision": Decided,
    "order": Ordered,
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


_TOPIC_OF: Mapping[type[Payload], Topic] = {payload: topic for topic, payload in TOPICS.items()}
