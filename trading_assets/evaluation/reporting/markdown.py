"""A report's document as markdown; pictures are named, and lie beside the text."""

import re
from collections.abc import Iterator, Sequence

from trading_assets.evaluation.reporting.document import Block, Bullets, Document, Grid, Line, Part, Picture, Words

_MARKUP = re.compile(r"([\\`*\[\]<#])")
_LIST = re.compile(r"^([-+>])")


def render(document: Document) -> str:
    """The report as text."""
    parts = [f"# {_plain(document.title)}", _plain(document.summary), *map(_part, document.front)]
    parts += [f"# Behind it\n\n{part}" if n == 0 else part for n, part in enumerate(map(_part, document.behind))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _part(part: Part) -> str:
    return "\n\n".join((f"## {_plain(part.heading)}", *("\n".join(_block(block)) for block in part.blocks)))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Words(text=text):
            yield _LIST.sub(r"\\\1", _plain(text))
        case Bullets(lines=lines):
            yield from (_bullet(line) for line in lines)
        case Grid():
            yield from _grid(block)
        case Picture(name=name, title=title):
            yield f"![{_plain(title)}]({name})"


def _bullet(line: Line) -> str:
    strong = f"**{_plain(line.strong)}**: " if line.strong else ""
    command = f" `{_visible(line.command).replace('`', '')}`" if line.command else ""
    return f"- {strong}{_plain(line.text)}{command}"


def _grid(grid: Grid) -> Iterator[str]:
    yield _row(grid.columns)
    yield "| " + " | ".join(":--" if n in grid.text else "--:" for n in range(len(grid.columns))) + " |"
    for row in grid.rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """One line in which markdown reads nothing more than text."""
    return _MARKUP.sub(r"\\\1", _visible(text))


def _visible(text: str) -> str:
    """One line without control characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
