"""Looks between the scheduled slots: which events deserve one, when, and under which label.

Problem: a fill, an alert, news, a change of regime or a halt does not wait for the next half hour. Decision: an event makes a slot
of its own, which runs the same decision code and only reduces. Its label is made from the event alone, so every process finds the
same one and the ledger's unique index on (book, session, slot) makes a second look impossible. An event that a later decision has
seen, that is too old, or that lies outside an open session makes none. Remaining gap: the pause counts from the moment that a look
was about, so a look that had to wait is followed by the next one sooner than the pause says.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.messages import Alert, Executed, Filled, Halted, Message, NewsArrived, RegimeChanged, Topic
from trading_assets.core.operations import Events, EventTopic
from trading_assets.core.settings import Decisions
from trading_assets.core.slots import Slot, due_slot, slot_between
from trading_assets.execution.ports import Decision, LedgerSession
from trading_assets.regimes.model import MARKET

BOOK = "desk"
IDLE = "IDLE"
TOPICS: dict[EventTopic, tuple[Topic, ...]] = {
    "fill": ("execution", "fill"),
    "alert": ("alert",),
    "news": ("news",),
    "regime": ("regime",),
    "halt": ("halt",),
}
"""By word of the settings, the topics of the bus that it stands for."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look that may run now: its slot, why, and the ids of the messages that it answers. `event` gave the slot its name."""

    slot: Slot
    cause: str
    messages: tuple[int, ...]
    event: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nobody looks now. With `until` the same messages deserve a look then; without it none of them ever will."""

    reason: str
    until: datetime | None = None


def topics_of(settings: Events) -> frozenset[Topic]:
    """The topics of the bus that make the desk look."""
    return frozenset(topic for word in settings.topics for topic in TOPICS[word])


def age_max(slots: Decisions, settings: Events) -> timedelta:
    """How old an event may be when it is looked at: it may have to wait for a slot's grace and for the pause."""
    return slots.grace + timedelta(minutes=settings.pause_minutes)


def next_look(
    messages: Sequence[Message],
    *,
    as_of: datetime,
    last_look: datetime | None,
    slots: Decisions,
    settings: Events,
    symbols: Collection[str] | None = None,
    decided: Collection[str] = (),
) -> Look | Wait:
    """Whether the desk should look between its slots at `as_of`, because of the newest message that deserves it.

    Args:
        messages: What the bus holds behind the caller's cursor, of any topics and books.
        last_look: The moment of the newest decision of the session that looked at anything (`looked_at`); None before the first.
        slots: The scheduled slots and their grace.
        symbols: Symbols that are held or watched: news, alerts and regimes of others are passed over. None: every symbol.
        decided: Labels of the session's slots that are decided; a scheduled slot that is due and not among them comes first.
    """
    session = XNYS.today(as_of)
    if session is None or not session.open <= as_of < session.close:
        return Wait("the exchange is closed: the slot at the open sees what happens until then")
    wanted = topics_of(settings)
    asked = [each for each in messages if each.draft.topic in wanted and concerns(each, symbols)]
    since = max(session.open, last_look or session.open)
    fresh = _fresh(asked, session, since=since, as_of=as_of, oldest=as_of - age_max(slots, settings))
    if not fresh:
        ahead = [slot_between(session, each.draft.at, "").at for each in asked if each.draft.at > as_of]
        soon = min((moment for moment in ahead if since < moment < session.close), default=None)
        return Wait("an event speaks of a moment ahead", soon) if soon else Wait(_nothing(messages, asked, since))
    newest = fresh[-1]
    slot = slot_between(session, newest.draft.at, cause_of(newest))
    until, why = _held_up(slot, as_of, last_look, slots, settings, decided)
    if until >= session.close:
        return Wait(f"{why}, and by then the session is over")
    if until > as_of:
        return Wait(why, until)
    return Look(slot, slot.cause, tuple(sorted(each.id for each in fresh)), newest.id)


