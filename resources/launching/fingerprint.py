"""What the code on disk is now, in a few milliseconds: names, sizes and times of change, not contents.

A process that has code in memory compares the fingerprint of the moment before it read the first file with that of now. Where they
differ, its code may be old. The folder of installed packages counts by its own time of change, which an installation moves.
"""

import hashlib
import os
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from trading_assets.core.settings import PROJECT, config_folder

ROOMS = ("trading_assets", "resources", "sensors", "schedules", "simulation", "dbt_metrics")
SOURCES = (".py", ".yaml", ".yml", ".csv", ".json", ".sql", ".toml")
LENGTH = 12


def watched() -> tuple[Path, ...]:
    """The folders of the code location, and the configuration that its definitions may be made from."""
    return (*(PROJECT / room for room in ROOMS), config_folder())


def fingerprint(folders: Sequence[Path]) -> str:
    """Twelve hexadecimal digits that change when a source file does; a folder that is missing is a fingerprint as well."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"{folder}\0".encode())
        for line in sorted(_files(str(folder))):
            digest.update(line.encode(errors="surrogateescape"))
    for installed in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        digest.update(f"{installed}\0{_changed(installed)}\n".encode())
    return digest.hexdigest()[:LENGTH]


def _files(folder: str) -> Iterator[str]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            if entry.name == "__pycache__" or entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith(SOURCES):
                yield _line(entry)


def _line(entry: "os.DirEntry[str]") -> str:
    """A file that vanishes while the folder is read counts as gone."""
    try:
        told = entry.stat()
    except FileNotFoundError:
        return ""
    return f"{entry.path}\0{told.st_mtime_ns}\0{told.st_size}\n"


def _changed(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
