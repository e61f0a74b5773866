"""The day: what is decided, run by hand, and what came of it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from desk.commands.options import DAY, Book, Day, Json, Lane, app, day_of

PANEL = "The trading day"


@app.command(rich_help_panel=PANEL)
def demo(as_json: Json = False) -> None:
    """Two years on real prices from installed packages: bars to report, without key, broker or network."""
    from desk.demo import run_demo

    run_demo(as_json=as_json)


@app.command(rich_help_panel=PANEL)
def backtest(
    first: Annotated[datetime, typer.Option("--from", formats=DAY, help="First session.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY, help="Last session.")],
    resume: Annotated[bool, typer.Option("--continue", help="Go on from the book of the session before.")] = False,
    as_desk: Annotated[
        bool, typer.Option("--as-desk", help="With the parameters that the desk had on each session.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Walks a range of sessions in one run: bars, decisions, fills, metrics, report."""
    from desk.backtest import run_backtest

    run_backtest(first.date(), last.date(), fresh=not resume, as_desk=as_desk, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def decide(
    slot: Annotated[str, typer.Option(help="HH:MM; empty: whichever is due.")] = "",
    event: Annotated[int, typer.Option(help="Look because of this message of the bus; 0: a slot.")] = 0,
    as_json: Json = False,
) -> None:
    """Decides the slot that is due now on the desk's own book; refuses anything else."""
    from desk.decide import run_decide

    run_decide(slot, event=event, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def run(
    part: Annotated[
        str, typer.Argument(help="premarket, facts, opinions, flatness, postclose, report, evolve or housekeep.")
    ],
    session: Day = None,
    as_json: Json = False,
) -> None:
    """Runs a part of the trading day on the desk's own book, as its schedule would."""
    from desk.day import run_part

    run_part(part, day_of(session), as_json=as_json)


@app.command(rich_help_panel=PANEL)
def weekly(session: Day = None, as_json: Json = False) -> None:
    """The weekly desk's portfolio of a run day, made where it is missing, and what portfolios brought."""
    from desk.weekly import run_weekly

    run_weekly(day_of(session), as_json=as_json)


@app.command(rich_help_panel=PANEL)
def status(lane: Lane = "desk", as_json: Json = False) -> None:
    """Halts, standing, money, positions, orders, the day's slots and parts, data, proposals, models and health, on one screen."""
    from desk.status import run_status

    run_status(lane, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def watch(lane: Lane = "desk") -> None:
    """The status live on one screen, every two seconds, with the newest messages; reads only, Ctrl-C ends it."""
    from desk.watch import run_watch

    run_watch(lane)


@app.command(rich_help_panel=PANEL)
def report(
    lane: Lane = "backtest",
    session: Day = None,
    week: Annotated[datetime | None, typer.Option(formats=DAY, help="Any day of a week: its review instead.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print it too, with a browser on PATH or DESK_BROWSER.")] = False,
    opens: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Makes the improvement report of a session or a week anew and shows where it lies."""
    from desk.report import run_report

    run_report(lane, day_of(week or session), as_json=as_json, week=week is not None, pdf=pdf, opens=opens)


@app.command(rich_help_panel=PANEL)
def theses(
    lane: Book = None,
    session: Day = None,
    symbol: Annotated[str, typer.Option(help="A ticker; empty: all.")] = "",
    history: Annotated[bool, typer.Option("--history", help="How confidence went, and every event.")] = False,
    graph: Annotated[Path | None, typer.Option(help="A .png file to draw the live theses into.")] = None,
    as_json: Json = False,
) -> None:
    """What a book believes, why, and how good its beliefs were."""
    from desk.books import shown_book
    from desk.theses import run_theses

    run_theses(shown_book(lane), day_of(session), symbol, history=history, graph=graph, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def trace(
    name: Annotated[str, typer.Argument(help="Id of a plan, its digest, or the id of its intent, order or fill.")] = "",
    last: Annotated[bool, typer.Option("--last", help="The newest fill instead.")] = False,
    lane: Book = None,
    as_json: Json = False,
) -> None:
    """Everything behind a plan: fills, signatures, votes, thesis, briefs, regimes, bars, calls and their cost."""
    from desk.books import shown_book
    from desk.trace import run_trace

    run_trace(name, last=last, lane=shown_book(lane), as_json=as_json)


@app.command(rich_help_panel=PANEL)
def journal(
    session: Day = None,
    kind: Annotated[str, typer.Option(help="decision, veto, order, fill, settlement, halt, resume, …")] = "",
    symbol: Annotated[str, typer.Option(help="A ticker.")] = "",
    lane: Lane = "desk",
    correlation: Annotated[str, typer.Option(help="Everything that came of one decision: BOOK/SESSION/SLOT.")] = "",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Write every page anew from the ledger.")] = False,
    as_json: Json = False,
) -> None:
    """What was decided, vetoed, ordered, filled and halted, and why, as a person reads it."""
    from desk.journal import run_journal

    run_journal(day_of(session), kind, symbol, lane, rebuild=rebuild, correlation=correlation, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def messages(
    topic: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last session.")] = None,
    lane: Lane = "desk",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    archive_before: Annotated[
        datetime | None, typer.Option(formats=DAY, help="Hand older sessions over to the lake instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What the desk's processes told each other, from ledger and archive alike."""
    from desk.messages import run_messages

    archived = day_of(archive_before)
    run_messages(
        topic, day_of(first), day_of(last), lane=lane, follow_on=follow, archive_before=archived, as_json=as_json
    )
