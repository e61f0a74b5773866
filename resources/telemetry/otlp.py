"""Spans to a collector over OTLP/HTTP, through OpenTelemetry's own exporter and queue; imported only where it is set."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from resources.telemetry.spans import SCOPE, Span, attributes_of
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.operations import Telemetry

_PATH = "/v1/traces"
_TIMEOUT_S = 5.0
_EVERY_MS = 1_000
_CLOSE_MS = 3_000


class Collector:
    """A queue with a thread that sends; what does not fit, or what nobody takes, is dropped by it."""

    def __init__(self, endpoint: str, process: str) -> None:
        self._resource = Resource.create({"service.name": f"{SCOPE}-{process}"})
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S)
        self._queue = BatchSpanProcessor(exporter, schedule_delay_millis=_EVERY_MS)

    def take(self, span: Span) -> None:
        """See the port."""
        self._queue.on_end(readable(span, self._resource))

    def close(self) -> None:
        """See the port; a collector that does not answer is waited for a few seconds at most."""
        self._queue.force_flush(_CLOSE_MS)
        self._queue.shutdown()  # type: ignore[no-untyped-call] # the package leaves it so


def open_collector(settings: Telemetry, process: str, environment: Mapping[str, str]) -> Collector:
    """The collector whose address stands in the environment.

    Raises:
        ConfigurationError: It names no http address.
    """
    base = environment.get(settings.otlp_variable, "").strip()
    if urlsplit(base).scheme not in {"http", "https"} or not urlsplit(base).hostname:
        raise ConfigurationError(
            "traces: otlp needs a collector",
            value=settings.otlp_variable,
            bound="http://HOST:4318 in that environment variable",
            hint=f"export {settings.otlp_variable}=http://127.0.0.1:4318, or set telemetry.traces: file",
        )
    return Collector(base if base.endswith(_PATH) else base.rstrip("/") + _PATH, process)


def readable(span: Span, resource: Resource) -> ReadableSpan:
    """The span in OpenTelemetry's own form."""
    status = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK)
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent else None,
        resource=resource,
        attributes=attributes_of(span),
        kind=SpanKind.INTERNAL,
        status=status,
        start_time=span.begun_ns,
        end_time=span.ended_ns,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
