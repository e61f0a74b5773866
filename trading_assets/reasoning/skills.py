"""Skills: who a model is asked to be, as a folder with a `SKILL.md` in the open format. Agents are added by adding a folder.

Whatever breaks a rule is refused with file, line and rule; nothing of a shelf is used while one skill on it is broken. A snapshot
never changes: an edit reaches the next `take()`, not a question that is being asked.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.strict_yaml import Strict, StrictLoader
from trading_assets.reasoning.model import Tier
from trading_assets.reasoning.output_contract import disagreements, has_table, schema_of
from trading_assets.reasoning.sanitising import RAW_CHARACTERS_MAX, plain
from trading_assets.reasoning.skill_files import Signature, contents, folders, one_file, signature

SKILL_FILE = "SKILL.md"
SECTIONS = ("Persona", "Inputs", "Output schema")
LINES_MAX = 500
BYTES_MAX = 20_000
VENDORS = ("anthropic", "claude", "openai", "chatgpt", "gpt", "google", "gemini", "deepseek")

_READINGS_MAX = 5
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FRONT = re.compile(r"---\n(?P<yaml>.*?)^---\n(?P<body>.*)", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_Type = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]


class UnknownSkill(ConfigurationError, KeyError):
    """No folder of the shelf has that name."""

    __str__ = ConfigurationError.__str__


@dataclass(frozen=True)
class Skill:
    """Who is asked, with which tier of model and for at most how much.

    `max_cost_usd` is the most that one call may cost, USD, or None for no cap of its own. `output_schema` and `input_schema` name
    types; `hash` is the sha256 over the files of the folder.
    """

    name: str
    description: str
    version: str
    tier: Tier
    max_cost_usd: Decimal | None
    output_schema: str
    body: str
    hash: str
    agent: str = ""
    input_schema: str = ""

    def full_hash(self, output: type[BaseModel]) -> str:
        """What an answer carries: the folder's hash together with the JSON schema of the answer's type."""
        return hashlib.sha256(f"{self.hash}\0{schema_of(output)}".encode()).hexdigest()

    def section(self, title: str) -> str:
        """The text below a heading of the body."""
        return _sections(self.body)[title]


@dataclass(frozen=True, eq=False)
class SkillSet(Mapping[str, Skill]):
    """An immutable snapshot of a shelf, with the desk's doctrine; asking for a name that it does not have is a typed error."""

    skills: Mapping[str, Skill]
    doctrine: str
    hash: str

    def __getitem__(self, name: str) -> Skill:
        if name not in self.skills:
            known = ", ".join(self.skills) or "none"
            raise UnknownSkill("there is no such skill", value=name, bound=known, hint="desk skills lists them")
        return self.skills[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.skills)

    def __len__(self) -> int:
        return len(self.skills)


class SkillShelf:
    """The skills in a folder, read again only when a file changed; safe to be asked by several threads.

    Args:
        folder: Holds one folder for each skill.
        doctrine: A markdown file that stands before every skill, or None.
        schemas: The types that skills may name, by name: another is refused, and a skill's tables must agree with its types.
            Without it, names are checked when a prompt is rendered.
    """

    def __init__(
        self, folder: Path, doctrine: Path | None = None, *, schemas: Mapping[str, type[BaseModel]] | None = None
    ) -> None:
        self._folder = folder
        self._doctrine = doctrine
        self._schemas = schemas
        self._lock = threading.Lock()
        self._taken: tuple[Signature, SkillSet] | None = None

    def take(self) -> SkillSet:
        """The skills as they are now; the same object as long as no file's content changed.

        Raises:
            ConfigurationError: A skill breaks a rule; file, line where there is one, and rule are named.
        """
        with self._lock:
            now = signature(self._folder, self._doctrine)
            if self._taken is None or self._taken[0] != now:
                self._taken = self._changed(now)
            return self._taken[1]

    def doctrine(self) -> str:
        """The doctrine as it is now, empty without one; under the same rules of size and plainness as a skill."""
        if self._doctrine is None:
            return ""
        text, name = one_file(self._doctrine), self._doctrine.name
        if len(text.encode()) > BYTES_MAX or not text.strip():
            raise _broken(name, "must hold text, at most so many bytes", value=len(text.encode()), bound=BYTES_MAX)
        _check_words(text, name)
        return text.strip()

    def _changed(self, before: Signature) -> tuple[Signature, SkillSet]:
        """The skills, read while nobody wrote; the set taken before where only times changed."""
        for _ in range(_READINGS_MAX):
            read = self._read()
            after = signature(self._folder, self._doctrine)
            if after == before:
                same = self._taken is not None and self._taken[1].hash == read.hash
                return after, self._taken[1] if same and self._taken else read
            before = after
        raise ConfigurationError("the skills change while they are read", value=self._folder.name, hint="ask again")

    def _read(self) -> SkillSet:
        skills = {path.name: read_skill(path, self._schemas) for path in folders(self._folder)}
        doctrine = self.doctrine()
        parts = [f"{name}={skill.hash}" for name, skill in skills.items()]
        whole = hashlib.sha256("\0".join([doctrine, *parts]).encode()).hexdigest()
        return SkillSet(MappingProxyType(skills), doctrine, whole)


