"""Money for models, one caller at a time: what is reserved, settled, lost, refused, and what stays left."""

import sqlite3
from datetime import date, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.costs import SWEPT, SqlCostBook
from resources.ledger.engine import open_ledger, reading
from resources.ledger.records import Counted, SqlAgentHealth
from tests.resources.ledger.calls import (
    DAY_POCKET,
    HOLD,
    NOW,
    PLENTY,
    TODAY,
    ZERO,
    answer,
    backfill,
    booked,
    budget,
    ended,
    planned,
    pocket,
    problems,
    unguarded,
    usd,
)
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure
from trading_assets.reasoning.model import Budget, Pocket, Usage
from trading_assets.reasoning.ports import CostBook, OverBudget

LATER = NOW + HOLD + timedelta(seconds=1)


@pytest.fixture
def costs(engine: sa.Engine) -> SqlCostBook:
    return SqlCostBook(engine)


def reserved(costs: CostBook, name: str, amount: str = "0.02", of: Budget | None = None) -> OverBudget | None:
    return costs.reserve(planned(name, of), Decimal(amount), as_of=NOW, hold=HOLD)


# Reserving


def test_a_reserve_is_taken_out_of_every_pocket(costs: SqlCostBook, engine: sa.Engine) -> None:
    assert reserved(costs, "a") is None
    assert pocket(engine) == pocket(engine, "decision:desk/2026-11-20/09:30") == ("0", "0.02", 1)
    assert costs.left(budget()) == Decimal("0.03")
    assert booked(engine) == []


def test_what_does_not_fit_one_pocket_is_taken_out_of_none(costs: SqlCostBook, engine: sa.Engine) -> None:
    refusal = reserved(costs, "a", "0.06")
    assert refusal is not None
    assert (refusal.pocket, refusal.wanted_usd, refusal.left_usd) == (
        "decision:desk/2026-11-20/09:30",
        Decimal("0.06"),
        Decimal("0.05"),
    )
    assert "0.05 USD left of 0.05" in refusal.sentence
    assert pocket(engine) == ("0", "0", 0)


def test_the_last_billionth_fits_and_one_more_does_not(costs: SqlCostBook) -> None:
    assert reserved(costs, "a", "0.049999999") is None
    assert reserved(costs, "b", "0.000000002") is not None
    assert reserved(costs, "c", "0.000000001") is None
    assert costs.left(budget()) == 0
    assert reserved(costs, "d", "0.000000001") is not None


def test_the_day_stops_a_decision_that_has_money_left(costs: SqlCostBook) -> None:
    small = budget("desk/2026-11-20/09:30", day_usd="0.06")
    assert reserved(costs, "a", "0.04", small) is None
    refusal = reserved(costs, "b", "0.04", budget("desk/2026-11-20/10:30", day_usd="0.06"))
    assert refusal is not None
    assert refusal.pocket == DAY_POCKET


def test_a_new_day_has_new_money(costs: SqlCostBook) -> None:
    assert reserved(costs, "a", "0.05", budget(day_usd="0.05")) is None
    tomorrow = budget("desk/2026-11-21/09:30", day_usd="0.05", day=date(2026, 11, 21))
    assert reserved(costs, "b", "0.05", tomorrow) is None


def test_a_backfill_never_takes_the_desks_money(costs: SqlCostBook, engine: sa.Engine) -> None:
    assert reserved(costs, "a", "0.05", backfill()) is None
    assert pocket(engine) == ("0", "0", 0)
    assert pocket(engine, "backfill:walk-1") == ("0", "0.05", 1)
    assert costs.left(budget()) == Decimal("0.05")


def test_a_second_backfill_may_ask_about_the_same_decision_again(costs: SqlCostBook) -> None:
    assert reserved(costs, "a", "0.05", backfill("walk-1")) is None
    assert reserved(costs, "b", "0.05", backfill("walk-1")) is not None
    assert reserved(costs, "c", "0.05", backfill("walk-2")) is None


