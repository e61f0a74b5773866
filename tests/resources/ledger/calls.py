"""Budgets, calls and their ends that the tests of the cost book use, and what other processes do with one."""

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.answers import SqlAnswerBook
from resources.ledger.breakers import SqlBreakers
from resources.ledger.costs import PocketState, SqlCostBook, disagreements
from resources.ledger.engine import open_ledger, reading
from resources.ledger.records import Counted, SqlAgentHealth
from resources.ledger.state import AppState, Leases
from tests.resources.ledger.entries import place, said, say, say_failure
from trading_assets.core.errors import TransientFailure
from trading_assets.reasoning.model import Budget, Outcome, Pocket, Usage
from trading_assets.reasoning.ports import AnswerRecord, BreakerPolicy, FinishedCall, PlannedCall

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
TODAY = date(2026, 11, 20)
HOLD = timedelta(seconds=90)
DAY_POCKET = "day:desk:2026-11-20"
ZERO = Decimal(0)
PLENTY = "1000"
T = TypeVar("T")
CALLS = "from tests.resources.ledger.calls import *; "
POLICY = BreakerPolicy()


def budget(
    decision: str = "desk/2026-11-20/09:30",
    *,
    decision_usd: str = "0.05",
    day_usd: str = "5",
    calls_max: int | None = None,
    day: date = TODAY,
) -> Budget:
    """The desk's two pockets with caps as text."""
    of_decision = Pocket(f"decision:{decision}", Decimal(decision_usd), calls_max)
    return Budget("desk", decision, day, (of_decision, Pocket(f"day:desk:{day}", Decimal(day_usd))))


def backfill(name: str = "walk-1", decision: str = "backtest/2012-03-01/briefs", *, backfill_usd: str = "20") -> Budget:
    """A backfill's two pockets."""
    pockets = (
        Pocket(f"decision:{decision}@{name}", Decimal("0.05")),
        Pocket(f"backfill:{name}", Decimal(backfill_usd)),
    )
    return Budget("backtest", decision, TODAY, pockets, name)


def planned(
    reservation: str, of: Budget | None = None, *, route: str = "anthropic", skill: str = "technical"
) -> PlannedCall:
    """A call that is about to be made."""
    return PlannedCall(reservation, of or budget(), skill, "5" * 64, route, f"{route}-small", f"key-of-{reservation}")


def ended(cost: str = "0.001", outcome: Outcome = "ok", *, usage: Usage | None = None, error: str = "") -> FinishedCall:
    """How a call ended."""
    return FinishedCall(outcome, usage or Usage(6_000, 4_500, 1_000), Decimal(cost), ZERO, 900, error)


def answer(key: str = "k1", response: str = '{"signal":1}') -> AnswerRecord:
    """A recorded answer."""
    return AnswerRecord(key, "anthropic", "small", "technical", "5" * 64, '{"symbol":"AAA"}', response)


def pocket(engine: sa.Engine, name: str = DAY_POCKET) -> tuple[str, str, int]:
    """Spent, reserved and calls of a pocket, amounts as text without needless zeros."""
    state: PocketState = SqlCostBook(engine).pocket(name)
    return usd(state.spent_usd), usd(state.reserved_usd), state.calls


def usd(amount: Decimal) -> str:
    """Without needless zeros."""
    return f"{amount.normalize():f}"


