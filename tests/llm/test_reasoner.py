"""Asking models: who is asked, in which order, with what of the question, and what becomes of the answer."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from resources.llm.forecast import BillTooHigh
from tests.llm.actions import answer, failing, hang
from tests.llm.desks import (
    CHEAP,
    GOOD,
    JUDGE,
    LONG_AGO,
    LUNA,
    MUTE,
    NOON,
    STANDARD,
    STRONG,
    TERRA,
    Desk,
    Ruling,
    answered,
    number_in,
    seen,
    write_skill,
)
from tests.llm.server import ModelServer, Request
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.reasoning.model import Abstention, Answer, Role
from trading_assets.reasoning.skills import UnknownSkill

PROJECT = Path(__file__).parents[2]


def test_a_question_is_answered_typed_priced_and_recorded(any_desk: Desk) -> None:
    any_desk.server.script("anthropic", answer(GOOD, input_tokens=1500, cached_tokens=500, output_tokens=200))
    said = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert said.value == Ruling.model_validate_json(json.dumps(GOOD))
    assert (said.route, said.model, said.cached, said.failed) == ("anthropic", CHEAP, False, ())
    assert (said.usage.input_tokens, said.usage.cached_tokens, said.usage.output_tokens) == (1500, 500, 200)
    assert said.cost_usd == any_desk.server.charged == any_desk.booked() > 0
    assert said.shadow_usd == 0
    assert any_desk.outcomes() == [(CHEAP, "ok")]
    assert [row.key for row in any_desk.records()] == [said.key]
    any_desk.check()


def test_the_same_question_is_never_paid_twice(any_desk: Desk) -> None:
    any_desk.server.script("anthropic", answer(GOOD))
    first = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    again = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money("later"), as_of=NOON))
    assert (again.value, again.key, again.prompt_hash) == (first.value, first.key, first.prompt_hash)
    assert (again.cached, again.cost_usd, again.latency_ms) == (True, Decimal(0), 0)
    assert len(any_desk.server.log) == 1


def test_the_prompt_carries_the_persona_first_and_the_inputs_last(desk: Desk) -> None:
    write_skill(desk.folder, persona="You are a judge of few words.")
    desk.reasoner().ask(JUDGE, seen(7), budget=desk.desk_money(), as_of=NOON)
    body = desk.server.log[0].body
    assert "You are a judge of few words." in json.dumps(body["system"])
    assert '"number":7' in json.dumps(body["messages"]).replace('\\"', '"')
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["max_tokens"] == 2000


def test_the_tier_of_the_skill_chooses_the_models_and_cheaper_ones_follow(desk: Desk) -> None:
    write_skill(desk.folder, tier="strong")
    desk.budget = {"decision_usd": 1.0}
    bad = failing("bad_request")
    desk.server.script("anthropic", bad)
    desk.server.script("openai", bad)
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert said.route == "rules"
    tried = [(attempt.route, attempt.model) for attempt in said.failed]
    assert tried[:3] == [("anthropic", STRONG), ("openai", "gpt-6.1-sol"), ("anthropic", STANDARD)]
    assert tried[3:] == [("openai", TERRA), ("anthropic", CHEAP), ("openai", LUNA)]


def test_a_route_that_failed_as_a_route_is_not_asked_again_for_the_question(desk: Desk) -> None:
    write_skill(desk.folder, tier="standard")
    desk.server.script("anthropic", failing("server_error"))
    desk.server.script("openai", failing("bad_request"), answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (said.route, said.model) == ("openai", LUNA)
    assert [(attempt.route, attempt.model) for attempt in said.failed] == [("anthropic", STANDARD), ("openai", TERRA)]
    assert len(desk.server.asked("anthropic")) == 1


def test_a_route_without_a_key_is_passed_over_with_the_variable_named(desk: Desk) -> None:
    desk.keys = {"OPENAI_API_KEY": "key-for-openai-1234567890"}
    desk.server.script("openai", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert said.route == "openai"
    assert [(a.route, "ANTHROPIC_API_KEY" in a.reason) for a in said.failed] == [("anthropic", True)]


def test_without_any_key_the_rules_answer_and_nothing_is_sent(desk: Desk) -> None:
    desk.keys = {}
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (said.route, said.model, said.value.signal, said.cost_usd, said.leakage) == (
        "rules",
        "",
        1.0,
        Decimal(0),
        "clean",
    )
    assert desk.server.log == []
    assert desk.calls() == []


def test_without_an_opinion_of_the_rules_there_is_an_abstention_with_every_attempt(desk: Desk) -> None:
    for provider in ("anthropic", "openai"):
        desk.server.script(provider, failing("overloaded"))
    said = desk.reasoner().ask(MUTE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert isinstance(said, Abstention)
    assert [attempt.route for attempt in said.failed] == ["anthropic", "openai"]
    assert all("overloaded" in attempt.reason for attempt in said.failed)


def test_rules_that_answer_against_their_own_check_stop_the_question(desk: Desk) -> None:
    stray = Ruling(signal=0.0, reasons=("x",), evidence=("p9",))
    role = Role("judge", JUDGE.inputs, Ruling, lambda _: stray, JUDGE.check)
    for mode in ("rules", "models"):
        desk.keys = {}
        with pytest.raises(PermanentFailure, match="against their own check"):
            desk.reasoner(mode=mode).ask(role, seen(), budget=desk.desk_money(), as_of=NOON)


# Mode rules


def test_with_mode_rules_nothing_is_rendered_opened_or_written(models: ModelServer, tmp_path: Path) -> None:
    code = """
