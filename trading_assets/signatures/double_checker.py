"""The double checker: a second opinion on what opens, by somebody who was not told why.

It is asked about a symbol and a side and is given the raw facts; thesis, strategy, votes, reasons and numbers of the plan stay
hidden, so that it cannot agree with an argument. It is the only signer that may ask a model. Where no model answers, the rules
member below does, with a formula that no analyst and no persona uses. Silence, an abstention and a firm "no" are vetoes; what only
reduces needs no second opinion.

The rules member measures in average true ranges (ATR, Wilder, 14 sessions), from the side's point of view (s is 1 for long, -1 for
short), each term bounded to -1…1:

| term | weight | value |
|---|---|---|
| drift | 0.40 | s (close - slow mean) / (10 ATR): where the last year leans; 200 sessions, or 50 while there are no 200 |
| knife | 0.25 | s (close - close before) / (2 ATR), if below 0: the last session ran against the side |
| chase | 0.20 | -(s (close - mean of 20) / (2 ATR) - 1), if below 0: two ATR or more behind a move that has happened |
| shock | 0.05 | -(true range / ATR - 2), if below 0: the last session was out of the ordinary |
| tide | 0.10 | s (2 p - 1), p the share of symbols above their 200-session mean |

The opinion is their weighted sum; at -0.15 and below it disagrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from trading_assets.briefs.facts import Facts, Row, SymbolFacts, numbers
from trading_assets.briefs.roles import Sentence
from trading_assets.plans.model import Candidate, PlanSide, TradePlan
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
from trading_assets.reasoning.origin import origin_of
from trading_assets.signatures.model import Breach, Verdict
from trading_assets.theses.council_words import Listed, Share, Words, sentence

SIGNER = "double_checker"
# A doubt below this is written down and does not stop a plan that two other signers approve.
DISAGREE_MIN = 0.6
OPINION_DISAGREES = -0.15
DRIFT, KNIFE, CHASE, SHOCK, TIDE = 0.40, 0.25, 0.20, 0.05, 0.10
DRIFT_ATR, KNIFE_ATR, CHASE_ATR, SHOCK_RANGES = 10.0, 2.0, 2.0, 2.0
Word = Literal["agree", "disagree", "abstain"]
Level = Annotated[float, Mark.LEVEL] | None
_MEANS = ("sma_20", "sma_50", "sma_200", "ema_50")
_RANGES = ("atr_14", "bb_lower_20_2", "bb_upper_20_2", "high_20", "low_20", "high_252", "low_252", "vwap_20")
_RATIOS = ("rsi_14", "adx_14", "mom_252_21", "vol_20")


class Tape(Words):
    """The last session's prices, and levels made from those before it, in one unit; what is null is unknown."""

    open: Level
    high: Level
    low: Level
    close: Level
    close_before: Level
    sma_20: Level = None
    sma_50: Level = None
    sma_200: Level = None
    ema_50: Level = None
    atr_14: Level = None
    bb_lower_20_2: Level = None
    bb_upper_20_2: Level = None
    high_20: Level = None
    low_20: Level = None
    high_252: Level = None
    low_252: Level = None
    vwap_20: Level = None


class SecondInputs(Words):
    """What the double checker is given: whom, which side, and facts; nothing of the plan."""

    symbol: Listed
    side: PlanSide
    session: date
    view: str | None
    market_view: str | None
    tape: Tape
    rsi_14: float | None = None
    adx_14: float | None = None
    mom_252_21: float | None = None
    vol_20: float | None = None
    volume_ratio: float | None = None
    advances: float | None = None
    declines: float | None = None
    above_sma_50_share: Share | None = None
    above_sma_200_share: Share | None = None


class SecondOpinion(Words):
    """The double checker's answer."""

    verdict: Word
    confidence: Share
    reason: Sentence


class Second(Words):
    """A second opinion as it is kept: on which symbol and side, of which moment, and by whom."""

    symbol: str
    side: PlanSide
    as_of: AwareDatetime
    verdict: Word
    confidence: Annotated[float, Field(ge=0, le=1)]
    reason: str
    route: str
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""


