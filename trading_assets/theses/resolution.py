"""The life of a thesis against prices: how it is formed, what a split does to it, and when it ends.

A thesis is judged by the last closed session's bar, in today's share count, if that session closed after it was formed: by high and
low if it opened no earlier either, else by its close alone. Where one bar both reaches the target and closes beyond the
invalidation, it was wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trading_assets.briefs.facts import SymbolFacts, numbers
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.money import TICK_USD, to_tick, usd
from trading_assets.core.slots import Slot
from trading_assets.theses.arithmetic import session_of
from trading_assets.theses.model import Horizon, Outcome, Thesis, ThesisUpdate

# A close this far from the reference, as a factor, after sessions that nobody watched may hide a split.
UNWATCHED_MOVE_MAX = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class Band:
    """How long a thesis lives, the session of its forming included, and how far its prices are, in average true ranges."""

    sessions: int
    target_atr: Decimal
    invalidation_atr: Decimal


# Distances grow with the root of time, as prices do: a thesis of any horizon is about as hard to prove.
BANDS: Mapping[Horizon, Band] = {
    "intraday": Band(1, Decimal("0.7"), Decimal("0.6")),
    "swing": Band(20, Decimal("3.0"), Decimal("2.5")),
    "position": Band(60, Decimal("5.2"), Decimal("4.3")),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a thesis ends and why; `scored` where it is known whether it came true."""

    outcome: Outcome
    sentence: str
    scored: bool = False


def formed(update: ThesisUpdate, known: SymbolFacts, slot: Slot) -> Thesis | None:
    """A thesis with prices by code: target and invalidation in cents from the daily average true range; None without one."""
    measured = numbers(known.indicators, "atr_14")
    if measured is None or measured["atr_14"] <= 0:
        return None
    band, price = BANDS[update.horizon], known.price
    atr = Decimal(str(measured["atr_14"])) / known.split_ratio
    sign = 1 if update.direction == "long" else -1
    return Thesis(
        id=short_id("thesis", slot.session.day, slot.label, known.symbol, update.direction),
        symbol=known.symbol,
        direction=update.direction,
        claim=update.claim,
        horizon=update.horizon,
        formed=slot.session.day,
        formed_slot=slot.label,
        formed_at=slot.at,
        expires=_last_session(slot.session.day, band.sessions),
        reference=price,
        target=_cents(price + sign * band.target_atr * atr),
        invalidation=_cents(price - sign * band.invalidation_atr * atr),
        regime=known.view,
        author=update.author,
        confidence_formed=0.5,
        confidence=0.5,
        as_of=slot.at,
    )


def after_split(thesis: Thesis, known: SymbolFacts, slot: Slot) -> Thesis:
    """The thesis in today's share count: a split in force since the last session is applied in the first slot that sees it."""
    ratio = known.split_ratio
    if ratio == 1 or thesis.as_of >= slot.session.open:
        return thesis
    scaled = {
        name: max(usd(getattr(thesis, name) / ratio), TICK_USD) for name in ("reference", "target", "invalidation")
    }
    return thesis.model_copy(update={**scaled, "split_ratio": thesis.split_ratio * ratio})


def ending(thesis: Thesis, known: SymbolFacts, slot: Slot) -> Ending | None:
    """How the last closed session ends the thesis; None while it lives. Its prices are in today's share count."""
    unseen = thesis.as_of.astimezone(NEW_YORK).date() < known.session
    if unseen and (known.session > thesis.expires or _may_hide_a_split(thesis, known)):
        return Ending("given_up", f"nobody watched it up to {known.session}, so that nobody knows whether it came true")
    judged = _judged(thesis, known)
    if judged is None and slot.session.day > thesis.expires:
        return Ending("expired", f"it did not come true by {thesis.expires}", scored=True)
    return judged


def _judged(thesis: Thesis, known: SymbolFacts) -> Ending | None:
    session = session_of(known.session)
    if session.close <= thesis.formed_at:
        return None
    long = thesis.direction == "long"
    close = known.price
    best = close if session.open < thesis.formed_at else _today(known, "high" if long else "low")
    day = known.session
    if close < thesis.invalidation if long else close > thesis.invalidation:
        words = f"the close {close:.2f} of {day} lies beyond {thesis.invalidation:.2f}"
        return Ending("invalidated", words, scored=True)
    if best >= thesis.target if long else best <= thesis.target:
        return Ending("confirmed", f"{best:.2f} on {day} reached {thesis.target:.2f}", scored=True)
    return None


def _may_hide_a_split(thesis: Thesis, known: SymbolFacts) -> bool:
    moved = known.price / thesis.reference
    return not 1 / UNWATCHED_MOVE_MAX < moved < UNWATCHED_MOVE_MAX


def _today(known: SymbolFacts, column: str) -> Decimal:
    """A price of the last bar in today's share count, USD."""
    return usd(usd(known.bar[column]) / known.split_ratio)


def _cents(price: Decimal) -> Decimal:
    return max(to_tick(price), TICK_USD)


def _last_session(day: date, sessions: int) -> date:
    """The last of some sessions that begin with a day; the calendar's last one where they reach beyond it."""
    position = bisect_left(XNYS.days, day) + sessions - 1
    return XNYS.days[min(position, len(XNYS.days) - 1)]
