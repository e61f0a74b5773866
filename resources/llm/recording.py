"""What a recorded answer is found by, what it says, and how it becomes an answer again.

A record is found by a sha256 over everything that shapes the answer: the route, the model, its settings, the skill, the rendered
prompt, the output's JSON schema, the tools that the model may use on its side, and the version of this code. The budget is left
out: `max_tokens` can only cut an answer off, and an answer that was cut off is not recorded. What a tool on the model's side
returned (search grounding) is part of the response.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.strict_yaml import Strict
from trading_assets.reasoning.model import TIERS, Out, RouteName, Tier, Usage
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.prompts import Prompt
from trading_assets.reasoning.settings import RouteSettings

# Raised by hand when the same question would reach a model in another shape: output mode, retry words, prompt layout.
REASONING_VERSION = "1"
RULES: RouteName = "rules"
SEARCH = "web_search"
_Amount = Annotated[Decimal, Field(ge=0)]


class MissingAnswer(PermanentFailure):
    """Only recorded answers are allowed, and there is none for this question."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be asked."""

    route: RouteSettings
    model: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, apart from who answers. `inputs` is what the rules see, as JSON; a model sees the prompt alone."""

    skill: str
    skill_hash: str
    prompt: Prompt
    schema: str
    inputs: str
    version: str


class Recorded(Strict):
    """The response of a record. USD; `value` is None where the rules had no opinion, tokens are those of the answering request.

    `served_by` is the model's own name for itself, so that a silent change of version shows.
    """

    value: dict[str, Any] | None
    served_by: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: _Amount = Decimal(0)
    shadow_usd: _Amount = Decimal(0)
    latency_ms: int = 0

    @property
    def usage(self) -> Usage:
        """The tokens."""
        return Usage(self.input_tokens, self.cached_tokens, self.output_tokens)


def candidates(routes: tuple[RouteSettings, ...], tier: Tier) -> tuple[Candidate, ...]:
    """The routes' models of the tier in the routes' order, then those of each cheaper tier; none twice."""
    downwards = TIERS[TIERS.index(tier) :: -1]
    pairs = ((route, route.models[step]) for step in downwards for route in routes if step in route.models)
    return tuple({(route.name, model): Candidate(route, model) for route, model in pairs}.values())


def key_of(candidate: Candidate | None, asked: Asked) -> str:
    """The key of the candidate's answer; None stands for the rules."""
    return _digest(_canonical(_identity(candidate, asked)))


def request_of(candidate: Candidate | None, asked: Asked) -> str:
    """The whole request in words: what the key stands for, and the texts behind its digests."""
    texts = {"system": asked.prompt.system, "user": asked.prompt.user, "schema": json.loads(asked.schema)}
    inputs = {"inputs": json.loads(asked.inputs)} if candidate is None else {}
    return _canonical({"identity": _identity(candidate, asked), **texts, **inputs})


def record_of(candidate: Candidate | None, asked: Asked, recorded: Recorded) -> AnswerRecord:
    """The answer as it is stored."""
    return AnswerRecord(
        key=key_of(candidate, asked),
        route=candidate.route.name if candidate else RULES,
        model=candidate.model if candidate else "",
        skill=asked.skill,
        skill_hash=asked.skill_hash,
        request=request_of(candidate, asked),
        response=_canonical(recorded.model_dump(mode="json")),
    )


def read(record: AnswerRecord) -> Recorded:
    """The response of a record; PermanentFailure where it is none."""
    try:
        return Recorded.model_validate_json(record.response)
    except ValidationError as broken:
        raise _damaged(record, broken) from broken


def value_of(record: AnswerRecord, recorded: Recorded, output: type[Out]) -> Out:
    """The typed answer of a record; PermanentFailure where it does not fit the type whose schema its key holds."""
    try:
        return output.model_validate_json(json.dumps(recorded.value))
    except ValidationError as broken:
        raise _damaged(record, broken) from broken


def _damaged(record: AnswerRecord, broken: ValidationError) -> PermanentFailure:
    return PermanentFailure(
        f"the recorded answer of skill {record.skill} cannot be read: {broken.errors()[0]['msg']}",
        value=record.key,
        hint="restore the ledger from a backup, or ask again with mode: models after removing that answer",
    )


@lru_cache(maxsize=256)
def schema_of(output: type[BaseModel]) -> str:
    """The output's JSON schema in canonical form; a type that could carry more than its fields is refused."""
    schema = output.model_json_schema()
    for name, part in _objects(schema, output.__name__):
        if part.get("additionalProperties") is not False:
            raise ConfigurationError(
                "an output type must forbid everything but its fields", value=name, bound='extra="forbid"'
            )
    return _canonical(schema)


def _objects(schema: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if schema.get("type") == "object":
        yield str(schema.get("title", name)), schema
    for inner in schema.values():
        parts = inner if isinstance(inner, list) else [inner]
        for part in parts:
            if isinstance(part, Mapping):
                yield from _objects(part, name)


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(candidate: Candidate | None, asked: Asked) -> dict[str, Any]:
    who: dict[str, Any]
    if candidate is None:
        who = {"route": RULES, "inputs": _digest(asked.inputs)}
    else:
        route = candidate.route
        tools = [SEARCH] if route.search else []
        who = {"route": route.name, "model": candidate.model, "settings": {"effort": route.effort}, "tools": tools}
    return {
        **who,
        "skill": asked.skill,
        "skill_hash": asked.skill_hash,
        "prompt": asked.prompt.hash,
        "schema": _digest(asked.schema),
        "version": asked.version,
    }


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
