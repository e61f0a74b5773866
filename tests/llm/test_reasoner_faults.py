"""Models and routes that fail, over the real wire: the next route answers, or the rules, or nobody; the money is booked."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.ledger.breakers import SqlBreakers
from tests.llm.actions import (
    Action,
    answer,
    dripping,
    dropped,
    empty,
    failing,
    garbage,
    hang,
    prose,
    refusal,
    said,
    truncated,
)
from tests.llm.desks import CHEAP, GOOD, JUDGE, LUNA, MUTE, NOON, STANDARD, Desk, answered, number_in, seen, write_skill
from tests.llm.server import Request
from trading_assets.reasoning.model import Abstention

REFUSED_AT_THE_DOOR: dict[str, tuple[Action, str]] = {
    "429": (failing("rate_limited", retry_after="7"), "rate_limited"),
    "429 without retry-after": (failing("rate_limited"), "rate_limited"),
    "529": (failing("overloaded"), "overloaded"),
    "500": (failing("server_error"), "server_error"),
    "503": (failing("unavailable"), "overloaded"),
    "expired key": (failing("unauthorized"), "unauthorized"),
    "forbidden": (failing("forbidden"), "unauthorized"),
    "unknown model": (failing("unknown_model"), "rejected"),
    "bad request": (failing("bad_request"), "rejected"),
    "quota": (failing("quota"), "quota"),
    "no credit": (failing("no_credit"), "quota"),
    "too long": (failing("too_long"), "rejected"),
}
ANSWERED_BADLY: dict[str, tuple[Action, str]] = {
    "prose": (prose(), "malformed"),
    "wrong shape": (answer({"action": "BUY"}), "malformed"),
    "wrong type": (answer([1, 2, 3]), "malformed"),
    "empty": (empty(), "malformed"),
    "refusal": (refusal(), "refused"),
    "truncated": (truncated('{"signal": 0.2, "reas'), "truncated"),
}
LOST: dict[str, tuple[Action, str]] = {
    "dropped before the first byte": (dropped(0.0), "unreachable"),
    "dropped in the middle": (dropped(0.5), "unreachable"),
}


def _judged(desk: Desk, action: Action) -> tuple[str, str, str]:
    """The answering route, the attempt's reason and the booked outcome, after one bad action and a good second route."""
    desk.server.script("anthropic", action)
    desk.server.script("openai", answer(GOOD))
    answer_ = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    desk.check()
    [attempt] = answer_.failed
    return answer_.route, attempt.reason, desk.calls()[0].outcome


@pytest.mark.fault(91)
@pytest.mark.parametrize("name", REFUSED_AT_THE_DOOR)
def test_an_error_of_the_server_costs_nothing_and_the_next_route_answers(desk: Desk, name: str) -> None:
    action, outcome = REFUSED_AT_THE_DOOR[name]
    route, reason, booked = _judged(desk, action)
    assert (route, booked) == ("openai", outcome)
    assert reason.startswith(f"{outcome}: ")
    assert desk.calls()[0].cost == 0
    assert desk.booked() == desk.server.charged


@pytest.mark.fault(92)
@pytest.mark.fault(94)
@pytest.mark.parametrize("name", ANSWERED_BADLY)
def test_a_bad_answer_is_paid_by_its_tokens_and_the_next_route_answers(desk: Desk, name: str) -> None:
    action, outcome = ANSWERED_BADLY[name]
    route, _, booked = _judged(desk, replace(action, input_tokens=1000, output_tokens=40))
    assert (route, booked) == ("openai", outcome)
    assert desk.calls()[0].cost == Decimal("0.000120000")
    assert desk.booked() == desk.server.charged
    again = 2 if outcome == "malformed" else 1
    assert len(desk.server.asked("anthropic")) == again


@pytest.mark.parametrize("name", LOST)
def test_a_connection_that_breaks_is_booked_at_the_whole_reserve(desk: Desk, name: str) -> None:
    action, outcome = LOST[name]
    route, _, booked = _judged(desk, action)
    assert (route, booked) == ("openai", outcome)
    assert desk.calls()[0].cost >= desk.server.lost
    assert desk.calls()[0].cost > Decimal("0.001")


def test_a_body_that_is_nothing_of_the_kind_is_a_failure_of_the_route_and_may_have_been_charged(desk: Desk) -> None:
    route, _, _ = _judged(desk, garbage())
    assert route == "openai"
    assert desk.calls()[0].cost > Decimal("0.001")


