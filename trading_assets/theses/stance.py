"""The chief's stance of the day: how much of the usual size, and which strategies may open. It can only reduce.

The chief speaks for the whole book, so it is given numbers and labels only: no word from outside, and no name, can reach it.

No stance, because nobody answered, is not a stance: `stance_of` gives None, no row is kept, and nothing may open in the session.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from trading_assets.briefs.facts import Facts, numbers
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.model import Edge, Narrative, Stage
from trading_assets.briefs.roles import Sentence
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.reasoning.origin import origin_of
from trading_assets.regimes.model import MARKET
from trading_assets.theses.council_words import Row, Share, Signed, Words, sentence
from trading_assets.theses.model import Stance

Word = Literal["risk_on", "normal", "cautious", "stand_aside"]
SIZES: Mapping[Word, tuple[float, float]] = {
    "risk_on": (1.0, 1.0),
    "normal": (1.0, 1.0),
    "cautious": (0.25, 0.75),
    "stand_aside": (0.0, 0.0),
}
# Bounds of the rules member. Percentiles and shares run from 0 to 1.
VOLATILITY_HIGH, VOLATILITY_EXTREME = 0.90, 0.97
BREADTH_STRONG, BREADTH_WEAK, BREADTH_BROKEN = 0.60, 0.35, 0.15
STRESSED_SOME, STRESSED_MOST = 0.25, 0.50
MACRO_BAD = -0.25
CHASING = frozenset({"momentum_breakout", "narrative_momentum", "vwap_momentum"})


class MarketView(Words):
    """The market's regime as code labelled it, and what the label rests on."""

    regime: str
    view: str
    probability: Share | None = None
    volatility_percentile: Share | None = None
    trend_strength: float | None = None


class Participation(Words):
    """How many symbols take part; shares are of the universe."""

    advances: float | None = None
    declines: float | None = None
    above_sma_50_share: Share | None = None
    above_sma_200_share: Share | None = None
    up_volume_share: Share | None = None


class MarketVoice(Words):
    """What one analyst says of the market as a whole, without its words."""

    source: str
    signal: Signed
    confidence: Share


class MarketTale(Words):
    """What the news tells of the market as a whole, without its words."""

    stage: Stage
    velocity: Signed
    direction: Signed
    consensus: Share
    edge: Edge


class Liquidity(Words):
    """Of how many symbols the liquidity is known, and in which share of them it is stressed."""

    known: Annotated[int, Field(ge=0)]
    stressed_share: Share


class ChiefInputs(Words):
    """What the chief is given; what is null is unknown."""

    session: date
    market: MarketView | None
    participation: Participation | None
    liquidity: Liquidity | None
    voices: tuple[MarketVoice, ...]
    narrative: MarketTale | None
    strategies: tuple[str, ...]


class DayStance(Words):
    """The chief's answer."""

    stance: Word
    size_fraction: Share
    strategies: Annotated[tuple[str, ...], Field(max_length=20)]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=5)]


def complaint(inputs: ChiefInputs, answer: DayStance) -> str | None:
    """What is wrong with a stance: a size that does not fit the word, or strategies that are not of the list."""
    least, most = SIZES[answer.stance]
    if not least <= answer.size_fraction <= most:
        return f"size_fraction must be {least:g} to {most:g} when the stance is {answer.stance}"
    if set(answer.strategies) - set(inputs.strategies):
        return f"strategies must be some of {', '.join(inputs.strategies)}"
    if len(set(answer.strategies)) < len(answer.strategies):
        return "a strategy stands twice"
    if bool(answer.strategies) == (answer.stance == "stand_aside"):
        return "stand_aside leaves no strategy, and every other stance at least one"
    return None


def rules_stance(inputs: ChiefInputs) -> DayStance | None:
    """The rules member: each caution costs a quarter of the size; None where neither regime nor participation is known."""
    if (inputs.market is None and inputs.participation is None) or not inputs.strategies:
        return None
    stress, cautions = tuple(_stress(inputs)), tuple(_cautions(inputs))
    if stress:
        return DayStance(stance="stand_aside", size_fraction=0.0, strategies=(), reasons=stress[:5])
    if cautions:
        size = max(1.0 - 0.25 * len(cautions), SIZES["cautious"][0])
        return DayStance(stance="cautious", size_fraction=size, strategies=_fitting(inputs), reasons=cautions[:5])
    word: Word = "risk_on" if _strong(inputs) else "normal"
    reason = "Trend and participation are strong." if word == "risk_on" else "Nothing speaks for less than usual."
    return DayStance(stance=word, size_fraction=1.0, strategies=inputs.strategies, reasons=(reason,))


CHIEF = Role("chief", ChiefInputs, DayStance, rules_stance, complaint)


def chief_ask(
    facts: Facts,
    briefs: Sequence[Brief],
    narratives: Sequence[Narrative],
    *,
    strategies: Sequence[str],
    budget: Budget,
    as_of: datetime,
) -> Ask[ChiefInputs, DayStance]:
    """The chief's question: what is known of the market as a whole."""
    told = next((narrative for narrative in narratives if narrative.symbol == MARKET), None)
    inputs = ChiefInputs(
        session=facts.session or as_of.date(),
        market=market_view(facts),
        participation=participation(facts),
        liquidity=_liquidity(facts),
        voices=market_voices(briefs),
        narrative=_tale(told) if told else None,
        strategies=tuple(strategies),
    )
    return Ask(CHIEF, inputs, budget, as_of)


