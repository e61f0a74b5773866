"""What each failure of the wire means for its route, for every provider; and that a failure never shows a key."""

import asyncio
import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRateLimitError,
    UnexpectedModelBehavior,
    UserError,
)

from resources.llm.failures import PAUSE_MAX, PERSON_PAUSE, QUOTA_PAUSE, Failure, failure_of
from resources.llm.guarded import UndocumentedReply
from tests.llm.actions import (
    Action,
    Trouble,
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
from tests.llm.opened import GOOD, KEY, MODELS, PROVIDERS, ask, failed, opened, settings_of
from tests.llm.server import ModelServer
from tests.llm.wire import Provider
from trading_assets.core.errors import TransientFailure
from trading_assets.reasoning.model import Outcome

NOW = timedelta(0)
# outcome, does the breaker count it, does it open at once, for how long
MEANING: dict[Trouble, tuple[Outcome, bool, bool, timedelta]] = {
    "rate_limited": ("rate_limited", True, False, NOW),
    "overloaded": ("overloaded", True, False, NOW),
    "unavailable": ("overloaded", True, False, NOW),
    "server_error": ("server_error", True, False, NOW),
    "unauthorized": ("unauthorized", True, True, PERSON_PAUSE),
    "forbidden": ("unauthorized", True, True, PERSON_PAUSE),
    "unknown_model": ("rejected", True, True, PERSON_PAUSE),
    "bad_request": ("rejected", False, False, NOW),
    "too_long": ("rejected", False, False, NOW),
    "quota": ("quota", True, True, QUOTA_PAUSE),
    "no_credit": ("quota", True, True, QUOTA_PAUSE),
    "odd": ("rejected", False, False, NOW),
}
BAD_ANSWERS = {
    "prose": prose(),
    "wrong shape": answer({"verdict": "BUY"}),
    "wrong type": answer([1, 2, 3]),
    "a word": answer("BUY"),
    "out of bounds": answer({**GOOD, "confidence": 7}),
    "one field too many": answer({**GOOD, "quantity": 1_000}),
    "NaN": said('{"action": "BUY", "confidence": NaN, "evidence": ["p1"]}'),
    "infinity": said('{"action": "BUY", "confidence": 1e999, "evidence": ["p1"]}'),
    "empty": empty(),
    "null": said("null"),
    "half an object": said('{"action": "BU'),
}
GARBAGE = (
    b"", b"{}", b"[]", b"null", b'"x"', b"3", b"<html>busy</html>", b"\xff\xfe\x00", b"[" * 100_000,
    b'{"content": null, "choices": null, "output": null, "candidates": null}',
    b'{"content": [], "choices": [], "output": [], "candidates": []}',
    b'{"content": [1], "choices": [1], "output": [1], "candidates": [1]}',
    b'{"content": "abc", "choices": "abc", "output": "abc", "candidates": "abc"}',
    b'{"content": [{"type": "text"}], "choices": [{}], "output": [{"type": "message"}], "candidates": [{}]}',
    b'{"content": [{"type": "odd"}], "choices": [{"message": {}}], "output": [{"type": "odd"}], "candidates": [{"content": {}}]}',
    b'{"content": [{"type": "text", "text": 5}], "choices": [{"message": {"content": 5}}], "output": [{"type": "message",'
    b' "content": [{"type": "output_text", "text": 5}]}], "candidates": [{"content": {"parts": [{"text": 5}]}}]}',
    b'{"content": [{"type": "text", "text": "{}"}], "stop_reason": "new", "usage": {"input_tokens": -5, "output_tokens": "x"}}',
)  # fmt: skip


def test_every_trouble_has_a_meaning() -> None:
    assert set(MEANING) == set(get_args(Trouble))


@pytest.mark.fault(91)
@pytest.mark.parametrize("trouble", MEANING)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_trouble_on_the_wire_means_the_same_for_every_provider(
    models: ModelServer, provider: Provider, trouble: Trouble
) -> None:
    models.script(provider, failing(trouble))
    failure, _ = failed(opened(settings_of(provider, models)))
    assert (failure.outcome, failure.counts, failure.open_now, failure.at_least) == MEANING[trouble]
    assert len(models.log) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_says_when_to_come_back_is_left_alone_until_then(
    models: ModelServer, provider: Provider
) -> None:
    models.script(provider, failing("rate_limited", retry_after="7"))
    failure, _ = failed(opened(settings_of(provider, models)))
    assert (failure.outcome, failure.open_now, failure.at_least) == ("rate_limited", True, timedelta(seconds=7))


def test_the_moment_to_come_back_may_be_a_date(models: ModelServer) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)  # noqa: TID251 - the library subtracts its own clock
    models.script("anthropic", failing("rate_limited", retry_after=format_datetime(soon, usegmt=True)))
    failure, _ = failed(opened(settings_of("anthropic", models)))
    assert failure.open_now
    assert timedelta(seconds=30) < failure.at_least <= timedelta(seconds=90)


