"""Halts, orders, pages, permits, and the two processes that own and watch the broker."""

from typing import Annotated

import typer

from desk.commands.options import Day, Json, Lane, app, day_of

PANEL = "Orders and safety"


@app.command(rich_help_panel=PANEL)
def halt(reason: Annotated[str, typer.Argument(help="Why.")], lane: Lane = "desk") -> None:
    """Stops all new positions until the operator resumes."""
    from desk.halts import run_halt

    run_halt(lane, reason)


@app.command(rich_help_panel=PANEL)
def resume(
    halt_id: Annotated[int, typer.Argument(help="Id of the open halt, as desk status shows it.")],
    reason: Annotated[str, typer.Argument(help="Why trading may go on.")],
    lane: Lane = "desk",
) -> None:
    """Acknowledges the open halt by its id; nothing else lifts one."""
    from desk.halts import run_resume

    run_resume(lane, halt_id, reason)


@app.command(rich_help_panel=PANEL)
def orders(
    session: Day = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what has not ended.")] = False,
    as_json: Json = False,
) -> None:
    """Where every intent stands at the broker, its seals, orders and fills, and which processes are alive."""
    from desk.orders import run_orders

    run_orders(day_of(session), only_open=only_open, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def pages(
    every: Annotated[bool, typer.Option("--all", help="Answered ones as well.")] = False,
    lane: Lane = "desk",
    as_json: Json = False,
) -> None:
    """What waits for the operator's answer."""
    from desk.pages import run_pages

    run_pages(lane, every=every, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def answer(
    page: Annotated[int, typer.Argument(help="Number of the page, as desk pages shows it.")],
    words: Annotated[str, typer.Argument(help="What is done about it.")],
    lane: Lane = "desk",
) -> None:
    """Answers a page, which ends its repetition; it lifts no halt."""
    from desk.pages import run_answer

    run_answer(lane, page, words)


@app.command(rich_help_panel=PANEL)
def notify(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    lane: Lane = "desk",
    as_json: Json = False,
) -> None:
    """Tells what is due on every channel; where the watchdog runs, it does so by itself."""
    from desk.pages import run_notify

    run_notify(lane, follow=follow, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def permit(
    words: Annotated[
        list[str], typer.Argument(help='show|live|promote ACCOUNT, or revoke live|promotion ACCOUNT "why".')
    ],
    phrase: Annotated[str | None, typer.Option(help="Instead of typing it at the terminal.")] = None,
    days: Annotated[int | None, typer.Option(help="How long it is good; default: as long as it may be.")] = None,
    as_json: Json = False,
) -> None:
    """What the operator allows in writing before real money is traded, and what the live gate says now."""
    from desk.permits import run_permit

    run_permit(words, phrase=phrase, days=days, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def gateway(
    account: Annotated[str, typer.Option(help="The account, typed in full; asked for in live mode alone.")] = "",
) -> None:
    """Owns the broker connection: sends what is signed, books what happens, reacts only to reduce risk."""
    from gateway.process import run_gateway

    raise typer.Exit(run_gateway(typed_account=account))


@app.command(rich_help_panel=PANEL)
def watchdog(
    account: Annotated[str, typer.Option(help="The account, typed in full; asked for in live mode alone.")] = "",
) -> None:
    """Watches everything, and can stop everything; needs nobody."""
    from warden.process import run_watchdog

    raise typer.Exit(run_watchdog(typed_account=account))