def complaint(_: SecondInputs, answer: SecondOpinion) -> str | None:
    """What is wrong with an answer: an abstention that is sure, or an opinion that is not sure at all."""
    if (answer.verdict == "abstain") != (answer.confidence == 0):
        return "an abstention has the confidence 0, and every opinion one above 0"
    return None


def rules_opinion(inputs: SecondInputs) -> SecondOpinion | None:
    """The rules member (formula above); None where close, range or every slow mean is unknown."""
    terms = _terms(inputs)
    if terms is None:
        return None
    opinion = sum(value for value, _ in terms)
    disagrees = opinion <= OPINION_DISAGREES
    _, told = (min if disagrees else max)(terms, key=lambda term: term[0])
    sure = DISAGREE_MIN + abs(opinion) / 2 if disagrees else 0.5 + max(0.0, opinion) / 2
    return SecondOpinion(
        verdict="disagree" if disagrees else "agree",
        confidence=round(min(1.0, sure), 6),
        reason=sentence(f"The tape leans {opinion:+.2f} for a {inputs.side} position: {told}."),
    )


DOUBLE_CHECKER: Role[SecondInputs, SecondOpinion] = Role(
    "double-checker", SecondInputs, SecondOpinion, rules_opinion, complaint, panel=True
)


def second_asks(
    candidates: Sequence[Candidate],
    facts: Facts,
    *,
    budget: Budget,
    as_of: datetime,
    also: Iterable[tuple[str, PlanSide]] = (),
) -> tuple[Ask[SecondInputs, SecondOpinion], ...]:
    """One question for each symbol and side among the candidates, whatever strategies found it; none without facts.

    Args:
        candidates: The setups of the slot, before votes and sizes.
        facts: What the slot knows.
        budget: What the answers are paid from.
        as_of: The slot's moment.
        also: Further symbols and sides that may be opened: holdings that may be added to.
    """
    pairs = sorted({*((one.symbol, one.side) for one in candidates), *also})
    return tuple(
        Ask(DOUBLE_CHECKER, _inputs(facts.symbols[symbol], side, facts), budget, as_of)
        for symbol, side in pairs
        if symbol in facts.symbols
    )


def seconds_of(ask: Ask[SecondInputs, SecondOpinion], answer: Answer[SecondOpinion] | Abstention) -> tuple[Second, ...]:
    """The opinion with its origin; none from who did not answer."""
    if isinstance(answer, Abstention):
        return ()
    said = answer.value.model_dump()
    asked = {"symbol": ask.inputs.symbol, "side": ask.inputs.side, "as_of": ask.as_of}
    return (Second.model_validate({**asked, **said, **origin_of(answer)}),)


def second_on(plan: TradePlan, seconds: Iterable[Second]) -> Second | None:
    """The opinion on a plan's symbol and side; None where there is none, or where two contradict each other."""
    found = [each for each in seconds if (each.symbol, each.side) == (plan.symbol, plan.side)]
    return found[0] if found and all(each == found[0] for each in found) else None


def double_check(plan: TradePlan, second: Second | None) -> Verdict:
    """The verdict on one plan. What only reduces is approved: a reduction needs no second opinion."""
    breach = _objection(plan, second) if plan.opens else None
    return Verdict(
        signer=SIGNER,
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="veto" if breach else "approve",
        quantity=0 if breach else plan.quantity,
        breaches=(breach,) if breach else (),
    )


def _objection(plan: TradePlan, second: Second | None) -> Breach | None:
    if second is None:
        return _breach("D1", "second opinion", f"nobody spoke on {plan.symbol} {plan.side}", "an opinion")
    about = f"{second.symbol} {second.side} at {second.as_of.isoformat()}"
    if (second.symbol, second.side, second.as_of) != (plan.symbol, plan.side, plan.as_of):
        return _breach("D2", "same question", about, f"{plan.symbol} {plan.side} at {plan.as_of.isoformat()}")
    if second.verdict == "abstain":
        return _breach("D3", "abstention", second.reason, "an opinion")
    if second.verdict != "agree" and not second.confidence < DISAGREE_MIN:
        value = f"{second.verdict} with confidence {second.confidence:.2f}: {second.reason}"
        return _breach("D4", "disagreement", value, f"less than {DISAGREE_MIN}")
    return None


