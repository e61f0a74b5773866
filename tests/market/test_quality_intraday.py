"""Each rule of the intraday gate, on sessions of five-minute bars."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, intraday_frame, minute_rows
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.market.quality import SessionVerdict, intraday_suite, judge_intraday

Row = dict[str, Any]
DAYS = SESSIONS[40:48]
SPAN = Span(DAYS[0].day, DAYS[-1].day)
EARLY_CLOSE = next(session for session in DAYS if session.is_early_close)


def sound() -> list[Row]:
    return [row for symbol in ("AAA", "BBB") for session in DAYS for row in minute_rows(symbol, session)]


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
    prices = dict.fromkeys(("open", "high", "low", "close"), 80.0)
    verdicts = judged(changed(2, 40, **prices))
    assert red(verdicts) == [2]
    assert "no action explains it" in verdicts[2].failures[0]


def test_a_gap_over_night_is_not_a_jump() -> None:
    rows = sound()
    prices = ("open", "high", "low", "close")
    later = [
        row | {name: row[name] * 0.5 for name in prices}
        if row["symbol"] == "BBB" and row["session"] >= DAYS[3].day
        else row
        for row in rows
    ]
    assert red(judged(later)) == []


def test_two_frequencies_of_a_symbol_are_judged_apart() -> None:
    twice = sound() + [row for session in DAYS for row in minute_rows("AAA", session, minutes=1)]
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
