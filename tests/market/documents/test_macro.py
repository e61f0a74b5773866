"""Releases and revisions of macro series."""

import math
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.market.documents.drafts import (
    EVERYTHING,
    MONDAY,
    RATE,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    WTI,
    Told,
    at,
    column,
    value,
    window,
)
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.ingest import Collected, added
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import MACRO_SERIES
from trading_assets.market.documents.ports import SourceUnavailable, Window

ONE = (WTI,)


def collected(*sources: Told, stored: pl.DataFrame | None = None, asked: Window | None = None) -> Collected:
    held = MACRO_SERIES.empty() if stored is None else stored
    return collect_macro(sources, ONE, asked or window(), stored=held, calendar=XNYS)


def on(day: date, clock: str = "18:00") -> Window:
    """The window of one session, asked for during it."""
    return window(Span(day, day), at(day, clock))


def known(frame: pl.DataFrame) -> list[tuple[float, datetime]]:
    return frame.sort("knowable_at").select("value", "knowable_at").rows()


def test_a_release_is_a_row_with_value_unit_and_times() -> None:
    row = collected(Told([value(90.5, at(TUESDAY, "13:30"))])).frame.row(0, named=True)
    assert (row["series"], row["value"], row["unit"]) == ("DCOILWTICO", 90.5, "USD per barrel")
    assert (row["observed_on"], row["session"]) == (MONDAY, TUESDAY)
    assert row["knowable_at"] == at(TUESDAY, "13:30")
    assert row["basis"] == "published"


def test_each_series_comes_from_the_first_source_that_has_it() -> None:
    first = Told([value(90.0, at(TUESDAY))], "first")
    second = Told([value(80.0, at(TUESDAY)), value(5.0, at(TUESDAY), series=RATE.name)], "second")
    found = collect_macro([first, second], [WTI, RATE], window(), stored=MACRO_SERIES.empty(), calendar=XNYS)
    assert sorted(found.frame.select("series", "value", "source").rows()) == [
        ("DCOILWTICO", 90.0, "first"),
        ("UNRATE", 5.0, "second"),
    ]
    assert second.asked == [("UNRATE",)]


def test_a_source_that_fails_leaves_its_series_to_the_next() -> None:
    broken = Told(name="broken", failure=SourceUnavailable("down"))
    found = collected(broken, Told([value(90.0, at(TUESDAY))], "next"))
    assert column(found.frame, "source") == ["next"]
    assert found.outcomes[0].failure == "down"


def test_a_series_that_no_source_has_is_named() -> None:
    assert "DCOILWTICO" in collected(Told()).notes[0]
    assert collected(Told([value(1.0, at(TUESDAY))])).notes == ()


def test_a_value_that_is_no_number_is_refused_and_named() -> None:
    found = collected(Told([value(math.nan, at(TUESDAY)), value(math.inf, at(WEDNESDAY), of=TUESDAY)]))
    assert found.frame.is_empty()
    assert "DCOILWTICO of 2013-03-04: nan is not a finite number" in found.notes[0]


def test_a_value_from_the_future_is_refused_and_named() -> None:
    found = collected(Told([value(1.0, at(WEDNESDAY))]), asked=on(TUESDAY))
    assert found.frame.is_empty()
    assert "DCOILWTICO of 2013-03-04" in found.notes[0]


def test_vintages_are_rows_of_their_own() -> None:
    drafts = [value(1.0, at(TUESDAY), vintage=True), value(1.2, at(WEDNESDAY), vintage=True)]
    assert known(collected(Told(drafts)).frame) == [(1.0, at(TUESDAY)), (1.2, at(WEDNESDAY))]


def test_a_revision_back_to_an_older_value_is_a_row_too() -> None:
    days = [TUESDAY, WEDNESDAY, date(2013, 3, 7)]
    drafts = [value(n, at(d), vintage=True) for n, d in zip((1.0, 1.2, 1.0), days, strict=True)]
    stored = collected(Told(drafts)).frame
    assert column(stored.sort("knowable_at"), "value") == [1.0, 1.2, 1.0]
    assert collected(Told(drafts), stored=stored).frame.is_empty(), "and nothing is new the second time"


