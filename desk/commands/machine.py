"""What keeps the desk running."""

from typing import Annotated

import typer

from desk.commands.options import Json, app

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
