"""The claude program as a route: how it is called, what it may see, how its answers are read, and that it always ends."""

import asyncio
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent

from resources.llm.failures import PERSON_PAUSE, QUOTA_PAUSE
from resources.llm.prices import bill_of
from resources.llm.routes import model_of
from tests.llm.actions import Action, answer, failing, prose
from tests.llm.doubles import SECRETS, TOKEN, Double, ends, install
from tests.llm.opened import GOOD, Ruling, ask, failed, opened, settings_of
from tests.llm.server import ModelServer, Request
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.model import Outcome, Usage

AT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
USED = {
    "input_tokens": 1_000,
    "cache_creation_input_tokens": 500,
    "cache_read_input_tokens": 3_000,
    "output_tokens": 200,
}
SAID = {
    "type": "result", "subtype": "success", "is_error": False, "api_error_status": None, "result": json.dumps(GOOD),
    "structured_output": GOOD, "total_cost_usd": 0.00029, "usage": USED, "num_turns": 2, "duration_ms": 113,
}  # fmt: skip


@pytest.fixture
def claude(tmp_path: Path) -> Double:
    return install(tmp_path)


def spoken(**more: Any) -> str:
    return json.dumps({**SAID, **more})


def mistaken(status: int | None, words: str, **more: Any) -> str:
    return spoken(is_error=True, api_error_status=status, result=words, structured_output=None, **more)


def test_the_question_goes_in_by_standard_input_and_the_doctrine_by_argument(claude: Double) -> None:
    claude.does(out=spoken())
    said, _ = ask(claude.route("claude-cli", effort="low"), "What now, at 101.25?")
    assert said == Ruling(action="SELL", confidence=0.5, evidence=["p1"])
    seen = claude.seen
    assert seen["words"] == "What now, at 101.25?"
    schema = json.loads(seen["arguments"].pop())
    assert set(schema["properties"]) == {"action", "confidence", "evidence"}
    assert seen["arguments"] == [
        "-p", "--output-format", "json", "--model", "claude-haiku-5-5", "--tools", "", "--no-session-persistence",
        "--setting-sources", "", "--strict-mcp-config", "--system-prompt", "Doctrine.", "--effort", "low", "--json-schema",
    ]  # fmt: skip


