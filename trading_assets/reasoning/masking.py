"""A question without the names, days and price levels by which a model could recognise the past; the key never enters the question.

Masking changes what is marked (`reasoning/marks.py`) and what is a date or an instant by its type. Everything else stays, and is
searched: a symbol or a date that stands in an unmarked field is an error, not a leak. Volumes, counts and ratios are not hidden.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Generic

from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.fields import Kind, Leaf, Scope, leaves, rebuilt
from trading_assets.reasoning.mask_days import ANCHOR, SessionLine
from trading_assets.reasoning.mask_levels import Rebased
from trading_assets.reasoning.mask_text import OURS, HiddenText, Names
from trading_assets.reasoning.model import In, Out

Aliases = Mapping[str, Sequence[str]]
_DATED = re.compile(r"\b(?:19|20|21)\d{2}-\d{2}(?:-\d{2})?\b")
_WORDS_OF_ANSWERS = re.compile(
    rf"{OURS.pattern}|\b\d{{4}}-\d{{2}}-\d{{2}}\b|(?<![\d.,+\-])\d+\.\d+(?![\d%]|\.\d|\s?(?:%|percent))"
)
_DIGITS_MIN = 3


class AnswerNotOfTheQuestion(PermanentFailure):
    """An answer to a masked question names an asset or a level's owner that the question does not have."""


@dataclass(frozen=True)
class _Key:
    """The way back."""

    names: Names
    days: SessionLine
    levels: Mapping[Scope, Rebased]
    given: Mapping[tuple[str, float | Decimal], float | Decimal]
    texts: HiddenText
    written: Mapping[str, float | Decimal]


@dataclass(frozen=True)
class Masked(Generic[In]):
    """A question as a model may see it, and the way back, which its representation does not show."""

    inputs: In
    _key: _Key = field(repr=False, compare=False)

    def unmask(self, output: Out) -> Out:
        """The answer in real symbols, days and levels; the question itself comes back exactly as it was.

        In unmarked text our words become what they stood for, days of the question and numbers that are one of its rebased levels
        (with a point and three digits, and not a percentage) become the real ones; other numbers stay as the model wrote them.

        Raises:
            AnswerNotOfTheQuestion: A symbol of the answer is none of the question's.
            ConfigurationError: The answer's type has a field that lacks its mark.
        """
        complaint = self.complaint(output)
        if complaint is not None:
            raise AnswerNotOfTheQuestion(complaint)

        def back(kind: Kind, value: Any, scope: Scope, path: str) -> Any:
            # Two levels of the question may look alike; in the question itself each place remembers its own.
            own = self._key.given.get((path, value)) if kind == "level" else None
            return self._back(kind, value, scope) if own is None else own

        return rebuilt(output, back)

    def complaint(self, output: Out) -> str | None:
        """What makes the answer none to this question, in words that may be shown to the model; None when all is well."""
        for kind, value, scope, path in leaves(output):
            if kind == "symbol" and self._key.names.symbol(value) is None:
                return f"{path} names {value}, which was not in the question"
            if kind == "level" and self._rebased(scope) is None:
                return f"{path} is a level of no asset of the question"
        return None

    def _back(self, kind: Kind, value: Any, scope: Scope) -> Any:
        key = self._key
        if kind == "symbol":
            return key.names.symbol(value)
        if kind == "level":
            rebased = self._rebased(scope)
            return value if rebased is None else rebased.show(value)
        if kind == "day":
            return key.days.show(value)
        if kind == "instant":
            return key.days.show_instant(value)
        if kind in ("words", "untrusted"):
            whole = key.texts.show(value)
            return _WORDS_OF_ANSWERS.sub(self._word_back, value) if whole is None else whole
        return value

    def _rebased(self, scope: Scope) -> Rebased | None:
        """The scale of the nearest asset; an answer that names none has that of the question's only one."""
        own = self._key.levels.get(scope)
        return (
            next(iter(self._key.levels.values())) if own is None and not scope and len(self._key.levels) == 1 else own
        )

    def _word_back(self, hit: re.Match[str]) -> str:
        word = hit.group()
        known = self._key.texts.show_word(word)
        if known is not None:
            return known
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
            return _day_back(self._key.days, word)
        level = self._key.written.get(repr(float(word))) if word[0].isdigit() else None
        return word if level is None or len(word) <= _DIGITS_MIN else _amount(level)


