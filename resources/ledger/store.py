"""The ledger port over SQLAlchemy Core: one transaction for each session of work on one book."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql, sqlite

from resources.ledger import history, memory
from resources.ledger import schema as t
from resources.ledger.dispatch import propose
from resources.ledger.dispatch_told import read_at_broker
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import REWINDABLE, forget_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.records import ParameterChange, add_parameter_changes
from resources.ledger.state import put_state, state_value
from resources.ledger.telling import Telling, tell_after_commit
from resources.ledger.text import instant_text
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DuplicateDecision, PermanentFailure
from trading_assets.core.journal import canonical
from trading_assets.core.ports import Clock, GateRecord, Span
from trading_assets.execution.journaling import changes, parameter_entries
from trading_assets.execution.model import Fill, Order, Position
from trading_assets.execution.ports import Decision, DividendPaid, Halt, Intent, Remark, SessionClose
from trading_assets.execution.told import AtBroker
from trading_assets.plans.model import Proposal, TradePlan
from trading_assets.signatures.model import Verdict
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind

_ORDER = TypeAdapter(Order)
_CLOSE = TypeAdapter(SessionClose)
_REWOUND = (
    *(t.FILLS, t.ORDERS, t.INTENTS, t.DECISIONS, t.SIGNATURES, t.DIVIDENDS, t.CLOSES, t.MESSAGES),
    *(t.MINDS, t.LESSONS),
)
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class SqlLedger:
    """The OrderLedger port for one book; its journal also goes to `files` where there are any.

    A book with a `dispatch_clock` puts its intents on their way to a broker, and says by it when; the gateway takes them there.
    """

    def __init__(
        self, engine: sa.Engine, book: str, files: JournalFiles | None = None, *, dispatch_clock: Clock | None = None
    ) -> None:
        self._engine = engine
        self._book = book
        self._files = files
        self._clock = dispatch_clock

    @contextmanager
    def session(self) -> Iterator["SqlLedgerSession"]:
        """See the port."""
        telling = Telling(self._book)
        with transaction(self._engine) as connection:
            yield SqlLedgerSession(connection, self._book, telling, dispatch_clock=self._clock)
            records = telling.store(connection)
        tell_after_commit(self._engine, records, self._files)

    @contextmanager
    def reading(self) -> Iterator["SqlLedgerSession"]:
        """See the port."""
        with reading(self._engine) as connection:
            yield SqlLedgerSession(connection, self._book, Telling(self._book))


class SqlLedgerSession:
    """The LedgerSession port on an open transaction."""

    def __init__(
        self, connection: sa.Connection, book: str, telling: Telling, *, dispatch_clock: Clock | None = None
    ) -> None:
        self._connection = connection
        self._book = book
        self._telling = telling
        self._clock = dispatch_clock

    def add_decision(
        self,
        decision: Decision,
        judged: Sequence[tuple[TradePlan, Verdict]],
        intents: Sequence[Intent],
        orders: Sequence[Order],
        *,
        mind: Mind | None = None,
        remarks: Sequence[Remark] = (),
    ) -> None:
        """See the port."""
        thought = memory.mind_row(self._book, decision, mind)
        self._claim(decision)
        self._insert(t.MINDS, [thought] if thought else [])
        self._insert(t.SIGNATURES, [self._signature_row(decision, verdict) for _, verdict in judged])
        self._insert(t.INTENTS, [self._intent_row(intent) for intent in intents])
        self._insert(t.ORDERS, [self._order_row(order) for order in orders])
        self._telling.decided(decision, judged, intents, orders, remarks)
        if self._clock is not None:
            self._telling.dispatched(*propose(self._connection, self._book, intents, as_of=self._clock.now()))

    def _claim(self, decision: Decision) -> None:
        """Takes the slot; the unique index says who was first, and the transaction stays usable for whoever was not."""
        row = {**asdict(decision), "as_of": instant_text(decision.as_of), "book": self._book}
        insert = _INSERTS[self._connection.dialect.name](t.DECISIONS)
        claim = insert.on_conflict_do_nothing(index_elements=["book", "session", "slot"]).returning(t.DECISIONS.c.id)
        if self._connection.execute(claim, row).first() is None:
            raise DuplicateDecision(
                f"slot {decision.slot} of {decision.session} is decided already in book {self._book}",
                hint="desk status shows it",
            )

    def mind(self, before: datetime) -> Mind:
        """See the port."""
        return memory.newest_mind(self._connection, self._book, before)

    def add_lessons(self, lessons: Sequence[Lesson]) -> None:
        """See the port."""
        self._telling.learned(memory.put_lessons(self._connection, self._book, lessons))

    def lessons(self, known_by: datetime) -> Sequence[Lesson]:
        """See the port."""
        return memory.lessons_known(self._connection, self._book, known_by)

    def propose(self, proposal: Proposal) -> None:
        """See the port."""
        if memory.put_proposal(self._connection, self._book, proposal):
            self._telling.proposed(proposal)

    def proposals(self, after: datetime, until: datetime) -> Sequence[Proposal]:
        """See the port."""
        return memory.proposals_between(self._connection, self._book, after, until)

    def decisions(self, first: date, last: date) -> Sequence[Decision]:
        """See the port."""
        query = self._mine(t.DECISIONS).where(t.DECISIONS.c.session.between(first, last))
        rows = self._connection.execute(query.order_by(t.DECISIONS.c.session, t.DECISIONS.c.slot))
        return [_decision(row) for row in rows]

    def add_settlement(self, close: SessionClose, fills: Sequence[Fill], dividends: Sequence[DividendPaid]) -> None:
        """See the port."""
        if self.close_of(close.session) is not None:
            return
        self._insert(t.FILLS, [{**asdict(fill), "at": instant_text(fill.at), "book": self._book} for fill in fills])
        self._insert(t.DIVIDENDS, [{**asdict(paid), "book": self._book} for paid in dividends])
        row = {
            "book": self._book,
            "session": close.session,
            "cash": close.book.cash,
            "equity": close.equity,
            "fees": close.fees,
            "dividends": close.dividends,
            "traded_value": close.traded_value,
            "state": _CLOSE.dump_json(close).decode(),
        }
        self._insert(t.CLOSES, [row])
        newest = self._connection.scalar(
            sa.select(sa.func.max(t.CLOSES.c.session)).where(t.CLOSES.c.book == self._book)
        )
        if newest == close.session:
            self._show_positions(close)
        self._telling.settled(close, fills, dividends, self._placed({fill.order_id for fill in fills}))

    def latest_close(self, before: date) -> SessionClose | None:
        """See the port."""
        newest = self._mine(t.CLOSES).where(t.CLOSES.c.session < before).order_by(t.CLOSES.c.session.desc()).limit(1)
        return next((_close(row) for row in self._connection.execute(newest)), None)

    def close_of(self, session: date) -> SessionClose | None:
        """See the port."""
        return next(iter(self.closes(session, session)), None)

    def closes(self, first: date, last: date) -> Sequence[SessionClose]:
        """See the port."""
        query = self._mine(t.CLOSES).where(t.CLOSES.c.session.between(first, last)).order_by(t.CLOSES.c.session)
        return [_close(row) for row in self._connection.execute(query)]

    def equity_history(self, until: date) -> Sequence[Decimal]:
        """See the port."""
        query = (
            sa.select(t.CLOSES.c.equity)
            .where(t.CLOSES.c.book == self._book, t.CLOSES.c.session < until)
            .where(t.CLOSES.c.session >= self._last_acknowledged())
            .order_by(t.CLOSES.c.session)
        )
        return list(self._connection.execute(query).scalars())

    def intents(self, until: date) -> Sequence[Intent]:
        """See the port."""
        query = self._mine(t.INTENTS).where(t.INTENTS.c.session <= until).order_by(t.INTENTS.c.seq)
        return [history.intent_of(row) for row in self._connection.execute(query)]

    def entries_of(self, symbols: Sequence[str]) -> Mapping[str, Intent]:
        """See the port."""
        if not symbols:
            return {}
        query = self._mine(t.INTENTS).where(t.INTENTS.c.symbol.in_(symbols), t.INTENTS.c.action == "enter")
        rows = self._connection.execute(query.order_by(t.INTENTS.c.seq))
        return {row.symbol: history.intent_of(row) for row in rows}

    def orders_placed(self, first: date, last: date) -> Sequence[tuple[Order, Intent]]:
        """See the port."""
        query = (
            sa.select(t.INTENTS, t.ORDERS.c.placed)
            .join(t.ORDERS, t.ORDERS.c.intent_id == t.INTENTS.c.id)
            .where(t.ORDERS.c.book == self._book, t.ORDERS.c.session.between(first, last))
            .order_by(t.ORDERS.c.seq)
        )
        return [(_ORDER.validate_json(row.placed), history.intent_of(row)) for row in self._connection.execute(query)]

    def fills(self, until: date) -> Sequence[Fill]:
        """See the port."""
        query = self._mine(t.FILLS).where(t.FILLS.c.session <= until).order_by(t.FILLS.c.seq)
        return [history.fill_of(row) for row in self._connection.execute(query)]

    def dividends(self, until: date) -> Sequence[DividendPaid]:
        """See the port."""
        query = self._mine(t.DIVIDENDS).where(t.DIVIDENDS.c.session <= until).order_by(t.DIVIDENDS.c.seq)
        return [DividendPaid(row.session, row.symbol, row.amount) for row in self._connection.execute(query)]

    def trade_history(
        self, session: date, *, split: Collection[str] = ()
    ) -> tuple[Sequence[Fill], Sequence[DividendPaid], Sequence[Intent]]:
        """See the port."""
        return history.trade_history(self._connection, self._book, session, split)

    def at_broker(self, session: date) -> AtBroker:
        """See the port."""
        return read_at_broker(self._connection, self._book, session)

    def open_halt(self) -> Halt | None:
        """See the port."""
        answered = sa.select(t.ACKNOWLEDGEMENTS.c.halt_id)
        query = self._mine(t.HALTS).where(t.HALTS.c.id.not_in(answered)).order_by(t.HALTS.c.id).limit(1)
        found = self._connection.execute(query).first()
        return Halt(found.id, found.cause, datetime.fromisoformat(found.at)) if found else None

    def add_halt(self, cause: str, *, as_of: datetime) -> None:
        """See the port."""
        row = {"book": self._book, "cause": cause, "at": instant_text(as_of)}
        number: int = self._connection.execute(t.HALTS.insert().returning(t.HALTS.c.id), row).scalar_one()
        self._telling.halted(Halt(number, cause, as_of.astimezone(UTC)))

    def acknowledge(self, halt_id: int, reason: str, *, as_of: datetime) -> None:
        """The operator's answer to a halt; it must name an open halt of this book and say why trading may go on."""
        halt = self.open_halt()
        if halt is None or halt.id != halt_id or not reason.strip():
            open_now = f"halt {halt.id}: {halt.cause}" if halt else "no open halt"
            raise PermanentFailure(
                "only the open halt can be acknowledged, with a reason", value=halt_id, bound=open_now
            )
        row = {"halt_id": halt_id, "reason": reason, "at": instant_text(as_of)}
        self._connection.execute(t.ACKNOWLEDGEMENTS.insert(), row)
        self._telling.resumed(halt, reason, at=as_of)

    def note_parameters(self, now: Mapping[str, object], *, origin: str, reason: str, as_of: datetime) -> int:
        """Compares the book's settings with those of the last time and records each that changed; returns how many did.

        The first time there is nothing to compare with, and the settings are kept as they are.
        """
        key = f"parameters:{self._book}"
        stored = state_value(self._connection, key)
        before = json.loads(stored) if stored is not None else now
        found = changes(before, now)
        if stored is None or found:
            put_state(self._connection, key, canonical(now), as_of)
        session = as_of.astimezone(NEW_YORK).date()
        rows = [ParameterChange(self._book, session, c.name, c.before, c.after, origin, reason) for c in found]
        add_parameter_changes(self._connection, rows, as_of=as_of)
        entries = parameter_entries(before, now, book=self._book, origin=origin, reason=reason, at=as_of)
        self._telling.changed(entries)
        return len(found)

    def rewind(self, first: date) -> None:
        """See the port."""
        if self._book != REWINDABLE:
            raise PermanentFailure("only a backtest's book can be walked again", value=self._book, bound=REWINDABLE)
        forget_entries(self._connection, self._book, first)
        for table in _REWOUND:
            self._connection.execute(table.delete().where(table.c.book == self._book, table.c.session >= first))
        memory.forget_proposals(self._connection, self._book, first)
        begun, halts, answers = first.isoformat(), t.HALTS.c, t.ACKNOWLEDGEMENTS.c
        mine = sa.select(halts.id).where(halts.book == self._book)
        late = mine.where(halts.at >= begun)
        answered_late = answers.halt_id.in_(mine) & (answers.at >= begun)
        self._connection.execute(t.ACKNOWLEDGEMENTS.delete().where(answered_late | answers.halt_id.in_(late)))
        self._connection.execute(t.HALTS.delete().where(halts.book == self._book, halts.at >= begun))
        self._show_positions(self.latest_close(date.max))

    def _placed(self, order_ids: set[str]) -> dict[str, tuple[Order, Intent]]:
        """Orders by id, each with its intent."""
        if not order_ids:
            return {}
        query = (
            sa.select(t.INTENTS, t.ORDERS.c.placed)
            .join(t.ORDERS, t.ORDERS.c.intent_id == t.INTENTS.c.id)
            .where(t.ORDERS.c.book == self._book, t.ORDERS.c.id.in_(order_ids))
        )
        found = [(_ORDER.validate_json(row.placed), history.intent_of(row)) for row in self._connection.execute(query)]
        return {order.id: (order, intent) for order, intent in found}

    def _show_positions(self, newest: SessionClose | None) -> None:
        """Replaces the book's rows in `positions` by those of its newest close, which is the truth about them."""
        self._connection.execute(t.POSITIONS.delete().where(t.POSITIONS.c.book == self._book))
        if newest is not None:
            self._insert(t.POSITIONS, [self._position_row(newest, held) for held in newest.book.positions.values()])

    def _insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._connection.execute(table.insert(), rows)

    def _mine(self, table: sa.Table) -> sa.Select[Any]:
        return sa.select(table).where(table.c.book == self._book)

    def _last_acknowledged(self) -> date:
        query = (
            sa.select(sa.func.max(t.ACKNOWLEDGEMENTS.c.at))
            .join(t.HALTS, t.HALTS.c.id == t.ACKNOWLEDGEMENTS.c.halt_id)
            .where(t.HALTS.c.book == self._book)
        )
        newest = self._connection.execute(query).scalar()
        return datetime.fromisoformat(newest).date() if newest else date.min

    def _signature_row(self, decision: Decision, verdict: Verdict) -> dict[str, Any]:
        return {
            "book": self._book,
            "session": decision.session,
            "slot": decision.slot,
            "plan_id": verdict.plan_id,
            "plan_digest": verdict.plan_digest,
            "signer": verdict.signer,
            "ruling": verdict.ruling,
            "quantity": verdict.quantity,
            "verdict": verdict.model_dump_json(),
            "at": instant_text(decision.as_of),
        }

    def _position_row(self, close: SessionClose, held: Position) -> dict[str, Any]:
        return {
            "book": self._book,
            "symbol": held.symbol,
            "session": close.session,
            "quantity": held.quantity,
            "cost": held.cost,
            "price": close.prices[held.symbol],
        }

    def _intent_row(self, intent: Intent) -> dict[str, Any]:
        return {
            "id": intent.id,
            "book": self._book,
            "session": intent.session,
            "slot": intent.slot,
            "strategy": intent.plan.strategy,
            "symbol": intent.plan.symbol,
            "action": intent.plan.action,
            "quantity": intent.quantity,
            "plan": intent.plan.model_dump_json(),
            "plan_digest": intent.plan.digest,
            "verdict": intent.verdict.model_dump_json(),
            "limits_hash": intent.limits_hash,
        }

    def _order_row(self, order: Order) -> dict[str, Any]:
        return {
            "id": order.id,
            "book": self._book,
            "intent_id": order.intent_id,
            "session": order.session,
            "placed": _ORDER.dump_json(order).decode(),
        }


