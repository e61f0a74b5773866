"""A desk that asks the scripted model server: real routes, a real ledger, skills of its own, and a clock that is set by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from resources.ledger import schema as t
from resources.ledger.costs import disagreements
from resources.ledger.engine import reading
from resources.llm.reasoner import DeskReasoner
from resources.llm.routes import open_routes
from resources.llm.stores import Stores
from tests.llm.actions import Action, answer
from tests.llm.server import ModelServer, Request
from trading_assets.reasoning.budgets import backfill_budget, desk_budget
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.model import Abstention, Answer, Budget, Role
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings
from trading_assets.reasoning.skills import SkillShelf

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)
LONG_AGO = datetime(2013, 3, 1, 14, 30, tzinfo=UTC)
KEYS = {"ANTHROPIC_API_KEY": "key-for-anthropic-1234567890", "OPENAI_API_KEY": "key-for-openai-1234567890"}
CHEAP, STANDARD, STRONG = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
LUNA, TERRA, SOL = "gpt-6-luna", "gpt-6.1-terra", "gpt-6.1-sol"
GOOD: Mapping[str, Any] = {"signal": 0.25, "reasons": ["The close stands above its mean."], "evidence": ["p1"]}


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Seen(_Words):
    """What the judge is given of one symbol."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    closes: tuple[Annotated[float, Mark.LEVEL], ...]
    number: int = 0


class Ruling(_Words):
    """What the judge answers."""

    signal: Annotated[float, Field(ge=-1, le=1)]
    reasons: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=240)], ...], Field(min_length=1, max_length=5)
    ]
    evidence: Annotated[tuple[str, ...], Field(min_length=1)]


def by_the_rules(inputs: Seen) -> Ruling | None:
    """Up when the last close is above the first; no opinion without closes."""
    if not inputs.closes:
        return None
    return Ruling(signal=1.0 if inputs.closes[-1] > inputs.closes[0] else -1.0, reasons=("Rules.",), evidence=("p1",))


def cites_what_was_given(_: Seen, ruling: Ruling) -> str | None:
    """Only p1 is given."""
    foreign = sorted(set(ruling.evidence) - {"p1"})
    return f"evidence {', '.join(foreign)} was not given; cite only p1" if foreign else None


JUDGE = Role("judge", Seen, Ruling, by_the_rules, cites_what_was_given)
MUTE = Role("judge", Seen, Ruling, None, cites_what_was_given)
SKILL = """\
---
name: {name}
description: Judges one symbol.
metadata:
  version: "1"
  agent: judge
  model-tier: {tier}
  output-schema: Ruling{cost}
---
## Persona

{persona}

## Inputs

Closes of one symbol, oldest first.

## Output schema

| field | type | bounds | meaning |
| --- | --- | --- | --- |
| `signal` | number | -1 to 1 | sell to buy |
| `reasons` | list of text | 1 to 5 items, each 1 to 240 characters | why |
| `evidence` | list of text | at least 1 items | ids of the readings |
"""


def write_skill(
    folder: Path,
    *,
    name: str = "judge",
    tier: str = "cheap",
    persona: str = "You are a judge.",
    cap_usd: str = "",
) -> None:
    """A judge's skill as a folder."""
    cost = f'\n  max-cost-usd: "{cap_usd}"' if cap_usd else ""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "SKILL.md").write_text(SKILL.format(name=name, tier=tier, persona=persona, cost=cost))


def seen(number: int = 0, *, symbol: str = "IBM", closes: Sequence[float] = (201.5, 202.25, 203.125)) -> Seen:
    """A question; its number makes it another one."""
    return Seen(symbol=symbol, session=date(2013, 2, 28), closes=tuple(closes), number=number)


def number_in(request: Request) -> int:
    """The number of the question that the request asks."""
    [found] = re.findall(r'number\\":(\d+)', request.raw.decode())
    return int(found)


def long_answer(tokens: int, *, input_tokens: int = 500) -> Callable[[Request], Action]:
    """A good answer of so many tokens, and never more than the request allows: a real server stops there."""

    def script(request: Request) -> Action:
        return answer(GOOD, input_tokens=input_tokens, output_tokens=min(tokens, request.body["max_tokens"]))

    return script


