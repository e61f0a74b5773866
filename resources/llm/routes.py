"""Routes to models as the settings name them: which can be asked, and the pydantic-ai model, output mode and extras of each.

The key comes from the environment variable that the route's settings name, and from nowhere else; addresses come from the settings
or are the providers' own, whatever other variables the providers' libraries would read. Nothing is retried below the reasoner:
a route answers or fails, and the breaker and the next route do the rest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from resources.llm.commands import PASSED
from resources.llm.keys import Key, read_key
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.model import RouteName, Tier
from trading_assets.reasoning.settings import ReasoningSettings, RouteSettings

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

    from resources.llm.guarded import RouteModel

ADDRESSES: Mapping[RouteName, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
    "deepseek": "https://api.deepseek.com",
}
# A subscription's token, made by `claude setup-token`; the program would otherwise look for it in a home that the desk keeps empty.
CLAUDE_TOKEN = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - the name of a variable
# Where the codex program keeps its sign-in.
_SIGN_IN = ("HOME", "CODEX_HOME")
# Before Gemini 3 a search and a JSON schema exclude each other.
_GEMINI_SEARCHES_WITHOUT_SCHEMA = re.compile(r"gemini-[12](\.|-|$)")


@dataclass(frozen=True)
class OpenRoute:
    """An enabled route. `missing` says why it cannot be asked; None: it can."""

    settings: RouteSettings
    missing: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    key: Key | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> RouteName:
        """The route's name."""
        return self.settings.name

    def model_name(self, tier: Tier) -> str | None:
        """The route's model of that tier."""
        return self.settings.models.get(tier)


def open_routes(settings: ReasoningSettings, environment: Mapping[str, str]) -> tuple[OpenRoute, ...]:
    """The enabled routes in their order, each with its key or with what is missing. Opens no connection."""
    return tuple(_opened(route, environment) for route in settings.enabled)


def _opened(route: RouteSettings, environment: Mapping[str, str]) -> OpenRoute:
    if route.command is None:
        key, missing = read_key(str(route.key_variable), environment)
        return OpenRoute(route, missing, key=key)
    # The desk's other keys are nothing that a program of somebody else should see.
    kept = {name: environment[name] for name in (*PASSED, *_SIGN_IN) if name in environment}
    if shutil.which(route.command, path=environment.get("PATH", "")) is None:
        return OpenRoute(route, f"the command {route.command} is not installed", kept)
    token, missing = read_key(CLAUDE_TOKEN, environment) if route.name == "claude-cli" else (None, None)
    return OpenRoute(route, missing, kept, token)


def model_of(route: OpenRoute, name: str) -> RouteModel:
    """The model behind a route, for one event loop: keep it, it holds the connections, and `aclose` it there.

    Raises:
        ConfigurationError: the route cannot be asked.
    """
    from resources.llm.guarded import RouteModel

    if route.missing is not None:
        raise ConfigurationError(f"route {route.name} cannot be asked: {route.missing}", hint="desk doctor")
    if route.settings.command is not None:
        return RouteModel(_by_command(route, name))
    if route.key is None:
        raise ConfigurationError(f"route {route.name} has no key", hint="open it with open_routes")
    client = _http_client(route.settings)
    return RouteModel(_INTERFACES[route.name](route.settings, name, route.key.reveal(), client), client)


def _by_command(route: OpenRoute, name: str) -> Model:
    if route.name == "claude-cli":
        from resources.llm.claude_cli import ClaudeCliModel

        return ClaudeCliModel(name, route.settings, route.environment, token=route.key)
    from resources.llm.codex_cli import CodexCliModel

    return CodexCliModel(name, route.settings, route.environment)


def _http_client(route: RouteSettings) -> httpx2.AsyncClient:
    from pydantic_ai.models import create_async_httpx2_client

    return create_async_httpx2_client(timeout=route.timeout_s)


def _address(route: RouteSettings) -> str:
    return route.base_url or ADDRESSES[route.name]


def _anthropic(route: RouteSettings, name: str, key: str, http_client: httpx2.AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    # The time-out stands on the client: a request of a batch may not carry one.
    client = AsyncAnthropic(
        api_key=key, base_url=_address(route), max_retries=0, timeout=route.timeout_s, http_client=http_client
    )
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client), settings=_settings(route))


def _openai(route: RouteSettings, name: str, key: str, http_client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
    from pydantic_ai.providers.openai import OpenAIProvider

    settings = OpenAIResponsesModelSettings(openai_store=False)
    settings.update(_settings(route))  # type: ignore[typeddict-item]
    provider = OpenAIProvider(openai_client=_openai_client(route, key, http_client))
    return OpenAIResponsesModel(name, provider=provider, settings=settings)


def _deepseek(route: RouteSettings, name: str, key: str, http_client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.deepseek import DeepSeekProvider

    provider = DeepSeekProvider(openai_client=_openai_client(route, key, http_client))
    return OpenAIChatModel(name, provider=provider, settings=_settings(route))


def _openai_client(route: RouteSettings, key: str, http_client: httpx2.AsyncClient) -> AsyncOpenAI:
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        api_key=key, base_url=_address(route), max_retries=0, timeout=route.timeout_s, http_client=http_client
    )


def _gemini(route: RouteSettings, name: str, key: str, http_client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(api_key=key, base_url=_address(route), http_client=http_client)
    settings = _settings(route)
    settings["timeout"] = route.timeout_s
    return GoogleModel(name, provider=provider, settings=settings)


_INTERFACES: Mapping[RouteName, Callable[[RouteSettings, str, str, httpx2.AsyncClient], Model]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "deepseek": _deepseek,
    "gemini": _gemini,
}


def _settings(route: RouteSettings) -> ModelSettings:
    """One deadline over the whole request, and the effort where the settings name one."""
    from pydantic_ai.settings import ModelSettings

    settings = ModelSettings(request_timeout=route.timeout_s)
    if route.effort is not None:
        settings["thinking"] = route.effort
    return settings


def output_of(route: RouteSettings, name: str, output_type: type[BaseModel]) -> Any:
    """How the route is asked for a typed answer: by JSON schema where the interface enforces one, else by a tool or in words."""
    from pydantic_ai import NativeOutput, PromptedOutput, ToolOutput

    if route.name == "deepseek":
        return ToolOutput(output_type)
    if route.search and _GEMINI_SEARCHES_WITHOUT_SCHEMA.match(name):
        return PromptedOutput(output_type)
    return NativeOutput(output_type)


def capabilities_of(route: RouteSettings) -> list[Any]:
    """What a route's calls carry besides: a cached doctrine (Anthropic; the others cache by themselves), a search (Gemini)."""
    from pydantic_ai.capabilities import Caching, WebSearch

    capabilities: list[Any] = []
    if route.name == "anthropic":
        capabilities.append(Caching(messages=False))
    if route.search:
        capabilities.append(WebSearch())
    return capabilities
