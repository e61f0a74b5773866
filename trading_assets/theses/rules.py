"""Theses by rules: briefs become a claim per symbol, with confidence in log-odds.

Each brief adds weight · signal · confidence to the log-odds of "the price will rise to the target before it closes below the
invalidation"; the market's breadth counts half of the symbol's own brief.
"""

import json
import math
from collections.abc import Sequence
from decimal import Decimal

from trading_assets.briefs.facts import Facts, SymbolFacts, numbers
from trading_assets.briefs.model import Brief
from trading_assets.core.ids import short_id
from trading_assets.core.money import to_tick
from trading_assets.core.slots import Slot
from trading_assets.regimes.model import MARKET
from trading_assets.theses.model import Direction, Thesis

WEIGHTS = {"technical": 1.6, "breadth": 0.8}
HORIZON_SESSIONS = 20
TARGET_ATR = 3.0
INVALIDATION_ATR = 2.5


def form_theses(slot: Slot, facts: Facts, briefs: Sequence[Brief]) -> tuple[Thesis, ...]:
    """One thesis for each symbol that has a technical brief and a positive average true range."""
    market = [brief for brief in briefs if brief.symbol == MARKET]
    theses = []
    for symbol, known in sorted(facts.symbols.items()):
        own = [brief for brief in briefs if brief.symbol == symbol]
        measured = numbers(known.indicators, "atr_14")
        if own and measured and measured["atr_14"] > 0:
            theses.append(_thesis(slot, known, [*own, *market]))
    return tuple(theses)


def thesis_rows(theses: Sequence[Thesis], slot: Slot) -> list[dict[str, object]]:
    """The theses as rows of THESES."""
    return [{**thesis.model_dump(exclude={"id"}), "thesis_id": thesis.id, "knowable_at": slot.at} for thesis in theses]


def _thesis(slot: Slot, facts: SymbolFacts, briefs: Sequence[Brief]) -> Thesis:
    log_odds = sum(WEIGHTS.get(brief.agent, 0.0) * brief.signal * brief.confidence for brief in briefs)
    confidence = round(1.0 / (1.0 + math.exp(-log_odds)), 6)
    direction: Direction = "long" if confidence >= 0.5 else "avoid"
    target, invalidation = _band(facts)
    voices = json.dumps({f"{brief.agent}:{brief.symbol}": brief.signal for brief in briefs}, sort_keys=True)
    return Thesis(
        id=short_id("thesis", slot.session.day, slot.label, facts.symbol),
        session=slot.session.day,
        slot=slot.label,
        symbol=facts.symbol,
        claim=f"{facts.symbol} reaches {target:.2f} within {HORIZON_SESSIONS} sessions in a {facts.view} market; {voices}",
        direction=direction,
        horizon_sessions=HORIZON_SESSIONS,
        target=target,
        invalidation=invalidation,
        confidence=confidence,
    )


def _band(facts: SymbolFacts) -> tuple[Decimal, Decimal]:
    atr = Decimal(str(facts.indicators["atr_14"])) / facts.split_ratio
    target = to_tick(facts.price + atr * Decimal(str(TARGET_ATR)))
    invalidation = to_tick(max(facts.price - atr * Decimal(str(INVALIDATION_ATR)), Decimal("0.01")))
    return target, invalidation