def concerns(message: Message, symbols: Collection[str] | None) -> bool:
    """Whether a message is about the desk's book and something that it holds or watches.

    An alert needs a symbol: one about the machine is no reason to look at the market, and a look that fails must not cause the
    next one.
    """
    payload = message.draft.payload
    if message.draft.book != BOOK:
        return False
    if isinstance(payload, Halted | Filled | Executed):
        return True
    if isinstance(payload, Alert) and (payload.severity == "info" or not payload.symbol):
        return False
    if isinstance(payload, Alert | NewsArrived | RegimeChanged):
        return symbols is None or payload.symbol in {*symbols, MARKET}
    return False


def cause_of(message: Message) -> str:
    """What happened, in words of the desk's own: no text of a source is repeated. Empty for what is no event."""
    payload = message.draft.payload
    told = ""
    if isinstance(payload, Halted):
        told = f"halt {payload.halt_id}"
    elif isinstance(payload, Filled | Executed):
        told = f"a fill in {payload.symbol}"
    elif isinstance(payload, Alert):
        told = f"{payload.severity} alert {payload.code} on {payload.symbol}"
    elif isinstance(payload, NewsArrived):
        told = f"news on {payload.symbol}"
    elif isinstance(payload, RegimeChanged):
        told = f"the regime of {payload.symbol} went from {payload.before} to {payload.after}"
    return f"{told} (message {message.id})" if told else ""


def looked_at(decisions: Sequence[Decision]) -> datetime | None:
    """The moment of the newest decision of a session that looked at anything; idle slots read nothing."""
    return max((each.as_of for each in decisions if each.state != IDLE), default=None)


def next_look_of(
    messages: Sequence[Message],
    ledger: LedgerSession,
    *,
    as_of: datetime,
    slots: Decisions,
    settings: Events,
    symbols: Collection[str],
) -> Look | Wait:
    """`next_look` with what the ledger knows of the session.

    Args:
        symbols: Symbols that are watched; what is held is added.
    """
    session = XNYS.today(as_of)
    decisions = ledger.decisions(session.day, session.day) if session else ()
    return next_look(
        messages,
        as_of=as_of,
        last_look=looked_at(decisions),
        slots=slots,
        settings=settings,
        symbols={*symbols, *(held_in(ledger, session) if session else ())},
        decided=[each.slot for each in decisions],
    )


def held_in(ledger: LedgerSession, session: Session) -> frozenset[str]:
    """Symbols held: as the broker tells them and as the book was carried into the session."""
    told = ledger.at_broker(session.day)
    close = ledger.latest_close(session.day)
    return frozenset(told.held or ()) | frozenset(close.book.positions if close else ())


def _fresh(
    asked: Sequence[Message], session: Session, *, since: datetime, as_of: datetime, oldest: datetime
) -> list[Message]:
    """What no decision has seen yet, by time: a message of the second in which a decision stood was seen by it."""
    found = []
    for each in asked:
        at = slot_between(session, each.draft.at, "").at
        if since < at < session.close and oldest <= each.draft.at <= as_of:
            found.append(each)
    return sorted(found, key=lambda each: (each.draft.at, each.id))


def _nothing(messages: Sequence[Message], asked: Sequence[Message], since: datetime) -> str:
    if not messages:
        return "nothing happened"
    if not asked:
        return f"none of {len(messages)} messages is about anything that the desk holds or watches"
    here = since.astimezone(NEW_YORK)
    return f"none of {len(asked)} events is both young and newer than the last look, {here:%H:%M:%S} New York"


def _held_up(
    slot: Slot,
    as_of: datetime,
    last_look: datetime | None,
    slots: Decisions,
    settings: Events,
    decided: Collection[str],
) -> tuple[datetime, str]:
    """From when on the look may run, and what it waits for until then."""
    waits = [(slot.at, "the second of the event is not over")]
    if last_look is not None:
        waits.append(
            (
                last_look + timedelta(minutes=settings.pause_minutes),
                f"{settings.pause_minutes:g} minutes lie between two looks",
            )
        )
    due = due_slot(XNYS, slots.slots, as_of=as_of, grace=slots.grace)
    if isinstance(due, Slot) and due.label not in decided:
        waits.append((due.at + slots.grace, f"slot {due.label} is due and comes first"))
    return max(waits)
