"""A web server on this machine that answers as a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer; `hold` makes the server wait before the body until the test ends."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    hold: bool = False
    promised: int | None = None


def as_json(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content).encode(), status)


LIMITED = Reply(b"Too Many Requests", 429, "text/plain")
BROKEN = Reply(b"<html>oops</html>", 500, "text/html")
HTML = Reply(b"<!DOCTYPE html><html>please log in</html>", 200, "text/html")
NOTHING = Reply(b"")
CUT_OFF = Reply(b'{"filings": {"recent": {"acc')
SLOW = Reply(b"{}", hold=True)
SHORT = Reply(b"{}", promised=500)
Answer = Reply | Callable[[Mapping[str, str]], Reply]


@dataclass
class Pages:
    """Replies by path: the last of several is repeated."""

    at: str = ""
    replies: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, *answers: Answer) -> str:
        """Sets the replies of a path and returns its address."""
        self.replies[path] = list(answers)
        return f"{self.at}{path}"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def answer(self, path: str, query: Mapping[str, str]) -> Reply:
        known = self.replies.get(path)
        if not known:
            return Reply(b"not here", 404, "text/plain")
        answer = known.pop(0) if len(known) > 1 else known[0]
        return answer if isinstance(answer, Reply) else answer(query)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    pages: Pages

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Requests are kept, not printed."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.pages.asked.append((url.path, query, dict(self.headers.items())))
        reply = self.server.pages.answer(url.path, query)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(reply.promised or len(reply.body)))
        self.end_headers()
        if reply.hold:
            self.server.pages.released.wait(10)
        self.wfile.write(reply.body)


@contextmanager
def serving() -> Iterator[Pages]:
    """The server on a free port of 127.0.0.1; it ends with the `with` block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.pages = Pages(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.pages
        finally:
            server.pages.released.set()
            server.shutdown()
            thread.join()