def read_skill(folder: Path, schemas: Mapping[str, type[BaseModel]] | None = None) -> Skill:
    """The skill in a folder; ConfigurationError names the file, the line where there is one, and the rule."""
    files = contents(folder)
    if SKILL_FILE not in files:
        raise ConfigurationError(f"{folder.name}: there is no {SKILL_FILE}", hint=f"add {folder.name}/{SKILL_FILE}")
    where = f"{folder.name}/{SKILL_FILE}"
    front, body, first_line = _split(files[SKILL_FILE], where)
    _check_words(files[SKILL_FILE], where)
    _check_sections(body, where, first_line)
    skill = _skill(front, body.strip(), _hash(files), where)
    _check_name(skill.name, folder.name, where)
    if schemas is not None:
        _check_types(skill, schemas, where)
    return skill


@lru_cache(maxsize=256)
def check_contract(skill: Skill, output: type[BaseModel]) -> None:
    """Refuses a skill that names another type than the one it is asked for, or whose output section disagrees with it."""
    where = f"{skill.name}/{SKILL_FILE}"
    if skill.output_schema != output.__name__:
        raise _broken(where, "metadata.output-schema must name the type that the role answers with",
                      value=skill.output_schema, bound=output.__name__)  # fmt: skip
    _check_table(skill, "Output schema", output, where)


class _Metadata(Strict):
    model_config = ConfigDict(alias_generator=lambda field: field.replace("_", "-"))

    version: Annotated[str, Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,4}){0,2}$")]
    agent: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    model_tier: Tier
    output_schema: _Type
    input_schema: _Type | None = None
    max_cost_usd: Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,9})?$")] | None = None


class _Front(Strict):
    model_config = ConfigDict(alias_generator=lambda field: field.replace("_", "-"))

    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: Annotated[str, Field(min_length=1, max_length=1024)]
    license: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    compatibility: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    metadata: _Metadata
    allowed_tools: str | None = None


def _broken(
    where: str, rule: str, *, line: int | None = None, value: object = None, bound: object = None
) -> ConfigurationError:
    place = where if line is None else f"{where}, line {line}"
    return ConfigurationError(f"{place}: {rule}", value=value, bound=bound, hint="desk skills --check")


