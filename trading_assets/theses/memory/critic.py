"""The critic: reads the report card of a closed trade and says what is to be learned from it.

It sees the decision and its outcome as fractions and multiples of the planned risk, never whose trade it was, when, or at which
price. The card is made by code; the critic may move its grade by one step, because judging has room, and counting has not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.theses.memory.model import Grade, Lesson

SENTENCE_MAX = 240
SENTENCES_MAX = 4
GRADES: tuple[Grade, ...] = ("A", "B", "C", "D", "F")
_END = re.compile(r"(?<=[.!?])\s+")
# Days, prices and stand-ins for symbols: a lesson that needs one of them is no lesson but an anecdote.
_ANECDOTE = re.compile(
    r"\d{4}-\d{2}|\b(?:19|20)\d{2}\b|[$€£¥]\s?\d|\bUSD\b|\bASSET_[A-Z]+\b|\[[A-Z]+_[A-Z]+\]"
    r"|(?i:\b(?:january|february|april|june|july|august|september|october|november|december)\b)"
)


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PersonaVote(_Words):
    """What one persona said of the plan: -1 (against) to 1 (for)."""

    persona: str
    vote: Annotated[float, Field(ge=-1, le=1)]


class CriticInputs(_Words):
    """One closed trade without its name, its days and its prices."""

    direction: Literal["long", "short"]
    strategy: str
    regime: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    votes: tuple[PersonaVote, ...]
    sessions_held: Annotated[int, Field(ge=1)]
    exit_reason: str
    return_fraction: float
    r_multiple: float | None
    card_grade: Grade
    card: Annotated[tuple[str, ...], Field(min_length=1)]


Sentence = Annotated[str, Field(min_length=1, max_length=SENTENCE_MAX)]


class Critique(_Words):
    """The critic's answer: the grade of the decision, and what is to be learned."""

    grade: Grade
    sentences: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=SENTENCES_MAX)]


def complaint(inputs: CriticInputs, answer: Critique) -> str | None:
    """What is wrong with a critique; None when nothing is."""
    if abs(GRADES.index(answer.grade) - GRADES.index(inputs.card_grade)) > 1:
        return f"grade must be at most one step from the card's {inputs.card_grade}"
    anecdote = next((hit.group() for text in answer.sentences if (hit := _ANECDOTE.search(text))), None)
    return f"a lesson names no day, price or asset, and this one says {anecdote}" if anecdote else None


def rules_critique(inputs: CriticInputs) -> Critique:
    """The rules member: the card itself."""
    sentences = tuple(sentence[:SENTENCE_MAX] for sentence in inputs.card[:SENTENCES_MAX])
    return Critique(grade=inputs.card_grade, sentences=sentences)


CRITIC = Role("critic", CriticInputs, Critique, rules_critique, complaint, panel=True)


def critic_asks(
    lessons: Sequence[Lesson], *, budget: Budget, as_of: datetime
) -> tuple[Ask[CriticInputs, Critique], ...]:
    """One question for each report card, in their order."""
    return tuple(Ask(CRITIC, critic_inputs(lesson), budget, as_of) for lesson in lessons)


def critic_inputs(lesson: Lesson) -> CriticInputs:
    """What the critic sees of a report card."""
    return CriticInputs(
        direction=lesson.direction,
        strategy=lesson.strategy,
        regime=lesson.regime,
        confidence=lesson.confidence,
        votes=tuple(PersonaVote(persona=name, vote=vote) for name, vote in sorted(lesson.votes.items())),
        sessions_held=lesson.sessions_held,
        exit_reason=lesson.exit_reason,
        return_fraction=lesson.return_fraction,
        r_multiple=lesson.r_multiple,
        card_grade=lesson.grade,
        card=tuple(_END.split(lesson.lesson)),
    )


def with_critic(lesson: Lesson, answer: Answer[Critique] | Abstention) -> Lesson:
    """The card as the critic leaves it; the card itself where nobody answered."""
    if isinstance(answer, Abstention):
        return lesson
    return lesson.model_copy(
        update={
            "grade": answer.value.grade,
            "lesson": " ".join(answer.value.sentences),
            "author": answer.route,
            "model": answer.model,
            "leakage": answer.leakage,
            "answer_key": answer.key,
        }
    )
