"""Handing a batch in when something goes wrong: nothing is paid for twice, and no money stays reserved for nothing."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from resources.llm.batches import ABANDONED_AFTER, LISTING_GRACE, Batches, BatchTicket, Unrecorded
from tests.llm.actions import answer, failing
from tests.llm.batched import (
    DAY,
    MODEL,
    NOON,
    balanced,
    batches_of,
    brought_home,
    everything,
    handed_in,
    judge,
    key,
    question,
    questions,
    reservations,
    spent,
    states,
)
from tests.llm.opened import GOOD
from tests.llm.server import ModelServer
from trading_assets.core.errors import PermanentFailure, TransientFailure


@pytest.fixture
def batches(request: pytest.FixtureRequest, models: ModelServer) -> Batches:
    """Batches on the ledger that the test names, SQLite's where it names none."""
    ledger = "engine" if "engine" in request.fixturenames else "lite"
    models.script("anthropic", answer(GOOD, input_tokens=1_000, output_tokens=100))
    return batches_of(request.getfixturevalue(ledger), models.url("anthropic"))


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("unauthorized", PermanentFailure),
        ("bad_request", PermanentFailure),
        ("quota", PermanentFailure),
        ("rate_limited", TransientFailure),
    ],
)
def test_a_batch_that_is_refused_frees_its_money(
    batches: Batches, lite: sa.Engine, models: ModelServer, trouble: Any, kind: type[Exception]
) -> None:
    models.batches.refuse = failing(trouble)
    with pytest.raises(kind, match="the batch was not taken"):
        handed_in(batches, 3)
    assert states(lite) == ["refused"]
    assert spent(lite) == 0
    assert balanced(lite)
    models.batches.refuse = None
    assert handed_in(batches, 3).state == "submitted"


def test_a_provider_that_nobody_reaches_has_no_batch(lite: sa.Engine) -> None:
    with ModelServer() as gone:
        unreachable = batches_of(lite, gone.url("anthropic"))
    with pytest.raises(TransientFailure, match="was not taken"):
        handed_in(unreachable, 2)
    assert balanced(lite)


def test_a_batch_that_was_taken_without_a_word_is_found_and_not_sent_again(
    batches: Batches, engine: sa.Engine, models: ModelServer
) -> None:
    models.batches.mute = True
    with pytest.raises(TransientFailure, match="is not known"):
        handed_in(batches, 3)
    models.batches.mute = False
    assert states(engine) == ["submitting"]
    assert len(reservations(engine)) == 3
    brought = brought_home(batches, questions(3))
    assert [one.recorded for one in brought] == [(key(0), key(1), key(2))]
    assert len(models.batches.made) == 1
    assert spent(engine) == models.charged
    assert balanced(engine)


def test_a_batch_that_never_arrived_is_freed_after_a_while_and_sent_again(
    batches: Batches, lite: sa.Engine, models: ModelServer
) -> None:
    models.batches.refuse = failing("server_error")
    with pytest.raises(TransientFailure, match="is not known"):
        handed_in(batches, 3)
    models.batches.refuse = None
    (waiting,) = batches.open()
    assert batches.poll(waiting.id, as_of=NOON + timedelta(minutes=1)).state == "submitting"
    assert batches.poll(waiting.id, as_of=NOON + LISTING_GRACE + timedelta(minutes=1)).state == "refused"
    assert spent(lite) == 0
    assert balanced(lite)
    assert [one.recorded for one in brought_home(batches, questions(3))] == [(key(0), key(1), key(2))]


def test_a_stranger_s_batch_of_the_same_size_is_not_taken_for_ours(
    batches: Batches, lite: sa.Engine, models: ModelServer, tmp_path: Path
) -> None:
    from resources.ledger.engine import open_ledger

    other = open_ledger(tmp_path / "other.sqlite", durability="NORMAL")
    stranger = batches_of(other, models.url("anthropic"))
    theirs = stranger.submit("anthropic", MODEL, [question(8), question(9)], as_of=NOON)
    assert isinstance(theirs, BatchTicket)
    stranger.poll(theirs.id, as_of=NOON)
    models.batches.refuse = failing("server_error")
    with pytest.raises(TransientFailure, match="is not known"):
        handed_in(batches, 2)
    models.batches.refuse = None
    (waiting,) = batches.open()
    assert batches.poll(waiting.id, as_of=NOON + timedelta(hours=1)).state == "refused"
    assert balanced(lite)
    other.dispose()