def test_it_sees_no_key_and_finds_an_empty_home_and_folder(claude: Double) -> None:
    claude.does(out=spoken(), litter=True)
    ask(claude.route("claude-cli"))
    seen = claude.seen
    assert not set(SECRETS) & set(seen["environment"])
    assert "CANARY" not in json.dumps(seen)
    assert seen["environment"]["CLAUDE_CODE_OAUTH_TOKEN"] == TOKEN
    assert seen["environment"]["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert seen["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "200"
    assert (seen["folder_holds"], seen["home_holds"]) == ([], [])
    assert not Path(seen["environment"]["HOME"]).exists()
    assert not Path(seen["folder"]).exists()


def test_two_questions_share_no_room(claude: Double) -> None:
    claude.does(out=spoken())
    rooms = set()
    for _ in range(2):
        ask(claude.route("claude-cli"))
        rooms.add(claude.seen["folder"])
    assert len(rooms) == 2


def test_its_usage_is_booked_at_no_cost_with_the_list_price_beside(claude: Double) -> None:
    claude.does(out=spoken())
    route = claude.route("claude-cli")
    _, response = ask(route)
    bill = bill_of(route.settings, "claude-haiku-5-5", response, at=AT)
    assert bill is not None
    assert bill.usage == Usage(4_500, 3_000, 200)
    assert bill.cost_usd == 0
    assert bill.shadow_usd == Decimal("0.0002925")
    told = bill_of(route.settings, "claude-future-9", response, at=AT)
    assert told is not None
    assert told.shadow_usd == Decimal("0.00029")


def test_a_list_of_events_ends_with_the_answer(claude: Double) -> None:
    claude.does(out=json.dumps([{"type": "system"}, SAID]))
    said, _ = ask(claude.route("claude-cli"))
    assert said.action == "SELL"


def test_without_a_structured_answer_its_words_are_judged(claude: Double) -> None:
    claude.does(out=spoken(structured_output=None))
    assert ask(claude.route("claude-cli"))[0].action == "SELL"
    claude.does(out=spoken(structured_output=None, result="I would sell."))
    failure, _ = failed(claude.route("claude-cli"))
    assert (failure.outcome, failure.counts) == ("malformed", False)


@pytest.mark.fault(91)
@pytest.mark.parametrize(
    ("status", "words", "outcome", "opens_for"),
    [
        (429, "API Error: limiting requests (not your usage limit) · rate limit", "rate_limited", timedelta(0)),
        (529, "API Error: 529 Overloaded", "overloaded", timedelta(0)),
        (500, "API Error: 500 Internal server error", "server_error", timedelta(0)),
        (401, "Not logged in", "unauthorized", PERSON_PAUSE),
        (404, "There's an issue with the selected model", "rejected", PERSON_PAUSE),
        (400, "messages: too short", "rejected", timedelta(0)),
        (400, "Credit balance is too low", "quota", QUOTA_PAUSE),
        (429, "Claude usage limit reached|1763676000", "quota", QUOTA_PAUSE),
        (None, "something else", "server_error", timedelta(0)),
    ],
)
def test_each_failure_that_it_tells_has_its_meaning(
    claude: Double, status: int | None, words: str, outcome: Outcome, opens_for: timedelta
) -> None:
    claude.does(out=mistaken(status, words), status=1)
    failure, _ = failed(claude.route("claude-cli"))
    assert (failure.outcome, failure.at_least) == (outcome, opens_for)


@pytest.mark.fault(92)
@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        ({"out": "", "status": 1}, "unreachable"),
        ({"out": "Segmentation fault", "status": 139}, "unreachable"),
        ({"out": "[]"}, "unreachable"),
        ({"out": "[" * 50_000}, "unreachable"),
        ({"out": "3"}, "unreachable"),
        ({"out": spoken(), "status": 1}, "unreachable"),
        ({"out": spoken(usage=None)}, "malformed"),
        ({"out": spoken(usage={**USED, "input_tokens": -1})}, "malformed"),
        ({"out": spoken(usage={**USED, "output_tokens": "many"})}, "malformed"),
        ({"out": spoken(usage={**USED, "output_tokens": True})}, "malformed"),
        ({"out": mistaken(None, "", subtype="error_max_structured_output_retries"), "status": 1}, "malformed"),
        ({"flood": 17 * 1024 * 1024, "out": spoken()}, "malformed"),
    ],
    ids=range(12),
)
def test_what_is_no_answer_is_a_failure_of_the_route(claude: Double, act: dict[str, Any], outcome: Outcome) -> None:
    claude.does(**act)
    failure, _ = failed(claude.route("claude-cli"))
    assert (failure.outcome, failure.counts) == (outcome, True)


@pytest.mark.fault(11)
def test_a_program_that_is_killed_for_want_of_memory_is_a_failure_of_the_route(claude: Double) -> None:
    claude.does(hungry=True, out=spoken())
    failure, _ = failed(claude.route("claude-cli"))
    assert (failure.outcome, failure.counts) == ("unreachable", True)


@pytest.mark.parametrize("amount", [None, "x", -1, "NaN", "Infinity"])
def test_a_list_price_that_is_none_is_left_out(claude: Double, amount: object) -> None:
    claude.does(out=spoken(total_cost_usd=amount))
    route = claude.route("claude-cli")
    _, response = ask(route)
    bill = bill_of(route.settings, "claude-future-9", response, at=AT)
    assert bill is not None
    assert bill.shadow_usd == 0


def test_a_program_that_does_not_listen_may_still_answer(claude: Double) -> None:
    claude.does(out=spoken(), deaf=True)
    said, _ = ask(claude.route("claude-cli"), "x" * 1_000_000)
    assert said.action == "SELL"


