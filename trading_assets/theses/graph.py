"""The thesis graph: one step from what was believed after the last slot to what is believed after this one.

A step goes in a fixed order: splits, endings against the last bar, what the strategist gives up or forms, evidence, confidence,
conflicts, relations, circles. It depends on the mind, the slot and what was knowable then; taken twice, it gives the same mind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.slots import Slot
from trading_assets.theses.arithmetic import CERTAIN_THESES, confidence_at, last_words, spoken, worths
from trading_assets.theses.hearing import Heard, Word, heard_of, words_on
from trading_assets.theses.model import (
    Case,
    Contribution,
    Edge,
    Event,
    EventKind,
    Mind,
    Reliability,
    Score,
    Status,
    Thesis,
    ThesisUpdate,
    Voice,
)
from trading_assets.theses.relations import edges_of, opposites, statuses, without_cycles
from trading_assets.theses.resolution import Ending, after_split, ending, formed
from trading_assets.theses.scoring import heard_certain, learned, scores_of

EXIT_CONFIDENCE = 0.3
# Evidence that moves confidence by less makes no event.
MOVED_MIN = 0.02
# A source that says less is not named in a sentence.
TOLD_MIN = 0.005


class Flag(NamedTuple):
    """Something that a person should read about a slot, in the order of a journal remark."""

    title: str
    sentence: str
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Advanced:
    """The mind after a step, and what happened in it. `ended` theses are no longer in the mind."""

    mind: Mind
    ended: tuple[Thesis, ...] = ()
    events: tuple[Event, ...] = ()
    scores: tuple[Score, ...] = ()
    flags: tuple[Flag, ...] = ()


def advance(
    mind: Mind,
    slot: Slot,
    facts: Facts,
    *,
    voices: Sequence[Voice] = (),
    cases: Sequence[Case] = (),
    updates: Sequence[ThesisUpdate] = (),
    debate_weight: float = 0.0,
    known: Collection[str],
    exit_confidence: float = EXIT_CONFIDENCE,
) -> Advanced:
    """The mind after a slot; without voices, cases and updates it is time and prices alone.

    Args:
        known: Symbols that the desk may trade; the thesis on any other ends.
        exit_confidence: A thesis below it is given up, unless the strategist holds it in this very slot: then it is weak.

    Raises:
        DataNotReady: The facts are not those of the session before the slot's: splits and bars in between would be lost.
    """
    _require_fresh(slot, facts)
    step = _Step(slot, facts, frozenset(known), {t.id: t for t in mind.theses}, dict(mind.reliability))
    step.resolve()
    held = step.update(updates)
    step.hear(heard_of(voices, cases, debate_weight=debate_weight), held)
    step.believe(held, exit_confidence)
    return step.finished(mind.edges)


def _require_fresh(slot: Slot, facts: Facts) -> None:
    needed = XNYS.previous(slot.session.day).day
    if facts.session != needed:
        raise DataNotReady(
            f"the theses of slot {slot.label} of {slot.session.day} need the facts of the session before",
            value=facts.session,
            bound=needed,
            hint=f"desk ingest --from {needed} --to {needed}, then the premarket job",
        )


@dataclass(frozen=True, slots=True)
class _News:
    """What a thesis heard in a slot: its contributions after it, its confidence before, and who spoke."""

    contributions: tuple[Contribution, ...]
    before: float
    sources: str


@dataclass(slots=True)
class _Step:
    """The working state of one step; nothing of it outlives `advance`."""

    slot: Slot
    facts: Facts
    known: frozenset[str]
    theses: dict[str, Thesis]
    records: dict[str, Reliability]
    worth: dict[str, float] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    heard: dict[str, _News] = field(default_factory=dict)
    ended: list[Thesis] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)

    def resolve(self) -> None:
        """Splits, then the last bar, thesis by thesis; records learn from all that ended together."""
        self.worth = worths(self.records)
        for thesis in list(self.theses.values()):
            known = self._tradable(thesis.symbol)
            if known is None:
                self._end(thesis, Ending("delisted", self._why_gone(thesis.symbol)))
                continue
            scaled = self.theses[thesis.id] = after_split(thesis, known, self.slot)
            end = ending(scaled, known, self.slot)
            if end is not None:
                self._end(scaled, end)
        if self.scores:
            self.records = learned(self.records, self.scores)
            self.worth = worths(self.records)

    def update(self, updates: Sequence[ThesisUpdate]) -> dict[str, ThesisUpdate]:
        """Gives up and forms; by id, the theses that the strategist holds in this slot."""
        held: dict[str, ThesisUpdate] = {}
        for update in sorted(updates, key=lambda each: (each.symbol, each.direction, each.action)):
            thesis = self._live(update)
            if update.action == "give_up":
                self._give_up(thesis, update)
            elif thesis := thesis or self._form(update):
                held[thesis.id] = update
        return held

    def hear(self, heard: Heard, held: Mapping[str, ThesisUpdate]) -> None:
        """Takes in what was said of each live thesis, and how certain those were who spoke on it for the first time."""
        first_heard: dict[str, list[bool]] = {}
        for thesis in self.theses.values():
            last = last_words(thesis.contributions)
            words = words_on(thesis, heard, held.get(thesis.id))
            new = {s: word for s, word in words.items() if s not in last or last[s].at < self.slot.at}
            if new:
                self._take_in(thesis, new)
            for source in sorted(new.keys() - last.keys()):
                first_heard.setdefault(source, []).append(new[source].certain)
        for source, certain in sorted(first_heard.items()):
            self._note_certainty(source, certain)

    def believe(self, held: Mapping[str, ThesisUpdate], exit_confidence: float) -> None:
        """Confidence from what is left of everything said; gives up what hardly anybody believes."""
        self.worth = worths(self.records)
        for thesis in list(self.theses.values()):
            news = self.heard.get(thesis.id)
            believed = self._believed(thesis, news.contributions if news else thesis.contributions)
            if thesis.id in self.new:
                self._tell(believed, "formed", believed.claim)
            elif news and abs(believed.confidence - news.before) >= MOVED_MIN:
                kind: EventKind = "reinforced" if believed.confidence > news.before else "contradicted"
                self._tell(believed, kind, f"from {news.before:.2f} by {news.sources}")
            if believed.confidence < exit_confidence and thesis.id not in held:
                sentence = f"confidence {believed.confidence:.2f} is below {exit_confidence:.2f}"
                self._end(believed, Ending("given_up", sentence))

    def finished(self, before: Sequence[Edge]) -> Advanced:
        """Conflicts, relations and circles, and everything in its order."""
        status = statuses(list(self.theses.values()))
        live = [_with_status(thesis, status[thesis.id]) for thesis in self.theses.values()]
        live.sort(key=lambda thesis: (thesis.symbol, thesis.direction, thesis.id))
        edges = edges_of(live, before, self.facts.correlations, self.slot.session.day)
        edges, removed = without_cycles(edges, live)
        self._tell_conflicts(live, before)
        self._tell_circles(removed)
        mind = Mind(theses=tuple(live), edges=edges, reliability=dict(sorted(self.records.items())))
        return Advanced(mind, tuple(self.ended), tuple(self.events), tuple(self.scores), tuple(self.flags))

    def _tradable(self, symbol: str) -> SymbolFacts | None:
        return self.facts.symbols.get(symbol) if symbol in self.known else None

    def _why_gone(self, symbol: str) -> str:
        if symbol not in self.known:
            return f"the desk does not trade {symbol} any more"
        return f"{symbol} has no bar of {self.facts.session}, and others have"

    def _live(self, update: ThesisUpdate) -> Thesis | None:
        wanted = (update.symbol, update.direction)
        return next((t for t in self.theses.values() if (t.symbol, t.direction) == wanted), None)

    def _give_up(self, thesis: Thesis | None, update: ThesisUpdate) -> None:
        if thesis is None:
            self._flag("nothing to give up", f"there is no live {update.direction} thesis on it", update.symbol)
        else:
            self._end(thesis, Ending("given_up", f"given up by {update.author}"))

    def _form(self, update: ThesisUpdate) -> Thesis | None:
        known = self._tradable(update.symbol)
        thesis = formed(update, known, self.slot) if known else None
        if thesis is None:
            why = "it has no average true range" if known else self._why_gone(update.symbol)
            self._flag("no thesis formed", why, update.symbol)
            return None
        self.theses[thesis.id] = thesis
        self.new.add(thesis.id)
        return thesis

    def _take_in(self, thesis: Thesis, words: Mapping[str, Word]) -> None:
        said = {source: word.log_odds for source, word in words.items()}
        contributions = spoken(thesis.contributions, said, self.slot.at, thesis.horizon)
        before = confidence_at(thesis, self.slot.at, self.worth)
        loud = [f"{source} {log_odds:+.2f}" for source, log_odds in sorted(said.items()) if abs(log_odds) >= TOLD_MIN]
        self.heard[thesis.id] = _News(contributions, before, ", ".join(loud) or "silence")

    def _believed(self, thesis: Thesis, contributions: tuple[Contribution, ...]) -> Thesis:
        """The thesis with its confidence at this slot, which is also that of its forming if it was formed now."""
        at = self.slot.at
        confidence = confidence_at(thesis, at, self.worth, contributions)
        change: dict[str, object] = {"contributions": contributions, "confidence": confidence, "as_of": at}
        if thesis.formed_at == at:
            change["confidence_formed"] = confidence
        believed = self.theses[thesis.id] = thesis.model_copy(update=change)
        return believed

    def _note_certainty(self, source: str, certain: Sequence[bool]) -> None:
        before = self.records.get(source, Reliability())
        after = self.records[source] = heard_certain(before, certain)
        if before.certain < CERTAIN_THESES <= after.certain:
            self._flag("always certain", f"{source} was certain of its last {after.certain} theses and counts half")

    def _end(self, thesis: Thesis, end: Ending) -> None:
        confidence = confidence_at(thesis, self.slot.at, self.worth)
        change = {"status": "ended", "ended": self.slot.session.day, "outcome": end.outcome}
        gone = thesis.model_copy(update={**change, "confidence": confidence, "as_of": self.slot.at})
        self.ended.append(gone)
        del self.theses[thesis.id]
        self._tell(gone, end.outcome, end.sentence)
        if end.scored:
            self.scores.extend(scores_of(gone, came_true=end.outcome == "confirmed"))

    def _tell_conflicts(self, live: Sequence[Thesis], before: Sequence[Edge]) -> None:
        """Opposite theses are told once, when the second of them appears."""
        told = {(edge.source, edge.target) for edge in before if edge.kind == "contradicts"}
        for one, other in opposites(live):
            if (one.id, other.id) not in told:
                outcome = _ruling(one, other)
                self._tell(one, "conflict", outcome)
                self._tell(other, "conflict", outcome)
                self._flag("opposite theses", outcome, one.symbol)

    def _tell_circles(self, removed: Sequence[Edge]) -> None:
        for edge in removed:
            thesis = self.theses[edge.source]
            sentence = f"support of {edge.weight:.2f} for {self._named(edge.target)} closed a circle and was taken out"
            self._tell(thesis, "cycle", sentence)
            self._flag("theses support each other in a circle", f"{_name(thesis)}: {sentence}", thesis.symbol)

    def _named(self, thesis_id: str) -> str:
        return _name(self.theses[thesis_id])

    def _tell(self, thesis: Thesis, kind: EventKind, sentence: str) -> None:
        told = f"{_name(thesis)}: {sentence}"
        self.events.append(Event(thesis_id=thesis.id, kind=kind, confidence=thesis.confidence, sentence=told))

    def _flag(self, title: str, sentence: str, symbol: str = "") -> None:
        self.flags.append(Flag(title, sentence, symbol))


def _with_status(thesis: Thesis, status: Status) -> Thesis:
    return thesis if thesis.status == status else thesis.model_copy(update={"status": status})


def _name(thesis: Thesis) -> str:
    return f"{thesis.symbol} {thesis.direction}"


def _ruling(one: Thesis, other: Thesis) -> str:
    surer, less = sorted((one, other), key=lambda thesis: -thesis.confidence)
    both = f"{surer.direction} at {surer.confidence:.2f}, {less.direction} at {less.confidence:.2f}"
    if "conflicted" in {one.status, other.status}:
        return f"{both}: too near each other, neither may open"
    return f"{both}: {surer.direction} is kept, {less.direction} is weak"
