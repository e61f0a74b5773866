"""Foreign text without names, days and numbers: each is replaced by a word of ours, the same one throughout a question."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from re import Pattern

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_SHORT = r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
_MONTH = rf"(?:{_MONTHS}|{_SHORT})"
_MONTH_ALONE = (
    rf"(?:(?i:January|February|April|June|July|August|September|October|November|December)|March|MARCH|May|MAY|{_SHORT}"
    r"|JAN|FEB|APR|JUN|JUL|AUG|SEPT?|OCT|NOV|DEC)"
)
_FEAST = (
    r"Christmas|Thanksgiving|Easter|Good Friday|Black Friday|Cyber Monday|Labou?r Day|Memorial Day|Independence Day"
    r"|Presidents'? Day|Juneteenth|Halloween|New Year(?:'s)?(?: Eve| Day)?|Valentine'?s Day"
    r"|Super Bowl|Martin Luther King(?: Jr\.?)? Day"
)
_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?"
_NUMBER = r"\d(?:[\d.,:/]*\d)?"
_PARTS: Mapping[str, str] = {
    "DATE": "|".join(
        (
            r"\d{4}-\d{1,2}(?:-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?)?(?!\d)",
            r"\d{1,4}[/.]\d{1,2}[/.]\d{2,4}(?!\d)",
            rf"(?i:{_MONTH})\.?\s+{_ORDINAL}(?!\d)(?:\s*,?\s+\d{{4}})?",
            rf"{_ORDINAL}\.?\s+(?:of\s+)?(?i:{_MONTH})(?![a-z])\.?(?:\s*,?\s+\d{{4}})?",
            rf"(?i:{_MONTH})\.?,?\s+(?:of\s+)?'?(?:\d{{4}}|\d{{2}})(?!\d)",
        )
    ),
    "QUARTER": (
        r"(?i:[1-4]Q|Q[1-4]|[12]H|H[12])(?:\s?'?(?:FY)?\d{2,4})?(?![\w])"
        r"|(?i:(?:first|second|third|fourth|1st|2nd|3rd|4th)[\s-]+(?:fiscal\s+)?(?:quarter|half))(?![a-z])"
    ),
    "YEAR": r"(?i:FY\s?'?\d{2,4}|fiscal\s+\d{2,4})(?!\d)|'\d{2}s?(?!\w)|(?:1[6-9]|20|21)\d{2}s?(?![\w%])(?![.,]\d)",
    "MONTH": rf"\b{_MONTH_ALONE}(?![a-zA-Z])",
    "DAY": rf"\b(?i:{_FEAST}|{_WEEKDAY}|Mon\.|Tue\.|Wed\.|Thu\.|Fri\.|summer|winter|autumn)(?![a-zA-Z])",
    "PERCENT": rf"[-+\u2212]?{_NUMBER}\s*(?:%|‰|(?i:percent|per cent|pct|percentage points?|bps?|basis points?)(?![a-z]))",
    "AMOUNT": (
        rf"[-+\u2212]?(?:US|C|A)?[$€£¥]\s?{_NUMBER}(?:\s?(?i:thousand|million|billion|trillion|[kmbt]n?)(?![a-z]))?"
        rf"|{_NUMBER}\s?(?i:dollars?|cents?|USD|EUR|GBP|JPY)(?![a-z])"
    ),
    "NUMBER": rf"{_NUMBER}",
}
_FACTS = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PARTS.items()))
_LINK = re.compile(
    r"(?i:https?://|ftp://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w.])(?:[a-z0-9-]+\.)+(?:com|org|net|io|gov|co)(?:/\S*)?(?!\w)"
)
_TICKER = re.compile(
    r"(?:(?i:NASDAQ|NYSE(?:\s?American|\s?Arca)?|AMEX|OTC(?:QX|QB|MKTS)?|LSE|TSX|CBOE|XNAS|XNYS)\s*:\s*[A-Za-z][A-Za-z0-9.\-]{0,6})"
    r"|\$[A-Za-z]{1,6}(?:[.\-][A-Za-z])?(?![A-Za-z0-9])|\b[A-Z]{2}[A-Z0-9]{9}\d\b"
)
_KINDS = (*_PARTS, "LINK", "TICKER", "WORD")
OURS = re.compile(rf"\[(?:{'|'.join(_KINDS)})_[A-Z]+\]|(?<![A-Za-z0-9])ASSET_[A-Z]+(?![A-Za-z0-9])")
# A ticker of up to three characters may be a common word ("all", "key"), so it is looked for as it is written.
_LETTERS_MIN = 4
_JOINTS = re.compile(r"[\s./\-]+")
Pieces = list[tuple[str, bool]]


def letters(position: int) -> str:
    """A for 0, B for 1, and so on; AA after Z."""
    return (letters(position // 26 - 1) if position >= 26 else "") + chr(ord("A") + position % 26)


class Names:
    """Symbols and the other names of their companies, each behind one label for a question.

    Args:
        aliases: Other names by symbol: "Apple", "Apple Inc." by "AAPL". A name that two symbols claim belongs to the last.
    """

    def __init__(self, aliases: Mapping[str, Sequence[str]]) -> None:
        others = {name: symbol for symbol, names in aliases.items() for name in names if name.strip()}
        own = {symbol: symbol for symbol in aliases if symbol.strip()}
        self._spellings = {_spelling(spelling): symbol for spelling, symbol in {**others, **own}.items()}
        self._starts = {spelling: _start(spelling) for spelling in self._spellings}
        self._labels: dict[str, str] = {}
        self._symbols: dict[str, str] = {}

    def label(self, symbol: str) -> str:
        """The symbol's label, ASSET_A for the first that is asked for."""
        if symbol not in self._labels:
            self._labels[symbol] = label = f"ASSET_{letters(len(self._labels))}"
            self._symbols[label] = symbol
            own = _spelling(symbol)
            if own.strip():
                self._spellings[own], self._starts[own] = symbol, _start(own)
        return self._labels[symbol]

    def symbol(self, label: str) -> str | None:
        """The symbol behind a label that was given out."""
        return self._symbols.get(label)

    def written_in(self, text: str) -> str | None:
        """A spelling that stands in the text letter by letter."""
        words = (
            rf"(?<![A-Za-z0-9]){re.escape(spelling)}(?![A-Za-z0-9])" for spelling in self._spellings if spelling in text
        )
        hits = (re.search(word, text) for word in words)
        return next((hit.group() for hit in hits if hit), None)

    def pattern(self, text: str) -> Pattern[str]:
        """Finds every spelling in this text, in any case where it is long enough to be no common word."""
        folded = text.casefold()
        return _pattern(tuple(spelling for spelling, start in self._starts.items() if start in folded))

    def symbol_of(self, written: str) -> str:
        """The symbol of a spelling that `pattern` found."""
        name = written.removeprefix("$")
        exact = self._spellings.get(written) or self._spellings.get(name)
        return exact or next(
            symbol for spelling, symbol in self._spellings.items() if _squeezed(spelling) == _squeezed(name)
        )


