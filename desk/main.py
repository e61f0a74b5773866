"""`desk`: one function per command. Exit codes: 0 done, 1 a run failed, 2 the request itself is wrong."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from desk.output import AS_JSON, say
from trading_assets.core.errors import DeskError
from trading_assets.core.settings import ProviderName
from trading_assets.market.model import Frequency

app = typer.Typer(
    help="A trading desk whose every step is a Dagster asset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_DAY = ["%Y-%m-%d"]
Json = Annotated[bool, AS_JSON]
Day = Annotated[datetime | None, typer.Option(formats=_DAY, help="A session, YYYY-MM-DD.")]
Lane = Annotated[Literal["desk", "backtest"], typer.Option(help="The book.")]
Book = Annotated[
    Literal["desk", "backtest"] | None,
    typer.Option("--lane", help="The book; default: the desk's, or the backtest's where the desk decided nothing."),
]


@app.command()
def demo(as_json: Json = False) -> None:
    """Two years on real prices from installed packages: bars to report, without key, broker or network."""
    from desk.demo import run_demo

    run_demo(as_json=as_json)


@app.command()
def ingest(
    provider: Annotated[ProviderName | None, typer.Option(help="Default: settings.yaml.")] = None,
    symbols: Annotated[str, typer.Option(help="Comma-separated; empty: settings.yaml.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last session.")] = None,
    path: Annotated[Path | None, typer.Option(help="Folder of provider files; see docs/market.md.")] = None,
    frequency: Annotated[Frequency, typer.Option(help="Length of the bars.")] = "1d",
    seed: Annotated[int | None, typer.Option(help="Which simulated market; default: settings.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Fetches bars and corporate actions into the lake and judges their quality."""
    from desk.market import run_ingest

    run_ingest(provider, symbols, _day(first), _day(last), path, frequency, seed=seed, as_json=as_json)


@app.command()
def bars(
    symbol: Annotated[str, typer.Argument(help="An instrument of the lake.")],
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last session.")] = None,
    adjusted: Annotated[Literal["none", "splits", "all"], typer.Option(help="For which actions.")] = "splits",
    as_json: Json = False,
) -> None:
    """Daily bars of one symbol, as traded or adjusted as of the last session shown."""
    from desk.bars import run_bars

    run_bars(symbol, _day(first), _day(last), adjusted, as_json=as_json)


@app.command()
def documents(
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last session.")] = None,
    as_json: Json = False,
) -> None:
    """Fetches news, filings and macro series from the sources of config/documents.yaml and judges them."""
    from desk.market import run_documents

    run_documents(_day(first), _day(last), as_json=as_json)


@app.command()
def backtest(
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First session.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last session.")],
    resume: Annotated[bool, typer.Option("--continue", help="Go on from the book of the session before.")] = False,
    as_json: Json = False,
) -> None:
    """Walks a range of sessions in one run: bars, decisions, fills, metrics, report."""
    from desk.backtest import run_backtest

    run_backtest(first.date(), last.date(), fresh=not resume, as_json=as_json)


@app.command()
def decide(
    slot: Annotated[str, typer.Option(help="HH:MM; empty: whichever is due.")] = "", as_json: Json = False
) -> None:
    """Decides the slot that is due now on the desk's own book; refuses anything else."""
    from desk.decide import run_decide

    run_decide(slot, as_json=as_json)


@app.command()
def run(
    part: Annotated[str, typer.Argument(help="premarket or postclose.")], session: Day = None, as_json: Json = False
) -> None:
    """Runs a part of the trading day on the desk's own book, as its schedule would."""
    from desk.day import run_part

    run_part(part, _day(session), as_json=as_json)