class SqlGateBook:
    """The GateBook port on a ledger."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record_gates(self, records: Sequence[GateRecord], *, as_of: datetime) -> None:
        """See the port."""
        rows = [
            {
                "table_name": record.table,
                "session": record.session,
                "version": record.version,
                "passed": record.passed,
                "failures": json.dumps(record.failures),
                "at": instant_text(as_of),
            }
            for record in records
        ]
        if rows:
            with transaction(self._engine) as connection:
                connection.execute(t.GATES.insert(), rows)

    def gates(self, table: str, span: Span) -> Mapping[date, GateRecord]:
        """See the port."""
        newest = (
            sa.select(sa.func.max(t.GATES.c.id))
            .where(t.GATES.c.table_name == table, t.GATES.c.session.between(span.first, span.last))
            .group_by(t.GATES.c.session)
        )
        wanted = sa.select(t.GATES).where(t.GATES.c.id.in_(newest)).order_by(t.GATES.c.session)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return {
            row.session: GateRecord(
                row.table_name, row.session, row.version, row.passed, tuple(json.loads(row.failures))
            )
            for row in rows
        }


def _decision(row: Any) -> Decision:
    as_of = datetime.fromisoformat(row.as_of)
    return Decision(
        row.session, row.slot, as_of, row.state, row.reason, row.plans, row.vetoes, row.limits_hash, row.mind_digest
    )


def _close(row: Any) -> SessionClose:
    return _CLOSE.validate_json(row.state)
