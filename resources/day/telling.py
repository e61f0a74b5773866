"""What the desk's watchers tell: a journal entry and an alert on the bus in one commit, once for each occasion."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import append_messages
from resources.ledger.engine import transaction
from resources.ledger.journal import append_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import words
from trading_assets.core.journal import Entry, Json
from trading_assets.core.messages import Alert, Draft

SENDER = "day"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person must see. `occasion` names it: told once, whoever sees it again."""

    occasion: str
    session: date
    severity: Literal["info", "warning", "critical"]
    code: str
    sentence: str
    symbol: str = ""
    body: dict[str, Json] = field(default_factory=dict)


def tell(
    engine: sa.Engine, book: str, notices: Sequence[Notice], *, as_of: datetime, files: JournalFiles | None = None
) -> tuple[Notice, ...]:
    """Tells what nobody told before, and returns it."""
    if not notices:
        return ()
    with transaction(engine) as connection:
        new = [notice for notice in notices if not _was_told(connection, book, notice.occasion)]
        records = append_entries(connection, [_entry(notice, book, as_of) for notice in new])
        append_messages(connection, [_draft(notice, book, as_of) for notice in new])
    if records:
        tell_after_commit(engine, records, files)
    return tuple(new)


def _was_told(connection: sa.Connection, book: str, occasion: str) -> bool:
    c = t.JOURNAL.c
    query = sa.select(c.seq).where(c.book == book, c.correlation_id == occasion, c.kind == "note").limit(1)
    return connection.execute(query).first() is not None


def _entry(notice: Notice, book: str, as_of: datetime) -> Entry:
    body: dict[str, Json] = {
        "of": "watch",
        "severity": notice.severity,
        "sentence": words(notice.sentence),
        **notice.body,
    }
    return Entry(book, notice.session, as_of, "note", words(notice.code, 100), body, notice.symbol, notice.occasion)


def _draft(notice: Notice, book: str, as_of: datetime) -> Draft:
    sentence = words(" ".join(notice.sentence.split()))
    told = Alert(severity=notice.severity, code=notice.code, sentence=sentence, symbol=notice.symbol)
    return Draft(book, notice.session, as_of, SENDER, told, correlation_id=notice.occasion)
