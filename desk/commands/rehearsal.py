"""`desk rehearse`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from desk.commands.options import DAY, Json, app
from desk.rehearsing.plan import SYMBOLS, BrokerChoice, Launcher, MarketName

PANEL = "The trading day"


@app.command(rich_help_panel=PANEL)
def rehearse(  # noqa: PLR0917 - one for each option
    session: Annotated[datetime, typer.Option(formats=DAY, help="The day that is lived.")],
    speed: Annotated[float, typer.Option(help="Seconds of the desk in one of the machine, 1 to 400.")] = 60.0,
    market: Annotated[MarketName, typer.Option(help="Where bars and quotes come from.")] = "simulated",
    path: Annotated[Path | None, typer.Option(help="Folder of provider files, for --market files.")] = None,
    broker: Annotated[BrokerChoice, typer.Option(help="bars: no gateway, fills after the close.")] = "paper",
    slots: Annotated[str, typer.Option(help="Decision times, comma-separated; empty: those of the settings.")] = "",
    fault: Annotated[
        list[str] | None, typer.Option(help="What goes wrong: NAME@HH:MM:SS+120s; docs/rehearsal.md.")
    ] = None,
    launcher: Annotated[Launcher, typer.Option(help="How Dagster starts runs.")] = "warm",
    start: Annotated[
        str, typer.Option(help="New York HH:MM; what lies before is prepared. Empty: before the morning.")
    ] = "",
    until: Annotated[str, typer.Option(help="New York HH:MM; empty: until every part of the day has ended.")] = "",
    seed: Annotated[int, typer.Option(help="Which simulated market.")] = 7,
    symbols: Annotated[int, typer.Option(help="How many of the simulated market are traded.")] = SYMBOLS,
    home: Annotated[Path | None, typer.Option(help="An empty folder; empty: one below DESK_HOME/rehearsals.")] = None,
    keep: Annotated[bool, typer.Option("--keep/--forget", help="Whether the home stays beside the report.")] = True,
    as_json: Json = False,
) -> None:
    """Lives a whole trading day in minutes, with the real processes on a replayed clock, and checks every invariant."""
    from desk.rehearse import run_rehearse

    run_rehearse(
        session.date(),
        speed,
        market=market,
        files=path,
        broker=broker,
        slots=slots,
        faults=fault or (),
        launcher=launcher,
        start=start,
        until=until,
        seed=seed,
        symbols=symbols,
        home=home,
        keep=keep,
        as_json=as_json,
    )
