"""The personas: voters who look at the same setups in different ways, each with a vote of -1 to 1 on every one of them.

A persona is a folder under `skills/` with these types and a line in `config/agents.yaml`. The four that have a rules member vote
without a model; any other abstains where no model answers, and an abstention counts for no quorum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from trading_assets.briefs.facts import Facts, SymbolFacts, numbers
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.model import Narrative, Stage
from trading_assets.briefs.roles import ReadingId, Sentence
from trading_assets.plans.choosing import NOMINEES_MAX, Key, Nominee, nominees
from trading_assets.plans.model import Candidate, PlanSide, Vote
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.reasoning.origin import origin_of
from trading_assets.theses.council_words import (
    RULES_STRENGTH_MAX,
    Listed,
    Share,
    Signed,
    Words,
    always_sure,
    one_each,
    sentence,
)
from trading_assets.theses.model import Case, Mind, Stance
from trading_assets.theses.stance import MarketVoice, market_view, market_voices, participation

TRENDS: Mapping[str, float] = {"trending_bull": 1.0, "mild_trend": 0.4, "range": -0.3, "trending_bear": -1.0}
MARKETS: Mapping[str, float] = {
    "trending_bull": 1.0,
    "mild_trend": 0.5,
    "range": 0.0,
    "mixed": 0.0,
    "trending_bear": -1.0,
}
STANCES: Mapping[str, float] = {"risk_on": 0.5, "normal": 0.25, "cautious": -0.25, "stand_aside": -1.0}
FADING = frozenset({"mean_reversion", "correlation_convergence"})
_SESSIONS_A_YEAR = 252
Points = Iterator[tuple[float, str]]


class Technicals(Words):
    """Readings of one symbol without the price's unit; what is null is unknown.

    `band_place` is 0 at the lower Bollinger band and 1 at the upper, `range_place` the same for the range of 252 sessions;
    `over_*` is the close over that value, minus 1; `volume_ratio` is volume over its 20-session mean.
    """

    rsi_14: float | None = None
    adx_14: float | None = None
    mom_252_21: float | None = None
    vol_20: float | None = None
    band_place: float | None = None
    range_place: float | None = None
    over_sma_50: float | None = None
    over_sma_200: float | None = None
    over_high_20: float | None = None
    volume_ratio: float | None = None


class Crowd(Words):
    """What the news tells of the symbol, without its words: none of them reaches a voter."""

    stage: Stage
    velocity: Signed
    direction: Signed
    consensus: Share
    source_diversity: Share


class Ballot(Words):
    """A setup with what personas look at; code computed every number. `bull` and `bear` are null where nobody argued."""

    id: ReadingId
    strategy: str
    symbol: Listed
    side: PlanSide
    view: str
    confidence: Share
    reward_to_risk: float
    risk_fraction: float
    readings: Technicals
    bull: Share | None
    bear: Share | None
    narrative: Crowd | None


class PersonaInputs(Words):
    """What every persona is given; `stance` is the chief's word for the day, null without one."""

    session: date
    market_view: str | None
    above_sma_50_share: Share | None
    above_sma_200_share: Share | None
    stance: str | None
    voices: tuple[MarketVoice, ...]
    candidates: Annotated[tuple[Ballot, ...], Field(min_length=1, max_length=NOMINEES_MAX)]


class CastVote(Words):
    """A vote on one candidate with its reason."""

    id: ReadingId
    vote: Signed
    reason: Sentence


class Votes(Words):
    """A persona's answer: one vote on each candidate of the list."""

    votes: Annotated[tuple[CastVote, ...], Field(min_length=1, max_length=NOMINEES_MAX)]


def complaint(inputs: PersonaInputs, answer: Votes) -> str | None:
    """What is wrong with the votes: outside the list, missing, doubled, or all at the bound."""
    said = one_each([cast.id for cast in answer.votes], [one.id for one in inputs.candidates], what="candidate")
    return said or always_sure([cast.vote for cast in answer.votes], what="vote")


@lru_cache(maxsize=64)
def persona_role(skill: str) -> Role[PersonaInputs, Votes]:
    """The role of a persona's folder; one that has no rules member abstains where no model answers."""
    return Role(skill, PersonaInputs, Votes, _RULES.get(skill), complaint)


def vote_asks(
    personas: Sequence[str],
    candidates: Sequence[Candidate],
    facts: Facts,
    mind: Mind,
    stance: Stance | None,
    cases: Sequence[Case],
    *,
    budget: Budget,
    as_of: datetime,
    briefs: Sequence[Brief] = (),
    narratives: Sequence[Narrative] = (),
) -> tuple[tuple[str, Ask[PersonaInputs, Votes]], ...]:
    """Each persona with its question about the candidates; none where there is no candidate."""
    if not candidates:
        return ()
    told = {narrative.symbol: narrative for narrative in narratives}
    view, taking_part = market_view(facts), participation(facts)
    inputs = PersonaInputs(
        session=facts.session or as_of.date(),
        market_view=view.view if view else None,
        above_sma_50_share=taking_part.above_sma_50_share if taking_part else None,
        above_sma_200_share=taking_part.above_sma_200_share if taking_part else None,
        stance=stance.stance if stance else None,
        voices=market_voices(briefs),
        candidates=tuple(
            _ballot(one, facts.symbols.get(one.symbol), cases, told.get(one.symbol))
            for one in nominees(candidates, mind)
        ),
    )
    return tuple((persona, Ask(persona_role(persona), inputs, budget, as_of)) for persona in personas)