@pytest.mark.fault(98)
def test_the_ninth_call_of_a_decision_is_not_made(costs: SqlCostBook) -> None:
    """A tool loop without end stops at the number of calls, however cheap they are."""
    for number in range(8):
        assert reserved(costs, f"c{number}", "0.000001", budget(calls_max=8)) is None
        costs.settle(f"c{number}", ended("0"), as_of=NOW)
    assert costs.left(budget(calls_max=8)) == 0
    refusal = reserved(costs, "c8", "0.000001", budget(calls_max=8))
    assert refusal is not None
    assert refusal.sentence == "decision:desk/2026-11-20/09:30 has used up its 8 calls"


def test_a_call_for_nothing_is_reserved_too_and_counts(costs: SqlCostBook, engine: sa.Engine) -> None:
    """A subscription route costs nothing a call; its number is bounded all the same."""
    assert reserved(costs, "a", "0", budget(calls_max=1)) is None
    assert reserved(costs, "b", "0", budget(calls_max=1)) is not None
    assert pocket(engine) == ("0", "0", 1)


@pytest.mark.parametrize(
    "amount", ["NaN", "sNaN", "Infinity", "-Infinity", "-0.01", "0.0000000001", "1000001", "1E-30"]
)
def test_an_amount_that_cannot_be_booked_is_never_reserved(costs: SqlCostBook, engine: sa.Engine, amount: str) -> None:
    with pytest.raises(PermanentFailure):
        reserved(costs, "a", amount)
    assert pocket(engine) == ("0", "0", 0)


@pytest.mark.parametrize(
    "pockets", [(), ("decision",), ("day",), ("decision", "day", "more"), ("decision", "decision")]
)
def test_a_budget_is_paid_from_exactly_the_pockets_of_its_names(costs: SqlCostBook, pockets: tuple[str, ...]) -> None:
    """A forgotten pocket would be a call without a cap."""
    named = {"decision": "decision:d", "day": DAY_POCKET, "more": "spare"}
    wrong = Budget("desk", "d", TODAY, tuple(Pocket(named[name], Decimal(1)) for name in pockets))
    with pytest.raises(PermanentFailure, match="exactly the pockets"):
        reserved(costs, "a", "0.01", wrong)
    with pytest.raises(PermanentFailure, match="exactly the pockets"):
        costs.left(wrong)


@pytest.mark.parametrize("cap", ["NaN", "Infinity", "-1"])
def test_a_cap_that_is_no_amount_is_refused(costs: SqlCostBook, cap: str) -> None:
    with pytest.raises(PermanentFailure, match="cap"):
        reserved(costs, "a", "0.01", budget(day_usd=cap))


def test_repeating_a_reserve_takes_nothing_more(costs: SqlCostBook, engine: sa.Engine) -> None:
    """After a commit whose outcome was unknown the same call is reserved again under its id."""
    assert [reserved(costs, "a"), reserved(costs, "a")] == [None, None]
    assert pocket(engine) == ("0", "0.02", 1)


