"""A model server that answers any role's prompt as that role's own rules member would, after a while; for tests of whole cycles.

    with ModelServer() as server:
        server.script("anthropic", answering({"technical-analyst": TECHNICAL}, delay_s=1.0))

The role is found by the skill's name in the system text, its inputs by their JSON in the user text; fences are taken off, masked
inputs stay masked, and a panel's items are answered one by one. Where the rules have no opinion the model declines (alone) or
leaves the item out (in a panel). A prompt of a role that is not in the mapping is a failure of the test, told as a 400.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from resources.llm.panels import PANEL_RULE
from tests.llm.actions import Action, answer, failing, refusal
from tests.llm.server import ModelServer, Request, Script
from trading_assets.reasoning.model import Role
from trading_assets.reasoning.prompts import INPUTS_HEAD

AnyRole = Role[Any, Any]
_SKILL = re.compile(r"^# Your role: ([a-z0-9-]+)$", re.MULTILINE)
_FENCED = re.compile(r"\[\[data ([0-9a-f]+) from [^\]]*\]\] (.*) \[\[/data \1\]\]", re.DOTALL)


def by_skill(*roles: AnyRole) -> Mapping[str, AnyRole]:
    """The roles by the names of their skills."""
    return {role.skill: role for role in roles}


def answering(
    roles: Mapping[str, AnyRole], delay_s: float = 1.0, *, instead: Mapping[str, Script] | None = None
) -> Callable[[Request], Action]:
    """A script that answers each prompt by its role's rules member, `delay_s` seconds after it came.

    Args:
        roles: Who may be asked, by skill.
        delay_s: How long each answer takes, seconds.
        instead: What happens when these skills are asked: prose, an error, silence. Its own delay holds.
    """

    def script(request: Request) -> Action:
        skill = skill_in(request)
        other = (instead or {}).get(skill)
        if other is not None:
            return other(request) if callable(other) else other
        if skill not in roles:
            return failing("bad_request", f"the council has no role for the skill {skill or 'that nobody named'}")
        return replace(said_by(roles[skill], request), delay_s=delay_s)

    return script


def said_by(role: AnyRole, request: Request) -> Action:
    """The answer of the role's rules to the request, single or panel."""
    told = inputs_in(request)
    if not is_panel(request):
        value = _ruled(role, told)
        return refusal() if value is None else answer(value)
    values = {name: _ruled(role, each) for name, each in told.items()}
    return answer({"answers": [{"id": name, "answer": value} for name, value in values.items() if value is not None]})


def skill_in(request: Request) -> str:
    """The skill that the request is asked under; empty when it names none."""
    found = (_SKILL.search(text) for text in _texts(request.body))
    return next((hit.group(1) for hit in found if hit), "")


def is_panel(request: Request) -> bool:
    """Whether the request holds several questions."""
    return any(PANEL_RULE in text for text in _texts(request.body))


def inputs_in(request: Request) -> dict[str, Any]:
    """The inputs as the model sees them, without fences; those of a panel by their ids."""
    text = next(text for text in _texts(request.body) if INPUTS_HEAD in text)
    found, _ = json.JSONDecoder().raw_decode(text.partition(INPUTS_HEAD)[2])
    told: dict[str, Any] = _bare(found)
    return told


def asked_skills(server: ModelServer) -> Counter[str]:
    """How many requests each skill made so far."""
    return Counter(skill_in(request) for request in server.log)


def _ruled(role: AnyRole, told: Mapping[str, Any]) -> Any:
    value = None if role.rules is None else role.rules(role.inputs.model_validate_json(json.dumps(told)))
    return None if value is None else value.model_dump(mode="json")


def _texts(value: Any) -> Iterator[str]:
    """Every string of a body, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _bare(value: Any) -> Any:
    """Without fences, and without the mark of a list that was cut."""
    if isinstance(value, str):
        fenced = _FENCED.fullmatch(value)
        return fenced.group(2) if fenced else value
    if isinstance(value, dict):
        return {_bare(name): _bare(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_bare(inner) for inner in value if not (isinstance(inner, dict) and inner.keys() == {"cut"})]
    return value
