"""How the session stands so far, by its own bars: breadth, direction, and how much moves against its norm.

The norm of a symbol is its 20-session deviation of daily returns, taken for the part of the session that is over as if variance
came evenly. Daily returns hold the night as well, so an ordinary session reads below 1. A direction needs both: a median move of
one deviation, and two thirds of the symbols on its side.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from trading_assets.briefs.facts import Facts, Row, numbers
from trading_assets.core.slots import Slot
from trading_assets.execution.adaptor.model import UNKNOWN
from trading_assets.plans.strategies.intraday import fresh_bar

SESSIONS_A_YEAR = 252
MOVE_MIN = 1.0
SIDE_MIN = 2 / 3
RETURNS_MIN = 6
PLACES = 6


@dataclass(frozen=True, slots=True)
class Standing:
    """The market in session. What cannot be known is None; `view` is unknown without a fresh bar."""

    view: str = UNKNOWN
    symbols: int = 0
    up_share: float | None = None
    above_vwap_share: float | None = None
    move: float | None = None
    volatility_ratio: float | None = None


def standing_of(facts: Facts, bars: Iterable[Row], slot: Slot) -> Standing:
    """The session up to the slot.

    Args:
        facts: Cut at the slot.
        bars: Rows of INTRADAY_FEATURES of the session; what became known after the slot is left out.
    """
    rows = {symbol: row for symbol, row in facts.intraday.items() if fresh_bar(row, slot) is not None}
    told = {symbol: found for symbol, row in rows.items() if (found := numbers(row, "return_from_open", "above_vwap"))}
    if not told:
        return Standing()
    returns = [each["return_from_open"] for each in told.values()]
    moves = [_move(facts, symbol, each["return_from_open"], slot) for symbol, each in sorted(told.items())]
    known = [each for each in moves if each is not None]
    move = median(known) if known else None
    up, down = _share(each > 0 for each in returns), _share(each < 0 for each in returns)
    ratios = list(_ratios(facts, bars, slot, told.keys()))
    return Standing(
        view=_view(move, up, down),
        symbols=len(told),
        up_share=round(up, PLACES),
        above_vwap_share=round(_share(each["above_vwap"] > 0 for each in told.values()), PLACES),
        move=None if move is None else round(move, PLACES),
        volatility_ratio=round(median(ratios), PLACES) if ratios else None,
    )


def turned(view_open: str, view_now: str) -> bool:
    """Whether the session has a direction that is not the one it was planned on; a mild trend is a trend upwards."""
    planned = "trending_bull" if view_open == "mild_trend" else view_open
    return view_now in {"trending_bull", "trending_bear"} and view_now != planned


def _view(move: float | None, up: float, down: float) -> str:
    if move is None:
        return UNKNOWN
    if move >= MOVE_MIN and up >= SIDE_MIN:
        return "trending_bull"
    return "trending_bear" if move <= -MOVE_MIN and down >= SIDE_MIN else "range"


def _expected(facts: Facts, symbol: str, until: datetime, slot: Slot) -> float | None:
    """The deviation of a return from the open to an instant, by the norm; None where there is no norm."""
    known = facts.symbols.get(symbol)
    measured = numbers(known.indicators, "vol_20") if known is not None else None
    share = (until - slot.session.open) / (slot.session.close - slot.session.open)
    if measured is None or not measured["vol_20"] > 0 or not 0 < share <= 1:
        return None
    return measured["vol_20"] * math.sqrt(share / SESSIONS_A_YEAR)


def _move(facts: Facts, symbol: str, since_open: float, slot: Slot) -> float | None:
    expected = _expected(facts, symbol, facts.intraday[symbol]["knowable_at"], slot)
    return None if expected is None else since_open / expected


def _ratios(facts: Facts, bars: Iterable[Row], slot: Slot, symbols: Iterable[str]) -> Iterator[float]:
    """Realised deviation over the norm, by symbol; one with too few bars is left out."""
    held = _closes(bars, slot)
    for symbol in sorted(symbols):
        closes = held.get((symbol, str(facts.intraday[symbol]["frequency"])), [])
        returns = [math.log(b / a) for (_, a), (_, b) in pairwise(closes) if a > 0 and b > 0]
        expected = _expected(facts, symbol, closes[-1][0], slot) if closes else None
        if expected is not None and len(returns) >= RETURNS_MIN:
            yield math.sqrt(sum(each * each for each in returns)) / expected


def _closes(bars: Iterable[Row], slot: Slot) -> Mapping[tuple[str, str], Sequence[tuple[datetime, float]]]:
    """By symbol and frequency, the closes of the session's bars in order of time, each with its bar's end."""
    held: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
    for row in sorted(bars, key=lambda row: (row["symbol"], row["start"])):
        known = numbers(row, "close")
        if row["session"] == slot.session.day and row["knowable_at"] <= slot.at and known:
            held.setdefault((row["symbol"], row["frequency"]), []).append((row["knowable_at"], known["close"]))
    return held


def _share(each: Iterable[bool]) -> float:
    flags = list(each)
    return sum(flags) / len(flags)