@pytest.mark.parametrize("word", ["soon", "-5", "NaN", "", "Thu, 32 Nov 2026 00:00:00 GMT"])
def test_a_moment_that_is_none_is_not_believed(models: ModelServer, word: str) -> None:
    models.script("openai", failing("rate_limited", retry_after=word))
    failure, _ = failed(opened(settings_of("openai", models)))
    assert (failure.counts, failure.open_now, failure.at_least) == (True, False, NOW)


@settings(max_examples=25, deadline=None)
@given(st.one_of(st.none(), st.floats(), st.integers(0, 10**18).map(float)))
def test_no_pause_is_negative_or_longer_than_a_day(seconds: float | None) -> None:
    failure = failure_of(ModelRateLimitError("m", "slow down", retry_after=seconds))
    assert failure is not None
    assert NOW <= failure.at_least <= PAUSE_MAX
    assert failure.open_now == (failure.at_least > NOW)


@pytest.mark.fault(90)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("action", [hang(30), dripping(30)], ids=["hangs", "drips"])
def test_a_route_that_hangs_or_drips_is_cut_at_its_time_limit(
    models: ModelServer, provider: Provider, action: Action
) -> None:
    models.script(provider, action)
    failure, error = failed(opened(settings_of(provider, models, timeout_s=0.4)))
    assert (failure.outcome, failure.counts) == ("timeout", True)
    assert isinstance(error, ModelAPIError)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_broken_connection_is_unreachable(models: ModelServer, provider: Provider, share: float) -> None:
    models.script(provider, dropped(share))
    failure, _ = failed(opened(settings_of(provider, models)))
    assert (failure.outcome, failure.counts, failure.open_now) == ("unreachable", True, False)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_port_that_nobody_listens_on_is_unreachable_before_anything_was_sent(provider: Provider) -> None:
    with ModelServer() as gone:
        route = opened(settings_of(provider, gone))
    failure, error = failed(route)
    assert (failure.outcome, failure.counts) == ("unreachable", True)
    assert isinstance(error, ModelConnectionError)
    assert error.phase == "connect"


@pytest.mark.fault(94)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_is_no_failure_of_the_route(models: ModelServer, provider: Provider) -> None:
    models.script(provider, refusal())
    failure, _ = failed(opened(settings_of(provider, models)))
    assert failure == Failure("refused", "the model declined to answer", counts=False)


@pytest.mark.fault(92)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_cut_off_answer_is_truncated(models: ModelServer, provider: Provider) -> None:
    action = truncated() if provider != "gemini" else truncated('{"action": "BU')
    models.script(provider, action)
    failure, _ = failed(opened(settings_of(provider, models)))
    assert (failure.outcome, failure.counts) == ("truncated", False)


@pytest.mark.fault(92)
@pytest.mark.fault(93)
@pytest.mark.parametrize("what", BAD_ANSWERS)
@pytest.mark.parametrize("provider", ["anthropic", "openai", "deepseek"])
def test_an_answer_that_does_not_fit_is_malformed_and_the_route_is_fine(
    models: ModelServer, provider: Provider, what: str
) -> None:
    action = BAD_ANSWERS[what]
    if provider == "deepseek" and what in {"wrong type", "a word", "null", "half an object"}:
        action = prose(action.words or "")
    models.script(provider, action)
    failure, _ = failed(opened(settings_of(provider, models)))
    assert (failure.outcome, failure.counts, failure.open_now) == ("malformed", False, False)


