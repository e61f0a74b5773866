"""Spans at a real collector's endpoint: loopback HTTP that decodes OpenTelemetry's own protobuf."""

import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Decoded

from resources.telemetry.spans import Span, open_tracer, span_id_of, trace_id_of
from trading_assets.core.operations import Telemetry

SLOT = "desk/2024-03-25/09:30"
OTLP = Telemetry(traces="otlp")


class Endpoint:
    """A collector: what it was sent, and with which status it answers."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        self.status = status
        self.url = ""

    @property
    def spans(self) -> list[Decoded]:
        return [
            span
            for _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def collector(status: int = 200) -> Iterator[Endpoint]:
    endpoint = Endpoint(status)

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompress(body, 31)
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            endpoint.requests.append((self.path, request))
            told = ExportTraceServiceResponse().SerializeToString()
            self.send_response(endpoint.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
def test_a_collector_gets_spans_with_the_ids_of_the_decision(tmp_path: Path, suffix: str) -> None:
    with collector() as endpoint:
        tracer = open_tracer(OTLP, tmp_path, "gateway", {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url + suffix})
        with (
            pytest.raises(OSError, match="broken"),
            tracer.span(SLOT, "socket", key="socket/i1", parent="dispatch/i1", bytes=12),
        ):
            raise OSError("broken")
        tracer.record(Span(SLOT, "tick", "tick", "", 5, 7))
        tracer.close()
    socket, tick = sorted(endpoint.spans, key=lambda span: span.name)
    assert {path for path, _ in endpoint.requests} == {"/v1/traces"}
    assert socket.trace_id.hex() == tick.trace_id.hex() == trace_id_of(SLOT)
    assert socket.span_id.hex() == span_id_of(SLOT, "socket/i1")
    assert socket.parent_span_id.hex() == span_id_of(SLOT, "dispatch/i1")
    assert (socket.status.code, socket.status.message) == (2, "OSError: broken")
    assert {each.key: each.value for each in socket.attributes}["bytes"].int_value == 12
    assert (tick.parent_span_id, tick.start_time_unix_nano, tick.end_time_unix_nano) == (b"", 5, 7)
    resource = {
        each.key: each.value.string_value for each in endpoint.requests[0][1].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "desk-gateway"
    assert list(tmp_path.iterdir()) == []


def test_a_collector_that_refuses_or_is_gone_stops_nothing(tmp_path: Path) -> None:
    with collector(status=400) as endpoint:
        tracer = open_tracer(OTLP, tmp_path, "desk", {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url})
        with tracer.span(SLOT, "look"):
            pass
        tracer.close()
        assert endpoint.requests
    with tracer.span(SLOT, "look"):
        pass


def test_the_packages_are_imported_where_a_collector_is_set_and_nowhere_else() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "import resources.telemetry.deciding, resources.telemetry.sending, resources.telemetry.ticking;"
        "from resources.telemetry.spans import open_tracer;"
        "from trading_assets.core.operations import Telemetry;"
        "open_tracer(Telemetry(), Path('.'), 'desk', {});"
        "print([m for m in ('opentelemetry', 'prometheus_client', 'requests', 'dagster', 'polars') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
