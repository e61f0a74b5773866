"""The strategies: pure functions from facts to an entry, each for one market view.

Swing strategies look at closed daily bars and act at the open. Entries are day limits a little above the last close, so that a
gap is not chased; stop and target are set from the average true range (Wilder) or from the level that the idea names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading_assets.briefs.facts import SymbolFacts, numbers
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
    bar = numbers(facts.bar, "close", "volume")
    now = numbers(facts.indicators, "atr_14", "volume_mean_20")
    before = numbers(facts.previous, "high_20")
    if bar is None or now is None or before is None or thesis.confidence < MIN_CONFIDENCE:
        return None
    if bar["close"] <= before["high_20"] or bar["volume"] < VOLUME_SURGE * now["volume_mean_20"]:
        return None
    entry, atr = _entry(facts), _price(now["atr_14"])
    reasons = (
        f"close {bar['close']:.2f} broke the 20-session high {before['high_20']:.2f}",
        f"volume was {bar['volume']:,.0f} against a 20-session mean of {now['volume_mean_20']:,.0f}",
    )
    return _setup(entry, entry - atr * 2, entry + atr * Decimal("3.2"), reasons)


def mean_reversion(facts: SymbolFacts, _thesis: Thesis) -> Setup | None:
    """RSI below 30, or a low below the lower Bollinger band; target the middle band, stop 1.6 times nearer than the target."""
    bar = numbers(facts.bar, "low")
    now = numbers(facts.indicators, "rsi_14", "bb_lower_20_2", "bb_middle_20_2", "atr_14")
    if bar is None or now is None:
        return None
    oversold, pierced = now["rsi_14"] < 30.0, bar["low"] < now["bb_lower_20_2"]
    entry, target = _entry(facts), to_tick(_price(now["bb_middle_20_2"]))
    risk = (target - entry) / Decimal("1.6")
    if not (oversold or pierced) or risk < _price(now["atr_14"]) / 2:
        return None
    reasons = (
        f"RSI is {now['rsi_14']:.1f}; low {bar['low']:.2f} against lower band {now['bb_lower_20_2']:.2f}",
        f"the middle band stands at {now['bb_middle_20_2']:.2f}",
    )
    return _setup(entry, entry - risk, target, reasons)


def pullback(facts: SymbolFacts, thesis: Thesis) -> Setup | None:
    """A low that came within half an ATR of EMA(50) while the close held above it; target 1.8 times the risk or the swing high."""
    bar = numbers(facts.bar, "close", "low")
    now = numbers(facts.indicators, "ema_50", "atr_14", "high_20", "sma_200")
    if bar is None or now is None or thesis.confidence < MIN_CONFIDENCE:
        return None
    near = bar["low"] <= now["ema_50"] + 0.5 * now["atr_14"]
    if not near or bar["close"] < max(now["ema_50"], now["sma_200"]):
        return None
    entry, stop = _entry(facts), to_tick(_price(now["ema_50"] - now["atr_14"]))
    target = max(to_tick(_price(now["high_20"])), entry + (entry - stop) * Decimal("1.8"))
    reasons = (
        f"low {bar['low']:.2f} came back to EMA(50) {now['ema_50']:.2f} and the close {bar['close']:.2f} held above it",
        f"the 20-session high stands at {now['high_20']:.2f}",
    )
    return _setup(entry, stop, target, reasons)


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("momentum_breakout", "trending_bull", 20, momentum_breakout),
        Strategy("mean_reversion", "range", 10, mean_reversion),
        Strategy("pullback", "mild_trend", 15, pullback),
    )
}


def _entry(facts: SymbolFacts) -> Decimal:
    return to_tick(facts.price * ENTRY_CAP)


def _setup(entry: Decimal, stop: Decimal, target: Decimal, reasons: tuple[str, ...]) -> Setup | None:
    """The idea in cents; None where rounding or a crash leaves no order that a broker would take."""
    made = Setup(entry, to_tick(stop), to_tick(target), reasons)
    return made if 0 < made.stop < made.entry < made.target else None


def _price(value: float) -> Decimal:
    return Decimal(str(value))
