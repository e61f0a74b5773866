"""The lake on a local folder: immutable Parquet files, one for each write, newest wins session by session.

A file is named `<generation>.<first session>.<last session>.<digest>.parquet` and is never changed. A write goes to a temporary
name, is synced, and is then renamed; readers see the old file or the new one and never a part of either. Where files overlap,
each session is read from the file with the highest generation that covers it, so re-running one day of a ten-year backfill adds
one small file. An empty file that ends in `.gone` instead hides the sessions of older files. Generations are handed out under a
lock that the kernel drops when its holder dies.

Parquet readers return other numbers, and no error, for most flipped bits. So a file counts only while its bytes match the digest
in its name; each process checks that once for each file.
"""

import errno
import fcntl
import hashlib
import io
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError, LakeDamaged, PermanentFailure, TableMismatch, TransientFailure
from trading_assets.core.ports import Span, Written
from trading_assets.core.tables import FACTS, Table

_LOCK = ".lock"
_UNFINISHED = ".unfinished.tmp"
_GONE = ".gone"
_PARQUET = ".parquet"
_DIGITS = 12
_FILES_REMEMBERED = 100_000
_PERSON_MUST_ACT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG}


@dataclass(frozen=True, slots=True)
class _Stored:
    path: Path
    generation: int
    first: date
    last: date

    @property
    def version(self) -> str:
        return self.path.stem

    @property
    def is_gone(self) -> bool:
        return self.path.suffix == _GONE

    @property
    def days(self) -> Sequence[date]:
        return _sessions(self.first, self.last)


