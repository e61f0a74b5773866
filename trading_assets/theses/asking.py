"""The path-free thinking before the open: analysts first, then bull, bear and chief side by side over what they said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trading_assets.briefs.asking import Heard, ask_analysts
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import ANALYST_BRIEFS, Brief
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.briefs.narratives.rows import narrative_rows
from trading_assets.briefs.rows import brief_rows
from trading_assets.briefs.settings import AgentsSettings
from trading_assets.core.calendar import Session
from trading_assets.core.tables import Table
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget
from trading_assets.reasoning.ports import Reasoner
from trading_assets.regimes.model import MARKET
from trading_assets.theses.debate import DebateAsk, case_rows, cases_of, debate_asks
from trading_assets.theses.model import DEBATES, OPINIONS, SILENCES, STANCES
from trading_assets.theses.stance import chief_ask, stance_of, stance_rows

if TYPE_CHECKING:
    from trading_assets.reasoning.skills import SkillSet

Row = dict[str, object]
Said = Answer[Any] | Abstention


@dataclass
class Thought:
    """Rows by table, what they cost, USD, and who did not answer and why."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table.name: [] for table in OPINIONS})
    abstentions: list[str] = field(default_factory=list)
    cost_usd: Decimal = Decimal(0)

    def told(self, table: Table) -> dict[str, str | int]:
        """What a person wants to see beside a table's rows."""
        routes = Counter(str(row.get("route") or row.get("answered_by") or "nobody") for row in self.rows[table.name])
        silent = Counter(self.abstentions)
        return {
            "answered_by": ", ".join(f"{route}: {count}" for route, count in sorted(routes.items())),
            "cost_usd": str(self.cost_usd),
            "abstentions": len(self.abstentions),
            "why_abstained": "; ".join(f"{reason} ({count})" for reason, count in silent.most_common(3)),
        }

    def hear(self, session: Session, agent: str, symbol: str, said: Said, *, as_of: datetime) -> bool:
        """Whether somebody answered; who answered late, or not at all where a model was asked, is kept as a silence."""
        silent = isinstance(said, Abstention)
        if isinstance(said, Abstention):
            self.abstentions.append(f"{agent}: {said.reason}")
        else:
            self.cost_usd += said.cost_usd
        if said.failed:
            kept = self.rows[SILENCES.name]
            reason = "; ".join(f"{tried.route} {tried.model}: {tried.reason}" for tried in said.failed)
            kept.append(
                {
                    "session": session.day,
                    "number": len(kept),
                    "agent": agent,
                    "symbol": symbol,
                    "answered_by": "" if isinstance(said, Abstention) else said.route,
                    "reason": reason,
                    "knowable_at": as_of,
                }
            )
        return not silent


def ask_opinions(
    reasoner: Reasoner,
    facts: Mapping[Session, Facts],
    budget_of: Callable[[Session], Budget],
    *,
    agents: AgentsSettings,
    strategies: Sequence[str],
    skills: SkillSet | None,
    within: timedelta | None = None,
) -> Thought:
    """Everything that is said before the open of each session; a session without facts is refused before anybody is asked."""
    heard = ask_analysts(reasoner, facts, budget_of, agents=agents, skills=skills, within=within)
    thought = Thought()
    for posed, said in heard.answers:
        question = posed.question
        thought.hear(posed.session, posed.analyst.agent, question.symbol, said, as_of=question.as_of)
    asks = [
        _second_round(session, known, heard, budget_of(session), agents, strategies) for session, known in facts.items()
    ]
    answers = iter(reasoner.gather([ask for three in asks for ask in three], within=within))
    for session, (bull, bear, chief) in zip(facts, asks, strict=True):
        _keep(thought, session, heard)
        _keep_cases(thought, session, [(bull, next(answers)), (bear, next(answers))])
        _keep_stance(thought, session, chief, next(answers))
    return thought


def candidates_of(facts: Facts, briefs: Sequence[Brief], *, most: int) -> tuple[str, ...]:
    """The symbols that are worth a debate: those on which the analysts feel most strongly, in the order of the alphabet."""
    felt = dict.fromkeys(facts.symbols, 0.0)
    for brief in briefs:
        if brief.symbol in felt:
            felt[brief.symbol] += abs(brief.signal) * brief.confidence
    strongest = sorted(felt, key=lambda symbol: (-felt[symbol], symbol))[:most]
    return tuple(sorted(symbol for symbol in strongest if symbol != MARKET))


def _second_round(
    session: Session, facts: Facts, heard: Heard, budget: Budget, agents: AgentsSettings, strategies: Sequence[str]
) -> tuple[DebateAsk, DebateAsk, Ask[Any, Any]]:
    briefs, narratives = heard.briefs.get(session, ()), heard.narratives.get(session, ())
    symbols = candidates_of(facts, briefs, most=agents.candidates_max)
    bull, bear = debate_asks(facts, briefs, narratives, symbols, budget=budget, as_of=facts.as_of)
    return bull, bear, chief_ask(facts, briefs, narratives, strategies=strategies, budget=budget, as_of=facts.as_of)


def _keep(thought: Thought, session: Session, heard: Heard) -> None:
    thought.rows[ANALYST_BRIEFS.name].extend(brief_rows(heard.briefs.get(session, ()), session.day))
    thought.rows[NARRATIVES.name].extend(narrative_rows(heard.narratives.get(session, ())))


def _keep_cases(thought: Thought, session: Session, said: Sequence[tuple[DebateAsk, Said]]) -> None:
    for ask, answer in said:
        if thought.hear(session, ask.role.skill, "", answer, as_of=ask.as_of):
            thought.rows[DEBATES.name].extend(case_rows(cases_of(ask, answer), session.day, as_of=ask.as_of))


def _keep_stance(thought: Thought, session: Session, ask: Ask[Any, Any], answer: Said) -> None:
    if thought.hear(session, ask.role.skill, MARKET, answer, as_of=ask.as_of):
        thought.rows[STANCES.name].extend(stance_rows([stance_of(ask, answer)], session.day, as_of=ask.as_of))
