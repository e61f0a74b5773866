"""The bus: messages that are stored before they count as sent, and consumers whose place is stored with what they did.

A transaction is the single writer of a ledger, on SQLite and on PostgreSQL. So ids ascend in the order in which messages become
visible, and whoever has read up to an id has missed nothing below it. A consumer's cursor moves in the transaction that books what
the consumer made of the messages: killed at any moment, it has done both or neither. Two processes under one name take turns.
"""

import math
import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple, Self

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import canonical, instant_of, instant_text
from resources.ledger.wakeups import announce, listener_on, wake
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import TOPICS, Draft, Message, Payload, Topic, Wanted, Window
from trading_assets.core.ports import Clock

Start = Literal["beginning", "end"]
LOOK_EVERY_S = 1.0
ARCHIVED_THROUGH = "messages_archived_through"
_PAGE = 1_000
# A book names a folder of the lake as soon as its messages are archived.
_BOOK = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_NAME_MAX, _SIGNATURE_MAX = 200, 2_000
# Statements are made once: making one costs more than running it.
_INSERT = t.MESSAGES.insert().returning(t.MESSAGES.c.id, sort_by_parameter_order=True)
_NEWEST = sa.select(sa.func.max(t.MESSAGES.c.id)).scalar_subquery()
_ARCHIVED = sa.select(t.APP_STATE.c.value).where(t.APP_STATE.c.key == ARCHIVED_THROUGH).scalar_subquery()


def append_messages(connection: sa.Connection, drafts: Sequence[Draft]) -> tuple[int, ...]:
    """Stores messages in an open writing transaction and returns their ids; `wake` after the commit tells the readers.

    Raises PermanentFailure for a draft that no receiver could read; the transaction must then be given up.
    """
    rows = [_row(draft) for draft in drafts]
    if not rows:
        return ()
    ids: tuple[int, ...] = tuple(connection.execute(_INSERT, rows).scalars())
    announce(connection)
    return ids


def publish(engine: sa.Engine, drafts: Sequence[Draft]) -> tuple[int, ...]:
    """Stores messages in a transaction of their own and wakes the readers."""
    with transaction(engine) as connection:
        ids = append_messages(connection, drafts)
    wake(engine)
    return ids


def read_messages(
    connection: sa.Connection, wanted: Wanted, *, after: int, limit: int, window: Window | None = None
) -> tuple[Message, ...]:
    """The first wanted messages of the ledger behind an id, in order; what is archived is not among them."""
    conditions = [*_among(wanted, after), *(_within(window) if window else ())]
    query = sa.select(t.MESSAGES).where(*conditions).order_by(t.MESSAGES.c.id).limit(limit)
    return tuple(stored_message(row.id, row.session, dict(row._mapping)) for row in connection.execute(query))


def archived_through(connection: sa.Connection) -> int:
    """The id up to which messages have left the ledger for the lake; 0 when none has."""
    value = connection.execute(sa.select(t.APP_STATE.c.value).where(t.APP_STATE.c.key == ARCHIVED_THROUGH)).scalar()
    return int(value) if value is not None else 0


def newest_id(connection: sa.Connection) -> int:
    """The id of the newest visible message, archived or not; 0 when there never was one."""
    stored = connection.execute(sa.select(sa.func.max(t.MESSAGES.c.id))).scalar()
    return int(stored) if stored is not None else archived_through(connection)


