"""What the commands print: data on stdout (a table, or one JSON object with --json), everything else on stderr."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from desk.runner import Outcome

AS_JSON = typer.Option("--json", help="One JSON object on stdout instead of a table.")


def say(text: str) -> None:
    """A line for the person, on stderr."""
    typer.echo(text, err=True)


def show(data: Mapping[str, Any], *, as_json: bool) -> None:
    """Key and value, one a line, or JSON."""
    if as_json:
        typer.echo(json.dumps(data, default=str))
        return
    width = max((len(key) for key in data), default=0)
    for key, value in data.items():
        typer.echo(f"{key.replace('_', ' '):<{width}}  {_words(value)}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; the first column is left-aligned and never cut, the others are right-aligned."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)


def finish(outcome: Outcome) -> None:
    """Says how a run went; a failed one ends the command with exit code 1 and its reasons."""
    if outcome.success:
        say(f"{outcome.job}: done in {outcome.seconds:.1f} s (run {outcome.run_id[:8]})")
        return
    say(f"{outcome.job}: failed (run {outcome.run_id[:8]})")
    for sentence in outcome.failures:
        say(f"  {sentence}")
    raise typer.Exit(1)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(str(inner) for inner in value) or "none"
    return str(value)
