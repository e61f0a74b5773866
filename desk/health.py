"""`desk health`: one round of checks, or one after another for as long as it runs, with figures for Prometheus."""

import os
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from desk.output import say, show
from resources.clock import RealClock, desk_clock
from resources.health.checks import examine
from resources.health.following import Follower
from resources.health.model import Report
from resources.health.sight import BOOK, Eyes, Round
from resources.telemetry.processes import logs_of
from trading_assets.core.errors import DeskError
from trading_assets.core.operations import OperationsSettings, load_operations
from trading_assets.core.settings import config_folder, desk_home

if TYPE_CHECKING:
    from sqlalchemy import Engine

PROCESS = "health"


def run_health(*, follow: bool, serve: bool, as_json: bool) -> None:
    """One round, shown; with `follow` or `serve` round after round until it is stopped. Exit code 1 where a check is critical."""
    if follow or serve:
        _go_on(serve=serve, as_json=as_json)
        return
    report = current()
    if as_json:
        show(report.as_json(), as_json=True)
    else:
        _draw(report)
    if report.state == "critical":
        raise typer.Exit(1)


def current() -> Report:
    """One round of checks now; nothing is recorded and nobody is told. Also for status and doctor."""
    engine, problem = _ledger()
    home = desk_home().root
    home.mkdir(parents=True, exist_ok=True)
    return examine(Eyes(home, config_folder(), engine, desk_clock(), problem=problem).look())


def worst_in_words() -> str:
    """For `desk status`: the overall state, with a sentence for each check that is not normal."""
    report = current()
    bad = [f"{check.name}: {check.sentence}" for check in report.checks if check.state != "normal"]
    return "; ".join([report.state, *bad])


def _go_on(*, serve: bool, as_json: bool) -> None:
    """Until SIGTERM or SIGINT. A ledger that could not be opened is tried again each round."""
    operations, stop = load_operations(config_folder()), threading.Event()
    logs_of(PROCESS)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    home = desk_home().root
    home.mkdir(parents=True, exist_ok=True)
    rounds: list[Round] = []
    with ExitStack() as stack:
        if serve:
            stack.enter_context(_served(operations, rounds))
        follower: Follower | None = None
        while not stop.is_set():
            if follower is None or not follower.records:
                engine, problem = _ledger()
                follower = Follower(Eyes(home, config_folder(), engine, desk_clock(), problem=problem), engine)
            rounds[:] = [follower.step()]
            _say(rounds[0].report, as_json=as_json)
            stop.wait(operations.health.every_seconds)


def _served(operations: OperationsSettings, rounds: list[Round]) -> ExitStack:
    """The two pages; their port is said on stderr."""
    from resources.health.figures import Figures
    from resources.health.serving import HOST, Fitness, serving

    engine, _ = _ledger()
    newest = lambda: rounds[0] if rounds else None  # noqa: E731 - a name for both
    figures = Figures(engine, desk_home().root, desk_clock(), newest)
    every = timedelta(seconds=operations.health.every_seconds)
    fitness = Fitness(lambda: rounds[0].report if rounds else None, every, RealClock())
    stack = ExitStack()
    port = stack.enter_context(serving(figures, fitness, operations.telemetry.prometheus_port))
    say(f"http://{HOST}:{port}/metrics and /healthz")
    return stack


def _ledger() -> "tuple[Engine | None, str]":
    from resources.ledger.engine import open_ledger

    try:
        where = os.environ.get("LEDGER_URL") or desk_home().ledger(BOOK)
        return open_ledger(where, durability="FULL", lane=BOOK), ""
    except DeskError as refused:
        return None, str(refused)


def _say(report: Report, *, as_json: bool) -> None:
    """One line a round."""
    if as_json:
        show(report.as_json(), as_json=True)
        sys.stdout.flush()
        return
    bad = [f"{check.name} {check.state}" for check in report.checks if check.state != "normal"]
    say(f"{report.at:%Y-%m-%d %H:%M:%S} {report.state}{': ' if bad else ''}{', '.join(bad)}")


def _draw(report: Report) -> None:
    """A line for each check, with the next command below what is not well."""
    typer.echo(f"{report.state} at {report.at:%Y-%m-%d %H:%M:%S} UTC")
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        bound = f" (bound {check.bound})" if check.bound else ""
        typer.echo(f"  {check.name:<{width}}  {check.state:<8}  {check.value}{bound}: {check.sentence}")
        if check.hint:
            typer.echo(f"  {'':<{width}}  {'':<8}  next: {check.hint}")
