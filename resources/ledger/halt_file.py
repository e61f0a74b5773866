"""The halt that needs no ledger: a file in DESK_HOME, for the hour in which the ledger cannot be written.

Whoever finds the file opens nothing. A file that cannot be read halts as well: only its absence, in a folder that is there, means
that nobody halted.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from resources.ledger.text import canonical, instant_of, instant_text, words
from trading_assets.core.errors import TransientFailure

NAME = "HALT"
SIZE_MAX = 10_000
_DAMAGED = "the halt file is damaged"


@dataclass(frozen=True, slots=True)
class FileHalt:
    """A halt that stands in the file. `at` is None where the file does not tell it."""

    cause: str
    by: str
    at: datetime | None


class HaltFile:
    """The file in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / NAME

    def read(self) -> FileHalt | None:
        """The halt, or None when there is none."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                return _parsed(file.read(SIZE_MAX))
        except FileNotFoundError:
            return None if self._folder.is_dir() else FileHalt(f"the folder {self._folder} is missing", "", None)
        except OSError as refused:
            return FileHalt(f"{_DAMAGED}: {refused.strerror or refused}", "", None)

    def write(self, cause: str, by: str, as_of: datetime) -> FileHalt:
        """Halts durably and returns what stands in the file: the first writer's cause stays.

        Raises:
            TransientFailure: Not even an empty file, which halts as well, could be made.
        """
        text = canonical({"cause": words(cause), "by": words(by), "at": instant_text(as_of)})
        try:
            self._put(text.encode())
        except OSError:
            self._put_empty()
        standing = self.read()
        return standing if standing is not None else FileHalt(words(cause), words(by), as_of)

    def clear(self) -> bool:
        """Removes the file, for the operator's resume alone; whether there was one."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        _sync(self._folder)
        return True

    def _put(self, text: bytes) -> None:
        """All of it or nothing; a link, unlike a renaming, leaves the file that is there."""
        temporary = self._folder / f".{NAME}.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, self.path)
            _sync(self._folder)
        finally:
            temporary.unlink(missing_ok=True)

    def _put_empty(self) -> None:
        """A full disk may have room for a name."""
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644))
            _sync(self._folder)
        except OSError as refused:
            raise TransientFailure(
                f"the halt file cannot be written: {refused.strerror or refused}",
                value=self.path,
                hint="make room on the disk, or stop the gateway",
            ) from refused


def _parsed(text: bytes) -> FileHalt:
    try:
        told = json.loads(text)
        return FileHalt(str(told["cause"]), str(told["by"]), instant_of(told["at"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return FileHalt(_DAMAGED, "", None)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
