"""A report's document as markdown; pictures are named, and lie beside the text."""

import re
from collections.abc import Iterator

from trading_assets.evaluation.reporting.document import Block, Bullets, Document, Grid, Line, Part, Picture, Words

_MARKUP = re.compile(r"([\\`*\[\]<])")


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
            yield _plain(text)
        case Bullets(lines=lines):
            yield from (_bullet(line) for line in lines)
        case Grid():
            yield from _grid(block)
        case Picture(name=name, title=title):
            yield f"![{_plain(title)}]({name})"


def _bullet(line: Line) -> str:
    strong = f"**{_plain(line.strong)}**: " if line.strong else ""
    command = f" `{' '.join(line.command.split()).replace('`', '')}`" if line.command else ""
    return f"- {strong}{_plain(line.text)}{command}"


def _grid(grid: Grid) -> Iterator[str]:
    yield "| " + " | ".join(grid.columns) + " |"
    yield "| " + " | ".join(":--" if n in grid.text else "--:" for n in range(len(grid.columns))) + " |"
    for row in grid.rows:
        yield "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in row) + " |"


def _plain(text: str) -> str:
    """One line without control characters, and nothing in it that markdown would read as more than text."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return _MARKUP.sub(r"\\\1", " ".join(visible.split()))
