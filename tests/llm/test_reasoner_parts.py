"""The reasoner's parts: every provider's manner of asking, the loop's thread, the forecast's arithmetic."""

import asyncio
import threading
import time
from concurrent.futures import CancelledError
from decimal import Decimal
from typing import Any

import pytest

from resources.llm.exchange import _unfenced
from resources.llm.forecast import Forecast
from resources.llm.loop import LoopThread
from resources.llm.stores import insisting
from tests.llm.actions import answer, failing, prose, said
from tests.llm.desks import GOOD, JUDGE, LONG_AGO, NOON, Desk, answered, seen, write_skill
from trading_assets.core.errors import PermanentFailure, TransientFailure
from trading_assets.reasoning.settings import ReasoningSettings

OURS: dict[str, dict[str, str]] = {
    "gemini": {"cheap": "gemini-3.8-flash"},
    "deepseek": {"cheap": "deepseek-flash"},
}


def _only(desk: Desk, provider: str, **changes: Any) -> None:
    desk.routes = (provider,)
    desk.models = OURS
    desk.keys = {f"{provider.upper()}_API_KEY": f"key-for-{provider}-1234567890"}
    base = desk.settings
    route = base.routes[0].model_copy(update=changes)
    desk.settled = base.model_copy(update={"routes": (route,)})


# Providers


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini", "deepseek"])
def test_every_provider_answers_typed_is_asked_again_once_and_is_booked_to_the_cent(desk: Desk, provider: Any) -> None:
    _only(desk, provider)
    desk.server.script(
        provider,
        answer({**GOOD, "signal": 3}, input_tokens=900, output_tokens=90),
        answer(GOOD, input_tokens=1000, output_tokens=100),
    )
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (given.route, given.value.signal, given.usage.output_tokens) == (provider, 0.25, 100)
    assert [outcome for _, outcome in desk.outcomes()] == ["malformed", "ok"]
    assert desk.booked() == desk.server.charged == given.cost_usd
    first, second = (request.raw.decode() for request in desk.server.log)
    assert "less than or equal to 1" in second
    assert "less than or equal to 1" not in first
    assert "You are a judge." in first
    assert "You are a judge." in second
    desk.check()


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-2.5-flash"])
def test_a_search_route_offers_its_search_and_pays_for_it(desk: Desk, model: str) -> None:
    desk.budget = {"decision_usd": 0.5}
    _only(desk, "gemini", search=True, models={"cheap": model})
    desk.server.script("gemini", answer(GOOD, input_tokens=1000, output_tokens=100))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.cost_usd == desk.booked() == desk.server.charged > Decimal("0.01")
    assert "googleSearch" in desk.server.log[0].raw.decode()