def test_a_route_that_nobody_serves_costs_nothing(desk: Desk) -> None:
    desk.server.script("openai", answer(GOOD))
    settings = desk.settings
    closed = settings.routes[0].model_copy(update={"base_url": "http://127.0.0.1:9/anthropic"})
    broken = settings.model_copy(update={"routes": (closed, settings.routes[1])})
    given = answered(desk.reasoner(settled=broken).ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.route == "openai"
    assert [(row.outcome, row.cost == 0) for row in desk.calls()] == [("unreachable", True), ("ok", False)]


@pytest.mark.fault(90)
@pytest.mark.parametrize("action", [hang(20), dripping(20, answer(GOOD))], ids=["silence", "a drip"])
def test_a_route_that_hangs_is_cut_and_booked_at_the_whole_reserve(any_desk: Desk, action: Action) -> None:
    any_desk.server.script("anthropic", action)
    any_desk.server.script("openai", answer(GOOD))
    given = answered(any_desk.reasoner(timeout_s=0.3).ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert given.route == "openai"
    assert "timeout" in given.failed[0].reason
    assert any_desk.outcomes() == [(CHEAP, "timeout"), (LUNA, "ok")]
    assert any_desk.calls()[0].cost > Decimal("0.001")
    assert given.cost_usd == any_desk.booked()
    any_desk.check()


def test_an_error_inside_an_open_stream_may_have_been_charged(desk: Desk) -> None:
    desk.server.script("anthropic", failing("overloaded", in_stream=True))
    desk.server.script("openai", answer(GOOD))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    streamed = desk.server.log[0].body.get("stream", False)
    assert given.route == "openai"
    assert (desk.calls()[0].cost > 0) == streamed


# The second attempt


@pytest.mark.fault(92)
def test_a_malformed_answer_is_asked_for_once_more_with_the_error_and_both_requests_are_paid(any_desk: Desk) -> None:
    bad = replace(answer({**GOOD, "signal": 7}), input_tokens=1000, output_tokens=100)
    any_desk.server.script("anthropic", bad, answer(GOOD, input_tokens=2000, output_tokens=100))
    given = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert (given.route, given.failed, given.usage.input_tokens) == ("anthropic", (), 2000)
    assert any_desk.outcomes() == [(CHEAP, "malformed"), (CHEAP, "ok")]
    assert "less than or equal to 1" in any_desk.server.log[1].raw.decode()
    assert given.cost_usd == any_desk.booked() == any_desk.server.charged
    assert '"signal": 7' in any_desk.calls()[0].error
    any_desk.check()


def test_the_second_attempt_is_not_made_when_the_money_is_gone(desk: Desk) -> None:
    desk.budget = {"decision_usd": 0.0039, "output_tokens_min": 300, "output_tokens_max": 2000}
    bad = replace(answer({**GOOD, "signal": 7}), input_tokens=1000, output_tokens=7000)
    desk.server.script("anthropic", bad)
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.route == "rules"
    assert len(desk.server.asked("anthropic")) == 1
    assert [attempt.reason.split(":")[0] for attempt in given.failed] == ["budget", "budget"]
    assert given.cost_usd == desk.booked() == desk.server.charged


# What an answer can carry

TOLD = "You are a judge. ## Inputs Closes of one symbol, oldest first."
FORBIDDEN: dict[str, Any] = {
    "an invented citation": {**GOOD, "evidence": ["p1", "p99"]},
    "another field": {**GOOD, "quantity": 1_000_000},
    "a link": {**GOOD, "reasons": ["See https://evil.test/x for more."]},
    "markdown": {**GOOD, "reasons": ["![x](http://evil.test/pixel.png)"]},
    "html": {**GOOD, "reasons": ["<script>alert(1)</script>"]},
    "a control character": {**GOOD, "reasons": ["up\u0000down"]},
    "a hidden character": {**GOOD, "reasons": ["up\u200b\u202edown"]},
    "too many words": {**GOOD, "reasons": ["x" * 500]},
    "the instructions": {**GOOD, "reasons": [f"A signal. {TOLD}"]},
    "a number beyond the bounds": {**GOOD, "signal": 1.01},
    "a number as text": {**GOOD, "signal": "strong buy"},
    "no reasons": {**GOOD, "reasons": []},
}  # fmt: skip


@pytest.mark.fault(95)
@pytest.mark.fault(96)
@pytest.mark.parametrize("name", FORBIDDEN)
def test_nothing_but_typed_and_plain_fields_comes_out(desk: Desk, name: str) -> None:
    desk.server.script("anthropic", answer(FORBIDDEN[name]))
    desk.server.script("openai", answer(GOOD))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (given.route, given.value.evidence) == ("openai", ("p1",))
    assert desk.outcomes()[:2] == [(CHEAP, "malformed"), (CHEAP, "malformed")]


@pytest.mark.fault(93)
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "null", "true", '"0.5 "', "[0.5]"]
)
def test_a_number_that_is_none_never_becomes_an_answer(desk: Desk, number: str) -> None:
    words = '{"signal": %s, "reasons": ["Up."], "evidence": ["p1"]}' % number  # noqa: UP031 - the braces are JSON's
    desk.server.script("anthropic", said(words))
    desk.server.script("openai", said(words))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.route == "rules"
    assert [row.route for row in desk.records()] == ["rules"]