def votes_of(persona: str, ask: Ask[PersonaInputs, Votes], answer: Answer[Votes] | Abstention) -> tuple[Vote, ...]:
    """A persona's votes; none from who did not answer."""
    if isinstance(answer, Abstention):
        return ()
    keys: dict[str, Key] = {one.id: (one.strategy, one.symbol, one.side) for one in ask.inputs.candidates}
    return tuple(_vote(persona, keys[cast.id], cast, answer) for cast in answer.value.votes)


def _vote(persona: str, key: Key, cast: CastVote, answer: Answer[Votes]) -> Vote:
    strategy, symbol, side = key
    return Vote.model_validate(
        {
            "persona": persona,
            "strategy": strategy,
            "symbol": symbol,
            "side": side,
            "vote": round(cast.vote, 6),
            "reason": cast.reason,
            **origin_of(answer),
        }
    )


def _ballot(nominee: Nominee, facts: SymbolFacts | None, cases: Sequence[Case], narrative: Narrative | None) -> Ballot:
    strengths = {case.side: case.strength for case in cases if case.symbol == nominee.symbol}
    return Ballot(
        id=nominee.id,
        strategy=nominee.strategy,
        symbol=nominee.symbol,
        side=nominee.side,
        view=nominee.view,
        confidence=nominee.confidence,
        reward_to_risk=nominee.reward_to_risk,
        risk_fraction=nominee.risk_fraction,
        readings=technicals(facts) if facts else Technicals(),
        bull=strengths.get("bull"),
        bear=strengths.get("bear"),
        narrative=_crowd(narrative) if narrative else None,
    )


def _crowd(narrative: Narrative) -> Crowd:
    return Crowd(
        stage=narrative.stage,
        velocity=narrative.velocity,
        direction=narrative.direction,
        consensus=narrative.consensus,
        source_diversity=narrative.source_diversity,
    )


def technicals(facts: SymbolFacts) -> Technicals:
    """The readings of a symbol as ratios: bar and indicators are both of the last session, in its share count."""
    now = numbers(facts.indicators, "rsi_14") or {}
    for column in ("adx_14", "mom_252_21", "vol_20"):
        now |= numbers(facts.indicators, column) or {}
    return Technicals(
        **{column: round(value, 6) for column, value in now.items()},
        band_place=_place(facts, "bb_lower_20_2", "bb_upper_20_2"),
        range_place=_place(facts, "low_252", "high_252"),
        over_sma_50=_over(facts, facts.indicators.get("sma_50")),
        over_sma_200=_over(facts, facts.indicators.get("sma_200")),
        over_high_20=_over(facts, facts.previous.get("high_20")),
        volume_ratio=_volume(facts),
    )


def _place(facts: SymbolFacts, low: str, high: str) -> float | None:
    bar, bounds = numbers(facts.bar, "close"), numbers(facts.indicators, low, high)
    return _ratio(bar["close"] - bounds[low], bounds[high] - bounds[low]) if bar and bounds else None


def _over(facts: SymbolFacts, level: float | None) -> float | None:
    known = numbers({"close": facts.bar.get("close"), "level": level}, "close", "level")
    return _ratio(known["close"] - known["level"], known["level"]) if known else None


def _volume(facts: SymbolFacts) -> float | None:
    bar, mean = numbers(facts.bar, "volume"), numbers(facts.indicators, "volume_mean_20")
    return _ratio(bar["volume"], mean["volume_mean_20"]) if bar and mean else None


def _ratio(part: float, whole: float) -> float | None:
    """None where there is no positive whole, or the ratio is no number."""
    made = part / whole if whole > 0 else math.inf
    return round(made, 6) if math.isfinite(made) else None


def momentum_points(ballot: Ballot, _inputs: PersonaInputs) -> Points:
    """What has risen goes on rising: 12-1 momentum, the trend, the break of a high on volume."""
    seen, sign = ballot.readings, _sign(ballot)
    if seen.mom_252_21 is not None:
        yield sign * _bounded(seen.mom_252_21 / 0.20), f"12-1 momentum is {seen.mom_252_21:+.1%}"
    if ballot.view in TRENDS:
        yield sign * TRENDS[ballot.view], f"the view is {ballot.view}"
    if seen.over_high_20 is not None:
        surge = 1.0 if (seen.volume_ratio or 0.0) >= 1.2 else 0.5
        yield (
            sign * surge * _bounded(seen.over_high_20 / 0.03),
            f"the close is {seen.over_high_20:+.1%} from its 20-session high",
        )
    if seen.over_sma_200 is not None:
        yield (
            sign * _bounded(seen.over_sma_200 / 0.10),
            f"the close is {seen.over_sma_200:+.1%} from its 200-session mean",
        )


