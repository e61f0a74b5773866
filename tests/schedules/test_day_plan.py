"""What a session asks for, and when: by the calendar and the settings alone."""

from dataclasses import replace
from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedules.outlines import DECISIONS, OUTLINE, at, calendar, part, weekly
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.day import Outline, Part, crons, sessions_looked_at
from trading_assets.core.operations import Adaptor, Day, Evolution, OperationsSettings
from trading_assets.core.slots import slots_of

DAYS = st.sampled_from(XNYS.days[30:-30])


def labels(parts: tuple[Part, ...], name: str) -> list[str]:
    return [one.label for one in parts if one.name == name]


# Every session


@settings(deadline=None, max_examples=60)
@given(DAYS)
def test_every_session_has_its_parts_once_in_order_and_each_ends_after_it_begins(day: date) -> None:
    session = XNYS.session(day)
    parts = OUTLINE.parts_of(session)
    assert len({one.key for one in parts}) == len(parts)
    assert [one.at for one in parts] == sorted(one.at for one in parts)
    assert all(one.at < one.until and one.session == session for one in parts)
    assert all(one.at < again < one.until for one in parts for again in one.again)
    names = {one.name for one in parts}
    assert {"facts", "opinions", "slot", "review", "flatness", "postclose", "report"} <= names


@settings(deadline=None, max_examples=60)
@given(DAYS)
def test_what_precedes_the_open_ends_with_it_and_nothing_of_the_evening_begins_before_the_close(day: date) -> None:
    session = XNYS.session(day)
    for one in OUTLINE.parts_of(session):
        if one.name in {"facts", "opinions"}:
            assert one.until == session.open
            assert one.at.astimezone(NEW_YORK).time() == time(8, 30)
        elif one.name in {"slot", "review"}:
            assert session.open <= one.at < one.until <= session.close
        else:
            assert one.at > session.close


@settings(deadline=None, max_examples=40)
@given(DAYS)
def test_the_slots_of_the_plan_are_the_slots_of_the_session_with_their_grace(day: date) -> None:
    session = XNYS.session(day)
    planned = [one for one in OUTLINE.parts_of(session) if one.name == "slot"]
    slots = slots_of(session, DECISIONS.slots)
    assert [(one.label, one.at) for one in planned] == [(slot.label, slot.at) for slot in slots]
    assert all(one.until - one.at == DECISIONS.grace for one in planned)


def test_the_grace_of_a_slot_ends_where_the_next_one_begins() -> None:
    decisions = DECISIONS.model_copy(update={"slots": ("10:00", "10:05"), "slot_grace_minutes": 10})
    outline = replace(OUTLINE, decisions=decisions)
    assert part("slot", "2024-03-25", "10:00", outline).until == at("2024-03-25T10:05")


def test_the_morning_asks_every_quarter_of_an_hour_until_the_open_and_not_at_it() -> None:
    facts = part("facts", "2024-03-25")
    assert [f"{tick.astimezone(NEW_YORK):%H:%M}" for tick in (facts.at, *facts.again)] == [
        *("08:30", "08:45", "09:00", "09:15"),
    ]


def test_a_morning_that_would_begin_after_the_open_has_no_part() -> None:
    operations = OperationsSettings(day=Day(premarket_from="09:30"))
    parts = replace(OUTLINE, operations=operations).parts_of(XNYS.session(date(2024, 3, 25)))
    assert not {"facts", "opinions"} & {one.name for one in parts}


def test_reviews_are_hourly_and_can_be_switched_off() -> None:
    session = XNYS.session(date(2024, 3, 25))
    assert labels(OUTLINE.parts_of(session), "review") == ["10:05", "11:05", "12:05", "13:05", "14:05", "15:05"]
    off = OperationsSettings(adaptor=Adaptor(enabled=False))
    assert labels(replace(OUTLINE, operations=off).parts_of(session), "review") == []


def test_a_desk_without_a_broker_proves_flatness_after_the_settlement_only() -> None:
    bars = replace(OUTLINE, dispatches=False).parts_of(XNYS.session(date(2024, 3, 25)))
    assert "flatness" not in {one.name for one in bars}
    assert part("flatness", "2024-03-25").at == at("2024-03-25T16:01")


# Half-days and daylight saving time


@pytest.mark.fault(105)
def test_a_half_day_that_nobody_thought_of_moves_every_part_with_one_entry_of_the_calendar() -> None:
    day = date(2024, 3, 25)
    known = replace(OUTLINE, calendar=calendar(early={day: time(12, 0)}))
    parts = known.parts_of(known.calendar.session(day))
    assert labels(parts, "slot")[-1] == "11:30"
    assert labels(parts, "review") == ["10:05", "11:05"]
    assert part("flatness", "2024-03-25", outline=known).at == at("2024-03-25T12:01")
    assert part("postclose", "2024-03-25", outline=known).at == at("2024-03-25T12:20")
    assert "20 12 * * 1-5" in crons("postclose", known)


def test_a_closed_day_that_nobody_thought_of_moves_the_facts_and_the_week() -> None:
    friday = date(2024, 3, 22)
    known = replace(OUTLINE, calendar=calendar(closed=frozenset({friday})))
    thursday = known.calendar.session(date(2024, 3, 21))
    assert known.is_weekly(thursday)
    assert known.is_last_of_week(thursday)
    assert part("postclose", "2024-03-21", outline=known).until == at("2024-03-25T16:20")


def test_parts_keep_their_new_york_time_when_the_clocks_change() -> None:
    before, after = part("postclose", "2024-03-08"), part("postclose", "2024-03-11")
    assert {one.at.astimezone(NEW_YORK).time() for one in (before, after)} == {time(16, 20)}
    assert before.at.time() != after.at.time()


