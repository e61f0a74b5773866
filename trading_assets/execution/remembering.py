"""What the journal tells of what is remembered: the mind after a slot, remarks about it, lessons and proposals.

A mind is told by its digest in the entry of its decision. Remarks, lessons and proposals are entries of kind "note", whose body
says in `of` what they are. Words that agents wrote become one line of plain text before they are a title.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.journal import Entry, canonical, sha256
from trading_assets.execution.journaling import decision_id
from trading_assets.execution.ports import Decision, Remark
from trading_assets.plans.model import Proposal
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind

REMARK, LESSON, PROPOSAL = "remark", "lesson", "proposal"
TITLE_MAX = 120
_NO_LINE = re.compile("[\0\n\r\ud800-\udfff]+")


def mind_text(mind: Mind) -> str:
    """The mind's canonical JSON: what the ledger stores, and what a decision's `mind_digest` is the sha256 of."""
    return canonical(mind.model_dump(mode="json"))


def mind_digest(mind: Mind) -> str:
    """The sha256 of the mind's canonical JSON, by which a decision names it."""
    return sha256(mind_text(mind))


def with_mind(entries: Sequence[Entry], digest: str) -> tuple[Entry, ...]:
    """The entries of a decision, the first of which also tells the mind that the slot left behind; "" leaves them as they are."""
    if not digest:
        return tuple(entries)
    decided, *others = entries
    return (replace(decided, body={**decided.body, "mind_digest": digest}), *others)


def remark_entries(decision: Decision, remarks: Sequence[Remark], *, book: str) -> tuple[Entry, ...]:
    """One entry for each remark about a slot."""
    cause = decision_id(book, decision.session, decision.slot)
    return tuple(
        Entry(
            book=book,
            session=decision.session,
            at=decision.as_of,
            kind="note",
            title=_line(remark.title),
            body={"of": REMARK, "slot": decision.slot, "sentence": remark.sentence},
            symbol=_line(remark.symbol),
            correlation_id=cause,
        )
        for remark in remarks
    )


def lesson_entry(lesson: Lesson, *, book: str, correlation_id: str) -> Entry:
    """What a closed trade taught; `correlation_id` is that of the decision which opened it."""
    text = lesson.model_dump_json()
    return Entry(
        book=book,
        session=lesson.session,
        at=lesson.resolved_at,
        kind="note",
        title=_line(f"lesson, grade {lesson.grade}, {lesson.strategy}"),
        body={"of": LESSON, "lesson": json.loads(text), "lesson_sha256": sha256(text)},
        symbol=lesson.symbol,
        correlation_id=correlation_id,
    )


def proposal_entry(proposal: Proposal, *, book: str) -> Entry:
    """A trade that somebody asked for."""
    text = proposal.model_dump_json()
    return Entry(
        book=book,
        session=proposal.at.astimezone(NEW_YORK).date(),
        at=proposal.at,
        kind="note",
        title=_line(f"proposed {proposal.side}, {proposal.strategy}"),
        body={"of": PROPOSAL, "proposal": json.loads(text), "proposal_sha256": sha256(text)},
        symbol=_line(proposal.symbol),
    )


def _line(text: str) -> str:
    """One line that every database keeps."""
    return " ".join(_NO_LINE.sub(" ", text).split())[:TITLE_MAX]
