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


@app.command("compile")
def compile_kernels(as_json: Json = False) -> None:
    """Compiles the numeric kernels into the Python environment, so that no run waits for it; part of make env."""
    from desk.compiling import run_compile

    run_compile(as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Checks settings, calendar, lake, ledgers and disk; exit code 1 when something is wrong."""
    from desk.doctor import run_doctor

    run_doctor(as_json=as_json)


@app.command()
def sql(query: Annotated[str, typer.Argument(help="SQL; without it, the tables.")] = "", as_json: Json = False) -> None:
    """One read-only DuckDB query over lake and metrics."""
    from desk.sql import run_sql

    run_sql(query, as_json=as_json)


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
