"""`desk compact`: few big files instead of many small ones, while the desk runs."""

from collections import Counter
from dataclasses import asdict

import typer

from desk.output import say, show
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.core.errors import DeskError


def run_compact(sessions_min: int, *, as_json: bool) -> None:
    """Compacts every table of every lane and shows what became of the files; a table that cannot be compacted is named.

    Exit code 1 when one could not; the others are done all the same.
    """
    prepare_home()
    lake, total, failed = DeskResource().lake(), Counter[str](), 0
    for lane, table in lake.folders():
        try:
            total.update(asdict(lake.compact_folder(lane, table, sessions_min=sessions_min)))
        except DeskError as failure:
            say(f"{lane} {table}: {failure}")
            failed += 1
    names = ("files_before", "files_after", "written", "removed")
    show({**{name: total[name] for name in names}, "failed": failed}, as_json=as_json)
    if failed:
        raise typer.Exit(1)
