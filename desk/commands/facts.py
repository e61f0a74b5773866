"""Bars, documents, regimes, and the lake that keeps them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from desk.commands.options import DAY, Json, app, day_of
from trading_assets.core.settings import ProviderName
from trading_assets.market.model import Frequency

PANEL = "Facts"


@app.command(rich_help_panel=PANEL)
def ingest(
    provider: Annotated[ProviderName | None, typer.Option(help="Default: settings.yaml.")] = None,
    symbols: Annotated[str, typer.Option(help="Comma-separated; empty: settings.yaml.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last session.")] = None,
    path: Annotated[Path | None, typer.Option(help="Folder of provider files; see docs/market.md.")] = None,
    frequency: Annotated[Frequency, typer.Option(help="Length of the bars.")] = "1d",
    seed: Annotated[int | None, typer.Option(help="Which simulated market; default: settings.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Fetches bars and corporate actions into the lake and judges their quality."""
    from desk.market import run_ingest

    run_ingest(provider, symbols, day_of(first), day_of(last), path, frequency, seed=seed, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def bars(
    symbol: Annotated[str, typer.Argument(help="An instrument of the lake.")],
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last session.")] = None,
    adjusted: Annotated[Literal["none", "splits", "all"], typer.Option(help="For which actions.")] = "splits",
    as_json: Json = False,
) -> None:
    """Daily bars of one symbol, as traded or adjusted as of the last session shown."""
    from desk.bars import run_bars

    run_bars(symbol, day_of(first), day_of(last), adjusted, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def documents(
    first: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Last session.")] = None,
    as_json: Json = False,
) -> None:
    """Fetches news, filings and macro series from the sources of config/documents.yaml and judges them."""
    from desk.market import run_documents

    run_documents(day_of(first), day_of(last), as_json=as_json)


@app.command(rich_help_panel=PANEL)
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


@app.command(rich_help_panel=PANEL)
def compact(
    sessions_min: Annotated[int, typer.Option(help="Least number of sessions in files of their own to join.")] = 60,
    as_json: Json = False,
) -> None:
    """Joins many small lake files into few; safe while the desk runs."""
    from desk.compact import run_compact

    run_compact(sessions_min, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def sql(query: Annotated[str, typer.Argument(help="SQL; without it, the tables.")] = "", as_json: Json = False) -> None:
    """One read-only DuckDB query over lake and metrics."""
    from desk.sql import run_sql

    run_sql(query, as_json=as_json)
