from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.universe.worlds import instrument
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, load_settings
from trading_assets.market.universe.listings import (
    PlainSymbol,
    check_lives,
    instrument_of,
    is_alive,
    life_within,
    listed,
    outside_life,
    refuse_twice,
)

END = date(2008, 9, 26)
BEGIN = date(2009, 8, 5)
WASHINGTON = instrument("WM-20080926", ticker="WM", last_session=END)
WASTE = instrument("WM", first_session=BEGIN)


def test_two_owners_of_one_ticker_one_after_the_other_are_allowed() -> None:
    check_lives([WASHINGTON, WASTE])
    check_lives([WASTE, WASHINGTON])


def test_two_owners_of_one_ticker_at_once_are_refused_by_name() -> None:
    early = instrument("WM", first_session=date(2008, 9, 26))
    with pytest.raises(ConfigurationError, match="two instruments trade as WM at once") as caught:
        check_lives([WASHINGTON, early])
    assert "WM-20080926" in str(caught.value)
    assert "2008-09-26 to now" in str(caught.value)


@pytest.mark.parametrize(
    "owners",
    [
        [WASHINGTON, instrument("WM")],
        [instrument("WM-X", ticker="WM"), WASTE],
        [instrument("AAA", ticker="WM"), instrument("BBB", ticker="WM")],
    ],
    ids=["the later one has no beginning", "the earlier one has no end", "neither has an end"],
)
def test_an_open_end_overlaps_whatever_lies_beyond_it(owners: list[object]) -> None:
    with pytest.raises(ConfigurationError, match="at once"):
        check_lives(owners)  # type: ignore[arg-type]


def test_the_earlier_owner_is_named_after_the_end_of_its_life() -> None:
    wrong = instrument("WAMU", ticker="WM", last_session=END)
    with pytest.raises(ConfigurationError, match="symbol: WM-20080926, ticker: WM"):
        check_lives([wrong, WASTE])


@pytest.mark.parametrize(
    "wrong",
    [
        instrument("WM-20080926"),
        instrument("WM-20080926", ticker="WM"),
        instrument("WM-20080926", ticker="WMI", last_session=END),
        instrument("WM-20080926", ticker="WM", last_session=date(2008, 9, 25)),
    ],
    ids=["neither ticker nor end", "no end", "another ticker", "another end"],
)
def test_a_name_that_says_an_end_must_be_true(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="must say the same ticker and the same end"):
        check_lives([wrong])  # type: ignore[list-item]


def test_a_life_begins_and_ends_on_sessions() -> None:
    with pytest.raises(ConfigurationError, match="the session before it is 2008-09-26") as caught:
        check_lives([instrument("WM", last_session=date(2008, 9, 28))])
    assert "WM" in str(caught.value)


def test_three_owners_are_checked_one_against_the_next() -> None:
    first = instrument("X-20050103", ticker="X", last_session=date(2005, 1, 3))
    second = instrument("X-20100104", ticker="X", first_session=date(2006, 1, 3), last_session=date(2010, 1, 4))
    check_lives([first, second, instrument("X", first_session=date(2011, 1, 3))])
    with pytest.raises(ConfigurationError, match="at once"):
        check_lives([first, second, instrument("X", first_session=date(2010, 1, 4))])


def test_a_delisted_ticker_that_nobody_took_keeps_its_name() -> None:
    check_lives([instrument("LEH", last_session=date(2008, 9, 15))])


def test_the_committed_settings_have_possible_lives() -> None:
    check_lives(load_settings(PROJECT / "config").market.instruments)


def test_a_life_cuts_the_span() -> None:
    span = Span(date(2008, 1, 2), date(2010, 12, 31))
    assert life_within(WASHINGTON, span) == Span(span.first, END)
    assert life_within(WASTE, span) == Span(BEGIN, span.last)
    assert life_within(PlainSymbol("AAPL"), span) == span


def test_a_life_outside_the_span_says_on_which_side() -> None:
    before, after = Span(date(2004, 1, 2), date(2004, 12, 31)), Span(date(2010, 1, 4), date(2010, 12, 31))
    assert life_within(WASTE, before) is None
    assert "begins on 2009-08-05, after 2004-12-31" in outside_life(WASTE, before)
    assert life_within(WASHINGTON, after) is None
    assert "ended on 2008-09-26, before 2010-01-04" in outside_life(WASHINGTON, after)


def test_ends_belong_to_the_life() -> None:
    assert is_alive(WASHINGTON, END)
    assert not is_alive(WASHINGTON, XNYS.next(END).day)
    assert is_alive(WASTE, BEGIN)
    assert not is_alive(WASTE, XNYS.previous(BEGIN).day)


def test_a_ticker_is_its_owner_of_that_session() -> None:
    owners = [WASHINGTON, WASTE]
    assert instrument_of("WM", END, owners) == "WM-20080926"
    assert instrument_of("WM", BEGIN, owners) == "WM"
    assert instrument_of("WM", date(2008, 12, 31), owners) == "WM"
    assert instrument_of("IBM", END, owners) == "IBM"


def test_symbols_become_the_instruments_of_the_settings_or_plain_symbols() -> None:
    found = listed(["WM-20080926", "IBM"], [WASHINGTON, WASTE])
    assert found == (WASHINGTON, PlainSymbol("IBM"))
    assert found[1].traded_as == "IBM"


def test_one_symbol_with_two_lives_is_refused() -> None:
    refuse_twice([WASTE, WASTE])
    with pytest.raises(PermanentFailure, match="two lives"):
        refuse_twice([WASTE, instrument("WM")])


_PLACES = st.integers(min_value=4000, max_value=4100)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(_PLACES, st.integers(0, 20)), min_size=2, max_size=4))
def test_lives_are_refused_exactly_when_some_session_has_two_owners(spans: list[tuple[int, int]]) -> None:
    """Compared with counting the owners of every session."""
    owners = []
    for first, length in spans:
        begin, end = XNYS.days[first], XNYS.days[first + length]
        owners.append(instrument(f"X-{end:%Y%m%d}", ticker="X", first_session=begin, last_session=end))
    crowded = any(sum(is_alive(each, day) for each in owners) > 1 for day in XNYS.days[4000:4130])
    if crowded:
        with pytest.raises(ConfigurationError, match="at once"):
            check_lives(owners)
    else:
        check_lives(owners)
