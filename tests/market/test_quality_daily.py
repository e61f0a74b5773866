"""Each rule of the daily gate: a sound market passes, one defect turns one session red and says why."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import (
    SESSIONS,
    SPAN,
    SYMBOLS,
    actions_frame,
    daily_frame,
    daily_row,
    quiet_rows,
)
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.market.expectations import SessionVerdict
from trading_assets.market.model import CORPORATE_ACTIONS
from trading_assets.market.quality import daily_suite, judge_daily

Row = dict[str, Any]
JUDGED = SESSIONS[30:]
NAN, INFINITY = float("nan"), float("inf")
NO_ACTIONS = CORPORATE_ACTIONS.empty()
VALUES: dict[str, tuple[Row, str]] = {
    "a close that is not a number": ({"close": NAN}, "not finite"),
    "an infinite high": ({"high": INFINITY}, "not finite"),
    "an open that is not a number": ({"open": NAN}, "not finite"),
    "a volume that is not a number": ({"volume": NAN}, "not finite"),
    "a negative price": ({"low": -1.0}, "above 0"),
    "a price of zero": ({"low": 0.0}, "above 0"),
    "a high below the low": ({"high": 90.0}, "high must not be below low"),
    "a high below the close": (
        {"high": 100.0, "open": 99.5, "low": 99.0, "close": 101.0},
        "high must not be below open",
    ),
    "a low above the open": ({"low": 100.0, "open": 99.0, "high": 103.0, "close": 101.0}, "low must not be above open"),
    "a negative volume": ({"volume": -1.0}, "volume must not be below 0"),
}


def judged(rows: Sequence[Row], actions: pl.DataFrame = NO_ACTIONS, span: Span = SPAN) -> list[SessionVerdict]:
    return judge_daily(daily_frame(rows), actions, span=span, calendar=XNYS)


def red(verdicts: Sequence[SessionVerdict]) -> list[date]:
    return [verdict.session for verdict in verdicts if not verdict.passed]


def of(verdicts: Sequence[SessionVerdict], session: Session) -> SessionVerdict:
    return next(verdict for verdict in verdicts if verdict.session == session.day)


def with_changed(symbol: str, session: Session, **values: Any) -> list[Row]:
    return [row | values if (row["symbol"], row["session"]) == (symbol, session.day) else row for row in quiet_rows()]


def without(symbol: str, *sessions: Session) -> list[Row]:
    gone = {(symbol, session.day) for session in sessions}
    return [row for row in quiet_rows() if (row["symbol"], row["session"]) not in gone]


def scaled(symbol: str, session: Session, factor: float, *, volume: float = 1.0, lasting: bool = True) -> list[Row]:
    """The symbol's prices times a factor from a session on, or in that session only."""
    prices = ("open", "high", "low", "close")
    rows = []
    for row in quiet_rows():
        on_the_day = (row["symbol"], row["session"]) == (symbol, session.day)
        later = lasting and row["symbol"] == symbol and row["session"] > session.day
        moved = {name: row[name] * factor for name in prices} if on_the_day or later else {}
        rows.append(row | moved | ({"volume": row["volume"] * volume} if on_the_day else {}))
    return rows


def test_a_sound_market_passes_without_a_word() -> None:
    assert judged(quiet_rows()) == [SessionVerdict(session.day, passed=True) for session in JUDGED]


@pytest.mark.parametrize("defect", VALUES)
def test_a_wrong_value_turns_its_session_red_and_says_so(defect: str) -> None:
    values, reason = VALUES[defect]
    verdicts = judged(with_changed("BBB", JUDGED[3], **values))
    assert red(verdicts) == [JUDGED[3].day]
    assert all(sentence.startswith("BBB") for sentence in of(verdicts, JUDGED[3]).failures)
    assert reason in " ".join(of(verdicts, JUDGED[3]).failures)


def test_a_sentence_shows_the_row() -> None:
    bar = {"open": 100.0, "high": 90.0, "low": 99.0, "close": 100.0}
    verdicts = judged(with_changed("BBB", JUDGED[3], **bar))
    assert of(verdicts, JUDGED[3]).failures[0] == (
        "BBB: open 100, high 90, low 99, close 100, volume 1e+06: high must not be below low"
    )


