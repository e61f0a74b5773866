"""Units, splits that nobody traded, and the lives of instruments: what the daily gate says and what it lets pass."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, SPAN, actions_frame, daily_frame, daily_row, quiet_rows
from tests.market.test_quality_daily import JUDGED, NO_ACTIONS, judged, of, red, scaled, with_changed, without
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import Instrument
from trading_assets.market.expectations import SessionVerdict
from trading_assets.market.quality import judge_daily

Row = dict[str, Any]
PRICES = ("open", "high", "low", "close")


def judged_with(rows: Sequence[Row], *instruments: Instrument) -> list[SessionVerdict]:
    return judge_daily(daily_frame(rows), NO_ACTIONS, span=SPAN, calendar=XNYS, instruments=instruments)


def declared(symbol: str, **life: Any) -> Instrument:
    return Instrument(symbol=symbol, sector="Test", **life)


@pytest.mark.parametrize(("factor", "word"), [(0.01, "small"), (100.0, "large")])
def test_prices_in_another_unit_are_named_as_such(factor: float, word: str) -> None:
    verdicts = judged(scaled("AAA", JUDGED[4], factor, lasting=False))
    assert red(verdicts) == [JUDGED[4].day, JUDGED[5].day]
    (sentence,) = of(verdicts, JUDGED[4]).failures
    assert sentence.startswith("AAA: close ")
    assert sentence.endswith(f"looks 100 times too {word}: pence and pounds?")


def test_a_feed_that_stays_in_another_unit_stays_red_for_ten_sessions() -> None:
    verdicts = judged(scaled("AAA", JUDGED[2], 0.01))
    assert red(verdicts) == [session.day for session in JUDGED[2:12]]
    assert all("pence and pounds?" in sentence for v in verdicts for sentence in v.failures)


@pytest.mark.parametrize(("factor", "is_a_unit"), [(0.0088, True), (0.0113, True), (0.008, False), (0.013, False)])
def test_a_unit_is_a_hundred_within_fifteen_percent(factor: float, is_a_unit: bool) -> None:
    verdict = of(judged(scaled("AAA", JUDGED[4], factor)), JUDGED[4])
    assert not verdict.passed
    assert any("pence and pounds?" in sentence for sentence in verdict.failures) is is_a_unit


def test_a_recorded_split_of_a_hundred_is_no_unit() -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", 100.0))
    assert red(judged(scaled("AAA", JUDGED[4], 0.01), split)) == []


@pytest.mark.parametrize("ratio", [0.1, 0.76, 1.5, 2.0, 7.0])
def test_a_split_that_the_price_does_not_show_is_red(ratio: float) -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", ratio))
    verdicts = judged(quiet_rows(), split)
    assert JUDGED[4].day in red(verdicts)
    sentence = next(s for s in of(verdicts, JUDGED[4]).failures if "does not show it" in s)
    assert sentence.startswith(f"AAA: a split of {ratio:g} is recorded, but close ")


@pytest.mark.parametrize("ratio", [0.1, 0.76, 1.5, 2.0, 7.0])
def test_a_split_that_the_price_shows_passes(ratio: float) -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", ratio))
    assert red(judged(scaled("AAA", JUDGED[4], 1 / ratio), split)) == []


def test_a_class_settlement_is_too_small_to_be_seen_in_a_price() -> None:
    settlement = actions_frame(("AAA", JUDGED[4].day, "split", 1.0027))
    assert red(judged(quiet_rows(), settlement)) == []


def test_a_return_after_twenty_sessions_is_red_and_says_what_to_declare() -> None:
    verdicts = judged(without("CCC", *SESSIONS[10:32]))
    assert red(verdicts) == [SESSIONS[32].day]
    assert of(verdicts, SESSIONS[32]).failures == (
        "CCC: back after 22 sessions without a bar; if the ticker has a new owner, declare the one before in "
        "config/settings.yaml as CCC-20240514 (ticker CCC, last_session 2024-05-14), and CCC with first_session 2024-06-17",
    )


def test_a_return_after_nineteen_sessions_is_a_halt_that_ended() -> None:
    assert red(judged(without("CCC", *SESSIONS[12:31]))) == []


def test_a_return_after_exactly_twenty_sessions_is_red() -> None:
    assert red(judged(without("CCC", *SESSIONS[12:32]))) == [SESSIONS[32].day]


def test_a_return_that_a_declared_life_explains_passes() -> None:
    rows = without("CCC", *SESSIONS[10:32])
    assert red(judged_with(rows, declared("CCC", first_session=SESSIONS[32].day))) == []


def test_a_declared_life_that_began_before_the_silence_explains_nothing() -> None:
    rows = without("CCC", *SESSIONS[10:32])
    assert red(judged_with(rows, declared("CCC", first_session=SESSIONS[5].day))) == [SESSIONS[32].day]


def test_a_bar_before_the_declared_life_is_red() -> None:
    verdicts = judged_with(quiet_rows(), declared("BBB", first_session=JUDGED[2].day))
    assert red(verdicts) == [JUDGED[0].day, JUDGED[1].day]
    assert of(verdicts, JUDGED[0]).failures == (
        f"BBB: a bar before its declared first session {JUDGED[2].day}; ingest the session anew",
    )


def test_a_bar_after_the_declared_life_is_red() -> None:
    last = JUDGED[-2].day
    verdicts = judged_with(quiet_rows(), declared("BBB-20240711", ticker="BBB", last_session=last), declared("AAA"))
    assert red(verdicts) == []
    verdicts = judged_with(quiet_rows(), declared("BBB", last_session=last))
    assert red(verdicts) == [JUDGED[-1].day]
    assert f"after its declared last session {last}" in verdicts[-1].failures[0]


def test_a_declared_end_is_no_missing_bar() -> None:
    rows = without("CCC", *JUDGED[3:])
    assert red(judged(rows)) == [session.day for session in JUDGED[3:8]]
    ended = judged_with(rows, declared("CCC", last_session=JUDGED[2].day))
    assert ended == [SessionVerdict(session.day, passed=True) for session in JUDGED]


def test_a_bar_missing_before_the_declared_end_is_still_missing() -> None:
    rows = without("CCC", JUDGED[1], *JUDGED[3:])
    assert red(judged_with(rows, declared("CCC", last_session=JUDGED[2].day))) == [JUDGED[1].day]


def test_the_last_bar_before_a_long_silence_makes_the_return_visible() -> None:
    """A year of silence is longer than any history: the one bar from before it is enough."""
    long_ago = daily_row("CCC", XNYS.session(date(2023, 5, 1)), 12.0)
    rows = [row for row in without("CCC", *SESSIONS[:31]) if row["session"] >= SESSIONS[0].day]
    assert red(judged(rows)) == []
    verdicts = judged([long_ago, *rows])
    assert red(verdicts) == [SESSIONS[31].day]
    assert "CCC-20230501" in of(verdicts, SESSIONS[31]).failures[0]


def test_a_daily_bar_that_does_not_start_with_its_session_is_red() -> None:
    """A bar labelled by an hour of the wrong side of a change of clocks, for example."""
    late = JUDGED[3].open + timedelta(hours=1)
    verdicts = judged(with_changed("BBB", JUDGED[3], start=late))
    assert red(verdicts) == [JUDGED[3].day]
    assert f"starts at {late}" in of(verdicts, JUDGED[3]).failures[0]


def test_a_daily_bar_that_counts_as_knowable_before_the_close_is_red() -> None:
    verdicts = judged(with_changed("BBB", JUDGED[3], knowable_at=JUDGED[3].open))
    assert red(verdicts) == [JUDGED[3].day]
    assert "knowable 23400 s before its end" in of(verdicts, JUDGED[3]).failures[0]


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 20), st.integers(20, 35), st.booleans())
def test_a_silence_of_any_length_turns_at_most_its_own_return_red(first: int, silent: int, is_declared: bool) -> None:
    end = min(first + silent, len(SESSIONS) - 1)
    gone = SESSIONS[first + 1 : end]
    rows = without("CCC", *gone)
    back = SESSIONS[end]
    life = [declared("CCC", first_session=back.day)] if is_declared else []
    told = [v.session for v in judged_with(rows, *life) if any("back after" in sentence for sentence in v.failures)]
    expected = len(gone) >= 20 and not is_declared and back in JUDGED
    assert told == ([back.day] if expected else [])


def test_prices_of_a_frame_are_not_changed_by_judging() -> None:
    frame = daily_frame(quiet_rows())
    before = frame.clone()
    judge_daily(frame, NO_ACTIONS, span=SPAN, calendar=XNYS, instruments=[declared("AAA")])
    assert frame.equals(before)
    assert isinstance(frame, pl.DataFrame)
