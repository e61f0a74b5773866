"""The codex program as a route: how it is called, what it may see, how its lines are read."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.llm.failures import PERSON_PAUSE, QUOTA_PAUSE
from resources.llm.prices import bill_of
from tests.llm.actions import answer, failing
from tests.llm.doubles import SECRETS, Double, ends, install
from tests.llm.opened import GOOD, Ruling, ask, failed, opened, settings_of
from tests.llm.server import ModelServer
from trading_assets.reasoning.model import Outcome, Usage

AT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
USED = {"input_tokens": 4_000, "cached_input_tokens": 3_000, "output_tokens": 200, "reasoning_output_tokens": 0}
STARTED = [{"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}]


@pytest.fixture
def codex(tmp_path: Path) -> Double:
    return install(tmp_path)


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in (*STARTED, *events))


def message(text: str) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": text}}


def completed(usage: object = USED) -> dict[str, Any]:
    return {"type": "turn.completed", "usage": usage}


def turn_failed(words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"type": "error", "message": words}, {"type": "turn.failed", "error": {"message": words}}


ANSWER = lines(message(json.dumps(GOOD)), completed())


def test_everything_goes_in_by_standard_input_and_the_schema_by_file(codex: Double) -> None:
    codex.does(out=ANSWER)
    said, _ = ask(codex.route("codex-cli", effort="low"), "What now?")
    assert said == Ruling(action="SELL", confidence=0.5, evidence=["p1"])
    seen = codex.seen
    assert seen["words"] == "Doctrine.\n\nWhat now?"
    assert seen["schema"]["additionalProperties"] is False
    assert set(seen["schema"]["properties"]) == {"action", "confidence", "evidence"}
    place = seen["arguments"].index("--output-schema") + 1
    assert [*seen["arguments"][:place], "FILE", *seen["arguments"][place + 1 :]] == [
        "exec", "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules", "--skip-git-repo-check", "-s",
        "read-only", "-c", "features.apps=false", "-C", seen["folder"], "-m", "gpt-6-luna", "-c",
        'model_reasoning_effort="low"', "--output-schema", "FILE", "-",
    ]  # fmt: skip


def test_it_sees_no_key_an_empty_home_and_the_sign_in_s_folder(codex: Double) -> None:
    codex.does(out=ANSWER, litter=True)
    ask(codex.route("codex-cli"))
    seen = codex.seen
    assert not set(SECRETS) & set(seen["environment"])
    assert "CANARY" not in json.dumps(seen)
    assert seen["environment"]["CODEX_HOME"] == "/home/of-somebody/.codex"
    assert (seen["folder_holds"], seen["home_holds"]) == ([], [])
    assert not Path(seen["folder"]).exists()


def test_the_sign_in_s_folder_may_be_named(codex: Double) -> None:
    codex.does(out=ANSWER)
    environment = {"PATH": os.environ["PATH"], "CODEX_HOME": "/somewhere/else"}
    ask(opened(settings_of("codex-cli", command=str(codex.path)), environment))
    assert codex.seen["environment"]["CODEX_HOME"] == "/somewhere/else"


def test_its_usage_is_booked_at_no_cost_with_the_list_price_beside(codex: Double) -> None:
    codex.does(out=ANSWER)
    route = codex.route("codex-cli")
    _, response = ask(route)
    bill = bill_of(route.settings, "gpt-6-luna", response, at=AT)
    assert bill is not None
    assert (bill.usage, bill.cost_usd, bill.shadow_usd) == (Usage(4_000, 3_000, 200), Decimal(0), Decimal("0.00023"))


def test_the_last_message_of_the_turn_counts_and_chatter_is_passed_over(codex: Double) -> None:
    reasoning = {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}}
    out = "a warning\n[1]\n" + lines(message("thinking aloud"), reasoning, message(json.dumps(GOOD)), completed())
    codex.does(out=out)
    assert ask(codex.route("codex-cli"))[0].action == "SELL"


def test_an_error_that_is_mended_within_the_turn_is_none(codex: Double) -> None:
    hiccup = {"type": "error", "message": "Reconnecting... 1/5"}
    codex.does(out=lines(hiccup, message(json.dumps(GOOD)), completed()))
    assert ask(codex.route("codex-cli"))[0].action == "SELL"


@pytest.mark.fault(91)
@pytest.mark.parametrize(
    ("words", "outcome", "opens_for"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limited", timedelta(0)),
        ("Selected model is at capacity. Please try a different model.", "overloaded", timedelta(0)),
        ("We're currently experiencing high demand", "server_error", timedelta(0)),
        ("unexpected status 401 Unauthorized: Incorrect API key", "unauthorized", PERSON_PAUSE),
        ("The model does not exist", "rejected", PERSON_PAUSE),
        ("Quota exceeded. Check your plan and billing details.", "quota", QUOTA_PAUSE),
        ("You've hit your usage limit.", "quota", QUOTA_PAUSE),
        ("", "server_error", timedelta(0)),
    ],
)
def test_each_failure_that_it_tells_has_its_meaning(
    codex: Double, words: str, outcome: Outcome, opens_for: timedelta
) -> None:
    codex.does(out=lines(*turn_failed(words)), status=1)
    failure, _ = failed(codex.route("codex-cli"))
    assert (failure.outcome, failure.counts, failure.at_least) == (outcome, True, opens_for)


@pytest.mark.fault(92)
@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        ({"out": "", "status": 1}, "unreachable"),
        ({"out": lines(message(json.dumps(GOOD)))}, "unreachable"),
        ({"out": ANSWER, "status": 1}, "unreachable"),
        ({"out": "\x00\ud7ff not json"}, "unreachable"),
        ({"out": lines(message(json.dumps(GOOD)), completed({**USED, "input_tokens": -4}))}, "malformed"),
        ({"out": lines(message(json.dumps(GOOD)), completed("many"))}, "malformed"),
        ({"flood": 17 * 1024 * 1024, "out": ANSWER}, "malformed"),
    ],
    ids=range(7),
)
def test_what_is_no_answer_is_a_failure_of_the_route(codex: Double, act: dict[str, Any], outcome: Outcome) -> None:
    codex.does(**act)
    failure, _ = failed(codex.route("codex-cli"))
    assert (failure.outcome, failure.counts) == (outcome, True)


def test_prose_is_a_bad_answer_of_a_good_route(codex: Double) -> None:
    for text in ("I would sell.", "", json.dumps({**GOOD, "action": "YOLO"})):
        codex.does(out=lines(message(text), completed()))
        failure, _ = failed(codex.route("codex-cli"))
        assert (failure.outcome, failure.counts) == ("malformed", False)


@pytest.mark.fault(90)
def test_a_program_that_hangs_is_killed_with_everything_that_it_started(codex: Double) -> None:
    codex.does(out=ANSWER, sleep_s=600, child=True)
    failure, _ = failed(codex.route("codex-cli", timeout_s=2.0))
    assert failure.outcome == "timeout"
    assert ends(codex.seen["pid"])
    assert ends(codex.seen["child"])


def test_a_program_that_is_not_installed_is_said_to_be_missing() -> None:
    route = opened(settings_of("codex-cli", command="no-such-program"), {"PATH": os.environ["PATH"]})
    assert route.missing == "the command no-such-program is not installed"


REAL = os.environ.get("DESK_TEST_CODEX") or shutil.which("codex")


@pytest.mark.skipif(REAL is None, reason="the codex program is not installed")
def test_the_real_program_answers_over_the_loopback_server(models: ModelServer) -> None:
    settings = settings_of("codex-cli", command=REAL, base_url=models.url("openai"), timeout_s=60.0, effort="low")
    route = opened(settings, {"PATH": os.environ["PATH"]})
    models.script("openai", answer(GOOD, input_tokens=4_000, cached_tokens=3_000, output_tokens=200))
    said, response = ask(route)
    assert said.action == "SELL"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4_000, 200)
    models.script("openai", failing("rate_limited"))
    assert failed(route)[0].outcome == "rate_limited"
    models.script("openai", failing("quota"))
    assert failed(route)[0].outcome == "quota"
