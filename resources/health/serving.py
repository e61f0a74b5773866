"""/metrics and /healthz on loopback, for a Prometheus and a supervisor on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from resources.health.model import Report
from trading_assets.core.errors import TransientFailure
from trading_assets.core.ports import Clock

HOST = "127.0.0.1"
# A page in a browser that names another host for this address is refused.
_HOSTS = frozenset({"127.0.0.1", "localhost"})
STALE_ROUNDS = 3


class Fitness:
    """Whether the desk is well: the last round is not critical, and not older than three rounds take.

    Args:
        newest: The last round of checks; None before the first.
    """

    def __init__(self, newest: Callable[[], Report | None], every: timedelta, machine: Clock) -> None:
        self._newest = newest
        self._every = every
        self._machine = machine

    def __call__(self) -> tuple[int, dict[str, object]]:
        """The status code, and what to say."""
        report = self._newest()
        if report is None:
            return 503, {"state": "unknown", "why": "no round of checks has been made yet"}
        age = (self._machine.now() - report.machine).total_seconds()
        if not 0 <= age <= STALE_ROUNDS * self._every.total_seconds():
            return 503, {"state": "unknown", "why": f"the last round of checks is {age:.0f} s old"}
        bad = {check.name: check.sentence for check in report.checks if check.told == report.state != "normal"}
        return 503 if report.state == "critical" else 200, {"state": report.state, "checks": bad}


@contextmanager
def serving(collector: Collector, fitness: Fitness, port: int) -> Iterator[int]:
    """Serves while it is open; the port, which is any free one for 0.

    Raises:
        TransientFailure: Something else listens on the port.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(registry, fitness))
    except OSError as taken:
        hint = "set telemetry.prometheus_port in config/operations.yaml, 0 for any free one"
        raise TransientFailure(f"{HOST}:{port} cannot be served: {taken.strerror}", value=port, hint=hint) from taken
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(registry: CollectorRegistry, fitness: Fitness) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        """GET alone, two pages, and no words about the program."""

        server_version = "desk"
        sys_version = ""

        def do_GET(self) -> None:
            """See the base."""
            if self.headers.get("Host", "").rpartition(":")[0].strip("[]") not in _HOSTS:
                self._answer(403, "text/plain; charset=utf-8", b"this machine only\n")
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/healthz":
                code, told = fitness()
                self._answer(code, "application/json", json.dumps(told).encode())
            else:
                self._answer(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
            """Nothing: a scrape a quarter of a minute would fill the log."""

    return Answers