import sys
from tests.llm.desks import *
class Nobody:
    def url(self, name): return "http://127.0.0.1:9/x"
desk = Desk(None, Nobody(), Path(sys.argv[1]) / "skills", mode="rules")
desk.folder.joinpath("judge", "SKILL.md").write_text("broken")
reasoner = desk.reasoner()
with reasoner.cycle():
    said = reasoner.ask_many(JUDGE, [seen(n) for n in range(2000)], budget=desk.desk_money(), as_of=[NOON] * 2000)
assert all(one.route == "rules" for one in said)
print(sorted(name for name in ("pydantic_ai", "anthropic", "openai", "google.genai") if name in sys.modules))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "[]", ran.stderr


# Skills and cycles


@pytest.mark.fault(100)
def test_a_skill_edited_in_mid_cycle_changes_nothing_until_the_next(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    reasoner = desk.reasoner()
    with reasoner.cycle():
        first = answered(reasoner.ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON))
        write_skill(desk.folder, persona="You are another judge.")
        second = answered(reasoner.ask(JUDGE, seen(2), budget=desk.desk_money(), as_of=NOON))
        repeated = answered(reasoner.ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON))
    with reasoner.cycle():
        third = answered(reasoner.ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON))
    assert first.skill_hash == second.skill_hash == repeated.skill_hash != third.skill_hash
    assert repeated.cached
    assert not third.cached
    assert ["another judge" in json.dumps(r.body["system"]) for r in desk.server.log] == [False, False, True]


