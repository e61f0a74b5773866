"""`desk doctor` says whether the installation is fit to run, and whether what it stored is still what it wrote."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta

import typer

from desk.output import show
from desk.runner import prepare_home
from resources.desk import LANES, DeskResource
from resources.hardware import fitted, measure
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError

FREE_BYTES_MIN = 1_000_000_000
CALENDAR_AHEAD = timedelta(days=200)


def run_doctor(*, as_json: bool) -> None:
    """Runs every examination; problems are listed and end the command with exit code 1."""
    prepare_home()
    desk = DeskResource()
    problems = {name: list(_examined(check, desk)) for name, check in EXAMINATIONS.items()}
    words = {name: "; ".join(found) or "well" for name, found in problems.items()}
    versions = {
        name: importlib.metadata.version(name) for name in ("dagster", "duckdb", "polars", "great_expectations")
    }
    fit = asdict(fitted(desk.operations().hardware, measure()))
    show({"home": str(desk.home().root), **words, "hardware": fit, "versions": versions}, as_json=as_json)
    if any(problems.values()):
        raise typer.Exit(1)


def _examined(check: Callable[[DeskResource], Iterator[str]], desk: DeskResource) -> Iterator[str]:
    try:
        yield from check(desk)
    except DeskError as failure:
        yield str(failure)


def _configuration(desk: DeskResource) -> Iterator[str]:
    desk.rules(LANES[0])
    yield from ()


def _calendar(desk: DeskResource) -> Iterator[str]:
    today = desk.clock().now().date()
    if today + CALENDAR_AHEAD > XNYS.last:
        yield f"the calendar ends on {XNYS.last}: install a newer release"


def _lake(desk: DeskResource) -> Iterator[str]:
    yield from desk.lake().damage()


def _ledgers(desk: DeskResource) -> Iterator[str]:
    from resources.ledger.engine import reading
    from resources.ledger.integrity import damage

    for lane in LANES:
        with reading(desk.engine(lane)) as connection:
            yield from (f"{lane}: {found}" for found in damage(connection))


def _disk(desk: DeskResource) -> Iterator[str]:
    free = shutil.disk_usage(desk.home().root).free
    if free < FREE_BYTES_MIN:
        yield f"{free:,} bytes are free, {FREE_BYTES_MIN:,} are needed"


EXAMINATIONS: dict[str, Callable[[DeskResource], Iterator[str]]] = {
    "configuration": _configuration,
    "calendar": _calendar,
    "lake": _lake,
    "ledgers": _ledgers,
    "disk": _disk,
}
