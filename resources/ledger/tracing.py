"""Everything that the ledger knows of one plan, found by any of the names that it or what came of it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from resources.ledger import schema as t
from trading_assets.execution.journaling import decision_id
from trading_assets.execution.model import Order
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind

LAST = ""
_ORDER = TypeAdapter(Order)
# What a plan is looked for by, in this order: an execution is nearer to what a person saw than a digest.
_NAMES = (
    (t.FILLS, t.FILLS.c.id, t.FILLS.c.intent_id),
    (t.ORDERS, t.ORDERS.c.id, t.ORDERS.c.intent_id),
    (t.INTENTS, t.INTENTS.c.id, t.INTENTS.c.id),
)


@dataclass(frozen=True)
class Traced:
    """One plan in the ledger. `fills` and `entries` are rows as they are stored, amounts exact.

    Args:
        plan: As it was judged; None where no journal entry and no intent holds it, which is so for a plan that was approved and
            whose intent is of an older version.
        intent_id: "" for a plan that was refused.
        opened_by: For a plan that reduces, the intent of the newest entry in the symbol before it; else "".
        mind: What the slot left behind; None where it left nothing.
        lessons: Report cards of the trade that the plan opened.
    """

    book: str
    session: date
    slot: str
    as_of: str
    state: str
    reason: str
    limits_hash: str
    plan_id: str
    plan_digest: str
    plan: TradePlan | None
    verdicts: tuple[Verdict, ...]
    intent_id: str
    opened_by: str
    orders: tuple[Order, ...]
    fills: tuple[dict[str, Any], ...]
    mind: Mind | None
    mind_digest: str
    lessons: tuple[Lesson, ...]
    entries: tuple[dict[str, Any], ...]

    @property
    def correlation_id(self) -> str:
        """What everything that came of the slot is filed under."""
        return decision_id(self.book, self.session, self.slot)


def trace(connection: sa.Connection, book: str, name: str) -> Traced | None:
    """The plan behind a plan id, plan digest, intent, order or execution; None where the book knows no such name.

    Args:
        name: `LAST` stands for the newest execution of the book.
    """
    signed = _signed(connection, book, name)
    if signed is None:
        return None
    decided = connection.execute(_of(t.DECISIONS, book, session=signed.session, slot=signed.slot)).one()
    intent = connection.execute(_of(t.INTENTS, book, plan_digest=signed.plan_digest)).first()
    intent_id = intent.id if intent else ""
    entries = _entries(connection, decision_id(book, signed.session, signed.slot))
    plan = TradePlan.model_validate_json(intent.plan) if intent else _refused(entries, signed.plan_digest)
    mind = connection.execute(_of(t.MINDS, book, session=signed.session, slot=signed.slot)).first()
    verdicts = connection.execute(_of(t.SIGNATURES, book, plan_digest=signed.plan_digest).order_by(t.SIGNATURES.c.seq))
    return Traced(
        book=book,
        session=signed.session,
        slot=signed.slot,
        as_of=decided.as_of,
        state=decided.state,
        reason=decided.reason,
        limits_hash=decided.limits_hash,
        plan_id=signed.plan_id,
        plan_digest=signed.plan_digest,
        plan=plan,
        verdicts=tuple(Verdict.model_validate_json(row.verdict) for row in verdicts),
        intent_id=intent_id,
        opened_by=_opened_by(connection, book, plan, intent.seq if intent else None),
        orders=_orders(connection, book, intent_id),
        fills=_fills(connection, book, intent_id),
        mind=Mind.model_validate_json(mind.mind) if mind else None,
        mind_digest=decided.mind_digest,
        lessons=_lessons(connection, book, intent_id),
        entries=entries,
    )


def calls_of(connection: sa.Connection, decision: str, answer_keys: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Model calls that were made for a decision or gave one of the answers, in their order; USD as text."""
    calls = t.MODEL_CALLS.c
    mine = (calls.decision == decision) | calls.answer_key.in_([key for key in answer_keys if key])
    query = sa.select(t.MODEL_CALLS).where(mine).order_by(calls.id)
    return tuple(
        {
            **{
                name: row[name] for name in ("id", "at", "skill", "route", "model", "outcome", "decision", "answer_key")
            },
            **{name: row[name] for name in ("input_tokens", "cached_tokens", "output_tokens", "latency_ms")},
            "cost_usd": format(row["cost"], "f"),
        }
        for row in connection.execute(query).mappings()
    )