@pytest.mark.fault(100)
def test_a_skill_edited_during_a_call_does_not_reach_the_answer_that_is_being_given(desk: Desk) -> None:
    def edits(_: Request) -> object:
        write_skill(desk.folder, persona="Edited while the model was thinking.")
        return answer(GOOD)

    desk.server.script("anthropic", edits)  # type: ignore[arg-type]
    reasoner = desk.reasoner()
    during = answered(reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert during.skill_hash != answered(reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).skill_hash
    assert desk.calls()[0].skill_hash == during.skill_hash


def test_overlapping_cycles_share_one_set_and_the_last_one_ends_it(desk: Desk) -> None:
    reasoner = desk.reasoner()
    with reasoner.cycle() as outer:
        write_skill(desk.folder, persona="Later.")
        with reasoner.cycle() as inner:
            assert inner is outer
    with reasoner.cycle() as next_one:
        assert next_one is not outer


def test_a_skill_that_does_not_exist_or_promises_another_type_is_refused_before_any_call(desk: Desk) -> None:
    class Other(BaseModel, extra="forbid"):
        text: str

    reasoner = desk.reasoner()
    with pytest.raises(UnknownSkill, match="judge"):
        reasoner.ask(Role("nobody", JUDGE.inputs, Ruling), seen(), budget=desk.desk_money(), as_of=NOON)
    with pytest.raises(ConfigurationError, match="Ruling"):
        reasoner.ask(Role("judge", JUDGE.inputs, Other), seen(), budget=desk.desk_money(), as_of=NOON)
    assert desk.server.log == []


# Masking and leakage


def test_a_backtest_hides_symbol_day_and_level_from_the_model_and_shows_them_again(desk: Desk) -> None:
    desk.server.script("anthropic", answer({**GOOD, "reasons": ["ASSET_A closes above 100."]}))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.past_money(), as_of=LONG_AGO))
    wire = desk.server.log[0].raw.decode()
    assert not any(secret in wire for secret in ("IBM", "2013", "201.5", "202.25", "203.125"))
    assert "ASSET_A" in wire
    assert said.value.reasons == ("IBM closes above 100.",)
    assert "IBM" not in desk.records()[0].request


def test_the_desk_lane_is_masked_only_when_the_settings_say_always(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    desk.reasoner(mask="always").ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    desk.reasoner(mask="never").ask(JUDGE, seen(2), budget=desk.past_money(), as_of=LONG_AGO)
    assert ["IBM" in request.raw.decode() for request in desk.server.log] == [True, False, True]


def test_the_check_sees_what_the_model_saw_and_its_complaint_never_names_what_is_masked(desk: Desk) -> None:
    def complains(inputs: object, ruling: Ruling) -> str | None:
        return f"{inputs.symbol} was misjudged" if ruling.signal < 0 else None  # type: ignore[attr-defined]

    role = Role("judge", JUDGE.inputs, Ruling, None, complains)
    desk.server.script("anthropic", answer({**GOOD, "signal": -0.5}), answer(GOOD))
    said = answered(desk.reasoner().ask(role, seen(), budget=desk.past_money(), as_of=LONG_AGO))
    assert said.value.signal == 0.25
    feedback = desk.server.log[1].raw.decode()
    assert "ASSET_A was misjudged" in feedback
    assert "IBM" not in feedback


@pytest.mark.parametrize(
    ("as_of", "label"), [(LONG_AGO, "contaminated"), (datetime(2026, 11, 20, tzinfo=UTC), "clean")]
)
def test_every_answer_says_whether_its_model_could_know_what_came_later(
    desk: Desk, as_of: datetime, label: str
) -> None:
    desk.server.script("anthropic", answer(GOOD))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=as_of))
    assert said.leakage == label


@pytest.mark.fault(97)
def test_a_model_that_answers_under_another_name_is_recorded_and_its_knowledge_is_unknown(desk: Desk) -> None:
    desk.server.script("anthropic", replace(answer(GOOD), model="claude-haiku-9-9"))
    said = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert said.leakage == "unknown"
    assert json.loads(desk.records()[0].response)["served_by"] == "claude-haiku-9-9"
    again = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (again.cached, again.leakage) == (True, "unknown")


# Many at once