def test_the_same_bar_twice_is_red() -> None:
    verdicts = judged([*quiet_rows(), daily_row("AAA", JUDGED[2], 101.0)])
    assert red(verdicts) == [JUDGED[2].day]
    assert "stands 2 times" in of(verdicts, JUDGED[2]).failures[0]


def test_no_volume_in_a_whole_session_is_a_warning() -> None:
    verdict = of(judged(with_changed("AAA", JUDGED[2], volume=0.0)), JUDGED[2])
    assert verdict.passed
    assert verdict.warnings == ("AAA: volume 0 in a whole session",)


@pytest.mark.fault(78)
def test_a_bar_missing_between_two_others_is_red() -> None:
    verdicts = judged(without("CCC", JUDGED[4]))
    assert red(verdicts) == [JUDGED[4].day]
    assert of(verdicts, JUDGED[4]).failures == ("CCC: no bar; missing for 1 session(s) in a row",)


def test_a_bar_missing_at_the_end_is_red() -> None:
    assert red(judged(without("CCC", JUDGED[-1]))) == [JUDGED[-1].day]


def test_a_symbol_is_not_missed_before_its_first_bar() -> None:
    assert red(judged(without("CCC", *SESSIONS[:35]))) == []


def test_a_symbol_silent_for_more_than_five_sessions_has_ended() -> None:
    verdicts = judged(without("CCC", *JUDGED[3:]))
    assert red(verdicts) == [session.day for session in JUDGED[3:8]]
    warned = [verdict.session for verdict in verdicts if verdict.warnings]
    assert warned == [JUDGED[8].day]
    assert "counts as ended" in of(verdicts, JUDGED[8]).warnings[0]


def test_a_ticker_used_again_after_its_end_is_a_new_life() -> None:
    """The new company's price has nothing to do with the old one's (WM in 2008 and 2009)."""
    again = [
        row for row in scaled("CCC", JUDGED[10], 30.0) if row["symbol"] == "CCC" and row["session"] >= JUDGED[10].day
    ]
    verdicts = judged([*without("CCC", *JUDGED[2:]), *again])
    assert red(verdicts) == [session.day for session in JUDGED[2:7]]


def test_a_session_without_any_bar_is_red_once() -> None:
    rows = [row for row in quiet_rows() if row["session"] != JUDGED[5].day]
    verdicts = judged(rows)
    assert red(verdicts) == [JUDGED[5].day]
    assert of(verdicts, JUDGED[5]).failures == ("no bar of any symbol in this session",)


def test_no_bars_at_all_turn_every_session_red() -> None:
    assert red(judged([])) == [session.day for session in JUDGED]


def test_a_split_that_nobody_recorded_is_red_on_its_day_only() -> None:
    verdicts = judged(scaled("AAA", JUDGED[4], 0.5, volume=2.0))
    assert red(verdicts) == [JUDGED[4].day]
    assert "no action explains it" in of(verdicts, JUDGED[4]).failures[0]


def test_a_split_that_nobody_recorded_is_not_excused_by_more_shares() -> None:
    assert red(judged(scaled("AAA", JUDGED[4], 1 / 3, volume=6.0))) == [JUDGED[4].day]


def test_a_recorded_split_is_not_a_jump() -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", 2.0))
    assert red(judged(scaled("AAA", JUDGED[4], 0.5), split)) == []


def test_a_split_recorded_but_not_traded_is_red() -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", 2.0))
    assert red(judged(quiet_rows(), split)) == [JUDGED[4].day]


def test_a_split_of_another_symbol_explains_nothing() -> None:
    split = actions_frame(("BBB", JUDGED[4].day, "split", 2.0))
    assert of(judged(scaled("AAA", JUDGED[4], 0.5), split), JUDGED[4]).failures[0].startswith("AAA")


def test_a_large_dividend_explains_the_fall_of_its_ex_date() -> None:
    paid = actions_frame(("AAA", JUDGED[4].day, "cash_dividend", 40.0))
    assert red(judged(scaled("AAA", JUDGED[4], 0.6), paid)) == []


def test_an_action_on_a_day_without_a_bar_explains_the_next_bar() -> None:
    split = actions_frame(("AAA", JUDGED[4].day, "split", 2.0))
    rows = [row for row in scaled("AAA", JUDGED[4], 0.5) if (row["symbol"], row["session"]) != ("AAA", JUDGED[4].day)]
    assert red(judged(rows, split)) == [JUDGED[4].day]


