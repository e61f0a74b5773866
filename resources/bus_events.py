"""Events of the bus: one of them by its id, and those that facts make, told once however often they are found."""

from collections.abc import Sequence

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import append_messages, read_messages
from resources.ledger.engine import reading, transaction
from resources.ledger.wakeups import wake
from trading_assets.core.messages import Draft, Message, Wanted, Window


def message_of(engine: sa.Engine, number: int) -> Message | None:
    """The message with an id; None where the ledger holds none, or no longer does."""
    if number < 1:
        return None
    with reading(engine) as connection:
        window = Window(first_id=number, last_id=number)
        return next(iter(read_messages(connection, Wanted(), after=number - 1, limit=1, window=window)), None)


def publish_once(engine: sa.Engine, drafts: Sequence[Draft]) -> tuple[int, ...]:
    """Stores the drafts whose correlation id no message of the same book, session and topic has; the ids of those.

    A transaction is the ledger's single writer, so two processes that find the same event tell it once. What has left the ledger
    for the lake is not remembered: events are told on the day that they are from.
    """
    with transaction(engine) as connection:
        new = [draft for draft in _distinct(drafts) if not _told(connection, draft)]
        ids = append_messages(connection, new)
    if ids:
        wake(engine)
    return ids


def _distinct(drafts: Sequence[Draft]) -> list[Draft]:
    return list(
        {(each.book, each.session, each.topic, each.correlation_id): each for each in reversed(drafts)}.values()
    )[::-1]


def _told(connection: sa.Connection, draft: Draft) -> bool:
    column = t.MESSAGES.c
    same = (column.book == draft.book) & (column.topic == draft.topic) & (column.correlation_id == draft.correlation_id)
    return connection.execute(sa.select(column.id).where(same).limit(1)).first() is not None
