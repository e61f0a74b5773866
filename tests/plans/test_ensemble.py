"""Personas earn their weight by what they voted for, and nothing is traded without enough votes that agree."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import DAY, lesson, vote
from tests.plans.worlds import agents_of, candidate, leg_pair
from trading_assets.core.calendar import XNYS
from trading_assets.plans.ensemble import HIGHEST, LOWEST, Tally, attributed, persona_weights, tally
from trading_assets.plans.quorum import refused
from trading_assets.theses.memory.model import Lesson

WEIGHTS = {"bold": 1.0, "calm": 1.0, "dry": 2.0}


def _ago(sessions: int) -> date:
    return XNYS.previous(DAY, sessions).day


def _weight(*lessons: Lesson) -> float:
    return persona_weights(("bold",), lessons, DAY)["bold"]


def test_a_persona_starts_at_one() -> None:
    assert persona_weights(("bold", "calm"), (), DAY) == {"bold": 1.0, "calm": 1.0}


@pytest.mark.parametrize(
    ("pnl", "voted", "expected"),
    [("10", 0.5, 1.1), ("-10", 0.5, 0.9), ("-10", -0.5, 1.1), ("10", -0.5, 0.9), ("10", 0.0, 1.0), ("0", 1.0, 1.0)],
)
def test_a_vote_for_a_winner_or_against_a_loser_earns(pnl: str, voted: float, expected: float) -> None:
    assert _weight(lesson(_ago(1), pnl, bold=voted)) == expected


def test_a_trade_counts_for_the_five_sessions_that_follow_its_close_and_no_longer() -> None:
    """Closed one session ago it was judged once, five ago five times, and six ago still five times."""
    assert [_weight(lesson(_ago(n), "10", bold=1.0)) for n in (1, 2, 5, 6, 30)] == [
        1.1,
        1.21,
        1.61051,
        1.61051,
        1.61051,
    ]


def test_a_trade_that_closes_today_or_later_counts_for_nothing() -> None:
    assert _weight(lesson(DAY, "10", bold=1.0), lesson(XNYS.next(DAY).day, "10", bold=1.0)) == 1.0


def test_who_did_not_vote_earns_nothing() -> None:
    assert _weight(lesson(_ago(1), "10", calm=1.0)) == 1.0


def test_the_sum_of_the_window_decides_not_each_trade() -> None:
    """Sessions 2 and 1 ago: first +10 alone, then +10 - 30."""
    assert _weight(lesson(_ago(2), "10", bold=1.0), lesson(_ago(1), "-30", bold=1.0)) == pytest.approx(0.99)


def test_attribution_is_exact_where_floats_would_leave_a_crumb() -> None:
    """0.1 + 0.2 - 0.3 is not zero in floats; here it is, and the weight stays."""
    lessons = [lesson(_ago(1), pnl, bold=0.1) for pnl in ("0.1", "0.2", "-0.3")]
    assert sum(attributed("bold", each) for each in lessons) == 0
    assert _weight(*lessons) == 1.0


_LESSONS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(-500, 500), st.floats(-1, 1)), max_size=30
)  # sessions ago, dollars, vote


@settings(deadline=None, max_examples=25)
@given(_LESSONS, st.randoms(use_true_random=False))
def test_weights_stay_within_their_bounds_and_the_order_of_lessons_does_not_matter(
    drawn: list[tuple[int, int, float]], random: Any
) -> None:
    lessons = [lesson(_ago(ago), str(pnl), bold=round(voted, 6)) for ago, pnl, voted in drawn]
    weight = _weight(*lessons)
    assert LOWEST <= weight <= HIGHEST
    random.shuffle(lessons)
    assert _weight(*lessons) == weight


@settings(deadline=None, max_examples=20)
@given(_LESSONS, _LESSONS)
def test_what_happens_later_never_changes_an_earlier_weight(
    before: list[tuple[int, int, float]], after: list[tuple[int, int, float]]
) -> None:
    past = [lesson(_ago(ago + 1), str(pnl), bold=round(voted, 6)) for ago, pnl, voted in before]
    future = [lesson(XNYS.next(DAY, ago + 1).day, str(pnl), bold=round(voted, 6)) for ago, pnl, voted in after]
    assert _weight(*past) == _weight(*past, *future)


def test_consensus_is_the_weighted_mean_of_those_who_voted() -> None:
    idea = candidate()
    said = tally((idea,), [vote("bold", idea, 1.0), vote("dry", idea, -0.5)], WEIGHTS)
    assert said == Tally({"bold": 1.0, "dry": -0.5}, 0.0)
    assert tally((idea,), [vote("bold", idea, 1.0), vote("calm", idea, 0.5)], WEIGHTS).consensus == 0.75


def test_a_vote_without_weight_a_second_one_and_one_on_something_else_do_not_count() -> None:
    idea, other = candidate(), candidate(symbol="BBB")
    votes = [vote("bold", idea, 0.5), vote("bold", idea, -1.0), vote("stranger", idea, 1.0), vote("calm", other, 1.0)]
    assert tally((idea,), votes, WEIGHTS) == Tally({"bold": 0.5}, 0.5)
    assert tally((idea,), (), WEIGHTS) == Tally({}, None)


def test_a_pair_is_voted_on_as_one_by_who_voted_on_both_legs() -> None:
    bought, sold = leg_pair()
    votes = [vote("bold", bought, 1.0), vote("bold", sold, -0.5), vote("calm", bought, 1.0)]
    assert tally((bought, sold), votes, WEIGHTS) == Tally({"bold": 0.25}, 0.25)


@pytest.mark.parametrize(
    ("votes", "consensus", "heard", "sentence"),
    [
        (2, 0.9, 2, "quorum 2 of 3 votes"),
        (0, None, 2, "quorum 0 of 3 votes"),
        (3, 0.9, 1, "quorum 1 of 2 analysts on AAA"),
        (3, 0.09, 2, "consensus 0.09 below 0.1"),
        (3, 0.099999, 2, "consensus 0.099999 below 0.1"),
        (3, -1.0, 2, "consensus -1 below 0.1"),
        (3, 0.1, 2, None),
    ],
)
def test_quorum_and_consensus_refuse_in_words(
    votes: int, consensus: float | None, heard: int, sentence: str | None
) -> None:
    said = Tally({str(n): 0.0 for n in range(votes)}, consensus)
    word = refused(("AAA",), said, {"AAA": heard}, agents_of())
    assert (word.sentence if word else None) == sentence


def test_a_symbol_of_which_nobody_spoke_has_no_quorum() -> None:
    word = refused(("AAA", "BBB"), Tally({"a": 1.0, "b": 1.0, "c": 1.0}, 1.0), {"AAA": 5}, agents_of())
    assert word is not None
    assert (word.sentence, word.silence) == ("quorum 0 of 2 analysts on BBB", True)
