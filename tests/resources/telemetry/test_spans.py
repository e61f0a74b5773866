"""Ids that every process computes for itself, lines that a collector reads, and files that many processes share."""

import base64
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse  # type: ignore[import-untyped] # it ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from resources.telemetry.reading import Node, spans_of, trees
from resources.telemetry.spans import (
    OFF,
    Span,
    SpanFile,
    Tracer,
    Value,
    instant_of,
    line_of,
    nanoseconds_of,
    open_tracer,
    span_id_of,
    trace_id_of,
)
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.operations import Telemetry

SLOT = "desk/2024-03-25/09:30"
BEGUN = 1_711_373_400_000_000_000
WORDS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
VALUES = st.one_of(
    WORDS, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)


def span(
    name: str, parent: str = "", *, at: int = 0, ms: int = 1, key: str = "", slot: str = SLOT, **more: Value
) -> Span:
    begun = BEGUN + at * 1_000_000
    return Span(slot, name, key or name, parent, begun, begun + ms * 1_000_000, more)


def names(node: Node) -> Any:
    return {node.span.name: [names(below) for below in node.below]} if node.below else node.span.name


def write(folder: Path, *spans: Span, process: str = "desk") -> None:
    file = SpanFile(folder, process, 14)
    for each in spans:
        file.take(each)
    file.close()


def test_the_ids_are_those_of_the_decision_in_every_process_and_release() -> None:
    assert trace_id_of(SLOT) == "703a024c68db4bc117b691c94a83abd2"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(trace_id_of, (SLOT,)) == trace_id_of(SLOT)
        assert pool.apply(span_id_of, (SLOT, "decision")) == span_id_of(SLOT, "decision")


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS, WORDS, WORDS)
def test_other_decisions_and_other_steps_have_other_ids(one: str, other: str, step: str, another: str) -> None:
    assert (trace_id_of(one) == trace_id_of(other)) == (one == other)
    assert (span_id_of(one, step) == span_id_of(one, another)) == (step == another)
    assert (span_id_of(one, step) == span_id_of(other, step)) == (one == other)
    assert len(trace_id_of(one)) == 32
    assert len(span_id_of(one, step)) == 16


@settings(max_examples=60, deadline=None)
@given(WORDS, st.dictionaries(st.from_regex(r"[a-z.]{1,10}", fullmatch=True), VALUES, max_size=5), WORDS)
def test_each_line_is_a_request_that_opentelemetrys_own_types_accept(
    name: str, told: dict[str, Value], error: str
) -> None:
    made = Span(SLOT, name, "key", "parent", BEGUN, BEGUN + 5, told, error)
    line = line_of(made, "gateway")
    assert "\n" not in line
    # protobuf's JSON writes bytes in base64 where OTLP's writes hex
    plain = json.loads(line)
    [inner] = plain["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for key in ("traceId", "spanId", "parentSpanId"):
        inner[key] = base64.b64encode(bytes.fromhex(inner[key])).decode()
    read = Parse(json.dumps(plain), ExportTraceServiceRequest()).resource_spans[0].scope_spans[0].spans[0]
    assert (read.name, read.trace_id.hex(), read.span_id.hex()) == (name, made.trace_id, made.span_id)
    assert read.parent_span_id.hex() == made.parent_id
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (BEGUN, BEGUN + 5)
    assert (read.status.code, read.status.message) == ((2, error) if error else (1, ""))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write(tmp_path, span("decision", "tick", plans=3, share=0.5, cached=True, symbol="AAPL"))
    [read] = spans_of(tmp_path, SLOT)
    assert (read.name, read.process, read.milliseconds, read.error) == ("decision", "desk", 1.0, "")
    assert read.attributes.items() >= {"plans": 3, "share": 0.5, "cached": True, "symbol": "AAPL"}.items()
    assert read.attributes["desk.correlation"] == SLOT


def test_four_processes_make_one_tree(tmp_path: Path) -> None:
    write(tmp_path, span("fill", "dispatch/i1", at=50, key="fill/i1/e1"), process="gateway")
    write(tmp_path, span("seal", "decision", at=30), span("decision", "tick", at=10, ms=30))
    write(tmp_path, span("dispatch", "decision", at=40, ms=5, key="dispatch/i1"), process="gateway")
    write(tmp_path, span("tick", at=0), process="daemon")
    write(tmp_path, span("tick", slot="desk/2024-03-25/10:00"), process="daemon")
    [tree] = trees(spans_of(tmp_path, SLOT))
    assert names(tree) == {"tick": [{"decision": ["seal", {"dispatch": ["fill"]}]}]}


def test_a_decision_without_its_tick_is_a_tree_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, span("decision", "tick", at=10), span("look", "decision", at=11))
    [tree] = trees(spans_of(tmp_path, SLOT))
    assert names(tree) == {"decision": ["look"]}


