"""The strategist forms, keeps and gives up theses from what was said, argued, remembered and held; code does the arithmetic.

Only a symbol that both sides debated can get a new thesis: who stays silent forms nothing, and nothing is given up for want of
voices.
The rules member cites no evidence, because the analysts' voices are weighed by code already; a model's buckets come on top of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.narratives.model import Edge, Narrative, Stage
from trading_assets.core.calendar import XNYS
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.regimes.model import MARKET
from trading_assets.theses.arithmetic import last_words
from trading_assets.theses.council_words import MARKET_SHARE, Listed, Named, Outside, Share, Signed, Words
from trading_assets.theses.debate import balance
from trading_assets.theses.memory.model import Grade, Lesson
from trading_assets.theses.memory.recall import recall
from trading_assets.theses.model import (
    Argued,
    Bucket,
    Case,
    Direction,
    Horizon,
    Mind,
    Stance,
    Status,
    Thesis,
    ThesisUpdate,
    Voice,
)

LONG_MIN = 0.10
SHORT_MAX = -0.30
TURNED_MIN = 0.10
SYMBOLS_MAX = 50
LESSONS_MAX = 3
CLAIM_MAX = 200
BUCKETS_MAX = 6
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class Heard(Words):
    """What one analyst says; `weight` are the log-odds that its full signal at full confidence counts."""

    source: str
    signal: Signed
    confidence: Share
    weight: float


class Debated(Words):
    """Both sides' cases, each with its best point."""

    bull: Share
    bull_point: Outside | None
    bear: Share
    bear_point: Outside | None


class Tale(Words):
    """What the news tells."""

    story: Outside
    stage: Stage
    direction: Signed
    consensus: Share
    edge: Edge


class Weighed(Words):
    """What one source last added to a thesis, in log-odds at that time; positive speaks for the thesis."""

    source: str
    log_odds: float


class LiveThesis(Words):
    """A thesis that lives, with the exchange sessions since it was formed and until it expires."""

    direction: Direction
    horizon: Horizon
    status: Status
    confidence: Share
    age_sessions: Annotated[int, Field(ge=0)]
    left_sessions: Annotated[int, Field(ge=0)]
    claim: Outside
    contributions: tuple[Weighed, ...]


class LessonTold(Words):
    """What a closed trade in the same symbol or regime taught."""

    grade: Grade
    direction: Direction
    says: Outside


class SymbolCase(Words):
    """Everything that the strategist is given of one symbol; `sources` may be named as evidence."""

    symbol: Listed
    view: str
    held: bool
    voices: tuple[Heard, ...]
    debate: Debated | None
    narrative: Tale | None
    theses: tuple[LiveThesis, ...]
    lessons: tuple[LessonTold, ...]
    sources: tuple[str, ...]

    def live(self, direction: Direction) -> LiveThesis | None:
        """The live thesis in a direction."""
        return next((thesis for thesis in self.theses if thesis.direction == direction), None)


class StrategistInputs(Words):
    """What the strategist is given; `stance` is the chief's word for the day, null without one."""

    session: date
    stance: str | None
    market: tuple[Heard, ...]
    symbols: tuple[SymbolCase, ...]


class Backing(Words):
    """One source that speaks for a thesis, or against it, and how much it says beyond its own voice."""

    source: SourceName
    supports: bool
    bucket: Bucket


class Update(Words):
    """A thesis to be formed or kept (hold), or to be given up."""

    symbol: Named
    direction: Direction
    action: Literal["hold", "give_up"]
    horizon: Horizon
    claim: Annotated[str, Field(min_length=1, max_length=CLAIM_MAX)]
    evidence: Annotated[tuple[Backing, ...], Field(max_length=BUCKETS_MAX)]


class ThesisUpdates(Words):
    """The strategist's answer; a symbol that is not named stays as it is."""

    updates: Annotated[tuple[Update, ...], Field(max_length=2 * SYMBOLS_MAX)]


def complaint(inputs: StrategistInputs, answer: ThesisUpdates) -> str | None:
    """What is wrong with the updates: foreign symbols and sources, doubles, contradictions."""
    cases = {case.symbol: case for case in inputs.symbols}
    for place, update in enumerate(answer.updates):
        if update.symbol not in cases:
            return f"update {place} is about none of {', '.join(cases)}"
        found = _complaint(cases[update.symbol], update)
        if found:
            return f"{update.symbol} {update.direction}: {found}"
    keys = [(update.symbol, update.direction) for update in answer.updates]
    if len(set(keys)) < len(keys):
        return "a symbol has at most one update for each direction"
    held = [update.symbol for update in answer.updates if update.action == "hold"]
    twice = sorted({symbol for symbol in held if held.count(symbol) > 1})
    return f"{', '.join(twice)}: long and short cannot both hold" if twice else None


