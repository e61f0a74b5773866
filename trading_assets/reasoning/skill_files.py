"""The files of a skill: regular text files below their folder, reached through no link, of bounded number and size."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from trading_assets.core.errors import ConfigurationError

FILES_MAX = 64
FILE_BYTES_MAX = 262_144

# One entry for each path: name, kind, inode, size, times of the last change of content and of state, in nanoseconds.
Signature = tuple[tuple[str, int, int, int, int, int], ...]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def folders(shelf: Path) -> tuple[Path, ...]:
    """The skills' folders on a shelf, by name; files beside them and hidden entries are no skills."""
    if not shelf.is_dir():
        raise ConfigurationError("the folder of skills is missing", value=shelf.name)
    entries = [path for path in sorted(shelf.iterdir()) if not path.name.startswith(".")]
    for path in entries:
        _refuse_link(path, path.name)
    return tuple(path for path in entries if path.is_dir())


def contents(folder: Path) -> dict[str, str]:
    """The text of every file below a skill's folder by its relative path, NFC, lines ended by LF."""
    files: dict[str, str] = {}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        where = f"{folder.name}/{name}"
        if not all(_NAME.fullmatch(part) for part in path.relative_to(folder).parts):
            raise ConfigurationError(f"{where!r}: file names are letters, digits, dot, hyphen, underscore, at most 64")
        _refuse_link(path, where)
        if len(files) >= FILES_MAX:
            raise ConfigurationError(f"{folder.name}: a skill has at most {FILES_MAX} files")
        if not path.is_dir():
            files[name] = one_file(path, where)
    return files


def one_file(path: Path, where: str = "") -> str:
    """A file's text, NFC, lines ended by LF; the last component must not be a link."""
    where = where or path.name
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as failed:
        raise ConfigurationError(
            f"{where} cannot be read: {failed.strerror}", hint="links are not followed"
        ) from failed
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ConfigurationError(f"{where} is not a regular file")
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigurationError(f"{where} is too large", bound=f"{FILE_BYTES_MAX} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as broken:
        raise ConfigurationError(f"{where} is not UTF-8 text", value=f"byte {broken.start}") from broken
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def signature(shelf: Path, doctrine: Path | None) -> Signature:
    """What tells cheaply that nothing changed: every path with its inode, size and times."""
    paths = [path for folder in folders(shelf) for path in (folder, *_walk(folder))]
    return tuple(_stat(path) for path in ([*paths, doctrine] if doctrine else paths))


def _stat(path: Path) -> tuple[str, int, int, int, int, int]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return (str(path), 0, 0, 0, 0, 0)
    return (str(path), found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _walk(folder: Path) -> Iterator[Path]:
    """Every entry below a folder but hidden ones, in a fixed order; links are named and not followed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _refuse_link(path: Path, where: str) -> None:
    if path.is_symlink():
        raise ConfigurationError(f"{where} is a link; a skill is made of files of its own")