def test_a_doctrine_that_no_command_line_can_carry_is_refused_before_anything_runs(claude: Double) -> None:
    route = claude.route("claude-cli")

    async def once() -> None:
        agent: Agent[None, str] = Agent(model_of(route, "claude-haiku-5-5"))
        await agent.run("Well?", instructions="x" * 131_072)

    with pytest.raises(RuntimeError, match="longer than a command line"):
        asyncio.run(once())
    assert not claude.was_called


# It always ends


@pytest.mark.fault(90)
def test_a_program_that_hangs_is_killed_with_everything_that_it_started(claude: Double) -> None:
    claude.does(out=spoken(), sleep_s=600, child=True)
    failure, _ = failed(claude.route("claude-cli", timeout_s=2.0))
    assert (failure.outcome, failure.counts) == ("timeout", True)
    assert ends(claude.seen["pid"])
    assert ends(claude.seen["child"])


def test_a_cancelled_question_kills_its_program(claude: Double) -> None:
    claude.does(out=spoken(), sleep_s=600, child=True)
    route = claude.route("claude-cli", timeout_s=100.0)

    async def cancelled() -> None:
        agent: Agent[None, str] = Agent(model_of(route, "claude-haiku-5-5"))
        asking = asyncio.create_task(agent.run("Well?"))
        while not claude.was_called:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(cancelled())
    assert ends(claude.seen["pid"])
    assert ends(claude.seen["child"])


def test_a_helper_that_outlives_its_program_is_killed_too(claude: Double) -> None:
    claude.does(out=spoken(), child=True)
    # The helper holds the program's output open: the answer is complete when both are gone, so the time limit ends it.
    failure, _ = failed(claude.route("claude-cli", timeout_s=2.0))
    assert failure.outcome == "timeout"
    assert ends(claude.seen["child"])


# Opening


def test_a_program_that_is_not_installed_is_said_to_be_missing() -> None:
    route = opened(settings_of("claude-cli", command="no-such-program"), {"PATH": os.environ["PATH"]})
    assert route.missing == "the command no-such-program is not installed"
    with pytest.raises(ConfigurationError, match="not installed"):
        model_of(route, "claude-haiku-5-5")


def test_without_the_subscription_s_token_the_route_says_so(claude: Double) -> None:
    route = opened(settings_of("claude-cli", command=str(claude.path)), {"PATH": os.environ["PATH"], **SECRETS})
    assert route.missing == "CLAUDE_CODE_OAUTH_TOKEN is not set"


def test_the_opened_route_keeps_no_secret_in_sight(claude: Double) -> None:
    route = claude.route("claude-cli")
    assert "CANARY" not in repr(vars(route))
    assert TOKEN not in repr(vars(route))


def test_a_program_that_vanishes_after_opening_was_never_reached(claude: Double) -> None:
    route = claude.route("claude-cli")
    claude.path.unlink()
    failure, _ = failed(route)
    assert failure.outcome == "unreachable"


# The real program, where it is installed

REAL = os.environ.get("DESK_TEST_CLAUDE") or shutil.which("claude")


@pytest.mark.skipif(REAL is None, reason="the claude program is not installed")
def test_the_real_program_answers_over_the_loopback_server(models: ModelServer) -> None:
    def by_tool(request: Request) -> Action:
        last = request.body["messages"][-1]["content"]
        done = isinstance(last, list) and any(part.get("type") == "tool_result" for part in last)
        return prose("done") if done else answer(GOOD, input_tokens=4_000, cached_tokens=3_000, output_tokens=200)

    environment = {"PATH": os.environ["PATH"], "CLAUDE_CODE_OAUTH_TOKEN": TOKEN}
    route = opened(
        settings_of("claude-cli", command=REAL, base_url=models.url("anthropic"), timeout_s=60.0, effort="low"),
        environment,
    )
    models.script("anthropic", by_tool)
    said, response = ask(route)
    assert said.action == "SELL"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4_000, 200)
    assert {request.headers["authorization"] for request in models.log} == {f"Bearer {TOKEN}"}
    models.script("anthropic", failing("rate_limited"))
    assert failed(route)[0].outcome == "rate_limited"
    models.script("anthropic", failing("quota"))
    assert failed(route)[0].outcome == "quota"