def test_a_stranger_s_batch_that_still_runs_keeps_the_question_open(
    batches: Batches, models: ModelServer, tmp_path: Path
) -> None:
    from resources.ledger.engine import open_ledger

    other = open_ledger(tmp_path / "other.sqlite", durability="NORMAL")
    stranger = batches_of(other, models.url("anthropic"))
    models.batches.polls_needed = 99
    stranger.submit("anthropic", MODEL, [question(8), question(9)], as_of=NOON)
    models.batches.refuse = failing("server_error")
    with pytest.raises(TransientFailure, match="is not known"):
        handed_in(batches, 2)
    models.batches.refuse = None
    (waiting,) = batches.open()
    assert batches.poll(waiting.id, as_of=NOON + timedelta(hours=1)).state == "submitting"
    other.dispose()


def test_a_batch_whose_process_died_before_sending_is_freed_after_a_while(batches: Batches, engine: sa.Engine) -> None:
    from resources.ledger.engine import transaction
    from resources.llm import batch_rows

    stored = batch_rows.StoredRequest(key(0), "judge", "f" * 64, "{}", DAY.isoformat(), Decimal("0.001"))
    with transaction(engine) as connection:
        batch_rows.insert(connection, "0" * 24 + "-1", "anthropic", MODEL, [stored], NOON)
    later = NOON + ABANDONED_AFTER
    assert batches.submit("anthropic", MODEL, questions(1), as_of=NOON) is not None
    ticket = batches.submit("anthropic", MODEL, questions(2), as_of=later)
    assert isinstance(ticket, BatchTicket)
    assert states(engine).count("refused") == 1


@pytest.mark.parametrize("trouble", ["overloaded", "unauthorized", "rate_limited"])
def test_a_provider_that_cannot_be_asked_now_is_asked_later(
    batches: Batches, lite: sa.Engine, models: ModelServer, trouble: Any
) -> None:
    ticket = handed_in(batches, 2)
    models.batches.refuse = failing(trouble)
    before = everything(lite)
    with pytest.raises(TransientFailure, match="cannot be asked"):
        batches.poll(ticket.id, as_of=NOON)
    assert everything(lite) == before


def test_a_batch_that_its_provider_forgot_is_a_matter_for_a_person(batches: Batches, models: ModelServer) -> None:
    ticket = handed_in(batches, 2)
    models.batches.made.clear()
    with pytest.raises(PermanentFailure, match="does not know the batch"):
        batches.poll(ticket.id, as_of=NOON)


def test_a_process_that_woke_too_late_cancels_what_it_sent(
    batches: Batches, lite: sa.Engine, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.llm.guarded import RouteModel

    create = RouteModel.batch_create

    async def slowly(self: RouteModel, requests: Any) -> Any:
        (waiting,) = batches.open()
        polled = await asyncio.to_thread(batches.poll, waiting.id, as_of=NOON + timedelta(hours=1))
        assert polled.state == "refused"
        return await create(self, requests)

    monkeypatch.setattr(RouteModel, "batch_create", slowly)
    with pytest.raises(TransientFailure, match="taken too late"):
        handed_in(batches, 2)
    assert [one.canceled for one in models.batches.made.values()] == [True]
    assert balanced(lite)


def test_a_cancelled_batch_ends_and_what_never_ran_is_free(
    batches: Batches, lite: sa.Engine, models: ModelServer
) -> None:
    models.batches.polls_needed = 99
    ticket = handed_in(batches, 3)
    batches.cancel(ticket.id)
    assert batches.poll(ticket.id, as_of=NOON).state == "ended"
    brought = batches.collect(ticket.id, judge, as_of=NOON)
    assert brought.unrecorded == tuple(
        Unrecorded(key(number), "unreachable", "the question canceled before it was asked") for number in range(3)
    )
    assert spent(lite) == 0
    assert balanced(lite)
