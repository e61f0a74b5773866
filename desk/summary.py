"""The result of a book beside buy-and-hold, as the demo and the backtest end with."""

import json
from dataclasses import asdict

import typer

from desk.output import say, table
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady


def show_summary(lane: str, *, as_json: bool) -> None:
    """The measures of the lane's whole record, and the paths of what was written."""
    from trading_assets.evaluation.model import BENCHMARK
    from trading_assets.evaluation.summary import side_by_side, summarise, summarise_equity
    from trading_assets.execution.model import ACCOUNT, TRADES

    desk = DeskResource()
    lake, cash, as_of = desk.lake(), desk.rules(lane).first_book.cash, XNYS.session(XNYS.last).close
    account = lake.read(ACCOUNT, as_of=as_of, lane=lane)
    if not account.height:
        raise DataNotReady(f"book {lane} has no settled session", hint="desk backtest --from D --to D")
    result = summarise(account, lake.read(TRADES, as_of=as_of, lane=lane), starting_cash=cash)
    held = lake.read(BENCHMARK, as_of=as_of, lane=lane)
    benchmark = summarise_equity(held, starting_cash=cash) if held.height else None
    first, last = account["session"][0], account["session"][-1]
    home = desk.home()
    paths = {
        "report": str(home.reports / lane / last.isoformat() / "report.md"),
        "lake": str(home.lake),
        "ledger": DeskResource().engine(lane).get_execution_options()["ledger"],
        "warehouse": str(home.warehouse / f"{lane}.duckdb"),
    }
    if as_json:
        both = {"desk": asdict(result), "buy_and_hold": asdict(benchmark) if benchmark else None}
        typer.echo(json.dumps({"book": lane, "first": first, "last": last, **both, "paths": paths}, default=str))
        return
    title = f"{lane}: {first} to {last}, {account.height} sessions, start {cash:,.2f} USD"
    table(title, ("measure", "desk", "buy and hold"), side_by_side(result, benchmark))
    for name, path in paths.items():
        say(f"{name:<10} {path}")
