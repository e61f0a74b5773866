"""The trading state of a book: what its losses allow today.

ACTIVE opens and closes; REDUCING only closes; HALTED only closes, and stays so until the operator acknowledges the halt by its id.
A book that settles after the close is judged on the closes that are known (`trading_state`): the last session against the one
before (C11), and against the peak since the last acknowledged halt (C12). A book at a broker is judged in session (`live_state`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.core.preferences import Preferences

TradingState = Literal["ACTIVE", "REDUCING", "HALTED"]
STRICTNESS: tuple[TradingState, ...] = ("ACTIVE", "REDUCING", "HALTED")
FIRST_START = "C1 first start: no operator has ever released this book"


@dataclass(frozen=True, slots=True)
class StateRuling:
    """The state and why. `halt` carries a cause when there must be a new halt; `flatten`: losses want everything sold now."""

    state: TradingState
    reason: str
    halt: str | None = None
    flatten: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a book at a broker stands in session. What is not known is None, and lets nothing open.

    Args:
        equity: Of the account now, USD; `day_open` when the day opened, `peak` at most since the last acknowledged halt.
        stop_outs: Stops hit in the session.
        halts: Causes of the halts that nobody acknowledged, oldest first.
        halt_file: What the watchdog's halt file says; empty when there is none.
        watchdog_age: How long ago the watchdog last gave a sign of life; more than `watchdog_age_max` is dead.
        reconciled_age: How old the newest complete snapshot is.
        breaker: Why the whole desk is closed to entries, as a flash crash; empty when it is not.
        ever_released: Whether an operator ever acknowledged a halt of this book. A book begins halted.
    """

    equity: Decimal | None
    day_open: Decimal | None
    peak: Decimal | None
    stop_outs: int | None
    halts: tuple[str, ...]
    halt_file: str
    watchdog_age: timedelta | None
    watchdog_age_max: timedelta
    reconciled_age: timedelta | None
    breaker: str
    ever_released: bool


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


def live_state(standing: Standing, preferences: Preferences) -> StateRuling:
    """The state now: the strictest of all that is found, with every reason. Open halts are not recorded again.

    A daily loss or a drawdown that halts also wants everything sold, whoever halted before.
    """
    losses = tuple(_losses(standing, preferences))
    halting = [cause for state, cause in losses if state == "HALTED"]
    open_halts = [
        f"halted: {cause}" for cause in (*standing.halts, *([standing.halt_file] if standing.halt_file else []))
    ]
    found: list[tuple[TradingState, str]] = [("HALTED", reason) for reason in open_halts]
    if not standing.ever_released and not open_halts:
        halting.append(FIRST_START)
        found.append(("HALTED", FIRST_START))
    found += (*losses, *(("REDUCING", reason) for reason in _reducing(standing, preferences)))
    state = max((state for state, _ in found), key=STRICTNESS.index, default=STRICTNESS[0])
    reason = "; ".join(reason for _, reason in found) or "nothing speaks against it"
    cause = halting[0] if halting and not open_halts else None
    return StateRuling(state, reason, cause, flatten=any(state == "HALTED" for state, _ in losses))


def _losses(standing: Standing, preferences: Preferences) -> Iterator[tuple[TradingState, str]]:
    """C11 and C12. An amount that is unknown reduces; one that is known and absurd halts."""
    known = {"equity": standing.equity, "opening equity": standing.day_open, "peak": standing.peak}
    for name, amount in known.items():
        if amount is None or not amount.is_finite():
            yield "REDUCING", f"C11 {name}: {'unknown' if amount is None else amount}"
        elif amount <= 0:
            yield "HALTED", f"C11 {name}: {amount} USD cannot be traded on"
    if loss := _below(standing.equity, standing.day_open):
        yield from _daily_loss(loss, preferences)
    drawdown = _below(standing.equity, standing.peak)
    if drawdown is not None and drawdown >= Decimal(str(preferences.drawdown_halt_fraction)):
        yield "HALTED", f"C12 drawdown: {drawdown:.2%} from the peak, halts at {preferences.drawdown_halt_fraction:.2%}"


def _daily_loss(loss: Decimal, preferences: Preferences) -> Iterator[tuple[TradingState, str]]:
    reduces, halts = preferences.daily_loss_reduce_only_fraction, preferences.daily_loss_halt_fraction
    if loss >= Decimal(str(halts)):
        yield "HALTED", f"C11 daily loss: {loss:.2%}, halts at {halts:.2%}"
    elif loss >= Decimal(str(reduces)):
        yield "REDUCING", f"C11 daily loss: {loss:.2%}, reduces only from {reduces:.2%}"


def _below(equity: Decimal | None, mark: Decimal | None) -> Decimal | None:
    """How far equity is below a mark, as a fraction of the mark; None where either is no amount of money."""
    if equity is None or mark is None or not (equity.is_finite() and mark.is_finite() and mark > 0):
        return None
    return 1 - equity / mark


def _reducing(standing: Standing, preferences: Preferences) -> Iterator[str]:
    """Why nothing may open, though nothing is lost."""
    limit, stop_outs = preferences.stop_outs_reduce_only, standing.stop_outs
    if stop_outs is None or not 0 <= stop_outs < limit:
        told = "unknown" if stop_outs is None else f"{stop_outs}"
        yield f"C13 stop-outs in a session: {told}, reduces only from {limit}"
    if not _is_recent(standing.watchdog_age, standing.watchdog_age_max):
        yield f"the watchdog's last sign of life: {_seconds(standing.watchdog_age)}, bound {_seconds(standing.watchdog_age_max)}"
    reconciled_max = timedelta(seconds=preferences.reconciled_seconds_max)
    if not _is_recent(standing.reconciled_age, reconciled_max):
        yield f"C34 reconciled: {_seconds(standing.reconciled_age)}, bound {_seconds(reconciled_max)}"
    if standing.breaker:
        yield standing.breaker


def _is_recent(age: timedelta | None, limit: timedelta) -> bool:
    """A sign that lies further ahead than the limit proves nothing either."""
    return age is not None and abs(age) <= limit


def _seconds(age: timedelta | None) -> str:
    return "never" if age is None else f"{age.total_seconds():.1f} s"
