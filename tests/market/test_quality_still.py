"""A feed that stands still or repeats itself: every bar is sound alone, and the gate is red."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, SYMBOLS, actions_frame, quiet_rows
from tests.market.test_quality_daily import JUDGED, judged, of, red
from trading_assets.core.calendar import Session

Row = dict[str, Any]
FLAT = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}
STUCK = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.5, "volume": 5000.0}


def stuck(symbol: str, *sessions: Session, **values: Any) -> list[Row]:
    """One symbol holds the same numbers in some sessions."""
    days = {session.day for session in sessions}
    numbers = STUCK | values
    return [row | numbers if row["symbol"] == symbol and row["session"] in days else row for row in quiet_rows()]


def test_a_bar_that_repeats_in_three_sessions_is_red_from_the_third_on() -> None:
    verdicts = judged(stuck("AAA", *JUDGED[2:6]))
    assert red(verdicts) == [JUDGED[4].day, JUDGED[5].day]
    assert of(verdicts, JUDGED[4]).failures == ("AAA: the same bar, volume 5000 included, for 3 sessions in a row",)


def test_two_equal_bars_in_a_row_happen() -> None:
    assert red(judged(stuck("AAA", *JUDGED[2:4]))) == []


def test_the_same_price_on_another_volume_is_no_repetition() -> None:
    rows = stuck("AAA", *JUDGED[2:6])
    moving = [row | {"volume": row["volume"] + number} for number, row in enumerate(rows)]
    assert red(judged(moving)) == []


def test_a_quotation_without_trades_may_stand_for_nineteen_sessions() -> None:
    rows = stuck("AAA", *SESSIONS[:19], **FLAT, volume=0.0)
    assert red(judged(rows)) == []
    longer = judged(stuck("AAA", *SESSIONS[:33], **FLAT, volume=0.0))
    assert red(longer) == [session.day for session in SESSIONS[30:33]]
    assert "for 31 sessions in a row" in longer[0].failures[0]


def test_two_symbols_with_the_same_bar_are_red_and_name_each_other() -> None:
    rows = [
        row | STUCK if row["session"] == JUDGED[3].day and row["symbol"] in {"AAA", "CCC"} else row
        for row in quiet_rows()
    ]
    verdicts = judged(rows)
    assert red(verdicts) == [JUDGED[3].day]
    assert of(verdicts, JUDGED[3]).failures == (
        "AAA: the same bar as CCC, volume 5000 included",
        "CCC: the same bar as AAA, volume 5000 included",
    )


def test_two_quotations_without_trades_may_be_equal() -> None:
    still = FLAT | {"volume": 0.0}
    rows = [
        row | still if row["session"] == JUDGED[3].day and row["symbol"] in {"AAA", "CCC"} else row
        for row in quiet_rows()
    ]
    assert red(judged(rows)) == []


def test_a_session_in_which_nothing_moves_is_red_once() -> None:
    rows = [
        row | dict.fromkeys(FLAT, 99.0 + SYMBOLS.index(row["symbol"])) if row["session"] == JUDGED[3].day else row
        for row in quiet_rows()
    ]
    verdicts = judged(rows)
    assert red(verdicts) == [JUDGED[3].day]
    assert of(verdicts, JUDGED[3]).failures == ("no symbol's price moves within the session",)


def test_a_session_in_which_all_symbols_have_the_same_prices_is_red() -> None:
    rows = [
        row | {"open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 1000.0 + number}
        if row["session"] == JUDGED[3].day
        else row
        for number, row in enumerate(quiet_rows())
    ]
    verdicts = judged(rows)
    assert red(verdicts) == [JUDGED[3].day]
    assert of(verdicts, JUDGED[3]).failures == ("all symbols have the same prices",)


def test_a_dividend_that_every_symbol_has_is_red() -> None:
    paid = actions_frame(*((symbol, JUDGED[3].day, "cash_dividend", 0.5) for symbol in SYMBOLS))
    verdicts = judged(quiet_rows(), paid)
    assert red(verdicts) == [JUDGED[3].day]
    assert of(verdicts, JUDGED[3]).failures == ("all symbols have the same split or dividend",)


def test_dividends_that_differ_on_one_day_pass() -> None:
    paid = actions_frame(*((symbol, JUDGED[3].day, "cash_dividend", 0.5 + n) for n, symbol in enumerate(SYMBOLS)))
    assert red(judged(quiet_rows(), paid)) == []


def test_a_dividend_in_three_sessions_in_a_row_is_red() -> None:
    days = [session.day for session in JUDGED[2:6]]
    paid = actions_frame(*(("AAA", day, "cash_dividend", 0.2) for day in days))
    verdicts = judged(quiet_rows(), paid)
    assert red(verdicts) == days[2:]
    assert of(verdicts, JUDGED[4]).failures == ("AAA: a split or dividend in 3 sessions in a row",)


@settings(deadline=None, max_examples=10)
@given(
    st.floats(0.5, 5000, allow_nan=False),
    st.floats(0, 1e7, allow_nan=False),
    st.lists(st.sampled_from(["AAA", "BBB", "CCC", "DDD"]), min_size=1, unique=True),
)
def test_any_constant_feed_is_red(price: float, volume: float, symbols: list[str]) -> None:
    """One body that returns the same bar for every symbol and session, whatever the bar is."""
    numbers = dict.fromkeys(FLAT, price) | {"volume": volume}
    verdicts = judged([row | numbers for row in quiet_rows(symbols)])
    assert red(verdicts) == [session.day for session in JUDGED]


@pytest.mark.parametrize("symbols", [("AAA",), ("AAA", "BBB", "CCC")])
def test_the_market_of_these_tests_does_not_stand_still(symbols: tuple[str, ...]) -> None:
    assert red(judged(quiet_rows(symbols))) == []
