"""Senders that remember, a web server on loopback, and a desk whose notifier is looked at step by step."""

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resources.ledger.bus import publish
from resources.ledger.engine import open_ledger
from resources.ledger.halt_file import HaltFile
from resources.ledger.store import SqlLedger
from resources.notify.model import SEVERITIES, Notice, Severity
from resources.notify.notifier import Notifier
from resources.notify.pages import LedgerPages
from resources.notify.redaction import Redactor
from resources.notify.senders import NAME, AppriseChannel, Console, Journal, Sender
from resources.notify.settings import Channel, Notifications
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import TransientFailure
from trading_assets.core.messages import Draft, Payload

BOOK = "desk"
NOW = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)
REPEAT = timedelta(minutes=5)


@dataclass
class Hand:
    """A clock moved by hand."""

    instant: datetime = NOW

    def now(self) -> datetime:
        return self.instant

    def move(self, seconds: float) -> datetime:
        self.instant += timedelta(seconds=seconds)
        return self.instant


@dataclass
class Memory:
    """A sender that remembers what it told; `problem` makes it fail, `gate` makes it wait."""

    name: str = "memory"
    is_local: bool = False
    severities: frozenset[Severity] = frozenset(SEVERITIES)
    told: list[Notice] = field(default_factory=list)
    calls: int = 0
    problem: str = ""
    gate: threading.Event | None = None

    def send(self, notices: Sequence[Notice]) -> None:
        self.calls += 1
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.problem:
            raise TransientFailure(self.problem)
        self.told += notices

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.told]


class Web:
    """An HTTP server on 127.0.0.1; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        self.gate: threading.Event | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.got.append((self.path, body))
                if outer.gate is not None:
                    outer.gate.wait(10)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.gate is not None:
            self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """As Apprise knows it, with a password and a token that nobody may see."""
        return (
            f"json://desk:CANARY-pass-1@127.0.0.1:{self._server.server_address[1]}/CANARY-path-2?token=CANARY-query-3"
        )

    @property
    def texts(self) -> list[str]:
        return [body["message"] for _, body in self.got]


@dataclass
class Desk:
    """A ledger, its home, and what is told from it."""

    root: Path
    hand: Hand = field(default_factory=Hand)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.engine = open_ledger(self.root / "ledger" / "desk.sqlite", durability="FULL", busy_timeout_ms=200)
        self.pages = LedgerPages(self.engine, BOOK)
        self.halt_file = HaltFile(self.root)
        self.console = io.StringIO()

    def close(self) -> None:
        self.engine.dispose()

    def notifier(
        self,
        *senders: Sender,
        holder: str = "",
        timeout_s: float = 5.0,
        environment: Mapping[str, str] | None = None,
        at_point: Callable[[str], None] = lambda _: None,
    ) -> Notifier:
        """A notifier that has read the bus up to now."""
        settings = Notifications(timeout_seconds=timeout_s)
        made = Notifier(
            self.engine,
            BOOK,
            senders,
            settings,
            repeat=REPEAT,
            redact=Redactor(environment or {}),
            halt_file=self.halt_file,
            real=self.hand,
            holder=holder or "test",
            at_point=at_point,
        )
        made.step(self.hand.now())
        return made

    def local(self) -> tuple[Sender, Sender]:
        """Console and file, as a desk has them."""
        return Console(lambda: self.console), Journal(self.root)

    def phone(self, web: Web) -> AppriseChannel:
        """The web server behind Apprise."""
        return AppriseChannel(Channel(name="phone", url_variable="PHONE_URL"), web.url, 5.0)

    def halt(self, cause: str) -> int:
        """Halts and gives the halt's number."""
        with SqlLedger(self.engine, BOOK).session() as ledger:
            ledger.add_halt(cause, as_of=self.hand.now())
            halt = ledger.open_halt()
        assert halt is not None
        return halt.id

    def resume(self, halt_id: int, reason: str) -> None:
        with SqlLedger(self.engine, BOOK).session() as ledger:
            ledger.acknowledge(halt_id, reason, as_of=self.hand.now())

    def say(self, *payloads: Payload, sender: str = "gateway", book: str = BOOK) -> None:
        """Puts messages on the bus."""
        now = self.hand.now()
        publish(self.engine, [Draft(book, now.astimezone(NEW_YORK).date(), now, sender, each) for each in payloads])

    def filed(self) -> list[dict[str, Any]]:
        """What stands in the file of notifications."""
        path = self.root / NAME
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def notice(code: str = "link", sentence: str = "gone", *, severity: Severity = "warning", page: int = 0) -> Notice:
    """A notice under a key of its code."""
    return Notice(f"{code} {page}", BOOK, severity, code, sentence, NOW, page)
