"""From facts to the analysts' questions, and from their answers back to briefs whose evidence is rows of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from trading_assets.briefs.facts import Facts, Row, SymbolFacts, numbers
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.roles import (
    BreadthInputs,
    Opinion,
    PriceReading,
    Reading,
    TechnicalInputs,
    View,
    uncited,
)
from trading_assets.briefs.rules import breadth_opinion, technical_opinion
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.reasoning.model import Answer, Leakage, Role
from trading_assets.regimes.model import MARKET, REGIME_LABELS

PRICES = (
    *("close", "sma_50", "sma_200", "bb_lower_20_2", "bb_upper_20_2"),
    *("macd_histogram_12_26_9", "atr_14", "high_252", "low_252"),
)
RATIOS = ("rsi_14", "adx_14", "mom_252_21", "vol_20")
PARTICIPATION = ("advances", "declines", "above_sma_50_share", "above_sma_200_share")
RULES = "rules"
TECHNICAL = Role("technical-analyst", TechnicalInputs, Opinion, technical_opinion, uncited)
BREADTH_ROLE = Role("breadth-analyst", BreadthInputs, Opinion, breadth_opinion, uncited)
Inputs = TechnicalInputs | BreadthInputs


@dataclass(frozen=True, slots=True)
class Question:
    """What one analyst is asked about one symbol, and where each id that it may cite stands in the lake."""

    agent: str
    symbol: str
    as_of: datetime
    inputs: Inputs
    citations: Mapping[str, Evidence]


def questions_at(facts: Facts) -> tuple[Question, ...]:
    """The questions that the facts allow: technical for each symbol with indicators, breadth for the market."""
    technical = (_technical(symbol, facts.as_of) for _, symbol in sorted(facts.symbols.items()))
    return tuple(question for question in (*technical, _breadth(facts)) if question is not None)


def role_of(question: Question) -> Role[Any, Opinion]:
    """Who is asked the question."""
    return TECHNICAL if isinstance(question.inputs, TechnicalInputs) else BREADTH_ROLE


def brief_of(question: Question, answer: Answer[Opinion]) -> Brief:
    """The answer as a brief; its citations become rows of the lake with the values that stand there."""
    return _brief(question, answer.value, answer.route, answer.model, answer.leakage, answer.key)


def rules_briefs(facts: Facts) -> tuple[Brief, ...]:
    """What the rules members alone say of the facts."""
    said = ((question, _by_rules(question.inputs)) for question in questions_at(facts))
    return tuple(_brief(question, opinion, RULES, "", "clean", "") for question, opinion in said if opinion)


def _by_rules(inputs: Inputs) -> Opinion | None:
    return technical_opinion(inputs) if isinstance(inputs, TechnicalInputs) else breadth_opinion(inputs)


def _brief(question: Question, opinion: Opinion, route: str, model: str, leakage: Leakage, key: str) -> Brief:
    return Brief(
        agent=question.agent,
        symbol=question.symbol,
        as_of=question.as_of,
        signal=opinion.signal,
        confidence=opinion.confidence,
        reasons=opinion.reasons,
        evidence=tuple(question.citations[id_] for id_ in opinion.evidence),
        route=route,
        model=model,
        leakage=leakage,
        answer_key=key,
    )


def _technical(facts: SymbolFacts, as_of: datetime) -> Question | None:
    prices = [PriceReading(**row) for row in _readings("p", PRICES, INDICATORS.name, facts.session, facts.indicators)]
    ratios = [Reading(**row) for row in _readings("r", RATIOS, INDICATORS.name, facts.session, facts.indicators)]
    if not prices and not ratios:
        return None
    given: tuple[PriceReading | Reading, ...] = (*prices, *ratios)
    citations = {r.id: _cite(r.table, facts.session, facts.symbol, r.column, r.value) for r in given}
    view = View(id="v1", name=facts.view) if facts.regime else None
    if view:
        citations[view.id] = _cite(REGIME_LABELS.name, facts.session, facts.symbol, "strategy_view", view.name)
    inputs = TechnicalInputs(
        symbol=facts.symbol, session=facts.session, view=view, prices=tuple(prices), readings=tuple(ratios)
    )
    return Question("technical", facts.symbol, as_of, inputs, citations)


def _breadth(facts: Facts) -> Question | None:
    if facts.breadth is None or facts.session is None:
        return None
    rows = _readings("r", PARTICIPATION, BREADTH.name, facts.session, facts.breadth)
    readings = tuple(Reading(**row) for row in rows)
    if not readings:
        return None
    citations = {r.id: _cite(r.table, facts.session, MARKET, r.column, r.value) for r in readings}
    inputs = BreadthInputs(session=facts.session, readings=readings)
    return Question("breadth", MARKET, facts.as_of, inputs, citations)


def _readings(letter: str, columns: Sequence[str], table: str, session: date, row: Row) -> Iterator[dict[str, Any]]:
    """The known columns of a row; an id belongs to a column, whether or not the others are known."""
    for position, column in enumerate(columns, 1):
        known = numbers(row, column)
        if known is not None:
            yield {
                "id": f"{letter}{position}",
                "table": table,
                "column": column,
                "session": session,
                "value": known[column],
            }


def _cite(table: str, session: date, symbol: str, column: str, value: float | str) -> Evidence:
    return Evidence(table=table, session=session, symbol=symbol, column=column, value=value)