def test_a_vintage_seen_live_is_not_moved_back_by_a_backfill() -> None:
    draft = value(1.0, at(TUESDAY, "13:30"), vintage=True)
    seen = collected(Told([draft]), asked=on(TUESDAY))
    assert known(seen.frame) == [(1.0, at(TUESDAY, "18:00"))]
    assert collected(Told([draft]), stored=seen.frame).frame.is_empty()


def test_a_revision_without_vintages_is_known_when_it_is_first_seen_and_the_old_row_stays(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)

    def keep(source: Told, asked: Window) -> pl.DataFrame:
        held = lake.read(MACRO_SERIES, as_of=EVERYTHING)
        frame, replacing = added(collected(source, stored=held, asked=asked).frame, held, asked.span, item="item")
        lake.merge(MACRO_SERIES, frame, asked.span, replacing=replacing)
        return lake.read(MACRO_SERIES, as_of=EVERYTHING)

    first = keep(Told([value(90.0, at(MONDAY, "15:00"))]), on(MONDAY))
    revised = keep(Told([value(91.0, at(MONDAY, "15:00"))]), on(WEDNESDAY))
    assert known(revised) == [(90.0, at(MONDAY, "18:00")), (91.0, at(WEDNESDAY, "18:00"))]
    assert lake.read(MACRO_SERIES, as_of=at(TUESDAY, "20:00")).equals(first), "Tuesday's decision is as it was"
    assert keep(Told([value(91.0, at(MONDAY, "15:00"))]), on(WEDNESDAY, "19:00")).equals(revised)


def test_of_two_values_known_at_one_instant_the_newer_release_counts() -> None:
    drafts = [value(1.0, at(MONDAY, "10:00"), vintage=True), value(2.0, at(MONDAY, "11:00"), vintage=True)]
    found = collected(Told(drafts, delivers="dropped"), asked=on(MONDAY))
    assert known(found.frame) == [(2.0, at(MONDAY, "18:00"))]


def test_an_old_release_that_is_still_shown_does_not_undo_a_newer_one() -> None:
    """Two lines of one file, seen again each day: a release and its revision."""
    drafts = [value(1.0, at(MONDAY, "10:00"), vintage=True), value(2.0, at(MONDAY, "11:00"), vintage=True)]
    stored = MACRO_SERIES.empty()
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        found = collected(Told(drafts, delivers="dropped"), stored=stored, asked=on(day))
        stored = pl.concat([stored, found.frame])
    assert known(stored) == [(2.0, at(MONDAY, "18:00"))]


def test_a_stored_value_is_not_replaced_at_the_same_instant() -> None:
    stored = collected(Told([value(1.0, at(MONDAY, "15:00"))]), asked=on(MONDAY)).frame
    again = collected(Told([value(9.0, at(MONDAY, "15:00"))]), stored=stored, asked=on(MONDAY))
    assert again.frame.is_empty()


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1.0, 2.0, 3.0])), max_size=6), st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_vintages_give_the_same_rows_in_any_split_of_the_range(releases: list[tuple[int, float]], cut: int) -> None:
    by_day = dict(releases)
    drafts = [value(number, at(MONDAY) + timedelta(days=day), vintage=True) for day, number in sorted(by_day.items())]
    whole = collected(Told(drafts)).frame
    days = [session.day for session in XNYS.sessions(WEEK.first, WEEK.last)]
    stored = MACRO_SERIES.empty()
    for span in [Span(days[0], days[cut]), *([Span(days[cut + 1], days[-1])] if cut < 4 else [])]:
        stored = pl.concat([stored, collected(Told(drafts), stored=stored, asked=window(span)).frame])
    assert MACRO_SERIES.conform(stored).equals(whole)


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_daily_fetches_of_a_moving_value_store_exactly_its_changes(shown: list[float]) -> None:
    stored = MACRO_SERIES.empty()
    days = [session.day for session in XNYS.sessions(MONDAY, date(2013, 3, 29))][: len(shown)]
    for day, number in zip(days, shown, strict=True):
        asked = on(day)
        stored = pl.concat(
            [stored, collected(Told([value(number, at(MONDAY, "10:00"))]), stored=stored, asked=asked).frame]
        )
    changes = [number for n, number in enumerate(shown) if n == 0 or shown[n - 1] != number]
    assert column(stored.sort("knowable_at"), "value") == changes