def booked(engine: sa.Engine) -> list[tuple[str, str, str]]:
    """Reservation, outcome and cost of every booked call."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(t.MODEL_CALLS).order_by(t.MODEL_CALLS.c.id)).all()
    return [(row.reservation, row.outcome, usd(row.cost)) for row in rows]


def problems(engine: sa.Engine) -> list[str]:
    """Pockets that are not the sum of their calls."""
    with reading(engine) as connection:
        return list(disagreements(connection))


def unguarded(connection: sa.Connection, table: str) -> None:
    """Drops the triggers that keep history as it is."""
    if connection.dialect.name == "sqlite":
        for (name,) in connection.exec_driver_sql("select name from sqlite_master where type = 'trigger'").all():
            connection.exec_driver_sql(f'drop trigger "{name}"')
    else:
        connection.exec_driver_sql(f'alter table "{table}" disable trigger user')


def ledger_of(where: str | Path) -> sa.Engine:
    """A ledger, as another process opens it that can wait: a busy machine must not decide how a race ends."""
    return open_ledger(place(where), durability="FULL", busy_timeout_ms=60_000)


def book_at(where: str | Path) -> SqlCostBook:
    """The cost book of a ledger, as another process opens it."""
    return SqlCostBook(ledger_of(where))


def patiently(action: Callable[[], T]) -> T:
    """The action's result, however often the ledger asks to come again later; for what may be done twice."""
    while True:
        try:
            return action()
        except TransientFailure:
            continue


def processes(*jobs: tuple[object, ...]) -> list[Any]:
    """What the jobs (a function's name here, its arguments) answered, each in a process of its own; all begin at one moment."""
    (line,) = said(CALLS + "crowd(*sys.argv[1:])", *(json.dumps(job, default=str) for job in jobs))
    told = json.loads(line)
    if told["codes"] != [0] * len(jobs):
        raise AssertionError(told)
    return list(told["answers"])


def crowd(*jobs: str) -> None:
    """Runs each job (a JSON list of a function's name here and its arguments) in a process of its own, all from one moment on.

    Each job is a generator: what comes before its first `yield` is done before that moment. Prints what each returned, as JSON.
    """
    gate, opener = os.pipe()
    ready, begun = os.pipe()
    told = []
    for job in map(json.loads, jobs):
        back, said = os.pipe()
        if os.fork() == 0:
            os.close(opener)
            _take_part(globals()[job[0]](*job[1:]), gate, begun, said)
        os.close(said)
        told.append(back)
    for _ in jobs:
        os.read(ready, 1)
    os.close(opener)
    answers = [json.loads(os.fdopen(back).read() or "null") for back in told]
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in jobs]
    say(json.dumps({"answers": answers, "codes": sorted(codes)}))


