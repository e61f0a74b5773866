"""Routes: which are open, what they send over the real wire, and that a key is shown to nobody but its provider."""

import asyncio
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.capabilities import Caching, WebSearch

from resources.llm.keys import Key, read_key, scrubbed
from resources.llm.routes import ADDRESSES, OpenRoute, capabilities_of, model_of, open_routes, output_of
from tests.llm.actions import answer, failing, prose
from tests.llm.opened import ENVIRONMENT, GOOD, KEY, MODELS, PROVIDERS, Ruling, ask, opened, settings_of
from tests.llm.server import ModelServer
from tests.llm.wire import Provider
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.settings import ReasoningSettings

PROJECT = Path(__file__).parents[2]


def sent(models: ModelServer, provider: Provider, **more: Any) -> Mapping[str, Any]:
    """The body of one question over the provider's route."""
    models.script(provider, answer(GOOD))
    said, _ = ask(opened(settings_of(provider, models, **more)))
    assert said == Ruling(action="SELL", confidence=0.5, evidence=["p1"])
    return models.asked(provider)[-1].body


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_route_answers_typed_over_its_own_interface(models: ModelServer, provider: Provider) -> None:
    models.script(provider, answer(GOOD, input_tokens=1_000, cached_tokens=300, output_tokens=50))
    said, response = ask(opened(settings_of(provider, models)))
    assert said.action == "SELL"
    assert response.model_name == MODELS[provider]
    assert (response.usage.input_tokens, response.usage.cache_read_tokens, response.usage.output_tokens) == (
        1_000,
        300,
        50,
    )
    assert len(models.log) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_key_goes_to_the_provider_and_only_in_a_header(models: ModelServer, provider: Provider) -> None:
    models.script(provider, answer(GOOD))
    ask(opened(settings_of(provider, models)))
    (request,) = models.log
    assert any(KEY in value for value in request.headers.values())
    assert KEY not in request.path
    assert KEY.encode() not in request.raw


def test_anthropic_is_asked_by_schema_with_a_cached_doctrine(models: ModelServer) -> None:
    body = sent(models, "anthropic", effort="low")
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["output_config"]["effort"] == "low"
    assert "tools" not in body
    assert body["system"] == [
        {"type": "text", "text": "Doctrine.", "cache_control": {"type": "ephemeral", "ttl": "5m"}}
    ]
    assert "cache_control" not in json.dumps(body["messages"])
    assert body["max_tokens"] == 200
    assert "temperature" not in body


def test_openai_is_asked_by_schema_and_stores_nothing(models: ModelServer) -> None:
    body = sent(models, "openai", effort="medium")
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["store"] is False
    assert body["reasoning"]["effort"] == "medium"
    assert body["max_output_tokens"] == 200


def test_deepseek_is_asked_by_a_tool(models: ModelServer) -> None:
    body = sent(models, "deepseek", effort="low")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["final_result"]
    assert "response_format" not in body
    assert body["max_tokens"] == 200
    assert models.log[0].path == "/deepseek/chat/completions"


def test_gemini_searches_only_where_the_settings_say_so(models: ModelServer) -> None:
    assert "tools" not in sent(models, "gemini")
    body = sent(models, "gemini", search=True)
    assert body["tools"] == [{"googleSearch": {}}]
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    assert body["generationConfig"]["maxOutputTokens"] == 200


def test_an_old_gemini_that_searches_is_asked_in_words(models: ModelServer) -> None:
    settings = settings_of("gemini", models, search=True, models={"cheap": "gemini-2.5-flash"})
    models.script("gemini", answer(GOOD))
    ask(opened(settings))
    body = models.log[0].body
    assert body["tools"] == [{"googleSearch": {}}]
    assert "responseMimeType" not in body["generationConfig"]


@pytest.mark.parametrize(
    ("name", "model", "search", "kind"),
    [
        ("anthropic", "claude-sonnet-5-5", False, NativeOutput),
        ("openai", "gpt-6.1-terra", False, NativeOutput),
        ("deepseek", "deepseek-v4-pro", False, ToolOutput),
        ("gemini", "gemini-3.8-flash", True, NativeOutput),
        ("gemini", "gemini-2.5-flash", False, NativeOutput),
        ("gemini", "gemini-2.5-flash", True, PromptedOutput),
        ("gemini", "gemini-20-flash", True, NativeOutput),
    ],
)
def test_the_output_mode_is_the_one_that_the_interface_keeps(
    name: Provider, model: str, search: bool, kind: type[object]
) -> None:
    assert isinstance(output_of(settings_of(name, search=search), model, Ruling), kind)


def test_only_anthropic_is_told_to_cache_and_only_search_routes_search() -> None:
    kinds = {name: [type(one) for one in capabilities_of(settings_of(name))] for name in PROVIDERS}
    assert kinds == {"anthropic": [Caching], "openai": [], "gemini": [], "deepseek": []}
    assert [type(one) for one in capabilities_of(settings_of("gemini", search=True))] == [WebSearch]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("trouble", ["overloaded", "server_error", "rate_limited"])