def _complaint(case: SymbolCase, update: Update) -> str | None:
    sources = [backing.source for backing in update.evidence]
    if set(sources) - set(case.sources):
        return f"evidence must name sources of {', '.join(case.sources) or 'an empty list'}"
    if len(set(sources)) < len(sources):
        return "a source stands twice"
    if update.action == "give_up" and case.live(update.direction) is None:
        return "there is no live thesis to give up"
    if update.action == "hold" and case.live(update.direction) is None:
        if case.debate is None:
            return "only a symbol that was debated gets a new thesis"
        if update.evidence and not any(backing.supports for backing in update.evidence):
            return "a new thesis needs evidence that supports it"
    return None


def rules_updates(inputs: StrategistInputs) -> ThesisUpdates:
    """The rules member: forms where voices and debate agree, gives up what the voices have turned against."""
    updates = tuple(update for case in inputs.symbols for update in _updates(case, inputs.market))
    return ThesisUpdates(updates=updates)


STRATEGIST = Role("strategist", StrategistInputs, ThesisUpdates, rules_updates, complaint)


def strategist_ask(
    facts: Facts,
    voices: Sequence[Voice],
    cases: Sequence[Case],
    narratives: Sequence[Narrative],
    mind: Mind,
    portfolio_symbols: Collection[str],
    lessons: Sequence[Lesson],
    *,
    budget: Budget,
    as_of: datetime,
    stance: Stance | None = None,
) -> Ask[StrategistInputs, ThesisUpdates] | None:
    """The strategist's question about symbols that are held, debated or under a live thesis; None where there is none.

    Lessons that were not knowable at `as_of` are left out, whoever handed them in.
    """
    symbols = _symbols(facts, cases, mind, portfolio_symbols)
    if not symbols:
        return None
    told = {narrative.symbol: narrative for narrative in narratives}
    learnt = [lesson for lesson in lessons if lesson.resolved_at <= as_of]
    market = tuple(_heard(voices, MARKET))
    inputs = StrategistInputs(
        session=facts.session or as_of.date(),
        stance=stance.stance if stance else None,
        market=market,
        symbols=tuple(
            _symbol_case(
                symbol,
                facts.symbols[symbol].view,
                own=tuple(_heard(voices, symbol)),
                market=market,
                debate=_debated(cases, symbol),
                narrative=told.get(symbol),
                mind=mind,
                held=symbol in portfolio_symbols,
                lessons=_lessons(learnt, symbol, facts.symbols[symbol].view, as_of),
                as_of=as_of,
            )
            for symbol in symbols
        ),
    )
    return Ask(STRATEGIST, inputs, budget, as_of)


def updates_of(
    _ask: Ask[StrategistInputs, ThesisUpdates], answer: Answer[ThesisUpdates] | Abstention
) -> tuple[ThesisUpdate, ...]:
    """The answer as updates of the graph; none from who did not answer."""
    if isinstance(answer, Abstention):
        return ()
    return tuple(
        ThesisUpdate(
            symbol=update.symbol,
            direction=update.direction,
            action=update.action,
            horizon=update.horizon,
            claim=update.claim,
            evidence=tuple(
                Argued(source=backing.source, supports=backing.supports, bucket=backing.bucket)
                for backing in update.evidence
            ),
            author=answer.route,
        )
        for update in answer.value.updates
    )


def _symbols(facts: Facts, cases: Sequence[Case], mind: Mind, portfolio_symbols: Collection[str]) -> tuple[str, ...]:
    """Held ones first, then those under a thesis, then the debated; at most as many as a prompt holds, in the alphabet's order."""
    ranked = (sorted(portfolio_symbols), sorted(t.symbol for t in mind.theses), sorted(c.symbol for c in cases))
    ordered = dict.fromkeys(symbol for rank in ranked for symbol in rank if symbol in facts.symbols)
    return tuple(sorted(list(ordered)[:SYMBOLS_MAX]))


