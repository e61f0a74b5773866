"""Words of the journal: what a person must be able to read years later, without tools.

Entries are hash-chained in the ledger and written as one markdown file each; `resources/ledger/journal.py` keeps them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

EntryKind = Literal[
    "decision", "veto", "order", "fill", "settlement", "halt", "resume", "parameter_change", "model", "note"
]
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
KINDS: tuple[EntryKind, ...] = (
    *("decision", "veto", "order", "fill", "settlement"),
    *("halt", "resume", "parameter_change", "model", "note"),
)
GENESIS = "0" * 64
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry before it is chained.

    Args:
        book: Whose entry it is.
        session: The session that it belongs to.
        at: UTC instant.
        kind: What sort of event.
        title: One short line; becomes part of the file's name.
        body: Everything else, as JSON; amounts as text, never as float.
        symbol: Ticker, or empty.
        correlation_id: Ties entries, messages and orders of one decision together.
    """

    book: str
    session: date
    at: datetime
    kind: EntryKind
    title: str
    body: Mapping[str, Json] = field(default_factory=dict)
    symbol: str = ""
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A chained entry. `hash` is the sha256 over `previous` and the entry's canonical JSON."""

    seq: int
    entry: Entry
    previous: str
    hash: str


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII only.

    Raises:
        TypeError: The value is not JSON.
        ValueError: A number in it is NaN or infinite.
    """
    return _ENCODER.encode(value)


def link(previous: str, fields: Mapping[str, object]) -> str:
    """The hash of an entry that follows `previous`: the sha256 of that hash and the canonical JSON of all stored fields.

    The fields are those of the stored row but `previous` and `hash`, texts as stored, `seq` as a number: whoever can read the row
    can compute the chain, without a word of this project.
    """
    return sha256(previous + canonical(fields))


def sha256(text: str) -> str:
    """64 hex digits of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
