"""Money that is not there, and a ledger that cannot book it: the next cheaper model, then the rules, or no call at all."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.costs import SqlCostBook
from resources.ledger.engine import open_ledger, reading
from tests.llm.actions import Action, answer, failing, hang, prose, refusal, truncated
from tests.llm.desks import (
    CHEAP,
    DAY,
    GOOD,
    JUDGE,
    LUNA,
    MUTE,
    NOON,
    SOL,
    STANDARD,
    STRONG,
    TERRA,
    Desk,
    answered,
    long_answer,
    number_in,
    seen,
    write_skill,
)
from tests.llm.server import ModelServer, Request
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure
from trading_assets.reasoning.budgets import pocket_names
from trading_assets.reasoning.model import Abstention, Answer

PROJECT = Path(__file__).parents[2]
MILLION = Decimal(1_000_000)


# Before the call


def test_the_answer_may_be_no_longer_than_the_money_lasts(desk: Desk) -> None:
    write_skill(desk.folder, tier="standard")
    desk.budget = {"decision_usd": 0.02}
    desk.server.script("anthropic", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert said.model == STANDARD
    tokens_max = desk.server.log[0].body["max_tokens"]
    assert 300 <= tokens_max < 2000
    assert tokens_max * 10 / MILLION < Decimal("0.02")


def test_a_model_that_the_money_does_not_last_for_gives_way_to_a_cheaper_one(desk: Desk) -> None:
    write_skill(desk.folder, tier="strong")
    desk.budget = {"decision_usd": 0.002}
    desk.server.script("anthropic", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert said.model == CHEAP
    passed = [(attempt.model, attempt.reason.split(":")[0]) for attempt in said.failed]
    assert passed == [(STRONG, "budget"), (SOL, "budget"), (STANDARD, "budget"), (TERRA, "budget")]
    assert [request.model for request in desk.server.log] == [CHEAP]


def test_the_skills_own_cap_holds_over_all_its_requests(desk: Desk) -> None:
    write_skill(desk.folder, tier="standard", cap_usd="0.015")
    desk.server.script("anthropic", replace(answer({**GOOD, "signal": 9}), input_tokens=1500, output_tokens=900))
    desk.server.script("openai", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert desk.server.log[0].body["max_tokens"] * 10 / MILLION < Decimal("0.015")
    assert desk.server.log[0].model == STANDARD
    assert said.cost_usd <= Decimal("0.015")


@pytest.mark.fault(98)
def test_a_decision_makes_at_most_its_number_of_calls(any_desk: Desk) -> None:
    any_desk.budget = {"calls_per_decision_max": 8}
    any_desk.server.script("anthropic", prose())
    any_desk.server.script("openai", prose())
    reasoner = any_desk.reasoner()
    said = [reasoner.ask(JUDGE, seen(n), budget=any_desk.desk_money("one"), as_of=NOON) for n in range(6)]
    assert {answered(one).route for one in said} == {"rules"}
    assert len(any_desk.server.log) == 8
    assert (
        "has used up its 8 calls" in answered(said[-1]).failed[0].reason
        or "0 USD" in answered(said[-1]).failed[0].reason
    )
    any_desk.check()


@pytest.mark.fault(98)
def test_a_day_that_is_spent_leaves_the_rules_and_the_next_day_begins_anew(desk: Desk) -> None:
    desk.budget = {"day_usd": 0.002}
    desk.server.script("anthropic", long_answer(2000))
    reasoner = desk.reasoner()
    routes = [
        answered(reasoner.ask(JUDGE, seen(n), budget=desk.desk_money(f"d{n}"), as_of=NOON)).route for n in range(5)
    ]
    assert routes[0] == "anthropic"
    assert routes[-1] == "rules"
    assert desk.booked() <= Decimal("0.002")
    tomorrow = replace(desk.desk_money("d9"), day=DAY.replace(day=21))
    names = pocket_names(lane="desk", decision="d9", day=tomorrow.day, backfill="")
    tomorrow = replace(
        tomorrow, pockets=tuple(replace(p, name=n) for p, n in zip(tomorrow.pockets, names, strict=True))
    )
    assert answered(reasoner.ask(JUDGE, seen(9), budget=tomorrow, as_of=NOON)).route == "anthropic"


def test_a_model_without_a_price_is_never_asked_and_never_free(desk: Desk) -> None:
    desk.models = {"anthropic": {"cheap": "claude-future-9"}}
    desk.server.script("openai", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (said.route, said.failed[0].reason) == ("openai", "the price is unknown")
    assert desk.server.asked("anthropic") == []


@pytest.mark.fault(98)
def test_questions_at_once_never_spend_more_than_a_pocket_holds(any_desk: Desk) -> None:
    any_desk.budget = {"day_usd": 0.01, "calls_per_decision_max": 100}
    any_desk.server.script("anthropic", long_answer(1900))
    reasoner = any_desk.reasoner(in_flight_max=16)
    budgets = [any_desk.desk_money(f"d{n}") for n in range(40)]
    said = reasoner.ask_many(JUDGE, [seen(n) for n in range(40)], budget=budgets, as_of=[NOON] * 40)
    routes = [answered(one).route for one in said]
    assert {"anthropic", "rules"} <= set(routes)
    assert any_desk.booked() <= Decimal("0.01")
    assert any_desk.booked() == any_desk.server.charged
    any_desk.check()


# In mid-decision


def test_money_that_goes_in_mid_decision_leads_to_a_cheaper_model_then_to_the_rules(desk: Desk) -> None:
    write_skill(desk.folder, tier="standard")
    desk.budget = {"decision_usd": 0.03, "calls_per_decision_max": 50}
    desk.server.script("anthropic", long_answer(700))
    reasoner = desk.reasoner()
    said = [answered(reasoner.ask(JUDGE, seen(n), budget=desk.desk_money("one"), as_of=NOON)) for n in range(40)]
    seen_models = [one.model for one in said]
    assert seen_models[0] == STANDARD
    assert CHEAP in seen_models
    assert seen_models.index(CHEAP) > 0
    assert desk.booked() <= Decimal("0.03")
    assert desk.booked() == sum((one.cost_usd for one in said), Decimal(0))


def test_the_price_of_every_failed_attempt_is_part_of_what_the_question_cost(any_desk: Desk) -> None:
    any_desk.server.script("anthropic", replace(refusal(), input_tokens=1000, output_tokens=10))
    any_desk.server.script("openai", replace(prose(), input_tokens=900, output_tokens=20))
    said = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert said.route == "rules"
    assert said.cost_usd == any_desk.booked() == any_desk.server.charged > 0
    assert any_desk.outcomes() == [(CHEAP, "refused"), (LUNA, "malformed"), (LUNA, "malformed")]


def test_a_whole_day_of_mixed_outcomes_equals_the_servers_bill(any_desk: Desk) -> None:
    count = 150 if any_desk.engine.dialect.name == "sqlite" else 50

    def moody(request: Request) -> Action:
        number = number_in(request)
        mood = number * 2_654_435_761 % 100
        told = 900 + number, 100 + number % 500
        good = answer(GOOD, input_tokens=told[0], cached_tokens=number % 700, output_tokens=told[1])
        for limit, action in (
            (6, prose()), (10, refusal()), (14, truncated()), (18, failing("rate_limited")),
            (22, failing("overloaded")), (26, failing("server_error")), (30, failing("bad_request")),
        ):  # fmt: skip
            if mood < limit:
                return action if action.trouble else replace(action, input_tokens=told[0], output_tokens=told[1])
        return replace(good, written_tokens=number % 150)

    any_desk.server.script("anthropic", moody)
    any_desk.server.script("openai", moody)
    any_desk.breaker = {"failures_max": 20, "cooldown_s": 0.001}
    any_desk.budget = {"day_usd": 100.0}
    budgets = [any_desk.desk_money(f"d{n}") for n in range(count)]
    said = any_desk.reasoner(in_flight_max=16).ask_many(
        JUDGE, [seen(n) for n in range(count)], budget=budgets, as_of=[NOON] * count
    )
    assert len({outcome for _, outcome in any_desk.outcomes()}) >= 5
    assert any_desk.booked() - any_desk.server.charged < Decimal("0.000000001") * len(any_desk.calls())
    assert any_desk.booked() >= any_desk.server.charged
    assert sum((answered(one).cost_usd for one in said), Decimal(0)) == any_desk.booked()
    any_desk.check()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cap=st.integers(1, 60), sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=6))
def test_no_sequence_of_questions_spends_more_than_its_decision_may(desk: Desk, cap: int, sizes: list[int]) -> None:
    """Answers are as long as they may be, never longer: a real server stops at max_tokens."""

    def sized(request: Request) -> Action:
        return long_answer(sizes[number_in(request) % len(sizes)])(request)

    desk.server.script("anthropic", sized)
    name = f"cap{cap}-{hash(tuple(sizes))}"
    desk.budget = {"decision_usd": cap / 10_000, "calls_per_decision_max": 50}
    reasoner = desk.reasoner()
    base = abs(hash((cap, tuple(sizes)))) % 10**9
    for position in range(len(sizes)):
        reasoner.ask(JUDGE, seen(base + position), budget=desk.desk_money(name), as_of=NOON)
    reasoner.close()
    spent = SqlCostBook(desk.engine).spent(f"decision:{name}")
    assert spent <= Decimal(cap) / 10_000
    desk.check()


# A ledger that cannot be written


@contextmanager
def locked(engine: sa.Engine) -> Iterator[None]:
    """Another connection holds the file."""
    with engine.connect() as connection:
        path = connection.exec_driver_sql("PRAGMA database_list").first()
        connection.rollback()
    assert path is not None
    other = sqlite3.connect(path[2], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


@pytest.mark.fault(15)
def test_with_a_locked_ledger_no_call_is_made_and_the_failure_says_why(models: ModelServer, tmp_path: Path) -> None:
    engine = open_ledger(tmp_path / "l.sqlite", durability="FULL", busy_timeout_ms=50)
    desk = Desk(engine, models, tmp_path / "skills")
    reasoner = desk.reasoner()
    with locked(engine), pytest.raises(TransientFailure, match="locked"):
        reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert models.log == []
    models.script("anthropic", answer(GOOD))
    assert answered(reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).route == "anthropic"
    desk.close()


@pytest.mark.fault(15)
def test_a_ledger_locked_while_the_model_answers_keeps_the_money_reserved_and_loses_no_call(
    models: ModelServer, tmp_path: Path
) -> None:
    engine = open_ledger(tmp_path / "l.sqlite", durability="FULL", busy_timeout_ms=50)
    desk = Desk(engine, models, tmp_path / "skills")
    free = threading.Event()
    holder: list[Any] = []

    def lock_and_answer(_: Request) -> Action:
        holder.append(locked(engine))
        holder[0].__enter__()
        return answer(GOOD, input_tokens=1000, output_tokens=100)

    models.script("anthropic", lock_and_answer)
    with pytest.raises(TransientFailure, match="locked"):
        desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    holder[0].__exit__(None, None, None)
    free.set()
    with reading(engine) as connection:
        assert len(list(connection.execute(sa.select(t.RESERVATIONS)))) == 1
    desk.clock.move(10_000)
    assert SqlCostBook(engine).sweep(as_of=desk.clock.now()) == 1
    assert desk.outcomes() == [(CHEAP, "lost")]
    assert desk.booked() > desk.server.charged
    desk.close()


@pytest.mark.fault(15)
def test_a_short_lock_after_the_answer_is_waited_for_and_nothing_is_lost(desk: Desk) -> None:
    def lock_for_a_moment(_: Request) -> Action:
        held = locked(desk.engine)
        held.__enter__()
        threading.Timer(0.3, lambda: held.__exit__(None, None, None)).start()
        return answer(GOOD)

    desk.server.script("anthropic", lock_for_a_moment)
    assert answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).route == "anthropic"
    assert desk.outcomes() == [(CHEAP, "ok")]
    desk.check()


@pytest.mark.fault(20)
def test_with_a_deleted_ledger_no_call_is_made(models: ModelServer, tmp_path: Path) -> None:
    engine = open_ledger(tmp_path / "l.sqlite", durability="FULL")
    desk = Desk(engine, models, tmp_path / "skills")
    engine.dispose()
    for file in tmp_path.glob("l.sqlite*"):
        file.unlink()
    with pytest.raises(PermanentFailure):
        desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert models.log == []
    desk.close()


SMALL_DISK = """
import os, sys
from resources.ledger.engine import open_ledger
from tests.llm.actions import answer
from tests.llm.desks import *
from trading_assets.core.errors import DeskError
folder = Path(sys.argv[1])
with ModelServer() as server:
    desk = Desk(open_ledger(folder / "l.sqlite", durability="FULL"), server, Path(sys.argv[2]) / "skills")
    server.script("anthropic", answer(GOOD))
    reasoner = desk.reasoner()
    reasoner.ask(JUDGE, seen(0), budget=desk.desk_money("d0"), as_of=NOON)
    if sys.argv[3] == "full":
        with open(folder / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
    else:
        desk.engine.dispose()
        assert os.system(f"mount -o remount,ro {folder}") == 0
    before = len(server.log)
    try:
        for number in range(1, 400):
            reasoner.ask(JUDGE, seen(number), budget=desk.desk_money(f"d{number}"), as_of=NOON)
    except DeskError as failure:
        booked = len(desk.calls()) - 1 if sys.argv[3] == "full" else 0
        print(type(failure).__name__, len(server.log) - before - booked, failure)
    else:
        print("nothing failed")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The start of a command in a mount namespace of its own, where `disk` is a file system of 1 MiB."""
    (tmp_path / "disk").mkdir()
    shell = f'mount -t tmpfs -o size=2m none {tmp_path / "disk"} && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", shell, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let the tests mount a small file system in a namespace of their own")
    return command


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param("full", "TransientFailure", marks=pytest.mark.fault(16)),
        pytest.param("read-only", "PermanentFailure", marks=pytest.mark.fault(17)),
    ],
)
def test_on_a_full_or_read_only_disk_no_unreserved_call_is_made(
    small_disk: list[str], tmp_path: Path, fault: str, kind: str
) -> None:
    command = [*small_disk, sys.executable, "-c", SMALL_DISK, str(tmp_path / "disk"), str(tmp_path), fault]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    name, unbooked, *_ = (ran.stdout or "nothing printed").split()
    assert name == kind, ran.stdout + ran.stderr
    assert int(unbooked) in {0, 1}


def test_a_process_killed_in_mid_call_counts_as_spent_and_its_question_can_be_asked_again(
    any_desk: Desk, models: ModelServer
) -> None:
    where = any_desk.engine.url.render_as_string(hide_password=False)
    code = """
import sys
from resources.ledger.engine import open_ledger
from tests.llm.desks import *
class There:
    def url(self, name): return sys.argv[2]
where = sys.argv[1]
desk = Desk(open_ledger(where if where.startswith("postgresql") else Path(where), durability="FULL"), There(), Path(sys.argv[3]))
desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
"""
    if any_desk.engine.dialect.name == "sqlite":
        where = str(any_desk.folder.parent / "ledger" / "desk.sqlite")
    else:
        where = where.replace("postgresql+psycopg://", "postgresql://")
    models.script("anthropic", hang(30))
    process = subprocess.Popen(
        [sys.executable, "-c", code, where, models.url("anthropic"), str(any_desk.folder)], cwd=PROJECT
    )
    while not models.log:
        time.sleep(0.01)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert any_desk.calls() == []
    left = SqlCostBook(any_desk.engine).left(any_desk.desk_money())
    assert left < Decimal("0.05")
    any_desk.clock.move(10_000)
    models.script("anthropic", answer(GOOD))
    said = any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    assert answered(said).route == "anthropic"
    assert any_desk.outcomes() == [(CHEAP, "lost"), (CHEAP, "ok")]
    assert any_desk.calls()[0].cost == Decimal("0.05") - left
    any_desk.check()


def test_a_failure_of_the_ledger_among_many_questions_stops_the_rest_and_books_what_was_asked(
    models: ModelServer, tmp_path: Path
) -> None:
    engine = open_ledger(tmp_path / "l.sqlite", durability="FULL", busy_timeout_ms=50)
    desk = Desk(engine, models, tmp_path / "skills", budget={"day_usd": 50.0})
    held = locked(engine)

    def lock_at_the_tenth(request: Request) -> Action:
        if len(models.log) == 10:
            held.__enter__()
            threading.Timer(0.4, lambda: held.__exit__(None, None, None)).start()
        return answer(GOOD)

    models.script("anthropic", lock_at_the_tenth)
    reasoner = desk.reasoner(in_flight_max=4)
    budgets = [desk.desk_money(f"d{n}") for n in range(60)]
    asking: dict[str, Any] = {"budget": budgets, "as_of": [NOON] * 60}
    with pytest.raises(DeskError):
        reasoner.ask_many(JUDGE, [seen(n) for n in range(60)], **asking)
    asked = len(models.log)
    assert asked < 60
    time.sleep(0.5)
    said = reasoner.ask_many(JUDGE, [seen(n) for n in range(60)], **asking)
    assert all(isinstance(one, Answer) for one in said)
    assert sum(answered(one).cached for one in said) >= asked - 4
    desk.close()


def test_with_abstentions_nothing_is_invented(desk: Desk) -> None:
    desk.budget = {"decision_usd": 0.0001}
    said = desk.reasoner().ask(MUTE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert isinstance(said, Abstention)
    assert {attempt.reason.split(":")[0] for attempt in said.failed} == {"budget"}
    assert desk.server.log == []


def test_two_threads_on_one_decision_share_its_pocket(desk: Desk) -> None:
    desk.budget = {"decision_usd": 0.003, "calls_per_decision_max": 100}
    desk.server.script("anthropic", long_answer(1500))
    reasoner = desk.reasoner()
    with ThreadPoolExecutor(8) as threads:
        jobs = [
            threads.submit(reasoner.ask, JUDGE, seen(n), budget=desk.desk_money("one"), as_of=NOON) for n in range(16)
        ]
        assert {answered(job.result()).route for job in jobs} >= {"anthropic", "rules"}
    assert desk.booked() <= Decimal("0.003")
    desk.check()