def test_a_fall_on_heavy_volume_is_a_warning() -> None:
    verdict = of(judged(scaled("AAA", JUDGED[4], 0.5, volume=25.0)), JUDGED[4])
    assert verdict.passed
    assert "times the usual trading" in verdict.warnings[0]


def test_a_wrong_price_on_ordinary_volume_is_no_excuse_by_turnover() -> None:
    verdicts = judged(scaled("AAA", JUDGED[4], 3.9, volume=1.5, lasting=False))
    assert red(verdicts) == [JUDGED[4].day, JUDGED[5].day]


def test_a_factor_beyond_four_is_red_on_any_volume() -> None:
    assert red(judged(scaled("AAA", JUDGED[4], 5.0, volume=50.0))) == [JUDGED[4].day]


@pytest.mark.parametrize(("factor", "is_red"), [(0.80, False), (1.19, False), (0.70, True), (1.32, True)])
def test_a_move_is_a_jump_beyond_a_quarter(factor: float, is_red: bool) -> None:
    """The quiet market itself wanders by up to 4 %, so that the factors keep away from the border."""
    assert bool(red(judged(scaled("AAA", JUDGED[4], factor)))) is is_red


def test_a_jump_is_measured_from_the_last_sound_close() -> None:
    rows = with_changed("AAA", JUDGED[4], close=NAN)
    assert red(judged(rows)) == [JUDGED[4].day]


def test_defects_before_the_span_are_history() -> None:
    assert red(judged(with_changed("AAA", SESSIONS[20], high=1.0, volume=NAN))) == []


def test_bars_after_the_span_are_not_looked_at() -> None:
    early = Span(JUDGED[0].day, JUDGED[4].day)
    whole = judged(with_changed("AAA", JUDGED[9], high=1.0), span=early)
    assert whole == [SessionVerdict(session.day, passed=True) for session in JUDGED[:5]]


def test_bars_of_another_shape_are_refused() -> None:
    with pytest.raises(TableMismatch, match="do not fit"):
        judge_daily(daily_frame(quiet_rows()).drop("volume"), NO_ACTIONS, span=SPAN, calendar=XNYS)


def test_a_bar_on_a_closed_day_is_refused() -> None:
    with pytest.raises(TableMismatch, match="without a session"):
        judged([*quiet_rows(), daily_row("AAA", JUDGED[0], 100.0) | {"session": date(2024, 7, 4)}])


def test_every_rule_has_a_sentence_and_a_severity() -> None:
    for expectation in daily_suite().expectations:
        assert expectation.meta["says"]
        assert expectation.severity.value in {"critical", "warning"}


def _spoilt(rows: list[Row], defect: str, symbol: str, session: Session) -> list[Row]:
    at = next(n for n, row in enumerate(rows) if (row["symbol"], row["session"]) == (symbol, session.day))
    spoilers: dict[str, Callable[[], list[Row]]] = {
        "missing": lambda: rows[:at] + rows[at + 1 :],
        "twice": lambda: [*rows, rows[at]],
    }
    if defect in spoilers:
        return spoilers[defect]()
    return [*rows[:at], rows[at] | VALUES[defect][0], *rows[at + 1 :]]


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.sampled_from([*VALUES, "missing", "twice"]), st.sampled_from(SYMBOLS), st.sampled_from(JUDGED))
def test_any_single_defect_turns_exactly_its_session_red(defect: str, symbol: str, session: Session) -> None:
    assert red(judged(_spoilt(quiet_rows(), defect, symbol, session))) == [session.day]


@settings(deadline=None, max_examples=8)
@given(st.integers(2, len(JUDGED) - 1), st.sampled_from([*VALUES, "missing", "twice"]))
def test_a_verdict_does_not_change_when_later_sessions_arrive(upto: int, defect: str) -> None:
    rows = _spoilt(quiet_rows(), defect, "BBB", JUDGED[1])
    early = Span(SPAN.first, JUDGED[upto].day)
    known = [row for row in rows if row["session"] <= early.last]
    assert judged(known, span=early) == judged(rows)[: upto + 1]
