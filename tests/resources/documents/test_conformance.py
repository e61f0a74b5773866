"""What all sources that need no network promise, whatever they hold."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.documents.embedded import EmbeddedMacro, EmbeddedNews
from resources.documents.inbox import Inbox
from resources.documents.simulated import SimulatedNews
from tests.market.documents.drafts import at, window
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.core.tables import Table
from trading_assets.market.documents.ingest import collect_news
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.documents.ports import MacroSource, NewsSource, Window
from trading_assets.market.documents.settings import load_documents

SPAN = Span(date(2012, 10, 15), date(2012, 11, 16))
SESSIONS = XNYS.sessions(SPAN.first, SPAN.last)
SYMBOLS = ("AAPL", "GOOG", *(f"SIM{n:03d}" for n in range(40)))
WANTED = load_documents(PROJECT / "config").macro.wanted
NEWS_SOURCES, MACRO_SOURCES = ("embedded", "inbox", "simulated"), ("embedded", "inbox")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inbox with an item and a value for each session, each with a stated time."""
    root = tmp_path_factory.mktemp("inbox")
    items, values = [], []
    for session in SESSIONS:
        noon = at(session.day, "16:00").isoformat()
        times = {"published_at": noon, "knowable_at": noon}
        items.append({"symbol": "AAPL", "headline": f"Note of {session.day}", **times})
        values.append(
            {"series": "SP500", "observed_on": str(session.day), "value": 1400.0, "unit": "index points", **times}
        )
    for kind, lines in (("news", items), ("macro", values)):
        (root / kind).mkdir()
        (root / kind / "all.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return root


def news_source(name: str, folder: Path) -> NewsSource:
    made: dict[str, NewsSource] = {
        "embedded": EmbeddedNews(),
        "inbox": Inbox(folder),
        "simulated": SimulatedNews(seed=7),
    }
    return made[name]


def macro_source(name: str, folder: Path) -> MacroSource:
    return EmbeddedMacro() if name == "embedded" else Inbox(folder)


def news(name: str, folder: Path, asked: Window, symbols: Sequence[str] = SYMBOLS) -> pl.DataFrame:
    return collect_news([news_source(name, folder)], symbols, asked, stored=NEWS.empty(), calendar=XNYS).frame


def macro(name: str, folder: Path, asked: Window) -> pl.DataFrame:
    return collect_macro([macro_source(name, folder)], WANTED, asked, stored=MACRO_SERIES.empty(), calendar=XNYS).frame


def promised(table: Table, frame: pl.DataFrame, name: str, asked: Window) -> None:
    assert frame.height > 0
    assert table.conform(frame).equals(frame)
    assert frame["source"].unique().to_list() == [name]
    assert frame.filter((pl.col("knowable_at") <= asked.after) | (pl.col("knowable_at") > asked.until)).is_empty()
    assert frame.filter(pl.col("published_at") > pl.col("knowable_at")).is_empty()
    assert frame.filter(pl.col("fetched_at") != asked.as_of).is_empty()
    assert set(frame["session"]) <= {session.day for session in SESSIONS}


def moments() -> list[datetime]:
    return [SESSIONS[10].close - timedelta(hours=3), SESSIONS[-1].close + timedelta(days=400)]


@pytest.mark.parametrize("as_of", moments(), ids=["while the session is open", "long afterwards"])
@pytest.mark.parametrize("name", NEWS_SOURCES)
def test_news_keep_their_promises(name: str, folder: Path, as_of: datetime) -> None:
    last = SPAN.last if as_of > SESSIONS[-1].close else SESSIONS[10].day
    asked = window(Span(SPAN.first, last), as_of)
    promised(NEWS, news(name, folder, asked), name, asked)


@pytest.mark.parametrize("as_of", moments(), ids=["while the session is open", "long afterwards"])
@pytest.mark.parametrize("name", MACRO_SOURCES)
def test_macro_values_keep_their_promises(name: str, folder: Path, as_of: datetime) -> None:
    last = SPAN.last if as_of > SESSIONS[-1].close else SESSIONS[10].day
    asked = window(Span(SPAN.first, last), as_of)
    promised(MACRO_SERIES, macro(name, folder, asked), name, asked)


@pytest.mark.parametrize("name", NEWS_SOURCES)
def test_what_is_known_by_noon_does_not_depend_on_what_comes_later(name: str, folder: Path) -> None:
    """Asked during a session and a year later, the rows up to that moment are the same."""
    noon = moments()[0]
    early = news(name, folder, window(Span(SPAN.first, SESSIONS[10].day), noon))
    late = news(name, folder, window(SPAN, moments()[1])).filter(pl.col("knowable_at") <= noon)
    assert early.drop("fetched_at").equals(late.drop("fetched_at"))


@pytest.mark.parametrize("name", NEWS_SOURCES)
def test_only_symbols_that_were_asked_for_are_delivered(name: str, folder: Path) -> None:
    asked = window(SPAN, moments()[1])
    one = "SIM001" if name == "simulated" else "AAPL"
    assert set(news(name, folder, asked, [one])["symbol"]) <= {one}
    assert news(name, folder, asked, []).is_empty()
