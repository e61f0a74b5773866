"""Who is asked what: the analysts of `config/agents.yaml`, each a folder under `skills/` that names its inputs and its answer.

A new analyst is a folder whose SKILL.md names an input type that questions can be made of and the output type Opinion, and one line
in the settings. It has no rules member: where no model answers, it abstains and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.inputs import BUILDERS, Question
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.making import brief_of_narrative, narrative_of
from trading_assets.briefs.narratives.roles import NarrativeCall, NarrativeInputs
from trading_assets.briefs.narratives.rules import narrative_call, narrative_complaint
from trading_assets.briefs.news_rules import news_opinion, news_points
from trading_assets.briefs.roles import BreadthInputs, MacroInputs, NewsInputs, Opinion, TechnicalInputs, uncited
from trading_assets.briefs.rules import (
    Point,
    breadth_opinion,
    breadth_points,
    contradiction,
    macro_opinion,
    macro_points,
    technical_opinion,
    technical_points,
)
from trading_assets.briefs.settings import AgentsSettings, agent_of
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.baseline import by_rules
from trading_assets.reasoning.model import Answer, Role
from trading_assets.reasoning.origin import origin_of
from trading_assets.reasoning.skills import SkillSet

_SETTINGS = "config/agents.yaml: analysts"


def _held_to(points: Callable[[Any], Sequence[Point]]) -> Callable[[Any, Opinion], str | None]:
    """The check of an opinion: it cites what was given, and does not contradict all of it."""

    def check(inputs: Any, opinion: Opinion) -> str | None:
        return uncited(inputs, opinion) or contradiction(points(inputs), opinion)

    return check


def _no_points(_: Any) -> Sequence[Point]:
    return ()


_CHECKS: Mapping[type[BaseModel], Callable[[Any, Opinion], str | None]] = {
    TechnicalInputs: _held_to(technical_points),
    BreadthInputs: _held_to(breadth_points),
    NewsInputs: _held_to(news_points),
    MacroInputs: _held_to(macro_points),
    NarrativeInputs: _held_to(_no_points),
}
_BY_SYMBOL = frozenset({TechnicalInputs, NewsInputs, NarrativeInputs})


def _opinions(
    skill: str, inputs: type[Any], rules: Callable[[Any], Opinion | None] | None = None
) -> Role[Any, Opinion]:
    return Role(skill, inputs, Opinion, rules, _CHECKS[inputs], panel=inputs in _BY_SYMBOL)


TECHNICAL = _opinions("technical-analyst", TechnicalInputs, technical_opinion)
BREADTH_ROLE = _opinions("breadth-analyst", BreadthInputs, breadth_opinion)
NEWS_ROLE = _opinions("news-analyst", NewsInputs, news_opinion)
MACRO_ROLE = _opinions("macro-analyst", MacroInputs, macro_opinion)
NARRATIVE_ROLE: Role[Any, NarrativeCall] = Role(
    "narrative-analyst", NarrativeInputs, NarrativeCall, narrative_call, narrative_complaint, panel=True
)
ROLES: Mapping[str, Role[Any, Any]] = {
    role.skill: role for role in (TECHNICAL, BREADTH_ROLE, NEWS_ROLE, MACRO_ROLE, NARRATIVE_ROLE)
}
_INPUTS: Mapping[str, type[BaseModel]] = {inputs.__name__: inputs for inputs in BUILDERS}


@dataclass(frozen=True, slots=True)
class AskedAnalyst:
    """One analyst as it is asked: what its briefs are signed with, and its role."""

    agent: str
    role: Role[Any, Any]

    def questions(self, facts: Facts) -> tuple[Question, ...]:
        """What the facts allow to be asked of it."""
        return tuple(BUILDERS[self.role.inputs](facts))

    @property
    def tells(self) -> bool:
        """Whether its answers are narratives."""
        return self.role.output is NarrativeCall


def roles_at(agents: AgentsSettings, skills: SkillSet | None) -> tuple[AskedAnalyst, ...]:
    """The analysts of the settings, in their order.

    Args:
        agents: `config/agents.yaml`.
        skills: The folders; None where nobody reads them, and then only the desk's own analysts can be asked.

    Raises:
        ConfigurationError: A folder is missing, names types that analysts cannot have, or two would sign alike.
    """
    asked = tuple(AskedAnalyst(agent_of(each.skill), _role(each.skill, skills)) for each in agents.analysts)
    names = [each.agent for each in asked]
    alike = sorted({name for name in names if names.count(name) > 1})
    if alike:
        raise ConfigurationError(f"{_SETTINGS}: two analysts would sign their briefs alike", value=alike)
    tellers = [each.role.skill for each in asked if each.tells]
    if len(tellers) > 1:
        raise ConfigurationError(f"{_SETTINGS}: a symbol has one narrative, so one analyst tells it", value=tellers)
    return asked


def rules_briefs(facts: Facts) -> tuple[Brief, ...]:
    """What the rules members of the desk's own analysts say of the facts."""
    asked = (AskedAnalyst(agent_of(skill), role) for skill, role in ROLES.items())
    said = (
        (analyst, question, by_rules(analyst.role, question.inputs))
        for analyst in asked
        for question in analyst.questions(facts)
    )
    return tuple(
        brief_of(analyst, question, answer) for analyst, question, answer in said if isinstance(answer, Answer)
    )


def brief_of(analyst: AskedAnalyst, question: Question, answer: Answer[Any]) -> Brief:
    """The answer as a brief; its citations become rows of the lake with the values that stand there."""
    if analyst.tells:
        return brief_of_narrative(narrative_of(question, answer), agent=analyst.agent)
    opinion: Opinion = answer.value
    return Brief(
        agent=analyst.agent,
        symbol=question.symbol,
        as_of=question.as_of,
        signal=opinion.signal,
        confidence=opinion.confidence,
        reasons=opinion.reasons,
        evidence=question.cited(opinion.evidence),
        **origin_of(answer),
    )


def _role(name: str, skills: SkillSet | None) -> Role[Any, Any]:
    own = ROLES.get(name)
    if skills is None:
        if own is None:
            hint = f"add skills/{name}/SKILL.md, and hand in the skills"
            raise ConfigurationError(f"{_SETTINGS}: nothing is known of this analyst", value=name, hint=hint)
        return own
    if name not in skills:
        hint = f"add skills/{name}/SKILL.md, or take the line out of config/agents.yaml"
        raise ConfigurationError(f"{_SETTINGS}: there is no folder skills/{name}", value=name, hint=hint)
    skill = skills[name]
    if own is not None and (skill.input_schema, skill.output_schema) == (own.inputs.__name__, own.output.__name__):
        return own
    return _newcomer(name, skill.input_schema, skill.output_schema)


def _newcomer(name: str, given: str, answered: str) -> Role[Any, Any]:
    """The role of a folder that code does not know."""
    where = f"skills/{name}/SKILL.md"
    inputs = _INPUTS.get(given)
    if inputs is None:
        known = ", ".join(sorted(_INPUTS))
        raise ConfigurationError(
            f"{where}: no questions can be made of metadata.input-schema", value=given, bound=known
        )
    if answered != Opinion.__name__:
        raise ConfigurationError(
            f"{where}: metadata.output-schema of an analyst", value=answered, bound=Opinion.__name__
        )
    return _opinions(name, inputs)