def _corpus() -> Sequence[str]:
    """Answers that are no answer: a good one damaged in many ways, and words that never were one; always the same ones."""
    dice, good = random.Random(20261121), json.dumps(GOOD)
    cut = [good[:at] for at in range(len(good) - 1)]
    doubled = [good[:at] + good[at : at + 5] * 2 + good[at + 5 :] for at in range(0, len(good), 4)]
    other = [
        "",
        " ",
        "null",
        "[]",
        "{}",
        '"BUY"',
        "42",
        "true",
        "Ich würde kaufen.",
        "我会买入",
        "買い",
        "Купить",
        "يشتري",
        "\ufeff{}",
    ]
    noise = ["".join(dice.choices('{}[]",:0123456789aeinrstu\\', k=dice.randint(1, 60))) for _ in range(120)]
    return [*cut, *doubled, *other, *noise]


@pytest.mark.fault(92)
@pytest.mark.fault(94)
def test_two_hundred_answers_that_are_none_end_with_the_rules_and_are_kept_to_be_read(desk: Desk) -> None:
    corpus = [words for words in _corpus() if not _fits(words)]
    assert len(corpus) >= 200

    def spoil(request: Request) -> Action:
        return replace(said(corpus[number_in(request)]), input_tokens=500, output_tokens=50)

    desk.server.script("anthropic", spoil)
    desk.routes = ("anthropic",)
    desk.budget = {"day_usd": 900.0}
    count = len(corpus)
    given = desk.reasoner(in_flight_max=16).ask_many(
        JUDGE,
        [seen(number) for number in range(count)],
        budget=[desk.desk_money(f"d{number}") for number in range(count)],
        as_of=[NOON] * count,
    )
    assert {answered(one).route for one in given} == {"rules"}
    assert {outcome for _, outcome in desk.outcomes()} <= {"malformed", "truncated"}
    kept = {row.answer_key: row.error for row in desk.calls()}
    assert all(any(words.strip() in error for error in kept.values()) for words in corpus[5:120])
    assert desk.booked() == desk.server.charged
    desk.check()


def _fits(words: str) -> bool:
    try:
        JUDGE.output.model_validate_json(words)
    except ValueError:
        return False
    return True


# Breakers


@pytest.mark.fault(91)
def test_after_three_failures_a_route_is_left_alone_and_then_tried_once(any_desk: Desk) -> None:
    any_desk.server.script("anthropic", failing("server_error"))
    any_desk.server.script("openai", answer(GOOD))
    reasoner = any_desk.reasoner()

    def ask(number: int) -> str:
        given = answered(reasoner.ask(JUDGE, seen(number), budget=any_desk.desk_money(f"d{number}"), as_of=NOON))
        assert given.route == "openai"
        return given.failed[0].reason

    reasons = [ask(number) for number in range(5)]
    assert [reason.startswith("server_error") for reason in reasons] == [True, True, True, False, False]
    assert reasons[3] == reasons[4] == "the breaker is open"
    assert len(any_desk.server.asked("anthropic")) == 3
    any_desk.clock.move(31)
    assert ask(5).startswith("server_error")
    any_desk.clock.move(31)
    assert ask(6) == "the breaker is open"
    any_desk.clock.move(31)
    any_desk.server.script("anthropic", answer(GOOD))
    given = answered(reasoner.ask(JUDGE, seen(7), budget=any_desk.desk_money("d7"), as_of=NOON))
    assert given.route == "anthropic"
    [anthropic] = SqlBreakers(any_desk.engine).states()
    assert (anthropic.state, anthropic.failures) == ("closed", 0)


