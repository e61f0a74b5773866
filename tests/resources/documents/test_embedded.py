"""Documents that arrive with the desk and its packages."""

import csv
import gzip
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from resources.documents import embedded
from resources.documents.embedded import SERIES, EmbeddedMacro, EmbeddedNews, events
from resources.documents.stamps import end_of_day
from tests.market.documents.drafts import at, window
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.market.documents.ingest import collect_news
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.documents.ports import MalformedSource, SeriesWanted
from trading_assets.market.documents.settings import load_documents
from trading_assets.market.documents.text import HEADLINE_CHARACTERS_MAX, plain

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
LIFE = Span(date(2000, 3, 1), date(2013, 3, 1))
TWO_YEARS = Span(date(2011, 3, 1), date(2013, 3, 1))


def test_every_event_lies_in_the_life_of_the_embedded_prices_and_reads_as_plain_text() -> None:
    assert 40 <= len(events()) <= 100
    for event in events():
        assert event.symbol in SYMBOLS
        assert end_of_day(LIFE.first) <= event.published.at <= end_of_day(LIFE.last)
        assert plain(event.headline, HEADLINE_CHARACTERS_MAX) == event.headline != ""
        assert plain(event.summary, 1000) == event.summary
        assert event.summary == "" or event.summary.endswith(".")


def test_events_stand_in_order_each_once_and_each_symbol_has_some() -> None:
    stamps = [event.published.at for event in events()]
    assert stamps == sorted(stamps)
    assert len({(event.symbol, event.headline, event.published.at) for event in events()}) == len(events())
    assert {event.symbol for event in events()} == set(SYMBOLS)


def test_no_event_of_facebook_precedes_its_listing() -> None:
    assert min(event.published.at for event in events() if event.symbol == "FB") >= end_of_day(date(2012, 5, 18))


def test_events_of_a_split_fall_on_the_days_that_the_embedded_prices_show() -> None:
    from resources.market_data.embedded import EmbeddedMarketData

    splits = {
        (symbol, row["session"])
        for symbol in SYMBOLS
        for row in EmbeddedMarketData().corporate_actions(symbol, LIFE).iter_rows(named=True)
        if row["kind"] == "split"
    }
    told = {(e.symbol, e.published.at) for e in events() if "trades after its two-for-one split" in e.headline}
    assert told == {(symbol, end_of_day(day)) for symbol, day in splits}


def test_events_are_known_at_the_end_of_their_day_whatever_the_moment_of_asking() -> None:
    span = Span(date(2011, 8, 24), date(2011, 8, 26))
    for as_of in (at(date(2011, 8, 25), "13:31"), at(date(2026, 1, 5))):
        found = collect_news(
            [EmbeddedNews()],
            SYMBOLS,
            window(span, max(as_of, at(date(2011, 8, 25), "21:00"))),
            stored=NEWS.empty(),
            calendar=XNYS,
        )
        row = found.frame.filter(pl.col("headline").str.contains("resigns")).row(0, named=True)
        assert row["session"] == date(2011, 8, 25)
        assert row["knowable_at"] == at(date(2011, 8, 25), "04:14")
        assert (row["basis"], row["source"]) == ("published", "embedded")


def test_the_archive_does_not_tell_what_has_not_happened() -> None:
    now = window(Span(date(2011, 8, 24), date(2011, 8, 24)), at(date(2011, 8, 24), "19:00"))
    found = collect_news([EmbeddedNews()], SYMBOLS, now, stored=NEWS.empty(), calendar=XNYS)
    assert found.frame.is_empty()
    assert found.notes == (), "and does not call it news from the future either"


