"""Files that bear a day in their name: `2026-11-20.jsonl`, `gateway.2026-11-20.jsonl`."""

from contextlib import suppress
from datetime import date
from pathlib import Path


def prune_days(folder: Path, before: date) -> int:
    """Removes files of days before `before`, by the day in their name; how many. Others stay."""
    removed = 0
    for path in sorted(folder.glob("*.jsonl")):
        day = _day_of(path)
        if day is not None and day < before:
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _day_of(path: Path) -> date | None:
    """The day in the name of a log or a trace file."""
    with suppress(ValueError):
        return date.fromisoformat(path.name.removesuffix(".jsonl").rpartition(".")[2])
    return None
