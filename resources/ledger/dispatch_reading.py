"""What the ledger holds of a book's orders at a broker, read back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_rows import OPEN_LEGS, POSITIONS, REPORTS, leg_of, perm_ids_of
from resources.ledger.text import instant_of
from trading_assets.broker.lifecycle import AT_BROKER, IntentState, Known, Leg, Tracked
from trading_assets.broker.model import REF_PREFIX, HeldPosition, OrderReport

_S, _L, _E, _A = t.INTENT_STATES.c, t.LEGS.c, t.EXECUTIONS.c, t.ADOPTIONS.c
TRACKED: tuple[IntentState, ...] = (*sorted(AT_BROKER), "ABANDONED")
SESSIONS = 2


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """What the broker said last. `agrees`: positions were those of the ledger. USD; None where the broker said nothing."""

    at: datetime
    token: int
    agrees: bool
    equity: Decimal | None
    cash: Decimal | None
    positions: tuple[HeldPosition, ...]
    open_orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an intent stands, and since when."""

    intent_id: str
    session: date
    slot: str
    symbol: str
    action: str
    quantity: int
    state: IntentState
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was adopted in all: shares by symbol, and the account's cash with the newest execution that it includes."""

    shares: dict[str, Decimal]
    cash: Decimal | None
    through: int


def read_known(connection: sa.Connection, book: str, executions: Executions) -> Known:
    """What reconciliation compares with; `executions` have read this snapshot of the ledger."""
    adopted = read_adopted(connection, book)
    seen = connection.execute(sa.select(t.SNAPSHOTS.c.book).where(t.SNAPSHOTS.c.book == book)).first()
    foreign = sa.select(t.FOREIGN_ORDERS.c.perm_id).where(t.FOREIGN_ORDERS.c.book == book)
    cash = None if adopted.cash is None else adopted.cash + executions.cash_since(adopted.through)
    return Known(
        intents=tuple(_tracked(connection, book, executions)),
        executions=executions.all,
        fees=executions.with_fees,
        adopted=adopted.shares,
        booked=executions.by_symbol,
        cash=cash,
        foreign=frozenset(connection.execute(foreign).scalars()),
        is_new=seen is None and not adopted.shares and adopted.cash is None,
    )


def read_adopted(connection: sa.Connection, book: str) -> Adopted:
    """Sums of adoptions; of balances the newest counts."""
    shares: dict[str, Decimal] = {}
    cash, through = None, 0
    for row in connection.execute(sa.select(t.ADOPTIONS).where(_A.book == book).order_by(_A.seq)):
        if row.symbol:
            shares[row.symbol] = shares.get(row.symbol, Decimal(0)) + Decimal(row.quantity)
        else:
            cash, through = row.cash, row.through
    return Adopted(shares, cash, through)


def read_legs(connection: sa.Connection, executions: Executions, which: sa.ColumnElement[bool]) -> list[Leg]:
    """Orders that fit, in the order in which they were handed over."""
    rows = connection.execute(sa.select(t.LEGS).where(which).order_by(_L.sent_at, _L.order_id, _L.key)).all()
    keys = sa.select(_L.key).where(which)
    perm_ids = perm_ids_of(connection, t.PERM_IDS.c.key.in_(keys))
    return [leg_of(row, perm_ids.get(row.key, ()), executions.filled(row.key)) for row in rows]


def open_legs(book: str) -> sa.ColumnElement[bool]:
    """Orders that can still fill."""
    return (_L.book == book) & _L.state.in_(OPEN_LEGS)


def read_standings(connection: sa.Connection, book: str, first: date, last: date) -> Iterator[Standing]:
    """Intents of a range of sessions, in the order in which they were made."""
    intents = t.INTENTS.c
    query = sa.select(t.INTENT_STATES, *(intents[name] for name in ("session", "slot", "symbol", "action", "quantity")))
    mine = query.join(t.INTENTS, intents.id == _S.intent_id).where(
        _S.book == book, intents.session.between(first, last)
    )
    for row in connection.execute(mine.order_by(intents.seq)):
        yield Standing(
            intent_id=row.intent_id,
            session=row.session,
            slot=row.slot,
            symbol=row.symbol,
            action=row.action,
            quantity=row.quantity,
            state=row.state,
            why=row.why,
            at=instant_of(row.at),
        )


def read_snapshot(connection: sa.Connection, book: str) -> StoredSnapshot | None:
    """What the broker said last; None before the first complete snapshot."""
    row = connection.execute(sa.select(t.SNAPSHOTS).where(t.SNAPSHOTS.c.book == book)).first()
    if row is None:
        return None
    positions, orders = row.state.split("\n")
    return StoredSnapshot(
        at=instant_of(row.at),
        token=row.token,
        agrees=bool(row.agrees),
        equity=row.equity,
        cash=row.cash,
        positions=POSITIONS.validate_json(positions),
        open_orders=REPORTS.validate_json(orders),
    )


def _tracked(connection: sa.Connection, book: str, executions: Executions) -> Iterator[Tracked]:
    which = _wanted(connection, book)
    wanted = _S.intent_id.in_(which)
    query = sa.select(t.INTENT_STATES, t.INTENTS.c.symbol, t.INTENTS.c.quantity, t.INTENTS.c.seq)
    rows = connection.execute(query.join(t.INTENTS, t.INTENTS.c.id == _S.intent_id).where(wanted).order_by("seq")).all()
    legs: dict[str, list[Leg]] = {row.intent_id: [] for row in rows}
    for leg in read_legs(connection, executions, _L.intent_id.in_(which)):
        legs.setdefault(leg.intent_id, []).append(leg)
    for row in rows:
        if legs[row.intent_id]:
            yield tracked_of(row, legs[row.intent_id])


def tracked_of(row: Any, legs: Sequence[Leg]) -> Tracked:
    """A row of `intent_states`, with what `intents` says of it and its orders."""
    first = next((leg for leg in legs if not leg.parent_key), legs[0])
    return Tracked(
        id=row.intent_id,
        ref=f"{REF_PREFIX}{row.intent_id}",
        symbol=row.symbol,
        side=first.side,
        opens=bool(row.opens),
        quantity=row.quantity,
        state=row.state,
        legs=tuple(legs),
        token=row.token,
        submitted_at=instant_of(row.submitted_at) if row.submitted_at else None,
        absences=row.absences,
    )


def _wanted(connection: sa.Connection, book: str) -> Any:
    """Intents at the broker, tombstones, and those with an order that can still fill or a recent execution."""
    days = sa.select(_E.session).where(_E.book == book).distinct().order_by(_E.session.desc()).limit(SESSIONS)
    recent: list[date] = list(connection.execute(days).scalars())
    parts = [
        sa.select(_S.intent_id).where(_S.book == book, _S.state.in_(TRACKED)),
        sa.select(_L.intent_id).where(_L.book == book, _L.state.in_(OPEN_LEGS)),
    ]
    if recent:
        parts.append(sa.select(_E.intent_id).where(_E.book == book, _E.session >= recent[-1], _E.intent_id != ""))
    return sa.union(*parts)
