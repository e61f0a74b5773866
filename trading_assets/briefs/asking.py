"""Asks the analysts: every question of every session side by side, answers as briefs and narratives, silence kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.inputs import Question
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.making import narrative_of
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.briefs.questions import AskedAnalyst, brief_of, roles_at
from trading_assets.briefs.settings import AgentsSettings
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Lake, Span
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget
from trading_assets.reasoning.ports import Reasoner
from trading_assets.reasoning.skills import SkillSet

BEFORE_OPEN = timedelta(hours=1)
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Posed:
    """A question on its way: for which session, to whom, and what."""

    session: Session
    analyst: AskedAnalyst
    question: Question


@dataclass(frozen=True, slots=True)
class Heard:
    """What the analysts said before each session, and who did not answer; `cost_usd` is what this asking cost."""

    briefs: Mapping[Session, tuple[Brief, ...]]
    narratives: Mapping[Session, tuple[Narrative, ...]]
    abstentions: tuple[tuple[Posed, Abstention], ...]
    cost_usd: Decimal
    answers: tuple[tuple[Posed, Answer[Any] | Abstention], ...] = ()

    @property
    def told(self) -> dict[str, str | int]:
        """What a person wants to see beside the rows."""
        briefs = [brief for said in self.briefs.values() for brief in said]
        by = Counter(f"{brief.agent} {brief.route}" for brief in briefs)
        silent = Counter(f"{posed.analyst.agent}: {said.reason}" for posed, said in self.abstentions)
        return {
            "cost_usd": str(self.cost_usd),
            "briefs": len(briefs),
            "narratives": sum(map(len, self.narratives.values())),
            "answered_by": ", ".join(f"{who}: {count}" for who, count in sorted(by.items())),
            "abstentions": len(self.abstentions),
            "why_abstained": "; ".join(f"{reason} ({count})" for reason, count in sorted(silent.items())[:5]),
        }


def ask_analysts(
    reasoner: Reasoner,
    facts: Mapping[Session, Facts],
    budget_of: Callable[[Session], Budget],
    *,
    agents: AgentsSettings,
    skills: SkillSet | None = None,
    within: timedelta | None = None,
) -> Heard:
    """Every analyst's word on each session, all questions in one go; narratives also speak as briefs.

    Raises:
        DataNotReady: A session has no facts; nobody is asked then.
        ConfigurationError: The settings name an analyst that cannot be asked.
    """
    posed = posed_at(facts, roles_at(agents, skills))
    asks: list[Ask[Any, Any]] = [
        Ask(each.analyst.role, each.question.inputs, budget_of(each.session), each.question.as_of) for each in posed
    ]
    return _heard(facts, posed, reasoner.gather(asks, within=within))


def posed_at(facts: Mapping[Session, Facts], analysts: Sequence[AskedAnalyst]) -> list[Posed]:
    """Every session's questions in the order of sessions and analysts; DataNotReady for a session that has none."""
    posed = {
        session: [Posed(session, analyst, question) for analyst in analysts for question in analyst.questions(known)]
        for session, known in facts.items()
    }
    for session, asked in posed.items():
        if not asked:
            raise _nothing_to_brief_on(session)
    return [each for asked in posed.values() for each in asked]


def facts_before_open(lake: Lake, span: Span) -> dict[Session, Facts]:
    """What is known an hour before the open of each session of the span."""
    sessions = XNYS.sessions(span.first, span.last)
    book = FactBook.load(lake, span, as_of=sessions[-1].open - BEFORE_OPEN)
    return {session: book.at(session.open - BEFORE_OPEN) for session in sessions}


def _heard(
    facts: Mapping[Session, Facts], posed: Sequence[Posed], answers: Sequence[Answer[Any] | Abstention]
) -> Heard:
    briefs: dict[Session, list[Brief]] = {session: [] for session in facts}
    narratives: dict[Session, list[Narrative]] = {session: [] for session in facts}
    silences, cost = list[tuple[Posed, Abstention]](), Decimal(0)
    for each, answer in zip(posed, answers, strict=True):
        if isinstance(answer, Abstention):
            silences.append((each, answer))
            continue
        cost += answer.cost_usd
        briefs[each.session].append(brief_of(each.analyst, each.question, answer))
        if each.analyst.tells:
            narratives[each.session].append(narrative_of(each.question, answer))
    return Heard(_fixed(briefs), _fixed(narratives), tuple(silences), cost, tuple(zip(posed, answers, strict=True)))


def _fixed(by_session: Mapping[Session, list[Said]]) -> dict[Session, tuple[Said, ...]]:
    return {session: tuple(said) for session, said in by_session.items()}


def _nothing_to_brief_on(session: Session) -> DataNotReady:
    before = XNYS.previous(session.day).day
    hint = f"desk ingest --to {before}, then materialize indicators"
    return DataNotReady(f"there are no facts before {session.day} to brief on", bound=before, hint=hint)