class ParquetLake:
    """The Lake port over a folder: `<root>/<lane>/<table>/`.

    Every method raises LakeDamaged for a file that is not what its name says, PermanentFailure where the folder may not be read or
    written, and TransientFailure where the disk is full or fails. None of them leaves a part of a write that a reader could see.
    """

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
        holders = self._holders(table, lane, Span(first or date.min, last or date.max))
        frame = self._rows(table, holders).filter(pl.col("knowable_at") <= as_of.astimezone(UTC))
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        return frame.sort(*table.key)

    def write(self, table: Table, frame: pl.DataFrame, span: Span, *, lane: str = FACTS) -> Written:
        """See the port. A damaged file does not stand in the way of its replacement."""
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
        matches = pl.all_horizontal(
            pl.col(column).is_in(list(values)).fill_null(value=False) for column, values in replacing.items()
        )
        strangers = rows.filter(~matches).select(list(replacing)).unique()
        if strangers.height:
            raise TableMismatch(
                f"rows for {table.name} are not of what is being replaced", value=strangers.rows()[:3], bound=replacing
            )
        with self._locked(table, lane) as folder:
            others = self._rows(table, self._holders(table, lane, span)).filter(~matches)
            together = table.conform(pl.concat([others, rows]))
            return self._publish(table, lane, folder, together, span)

    def versions(self, table: Table, span: Span, *, lane: str = FACTS) -> Mapping[date, str]:
        """See the port."""
        return {day: stored.version for day, stored in self._holders(table, lane, span).items()}

    def forget(self, table: Table, span: Span, *, lane: str) -> None:
        """Hides the span's sessions: results of a path that is being walked anew. Stored files stay as they are."""
        with self._locked(table, lane) as folder:
            held = self._holders(table, lane, span)
            if held:
                self._store(folder, f"{min(held)}.{max(held)}{_GONE}", b"")

    def damage(self) -> tuple[str, ...]:
        """One sentence per file whose bytes or name no writer made, or that a killed writer left behind."""
        problems = []
        for folder in sorted(path for path in self._root.glob("*/*") if path.is_dir()):
            for path in sorted(folder.iterdir()):
                problem = _problem(path)
                if problem:
                    problems.append(f"{path.relative_to(self._root)}: {problem}")
        return tuple(problems)

    def _publish(self, table: Table, lane: str, folder: Path, rows: pl.DataFrame, span: Span) -> Written:
        held = self._holders(table, lane, span)
        if len(held) == len(_sessions(span.first, span.last)) and self._same(table, held, rows):
            return Written(held[max(held)].version, rows.height, changed=False)
        content = io.BytesIO()
        rows.write_parquet(content, compression="zstd")
        data = content.getvalue()
        digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
        path = self._store(folder, f"{span.first}.{span.last}.{digest}{_PARQUET}", data)
        return Written(path.stem, rows.height, changed=True)

    def _same(self, table: Table, held: Mapping[date, _Stored], rows: pl.DataFrame) -> bool:
        try:
            return self._rows(table, held).sort(*table.key).equals(rows)
        except LakeDamaged:
            return False

    def _store(self, folder: Path, name: str, data: bytes) -> Path:
        """Puts the bytes under the next generation's name; needs the folder's lock."""
        generation = 1 + max((stored.generation for stored in _stored(folder)), default=0)
        unfinished, path = folder / _UNFINISHED, folder / f"{generation:08d}.{name}"
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        _sync_folder(folder)
        return path

    def _rows(self, table: Table, holders: Mapping[date, _Stored]) -> pl.DataFrame:
        held: dict[_Stored, list[date]] = {}
        for day, stored in holders.items():
            held.setdefault(stored, []).append(day)
        whole = [stored.path for stored, days in held.items() if len(days) == len(stored.days)]
        frames = [_scan(table, whole)] if whole else []
        frames.extend(
            _scan(table, [stored.path]).filter(pl.col("session").is_in(days))
            for stored, days in held.items()
            if len(days) < len(stored.days)
        )
        return pl.concat(frames) if frames else table.empty()

    def _holders(self, table: Table, lane: str, span: Span) -> Mapping[date, _Stored]:
        """For each stored session of the span, the newest file that covers it, in order of sessions."""
        newest: dict[date, _Stored] = {}
        every = _stored(self._root / lane / table.name)
        touching = (stored for stored in every if stored.first <= span.last and span.first <= stored.last)
        for stored in sorted(touching, key=lambda s: s.generation):
            days = _sessions(max(stored.first, span.first), min(stored.last, span.last))
            newest.update(dict.fromkeys(days, stored))
        return {day: newest[day] for day in sorted(newest) if not newest[day].is_gone}

    @contextmanager
    def _locked(self, table: Table, lane: str) -> Iterator[Path]:
        folder = self._root / lane / table.name
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                _sync_folder(folder.parent)
                _sync_folder(self._root)
            with (folder / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder
        except OSError as failed:
            raise _typed(failed, folder) from failed


def _stored(folder: Path) -> list[_Stored]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a path for each of thousands of names costs more than the listing
    except FileNotFoundError:
        return []
    except OSError as failed:
        raise _typed(failed, folder) from failed
    where = str(folder)
    return [_named(where, name) for name in names if name.endswith((_PARQUET, _GONE))]


@lru_cache(maxsize=_FILES_REMEMBERED)
def _named(folder: str, name: str) -> _Stored:
    path = Path(folder, name)
    try:
        generation, first, last, *_ = path.stem.split(".")
        return _Stored(path, int(generation), date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as strange:
        raise LakeDamaged(
            "a file in the lake has a name that no writer gives", value=path.name, hint="move it out of the lake"
        ) from strange


def _scan(table: Table, paths: Sequence[Path]) -> pl.DataFrame:
    for path in paths:
        _refuse_damaged(table, path)
    try:
        frame = pl.read_parquet(list(paths), glob=False)
    except pl.exceptions.PolarsError as differing:
        raise _other_columns(table, paths) from differing
    if dict(frame.schema) != dict(table.polars_schema()):
        raise _other_columns(table, paths)
    return frame


def _other_columns(table: Table, paths: Sequence[Path]) -> LakeDamaged:
    """What is wrong with sound files that cannot be read as the table: the first whose columns differ is named."""
    declared = dict(table.polars_schema())
    stored = {path: dict(pl.read_parquet_schema(path)) for path in paths}
    path, actual = next((pair for pair in stored.items() if pair[1] != declared), (paths[0], declared))
    differing = sorted(name for name in declared | actual if actual.get(name) != declared.get(name))
    return LakeDamaged(
        f"{path.name} of table {table.name} is stored with other columns than this version declares",
        value={name: str(actual.get(name, "missing")) for name in differing},
        bound={name: str(declared.get(name, "not declared")) for name in differing},
        hint=_anew(table, path),
    )


def _refuse_damaged(table: Table, path: Path) -> None:
    try:
        status = path.stat()
        sound = _was_sound(path, status.st_size, status.st_mtime_ns)
    except OSError as failed:
        raise _typed(failed, path) from failed
    if not sound:
        raise LakeDamaged(
            f"{path.name} of table {table.name} does not hold the bytes that its name promises",
            value=path,
            hint=_anew(table, path),
        )


def _anew(table: Table, path: Path) -> str:
    stored = _named(str(path.parent), path.name)
    return f"move the file out of the lake, then materialize {table.name} of {stored.first} to {stored.last} again"


@lru_cache(maxsize=_FILES_REMEMBERED)
def _was_sound(path: Path, size: int, changed_ns: int) -> bool:  # noqa: ARG001 - a changed file is examined again
    return _is_sound(path)


def _is_sound(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS] == path.stem.rsplit(".", 1)[-1]


def _problem(path: Path) -> str | None:
    if path.name == _LOCK:
        return None
    if path.name == _UNFINISHED:
        return None if _is_locked(path.parent) else "left by a killed writer; the next write replaces it"
    if path.suffix not in {_PARQUET, _GONE}:
        return "no writer of the lake makes such a file"
    try:
        _named(str(path.parent), path.name)
        sound = path.suffix == _GONE or _is_sound(path)
    except LakeDamaged as strange:
        return strange.what
    except OSError as failed:
        return f"cannot be read: {failed.strerror}"
    return None if sound else "bytes do not match the digest in its name"


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _inside(table: Table, frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    sessions = _sessions(span.first, span.last)
    if not sessions:
        raise TableMismatch(f"rows for {table.name} need a span with a session", value=f"{span.first} to {span.last}")
    written = frame["session"].unique().sort()
    outside = written.filter(~written.is_in(list(sessions)))
    if outside.len():
        raise TableMismatch(
            f"rows for {table.name} lie outside the sessions being written",
            value=[str(day) for day in outside.head(3)],
            bound=f"sessions from {span.first} to {span.last}",
        )
    return frame


def _sessions(first: date, last: date) -> Sequence[date]:
    return XNYS.days[bisect_left(XNYS.days, first) : bisect_right(XNYS.days, last)]


def _typed(failed: OSError, where: Path) -> DeskError:
    what = f"the lake cannot use {failed.filename or where}: {failed.strerror}"
    if failed.errno in _PERSON_MUST_ACT:
        return PermanentFailure(what, hint="make the folder readable and writable for this user")
    return TransientFailure(what, hint="make room or mend the disk, then run this again")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
