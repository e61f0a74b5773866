"""GET with bounds, over real HTTP on this machine."""

import socket

import pytest

from resources.documents.json_answer import json_of
from resources.documents.web import Page, Web, place
from tests.resources.documents.conftest import QUICK
from tests.resources.documents.pages import (
    BROKEN,
    CUT_OFF,
    HTML,
    LIMITED,
    NOTHING,
    SHORT,
    SLOW,
    Pages,
    Reply,
    as_json,
)
from trading_assets.market.documents.ports import EmptySource, MalformedSource, SourceUnavailable

SECRET = "key-0123456789"


def web(pauses: list[float], **terms: float) -> Web:
    return Web("wire", {"User-Agent": "test"}, QUICK, pauses.append, **terms)  # type: ignore[arg-type]


def test_a_page_comes_with_its_status_body_and_kind(pages: Pages, pauses: list[float]) -> None:
    url = pages.serve("/a", Reply(b"hello", 403, "text/plain; charset=utf-8"))
    assert web(pauses).get(url, "AAPL", {"q": "1"}) == Page(403, b"hello", "text/plain")
    path, query, headers = pages.asked[0]
    assert (path, query, headers["User-Agent"]) == ("/a", {"q": "1"}, "test")


@pytest.mark.parametrize("fault", [LIMITED, BROKEN, SLOW, SHORT])
def test_a_passing_failure_is_asked_again_with_growing_pauses(pages: Pages, pauses: list[float], fault: Reply) -> None:
    url = pages.serve("/a", fault, fault, as_json({}))
    assert web(pauses).get(url, "AAPL").status == 200
    waited = [pause for pause in pauses if pause > 0]
    assert waited == [QUICK.pause_after(1, "AAPL"), QUICK.pause_after(2, "AAPL")]


@pytest.mark.parametrize(
    ("fault", "why"),
    [(LIMITED, "limits the rate"), (BROKEN, "status 500"), (SLOW, "ConnectionError"), (SHORT, "ChunkedEncodingError")],
)
def test_a_failure_that_lasts_names_source_subject_place_and_reason(
    pages: Pages, pauses: list[float], fault: Reply, why: str
) -> None:
    url = pages.serve("/a", fault)
    with pytest.raises(SourceUnavailable) as failed:
        web(pauses).get(url, "AAPL", {"api_key": SECRET})
    for part in ("wire", "AAPL", "127.0.0.1/a", why, "3 attempts"):
        assert part in str(failed.value)
    assert len(pages.asked) == 3


def test_no_error_holds_the_query(pages: Pages, pauses: list[float]) -> None:
    """A key in the address must not reach logs, the ledger or the screen, by way of a cause neither."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
        with pytest.raises(SourceUnavailable) as failed:
            web(pauses).get(url, "AAPL", {"api_key": SECRET})
    error: BaseException | None = failed.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__


def test_a_huge_answer_is_refused_while_it_arrives(pages: Pages, pauses: list[float]) -> None:
    url = pages.serve("/a", Reply(b"x" * 200_000, promised=10**9))
    with pytest.raises(MalformedSource, match="100000 bytes"):
        web(pauses, bytes_max=100_000).get(url, "AAPL")
    assert len(pages.asked) == 1, "asking again would not make it smaller"


def test_an_answer_that_takes_too_long_in_all_is_given_up(pages: Pages, pauses: list[float]) -> None:
    url = pages.serve("/a", Reply(b"x" * 200_000))
    with pytest.raises(SourceUnavailable, match="took longer than 0 s"):
        web(pauses, answer_s_max=0.0).get(url, "AAPL")


def test_a_server_that_counts_requests_is_asked_at_a_pace(pages: Pages, pauses: list[float]) -> None:
    url = pages.serve("/a", as_json({}))
    asking = web(pauses, pace_s=0.11)
    for _ in range(5):
        asking.get(url, "AAPL")
    assert pauses == [0.11] * 5


def test_a_place_is_host_and_path() -> None:
    assert place("https://user:pw@api.example.com:8443/a/b?key=1#x") == "api.example.com/a/b"


def read(reply: Reply) -> object:
    return json_of(Page(200, reply.body, reply.kind), source="wire", subject="AAPL", url="https://a.example/x?k=1")


def test_json_is_read() -> None:
    assert read(as_json({"a": [1]})) == {"a": [1]}


def test_a_web_page_instead_of_json_passes() -> None:
    with pytest.raises(SourceUnavailable, match=r"a web page that is no JSON about AAPL.*a\.example/x"):
        read(HTML)


@pytest.mark.parametrize("reply", [CUT_OFF, Reply(b"\xff\xfe{"), Reply(b"[" * 100_000)])
def test_broken_json_passes(reply: Reply) -> None:
    with pytest.raises(SourceUnavailable, match="no JSON about AAPL"):
        read(reply)


@pytest.mark.parametrize("reply", [NOTHING, Reply(b" \n")])
def test_no_answer_at_all_is_empty(reply: Reply) -> None:
    with pytest.raises(EmptySource, match="wire answered with nothing about AAPL"):
        read(reply)
