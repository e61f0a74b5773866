"""Text from outside as one plain line: what a reader cannot see is gone, what could act is disarmed, and each change is named.

The words themselves stay: a sentence that says "ignore your instructions" is what its author wrote, and is shown as such. The lines
that hold against such words are the fence, the answer's type and the checks after it. Every step runs in linear time.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from trading_assets.reasoning.lookalikes import look_alikes

Flag = Literal["hidden", "markup", "link", "encoded", "turn", "fence", "look-alike", "cut"]
RAW_CHARACTERS_MAX = 20_000
CHARACTERS_MIN = 80

_RAW_PER_SHOWN = 4
_ROUNDS_MAX = 5
_MARKS_IN_A_ROW_MAX = 3
_REMOVED_LINK = "(link removed)"
_REMOVED_CODE = "(encoded text removed)"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters, marks and symbols that show nothing: joiners, fillers, variation selectors, the blank Braille cell.
_BLANK = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    )
)
_UNUSUAL = re.compile(r"[^ -~\n\t]")
_SPACES = frozenset({"Zs", "Zl", "Zp"})
_TAG = re.compile(r"<!--|<(?P<close>/?)[!?]?(?P<name>[A-Za-z][\w:-]*)(?P<rest>[^<>]*)>", re.ASCII)
_STARTS_A_TAG = re.compile(r"<(?=[A-Za-z/!?|])")
_UNSEEN_ELEMENTS = frozenset({"script", "style", "template", "noscript", "iframe", "object", "head", "title"})
_VOID_ELEMENTS = frozenset({"img", "br", "hr", "input", "link", "meta", "source", "embed", "area", "base", "wbr"})
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?!\.\d*[1-9])|text-indent\s*:\s*-|"
    r"(?:left|top)\s*:\s*-\d|(?<![-\w])(?:height|width)\s*:\s*0(?![.\d])|"
    r"(?<![-\w])color\s*:\s*(?:#fff(?:fff)?\b|white|transparent)|(?<![-\w])(?:hidden|aria-hidden)(?![-\w])",
    re.IGNORECASE | re.ASCII,
)
_LINK = re.compile(
    r"[a-z0-9+.-]{0,16}://\S*"
    r"|(?<![a-z])(?:data|javascript|vbscript|mailto|file|blob):(?=\S)\S*"
    r"|(?<![a-z0-9])www\.\S*"
    r"|(?<![\w.:/-])//(?:[\w-]{1,63}\.){1,4}\w\S*"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,4}[a-z]{2,10}[/?]\S+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,4}[a-z]{2,10}",
    re.IGNORECASE | re.ASCII,
)
_CODE = re.compile(
    r"(?P<run>[A-Za-z0-9+/_=-]{40,})|(?P<bytes>(?:\b[0-9A-Fa-f]{2}[ :,]){16,})|(?:\\x[0-9A-Fa-f]{2}){8,}"
    r"|(?:\\u[0-9A-Fa-f]{4}){4,}|(?:%[0-9A-Fa-f]{2}){8,}|(?:\b[01]{8}\s){8,}"
)
_RUN_LETTERS_MIN = 8
_SPECIAL_TOKEN = re.compile(r"<\|[^<>|]{0,40}\|>|\[/?(?:INST|SYS|SYSTEM)\]|<<[ ]?/?SYS[ ]?>>", re.IGNORECASE)
_LINK_TARGET = re.compile(r"\]\(")
_MARK = re.compile(r"\[(?=\[)|\](?=\])")
_TURN = re.compile(
    r"(?:^|[\n.!?:;\])}\"'»”|>#*=-])[ \t#*>_`\[(<-]{0,12}(?:system|assistant|user|human|developer|operator|tool)"
    r"(?:[ _](?:message|prompt|turn|note|override|instructions?|result|output))?[ \t*_`\])>]{0,6}:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Plain:
    """One line of plain text and, sorted, what was found in it."""

    text: str
    flags: tuple[Flag, ...]


def plain(raw: str, *, characters_max: int, symbols: Collection[str] = ()) -> Plain:
    """The text as a reader would see it, on one line, at most so many characters; plain text stays as it is.

    Args:
        raw: Text of any origin.
        characters_max: Length in characters, at least 80; a longer text ends in a mark that says how long it was. At most four
            times as many characters are looked at.
        symbols: The tickers that the question is about; words that imitate one are flagged.
    """
    found: set[Flag] = set()
    read = raw[: min(RAW_CHARACTERS_MAX, _RAW_PER_SHOWN * characters_max)]
    if len(read) < len(raw):
        found.add("cut")
    seen = _seen(read, found)
    if look_alikes(seen, symbols) or (seen != read and look_alikes(_without_hidden(read), symbols)):
        found.add("look-alike")
    line = _disarmed(_without_markup(_without_tokens(seen, found), found), found)
    return Plain(_capped(line, len(raw), characters_max, found), tuple(sorted(found)))


def _capped(line: str, raw_length: int, characters_max: int, found: set[Flag]) -> str:
    if len(line) <= characters_max and "cut" not in found:
        return line
    found.add("cut")
    mark = f" (cut: the beginning of {raw_length} characters)"
    return (line[: characters_max - len(mark)].rstrip() + mark).strip()


def _seen(text: str, found: set[Flag]) -> str:
    """Entities read, compatibility forms folded, hidden characters removed, until nothing changes."""
    for _ in range(_ROUNDS_MAX):
        before = text
        text = html.unescape(text)
        if text != before:
            found.add("markup")
        visible = _without_hidden(text)
        if len(visible) < len(text):
            found.add("hidden")
        folded = unicodedata.normalize("NFKC", visible)
        if len(folded) > RAW_CHARACTERS_MAX:  # one character can unfold into eighteen
            found.add("cut")
        text = _without_hidden(folded[:RAW_CHARACTERS_MAX])
        if text == before:
            return text
    return _without_hidden(unicodedata.normalize("NFKC", text.replace("&", " ")))


def _without_hidden(text: str) -> str:
    if _UNUSUAL.search(text) is None:
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        kind = _kind(character)
        marks = marks + 1 if kind == "mark" else 0
        if kind == "space":
            shown.append(character if character in "\n\t" else " ")
        elif kind != "hidden" and marks <= _MARKS_IN_A_ROW_MAX:
            shown.append(character)
    return "".join(shown)


@lru_cache(maxsize=8192)
def _kind(character: str) -> Literal["space", "hidden", "mark", "shown"]:
    category = unicodedata.category(character)
    if category in _SPACES or character in "\n\t\r":
        return "space"
    if category in _HIDDEN_CATEGORIES or ord(character) in _BLANK:
        return "hidden"
    return "mark" if category in {"Mn", "Me"} else "shown"


def _without_tokens(text: str, found: set[Flag]) -> str:
    """The text without the tokens that separate speakers in a model's own format; words that only name a speaker stay."""
    if _TURN.search(text):
        found.add("turn")
    return _replaced(_SPECIAL_TOKEN, " ", text, "turn", found)