@app.command()
def regimes(
    symbol: Annotated[str, typer.Option(help="Whose price is drawn beside MARKET; empty: the first.")] = "",
    score: Annotated[
        bool, typer.Option("--score", help="Score the ways to label on the simulated market instead.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="With --score: how many simulated markets.")] = 3,
    as_json: Json = False,
) -> None:
    """Regimes as they stand, how long they last and what follows what, with plots; or how good the labels are."""
    from desk.regimes import run_regimes, run_score

    if score:
        run_score(seeds, as_json=as_json)
    else:
        run_regimes(symbol, as_json=as_json)


@app.command()
def compact(
    sessions_min: Annotated[int, typer.Option(help="Least number of sessions in files of their own to join.")] = 60,
    as_json: Json = False,
) -> None:
    """Joins many small lake files into few; safe while the desk runs."""
    from desk.compact import run_compact

    run_compact(sessions_min, as_json=as_json)


@app.command()
def status(lane: Lane = "desk", as_json: Json = False) -> None:
    """The book, its state, the last session and what is stored."""
    from desk.status import run_status

    run_status(lane, as_json=as_json)


@app.command()
def report(lane: Lane = "backtest", session: Day = None, as_json: Json = False) -> None:
    """Makes the improvement report of a session anew and shows where it lies."""
    from desk.report import run_report

    run_report(lane, _day(session), as_json=as_json)


@app.command()
def halt(reason: Annotated[str, typer.Argument(help="Why.")], lane: Lane = "desk") -> None:
    """Stops all new positions until the operator resumes."""
    from desk.halts import run_halt

    run_halt(lane, reason)


@app.command()
def resume(
    halt_id: Annotated[int, typer.Argument(help="Id of the open halt, as desk status shows it.")],
    reason: Annotated[str, typer.Argument(help="Why trading may go on.")],
    lane: Lane = "desk",
) -> None:
    """Acknowledges the open halt by its id; nothing else lifts one."""
    from desk.halts import run_resume

    run_resume(lane, halt_id, reason)


@app.command()
def orders(
    session: Day = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what has not ended.")] = False,
    as_json: Json = False,
) -> None:
    """Where every intent stands at the broker, its seals, orders and fills, and which processes are alive."""
    from desk.orders import run_orders

    run_orders(_day(session), only_open=only_open, as_json=as_json)


@app.command()
def pages(
    every: Annotated[bool, typer.Option("--all", help="Answered ones as well.")] = False,
    lane: Lane = "desk",
    as_json: Json = False,
) -> None:
    """What waits for the operator's answer."""
    from desk.pages import run_pages

    run_pages(lane, every=every, as_json=as_json)


@app.command()
def answer(
    page: Annotated[int, typer.Argument(help="Number of the page, as desk pages shows it.")],
    words: Annotated[str, typer.Argument(help="What is done about it.")],
    lane: Lane = "desk",
) -> None:
    """Answers a page, which ends its repetition; it lifts no halt."""
    from desk.pages import run_answer

    run_answer(lane, page, words)


@app.command()
def notify(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    lane: Lane = "desk",
    as_json: Json = False,
) -> None:
    """Tells what is due on every channel; where the watchdog runs, it does so by itself."""
    from desk.pages import run_notify

    run_notify(lane, follow=follow, as_json=as_json)


@app.command()
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


@app.command("compile")
def compile_kernels(as_json: Json = False) -> None:
    """Compiles the numeric kernels into the Python environment, so that no run waits for it; part of make env."""
    from desk.compiling import run_compile

    run_compile(as_json=as_json)


@app.command()
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


@app.command()
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

    run_journal(_day(session), kind, symbol, lane, rebuild=rebuild, correlation=correlation, as_json=as_json)


@app.command()
def messages(
    topic: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last session.")] = None,
    lane: Lane = "desk",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    archive_before: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Hand older sessions over to the lake instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What the desk's processes told each other, from ledger and archive alike."""
    from desk.messages import run_messages

    archived = _day(archive_before)
    run_messages(topic, _day(first), _day(last), lane=lane, follow_on=follow, archive_before=archived, as_json=as_json)


@app.command()
def costs(
    day: Day = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last day.")] = None,
    by: Annotated[str, typer.Option(help="route, model, skill, decision or day.")] = "route",
    as_json: Json = False,
) -> None:
    """What models cost, what is left of the caps, and which routes are resting."""
    from desk.costs import run_costs

    run_costs(_day(day), _day(first), _day(last), by, as_json=as_json)


@app.command()
def fill(
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First session.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last session.")],
    as_json: Json = False,
) -> None:
    """Asks a model the analysts' questions of the past in batches at half price; run it again to collect."""
    from desk.fill import run_fill

    run_fill(first.date(), last.date(), as_json=as_json)


@app.command()
def brief(
    symbol: Annotated[str, typer.Option(help="Also this ticker; empty: the market alone.")] = "", as_json: Json = False
) -> None:
    """What the analysts say now, from facts as of now."""
    from desk.brief import run_brief

    run_brief(symbol, as_json=as_json)


@app.command()
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

    run_theses(shown_book(lane), _day(session), symbol, history=history, graph=graph, as_json=as_json)


@app.command()
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


@app.command()
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


@app.command()
def skills(
    name: Annotated[str, typer.Argument(help="One skill; empty: all.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Say every problem; exit code 1 when there is one.")] = False,
    render: Annotated[bool, typer.Option("--render", help="Print what a model is sent for each sample.")] = False,
    as_json: Json = False,
) -> None:
    """Who models are asked to be: version, tier, price limit, types and hash of each skill."""
    from desk.skills import run_skills

    run_skills(name, check=check, rendered=render, as_json=as_json)


@app.command("leak-check")
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


@app.command()
def sql(query: Annotated[str, typer.Argument(help="SQL; without it, the tables.")] = "", as_json: Json = False) -> None:
    """One read-only DuckDB query over lake and metrics."""
    from desk.sql import run_sql

    run_sql(query, as_json=as_json)


@app.command()
def gateway(
    account: Annotated[str, typer.Option(help="The account, typed in full; asked for in live mode alone.")] = "",
) -> None:
    """Owns the broker connection: sends what is signed, books what happens, reacts only to reduce risk."""
    from gateway.process import run_gateway

    raise typer.Exit(run_gateway(typed_account=account))


@app.command()
def watchdog(
    account: Annotated[str, typer.Option(help="The account, typed in full; asked for in live mode alone.")] = "",
) -> None:
    """Watches everything, and can stop everything; needs nobody."""
    from warden.process import run_watchdog

    raise typer.Exit(run_watchdog(typed_account=account))


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Opens the Dagster UI with its daemon on 127.0.0.1."""
    from desk.ui import run_ui

    run_ui(port)


def main() -> None:
    """The entry point: an expected failure is one sentence, not a stack trace."""
    try:
        app()
    except DeskError as failure:
        say(f"desk: {failure}")
        sys.exit(2)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


if __name__ == "__main__":
    main()
