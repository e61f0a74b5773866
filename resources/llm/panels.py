"""Panels: several questions of one role in one prompt, so that doctrine, skill and form are paid once.

A panel is a question like any other, with a key and a record of its own. Its items are masked with one mapping, so that a label
means the same in all of them, and every item's answer is read, checked and shown again by itself: what is wrong with one of them
spoils no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from resources.llm.inquiry import Inquiry, Judged, answer_of, complaint_about, typed
from resources.llm.meter import Price
from resources.llm.recording import Asked, read, schema_of, value_of
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Answer, Attempt, Budget, Role, Usage
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.prompts import INPUTS_HEAD, Prompt, render
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.skills import SkillSet

PANEL_RULE = (
    "Below stand several independent questions, each under an id of its own. Answer every one of them, each as if it stood alone: "
    "use nothing of one question for another. Answer with one object whose list `answers` holds, for every id exactly once, an "
    "object of `id` and `answer`; `answer` has the form that your role describes."
)
# A quarter of the longest prompt that a single question may be.
CHARACTERS_MAX = 30_000
_ANSWERS_MAX = 16
_COMPLAINTS_TOLD = 5
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
AnyInquiry = Inquiry[Any, Any]


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str
    answer: dict[str, Any]


class _Items(BaseModel):
    """A panel's answer before its items are looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    answers: list[_Item]


@dataclass(frozen=True)
class Panel(Inquiry[Any, Any]):
    """Questions of one role, asked together. `items` are the same questions alone, `seen` their inputs as this panel shows them."""

    items: tuple[AnyInquiry, ...] = ()
    seen: tuple[BaseModel, ...] = ()

    @property
    def size(self) -> int:
        """How many questions it holds."""
        return len(self.items)

    def judged(self, words: str) -> Judged:
        """Every item that answers its question; the complaint names the others by their ids."""
        try:
            said = _Items.model_validate_json(words).answers
        except ValidationError:
            return Judged(None, typed(self.role.output, words)[1], read=False)
        good, complaints = dict[str, BaseModel](), list[str]()
        for place, id_ in enumerate(_ids(self.size)):
            value, complaint = self._item(place, [one.answer for one in said if one.id == id_])
            if value is None:
                complaints.append(f"{id_}: {complaint}")
            else:
                good[id_] = value
        known = frozenset(_ids(self.size))
        complaints += ["an id was answered that is none of the questions'"] if {one.id for one in said} - known else []
        return Judged(self._answers(good) if good else None, "; ".join(complaints[:_COMPLAINTS_TOLD]))

    def together(self, first: Judged, second: Judged) -> BaseModel | None:
        """The items that fit in either attempt; the later one's where both do."""
        good = {**_by_id(first.value), **_by_id(second.value)}
        return self._answers(good) if good else None

    def said(
        self,
        record: AnswerRecord,
        registry: ModelRegistry,
        *,
        cached: bool,
        price: Price = Price(),  # noqa: B008 - a frozen value
        failed: Sequence[Attempt] = (),
    ) -> Mapping[int, Answer[Any]]:
        """By place, the items' answers in the record; `price` is what the whole panel cost, and all of its items share it."""
        recorded = read(record)
        good = _by_id(value_of(record, recorded, self.role.output))
        prices, usages = shares_of(price, self.size), _usages(recorded.usage, self.size)
        found: dict[int, Answer[Any]] = {}
        for place, id_ in enumerate(_ids(self.size)):
            if id_ in good:
                told = recorded.model_copy(update=usages[place])
                value = self.unmasked(good[id_])
                found[place] = answer_of(
                    self, record, told, value, registry, cached=cached, price=prices[place], failed=failed
                )
        return found

    def _item(self, place: int, said: Sequence[dict[str, Any]]) -> tuple[BaseModel | None, str]:
        if len(said) != 1:
            return None, "not answered" if not said else "answered more than once"
        role: Role[Any, BaseModel] = self.items[place].role
        value, complaint = typed(role.output, json.dumps(said[0]))
        if value is None:
            return None, complaint
        found = complaint_about(value, role, self.seen[place], self.masked, system=self.asked.prompt.system)
        return (value, "") if found is None else (None, found)

    def _answers(self, good: Mapping[str, BaseModel]) -> BaseModel:
        ordered = [{"id": id_, "answer": good[id_]} for id_ in _ids(self.size) if id_ in good]
        made: BaseModel = self.role.output.model_validate({"answers": tuple(ordered)})
        return made


