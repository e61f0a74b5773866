"""One route opened against the scripted model server, and one question asked over it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse

from resources.llm.failures import Failure, failure_of
from resources.llm.routes import OpenRoute, capabilities_of, model_of, open_routes, output_of
from tests.llm.server import ModelServer
from tests.llm.wire import Provider
from trading_assets.reasoning.model import RouteName, Tier
from trading_assets.reasoning.settings import ReasoningSettings, RouteSettings

PROVIDERS: tuple[Provider, ...] = ("anthropic", "openai", "gemini", "deepseek")
MODELS: Mapping[RouteName, str] = {
    "anthropic": "claude-haiku-5-5",
    "openai": "gpt-6-luna",
    "gemini": "gemini-3.8-flash",
    "deepseek": "deepseek-flash",
    "claude-cli": "claude-haiku-5-5",
    "codex-cli": "gpt-6-luna",
}
KEY = "CANARY-0123456789-abcdef"
ENVIRONMENT = {"DESK_KEY": KEY}
GOOD = {"action": "SELL", "confidence": 0.5, "evidence": ["p1"]}


class Ruling(BaseModel):
    """What the tests ask for."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    action: Literal["BUY", "SELL"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: Annotated[list[str], Field(min_length=1)]


def settings_of(name: RouteName, server: ModelServer | None = None, **more: Any) -> RouteSettings:
    """A route's settings; the server's address where there is one."""
    told: dict[str, Any] = {"name": name, "enabled": True, "models": {"cheap": MODELS[name]}, "timeout_s": 4.0}
    for provider in PROVIDERS:
        if provider == name:
            told["key_variable"] = "DESK_KEY"
            told |= {} if server is None else {"base_url": server.url(provider)}
    return RouteSettings(**{**told, **more})


def opened(settings: RouteSettings, environment: Mapping[str, str] = ENVIRONMENT) -> OpenRoute:
    """The route as the desk opens it."""
    (route,) = open_routes(ReasoningSettings(mode="models", routes=(settings,)), environment)
    return route


def ask(
    route: OpenRoute, words: str = "What now?", *, name: str | None = None, retries: int = 0, max_tokens: int = 200
) -> tuple[Ruling, ModelResponse]:
    """One question over the route, in an event loop of its own."""
    tier: Tier = "cheap"
    model_name = name or str(route.model_name(tier))

    async def once() -> tuple[Ruling, ModelResponse]:
        model = model_of(route, model_name)
        agent: Agent[None, Ruling] = Agent(
            model,
            output_type=output_of(route.settings, model_name, Ruling),
            retries={"output": retries, "tools": 0},
            capabilities=capabilities_of(route.settings),
        )
        try:
            said = await agent.run(words, instructions="Doctrine.", model_settings={"max_tokens": max_tokens})
            return said.output, said.response
        finally:
            await model.aclose()

    return asyncio.run(once())


def failed(route: OpenRoute, words: str = "What now?") -> tuple[Failure, BaseException]:
    """The failure of a question that must fail, and the exception behind it."""
    try:
        said, _ = ask(route, words)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        return failure, error
    raise AssertionError(f"it answered {said}")
