"""The journal in the ledger: entries chained by their hashes, appended in the transaction of what they tell about.

One chain per ledger. `seq` counts from 1 without gaps, and every row's hash covers all of its fields and the hash before it: a row
that is altered, removed or moved breaks the chain from there on. Only a backtest's tail may be cut off, when it is walked again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.engine import reading
from resources.ledger.schema import JOURNAL
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import GENESIS, KINDS, Entry, EntryKind, Record, canonical, link

BATCH = 1_000
REWINDABLE = "backtest"
_C = JOURNAL.c
# What a rewind judges by the instant of the event, as it does with the rows that these entries tell about.
_BY_INSTANT: tuple[EntryKind, ...] = ("halt", "resume")
# A setting is changed by a person and not by the walk: a rewind keeps the record of it.
_KEPT: tuple[EntryKind, ...] = ("parameter_change",)
# PostgreSQL keeps no NUL, UTF-8 no half of a surrogate pair, and a line break would make a title two lines.
_UNKEPT = re.compile("[\0\n\r\ud800-\udfff]")


def append_entries(connection: sa.Connection, entries: Sequence[Entry]) -> tuple[Record, ...]:
    """Chains the entries behind the newest one, in their order, on an open writing transaction.

    Raises:
        PermanentFailure: An entry is not one that every database can keep as it is; nothing of the batch is written.
    """
    if not entries:
        return ()
    seq, previous = last_link(connection)
    records, rows = [], []
    for entry in entries:
        seq += 1
        row = _row(seq, entry)
        mark = link(previous, row)
        records.append(Record(seq, entry, previous, mark))
        rows.append({**row, "session": entry.session, "previous": previous, "hash": mark})
        previous = mark
    connection.execute(JOURNAL.insert(), rows)
    return tuple(records)


def last_link(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; 0 and GENESIS for an empty journal."""
    newest = connection.execute(sa.select(_C.seq, _C.hash).order_by(_C.seq.desc()).limit(1)).first()
    return (newest.seq, newest.hash) if newest else (0, GENESIS)


def hash_of(connection: sa.Connection, seq: int) -> str | None:
    """The hash of one entry; None where there is none of that number."""
    found: str | None = connection.execute(sa.select(_C.hash).where(_C.seq == seq)).scalar()
    return found


def forget_entries(connection: sa.Connection, book: str, first: date) -> tuple[Record, ...]:
    """Forgets what a backtest told from a session on, on an open writing transaction; call it before the rows themselves go.

    Entries of a walk are written session by session, so what goes is the end of the chain, unless a person halted or resumed the
    book in between. Then entries that stay behind the cut are chained anew; they are returned.

    Raises:
        PermanentFailure: The book is no backtest's, or another book's entry stands behind the cut: its chain is never rewritten.
    """
    if book != REWINDABLE:
        raise PermanentFailure("only a backtest's journal can be cut", value=book, bound=REWINDABLE)
    late_events = _late_events(connection, book, first)
    lost = (_C.book == book) & (_C.session >= first) & _C.kind.not_in((*_BY_INSTANT, *_KEPT)) | _C.seq.in_(late_events)
    cut = connection.execute(sa.select(sa.func.min(_C.seq)).where(lost)).scalar()
    if cut is None:
        return ()
    kept = [_record(row) for row in connection.execute(sa.select(JOURNAL).where(_C.seq >= cut, ~lost).order_by(_C.seq))]
    foreign = [record for record in kept if record.entry.book != book]
    if foreign:
        raise PermanentFailure(
            "a backtest cannot be cut out from under another book's journal",
            value=f"entry {foreign[0].seq} of book {foreign[0].entry.book}",
            bound="one ledger for each lane",
        )
    connection.execute(JOURNAL.delete().where(_C.seq >= cut))
    return append_entries(connection, [record.entry for record in kept])


