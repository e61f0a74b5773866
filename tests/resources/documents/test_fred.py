"""FRED's API with a key, over real HTTP on this machine."""

import itertools
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from resources.documents.fred import FredVintages
from resources.documents.stamps import end_of_day
from tests.market.documents.drafts import MONDAY, RATE, WEEK, at, window
from tests.resources.documents.conftest import QUICK
from tests.resources.documents.pages import BROKEN, CUT_OFF, HTML, LIMITED, NOTHING, Pages, Reply, as_json
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import MACRO_SERIES
from trading_assets.market.documents.ports import (
    EmptySource,
    MalformedSource,
    SourceNotConfigured,
    SourceUnavailable,
    UnknownSubject,
)

PATH = "/fred/series/observations"
VARIABLE, KEY = "DESK_TEST_FRED", "0123456789abcdef0123456789abcdef"
# date of the value, first day and last day on which it was the newest, value
VINTAGES = [
    ("2013-01-01", date(2013, 2, 1), date(2013, 3, 7), "7.9"),
    ("2013-01-01", date(2013, 3, 8), date.max, "8.0"),
    ("2013-02-01", date(2013, 3, 8), date.max, "7.7"),
    ("2012-12-01", date(2013, 1, 4), date.max, "."),
    ("2003-12-01", date(2003, 12, 5), date.max, "5.7"),  # in force wherever a long window is cut
]


def archive(query: Mapping[str, str]) -> Reply:
    """What the real archive does: values in force in the days asked for, their days clipped to these."""
    first, last = date.fromisoformat(query["realtime_start"]), date.fromisoformat(query["realtime_end"])
    rows = [
        {"realtime_start": str(max(begins, first)), "realtime_end": str(min(ends, last)), "date": of, "value": value}
        for of, begins, ends, value in VINTAGES
        if begins <= last and ends >= first and of >= query["observation_start"]
    ]
    return as_json({"count": len(rows), "observations": rows})


Make = Callable[[], FredVintages]


@pytest.fixture
def fred(pages: Pages, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv(VARIABLE, KEY)
    pages.serve(PATH, archive)
    return lambda: FredVintages(key_variable=VARIABLE, patience=QUICK, sleep=pauses.append, host=pages.at)


def rows(fred: Make, span: Span, as_of: datetime | None = None) -> list[tuple[Any, ...]]:
    found = collect_macro([fred()], [RATE], window(span, as_of), stored=MACRO_SERIES.empty(), calendar=XNYS)
    return found.frame.select("observed_on", "value", "knowable_at", "basis").sort("knowable_at", "observed_on").rows()


def test_releases_are_known_at_the_end_of_their_day(fred: Make) -> None:
    """Friday the 8th ends after its close: both releases are of Monday the 11th."""
    known = end_of_day(date(2013, 3, 8))
    assert rows(fred, Span(MONDAY, date(2013, 3, 11))) == [
        (date(2013, 1, 1), 8.0, known, "published"),
        (date(2013, 2, 1), 7.7, known, "published"),
    ]
    assert rows(fred, WEEK) == []


def test_values_that_were_out_before_the_window_are_not_of_it(fred: Make) -> None:
    """The API clips the first day of an old value to the day asked from: that day is no release."""
    assert rows(fred, Span(date(2013, 2, 19), date(2013, 2, 28))) == []


def test_a_release_of_today_is_known_when_it_is_seen(fred: Make) -> None:
    friday, now = date(2013, 3, 8), at(date(2013, 3, 8), "15:00")
    assert rows(fred, Span(friday, friday), now) == [
        (date(2013, 1, 1), 8.0, now, "observed"),
        (date(2013, 2, 1), 7.7, now, "observed"),
    ]


def test_a_long_window_is_asked_in_parts_that_overlap_and_no_release_is_lost(fred: Make, pages: Pages) -> None:
    found = rows(fred, Span(date(2004, 1, 5), date(2013, 3, 11)))
    assert [value for _, value, _, _ in found] == [7.9, 8.0, 7.7]
    asked = [
        (date.fromisoformat(q["realtime_start"]), date.fromisoformat(q["realtime_end"])) for _, q, _ in pages.asked
    ]
    assert len(asked) > 1
    assert all(last - first <= timedelta(days=1800) for first, last in asked)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(asked))


def test_the_request_names_series_key_and_days(fred: Make, pages: Pages) -> None:
    rows(fred, WEEK)
    _, query, _ = pages.asked[0]
    assert (query["series_id"], query["api_key"], query["file_type"]) == ("UNRATE", KEY, "json")
    assert query["realtime_start"] == "2013-02-28"
    assert query["realtime_end"] == "2013-03-08"
    assert query["observation_start"] < "2012-02-01"


@pytest.mark.parametrize("content", [None, ""])
def test_without_a_key_nothing_is_asked_and_the_variable_is_named(
    fred: Make, pages: Pages, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.delenv(VARIABLE) if content is None else monkeypatch.setenv(VARIABLE, content)
    with pytest.raises(SourceNotConfigured, match=f"environment variable {VARIABLE}.*fredgraph"):
        fred().observations([RATE], window())
    assert pages.asked == []


REFUSED = "Bad Request. The value for variable api_key is not registered."
ABSENT = "Bad Request. The series does not exist."


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (LIMITED, SourceUnavailable, "limits the rate"),
        (BROKEN, SourceUnavailable, "status 500"),
        (HTML, SourceUnavailable, "a web page"),
        (CUT_OFF, SourceUnavailable, "no JSON"),
        (NOTHING, EmptySource, "nothing about UNRATE"),
        (as_json({"error_code": 400, "error_message": ABSENT}, 400), UnknownSubject, "does not know the series UNRATE"),
        (as_json({"error_code": 400, "error_message": REFUSED}, 400), SourceNotConfigured, VARIABLE),
        (
            as_json({"error_code": 400, "error_message": "too many vintage dates"}, 400),
            MalformedSource,
            "too many vintage",
        ),
        (as_json([]), MalformedSource, "UNRATE"),
        (as_json({"observations": None}), MalformedSource, "no list of observations"),
        (as_json({"count": 2, "observations": [{}]}), MalformedSource, "more values of UNRATE"),
        (as_json({"observations": [{"date": "2013-01-01"}]}), MalformedSource, "realtime_start"),
        (
            as_json({"observations": [{"realtime_start": "2013-03-08", "date": "2013-01-01", "value": "x"}]}),
            MalformedSource,
            "UNRATE",
        ),
        (
            as_json({"observations": [{"realtime_start": "9999-12-31", "date": "2013-01-01", "value": "1"}]}),
            MalformedSource,
            "UNRATE",
        ),
    ],
)
def test_a_bad_answer_about_one_series_is_named_without_the_key(
    fred: Make, pages: Pages, reply: Reply, error: type[Exception], said: str
) -> None:
    pages.serve(PATH, reply)
    delivery = fred().observations([RATE], window())
    assert delivery.items == []
    (problem,) = delivery.problems
    assert isinstance(problem, error)
    assert said in str(problem)
    assert KEY not in str(problem)


def test_a_bad_series_does_not_stop_the_next(fred: Make, pages: Pages) -> None:
    missing = as_json({"error_code": 400, "error_message": ABSENT}, 400)
    pages.serve(PATH, lambda query: archive(query) if query["series_id"] == "UNRATE" else missing)
    delivery = fred().observations([type(RATE)("NOPE", "percent", 1), RATE], window(Span(MONDAY, date(2013, 3, 11))))
    assert {draft.series for draft in delivery.items} == {"UNRATE"}
    assert len(delivery.problems) == 1
