"""Who thinks, what it costs, and whether it remembers."""

from datetime import datetime
from typing import Annotated

import typer

from desk.commands.options import DAY, Book, Day, Json, app, day_of

PANEL = "Models"


@app.command(rich_help_panel=PANEL)
def brief(
    symbol: Annotated[str, typer.Option(help="Also this ticker; empty: the market alone.")] = "", as_json: Json = False
) -> None:
    """What the analysts say now, from facts as of now."""
    from desk.brief import run_brief

    run_brief(symbol, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def chat(
    lane: Book = None,
    once: Annotated[str | None, typer.Option(help="One question, and no conversation.")] = None,
    propose: Annotated[str, typer.Option(help="With --once: SYMBOL:SIDE:STRATEGY that may be proposed.")] = "",
    as_json: Json = False,
) -> None:
    """Questions to the desk in words; a trade can be proposed, never ordered."""
    from desk.books import shown_book
    from desk.chat import run_chat

    run_chat(shown_book(lane), once, propose, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def skills(
    name: Annotated[str, typer.Argument(help="One skill; empty: all.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Say every problem; exit code 1 when there is one.")] = False,
    render: Annotated[bool, typer.Option("--render", help="Print what a model is sent for each sample.")] = False,
    as_json: Json = False,
) -> None:
    """Who models are asked to be: version, tier, price limit, types and hash of each skill."""
    from desk.skills import run_skills

    run_skills(name, check=check, rendered=render, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def costs(
    day: Day = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last day.")] = None,
    by: Annotated[str, typer.Option(help="route, model, skill, decision or day.")] = "route",
    as_json: Json = False,
) -> None:
    """What models cost, what is left of the caps, and which routes are resting."""
    from desk.costs import run_costs

    run_costs(day_of(day), day_of(first), day_of(last), by, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def fill(
    first: Annotated[datetime, typer.Option("--from", formats=DAY, help="First session.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY, help="Last session.")],
    as_json: Json = False,
) -> None:
    """Asks a model the analysts' questions of the past in batches at half price; run it again to collect."""
    from desk.fill import run_fill

    run_fill(first.date(), last.date(), as_json=as_json)


@app.command("leak-check", rich_help_panel=PANEL)
def leak_check(
    subject: Annotated[
        str, typer.Option(help="memoriser, reasoner, mixture, rules or ROUTE:MODEL; empty: all that need no key.")
    ] = "",
    cases: Annotated[int, typer.Option(help="Cases from the lake; each takes six questions.")] = 200,
    as_json: Json = False,
) -> None:
    """Does a model remember the past that it is asked about? Exit code 1 when it does."""
    from desk.leak_check import run_leak_check

    run_leak_check(subject, cases, as_json=as_json)
