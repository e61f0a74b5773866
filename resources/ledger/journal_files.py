"""The journal as files: one markdown page for each entry, for a person without tools, and the anchor of the chain.

`<session>/<HHMMSS>-<symbol>-<what>.md`, New York time; where several entries would have one name, the earliest has it and the
others carry their number before `.md`. The names follow from the entries alone, whoever writes them first. `HEAD` holds number and
hash of the newest entry, outside the database: a ledger that comes back older than its anchor has lost entries.

Files are written after the commit and never decide about it: what cannot be written is an alert, and `rebuild` makes it anew.
"""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path

import sqlalchemy as sa

from resources.ledger.engine import reading
from resources.ledger.journal import REWINDABLE, as_stored, hash_of, last_link, stream_records
from resources.ledger.journal_story import page
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry, Record
from trading_assets.core.messages import Alert

HEAD = "HEAD"
LOCK = ".lock"
WHAT_MAX, SYMBOL_MAX = 60, 16
LOCK_WAIT_S, _LOCK_PAUSE_S = 5.0, 0.005
_LOCKED_AT_ONCE = 250
_TEMPORARY = ".writing"
_ASIDE = ".aside"
_FRONT = re.compile(rb'---\nseq: (\d+)\nhash: "[0-9a-f]{64}"\n')
_REWOUND_BOOK = f'\nbook: "{REWINDABLE}"\n'.encode()


@dataclass(frozen=True, slots=True)
class Anchor:
    """What `HEAD` says of the newest entry."""

    seq: int
    hash: str


@dataclass(slots=True)
class Rebuilt:
    """What `rebuild` found and did.

    Args:
        entries: Entries of the ledger.
        written: Files that were missing.
        altered: Files that were not what the ledger says; they are now.
        foreign: Files that belong to no entry; they are left alone, or set aside where an entry has their name.
        forgotten: Pages of entries that a backtest's rewind has taken back; they are removed.
        anchored: False when `HEAD` contradicts the chain; then it is kept as it is, as evidence.
    """

    entries: int = 0
    written: int = 0
    altered: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    forgotten: int = 0
    anchored: bool = True


class JournalFiles:
    """The journal's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_after_commit(self, records: Sequence[Record]) -> Alert | None:
        """Writes the pages of committed entries and moves the anchor on.

        Never raises for what a disk or folder refuses: the entries are safe in the ledger. The alert, which the caller publishes,
        says what is missing.
        """
        if not records:
            return None
        try:
            with self._locked():
                fits = self._move_head(records)
                for record in records:
                    self._write_new(record)
        except OSError as refused:
            sentence = (
                f"entries {records[0].seq} to {records[-1].seq} are in the ledger and not all in {self.folder}: "
                f"{refused.strerror or refused}; desk journal --rebuild writes them"
            )
            return Alert(severity="critical", code="journal_files", sentence=sentence)
        if fits:
            return None
        sentence = (
            f"entry {records[0].seq} does not follow the newest entry that {self.folder / HEAD} names: "
            "the ledger has lost entries; desk doctor --verify-ledger"
        )
        return Alert(severity="critical", code="journal_anchor", sentence=sentence)

    def rebuild(self, engine: sa.Engine, *, anchor: bool) -> Rebuilt:
        """Makes every page anew from the ledger; pages that are right already are left as they are.

        Args:
            anchor: Whether this ledger keeps a `HEAD`; a backtest, which is walked again, keeps none.

        Raises:
            PermanentFailure: The folder cannot be written.
        """
        done, names = Rebuilt(), _Names(self.folder)
        try:
            self._rebuild(engine, names, done, anchor=anchor)
        except OSError as refused:
            raise PermanentFailure(
                f"the journal's files cannot be written: {refused.strerror or refused}",
                value=refused.filename or self.folder,
                hint="make the folder writable for this user, then desk journal --rebuild",
            ) from refused
        return done

    def _rebuild(self, engine: sa.Engine, names: "_Names", done: Rebuilt, *, anchor: bool) -> None:
        last = 0
        while batch := _batch(engine, last):
            with self._locked():
                self._restore(batch, names, done)
            last = batch[-1].seq
        with self._locked():
            # Whoever commits from here on waits for the lock before writing: no page of a new entry is taken for a foreign one.
            while batch := _batch(engine, last):
                self._restore(batch, names, done)
                last = batch[-1].seq
            self._sweep(names, done)
            if anchor:
                done.anchored = self._anchor(engine)

    def head(self) -> Anchor | None:
        """The anchor; None when there is none.

        Raises:
            ValueError: The file is not an anchor.
        """
        return read_anchor(self.folder / HEAD)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process writes at a time; the lock ends with its holder, however that ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)

    def _write_new(self, record: Record) -> None:
        """Writes one page under the name that it has for good; a later entry's page makes room."""
        name, numbered = names_of(self.folder, record.entry, record.seq)
        holder = _holder(name)
        if holder is not None and holder < record.seq:
            name = numbered
        elif holder is not None and holder > record.seq:
            name.replace(names_of(self.folder, record.entry, holder)[1])
        elif holder is None:
            _set_aside(name)
        _write(name, _bytes(record))

    def _restore(self, records: Sequence[Record], names: "_Names", done: Rebuilt) -> None:
        for record in records:
            text = _bytes(record)
            path = names.take(record, text)
            done.entries += 1
            found = path.read_bytes() if path.is_file() else None
            if found == text:
                continue
            if found is None or _holder(path) is None:
                _set_aside(path)
                done.written += 1
            else:
                done.altered.append(path)
            _write(path, text)

    def _sweep(self, names: "_Names", done: Rebuilt) -> None:
        """Sorts what is left: half-written files, second copies and pages of a rewound backtest go, all else is reported."""
        for path in _files(self.folder):
            if path in names.taken:
                continue
            if path.name == _TEMPORARY or names.is_second_copy(path):
                path.unlink()
            elif _is_of_a_rewound_walk(path):
                path.unlink()
                done.forgotten += 1
            else:
                done.foreign.append(path)

    def _move_head(self, records: Sequence[Record]) -> bool:
        """Names the newest entry, never an older one; False, and untouched, when the entries do not fit behind the old one."""
        try:
            old = self.head()
        except ValueError:
            return False
        newest = records[-1]
        if old is not None and old.seq > newest.seq:
            return True
        if old is not None:
            links = {record.seq: record.hash for record in records} | {records[0].seq - 1: records[0].previous}
            if links.get(old.seq, old.hash) != old.hash:
                return False
        self._write_head(newest.seq, newest.hash)
        return True

    def _anchor(self, engine: sa.Engine) -> bool:
        """Names the newest entry where the old anchor is missing or a link of the chain; False when it is neither."""
        with reading(engine) as connection:
            seq, mark = last_link(connection)
            try:
                old = self.head()
            except ValueError:
                return False
            if old is not None and hash_of(connection, old.seq) != old.hash:
                return False
        if seq:
            self._write_head(seq, mark)
        return True

    def _write_head(self, seq: int, mark: str) -> None:
        _write(self.folder / HEAD, f"{seq} {mark}\n".encode(), durable=True)


