"""Questions of different roles side by side: how long they take, who is not waited for, and how they share a decision's money."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.llm.forecast import BillTooHigh
from resources.llm.reasoner import DeskReasoner
from resources.llm.recording import MissingAnswer
from tests.llm.actions import Action, answer, failing, hang, prose
from tests.llm.council import answering, asked_skills, by_skill, inputs_in, skill_in
from tests.llm.desks import (
    CHEAP,
    GOOD,
    JUDGE,
    LONG_AGO,
    LUNA,
    NOON,
    Desk,
    Ruling,
    Seen,
    answered,
    cites_what_was_given,
    long_answer,
    seen,
    write_skill,
)
from tests.llm.server import Request
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.reasoning.ports import Reasoner

NAMES = ("hawk", "dove", "owl", "crow", "wren")
ROLES = [replace(JUDGE, skill=name) for name in NAMES]
# For tests in which nobody answers in time, and for those in which others must, on however busy a machine.
IMPATIENCE = timedelta(seconds=0.3)
PATIENCE = timedelta(seconds=1.5)


@pytest.fixture
def council(desk: Desk) -> Desk:
    """A desk with five skills besides the judge's, and money for many calls."""
    for name in NAMES:
        write_skill(desk.folder, name=name, persona=f"You are the {name}.")
    desk.budget = {"calls_per_decision_max": 40}
    desk.server.script("anthropic", answering(by_skill(JUDGE, *ROLES), 0.0))
    return desk


def asks(desk: Desk, roles: Sequence[Role[Seen, Ruling]] = ROLES, budget: Budget | None = None) -> list[Ask[Any, Any]]:
    """One question for each role."""
    return [Ask(role, seen(number), budget or desk.desk_money(), NOON) for number, role in enumerate(roles)]


