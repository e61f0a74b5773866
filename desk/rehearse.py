"""`desk rehearse`: a whole trading day in minutes, with the real processes on a replayed clock."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import typer

from desk.output import say
from desk.rehearsing.crew import interrupted_by_signals
from desk.rehearsing.home import PASTS, REHEARSALS, new_folder
from desk.rehearsing.keeper import kept
from desk.rehearsing.life import live
from desk.rehearsing.plan import (
    LEAD,
    SYMBOLS,
    BrokerChoice,
    Launcher,
    MarketName,
    Rehearsal,
    checked_speed,
    checked_symbols,
    fault_of,
    instant_in,
)
from desk.rehearsing.telling import figures, write
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import config_folder, desk_home


def run_rehearse(
    day: date,
    speed: float,
    *,
    market: MarketName = "simulated",
    files: Path | None = None,
    broker: BrokerChoice = "paper",
    slots: str = "",
    faults: Sequence[str] = (),
    launcher: Launcher = "warm",
    start: str = "",
    until: str = "",
    seed: int = 7,
    symbols: int = SYMBOLS,
    home: Path | None = None,
    keep: bool = True,
    as_json: bool = False,
) -> None:
    """Lives the day and reports; exit code 1 where an invariant does not hold.

    Args:
        day: The session; another day is refused with its neighbours.
        speed: Seconds of the desk in one of the machine.
        files: Folder of provider files, for the market `files`.
        slots: Decision times instead of those of the settings, comma-separated.
        faults: See `fault_of`.
        start: New York time at which the clock begins; empty: before the morning's first part.
        until: New York time at which the day is ended; empty: when all of its parts have ended.
        symbols: How many of the simulated market are traded.
        home: An empty folder; empty: the next one below DESK_HOME/rehearsals.
        keep: Whether the home stays; the report always does.
    """
    rehearsal = rehearsal_of(day, speed, market, files, broker, slots, faults, launcher, start, until, seed)
    rehearsal = replace(rehearsal, symbols=checked_symbols(symbols))
    folder = new_folder(desk_home(), rehearsal, home)
    interrupted_by_signals()
    pasts = desk_home().root / REHEARSALS / PASTS
    with kept():
        lived = live(rehearsal, folder, config_folder(), pasts, say)
    write(lived)
    if not keep:
        _forget(folder)
    for sentence in lived.violations:
        say(f"violation: {sentence}")
    holds = sum(each.holds for each in lived.verdicts)
    say(f"{holds} of {len(lived.verdicts)} invariants hold; {folder / 'rehearsal.md'}")
    told = figures(lived)
    if as_json:
        typer.echo(json.dumps(told, default=str))
    else:
        for name, value in told.items():
            typer.echo(f"{name.replace('_', ' '):<24}  {value}")
    if lived.violations:
        raise typer.Exit(1)


def rehearsal_of(  # noqa: PLR0917 - one for each option
    day: date,
    speed: float,
    market: MarketName,
    files: Path | None,
    broker: BrokerChoice,
    slots: str,
    faults: Sequence[str],
    launcher: Launcher,
    start: str,
    until: str,
    seed: int,
) -> Rehearsal:
    """The request, checked; PermanentFailure names what cannot be rehearsed."""
    session, speed = XNYS.session(day), checked_speed(speed)
    if (market == "files") != (files is not None):
        raise PermanentFailure("the market files, and no other, needs a folder", value=market, hint="--path FOLDER")
    asked = Rehearsal(
        session=session,
        speed=speed,
        market=market,
        files=files.resolve() if files is not None else None,
        broker=broker,
        slots=tuple(label.strip() for label in slots.split(",") if label.strip()),
        faults=tuple(fault_of(text, session, speed) for text in faults),
        launcher=launcher,
        begins=session.open,
        prepared=bool(start),
        until=instant_in(until, session) if until else None,
        seed=seed,
    )
    _refuse_unplayable(asked)
    begins = instant_in(start or asked.premarket_from, session) - (LEAD if not start else timedelta(0))
    if asked.until is not None and asked.until <= begins:
        raise PermanentFailure("the day would end before it begins", value=until, bound=f"after {start}")
    return replace(asked, begins=begins)


def _refuse_unplayable(asked: Rehearsal) -> None:
    """A fault of a process that this broker does not need cannot happen."""
    needs_gateway = {"broker-outage", "kill-gateway", "flash-crash"}
    named = [fault.name for fault in asked.faults if fault.name in needs_gateway]
    if asked.broker == "bars" and named:
        raise PermanentFailure("broker bars has no gateway", value=", ".join(named), hint="--broker paper")


def _forget(folder: Path) -> None:
    shutil.rmtree(folder / "home", ignore_errors=True)
