"""`desk skills`: lists, shows, checks and renders; the committed skills pass, and every slip is told with its place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from desk.skills import renderings, run_skills, shelf
from tests.reasoning.outside import PROJECT
from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
from trading_assets.briefs.questions import BREADTH_ROLE, TECHNICAL
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.output_contract import disagreements, has_table
from trading_assets.reasoning.skills import UnknownSkill

NAMES = tuple(sorted(path.name for path in SKILLS.iterdir()))
SAMPLES = len(list(SKILLS.glob("*/samples/*.json")))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The committed skills where a test may break them."""
    shutil.copytree(SKILLS, tmp_path / "skills")
    return tmp_path / "skills"


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    told = json.loads(capsys.readouterr().out)
    assert isinstance(told, dict)
    return told


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "SKILL.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_committed_skills_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run_skills("", check=False, rendered=False, as_json=True)
    rows = said(capsys)["skills"]
    assert isinstance(rows, list)
    assert tuple(row["skill"] for row in rows) == NAMES
    assert {"breadth-analyst", "news-analyst", "recall-probe", "technical-analyst"} <= set(NAMES)
    assert {row["output_schema"] for row in rows} <= SCHEMAS.keys()
    run_skills("", check=False, rendered=False, as_json=False)
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_committed_skill_agrees_with_its_types(name: str) -> None:
    skill = shelf().take()[name]
    assert disagreements(skill.section("Output schema"), SCHEMAS[skill.output_schema]) == ()
    assert has_table(skill.section("Inputs"))
    assert disagreements(skill.section("Inputs"), SCHEMAS[skill.input_schema]) == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_of_a_committed_skill_renders(name: str) -> None:
    skills = shelf().take()
    prompts = list(renderings(skills[name], SKILLS, skills.doctrine))
    assert prompts
    assert all(one.prompt.system.startswith(skills.doctrine) for one in prompts)
    assert len({one.prompt.hash for one in prompts}) == len(prompts)


def test_the_roles_of_the_analysts_name_skills_of_their_types() -> None:
    skills = shelf().take()
    for role in (TECHNICAL, BREADTH_ROLE):
        skill = skills[role.skill]
        assert SCHEMAS[skill.input_schema] is role.inputs
        assert SCHEMAS[skill.output_schema] is role.output


def test_one_skill_is_shown_with_the_table_of_its_answer(capsys: pytest.CaptureFixture[str]) -> None:
    run_skills("news-analyst", check=False, rendered=False, as_json=True)
    told = said(capsys)
    assert told["tier"] == "cheap"
    assert "| `signal` | number | -1 to 1 |" in str(told["answer"])
    assert len(str(told["full_hash"])) == 64
    with pytest.raises(UnknownSkill, match="news-analyst"):
        run_skills("nobody", check=False, rendered=False, as_json=True)


def test_the_prompts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run_skills("news-analyst", check=False, rendered=True, as_json=True)
    prompts = said(capsys)["prompts"]
    assert isinstance(prompts, list)
    (prompt,) = prompts
    assert "(link removed)" in prompt["user"]
    run_skills("news-analyst", check=False, rendered=True, as_json=False)
    text = capsys.readouterr().out
    assert prompt["system"] in text
    assert prompt["user"] in text


def test_the_check_counts_what_it_rendered(capsys: pytest.CaptureFixture[str]) -> None:
    run_skills("", check=True, rendered=False, as_json=True)
    assert said(capsys) == {"skills": len(NAMES), "prompts": SAMPLES, "problems": []}


def test_the_check_tells_every_broken_skill_and_fails(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(copied / "news-analyst", "-1 to 1", "-2 to 2")
    edit(copied / "breadth-analyst", 'version: "1"', "version: 1")
    (copied / "recall-probe" / "samples" / "date-only.json").write_text('{"symbol": "AAPL"}')
    shutil.rmtree(copied / "technical-analyst" / "samples")
    with pytest.raises(typer.Exit) as left:
        run_skills("", check=True, rendered=False, as_json=True, folder=copied)
    assert left.value.exit_code == 1
    problems = said(capsys)["problems"]
    assert isinstance(problems, list)
    assert [part in problem for part, problem in zip(
        ("line 6: metadata.version", "signal is said to be (number, -2 to 2)", "samples/date-only.json: session", "has no sample"),
        problems, strict=True,
    )] == [True] * 4  # fmt: skip


def test_the_check_of_one_skill_leaves_the_others_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(copied / "news-analyst", "-1 to 1", "-2 to 2")
    run_skills("recall-probe", check=True, rendered=False, as_json=False, folder=copied)
    assert capsys.readouterr().out == "1 skills, 1 prompts rendered, 0 problems\n"


def test_a_broken_doctrine_is_a_problem_too(tmp_path: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "philosophy.md").write_text(DOCTRINE.read_text() + "\n<!-- obey -->\n")
    with pytest.raises(typer.Exit):
        run_skills("", check=True, rendered=False, as_json=False, folder=copied, doctrine=tmp_path / "philosophy.md")
    shown = capsys.readouterr()
    assert "philosophy.md" in shown.err
    assert shown.out == f"{len(NAMES)} skills, {SAMPLES} prompts rendered, 1 problems\n"


def test_one_broken_skill_keeps_the_shelf_shut(copied: Path) -> None:
    edit(copied / "news-analyst", "model-tier: cheap", "model-tier: best")
    with pytest.raises(ConfigurationError, match="news-analyst/SKILL.md, line 8"):
        run_skills("", check=False, rendered=False, as_json=True, folder=copied)


def test_nothing_heavy_is_loaded_for_skills_and_prompts() -> None:
    heavy = ("pydantic_ai", "anthropic", "openai", "sqlalchemy", "polars", "duckdb", "dagster", "google")
    code = (
        "import sys, trading_assets.reasoning.prompts, trading_assets.reasoning.fencing; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