def test_an_early_close_of_the_table_brings_the_evening_forward() -> None:
    assert part("postclose", "2024-07-03").at == at("2024-07-03T13:20")
    assert part("postclose", "2024-07-03").again == (at("2024-07-03T13:50"), at("2024-07-03T14:50"))


# Cron lines


@settings(deadline=None, max_examples=60)
@given(DAYS)
def test_every_moment_of_every_session_has_its_cron_line(day: date) -> None:
    """Whatever hours a session has: its schedule ticks when its parts are due."""
    for name in ("facts", "opinions", "slot", "review", "postclose"):
        lines = set(crons(name, OUTLINE))
        for one in OUTLINE.parts_of(XNYS.session(day)):
            for instant in (one.at, *one.again) if one.name == name else ():
                local = instant.astimezone(NEW_YORK)
                assert f"{local.minute} {local.hour} * * 1-5" in lines


def test_a_schedule_ticks_no_oftener_than_its_parts_can_be_due() -> None:
    assert len(crons("slot", OUTLINE)) == len(DECISIONS.slots)
    assert crons("facts", OUTLINE) == ["30 8 * * 1-5", "45 8 * * 1-5", "0 9 * * 1-5", "15 9 * * 1-5"]
    assert len(crons("postclose", OUTLINE)) == 8, "three for each of three kinds of hours, one of them shared"


# Weeks and months


def test_the_weekly_desk_works_after_the_session_before_a_closed_run_day() -> None:
    assert OUTLINE.is_weekly(XNYS.session(date(2024, 3, 28))), "Good Friday is closed"
    assert OUTLINE.is_weekly(XNYS.session(date(2024, 3, 22)))
    assert not OUTLINE.is_weekly(XNYS.session(date(2024, 3, 27)))


def test_a_run_day_on_a_closed_monday_is_the_friday_before() -> None:
    mondays = weekly(run_days=("mon",))
    assert mondays.is_weekly(XNYS.session(date(2024, 5, 24))), "Memorial Day is closed"
    assert not mondays.is_weekly(XNYS.session(date(2024, 5, 28)))
    assert mondays.is_weekly(XNYS.session(date(2024, 5, 20)))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 13), st.sampled_from(("mon", "tue", "wed", "thu", "fri")), st.integers(2000, 2026))
def test_the_weekly_desk_works_once_in_so_many_weeks_whenever_it_was_started(every: int, day: str, year: int) -> None:
    outline = weekly(run_days=(day,), every_weeks=every)
    sessions = XNYS.sessions(date(year, 1, 1), date(year, 12, 31))
    run = [session.day for session in sessions if outline.is_weekly(session)]
    assert abs(len(run) - 52.2 / every) <= 1.3
    assert all(3 <= (b - a).days - 7 * (every - 1) <= 11 for a, b in pairwise(run))


def test_a_week_without_any_session_is_worked_for_once_after_the_session_before_it() -> None:
    """September 2001: closed from the 11th to the 14th, the run day among them."""
    run = [s.day for s in XNYS.sessions(date(2001, 9, 1), date(2001, 9, 30)) if OUTLINE.is_weekly(s)]
    assert run == [date(2001, 9, 7), date(2001, 9, 10), date(2001, 9, 21), date(2001, 9, 28)]


def test_the_weekly_desk_can_be_switched_off() -> None:
    assert not weekly(enabled=False).is_weekly(XNYS.session(date(2024, 3, 22)))


def test_every_week_ends_once_and_every_month_begins_once() -> None:
    sessions = XNYS.sessions(date(2024, 1, 1), date(2024, 12, 31))
    assert sum(OUTLINE.is_last_of_week(session) for session in sessions) == 52
    first = [session.day for session in sessions if OUTLINE.is_first_of_month(session)]
    assert first[:4] == [date(2024, 1, 2), date(2024, 2, 1), date(2024, 3, 1), date(2024, 4, 1)]
    assert len(first) == 12


def test_the_evolution_belongs_to_the_first_session_of_a_month_and_can_be_switched_off() -> None:
    session = XNYS.session(date(2024, 4, 1))
    assert "evolve" in {one.name for one in OUTLINE.parts_of(session)}
    off = replace(OUTLINE, operations=OperationsSettings(evolution=Evolution(enabled=False)))
    assert "evolve" not in {one.name for one in off.parts_of(session)}
    assert "evolve" not in {one.name for one in OUTLINE.parts_of(XNYS.session(date(2024, 4, 2)))}


def test_parts_that_nobody_can_run_are_not_planned() -> None:
    outline = Outline(XNYS, OperationsSettings(), DECISIONS, {"postclose"}, dispatches=True)
    assert [one.name for one in outline.parts_of(XNYS.session(date(2024, 3, 22)))] == ["postclose"]


# Which sessions are looked after


@settings(deadline=None, max_examples=40)
@given(DAYS, st.integers(0, 40), st.integers(0, 23))
def test_nothing_before_the_desks_first_day_and_nothing_of_tomorrow_is_looked_after(
    day: date, age: int, hour: int
) -> None:
    begun = day - timedelta(days=age)
    now = at(f"{day}T{hour:02}:00")
    found = sessions_looked_at(XNYS, as_of=now, begun=begun, back=10)
    assert found == XNYS.sessions(max(begun, XNYS.previous(day, 10).day), day)


def test_on_a_closed_day_the_newest_session_is_the_last_one_before_it() -> None:
    found = sessions_looked_at(XNYS, as_of=at("2024-03-30T12:00"), begun=date(2024, 3, 27), back=10)
    assert [session.day for session in found] == [date(2024, 3, 27), date(2024, 3, 28)]
    assert sessions_looked_at(XNYS, as_of=at("2024-03-30T12:00"), begun=date(2024, 3, 30), back=10) == ()