def contrarian_points(ballot: Ballot, _inputs: PersonaInputs) -> Points:
    """What is stretched comes back: RSI, bands, and a story that everybody has heard."""
    seen, sign = ballot.readings, _sign(ballot)
    if seen.rsi_14 is not None:
        yield sign * _bounded((50.0 - seen.rsi_14) / 20.0), f"RSI is {seen.rsi_14:.1f}"
    if seen.band_place is not None:
        yield sign * _bounded(1.0 - 2.0 * seen.band_place), f"the close stands at {seen.band_place:.2f} of its bands"
    crowd = ballot.narrative
    if crowd is not None and crowd.stage in {"peak", "declining"}:
        yield (
            -sign * _bounded(crowd.direction * (0.5 + 0.5 * crowd.consensus)),
            f"the story is at its {crowd.stage} stage",
        )
    elif ballot.bull is not None and ballot.bear is not None:
        lead = ballot.bull - ballot.bear
        yield -sign * 0.5 * lead, f"the bull leads the bear by {lead:+.2f}"


def technical_points(ballot: Ballot, _inputs: PersonaInputs) -> Points:
    """Is this trade well made: reward for the risk, room for the noise, and as much trend as the strategy needs."""
    seen = ballot.readings
    yield _bounded((ballot.reward_to_risk - 1.5) / 0.5), f"reward to risk is {ballot.reward_to_risk:.2f}"
    if seen.adx_14 is not None:
        fits = (seen.adx_14 - 20.0) / 15.0
        yield _bounded(-fits if ballot.strategy in FADING else fits), f"ADX is {seen.adx_14:.1f}"
    if seen.vol_20:
        noise = ballot.risk_fraction / (seen.vol_20 / math.sqrt(_SESSIONS_A_YEAR))
        yield _bounded(noise - 1.0), f"the stop is {noise:.1f} daily deviations away"
    if seen.over_sma_50 is not None and ballot.strategy not in FADING:
        yield (
            _sign(ballot) * _bounded(seen.over_sma_50 / 0.05),
            f"the close is {seen.over_sma_50:+.1%} from its 50-session mean",
        )


def macro_points(ballot: Ballot, inputs: PersonaInputs) -> Points:
    """The tide before the boat: the market's regime, participation, the macro brief, and the chief's word."""
    sign = _sign(ballot)
    if inputs.market_view is not None and inputs.market_view in MARKETS:
        yield sign * MARKETS[inputs.market_view], f"the market's view is {inputs.market_view}"
    above = inputs.above_sma_200_share
    if above is not None:
        yield sign * (2.0 * above - 1.0), f"{above:.0%} of the symbols close above their 200-session mean"
    for voice in inputs.voices:
        if voice.source == "macro":
            yield sign * _bounded(2.0 * voice.signal * voice.confidence), f"the macro brief says {voice.signal:+.2f}"
    if inputs.stance is not None and inputs.stance in STANCES:
        yield STANCES[inputs.stance], f"the stance of the day is {inputs.stance}"


Look = Callable[[Ballot, PersonaInputs], Points]


def _by_rules(look: Look) -> Callable[[PersonaInputs], Votes | None]:
    def vote(inputs: PersonaInputs) -> Votes | None:
        seen = [(ballot.id, list(look(ballot, inputs))) for ballot in inputs.candidates]
        return Votes(votes=tuple(_cast(id_, points) for id_, points in seen)) if any(p for _, p in seen) else None

    return vote


def _cast(id_: str, points: Sequence[tuple[float, str]]) -> CastVote:
    """The mean of what is known; the reason is the point that weighs most. Nothing known is a vote of 0."""
    if not points:
        return CastVote(id=id_, vote=0.0, reason="Nothing that this voter looks at is known.")
    vote = sum(score for score, _ in points) / len(points)
    told = max(points, key=lambda point: point[0] if vote >= 0 else -point[0])[1]
    bounded = max(-RULES_STRENGTH_MAX, min(RULES_STRENGTH_MAX, vote))
    return CastVote(id=id_, vote=round(bounded, 6), reason=sentence(f"{told[0].upper()}{told[1:]}."))


def _sign(ballot: Ballot) -> float:
    return 1.0 if ballot.side == "long" else -1.0


def _bounded(score: float) -> float:
    return max(-1.0, min(1.0, score))


_RULES: Mapping[str, Callable[[PersonaInputs], Votes | None]] = {
    "momentum-persona": _by_rules(momentum_points),
    "contrarian-persona": _by_rules(contrarian_points),
    "technical-persona": _by_rules(technical_points),
    "macro-persona": _by_rules(macro_points),
}
