"""The strategies that look at closed daily bars and act at the open.

Entries are day limits a little above the last close, so that a gap is not chased; stop and target are set from the average true
range (Wilder) times the session's `stop_atr` and `target_atr`, or from the level that the idea names.
"""

from collections.abc import Mapping
from decimal import Decimal

from trading_assets.briefs.facts import Facts, numbers
from trading_assets.core.money import to_tick
from trading_assets.plans.strategies.model import Scene, Setup, atr_bracket, bracket, capped, price

VOLUME_SURGE = 1.2
TELLING_EDGES = ("high", "medium")
YOUNG_STAGES = ("nascent", "emerging")


def momentum_breakout(scene: Scene) -> Setup | None:
    """A close above the highest high of the 20 sessions before, on volume 1.2 times its mean."""
    known = scene.known
    bar = numbers(known.bar, "close", "volume")
    now = numbers(known.indicators, "atr_14", "volume_mean_20")
    before = numbers(known.previous, "high_20")
    if bar is None or now is None or before is None:
        return None
    if bar["close"] <= before["high_20"] or bar["volume"] < VOLUME_SURGE * now["volume_mean_20"]:
        return None
    reasons = (
        f"close {bar['close']:.2f} broke the 20-session high {before['high_20']:.2f}",
        f"volume was {bar['volume']:,.0f} against a 20-session mean of {now['volume_mean_20']:,.0f}",
    )
    return atr_bracket(known, now["atr_14"], reasons, scene.parameters)


def mean_reversion(scene: Scene) -> Setup | None:
    """RSI below 30, or a low below the lower Bollinger band; target the middle band, stop 1.6 times nearer than the target."""
    known = scene.known
    bar = numbers(known.bar, "low")
    now = numbers(known.indicators, "rsi_14", "bb_lower_20_2", "bb_middle_20_2", "atr_14")
    if bar is None or now is None:
        return None
    oversold, pierced = now["rsi_14"] < 30.0, bar["low"] < now["bb_lower_20_2"]
    entry, target = capped(known.price, "long"), to_tick(price(now["bb_middle_20_2"]))
    risk = (target - entry) / Decimal("1.6")
    if not (oversold or pierced) or risk < price(now["atr_14"]) / 2:
        return None
    reasons = (
        f"RSI is {now['rsi_14']:.1f}; low {bar['low']:.2f} against lower band {now['bb_lower_20_2']:.2f}",
        f"the middle band stands at {now['bb_middle_20_2']:.2f}",
    )
    return bracket(known.price, entry, entry - risk, target, reasons)


def pullback(scene: Scene) -> Setup | None:
    """A low that came within half an ATR of EMA(50) while the close held above it; target 1.8 times the risk or the swing high."""
    known = scene.known
    bar = numbers(known.bar, "close", "low")
    now = numbers(known.indicators, "ema_50", "atr_14", "high_20", "sma_200")
    if bar is None or now is None:
        return None
    near = bar["low"] <= now["ema_50"] + 0.5 * now["atr_14"]
    if not near or bar["close"] < max(now["ema_50"], now["sma_200"]):
        return None
    entry, stop = capped(known.price, "long"), to_tick(price(now["ema_50"] - now["atr_14"]))
    target = max(to_tick(price(now["high_20"])), entry + (entry - stop) * Decimal("1.8"))
    reasons = (
        f"low {bar['low']:.2f} came back to EMA(50) {now['ema_50']:.2f} and the close {bar['close']:.2f} held above it",
        f"the 20-session high stands at {now['high_20']:.2f}",
    )
    return bracket(known.price, entry, stop, target, reasons)


def sector_rotation(scene: Scene) -> Setup | None:
    """The strongest symbol of the strongest sector by 12-1 momentum, while that is positive and the close above SMA(50).

    A sector's momentum is the mean of its symbols'. Two sectors at least must be known: one alone cannot be the strongest. After
    Moskowitz and Grinblatt, "Do Industries Explain Momentum?", Journal of Finance 54 (1999), with stop and target of our own.
    """
    known = scene.known
    bar = numbers(known.bar, "close")
    now = numbers(known.indicators, "atr_14", "sma_50", "mom_252_21")
    if bar is None or now is None or now["mom_252_21"] <= 0 or bar["close"] <= now["sma_50"]:
        return None
    sectors = sector_momentum(scene.facts, scene.sectors)
    if len(sectors) < 2:
        return None
    best = min(sectors, key=lambda sector: (-_mean(sectors[sector]), sector))
    leader = min(sectors[best], key=lambda symbol: (-sectors[best][symbol], symbol))
    if leader != known.symbol or _mean(sectors[best]) <= 0:
        return None
    reasons = (
        f"{best} is the strongest of {len(sectors)} sectors: 12-1 momentum {_mean(sectors[best]):+.1%}",
        f"{leader} leads it with {now['mom_252_21']:+.1%}; close {bar['close']:.2f} above SMA(50) {now['sma_50']:.2f}",
    )
    return atr_bracket(known, now["atr_14"], reasons, scene.parameters)


def narrative_momentum(scene: Scene) -> Setup | None:
    """A young story with an edge left in it that speaks for the long side."""
    known, told = scene.known, scene.narrative
    now = numbers(known.indicators, "atr_14")
    if told is None or now is None or told.session != scene.slot.session.day or told.as_of > scene.slot.at:
        return None
    if told.edge not in TELLING_EDGES or told.stage not in YOUNG_STAGES or told.direction <= 0:
        return None
    reasons = (
        f"the narrative is {told.stage} with edge {told.edge} and direction {told.direction:+.2f}",
        f"{told.items} items, velocity {told.velocity:+.2f}, consensus {told.consensus:.2f}",
    )
    return atr_bracket(known, now["atr_14"], reasons, scene.parameters)


def sector_momentum(facts: Facts, sectors: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """By sector and symbol, 12-1 momentum as a fraction; symbols without a sector or without a year of history are left out."""
    found: dict[str, dict[str, float]] = {}
    for symbol, known in sorted(facts.symbols.items()):
        measured = numbers(known.indicators, "mom_252_21")
        if measured is not None and symbol in sectors:
            found.setdefault(sectors[symbol], {})[symbol] = measured["mom_252_21"]
    return found


def _mean(momentum: Mapping[str, float]) -> float:
    return sum(momentum.values()) / len(momentum)
