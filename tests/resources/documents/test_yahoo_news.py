"""Yahoo's headlines over the real wire: unmodified yfinance, real TLS, real host names, a server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from resources.documents.yahoo import YahooNews
from tests.market.documents.drafts import MONDAY, at, window
from tests.resources.documents.conftest import QUICK
from tests.resources.market_data import listings, yahoo_server
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.ingest import collect_news
from trading_assets.market.documents.model import NEWS
from trading_assets.market.documents.ports import MalformedSource, RefusedItem, SourceUnavailable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")
Make = Callable[..., YahooNews]


@dataclass
class Wire:
    """What Yahoo says about news now."""

    status: int = 200
    body: str = ""
    kind: str = "application/json"
    asked: list[dict[str, Any]] = field(default_factory=list)
    hold: bool = False
    released: threading.Event = field(default_factory=threading.Event)

    def list(self, *articles: object) -> None:
        self.body = json.dumps({"data": {"tickerStream": {"stream": list(articles)}}})


def article(title: str = "Apple rises", when: str = "2013-03-04T12:00:00Z", **other: object) -> dict[str, object]:
    content = {
        "title": title,
        "summary": "It &lt;b&gt;rises&lt;/b&gt;",
        "pubDate": when,
        "provider": {"displayName": "The Wire"},
        "canonicalUrl": {"url": "https://a.example/1"},
        **other,
    }
    return {"id": "1", "content": content}


class NewsPages(yahoo_server._Pages):
    """The pages of the loopback Yahoo, and its address for news."""

    wire: ClassVar[Wire]

    def do_POST(self) -> None:  # noqa: N802 - the name that the base class calls
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.wire.asked.append({"path": self.path, **asked["serviceConfig"]})
        if self.wire.hold:
            self.wire.released.wait(10)
        self._send(self.wire.status, self.wire.kind, self.wire.body)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    said = Wire()
    said.list(article())
    monkeypatch.setattr(NewsPages, "wire", said, raising=False)
    monkeypatch.setattr(yahoo_server, "_Pages", NewsPages)
    return said


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole run: yfinance keeps its data base open."""
    return tmp_path_factory.mktemp("yfinance-news")


@pytest.fixture
def yahoo(wire: Wire, tmp_path: Path, cache: Path, pauses: list[float]) -> Iterator[Make]:
    from curl_cffi.requests import Session

    class Impatient(Session):  # type: ignore[misc]
        def post(self, *words: Any, timeout: float = 0, **terms: Any) -> Any:  # noqa: ARG002 - yfinance says 30 s
            return super().post(*words, timeout=1, **terms)

    with yahoo_server.running(listings.ALL, tmp_path) as server:
        session = Impatient(impersonate="chrome", verify=str(server.authority), proxies={"https": server.proxy})
        yield lambda: YahooNews(cache=cache, session=session, sleep=pauses.append, patience=QUICK)
        wire.released.set()


def test_an_article_has_its_words_its_address_and_its_instant(yahoo: Make, wire: Wire) -> None:
    (item,) = yahoo().news(["AAPL"], window()).items
    assert (item.symbol, item.headline, item.publisher, item.url) == (
        "AAPL",
        "Apple rises",
        "The Wire",
        "https://a.example/1",
    )
    assert item.published.at == at(MONDAY)
    assert wire.asked[0]["s"] == ["AAPL"]
    assert wire.asked[0]["path"].startswith("/xhr/ncp?queryRef=latestNews")
    frame = collect_news([yahoo()], ["AAPL"], window(), stored=NEWS.empty(), calendar=XNYS).frame
    assert frame["summary"][0] == "It rises"


def test_articles_of_the_older_form_are_read_too(yahoo: Make, wire: Wire) -> None:
    seconds = int(datetime(2013, 3, 4, 12, tzinfo=UTC).timestamp())
    wire.list({"title": "Old", "publisher": "Wire", "link": "https://a.example", "providerPublishTime": seconds})
    (item,) = yahoo().news(["AAPL"], window()).items
    assert (item.headline, item.publisher, item.published.at) == ("Old", "Wire", at(MONDAY))