def test_a_reservations_id_cannot_mean_two_calls(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    for amount, of in (("0.03", budget()), ("0.02", budget("desk/2026-11-20/10:30"))):
        with pytest.raises(PermanentFailure, match="another call"):
            reserved(costs, "a", amount, of)
    costs.settle("a", ended(), as_of=NOW)
    with pytest.raises(PermanentFailure, match="settled"):
        reserved(costs, "a")
    assert pocket(engine) == ("0.001", "0", 1)


@pytest.mark.parametrize("name", ["", "a/late"])
def test_a_reservation_needs_an_id_that_no_late_end_can_have(costs: SqlCostBook, name: str) -> None:
    with pytest.raises(PermanentFailure, match="id of its own"):
        reserved(costs, name)


def test_a_whole_batch_is_reserved_or_nothing_of_it(costs: SqlCostBook, engine: sa.Engine) -> None:
    wanted = [(planned(f"b{n}", backfill(decision=f"d{n}", backfill_usd="0.1")), Decimal("0.02")) for n in range(6)]
    refusal = costs.reserve_all(wanted, as_of=NOW, hold=HOLD)
    assert refusal is not None
    assert (refusal.pocket, usd(refusal.left_usd)) == ("backfill:walk-1", "0")
    assert pocket(engine, "backfill:walk-1") == ("0", "0", 0)
    assert costs.reserve_all(wanted[:5], as_of=NOW, hold=HOLD) is None
    assert costs.reserve_all(wanted[:5], as_of=NOW, hold=HOLD) is None, "a submit that is done again"
    assert pocket(engine, "backfill:walk-1") == ("0", "0.1", 5)
    assert problems(engine) == []


def test_a_batch_may_be_larger_than_a_statement_has_parameters(costs: SqlCostBook, engine: sa.Engine) -> None:
    amount = Decimal("1e-9")
    wanted = [(planned(f"b{n}", backfill(decision=f"d{n}")), amount) for n in range(12_000)]
    assert costs.reserve_all(wanted, as_of=NOW, hold=HOLD) is None
    assert costs.reserve_all(wanted, as_of=NOW, hold=HOLD) is None
    assert pocket(engine, "backfill:walk-1") == ("0", "0.000012", 12_000)


def test_an_empty_batch_needs_no_money(costs: SqlCostBook) -> None:
    assert costs.reserve_all([], as_of=NOW, hold=HOLD) is None


def test_a_batch_cannot_use_an_id_twice(costs: SqlCostBook) -> None:
    with pytest.raises(PermanentFailure, match="share"):
        costs.reserve_all([(planned("a"), ZERO), (planned("a"), ZERO)], as_of=NOW, hold=HOLD)


@pytest.mark.parametrize("hold", [timedelta(0), timedelta(seconds=-1)])
def test_a_reservation_is_held_for_some_time(costs: SqlCostBook, hold: timedelta) -> None:
    with pytest.raises(PermanentFailure, match="held"):
        costs.reserve(planned("a"), ZERO, as_of=NOW, hold=hold)


def test_a_moment_without_a_time_zone_is_refused(costs: SqlCostBook) -> None:
    with pytest.raises(PermanentFailure, match="time zone"):
        costs.reserve(planned("a"), ZERO, as_of=NOW.replace(tzinfo=None), hold=HOLD)


# Settling


def test_a_settlement_books_the_cost_and_frees_the_rest(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    costs.settle("a", ended("0.004"), as_of=NOW)
    assert pocket(engine) == ("0.004", "0", 1)
    assert costs.spent(DAY_POCKET) == Decimal("0.004")
    assert costs.left(budget()) == Decimal("0.046")


def test_the_booked_call_tells_everything(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a", of=backfill())
    costs.settle("a", ended("0.004", "malformed", error="no JSON"), as_of=NOW)
    with reading(engine) as connection:
        row = connection.execute(sa.select(t.MODEL_CALLS)).one()._asdict()
    assert row == {
        "id": 1,
        "reservation": "a",
        "at": "2026-11-20T14:30:00.000000+00:00",
        "day": TODAY,
        "lane": "backtest",
        "decision": "backtest/2012-03-01/briefs",
        "backfill": "walk-1",
        "skill": "technical",
        "skill_hash": "5" * 64,
        "route": "anthropic",
        "model": "anthropic-small",
        "outcome": "malformed",
        "input_tokens": 6000,
        "cached_tokens": 4500,
        "output_tokens": 1000,
        "cost": Decimal("0.004"),
        "shadow_cost": Decimal(0),
        "latency_ms": 900,
        "answer_key": "key-of-a",
        "error": "no JSON",
    }


def test_settling_twice_changes_nothing(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    for cost in ("0.004", "0.004", "0.009"):
        costs.settle("a", ended(cost), as_of=NOW)
    assert booked(engine) == [("a", "ok", "0.004")]
    assert pocket(engine) == ("0.004", "0", 1)


def test_a_call_that_cost_more_than_its_reserve_is_booked_in_full(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    costs.settle("a", ended("0.07"), as_of=NOW)
    assert pocket(engine) == ("0.07", "0", 1)
    assert costs.left(budget()) == 0
    refusal = reserved(costs, "b", "0")
    assert refusal is not None, "an overdrawn pocket gives nothing, not even a call for nothing"
    assert refusal.left_usd == 0


def test_what_was_never_reserved_cannot_be_settled(costs: SqlCostBook, engine: sa.Engine) -> None:
    with pytest.raises(PermanentFailure, match="nothing was reserved"):
        costs.settle("a", ended(), as_of=NOW)
    assert booked(engine) == []


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-0.001", "0.0000000001"])
def test_a_cost_that_cannot_be_booked_leaves_the_reserve_standing(
    costs: SqlCostBook, engine: sa.Engine, cost: str
) -> None:
    reserved(costs, "a")
    with pytest.raises(PermanentFailure):
        costs.settle("a", ended(cost), as_of=NOW)
    assert pocket(engine) == ("0", "0.02", 1)


@pytest.mark.parametrize("usage", [Usage(-1), Usage(1, -1), Usage(1, 0, -1), Usage(2**31)])
def test_impossible_tokens_are_refused(costs: SqlCostBook, usage: Usage) -> None:
    reserved(costs, "a")
    with pytest.raises(PermanentFailure, match="tokens"):
        costs.settle("a", ended(usage=usage), as_of=NOW)


@pytest.mark.parametrize(
    "error", ["nul \x00 inside", "half \ud800 a character", "x" * 50_000, "zero\u200bwidth \u202e"]
)
def test_whatever_a_server_says_in_an_error_can_be_stored(costs: SqlCostBook, engine: sa.Engine, error: str) -> None:
    reserved(costs, "a")
    costs.settle("a", ended(outcome="server_error", error=error), as_of=NOW)
    with reading(engine) as connection:
        stored = str(connection.execute(sa.select(t.MODEL_CALLS.c.error)).scalar_one())
    assert len(stored) <= 8_000
    assert stored[:3] == error[:3]


# Calls whose process died


@pytest.mark.fault(90)
def test_a_call_that_nobody_settles_counts_as_spent(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    assert costs.sweep(as_of=NOW + HOLD - timedelta(microseconds=1)) == 0
    assert costs.sweep(as_of=NOW + HOLD) == 1
    assert costs.sweep(as_of=LATER) == 0
    assert booked(engine) == [("a", "lost", "0.02")]
    assert pocket(engine) == ("0.02", "0", 1)


def test_a_sweep_takes_only_what_is_overdue(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "old")
    costs.reserve(planned("young"), Decimal("0.01"), as_of=NOW + HOLD, hold=HOLD)
    assert costs.sweep(as_of=LATER) == 1
    assert pocket(engine) == ("0.02", "0.01", 2)


def test_holds_are_compared_as_instants_whatever_zone_they_were_told_in(costs: SqlCostBook) -> None:
    east = timezone(timedelta(hours=9))
    costs.reserve(planned("a"), Decimal("0.01"), as_of=NOW.astimezone(east), hold=HOLD)
    assert costs.sweep(as_of=NOW + timedelta(seconds=1)) == 0
    assert costs.sweep(as_of=LATER.astimezone(timezone(timedelta(hours=-5)))) == 1


@pytest.mark.parametrize(("cost", "excess"), [("0.005", "0"), ("0.02", "0"), ("0.03", "0.01")])
def test_a_late_end_is_told_and_never_counted_twice(
    costs: SqlCostBook, engine: sa.Engine, cost: str, excess: str
) -> None:
    """The lost call keeps its whole reserve; only what exceeds it is added: the sum is the greater of the two."""
    reserved(costs, "a")
    costs.sweep(as_of=LATER)
    for _ in range(3):
        costs.settle("a", ended(cost), as_of=LATER)
    assert booked(engine) == [("a", "lost", "0.02"), ("a/late", "ok", excess)]
    assert pocket(engine) == (usd(max(Decimal("0.02"), Decimal(cost))), "0", 1)
    assert problems(engine) == []


def test_a_late_end_tells_what_the_call_really_cost(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    costs.sweep(as_of=LATER)
    costs.settle("a", ended("0.005", "timeout", error="60 s"), as_of=LATER)
    with reading(engine) as connection:
        lost, late = connection.execute(sa.select(t.MODEL_CALLS).order_by(t.MODEL_CALLS.c.id)).all()
    assert lost.error == SWEPT
    assert "cost 0.005 USD" in late.error
    assert late.error.endswith("; 60 s")
    assert (late.outcome, late.input_tokens, late.decision) == ("timeout", 6000, lost.decision)


def test_a_caller_that_books_its_call_as_lost_has_settled_it(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    costs.settle("a", ended("0.02", "lost", error="cancelled"), as_of=NOW)
    costs.settle("a", ended("0.01"), as_of=NOW)
    assert booked(engine) == [("a", "lost", "0.02")]


# All at once


def test_finish_books_keeps_and_counts_in_one_transaction(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    done = Counted("technical", "anthropic", TODAY, answers=1, cost_usd=Decimal("0.001"), latency_ms=900)
    commits: list[object] = []
    sa.event.listen(engine, "commit", commits.append)
    standing = costs.finish("a", ended(), as_of=NOW, answer=answer(), counted=done)
    assert len(commits) == 1
    assert standing == answer()
    assert SqlAgentHealth(engine).between(TODAY, TODAY) == [done]
    assert pocket(engine) == ("0.001", "0", 1)


def test_finishing_twice_counts_once_and_the_first_answer_stands(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    done = Counted("technical", "anthropic", TODAY, answers=1)
    costs.finish("a", ended(), as_of=NOW, answer=answer(), counted=done)
    other = answer(response='{"signal":-1}')
    assert costs.finish("a", ended(), as_of=NOW, answer=other, counted=done) == answer()
    assert SqlAgentHealth(engine).between(TODAY, TODAY) == [done]


def test_finish_without_an_answer_only_books(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    assert costs.finish("a", ended(outcome="refused"), as_of=NOW) is None
    assert booked(engine) == [("a", "refused", "0.001")]


# A ledger that cannot be written


@pytest.mark.fault(15)
def test_a_locked_ledger_reserves_nothing_and_says_so_in_time(path: Path) -> None:
    """No commit, no call."""
    engine = open_ledger(path, durability="FULL", busy_timeout_ms=50)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TransientFailure):
        reserved(SqlCostBook(engine), "a")
    other.rollback()
    assert pocket(engine) == ("0", "0", 0)


def test_a_settlement_that_fails_half_way_changes_nothing(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    damaged = answer("k1")
    costs.finish("a", ended(), as_of=NOW, answer=damaged)
    with engine.begin() as connection:
        unguarded(connection, "answers")
        connection.execute(t.ANSWERS.update().values(response="{}"))
    reserved(costs, "b")
    before = pocket(engine)
    with pytest.raises(PermanentFailure, match="damaged"):
        costs.finish("b", ended(), as_of=NOW, answer=answer("k1"))
    assert pocket(engine) == before
    assert len(booked(engine)) == 1


# The port


def test_every_refusal_of_the_book_is_one_of_the_desks_errors(costs: SqlCostBook) -> None:
    with pytest.raises(DeskError, match="next: reserve, call, settle"):
        costs.settle("nothing", ended(), as_of=NOW)


def test_the_cost_book_is_the_port(engine: sa.Engine) -> None:
    book: CostBook = SqlCostBook(engine)
    assert book.left(budget(decision_usd=PLENTY)) == 5
