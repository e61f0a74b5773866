"""What the desk learns about its own numbers: proposals, parameters, experiments."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from desk.commands.options import DAY, Day, Json, app, day_of

PANEL = "Learning"
experiment = typer.Typer(help="What is tried on which sessions.", no_args_is_help=True)
app.add_typer(experiment, name="experiment", rich_help_panel=PANEL)
Name = Annotated[str, typer.Argument(help="Name of the experiment.")]


@app.command(rich_help_panel=PANEL)
def proposals(
    everything: Annotated[bool, typer.Option("--all", help="Answered and lapsed ones too.")] = False,
    as_json: Json = False,
) -> None:
    """What the desk would move, waiting for the operator's word."""
    from desk.approve import run_proposals

    run_proposals(everything=everything, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def approve(
    proposal: Annotated[str, typer.Argument(help="Id of the proposal, as desk proposals shows it.")],
    refuse: Annotated[bool, typer.Option("--refuse", help="Say no.")] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Answers a proposal; a yes counts from the next session."""
    from desk.approve import run_approve

    run_approve(proposal, refuse=refuse, reason=reason, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def parameters(
    history: Annotated[str, typer.Option(help="Every change of one parameter.")] = "",
    rollback: Annotated[str, typer.Option(help="Back to before the last change of this parameter.")] = "",
    to: Day = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """What is in force, since when, by whom and why; and the way back."""
    from desk.parameters import run_parameters

    run_parameters(history=history, rollback=rollback, to=day_of(to), reason=reason, as_json=as_json)


@experiment.command("start")
def experiment_start(
    file: Annotated[Path, typer.Argument(help="A draft in YAML; docs/learning.md has one.")], as_json: Json = False
) -> None:
    """Writes an experiment down, for good; it begins with the next session."""
    from desk.experiments import run_start

    run_start(file, {}, as_json=as_json)


@experiment.command("list")
def experiment_list(as_json: Json = False) -> None:
    """Every experiment and where it stands."""
    from desk.experiments import run_list

    run_list(as_json=as_json)


@experiment.command("show")
def experiment_show(name: Name, as_json: Json = False) -> None:
    """Its design, its sessions, and its result once it has one."""
    from desk.experiments import run_show

    run_show(name, as_json=as_json)


@experiment.command("stop")
def experiment_stop(name: Name, reason: Annotated[str, typer.Option(help="Why.")], as_json: Json = False) -> None:
    """Ends it without a result."""
    from desk.experiments import run_stop

    run_stop(name, reason, as_json=as_json)


@experiment.command("replay")
def experiment_replay(
    name: Name,
    first: Annotated[datetime, typer.Option("--from", formats=DAY, help="First session.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY, help="Last session.")],
    as_json: Json = False,
) -> None:
    """Walks both arms over the same past sessions; told apart from what the desk lived."""
    from desk.experiments import run_replay

    run_replay(name, first.date(), last.date(), as_json=as_json)