def _symbol_case(
    symbol: str,
    view: str,
    *,
    own: tuple[Heard, ...],
    market: tuple[Heard, ...],
    debate: Debated | None,
    narrative: Narrative | None,
    mind: Mind,
    held: bool,
    lessons: tuple[LessonTold, ...],
    as_of: datetime,
) -> SymbolCase:
    named = [voice.source for voice in (*own, *market)]
    named += ["narrative"] if narrative else []
    named += ["bull", "bear"] if debate else []
    return SymbolCase(
        symbol=symbol,
        view=view,
        held=held,
        voices=own,
        debate=debate,
        narrative=_tale(narrative) if narrative else None,
        theses=tuple(_live(thesis, as_of) for thesis in mind.theses if thesis.symbol == symbol),
        lessons=lessons,
        sources=tuple(dict.fromkeys(named)),
    )


def _heard(voices: Sequence[Voice], symbol: str) -> Iterator[Heard]:
    for voice in sorted(voices, key=lambda voice: voice.source):
        if voice.symbol == symbol:
            yield Heard(source=voice.source, signal=voice.signal, confidence=voice.confidence, weight=voice.weight)


def _debated(cases: Sequence[Case], symbol: str) -> Debated | None:
    """Both cases on a symbol; None unless both sides spoke."""
    if balance(cases, symbol) is None:
        return None
    sides = {case.side: case for case in cases if case.symbol == symbol}
    bull, bear = sides["bull"], sides["bear"]
    return Debated(bull=bull.strength, bull_point=_best(bull), bear=bear.strength, bear_point=_best(bear))


def _best(case: Case) -> str | None:
    return case.points[0] if case.points else None


def _tale(narrative: Narrative) -> Tale:
    return Tale(
        story=narrative.story,
        stage=narrative.stage,
        direction=narrative.direction,
        consensus=narrative.consensus,
        edge=narrative.edge,
    )


def _live(thesis: Thesis, as_of: datetime) -> LiveThesis:
    today = as_of.date()
    return LiveThesis(
        direction=thesis.direction,
        horizon=thesis.horizon,
        status=thesis.status,
        confidence=thesis.confidence,
        age_sessions=_sessions_between(thesis.formed, today),
        left_sessions=_sessions_between(today, thesis.expires),
        claim=_unnamed(thesis.claim, thesis.symbol),
        contributions=tuple(
            Weighed(source=one.source, log_odds=one.log_odds)
            for _, one in sorted(last_words(thesis.contributions).items())
        ),
    )


def _lessons(learnt: Sequence[Lesson], symbol: str, view: str, as_of: datetime) -> tuple[LessonTold, ...]:
    """The lessons nearest to the symbol and its regime: recent, unusual, alike."""
    if not learnt:
        return ()
    near = recall(learnt, symbol=symbol, strategy="", regime=view, as_of=as_of, limit=LESSONS_MAX)
    return tuple(
        LessonTold(grade=lesson.grade, direction=lesson.direction, says=_unnamed(lesson.lesson, symbol))
        for lesson in near
    )


def _unnamed(text: str, symbol: str) -> str:
    """The text without the ticker: the symbol stands beside it, where it can be masked."""
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(symbol)}(?![A-Za-z0-9])", "the symbol", text)


def _sessions_between(first: date, last: date) -> int:
    return max(bisect_right(XNYS.days, last) - bisect_right(XNYS.days, first), 0)


def _lean(voices: Sequence[Heard]) -> float:
    return sum(voice.weight * voice.signal * voice.confidence for voice in voices)


def _updates(case: SymbolCase, market: Sequence[Heard]) -> Iterator[Update]:
    """In log-odds, as the graph weighs them; the market's voices count half. No own voice is no reason to do anything."""
    if not case.voices:
        return
    lean = _lean(case.voices) + MARKET_SHARE * _lean(market)
    argued = case.debate.bull - case.debate.bear if case.debate else None
    turned: Direction | None = "long" if lean <= -TURNED_MIN else "short" if lean >= TURNED_MIN else None
    if turned and case.live(turned) and (argued is None or argued * lean > 0):
        yield _update(case, turned, "give_up", lean)
    formed: Direction | None = "long" if lean >= LONG_MIN else "short" if lean <= SHORT_MAX else None
    if formed and case.live(formed) is None and argued is not None and argued * lean > 0:
        yield _update(case, formed, "hold", lean)


def _update(case: SymbolCase, direction: Direction, action: Literal["hold", "give_up"], lean: float) -> Update:
    debate = f", the bull's case is {case.debate.bull:.2f} and the bear's {case.debate.bear:.2f}" if case.debate else ""
    claim = f"The voices lean {lean:+.2f} in log-odds{debate}."
    return Update(
        symbol=case.symbol, direction=direction, action=action, horizon="swing", claim=claim[:CLAIM_MAX], evidence=()
    )