def test_advertisements_and_repetitions_are_not_stored(yahoo: Make, wire: Wire) -> None:
    wire.list(article(), {"ad": [1], **article("Buy now")}, article())
    frame = collect_news([yahoo()], ["AAPL"], window(), stored=NEWS.empty(), calendar=XNYS).frame
    assert frame["headline"].to_list() == ["Apple rises"]


def test_news_of_this_morning_is_known_now_and_news_of_tomorrow_is_refused(yahoo: Make, wire: Wire) -> None:
    wire.list(article(), article("Tomorrow", "2013-03-05T12:00:00Z"))
    now = window(Span(MONDAY, MONDAY), at(MONDAY, "15:00"))
    found = collect_news([yahoo()], ["AAPL"], now, stored=NEWS.empty(), calendar=XNYS)
    assert found.frame.select("knowable_at", "basis", "session").rows() == [
        (at(MONDAY, "15:00"), "observed", date(2013, 3, 4))
    ]
    assert "Tomorrow" in found.notes[0]


def test_a_symbol_without_news_has_none(yahoo: Make, wire: Wire) -> None:
    wire.list()
    assert yahoo().news(["AAPL"], window()).items == []


@pytest.mark.parametrize(
    "odd",
    [article(when=""), article(when="soon"), {"content": {"title": "x"}}, "text", None, 7, article(provider="text")],
)
def test_an_article_of_another_shape_is_left_out_and_named(yahoo: Make, wire: Wire, odd: object) -> None:
    wire.list(article(), *([odd] if isinstance(odd, dict) else []))
    if not isinstance(odd, dict):
        wire.list(article(), {"content": odd, "title": odd})
    delivery = yahoo().news(["AAPL"], window())
    assert len(delivery.items) == 1
    (problem,) = delivery.problems
    assert isinstance(problem, RefusedItem)
    assert "AAPL" in str(problem)


@pytest.mark.parametrize(
    ("status", "kind", "body", "error", "said"),
    [
        (429, "text/plain", "Too Many Requests", SourceUnavailable, "limits the rate"),
        (500, "text/html", "<html>oops</html>", SourceUnavailable, "no JSON"),
        (200, "text/html", "<html>please consent</html>", SourceUnavailable, "no JSON"),
        (200, "text/html", "<html>Will be right back...</html>", SourceUnavailable, "failed"),
        (200, "application/json", "", SourceUnavailable, "no JSON"),
        (200, "application/json", '{"data": {"tickerStr', SourceUnavailable, "no JSON"),
        (200, "application/json", "[]", MalformedSource, "holds no news"),
        (200, "application/json", '{"data": null}', MalformedSource, "holds no news"),
        (200, "application/json", '{"data": {"tickerStream": {"stream": 7}}}', MalformedSource, "holds no news"),
    ],
)
def test_a_bad_answer_is_named_with_its_symbol(
    yahoo: Make, wire: Wire, pauses: list[float], status: int, kind: str, body: str, error: type[Exception], said: str
) -> None:
    wire.status, wire.kind, wire.body = status, kind, body
    delivery = yahoo().news(["AAPL", "IBM"], window())
    assert delivery.items == []
    assert all(isinstance(problem, error) and said in str(problem) for problem in delivery.problems)
    assert [symbol in str(problem) for symbol, problem in zip(("AAPL", "IBM"), delivery.problems, strict=True)] == [
        True,
        True,
    ]
    if error is SourceUnavailable:
        assert pauses == [QUICK.pause_after(n, symbol) for symbol in ("AAPL", "IBM") for n in (1, 2)]


def test_a_slow_answer_is_given_up(yahoo: Make, wire: Wire) -> None:
    wire.hold = True
    (problem,) = yahoo().news(["AAPL"], window()).problems
    assert isinstance(problem, SourceUnavailable)
    assert "AAPL" in str(problem)


def test_the_next_question_after_a_failure_is_answered(yahoo: Make, wire: Wire) -> None:
    source = yahoo()
    wire.status, wire.body = 500, "<html>"
    assert source.news(["AAPL"], window()).items == []
    wire.status = 200
    wire.list(article())
    assert len(source.news(["AAPL"], window()).items) == 1
