"""One question, ready to be asked or looked up: masked, rendered, with the keys under which its answers are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, cast, get_args

from pydantic import BaseModel, ValidationError

from resources.llm.meter import Price
from resources.llm.recording import RULES, Asked, Candidate, Recorded, candidates, key_of, read, schema_of, value_of
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.budgets import DESK_LANE
from trading_assets.reasoning.fencing import clean_output
from trading_assets.reasoning.leakage import label
from trading_assets.reasoning.masking import Masked, mask
from trading_assets.reasoning.model import Abstention, Answer, Attempt, Budget, In, Leakage, Out, Role, RouteName
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.prompts import render
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings
from trading_assets.reasoning.skills import Skill, SkillSet

_ERRORS_TOLD = 5
NO_OPINION = "no model answered, and the rules have no opinion"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model's words come to.

    `value` is what can be kept of them, `complaint` what is wrong with the rest, in words that the model may be shown; `read` says
    whether they are of the type that was asked for.
    """

    value: BaseModel | None
    complaint: str = ""
    read: bool = True


@dataclass(frozen=True)
class Inquiry(Generic[In, Out]):
    """A role's question with everything that its asking needs. `inputs` are what the rules see, `shown` what a model sees."""

    role: Role[In, Out]
    inputs: In
    shown: In
    masked: Masked[In] | None
    skill: Skill
    asked: Asked
    candidates: tuple[Candidate, ...]
    budget: Budget
    as_of: datetime

    @property
    def text(self) -> str:
        """Everything that a model is sent, for counting tokens."""
        return "\n".join((self.asked.prompt.system, self.asked.prompt.user, self.asked.schema))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the candidates' answers, in their order."""
        return tuple(key_of(candidate, self.asked) for candidate in self.candidates)

    @cached_property
    def rules_key(self) -> str:
        """The key of what the rules said when no model did."""
        return key_of(None, self.asked)

    @property
    def size(self) -> int:
        """How many questions it holds."""
        return 1

    def complaint(self, value: Out) -> str | None:
        """What is wrong with a model's answer beside its type, in words that it may be shown: they name nothing that is masked."""
        return complaint_about(value, self.role, self.shown, self.masked, system=self.asked.prompt.system)

    def judged(self, words: str) -> Judged:
        """A model's raw words, read strictly and checked."""
        value, complaint = typed(self.role.output, words)
        if value is None:
            return Judged(None, complaint, read=False)
        complaint = self.complaint(value) or ""
        return Judged(None if complaint else value, complaint)

    def together(self, first: Judged, second: Judged) -> BaseModel | None:
        """What can be kept of two attempts; the first one had a complaint."""
        return second.value or first.value

    def unmasked(self, value: Out) -> Out:
        """A model's answer in the question's own names, days and levels."""
        return self.masked.unmask(value) if self.masked else value

    def key(self, candidate: Candidate) -> str:
        """The key of one candidate's answer."""
        return self.keys[self.candidates.index(candidate)]


def typed(output: type[Out], words: str) -> tuple[Out | None, str]:
    """The words as the type, read strictly; None with where they do not fit and why, without repeating them."""
    try:
        return output.model_validate_json(words, strict=True), ""
    except ValidationError as unfit:
        errors = unfit.errors(include_input=False, include_url=False, include_context=False)
    places = ((".".join(map(str, error["loc"])) or "the answer", error["msg"]) for error in errors[:_ERRORS_TOLD])
    return None, "; ".join(f"{place}: {message}" for place, message in places)


def complaint_about(
    value: Out, role: Role[In, Out], shown: In, masked: Masked[Any] | None, *, system: str
) -> str | None:
    """What is wrong with an answer of the right type: its words, what it cites, whom it names."""
    said = clean_output(value, system=system)
    said = said or (role.check(shown, value) if role.check else None)
    return said or (masked.complaint(value) if masked else None)


def prepare(
    role: Role[In, Out],
    inputs: In,
    *,
    settings: ReasoningSettings,
    skills: SkillSet,
    budget: Budget,
    as_of: datetime,
    version: str,
) -> Inquiry[In, Out]:
    """The question, ready to be asked.

    Raises:
        ConfigurationError: there is no such skill, it promises another type, the type could carry more than its fields, or a field
            lacks its mark.
        PermanentFailure: the inputs cannot be shown to a model.
    """
    skill = skills[role.skill]
    hidden = settings.mask == "always" or (settings.mask == "backtests" and budget.lane != DESK_LANE)
    masked = mask(inputs) if hidden else None
    shown = masked.inputs if masked else inputs
    prompt = render(skill, skills.doctrine, shown, role.output)
    schema = schema_of(role.output)
    asked = Asked(skill.name, skill.full_hash(role.output), prompt, schema, inputs.model_dump_json(), version)
    return Inquiry(role, inputs, shown, masked, skill, asked, candidates(settings.enabled, skill.tier), budget, as_of)


def answered(
    inquiry: Inquiry[In, Out],
    record: AnswerRecord,
    registry: ModelRegistry,
    *,
    cached: bool,
    price: Price = Price(),  # noqa: B008 - a frozen value
    failed: Sequence[Attempt] = (),
) -> Answer[Out] | Abstention:
    """What the record that stands says of the question; `price` is what this asking cost."""
    recorded = read(record)
    if recorded.value is None:
        return Abstention(NO_OPINION, tuple(failed))
    value = value_of(record, recorded, inquiry.role.output)
    value = value if record.route == RULES else inquiry.unmasked(value)
    return answer_of(inquiry, record, recorded, value, registry, cached=cached, price=price, failed=failed)


def answer_of(
    inquiry: Inquiry[In, Out],
    record: AnswerRecord,
    recorded: Recorded,
    value: Out,
    registry: ModelRegistry,
    *,
    cached: bool,
    price: Price,
    failed: Sequence[Attempt],
) -> Answer[Out]:
    """The value, in the question's own names, with its origin and its price."""
    return Answer(
        value=value,
        route=_route_of(record),
        model=record.model,
        skill_hash=record.skill_hash,
        prompt_hash=inquiry.asked.prompt.hash,
        key=record.key,
        usage=recorded.usage,
        cost_usd=price.cost_usd,
        shadow_usd=price.shadow_usd,
        latency_ms=0 if cached else recorded.latency_ms,
        cached=cached,
        leakage=_label(record, recorded, inquiry.as_of, registry),
        failed=tuple(failed),
    )


def _route_of(record: AnswerRecord) -> RouteName:
    for name in get_args(RouteName):
        if name == record.route:
            return cast(RouteName, name)
    raise PermanentFailure("a recorded answer is of no route that is known", value=record.route)


def _label(record: AnswerRecord, recorded: Recorded, as_of: datetime, registry: ModelRegistry) -> Leakage:
    """By the model that was asked; also by the one that answered where that is not a dated name of it."""
    if record.route == RULES:
        return "clean"
    asked, served = record.model, recorded.served_by
    models = [asked] if served.startswith(asked) or not served else [asked, served]
    return label(models, as_of=as_of, registry=registry)
