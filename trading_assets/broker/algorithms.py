"""How a leg goes out: the price it may reach, how much of it is shown, and in how many parts it is sent.

A price is rounded to the tick on the safe side: a purchase never pays more than was decided, a sale never takes less. A large order
goes out in equal parts over time, the last one a quarter of an hour before the close at the latest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from trading_assets.broker.model import Algo, Quote, Side
from trading_assets.core.errors import DataNotReady, PermanentFailure

Style = Literal["capped_limit", "passive_limit", "bid_plus_tick"]
VOLUME_SHARE_WHOLE = Decimal("0.005")  # of the average session's volume: more than this moves the price
DISPLAYS_WHOLE = 20  # times the size shown on the far side
DISPLAYS_SHOWN = 5  # times the size shown on the own side: more than this tells the market what is coming
LOT = 100
SLICES_MAX = 6  # each has a stop and a target, and an exit of all: a broker takes 20 orders of one side in a symbol
EVERY = timedelta(minutes=2)
BEFORE_CLOSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of an entry: when it goes out, how many shares, how many of them are shown at once (0: all)."""

    at: datetime
    quantity: int
    display_quantity: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an entry goes out: the limit of every slice, whether the broker works it patiently, and the slices in time."""

    limit_price: Decimal
    algo: Algo
    slices: tuple[Slice, ...]
    why: str

    @property
    def quantity(self) -> int:
        """Shares of all slices together."""
        return sum(part.quantity for part in self.slices)


def slices(
    style: str,
    side: Side,
    quantity: int,
    limit: Decimal,
    quote: Quote,
    average_volume: float | None,
    min_tick: Decimal,
    *,
    now: datetime,
    close: datetime,
    collar_fraction: Decimal = Decimal("0.03"),
) -> Schedule:
    """The schedule of an entry.

    Args:
        style: A plan's style; `market` is not one: no entry goes out without a limit.
        limit: The plan's entry, USD; never exceeded.
        average_volume: Shares of an average session; None is unknown, and nothing is then known to be small: it is sliced.
        close: The session's; a schedule ends BEFORE_CLOSE.
        collar_fraction: Furthest from the quote's other side.

    Raises:
        DataNotReady: The quote has no two sound sides.
        PermanentFailure: The quantity, the limit, the tick or the style is not one.
    """
    _refuse_nonsense(style, quantity, limit, min_tick)
    price = limit_now(style, side, limit, quote, min_tick, collar_fraction)
    shown, facing = (quote.bid_size, quote.ask_size) if side == "buy" else (quote.ask_size, quote.bid_size)
    parts, why = _parts(quantity, facing, average_volume)
    moments = _moments(now, close, parts)
    return Schedule(
        limit_price=price,
        algo="adaptive" if style == "capped_limit" else "",
        slices=tuple(
            Slice(at, shares, _displayed(shares, shown))
            for at, shares in zip(moments, shared_out(quantity, len(moments)), strict=True)
        ),
        why=why,
    )


def limit_now(
    style: str, side: Side, limit: Decimal, quote: Quote, min_tick: Decimal, collar_fraction: Decimal
) -> Decimal:
    """The limit of an order, or of a slice, that goes out at this quote, USD: never worse than `limit`. DataNotReady as above."""
    bid, ask = _sides(quote)
    price = _limit_of(style, side, to_safe_tick(limit, side, min_tick), bid, min_tick)
    return _inside_collar(price, side, bid, ask, collar_fraction, min_tick)


def capped(quote: Quote, side: Side, cap_fraction: Decimal | float, min_tick: Decimal) -> Decimal:
    """A limit that trades now and not further than the cap through the other side of the quote, USD.

    Raises:
        DataNotReady: The quote lacks that side.
        PermanentFailure: The cap or the tick is not one.
    """
    cap = cap_fraction if isinstance(cap_fraction, Decimal) else Decimal(str(cap_fraction))
    if not _is_within(cap, Decimal("0.2")) or not _is_within(min_tick, Decimal(1)):
        raise PermanentFailure(
            "a cap needs a fraction and a tick", value=f"{cap}, {min_tick}", bound="0 to 0.2, 0 to 1"
        )
    far = quote.ask if side == "buy" else quote.bid
    if far is None or not _is_within(far, Decimal("1e9")):
        raise DataNotReady(
            f"the quote of {quote.symbol} lacks the side that a {side} meets", value=far, hint="a market order flattens"
        )
    return to_safe_tick(far * (1 + cap if side == "buy" else 1 - cap), side, min_tick)


def to_safe_tick(price: Decimal, side: Side, min_tick: Decimal) -> Decimal:
    """The price on the tick: downwards for a purchase, upwards for a sale, so that rounding never gives anything away."""
    ticks = (price / min_tick).to_integral_value(rounding=ROUND_FLOOR if side == "buy" else ROUND_CEILING)
    return max(ticks, Decimal(1)) * min_tick


def shared_out(quantity: int, parts: int) -> tuple[int, ...]:
    """A quantity in parts that differ by one share at most, the larger ones first; their sum is the quantity."""
    each, over = divmod(quantity, parts)
    return tuple(each + (number < over) for number in range(parts))


def later_slices(schedule: Schedule, sent: int, now: datetime) -> Sequence[Slice]:
    """Slices that are due: those after the first `sent` whose moment has come."""
    return tuple(part for part in schedule.slices[sent:] if part.at <= now)


def _refuse_nonsense(style: str, quantity: int, limit: Decimal, min_tick: Decimal) -> None:
    if style not in {"capped_limit", "passive_limit", "bid_plus_tick"}:
        raise PermanentFailure("an entry has a limit", value=style, bound="capped_limit, passive_limit, bid_plus_tick")
    if not 0 < quantity <= 10**9:
        raise PermanentFailure("an order has a quantity", value=quantity, bound="1 to 1e9")
    if not _is_within(limit, Decimal("1e9")) or not _is_within(min_tick, Decimal(1)):
        raise PermanentFailure(
            "an order has a limit and a tick", value=f"{limit}, {min_tick}", bound="0 to 1e9, 0 to 1"
        )


def _is_within(number: Decimal, bound: Decimal) -> bool:
    return number.is_finite() and 0 < number <= bound


def _sides(quote: Quote) -> tuple[Decimal, Decimal]:
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None or not (bid.is_finite() and ask.is_finite() and 0 < bid < ask):
        raise DataNotReady(f"the quote of {quote.symbol} has no two sound sides", value=f"{bid} / {ask}")
    return bid, ask


def _limit_of(style: str, side: Side, worst: Decimal, bid: Decimal, min_tick: Decimal) -> Decimal:
    if style != "bid_plus_tick" or side == "sell":
        return worst
    return min(worst, to_safe_tick(bid, side, min_tick) + min_tick)


def _inside_collar(
    price: Decimal, side: Side, bid: Decimal, ask: Decimal, fraction: Decimal, min_tick: Decimal
) -> Decimal:
    """A price beyond the collar is drawn in, towards what is cheaper for the desk; one that is far behind the market stays."""
    if side == "buy":
        return min(price, to_safe_tick(ask * (1 + fraction), side, min_tick))
    return max(price, to_safe_tick(bid * (1 - fraction), side, min_tick))


def _parts(quantity: int, facing: int | None, average_volume: float | None) -> tuple[int, str]:
    """In how many slices, and why: by the average volume, and by the size that waits on the other side."""
    if average_volume is None or not 0 < average_volume < float("inf"):
        return _in_lots(SLICES_MAX, quantity), "the average volume is not known"
    calm = max(Decimal(1), Decimal(str(average_volume)) * VOLUME_SHARE_WHOLE)
    by_volume = (quantity / calm).to_integral_value(rounding=ROUND_CEILING)
    by_display = -(-quantity // (DISPLAYS_WHOLE * facing)) if facing is not None and facing > 0 else 1
    parts = _in_lots(max(int(by_volume), by_display), quantity)
    return parts, "" if parts == 1 else f"{quantity} shares in {parts} parts: {calm:.0f} shares move no price"


def _in_lots(parts: int, quantity: int) -> int:
    """No slice is smaller than a lot, and there are not more than SLICES_MAX."""
    return max(1, min(parts, SLICES_MAX, quantity // LOT))


def _moments(now: datetime, close: datetime, parts: int) -> tuple[datetime, ...]:
    """When the slices go out; as many as end in time, the first one always."""
    room = max(timedelta(0), close - BEFORE_CLOSE - now)
    able = 1 + int(room / EVERY)
    return tuple(now + EVERY * number for number in range(min(parts, able)))


def _displayed(quantity: int, shown: int | None) -> int:
    """How much of a slice is shown: all of it, or as much as waits there already, in whole lots."""
    if shown is None or shown <= 0 or quantity <= DISPLAYS_SHOWN * shown:
        return 0
    part = max(LOT, shown // LOT * LOT)
    return part if part < quantity else 0
