"""Untrusted text on its way into a prompt, and a model's words on their way out of it.

Inwards, text is made plain and stands between two marks that carry a token made from the text itself, so the text cannot contain
them. Outwards, an answer's words must already be plain: no address, no markup, no hidden character, no mark of a fence, and no long
run of the instructions that the model was given.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache

from pydantic import BaseModel

from trading_assets.reasoning.sanitising import RAW_CHARACTERS_MAX, Plain, plain

FENCED_CHARACTERS_MAX = 2_000
PROMPT_RUN = 40

_SOURCE_CHARACTERS_MAX = 80
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STRANGER = object()
_COMPLAINTS = {
    "hidden": "holds characters that a reader cannot see",
    "markup": "holds markup",
    "link": "holds a link or an address",
    "encoded": "holds encoded text",
    "turn": "speaks in another role's name",
    "fence": "holds the marks of a fence",
    "look-alike": "holds letters that imitate others",
    "cut": f"is longer than {RAW_CHARACTERS_MAX} characters",
}


def fenced(raw: str, *, source: str, characters_max: int = FENCED_CHARACTERS_MAX, symbols: Collection[str] = ()) -> str:
    """The text made plain, between marks that name its source and what was found in it.

    Args:
        raw: Text from outside.
        source: Where it stands in the inputs, for example `headlines.0.text`; written by code, never by the text's author.
        characters_max: Length of the text between the marks, in characters.
        symbols: The tickers that the question is about; words that imitate one are flagged.
    """
    return wrapped(plain(raw, characters_max=characters_max, symbols=symbols), source=source)


def wrapped(content: Plain, *, source: str) -> str:
    """Plain text between its marks."""
    token = token_of(content.text)
    label = re.sub(r"[^A-Za-z0-9_.-]", "_", source)[:_SOURCE_CHARACTERS_MAX]
    warning = f", found {' '.join(content.flags)}" if content.flags else ""
    return f"[[data {token} from {label}{warning}]] {content.text} [[/data {token}]]"


def token_of(text: str, *, digits: int = 16) -> str:
    """The beginning of the text's hash (64 bits), counted on as long as the text contains it."""
    count = 0
    while (token := hashlib.sha256(f"{count}\0{text}".encode()).hexdigest()[:digits]) in text:
        count += 1
    return token


def clean_output(answer: BaseModel, *, system: str = "") -> str | None:
    """The complaint about words or numbers that no answer may carry, without repeating them; None for a clean answer.

    Args:
        answer: A model's answer, already of its type.
        system: The system prompt that it was given; 40 letters and digits of it in a row, in one text or over several, are a leak.
    """
    leaves = tuple(_leaves(answer, ""))
    for path, value in leaves:
        complaint = _complaint(value)
        if complaint:
            return f"{path} {complaint}"
    said = "".join(_letters(value) for _, value in leaves if isinstance(value, str))
    if system and _repeats(said, system):
        return f"the answer repeats the instructions: {PROMPT_RUN} letters or more in a row"
    return None


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        if value.model_extra:
            yield f"{path}.*".lstrip("."), _STRANGER
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        for position, (key, inner) in enumerate(value.items()):
            yield from _leaves(key, f"{path}.{position}.key")
            yield from _leaves(inner, f"{path}.{position}")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{position}")
    else:
        yield path, value


def _complaint(value: object) -> str | None:
    if value is _STRANGER:
        return "is a field that the type does not know"
    if isinstance(value, str):
        return _complaint_of_words(value)
    finite = not isinstance(value, (float, Decimal)) or math.isfinite(value)
    return None if finite else "is not a finite number"


def _complaint_of_words(text: str) -> str | None:
    if _CONTROL.search(text):
        return "holds control characters or line breaks"
    if text and not text.strip():
        return "is blank"
    flags = plain(text, characters_max=RAW_CHARACTERS_MAX).flags
    return _COMPLAINTS[flags[0]] if flags else None


def _letters(text: str) -> str:
    """Only letters and digits, folded: spacing, case and punctuation do not hide a repetition."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def _repeats(letters: str, system: str) -> bool:
    runs = _runs(system)
    return any(letters[at : at + PROMPT_RUN] in runs for at in range(len(letters) - PROMPT_RUN + 1))


@lru_cache(maxsize=32)
def _runs(system: str) -> frozenset[str]:
    letters = _letters(system)
    return frozenset(letters[at : at + PROMPT_RUN] for at in range(len(letters) - PROMPT_RUN + 1))
