"""What calls cost: dated list prices without a network, rounded up, and bounds that a bill stays under."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from resources.llm.prices import (
    FRAMING_TOKENS,
    OUTPUT_TOKENS_ANY,
    SEARCHES_BOUND,
    bill_of,
    cost_of,
    input_tokens_bound,
    list_price,
    most_of,
    output_tokens_within,
)
from tests.llm.actions import answer
from tests.llm.opened import GOOD, MODELS, PROVIDERS, ask, opened, settings_of
from tests.llm.server import ModelServer
from tests.llm.tariff import TARIFFS
from tests.llm.wire import Provider, Tokens
from trading_assets.reasoning.model import RouteName, Usage

PROJECT = Path(__file__).parents[2]
AT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
MILLION = 1_000_000
PRICED: list[tuple[RouteName, str]] = [
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-sonnet-5-5"),
    ("anthropic", "claude-opus-5-5"),
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-6.1-terra"),
    ("openai", "gpt-6.1-sol"),
    ("gemini", "gemini-3.8-flash"),
    ("gemini", "gemini-2.5-flash"),
    ("deepseek", "deepseek-flash"),
    ("deepseek", "deepseek-v4-pro"),
]


def cost(name: RouteName, model: str, usage: Usage, at: datetime = AT, **more: int | bool) -> Decimal | None:
    settings = settings_of(name) if name in PROVIDERS else settings_of(name, command="x")
    return cost_of(settings, model, usage, at=at, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "model", "usd"),
    [
        ("anthropic", "claude-haiku-5-5", "0.0011"),
        ("anthropic", "claude-sonnet-5-5", "0.022"),
        ("anthropic", "claude-opus-5-5", "0.044"),
        ("openai", "gpt-6-luna", "0.0011"),
        ("openai", "gpt-6.1-terra", "0.011"),
        ("openai", "gpt-6.1-sol", "0.022"),
        ("gemini", "gemini-3.8-flash", "0.00825"),
        ("deepseek", "deepseek-flash", "0.0015"),
    ],
)
def test_six_thousand_tokens_in_and_one_thousand_out_cost_what_the_price_lists_say(
    name: RouteName, model: str, usd: str
) -> None:
    assert cost(name, model, Usage(6_000, 0, 1_000)) == Decimal(usd)


def test_every_model_of_the_delivered_settings_has_a_price() -> None:
    from trading_assets.reasoning.settings import load_reasoning

    for route in load_reasoning(PROJECT / "config").routes:
        for model in route.models.values():
            assert list_price(route, model, Usage(1_000, 0, 100), at=AT) is not None, (route.name, model)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(PRICED),
    st.integers(0, 90_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 30_000),
    st.integers(0, 3),
    st.booleans(),
)
def test_the_price_equals_an_independent_bill_rounded_up_to_the_billionth(
    priced: tuple[RouteName, str], fresh: int, cached: float, written: float, output: int, searches: int, batch: bool
) -> None:
    name, model = priced
    read, wrote = int(fresh * cached / 2), int(fresh * written / 2) if name in {"anthropic", "openai"} else 0
    searches = searches if name == "gemini" else 0
    batch = batch and name == "anthropic"
    exact = TARIFFS[model].charge(Tokens(fresh, read, output, wrote, searches), batch=batch)
    told = cost(name, model, Usage(fresh, read, output), written_tokens=wrote, searches=searches, batch=batch)
    assert told is not None
    assert exact <= told < exact + Decimal("1e-9")
    assert told.as_tuple().exponent == -9


def test_a_fraction_of_a_billionth_counts_as_one() -> None:
    spring = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert cost("anthropic", "claude-haiku-5-5", Usage(1, 1, 0), batch=True) == Decimal("5e-9")
    assert cost("deepseek", "deepseek-flash", Usage(1, 1, 0)) == Decimal("3e-9")
    assert cost("deepseek", "deepseek-v4-pro", Usage(1, 1, 0), at=spring) == Decimal("4e-9")  # 3.625e-9
    assert cost("gemini", "gemini-3.8-flash", Usage(1, 1, 0), batch=True) == Decimal("3.8e-8")  # 3.75e-8


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("anthropic", "claude-future-9"),
        ("anthropic", "claude-haiku-6"),
        ("anthropic", "gpt-6-luna"),
        ("openai", "gpt-6-luna-pro"),
        ("openai", "claude-haiku-5-5"),
        ("gemini", "gemini-3.8-flash-lite"),
        ("gemini", "gemini-3.8-flash-image"),
        ("deepseek", "deepseek-v9"),
        ("anthropic", ""),
    ],
)
def test_a_model_that_the_table_does_not_name_has_no_price(name: RouteName, model: str) -> None:
    assert cost(name, model, Usage(1_000, 0, 100)) is None
    assert most_of(settings_of(name), model, 1_000, 100, at=AT) is None
    assert output_tokens_within(settings_of(name), model, Decimal(1_000), 1_000, at=AT) == 0


def test_a_dated_version_has_the_price_of_its_model() -> None:
    usage = Usage(6_000, 0, 1_000)
    assert cost("anthropic", "claude-haiku-5-5-20261001", usage) == cost("anthropic", "claude-haiku-5-5", usage)


@pytest.mark.parametrize("usage", [Usage(-1, 0, 0), Usage(1, 0, -1), Usage(1, -1, 0), Usage(10, 20, 0)], ids=repr)
def test_usage_that_cannot_be_has_no_price(usage: Usage) -> None:
    assert cost("anthropic", "claude-haiku-5-5", usage) is None


def test_a_moment_without_a_time_zone_has_no_price() -> None:
    assert cost("anthropic", "claude-haiku-5-5", Usage(1, 0, 0), at=datetime(2026, 11, 20)) is None  # noqa: DTZ001


def test_prices_change_with_the_date() -> None:
    before, after = datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    usage = Usage(MILLION, 0, 0)
    assert cost("gemini", "gemini-3.8-flash", usage, at=before) == Decimal("0.75")
    assert cost("gemini", "gemini-3.8-flash", usage, at=after) == Decimal("1.5")


def test_prices_change_with_the_hour_in_any_time_zone() -> None:
    usage = Usage(MILLION, 0, 0)
    shanghai = timezone(timedelta(hours=8))
    assert cost("deepseek", "deepseek-flash", usage, at=datetime(2026, 11, 20, 2, tzinfo=UTC)) == Decimal("0.3")
    assert cost("deepseek", "deepseek-flash", usage, at=datetime(2026, 11, 20, 10, tzinfo=shanghai)) == Decimal("0.3")
    assert cost("deepseek", "deepseek-flash", usage, at=datetime(2026, 11, 20, 12, tzinfo=UTC)) == Decimal("0.15")


def test_the_dear_hour_that_is_about_to_begin_is_reserved_for() -> None:
    soon = datetime(2026, 11, 20, 0, 55, tzinfo=UTC)
    most = most_of(settings_of("deepseek"), "deepseek-flash", MILLION, 0, at=soon)
    assert most == 2 * (cost("deepseek", "deepseek-flash", Usage(MILLION, 0, 0), at=soon) or 0)


def test_a_long_prompt_costs_the_long_price() -> None:
    assert cost("anthropic", "claude-haiku-5-5", Usage(100_000, 0, 0)) == Decimal("0.01")
    assert cost("anthropic", "claude-haiku-5-5", Usage(100_001, 0, 0)) == Decimal("0.0500005")


@pytest.mark.parametrize("name", ["claude-cli", "codex-cli"])
def test_a_subscription_costs_nothing_and_has_a_list_price(name: RouteName) -> None:
    route, usage = settings_of(name, command="x"), Usage(6_000, 0, 1_000)
    assert cost_of(route, MODELS[name], usage, at=AT) == 0
    assert list_price(route, MODELS[name], usage, at=AT) == Decimal("0.0011")
    assert cost_of(route, "some-model-without-a-price", usage, at=AT) == 0
    assert output_tokens_within(route, MODELS[name], Decimal(0), 6_000, at=AT) == OUTPUT_TOKENS_ANY


# Bills of answers


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_bill_of_an_answer_is_what_its_server_charged(models: ModelServer, provider: Provider) -> None:
    route = settings_of(provider, models, search=provider == "gemini")
    written = 450 if provider == "anthropic" else 0
    tokens = {"input_tokens": 4_321, "cached_tokens": 1_234, "written_tokens": written, "output_tokens": 567}
    models.script(provider, answer(GOOD, **tokens))
    _, response = ask(opened(route))
    bill = bill_of(route, MODELS[provider], response, at=AT)
    assert bill is not None
    assert bill.usage == Usage(4_321, 1_234, 567)
    assert models.charged <= bill.cost_usd < models.charged + Decimal("1e-9")
    assert bill.shadow_usd == 0


def test_an_answer_that_reports_no_input_has_no_bill() -> None:
    silent = ModelResponse(parts=[], usage=RequestUsage(input_tokens=0, output_tokens=5))
    assert bill_of(settings_of("anthropic"), "claude-haiku-5-5", silent, at=AT) is None


def test_a_subscription_s_bill_has_the_list_price_as_its_shadow() -> None:
    route = settings_of("claude-cli", command="x")
    said = ModelResponse(parts=[], usage=RequestUsage(input_tokens=6_000, output_tokens=1_000))
    bill = bill_of(route, "claude-haiku-5-5", said, at=AT)
    assert bill is not None
    assert (bill.cost_usd, bill.shadow_usd) == (Decimal(0), Decimal("0.0011"))
    said.provider_details = {"list_price_usd": "0.0123456789"}
    unknown = bill_of(route, "claude-future-9", said, at=AT)
    assert unknown is not None
    assert (unknown.cost_usd, unknown.shadow_usd) == (Decimal(0), Decimal("0.012345679"))


# Bounds


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(PRICED), st.integers(1, 120_000), st.decimals("0.000001", "5", places=6))
def test_the_most_output_tokens_fit_and_one_more_does_not(
    priced: tuple[RouteName, str], input_tokens: int, left: Decimal
) -> None:
    name, model = priced
    route = settings_of(name)
    tokens = output_tokens_within(route, model, left, input_tokens, at=AT)
    if tokens:
        assert (most_of(route, model, input_tokens, tokens, at=AT) or 0) <= left
    if tokens < OUTPUT_TOKENS_ANY:
        assert (most_of(route, model, input_tokens, tokens + 1, at=AT) or 0) > left


def test_nothing_left_means_no_tokens() -> None:
    for left in (Decimal(0), Decimal(-1), Decimal("1e-9")):
        assert output_tokens_within(settings_of("anthropic"), "claude-sonnet-5-5", left, 6_000, at=AT) == 0


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(PRICED), st.integers(0, 50_000), st.floats(0, 1), st.floats(0, 1), st.integers(0, 5_000))
def test_no_call_within_its_tokens_costs_more_than_was_reserved(
    priced: tuple[RouteName, str], input_tokens: int, cached: float, written: float, output: int
) -> None:
    name, model = priced
    route = settings_of(name, search=name == "gemini")
    most = most_of(route, model, input_tokens, output, at=AT)
    read = int(input_tokens * cached / 2)
    wrote = int(input_tokens * written / 2) if name == "anthropic" else 0
    real = cost_of(
        route,
        model,
        Usage(input_tokens, read, output),
        at=AT,
        written_tokens=wrote,
        searches=SEARCHES_BOUND if route.search else 0,
    )
    assert most is not None
    assert real is not None
    assert real <= most


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_the_bound_of_a_text_grows_with_it_and_never_exceeds_its_bytes(text: str) -> None:
    bound = input_tokens_bound(text)
    assert FRAMING_TOKENS <= bound <= len(text.encode()) + FRAMING_TOKENS + 1
    assert input_tokens_bound(text + "7") == bound + 1 or input_tokens_bound(text + "7") == bound
    assert input_tokens_bound(text + "\u20ac") >= bound + 2


def test_digits_and_punctuation_count_whole_and_letters_half() -> None:
    assert input_tokens_bound("1234,.5678") == FRAMING_TOKENS + 10
    assert input_tokens_bound("abcd efgh ") == FRAMING_TOKENS + 5
    assert input_tokens_bound("") == FRAMING_TOKENS


def test_prices_need_no_network() -> None:
    program = (
        "import socket\n"
        "def deny(*_):\n    raise RuntimeError('the network was used')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = deny\n"
        "from datetime import UTC, datetime\n"
        "from resources.llm.prices import cost_of\n"
        "from trading_assets.reasoning.model import Usage\n"
        "from trading_assets.reasoning.settings import RouteSettings\n"
        "route = RouteSettings(name='anthropic', enabled=True, models={'cheap': 'm'}, key_variable='K')\n"
        "print(cost_of(route, 'claude-haiku-5-5', Usage(6000, 0, 1000), at=datetime(2026, 11, 20, tzinfo=UTC)))"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert Decimal(said.stdout.strip()) == Decimal("0.0011")
