"""Batches: half price, every question settled once, nothing recorded that is no answer, nothing asked twice."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from resources.llm.batch_inquiries import judge_of, prepared_of
from resources.llm.batches import REQUESTS_MAX, Batches, BatchTicket
from resources.llm.inquiry import prepare
from tests.llm.actions import answer, empty, failing, prose, refusal, said, truncated, unfinished
from tests.llm.batched import (
    MODEL,
    NOON,
    balanced,
    batches_of,
    calls,
    ended,
    everything,
    handed_in,
    judge,
    key,
    money,
    question,
    questions,
    recorded,
    reservations,
    spent,
    states,
)
from tests.llm.desks import GOOD as RULED
from tests.llm.desks import JUDGE, LONG_AGO, Desk, answered, seen
from tests.llm.opened import GOOD, MODELS, ask, opened, settings_of
from tests.llm.server import ModelServer
from trading_assets.core.errors import ConfigurationError, PermanentFailure, TransientFailure
from trading_assets.reasoning.model import RouteName
from trading_assets.reasoning.ports import OverBudget


@pytest.fixture
def batches(request: pytest.FixtureRequest, models: ModelServer) -> Batches:
    """Batches on the ledger that the test names, SQLite's where it names none."""
    ledger = "engine" if "engine" in request.fixturenames else "lite"
    models.script("anthropic", answer(GOOD, input_tokens=1_000, output_tokens=100))
    return batches_of(request.getfixturevalue(ledger), models.url("anthropic"))


def creations(models: ModelServer) -> int:
    return sum(request.method == "POST" and request.path.endswith("/batches") for request in models.log)


def test_a_batch_is_handed_in_polled_and_collected_at_half_price(
    batches: Batches, engine: sa.Engine, models: ModelServer
) -> None:
    ticket = handed_in(batches, 3)
    assert (ticket.state, ticket.requests, ticket.route, ticket.model) == ("submitted", 3, "anthropic", MODEL)
    assert [one.id for one in batches.open()] == [ticket.id]
    assert batches.poll(ticket.id, as_of=NOON).state == "ended"
    brought = batches.collect(ticket.id, judge, as_of=NOON)
    assert brought.recorded == (key(0), key(1), key(2))
    assert brought.unrecorded == ()
    assert brought.cost_usd == spent(engine) == models.charged == 3 * Decimal("0.000075")
    for one in recorded(engine, 3):
        assert one is not None
        assert (one.value, one.input_tokens, one.cost_usd) == (GOOD, 1_000, Decimal("0.000075"))
    assert [call.outcome for call in calls(engine)] == ["ok"] * 3
    assert batches.open() == ()
    assert balanced(engine)


def test_a_batch_that_still_runs_cannot_be_collected(batches: Batches, models: ModelServer) -> None:
    models.batches.polls_needed = 2
    ticket = ended(batches, 2)
    assert ticket.state == "submitted"
    with pytest.raises(TransientFailure, match="has not ended"):
        batches.collect(ticket.id, judge, as_of=NOON)
    assert batches.poll(ticket.id, as_of=NOON).state == "ended"


def test_collecting_twice_changes_nothing(batches: Batches, engine: sa.Engine) -> None:
    ticket = ended(batches, 3)
    first = batches.collect(ticket.id, judge, as_of=NOON)
    before = everything(engine)
    assert batches.collect(ticket.id, judge, as_of=NOON + timedelta(hours=1)) == first
    assert everything(engine) == before


def test_the_whole_bill_is_reserved_before_anything_is_sent(
    batches: Batches, lite: sa.Engine, models: ModelServer
) -> None:
    models.batches.refuse = failing("overloaded")
    with pytest.raises(TransientFailure):
        handed_in(batches, 3)
    held = reservations(lite)
    assert len(held) == 3
    assert all(one.amount > Decimal("0.000075") for one in held)


def test_a_bill_that_does_not_fit_is_not_run_up(batches: Batches, engine: sa.Engine, models: ModelServer) -> None:
    over = batches.submit("anthropic", MODEL, questions(3, usd=0.0003), as_of=NOON)
    assert isinstance(over, OverBudget)
    assert over.pocket == "backfill:run-1"
    assert models.log == []
    assert balanced(engine)
    assert states(engine) == ["refused"]
    ticket = batches.submit("anthropic", MODEL, questions(3), as_of=NOON)
    assert isinstance(ticket, BatchTicket)
    assert ticket.state == "submitted"


