"""The trader chooses from a closed list of setups which to trade, and in which order; code computed every number of them.

Nothing is chosen by silence: without an answer the choice is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.roles import ReadingId, Sentence
from trading_assets.plans.model import Candidate, PlanSide
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.theses.council_words import Listed, Outside, Share, Words, sentence
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.memory.records import TrackRecord, track_records
from trading_assets.theses.model import Mind, Stance, Status
from trading_assets.theses.stance import market_view

Key = tuple[str, str, str]
Records = Mapping[tuple[str, str], TrackRecord]
NOMINEES_MAX = 40
REASONS_MAX = 3


class Nominee(Words):
    """A setup on the list: what it is, how sure its thesis is, and what it may gain and lose.

    `reward_to_risk` is what a share gains at the target over what it loses at the stop, `risk_fraction` that loss over the entry.
    The legs of a hedge carry the same `pair`; both trade, or neither. The record is that of closed trades of the strategy in the
    view: how many, and what one earned on average in multiples of its risk, shrunk towards nothing.
    """

    id: ReadingId
    strategy: str
    symbol: Listed
    side: PlanSide
    view: str
    confidence: Share
    thesis_status: Status | None
    reward_to_risk: float
    risk_fraction: float
    size_fraction: Share
    flat_by_close: bool
    pair: str | None
    asked_for: bool
    record_trades: int
    record_expectancy_r: float | None
    says: tuple[Outside, ...]


class TraderInputs(Words):
    """What the trader is given; `stance` is the chief's word for the day, and null means that nothing may open."""

    session: date
    market_view: str | None
    stance: str | None
    stance_size_fraction: Share | None
    candidates: Annotated[tuple[Nominee, ...], Field(max_length=NOMINEES_MAX)]


class Choice(Words):
    """The trader's answer: ids in the order in which to trade them; none is an answer."""

    chosen: Annotated[tuple[ReadingId, ...], Field(max_length=NOMINEES_MAX)]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=5)]


def complaint(inputs: TraderInputs, answer: Choice) -> str | None:
    """What is wrong with a choice: ids that are not on the list, doubles, two of a symbol and side, half a hedge."""
    by_id = {nominee.id: nominee for nominee in inputs.candidates}
    foreign = sorted(set(answer.chosen) - by_id.keys())
    if foreign:
        return f"{', '.join(foreign)} is not on the list; choose of {', '.join(by_id) or 'nothing'}"
    if len(set(answer.chosen)) < len(answer.chosen):
        return "a candidate stands twice"
    sides = [(by_id[id_].symbol, by_id[id_].side) for id_ in answer.chosen]
    if len(set(sides)) < len(sides):
        return "at most one candidate of a symbol and side"
    torn = sorted(
        n.id for n in inputs.candidates if n.pair and n.id not in answer.chosen and _other_leg(n, by_id, answer)
    )
    return f"{', '.join(torn)} is missing: both legs of a pair trade, or neither" if torn else None


def _other_leg(nominee: Nominee, by_id: dict[str, Nominee], answer: Choice) -> bool:
    return any(by_id[id_].pair == nominee.pair for id_ in answer.chosen)


def rules_choice(inputs: TraderInputs) -> Choice | None:
    """The rules member: the surest thesis first, then the better reward for the risk, one setup for each symbol."""
    if not inputs.candidates:
        return None
    chosen: list[Nominee] = []
    for nominee in sorted(inputs.candidates, key=_rank):
        legs = [other for other in inputs.candidates if nominee.pair and other.pair == nominee.pair] or [nominee]
        taken = {other.symbol for other in chosen}
        apart = len({leg.symbol for leg in legs}) == len(legs)
        if apart and not taken & {leg.symbol for leg in legs}:
            chosen.extend(legs)
    best = chosen[0] if chosen else None
    reason = (
        sentence(f"{best.id} comes first: confidence {best.confidence:.2f}, reward to risk {best.reward_to_risk:.2f}.")
        if best
        else "No candidate can be traded by itself."
    )
    return Choice(chosen=tuple(nominee.id for nominee in chosen), reasons=(reason,))


def _rank(nominee: Nominee) -> tuple[float, float, str, str]:
    return (-nominee.confidence, -nominee.reward_to_risk, nominee.strategy, nominee.symbol)


TRADER = Role("trader", TraderInputs, Choice, rules_choice, complaint)


def trader_ask(
    candidates: Sequence[Candidate],
    facts: Facts,
    mind: Mind,
    stance: Stance | None,
    *,
    budget: Budget,
    as_of: datetime,
    lessons: Sequence[Lesson] = (),
) -> Ask[TraderInputs, Choice]:
    """The trader's question about the candidates, with what trades like them earned as far as it was known at `as_of`."""
    inputs = TraderInputs(
        session=facts.session or as_of.date(),
        market_view=view.view if (view := market_view(facts)) else None,
        stance=stance.stance if stance else None,
        stance_size_fraction=stance.size_fraction if stance else None,
        candidates=nominees(candidates, mind, track_records(lessons, as_of=as_of) if lessons else {}),
    )
    return Ask(TRADER, inputs, budget, as_of)


def choice_of(ask: Ask[TraderInputs, Choice], answer: Answer[Choice] | Abstention) -> tuple[Key, ...]:
    """The keys of the chosen candidates in the order to trade them; none from who did not answer."""
    if isinstance(answer, Abstention):
        return ()
    keys = {one.id: (one.strategy, one.symbol, one.side) for one in ask.inputs.candidates}
    return tuple(keys[id_] for id_ in answer.value.chosen)


def nominees(candidates: Sequence[Candidate], mind: Mind, records: Records | None = None) -> tuple[Nominee, ...]:
    """The candidates as a closed list, sorted by key; where there are more than a prompt holds, the surest ones.

    A candidate that is left out gets neither choice nor vote, and so does not trade.
    """
    surest = sorted(candidates, key=lambda one: (-one.confidence, -reward_to_risk(one), one.key))[:NOMINEES_MAX]
    listed = sorted(surest, key=lambda one: one.key)
    pairs = {pair: f"p{number}" for number, pair in enumerate(sorted({c.pair for c in listed if c.pair}), 1)}
    statuses: dict[str, Status] = {thesis.id: thesis.status for thesis in mind.theses}
    return tuple(
        Nominee(
            id=f"k{number}",
            strategy=one.strategy,
            symbol=one.symbol,
            side=one.side,
            view=one.view,
            confidence=one.confidence,
            thesis_status=statuses.get(one.thesis_id),
            reward_to_risk=round(reward_to_risk(one), 4),
            risk_fraction=round(float(abs(one.entry - one.stop) / one.entry), 6),
            size_fraction=one.size_fraction,
            flat_by_close=one.flat_by_close,
            pair=pairs.get(one.pair),
            asked_for=bool(one.proposal),
            record_trades=record.n if (record := (records or {}).get((one.strategy, one.view))) else 0,
            record_expectancy_r=record.expectancy if record else None,
            says=one.reasons[:REASONS_MAX],
        )
        for number, one in enumerate(listed, 1)
    )


def reward_to_risk(candidate: Candidate) -> float:
    """What a share gains at the target over what it loses at the stop; 0 where the stop is on the wrong side."""
    sign = Decimal(1) if candidate.side == "long" else Decimal(-1)
    risk = sign * (candidate.entry - candidate.stop)
    return float(sign * (candidate.target - candidate.entry) / risk) if risk > 0 else 0.0