def mask(inputs: In, *, aliases: Aliases | None = None) -> Masked[In]:
    """The question with its symbols, days, levels and foreign text masked; valid, and of the same type.

    Symbols become ASSET_A, ASSET_B, … in order of appearance; the newest day becomes the same day in every question, and older days
    stand one day before it for each session between; the first level of each asset becomes 100.

    Args:
        inputs: The typed question.
        aliases: Other names of companies by symbol, looked for in foreign text; names that are not given are not found.

    Raises:
        ConfigurationError: A field lacks its mark, or the type cannot hold its masked values.
        PermanentFailure: A symbol or a date stands in an unmarked field, or a level is not finite.
    """
    found = leaves(inputs)
    names = Names(aliases or {})
    for kind, value, _, _ in found:
        if kind == "symbol":
            names.label(value)
    days = SessionLine(_values(found, "day"), _values(found, "instant"))
    levels = {scope: Rebased(values) for scope, values in _levels(found, names).items()}
    texts = HiddenText(names)
    _search(found, names)
    for words in _values(found, "words"):
        texts.keep(words)

    given: dict[tuple[str, float | Decimal], float | Decimal] = {}

    def hide(kind: Kind, value: Any, scope: Scope, path: str) -> Any:
        if kind == "symbol":
            return names.label(value)
        if kind == "level":
            hidden = levels[_labels(scope, names)].hide(value)
            given[path, hidden] = value
            return hidden
        if kind == "untrusted":
            return texts.hide(value)
        if kind == "day":
            return days.hide(value)
        if kind == "instant":
            return days.hide_instant(value)
        return value

    masked = rebuilt(inputs, hide)
    return Masked(masked, _Key(names, days, levels, given, texts, _written(levels, found)))


def _values(found: Sequence[Leaf], wanted: Kind) -> list[Any]:
    return [value for kind, value, _, _ in found if kind == wanted]


def _labels(scope: Scope, names: Names) -> Scope:
    return tuple(names.label(symbol) for symbol in scope)


def _levels(found: Iterable[Leaf], names: Names) -> Mapping[Scope, list[float | Decimal]]:
    levels: dict[Scope, list[float | Decimal]] = {}
    for kind, value, scope, _ in found:
        if kind == "level":
            levels.setdefault(_labels(scope, names), []).append(value)
    return levels


def _search(found: Iterable[Leaf], names: Names) -> None:
    """Refuses unmarked words that hold what the marked fields hide."""
    for kind, value, _, path in found:
        if kind != "words":
            continue
        named = names.written_in(value) or next(
            (hit.group() for hit in (_DATED.search(value), OURS.search(value)) if hit), None
        )
        if named is not None:
            raise PermanentFailure(
                f"{path} is not marked and says what masking hides",
                value=named,
                hint="mark the field, or leave the words out",
            )


def _written(levels: Mapping[Scope, Rebased], found: Iterable[Leaf]) -> Mapping[str, float | Decimal]:
    """Rebased levels as a sentence may quote them; a number that is also something else in the question is left out."""
    others = {repr(float(value)) for kind, value, _, _ in found if kind == "other" and isinstance(value, float)}
    pairs = [pair for rebased in levels.values() for pair in rebased.written]
    times = Counter(written for written, _ in pairs)
    return {written: level for written, level in pairs if times[written] == 1 and written not in others}


def _amount(level: float | Decimal) -> str:
    return f"{level:.2f}" if abs(float(level)) >= 1 else f"{level:.4g}"


def _day_back(days: SessionLine, word: str) -> str:
    try:
        hidden = date.fromisoformat(word)
    except ValueError:
        return word
    return days.show(hidden).isoformat() if days.knows(hidden) or hidden >= ANCHOR else word
