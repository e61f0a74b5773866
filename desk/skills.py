"""`desk skills`: who models are asked to be, whether the skills keep their rules, and what a model is sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from desk.output import say, show, table
from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure
from trading_assets.reasoning.output_contract import table_of
from trading_assets.reasoning.prompts import Prompt, render
from trading_assets.reasoning.skill_files import contents, folders
from trading_assets.reasoning.skills import Skill, SkillSet, SkillShelf, read_skill

_SAMPLES = "samples/"
_HASH_SHOWN = 12


@dataclass(frozen=True)
class Rendered:
    """A skill rendered with one of its samples."""

    skill: str
    sample: str
    prompt: Prompt


def shelf(folder: Path = SKILLS, doctrine: Path = DOCTRINE) -> SkillShelf:
    """The project's skills, held to the types that the desk knows."""
    return SkillShelf(folder, doctrine, schemas=SCHEMAS)


def run_skills(
    name: str,
    *,
    check: bool,
    rendered: bool,
    as_json: bool,
    folder: Path = SKILLS,
    doctrine: Path = DOCTRINE,
) -> None:
    """Lists the skills, shows one, checks them, or prints the prompts of their samples.

    Args:
        name: One skill; empty for all.
        check: Reads every skill, renders every sample, says all problems; exit code 1 when there is one.
        rendered: Prints the prompt of each sample.
        as_json: One JSON object on stdout.
        folder: Holds the skills.
        doctrine: Stands before each of them.
    """
    if check:
        _check(name, folder, doctrine, as_json=as_json)
        return
    skills = shelf(folder, doctrine).take()
    chosen = [skills[name]] if name else list(skills.values())
    if rendered:
        _print_prompts([one for skill in chosen for one in renderings(skill, folder, skills.doctrine)], as_json=as_json)
    elif name:
        show(_told(chosen[0], skills, folder), as_json=as_json)
    elif as_json:
        typer.echo(json.dumps({"doctrine": bool(skills.doctrine), "skills": [_row(skill) for skill in chosen]}))
    else:
        shown = ("skill", "version", "tier", "max_cost_usd", "output_schema", "hash")
        rows = [[row[key] for key in shown] for row in map(_row, chosen)]
        table("Skills", ["skill", "version", "tier", "USD max", "answer", "hash"], rows)


def renderings(skill: Skill, folder: Path, doctrine: str) -> Iterator[Rendered]:
    """The skill rendered with each of its samples; a sample that does not fit its type is an error that names it."""
    samples = {name: text for name, text in contents(folder / skill.name).items() if name.startswith(_SAMPLES)}
    if not samples:
        raise ConfigurationError(f"{skill.name} has no sample", hint=f"add {skill.name}/{_SAMPLES}one.json")
    if not skill.input_schema:
        raise ConfigurationError(f"{skill.name} names no metadata.input-schema, so its samples cannot be read")
    for name, text in sorted(samples.items()):
        try:
            inputs = SCHEMAS[skill.input_schema].model_validate_json(text)
        except ValidationError as invalid:
            first = invalid.errors(include_input=False)[0]
            path = ".".join(map(str, first["loc"]))
            raise ConfigurationError(f"{skill.name}/{name}: {path}: {first['msg']}") from invalid
        yield Rendered(skill.name, name, render(skill, doctrine, inputs, SCHEMAS[skill.output_schema]))


def _check(name: str, folder: Path, doctrine: Path, *, as_json: bool) -> None:
    """Every skill on its own, so that one broken skill does not hide another."""
    wanted = [path for path in folders(folder) if name in {"", path.name}]
    if not wanted:
        raise PermanentFailure("there is no such skill", value=name or folder.name, hint="desk skills lists them")
    problems: list[str] = []
    prompts = 0
    text = _doctrine(doctrine, folder, problems)
    for path in wanted:
        try:
            prompts += len(list(renderings(read_skill(path, SCHEMAS), folder, text)))
        except DeskError as broken:
            problems.append(str(broken))
    told = {"skills": len(wanted), "prompts": prompts, "problems": problems}
    if as_json:
        typer.echo(json.dumps(told))
    else:
        for problem in problems:
            say(problem)
        typer.echo(f"{len(wanted)} skills, {prompts} prompts rendered, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def _doctrine(doctrine: Path, folder: Path, problems: list[str]) -> str:
    try:
        return SkillShelf(folder, doctrine).doctrine()
    except DeskError as broken:
        problems.append(str(broken))
        return ""


def _row(skill: Skill) -> dict[str, str]:
    return {
        "skill": skill.name,
        "version": skill.version,
        "agent": skill.agent,
        "tier": skill.tier,
        "max_cost_usd": str(skill.max_cost_usd) if skill.max_cost_usd else "-",
        "output_schema": skill.output_schema,
        "hash": skill.hash[:_HASH_SHOWN],
    }


def _told(skill: Skill, skills: SkillSet, folder: Path) -> dict[str, Any]:
    output = SCHEMAS[skill.output_schema]
    prompts = [one.prompt for one in renderings(skill, folder, skills.doctrine)]
    return {
        **_row(skill),
        "hash": skill.hash,
        "full_hash": skill.full_hash(output),
        "description": skill.description,
        "input_schema": skill.input_schema or "-",
        "system_characters": len(prompts[0].system),
        "samples": len(prompts),
        "answer": "\n" + table_of(output),
    }


def _print_prompts(prompts: list[Rendered], *, as_json: bool) -> None:
    if as_json:
        told = [
            {
                "skill": one.skill,
                "sample": one.sample,
                **{key: getattr(one.prompt, key) for key in ("system", "user", "hash")},
            }
            for one in prompts
        ]
        typer.echo(json.dumps({"prompts": told}, ensure_ascii=False))
        return
    for one in prompts:
        typer.echo(f"=== {one.skill}, {one.sample}, {one.prompt.hash[:_HASH_SHOWN]}: system")
        typer.echo(one.prompt.system)
        typer.echo(f"=== {one.skill}, {one.sample}: user")
        typer.echo(one.prompt.user)
