"""The trading state of a book: what its losses allow today.

ACTIVE opens and closes; REDUCING only closes; HALTED only closes, and stays so until the operator acknowledges the halt by its id.
Losses are judged on equity at the closes that are known: the last session against the one before (C11), and against the peak since
the last acknowledged halt (C12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from trading_assets.core.preferences import Preferences

TradingState = Literal["ACTIVE", "REDUCING", "HALTED"]


@dataclass(frozen=True, slots=True)
class StateRuling:
    """The state and why. `halt` carries a cause when the losses call for a new halt."""

    state: TradingState
    reason: str
    halt: str | None = None


def trading_state(equity: Sequence[Decimal], preferences: Preferences, *, open_halt: str | None = None) -> StateRuling:
    """The state after the closes in `equity` (USD, oldest first; empty for a new book). An open halt always wins."""
    if open_halt is not None:
        return StateRuling("HALTED", f"halted: {open_halt}")
    if not equity:
        return StateRuling("ACTIVE", "a new book")
    broken = [value for value in equity if not (value.is_finite() and value > 0)]
    if broken:
        cause = f"C11 equity: {broken[-1]} USD cannot be traded on"
        return StateRuling("HALTED", cause, halt=cause)
    drawdown = 1 - equity[-1] / max(equity)
    if drawdown >= Decimal(str(preferences.drawdown_halt_fraction)):
        cause = f"C12 drawdown: {drawdown:.2%} from the peak, halts at {preferences.drawdown_halt_fraction:.2%}"
        return StateRuling("HALTED", cause, halt=cause)
    loss = 1 - equity[-1] / equity[-2] if len(equity) > 1 else Decimal(0)
    if loss >= Decimal(str(preferences.daily_loss_halt_fraction)):
        cause = f"C11 daily loss: {loss:.2%}, halts at {preferences.daily_loss_halt_fraction:.2%}"
        return StateRuling("HALTED", cause, halt=cause)
    if loss >= Decimal(str(preferences.daily_loss_reduce_only_fraction)):
        bound = preferences.daily_loss_reduce_only_fraction
        return StateRuling("REDUCING", f"C11 daily loss: {loss:.2%}, reduces only from {bound:.2%}")
    return StateRuling("ACTIVE", f"drawdown {drawdown:.2%}, last session {-loss:.2%}")
