"""What is sold, and why: every reason to leave a position that rests on the facts, the thesis or the other leg, in one list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.settings import Scaling
from trading_assets.core.slots import Slot
from trading_assets.plans import pairs
from trading_assets.plans.portfolio import FOREIGN, Holding, Portfolio
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.plans.strategies.weekly import unwanted
from trading_assets.theses.model import Mind, Thesis
from trading_assets.weekly.model import STRATEGY as WEEKLY

TURNED: Mapping[str, str] = {"long": "trending_bear", "short": "trending_bull"}


@dataclass(frozen=True, slots=True)
class Leaving:
    """A position that is to be closed, the sentence why, and the thesis that it served, alive or ended in this slot."""

    holding: Holding
    reason: str
    thesis: Thesis | None


def leaving(
    slot: Slot,
    facts: Facts,
    mind: Mind,
    portfolio: Portfolio,
    *,
    ended: Sequence[Thesis],
    scaling: Scaling,
    flatten: str | None,
) -> tuple[Leaving, ...]:
    """Every holding that has a reason to be sold and is not on its way out, by symbol.

    Args:
        flatten: Why everything must be sold now (a halt); it counts before any other reason.
    """
    over = {thesis.id: thesis for thesis in ended}
    reasons = {
        symbol: flatten or _reason(slot, holding, facts, mind, over, scaling)
        for symbol, holding in sorted(portfolio.holdings.items())
        if symbol not in portfolio.exiting and (flatten or holding.strategy != FOREIGN)
    }
    gone = {symbol for symbol, reason in reasons.items() if reason} | portfolio.exiting
    alone = dict(_widowed(slot, facts, portfolio, gone))
    told = {symbol: reason or alone.get(symbol) for symbol, reason in reasons.items()}
    return tuple(
        Leaving(held, reason, thesis_of(held, mind) or over.get(held.thesis_id))
        for held, reason in ((portfolio.holdings[symbol], reason) for symbol, reason in told.items())
        if reason
    )


def thesis_of(holding: Holding, mind: Mind) -> Thesis | None:
    """The live thesis that the position serves; one that names none serves the thesis on its symbol and side."""
    if holding.thesis_id:
        return next((thesis for thesis in mind.theses if thesis.id == holding.thesis_id), None)
    return mind.of(holding.symbol, holding.side)


def _reason(
    slot: Slot, holding: Holding, facts: Facts, mind: Mind, ended: Mapping[str, Thesis], scaling: Scaling
) -> str | None:
    return (
        _thesis_reason(holding, mind, ended, scaling)
        or _time_reason(slot, holding, facts)
        or (None if holding.pair else _view_reason(holding, facts))
    )


def _thesis_reason(holding: Holding, mind: Mind, ended: Mapping[str, Thesis], scaling: Scaling) -> str | None:
    over = ended.get(holding.thesis_id)
    if over is not None:
        return f"its thesis ended ({over.outcome or 'no outcome'}): {over.claim}"[:240]
    thesis = thesis_of(holding, mind)
    if thesis is None:
        return f"its thesis {holding.thesis_id} is no longer alive" if holding.thesis_id else None
    if thesis.confidence < scaling.exit_confidence:
        return f"the confidence of its thesis fell to {thesis.confidence:.2f}, below {scaling.exit_confidence:.2f}"
    return None


def _time_reason(slot: Slot, holding: Holding, facts: Facts) -> str | None:
    if holding.strategy == WEEKLY:
        return unwanted(holding.symbol, holding.sessions_held, facts.weekly, slot.session.day)
    strategy = STRATEGIES.get(holding.strategy)
    if strategy is None:
        return f"no strategy is named {holding.strategy}"
    longest = strategy.holding_sessions_max
    if holding.sessions_held >= longest:
        return f"held for {holding.sessions_held} sessions; {holding.strategy} holds at most {longest}"
    return None


def _view_reason(holding: Holding, facts: Facts) -> str | None:
    known = facts.symbols.get(holding.symbol)
    against = TURNED[holding.side]
    return f"the view of {holding.symbol} turned to {against}" if known is not None and known.view == against else None


def _widowed(slot: Slot, facts: Facts, portfolio: Portfolio, gone: set[str]) -> Iterator[tuple[str, str]]:
    """Legs whose pair is over: the other leg is gone or going, or the gap has closed.

    Judged at the open, when no entry is on its way any more.
    """
    legs = [each for _, each in sorted(portfolio.holdings.items()) if each.pair]
    for leg in legs if slot.is_first else ():
        other = next((each for each in legs if each.pair == leg.pair and each.symbol != leg.symbol), None)
        if other is None:
            yield leg.symbol, "the other leg of its pair is gone"
        elif other.symbol in gone:
            yield leg.symbol, f"the other leg of its pair, {other.symbol}, is sold"
        else:
            reason = pairs.closed(facts, leg.symbol, other.symbol)
            if reason:
                yield leg.symbol, reason
