"""Desk homes on the embedded prices, each made once for a test process and copied by whoever changes one.

`quarter` has facts from June 2011 to the end of 2012 and a backtest over the last quarter of 2012. `files_home` reads its bars from
CSV files that a test may spoil.
"""

import fcntl
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pytest
import yaml

from desk.main import main
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.market.model import DAILY_BARS

HISTORY = Span(date(2011, 6, 1), date(2012, 12, 31))
QUARTER = Span(date(2012, 10, 1), date(2012, 12, 31))
AFTER_EVERYTHING = XNYS.session(XNYS.last).close
_OURS = ("DESK_HOME", "DAGSTER_HOME", "DESK_CONFIG", "DESK_CLOCK", "DAGSTER_EVENT_BATCH_SIZE")


@dataclass(frozen=True)
class Said:
    """What a command left in the terminal."""

    code: int
    out: str
    err: str


def desk(*words: object) -> Said:
    """The command line in this process, entered where the console script enters it."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["desk", *map(str, words)]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv = argv
    return Said(code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


def done(*words: object) -> Said:
    """A command that must end well."""
    said = desk(*words)
    assert said.code == 0, f"desk {' '.join(map(str, words))} ended with {said.code}:\n{said.err}{said.out}"
    return said


@contextmanager
def living_in(root: Path, *, clock: str = "", config: Path | None = None) -> Iterator[Home]:
    """The environment of a home; whatever a command sets in it is gone afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _OURS:
            patch.delenv(name, raising=False)
        os.environ.update({"DESK_HOME": str(root), "DAGSTER_HOME": str(root / "dagster")})
        if clock:
            os.environ["DESK_CLOCK"] = clock
        if config:
            os.environ["DESK_CONFIG"] = str(config)
        try:
            yield Home(root.resolve())
        finally:
            for name in _OURS:
                os.environ.pop(name, None)


@cache
def quarter_home(base: Path) -> Path:
    """Facts, then a backtest over the quarter, as the operator would ask for them; made once for all processes of a test run."""
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    root, complete = shared / "quarter", shared / "quarter.complete"
    with (shared / "quarter.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            with living_in(root):
                done("ingest", "--from", HISTORY.first, "--to", HISTORY.last)
                done("backtest", "--from", QUARTER.first, "--to", QUARTER.last)
            complete.touch()
    return root


@cache
def files_home(base: Path) -> Path:
    """The quarter's facts, and beside them a configuration that reads bars from CSV files of the last weeks of 2012."""
    root = base / "files"
    copied(quarter_home(base), root / "home")
    with living_in(root / "home"):
        _write_csv(root / "bars", Span(date(2012, 12, 3), date(2012, 12, 31)))
    configured(root / "config", {"provider": "files", "files_path": str(root / "bars")})
    return root


def copied(source: Path, target: Path) -> Path:
    """A home of one's own with the same content."""
    shutil.copytree(source, target)
    return target


def configured(folder: Path, market: dict[str, object]) -> Path:
    """The committed configuration with other words about the market."""
    shutil.copytree(PROJECT / "config", folder)
    path = folder / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["market"].update(market)
    path.write_text(yaml.safe_dump(settings))
    return folder


def _write_csv(root: Path, span: Span) -> None:
    bars = DeskResource().lake().read(DAILY_BARS, as_of=AFTER_EVERYTHING, first=span.first, last=span.last)
    (root / "daily").mkdir(parents=True)
    for (symbol,), rows in bars.group_by("symbol"):
        columns = (
            rows.sort("session").rename({"session": "date"}).select("date", "open", "high", "low", "close", "volume")
        )
        columns.write_csv(root / "daily" / f"{symbol}.csv")
