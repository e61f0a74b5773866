"""The adaptor as a role: what it is given, and the only two things that it may say: hold, or tighten.

It sees fractions, shares and ratios: no symbol, no day, no price. A move is one step of a parameter in the direction that risks
less; there is no word for any other.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.reasoning.model import Role

SENTENCE_MAX = 240
SENTENCES_MAX = 3
MoveName = Literal["position_fraction", "stop_fraction", "stop_atr"]
View = Literal["trending_bull", "trending_bear", "range", "mild_trend", "mixed", "unknown"]
VOLATILITY_HIGH = 1.5
LOSS_FRACTION = 0.005
STRIKES_MIN = 2
Share = Annotated[float, Field(ge=0, le=1)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AdaptorInputs(_Words):
    """One session so far, against the view that it was planned on."""

    view_open: View
    view_now: View
    turned: bool
    symbols: Annotated[int, Field(ge=1)]
    up_share: Share
    above_vwap_share: Share
    move: float
    volatility_ratio: Annotated[float, Field(ge=0)] | None
    day_pnl_fraction: float
    holdings: Annotated[int, Field(ge=0)]
    strategies: tuple[str, ...]
    may_move: tuple[MoveName, ...]


Sentence = Annotated[str, Field(min_length=1, max_length=SENTENCE_MAX)]


class Advice(_Words):
    """The adaptor's answer."""

    advice: Literal["hold", "tighten"]
    moves: Annotated[tuple[MoveName, ...], Field(max_length=3)]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=SENTENCES_MAX)]


def complaint(inputs: AdaptorInputs, answer: Advice) -> str | None:
    """What is wrong with an advice; None when nothing is."""
    if (answer.advice == "tighten") != bool(answer.moves):
        return "tighten names at least one move, and hold names none"
    if len(set(answer.moves)) != len(answer.moves):
        return "a move may be named once"
    beyond = sorted(set(answer.moves) - set(inputs.may_move))
    return f"moves not in may_move: {', '.join(beyond)}" if beyond else None


def rules_advice(inputs: AdaptorInputs) -> Advice:
    """The rules member: two signs of trouble make positions smaller, three make stops tighter as well."""
    signs = [sentence for wrong, sentence in _signs(inputs) if wrong]
    wanted: tuple[MoveName, ...] = ("position_fraction",)
    if len(signs) > STRIKES_MIN:
        wanted = (*wanted, "stop_atr", "stop_fraction")
    moves = tuple(name for name in wanted if name in inputs.may_move)
    if len(signs) < STRIKES_MIN or not moves:
        told = signs or ["The session goes as it was planned."]
        return Advice(advice="hold", moves=(), reasons=tuple(told))
    return Advice(advice="tighten", moves=moves, reasons=tuple(signs))


def _signs(inputs: AdaptorInputs) -> tuple[tuple[bool, str], ...]:
    ratio = inputs.volatility_ratio
    fell = inputs.turned and inputs.view_now == "trending_bear"
    return (
        (
            fell,
            f"The market falls, {inputs.up_share:.0%} of it above its open, and the day was planned on {inputs.view_open}.",
        ),
        (
            ratio is not None and ratio >= VOLATILITY_HIGH,
            f"It moves {ratio or 0:.1f} times as much as usual at this hour.",
        ),
        (
            inputs.day_pnl_fraction <= -LOSS_FRACTION,
            f"The book has lost {-inputs.day_pnl_fraction:.2%} of its equity today.",
        ),
    )


ADAPTOR: Role[AdaptorInputs, Advice] = Role("adaptor", AdaptorInputs, Advice, rules_advice, complaint)