def test_what_went_wrong_is_listed_and_not_recorded(batches: Batches, engine: sa.Engine, models: ModelServer) -> None:
    models.script(
        "anthropic",
        answer(GOOD, input_tokens=1_000, output_tokens=100),
        failing("bad_request", "too odd"),
        failing("overloaded"),
        unfinished("expired"),
        unfinished("canceled"),
        refusal(),
        truncated(),
        prose(),
        said('{"action": "BUY", "confidence": NaN, "evidence": ["p1"]}'),
        empty(),
        answer({**GOOD, "quantity": 9}),
    )
    brought = batches.collect(ended(batches, 11).id, judge, as_of=NOON)
    assert brought.recorded == (key(0),)
    assert [(one.key, one.outcome) for one in brought.unrecorded] == [
        (key(1), "rejected"), (key(2), "overloaded"), (key(3), "unreachable"), (key(4), "unreachable"),
        (key(5), "refused"), (key(6), "truncated"), (key(7), "malformed"), (key(8), "malformed"),
        (key(9), "malformed"), (key(10), "malformed"),
    ]  # fmt: skip
    assert "too odd" in brought.unrecorded[0].reason
    assert [one is not None for one in recorded(engine, 11)] == [True] + [False] * 10
    assert models.charged <= spent(engine) < models.charged + Decimal("1e-8")
    assert brought.cost_usd == spent(engine)
    assert balanced(engine)


def test_questions_that_failed_may_be_handed_in_again(batches: Batches, lite: sa.Engine, models: ModelServer) -> None:
    models.script("anthropic", answer(GOOD), unfinished("expired"))
    first = ended(batches, 3)
    batches.collect(first.id, judge, as_of=NOON)
    models.script("anthropic", answer(GOOD))
    second = ended(batches, 3)
    assert second.requests == 2
    assert batches.collect(second.id, judge, as_of=NOON).recorded == (key(1), key(2))
    third = batches.submit("anthropic", MODEL, questions(3), as_of=NOON)
    assert third is None
    assert balanced(lite)


def test_a_batch_in_which_all_failed_may_be_handed_in_again(batches: Batches, models: ModelServer) -> None:
    models.script("anthropic", unfinished("expired"))
    first = ended(batches, 2)
    batches.collect(first.id, judge, as_of=NOON)
    models.script("anthropic", answer(GOOD))
    second = ended(batches, 2)
    assert second.id != first.id
    assert batches.collect(second.id, judge, as_of=NOON).recorded == (key(0), key(1))


def test_a_result_that_is_missing_counts_as_spent(batches: Batches, lite: sa.Engine, models: ModelServer) -> None:
    ticket = ended(batches, 2)
    reserved = {one.id: one.amount for one in reservations(lite)}
    (made,) = models.batches.made.values()
    assert made.results is not None
    made.results.pop()
    brought = batches.collect(ticket.id, judge, as_of=NOON)
    assert [(one.key, one.outcome) for one in brought.unrecorded] == [(key(1), "lost")]
    assert calls(lite)[1].cost == reserved[f"{ticket.id}_1"]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("broken", [{}, {"content": None}, {"content": [{"type": "text", "text": 5}]}, None, "x"])
def test_a_result_that_cannot_be_read_counts_as_spent(
    batches: Batches, lite: sa.Engine, models: ModelServer, broken: Any
) -> None:
    ticket = ended(batches, 2)
    (made,) = models.batches.made.values()
    assert made.results is not None
    message = made.results[1]["result"]["message"]
    made.results[1]["result"]["message"] = {**message, **broken} if broken and isinstance(broken, dict) else broken
    reserved = {one.id: one.amount for one in reservations(lite)}
    brought = batches.collect(ticket.id, judge, as_of=NOON)
    assert brought.recorded == (key(0),)
    assert [one.outcome for one in brought.unrecorded] == ["malformed"]
    assert calls(lite)[1].cost == reserved[f"{ticket.id}_1"]
    assert balanced(lite)


# Nothing is asked twice


def test_handing_in_again_gives_the_same_ticket_and_sends_nothing(batches: Batches, models: ModelServer) -> None:
    first = handed_in(batches, 3)
    assert handed_in(batches, 3) == first
    assert batches.submit("anthropic", MODEL, questions(3)[::-1], as_of=NOON) == first
    assert creations(models) == 1


def test_questions_that_wait_elsewhere_are_left_out(batches: Batches, models: ModelServer) -> None:
    handed_in(batches, 2)
    ticket = handed_in(batches, 4)
    assert ticket.requests == 2
    assert batches.submit("anthropic", MODEL, [question(1)], as_of=NOON) is None
    assert creations(models) == 2


def test_many_who_hand_in_the_same_at_once_send_it_once(
    batches: Batches, engine: sa.Engine, models: ModelServer
) -> None:
    given = _at_once(4, lambda: handed_in(batches, 3))
    assert len({ticket.id for ticket in given}) == 1
    assert creations(models) == 1
    assert len(reservations(engine)) == 3


def test_many_who_collect_at_once_book_it_once(batches: Batches, engine: sa.Engine, models: ModelServer) -> None:
    ticket = ended(batches, 7)
    brought = _at_once(4, lambda: batches.collect(ticket.id, judge, as_of=NOON))
    assert len(set(brought)) == 1
    assert len(calls(engine)) == 7
    assert spent(engine) == models.charged
    assert balanced(engine)


