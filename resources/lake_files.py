"""The files of one folder of the lake: their names, their digests, how they come into being, and how they are read.

A file is named `<generation>.<first session>.<last session>.<digest>.parquet` and is never changed. Its bytes count only while they
match the digest: Parquet readers return other numbers, and no error, for most flipped bits. Each process checks a file once.
"""

import errno
import fcntl
import hashlib
import io
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError, LakeDamaged, PermanentFailure, TransientFailure
from trading_assets.core.ports import Span

GONE = ".gone"
_PARQUET = ".parquet"
_LOCK = ".lock"
_SWEEPING = ".sweep"
_UNFINISHED = ".unfinished.tmp"
_MERGED = "merged"
_VERSIONS = "versions"
_DIGITS = 12
_ROWS_PER_GROUP = 32_768
_FILES_REMEMBERED = 100_000
_MERGED_REMEMBERED = 10_000
_PERSON_MUST_ACT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG}


class Vanished(TransientFailure):
    """A listed file is gone: a compaction put its rows elsewhere since the folder was listed, and listing anew finds them."""

    def __init__(self, where: object) -> None:
        super().__init__(f"the lake cannot use {where}: it is listed and cannot be opened", hint="run this again")


@dataclass(frozen=True, slots=True)
class Stored:
    """One file, known by its name."""

    path: Path
    generation: int
    first: date
    last: date

    @property
    def is_gone(self) -> bool:
        """Whether the file hides the sessions of older ones."""
        return self.path.suffix == GONE

    @property
    def is_merged(self) -> bool:
        """Whether a compaction made the file."""
        return f".{_MERGED}." in self.path.name

    @property
    def days(self) -> Sequence[date]:
        """The sessions of its span."""
        return sessions_of(self.first, self.last)

    def version(self, day: date) -> str:
        """The write that a session's rows come from: the file itself, or the one that a compaction took them from."""
        return _versions(self.path)[day.isoformat()] if self.is_merged else self.path.stem

    def sources(self) -> frozenset[str]:
        """The writes that a compaction put together here; none for any other file."""
        return frozenset(_versions(self.path).values()) if self.is_merged else frozenset()


def listed(folder: Path) -> list[Stored]:
    """The files of a folder, in any order; none for a folder that does not exist."""
    try:
        names = _names(folder)
    except FileNotFoundError:
        return []
    except OSError as failed:
        raise typed(failed, folder) from failed
    where = str(folder)
    return [named(where, name) for name in names if name.endswith((_PARQUET, GONE))]


def holders(files: Sequence[Stored], span: Span) -> Mapping[date, Stored]:
    """For each session of the span that is stored and not hidden, the newest file that covers it, in order of sessions."""
    newest: dict[date, Stored] = {}
    touching = (stored for stored in files if stored.first <= span.last and span.first <= stored.last)
    for stored in sorted(touching, key=lambda s: s.generation):
        days = sessions_of(max(stored.first, span.first), min(stored.last, span.last))
        newest.update(dict.fromkeys(days, stored))
    return {day: newest[day] for day in sorted(newest) if not newest[day].is_gone}


def scan(held: Mapping[date, Stored], only: Sequence[pl.Expr] = ()) -> pl.DataFrame:
    """The rows of the given sessions, each from its file, that fulfil all of `only`; there must be a session.

    Raises LakeDamaged for bytes that do not match their digest, Vanished for a file that is no longer there, and what polars
    raises for files whose columns differ.
    """
    days_of: dict[Stored, list[date]] = {}
    for day, stored in held.items():
        days_of.setdefault(stored, []).append(day)
    for stored in days_of:
        refuse_damaged(stored.path)
    whole = [stored.path for stored, days in days_of.items() if len(days) == len(stored.days)]
    frames = [pl.scan_parquet(whole, glob=False)] if whole else []
    frames.extend(
        pl.scan_parquet(stored.path, glob=False).filter(_among(days))
        for stored, days in days_of.items()
        if len(days) < len(stored.days)
    )
    try:
        return pl.concat(pl.collect_all([frame.filter(*only) for frame in frames]))
    except FileNotFoundError as gone:
        raise Vanished(gone) from gone


def content_of(rows: pl.DataFrame, versions: Mapping[date, str] | None = None) -> bytes:
    """The rows as a Parquet file; `versions` is what a merged file remembers of where its sessions come from.

    Groups are small enough that a reader of few sessions skips most of a long file.
    """
    content = io.BytesIO()
    remembered = (
        {_VERSIONS: json.dumps({day.isoformat(): version for day, version in versions.items()})} if versions else None
    )
    rows.write_parquet(content, compression="zstd", row_group_size=_ROWS_PER_GROUP, metadata=remembered)
    return content.getvalue()


def store(folder: Path, span: Span, data: bytes, *, merged: bool = False) -> Path:
    """Puts the content under the next generation's name, at once or not at all; needs the folder's lock."""
    digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
    return _store(folder, f"{span.first}.{span.last}.{_MERGED + '.' if merged else ''}{digest}{_PARQUET}", data)


def store_gone(folder: Path, span: Span) -> Path:
    """Hides the span's sessions of older files; needs the folder's lock."""
    return _store(folder, f"{span.first}.{span.last}{GONE}", b"")


