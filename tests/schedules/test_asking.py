"""What becomes of a part at a moment: asked once, again where that is right, never late where late is wrong."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedules.outlines import at, part
from trading_assets.core.asking import Ask, Claim, Missed, Patience, Rest, RunState, Settle, Standing, answer
from trading_assets.core.day import Part

SLOT = part("slot", "2024-03-25", "10:00")
FACTS = part("facts", "2024-03-25")
CLOSE = part("postclose", "2024-03-25")
REAL = at("2030-01-01T12:00")
NONE = Patience(timedelta(0))


def claim(of: Part, state: str = "asked", *, tick: datetime | None = None, age_s: float = 0.0) -> Claim:
    return Claim(of.key, state, 1, tick or of.at, REAL - timedelta(seconds=age_s), "here")  # type: ignore[arg-type]


def said(of: Part, moment: str, standing: Standing = Standing(), patience: Patience = NONE):  # type: ignore[no-untyped-def]  # noqa: B008
    return answer(of, standing, as_of=at(f"2024-03-25T{moment}"), machine=REAL, patience=patience)


def test_a_part_is_asked_for_from_its_instant_on() -> None:
    assert isinstance(said(SLOT, "09:59:59"), Rest)
    assert said(SLOT, "10:00:00") == Ask(SLOT, SLOT.at)
    assert said(SLOT, "10:09:59") == Ask(SLOT, SLOT.at)


@pytest.mark.fault(105)
def test_a_slot_whose_time_has_passed_is_recorded_as_missed_and_never_asked_for() -> None:
    missed = said(SLOT, "10:10:00")
    assert isinstance(missed, Missed)
    assert missed.why == "nobody asked for it between 2024-03-25 10:00 and 2024-03-25 10:10"


@pytest.mark.fault(105)
def test_a_post_close_that_was_slept_through_is_asked_for_as_late_as_the_next_days() -> None:
    late = answer(CLOSE, Standing(), as_of=at("2024-03-26T16:19"), machine=REAL, patience=NONE)
    assert late == Ask(CLOSE, CLOSE.again[-1])
    over = answer(CLOSE, Standing(), as_of=at("2024-03-26T16:20"), machine=REAL, patience=NONE)
    assert isinstance(over, Missed)


def test_a_part_is_left_to_its_schedule_for_a_while() -> None:
    patience = Patience(timedelta(minutes=2))
    assert said(CLOSE, "16:21:59", patience=patience) == Rest(CLOSE, "its schedule asks first")
    assert said(CLOSE, "16:22:00", patience=patience) == Ask(CLOSE, CLOSE.at)


def test_what_was_asked_for_is_not_asked_for_again_while_its_run_is_on_its_way() -> None:
    for run in ("unseen", "running"):
        rest = said(SLOT, "10:00:30", Standing(claim=claim(SLOT), run=run))
        assert rest == Rest(SLOT, "its run is on its way")


def test_a_claim_whose_run_was_lost_on_the_way_is_replaced() -> None:
    """The daemon died between the claim and the run."""
    lost = Standing(claim=claim(SLOT, age_s=46))
    assert said(SLOT, "10:01:00", lost) == Ask(SLOT, SLOT.at)
    assert isinstance(said(SLOT, "10:10:00", lost), Missed)


def test_a_run_that_works_on_past_the_end_is_waited_for() -> None:
    assert isinstance(said(SLOT, "10:11", Standing(claim=claim(SLOT, age_s=660), run="running")), Rest)


def test_the_claim_of_another_history_is_left_alone_for_as_long_as_a_run_may_take() -> None:
    """Two daemons, each with its own history, on one ledger: the run of the other one cannot be seen."""
    for age_s, asks in ((46, False), (1799, False), (1801, True)):
        theirs = Standing(claim=claim(CLOSE, age_s=age_s), mine=False)
        assert isinstance(said(CLOSE, "16:59", theirs), Ask) == asks


@pytest.mark.fault(102)
def test_a_slot_whose_run_failed_is_not_asked_for_again_and_ends_as_missed() -> None:
    settled = said(SLOT, "10:00:20", Standing(claim=claim(SLOT), run="failed"))
    assert settled == Settle(SLOT, "failed", "run slot/2024-03-25/10:00#1 failed")
    failed = Standing(claim=replace(claim(SLOT, "failed"), why="run x failed"))
    assert said(SLOT, "10:05", failed) == Rest(SLOT, "its run failed for good")
    missed = said(SLOT, "10:10", failed)
    assert isinstance(missed, Missed)
    assert "run x failed" in missed.why


def test_a_post_close_that_failed_is_asked_for_again_at_its_later_instants() -> None:
    failed = Standing(claim=claim(CLOSE, "failed"))
    assert said(CLOSE, "16:49", failed) == Rest(CLOSE, "its run failed; asked again at 2024-03-25 16:50")
    assert said(CLOSE, "16:50", failed) == Ask(CLOSE, CLOSE.again[0])
    last = Standing(claim=claim(CLOSE, "failed", tick=CLOSE.again[-1]))
    assert said(CLOSE, "22:00", last) == Rest(CLOSE, "its run failed for good")


def test_a_run_that_succeeded_and_left_nothing_has_failed_where_something_must_be_there() -> None:
    ended = Standing(claim=claim(FACTS), run="succeeded")
    assert said(FACTS, "08:40", ended) == Settle(FACTS, "failed", "run facts/2024-03-25#1 succeeded and left nothing")
    assert said(CLOSE, "16:40", Standing(claim=claim(CLOSE), run="succeeded")) == Settle(CLOSE, "done", "")


def test_facts_that_were_there_and_are_refused_before_the_open_are_asked_for_again() -> None:
    there = Standing(done=True, claim=claim(FACTS))
    assert said(FACTS, "08:40", there) == Rest(FACTS, "done so far", over=True)
    refused = Standing(claim=claim(FACTS, "failed"))
    assert said(FACTS, "08:45", refused) == Ask(FACTS, FACTS.again[0])
    assert said(FACTS, "09:31", there) == Settle(FACTS, "done", "")


def test_what_is_needed_first_is_waited_for_and_named_when_it_never_came() -> None:
    opinions = part("opinions", "2024-03-25")
    waiting = Standing(before="there are no regime labels of 2024-03-22")
    assert said(opinions, "08:50", waiting) == Rest(opinions, "there are no regime labels of 2024-03-22")
    missed = said(opinions, "09:30", waiting)
    assert isinstance(missed, Missed)
    assert missed.why.endswith("there are no regime labels of 2024-03-22")


def test_a_slot_that_was_decided_by_hand_is_done_without_a_claim() -> None:
    assert said(SLOT, "10:20", Standing(done=True)) == Settle(SLOT, "done", "")


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([SLOT, FACTS, CLOSE]),
    st.integers(0, 30 * 60),
    st.sampled_from(["done", "missed"]),
    st.booleans(),
    st.sampled_from(["unseen", "running", "succeeded", "failed"]),
)
def test_what_is_done_or_missed_stays_so(of: Part, minutes: int, state: str, done: bool, run: RunState) -> None:
    standing = Standing(done=done, claim=claim(of, state), run=run)
    found = answer(of, standing, as_of=of.at + timedelta(minutes=minutes), machine=REAL, patience=NONE)
    assert isinstance(found, Rest)
    assert found.over


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([SLOT, FACTS, CLOSE]),
    st.integers(-60, 40 * 60),
    st.none() | st.sampled_from(["asked", "failed", "done", "missed"]),
    st.sampled_from(["unseen", "running", "succeeded", "failed"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3600),
)
def test_a_run_is_asked_for_only_within_the_time_of_its_part_and_never_while_one_works(
    of: Part, minutes: int, state: str | None, run: RunState, done: bool, mine: bool, age_s: int
) -> None:
    now = of.at + timedelta(minutes=minutes)
    standing = Standing(done, claim(of, state, age_s=age_s) if state else None, run, mine)
    found = answer(of, standing, as_of=now, machine=REAL, patience=NONE)
    if isinstance(found, Ask):
        assert of.at <= found.tick <= now < of.until
        assert not done
        assert state in {None, "asked", "failed"}
        assert not (state == "asked" and run == "running")