@pytest.mark.fault(92)
@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.filterwarnings("ignore::pydantic_ai.exceptions.UsageExtractionFailedWarning")
def test_a_reply_that_no_interface_documents_is_a_failure_and_never_a_crash(
    models: ModelServer, provider: Provider, body: bytes
) -> None:
    models.script(provider, garbage(body))
    failure, _ = failed(opened(settings_of(provider, models)))
    assert failure.outcome in {"malformed", "server_error"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_body_that_is_not_what_its_encoding_says_is_a_failure(models: ModelServer, provider: Provider) -> None:
    models.script(provider, Action(raw=b"not zipped", headers=(("content-encoding", "gzip"),)))
    failure, _ = failed(opened(settings_of(provider, models)))
    assert failure.counts


@pytest.mark.parametrize("status", ["301", "302", "418", "451", "502", "504", "599"])
def test_statuses_without_a_category_are_told_apart_by_whose_fault_they_are(status: str) -> None:
    failure = failure_of(ModelHTTPError(int(status), "m", {"message": "odd"}))
    assert failure is not None
    assert failure.counts == (not status.startswith("4"))


def test_a_reply_that_cannot_be_read_counts_against_the_route_and_a_bad_answer_does_not() -> None:
    undocumented, bad = failure_of(UndocumentedReply("odd")), failure_of(UnexpectedModelBehavior("odd"))
    assert undocumented is not None
    assert bad is not None
    assert (undocumented.outcome, undocumented.counts) == ("malformed", True)
    assert (bad.outcome, bad.counts) == ("malformed", False)


@pytest.mark.parametrize(
    "bug",
    [
        KeyError("x"),
        TypeError("x"),
        UserError("x"),
        RuntimeError("x"),
        TransientFailure("x"),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_what_is_no_failure_of_a_route_propagates(bug: BaseException) -> None:
    assert failure_of(bug) is None


def test_an_error_of_ours_before_any_reply_is_not_blamed_on_the_route(models: ModelServer) -> None:
    route = opened(settings_of("anthropic", models))
    with pytest.raises(TypeError):
        ask(route, max_tokens="many")  # type: ignore[arg-type]
    assert models.log == []


@pytest.mark.filterwarnings("ignore::pydantic_ai.exceptions.UsageExtractionFailedWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_text_of_any_failure_holds_the_key(
    models: ModelServer, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    echo = f"your key {KEY} is wrong"
    actions = [
        *(failing(trouble, echo) for trouble in MEANING),
        prose(echo),
        answer({"key": KEY}),
        truncated(echo),
        garbage(echo.encode()),
        garbage(f'{{"error": "{echo}"}}'.encode()),
        dropped(0.9, prose(echo)),
        refusal(),
    ]
    with caplog.at_level(logging.DEBUG):
        for action in actions:
            models.script(provider, action)
            failure, error = failed(opened(settings_of(provider, models)))
            shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(failure)
            if action.trouble is not None or action.raw is not None:
                assert KEY not in shown
            assert KEY not in repr(failure)
    assert KEY not in caplog.text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=500))
def test_a_reason_is_one_short_printable_line(words: str) -> None:
    failure = failure_of(ModelHTTPError(400, "m", {"message": words}))
    assert failure is not None
    assert len(failure.reason) <= 200
    assert failure.reason.isprintable()


def test_a_reason_tells_status_code_and_sentence_of_the_provider(models: ModelServer) -> None:
    models.script("openai", failing("bad_request", "tools[0].name is too long"))
    failure, _ = failed(opened(settings_of("openai", models)))
    assert failure.reason == (
        "ModelRequestRejectedError: HTTP 400: invalid_value: invalid_request_error: tools[0].name is too long"
    )
    models.script("openai", failing("unauthorized", "the key sk-1 is wrong"))
    failure, _ = failed(opened(settings_of("openai", models)))
    assert "sk-1" not in failure.reason
    assert MODELS["openai"] not in failure.reason
