"""The strategies: pure functions from facts to an entry, each for one market view.

Swing strategies look at closed daily bars and act at the open. Entries are day limits a little above the last close, so that a
gap is not chased; stop and target are set from the average true range (Wilder) or from the level that the idea names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading_assets.briefs.facts import SymbolFacts
from trading_assets.core.money import to_tick
from trading_assets.core.settings import StrategyName
from trading_assets.theses.model import Thesis

ENTRY_CAP = Decimal("1.005")
VOLUME_SURGE = 1.2
MIN_CONFIDENCE = 0.55


@dataclass(frozen=True, slots=True)
class Setup:
    """An entry idea before sizing: prices in USD, in today's share count."""

    entry: Decimal
    stop: Decimal
    target: Decimal
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named rule: the view it needs, how long it holds, and when it enters."""

    name: StrategyName
    view: str
    holding_sessions_max: int
    setup: Callable[[SymbolFacts, Thesis], Setup | None]


def momentum_breakout(facts: SymbolFacts, thesis: Thesis) -> Setup | None:
    """A close above the highest high of the 20 sessions before, on volume 1.2 times its mean; stop 2 ATR, target 3.2 ATR."""
    known = _known(facts.indicators, "atr_14", "volume_mean_20")
    before = _known(facts.previous, "high_20")
    if known is None or before is None or thesis.confidence < MIN_CONFIDENCE:
        return None
    close, volume = facts.bar["close"], facts.bar["volume"]
    if close <= before["high_20"] or volume < VOLUME_SURGE * known["volume_mean_20"]:
        return None
    reasons = (
        f"close {close:.2f} broke the 20-session high {before['high_20']:.2f}",
        f"volume was {volume / known['volume_mean_20']:.1f} times its 20-session mean",
    )
    return _from_atr(facts, known["atr_14"], stop_atr=2.0, target_atr=3.2, reasons=reasons)


def mean_reversion(facts: SymbolFacts, _thesis: Thesis) -> Setup | None:
    """RSI below 30, or a low below the lower Bollinger band; target the middle band, stop 1.6 times nearer than the target."""
    known = _known(facts.indicators, "rsi_14", "bb_lower_20_2", "bb_middle_20_2", "atr_14")
    if known is None:
        return None
    oversold, pierced = known["rsi_14"] < 30.0, facts.bar["low"] < known["bb_lower_20_2"]
    if not (oversold or pierced):
        return None
    entry = to_tick(facts.price * ENTRY_CAP)
    target = to_tick(_price(known["bb_middle_20_2"]))
    risk = (target - entry) / Decimal("1.6")
    if risk < _price(known["atr_14"]) / 2:
        return None
    reasons = (
        f"RSI is {known['rsi_14']:.1f}; low {facts.bar['low']:.2f} against lower band {known['bb_lower_20_2']:.2f}",
        f"the middle band stands at {known['bb_middle_20_2']:.2f}",
    )
    return Setup(entry, to_tick(entry - risk), target, reasons)


def pullback(facts: SymbolFacts, thesis: Thesis) -> Setup | None:
    """A low that came within half an ATR of EMA(50) while the close held above it; target 1.8 times the risk or the swing high."""
    known = _known(facts.indicators, "ema_50", "atr_14", "high_20", "sma_200")
    if known is None or thesis.confidence < MIN_CONFIDENCE:
        return None
    close, low = facts.bar["close"], facts.bar["low"]
    near = low <= known["ema_50"] + 0.5 * known["atr_14"] and close >= known["ema_50"]
    if not near or close < known["sma_200"]:
        return None
    entry = to_tick(facts.price * ENTRY_CAP)
    stop = to_tick(_price(known["ema_50"] - known["atr_14"]))
    if stop >= entry:
        return None
    target = max(to_tick(_price(known["high_20"])), to_tick(entry + (entry - stop) * Decimal("1.8")))
    reasons = (
        f"low {low:.2f} came back to EMA(50) {known['ema_50']:.2f} and the close {close:.2f} held above it",
        f"the 20-session high stands at {known['high_20']:.2f}",
    )
    return Setup(entry, stop, target, reasons)


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("momentum_breakout", "trending_bull", 20, momentum_breakout),
        Strategy("mean_reversion", "range", 10, mean_reversion),
        Strategy("pullback", "mild_trend", 15, pullback),
    )
}


def _from_atr(
    facts: SymbolFacts, atr: float, *, stop_atr: float, target_atr: float, reasons: tuple[str, ...]
) -> Setup | None:
    entry = to_tick(facts.price * ENTRY_CAP)
    stop = to_tick(entry - _price(atr * stop_atr))
    if stop <= 0:
        return None
    return Setup(entry, stop, to_tick(entry + _price(atr * target_atr)), reasons)


def _known(row: Mapping[str, Any], *columns: str) -> dict[str, float] | None:
    values = {column: row.get(column) for column in columns}
    known = {column: float(value) for column, value in values.items() if value is not None}
    return known if len(known) == len(columns) else None


def _price(value: float) -> Decimal:
    return Decimal(str(value))