def answered(said: Answer[Ruling] | Abstention) -> Answer[Ruling]:
    """The answer, or a failure of the test."""
    assert isinstance(said, Answer), said
    return said


@dataclass
class HandClock:
    """Stands still until it is moved."""

    instant: datetime = NOON

    def now(self) -> datetime:
        return self.instant

    def move(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@dataclass
class Desk:
    """Everything that a question needs; `routes` are names in their order."""

    engine: sa.Engine
    server: ModelServer
    folder: Path
    mode: str = "models"
    routes: Sequence[str] = ("anthropic", "openai")
    mask: str = "backtests"
    in_flight_max: int = 8
    panel_max: int = 8
    timeout_s: float = 10.0
    keys: Mapping[str, str] = field(default_factory=lambda: KEYS)
    budget: Mapping[str, Any] = field(default_factory=dict)
    breaker: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: str = "test"
    clock: HandClock = field(default_factory=HandClock)
    settled: ReasoningSettings | None = None
    opened: list[DeskReasoner] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shelf = SkillShelf(self.folder)
        if not (self.folder / "judge").exists():
            write_skill(self.folder)

    @property
    def settings(self) -> ReasoningSettings:
        """As `config/reasoning.yaml` would say it; `settled` says it all."""
        if self.settled is not None:
            return self.settled
        ours = {
            "anthropic": {"cheap": CHEAP, "standard": STANDARD, "strong": STRONG},
            "openai": {"cheap": LUNA, "standard": TERRA, "strong": SOL},
            **self.models,
        }
        routes = [
            {
                "name": name,
                "enabled": True,
                "models": ours[name],
                "key_variable": f"{name.upper()}_API_KEY",
                "base_url": self.server.url(name),  # type: ignore[arg-type]
                "timeout_s": self.timeout_s,
                "effort": "low",
            }
            for name in self.routes
        ]
        return ReasoningSettings.model_validate(
            {
                "mode": self.mode,
                "routes": tuple(routes),
                "budget": dict(self.budget),
                "breaker": dict(self.breaker),
                "mask": self.mask,
                "in_flight_max": self.in_flight_max,
                "panel_max": self.panel_max,
            }
        )

    def reasoner(self, **changes: Any) -> DeskReasoner:
        """A reasoner; it is closed with the desk."""
        for name, value in changes.items():
            setattr(self, name, value)
        settings = self.settings
        made = DeskReasoner(
            settings,
            routes=open_routes(settings, self.keys),
            shelf=self.shelf,
            stores=lambda: Stores.on(self.engine),
            registry=ModelRegistry.load(Path(__file__).parents[2] / "config" / "models.yaml"),
            clock=self.clock,
            code_version=self.version,
        )
        self.opened.append(made)
        return made

    def close(self) -> None:
        for reasoner in self.opened:
            reasoner.close()

    def desk_money(self, decision: str = "desk/2026-11-20/09:30") -> Budget:
        return desk_budget(self.settings.budget, decision=decision, day=DAY)

    def past_money(self, decision: str = "2013-03-01", backfill: str = "run-1") -> Budget:
        return backfill_budget(self.settings.budget, decision=decision, day=DAY, backfill=backfill)

    def calls(self) -> list[Any]:
        """The cost ledger."""
        with reading(self.engine) as connection:
            return list(connection.execute(sa.select(t.MODEL_CALLS).order_by(t.MODEL_CALLS.c.id)))

    def outcomes(self) -> list[tuple[str, str]]:
        """Model and outcome of every booked call."""
        return [(row.model, row.outcome) for row in self.calls()]

    def booked(self) -> Decimal:
        """What the cost ledger says was spent, USD."""
        return sum((row.cost for row in self.calls()), Decimal(0))

    def records(self) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(sa.select(t.ANSWERS)))

    def check(self) -> None:
        """The pockets agree with the calls, and nothing stays reserved."""
        with reading(self.engine) as connection:
            assert list(disagreements(connection)) == []
            assert list(connection.execute(sa.select(t.RESERVATIONS))) == []
