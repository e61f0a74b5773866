"""The strategy of the weekly desk: at the open it buys what the newest portfolio wants and the book does not hold.

It acts through the same cycle as every other: a thesis, votes, the trader, sizes, limits, three signatures. It holds until a later
portfolio no longer wants the symbol, or until what ends any position ends this one: its thesis, its view, its stop or target.
"""

from datetime import date

from trading_assets.briefs.facts import numbers
from trading_assets.core.calendar import XNYS
from trading_assets.plans.strategies.model import Scene, Setup, atr_bracket
from trading_assets.weekly.model import STRATEGY, Targets

HOLDING_SESSIONS_MAX = 65
"""Sessions for which a position is kept that no portfolio confirms: thirteen weeks, the longest interval between two."""


def weekly_portfolio(scene: Scene) -> Setup | None:
    """A symbol to which a portfolio that is not stale gives weight, while the weekly desk has capital."""
    targets, known = scene.facts.weekly, scene.known
    now = numbers(known.indicators, "atr_14")
    if targets is None or now is None or targets.is_stale(scene.slot.session.day):
        return None
    if not 0 < targets.fraction(known.symbol) <= 1:
        return None
    reasons = (
        f"the weekly portfolio of {targets.session} wants {targets.weights[known.symbol]:.1%} of its "
        f"{targets.capital_fraction:.1%} of equity, until {targets.valid_until}",
    )
    return atr_bracket(known, now["atr_14"], reasons, scene.parameters)


def unwanted(symbol: str, sessions_held: int, targets: Targets | None, day: date) -> str | None:
    """Why a position of the weekly desk is sold, or nothing. A stale portfolio still sells what it did not want."""
    if targets is None:
        told = f"held for {sessions_held} sessions; {STRATEGY} holds at most {HOLDING_SESSIONS_MAX}"
        return told if sessions_held >= HOLDING_SESSIONS_MAX else None
    if targets.capital_fraction <= 0:
        return f"the weekly portfolio of {targets.session} has no capital"
    if symbol not in targets.weights:
        why = targets.reasons.get(symbol, "it is not in it")
        return f"the weekly portfolio of {targets.session} does not want it: {why}"[:240]
    alone = len(XNYS.sessions(targets.session, day)) - 1
    if min(alone, sessions_held) >= HOLDING_SESSIONS_MAX:
        return f"no weekly portfolio was made in the {alone} sessions since {targets.session}"
    return None
