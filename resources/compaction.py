"""Compaction: runs of small files become one file, and no reader, writer or verdict notices.

Under the writers' lock nothing else can change the folder. The new file has the next generation, covers a run of consecutive stored
sessions and holds their rows as they are; only when it is synced under its name are the files removed that hold nothing any more.
Killed at any moment, the folder holds the old files, or the new one and some of the old ones, which the next compaction removes: a
merged file remembers where its rows come from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import polars as pl

from resources.lake_files import Stored, content_of, holders, listed, locked, scan, sessions_of, store, sweep
from trading_assets.core.errors import LakeDamaged, PermanentFailure
from trading_assets.core.ports import Span

_EVERYTHING = Span(date.min, date.max)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did to a folder."""

    files_before: int
    files_after: int
    written: int
    removed: int


def compact_folder(folder: Path, *, sessions_min: int) -> Compacted:
    """Merges every run of consecutive sessions that is held by more than one file of fewer than `sessions_min` sessions.

    A run shorter than `sessions_min` waits until it has grown, so no row is copied again and again. Files that were replaced
    before by other rows and were not part of a run stay. LakeDamaged for a damaged file in a run; runs before it are merged.
    """
    if sessions_min < 2:
        raise PermanentFailure("sessions_min must be at least 2", value=sessions_min, bound=2)
    if not folder.is_dir():
        return Compacted(0, 0, 0, 0)
    with locked(folder):
        before = listed(folder)
        written = 0
        for run in _runs(holders(before, _EVERYTHING), sessions_min):
            _merge(folder, run)
            written += 1
        removed = _remove_sources(folder)
        return Compacted(len(before), len(before) + written - removed, written, removed)


def _runs(held: Mapping[date, Stored], sessions_min: int) -> Iterator[Mapping[date, Stored]]:
    run: dict[date, Stored] = {}
    for day, stored in held.items():
        small = len(stored.days) < sessions_min
        if run and not (small and _follows(max(run), day)):
            yield from _worth_it(run, sessions_min)
            run = {}
        if small:
            run[day] = stored
    yield from _worth_it(run, sessions_min)


def _worth_it(run: Mapping[date, Stored], sessions_min: int) -> Iterator[Mapping[date, Stored]]:
    if len(run) >= sessions_min and len(set(run.values())) > 1:
        yield run


def _follows(day: date, next_day: date) -> bool:
    return len(sessions_of(day, next_day)) == 2


def _merge(folder: Path, run: Mapping[date, Stored]) -> None:
    rows = _rows(run).sort("session", maintain_order=True)
    data = content_of(rows, {day: stored.version(day) for day, stored in run.items()})
    if not pl.read_parquet(BytesIO(data)).equals(rows):
        raise PermanentFailure(f"merged rows of {folder.name} do not come back as they are; nothing was removed")
    store(folder, Span(min(run), max(run)), data, merged=True)


def _rows(run: Mapping[date, Stored]) -> pl.DataFrame:
    try:
        return scan(run)
    except pl.exceptions.PolarsError as differing:
        raise LakeDamaged(
            f"files of {next(iter(run.values())).path.parent.name} from {min(run)} to {max(run)} have different columns",
            hint="materialize these sessions again, then compact",
        ) from differing


def _remove_sources(folder: Path) -> int:
    """Removes what merged files were made from, and merged files that newer ones replaced, unless a session is still read there."""
    files = listed(folder)
    holding = set(holders(files, _EVERYTHING).values())
    taken = frozenset[str]().union(*(stored.sources() for stored in files))
    doomed = [s for s in files if s not in holding and (s.is_merged or s.path.stem in taken)]
    if doomed:
        sweep(folder, doomed)
    return len(doomed)