def _hash(files: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in sorted(files.items()):
        whole.update(name.encode() + b"\0" + hashlib.sha256(text.encode()).digest())
    return whole.hexdigest()


def _split(text: str, where: str) -> tuple[str, str, int]:
    """The front matter, the body, and the line on which the body begins."""
    lines = text.count("\n") + 1
    if lines > LINES_MAX or len(text.encode()) > BYTES_MAX:
        bound = f"{LINES_MAX} lines, {BYTES_MAX} bytes (about 5,000 tokens)"
        raise _broken(where, "is too long", value=f"{lines} lines, {len(text.encode())} bytes", bound=bound)
    parts = _FRONT.match(text)
    if parts is None:
        raise _broken(where, "must begin with front matter between two lines ---", line=1)
    return parts["yaml"], parts["body"], parts["yaml"].count("\n") + 3


def _skill(front: str, body: str, hash_: str, where: str) -> Skill:
    raw = _yaml(front, where)
    try:
        told = _Front.model_validate(raw)
    except ValidationError as invalid:
        raise _explained(invalid, front, where) from invalid
    if told.allowed_tools:
        raise _broken(
            where, "allowed-tools must be empty: the desk gives skills no tools", line=_line(front, "allowed-tools")
        )
    own = told.metadata
    cap = Decimal(own.max_cost_usd) if own.max_cost_usd else None
    if cap is not None and cap <= 0:
        raise _broken(where, "metadata.max-cost-usd must be above 0", line=_line(front, "max-cost-usd"), value=cap)
    return Skill(
        name=told.name,
        description=told.description,
        version=own.version,
        tier=own.model_tier,
        max_cost_usd=cap,
        output_schema=own.output_schema,
        body=body,
        hash=hash_,
        agent=own.agent,
        input_schema=own.input_schema or "",
    )


def _yaml(front: str, where: str) -> Any:
    """The front matter as data. Line numbers are those of the file, whose first line is the opening ---."""
    numbered = "\n" + front
    try:
        for token in yaml.scan(numbered, Loader=StrictLoader):
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
                raise _broken(where, "anchors, aliases and tags are not allowed", line=token.start_mark.line + 1)
        return yaml.load(numbered, Loader=StrictLoader)  # noqa: S506 - StrictLoader derives from SafeLoader
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark
        raise _broken(where, f"is not YAML: {broken.problem}", line=mark.line + 1 if mark else None) from broken
    except yaml.YAMLError as broken:
        raise _broken(where, "is not YAML: it holds characters that YAML does not allow") from broken
    except ConfigurationError as twice:
        if twice.what.startswith(where):
            raise
        raise _broken(where, " ".join(twice.what.split())) from twice


def _explained(invalid: ValidationError, front: str, where: str) -> ConfigurationError:
    """The first problem; values are not repeated, because they may be long."""
    first = invalid.errors(include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"]) or "the front matter"
    key = str(first["loc"][-1]) if first["loc"] else ""
    says = {"extra_forbidden": "is not a key of the format"}.get(first["type"], first["msg"])
    quote = " (quote it: every value is text)" if first["type"] == "string_type" else ""
    return _broken(where, f"{path}: {says}{quote}", line=_line(front, key))


def _line(front: str, key: str) -> int | None:
    starts = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*:")
    return next((at for at, line in enumerate(front.split("\n"), 2) if starts.match(line)), None)


def _check_name(name: str, folder: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise _broken(where, "name must be lower-case letters, digits and single hyphens between them", value=name)
    if name != folder:
        raise _broken(where, "name must equal the folder's", value=name, bound=folder)
    vendor = next((vendor for vendor in VENDORS if vendor in name), None)
    if vendor:
        raise _broken(where, "name must not carry a vendor's name", value=name, bound=vendor)


def _check_words(text: str, where: str) -> None:
    """Nothing hidden, no markup, no links: what a person reads in an editor is what a model reads."""
    lines = text.split("\n")
    for at, line in enumerate(lines, 1):
        if line.splitlines() not in ([], [line]):
            raise _broken(where, "the text must be plain, this line holds a break that editors do not show", line=at)
    flags = _flags(text)
    if flags:
        place = next((at for at, line in enumerate(lines, 1) if _flags(line)), None)
        shown = _flags(lines[place - 1]) if place else flags
        raise _broken(where, f"the text must be plain and is not: {', '.join(shown)}", line=place)


def _flags(text: str) -> tuple[str, ...]:
    return plain(text, characters_max=RAW_CHARACTERS_MAX).flags


def _check_sections(body: str, where: str, first_line: int) -> None:
    titles = [title for _, title in _headings(body)]
    for title in SECTIONS:
        if titles.count(title) != 1:
            raise _broken(where, f"the body must have the section ## {title} exactly once", value=titles.count(title))
    places = {title: at for at, title in _headings(body)}
    for earlier, later in pairwise(SECTIONS):
        if places[earlier] > places[later]:
            line = first_line + places[later]
            raise _broken(where, f"## {later} must stand after ## {earlier}", line=line)
    for title, text in _sections(body).items():
        if not text.strip():
            raise _broken(where, f"the section ## {title} is empty", line=first_line + places[title])


def _headings(body: str) -> Iterator[tuple[int, str]]:
    """Line and title of each heading of the second level outside code."""
    fence = ""
    for at, line in enumerate(body.split("\n")):
        opening = _FENCE.match(line)
        if opening and not fence:
            fence = opening[1][:3]
        elif opening and opening[1].startswith(fence):
            fence = ""
        elif not fence and line.startswith("## "):
            yield at, line[3:].strip()


def _sections(body: str) -> Mapping[str, str]:
    lines, headings = body.split("\n"), list(_headings(body))
    ends = [*(at for at, _ in headings[1:]), len(lines)]
    return {title: "\n".join(lines[at + 1 : end]) for (at, title), end in zip(headings, ends, strict=True)}


def _check_types(skill: Skill, schemas: Mapping[str, type[BaseModel]], where: str) -> None:
    known = ", ".join(sorted(schemas))
    for key, name in (("output-schema", skill.output_schema), ("input-schema", skill.input_schema)):
        if name and name not in schemas:
            raise _broken(where, f"metadata.{key} names no known type", value=name, bound=known)
    check_contract(skill, schemas[skill.output_schema])
    if skill.input_schema and has_table(skill.section("Inputs")):
        _check_table(skill, "Inputs", schemas[skill.input_schema], where)


def _check_table(skill: Skill, title: str, model: type[BaseModel], where: str) -> None:
    found = disagreements(skill.section(title), model)
    if found:
        raise _broken(where, f"## {title} does not agree with {model.__name__}: {'; '.join(found)}")
