"""Old messages leave the ledger for the lake, and any stretch of the bus is replayed from both as one.

The order is: written to the lake, read back and compared, and then, in one transaction, the watermark moved up and the rows
deleted. Killed between any two of these, a message is in the ledger, or in both with the watermark below it, and the next
archiving replaces it in the lake by itself. So messages up to the watermark are read from the lake, and the others from the ledger.

What is archived is always a prefix of the ids: it ends before the first message of a session that is kept, and before the cursor of
the slowest consumer that lives.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import ARCHIVED_THROUGH, archived_through, newest_id, read_messages, stored_message
from resources.ledger.engine import reading, transaction
from resources.ledger.text import instant_of, instant_text
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TransientFailure
from trading_assets.core.messages import BUS_MESSAGES, Message, Wanted, Window
from trading_assets.core.ports import Lake, Span

if TYPE_CHECKING:
    import polars as pl

ROWS_PER_STEP = 20_000
ARCHIVED_BOOKS = "messages_archived_books"
_DIGITS = 19
_PAGE = 5_000
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_TEXTS = ("book", "sender", "recipient", "topic", "payload", "correlation_id", "signature")


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archiving did.

    `through` is the id up to which messages are in the lake now. `held_up_by` names what keeps older messages in the ledger, and
    `silent` the consumers that were not waited for: each can replay what it missed.
    """

    through: int
    messages: int
    held_up_by: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far archiving may go, and why not further."""

    begun: int
    through: int
    held_up_by: tuple[str, ...]
    silent: tuple[str, ...]


def archive(
    engine: sa.Engine,
    lake: Lake,
    *,
    before: date,
    as_of: datetime,
    silent_after: timedelta,
    rows_per_step: int = ROWS_PER_STEP,
) -> Archived:
    """Moves messages of sessions before a day to the lake, some thousands at a time; safe while the desk runs, and to repeat.

    A consumer whose cursor has not moved for `silent_after` does not hold it up.

    Raises:
        LakeDamaged: what was read back is not what was written; nothing was deleted.
        PermanentFailure: the lake holds other messages under the same ids.
    """
    moved = 0
    while True:
        with reading(engine) as connection:
            reach = _reach(connection, before, as_of - silent_after)
            rows = _rows(connection, reach, rows_per_step)
        if not rows:
            return Archived(reach.begun, moved, reach.held_up_by, reach.silent)
        for book, of_book in groupby(sorted(rows, key=lambda row: str(row["book"])), key=lambda row: str(row["book"])):
            for span, some in _runs(list(of_book)):
                _keep(lake, book, span, some)
        moved += _hand_over(engine, rows, reach.begun, before, as_of, silent_after)


def replay(
    engine: sa.Engine, lake: Lake, window: Window, wanted: Wanted | None = None, *, as_of: datetime
) -> Iterator[Message]:
    """The window's messages in order, from lake and ledger as if they were one; no cursor moves.

    Messages that speak of a later moment than `as_of` are left out, and so are those that arrive while this runs.
    """
    wanted, position = wanted or Wanted(), window.first_id - 1
    with reading(engine) as connection:
        newest = newest_id(connection)
    window = replace(window, last_id=newest if window.last_id is None else min(window.last_id, newest))
    while True:
        with reading(engine) as connection:
            archived, books = archived_through(connection), _archived_books(connection)
            page = read_messages(connection, wanted, after=max(position, archived), limit=_PAGE, window=window)
        if position < archived:
            kept = _kept(lake, books, wanted, replace(window, first_id=position + 1), as_of)
            yield from (message for message in kept if message.id <= archived)
        yield from (message for message in page if message.draft.at <= as_of)
        if len(page) < _PAGE:
            return
        position = page[-1].id


def _reach(connection: sa.Connection, before: date, heard_since: datetime) -> _Reach:
    begun, newest = archived_through(connection), newest_id(connection)
    kept = connection.execute(sa.select(sa.func.min(t.MESSAGES.c.id)).where(t.MESSAGES.c.session >= before)).scalar()
    through = newest if kept is None else kept - 1
    held_up_by, silent = [], []
    for cursor in connection.execute(sa.select(t.CURSORS).order_by(t.CURSORS.c.position)):
        if cursor.position >= through:
            break
        if instant_of(cursor.at) < heard_since:
            silent.append(f"{cursor.consumer} (at {cursor.position} since {cursor.at})")
            continue
        held_up_by.append(f"{cursor.consumer} (at {cursor.position})")
        through = cursor.position
    return _Reach(begun, max(begun, through), tuple(held_up_by), tuple(silent))


def _rows(connection: sa.Connection, reach: _Reach, limit: int) -> list[dict[str, Any]]:
    column = t.MESSAGES.c
    query = sa.select(t.MESSAGES).where(column.id > reach.begun, column.id <= reach.through)
    return [_lake_row(row) for row in connection.execute(query.order_by(column.id).limit(limit))]


def _lake_row(row: Any) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _TEXTS},
        "session": _lake_session(row.session),
        "knowable_at": instant_of(row.at),
        "id": _key(row.id),
        "day": row.session,
    }


def _runs(rows: list[dict[str, Any]]) -> Iterator[tuple[Span, list[dict[str, Any]]]]:
    """The rows in stretches of neighbouring sessions: a straggler must not make the lake rewrite years."""
    position = {day: place for place, day in enumerate(XNYS.days)}
    days = sorted({row["session"] for row in rows})
    for _, stretch in groupby(enumerate(days), key=lambda pair: position[pair[1]] - pair[0]):
        run = [day for _, day in stretch]
        yield Span(run[0], run[-1]), [row for row in rows if run[0] <= row["session"] <= run[-1]]


def _keep(lake: Lake, book: str, span: Span, rows: list[dict[str, Any]]) -> None:
    """Writes the rows beside what the lake has of these sessions, reads them back and compares."""
    frame = BUS_MESSAGES.frame(rows)
    ids = frame["id"].to_list()
    there = _of_lake(lake, book, span, ids)
    if not there.is_empty() and not there.equals(frame.filter(frame["id"].is_in(there["id"].to_list()))):
        raise PermanentFailure(
            f"the lake holds other messages of book {book} under the same ids",
            value=f"{ids[0]} to {ids[-1]}",
            hint="the ledger was begun anew beside an old lake: move the old folder bus_messages out of the lake",
        )
    lake.merge(BUS_MESSAGES, frame, span, replacing={"id": ids}, lane=book)
    if not _of_lake(lake, book, span, ids).equals(frame):
        raise LakeDamaged(
            f"messages of book {book} do not come back from the lake as they were written; none was deleted",
            value=f"{span.first} to {span.last}",
            hint="desk doctor examines the lake",
        )


def _of_lake(lake: Lake, book: str, span: Span, ids: Sequence[str]) -> "pl.DataFrame":
    frame = lake.read(BUS_MESSAGES, as_of=_END_OF_TIME, lane=book, first=span.first, last=span.last)
    return frame.filter(frame["id"].is_in(list(ids)))


def _hand_over(
    engine: sa.Engine,
    rows: list[dict[str, Any]],
    begun: int,
    before: date,
    as_of: datetime,
    silent_after: timedelta,
) -> int:
    """Moves the watermark and deletes, in one transaction; returns how many messages left the ledger.

    None does when another process archived meanwhile. A consumer that began meanwhile is not overtaken.
    """
    with transaction(engine) as connection:
        reach = _reach(connection, before, as_of - silent_after)
        through = min(int(rows[-1]["id"]), reach.through)
        if reach.begun != begun or through <= begun:
            return 0
        books = sorted({*_archived_books(connection), *(str(row["book"]) for row in rows)})
        _set(connection, ARCHIVED_BOOKS, ",".join(books), as_of)
        _set(connection, ARCHIVED_THROUGH, str(through), as_of)
        gone = connection.execute(t.MESSAGES.delete().where(t.MESSAGES.c.id <= through)).rowcount
        stored = sum(int(row["id"]) <= through for row in rows)
        if gone != stored:
            raise TransientFailure(
                "the messages changed while they were archived; none was deleted",
                value=gone,
                bound=stored,
                hint="archive again",
            )
        return stored


def _set(connection: sa.Connection, key: str, value: str, as_of: datetime) -> None:
    fields = {"value": value, "at": instant_text(as_of)}
    changed = connection.execute(t.APP_STATE.update().where(t.APP_STATE.c.key == key), fields).rowcount
    if not changed:
        connection.execute(t.APP_STATE.insert(), {"key": key, **fields})


def _archived_books(connection: sa.Connection) -> tuple[str, ...]:
    value = connection.execute(sa.select(t.APP_STATE.c.value).where(t.APP_STATE.c.key == ARCHIVED_BOOKS)).scalar()
    return tuple(value.split(",")) if value else ()


def _kept(lake: Lake, books: Sequence[str], wanted: Wanted, window: Window, as_of: datetime) -> Iterator[Message]:
    """The window's archived messages in order of their ids."""
    found: list[Message] = []
    for book in books:
        if wanted.book not in {None, book}:
            continue
        frame = lake.read(
            BUS_MESSAGES, as_of=as_of, lane=book, first=window.first_session, last=_lake_session(window.last_session)
        )
        if frame["id"].is_duplicated().any():
            raise LakeDamaged(f"the lake holds messages of book {book} twice, in several sessions")
        found.extend(_message(row) for row in frame.iter_rows(named=True))
    fitting = [message for message in found if wanted.fits(message.draft) and window.holds(message)]
    return iter(sorted(fitting, key=lambda message: message.id))


def _message(row: dict[str, Any]) -> Message:
    return stored_message(int(row["id"]), row["day"], {**row, "at": row["knowable_at"].isoformat()})


def _lake_session(day: date) -> date:
    """The session under which the lake keeps messages of a day: itself, or the first after it."""
    place = bisect_left(XNYS.days, day)
    return XNYS.days[place] if place < len(XNYS.days) else day


def _key(number: int) -> str:
    return f"{number:0{_DIGITS}d}"