def _signed(connection: sa.Connection, book: str, name: str) -> Any:
    """The first signature of the plan that is meant."""
    digest = _digest_of(connection, book, name)
    signatures = t.SIGNATURES.c
    wanted = (
        signatures.plan_digest == digest if digest else (signatures.plan_id == name) | (signatures.plan_digest == name)
    )
    query = sa.select(t.SIGNATURES).where(signatures.book == book, wanted).order_by(signatures.seq).limit(1)
    return connection.execute(query).first()


def _digest_of(connection: sa.Connection, book: str, name: str) -> str:
    """The digest of the plan whose intent, order or execution has the name; "" where none has.

    What gateway and watchdog did by themselves has no plan: behind it stands the plan that opened the position.
    """
    for table, column, intent in _NAMES:
        wanted = sa.select(intent).where(table.c.book == book)
        wanted = wanted.order_by(table.c.seq.desc()) if name == LAST else wanted.where(column == name)
        found = connection.execute(wanted.limit(1)).scalar()
        if found is not None:
            return _planned(connection, connection.execute(_of(t.INTENTS, book, id=found)).one())
        if name == LAST:
            break
    return ""


def _planned(connection: sa.Connection, intent: Any) -> str:
    if connection.execute(_of(t.SIGNATURES, intent.book, plan_digest=intent.plan_digest)).first() is not None:
        return str(intent.plan_digest)
    entries = _of(t.INTENTS, intent.book, symbol=intent.symbol, action="enter").where(t.INTENTS.c.seq < intent.seq)
    opened = connection.execute(entries.order_by(t.INTENTS.c.seq.desc()).limit(1)).first()
    return str(intent.plan_digest if opened is None else opened.plan_digest)


def _of(table: sa.Table, book: str, **values: object) -> sa.Select[Any]:
    columns = (table.c[name] == value for name, value in values.items())
    return sa.select(table).where(table.c.book == book, *columns)


def _orders(connection: sa.Connection, book: str, intent_id: str) -> tuple[Order, ...]:
    rows = connection.execute(_of(t.ORDERS, book, intent_id=intent_id).order_by(t.ORDERS.c.seq))
    return tuple(_ORDER.validate_json(row.placed) for row in rows)


def _fills(connection: sa.Connection, book: str, intent_id: str) -> tuple[dict[str, Any], ...]:
    rows = connection.execute(_of(t.FILLS, book, intent_id=intent_id).order_by(t.FILLS.c.seq)).mappings()
    return tuple({name: value for name, value in row.items() if name not in {"seq", "book"}} for row in rows)


def _lessons(connection: sa.Connection, book: str, intent_id: str) -> tuple[Lesson, ...]:
    rows = connection.execute(_of(t.LESSONS, book, id=intent_id))
    return tuple(Lesson.model_validate_json(row.lesson) for row in rows)


def _entries(connection: sa.Connection, correlation_id: str) -> tuple[dict[str, Any], ...]:
    query = sa.select(t.JOURNAL).where(t.JOURNAL.c.correlation_id == correlation_id).order_by(t.JOURNAL.c.seq)
    return tuple(dict(row) for row in connection.execute(query).mappings())


def _refused(entries: Sequence[dict[str, Any]], plan_digest: str) -> TradePlan | None:
    """The plan of a veto, which stands whole in its entry."""
    for entry in entries:
        if entry["kind"] == "veto":
            body = _BODY.validate_json(entry["body"])
            if body["plan_digest"] == plan_digest:
                return TradePlan.model_validate(body["plan"])
    return None


def _opened_by(connection: sa.Connection, book: str, plan: TradePlan | None, before: int | None) -> str:
    if plan is None or plan.action == "enter":
        return ""
    query = _of(t.INTENTS, book, symbol=plan.symbol, action="enter").where(t.INTENTS.c.session <= plan.session)
    if before is not None:
        query = query.where(t.INTENTS.c.seq < before)
    found = connection.execute(query.order_by(t.INTENTS.c.seq.desc()).limit(1)).first()
    return found.id if found else ""


_BODY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
