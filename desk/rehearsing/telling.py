"""What a person and a machine read of a rehearsal: a page, a document, one line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from desk.rehearsing.invariants import doubled_slots, missed_parts, missed_slots
from desk.rehearsing.life import Lived
from desk.rehearsing.timeline import line_of

LINES_MAX = 400


def figures(lived: Lived) -> Mapping[str, Any]:
    """The figures of the day: one JSON object."""
    evidence = lived.evidence
    return {
        "session": lived.rehearsal.session.key,
        "speed": lived.rehearsal.speed,
        "slots_due": len(evidence.due),
        "slots_missed": len(missed_slots(evidence)),
        "slots_doubled": len(doubled_slots(evidence)),
        "parts_due": len(evidence.parts),
        "parts_missed": len(missed_parts(evidence)),
        "plans": len(evidence.intents),
        "orders": len(evidence.orders) or evidence.bar_orders,
        "fills": len(evidence.fills or evidence.bar_fills),
        "halts": len([halt for halt in evidence.halts if not halt.cause.startswith("C1 ")]),
        "violations": len(lived.violations),
        "invariants": len(lived.verdicts),
        "cpu_share": round(sum(each["cpu_share"] for each in lived.usage.values()), 3),
        "memory_mb_max": round(sum(each["memory_mb_max"] for each in lived.usage.values())),
        "seconds": round(lived.seconds, 1),
        "prepared_s": round(lived.prepared_s, 1),
        **lived.latencies,
        "home": str(lived.folder),
    }


def write(lived: Lived) -> None:
    """The page and the document, in the rehearsal's folder."""
    (lived.folder / "rehearsal.md").write_text(page(lived))
    (lived.folder / "rehearsal.json").write_text(json.dumps(document(lived), indent=1, default=str) + "\n")


def document(lived: Lived) -> Mapping[str, Any]:
    """Everything that the page says, for a program."""
    return {
        **figures(lived),
        "faults": [
            {"fault": each.fault.words, "at": each.at, "until": each.until, "note": each.note}
            for each in lived.happened
        ],
        "verdicts": [{"invariant": each.name, "holds": each.holds, "broken": each.broken} for each in lived.verdicts],
        "processes": lived.usage,
        "excused": lived.evidence.excused,
        "decisions": [
            {"slot": each.slot, "state": each.state, "reason": each.reason} for each in lived.evidence.decisions
        ],
        "intents": [
            {
                "id": each.id,
                "slot": each.slot,
                "symbol": each.symbol,
                "action": each.action,
                "state": each.state,
                "why": each.why,
            }
            for each in lived.evidence.intents
        ],
        "timeline": [{"at": each.at, "what": each.what, "words": each.words} for each in lived.lines],
    }


def page(lived: Lived) -> str:
    """The page in markdown."""
    return "\n".join(_lines(lived)) + "\n"


def _lines(lived: Lived) -> Iterator[str]:
    rehearsal, told = lived.rehearsal, figures(lived)
    broken = len(lived.violations)
    yield f"# Rehearsal of {rehearsal.session.key} at {rehearsal.speed:g}x"
    yield ""
    yield "Every invariant holds." if not broken else f"{broken} violations."
    yield f"Market {rehearsal.market}, broker {rehearsal.broker}, runs {rehearsal.launcher}; {lived.seconds:.0f} s."
    yield ""
    yield from _table(("figure", "value"), [(name.replace("_", " "), str(value)) for name, value in told.items()])
    yield from ("", "## Invariants", "")
    yield from _table(
        ("invariant", "verdict"),
        [(each.name, "holds" if each.holds else "; ".join(each.broken)) for each in lived.verdicts],
    )
    if lived.happened:
        yield from ("", "## What went wrong on purpose", "")
        yield from (f"- {each.fault.words}{f': {each.note}' if each.note else ''}" for each in lived.happened)
        yield from (f"- excused: {name}, {why}" for name, why in sorted(lived.evidence.excused.items()))
    yield from ("", "## Slots", "")
    yield from _table(("slot", "state", "reason"), [(d.slot, d.state, d.reason) for d in lived.evidence.decisions])
    yield from ("", "## Processes", "")
    yield from _table(
        ("process", "share of a core", "CPU s", "memory MB, most", "starts"),
        [
            (
                name,
                f"{used['cpu_share']:.1%}",
                f"{used['cpu_s']:.1f}",
                f"{used['memory_mb_max']:.0f}",
                f"{used['starts']:.0f}",
            )
            for name, used in lived.usage.items()
        ],
    )
    yield from ("", "## What happened", "", "```")
    yield from (line_of(each) for each in lived.lines[:LINES_MAX])
    if len(lived.lines) > LINES_MAX:
        yield f"… and {len(lived.lines) - LINES_MAX} more lines in rehearsal.json"
    yield "```"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    yield from ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