def test_a_second_run_of_a_slot_stands_beside_the_first_and_keeps_what_is_its_own(tmp_path: Path) -> None:
    first, second = span("decision", "tick", at=10, run="1"), span("decision", "tick", at=100, run="2")
    write(tmp_path, span("tick"), first, span("look", "decision", at=11), second, span("judge", "decision", at=101))
    [tree] = trees(spans_of(tmp_path, SLOT))
    assert names(tree) == {"tick": [{"decision": ["look"]}, {"decision": ["judge"]}]}


def test_a_line_that_a_full_disk_cut_short_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, span("tick"))
    [file] = tmp_path.glob("*.jsonl")
    whole = file.read_text()
    file.write_text(whole[:-40] + "\n" + whole)
    assert [read.name for read in spans_of(tmp_path, SLOT)] == ["tick"]


def test_each_day_has_a_file_and_old_days_go(tmp_path: Path) -> None:
    for name in ("2024-03-10.jsonl", "2024-03-11.jsonl", "2024-03-12.jsonl", "notes.jsonl", "2024-03-10.txt"):
        (tmp_path / name).touch()
    write(tmp_path, span("tick"), span("late", at=24 * 3_600_000))
    kept = {"2024-03-12.jsonl", "2024-03-25.jsonl", "2024-03-26.jsonl", "notes.jsonl", "2024-03-10.txt"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    write(tmp_path / "traces", span("tick"))
    [file] = (tmp_path / "traces").glob("*.jsonl")
    assert file.stat().st_mode & 0o077 == 0


def _write_many(folder: Path, number: int) -> None:
    write(folder, *(span(f"step {number}.{each}", at=each, words="x" * 500) for each in range(200)))


def test_lines_of_four_processes_do_not_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_write_many, args=(tmp_path, number)) for number in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert len({read.name for read in spans_of(tmp_path, SLOT)}) == 800


def test_what_fails_inside_a_span_is_noted_and_goes_on(tmp_path: Path) -> None:
    tracer = Tracer(SpanFile(tmp_path, "desk", 14), "desk")
    with pytest.raises(ValueError, match="no facts"), tracer.span(SLOT, "look", parent="decision"):
        raise ValueError("no facts")
    tracer.close()
    [read] = spans_of(tmp_path, SLOT)
    assert read.error == "ValueError: no facts"


def test_a_folder_that_cannot_be_written_loses_the_span_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file where the folder should be")
    tracer = open_tracer(Telemetry(), tmp_path, "desk", {})
    with tracer.span(SLOT, "look"):
        pass
    assert tracer.is_on


def test_off_writes_nothing(tmp_path: Path) -> None:
    tracer = open_tracer(Telemetry(traces="off"), tmp_path, "desk", {})
    with tracer.span(SLOT, "look"):
        pass
    assert not tracer.is_on
    assert not OFF.is_on
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", ["", "localhost:4318", "ftp://here/", "http://"])
def test_otlp_without_an_address_is_refused_with_the_variable(tmp_path: Path, told: str) -> None:
    with pytest.raises(ConfigurationError, match="collector") as refused:
        open_tracer(Telemetry(traces="otlp"), tmp_path, "desk", {"OTEL_EXPORTER_OTLP_ENDPOINT": told})
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4_000_000_000_000_000))
def test_instants_and_nanoseconds_are_the_same(micros: int) -> None:
    assert nanoseconds_of(instant_of(micros * 1_000)) == micros * 1_000


def test_the_tracers_clock_does_not_step_back() -> None:
    now = Tracer(SpanFile(Path(os.devnull), "x", 1), "x").now_ns
    read = [now() for _ in range(1_000)]
    assert read == sorted(read)