def test_no_library_repeats_a_request_on_its_own(models: ModelServer, provider: Provider, trouble: Any) -> None:
    models.script(provider, failing(trouble, retry_after="0"), answer(GOOD))
    with pytest.raises(RuntimeError):
        ask(opened(settings_of(provider, models)))
    assert len(models.log) == 1


def test_a_bad_answer_is_asked_again_with_its_errors(models: ModelServer) -> None:
    for provider in PROVIDERS:
        models.script(provider, answer({**GOOD, "action": "YOLO"}), answer(GOOD))
        said, _ = ask(opened(settings_of(provider, models)), retries=1)
        assert said.action == "SELL"
        first, second = models.asked(provider)
        assert b"YOLO" not in first.raw
        assert b"YOLO" in second.raw


def test_connections_stay_open_between_questions_of_one_loop(models: ModelServer) -> None:
    from pydantic_ai import Agent

    async def three_times() -> None:
        model = model_of(opened(settings_of("anthropic", models)), MODELS["anthropic"])
        agent: Agent[None, str] = Agent(model)
        for _ in range(3):
            await agent.run("Well?", model_settings={"max_tokens": 10})
        await model.aclose()

    models.script("anthropic", prose())
    asyncio.run(three_times())
    assert len(models.log) == 3
    assert len({request.headers["host"] for request in models.log}) == 1


# Opening


def test_routes_are_opened_in_the_order_of_the_settings_and_only_the_enabled_ones() -> None:
    settings = ReasoningSettings(
        mode="models",
        routes=(settings_of("openai"), settings_of("gemini", enabled=False), settings_of("anthropic")),
    )
    routes = open_routes(settings, ENVIRONMENT)
    assert [route.name for route in routes] == ["openai", "anthropic"]
    assert [route.missing for route in routes] == [None, None]
    assert routes[0].model_name("cheap") == "gpt-6-luna"
    assert routes[0].model_name("strong") is None


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_route_without_its_key_says_which_variable_is_missing(text: str) -> None:
    route = opened(settings_of("anthropic"), {"DESK_KEY": text, "ANTHROPIC_API_KEY": KEY})
    assert route.missing == "DESK_KEY is not set"
    with pytest.raises(ConfigurationError, match="DESK_KEY is not set"):
        model_of(route, "claude-haiku-5-5")


@pytest.mark.parametrize(
    "text",
    ["two words and more", "line\nbreak-1234", "ключ-который-не-ключ", "\x00\x01\x02\x03\x04\x05\x06\x07", "short"],
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(text: str) -> None:
    route = opened(settings_of("openai"), {"DESK_KEY": text})
    assert route.missing is not None
    assert "does not hold a key" in route.missing
    assert text not in route.missing


def test_a_key_with_a_line_end_behind_it_is_taken_without_it(models: ModelServer) -> None:
    models.script("anthropic", answer(GOOD))
    ask(opened(settings_of("anthropic", models), {"DESK_KEY": f" {KEY}\n"}))
    assert models.log[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_route_that_was_not_opened_has_no_key_and_cannot_be_asked() -> None:
    with pytest.raises(ConfigurationError, match="has no key"):
        model_of(OpenRoute(settings_of("anthropic")), "claude-haiku-5-5")


def test_addresses_of_the_environment_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/elsewhere")
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "a-key-of-somebody-else")

    async def addresses() -> dict[str, str]:
        found: dict[str, str] = {}
        for provider in PROVIDERS:
            model = model_of(opened(settings_of(provider)), MODELS[provider])
            found[provider] = str(model.base_url).rstrip("/")
            await model.aclose()
        return found

    assert asyncio.run(addresses()) == dict(ADDRESSES)


def test_only_the_named_variable_gives_the_key(models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "a-key-of-somebody-else")
    for provider in PROVIDERS:
        models.script(provider, answer(GOOD))
        ask(opened(settings_of(provider, models)))
    for request in models.log:
        assert any(KEY in value for value in request.headers.values())
        assert not any("somebody-else" in value for value in request.headers.values())


# Keys


def test_a_key_shows_itself_in_no_text() -> None:
    route = opened(settings_of("anthropic"))
    assert route.key is not None
    for text in (repr(route), str(route), repr(route.key), f"{route.key}", str([route]), repr(vars(route))):
        assert KEY not in text
    assert route.key.reveal() == KEY


def test_a_key_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(Key(KEY))


def test_words_are_freed_of_every_key_that_was_read() -> None:
    longer, _ = read_key("K", {"K": KEY + "-longer"})
    shorter, _ = read_key("K", {"K": KEY})
    assert longer is not None
    assert shorter is not None
    assert scrubbed(f"a {KEY}-longer b {KEY} c") == "a [key] b [key] c"
    assert scrubbed("nothing to hide") == "nothing to hide"


def test_opening_routes_loads_no_provider_library() -> None:
    program = (
        "import sys\n"
        "import resources.llm.routes, resources.llm.prices, resources.llm.failures, resources.llm.batches\n"
        "heavy = ('pydantic_ai', 'anthropic', 'openai', 'google.genai', 'genai_prices', 'httpx', 'httpx2')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