def stance_of(_ask: Ask[ChiefInputs, DayStance], answer: Answer[DayStance] | Abstention) -> Stance | None:
    """The answer as the stance of the day; None, which opens nothing, from who did not answer."""
    if isinstance(answer, Abstention):
        return None
    said = answer.value
    return Stance(
        stance=said.stance,
        size_fraction=round(said.size_fraction, 6),
        strategies=said.strategies,
        reasons=said.reasons,
        **origin_of(answer),
    )


def stance_rows(stances: Sequence[Stance | None], session: date, *, as_of: datetime) -> list[dict[str, object]]:
    """The stance as a row of STANCES for the session that it serves; no stance is no row."""
    return [
        {
            "session": session,
            **stance.model_dump(),
            "strategies": json.dumps(stance.strategies),
            "reasons": json.dumps(stance.reasons, ensure_ascii=False),
            "knowable_at": as_of,
        }
        for stance in stances
        if stance is not None
    ]


def stance_from_rows(rows: Sequence[Row]) -> Stance | None:
    """The stance of one session's rows; None where there is none."""
    if not rows:
        return None
    row = rows[-1]
    return Stance(
        stance=row["stance"],
        size_fraction=row["size_fraction"],
        strategies=tuple(json.loads(row["strategies"])),
        reasons=tuple(json.loads(row["reasons"])),
        route=row["route"],
        model=row["model"],
        leakage=row["leakage"],
        answer_key=row["answer_key"],
    )


def market_view(facts: Facts) -> MarketView | None:
    """The market's regime; None before it is known."""
    row = facts.market_regime
    if row is None:
        return None
    return MarketView(
        regime=str(row.get("regime", "unknown")),
        view=str(row.get("strategy_view", "unknown")),
        **_known(row, "probability", "volatility_percentile", "trend_strength"),
    )


def participation(facts: Facts) -> Participation | None:
    """Breadth of the session; None where there is none."""
    return None if facts.breadth is None else Participation(**_known(facts.breadth, *Participation.model_fields))


def market_voices(briefs: Sequence[Brief]) -> tuple[MarketVoice, ...]:
    """The briefs on the market as a whole, by agent."""
    return tuple(
        MarketVoice(source=brief.agent, signal=brief.signal, confidence=brief.confidence)
        for brief in sorted(briefs, key=lambda brief: brief.agent)
        if brief.symbol == MARKET
    )


def _known(row: Row, *columns: str) -> dict[str, float | None]:
    return {column: (numbers(row, column) or {}).get(column) for column in columns}


def _liquidity(facts: Facts) -> Liquidity | None:
    regimes = [str(row["regime"]) for _, row in sorted(facts.liquidity.items())]
    known = [regime for regime in regimes if regime != "unknown"]
    if not known:
        return None
    return Liquidity(known=len(known), stressed_share=round(known.count("stressed") / len(known), 6))


def _tale(narrative: Narrative) -> MarketTale:
    return MarketTale(
        stage=narrative.stage,
        velocity=narrative.velocity,
        direction=narrative.direction,
        consensus=narrative.consensus,
        edge=narrative.edge,
    )


def _stress(inputs: ChiefInputs) -> Iterator[str]:
    """Reasons to stand aside: most books are thin, or volatility is extreme while nearly everything falls."""
    if inputs.liquidity and inputs.liquidity.stressed_share >= STRESSED_MOST:
        yield sentence(f"Liquidity is stressed in {inputs.liquidity.stressed_share:.0%} of the symbols.")
    volatility = inputs.market.volatility_percentile if inputs.market else None
    above = inputs.participation.above_sma_50_share if inputs.participation else None
    if volatility is not None and above is not None and volatility >= VOLATILITY_EXTREME and above <= BREADTH_BROKEN:
        yield sentence(
            f"Volatility stands at percentile {volatility:.2f}",
            f"while {above:.0%} of the symbols close above their 50-session mean.",
        )


def _cautions(inputs: ChiefInputs) -> Iterator[str]:
    """Reasons for less than the usual size; what is unknown is one of them."""
    if inputs.market is None:
        yield "The market's regime is unknown."
    elif inputs.market.view == "trending_bear":
        yield "The market trends down."
    volatility = inputs.market.volatility_percentile if inputs.market else None
    if volatility is not None and volatility >= VOLATILITY_HIGH:
        yield sentence(f"Volatility stands at percentile {volatility:.2f}.")
    above = inputs.participation.above_sma_200_share if inputs.participation else None
    if above is not None and above <= BREADTH_WEAK:
        yield sentence(f"Only {above:.0%} of the symbols close above their 200-session mean.")
    if inputs.liquidity and inputs.liquidity.stressed_share >= STRESSED_SOME:
        yield sentence(f"Liquidity is stressed in {inputs.liquidity.stressed_share:.0%} of the symbols.")
    macro = next((voice for voice in inputs.voices if voice.source == "macro"), None)
    if macro is not None and macro.signal * macro.confidence <= MACRO_BAD:
        yield sentence(f"The macro brief leans down: {macro.signal:+.2f} at confidence {macro.confidence:.2f}.")


def _fitting(inputs: ChiefInputs) -> tuple[str, ...]:
    """In a falling market nobody chases a rise; where nothing else is on the list, the size alone is cut."""
    falling = inputs.market is not None and inputs.market.view == "trending_bear"
    calm = tuple(name for name in inputs.strategies if not (falling and name in CHASING))
    return calm or inputs.strategies


def _strong(inputs: ChiefInputs) -> bool:
    above = inputs.participation.above_sma_50_share if inputs.participation else None
    rising = inputs.market is not None and inputs.market.view == "trending_bull"
    return rising and above is not None and above >= BREADTH_STRONG
