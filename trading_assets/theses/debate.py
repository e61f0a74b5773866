"""The debate: a bull and a bear argue over one closed set of evidence, and each point cites what it rests on.

A strength of 0 says that there is no case. A side that does not answer has no case on any symbol, and a symbol that only one side
spoke on counts as not debated: `balance` is then unknown, which opens nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from trading_assets.briefs.fact_check import Mismatch, check_all
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.briefs.roles import ReadingId, Sentence
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.reasoning.origin import origin_of
from trading_assets.theses.council_evidence import Citations, DebateInputs, Dossier, Testimony, evidence_on
from trading_assets.theses.council_words import (
    MARKET_SHARE,
    RULES_STRENGTH_MAX,
    Named,
    Row,
    Share,
    Words,
    always_sure,
    one_each,
    sentence,
)
from trading_assets.theses.model import Case

Side = Literal["bull", "bear"]
POINTS_MAX = 3
CITED_MAX = 6
SYMBOLS_MAX = 50


class Point(Words):
    """One sentence of a case and the ids that it rests on."""

    says: Sentence
    evidence: Annotated[tuple[ReadingId, ...], Field(min_length=1, max_length=CITED_MAX)]


class Argument(Words):
    """One side's case on one symbol; no case is a strength of 0 without points."""

    symbol: Named
    strength: Share
    points: Annotated[tuple[Point, ...], Field(max_length=POINTS_MAX)]


class Arguments(Words):
    """One side's cases, one for each symbol of the question."""

    arguments: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=SYMBOLS_MAX)]


@dataclass(frozen=True, slots=True)
class DebateAsk(Ask[DebateInputs, Arguments]):
    """One side's question with what it does not show: the rows of the lake behind each id."""

    citations: Citations = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArguedCase:
    """A case as it is kept: `citations` are the rows of the lake behind its evidence, which the fact check reads again.

    `case.evidence` are ids of the question; a case that comes from its row has lost them, and its citations stand for them.
    """

    case: Case
    citations: tuple[Evidence, ...]


def complaint(inputs: DebateInputs, answer: Arguments) -> str | None:
    """What is wrong with one side's answer: a symbol, a citation, a contradiction, or a full score for everything."""
    dossiers = {dossier.symbol: dossier for dossier in inputs.dossiers}
    said = one_each([argument.symbol for argument in answer.arguments], dossiers, what="symbol")
    said = said or always_sure([argument.strength for argument in answer.arguments], what="strength")
    if said:
        return said
    each = (_complaint(dossiers[argument.symbol], argument, inputs.market_ids) for argument in answer.arguments)
    return next((found for found in each if found), None)


def _complaint(dossier: Dossier, argument: Argument, market_ids: frozenset[str]) -> str | None:
    if (argument.strength > 0) != bool(argument.points):
        return f"{dossier.symbol}: a strength above 0 needs points, and a strength of 0 has none"
    foreign = sorted({id_ for point in argument.points for id_ in point.evidence} - dossier.ids - market_ids)
    return f"{dossier.symbol}: evidence {', '.join(foreign)} was not given for it" if foreign else None


def bull_case(inputs: DebateInputs) -> Arguments | None:
    """The rules member that argues for; None where no symbol is given."""
    return _arguments(inputs, 1.0, "up")


def bear_case(inputs: DebateInputs) -> Arguments | None:
    """The rules member that argues against; None where no symbol is given."""
    return _arguments(inputs, -1.0, "down")


BULL = Role("bull-researcher", DebateInputs, Arguments, bull_case, complaint)
BEAR = Role("bear-researcher", DebateInputs, Arguments, bear_case, complaint)
_SIDES: Mapping[str, Side] = {BULL.skill: "bull", BEAR.skill: "bear"}


def debate_asks(
    facts: Facts,
    briefs: Sequence[Brief],
    narratives: Sequence[Narrative],
    symbols: Sequence[str],
    *,
    budget: Budget,
    as_of: datetime,
) -> tuple[DebateAsk, DebateAsk]:
    """The bull's question and the bear's about the symbols that the facts know; both are given the same."""
    inputs, citations = evidence_on(facts, briefs, narratives, symbols)
    return DebateAsk(BULL, inputs, budget, as_of, citations), DebateAsk(BEAR, inputs, budget, as_of, citations)