def follow(
    engine: sa.Engine, wanted: Wanted, *, after: int, name: str, clock: Clock, look_every_s: float = LOOK_EVERY_S
) -> Generator[Message, None, None]:
    """Wanted messages with a higher id, for ever, as they become visible; leaves no cursor, so it holds up no archiving."""
    listener = listener_on(engine, name, clock)
    woken = True
    try:
        while True:
            listener.open()
            with reading(engine) as connection:
                found = read_messages(connection, wanted, after=after, limit=_PAGE)
            yield from found
            if found:
                after = found[-1].id
                if not woken:
                    listener.renew()
            woken = len(found) == _PAGE or listener.wait(look_every_s)
    finally:
        listener.close()


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages, and the open transaction in which they count as handled."""

    connection: sa.Connection
    messages: tuple[Message, ...]

    def __iter__(self) -> Iterator[Message]:
        """In order of their ids."""
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)


class _Place(NamedTuple):
    """Where a consumer stands, and the id of the first message behind it that it wants."""

    position: int
    archived: int
    newest: int
    first: int | None


class _Statements(NamedTuple):
    """The two questions of a consumer."""

    place: sa.Select[Any]
    next: sa.Select[Any]


def _statements(name: str, wanted: Wanted) -> _Statements:
    behind = sa.select(t.MESSAGES).where(*_among(wanted, sa.bindparam("after"))).order_by(t.MESSAGES.c.id)
    first = sa.select(sa.func.min(t.MESSAGES.c.id)).where(*_among(wanted, t.CURSORS.c.position)).scalar_subquery()
    place = sa.select(
        t.CURSORS.c.position, _ARCHIVED.label("archived"), _NEWEST.label("newest"), first.label("first")
    ).where(t.CURSORS.c.consumer == name)
    return _Statements(place, behind.limit(sa.bindparam("limit")))


class Consumer:
    """A reader whose place outlives its process.

    Args:
        engine: The ledger.
        name: Whose cursor; it stands for one selection of messages, whichever process reads.
        clock: For the cursor's time: a consumer that is silent for long no longer holds up archiving.
        start: Where a name without a cursor begins: before the first message that the ledger holds, or after the newest.
        topics: What it wants to hear; none means everything.
        recipient: Who it is; without one it hears what is said to anybody.
        book: Whose messages; without one every book's.
        look_every_s: The longest that a lost wake-up can delay a message, in seconds.
    """

    def __init__(
        self,
        engine: sa.Engine,
        name: str,
        *,
        clock: Clock,
        start: Start,
        topics: Iterable[Topic] = (),
        recipient: str | None = None,
        book: str | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._engine = engine
        self._name = _name("consumer", name)
        self._clock = clock
        self._statements = _statements(name, Wanted(frozenset(topics), recipient, book))
        self._look_every_s = look_every_s
        self._listener = listener_on(engine, name, clock)
        self._done_at: dict[str, float] = {}
        self._begin(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The id up to which everything is handled."""
        with reading(self._engine) as connection:
            return self._place_of(connection).position

    def poll(self, limit: int) -> tuple[Message, ...]:
        """The next messages, while the cursor stays; for effects outside the ledger, with `advance` after each."""
        with reading(self._engine) as connection:
            return self._next(connection, self._place(connection).position, limit)

    @contextmanager
    def batch(self, limit: int) -> Iterator[Batch]:
        """The next messages and a writing transaction; the cursor moves with it when the block ends well, and not when it raises.

        The ledger's writers wait for the block: it books, and asks nobody outside. A block may find no message, when another
        process of the same name was faster.
        """
        with transaction(self._engine) as connection:
            place = self._place(connection)
            found = self._next(connection, place.position, limit)
            yield Batch(connection, found)
            through = found[-1].id if len(found) == limit else place.newest
            if through > place.position:
                self._move(connection, through)
        wake(self._engine)

    def advance(self, through: int) -> None:
        """Moves the cursor up to an id that exists; never back."""
        with transaction(self._engine) as connection:
            place = self._place_of(connection)
            if not 0 <= through <= place.newest:
                raise PermanentFailure(
                    f"consumer {self._name} cannot have handled this message",
                    value=through,
                    bound=f"0 to {place.newest}",
                )
            if through > place.position:
                self._move(connection, through)

    def wait(self, timeout_s: float) -> bool:
        """True as soon as there is a message for this consumer, False when the time is over. Looks before and after every wait."""
        deadline = time.monotonic() + timeout_s
        self._listener.open()
        woken = self._listener.wait(0)
        while not self._has_news():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            woken = self._listener.wait(min(left, self._look_every_s))
            self._listener.open()
        if not woken:
            self._renew()
        return True

    def close(self) -> None:
        """Hears no more wake-ups; the cursor stays."""
        self._listener.close()

    def _renew(self) -> None:
        """A message without a wake-up may be the rest of a batch, or the first after the registration was lost."""
        if self._due("renew"):
            self._listener.renew()

    def _due(self, what: str) -> bool:
        """Whether something that is done once per look, and not once per message, is to be done now."""
        now = time.monotonic()
        if now - self._done_at.get(what, -math.inf) < self._look_every_s:
            return False
        self._done_at[what] = now
        return True

    def _begin(self, start: Start) -> None:
        cursor = t.CURSORS.c
        with transaction(self._engine) as connection:
            if connection.execute(sa.select(cursor.position).where(cursor.consumer == self._name)).first():
                return
            position = newest_id(connection) if start == "end" else archived_through(connection)
            row = {"consumer": self._name, "position": position, "at": instant_text(self._clock.now())}
            connection.execute(t.CURSORS.insert(), row)

    def _place(self, connection: sa.Connection) -> _Place:
        """Where it stands; refused when messages that it has not handled are in the lake already."""
        place = self._place_of(connection)
        if place.position < place.archived:
            raise PermanentFailure(
                f"consumer {self._name} was silent for so long that messages after {place.position} are archived",
                value=place.position,
                bound=place.archived,
                hint=f"replay {place.position + 1} to {place.archived} from the lake, then advance to {place.archived}",
            )
        return place

    def _place_of(self, connection: sa.Connection) -> _Place:
        found = connection.execute(self._statements.place).first()
        if found is None:
            raise PermanentFailure(
                f"the cursor of consumer {self._name} is gone", hint="begin again with a new consumer of that name"
            )
        archived = int(found.archived or 0)
        return _Place(found.position, archived, max(found.newest or 0, archived), found.first)

    def _next(self, connection: sa.Connection, position: int, limit: int) -> tuple[Message, ...]:
        if limit < 1:
            raise PermanentFailure("a consumer takes at least one message at a time", value=limit, bound=1)
        asked = {"after": position, "limit": limit}
        rows = connection.execute(self._statements.next, asked)
        return tuple(stored_message(row.id, row.session, dict(row._mapping)) for row in rows)

    def _has_news(self) -> bool:
        with reading(self._engine) as connection:
            place = self._place(connection)
        if place.first is None and place.newest > place.position and self._due("pass by"):
            self._pass_by()
        return place.first is not None

    def _pass_by(self) -> None:
        """Moves the cursor over what is not for this consumer."""
        with transaction(self._engine) as connection:
            place = self._place(connection)
            through = place.newest if place.first is None else place.first - 1
            if through > place.position:
                self._move(connection, through)

    def _move(self, connection: sa.Connection, through: int) -> None:
        moved = {"position": through, "at": instant_text(self._clock.now())}
        connection.execute(t.CURSORS.update().where(t.CURSORS.c.consumer == self._name), moved)


