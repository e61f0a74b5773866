"""The ledger as the watchdog knows it: it reads everything, and writes halts, pages, signs of life and its own orders.

It is opened in the watchdog's own role, and knows no stage: what it reads of a plan, it reads as JSON.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_changes import Applying
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_reading import open_legs, read_adopted, read_known, read_legs
from resources.ledger.dispatch_reductions import add_reduction
from resources.ledger.dispatch_states import Work, add_halt, move, open_halts, standing, subject_of, working
from resources.ledger.engine import reading, transaction
from resources.ledger.state import Heartbeats
from resources.ledger.text import instant_of, instant_text, words
from resources.ledger.wakeups import wake
from trading_assets.broker import journaling as tell
from trading_assets.broker.absorbing import absorb
from trading_assets.broker.applying import applied
from trading_assets.broker.lifecycle import OPENING, Change, Known, Leg, LegRole
from trading_assets.broker.model import (
    REF_PREFIX,
    Commission,
    Commissioned,
    Executed,
    Execution,
    OrderReport,
    Reported,
    Side,
)
from trading_assets.core.calendar import Session
from trading_assets.core.journal import Record
from warden.seen import Holder, Identity, LedgerSeen, Sign, Trade, WorkingOrder
from warden.steps import Sale

PROCESS = "watchdog"
ON_THE_WAY = timedelta(seconds=5)
"""How long an order that is recorded may be unknown to the broker before it counts as never sent."""
_SELLS = ("exit", "close", "flatten")
_ZERO = Decimal(0)
_P = t.PAGES.c


class SqlWatchLedger:
    """The WatchLedger port on a book's ledger."""

    def __init__(self, engine: sa.Engine, book: str, *, on_the_way: timedelta = ON_THE_WAY) -> None:
        self._engine = engine
        self._book = book
        self._on_the_way = on_the_way
        self._executions = Executions(book)

    def look(self, session: Session | None) -> LedgerSeen:
        """See the port."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            known = read_known(connection, self._book, self._executions)
            legs = read_legs(connection, self._executions, open_legs(self._book))
            day_open, peak = _marks(connection, self._book, session)
            return LedgerSeen(
                positions={symbol: known.position(symbol) for symbol in sorted(known.symbols)},
                adopted=read_adopted(connection, self._book).shares,
                cash=known.cash,
                orders=tuple(_working(leg) for leg in legs),
                trades=tuple(_trades(connection, self._executions, session)),
                day_symbols=_day_symbols(connection, known),
                day_open=day_open,
                peak=peak,
                halts={halt.id: halt.cause for halt in open_halts(connection, self._book)},
                answered=_answered(connection, self._book),
                unanswered=_unanswered(connection, self._book),
            )

    def signs(self, *, as_of: datetime) -> Mapping[str, Sign]:
        """See the port."""
        beats = Heartbeats(self._engine).ages(as_of=as_of)
        return {
            name: Sign(name, beat.age, beat.pid, Identity(beat.version, beat.limits_hash), _acts(beat.state))
            for name, beat in beats.items()
            if name != PROCESS
        }

    def holder(self) -> Holder | None:
        """See the port."""
        query = sa.select(t.LEASES.c.holder, t.LEASES.c.until).where(t.LEASES.c.name == f"gateway:{self._book}")
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        host, _, pid = (row.holder if row is not None else "").rpartition(" pid ")
        return Holder(host, int(pid), instant_of(row.until)) if row is not None and pid.isdecimal() else None

    def beat(self, state: str, identity: Identity, *, as_of: datetime) -> None:
        """See the port."""
        Heartbeats(self._engine).beat(
            PROCESS,
            pid=os.getpid(),
            state=state,
            as_of=as_of,
            version=identity.version,
            limits_hash=identity.limits_hash,
        )

    def halt(self, cause: str, *, as_of: datetime) -> None:
        """See the port."""
        told: list[Record] = []
        with working(self._engine, self._book, told) as work:
            add_halt(work, cause, as_of=as_of)
        wake(self._engine)

    def page(self, severity: str, code: str, sentence: str, *, as_of: datetime) -> None:
        """See the port."""
        mine = (_P.book == self._book) & (_P.code == code) & (_P.severity == severity) & _P.answered_at.is_(None)
        row = {"book": self._book, "severity": severity, "code": code, "sentence": words(sentence)}
        with transaction(self._engine) as connection:
            if connection.execute(sa.select(_P.id).where(mine)).first() is None:
                raised = {"raised_at": instant_text(as_of), "sends": 0, "answer": ""}
                connection.execute(t.PAGES.insert(), {**row, **raised})

    def write_ahead(
        self, sale: Sale, order_id: int, client_id: int, cause: str, *, visible: frozenset[str], as_of: datetime
    ) -> str:
        """See the port."""
        order = {"side": sale.side, "kind": "market", "oca_group": sale.oca_group, "stop_price": None}
        told: list[Record] = []
        with working(self._engine, self._book, told) as work:
            if _is_on_the_way(work, sale, client_id, visible, as_of - self._on_the_way):
                return ""
            ref = self._ahead(
                work, "flatten", sale.symbol, sale.con_id, sale.quantity, order_id, client_id, order, cause, as_of
            )
        wake(self._engine)
        return ref

    def protect_ahead(
        self,
        symbol: str,
        con_id: int,
        quantity: int,
        stop: Decimal,
        order_id: int,
        client_id: int,
        cause: str,
        *,
        as_of: datetime,
    ) -> str:
        """See the port."""
        side: Side = "sell" if quantity > 0 else "buy"
        order = {"side": side, "kind": "stop", "stop_price": stop}
        told: list[Record] = []
        with working(self._engine, self._book, told) as work:
            ref = self._ahead(work, "protect", symbol, con_id, abs(quantity), order_id, client_id, order, cause, as_of)
        wake(self._engine)
        return ref

    def book(
        self,
        client_id: int,
        reports: Sequence[OrderReport],
        executions: Sequence[Execution],
        commissions: Sequence[Commission],
        *,
        as_of: datetime,
    ) -> None:
        """See the port."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            known = read_known(connection, self._book, self._executions)
        mine = {leg.ref for intent in known.intents for leg in intent.legs if leg.client_id == client_id}
        events: list[Reported | Executed | Commissioned] = [Executed(each) for each in executions if each.ref in mine]
        events += [Reported(each) for each in reports if each.ref in mine]
        told = {each.exec_id for each in executions if each.ref in mine}
        events += [Commissioned(each) for each in commissions if each.exec_id in told]
        changes: list[Change] = []
        for event in events:
            new = absorb(known, event)
            changes += new
            known = applied(known, new)
        if changes:
            records: list[Record] = []
            with working(self._engine, self._book, records) as work:
                Applying(work, 0, as_of, changes).run()
            wake(self._engine)

    def newest_order_id(self, client_id: int) -> int:
        """See the port."""
        newest = sa.select(sa.func.max(t.LEGS.c.order_id)).where(t.LEGS.c.client_id == client_id)
        with reading(self._engine) as connection:
            return connection.execute(newest).scalar() or 0

    def _ahead(
        self,
        work: Work,
        role: LegRole,
        symbol: str,
        con_id: int,
        quantity: int,
        order_id: int,
        client_id: int,
        order: Mapping[str, Any],
        cause: str,
        as_of: datetime,
    ) -> str:
        """The intent, its order and its number, in one commit; from here on it may be on the wire."""
        key = f"{PROCESS}/{role}/{symbol}/{instant_text(as_of)}/{order_id}"
        made = add_reduction(
            work,
            key=key,
            symbol=symbol,
            role=role,
            quantity=quantity,
            is_short=order["side"] == "buy",
            cause=cause,
            token=0,
            as_of=as_of,
        )
        if made is None:
            raise RuntimeError(f"{key} was recorded twice")
        row = standing(work, made)
        move(work, row, "SUBMITTING", token=0, as_of=as_of, submitted_at=instant_text(as_of))
        grouped = {"oca_group": f"{REF_PREFIX}{made}", **order}
        leg = _leg_row(self._book, made, role, symbol, con_id, quantity, order_id, client_id, grouped, as_of)
        work.connection.execute(t.LEGS.insert(), leg)
        _tell_handed_over(work, row, made, leg, as_of)
        return f"{REF_PREFIX}{made}"