class HiddenText:
    """The texts of one question."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._words: dict[tuple[str, str], str] = {}
        self._hidden: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text without what identifies its company and its day; a second text that would read alike gets a letter."""
        if text not in self._hidden:
            read = self._replaced(_plain(text))
            alike = (f"{read} ({letters(number)})" for number in count(1))
            hidden = next(words for words in chain((read,), alike) if words not in self._shown)
            self._hidden[text] = hidden
            self._shown[hidden] = text
        return self._hidden[text]

    def keep(self, text: str) -> None:
        """Notes a text that stays as it is, so that it comes back as it is."""
        self._shown.setdefault(text, text)

    def show(self, hidden: str) -> str | None:
        """The whole text that was hidden behind this one."""
        return self._shown.get(hidden)

    def show_word(self, word: str) -> str | None:
        """What stood where one of our words stands."""
        known = {given: original for (_, original), given in self._words.items()}
        return known.get(word) or self._names.symbol(word)

    def _replaced(self, text: str) -> str:
        pieces: Pieces = [(text, False)]
        pieces = _split(pieces, OURS, lambda hit: self._word("WORD", hit.group()))
        pieces = _split(pieces, _LINK, lambda hit: self._word("LINK", hit.group()))
        named = self._names.pattern(text)
        pieces = _split(pieces, named, lambda hit: self._names.label(self._names.symbol_of(hit.group())))
        pieces = _split(pieces, _TICKER, lambda hit: self._word("TICKER", hit.group()))
        pieces = _split(pieces, _FACTS, lambda hit: self._word(hit.lastgroup or "NUMBER", hit.group()))
        return "".join(piece for piece, _ in pieces)

    def _word(self, kind: str, original: str) -> str:
        taken = sum(known == kind for known, _ in self._words)
        return self._words.setdefault((kind, original), f"[{kind}_{letters(taken)}]")


def _split(pieces: Pieces, pattern: Pattern[str], word: Callable[[re.Match[str]], str]) -> Pieces:
    """Replaces every hit in the pieces that are still the text's own."""
    done: Pieces = []
    for piece, ours in pieces:
        if ours:
            done.append((piece, True))
            continue
        end = 0
        for hit in pattern.finditer(piece):
            done += [(piece[end : hit.start()], False), (word(hit), True)]
            end = hit.end()
        done.append((piece[end:], False))
    return done


@lru_cache(maxsize=512)
def _pattern(spellings: tuple[str, ...]) -> Pattern[str]:
    if not spellings:
        return re.compile(r"(?!)")
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(_spelled(spelling) for spelling in longest_first))


def _spelled(spelling: str) -> str:
    body = r"[\s./\-]?".join(re.escape(part) for part in _parts(spelling))
    if len(spelling) >= _LETTERS_MIN:
        body = f"(?i:{body})"
    return rf"(?:\$(?i:{body})|(?<![A-Za-z0-9]){body})(?![A-Za-z0-9])"


def _parts(spelling: str) -> list[str]:
    return [part for part in _JOINTS.split(spelling) if part] or [spelling]


@lru_cache(maxsize=10_000)
def _start(spelling: str) -> str:
    """What stands in any text that the spelling stands in."""
    return _parts(spelling)[0].casefold()


def _squeezed(spelling: str) -> str:
    return _JOINTS.sub("", spelling).casefold()


@lru_cache(maxsize=10_000)
def _spelling(name: str) -> str:
    return _plain(name)


def _plain(text: str) -> str:
    """One spelling for one word: compatibility forms resolved, invisible characters gone, control characters as spaces."""
    normal = unicodedata.normalize("NFKC", text)
    kept = (" " if unicodedata.category(c) == "Cc" else c for c in normal if unicodedata.category(c) != "Cf")
    return "".join(kept)
