"""`desk journal`: what the desk did and why, entry by entry, and its files made anew."""

from datetime import date
from typing import Any

import typer

from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import KINDS, EntryKind, Record

_HASH_SHOWN = 8
_PATHS_SHOWN = 20


def run_journal(
    session: date | None, kind: str, symbol: str, lane: str, *, rebuild: bool, correlation: str = "", as_json: bool
) -> None:
    """Shows the entries of a session (default: the newest one), of a kind, of a symbol or of one decision."""
    prepare_home()
    if rebuild:
        _rebuild(lane, as_json=as_json)
        return
    records = _wanted(DeskResource(), lane, session, _known(kind), symbol, correlation)
    if as_json:
        show({"lane": lane, "entries": [_document(record) for record in records]}, as_json=True)
        return
    if not records:
        say(f"the journal of book {lane} has no such entry")
        return
    columns = ("Session", "New York", "Kind", "Symbol", "What", "Entry", "Hash")
    table(f"Journal of book {lane}", columns, [_line(record) for record in records])


def _rebuild(lane: str, *, as_json: bool) -> None:
    desk = DeskResource()
    files = desk.journal_files(lane)
    done = files.rebuild(desk.engine(lane), anchor=lane == DESK)
    outcome: dict[str, Any] = {
        "folder": str(files.folder),
        "entries": done.entries,
        "written": done.written,
        "altered": [str(path) for path in done.altered],
        "foreign": [str(path) for path in done.foreign],
        "forgotten": done.forgotten,
    }
    if not as_json:
        for name in ("altered", "foreign"):
            outcome[name] = [*outcome[name][:_PATHS_SHOWN], *_rest(outcome[name])]
    show(outcome, as_json=as_json)
    if not done.anchored:
        say(f"{files.folder / 'HEAD'} contradicts the ledger and is kept as evidence; desk doctor --verify-ledger")
        raise typer.Exit(1)


def _wanted(
    desk: DeskResource, lane: str, session: date | None, kind: EntryKind | None, symbol: str, correlation: str
) -> tuple[Record, ...]:
    from resources.ledger.journal import newest_session, read_journal

    engine = desk.engine(lane)
    first = last = session
    if session is None and not correlation:
        first = last = newest_session(engine)
        if first is None:
            return ()
    return read_journal(
        engine,
        first=first,
        last=last,
        kind=kind,
        symbol=symbol.upper() or None,
        correlation_id=correlation or None,
        book=lane,
    )


def _known(kind: str) -> EntryKind | None:
    for known in KINDS:
        if kind == known:
            return known
    if kind:
        raise PermanentFailure("there is no such kind of journal entry", value=kind, bound=", ".join(KINDS))
    return None


def _document(record: Record) -> dict[str, Any]:
    entry = record.entry
    return {
        "seq": record.seq,
        "session": entry.session.isoformat(),
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "symbol": entry.symbol,
        "title": entry.title,
        "body": entry.body,
        "correlation_id": entry.correlation_id,
        "previous": record.previous,
        "hash": record.hash,
    }


def _line(record: Record) -> tuple[str, ...]:
    entry = record.entry
    here = entry.at.astimezone(NEW_YORK)
    return (
        str(entry.session),
        f"{here:%H:%M:%S}",
        entry.kind,
        entry.symbol,
        entry.title,
        str(record.seq),
        record.hash[:_HASH_SHOWN],
    )


def _rest(paths: list[str]) -> list[str]:
    return [f"and {len(paths) - _PATHS_SHOWN} more"] if len(paths) > _PATHS_SHOWN else []
