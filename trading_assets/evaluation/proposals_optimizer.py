"""The nightly self-optimizer: reads what the record supports, and says which of it to propose, and why.

Code counts the moves; the optimizer may only leave some out and comment. It sees names, values and intervals, never which trades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.core.parameters import BOUNDS, Suggestion
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role

MOVES_MAX = 20
SENTENCE_MAX = 240
MoveId = Annotated[str, Field(pattern=r"^m[0-9]{1,2}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=SENTENCE_MAX)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SupportedMove(_Words):
    """A move that the record supports: the mean gain of a trade with its interval, USD, and on how many trades."""

    id: MoveId
    parameter: str
    unit: str
    before: float
    after: float
    low: float
    high: float
    gain_mean_usd: float
    gain_low_usd: float
    gain_high_usd: float
    level: Annotated[float, Field(gt=0, lt=1)]
    trades: Annotated[int, Field(ge=1)]
    tried: Annotated[int, Field(ge=1)]


class Weak(_Words):
    """A strategy in a regime as the strategy monitor sees it."""

    strategy: str
    regime: str
    word: Literal["on", "off", "switch off", "switch on", "off by the operator"]
    trades: int
    win_rate: float | None
    net_pnl_usd: float


class OptimizerInputs(_Words):
    """What the optimizer is given after a session."""

    moves: Annotated[tuple[SupportedMove, ...], Field(min_length=1, max_length=MOVES_MAX)]
    standings: tuple[Weak, ...]


class Pick(_Words):
    """A move to propose, and the sentence that the operator reads beside it."""

    id: MoveId
    comment: Sentence


class Picks(_Words):
    """The optimizer's answer: moves to propose, the most convincing first; none is an answer."""

    picks: Annotated[tuple[Pick, ...], Field(max_length=MOVES_MAX)]


def complaint(inputs: OptimizerInputs, answer: Picks) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    known, named = {move.id for move in inputs.moves}, [pick.id for pick in answer.picks]
    foreign = sorted(set(named) - known)
    if foreign:
        return f"{', '.join(foreign)} is not on the list; choose of {', '.join(sorted(known))}"
    return "a move stands twice" if len(set(named)) < len(named) else None


def rules_picks(inputs: OptimizerInputs) -> Picks:
    """The rules member: everything that the record supports."""
    return Picks(picks=tuple(Pick(id=move.id, comment=_counted(move)) for move in inputs.moves))


OPTIMIZER = Role("optimizer", OptimizerInputs, Picks, rules_picks, complaint)


def optimizer_ask(
    suggestions: Sequence[Suggestion], standings: Sequence[Weak], *, budget: Budget, as_of: datetime
) -> Ask[OptimizerInputs, Picks] | None:
    """The question about the night's suggestions; None where there is nothing to choose from."""
    moves = tuple(_move(f"m{number}", each) for number, each in enumerate(suggestions[:MOVES_MAX], 1))
    return Ask(OPTIMIZER, OptimizerInputs(moves=moves, standings=tuple(standings)), budget, as_of) if moves else None


def picked(suggestions: Sequence[Suggestion], answer: Answer[Picks] | Abstention) -> tuple[Suggestion, ...]:
    """The suggestions that were picked, each with its comment; what silence leaves is nothing."""
    if isinstance(answer, Abstention):
        return ()
    by_id = {f"m{number}": each for number, each in enumerate(suggestions[:MOVES_MAX], 1)}
    return tuple(_commented(by_id[pick.id], pick, answer) for pick in answer.value.picks)


def _commented(suggestion: Suggestion, pick: Pick, answer: Answer[Picks]) -> Suggestion:
    told = {"route": answer.route, "model": answer.model, "answer_key": answer.key, "leakage": answer.leakage}
    evidence = {**suggestion.evidence, "comment": pick.comment, "chosen_by": told}
    reason = suggestion.reason if answer.route == "rules" else f"{suggestion.reason}. {pick.comment}"
    return replace(suggestion, reason=reason, evidence=evidence)


def _move(name: str, suggestion: Suggestion) -> SupportedMove:
    bound, gain = BOUNDS[suggestion.name], suggestion.evidence["gain_usd"]
    return SupportedMove(
        id=name,
        parameter=suggestion.name,
        unit=bound.unit,
        before=suggestion.before,
        after=suggestion.after,
        low=bound.low,
        high=bound.high,
        gain_mean_usd=gain["mean"],
        gain_low_usd=gain["low"],
        gain_high_usd=gain["high"],
        level=suggestion.evidence["level"],
        trades=suggestion.observations,
        tried=suggestion.evidence["tried"],
    )


def _counted(move: SupportedMove) -> str:
    return (
        f"{move.trades} trades would have gained {move.gain_mean_usd:+.2f} USD each, "
        f"{move.gain_low_usd:+.2f} at the low end of {move.level:.1%}; {move.tried} moves were tried."
    )