def chunks(inquiries: Sequence[AnyInquiry], most: int) -> list[list[int]]:
    """Places of the questions that may share a prompt: of one role that allows it, one budget and one day.

    The grouping follows from the questions and the setting alone, so that a replay finds it again.
    """
    alike: dict[tuple[Role[Any, Any], Budget, date], list[int]] = {}
    for place, inquiry in enumerate(inquiries):
        if inquiry.role.panel and most > 1:
            day = inquiry.as_of.astimezone(NEW_YORK).date()
            alike.setdefault((inquiry.role, inquiry.budget, day), []).append(place)
    return [chunk for places in alike.values() for chunk in _split(places, inquiries, most) if len(chunk) > 1]


def panel_of(items: Sequence[AnyInquiry], skills: SkillSet) -> Panel | None:
    """The questions in one prompt; None where one of them says in plain words what another one's mask hides."""
    first = items[0]
    inputs_type: type[BaseModel] = first.role.inputs
    output: type[BaseModel] = first.role.output
    role = Role(first.skill.name, _inputs_type(inputs_type), _output_type(output))
    inputs = role.inputs.model_validate({"items": tuple(item.inputs for item in items)})
    try:
        masked = mask(inputs) if first.masked is not None else None
    except PermanentFailure:
        return None
    if masked is None:
        seen, users = [item.shown for item in items], [item.asked.prompt.user for item in items]
    else:
        seen = list(masked.inputs.items)  # type: ignore[attr-defined]
        users = [render(first.skill, skills.doctrine, one, output).user for one in seen]
    shown = masked.inputs if masked else inputs
    asked = Asked(
        skill=first.skill.name,
        skill_hash=first.skill.full_hash(role.output),
        prompt=_prompt(first.asked.prompt.system, users),
        schema=schema_of(role.output),
        inputs=inputs.model_dump_json(),
        version=first.asked.version,
    )
    told = (role, inputs, shown, masked, first.skill, asked, first.candidates, first.budget, first.as_of)
    return Panel(*told, items=tuple(items), seen=tuple(seen))


def shares_of(price: Price, count: int) -> list[Price]:
    """The price in so many parts, to the billionth, with nothing lost: the first parts carry what does not divide."""
    costs, shadows = _even(price.cost_usd, count), _even(price.shadow_usd, count)
    return [Price(cost, shadow) for cost, shadow in zip(costs, shadows, strict=True)]


def _even(amount: Any, count: int) -> list[Any]:
    units, rest = divmod(int(amount.scaleb(9)), count)
    return [type(amount)(units + (place < rest)).scaleb(-9) for place in range(count)]


def _usages(usage: Usage, count: int) -> list[dict[str, int]]:
    """The tokens in so many parts."""
    told = {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    return [{name: total // count + (place < total % count) for name, total in told.items()} for place in range(count)]


def _split(places: Sequence[int], inquiries: Sequence[AnyInquiry], most: int) -> list[list[int]]:
    """In as few parts of nearly equal size as the number and the length of the questions allow."""
    parts = -(-len(places) // most)
    while True:
        bounds = [len(places) * part // parts for part in range(parts + 1)]
        split = [list(places[low:high]) for low, high in pairwise(bounds)]
        lengths = (sum(len(inquiries[place].asked.prompt.user) for place in part) for part in split)
        if parts >= len(places) or all(length <= CHARACTERS_MAX for length in lengths):
            return split
        parts += 1


def _prompt(system: str, users: Sequence[str]) -> Prompt:
    items = (f'"{id_}":{user.removeprefix(INPUTS_HEAD)}' for id_, user in zip(_ids(len(users)), users, strict=True))
    user = f"{PANEL_RULE}\n\n{INPUTS_HEAD}{{{','.join(items)}}}"
    return Prompt(system, user, hashlib.sha256(f"{system}\0{user}".encode()).hexdigest())


def _ids(count: int) -> list[str]:
    return [f"q{number}" for number in range(1, count + 1)]


def _by_id(value: BaseModel | None) -> dict[str, BaseModel]:
    answers: Sequence[Any] = getattr(value, "answers", ())
    return {one.id: one.answer for one in answers}


@lru_cache(maxsize=64)
def _inputs_type(inputs: type[BaseModel]) -> type[BaseModel]:
    return create_model(f"{inputs.__name__}Panel", __config__=_STRICT, items=(tuple[inputs, ...], ...))  # type: ignore[valid-type]


@lru_cache(maxsize=64)
def _output_type(output: type[BaseModel]) -> type[BaseModel]:
    named = Annotated[str, Field(pattern=r"^q[1-9][0-9]?$")]
    item = create_model(f"{output.__name__}Item", __config__=_STRICT, id=(named, ...), answer=(output, ...))
    many = Annotated[tuple[item, ...], Field(max_length=_ANSWERS_MAX)]  # type: ignore[valid-type]
    return create_model(f"{output.__name__}Panel", __config__=_STRICT, answers=(many, ...))