def taken(reasoner: Reasoner, questions: Sequence[Ask[Any, Any]]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    assert all(isinstance(said, Answer) for said in reasoner.gather(questions))
    return time.perf_counter() - begun


def warmed(desk: Desk, **changes: Any) -> DeskReasoner:
    """A reasoner that has asked both providers: importing their clients takes longer than these tests' patience."""
    reasoner = desk.reasoner(**changes)
    for number, action in enumerate((failing("bad_request"), answer(GOOD))):
        desk.server.script("anthropic", action)
        desk.server.script("openai", answer(GOOD))
        reasoner.ask(JUDGE, seen(1000 + number), budget=desk.desk_money("warm"), as_of=NOON)
    return reasoner


# Side by side


def test_five_roles_take_about_as_long_as_the_slowest_of_them(council: Desk) -> None:
    council.server.script("anthropic", answering(by_skill(JUDGE, *ROLES), 0.5))
    reasoner = council.reasoner()
    taken(reasoner, asks(council, [JUDGE]))  # imports the clients
    one = taken(reasoner, [Ask(JUDGE, seen(99), council.desk_money(), NOON)])
    assert taken(reasoner, asks(council)) < 1.5 * one
    assert asked_skills(council.server) == {"judge": 2, **dict.fromkeys(NAMES, 1)}
    council.check()


def test_answers_come_in_the_order_of_the_questions_whoever_is_first(council: Desk) -> None:
    def late_first(request: Request) -> Action:
        place = NAMES.index(skill_in(request))
        return replace(answer({**GOOD, "signal": place / 10}), delay_s=0.05 * (5 - place))

    council.server.script("anthropic", late_first)
    said = council.reasoner().gather(asks(council))
    assert [answered(one).value.signal for one in said] == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_what_is_recorded_is_looked_up_and_only_the_rest_is_asked(council: Desk) -> None:
    reasoner = council.reasoner()
    reasoner.gather(asks(council)[:2])
    said = reasoner.gather(asks(council))
    assert [answered(one).cached for one in said] == [True, True, False, False, False]
    assert len(council.server.log) == 5
    replayed = council.reasoner(mode="replay_only").gather(asks(council))
    assert [answered(one).value for one in replayed] == [answered(one).value for one in said]
    assert len(council.server.log) == 5


def test_a_replay_names_the_skill_whose_answer_is_missing(council: Desk) -> None:
    council.reasoner().gather(asks(council)[:2])
    with pytest.raises(MissingAnswer, match="skill owl is recorded for 3 of 5"):
        council.reasoner(mode="replay_only").gather(asks(council))


def test_a_backfill_that_cannot_be_paid_is_not_begun(council: Desk) -> None:
    council.budget = {"backfill_usd": 0.002}
    with pytest.raises(BillTooHigh):
        council.reasoner().gather(asks(council, budget=council.past_money()))
    assert council.server.log == []


def test_a_bug_in_one_role_is_raised_and_the_books_are_in_order(council: Desk) -> None:
    def broken(_: Seen, __: Ruling) -> str | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        council.reasoner().gather(asks(council, [*ROLES[:2], replace(ROLES[2], check=broken)]))
    council.check()


def test_nobody_asked_is_nobody_answering(council: Desk) -> None:
    for mode in ("rules", "models", "replay_only"):
        assert council.reasoner(mode=mode).gather([]) == []


# Rules


def test_with_mode_rules_a_gather_says_what_the_rules_reasoner_says(council: Desk) -> None:
    questions = [*asks(council), Ask(JUDGE, seen(closes=()), council.desk_money(), NOON)]
    said = council.reasoner(mode="rules").gather(questions, within=PATIENCE)
    assert said == RulesReasoner().gather(questions)
    assert isinstance(said[-1], Abstention)
    assert council.server.log == []


def test_rules_that_answer_against_their_own_check_stop_the_rules_reasoner_too() -> None:
    stray = Ruling(signal=0.0, reasons=("x",), evidence=("p9",))
    role = Role("judge", Seen, Ruling, lambda _: stray, cites_what_was_given)
    with pytest.raises(PermanentFailure, match="against their own check"):
        RulesReasoner().gather([Ask(role, seen(), Budget("desk", "d", NOON.date(), ()), NOON)])


# Who is not waited for


@pytest.mark.fault(90)
def test_an_agent_that_takes_ten_minutes_is_left_alone_and_its_rules_answer(council: Desk) -> None:
    reasoner = warmed(council)
    council.server.script("anthropic", answering(by_skill(*ROLES), 0.0, instead={"owl": hang(600)}))
    said = reasoner.gather(asks(council), within=PATIENCE)
    routes = [answered(one).route for one in said]
    assert routes == ["anthropic", "anthropic", "rules", "anthropic", "anthropic"]
    assert [attempt.reason for attempt in answered(said[2]).failed] == ["timeout: no answer within 1.5 s"]
    assert (CHEAP, "timeout") in council.outcomes()
    council.check()
    council.server.script("anthropic", answering(by_skill(*ROLES), 0.0))
    assert answered(reasoner.gather(asks(council))[2]).route == "anthropic"


def test_an_agent_without_rules_that_is_late_abstains_and_says_why(council: Desk) -> None:
    council.server.script("anthropic", hang(600))
    [said] = council.reasoner().gather(asks(council, [replace(ROLES[0], rules=None)]), within=IMPATIENCE)
    assert isinstance(said, Abstention)
    assert said.reason == "no answer within 0.3 s, and the rules have no opinion"
    council.check()


def test_what_the_rules_said_for_a_late_agent_is_what_a_replay_says(council: Desk) -> None:
    council.server.script("anthropic", hang(600))
    said = council.reasoner().gather(asks(council), within=IMPATIENCE)
    assert {answered(one).route for one in said} == {"rules"}
    replayed = council.reasoner(mode="replay_only").gather(asks(council))
    assert [(answered(one).route, answered(one).value) for one in replayed] == [
        (answered(one).route, answered(one).value) for one in said
    ]


def test_the_whole_reserve_of_who_was_cut_off_counts_as_spent(council: Desk) -> None:
    reasoner = warmed(council)
    charged = council.server.charged
    council.server.script("anthropic", hang(600))
    reasoner.gather(asks(council)[:1], within=IMPATIENCE)
    row = council.calls()[-1]
    assert row.cost > Decimal("0.001")
    assert council.server.charged == charged


def test_a_route_that_used_up_the_time_is_counted_by_its_breaker(council: Desk) -> None:
    council.breaker = {"failures_max": 2}
    reasoner = warmed(council)
    council.server.script("anthropic", hang(600))
    council.server.script("openai", answering(by_skill(*ROLES), 0.0))
    reasoner.gather(asks(council)[:2], within=IMPATIENCE)
    said = reasoner.gather(asks(council)[2:], within=PATIENCE)
    assert [answered(one).route for one in said] == ["openai"] * 3


def test_a_route_that_was_asked_too_late_to_answer_is_not_blamed(council: Desk) -> None:
    council.breaker = {"failures_max": 1}
    reasoner = warmed(council)
    council.server.script("anthropic", replace(failing("bad_request"), delay_s=0.5))
    council.server.script("openai", hang(600))
    [said] = reasoner.gather(asks(council)[:1], within=timedelta(seconds=0.9))
    assert [attempt.route for attempt in answered(said).failed] == ["anthropic", "openai"]
    assert (LUNA, "lost") in council.outcomes()
    council.server.script("openai", answer(GOOD))
    [said] = reasoner.gather(asks(council)[1:2])
    assert answered(said).route == "openai"


def test_a_trial_that_was_cut_off_too_early_is_given_back(council: Desk) -> None:
    council.breaker = {"failures_max": 1, "cooldown_s": 1.0}
    reasoner = warmed(council)
    council.server.script("openai", failing("server_error"))
    council.server.script("anthropic", failing("bad_request"))
    reasoner.gather(asks(council)[:1])
    council.clock.move(2.0)
    council.server.script("anthropic", replace(failing("bad_request"), delay_s=0.5))
    council.server.script("openai", hang(600))
    reasoner.gather(asks(council)[1:2], within=timedelta(seconds=0.9))
    assert (LUNA, "lost") in council.outcomes()
    council.server.script("openai", answer(GOOD))
    assert answered(reasoner.gather(asks(council)[2:3])[0]).route == "openai"


def test_more_questions_than_places_each_have_their_own_time(council: Desk) -> None:
    reasoner = warmed(council, in_flight_max=1)
    council.server.script("anthropic", answering(by_skill(JUDGE), 0.6))
    questions = [Ask(JUDGE, seen(number), council.desk_money(f"d{number}"), NOON) for number in range(3)]
    said = reasoner.gather(questions, within=PATIENCE)
    assert {answered(one).route for one in said} == {"anthropic"}


def test_an_agent_that_answers_prose_is_asked_twice_then_elsewhere_then_its_rules(council: Desk) -> None:
    for provider in ("anthropic", "openai"):
        council.server.script(provider, answering(by_skill(*ROLES), 0.0, instead={"crow": prose()}))
    said = council.reasoner().gather(asks(council))
    assert [answered(one).route for one in said] == ["anthropic", "anthropic", "anthropic", "rules", "anthropic"]
    assert asked_skills(council.server)["crow"] == 4
    council.check()


# Money


def test_sixteen_parallel_calls_share_a_small_pocket_and_none_is_starved(council: Desk) -> None:
    """Each would like to reserve far more than a sixteenth of what is left."""
    together = threading.Barrier(16, timeout=5)

    def waits(request: Request) -> Action:
        together.wait()
        return long_answer(400)(request)

    council.budget = {"decision_usd": 0.012, "calls_per_decision_max": 16}
    council.server.script("anthropic", waits)
    questions = [Ask(JUDGE, seen(number), council.desk_money(), NOON) for number in range(16)]
    said = council.reasoner(in_flight_max=16).gather(questions)
    assert {answered(one).route for one in said} == {"anthropic"}
    allowed = {request.body["max_tokens"] for request in council.server.log}
    assert len(allowed) == 1
    assert 300 <= min(allowed) < 2000
    assert council.booked() <= Decimal("0.012")
    council.check()


def test_with_enough_money_nobody_gets_less_than_the_settings_allow(council: Desk) -> None:
    questions = [Ask(JUDGE, seen(number), council.desk_money(), NOON) for number in range(8)]
    council.reasoner().gather(questions)
    assert {request.body["max_tokens"] for request in council.server.log} == {2000}


def test_a_pocket_that_lasts_for_some_only_is_never_overdrawn(council: Desk) -> None:
    council.budget = {"decision_usd": 0.003, "calls_per_decision_max": 40}
    council.server.script("anthropic", long_answer(2000))
    questions = [Ask(JUDGE, seen(number), council.desk_money(), NOON) for number in range(16)]
    said = council.reasoner(in_flight_max=16, routes=("anthropic",)).gather(questions)
    assert {answered(one).route for one in said} == {"anthropic", "rules"}
    assert council.booked() <= Decimal("0.003")
    council.check()


# The council of the tests


def test_the_council_answers_as_the_rules_do_masked_or_not(council: Desk) -> None:
    for budget in (council.desk_money(), council.past_money()):
        questions = asks(council, budget=budget)
        said = council.reasoner().gather(questions)
        assert [answered(one).value for one in said] == [
            answered(one).value for one in RulesReasoner().gather(questions)
        ]
        assert {answered(one).route for one in said} == {"anthropic"}


def test_the_council_speaks_every_provider_s_language(council: Desk) -> None:
    council.server.script("openai", answering(by_skill(*ROLES), 0.0))
    council.keys = {name: key for name, key in council.keys.items() if name == "OPENAI_API_KEY"}
    said = council.reasoner().gather(asks(council))
    assert {answered(one).route for one in said} == {"openai"}
    assert inputs_in(council.server.log[0])["symbol"] == "IBM"


def test_the_council_knows_no_role_that_it_was_not_given(council: Desk) -> None:
    council.server.script("anthropic", answering(by_skill(ROLES[0]), 0.0))
    said = council.reasoner(routes=("anthropic",)).gather(asks(council)[:2])
    assert [answered(one).route for one in said] == ["anthropic", "rules"]
    assert "no role for the skill dove" in answered(said[1]).failed[0].reason


def test_leak_labels_follow_each_question_s_own_moment(council: Desk) -> None:
    mixed = [Ask(JUDGE, seen(1), council.desk_money(), NOON), Ask(JUDGE, seen(2), council.past_money(), LONG_AGO)]
    said = council.reasoner().gather(mixed)
    assert [answered(one).leakage for one in said] == ["clean", "contaminated"]