def read_anchor(path: Path) -> Anchor | None:
    """What a `HEAD` file says; None when there is no such file.

    Raises:
        ValueError: The file is not an anchor.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    found = re.fullmatch(rb"(\d{1,18}) ([0-9a-f]{64})\n", text)
    if found is None:
        raise ValueError(f"{path} is not an anchor")
    return Anchor(int(found[1]), found[2].decode())


def names_of(folder: Path, entry: Entry, seq: int) -> tuple[Path, Path]:
    """The page's name, and its name when an earlier entry has that one. No word of an entry can lead out of the folder."""
    what = re.sub(r"[^a-z0-9]+", "-", entry.title.lower())[:WHAT_MAX].strip("-") or entry.kind
    symbol = re.sub(r"[^A-Z0-9.-]", "_", entry.symbol.upper())[:SYMBOL_MAX] or "DESK"
    base = f"{entry.at.astimezone(NEW_YORK):%H%M%S}-{symbol}-{what}"
    home = folder / entry.session.isoformat()
    return home / f"{base}.md", home / f"{base}.{seq}.md"


class _Names:
    """Which page has which name, handed out in the order of the entries."""

    def __init__(self, folder: Path) -> None:
        self.taken: set[Path] = set()
        self._folder = folder
        self._spare: dict[Path, bytes] = {}

    def take(self, record: Record, text: bytes) -> Path:
        name, numbered = names_of(self._folder, record.entry, record.seq)
        if name in self.taken:
            name = numbered
        else:
            self._spare[numbered] = hashlib.sha256(text).digest()
        self.taken.add(name)
        return name

    def is_second_copy(self, path: Path) -> bool:
        """Whether the file is a page, to the byte, under a name that the page once had."""
        return path in self._spare and hashlib.sha256(path.read_bytes()).digest() == self._spare[path]


def _lock(handle: int) -> None:
    """Takes the lock within `LOCK_WAIT_S`: a process that was stopped while it wrote pages must not stop the desk."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_PAUSE_S)


def _batch(engine: sa.Engine, after: int) -> list[Record]:
    with reading(engine) as connection:
        return list(islice(stream_records(connection, after=after, batch=_LOCKED_AT_ONCE), _LOCKED_AT_ONCE))


def _bytes(record: Record) -> bytes:
    """The page in UTF-8, the same from an entry just made and from one that was read back."""
    return page(replace(record, entry=as_stored(record.entry))).encode()


def _files(folder: Path) -> Iterator[Path]:
    """What lies in the journal but its anchor and its lock; a folder with a lock of its own is another journal."""
    for where, below, names in os.walk(folder):
        here = Path(where)
        below[:] = sorted(name for name in below if not (here / name / LOCK).exists())
        linked = [name for name in below if (here / name).is_symlink()]
        yield from (here / name for name in sorted((*names, *linked)) if here != folder or name not in {HEAD, LOCK})


def _holder(path: Path) -> int | None:
    """The number of the entry whose page this is; None for no file, or for one that is no page."""
    try:
        with path.open("rb") as file:
            found = _FRONT.match(file.read(200))
    except FileNotFoundError:
        return None
    return int(found[1]) if found else None


def _is_of_a_rewound_walk(path: Path) -> bool:
    return path.suffix == ".md" and _holder(path) is not None and _REWOUND_BOOK in path.read_bytes()[:400]


def _set_aside(path: Path) -> None:
    """Moves what is no page out of a page's way; an empty file, as a power cut leaves it, holds nothing to keep."""
    if path.is_file() and not path.stat().st_size:
        path.unlink()
    elif os.path.lexists(path):
        free = (path.with_name(f"{path.name}{_ASIDE}{n or ''}") for n in count())
        path.rename(next(name for name in free if not os.path.lexists(name)))


def _write(path: Path, text: bytes, *, durable: bool = False) -> None:
    """All of the file or none of it, under a name of its own until it is whole; a linked folder is refused."""
    path.parent.mkdir(exist_ok=True)
    if path.parent.is_symlink() and path.name != HEAD:
        raise OSError(errno.ELOOP, "the session's folder is a symbolic link", str(path.parent))
    temporary = path.with_name(_TEMPORARY)
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
