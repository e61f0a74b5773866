"""Typed questions and answers: a role is who is asked, an answer is what came back, an abstention is why nothing did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

RouteName = Literal["claude-cli", "codex-cli", "anthropic", "openai", "gemini", "deepseek", "rules"]
Tier = Literal["cheap", "standard", "strong"]
Leakage = Literal["clean", "contaminated", "unknown"]
Outcome = Literal[
    "ok",
    "malformed",
    "refused",
    "truncated",
    "rate_limited",
    "overloaded",
    "server_error",
    "timeout",
    "unreachable",
    "unauthorized",
    "quota",
    "rejected",
    "lost",
]
TIERS: tuple[Tier, ...] = ("cheap", "standard", "strong")

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True)
class Role(Generic[In, Out]):
    """Who is asked: a skill (`skills/<skill>/SKILL.md`) with its types, and the deterministic member that answers without a model.

    `rules` returns None where the inputs do not allow an opinion. `check` compares an answer with its inputs (a citation that was
    not given, a symbol outside the list) and returns the complaint, or None; a complaint makes the answer malformed. Questions of a
    `panel` role may share one prompt where that is cheaper.
    """

    skill: str
    inputs: type[In]
    output: type[Out]
    rules: Callable[[In], Out | None] | None = None
    check: Callable[[In, Out], str | None] | None = None
    panel: bool = False


@dataclass(frozen=True, slots=True)
class Pocket:
    """Money that a call must fit into, USD: a decision's, a day's or a backfill's."""

    name: str
    cap_usd: Decimal
    calls_max: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Every pocket that a call is paid from; a call must fit into each of them.

    `decision` names what the answer is for (for example `desk/2026-11-20/09:30`), `day` is the New York day on which the money is
    spent, `backfill` the run that asks about the past, or empty.
    """

    lane: str
    decision: str
    day: date
    pockets: tuple[Pocket, ...]
    backfill: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A route that was tried, or passed over, and why it did not answer."""

    route: RouteName
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[Out]):
    """A typed answer with its price and its origin.

    `cost_usd` is what this asking cost (0 when replayed or answered by rules), `shadow_usd` the list price of a subscription route.
    """

    value: Out
    route: RouteName
    model: str
    skill_hash: str
    prompt_hash: str
    key: str
    usage: Usage
    cost_usd: Decimal
    shadow_usd: Decimal
    latency_ms: int
    cached: bool
    leakage: Leakage
    failed: tuple[Attempt, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Ask(Generic[In, Out]):
    """One typed question, ready to be asked beside others."""

    role: Role[In, Out]
    inputs: In
    budget: Budget
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Abstention:
    """Nobody answered, and the rules have no opinion: no new position comes of it."""

    reason: str
    failed: tuple[Attempt, ...] = field(default=())
