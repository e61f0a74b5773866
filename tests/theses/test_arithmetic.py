"""Evidence fades towards the prior, repeats to a bound, and counts by the record of who gave it."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import slot_after, slot_of, thesis
from trading_assets.core.calendar import XNYS
from trading_assets.theses.arithmetic import (
    CERTAIN_THESES,
    CHANCE,
    HALF_LIFE_SESSIONS,
    confidence_at,
    damping,
    exchange_time,
    faded,
    first_words,
    last_words,
    probability,
    renewed,
    spoken,
    weighed,
    worths,
)
from trading_assets.theses.model import Contribution, Horizon, Reliability

_HORIZONS: tuple[Horizon, ...] = ("intraday", "swing", "position")
_AT = slot_of().at
_LOG_ODDS = st.floats(-3, 3).map(lambda value: round(value, 6))


# The clock of the exchange


def test_a_session_is_one_from_open_to_close_and_a_half_in_the_middle() -> None:
    session = slot_of().session
    middle = session.open + (session.close - session.open) / 2
    assert exchange_time(session.close) - exchange_time(session.open) == 1.0
    assert exchange_time(middle) - exchange_time(session.open) == 0.5


def test_nothing_passes_between_a_friday_close_and_a_monday_open() -> None:
    friday, monday = slot_of().session, slot_after(1).session
    assert (monday.day - friday.day).days == 3
    assert (
        exchange_time(friday.close) == exchange_time(monday.open) == exchange_time(friday.close + timedelta(hours=30))
    )


def test_an_early_close_is_a_whole_session() -> None:
    eve = XNYS.session(datetime(2012, 7, 3, tzinfo=UTC).date())
    assert eve.is_early_close
    assert exchange_time(eve.close) - exchange_time(eve.open) == 1.0


@pytest.mark.parametrize("year", [1900, 2200])
def test_the_clock_stands_still_outside_the_calendar(year: int) -> None:
    there = datetime(year, 1, 5, 15, tzinfo=UTC)
    assert exchange_time(there) == exchange_time(there + timedelta(days=9))


@settings(deadline=None, max_examples=25)
@given(
    st.timedeltas(timedelta(0), timedelta(9_800)).map(lambda past: datetime(2000, 1, 1, tzinfo=UTC) + past),
    st.timedeltas(timedelta(0), timedelta(9)),
)
def test_the_clock_never_runs_backwards(moment: datetime, later: timedelta) -> None:
    assert exchange_time(moment) <= exchange_time(moment + later)


# Fading


@pytest.mark.parametrize(("horizon", "sessions"), [("swing", 3), ("position", 15)])
def test_half_is_left_after_a_half_life_of_sessions(horizon: Horizon, sessions: int) -> None:
    assert faded(0.8, _AT, slot_after(sessions).at, horizon) == pytest.approx(0.4)


def test_half_of_intraday_evidence_is_left_after_two_open_hours() -> None:
    assert faded(0.8, _AT, _AT + timedelta(hours=2), "intraday") == pytest.approx(0.4)


@settings(deadline=None, max_examples=25)
@given(_LOG_ODDS, st.sampled_from(_HORIZONS), st.integers(0, 60), st.integers(0, 60))
def test_the_older_the_weaker_and_never_of_another_sign(
    log_odds: float, horizon: Horizon, one: int, other: int
) -> None:
    soon, late = sorted((one, other))
    before, after = (faded(log_odds, _AT, slot_after(n).at, horizon) for n in (soon, late))
    assert abs(after) <= abs(before) <= abs(log_odds)
    assert after * log_odds >= 0


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.sampled_from("abcdef"), _LOG_ODDS, max_size=6), st.sampled_from(_HORIZONS))
def test_without_news_confidence_only_moves_towards_the_prior(said: dict[str, float], horizon: Horizon) -> None:
    held = thesis(horizon=horizon, said=said)
    away = [abs(confidence_at(held, slot_after(n).at, {}) - 0.5) for n in (0, 1, 2, 5, 20, 100)]
    if all(value >= 0 for value in said.values()) or all(value <= 0 for value in said.values()):
        assert away == sorted(away, reverse=True)
    assert away[-1] <= max(1e-6, away[0]) + 1e-6
    assert confidence_at(held, slot_after(400).at, {}) == 0.5


@settings(max_examples=25)
@given(st.floats(-1e6, 1e6))
def test_nothing_is_certain(log_odds: float) -> None:
    assert 0.0179 < probability(log_odds) < 0.9821
    assert probability(log_odds) == pytest.approx(1 - probability(-log_odds), abs=2e-6)


# Saying it again


@pytest.mark.parametrize(
    ("left", "said", "counts"),
    [(0.4, 0.8, 0.9), (-0.4, -0.8, -0.9), (-0.4, 0.8, 0.8), (0.4, 0.0, 0.0), (0.0, 0.8, 0.8)],
)
def test_new_words_replace_old_ones_and_keep_a_quarter_of_what_agrees(left: float, said: float, counts: float) -> None:
    assert renewed(left, said) == pytest.approx(counts)


@pytest.mark.parametrize(("horizon", "rest"), [("intraday", 1.027), ("swing", 1.2475), ("position", 1.3135)])
def test_a_brief_repeated_in_every_session_comes_to_rest(horizon: Horizon, rest: float) -> None:
    contributions: tuple[Contribution, ...] = ()
    for n in range(40):
        contributions = spoken(contributions, {"technical": 1.0}, slot_after(n).at, horizon)
    formula = 1 / (1 - 0.25 * 2 ** (-1 / HALF_LIFE_SESSIONS[horizon]))
    assert last_words(contributions)["technical"].log_odds == pytest.approx(rest, abs=1e-3)
    assert formula == pytest.approx(rest, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(_LOG_ODDS, st.integers(0, 5)), min_size=1, max_size=20), st.sampled_from(_HORIZONS))
def test_a_source_never_counts_more_than_four_thirds_of_its_loudest_word(
    said: list[tuple[float, int]], horizon: Horizon
) -> None:
    contributions: tuple[Contribution, ...] = ()
    day = 0
    for log_odds, wait in said:
        day += wait
        contributions = spoken(contributions, {"x": log_odds}, slot_after(day).at, horizon)
    loudest = max(abs(log_odds) for log_odds, _ in said)
    assert abs(last_words(contributions)["x"].log_odds) <= 4 / 3 * loudest + 1e-5
    assert len(contributions) <= 2


def test_the_first_words_are_kept_beside_the_last() -> None:
    once = spoken((), {"a": 0.5}, _AT, "swing")
    thrice = spoken(
        spoken(once, {"a": -0.2}, slot_after(1).at, "swing"), {"a": 0.3, "b": 0.1}, slot_after(2).at, "swing"
    )
    assert [(c.source, c.log_odds) for c in thrice] == [("a", 0.5), ("a", 0.3), ("b", 0.1)]
    assert first_words(thrice)["a"].log_odds == 0.5
    assert list(first_words(thrice)) == list(last_words(thrice)) == ["a", "b"]
    assert first_words(thrice[::-1])["a"].log_odds == 0.5, "the order in which they stand does not matter"


def test_a_source_is_heard_once_in_a_moment() -> None:
    once = spoken((), {"a": 0.5}, _AT, "swing")
    assert spoken(once, {"a": 0.9}, _AT, "swing") == once


def test_only_the_last_words_count() -> None:
    held = thesis(said={"a": 2.0})
    later = spoken(held.contributions, {"a": -0.4}, slot_after(1).at, "swing")
    assert weighed(later, "swing", slot_after(1).at, {}) == {"a": -0.4}
    assert confidence_at(held, slot_after(1).at, {}, later) == probability(-0.4)


# Records


def _record(theses: int, said: float, true: float, *, certain: int = 0) -> Reliability:
    return Reliability(theses=theses, said_sum=said * theses, right_sum=true * theses, certain=certain)


def test_a_source_without_a_record_counts_in_full() -> None:
    assert damping(Reliability()) == 1.0
    assert worths({"a": Reliability()}) == {"a": 1.0}


@pytest.mark.parametrize(
    ("theses", "said", "true", "counts"),
    [
        (80, 0.65, CHANCE, 0.5),
        (240, 0.65, CHANCE, 0.25),
        (80, 0.65, CHANCE + 0.15, 1.0),
        (80, 0.65, 1.0, 1.0),
        (80, 0.65, CHANCE + 0.075, 0.75),
        (80, 0.35, CHANCE - 0.15, 1.0),
        (80, 0.35, CHANCE, 0.5),
        (80, 0.5, CHANCE, 1.0),
        (1000, 0.9, 0.0, 0.0),
    ],
)
def test_a_record_counts_by_the_edge_that_came_true_of_the_edge_that_was_claimed(
    theses: int, said: float, true: float, counts: float
) -> None:
    assert damping(_record(theses, said, true)) == pytest.approx(counts, abs=1e-6)


@pytest.mark.parametrize(("certain", "counts"), [(CERTAIN_THESES - 1, 1.0), (CERTAIN_THESES, 0.5), (100, 0.5)])
def test_a_source_that_is_always_certain_counts_half_at_most(certain: int, counts: float) -> None:
    assert damping(_record(20, 0.6, 0.6, certain=certain)) == counts


def test_certainty_never_raises_what_a_bad_record_counts() -> None:
    assert damping(_record(240, 0.65, CHANCE, certain=50)) == pytest.approx(0.25)


@settings(max_examples=25)
@given(st.integers(0, 500), st.floats(0, 1), st.floats(0, 1), st.integers(0, 20))
def test_a_record_never_turns_words_around_or_makes_them_louder(
    theses: int, said: float, true: float, certain: int
) -> None:
    assert 0 <= damping(_record(theses, said, true, certain=certain)) <= 1


@settings(max_examples=25)
@given(st.integers(1, 500), st.floats(0.51, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_more_came_true_the_more_a_source_that_speaks_for_counts(
    theses: int, said: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert damping(_record(theses, said, low)) <= damping(_record(theses, said, high))


def test_what_a_source_counts_weighs_its_words() -> None:
    held = thesis(said={"a": 1.0, "b": 1.0})
    assert weighed(held.contributions, "swing", _AT, {"a": 0.5}) == {"a": 0.5, "b": 1.0}
    assert confidence_at(held, _AT, {"a": 0.5}) == round(1 / (1 + math.exp(-1.5)), 6)
