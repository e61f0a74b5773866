"""Each rule of the intraday gate, on sessions of five-minute bars."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, intraday_frame, minute_rows
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.market.expectations import SessionVerdict
from trading_assets.market.quality import intraday_suite, judge_intraday

Row = dict[str, Any]
DAYS = SESSIONS[40:48]
SPAN = Span(DAYS[0].day, DAYS[-1].day)
PRICES = ("open", "high", "low", "close")
EARLY_CLOSE = next(session for session in DAYS if session.is_early_close)


def sound() -> list[Row]:
    return [row for symbol in ("AAA", "BBB") for session in DAYS for row in minutes_of(symbol, session)]


def minutes_of(symbol: str, session: Session, *, minutes: int = 5) -> list[Row]:
    """Bars of a session that no other symbol has."""
    own = 0.9 if symbol == "BBB" else 1.0
    rows = minute_rows(symbol, session, minutes=minutes)
    return [row | {name: row[name] * own for name in PRICES} for row in rows]


def judged(rows: Sequence[Row]) -> list[SessionVerdict]:
    return judge_intraday(intraday_frame(rows), span=SPAN, calendar=XNYS)


def red(verdicts: Sequence[SessionVerdict]) -> list[int]:
    return [number for number, verdict in enumerate(verdicts) if not verdict.passed]


def place(rows: Sequence[Row], session: int, bar: int, symbol: str = "BBB") -> int:
    """Where in the rows a bar stands."""
    start = DAYS[session].open + bar * timedelta(minutes=5)
    return next(n for n, row in enumerate(rows) if row["symbol"] == symbol and row["start"] == start)


def changed(session: int, bar: int, **values: Any) -> list[Row]:
    rows = sound()
    at = place(rows, session, bar)
    return [*rows[:at], rows[at] | values, *rows[at + 1 :]]


def test_a_sound_market_passes_without_a_word_early_close_included() -> None:
    assert EARLY_CLOSE in DAYS
    assert judged(sound()) == [SessionVerdict(session.day, passed=True) for session in DAYS]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"close": float("nan")}, "not finite"),
        ({"low": -1.0}, "above 0"),
        ({"high": 1.0}, "high must not be below low"),
        ({"volume": -1.0}, "volume must not be below 0"),
    ],
)
def test_a_wrong_value_turns_its_session_red(values: Row, reason: str) -> None:
    verdicts = judged(changed(2, 10, **values))
    assert red(verdicts) == [2]
    assert reason in " ".join(verdicts[2].failures)
    assert verdicts[2].failures[0].startswith("BBB 5m")


def test_the_same_bar_twice_is_red() -> None:
    rows = sound()
    verdicts = judged([*rows, rows[place(rows, 3, 7)]])
    assert red(verdicts) == [3]
    assert "stands 2 times" in verdicts[3].failures[0]


def test_a_minute_without_volume_is_ordinary() -> None:
    assert judged(changed(2, 10, volume=0.0))[2] == SessionVerdict(DAYS[2].day, passed=True)


def test_a_bar_before_the_open_is_red() -> None:
    early = DAYS[2].open - timedelta(minutes=5)
    verdicts = judged([*sound(), minute_rows("BBB", DAYS[2])[0] | {"start": early}])
    assert red(verdicts) == [2]
    assert "outside the session" in verdicts[2].failures[0]


def test_a_bar_after_an_early_close_is_red() -> None:
    number = DAYS.index(EARLY_CLOSE)
    late = minute_rows("BBB", EARLY_CLOSE)[-1] | {"start": EARLY_CLOSE.close}
    assert red(judged([*sound(), late])) == [number]


def test_a_bar_off_its_grid_is_red() -> None:
    rows = changed(2, 10, start=DAYS[2].open + timedelta(minutes=51))
    verdicts = judged(rows)
    assert red(verdicts) == [2]
    assert "60 s off its grid" in verdicts[2].failures[0]


def test_a_few_missing_minutes_are_ordinary_and_many_are_a_warning() -> None:
    rows = sound()
    first = place(rows, 2, 10)
    assert judged(rows[:first] + rows[first + 2 :])[2].warnings == ()
    assert judged(rows[:first] + rows[first + 20 :])[2] == SessionVerdict(
        DAYS[2].day, passed=True, warnings=("BBB 5m: 58 of 78 possible bars",)
    )


def test_a_session_with_less_than_half_of_its_bars_is_red() -> None:
    rows = sound()
    first = place(rows, 2, 10)
    verdicts = judged(rows[:first] + rows[first + 50 :])
    assert red(verdicts) == [2]
    assert verdicts[2].failures == ("BBB 5m: 28 of 78 possible bars",)


def test_a_symbol_without_a_bar_in_a_session_is_missing() -> None:
    rows = [row for row in sound() if (row["symbol"], row["session"]) != ("BBB", DAYS[4].day)]
    verdicts = judged(rows)
    assert red(verdicts) == [4]
    assert "missing for 1 session" in verdicts[4].failures[0]


def test_a_session_without_any_bar_is_red_once() -> None:
    verdicts = judged([row for row in sound() if row["session"] != DAYS[4].day])
    assert red(verdicts) == [4]
    assert verdicts[4].failures == ("no bar of any symbol in this session",)


def test_a_jump_within_the_session_on_ordinary_volume_is_red() -> None:
    prices = dict.fromkeys(PRICES, 80.0)
    verdicts = judged(changed(2, 40, **prices))
    assert red(verdicts) == [2]
    assert "no action explains it" in verdicts[2].failures[0]


def test_a_gap_over_night_is_not_a_jump() -> None:
    rows = sound()
    later = [
        row | {name: row[name] * 0.5 for name in PRICES}
        if row["symbol"] == "BBB" and row["session"] >= DAYS[3].day
        else row
        for row in rows
    ]
    assert red(judged(later)) == []


def test_a_bar_that_counts_as_knowable_before_its_end_is_red() -> None:
    rows = sound()
    early = rows[place(rows, 2, 10)]["knowable_at"] - timedelta(seconds=90)
    verdicts = judged(changed(2, 10, knowable_at=early))
    assert red(verdicts) == [2]
    assert "knowable 90 s before its end" in verdicts[2].failures[0]


def test_pence_for_pounds_within_a_session_is_red_and_says_so() -> None:
    rows = sound()
    cut = place(rows, 2, 40)
    spoilt = {
        number: {name: rows[number][name] / 100 for name in PRICES} for number in range(cut, place(rows, 2, 77) + 1)
    }
    verdicts = judged([row | spoilt.get(number, {}) for number, row in enumerate(rows)])
    assert red(verdicts) == [2]
    assert "looks 100 times too small: pence and pounds?" in verdicts[2].failures[0]


def test_a_session_whose_bars_are_all_the_same_is_red() -> None:
    stuck = {"open": 50.0, "high": 50.5, "low": 49.5, "close": 50.0, "volume": 1000.0}
    rows = [row | stuck if row["symbol"] == "BBB" and row["session"] == DAYS[2].day else row for row in sound()]
    verdicts = judged(rows)
    assert red(verdicts) == [2]
    assert "BBB 5m: all 78 bars of the session hold the same numbers" in verdicts[2].failures
    assert len(verdicts[2].failures) == 2


def test_the_same_traded_bar_twenty_times_in_a_row_is_red() -> None:
    rows = sound()
    first = place(rows, 2, 10)
    stuck = {name: rows[first][name] for name in (*PRICES, "volume")}
    copies = [row | stuck if first <= number < first + 20 else row for number, row in enumerate(rows)]
    verdicts = judged(copies)
    assert red(verdicts) == [2]
    assert "20 times in a row" in verdicts[2].failures[0]
    fewer = [row | stuck if first <= number < first + 19 else row for number, row in enumerate(rows)]
    assert red(judged(fewer)) == []


def test_two_symbols_with_the_same_bars_throughout_a_session_are_red() -> None:
    twins = [
        row
        for session in DAYS
        for symbol in ("AAA", "BBB")
        for row in (minute_rows(symbol, session) if session == DAYS[5] else minutes_of(symbol, session))
    ]
    verdicts = judged(twins)
    assert red(verdicts) == [5]
    assert set(verdicts[5].failures) == {
        "AAA 5m: the same bars throughout the session as BBB",
        "BBB 5m: the same bars throughout the session as AAA",
    }


def test_a_session_around_the_change_of_clocks_has_its_own_hours() -> None:
    """On the Monday after clocks went forward the session opens an hour earlier in UTC; a bar on the old hour is outside."""
    monday = XNYS.session(date(2024, 3, 11))
    span = Span(monday.day, monday.day)
    rows = minute_rows("AAA", monday)
    assert judge_intraday(intraday_frame(rows), span=span, calendar=XNYS)[0].passed
    hour = timedelta(hours=1)
    late = [row | {"start": row["start"] + hour, "knowable_at": row["knowable_at"] + hour} for row in rows]
    (verdict,) = judge_intraday(intraday_frame(late), span=span, calendar=XNYS)
    outside = [sentence for sentence in verdict.failures if "outside the session" in sentence]
    assert len(outside) == 12


def test_two_frequencies_of_a_symbol_are_judged_apart() -> None:
    twice = sound() + [row for session in DAYS for row in minutes_of("AAA", session, minutes=1)]
    assert red(judged(twice)) == []


def test_bars_of_another_shape_are_refused() -> None:
    with pytest.raises(TableMismatch, match="do not fit"):
        judge_intraday(pl.DataFrame({"session": [DAYS[0].day]}), span=SPAN, calendar=XNYS)


def test_every_rule_has_a_sentence() -> None:
    assert all(expectation.meta["says"] for expectation in intraday_suite().expectations)


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from([{"close": float("nan")}, {"low": 0.0}, {"high": 1.0}, {"volume": -5.0}, {"open": 1.0}]),
    st.integers(0, len(DAYS) - 1),
    st.integers(0, 40),
)
def test_any_single_wrong_value_turns_exactly_its_session_red(values: Row, session: int, bar: int) -> None:
    assert red(judged(changed(session, bar, **values))) == [session]