def _take_part(work: Iterator[object], gate: int, begun: int, said: int) -> NoReturn:
    code = 1
    try:
        try:
            next(work)
        finally:
            os.write(begun, b".")
        os.read(gate, 1)
        os.write(said, json.dumps(next(work)).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - a part of a crowd must not go on with its parent's work
        traceback.print_exc()
    finally:
        os._exit(code)


def hammer(where: str, worker: str, calls: int, cap_usd: str) -> Iterator[object]:
    """Reserves and settles against one pocket; says what was granted and what was really spent, in billionths."""
    book, chance = book_at(where), random.Random(worker)
    yield None
    granted = spent = 0
    for number in range(calls):
        name = f"{worker}-{number}"
        reserved = Decimal(chance.randrange(1, 9_000_000)).scaleb(-9)
        call = planned(name, budget(decision_usd=PLENTY, day_usd=cap_usd))
        if book.reserve(call, reserved, as_of=NOW, hold=HOLD) is not None:
            continue
        granted += 1
        cost = reserved * chance.randrange(0, 101) / 100
        cost = cost.quantize(Decimal("1e-9"))
        book.settle(name, ended(str(cost)), as_of=NOW)
        spent += int(cost.scaleb(9))
    yield granted, spent


def grab(where: str, worker: str, calls: int, cap_usd: str) -> Iterator[object]:
    """Reserves one cent at a time and never settles; says how often it got one."""
    book = book_at(where)
    yield None
    of = budget(decision_usd=PLENTY, day_usd=cap_usd)
    wanted = [planned(f"{worker}-{number}", of) for number in range(calls)]
    yield sum(book.reserve(call, Decimal("0.01"), as_of=NOW, hold=HOLD) is None for call in wanted)


def settle_same(where: str, reservations: int, cost: str) -> Iterator[object]:
    """Settles the same reservations as other processes do."""
    book = book_at(where)
    yield None
    for number in range(reservations):
        book.settle(f"shared-{number}", ended(cost), as_of=NOW)
    yield "done"


def sweep_now(where: str, after_s: float) -> Iterator[object]:
    """Sweeps while others settle; says how many it booked as lost."""
    book = book_at(where)
    yield None
    yield sum(book.sweep(as_of=NOW + timedelta(seconds=after_s)) for _ in range(20))


def try_route(where: str, route: str, seconds: float) -> Iterator[object]:
    """Asks the breaker for the gate; says what it got."""
    breakers = SqlBreakers(ledger_of(where))
    yield None
    yield breakers.acquire(route, POLICY, as_of=NOW + timedelta(seconds=seconds))


def fail_route(where: str, route: str, times: int) -> Iterator[object]:
    """Fails a route again and again."""
    breakers = SqlBreakers(ledger_of(where))
    yield None
    for _ in range(times):
        breakers.failed(route, POLICY, "500", as_of=NOW)
    yield times


def add_to_health(where: str, times: int) -> Iterator[object]:
    """Counts one answer again and again."""
    health = SqlAgentHealth(ledger_of(where))
    yield None
    for _ in range(times):
        health.add([Counted("technical", "anthropic", TODAY, answers=1, cost_usd=Decimal("1e-9"))], as_of=NOW)
    yield times


def raise_value(where: str, times: int) -> Iterator[object]:
    """Adds one to a number by compare-and-set; says how often it had to try again."""
    state = AppState(ledger_of(where))
    yield None
    lost = 0
    for _ in range(times):
        while True:
            seen = state.get("number")
            if state.compare_and_set("number", seen, str(int(seen or 0) + 1), as_of=NOW):
                break
            lost += 1
    yield lost


def take_lease(where: str, holder: str, seconds: float) -> Iterator[object]:
    """Tries to get the lease `gateway`; says the token, or None."""
    leases = Leases(ledger_of(where))
    yield None
    lease = leases.acquire("gateway", holder, as_of=NOW + timedelta(seconds=seconds), ttl=timedelta(seconds=10))
    yield None if lease is None else lease.token


def write_when_told(where: str) -> None:
    """Takes the lease, is told to write, and writes at the moment that it read before."""
    leases = Leases(ledger_of(where))
    lease = leases.acquire("gateway", "paused", as_of=NOW, ttl=timedelta(seconds=10))
    say("held")
    sys.stdin.readline()

    def write() -> None:
        if lease is not None:
            with leases.guarded(lease, as_of=NOW) as connection:
                connection.exec_driver_sql("update app_state set value = 'paused' where key = 'by'")

    say_failure(write)


def keep_first_answer(where: str, response: str) -> Iterator[object]:
    """Keeps an answer of its own under a key that others use too; says which response stands."""
    answers = SqlAnswerBook(ledger_of(where))
    yield None
    yield answers.keep_first(answer("shared", response), as_of=NOW).response


def reserve_and_die(where: str, reservation: str) -> None:
    """Reserves two cents and dies by SIGKILL in the middle of its call."""
    refused = book_at(where).reserve(planned(reservation), Decimal("0.02"), as_of=NOW, hold=HOLD)
    say(refused)
    os.kill(os.getpid(), signal.SIGKILL)


def settle_and_die_everywhere(where: str, statements: int) -> None:
    """For each number n, a process settles the reservation `a<n>` and is killed before its n-th statement; 0: at the commit."""
    for statement in range(int(statements)):
        if os.fork() == 0:
            _settle_and_die_at(where, statement)
            os._exit(0)
        os.wait()


def _settle_and_die_at(where: str, statement: int) -> None:
    engine = ledger_of(where)
    seen = 0

    def before(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def at_commit(_: object) -> None:
        if statement == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "commit", at_commit)
    SqlCostBook(engine).settle(f"a{statement}", ended(), as_of=NOW)
