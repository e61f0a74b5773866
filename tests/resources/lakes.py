"""A small table, its rows, and what other processes do with a lake in the tests of the lake."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from resources.lake import ParquetLake
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Span
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

PROJECT = Path(__file__).parents[2]
DAYS = XNYS.days[6000:6060]
LATEST = XNYS.session(XNYS.last).close
NOTES = Table(
    name="notes",
    doc="One number for one symbol in one session.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        SYMBOL,
        Column("value", "number", "Any number."),
        Column("remark", "text", "Any text.", nullable=True),
        KNOWABLE_AT,
    ),
)


def span(first: int, last: int | None = None) -> Span:
    """Sessions by their position in DAYS, both ends included."""
    return Span(DAYS[first], DAYS[first if last is None else last])


def notes(
    days: Sequence[date], symbols: Sequence[str] = ("AAA",), value: float = 1.0, known: datetime | None = None
) -> pl.DataFrame:
    """One row per day and symbol, knowable at `known` or at the session's close."""
    return NOTES.frame(
        [
            {
                "session": day,
                "symbol": symbol,
                "value": value,
                "remark": None,
                "knowable_at": known or XNYS.session(day).close,
            }
            for day in days
            for symbol in symbols
        ]
    )


def values(lake: ParquetLake, **read: object) -> dict[tuple[date, str], float]:
    """What the lake holds, as (session, symbol) to value."""
    frame = lake.read(NOTES, as_of=LATEST, **read)  # type: ignore[arg-type]
    return {(row["session"], row["symbol"]): row["value"] for row in frame.rows(named=True)}


def files(root: Path, lane: str = "facts") -> list[Path]:
    """The stored Parquet files, oldest generation first."""
    return sorted((root / lane / NOTES.name).glob("*.parquet"))


def python(code: str, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Another process that runs `code` with this module's names; its arguments are in sys.argv[1:]."""
    program = f"import sys; from pathlib import Path; from tests.resources.lakes import *; {code}"
    command = [*prefix, sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def merge_repeatedly(root: str, symbol: str, rounds: int) -> None:
    """Merges one symbol's value of one session again and again: 1, 2, … rounds."""
    lake = ParquetLake(Path(root))
    for number in range(1, rounds + 1):
        lake.merge(NOTES, notes(DAYS[:1], [symbol], number), span(0), replacing={"symbol": [symbol]})


def write_until_killed(root: str) -> None:
    """Replaces twenty sessions of fifty symbols by 1, 2, … and says so after each write."""
    lake = ParquetLake(Path(root))
    number = 0
    while True:
        number += 1
        lake.write(NOTES, notes(DAYS[:20], [f"S{n:02}" for n in range(50)], number), span(0, 19))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def write_and_die_at(root: str, step: int) -> None:
    """Writes 2.0 and dies by SIGKILL before the step-th time that the interpreter touches the lake's files."""
    lake, frame = ParquetLake(Path(root)), notes(DAYS[:3], value=2.0)
    die_at(root, step)
    lake.write(NOTES, frame, span(0, 2))


def write_with_a_limit(root: str, bytes_max: int) -> None:
    """Writes where no file may grow beyond the limit, says the failure, and writes again without the limit."""
    lake, frame = ParquetLake(Path(root)), notes(DAYS[:50], [f"S{n:02}" for n in range(50)], 2.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
    say_failure(lambda: lake.write(NOTES, frame, span(0, 49)))
    sys.stdout.write(f"{sorted(set(values(lake).values()))} {lake.damage()}\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.write(f"{lake.write(NOTES, frame, span(0, 49)).changed} {sorted(set(values(lake).values()))}\n")


def say_failure(action: Callable[[], object]) -> None:
    """Runs the action and prints the failure's class and sentence, or "done"."""
    try:
        action()
    except DeskError as failure:
        sys.stdout.write(f"{type(failure).__name__}: {failure}\n")
    else:
        sys.stdout.write("done\n")


def write_and_compact_until_killed(root: str) -> None:
    """Writes sixty sessions one by one with the next number, compacts, says so, and begins anew."""
    lake = ParquetLake(Path(root))
    number = 0
    while True:
        number += 1
        for position in range(60):
            lake.write(NOTES, notes([DAYS[position]], value=number), span(position))
        lake.compact(NOTES, sessions_min=10)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def compact_and_die_at(root: str, step: int) -> None:
    """Compacts and dies by SIGKILL before the step-th time that the interpreter touches the lake's files."""
    lake = ParquetLake(Path(root))
    die_at(root, step)
    lake.compact(NOTES, sessions_min=10)


def die_at(root: str, step: int) -> None:
    """From here on, the step-th touch of a file under the root is the process's last."""
    touched = 0

    def before(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touched
        if event in {"open", "os.rename", "os.remove"} and str(arguments[0]).startswith(root):
            touched += 1
            if touched == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(before)


def read_while_compacting(root: str, sessions: int) -> None:
    """Reads; when it has listed the folder and opens the first file, another lake compacts the folder. Says what it read."""
    lake, compacted = ParquetLake(Path(root)), False

    def before(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal compacted
        if event == "open" and str(arguments[0]).endswith(".parquet") and not compacted:
            compacted = True
            ParquetLake(Path(root)).compact(NOTES, sessions_min=sessions)

    sys.addaudithook(before)
    rows = len(values(lake))
    sys.stdout.write(f"{rows} {compacted} {len(files(Path(root)))}\n")