def _store(folder: Path, name: str, data: bytes) -> Path:
    generation = 1 + max((stored.generation for stored in listed(folder)), default=0)
    unfinished, path = folder / _UNFINISHED, folder / f"{generation:08d}.{name}"
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def sweep(folder: Path, doomed: Sequence[Stored]) -> None:
    """Removes files that hold nothing; needs the folder's lock.

    A listing that is under way while names come and go may miss a new file and an old one that it replaces. So nobody lists
    while files are being removed: a listing takes the sweep's lock as soon as there was a first sweep.
    """
    with (folder / _SWEEPING).open("w") as sweeping:
        fcntl.flock(sweeping, fcntl.LOCK_EX)
        for stored in doomed:
            stored.path.unlink(missing_ok=True)
    sync_folder(folder)


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The folder, made if need be, for one writer at a time; failures of the disk are typed."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            sync_folder(folder.parents[1])
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    except OSError as failed:
        raise typed(failed, folder) from failed


@lru_cache(maxsize=_FILES_REMEMBERED)
def named(folder: str, name: str) -> Stored:
    """What a name in a folder says; LakeDamaged for a name that no writer gives."""
    path = Path(folder, name)
    try:
        generation, first, last, *_ = path.stem.split(".")
        return Stored(path, int(generation), date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as strange:
        raise LakeDamaged(
            "a file in the lake has a name that no writer gives", value=path.name, hint="move it out of the lake"
        ) from strange


def refuse_damaged(path: Path) -> None:
    """LakeDamaged unless the bytes match the digest in the name; Vanished when there is no such file."""
    try:
        status = path.stat()
        sound = _was_sound(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as gone:
        raise Vanished(path) from gone
    except OSError as failed:
        raise typed(failed, path) from failed
    if not sound:
        raise LakeDamaged(
            f"{path.name} of table {path.parent.name} does not hold the bytes that its name promises",
            value=path,
            hint=anew(path),
        )


def anew(path: Path) -> str:
    """How to replace a file that cannot be used."""
    stored = named(str(path.parent), path.name)
    table = path.parent.name
    return f"move the file out of the lake, then materialize {table} of {stored.first} to {stored.last} again"


def problem_of(path: Path) -> str | None:
    """Why a file in the lake is not what a writer leaves; None when it is, or when it was removed while this asks."""
    if path.name in {_LOCK, _SWEEPING}:
        return None
    if path.name == _UNFINISHED:
        return None if _is_locked(path.parent) else "left by a killed writer; the next write replaces it"
    if path.suffix not in {_PARQUET, GONE}:
        return "no writer of the lake makes such a file"
    try:
        named(str(path.parent), path.name)
        sound = path.suffix == GONE or _is_sound(path)
    except LakeDamaged as strange:
        return strange.what
    except FileNotFoundError:
        return None
    except OSError as failed:
        return f"cannot be read: {failed.strerror}"
    return None if sound else "bytes do not match the digest in its name"


def sessions_of(first: date, last: date) -> Sequence[date]:
    """The sessions between two days, both included."""
    return XNYS.days[bisect_left(XNYS.days, first) : bisect_right(XNYS.days, last)]


def typed(failed: OSError, where: Path) -> DeskError:
    """A failure of the disk, named by who reacts."""
    what = f"the lake cannot use {failed.filename or where}: {failed.strerror}"
    if failed.errno in _PERSON_MUST_ACT:
        return PermanentFailure(what, hint="make the folder readable and writable for this user")
    return TransientFailure(what, hint="make room or mend the disk, then run this again")


def sync_folder(path: Path) -> None:
    """Makes new, renamed and removed names in the folder last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    """The names in the folder; no file is removed meanwhile."""
    sweeping = folder / _SWEEPING
    while True:
        try:
            lock = sweeping.open()
        except FileNotFoundError:
            names = os.listdir(folder)  # noqa: PTH208 - a path for each of thousands of names costs more than the listing
            if not sweeping.exists():
                return names
        else:
            with lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
                return os.listdir(folder)  # noqa: PTH208 - as above


def _among(days: Sequence[date]) -> pl.Expr:
    between = pl.col("session").is_between(days[0], days[-1])
    return between if len(days) == len(sessions_of(days[0], days[-1])) else between & pl.col("session").is_in(days)


def _versions(path: Path) -> Mapping[str, str]:
    refuse_damaged(path)
    return _versions_in(path)


@lru_cache(maxsize=_MERGED_REMEMBERED)
def _versions_in(path: Path) -> Mapping[str, str]:
    try:
        remembered = pl.read_parquet_metadata(path)[_VERSIONS]
    except FileNotFoundError as gone:
        raise Vanished(path) from gone
    return {str(day): str(version) for day, version in json.loads(remembered).items()}


@lru_cache(maxsize=_FILES_REMEMBERED)
def _was_sound(path: Path, size: int, changed_ns: int) -> bool:  # noqa: ARG001 - a changed file is examined again
    return _is_sound(path)


def _is_sound(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS] == path.stem.rsplit(".", 1)[-1]


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