def _without_markup(text: str, found: set[Flag]) -> str:
    """The text between tags, without comments and without elements that a browser would not show."""
    if "<" not in text:
        return text
    shown: list[str] = []
    unseen, depth, at = "", 0, 0
    for tag in _TAG.finditer(text):
        if tag.start() < at:
            continue
        found.add("markup")
        if not unseen:
            shown.append(text[at : tag.start()] + " ")
        at = _after(text, tag)
        name, closing = (tag["name"] or "").lower(), bool(tag["close"])
        if unseen:
            depth += (name == unseen) * (-1 if closing else 1)
            unseen = unseen if depth else ""
        elif not closing and name not in _VOID_ELEMENTS and _is_unseen(name, tag["rest"] or ""):
            unseen, depth = name, 1
            found.add("hidden")
    if not unseen:
        shown.append(text[at:])
    return _STARTS_A_TAG.sub("< ", "".join(shown))


def _after(text: str, tag: re.Match[str]) -> int:
    """Where the text goes on after a tag or a whole comment; a comment that never ends hides the rest."""
    if tag["name"]:
        return tag.end()
    end = text.find("-->", tag.end())
    return end + 3 if end >= 0 else len(text)


def _is_unseen(name: str, attributes: str) -> bool:
    return name in _UNSEEN_ELEMENTS or _UNSEEN_STYLE.search(attributes) is not None


def _disarmed(text: str, found: set[Flag]) -> str:
    """Nothing to follow, to decode, or to be taken for the end of the fence."""
    text = _replaced(_LINK, _REMOVED_LINK, text, "link", found)
    decoded = _CODE.sub(_code, text)
    if decoded != text:
        found.add("encoded")
    text = _replaced(_LINK_TARGET, "] (", decoded, "link", found)
    text = _replaced(_MARK, r"\g<0> ", text, "fence", found)
    return " ".join(text.split())


def _replaced(pattern: re.Pattern[str], by: str, text: str, flag: Flag, found: set[Flag]) -> str:
    replaced, times = pattern.subn(by, text)
    if times:
        found.add(flag)
    return replaced


def _code(match: re.Match[str]) -> str:
    """Rulers, words and rows of plain numbers stay; what only a decoder reads goes."""
    run = match["run"] or match["bytes"]
    letters = set(run or "")
    if match["run"]:
        mixed = any(c.isdigit() for c in run) or (any(c.isupper() for c in run) and any(c.islower() for c in run))
        return _REMOVED_CODE if len(letters) >= _RUN_LETTERS_MIN and mixed else run
    if match["bytes"] and not letters & set("abcdefABCDEF"):
        return str(run)
    return f"{_REMOVED_CODE} "
