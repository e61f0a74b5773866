"""Words that look like a ticker and are not: letters of other alphabets in the shape of Latin ones, digits in place of letters.

The table holds the letters of other alphabets that a reader takes for Latin ones in common fonts. It was made for tickers, so it
errs towards a flag: a flag is shown beside the text and changes nothing in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

# Written as code points: in an editor the letters could not be told apart, which is the point of them.
_TWINS = (
    (
        "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421"
        "\u0422\u0425\u04ae\u050c\u051a\u051c\u0474",
        "ABESIJKMHOPCTXYGQWV",
    ),  # Cyrillic capitals
    (
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u0475\u0461\u051b\u051d\u0581",
        "aeopcyxijshdvwqwg",
    ),  # Cyrillic small letters
    (
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u037f",
        "ABEZHIKMNOPTYXCJ",
    ),  # Greek capitals
    ("\u03bf\u03bd\u03b9\u03f2\u03f3", "ovicj"),  # Greek small letters
    ("\u054f\u054d\u0555\u053c\u0585\u057d\u0570\u0578\u0566", "SUOLouhnq"),  # Armenian
    (
        "\u13aa\u13f4\u13df\u13a0\u13ac\u13c0\u13bb\u13a5\u13ab\u13e6\u13de\u13b7"
        "\u13e2\u13a1\u13da\u13a2\u13d9\u13d4\u13b3\u13c3\u13a9",
        "ABCDEGHiJKLMPRSTVWWZY",
    ),  # Cherokee
    (
        "\ua4d0\ua4d1\ua4d3\ua4d4\ua4d6\ua4d7\ua4d9\ua4da\ua4dc\ua4dd\ua4df\ua4e0"
        "\ua4e1\ua4e2\ua4e3\ua4e6\ua4e7\ua4ea\ua4eb\ua4ec\ua4ee\ua4f0\ua4f2\ua4f3"
        "\ua4f4",
        "BPDTGKJCZFMNLSRVHWXYAEIOU",
    ),  # Lisu
    (
        "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f"
        "\u1d0d\u0274\u1d0f\u1d18\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
        "ABCDEFGHIJKLMNOPRSTUVWYZ",
    ),  # Latin small capitals
    ("\u0131\u0261\u0251", "iga"),  # Latin variants
    (
        "\u2c80\u2c82\u2ca4\u2c88\u2c8e\u2c92\u2c94\u2c98\u2c9a\u2c9e\u2ca2\u2ca6\u2ca8\u2cac",
        "ABCEHIKMNOPTYX",
    ),  # Coptic
)
_SHAPE = {ord(theirs): latin for alphabet, shapes in _TWINS for theirs, latin in zip(alphabet, shapes, strict=True)}
_ALPHABETS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "LISU", "COPTIC", "LATIN LETTER SMALL CAPITAL")
# Not the dotless i: Turkish writes it beside plain Latin letters.
_LATIN_VARIANTS = "\u0261\u0251"
_DIGITS = (str.maketrans("0158", "OISB"), str.maketrans("0158", "OLSB"))
# Scripts that write words without spaces: a ticker stands inside them like a word of its own.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W_]+")
_TICKER_LETTERS = range(2, 6)


def look_alikes(text: str, symbols: Collection[str] = ()) -> tuple[str, ...]:
    """What the imitating words of a text imitate, sorted; `symbols` are the tickers that the question is about.

    A word counts when it mixes Latin letters with those of another alphabet, when it is foreign letters in the shape of two to five
    Latin capitals, or when it turns into one of the symbols once digits or accents are read as letters.
    """
    if text.isascii() and not symbols:
        return ()
    words = {word for word in _WORD.findall(_UNSPACED.sub(" ", text)) if len(word) > 1}
    return tuple(sorted({read for word in words if (read := _imitated(word, frozenset(symbols)))}))


def _imitated(word: str, symbols: frozenset[str]) -> str:
    """The Latin word that the word passes for, or empty."""
    if word.isascii():
        read = {word.upper().translate(digits) for digits in _DIGITS}
        return min(read & symbols, default="") if word.upper() not in symbols else ""
    shape = unicodedata.normalize("NFKC", word).translate(_SHAPE)
    if any(map(_latin, word)) and any(map(_foreign, word)):
        return shape
    if shape.isascii() and shape.isupper() and len(shape) in _TICKER_LETTERS:
        return shape
    bare = "".join(c for c in unicodedata.normalize("NFD", shape) if not unicodedata.combining(c)).upper()
    return bare if bare in symbols else ""


def _latin(character: str) -> bool:
    return character.isascii() and character.isalpha()


@lru_cache(maxsize=4096)
def _foreign(character: str) -> bool:
    return character in _LATIN_VARIANTS or unicodedata.name(character, "").startswith(_ALPHABETS)
