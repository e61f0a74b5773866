"""`desk bars`: the daily bars of one symbol, adjusted when they are read and as of the last session shown."""

import json
from datetime import date
from typing import TYPE_CHECKING

import typer

from desk.output import table
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.core.errors import DataNotReady
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS

if TYPE_CHECKING:
    import polars as pl

SHOWN_SESSIONS = 20


def run_bars(symbol: str, first: date | None, last: date | None, kind: str, *, as_json: bool) -> None:
    """Shows the bars from `first` to `last`; without `first`, the newest twenty sessions up to `last`."""
    frame = _read(symbol, last, kind)
    shown = frame.tail(SHOWN_SESSIONS) if first is None else frame.filter(frame["session"] >= first)
    if shown.is_empty():
        raise DataNotReady(
            f"the lake has no bar of {symbol}", value=f"{first} to {last}", hint="desk ingest fetches bars"
        )
    if as_json:
        typer.echo(json.dumps(shown.rows(named=True), default=str))
        return
    names = ("session", "open", "high", "low", "close", "volume", "source")
    cells = [
        [f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row]
        for row in shown.select(names).rows()
    ]
    table(f"{symbol}, prices adjusted for: {kind}", names, cells)


def _read(symbol: str, last: date | None, kind: str) -> "pl.DataFrame":
    """All bars up to `last`: a dividend is paid out of the close before it, which may lie before the sessions shown."""
    from trading_assets.market.adjust import adjusted

    prepare_home()
    desk = DeskResource()
    lake, as_of = desk.lake(), desk.clock().now()
    held = lake.read(DAILY_BARS, as_of=as_of, last=last, symbols=[symbol])
    if kind == "none" or held.is_empty():
        return held
    newest = max(held["session"].to_list())
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=newest, symbols=[symbol])
    return adjusted(held, actions, as_of_session=newest, dividends=kind == "all")
