"""What the record says of the thinking: live theses, how well their sources were calibrated, what the personas earned, lessons."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from trading_assets.theses.model import Mind

LESSONS_SHOWN = 8
_WHOLE = "thesis"


@dataclass(frozen=True, slots=True)
class ThesisLine:
    """A thesis that lives, USD in today's share count."""

    symbol: str
    direction: str
    status: str
    confidence: float
    formed: date
    expires: date
    target: Decimal
    invalidation: Decimal
    claim: str


@dataclass(frozen=True, slots=True)
class SourceLine:
    """How a source's probabilities compare with what came true. Brier 0 to 1, less is better; 0.25 is a coin."""

    source: str
    theses: int
    brier: float
    said_mean: float
    true_share: float


@dataclass(frozen=True, slots=True)
class PersonaLine:
    """A persona's record: its weight now, its votes, and the profit of closed trades times its vote, USD.

    Brier takes a vote of -1 to 1 as a probability of 0 to 1 that the trade wins; None before a trade closed.
    """

    persona: str
    weight: float
    votes: int
    would_enter: int
    attributed_usd: Decimal
    brier: float | None


@dataclass(frozen=True, slots=True)
class LessonLine:
    """What a closed trade taught."""

    session: date
    symbol: str
    strategy: str
    grade: str
    r_multiple: float | None
    lesson: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """The thinking's whole record."""

    theses: tuple[ThesisLine, ...] = ()
    sources: tuple[SourceLine, ...] = ()
    personas: tuple[PersonaLine, ...] = ()
    lessons: tuple[LessonLine, ...] = ()


def thinking_of(
    mind: Mind | None, scores: pl.DataFrame | None, votes: pl.DataFrame | None, lessons: pl.DataFrame | None
) -> Thinking:
    """From the newest mind and rows of THESIS_SCORES, VOTES and LESSONS; whatever is absent is simply not in it."""
    return Thinking(
        theses=_theses(mind) if mind else (),
        sources=_sources(scores) if scores is not None else (),
        personas=_personas(votes, lessons) if votes is not None else (),
        lessons=_lessons(lessons) if lessons is not None else (),
    )


def _theses(mind: Mind) -> tuple[ThesisLine, ...]:
    lines = (
        ThesisLine(
            symbol=thesis.symbol,
            direction=thesis.direction,
            status=thesis.status,
            confidence=thesis.confidence,
            formed=thesis.formed,
            expires=thesis.expires,
            target=thesis.target,
            invalidation=thesis.invalidation,
            claim=thesis.claim,
        )
        for thesis in mind.theses
    )
    return tuple(sorted(lines, key=lambda line: (-line.confidence, line.symbol, line.direction)))


def _sources(scores: pl.DataFrame) -> tuple[SourceLine, ...]:
    by_source = scores.group_by("source").agg(
        pl.len().alias("theses"),
        pl.col("brier").mean(),
        pl.col("probability").mean().alias("said_mean"),
        pl.col("came_true").mean().alias("true_share"),
    )
    lines = [SourceLine(**row) for row in by_source.rows(named=True)]
    return tuple(sorted(lines, key=lambda line: (line.source != _WHOLE, line.brier, line.source)))


def _personas(votes: pl.DataFrame, lessons: pl.DataFrame | None) -> tuple[PersonaLine, ...]:
    earned = _attributed(lessons) if lessons is not None else {}
    scored = _scored(lessons) if lessons is not None else {}
    by_persona = (
        votes.sort("session", "slot")
        .group_by("persona")
        .agg(
            pl.col("weight").last(),
            pl.len().alias("votes"),
            (pl.col("alone") == "enter").sum().alias("would_enter"),
        )
    )
    lines = [
        PersonaLine(**row, attributed_usd=earned.get(row["persona"], Decimal(0)), brier=scored.get(row["persona"]))
        for row in by_persona.rows(named=True)
    ]
    return tuple(sorted(lines, key=lambda line: (-line.attributed_usd, line.persona)))


def _attributed(lessons: pl.DataFrame) -> dict[str, Decimal]:
    earned: dict[str, Decimal] = {}
    for pnl, votes in lessons.select("pnl", "votes").iter_rows():
        for persona, vote in json.loads(votes).items():
            earned[persona] = earned.get(persona, Decimal(0)) + pnl * Decimal(str(vote))
    return {persona: round(usd, 2) for persona, usd in earned.items()}


def _scored(lessons: pl.DataFrame) -> dict[str, float]:
    """By persona, the mean of ((1 + vote) / 2 - won) squared."""
    errors: dict[str, list[float]] = {}
    for pnl, votes in lessons.select("pnl", "votes").iter_rows():
        for persona, vote in json.loads(votes).items():
            errors.setdefault(persona, []).append(((1 + vote) / 2 - (pnl > 0)) ** 2)
    return {persona: sum(each) / len(each) for persona, each in errors.items()}


def _lessons(lessons: pl.DataFrame) -> tuple[LessonLine, ...]:
    newest = lessons.sort("session", "lesson_id").tail(LESSONS_SHOWN)
    columns: Sequence[str] = ("session", "symbol", "strategy", "grade", "r_multiple", "lesson")
    return tuple(LessonLine(**row) for row in newest.select(columns).rows(named=True)[::-1])
