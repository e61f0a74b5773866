"""Text of others as plain text: markup, control characters and invisible characters removed, length capped.

This protects people and terminals that show the text, not a reader that obeys it: a sentence that says "ignore previous
instructions" is kept word for word, because it is what the publisher wrote. The protection against obeying is that no code
interprets an item's text.
"""

import unicodedata
from html.parser import HTMLParser
from urllib.parse import urlsplit

HEADLINE_CHARACTERS_MAX = 300
SUMMARY_CHARACTERS_MAX = 2000
NAME_CHARACTERS_MAX = 120
URL_CHARACTERS_MAX = 2000
_RAW_CHARACTERS_MAX = 200_000
_ROUNDS_MAX = 8
_SILENT = frozenset({"script", "style", "template", "noscript", "iframe", "object"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def plain(raw: str, characters_max: int) -> str:
    """The text without tags, entities, control, bidirectional and invisible characters; one line, at most so many characters.

    Applying it twice changes nothing.
    """
    text = _visible(raw[:_RAW_CHARACTERS_MAX])
    for _ in range(_ROUNDS_MAX):
        stripped = _visible(_without_markup(text))
        if stripped == text:
            break
        text = stripped
    else:
        text = text.replace("<", " ").replace("&", " ")
    return _capped(" ".join(text.split()), characters_max)


def web_address(raw: str) -> str:
    """The address if it is one of the web, else empty text: nothing that a click could run is stored."""
    text = raw.strip()
    if len(text) > URL_CHARACTERS_MAX or text != _visible(text) or any(c.isspace() for c in text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.netloc else ""


def _capped(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1].rstrip() + "…"


def _visible(text: str) -> str:
    spaced = "".join(" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if not _is_invisible(character))


def _is_invisible(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character) in _INVISIBLE or any(code in codes for codes in _VARIATION_SELECTORS)


class _Text(HTMLParser):
    """Collects what a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's
        if tag in _SILENT:
            self._silent.append(tag)
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _without_markup(text: str) -> str:
    if "<" not in text and "&" not in text:
        return text
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)
