"""An open transaction on a book's orders: where intents stand, what is told of it, and halts.

Whatever changes the state of an intent does so here: the row, its history, the journal's entry and the message are one commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resources.ledger import schema as t
from resources.ledger.bus import append_messages
from resources.ledger.engine import transaction
from resources.ledger.journal import append_entries
from resources.ledger.state import Lease, require
from resources.ledger.text import instant_of, instant_text, words
from trading_assets.broker import journaling as tell
from trading_assets.broker.lifecycle import WAYS, IntentState
from trading_assets.core.errors import PermanentFailure, TradingHalted
from trading_assets.core.journal import Entry, Record
from trading_assets.core.messages import Draft

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_S = t.INTENT_STATES.c
STANDING = sa.select(t.INTENT_STATES, t.INTENTS.c.symbol, t.INTENTS.c.session, t.INTENTS.c.slot).join(
    t.INTENTS, t.INTENTS.c.id == _S.intent_id
)
# Statements are made once: making one costs more than running it.
_STANDING_OF = STANDING.where(_S.intent_id == sa.bindparam("intent"), _S.book == sa.bindparam("of_book"))
_MOVE = t.INTENT_STATES.update().where(_S.intent_id == sa.bindparam("intent"))
_BEGIN, _HISTORY = t.INTENT_STATES.insert(), t.INTENT_HISTORY.insert()


def lease_name(book: str) -> str:
    """The lease that whoever sends the orders of a book holds."""
    return f"gateway:{book}"


@dataclass
class Work:
    """What one transaction of a book does and tells; told is what `store` has written."""

    connection: sa.Connection
    book: str
    entries: list[Entry] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)

    def insert_once(self, table: sa.Table, row: Mapping[str, Any], *key: str) -> bool:
        """Inserts a row unless one with its key is there; whether it did."""
        once = _once(self.connection.dialect.name, table, key)
        return self.connection.execute(once, dict(row)).first() is not None

    def store(self) -> tuple[Record, ...]:
        """Writes journal and messages: last, so that nothing stands between the chain's end and the commit."""
        records = append_entries(self.connection, self.entries)
        append_messages(self.connection, self.drafts)
        return records


@cache
def _once(dialect: str, table: sa.Table, key: tuple[str, ...]) -> Any:
    first = next(iter(table.primary_key.columns))
    return _INSERTS[dialect](table).on_conflict_do_nothing(index_elements=list(key)).returning(first)


@contextmanager
def working(engine: sa.Engine, book: str, told: list[Record]) -> Iterator[Work]:
    """A writing transaction on a book; its journal records are added to `told` when it has committed."""
    with transaction(engine) as connection:
        work = Work(connection, book)
        yield work
        records = work.store()
    told += records


def require_token(work: Work, token: int, *, as_of: datetime) -> None:
    """Refuses with LeaseLost unless the token is that of the newest grant and still runs."""
    require(work.connection, Lease(lease_name(work.book), "", token, as_of), as_of=as_of)


def standing(work: Work, intent_id: str) -> Any:
    """Where an intent of this book stands, with its symbol, session and slot.

    Raises:
        PermanentFailure: The book has no such intent on its way to a broker.
    """
    row = work.connection.execute(_STANDING_OF, {"intent": intent_id, "of_book": work.book}).first()
    if row is None:
        raise PermanentFailure(f"book {work.book} has no intent on its way to a broker by this id", value=intent_id)
    return row


def subject_of(row: Any) -> tell.Subject:
    """What entries about an intent are about."""
    return tell.Subject(row.book, row.symbol, f"{row.book}/{row.session.isoformat()}/{row.slot}")


def begin(work: Work, row: Any, state: IntentState, *, opens: bool, token: int, as_of: datetime) -> None:
    """The first state of an intent; `row` has its id, book, symbol, session and slot."""
    states = {"intent_id": row.id, "book": work.book, "state": state, "why": "", "opens": opens, "token": token}
    work.connection.execute(_BEGIN, {**states, "absences": 0, "at": instant_text(as_of)})
    _remember(work, subject_of(row), row.id, state, "", token, as_of)


