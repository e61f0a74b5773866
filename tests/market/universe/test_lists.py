import csv
import itertools
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, NotASession
from trading_assets.market.universe.lists import (
    FOLDER,
    OutsideHistory,
    catalog,
    intervals,
    members,
    static_list,
)

ANSWERS = Path(__file__).with_name("answers")
HISTORIES = ("sp500", "nasdaq100")


def year_lists() -> list[tuple[int, frozenset[str]]]:
    lines = (ANSWERS / "nasdaq100.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [(int(year), frozenset(tickers)) for year, *tickers in rows]


@pytest.mark.parametrize(
    ("year", "tickers"), year_lists(), ids=lambda value: str(value) if isinstance(value, int) else ""
)
def test_nasdaq_100_equals_the_lists_of_the_year_that_its_source_keeps_apart(
    year: int, tickers: frozenset[str]
) -> None:
    assert frozenset(members("nasdaq100", XNYS.next(date(year, 1, 1)).day)) == tickers


def changes() -> list[tuple[date, str, str]]:
    with (ANSWERS / "sp500_changes.csv").open(newline="") as file:
        return [(date.fromisoformat(row["date"]), row["added"], row["removed"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("day", "added", "removed"), changes())
def test_sp_500_changes_on_the_days_that_another_file_of_its_source_records(
    day: date, added: str, removed: str
) -> None:
    before, after = members("sp500", XNYS.previous(day).day), members("sp500", day)
    for ticker in added.split():
        assert ticker not in before
        assert ticker in after
    for ticker in removed.split():
        assert ticker in before
        assert ticker not in after


def test_what_everybody_remembers_is_so() -> None:
    assert "LEHMQ" in members("sp500", date(2008, 9, 16))
    assert "LEHMQ" not in members("sp500", date(2008, 9, 17))
    assert "TSLA" not in members("sp500", date(2020, 12, 18))
    assert "TSLA" in members("sp500", date(2020, 12, 21))
    assert {"FB", "META"} & set(members("nasdaq100", date(2022, 6, 8))) == {"FB"}
    assert {"FB", "META"} & set(members("nasdaq100", date(2022, 6, 9))) == {"META"}


def test_members_that_ended_stay_in_history() -> None:
    ended = {each.ticker for each in intervals("sp500") if each.last_session}
    assert {"LEHMQ", "ENRNQ", "WAMUQ", "BSC"} <= ended
    assert len(ended) > 600


def test_a_ticker_that_left_and_came_back_has_two_memberships() -> None:
    advanced = [each for each in intervals("sp500") if each.ticker == "AMD"]
    assert [each.first_session for each in advanced] == [date(1996, 1, 2), date(2017, 3, 20)]
    assert "AMD" not in members("sp500", date(2015, 6, 1))


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("sp500", date(1995, 12, 29)),
        ("nasdaq100", date(2007, 1, 31)),
        ("sector_etfs", date(1998, 12, 21)),
        ("crypto_top20", date(2022, 12, 15)),
        ("sp500", date(2025, 7, 10)),
        ("nasdaq100", date(2026, 1, 21)),
        ("crypto_top20", date(2022, 12, 19)),
    ],
)
def test_a_session_outside_the_history_is_refused_and_never_answered_with_other_members(
    name: str, session: date
) -> None:
    with pytest.raises(OutsideHistory) as caught:
        members(name, session)
    for word in (name, str(session), str(static_list(name).first_session)):
        assert word in str(caught.value)


def test_the_last_known_members_stand_in_only_when_asked_and_only_so_long() -> None:
    last = date(2022, 12, 16)
    fifth = XNYS.next(last, 5).day
    assert members("crypto_top20", fifth, carried_sessions_max=5) == members("crypto_top20", last)
    with pytest.raises(OutsideHistory):
        members("crypto_top20", fifth, carried_sessions_max=4)
    with pytest.raises(OutsideHistory):
        members("sp500", date(1995, 12, 29), carried_sessions_max=1000)


def test_a_closed_day_has_no_members() -> None:
    with pytest.raises(NotASession):
        members("sp500", date(2020, 12, 25))


def test_an_unknown_list_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="nasdaq100"):
        members("dow30", date(2020, 1, 2))


def test_sector_funds_begin_on_their_first_day() -> None:
    assert len(members("sector_etfs", date(1998, 12, 22))) == 9
    assert "XLRE" not in members("sector_etfs", date(2015, 10, 7))
    assert "XLRE" in members("sector_etfs", date(2015, 10, 8))
    assert "XLC" not in members("sector_etfs", date(2018, 6, 18))
    assert len(members("sector_etfs", date(2018, 6, 19))) == 11


def test_currencies_are_the_nine_dollar_pairs_of_the_ten() -> None:
    pairs = members("fx_g10", date(2020, 1, 2))
    assert len(pairs) == 9
    assert all("USD" in pair and len(pair) == 6 for pair in pairs)


def test_the_coins_are_twenty_on_the_day_of_the_snapshot() -> None:
    assert len(members("crypto_top20", date(2022, 12, 16))) == 20


@pytest.mark.parametrize("name", sorted(catalog()))
def test_every_list_is_sound(name: str) -> None:
    """Ends are sessions, in order, inside the history; memberships of one ticker do not overlap; rows are sorted."""
    rows = intervals(name)
    assert rows == tuple(sorted(rows, key=lambda each: (each.ticker, each.first_session)))
    for each in rows:
        assert XNYS.is_session(each.first_session)
        assert each.first_session >= static_list(name).first_session
        assert each.last_session is None or (
            XNYS.is_session(each.last_session) and each.last_session >= each.first_session
        )
    for earlier, later in itertools.pairwise(rows):
        if earlier.ticker == later.ticker:
            assert earlier.last_session is not None
            assert earlier.last_session < later.first_session


def test_every_file_of_the_folder_is_in_the_catalogue() -> None:
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(catalog())


@pytest.mark.parametrize(("name", "least", "most"), [("sp500", 485, 510), ("nasdaq100", 99, 110)])
def test_the_number_of_members_is_plausible_all_along(name: str, least: int, most: int) -> None:
    known = static_list(name)
    assert known.known_through is not None
    counts = {len(members(name, each.day)) for each in XNYS.sessions(known.first_session, known.known_through)[::5]}
    assert least <= min(counts)
    assert max(counts) <= most


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(HISTORIES), st.integers(0, 4000))
def test_members_are_those_whose_interval_holds_the_session(name: str, offset: int) -> None:
    session = XNYS.next(static_list(name).first_session, offset + 1).day
    expected = {
        each.ticker for each in intervals(name) if each.first_session <= session <= (each.last_session or date.max)
    }
    assert set(members(name, session)) == expected