def _at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    done: list[Any] = []
    threads = [threading.Thread(target=lambda: done.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == count
    return done


# What is refused


@pytest.mark.parametrize(("route", "why"), [("openai", "has no batches"), ("gemini", "is not enabled")])
def test_a_route_without_batches_takes_none(lite: sa.Engine, models: ModelServer, route: RouteName, why: str) -> None:
    batches = Batches(lite, [opened(settings_of("openai", models))])
    with pytest.raises(ConfigurationError, match=why):
        batches.submit(route, MODELS[route], questions(1), as_of=NOON)


def test_a_route_without_its_key_takes_none(lite: sa.Engine, models: ModelServer) -> None:
    batches = Batches(lite, [opened(settings_of("anthropic", models), {})])
    with pytest.raises(ConfigurationError, match="DESK_KEY is not set"):
        batches.submit("anthropic", MODEL, questions(1), as_of=NOON)


def test_a_model_without_a_price_takes_no_batch(batches: Batches, lite: sa.Engine, models: ModelServer) -> None:
    with pytest.raises(ConfigurationError, match="has no price"):
        batches.submit("anthropic", "claude-future-9", questions(2), as_of=NOON)
    assert models.log == []
    assert states(lite) == []


def test_a_batch_may_not_be_too_large_or_hold_a_question_twice(batches: Batches) -> None:
    with pytest.raises(PermanentFailure, match="too large"):
        batches.submit("anthropic", MODEL, [question(0)] * (REQUESTS_MAX + 1), as_of=NOON)
    with pytest.raises(PermanentFailure, match="stands twice"):
        batches.submit("anthropic", MODEL, [question(0), question(0)], as_of=NOON)
    assert batches.submit("anthropic", MODEL, [], as_of=NOON) is None


def test_a_batch_that_is_not_there_is_named(batches: Batches) -> None:
    with pytest.raises(PermanentFailure, match="no such batch"):
        batches.poll("nothing-1", as_of=NOON)


# The same as live


def test_a_question_of_a_batch_is_sent_as_it_would_be_live(batches: Batches, models: ModelServer) -> None:
    handed_in(batches, 1)
    (sent,) = models.log[0].body["requests"]
    one = question(0)
    ask(opened(settings_of("anthropic", models)), one.user, max_tokens=one.max_tokens)
    live = {name: part for name, part in models.log[-1].body.items() if name != "stream"}
    live["system"] = [{**live["system"][0], "text": one.system}]
    assert sent["params"] == live


def test_a_backfill_that_was_filled_by_a_batch_is_replayed_without_a_network(desk: Desk) -> None:
    desk.server.script("anthropic", answer(RULED, input_tokens=900, output_tokens=80))
    inquiries = [
        prepare(
            JUDGE,
            seen(number),
            settings=desk.settings,
            skills=desk.shelf.take(),
            budget=desk.past_money(f"2013-03-0{number + 1}"),
            as_of=LONG_AGO,
            version=desk.version,
        )
        for number in range(4)
    ]
    candidate = inquiries[0].candidates[0]
    routes = [opened(candidate.route, desk.keys)]
    wanted = [prepared_of(inquiry, candidate, max_tokens=400) for inquiry in inquiries]
    filler = Batches(desk.engine, routes)
    ticket = filler.submit("anthropic", candidate.model, wanted, as_of=NOON)
    assert isinstance(ticket, BatchTicket)
    filler.poll(ticket.id, as_of=NOON)
    brought = filler.collect(ticket.id, judge_of(inquiries, candidate), as_of=NOON)
    assert len(brought.recorded) == 4
    desk.server.close()
    desk.mode = "replay_only"
    reasoner = desk.reasoner()
    for number in range(4):
        said_again = answered(
            reasoner.ask(JUDGE, seen(number), budget=desk.past_money(f"2013-03-0{number + 1}"), as_of=LONG_AGO)
        )
        assert said_again.cached
        assert said_again.cost_usd == 0
        assert json.loads(said_again.value.model_dump_json())["signal"] == RULED["signal"]
    desk.check()


def test_a_batch_s_answer_is_judged_like_a_live_one(desk: Desk) -> None:
    inquiry = prepare(
        JUDGE,
        seen(),
        settings=desk.settings,
        skills=desk.shelf.take(),
        budget=desk.past_money(),
        as_of=LONG_AGO,
        version=desk.version,
    )
    candidate = inquiry.candidates[0]
    judged = judge_of([inquiry], candidate)
    own = inquiry.key(candidate)
    assert judged(own, json.dumps(RULED)) == {**RULED}
    assert "cite only p1" in str(judged(own, json.dumps({**RULED, "evidence": ["p7"]})))
    assert "signal" in str(judged(own, json.dumps({**RULED, "signal": 7})))
    assert isinstance(judged(own, "I would buy."), str)
    with pytest.raises(PermanentFailure, match="not prepared again"):
        judged("another key", json.dumps(RULED))


def test_money_of_a_batch_that_nobody_collects_counts_as_spent(batches: Batches, lite: sa.Engine) -> None:
    from resources.ledger.costs import SqlCostBook

    ticket = ended(batches, 2)
    much_later = NOON + timedelta(days=8)
    assert SqlCostBook(lite).sweep(as_of=much_later) == 2
    swept = spent(lite)
    brought = batches.collect(ticket.id, judge, as_of=much_later)
    assert len(brought.recorded) == 2
    assert spent(lite) == swept
    assert balanced(lite)
    assert money().backfill == "run-1"
