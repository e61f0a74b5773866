"""What a book remembers, on an open transaction: the mind after each slot, lessons of closed trades, proposals.

Texts are stored whole with the digest that the journal tells. What comes back is what was stored, or nothing: a mind whose digest
does not fit is refused, for a decision must not rest on it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resources.ledger import schema as t
from resources.ledger.text import instant_text
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import sha256
from trading_assets.execution.journaling import decision_id
from trading_assets.execution.ports import Decision
from trading_assets.execution.remembering import mind_text
from trading_assets.plans.model import Proposal
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind

_LESSONS_PARSED_MAX = 10_000
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def mind_row(book: str, decision: Decision, mind: Mind | None) -> dict[str, Any] | None:
    """The row of the mind that a decision left behind; None where it left none.

    Raises:
        PermanentFailure: The decision names another mind than the one that is to be stored.
    """
    text = None if mind is None else mind_text(mind)
    digest = "" if text is None else sha256(text)
    if decision.mind_digest != digest:
        raise PermanentFailure(
            f"slot {decision.slot} of {decision.session} names another mind than it leaves behind",
            value=decision.mind_digest or "none",
            bound=digest or "no mind, so no digest",
            hint="Decision(mind_digest=mind_digest(mind)) of trading_assets/execution/remembering.py",
        )
    if text is None:
        return None
    return {
        "book": book,
        "session": decision.session,
        "slot": decision.slot,
        "at": instant_text(decision.as_of),
        "mind": text,
        "digest": digest,
    }


def newest_mind(connection: sa.Connection, book: str, before: datetime) -> Mind:
    """The mind of the newest slot before an instant; an empty one where there is none.

    Raises:
        PermanentFailure: The stored mind is not the one that its digest names.
    """
    minds = t.MINDS.c
    query = sa.select(minds.mind, minds.digest, minds.session, minds.slot)
    mine = query.where(minds.book == book, minds.at < instant_text(before))
    row = connection.execute(mine.order_by(minds.at.desc(), minds.seq.desc()).limit(1)).first()
    if row is None:
        return Mind()
    if sha256(row.mind) != row.digest:
        raise PermanentFailure(
            f"the mind that slot {row.slot} of {row.session} left behind is damaged",
            value=sha256(row.mind),
            bound=row.digest,
            hint="desk doctor --verify-ledger; restore a backup of the ledger",
        )
    return Mind.model_validate_json(row.mind)


def put_lessons(connection: sa.Connection, book: str, lessons: Sequence[Lesson]) -> list[tuple[Lesson, str]]:
    """Stores the lessons of trades that have none; returns those, each with the correlation id of the decision that opened it."""
    insert = _INSERTS[connection.dialect.name](t.LESSONS)
    claim = insert.on_conflict_do_nothing(index_elements=["book", "id"]).returning(t.LESSONS.c.seq)
    new = [lesson for lesson in lessons if connection.execute(claim, _lesson_row(book, lesson)).first() is not None]
    causes = _causes(connection, book, [lesson.id for lesson in new])
    return [(lesson, causes.get(lesson.id, "")) for lesson in new]


def lessons_known(connection: sa.Connection, book: str, known_by: datetime) -> list[Lesson]:
    """Lessons that were knowable at an instant, in the order in which they became so."""
    lessons = t.LESSONS.c
    query = sa.select(lessons.lesson).where(lessons.book == book, lessons.resolved_at <= instant_text(known_by))
    rows = connection.execute(query.order_by(lessons.resolved_at, lessons.seq))
    return [_lesson(row.lesson) for row in rows]


def put_proposal(connection: sa.Connection, book: str, proposal: Proposal) -> bool:
    """Stores a proposal; False when it is there already.

    Raises:
        PermanentFailure: Another proposal has its id.
    """
    text = proposal.model_dump_json()
    row = {"book": book, "id": proposal.id, "at": instant_text(proposal.at), "proposal": text}
    insert = _INSERTS[connection.dialect.name](t.PROPOSALS)
    claim = insert.on_conflict_do_nothing(index_elements=["book", "id"]).returning(t.PROPOSALS.c.seq)
    if connection.execute(claim, row).first() is not None:
        return True
    mine = (t.PROPOSALS.c.book == book) & (t.PROPOSALS.c.id == proposal.id)
    if connection.scalar(sa.select(t.PROPOSALS.c.proposal).where(mine)) != text:
        raise PermanentFailure("another proposal has this id", value=proposal.id, hint="give each proposal its own id")
    return False


def proposals_between(connection: sa.Connection, book: str, after: datetime, until: datetime) -> list[Proposal]:
    """Proposals made after one instant and not after another, in their order."""
    proposals = t.PROPOSALS.c
    query = sa.select(proposals.proposal).where(
        proposals.book == book, proposals.at > instant_text(after), proposals.at <= instant_text(until)
    )
    rows = connection.execute(query.order_by(proposals.at, proposals.seq))
    return [Proposal.model_validate_json(row.proposal) for row in rows]


def forget_proposals(connection: sa.Connection, book: str, first: date) -> None:
    """Forgets what was proposed on or after a New York day."""
    begun = instant_text(datetime(first.year, first.month, first.day, tzinfo=NEW_YORK))
    connection.execute(t.PROPOSALS.delete().where(t.PROPOSALS.c.book == book, t.PROPOSALS.c.at >= begun))


def _lesson_row(book: str, lesson: Lesson) -> dict[str, Any]:
    return {
        "book": book,
        "id": lesson.id,
        "session": lesson.session,
        "resolved_at": instant_text(lesson.resolved_at),
        "symbol": lesson.symbol,
        "strategy": lesson.strategy,
        "regime": lesson.regime,
        "lesson": lesson.model_dump_json(),
    }


@lru_cache(_LESSONS_PARSED_MAX)
def _lesson(text: str) -> Lesson:
    """A walk asks for all lessons in each slot; each is parsed once."""
    return Lesson.model_validate_json(text)


def _causes(connection: sa.Connection, book: str, trades: Sequence[str]) -> dict[str, str]:
    """Trade to the correlation id of the decision that opened it."""
    if not trades:
        return {}
    intents = t.INTENTS.c
    query = sa.select(intents.id, intents.session, intents.slot).where(intents.book == book, intents.id.in_(trades))
    return {row.id: decision_id(book, row.session, row.slot) for row in connection.execute(query)}
