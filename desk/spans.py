"""`desk spans` and `desk logs`: what the processes did for one decision, and what they said."""

import json
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import typer

from desk.output import show
from resources.telemetry.reading import Node, log_lines, parsed, spans_of, trees
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DataNotReady
from trading_assets.core.settings import desk_home
from trading_assets.execution.journaling import decision_id

_FOLLOW_S = 0.5
_SHOWN = (
    ("desk.symbol", "{}"),
    ("desk.route", "{}"),
    ("gen_ai.request.model", "{}"),
    ("desk.cost_usd", "{} USD"),
    ("desk.cached", "cached {}"),
    ("desk.intents", "{} intents"),
    ("desk.plans", "{} plans"),
    ("desk.vetoes", "{} refused"),
    ("desk.state", "{}"),
    ("desk.shares", "{} shares"),
    ("desk.price_usd", "at {} USD"),
    ("desk.outcome", "{}"),
    ("desk.why", "{}"),
)


def run_spans(session: date, slot: str, *, as_json: bool) -> None:
    """Draws the tree of a decision's spans, each with when it began and how long it took.

    Raises:
        DataNotReady: No span of the decision is kept.
    """
    correlation = decision_id("desk", session, slot)
    found = spans_of(desk_home().root / "traces", correlation)
    if not found:
        raise DataNotReady(
            "no spans of this decision are kept",
            value=correlation,
            bound="telemetry.traces: file, telemetry.logs_days",
            hint="desk journal --session shows the slots that were decided",
        )
    if as_json:
        show({"correlation": correlation, "trees": [_as_json(node) for node in trees(found)]}, as_json=True)
        return
    typer.echo(f"{correlation}  trace {found[0].at.astimezone(NEW_YORK):%Y-%m-%d} (the machine's clock, New York)")
    for node in trees(found):
        for line in drawn(node):
            typer.echo(line)


def drawn(node: Node, depth: int = 0) -> Iterator[str]:
    """A line for each span."""
    span = node.span
    told = ", ".join(words.format(span.attributes[name]) for name, words in _SHOWN if span.attributes.get(name))
    trouble = f"  FAILED {span.error}" if span.error else ""
    begun = f"{span.at.astimezone(NEW_YORK):%H:%M:%S.%f}"[:-3]
    yield f"{begun}  {span.milliseconds:>10,.1f} ms  {'  ' * depth}{span.name}  [{span.process}]  {told}{trouble}".rstrip()
    for below in node.below:
        yield from drawn(below, depth + 1)


def run_logs(*, process: str, correlation: str, follow: bool, as_json: bool) -> None:
    """Shows what the processes logged, in order of time; with `follow` also what comes, until interrupted."""
    folder = desk_home().root / "logs"
    read = {path: path.stat().st_size for path in folder.glob("*.jsonl")}
    for line in log_lines(folder, process=process, correlation=correlation):
        _say(line, as_json=as_json)
    while follow:
        time.sleep(_FOLLOW_S)
        for line in _newer(folder, read, process, correlation):
            _say(line, as_json=as_json)


def _newer(folder: Path, read: dict[Path, int], process: str, correlation: str) -> Iterator[dict[str, Any]]:
    """Whole lines behind what was read."""
    for path in sorted(folder.glob("*.jsonl")):
        if process and not path.name.startswith(f"{process}."):
            continue
        with path.open("rb") as file:
            file.seek(read.get(path, 0))
            whole, newline, _ = file.read().rpartition(b"\n")
        if newline:
            read[path] = read.get(path, 0) + len(whole) + 1
            yield from parsed(iter(whole.decode(errors="replace").split("\n")), correlation)


def _say(line: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(line, ensure_ascii=False))
        return
    about = f"  {line['correlation']}" if "correlation" in line else ""
    typer.echo(f"{line.get('time')} {line.get('process')} {line.get('level')}: {line.get('message')}{about}")


def _as_json(node: Node) -> dict[str, Any]:
    span = node.span
    return {
        "name": span.name,
        "process": span.process,
        "at": span.at.isoformat(),
        "ms": round(span.milliseconds, 3),
        "attributes": span.attributes,
        "error": span.error,
        "below": [_as_json(below) for below in node.below],
    }
