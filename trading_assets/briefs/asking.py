"""Asks the analysts for a range of sessions and keeps what they say as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import Brief
from trading_assets.briefs.questions import BREADTH_ROLE, TECHNICAL, Question, brief_of, questions_at
from trading_assets.briefs.roles import BreadthInputs, Opinion, TechnicalInputs
from trading_assets.briefs.rows import brief_rows
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Lake, Span
from trading_assets.reasoning.model import Abstention, Answer, Budget, In, Out, Role
from trading_assets.reasoning.ports import Reasoner

BEFORE_OPEN = timedelta(hours=1)


@dataclass
class Asked:
    """The rows of ANALYST_BRIEFS, what they cost, USD, and who did not answer."""

    rows: list[dict[str, object]] = field(default_factory=list)
    abstentions: list[tuple[Question, Abstention]] = field(default_factory=list)
    cost_usd: Decimal = Decimal(0)

    @property
    def told(self) -> dict[str, str | int]:
        """What a person wants to see beside the rows."""
        routes = Counter(str(row["route"]) for row in self.rows)
        silent = Counter(abstention.reason for _, abstention in self.abstentions)
        return {
            "cost_usd": str(self.cost_usd),
            "answered_by": ", ".join(f"{route}: {count}" for route, count in sorted(routes.items())),
            "abstentions": len(self.abstentions),
            "why_abstained": "; ".join(f"{reason} ({count})" for reason, count in silent.most_common(3)),
        }


def ask_briefs(reasoner: Reasoner, facts: Mapping[Session, Facts], budget_of: Callable[[Session], Budget]) -> Asked:
    """Every analyst's brief for each session; a session without facts is refused before anybody is asked."""
    flat = questions_of(facts)
    budgets = [budget_of(session) for session, _ in flat]
    answers = _answers(reasoner, [question for _, question in flat], budgets)
    result, briefs = Asked(), dict[Session, list[Brief]]()
    for (session, question), answer in zip(flat, answers, strict=True):
        if isinstance(answer, Abstention):
            result.abstentions.append((question, answer))
        else:
            result.cost_usd += answer.cost_usd
            briefs.setdefault(session, []).append(brief_of(question, answer))
    for session, said in briefs.items():
        result.rows.extend(brief_rows(said, session.day))
    return result


def facts_before_open(lake: Lake, span: Span) -> dict[Session, Facts]:
    """What is known an hour before the open of each session of the span."""
    sessions = XNYS.sessions(span.first, span.last)
    book = FactBook.load(lake, span, as_of=sessions[-1].open - BEFORE_OPEN)
    return {session: book.at(session.open - BEFORE_OPEN) for session in sessions}


def questions_of(facts: Mapping[Session, Facts]) -> list[tuple[Session, Question]]:
    """Every session's questions in order; DataNotReady for a session that has none."""
    questions = {session: questions_at(known) for session, known in facts.items()}
    for session, asked in questions.items():
        if not asked:
            raise _nothing_to_brief_on(session)
    return [(session, question) for session, of in questions.items() for question in of]


def _answers(
    reasoner: Reasoner, questions: Sequence[Question], budgets: Sequence[Budget]
) -> Sequence[Answer[Opinion] | Abstention]:
    """Each role's questions in one go, answers in the order of the questions."""
    found: dict[int, Answer[Opinion] | Abstention] = {}
    technical = {i: q.inputs for i, q in enumerate(questions) if isinstance(q.inputs, TechnicalInputs)}
    found |= _of_role(reasoner, TECHNICAL, technical, questions, budgets)
    breadth = {i: q.inputs for i, q in enumerate(questions) if isinstance(q.inputs, BreadthInputs)}
    found |= _of_role(reasoner, BREADTH_ROLE, breadth, questions, budgets)
    return [found[i] for i in range(len(questions))]


def _of_role(
    reasoner: Reasoner,
    role: Role[In, Out],
    asked: Mapping[int, In],
    questions: Sequence[Question],
    budgets: Sequence[Budget],
) -> dict[int, Answer[Out] | Abstention]:
    answers = reasoner.ask_many(
        role,
        list(asked.values()),
        budget=[budgets[i] for i in asked],
        as_of=[questions[i].as_of for i in asked],
    )
    return dict(zip(asked, answers, strict=True))


def _nothing_to_brief_on(session: Session) -> DataNotReady:
    before = XNYS.previous(session.day).day
    hint = f"desk ingest --to {before}, then materialize indicators"
    return DataNotReady(f"there are no facts before {session.day} to brief on", bound=before, hint=hint)
