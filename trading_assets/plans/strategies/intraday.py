"""The strategy that looks at the session's own bars, acts between the open and the last hour, and is flat at the close."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading_assets.briefs.facts import Row, numbers
from trading_assets.core.slots import Slot
from trading_assets.plans.strategies.model import Scene, Setup, bracket, capped, price

BAR_LENGTHS: Mapping[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
}
FRESH = timedelta(minutes=30)
LAST_ENTRIES = timedelta(minutes=60)
# A limit of half a percent, as at the open, would give away a third of the way to the target.
CAP = Decimal("0.001")
ATR_SHARE_MIN = 0.015
RSI_MAX = 60.0


def vwap_momentum(scene: Scene) -> Setup | None:
    """A close above the session's 20-bar VWAP with RSI below 60, where the daily ATR is more than 1.5 % of the daily close.

    Target and stop are `target_fraction` above and `stop_fraction` below the entry; flat at the close. The bar must be of this
    session, have ended, and be no older than 30 minutes.
    """
    row = fresh_bar(scene.facts.intraday.get(scene.known.symbol), scene.slot)
    bar = numbers(row, "close", "vwap_20", "rsi_14") if row is not None else None
    day = numbers(scene.known.bar, "close")
    daily = numbers(scene.known.indicators, "atr_14")
    if bar is None or day is None or daily is None or day["close"] <= 0 or bar["close"] <= 0:
        return None
    share = daily["atr_14"] / day["close"]
    if bar["close"] <= bar["vwap_20"] or bar["rsi_14"] >= RSI_MAX or share <= ATR_SHARE_MIN:
        return None
    reference = Decimal(str(bar["close"]))
    entry = capped(reference, "long", CAP)
    stop, target = price(scene.parameters.stop_fraction), price(scene.parameters.target_fraction)
    reasons = (
        f"close {bar['close']:.2f} is above the 20-bar VWAP {bar['vwap_20']:.2f} with RSI {bar['rsi_14']:.1f}",
        f"the daily average true range is {share:.1%} of the last close",
    )
    made = bracket(reference, entry, entry * (1 - stop), entry * (1 + target), reasons)
    return replace(made, flat_by_close=True) if made else None


def fresh_bar(row: Row | None, slot: Slot) -> Row | None:
    """The row, if its bar is of the slot's session, was known by the slot, and ended no longer than 30 minutes before it."""
    if row is None or row.get("session") != slot.session.day:
        return None
    start, known, length = row.get("start"), row.get("knowable_at"), BAR_LENGTHS.get(str(row.get("frequency")))
    if not isinstance(start, datetime) or not isinstance(known, datetime) or length is None or known > slot.at:
        return None
    return row if start + length <= slot.at <= start + length + FRESH else None
