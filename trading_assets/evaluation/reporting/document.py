"""A report as values, before it becomes markdown or HTML: parts with blocks of plain text.

No block holds markup: what a model or a headline said cannot become a link, a picture or a script in the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; a quiet one is small print."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list: a few words in front, the text, and the command that acts on it."""

    text: str
    strong: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    lines: tuple[Line, ...]

    @classmethod
    def of(cls, sentences: Sequence[str]) -> "Bullets":
        """Plain sentences as a list."""
        return cls(tuple(Line(sentence) for sentence in sentences))


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. Columns whose numbers are in `text` are aligned to the left, all others to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with the name of its file and what it shows."""

    name: str
    title: str
    content: bytes


Block = Words | Bullets | Grid | Picture


@dataclass(frozen=True, slots=True)
class Part:
    """A headed run of blocks. `missing` says why there is nothing but a sentence."""

    key: str
    heading: str
    blocks: tuple[Block, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """The page: a front that is read with coffee, and the details behind it."""

    title: str
    summary: str
    front: tuple[Part, ...]
    behind: tuple[Part, ...]

    @property
    def pictures(self) -> Iterator[Picture]:
        """Every picture in order of appearance."""
        for part in (*self.front, *self.behind):
            yield from (block for block in part.blocks if isinstance(block, Picture))