def stored_message(number: int, session: date, fields: Mapping[str, Any]) -> Message:
    """A message as ledger or lake have it; PermanentFailure for one that this version cannot read."""
    topic, text = fields["topic"], fields["payload"]
    try:
        payload = TOPICS[topic].model_validate_json(text)
    except (KeyError, ValueError) as strange:
        raise PermanentFailure(
            f"message {number} is not of a kind that this version knows",
            value=f"{topic} {text}",
            bound=", ".join(TOPICS),
            hint="run the version of the desk that sent it",
        ) from strange
    kept = {name: fields[name] for name in ("book", "sender", "recipient", "correlation_id", "signature")}
    return Message(number, Draft(session=session, at=instant_of(fields["at"]), payload=payload, **kept))


def _among(wanted: Wanted, after: int | sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
    """`Wanted.fits`, as SQL."""
    column = t.MESSAGES.c
    conditions = [column.id > after]
    if wanted.topics:
        conditions.append(column.topic.in_(sorted(wanted.topics)))
    if wanted.recipient is not None:
        conditions.append(column.recipient.is_(None) | (column.recipient == wanted.recipient))
    if wanted.book is not None:
        conditions.append(column.book == wanted.book)
    return conditions


def _within(window: Window) -> Iterator[sa.ColumnElement[bool]]:
    """`Window.holds`, as SQL."""
    column = t.MESSAGES.c
    yield column.id >= window.first_id
    yield column.session.between(window.first_session, window.last_session)
    if window.last_id is not None:
        yield column.id <= window.last_id
    if window.since is not None:
        yield column.at >= instant_text(window.since)
    if window.until is not None:
        yield column.at <= instant_text(window.until)


def _row(draft: Draft) -> dict[str, Any]:
    if not _BOOK.fullmatch(draft.book):
        raise PermanentFailure("a message needs the name of a book", value=draft.book, bound=_BOOK.pattern)
    return {
        "book": draft.book,
        "session": draft.session,
        "at": instant_text(draft.at),
        "sender": _name("sender", draft.sender),
        "recipient": None if draft.recipient is None else _name("recipient", draft.recipient),
        **_content(draft.payload),
        "correlation_id": draft.correlation_id and _name("correlation id", draft.correlation_id),
        "signature": None if draft.signature is None else _name("signature", draft.signature, _SIGNATURE_MAX),
    }


def _content(payload: Payload) -> dict[str, str]:
    """Topic and canonical JSON. Read back at once: what no receiver could read is not sent."""
    topic = next((name for name, kind in TOPICS.items() if type(payload) is kind), None)
    if topic is None:
        raise PermanentFailure("the bus has no such topic", value=type(payload).__name__, bound=", ".join(TOPICS))
    try:
        text = canonical(payload.model_dump(mode="json", warnings=False))
        back = TOPICS[topic].model_validate_json(text)
    except (ValueError, TypeError) as unfit:
        raise PermanentFailure(f"a payload does not fit topic {topic}: {unfit}", value=repr(payload)) from unfit
    if back != payload:
        raise PermanentFailure(f"a payload of topic {topic} does not come back as it is", value=repr(payload))
    return {"topic": topic, "payload": text}


def _name(what: str, text: str, length_max: int = _NAME_MAX) -> str:
    if not 0 < len(text) <= length_max or not text.isprintable():
        raise PermanentFailure(
            f"a {what} on the bus must be printable text", value=ascii(text), bound=f"1 to {length_max} characters"
        )
    return text
