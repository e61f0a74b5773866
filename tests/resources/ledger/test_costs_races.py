"""Money for models, many callers at once: threads, processes, and processes that die in the middle."""

import random
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.costs import SqlCostBook
from tests.resources.ledger.calls import (
    CALLS,
    DAY_POCKET,
    HOLD,
    NOW,
    PLENTY,
    booked,
    budget,
    ended,
    patiently,
    planned,
    pocket,
    problems,
    processes,
)
from tests.resources.ledger.entries import python, said
from trading_assets.reasoning.ports import OverBudget

CENT = Decimal("0.01")


def together(workers: Sequence[Callable[[], None]]) -> None:
    """Runs all of them in threads that begin at one moment; what one raises is raised."""
    gate, failures = threading.Barrier(len(workers)), list[BaseException]()

    def begun(work: Callable[[], None]) -> None:
        gate.wait()
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - told below
            failures.append(failure)

    threads = [threading.Thread(target=begun, args=(work,)) for work in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.fault(98)
def test_thirty_two_threads_never_exceed_a_pocket(engine: sa.Engine) -> None:
    """Each wants more than is there: exactly the whole pocket is given, to the cent."""
    costs, granted = SqlCostBook(engine), list[str]()
    of = budget(decision_usd=PLENTY, day_usd="0.4")

    def grab(worker: int) -> None:
        for number in range(3):
            call = planned(f"{worker}-{number}", of)
            if patiently(partial(costs.reserve, call, CENT, as_of=NOW, hold=HOLD)) is None:
                granted.append(call.reservation)

    together([lambda worker=worker: grab(worker) for worker in range(32)])  # type: ignore[misc]
    assert len(granted) == len(set(granted)) == 40
    assert pocket(engine) == ("0", "0.4", 40)
    assert problems(engine) == []


def test_threads_that_reserve_settle_and_sweep_keep_every_sum(engine: sa.Engine) -> None:
    costs, seen = SqlCostBook(engine), list[Decimal]()
    of = budget(decision_usd=PLENTY, day_usd="0.1")

    def work(worker: int) -> None:
        chance = random.Random(worker)
        for number in range(6):
            call, end = planned(f"{worker}-{number}", of), chance.random()
            if patiently(partial(costs.reserve, call, CENT, as_of=NOW, hold=HOLD)) is not None:
                continue
            if end < 0.6:
                patiently(partial(costs.settle, call.reservation, ended("0.000000001"), as_of=NOW))
            elif end < 0.8:
                patiently(lambda: costs.sweep(as_of=NOW + HOLD))
                patiently(partial(costs.settle, call.reservation, ended("0.005"), as_of=NOW))
            state = patiently(lambda: costs.pocket(DAY_POCKET))
            seen.append(state.spent_usd + state.reserved_usd)

    together([lambda worker=worker: work(worker) for worker in range(16)])  # type: ignore[misc]
    assert max(seen) <= Decimal("0.1")
    assert problems(engine) == []


@pytest.mark.fault(98)
def test_eight_processes_never_exceed_a_pocket(engine: sa.Engine, ledger_where: Path | str) -> None:
    granted = processes(*(("grab", ledger_where, f"p{n}", 12, "0.5") for n in range(8)))
    assert sum(granted) == 50
    assert pocket(engine) == ("0", "0.5", 50)


def test_eight_processes_book_what_they_spent_to_the_billionth(engine: sa.Engine, ledger_where: Path | str) -> None:
    answers = processes(*(("hammer", ledger_where, f"p{n}", 20, "0.3") for n in range(8)))
    granted, spent = (sum(each) for each in zip(*answers, strict=True))
    state = SqlCostBook(engine).pocket(DAY_POCKET)
    assert (int(state.spent_usd.scaleb(9)), state.calls) == (spent, granted)
    assert state.reserved_usd == 0
    assert state.spent_usd <= Decimal("0.3")
    assert problems(engine) == []


def test_a_reservation_settled_by_four_processes_at_once_is_booked_once(
    engine: sa.Engine, ledger_where: Path | str
) -> None:
    costs = SqlCostBook(engine)
    for number in range(10):
        costs.reserve(planned(f"shared-{number}"), Decimal("0.005"), as_of=NOW, hold=HOLD)
    assert processes(*(("settle_same", ledger_where, 10, f"0.00{n + 1}") for n in range(4))) == ["done"] * 4
    calls = booked(engine)
    assert sorted(name for name, _, _ in calls) == [f"shared-{number}" for number in range(10)]
    assert pocket(engine)[1:] == ("0", 10)
    assert problems(engine) == []


def test_a_sweep_that_races_with_settlements_counts_no_call_twice(engine: sa.Engine, ledger_where: Path | str) -> None:
    """Whoever comes first, each call costs its real price or its reserve, and one row tells each of both."""
    costs = SqlCostBook(engine)
    for number in range(20):
        costs.reserve(planned(f"shared-{number}"), Decimal("0.002"), as_of=NOW, hold=HOLD)
    sweep = ("sweep_now", ledger_where, HOLD.total_seconds())
    *swept, _ = processes(sweep, sweep, ("settle_same", ledger_where, 20, "0.001"))
    lost = sum(swept)
    outcomes = [(name.endswith("/late"), outcome) for name, outcome, _ in booked(engine)]
    assert outcomes.count((False, "lost")) == lost == outcomes.count((True, "ok"))
    assert outcomes.count((False, "ok")) == 20 - lost
    spent = lost * Decimal("0.002") + (20 - lost) * Decimal("0.001")
    assert SqlCostBook(engine).spent(DAY_POCKET) == spent
    assert problems(engine) == []


# Death


@pytest.mark.fault(98)
def test_a_process_killed_during_its_call_has_spent_its_reserve(engine: sa.Engine, ledger_where: Path | str) -> None:
    killed = python(CALLS + "reserve_and_die(*sys.argv[1:])", ledger_where, "a")
    assert killed.communicate()[0] == "None\n"
    assert killed.returncode == -signal.SIGKILL
    costs = SqlCostBook(engine)
    assert costs.left(budget()) == Decimal("0.03"), "not free before its hold is over"
    assert costs.sweep(as_of=NOW + HOLD) == 1
    assert costs.left(budget()) == Decimal("0.03"), "nor after it"
    assert booked(engine) == [("a", "lost", "0.02")]


def test_a_settlement_killed_at_any_statement_happened_wholly_or_not_at_all(
    engine: sa.Engine, ledger_where: Path | str
) -> None:
    costs, statements = SqlCostBook(engine), 12
    for number in range(statements):
        of = budget(f"desk/{number}")
        costs.reserve(planned(f"a{number}", of), Decimal("0.02"), as_of=NOW, hold=HOLD)
    said(CALLS + "settle_and_die_everywhere(*sys.argv[1:])", ledger_where, statements)
    assert problems(engine) == []
    survived = {name for name, _, _ in booked(engine)}
    assert "a0" not in survived
    assert "a1" not in survived
    assert "a11" in survived, "a settlement has fewer statements than that"
    for number in range(statements):
        costs.settle(f"a{number}", ended(), as_of=NOW)
    assert sorted(booked(engine)) == sorted((f"a{number}", "ok", "0.001") for number in range(statements))
    assert pocket(engine) == ("0.012", "0", 12)


def test_the_money_of_a_killed_process_comes_back_only_as_a_booked_call(engine: sa.Engine) -> None:
    """Sweeping again and again, at any later moment, never frees a cent."""
    costs = SqlCostBook(engine)
    wanted = [planned(f"c{number}") for number in range(5)]
    refused = [costs.reserve(call, CENT, as_of=NOW, hold=HOLD) for call in wanted]
    assert refused == [None] * 5
    for days in range(4):
        costs.sweep(as_of=NOW + timedelta(days=days))
    again = costs.reserve(planned("more"), Decimal("1e-9"), as_of=NOW, hold=HOLD)
    assert isinstance(again, OverBudget)
