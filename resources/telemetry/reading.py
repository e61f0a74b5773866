"""The spans of one decision, read back from the files, as a tree; and the log lines of a decision or a process."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from resources.telemetry.spans import Value, instant_of, trace_id_of

_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Read:
    """A span as it stands in a file."""

    span_id: str
    parent_id: str
    name: str
    process: str
    begun_ns: int
    ended_ns: int
    attributes: dict[str, Value]
    error: str

    @property
    def at(self) -> datetime:
        """When it began, the machine's clock, UTC."""
        return instant_of(self.begun_ns)

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.ended_ns - self.begun_ns) / _NS_PER_MS


@dataclass(frozen=True, slots=True)
class Node:
    """A span and those below it, in order of time."""

    span: Read
    below: tuple["Node", ...]


def spans_of(folder: Path, correlation: str) -> list[Read]:
    """Every span of a decision in the files below a folder, in order of time. Lines that a full disk cut short are passed over."""
    wanted = trace_id_of(correlation)
    found = [
        read
        for path in sorted(folder.glob("*.jsonl"))
        for line in _lines(path)
        if wanted in line
        for read in _reads(line, wanted)
    ]
    return sorted(found, key=lambda read: (read.begun_ns, -read.ended_ns, read.span_id))


def trees(spans: Sequence[Read]) -> tuple[Node, ...]:
    """The spans below those whose parent is not among them."""
    known = {span.span_id for span in spans}
    return tuple(_node(span, spans) for span in spans if span.parent_id not in known or span.parent_id == span.span_id)


def _node(span: Read, spans: Sequence[Read]) -> Node:
    """Spans of a second run with the same id share what is below it; it is shown below the newest of them that had begun."""
    twins = [other for other in spans if other.span_id == span.span_id]
    below = [
        other for other in spans if other.parent_id == span.span_id != other.span_id and _holder(other, twins) is span
    ]
    return Node(span, tuple(_node(other, spans) for other in below))


def _holder(span: Read, twins: Sequence[Read]) -> Read:
    before = [twin for twin in twins if twin.begun_ns <= span.begun_ns]
    return before[-1] if before else twins[0]


def log_lines(folder: Path, *, process: str = "", correlation: str = "") -> Iterator[dict[str, Any]]:
    """Lines of the logs in order of time, of one process or of all, of one decision or of all."""
    files = [path for path in sorted(folder.glob("*.jsonl")) if not process or path.name.startswith(f"{process}.")]
    found = [line for path in files for line in parsed(_lines(path), correlation)]
    yield from sorted(found, key=lambda line: str(line.get("time", "")))


def parsed(lines: Iterator[str], correlation: str) -> Iterator[dict[str, Any]]:
    """Log lines that are about the decision, or all of them."""
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and (not correlation or told.get("correlation") == correlation):
            yield told


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file
    except FileNotFoundError:
        return


def _reads(line: str, wanted: str) -> Iterator[Read]:
    try:
        told = json.loads(line)
    except ValueError:
        return
    for resource in told["resourceSpans"]:
        process = str(_attributes(resource["resource"]["attributes"]).get("service.name", ""))
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                if span["traceId"] == wanted:
                    yield _read(span, process)


def _read(span: dict[str, Any], process: str) -> Read:
    return Read(
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        name=span["name"],
        process=process.removeprefix("desk-"),
        begun_ns=int(span["startTimeUnixNano"]),
        ended_ns=int(span["endTimeUnixNano"]),
        attributes=_attributes(span["attributes"]),
        error=span["status"].get("message", ""),
    )


def _attributes(told: Sequence[dict[str, Any]]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for each in told:
        [(kind, value)] = each["value"].items()
        found[each["key"]] = int(value) if kind == "intValue" else value
    return found
