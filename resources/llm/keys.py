"""Keys to providers: read from the environment, handed to a client, and never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "[key]"
_USABLE = re.compile(r"[\x21-\x7e]{8,512}")
# Every key that this process has read: texts that come back from providers are searched for them.
_READ: set[str] = set()


class Key:
    """A key that shows itself only to `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _READ.add(text)

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a key is not written anywhere")

    def reveal(self) -> str:
        """The key itself, for the client that sends it."""
        return self._text


def read_key(variable: str, environment: Mapping[str, str]) -> tuple[Key | None, str | None]:
    """The key in the environment variable, or why there is none."""
    text = environment.get(variable, "").strip()
    if not text:
        return None, f"{variable} is not set"
    if _USABLE.fullmatch(text) is None:
        # A client would put such a key into the text of its exception.
        return None, f"{variable} does not hold a key: 8 to 512 printable characters without blanks"
    return Key(text), None


def scrubbed(words: str) -> str:
    """The words without any key that this process has read."""
    for key in sorted(_READ, key=len, reverse=True):
        words = words.replace(key, HIDDEN)
    return words
