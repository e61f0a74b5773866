"""The lake on a local folder: immutable Parquet files, one for each write, newest wins session by session.

A file is named `<generation>.<first session>.<last session>.<digest>.parquet` and is never changed. A write goes to a temporary
name, is synced, and is then renamed; readers see the old file or the new one and never a part of either. Where files overlap,
each session is read from the file with the highest generation that covers it, so re-running one day of a ten-year backfill adds
one small file. Generations are handed out under a lock that the kernel drops when its holder dies.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TableMismatch
from trading_assets.core.ports import Span, Written
from trading_assets.core.tables import FACTS, Table

_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Stored:
    path: Path
    generation: int
    first: date
    last: date

    @property
    def version(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a stored file that no newer file covers."""

    stored: _Stored
    first: date
    last: date

    @property
    def whole(self) -> bool:
        return (self.first, self.last) == (self.stored.first, self.stored.last)


class ParquetLake:
    """The Lake port over a folder: `<root>/<lane>/<table>/`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(
        self,
        table: Table,
        *,
        as_of: datetime,
        lane: str = FACTS,
        first: date | None = None,
        last: date | None = None,
        symbols: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """See the port. `as_of` must carry a time zone."""
        if as_of.tzinfo is None:
            raise PermanentFailure("as_of must carry a time zone", value=as_of)
        span = Span(first or date.min, last or date.max)
        frame = self._rows(table, lane, span).filter(pl.col("knowable_at") <= as_of)
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        return frame.sort(*table.key)

    def write(self, table: Table, frame: pl.DataFrame, span: Span, *, lane: str = FACTS) -> Written:
        """See the port."""
        rows = _inside(table, table.conform(frame), span)
        with self._locked(table, lane) as folder:
            return self._publish(table, lane, folder, rows, span)

    def merge(
        self,
        table: Table,
        frame: pl.DataFrame,
        span: Span,
        *,
        replacing: Mapping[str, Sequence[str]],
        lane: str = FACTS,
    ) -> Written:
        """See the port."""
        rows = _inside(table, table.conform(frame), span)
        matches = pl.all_horizontal(pl.col(column).is_in(list(values)) for column, values in replacing.items())
        strangers = rows.filter(~matches).select(list(replacing)).unique()
        if strangers.height:
            raise TableMismatch(
                f"rows for {table.name} are not of what is being replaced", value=strangers.rows()[:3], bound=replacing
            )
        with self._locked(table, lane) as folder:
            others = self._rows(table, lane, span).filter(~matches)
            together = table.conform(pl.concat([others, rows]))
            return self._publish(table, lane, folder, together, span)

    def versions(self, table: Table, span: Span, *, lane: str = FACTS) -> Mapping[date, str]:
        """See the port."""
        found: dict[date, str] = {}
        for piece in self._pieces(table, lane, span):
            for session in XNYS.sessions(piece.first, piece.last):
                found[session.day] = piece.stored.version
        return found

    def paths(self, table: Table, *, lane: str = FACTS) -> tuple[Path, ...]:
        """Every file that holds at least one session which no newer file covers."""
        pieces = self._pieces(table, lane, Span(date.min, date.max))
        return tuple(sorted({piece.stored.path for piece in pieces}))

    def forget(self, table: Table, span: Span, *, lane: str) -> None:
        """Hides the span's sessions: results of a path that is being walked anew. Stored files stay as they are."""
        with self._locked(table, lane) as folder:
            held = self._pieces(table, lane, span)
            if held and self._rows(table, lane, span).height:
                self._publish(table, lane, folder, table.empty(), Span(held[0].first, held[-1].last))

    def damage(self) -> tuple[str, ...]:
        """One sentence per file whose bytes do not match its name, or that a killed writer left behind."""
        problems = [
            f"{path.relative_to(self._root)}: bytes do not match the digest in its name"
            for path in sorted(self._root.rglob("*.parquet"))
            if _digest(path) != path.stem.rsplit(".", 1)[-1]
        ]
        leftovers = [f"{path.relative_to(self._root)}: left by a killed writer" for path in self._root.rglob("*.tmp")]
        return (*problems, *sorted(leftovers))

    def _publish(self, table: Table, lane: str, folder: Path, rows: pl.DataFrame, span: Span) -> Written:
        held = self._pieces(table, lane, span)
        if _covers(held, span) and self._rows(table, lane, span).sort(*table.key).equals(rows):
            return Written(held[-1].stored.version, rows.height, changed=False)
        generation = 1 + max((stored.generation for stored in _stored(folder)), default=0)
        temporary = folder / f".{uuid.uuid4().hex}.tmp"
        rows.write_parquet(temporary, compression="zstd")
        _sync(temporary)
        name = f"{generation:08d}.{span.first}.{span.last}.{_digest(temporary)}.parquet"
        temporary.rename(folder / name)
        _sync(folder)
        return Written(name.removesuffix(".parquet"), rows.height, changed=True)

    def _rows(self, table: Table, lane: str, span: Span) -> pl.DataFrame:
        pieces = self._pieces(table, lane, span)
        wanted = [piece.stored.path for piece in pieces if piece.whole]
        frames = [self._scan(table, wanted)] if wanted else []
        for piece in pieces:
            if not piece.whole:
                inside = pl.col("session").is_between(piece.first, piece.last)
                frames.append(self._scan(table, [piece.stored.path]).filter(inside))
        return pl.concat(frames) if frames else table.empty()

    def _scan(self, table: Table, paths: Sequence[Path]) -> pl.DataFrame:
        try:
            frame = pl.read_parquet(list(paths), glob=False)
        except (pl.exceptions.PolarsError, OSError) as broken:
            names = ", ".join(path.name for path in paths)
            raise LakeDamaged(
                f"table {table.name} cannot be read: {broken}", value=names, hint="desk doctor names the damaged file"
            ) from broken
        if dict(frame.schema) != dict(table.polars_schema()):
            raise LakeDamaged(
                f"table {table.name} is stored with other columns than this version declares",
                value=dict(frame.schema),
                hint="materialize the table again",
            )
        return frame

    def _pieces(self, table: Table, lane: str, span: Span) -> list[_Piece]:
        stored = [s for s in _stored(self._folder(table, lane)) if s.first <= span.last and s.last >= span.first]
        pieces: list[_Piece] = []
        open_spans = [(span.first, span.last)]
        for file in sorted(stored, key=lambda s: s.generation, reverse=True):
            still_open: list[tuple[date, date]] = []
            for first, last in open_spans:
                start, end = max(first, file.first), min(last, file.last)
                if start > end:
                    still_open.append((first, last))
                    continue
                pieces.append(_Piece(file, start, end))
                still_open.extend(_around(first, last, start, end))
            open_spans = still_open
        return sorted(pieces, key=lambda piece: piece.first)

    def _folder(self, table: Table, lane: str) -> Path:
        return self._root / lane / table.name

    @contextmanager
    def _locked(self, table: Table, lane: str) -> Iterator[Path]:
        folder = self._folder(table, lane)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def _stored(folder: Path) -> Iterator[_Stored]:
    if not folder.is_dir():
        return
    for path in folder.glob("*.parquet"):
        try:
            generation, first, last, _ = path.stem.split(".")
            yield _Stored(path, int(generation), date.fromisoformat(first), date.fromisoformat(last))
        except ValueError as strange:
            raise LakeDamaged(
                "a file in the lake has a name that no writer gives", value=path.name, hint="move it out of the lake"
            ) from strange


def _around(first: date, last: date, start: date, end: date) -> Iterator[tuple[date, date]]:
    if first < start:
        yield first, start - _DAY
    if end < last:
        yield end + _DAY, last


def _covers(pieces: Sequence[_Piece], span: Span) -> bool:
    covered = sum((piece.last - piece.first).days + 1 for piece in pieces)
    return bool(pieces) and covered == (span.last - span.first).days + 1


def _inside(table: Table, frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    outside = frame.filter(~pl.col("session").is_between(span.first, span.last))["session"].unique()
    if outside.len():
        raise TableMismatch(
            f"rows for {table.name} lie outside the sessions being written",
            value=[str(day) for day in outside.sort().head(3)],
            bound=f"{span.first} to {span.last}",
        )
    return frame


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