def test_many_questions_are_answered_in_their_order_and_no_more_than_allowed_are_in_flight(desk: Desk) -> None:
    flying, most, lock = 0, 0, threading.Lock()

    def counted(request: Request) -> object:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.02)
        with lock:
            flying -= 1
        return answer({**GOOD, "signal": number_in(request) / 100})

    desk.server.script("anthropic", counted)  # type: ignore[arg-type]
    desk.budget = {"day_usd": 50.0, "calls_per_decision_max": 100}
    questions = [seen(number) for number in range(40)]
    reasoner = desk.reasoner(in_flight_max=6)
    budgets = [desk.desk_money(f"d{number}") for number in range(40)]
    said = reasoner.ask_many(JUDGE, questions, budget=budgets, as_of=[NOON] * 40)
    assert [answered(one).value.signal for one in said] == [number / 100 for number in range(40)]
    assert 1 < most <= 6
    desk.check()


def test_the_same_question_asked_many_times_at_once_is_paid_once(desk: Desk) -> None:
    desk.server.script("anthropic", replace(answer(GOOD), delay_s=0.05))
    reasoner = desk.reasoner()
    said = reasoner.ask_many(JUDGE, [seen()] * 8, budget=desk.desk_money(), as_of=[NOON] * 8)
    assert len(desk.server.log) == 1
    assert sorted(answered(one).cached for one in said) == [False] + [True] * 7
    assert len({answered(one).value for one in said}) == 1


def test_many_threads_share_one_reasoner_and_its_connections(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.budget = {"calls_per_decision_max": 100}
    reasoner = desk.reasoner()
    with ThreadPoolExecutor(12) as threads:
        jobs = [
            threads.submit(reasoner.ask, JUDGE, seen(n), budget=desk.desk_money(f"d{n}"), as_of=NOON) for n in range(36)
        ]
        assert all(isinstance(job.result(), Answer) for job in jobs)
    desk.check()
    assert len(desk.server.log) == 36


def test_a_caller_with_a_loop_of_its_own_can_wait_for_the_answer(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))

    async def two() -> list[object]:
        ask = desk.reasoner().aask
        return list(
            await asyncio.gather(*(ask(JUDGE, seen(n), budget=desk.desk_money(), as_of=NOON) for n in range(2)))
        )

    assert all(isinstance(one, Answer) for one in asyncio.run(two()))


