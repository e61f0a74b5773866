"""From an answer to a narrative, and from a narrative to the brief that it makes: the same code for every route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from trading_assets.briefs.inputs import Question
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.model import Edge, Narrative
from trading_assets.briefs.narratives.roles import NarrativeCall, NarrativeInputs
from trading_assets.reasoning.model import Answer, Leakage
from trading_assets.reasoning.origin import origin_of

# How much of a story's direction is left to act on.
_LEFT: Mapping[Edge, float] = {"high": 1.0, "medium": 0.7, "low": 0.3, "none": 0.0}
_SURE, _SURE_BY_SOURCES = 0.4, 0.4


def narrative_of(question: Question, answer: Answer[Any]) -> Narrative:
    """The judgement with what code has counted; its citations become rows of the lake."""
    inputs, call = question.inputs, answer.value
    if not isinstance(inputs, NarrativeInputs) or not isinstance(call, NarrativeCall):
        raise TypeError(f"this is no narrative: {type(inputs).__name__}, {type(call).__name__}")
    return Narrative(
        session=inputs.session,
        as_of=question.as_of,
        symbol=question.symbol,
        story=call.story,
        counter_story=call.counter_story,
        stage=call.stage,
        velocity=inputs.velocity,
        direction=round(call.direction, 6),
        consensus=round(call.consensus, 6),
        source_diversity=inputs.source_diversity,
        edge=call.edge,
        items=inputs.recent + inputs.earlier,
        evidence=question.cited(call.evidence),
        **origin_of(answer),
    )


def brief_of_narrative(narrative: Narrative, *, agent: str = "narrative") -> Brief:
    """The narrative as a brief: its direction as far as there is an edge, surer the more its items agree and its sources differ."""
    left = _LEFT[narrative.edge]
    sure = narrative.consensus * (_SURE + _SURE_BY_SOURCES * narrative.source_diversity)
    against = (f"against it: {narrative.counter_story}"[:240],) if narrative.counter_story else ()
    said = f"{narrative.stage}, edge {narrative.edge}, attention {narrative.velocity:+.2f}"
    return Brief(
        agent=agent,
        symbol=narrative.symbol,
        as_of=narrative.as_of,
        signal=round(narrative.direction * left, 6) if left else 0.0,
        confidence=round(sure, 6),
        reasons=(said, narrative.story, *against),
        evidence=narrative.evidence,
        route=narrative.route,
        model=narrative.model,
        leakage=cast("Leakage", narrative.leakage),
        answer_key=narrative.answer_key,
    )
