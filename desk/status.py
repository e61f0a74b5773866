"""`desk status`: one screen in the order in which a person asks."""

import json

import typer

from desk.glance import Glance, Told
from desk.halts import adopt_halt_file
from desk.output import say
from desk.runner import prepare_home
from desk.screen import blocks_of, lines_of
from resources.desk import DeskResource
from resources.notify.model import plain
from trading_assets.core.errors import DeskError


def run_status(lane: str, *, as_json: bool) -> None:
    """What time it is for the desk, what stops it, what it holds and owes, how far the day is; gives a halt file its number."""
    prepare_home()
    desk = DeskResource()
    try:
        adopt_halt_file(lane)
    except DeskError as refused:
        say(plain(f"the halt file gets no number: {refused}"))
    told = Glance(desk, lane, desk.clock().now()).tell()
    if as_json:
        typer.echo(json.dumps(told, default=str))
        return
    _print(told)


def _print(told: Told) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for block in blocks_of(told):
        for line in lines_of(block, console.width):
            console.print(line, end="\n", soft_wrap=True)