def _leg_row(
    book: str,
    intent_id: str,
    role: LegRole,
    symbol: str,
    con_id: int,
    quantity: int,
    order_id: int,
    client_id: int,
    order: Mapping[str, Any],
    as_of: datetime,
) -> dict[str, Any]:
    now = instant_text(as_of)
    return {
        "key": f"{intent_id}-{role}",
        "book": book,
        "intent_id": intent_id,
        "role": role,
        "symbol": symbol,
        "con_id": con_id,
        "quantity": quantity,
        "state": "sent",
        "why": "",
        "order_id": order_id,
        "client_id": client_id,
        "limit_price": None,
        "parent_key": "",
        "token": 0,
        "sent_at": now,
        "at": now,
        **order,
    }


def _tell_handed_over(work: Work, row: Any, intent_id: str, leg: Mapping[str, Any], as_of: datetime) -> None:
    line = {name: leg[name] for name in ("key", "role", "order_id", "client_id", "quantity")}
    work.entries.append(tell.handed_over_entry(subject_of(row), intent_id, [line], [], token=0, at=as_of))


def _working(leg: Leg) -> WorkingOrder:
    return WorkingOrder(leg.key, leg.ref, leg.symbol, leg.role in OPENING, leg.order_id, leg.client_id, leg.oca_group)


