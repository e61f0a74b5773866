"""Analysts by folder: a new one is a folder and a line in the settings; whatever is missing is named with its file and key."""

import shutil
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk.skills import renderings
from tests.briefs.documents import TODAY, facts_of, told, with_indicators
from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
from trading_assets.briefs.asking import Heard, ask_analysts
from trading_assets.briefs.inputs import BUILDERS
from trading_assets.briefs.questions import (
    BREADTH_ROLE,
    NARRATIVE_ROLE,
    NEWS_ROLE,
    ROLES,
    TECHNICAL,
    AskedAnalyst,
    roles_at,
)
from trading_assets.briefs.roles import Opinion
from trading_assets.briefs.settings import AgentsSettings, load_agents
from trading_assets.core.calendar import Session
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import PROJECT
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.fields import check_type
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Usage
from trading_assets.reasoning.skills import SkillSet, SkillShelf

EXAMPLE = Path(__file__).parent / "example" / "volatility-analyst"
NEW = "volatility-analyst"
TREND = {"close": 100.0, "sma_50": 99.0, "sma_200": 98.0, "atr_14": 2.0}


class Model(RulesReasoner):
    """A model that always says the same, and the rules for who answers otherwise than with an opinion."""

    def gather(
        self,
        asks: Sequence[Ask[Any, Any]],
        *,
        within: timedelta | None = None,  # noqa: ARG002 - the port's
    ) -> Sequence[Answer[Any] | Abstention]:
        said = Opinion(signal=0.4, confidence=0.5, reasons=("The bands are narrow.",), evidence=("p1",))
        for ask in asks:
            assert ask.role.check is None or ask.role.check(ask.inputs, said) is None
        return [
            Answer(said, "anthropic", "m-1", "s", "p", "k", Usage(), Decimal(0), Decimal(0), 1, cached=False, leakage="clean")
            for _ in asks
        ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The committed analysts and a probe, where a test may add one."""
    for name in (*ROLES, "recall-probe"):
        shutil.copytree(SKILLS / name, tmp_path / "skills" / name)
    return tmp_path / "skills"


def taken(folder: Path) -> SkillSet:
    return SkillShelf(folder, DOCTRINE, schemas=SCHEMAS).take()


def agents(tmp_path: Path, *lines: str) -> AgentsSettings:
    """The committed settings with lines more under `analysts`."""
    text = (PROJECT / "config" / "agents.yaml").read_text()
    more = "".join(f"  - {line}\n" for line in lines)
    (tmp_path / "agents.yaml").write_text(text.replace("debate_weight:", f"{more}debate_weight:", 1))
    return load_agents(tmp_path)


def ask(reasoner: RulesReasoner, settings: AgentsSettings, skills: SkillSet | None) -> Heard:
    facts = {TODAY: with_indicators(TREND)}
    return ask_analysts(reasoner, facts, _budget, agents=settings, skills=skills)


def _budget(session: Session) -> Budget:
    return Budget("desk", f"desk/{session.key}", session.day, ())


def newcomer(tmp_path: Path, folder: Path) -> AskedAnalyst:
    (new,) = roles_at(agents(tmp_path, f"{{skill: {NEW}, weight: 0}}"), taken(folder))[len(ROLES) :]
    return new


def edited(folder: Path, old: str, new: str) -> None:
    path = folder / NEW / "SKILL.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def added(folder: Path) -> Path:
    """The skills with the example folder among them."""
    shutil.copytree(EXAMPLE, folder / NEW)
    return folder


def test_the_committed_analysts_are_the_desks_own(folder: Path) -> None:
    settings = load_agents(PROJECT / "config")
    by_code, by_folder = roles_at(settings, None), roles_at(settings, taken(folder))
    assert by_code == by_folder
    assert [each.agent for each in by_code] == ["technical", "breadth", "news", "macro", "narrative"]
    assert [each.role for each in by_code] == [ROLES[analyst.skill] for analyst in settings.analysts]
    assert [each.agent for each in by_code if each.tells] == ["narrative"]


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.skill)
def test_each_role_names_a_folder_of_its_types_that_can_be_masked(role: Any, folder: Path) -> None:
    skill = taken(folder)[role.skill]
    assert (SCHEMAS[skill.input_schema], SCHEMAS[skill.output_schema]) == (role.inputs, role.output)
    assert skill.tier == "cheap"
    assert role.rules is not None
    assert role.check is not None
    assert role.inputs in BUILDERS
    check_type(role.inputs)
    check_type(role.output)


def test_a_new_folder_and_one_line_are_a_new_analyst(tmp_path: Path, added: Path) -> None:
    settings = agents(tmp_path, f"{{skill: {NEW}, weight: 0.5}}")
    heard = ask(Model(), settings, taken(added))
    said = {brief.agent: brief for brief in heard.briefs[TODAY]}
    assert list(said) == ["technical", "volatility"]
    assert (said["volatility"].symbol, said["volatility"].route) == ("AAA", "anthropic")
    assert said["volatility"].evidence[0].column == "close"
    assert settings.weights_by_agent["volatility"] == 0.5


def test_without_a_model_it_abstains_and_says_so(tmp_path: Path, added: Path) -> None:
    heard = ask(RulesReasoner(), agents(tmp_path, f"{{skill: {NEW}, weight: 0.5}}"), taken(added))
    assert [brief.agent for brief in heard.briefs[TODAY]] == ["technical"]
    ((posed, abstention),) = heard.abstentions
    assert (posed.analyst.agent, posed.question.symbol) == ("volatility", "AAA")
    assert abstention.reason
    assert "volatility: " in str(heard.told["why_abstained"])


def test_the_example_is_a_skill_like_any_other(added: Path) -> None:
    skills = taken(added)
    (rendered,) = renderings(skills[NEW], added, skills.doctrine)
    assert "volatility analyst" in rendered.prompt.system


def test_a_newcomer_is_held_to_its_evidence_like_the_desks_own(tmp_path: Path, added: Path) -> None:
    (new,) = [
        each
        for each in roles_at(agents(tmp_path, f"{{skill: {NEW}, weight: 0}}"), taken(added))
        if each.agent == "volatility"
    ]
    (question,) = new.questions(with_indicators(TREND))
    assert new.role.panel
    assert new.role.check is not None
    against = Opinion(signal=-0.8, confidence=0.5, reasons=("x",), evidence=("p2",))
    invented = Opinion(signal=0.0, confidence=0.5, reasons=("x",), evidence=("p99",))
    assert "contradicts" in (new.role.check(question.inputs, against) or "")
    assert "was not given" in (new.role.check(question.inputs, invented) or "")


@pytest.mark.parametrize("schema", ["NarrativeInputs", "NewsInputs"])
def test_a_newcomer_may_be_given_whatever_questions_can_be_made_of(tmp_path: Path, added: Path, schema: str) -> None:
    edited(added, "input-schema: TechnicalInputs", f"input-schema: {schema}")
    (new,) = [
        each
        for each in roles_at(agents(tmp_path, f"{{skill: {NEW}, weight: 0}}"), taken(added))
        if each.agent == "volatility"
    ]
    assert len(new.questions(facts_of(news=[told("Maker wins a contract")]))) == 1
    assert not new.tells


def test_a_missing_folder_is_named_with_the_line_to_mend(tmp_path: Path, folder: Path) -> None:
    settings = agents(tmp_path, "{skill: nobody-analyst, weight: 0.5}")
    with pytest.raises(ConfigurationError, match=r"agents\.yaml: analysts.*skills/nobody-analyst.*take the line out"):
        roles_at(settings, taken(folder))
    with pytest.raises(ConfigurationError, match=r"agents\.yaml: analysts.*nobody-analyst"):
        roles_at(settings, None)


def test_a_missing_folder_of_the_desks_own_is_missed_too(folder: Path) -> None:
    shutil.rmtree(folder / "macro-analyst")
    with pytest.raises(ConfigurationError, match="no folder skills/macro-analyst"):
        roles_at(load_agents(PROJECT / "config"), taken(folder))


def test_inputs_of_which_no_questions_can_be_made_are_refused(tmp_path: Path, added: Path) -> None:
    edited(added, "input-schema: TechnicalInputs", "input-schema: TrendInputs")
    with pytest.raises(
        ConfigurationError, match=r"volatility-analyst/SKILL\.md: .*metadata\.input-schema.*TrendInputs"
    ):
        roles_at(agents(tmp_path, f"{{skill: {NEW}, weight: 0}}"), taken(added))


def test_an_analyst_answers_with_an_opinion(tmp_path: Path, folder: Path) -> None:
    settings = agents(tmp_path, "{skill: recall-probe, weight: 0}")
    with pytest.raises(ConfigurationError, match=r"recall-probe/SKILL\.md: .*input-schema"):
        roles_at(settings, taken(folder))
    copied = folder / "twin-analyst"
    shutil.copytree(folder / "narrative-analyst", copied)
    text = (copied / "SKILL.md").read_text()
    (copied / "SKILL.md").write_text(text.replace("name: narrative-analyst", "name: twin-analyst"))
    with pytest.raises(ConfigurationError, match=r"twin-analyst/SKILL\.md: metadata\.output-schema.*Opinion"):
        roles_at(agents(tmp_path, "{skill: twin-analyst, weight: 0}"), taken(folder))


def test_two_that_would_sign_alike_are_refused(tmp_path: Path, added: Path) -> None:
    shutil.copytree(added / NEW, added / "volatility")
    path = added / "volatility" / "SKILL.md"
    path.write_text(path.read_text().replace(f"name: {NEW}", "name: volatility"))
    lines = (f"{{skill: {NEW}, weight: 0}}", "{skill: volatility, weight: 0}")
    with pytest.raises(ConfigurationError, match="sign their briefs alike"):
        roles_at(agents(tmp_path, *lines), taken(added))


def test_a_skill_that_changed_its_inputs_loses_its_rules_member(tmp_path: Path, folder: Path) -> None:
    """The rules of the technical analyst cannot read breadth: better no opinion than one about something else."""
    text = (SKILLS / "breadth-analyst" / "SKILL.md").read_text().replace("breadth-analyst", "technical-analyst")
    (folder / "technical-analyst" / "SKILL.md").write_text(text)
    (first, *_) = roles_at(load_agents(PROJECT / "config"), taken(folder))
    assert first.role.inputs is BREADTH_ROLE.inputs
    assert first.role.rules is None


def test_the_roles_that_others_import_are_what_they_say() -> None:
    assert {TECHNICAL.skill, BREADTH_ROLE.skill, NEWS_ROLE.skill, NARRATIVE_ROLE.skill} <= ROLES.keys()
