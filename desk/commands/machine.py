"""What keeps the desk running."""

from datetime import datetime
from typing import Annotated

import typer

from desk.commands.options import DAY, Json, app

PANEL = "The machine"


@app.command(rich_help_panel=PANEL)
def doctor(
    verify: Annotated[
        bool, typer.Option("--verify-ledger", help="Prove the ledgers instead: chain, anchor, journal, sums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Checks settings, calendar, lake, ledgers and disk; exit code 1 when something is wrong."""
    if verify:
        from desk.verify import run_verify

        run_verify(as_json=as_json)
    else:
        from desk.doctor import run_doctor

        run_doctor(as_json=as_json)


@app.command("compile", rich_help_panel=PANEL)
def compile_kernels(as_json: Json = False) -> None:
    """Compiles the numeric kernels into the Python environment, so that no run waits for it; part of make env."""
    from desk.compiling import run_compile

    run_compile(as_json=as_json)


@app.command(rich_help_panel=PANEL)
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Opens the Dagster UI with its daemon on 127.0.0.1."""
    from desk.ui import run_ui

    run_ui(port)


@app.command(rich_help_panel=PANEL)
def health(
    follow: Annotated[bool, typer.Option("--follow", help="Round after round; records and tells.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="The same, with /metrics and /healthz on 127.0.0.1.")] = False,
    as_json: Json = False,
) -> None:
    """Processes, memory, disk, ledger, broker, data, slots, routes, agents, clock; exit code 1 when one is critical."""
    from desk.health import run_health

    run_health(follow=follow, serve=serve, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def spans(
    session: Annotated[datetime, typer.Argument(formats=DAY, help="A session, YYYY-MM-DD.")],
    slot: Annotated[str, typer.Argument(help="HH:MM, or HH:MM:SS of a look.")],
    as_json: Json = False,
) -> None:
    """What every process did for one decision, from its tick to its fills, with durations."""
    from desk.spans import run_spans

    run_spans(session.date(), slot, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def logs(
    process: Annotated[str, typer.Option(help="gateway, watchdog, health or desk.")] = "",
    correlation: Annotated[str, typer.Option(help="BOOK/SESSION/SLOT.")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    as_json: Json = False,
) -> None:
    """What the processes logged."""
    from desk.spans import run_logs

    run_logs(process=process, correlation=correlation, follow=follow, as_json=as_json)