def test_closing_a_reasoner_twice_or_before_its_first_question_is_harmless(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    never = desk.reasoner()
    never.close()
    never.close()
    with desk.reasoner() as reasoner:
        reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert answered(reasoner.ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).cached


# Health


def test_agents_are_counted_by_route_and_day(any_desk: Desk) -> None:
    any_desk.server.script("anthropic", failing("server_error"))
    any_desk.server.script("openai", answer(GOOD))
    reasoner = any_desk.reasoner()
    reasoner.ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    said = list(reasoner.ask_many(JUDGE, [seen(), seen()], budget=any_desk.desk_money(), as_of=[NOON, NOON]))
    said.append(reasoner.ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert all(answered(one).cached for one in said)
    counted = {c.route: c for c in reasoner._stores.health.between(NOON.date(), NOON.date())}
    assert (counted["anthropic"].failures, counted["anthropic"].answers) == (1, 0)
    assert (counted["openai"].answers, counted["openai"].replays, counted["openai"].failures) == (1, 3, 0)
    assert counted["openai"].cost_usd == any_desk.booked()


# The bill before the first call


def test_a_forecast_tells_the_bill_and_asks_nobody(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    reasoner = desk.reasoner()
    reasoner.ask(JUDGE, seen(0), budget=desk.past_money("d0"), as_of=LONG_AGO)
    questions = [seen(n, closes=(100.0 + n, 101.0)) for n in range(10)]
    questions[0] = seen(0)
    budgets = [desk.past_money(f"d{n}") for n in range(10)]
    bill = reasoner.forecast(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * 10)
    assert (bill.calls, bill.replayed, bill.by_rules, bill.fits, bill.refusal) == (9, 1, 0, True, None)
    assert [(line.route, line.model, line.calls) for line in bill.by_route] == [("anthropic", CHEAP, 9)]
    assert Decimal(0) < bill.usd_expected < bill.usd_max <= Decimal("0.45")
    assert len(desk.server.log) == 1


def test_a_forecast_holds_for_what_is_then_asked(desk: Desk) -> None:
    desk.budget = {"output_tokens_min": 100, "output_tokens_max": 400}
    desk.server.script("anthropic", answer(GOOD, output_tokens=250))
    questions = [seen(n) for n in range(12)]
    budgets = [desk.past_money(f"d{n}") for n in range(12)]
    reasoner = desk.reasoner()
    bill = reasoner.forecast(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * 12)
    said = reasoner.ask_many(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * 12)
    spent = sum((answered(one).cost_usd for one in said), Decimal(0))
    assert spent <= bill.usd_max
    assert bill.usd_expected / 3 < spent < bill.usd_expected * 3


def test_a_backfill_that_cannot_be_paid_does_not_begin(desk: Desk) -> None:
    desk.budget = {"backfill_usd": 0.002}
    reasoner = desk.reasoner()
    questions = [seen(n) for n in range(20)]
    budgets = [desk.past_money(f"d{n}") for n in range(20)]
    bill = reasoner.forecast(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * 20)
    assert not bill.fits
    with pytest.raises(BillTooHigh, match="backfill:run-1 has 0.002") as refused:
        reasoner.ask_many(JUDGE, questions, budget=budgets, as_of=[LONG_AGO] * 20)
    assert "backfill_usd" in refused.value.hint
    assert desk.server.log == []
    assert desk.calls() == []


def test_without_models_a_forecast_is_free(desk: Desk) -> None:
    bill = desk.reasoner(mode="rules").forecast(JUDGE, [seen()], budget=desk.past_money(), as_of=[LONG_AGO])
    assert (bill.calls, bill.usd_expected, bill.usd_max, bill.by_rules) == (0, Decimal(0), Decimal(0), 1)


def test_a_forecast_of_a_replay_counts_what_is_recorded(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(0), budget=desk.past_money(), as_of=LONG_AGO)
    replay = desk.reasoner(mode="replay_only")
    bill = replay.forecast(JUDGE, [seen(0), seen(1)], budget=desk.past_money(), as_of=[LONG_AGO] * 2)
    assert (bill.calls, bill.replayed, bill.by_rules, bill.usd_max) == (0, 1, 1, Decimal(0))


def test_questions_for_which_no_route_is_ready_are_forecast_for_the_rules(desk: Desk) -> None:
    desk.keys = {}
    bill = desk.reasoner().forecast(JUDGE, [seen()], budget=desk.past_money(), as_of=[LONG_AGO])
    assert (bill.calls, bill.by_rules, bill.fits) == (0, 1, True)


# Interrupts


def test_an_interrupt_books_what_was_reserved_before_it_is_raised(desk: Desk, tmp_path: Path) -> None:
    code = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits an ignored one
from resources.ledger.engine import open_ledger
from tests.llm.actions import hang
from tests.llm.desks import *
with ModelServer() as server:
    server.script("anthropic", hang(20))
    desk = Desk(open_ledger(Path(sys.argv[1]) / "other.sqlite", durability="FULL"), server, Path(sys.argv[1]) / "s")
    def interrupt():
        while not server.log: time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    except KeyboardInterrupt:
        desk.check()
        [row] = desk.calls()
        print(row.outcome, row.cost > 0, desk.booked() == row.cost)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["lost", "True", "True"], ran.stderr


def test_closing_in_mid_question_books_what_was_reserved(desk: Desk) -> None:
    desk.server.script("anthropic", hang(20))
    reasoner = desk.reasoner()
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(reasoner.ask, JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
        while not desk.server.log:
            time.sleep(0.005)
        reasoner.close()
        assert asking.cancelled() or asking.exception() is not None
    assert desk.outcomes() == [(CHEAP, "lost")]
    desk.check()