def cases_of(ask: DebateAsk, answer: Answer[Arguments] | Abstention) -> tuple[ArguedCase, ...]:
    """One side's cases with the rows that they rest on, each row once; none from who did not answer."""
    if isinstance(answer, Abstention):
        return ()
    cases = (_case(argument, _SIDES[ask.role.skill], answer) for argument in answer.value.arguments)
    return tuple(ArguedCase(case, _rows_behind(case.evidence, ask.citations)) for case in cases)


def balance(cases: Sequence[Case], symbol: str) -> float | None:
    """The bull's strength less the bear's, -1 to 1; None unless both spoke on the symbol."""
    strengths = {case.side: case.strength for case in cases if case.symbol == symbol}
    return strengths["bull"] - strengths["bear"] if len(strengths) == len(_SIDES) else None


def checked_cases(cases: Sequence[ArguedCase], facts: Facts) -> tuple[tuple[ArguedCase, ...], tuple[Mismatch, ...]]:
    """The cases whose every citation still stands in the facts, and what is wrong with the others."""
    found = [(argued, check_all(argued.citations, facts)) for argued in cases]
    kept = tuple(argued for argued, wrong in found if wrong is None)
    return kept, tuple(Mismatch(argued.case.side, argued.case.symbol, wrong) for argued, wrong in found if wrong)


def case_rows(cases: Sequence[ArguedCase], session: date, *, as_of: datetime) -> list[dict[str, object]]:
    """The cases as rows of DEBATES for the session that they serve; `as_of` is when they were argued."""
    return [
        {
            "session": session,
            **argued.case.model_dump(exclude={"points", "evidence"}),
            "points": json.dumps(argued.case.points, ensure_ascii=False),
            "evidence": json.dumps([row.model_dump(mode="json") for row in argued.citations], ensure_ascii=False),
            "knowable_at": as_of,
        }
        for argued in cases
    ]


def cases_from_rows(rows: Sequence[Row]) -> tuple[ArguedCase, ...]:
    """The inverse of `case_rows`, but for the ids of the question, which no row keeps."""
    return tuple(
        ArguedCase(
            Case(
                symbol=row["symbol"],
                side=row["side"],
                strength=row["strength"],
                points=tuple(json.loads(row["points"])),
                evidence=(),
                route=row["route"],
                model=row["model"],
                leakage=row["leakage"],
                answer_key=row["answer_key"],
            ),
            tuple(Evidence.model_validate(item) for item in json.loads(row["evidence"])),
        )
        for row in rows
    )


def _case(argument: Argument, side: Side, answer: Answer[Arguments]) -> Case:
    return Case(
        symbol=argument.symbol,
        side=side,
        strength=round(argument.strength, 6),
        points=tuple(point.says for point in argument.points),
        evidence=tuple(dict.fromkeys(id_ for point in argument.points for id_ in point.evidence)),
        **origin_of(answer),
    )


def _rows_behind(ids: Sequence[str], citations: Citations) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(row for id_ in ids for row in citations[id_]))


def _arguments(inputs: DebateInputs, sign: float, word: str) -> Arguments | None:
    if not inputs.dossiers:
        return None
    return Arguments(arguments=tuple(_argument(dossier, inputs.market, sign, word) for dossier in inputs.dossiers))


def _argument(dossier: Dossier, market: Sequence[Testimony], sign: float, word: str) -> Argument:
    """Strength is the confidence-weighted mean of what leans this way: the bull's less the bear's is the mean signal."""
    heard = [(brief, 1.0) for brief in dossier.briefs] + [(brief, MARKET_SHARE) for brief in market]
    total = sum(share * brief.confidence for brief, share in heard)
    leaning = [(share * brief.confidence * sign * brief.signal, brief) for brief, share in heard]
    leaning = sorted((one for one in leaning if one[0] > 0), key=lambda one: (-one[0], one[1].ids))
    strength = round(min(sum(weight for weight, _ in leaning) / total, RULES_STRENGTH_MAX), 6) if total else 0.0
    points = tuple(_point(brief, word) for _, brief in leaning[:POINTS_MAX]) if strength else ()
    return Argument(symbol=dossier.symbol, strength=strength, points=points)


def _point(brief: Testimony, word: str) -> Point:
    says = sentence(f"{brief.source} leans {word}: signal {brief.signal:+.2f} at confidence {brief.confidence:.2f}.")
    return Point(says=says, evidence=brief.ids[:CITED_MAX])