def _late_events(connection: sa.Connection, book: str, first: date) -> list[int]:
    """Entries of halts and answers from an instant on, and of answers to such halts."""
    mine = sa.select(JOURNAL).where(_C.book == book, _C.kind.in_(_BY_INSTANT)).order_by(_C.seq)
    events = [_record(row) for row in connection.execute(mine)]
    begun = datetime(first.year, first.month, first.day, tzinfo=UTC)
    late = {record.seq for record in events if record.entry.at >= begun}
    halts = {record.entry.body["halt_id"] for record in events if record.seq in late and record.entry.kind == "halt"}
    return sorted(late | {record.seq for record in events if record.entry.body["halt_id"] in halts})


def read_journal(
    engine: sa.Engine,
    *,
    first: date | None = None,
    last: date | None = None,
    kind: EntryKind | None = None,
    symbol: str | None = None,
    correlation_id: str | None = None,
    book: str | None = None,
) -> tuple[Record, ...]:
    """The entries that fit every argument that is given, oldest first; sessions include both ends."""
    wanted = {_C.kind: kind, _C.symbol: symbol, _C.correlation_id: correlation_id, _C.book: book}
    query = sa.select(JOURNAL).where(*(column == value for column, value in wanted.items() if value is not None))
    if first is not None:
        query = query.where(_C.session >= first)
    if last is not None:
        query = query.where(_C.session <= last)
    with reading(engine) as connection:
        return tuple(_record(row) for row in connection.execute(query.order_by(_C.seq)))


def newest_session(engine: sa.Engine) -> date | None:
    """The last session that the journal tells about."""
    with reading(engine) as connection:
        newest: date | None = connection.execute(sa.select(sa.func.max(_C.session))).scalar()
    return newest


def stream_records(connection: sa.Connection, *, after: int = 0, batch: int = BATCH) -> Iterator[Record]:
    """All entries behind a number, in order, never more than a batch of them in memory."""
    page = sa.select(JOURNAL).order_by(_C.seq).limit(batch)
    while rows := connection.execute(page.where(_C.seq > after)).all():
        yield from map(_record, rows)
        after = rows[-1].seq


def as_stored(entry: Entry) -> Entry:
    """The entry as the database gives it back: the instant in UTC, the body as JSON."""
    return replace(entry, at=entry.at.astimezone(UTC), body=json.loads(canonical(entry.body)))


def _row(seq: int, entry: Entry) -> dict[str, object]:
    """The fields that the hash covers, as they are stored."""
    _require(entry.kind in KINDS, "kind", entry.kind, ", ".join(KINDS))
    _require(entry.at.tzinfo is not None, "instant", entry.at, "a time zone")
    _require(not isinstance(entry.session, datetime), "session", entry.session, "a date")
    row: dict[str, object] = {
        "seq": seq,
        "book": entry.book,
        "session": entry.session.isoformat(),
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "symbol": entry.symbol,
        "title": entry.title,
        "body": _body(entry),
        "correlation_id": entry.correlation_id,
    }
    for name in ("book", "symbol", "title", "correlation_id"):
        unkept = _UNKEPT.search(str(row[name]))
        _require(unkept is None, name, ascii(row[name]), "text without NUL, line breaks and half characters")
    return row


def _body(entry: Entry) -> str:
    try:
        return canonical(entry.body)
    except (TypeError, ValueError) as impossible:
        raise PermanentFailure(f"a journal entry's body must be JSON: {impossible}", value=entry.title) from impossible


def _require(holds: bool, what: str, value: object, bound: str) -> None:
    if not holds:
        raise PermanentFailure(f"a journal entry's {what} cannot be kept", value=value, bound=bound)


def _record(row: Any) -> Record:
    try:
        body: Mapping[str, Any] = json.loads(row.body)
        at = datetime.fromisoformat(row.at)
    except ValueError as damaged:
        raise PermanentFailure(
            f"journal entry {row.seq} cannot be read: {damaged}", hint="desk doctor --verify-ledger"
        ) from damaged
    entry = Entry(row.book, row.session, at, row.kind, row.title, body, row.symbol, row.correlation_id)
    return Record(row.seq, entry, row.previous, row.hash)
