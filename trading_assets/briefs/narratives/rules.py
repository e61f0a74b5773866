"""The deterministic narrative: direction from a list of words, edge from stage, agreement and whether it is still a rumour.

There is an edge while a story is young, unconfirmed and not contradicted; none once everybody tells it. What has happened already
is in the price, or nearly: a report leaves little. The sentences hold words of the list and no text from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading_assets.briefs.lexicon import Told, read
from trading_assets.briefs.narratives.counting import near
from trading_assets.briefs.narratives.model import Edge, Stage
from trading_assets.briefs.narratives.roles import NarrativeCall, NarrativeInputs
from trading_assets.briefs.roles import SENTENCE_MAX, Headline, uncited

YOUNG: tuple[Stage, ...] = ("nascent", "emerging")
OVER: tuple[Stage, ...] = ("peak", "dead")
_AGREED, _DIVIDED = 0.8, 0.5
_CLEAR, _FLAT = 0.4, 0.2
_HALF_LIFE_DAYS = 3.0
_STRONG = 0.5
_CITED = 12


@dataclass(frozen=True, slots=True)
class _Item:
    headline: Headline
    told: Told
    weight: float

    @property
    def force(self) -> float:
        """What it adds to the direction."""
        return self.told.score * self.weight


def narrative_call(inputs: NarrativeInputs) -> NarrativeCall:
    """What the headlines tell together; a story without direction where no word of the list stands in them."""
    items = list(_items(inputs))
    scored = [item for item in items if item.told.score]
    size = sum(abs(item.force) for item in scored)
    total = sum(item.force for item in scored)
    direction = round(total / sum(item.weight for item in scored), 6) if scored else 0.0
    consensus = round(abs(total) / size, 6) if scored else 0.0
    side = [item for item in scored if item.told.score * direction > 0]
    against = [item for item in scored if item.told.score * direction < 0]
    cited = sorted(side or items, key=_strongest_first)[:_CITED]
    return NarrativeCall(
        story=_story(inputs, direction, side),
        counter_story=_counter_story(against),
        stage=inputs.stage_by_count,
        direction=direction,
        consensus=consensus,
        edge=_edge(inputs, direction, consensus, side),
        evidence=tuple(item.headline.id for item in cited),
    )


def narrative_complaint(inputs: NarrativeInputs, call: NarrativeCall) -> str | None:
    """The complaint about an answer that contradicts what was counted, itself, or the headlines that it cites; else None."""
    foreign = uncited(inputs, call)
    if foreign is not None:
        return foreign
    if not near(call.stage, inputs.stage_by_count):
        return f"stage {call.stage} contradicts the counts, which say {inputs.stage_by_count}: answer that or a stage next to it"
    if call.edge != "none" and (call.stage in OVER or abs(call.direction) < _FLAT):
        return f"edge {call.edge} needs a story that is neither at its peak nor dead, and a direction beyond {_FLAT}"
    if call.edge in ("high", "medium") and call.stage not in YOUNG:
        return f"edge {call.edge} needs stage nascent or emerging, not {call.stage}"
    return _against_its_evidence(inputs, call)


def _against_its_evidence(inputs: NarrativeInputs, call: NarrativeCall) -> str | None:
    scores = [read(h.text).score for h in inputs.headlines if h.id in call.evidence]
    known = [score for score in scores if score]
    if abs(call.direction) < _STRONG or not known or any(score * call.direction > 0 for score in known):
        return None
    return f"a direction of {call.direction:+.2f} contradicts its own evidence: {', '.join(call.evidence)} point the other way"


def _items(inputs: NarrativeInputs) -> Iterator[_Item]:
    for headline in inputs.headlines:
        age_days = max((inputs.session - headline.published).days, 0)
        yield _Item(headline, read(headline.text), 0.5 ** (age_days / _HALF_LIFE_DAYS))


def _strongest_first(item: _Item) -> tuple[float, str]:
    return -abs(item.force), item.headline.id


def _edge(inputs: NarrativeInputs, direction: float, consensus: float, side: Sequence[_Item]) -> Edge:
    """What is left to gain, by the rules above."""
    stage = inputs.stage_by_count
    if stage in OVER or abs(direction) < _FLAT or consensus < _DIVIDED:
        return "none"
    if stage not in YOUNG or not _unconfirmed(side) or consensus < _AGREED or abs(direction) < _CLEAR:
        return "low"
    return "high" if inputs.publishers > 1 else "medium"


def _unconfirmed(side: Sequence[_Item]) -> bool:
    """Whether a rumour is left that no report tells in the same words; a report on another matter confirms nothing."""
    reported = {word for item in side if not item.told.rumour for word in item.told.words}
    return any(item.told.rumour and reported.isdisjoint(item.told.words) for item in side)


def _story(inputs: NarrativeInputs, direction: float, side: Sequence[_Item]) -> str:
    told = f"{inputs.recent + inputs.earlier} headlines, {inputs.publishers} publishers"
    if not side:
        return f"nothing that points anywhere: {told}"
    kind = "rumours" if all(item.told.rumour for item in side) else "reports"
    return f"{kind} {'for' if direction > 0 else 'against'} it: {_words(side)}; {told}"[:SENTENCE_MAX]


def _counter_story(against: Sequence[_Item]) -> str:
    if not against:
        return ""
    strongest = min(against, key=_strongest_first)
    kind = "a rumour" if strongest.told.rumour else "a report"
    return f"{kind} to the contrary: {', '.join(strongest.told.words)}"[:SENTENCE_MAX]


def _words(items: Sequence[_Item]) -> str:
    return ", ".join(dict.fromkeys(word for item in items for word in item.told.words))