def test_a_replay_of_the_days_and_a_backfill_store_the_same_items_and_times() -> None:
    sessions = XNYS.sessions(date(2012, 10, 15), date(2012, 11, 16))
    whole = collect_news(
        [EmbeddedNews()], SYMBOLS, window(Span(sessions[0].day, sessions[-1].day)), stored=NEWS.empty(), calendar=XNYS
    ).frame
    days = [
        collect_news(
            [EmbeddedNews()], SYMBOLS, window(Span(s.day, s.day), s.close), stored=NEWS.empty(), calendar=XNYS
        ).frame
        for s in sessions
    ]
    assert pl.concat(days).drop("fetched_at").sort("session", "symbol", "item").equals(whole.drop("fetched_at"))
    assert whole.height >= 5


def test_the_series_of_the_settings_all_have_values_in_the_years_of_the_demo() -> None:
    wanted = load_documents(PROJECT / "config").macro.wanted
    found = collect_macro([EmbeddedMacro()], wanted, window(TWO_YEARS), stored=MACRO_SERIES.empty(), calendar=XNYS)
    counts = dict(found.frame.group_by("series").len().iter_rows())
    assert set(counts) == set(SERIES) == {one.name for one in wanted}
    assert min(counts["SP500"], counts["NASDAQCOM"], counts["DCOILWTICO"]) > 480
    assert counts["AAA"] == counts["BAA"] == 24
    assert counts["CPILFESL"] == 24
    assert found.notes == ()


def test_known_values_come_with_their_lag() -> None:
    wanted = [SeriesWanted("SP500", "index points", 0), SeriesWanted("CPILFESL", "index", 60)]
    span = Span(date(2012, 2, 28), date(2012, 3, 9))
    frame = collect_macro([EmbeddedMacro()], wanted, window(span), stored=MACRO_SERIES.empty(), calendar=XNYS).frame
    close = frame.filter((pl.col("series") == "SP500") & (pl.col("observed_on") == date(2012, 3, 6))).row(0, named=True)
    assert close["value"] == pytest.approx(1343.36, abs=0.01)
    assert (close["knowable_at"], close["session"]) == (end_of_day(date(2012, 3, 6)), date(2012, 3, 7))
    prices = frame.filter(pl.col("series") == "CPILFESL").row(0, named=True)
    assert (prices["observed_on"], prices["session"]) == (date(2012, 1, 1), date(2012, 3, 2))


def test_a_series_that_the_package_lacks_is_left_to_others() -> None:
    assert EmbeddedMacro().observations([SeriesWanted("UNRATE", "percent", 40)], window()).items == []


def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = tmp_path / "data" / SERIES["AAA"].file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setattr(embedded, "_package", lambda: tmp_path)
    embedded._values.cache_clear()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"Date,AAA,BAA\n1/1/1919,5.35,7.12\n", mtime=0), "not the one that the desk knows"),
        (gzip.compress(b"Date,AAA,BAA\n", mtime=0), "not the one that the desk knows"),
        (gzip.compress(b"Date,BAA\n1/1/1919,7.12\n", mtime=0), "cannot be read"),
        (gzip.compress(b"Date,AAA,BAA\n1919-01-01,5.35,7.12\n", mtime=0), "cannot be read"),
        (gzip.compress(b"Date,AAA,BAA\n1/1/1919,high,7.12\n", mtime=0), "cannot be read"),
        (b"no gzip", "cannot be read"),
    ],
)
def test_another_package_than_the_one_known_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    package(tmp_path, monkeypatch, content)
    with pytest.raises(MalformedSource, match=f"series AAA of the package arch {said}|series AAA.*{said}"):
        EmbeddedMacro().observations([SeriesWanted("AAA", "percent", 40)], window())
    embedded._values.cache_clear()


def test_the_package_itself_is_not_imported() -> None:
    import subprocess
    import sys

    code = "import sys; from resources.documents import embedded as e; e._values('AAA'); e.events(); print('arch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_the_file_of_events_has_one_form() -> None:
    with (PROJECT / "resources" / "documents" / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(set(row) == {"date", "time", "symbol", "headline", "summary"} for row in rows)
    assert all(date.fromisoformat(row["date"]) for row in rows)
