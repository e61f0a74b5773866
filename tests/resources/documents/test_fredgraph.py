"""FRED's download without a key, over real HTTP on this machine."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from resources.documents.fredgraph import FredGraph
from resources.documents.stamps import end_of_day
from resources.lake import ParquetLake
from tests.market.documents.drafts import EVERYTHING, MONDAY, TUESDAY, WEDNESDAY, WTI, at, window
from tests.resources.documents.conftest import QUICK
from tests.resources.documents.pages import BROKEN, HTML, LIMITED, NOTHING, SLOW, Pages, Reply
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.ingest import added
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import MACRO_SERIES
from trading_assets.market.documents.ports import EmptySource, MalformedSource, SourceUnavailable, UnknownSubject

PATH = "/graph/fredgraph.csv"
Make = Callable[[], FredGraph]


def table(*rows: str, header: str = "observation_date,DCOILWTICO") -> Reply:
    return Reply("\n".join([header, *rows, ""]).encode(), 200, "text/csv")


@pytest.fixture
def fred(pages: Pages, pauses: list[float]) -> Make:
    pages.serve(PATH, table("2013-02-28,91.83", "2013-03-01,.", "2013-03-04,"))
    return lambda: FredGraph(patience=QUICK, sleep=pauses.append, host=pages.at)


def test_a_value_is_known_so_many_days_after_its_date_as_the_settings_say(fred: Make) -> None:
    found = collect_macro([fred()], [WTI], window(), stored=MACRO_SERIES.empty(), calendar=XNYS)
    row = found.frame.row(0, named=True)
    assert (row["observed_on"], row["value"]) == (date(2013, 2, 28), 91.83)
    assert row["knowable_at"] == end_of_day(date(2013, 3, 3))
    assert (row["session"], row["basis"]) == (MONDAY, "published")
    assert found.frame.height == 1, "a point and an empty cell are no values"


def test_the_request_names_the_series_and_the_days(fred: Make, pages: Pages) -> None:
    fred().observations([WTI], window())
    _, query, _ = pages.asked[0]
    assert query["id"] == "DCOILWTICO"
    assert query["cosd"] < "2012-02-01"
    assert query["coed"] == "2013-03-09"


@pytest.mark.parametrize("header", ["observation_date,DCOILWTICO", "DATE,DCOILWTICO", "\ufeffDATE,DCOILWTICO"])
def test_both_wordings_of_the_first_line_are_read(fred: Make, pages: Pages, header: str) -> None:
    pages.serve(PATH, table("2013-02-28,-36.98", header=header))
    assert [draft.value for draft in fred().observations([WTI], window()).items] == [-36.98]


def test_a_value_that_is_out_earlier_than_usual_is_known_when_it_is_seen(fred: Make, pages: Pages) -> None:
    pages.serve(PATH, table("2013-03-04,90.1"))
    now = window(Span(TUESDAY, TUESDAY), at(TUESDAY, "15:00"))
    row = collect_macro([fred()], [WTI], now, stored=MACRO_SERIES.empty(), calendar=XNYS).frame.row(0, named=True)
    assert row["published_at"] == row["knowable_at"] == at(TUESDAY, "15:00")
    assert row["basis"] == "observed"


def test_a_value_of_a_day_to_come_is_refused(fred: Make, pages: Pages) -> None:
    pages.serve(PATH, table("2013-03-08,90.1"))
    now = window(Span(TUESDAY, TUESDAY), at(TUESDAY, "15:00"))
    found = collect_macro([fred()], [WTI], now, stored=MACRO_SERIES.empty(), calendar=XNYS)
    assert found.frame.is_empty()
    assert "DCOILWTICO of 2013-03-08" in found.notes[0]


def test_a_revision_is_a_new_row_and_the_old_one_stays(fred: Make, pages: Pages, tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    for day, value in ((MONDAY, "91.83"), (TUESDAY, "91.83"), (WEDNESDAY, "92.03")):
        pages.serve(PATH, table(f"2013-02-28,{value}"))
        asked = window(Span(day, day), at(day, "15:00"))
        held = lake.read(MACRO_SERIES, as_of=EVERYTHING)
        found = collect_macro([fred()], [WTI], asked, stored=held, calendar=XNYS)
        frame, replacing = added(found.frame, held, asked.span, item="item")
        lake.merge(MACRO_SERIES, frame, asked.span, replacing=replacing)
    stored = lake.read(MACRO_SERIES, as_of=EVERYTHING)
    assert stored.select("session", "value").rows() == [(MONDAY, 91.83), (WEDNESDAY, 92.03)]


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (LIMITED, SourceUnavailable, "limits the rate"),
        (BROKEN, SourceUnavailable, "status 500"),
        (SLOW, SourceUnavailable, "did not answer"),
        (HTML, SourceUnavailable, "a web page instead of values of DCOILWTICO"),
        (NOTHING, EmptySource, "nothing about DCOILWTICO"),
        (Reply(b"<html>", 404), UnknownSubject, "does not know the series DCOILWTICO"),
        (Reply(b"no", 403), MalformedSource, "status 403"),
        (table("2013-02-28,91", header="observation_date,OTHER"), MalformedSource, "other columns"),
        (table("2013-02-28,91,92", header="a,b,c"), MalformedSource, "other columns"),
        (table("2013-02-28,91.83", "2013-03-"), MalformedSource, "line 3"),
        (table("28/02/2013,91.83"), MalformedSource, "line 2"),
        (table("2013-02-28,abc"), MalformedSource, "line 2"),
        (table("9999-12-31,1"), MalformedSource, "line 2"),
        (Reply(b"\xff\xfe\x00"), MalformedSource, "no text"),
    ],
)
def test_a_bad_answer_about_a_series_is_named(
    fred: Make, pages: Pages, reply: Reply, error: type[Exception], said: str
) -> None:
    pages.serve(PATH, reply)
    delivery = fred().observations([WTI], window())
    assert delivery.items == []
    (problem,) = delivery.problems
    assert isinstance(problem, error)
    assert said in str(problem)
    assert "DCOILWTICO" in str(problem)