def _trades(connection: sa.Connection, executions: Executions, session: Session | None) -> Iterator[Trade]:
    """Executions of the session, each with what was signed: of an entry the decision's price, else the order's own."""
    if session is None:
        return
    today = list(executions.counted(session.day, session.day))
    keys = sorted({each.leg_key for each in today if each.leg_key})
    legs, intents = t.LEGS.c, t.INTENTS.c
    query = sa.select(legs.key, legs.role, legs.limit_price, legs.stop_price, intents.plan)
    mine = query.join(t.INTENTS, intents.id == legs.intent_id).where(legs.key.in_(keys))
    ordered = {row.key: _signed(row) for row in connection.execute(mine)} if keys else {}
    for each in today:
        done = each.execution
        yield Trade(
            exec_id=done.exec_id,
            symbol=done.symbol,
            side=done.side,
            price=done.price,
            ordered=ordered.get(each.leg_key),
            at=done.at,
            liquidation=done.liquidation,
        )


def _signed(row: Any) -> Decimal | None:
    if row.role in OPENING:
        return Decimal(json.loads(row.plan)["reference"])
    price: Decimal | None = row.limit_price if row.limit_price is not None else row.stop_price
    return price


def _acts(state: str) -> bool:
    """Whether a gateway says that it is connected and has looked."""
    try:
        told = json.loads(state)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("link") == "up"


def _is_on_the_way(work: Work, sale: Sale, client_id: int, visible: frozenset[str], since: datetime) -> bool:
    """Whether another process recorded an order for the same shares since then, of which the broker has not told."""
    legs = t.LEGS.c
    query = sa.select(legs.intent_id).where(
        legs.book == work.book,
        legs.symbol == sale.symbol,
        legs.side == sale.side,
        legs.role.in_(_SELLS),
        legs.client_id != client_id,
        legs.sent_at >= instant_text(since),
    )
    sellers: Sequence[str] = work.connection.execute(query).scalars().all()
    return any(f"{REF_PREFIX}{intent_id}" not in visible for intent_id in sellers)


def _answered(connection: sa.Connection, book: str) -> tuple[str, ...]:
    """Causes of halts that were answered, oldest first."""
    halts = t.HALTS.c
    query = sa.select(halts.cause).join(t.ACKNOWLEDGEMENTS, t.ACKNOWLEDGEMENTS.c.halt_id == halts.id)
    return tuple(connection.execute(query.where(halts.book == book).order_by(halts.id)).scalars())


def _day_symbols(connection: sa.Connection, known: Known) -> frozenset[str]:
    """Symbols held whose newest entry that filled is a plan for the day alone; one that filled nothing says nothing."""
    intents, legs, done = t.INTENTS.c, t.LEGS.c, t.EXECUTIONS.c
    held = [symbol for symbol in sorted(known.symbols) if known.position(symbol)]
    filled = sa.select(legs.intent_id).join(t.EXECUTIONS, done.leg_key == legs.key).where(legs.role.in_(OPENING))
    query = sa.select(intents.symbol, intents.plan).where(intents.symbol.in_(held), intents.id.in_(filled))
    newest = {row.symbol: row.plan for row in connection.execute(query.order_by(intents.seq))}
    return frozenset(symbol for symbol, plan in newest.items() if json.loads(plan).get("flat_by_close"))


def _marks(connection: sa.Connection, book: str, session: Session | None) -> tuple[Decimal | None, Decimal | None]:
    """Equity when the day opened, and the peak since an operator last answered a halt; of closes and of snapshots."""
    answers, closes = t.ACKNOWLEDGEMENTS.c, t.CLOSES.c
    answered = sa.select(sa.func.max(answers.at)).join(t.HALTS, t.HALTS.c.id == answers.halt_id)
    last: str = connection.execute(answered.where(t.HALTS.c.book == book)).scalar() or ""
    told = connection.execute(sa.select(t.SNAPSHOTS).where(t.SNAPSHOTS.c.book == book)).first()
    since = tell.new_york_day(instant_of(last)) if last else None
    mine = sa.select(closes.session, closes.equity).where(closes.book == book).order_by(closes.session)
    before = [row for row in connection.execute(mine) if session is None or row.session < session.day]
    peaks = [row.equity for row in before if since is None or row.session >= since]
    if told is not None and told.peak is not None and told.at >= last:
        peaks.append(told.peak)
    day_open = before[-1].equity if before else told.day_open if told is not None else None
    return day_open, max(peaks, default=None)


def _unanswered(connection: sa.Connection, book: str) -> Mapping[str, datetime]:
    query = sa.select(_P.sentence, _P.raised_at).where(
        _P.book == book, _P.answered_at.is_(None), _P.severity == "critical"
    )
    return {row.sentence: instant_of(row.raised_at) for row in connection.execute(query.order_by(_P.id))}