def _breach(control: str, name: str, value: str, bound: str) -> Breach:
    return Breach(control=control, value=value, bound=bound, sentence=f"{control} {name}: {value}, bound {bound}")


def _inputs(known: SymbolFacts, side: PlanSide, facts: Facts) -> SecondInputs:
    market = facts.market_regime
    return SecondInputs(
        symbol=known.symbol,
        side=side,
        session=known.session,
        view=known.view if known.regime else None,
        market_view=str(market["strategy_view"]) if market else None,
        tape=_tape(known),
        volume_ratio=_volume(known),
        **{column: _number(known.indicators, column) for column in _RATIOS},
        **_participation(facts.breadth or {}),
    )


def _tape(known: SymbolFacts) -> Tape:
    """Levels of the last session, all in its share count; a price that is not positive is unknown."""
    prices = {column: _positive(known.bar, column) for column in ("open", "high", "low", "close")}
    levels = {column: _positive(known.indicators, column) for column in (*_MEANS, *_RANGES)}
    return Tape(**prices, close_before=_positive(known.previous, "close"), **levels)


def _participation(breadth: Row) -> dict[str, float | None]:
    shares = {column: _number(breadth, column) for column in ("above_sma_50_share", "above_sma_200_share")}
    inside = {column: value if value is not None and 0 <= value <= 1 else None for column, value in shares.items()}
    return {**{column: _number(breadth, column) for column in ("advances", "declines")}, **inside}


def _volume(known: SymbolFacts) -> float | None:
    volume, mean = _positive(known.bar, "volume"), _positive(known.indicators, "volume_mean_20")
    return round(volume / mean, 6) if volume is not None and mean is not None else None


def _number(row: Row, column: str) -> float | None:
    found = numbers(row, column)
    return round(found[column], 6) if found else None


def _positive(row: Row, column: str) -> float | None:
    value = _number(row, column)
    return value if value is not None and value > 0 else None


def _terms(inputs: SecondInputs) -> Sequence[tuple[float, str]] | None:
    """The weighted terms, each with its words; an unknown term counts nothing, but close, range and a slow mean must be known."""
    tape, sign = inputs.tape, 1.0 if inputs.side == "long" else -1.0
    slow = tape.sma_200 if tape.sma_200 is not None else tape.sma_50
    if tape.close is None or tape.atr_14 is None or slow is None:
        return None
    ranges: Mapping[str, float] = {
        name: sign * (tape.close - level) / tape.atr_14
        for name, level in (("slow", slow), ("mean", tape.sma_20), ("before", tape.close_before))
        if level is not None
    }
    terms = [(DRIFT * _bounded(ranges["slow"] / DRIFT_ATR), f"{ranges['slow']:+.1f} ranges from its slow mean")]
    if "before" in ranges:
        against = min(0.0, ranges["before"] / KNIFE_ATR)
        terms.append((KNIFE * _bounded(against), f"the last session moved {ranges['before']:+.1f} ranges its way"))
    if "mean" in ranges:
        late = min(0.0, 1.0 - ranges["mean"] / CHASE_ATR)
        terms.append((CHASE * _bounded(late), f"it stands {ranges['mean']:+.1f} ranges from its 20-session mean"))
    return [*terms, *_weather(inputs, sign)]


def _weather(inputs: SecondInputs, sign: float) -> Sequence[tuple[float, str]]:
    terms, true_range = list[tuple[float, str]](), _true_range(inputs.tape)
    if true_range is not None and inputs.tape.atr_14 is not None:
        widths = true_range / inputs.tape.atr_14
        terms.append((SHOCK * _bounded(min(0.0, SHOCK_RANGES - widths)), f"the last range was {widths:.1f} usual ones"))
    above = inputs.above_sma_200_share
    if above is not None:
        terms.append((TIDE * sign * (2.0 * above - 1.0), f"{above:.0%} of the symbols are above their slow mean"))
    return terms


def _true_range(tape: Tape) -> float | None:
    if tape.high is None or tape.low is None:
        return None
    before = tape.close_before
    top = tape.high if before is None else max(tape.high, before)
    bottom = tape.low if before is None else min(tape.low, before)
    return top - bottom


def _bounded(value: float) -> float:
    return max(-1.0, min(1.0, value))
