"""Spans of a decision, from the tick to the fill, in one trace over all processes.

Problem: a decision is made by a sensor, a run, a gateway and a broker, and none of them starts another one with a header in its
hand. Decision: trace id and span ids are digests of the decision's correlation id (BOOK/SESSION/SLOT) and of the span's name, so
that every process computes them by itself. Spans are written as lines of OTLP JSON, or handed to an OTLP collector; the
OpenTelemetry packages are imported for the latter only. Remaining gap: two runs of the same slot write spans of the same id; both
stand in the files, told apart by their attempt.

A span that cannot be written is lost and stops nothing. Times are the machine's, also where the desk replays another clock.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from resources.clock import RealClock
from resources.telemetry.files import prune_days
from trading_assets.core.operations import Telemetry

Value = str | bool | int | float
SCOPE = "desk"
TICK, LAUNCH, DECISION = "tick", "launch", "decision"
_LOG = logging.getLogger("desk.telemetry")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def trace_id_of(correlation: str) -> str:
    """128 bits of the correlation id's SHA-256, as 32 hex digits."""
    return hashlib.sha256(correlation.encode()).hexdigest()[:32]


def span_id_of(correlation: str, name: str) -> str:
    """64 bits that name a span within its trace, as 16 hex digits."""
    return hashlib.sha256(f"{correlation}\n{name}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a decision.

    Args:
        key: What is unique within the trace; the name alone, or the name and what it was done for.
        parent: The key of the span that it belongs to; empty for the first one.
        begun_ns: Nanoseconds since 1970, the machine's clock.
        error: Why it failed; empty when it did not.
    """

    correlation: str
    name: str
    key: str
    parent: str
    begun_ns: int
    ended_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""

    @property
    def trace_id(self) -> str:
        """See `trace_id_of`."""
        return trace_id_of(self.correlation)

    @property
    def span_id(self) -> str:
        """See `span_id_of`."""
        return span_id_of(self.correlation, self.key)

    @property
    def parent_id(self) -> str:
        """The parent's span id, or nothing."""
        return span_id_of(self.correlation, self.parent) if self.parent else ""


class Sink(Protocol):
    """Takes spans that have ended; it neither waits nor raises."""

    def take(self, span: Span) -> None:
        """Stores it, or hands it on."""
        ...

    def close(self) -> None:
        """Hands on what is still held."""
        ...


class Nowhere:
    """Traces are off."""

    def take(self, span: Span) -> None:
        """Forgets it."""

    def close(self) -> None:
        """Holds nothing."""


class SpanFile:
    """Lines of OTLP JSON below a folder, one file a day of the machine, shared by all processes.

    A line is written with one call on a file that is open for appending, so lines of several processes do not mix. Files of
    days before the newest `days` are removed when a day begins.
    """

    def __init__(self, folder: Path, process: str, days: int) -> None:
        self._folder = folder
        self._process = process
        self._days = days
        self._day: date | None = None
        self._file = -1

    def take(self, span: Span) -> None:
        """See the port."""
        try:
            self._open(instant_of(span.ended_ns).date())
            os.write(self._file, (line_of(span, self._process) + "\n").encode())
        except OSError as failed:
            _LOG.warning("a span was not written: %s", failed)

    def close(self) -> None:
        """See the port."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._day = -1, None

    def __del__(self) -> None:
        self.close()

    def _open(self, day: date) -> None:
        if day == self._day:
            return
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._folder / f"{day.isoformat()}.jsonl", flags, 0o600)
        self._day = day
        prune_days(self._folder, day - timedelta(days=self._days))


@dataclass
class Noted:
    """What becomes known while a span is open."""

    attributes: dict[str, Value] = field(default_factory=dict)
    begun_ns: int = 0


class Tracer:
    """Makes spans of one process."""

    def __init__(self, sink: Sink, process: str, *, now_ns: "Callable[[], int] | None" = None) -> None:
        self._sink = sink
        self.process = process
        self.now_ns = now_ns or _Steady()

    @property
    def is_on(self) -> bool:
        """Whether anybody keeps the spans."""
        return not isinstance(self._sink, Nowhere)

    @contextmanager
    def span(
        self, correlation: str, name: str, *, key: str = "", parent: str = "", **attributes: Value
    ) -> Iterator[Noted]:
        """A span around what is done inside; what is raised there is noted and goes on."""
        noted, error = Noted(dict(attributes), self.now_ns()), ""
        try:
            yield noted
        except BaseException as failed:
            error = f"{type(failed).__name__}: {failed}"
            raise
        finally:
            self.record(
                Span(correlation, name, key or name, parent, noted.begun_ns, self.now_ns(), noted.attributes, error)
            )

    def record(self, span: Span) -> None:
        """A span whose beginning and end are known."""
        self._sink.take(span)

    def close(self) -> None:
        """Hands on what is still held."""
        self._sink.close()


def open_tracer(settings: Telemetry, home: Path, process: str, environment: Mapping[str, str]) -> Tracer:
    """The tracer that the settings ask for.

    Raises:
        ConfigurationError: `traces: otlp` without the endpoint in its variable.
    """
    if settings.traces == "off":
        return OFF
    if settings.traces == "file":
        return Tracer(SpanFile(home / "traces", process, settings.logs_days), process)
    from resources.telemetry.otlp import open_collector

    return Tracer(open_collector(settings, process, environment), process)


# OTLP JSON: the encoding that OpenTelemetry's collector reads from files (`otlpjsonfile`)


def line_of(span: Span, process: str) -> str:
    """The span as one export request in OTLP JSON, without a line break."""
    told = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({"parentSpanId": span.parent_id} if span.parent else {}),
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(span.begun_ns),
        "endTimeUnixNano": str(span.ended_ns),
        "attributes": [_attribute(name, value) for name, value in sorted(attributes_of(span).items())],
        "status": {"code": 2, "message": span.error} if span.error else {"code": 1},
    }
    resource = {
        "attributes": [_attribute("service.name", f"{SCOPE}-{process}"), _attribute("process.pid", os.getpid())]
    }
    request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": SCOPE}, "spans": [told]}]}]}
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False)


def attributes_of(span: Span) -> dict[str, Value]:
    """The span's attributes with its correlation id and its key."""
    return {**span.attributes, "desk.correlation": span.correlation, "desk.key": span.key}


def _attribute(name: str, value: Value) -> dict[str, object]:
    match value:
        case bool():
            return {"key": name, "value": {"boolValue": value}}
        case int():
            return {"key": name, "value": {"intValue": str(value)}}
        case float():
            return {"key": name, "value": {"doubleValue": value}}
        case _:
            return {"key": name, "value": {"stringValue": value}}


def instant_of(nanoseconds: int) -> datetime:
    """The machine's instant, UTC."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def nanoseconds_of(instant: datetime) -> int:
    """Since 1970."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000


class _Steady:
    """The machine's clock, read once and carried on by a counter that has no steps; read again when they differ by a second."""

    _STEP_NS = 1_000_000_000
    _AGAIN_NS = 60_000_000_000

    def __init__(self) -> None:
        self._wall = self._counter = 0
        self._anchor()

    def __call__(self) -> int:
        passed = time.perf_counter_ns() - self._counter
        if passed > self._AGAIN_NS:
            self._anchor()
            passed = 0
        return self._wall + passed

    def _anchor(self) -> None:
        read = nanoseconds_of(RealClock().now())
        counter = time.perf_counter_ns()
        carried = self._wall + counter - self._counter
        self._wall = read if not self._wall or abs(read - carried) > self._STEP_NS else max(read, carried)
        self._counter = counter


OFF = Tracer(Nowhere(), "")
