"""Subjects whose use of memory is known: one that remembers, one that reads its inputs, one that does either as a coin falls.

The leak check must tell them apart; what it says about a model is worth as much as what it says about these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel

from trading_assets.core.ids import digest
from trading_assets.reasoning.model import In, Out, Role
from trading_assets.reasoning.probes import Case, Direction, RecallQuestion, TrendInputs

_MOVES = 10
Said = Literal["up", "down", "unknown"]


class Memoriser:
    """Knows the outcome of every case by its symbol and session, and guesses by a coin where it does not recognise them."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._outcomes: Mapping[tuple[str, date], Direction] = {
            (case.inputs.symbol, case.inputs.session): case.outcome for case in cases
        }

    def __call__(self, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        """An answer for each question of a probe."""
        return [_said(role, self.direction(question)) for question in questions]

    def direction(self, question: BaseModel) -> Said:
        """From memory, whatever the prices are."""
        if isinstance(question, TrendInputs):
            return self._outcomes.get((question.symbol, question.session)) or _coin("guess", question)
        if isinstance(question, RecallQuestion):
            return self._outcomes.get((question.symbol, question.session), "unknown")
        return "unknown"


class Reasoner:
    """Goes with the last ten moves, and remembers nothing."""

    def __call__(self, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        """An answer for each question of a probe."""
        return [_said(role, self.direction(question)) for question in questions]

    def direction(self, question: BaseModel) -> Said:
        """From the prices, whatever the name is."""
        if not isinstance(question, TrendInputs):
            return "unknown"
        before = question.closes[max(0, len(question.closes) - 1 - _MOVES)]
        return "up" if question.closes[-1] > before else "down"


class Mixture:
    """Remembers or reads as a coin falls, anew for each question."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._memoriser, self._reasoner = Memoriser(cases), Reasoner()

    def __call__(self, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        """An answer for each question of a probe."""
        return [_said(role, self.direction(question)) for question in questions]

    def direction(self, question: BaseModel) -> Said:
        """From memory or from the prices."""
        member = self._memoriser if _coin("which", question) == "up" else self._reasoner
        return member.direction(question)


def _said(role: Role[In, Out], direction: Said) -> Out:
    return role.output.model_validate({"direction": direction, "confidence": 0.0 if direction == "unknown" else 0.7})


def _coin(salt: str, question: BaseModel) -> Direction:
    """The same side for the same question, on every machine."""
    return "up" if int(digest(salt, question.model_dump_json())[0], 16) % 2 else "down"
