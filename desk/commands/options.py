"""The one application, and the options that many commands share."""

from datetime import date, datetime
from typing import Annotated, Literal

import typer

from desk.output import AS_JSON

app = typer.Typer(
    help="A trading desk whose every step is a Dagster asset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
DAY = ["%Y-%m-%d"]
Json = Annotated[bool, AS_JSON]
Day = Annotated[datetime | None, typer.Option(formats=DAY, help="A session, YYYY-MM-DD.")]
Lane = Annotated[Literal["desk", "backtest"], typer.Option(help="The book.")]
Book = Annotated[
    Literal["desk", "backtest"] | None,
    typer.Option("--lane", help="The book; default: the desk's, or the backtest's where the desk decided nothing."),
]


def day_of(moment: datetime | None) -> date | None:
    """The day of an option that may be absent."""
    return moment.date() if moment else None