def test_a_trial_that_finds_no_money_leaves_the_trial_to_the_next_question(desk: Desk) -> None:
    """Without it the route would stay closed for the whole lease although nobody was asked."""
    desk.budget = {"calls_per_decision_max": 1}
    desk.server.script("anthropic", failing("unauthorized"))
    desk.server.script("openai", answer(GOOD))
    reasoner = desk.reasoner()
    reasoner.ask(JUDGE, seen(1), budget=desk.desk_money("d1"), as_of=NOON)
    desk.clock.move(601)
    desk.server.script("anthropic", answer(GOOD))
    poor = answered(reasoner.ask(JUDGE, seen(2), budget=desk.desk_money("d1"), as_of=NOON))
    assert poor.route == "rules"
    rich = answered(reasoner.ask(JUDGE, seen(3), budget=desk.desk_money("d2"), as_of=NOON))
    assert rich.route == "anthropic"


def test_a_breaker_is_shared_with_other_reasoners_on_the_same_ledger(desk: Desk) -> None:
    desk.server.script("anthropic", failing("unauthorized"))
    desk.server.script("openai", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON)
    given = answered(desk.reasoner().ask(JUDGE, seen(2), budget=desk.desk_money(), as_of=NOON))
    assert given.failed[0].reason == "the breaker is open"
    assert len(desk.server.asked("anthropic")) == 1


@pytest.mark.parametrize(
    ("action", "pause"),
    [
        (failing("rate_limited", retry_after="77"), timedelta(seconds=77)),
        (failing("quota"), timedelta(hours=1)),
        (failing("unauthorized"), timedelta(minutes=10)),
        (failing("unknown_model"), timedelta(minutes=10)),
    ],
    ids=["retry-after", "quota", "key", "model"],
)
def test_some_failures_open_at_once_for_as_long_as_they_say(desk: Desk, action: Action, pause: timedelta) -> None:
    desk.server.script("anthropic", action)
    desk.server.script("openai", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    [state] = SqlBreakers(desk.engine).states()
    assert (state.state, state.until) == ("open", NOON + pause)


@pytest.mark.parametrize("action", [refusal(), prose(), truncated(), failing("bad_request")], ids=str)
def test_a_bad_answer_shows_that_the_route_is_there_and_is_no_failure_of_it(desk: Desk, action: Action) -> None:
    desk.server.script("anthropic", failing("server_error"), failing("server_error"), action)
    desk.server.script("openai", answer(GOOD))
    reasoner = desk.reasoner()
    for number in range(3):
        reasoner.ask(JUDGE, seen(number), budget=desk.desk_money(f"d{number}"), as_of=NOON)
    [state] = SqlBreakers(desk.engine).states()
    assert (state.state, state.failures) == ("closed", 0)


def test_a_bug_is_not_taken_for_a_failure_of_the_route_and_the_money_is_booked(desk: Desk) -> None:
    def broken(*_: object) -> str | None:
        raise ZeroDivisionError("a bug in the check")

    desk.server.script("anthropic", answer(GOOD, input_tokens=1000, output_tokens=100))
    role = replace(MUTE, check=broken)
    with pytest.raises(ZeroDivisionError):
        desk.reasoner().ask(role, seen(), budget=desk.desk_money(), as_of=NOON)
    assert desk.outcomes() == [(CHEAP, "lost")]
    assert desk.booked() == desk.server.charged
    desk.check()
    assert SqlBreakers(desk.engine).states() == []


def test_no_key_reaches_an_attempt_an_error_or_the_ledger(desk: Desk) -> None:
    from resources.ledger.engine import reading
    from resources.ledger.schema import METADATA

    echo = failing("unauthorized", "the key key-for-anthropic-1234567890 is not valid")
    desk.server.script("anthropic", echo)
    desk.server.script("openai", said("my key is key-for-openai-1234567890"))
    given = desk.reasoner().ask(MUTE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert isinstance(given, Abstention)
    with reading(desk.engine) as connection:
        rows = [str(row) for table in METADATA.sorted_tables for row in connection.execute(table.select())]
    texts = [repr(given), *rows]
    assert not [text for text in texts if "key-for-anthropic-1234567890" in text]


def test_the_strongest_that_can_be_paid_is_asked(desk: Desk) -> None:
    write_skill(desk.folder, tier="strong")
    desk.routes = ("anthropic",)
    desk.budget = {"decision_usd": 0.02}
    desk.server.script("anthropic", answer(GOOD))
    given = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert given.model in {STANDARD, "claude-opus-5-5"}
    assert desk.server.log[0].body["max_tokens"] < 2000