def move(
    work: Work, row: Any, state: IntentState, *, why: str = "", token: int | None = None, as_of: datetime, **values: Any
) -> None:
    """Takes an intent one way on.

    Args:
        row: Where it stands, read in this transaction.
        values: Further columns of `intent_states`.

    Raises:
        TradingHalted: Its life knows no such way.
    """
    if state not in WAYS[row.state]:
        ways = ", ".join(sorted(WAYS[row.state])) or "nothing: it has ended"
        raise TradingHalted(f"intent {row.intent_id} is {row.state} and cannot become {state}", value=state, bound=ways)
    number = row.token if token is None else token
    set_to = {"state": state, "why": words(why), "token": number, "at": instant_text(as_of), **values}
    work.connection.execute(_MOVE, {**set_to, "intent": row.intent_id})
    _remember(work, subject_of(row), row.intent_id, state, why, number, as_of)


def moved(work: Work, row: Any, state: IntentState, *, token: int, as_of: datetime) -> None:
    """Remembers and tells a change that another statement has made."""
    _remember(work, subject_of(row), row.intent_id, state, "", token, as_of)


def _remember(
    work: Work, subject: tell.Subject, intent_id: str, state: str, why: str, token: int, as_of: datetime
) -> None:
    why = words(why)
    row = {"book": work.book, "intent_id": intent_id, "state": state, "why": why, "token": token}
    work.connection.execute(_HISTORY, {**row, "at": instant_text(as_of)})
    work.entries.append(tell.state_entry(subject, intent_id, state, why, token=token, at=as_of))
    if state == "SIGNED":
        work.drafts.append(tell.signed_draft(subject, intent_id, at=as_of))
    work.drafts.append(tell.state_draft(subject, intent_id, state, why, at=as_of))


# Halts


@dataclass(frozen=True, slots=True)
class OpenHalt:
    """A halt that nobody has acknowledged."""

    id: int
    cause: str
    at: datetime


def open_halts(connection: sa.Connection, book: str) -> tuple[OpenHalt, ...]:
    """Halts that nobody has acknowledged, oldest first."""
    answered = sa.select(t.ACKNOWLEDGEMENTS.c.halt_id)
    query = sa.select(t.HALTS).where(t.HALTS.c.book == book, t.HALTS.c.id.not_in(answered)).order_by(t.HALTS.c.id)
    return tuple(OpenHalt(row.id, row.cause, instant_of(row.at)) for row in connection.execute(query))


def add_halt(work: Work, cause: str, *, as_of: datetime) -> bool:
    """Halts a book; False, and nothing written, where the same cause is open already."""
    cause = words(cause)
    if any(halt.cause == cause for halt in open_halts(work.connection, work.book)):
        return False
    row = {"book": work.book, "cause": cause, "at": instant_text(as_of)}
    number: int = work.connection.execute(t.HALTS.insert().returning(t.HALTS.c.id), row).scalar_one()
    work.entries.append(tell.halt_entry(work.book, number, cause, at=as_of))
    work.drafts.append(tell.halt_draft(work.book, number, cause, at=as_of))
    return True


def history(connection: sa.Connection, intent_ids: Sequence[str]) -> dict[str, list[tuple[str, datetime]]]:
    """By intent, its states in their order, each with its instant."""
    found: dict[str, list[tuple[str, datetime]]] = {intent_id: [] for intent_id in intent_ids}
    rows = t.INTENT_HISTORY.c
    query = sa.select(rows.intent_id, rows.state, rows.at).where(rows.intent_id.in_(intent_ids)).order_by(rows.seq)
    for row in connection.execute(query):
        found[row.intent_id].append((row.state, instant_of(row.at)))
    return found
