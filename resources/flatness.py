"""Gathers what the proof of flatness needs from a lane's ledger and the broker's newest snapshot, and halts where it fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from resources.desk import DESK, DeskResource
from trading_assets.broker.lifecycle import OPENING
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span
from trading_assets.execution.flatness import Row, Told, day_entries, flatness_rows, violations
from trading_assets.execution.model import Position

_SESSIONS_BACK = 10


@dataclass(frozen=True, slots=True)
class _Broker:
    """What rests at a broker now: entries that filled, shares in the book, and the newest snapshot."""

    filled: tuple[tuple[str, str, date], ...]
    book: Mapping[str, Decimal]
    told: Told | None


def flatness_of(desk: DeskResource, lane: str, span: Span) -> list[Row]:
    """Rows of FLATNESS for the span's sessions.

    The desk's newest closed session is judged by executions and by the broker; every other one by the book after its
    settlement.

    Raises:
        DataNotReady: A session is not settled, and no broker tells of it.
    """
    live = _at_broker(desk, span) if lane == DESK and desk.execution().dispatches else None
    newest = XNYS.last_closed(desk.clock().now()).day
    with desk.ledger(lane).reading() as ledger:
        plans = {i.id: (i.plan.strategy, i.plan.flat_by_close) for i in ledger.intents(span.last)}
        fills = [(fill.symbol, fill.intent_id, fill.session) for fill in ledger.fills(span.last) if fill.opens]
        books = {close.session: _shares(close.book.positions) for close in ledger.closes(span.first, span.last)}
    rows: list[Row] = []
    for session in XNYS.sessions(span.first, span.last):
        here = live if live is not None and session.day == newest else None
        filled = here.filled if here else fills
        book = here.book if here else _settled(books, session)
        entries = day_entries(filled, plans, session.day)
        rows += flatness_rows(session, entries, book, here.told if here else None, asks_broker=here is not None)
    return rows


def halt_unless_flat(desk: DeskResource, rows: Sequence[Row]) -> str:
    """Halts the desk when the newest closed session is not proven flat; the cause, or nothing. Told once."""
    from resources.ledger.dispatch import SqlDispatch
    from resources.notify.pages import LedgerPages

    now = desk.clock().now()
    newest = XNYS.last_closed(now).day
    broken = violations([row for row in rows if row["session"] == newest])
    if not broken:
        return ""
    cause = f"a day strategy is not flat after the close: {'; '.join(broken)}"[:900]
    engine = desk.engine(DESK)
    SqlDispatch(engine, DESK, desk.journal_files(DESK)).halt(cause, as_of=now)
    LedgerPages(engine, DESK).follow_halts(as_of=now)
    return cause


def _at_broker(desk: DeskResource, span: Span) -> _Broker:
    from resources.ledger.dispatch import SqlDispatch

    store = SqlDispatch(desk.engine(DESK), DESK)
    known, snapshot = store.known(), store.snapshot()
    booked = store.executions(XNYS.previous(span.last, _SESSIONS_BACK).day, span.last)
    filled = tuple(
        (one.execution.symbol, one.intent_id, one.execution.at.astimezone(NEW_YORK).date())
        for one in booked
        if one.role in OPENING
    )
    told = None
    if snapshot is not None:
        shares: dict[str, Decimal] = {}
        for held in snapshot.positions:
            shares[held.symbol] = shares.get(held.symbol, Decimal(0)) + held.quantity
        told = Told(snapshot.at, shares)
    return _Broker(filled, {symbol: known.position(symbol) for symbol in sorted(known.symbols)}, told)


def _shares(positions: Mapping[str, Position]) -> dict[str, Decimal]:
    return {symbol: Decimal(held.quantity) for symbol, held in sorted(positions.items())}


def _settled(books: Mapping[date, Mapping[str, Decimal]], session: Session) -> Mapping[str, Decimal]:
    if session.day not in books:
        hint = f"desk run postclose --session {session.day}"
        raise DataNotReady("the session is not settled: its book is unknown", value=session.day, hint=hint)
    return books[session.day]
