"""The questions of the leak check, the cases that they are asked about, and the same cases made counterfactual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ids import digest
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.model import Role

Direction = Literal["up", "down"]
Confidence = Annotated[float, Field(ge=0, le=1)]
Sessions = Annotated[int, Field(ge=1)]
WINDOW_SESSIONS = 40
HORIZON_SESSIONS = 10


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TrendInputs(_Words):
    """Daily closes of one symbol up to a session, oldest first, USD in the share count of that session."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    closes: Annotated[tuple[Annotated[float, Mark.LEVEL, Field(gt=0)], ...], Field(min_length=2, max_length=252)]
    horizon_sessions: Sessions


class Call(_Words):
    """Whether the close will stand higher or lower after the horizon."""

    direction: Direction
    confidence: Confidence


class RecallQuestion(_Words):
    """A symbol and a session, and nothing else: whoever answers well remembers."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    horizon_sessions: Sessions


class Recall(_Words):
    """What the close did after the session, from memory; unknown is the honest answer of who does not remember."""

    direction: Literal["up", "down", "unknown"]
    confidence: Confidence


def trend(inputs: TrendInputs) -> Call:
    """The rules member: up when the last close stands above the mean of all, down when it does not."""
    last, mean = inputs.closes[-1], sum(inputs.closes) / len(inputs.closes)
    return Call(direction="up" if last > mean else "down", confidence=0.5)


def no_memory(_question: RecallQuestion) -> Recall:
    """The rules member: rules remember nothing."""
    return Recall(direction="unknown", confidence=0.0)


TREND_PROBE = Role("trend-probe", TrendInputs, Call, trend)
RECALL_PROBE = Role("recall-probe", RecallQuestion, Recall, no_memory)


@dataclass(frozen=True, slots=True)
class Close:
    """One close. USD as traded, and in the share count of the newest bar."""

    session: date
    traded_usd: float
    adjusted_usd: float


@dataclass(frozen=True, slots=True)
class Case:
    """A question whose outcome is known."""

    inputs: TrendInputs
    outcome: Direction

    @property
    def recall(self) -> RecallQuestion:
        """The same case by name and day only."""
        return RecallQuestion(
            symbol=self.inputs.symbol, session=self.inputs.session, horizon_sessions=self.inputs.horizon_sessions
        )


def cases_of(histories: Mapping[str, Sequence[Close]], *, count: int) -> tuple[Case, ...]:
    """Cases spread evenly over symbols and years; the horizons of one symbol's cases do not overlap.

    Args:
        histories: Closes by symbol, ascending.
        count: How many cases are wanted; fewer when the histories hold fewer.

    Raises:
        PermanentFailure: `count` is not positive.
        DataNotReady: No history is long enough.
    """
    if count < 1:
        raise PermanentFailure("a leak check needs cases", value=count, bound="1 or more")
    possible = [case for symbol, closes in sorted(histories.items()) for case in _cases(symbol, closes)]
    if not possible:
        raise DataNotReady(
            f"no symbol has {WINDOW_SESSIONS + HORIZON_SESSIONS} daily bars",
            hint="desk ingest --from D --to D fetches more",
        )
    ordered = sorted(possible, key=lambda case: (case.inputs.session, case.inputs.symbol))
    wanted = min(count, len(ordered))
    return tuple(ordered[position * len(ordered) // wanted] for position in range(wanted))


def inverted(inputs: TrendInputs) -> TrendInputs:
    """The same closes with every move turned round; the last close stays where it is."""
    last = inputs.closes[-1]
    return _with(inputs, [last * (last / close) for close in inputs.closes])


def shuffled(inputs: TrendInputs) -> TrendInputs:
    """The same moves in another order, drawn from the question itself; the first and the last close stay where they are."""
    moves = [after / before for before, after in pairwise(inputs.closes)]
    order = sorted(range(len(moves)), key=lambda position: digest(inputs.symbol, inputs.session, position))
    closes = list(
        accumulate((moves[position] for position in order), lambda close, move: close * move, initial=inputs.closes[0])
    )
    return _with(inputs, [*closes[:-1], inputs.closes[-1]])


def swapped(inputs: TrendInputs, donor: TrendInputs) -> TrendInputs:
    """The donor's moves under this question's name and day, up to this question's last close."""
    scale = inputs.closes[-1] / donor.closes[-1]
    return _with(inputs, [close * scale for close in donor.closes])


def _with(inputs: TrendInputs, closes: Sequence[float]) -> TrendInputs:
    # Prices are quoted in cents; made ones must not stand out by their digits.
    return inputs.model_copy(update={"closes": tuple(max(round(close, 2), 0.01) for close in closes)})


def _cases(symbol: str, closes: Sequence[Close]) -> Iterator[Case]:
    for last in range(WINDOW_SESSIONS - 1, len(closes) - HORIZON_SESSIONS, HORIZON_SESSIONS):
        now, later = closes[last], closes[last + HORIZON_SESSIONS]
        if later.adjusted_usd == now.adjusted_usd:
            continue
        shares = now.traded_usd / now.adjusted_usd
        window = closes[last + 1 - WINDOW_SESSIONS : last + 1]
        inputs = TrendInputs(
            symbol=symbol,
            session=now.session,
            closes=tuple(round(close.adjusted_usd * shares, 4) for close in window),
            horizon_sessions=HORIZON_SESSIONS,
        )
        yield Case(inputs, "up" if later.adjusted_usd > now.adjusted_usd else "down")
