"""Two sources of the same bars: what they must agree on, and what is said when they do not."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, SPAN, daily_frame, quiet_rows
from tests.market.test_quality_daily import JUDGED, NO_ACTIONS, red
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.settings import CrossCheck
from trading_assets.market.cross_check import SecondOpinion, disagreements
from trading_assets.market.model import CROSS_CHECK_BARS
from trading_assets.market.quality import judge_daily

Row = dict[str, Any]
DAY = JUDGED[3]
TOLERANCE = CrossCheck(provider="yfinance", price_tolerance_bp=25, volume_tolerance_fraction=0.5)


def second_rows() -> list[Row]:
    return [row | {"source": "other"} for row in quiet_rows()]


def opinion(rows: list[Row], tolerance: CrossCheck = TOLERANCE) -> SecondOpinion:
    return SecondOpinion(pl.DataFrame(rows, schema=dict(CROSS_CHECK_BARS.polars_schema())), tolerance)


def changed(symbol: str, **values: Any) -> list[Row]:
    return [row | values if (row["symbol"], row["session"]) == (symbol, DAY.day) else row for row in second_rows()]


def said(rows: list[Row], span: Span = SPAN) -> dict[Any, tuple[str, ...]]:
    return dict(disagreements(daily_frame(quiet_rows()), opinion(rows), span=span))


def close_of(symbol: str) -> float:
    return float(next(r["close"] for r in quiet_rows() if (r["symbol"], r["session"]) == (symbol, DAY.day)))


def test_two_sources_that_agree_say_nothing() -> None:
    assert said(second_rows()) == {}


def test_a_price_beyond_the_tolerance_names_symbol_session_values_and_sources() -> None:
    close = close_of("BBB")
    assert said(changed("BBB", close=close * 1.01)) == {
        DAY.day: (
            f"BBB on {DAY.day}: close {close:g} of test and {close * 1.01:g} of other are 100.0 bp apart, more than 25",
        )
    }


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize(("bp", "is_apart"), [(24, False), (-24, False), (26, True), (-26, True)])
def test_each_price_is_compared_in_both_directions(name: str, bp: float, is_apart: bool) -> None:
    value = next(r[name] for r in quiet_rows() if (r["symbol"], r["session"]) == ("AAA", DAY.day))
    sentences = said(changed("AAA", **{name: value * (1 + bp / 10_000)})).get(DAY.day, ())
    assert [f": {name} " in sentence for sentence in sentences] == ([True] if is_apart else [])


@pytest.mark.parametrize(("factor", "is_apart"), [(0.51, False), (1.49, False), (0.49, True), (1.51, True)])
def test_volumes_have_a_tolerance_of_their_own(factor: float, is_apart: bool) -> None:
    sentences = said(changed("AAA", volume=1_000_000.0 * factor)).get(DAY.day, ())
    assert bool(sentences) is is_apart
    assert all("volume 1e+06 of test" in sentence and "more than 50%" in sentence for sentence in sentences)


def test_a_bar_that_the_second_source_lacks_cannot_be_confirmed() -> None:
    rows = [row for row in second_rows() if (row["symbol"], row["session"]) != ("CCC", DAY.day)]
    assert said(rows) == {DAY.day: (f"CCC on {DAY.day}: test has a bar that cannot be confirmed: yfinance has none",)}


def test_a_bar_that_only_the_second_source_has_is_a_difference() -> None:
    ours = daily_frame([row for row in quiet_rows() if (row["symbol"], row["session"]) != ("CCC", DAY.day)])
    found = disagreements(ours, opinion(second_rows()), span=SPAN)
    assert found == {DAY.day: (f"CCC on {DAY.day}: other has a bar that the first source does not have",)}


def test_a_source_cannot_confirm_itself() -> None:
    found = said(changed("AAA", source="test"))
    assert found == {DAY.day: (f"AAA on {DAY.day}: both bars come from test: a source cannot confirm itself",)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_is_none_agrees_with_nothing(value: float) -> None:
    assert DAY.day in said(changed("AAA", close=value))
    ours = [row | {"close": value} if row["session"] == DAY.day else row for row in quiet_rows()]
    assert len(disagreements(daily_frame(ours), opinion(second_rows()), span=SPAN)[DAY.day]) == 3


def test_no_volume_agrees_with_no_volume_only() -> None:
    ours = daily_frame([row | {"volume": 0.0} for row in quiet_rows()])
    assert disagreements(ours, opinion([row | {"volume": 0.0} for row in second_rows()]), span=SPAN) == {}
    assert len(disagreements(ours, opinion(second_rows()), span=SPAN)) == len(JUDGED)


def test_sessions_outside_the_span_are_not_compared() -> None:
    assert said([], Span(JUDGED[0].day, JUDGED[1].day)).keys() == {JUDGED[0].day, JUDGED[1].day}


def test_frames_of_another_shape_are_refused() -> None:
    with pytest.raises(TableMismatch, match="cross_check_bars"):
        disagreements(daily_frame(quiet_rows()), SecondOpinion(pl.DataFrame({"a": [1]}), TOLERANCE), span=SPAN)
    with pytest.raises(TableMismatch, match="daily_bars"):
        disagreements(pl.DataFrame({"a": [1]}), opinion(second_rows()), span=SPAN)


def test_a_difference_fails_the_gate_of_daily_bars_and_of_no_other_session() -> None:
    second = opinion(changed("BBB", close=close_of("BBB") * 1.1))
    verdicts = judge_daily(daily_frame(quiet_rows()), NO_ACTIONS, span=SPAN, calendar=XNYS, second_opinion=second)
    assert red(verdicts) == [DAY.day]
    assert "BBB" in verdicts[3].failures[0]


def test_without_a_second_opinion_nothing_is_asked_of_one() -> None:
    assert red(judge_daily(daily_frame(quiet_rows()), NO_ACTIONS, span=SPAN, calendar=XNYS)) == []


def test_a_second_source_that_answered_nothing_fails_every_session() -> None:
    verdicts = judge_daily(daily_frame(quiet_rows()), NO_ACTIONS, span=SPAN, calendar=XNYS, second_opinion=opinion([]))
    assert red(verdicts) == [session.day for session in JUDGED]


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(["open", "high", "low", "close"]),
    st.floats(0.9, 1.1),
    st.floats(1, 500),
    st.sampled_from(JUDGED),
)
def test_a_difference_is_told_exactly_when_it_exceeds_the_tolerance(
    name: str, factor: float, bp: float, session: Any
) -> None:
    tolerance = CrossCheck(provider="files", price_tolerance_bp=bp)
    rows = [
        row | {name: row[name] * factor} if (row["symbol"], row["session"]) == ("AAA", session.day) else row
        for row in second_rows()
    ]
    share = abs(factor - 1) * 10_000
    found = disagreements(daily_frame(quiet_rows()), opinion(rows, tolerance), span=SPAN)
    if abs(share - bp) > 1e-6:
        assert (session.day in found) is (share > bp)
    assert found.keys() <= {session.day}


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(chance: Any) -> None:
    rows = [row for row in changed("BBB", close=50.0) if row["session"] != JUDGED[7].day]
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert said(shuffled) == said(rows)


def test_history_before_the_span_is_long_enough_for_these_tests() -> None:
    assert SESSIONS[0].day < SPAN.first