def test_two_questions_to_one_model_carry_their_own_instructions(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    reasoner = desk.reasoner()
    for persona in ("You are a judge.", "You are another judge."):
        write_skill(desk.folder, persona=persona)
        reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    told = [request.raw.decode() for request in desk.server.log]
    assert ["another judge" in one for one in told] == [False, True]
    assert all(one.count("# Your role: judge") == 1 for one in told)


def test_an_answer_between_code_marks_is_read_and_one_among_words_is_not(desk: Desk) -> None:
    words = '{"signal": 0.5, "reasons": ["Up."], "evidence": ["p1"]}'
    assert _unfenced(f"```json\n{words}\n```\n") == _unfenced(f"```\n{words}\n```") == words
    assert _unfenced(f"Sure: {words}") != words
    desk.server.script("anthropic", said(f"```json\n{words}\n```"))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (given.route, given.value.signal) == ("anthropic", 0.5)


def test_the_reason_of_a_malformed_answer_says_what_was_wrong(desk: Desk) -> None:
    desk.server.script("anthropic", answer({**GOOD, "evidence": ["p9"]}))
    desk.server.script("openai", prose())
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.failed[0].reason == "malformed: evidence p9 was not given; cite only p1"
    assert given.failed[1].reason.startswith("malformed: the answer: Invalid JSON")


# The loop's thread


def test_a_coroutine_runs_on_the_loops_own_thread_and_its_result_or_error_comes_back() -> None:
    loop = LoopThread("test")

    async def name() -> str:
        return threading.current_thread().name

    async def fails() -> None:
        raise LookupError("as it was")

    assert loop.run(name()) == "test"
    with pytest.raises(LookupError, match="as it was"):
        loop.run(fails())
    loop.close()
    loop.close()


def test_closing_cancels_what_runs_lets_it_tidy_up_and_runs_the_last_coroutine() -> None:
    loop, done = LoopThread("test"), list[str]()

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            done.append("tidy")

    async def last() -> None:
        done.append("last")

    running = loop.start(waits())
    time.sleep(0.05)
    loop.close(last())
    assert done == ["tidy", "last"]
    with pytest.raises(CancelledError):
        running.result(1)


def test_stopping_waits_until_the_coroutine_has_tidied_up() -> None:
    loop, done = LoopThread("test"), list[str]()

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            done.append("tidy")

    running = loop.start(waits())
    time.sleep(0.05)
    running.stop()
    assert done == ["tidy"]
    loop.close()


def test_a_loop_that_never_ran_can_be_closed_with_a_last_coroutine() -> None:
    async def last() -> None:
        raise AssertionError("nobody runs this")

    LoopThread("test").close(last())


# The ledger


def test_only_a_passing_failure_is_insisted_against_and_only_once() -> None:
    tries: list[int] = []

    def fails(failure: Exception) -> None:
        tries.append(1)
        raise failure

    for failure, count in ((TransientFailure("locked"), 2), (PermanentFailure("read-only"), 1)):
        tries.clear()
        with pytest.raises(type(failure)):
            insisting(lambda failure=failure: fails(failure))  # type: ignore[misc]
        assert len(tries) == count


# The forecast


def _forecast(desk: Desk, count: int, **changes: Any) -> Forecast:
    reasoner = desk.reasoner(**changes)
    questions = [seen(number) for number in range(count)]
    budgets = [desk.past_money(f"d{number}") for number in range(count)]
    return reasoner.forecast(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * count)


def test_a_forecast_grows_with_the_questions_and_with_the_dearer_tier(desk: Desk) -> None:
    five, ten = _forecast(desk, 5), _forecast(desk, 10)
    assert 1.9 < float(ten.usd_expected / five.usd_expected) < 2.1
    assert ten.calls == 10
    write_skill(desk.folder, tier="standard")
    assert _forecast(desk, 10).usd_expected > 5 * ten.usd_expected


def test_a_forecast_names_the_first_model_that_its_decisions_can_pay(desk: Desk) -> None:
    write_skill(desk.folder, tier="strong")
    rich = _forecast(desk, 2, budget={"decision_usd": 0.5})
    poor = _forecast(desk, 2, budget={"decision_usd": 0.002})
    assert [line.model for line in rich.by_route] == ["claude-opus-5-5"]
    assert [line.model for line in poor.by_route] == ["claude-haiku-5-5"]
    assert poor.usd_max <= Decimal("0.004")


def test_a_forecast_never_exceeds_what_the_backfill_has_left(desk: Desk) -> None:
    bill = _forecast(desk, 50, budget={"backfill_usd": 0.01})
    assert bill.usd_max == Decimal("0.01")
    assert bill.refusal is not None


def test_a_forecast_passes_over_a_model_without_a_price(desk: Desk) -> None:
    desk.models = {"anthropic": {"cheap": "claude-future-9"}}
    assert [line.route for line in _forecast(desk, 2).by_route] == ["openai"]


def test_a_backfill_that_is_recorded_already_begins_although_its_pocket_is_empty(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    questions, moments = [seen(number) for number in range(4)], [LONG_AGO] * 4
    rich = [desk.past_money(f"d{number}") for number in range(4)]
    desk.reasoner().ask_many(JUDGE, questions, budget=rich, as_of=moments)
    desk.budget = {"backfill_usd": 0.000001}
    poor = [desk.past_money(f"d{number}") for number in range(4)]
    again = desk.reasoner().ask_many(JUDGE, questions, budget=poor, as_of=moments)
    assert all(answered(one).cached for one in again)


def test_settings_of_the_repository_can_be_asked_with(desk: Desk) -> None:
    """The model names of config/reasoning.yaml have prices; without keys the rules answer."""
    from resources.llm.prices import most_of
    from trading_assets.core.settings import config_folder
    from trading_assets.reasoning.settings import load_reasoning

    settings: ReasoningSettings = load_reasoning(config_folder())
    priced = [
        most_of(route, model, 4_000, 1_000, at=NOON) for route in settings.routes for model in route.models.values()
    ]
    assert all(price is not None for price in priced)
    for provider in ("anthropic", "openai"):
        desk.server.script(provider, failing("server_error"))
    desk.settled = settings.model_copy(update={"mode": "models"})
    desk.keys = {}
    assert answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).route == "rules"
