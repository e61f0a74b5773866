"""The SEC's index over real HTTP on this machine, in the shape that it has."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from resources.documents.edgar import EdgarFilings
from tests.market.documents.drafts import MONDAY, at, window
from tests.resources.documents.conftest import QUICK
from tests.resources.documents.pages import (
    BROKEN,
    CUT_OFF,
    HTML,
    LIMITED,
    NOTHING,
    SLOW,
    Pages,
    Reply,
    as_json,
)
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.ingest import collect_filings
from trading_assets.market.documents.model import FILINGS
from trading_assets.market.documents.ports import (
    EmptySource,
    MalformedSource,
    RefusedItem,
    SourceNotConfigured,
    SourceUnavailable,
    UnknownSubject,
)

CONTACT = "Jane Doe jane@example.com"
APPLE, META = 320193, 1326801
TICKERS = {
    "0": {"cik_str": APPLE, "ticker": "AAPL", "title": "Apple Inc."},
    "1": {"cik_str": META, "ticker": "META", "title": "Meta Platforms, Inc."},
    "2": {"cik_str": 1067983, "ticker": "BRK-B", "title": "Berkshire Hathaway"},
}
COLUMNS = ("accessionNumber", "form", "filingDate", "acceptanceDateTime", "reportDate", "items", "primaryDocument")
ROW = ("0000320193-13-000010", "8-K", "2013-03-04", "2013-03-04T16:30:12.000Z", "2013-03-01", "2.02,9.01", "a8k.htm")
OLD = ("0000320193-99-000001", "10-K", "1999-12-22", "1999-12-22T17:00:00.000Z", "1999-09-25", "", "")
Make = Callable[..., EdgarFilings]


def submissions(*rows: tuple[str, ...], files: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"cik": str(APPLE), "filings": {"recent": table(*rows), "files": files or []}}


def table(*rows: tuple[str, ...]) -> Mapping[str, list[str]]:
    columns = {name: [row[n] for row in rows] for n, name in enumerate(COLUMNS)}
    return {**columns, "primaryDocDescription": ["FORM"] * len(rows), "size": ["1"] * len(rows)}


@pytest.fixture
def edgar(pages: Pages, pauses: list[float]) -> Make:
    pages.serve("/files/company_tickers.json", as_json(TICKERS))
    pages.serve("/submissions/CIK0000320193.json", as_json(submissions(ROW)))

    def made(contact: str | None = CONTACT, ciks: Mapping[str, int] | None = None) -> EdgarFilings:
        return EdgarFilings(
            contact=contact, ciks=ciks or {}, patience=QUICK, sleep=pauses.append, www=pages.at, data=pages.at
        )

    return made


def test_a_filing_has_its_number_form_days_and_address(edgar: Make, pages: Pages) -> None:
    (draft,) = edgar().filings(["AAPL"], window()).items
    assert (draft.symbol, draft.accession, draft.form, draft.cik) == ("AAPL", ROW[0], "8-K", "0000320193")
    assert (draft.filed_on, draft.period) == (MONDAY, date(2013, 3, 1))
    assert (draft.items, draft.description) == ("2.02,9.01", "FORM")
    assert draft.url == f"{pages.at}/Archives/edgar/data/320193/000032019313000010/a8k.htm"


def test_a_time_that_may_be_new_yorks_clock_or_utc_counts_as_the_later(edgar: Make) -> None:
    (draft,) = edgar().filings(["AAPL"], window()).items
    assert draft.published.earliest == datetime(2013, 3, 4, 16, 30, 12, tzinfo=UTC)
    assert draft.published.at == datetime(2013, 3, 4, 21, 30, 12, tzinfo=UTC)
    found = collect_filings([edgar()], ["AAPL"], window(), stored=FILINGS.empty(), calendar=XNYS)
    assert found.frame["session"][0] == date(2013, 3, 5), "16:30 in New York is after the close"


def test_a_filing_seen_live_is_known_when_it_is_seen(edgar: Make) -> None:
    now = window(Span(MONDAY, MONDAY), at(MONDAY, "17:00"))
    row = collect_filings([edgar()], ["AAPL"], now, stored=FILINGS.empty(), calendar=XNYS).frame.row(0, named=True)
    assert (row["knowable_at"], row["basis"], row["session"]) == (at(MONDAY, "17:00"), "observed", MONDAY)


def test_every_request_carries_the_contact_and_keeps_the_pace(edgar: Make, pages: Pages, pauses: list[float]) -> None:
    edgar().filings(["AAPL"], window())
    assert {headers["User-Agent"] for _, _, headers in pages.asked} == {CONTACT}
    assert len(pages.asked) == 2
    assert pauses == [0.11, 0.11]


def test_without_a_contact_nothing_is_asked_and_the_hint_says_what_to_do(edgar: Make, pages: Pages) -> None:
    with pytest.raises(SourceNotConfigured, match="edgar_contact in config/documents.yaml"):
        edgar(None).filings(["AAPL"], window())
    assert pages.asked == []


def test_a_ticker_that_the_sec_does_not_list_is_a_problem_of_its_own(edgar: Make) -> None:
    delivery = edgar().filings(["FB", "AAPL"], window())
    assert [draft.symbol for draft in delivery.items] == ["AAPL"]
    (problem,) = delivery.problems
    assert isinstance(problem, UnknownSubject)
    assert "edgar does not know the ticker FB" in str(problem)
    assert "edgar_ciks" in problem.hint


def test_a_former_ticker_is_found_by_its_number(edgar: Make, pages: Pages) -> None:
    pages.serve("/submissions/CIK0001326801.json", as_json(submissions(ROW)))
    delivery = edgar(ciks={"FB": META}).filings(["FB"], window())
    assert [(draft.symbol, draft.cik) for draft in delivery.items] == [("FB", "0001326801")]
    assert pages.paths() == ["/submissions/CIK0001326801.json"], "the list of tickers is not needed"


@pytest.mark.parametrize("symbol", ["BRK.B", "BRK-B"])
def test_share_classes_are_found_in_either_spelling(edgar: Make, pages: Pages, symbol: str) -> None:
    pages.serve("/submissions/CIK0001067983.json", as_json(submissions(ROW)))
    assert [draft.symbol for draft in edgar().filings([symbol], window()).items] == [symbol]


def test_older_pages_are_read_only_where_the_window_needs_them(edgar: Make, pages: Pages) -> None:
    files = [
        {"name": "CIK0000320193-submissions-001.json", "filingFrom": "1994-01-26", "filingTo": "2001-12-01"},
        {"name": "CIK0000320193-submissions-002.json", "filingFrom": "2001-12-02", "filingTo": "2010-12-01"},
    ]
    pages.serve("/submissions/CIK0000320193.json", as_json(submissions(ROW, files=files)))
    pages.serve("/submissions/CIK0000320193-submissions-001.json", as_json(table(OLD)))
    old = window(Span(date(1999, 12, 20), date(1999, 12, 30)))
    found = collect_filings([edgar()], ["AAPL"], old, stored=FILINGS.empty(), calendar=XNYS)
    assert found.frame["accession"].to_list() == [OLD[0]]
    assert found.frame["url"][0].endswith("/000032019399000001"), "an old filing has no primary document"
    assert "/submissions/CIK0000320193-submissions-002.json" not in pages.paths()
    asked = len(pages.asked)
    edgar().filings(["AAPL"], window())
    assert len(pages.asked) == asked + 2, "the present needs no older page"


def test_a_filing_without_a_readable_time_is_left_out_and_named(edgar: Make, pages: Pages) -> None:
    bad = (ROW[0].replace("10", "11"), *ROW[1:3], "yesterday", *ROW[4:])
    pages.serve("/submissions/CIK0000320193.json", as_json(submissions(bad, ROW)))
    delivery = edgar().filings(["AAPL"], window())
    assert [draft.accession for draft in delivery.items] == [ROW[0]]
    assert isinstance(delivery.problems[0], RefusedItem)
    assert "0000320193-13-000011 of AAPL" in str(delivery.problems[0])


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (LIMITED, SourceUnavailable, "limits the rate"),
        (BROKEN, SourceUnavailable, "status 500"),
        (SLOW, SourceUnavailable, "did not answer"),
        (HTML, SourceUnavailable, "a web page that is no JSON"),
        (CUT_OFF, SourceUnavailable, "no JSON"),
        (NOTHING, EmptySource, "nothing about AAPL"),
        (Reply(b"none", 404), UnknownSubject, "no filings of AAPL"),
        (Reply(b"Undeclared Automated Tool", 403), SourceNotConfigured, "edgar_contact"),
        (Reply(b"Request Rate Threshold Exceeded", 403), SourceUnavailable, "limits the rate"),
        (Reply(b"{}", 418), MalformedSource, "status 418"),
        (as_json([]), MalformedSource, "unknown shape about AAPL"),
        (as_json({"filings": {"recent": {"form": []}, "files": []}}), MalformedSource, "accessionNumber"),
        (as_json({"filings": {"recent": None, "files": []}}), MalformedSource, "AAPL"),
        (as_json({"filings": {"recent": {**table(ROW), "form": []}, "files": []}}), MalformedSource, "AAPL"),
        (as_json({"filings": {"recent": table(ROW), "files": [{"name": "x"}]}}), MalformedSource, "filingFrom"),
    ],
)
def test_a_bad_answer_about_one_company_leaves_the_others(
    edgar: Make, pages: Pages, reply: Reply, error: type[Exception], said: str
) -> None:
    pages.serve("/submissions/CIK0000320193.json", reply)
    pages.serve("/submissions/CIK0001326801.json", as_json(submissions(ROW)))
    delivery = edgar().filings(["AAPL", "META"], window())
    assert [draft.symbol for draft in delivery.items] == ["META"]
    (problem,) = delivery.problems
    assert isinstance(problem, error)
    assert said in str(problem)
    assert "AAPL" in str(problem)


@pytest.mark.parametrize("reply", [as_json([1, 2]), as_json({"0": {"cik_str": "x", "ticker": "A"}}), as_json({"0": 1})])
def test_a_strange_list_of_tickers_stops_the_source(edgar: Make, pages: Pages, reply: Reply) -> None:
    pages.serve("/files/company_tickers.json", reply)
    with pytest.raises(MalformedSource, match="tickers"):
        edgar().filings(["AAPL"], window())


def test_no_reading_of_the_clock_is_earlier_than_the_sec_could_mean(edgar: Make, pages: Pages) -> None:
    for day, hours in ((date(2013, 1, 15), 5), (date(2013, 7, 15), 4)):
        row = (ROW[0], "4", day.isoformat(), f"{day}T12:00:00.000Z", "", "", "x.xml")
        pages.serve("/submissions/CIK0000320193.json", as_json(submissions(row)))
        (draft,) = edgar().filings(["AAPL"], window()).items
        assert draft.published.earliest is not None
        assert draft.published.at - draft.published.earliest == timedelta(hours=hours)
        assert draft.period is None
