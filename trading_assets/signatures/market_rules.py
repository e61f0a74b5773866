"""Rules about the market at the moment of sending: what is quoted, whether that can be believed, and whether one enters now."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading_assets.broker.model import OrderRequest, Quote
from trading_assets.core.calendar import NEW_YORK, Session
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.allowance import Allowance, Surroundings, all_or_nothing, is_price
from trading_assets.signatures.order_rules import SendingRule, badly_priced, entry_of, passes_without
from trading_assets.signatures.sending import AtSending

BAR = timedelta(minutes=1)
FIRST_BAR = timedelta(minutes=2)
"""So long after the open there may be no complete bar of the session yet: its first minute, and the time to make the bar."""
TO_BE_SIGNED = timedelta(seconds=60)
LAST_ENTRY_BEFORE_CLOSE = timedelta(minutes=30)


def other_side(plan: TradePlan, quote: Quote | None) -> Decimal | None:
    """The price that an entry meets: what is asked for a purchase, what is bid for a short sale; None unless the quote is sound."""
    if quote is None or not quote.is_sound:
        return None
    return quote.ask if plan.side == "long" else quote.bid


def furthest(plan: TradePlan, quote: Quote | None, preferences: Preferences, tick: Decimal) -> Decimal | None:
    """The worst limit that the plan's entry may carry now, USD on the tick: never worse than the plan's own, and never further
    through the quote than `marketable_fraction_max`. None without a sound quote: then nothing may be sent.
    """
    met = other_side(plan, quote)
    if met is None:
        return None
    sign = 1 if plan.side == "long" else -1
    reach = met * (1 + sign * Decimal(str(preferences.marketable_fraction_max)))
    limit = min(plan.entry, reach) if plan.side == "long" else max(plan.entry, reach)
    rounding = ROUND_FLOOR if plan.side == "long" else ROUND_CEILING
    return (limit / tick).to_integral_value(rounding=rounding) * tick


def _collar(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    """Of the limit that is sent, and of the one that was signed: a market that left it is another market."""
    fraction = around.preferences.collar_fraction_max
    met, entry = other_side(plan, sending.quote), entry_of(plan, sending)
    bound = f"within {fraction:.2%} of the quote's other side"
    if met is None or entry is None or entry.limit_price is None:
        return Allowance(0, f"entry {entry.limit_price if entry else None} against {_told(sending.quote)}", bound)
    away = max(abs(price / met - 1) for price in (entry.limit_price, plan.entry))
    return all_or_nothing(away <= Decimal(str(fraction)), plan, f"{away:.2%} from {met} USD", bound)


def _told(quote: Quote | None) -> str:
    return "no quote" if quote is None else f"bid {quote.bid}, ask {quote.ask}"


def _marketable(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    fraction = around.preferences.marketable_fraction_max
    bound = f"a limit no worse than {plan.entry} USD, at most {fraction:.2%} through the quote"
    return passes_without(_uncapped(plan, around, sending, entry_of(plan, sending)), plan, bound)


def _uncapped(plan: TradePlan, around: Surroundings, sending: AtSending, entry: OrderRequest | None) -> Iterator[str]:
    for order in sending.orders:
        yield from badly_priced(order, market=False)
    if entry is None or entry.kind != "limit" or not is_price(entry.limit_price) or entry.limit_price is None:
        yield "no entry with a limit"
        return
    worst = furthest(plan, sending.quote, around.preferences, entry.contract.min_tick)
    if worst is None:
        yield f"{entry.limit_price} USD against {_told(sending.quote)}"
    elif (entry.limit_price > worst) if plan.side == "long" else (entry.limit_price < worst):
        yield f"{entry.limit_price} USD, where {worst} is the furthest"


def _window(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    if sending.session is None:
        return Allowance(0, "no session is open", "the session's hours")
    begin, end = entry_window(sending.session, around.preferences)
    value = f"decided {_clock(plan.as_of)}, sent {_clock(sending.now)}"
    passes = begin <= sending.now <= end + TO_BE_SIGNED and sending.session.open <= plan.as_of <= end
    return all_or_nothing(passes, plan, value, f"{_clock(begin)} to {_clock(end)} New York")


def entry_window(session: Session, preferences: Preferences) -> tuple[datetime, datetime]:
    """From when to when, UTC, an opening may be decided; it may be sent as long after as signing takes."""
    begin = datetime.combine(session.day, preferences.entries_begin, NEW_YORK).astimezone(UTC)
    end = datetime.combine(session.day, preferences.entries_end, NEW_YORK).astimezone(UTC)
    return max(begin, session.open), min(end, session.close - LAST_ENTRY_BEFORE_CLOSE)


def _clock(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M:%S}"


def _halt(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    minutes = around.preferences.reopening_minutes_min
    return passes_without(_stopped(sending, minutes), plan, f"trading for at least {minutes:g} minutes, no breaker")


def _stopped(sending: AtSending, minutes: float) -> Iterator[str]:
    if sending.halted or sending.quote is None or sending.quote.halted:
        yield "halted, or not known to trade"
    if sending.reopened_at is not None and not sending.now - sending.reopened_at >= timedelta(minutes=minutes):
        yield f"reopened at {_clock(sending.reopened_at)}"
    if sending.breaker:
        yield sending.breaker


def _freshness(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    limits = around.preferences
    bound = (
        f"a live quote of at most {limits.quote_age_seconds_max:g} s, a bar of at most {limits.bar_age_intervals_max:g} "
        f"intervals, clocks within {limits.clock_skew_seconds_max:g} s"
    )
    return passes_without(_stale(sending, limits), plan, bound)


def _stale(sending: AtSending, limits: Preferences) -> Iterator[str]:
    quote, skew = sending.quote, timedelta(seconds=limits.clock_skew_seconds_max)
    if quote is None or quote.kind != "live":
        yield "no quote" if quote is None else f"a {quote.kind} quote"
    elif not -skew <= quote.age(sending.now) <= timedelta(seconds=limits.quote_age_seconds_max):
        yield f"a quote of {quote.age(sending.now).total_seconds():.3f} s"
    if not _has_bar(sending, limits.bar_age_intervals_max):
        yield "no bar" if sending.bar_at is None else f"the newest bar began at {_clock(sending.bar_at)}"
    if sending.clock_skew is None or not abs(sending.clock_skew) <= skew:
        told = None if sending.clock_skew is None else sending.clock_skew.total_seconds()
        yield f"a clock skew of {told} s"


def _has_bar(sending: AtSending, intervals: float) -> bool:
    """Whether the newest complete bar ended recently; right after the open there is none yet."""
    session = sending.session
    if session is None or sending.now < session.open:
        return False
    if sending.bar_at is None or sending.bar_at < session.open:
        return sending.now - session.open < FIRST_BAR
    return timedelta(0) <= sending.now - (sending.bar_at + BAR) <= intervals * BAR


def _second_price(plan: TradePlan, around: Surroundings, sending: AtSending) -> Allowance:
    """Both the last trade and the middle of the quote: one of them alone may be wrong by a power of ten."""
    fraction, second, quote = around.preferences.second_price_fraction_max, sending.second_price, sending.quote
    own = (quote.last, quote.mid) if quote is not None else ()
    value = f"last {own[0] if own else None}, middle {own[1] if own else None}, second source {second}"
    away = [abs(price / second - 1) for price in own if price is not None and second is not None and is_price(second)]
    passes = len(away) == len(own) > 0 and all(each <= Decimal(str(fraction)) for each in away)
    return all_or_nothing(passes, plan, value, f"within {fraction:.2%} of each other")


def _crossing(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    return passes_without(iter(sending.crossing), plan, "no own order at a price that crosses; cancel it first")


def _borrowed(plan: TradePlan, _: Surroundings, sending: AtSending) -> Allowance:
    return passes_without(
        _unborrowed(plan, sending), plan, "shares to borrow found, and above the bid where restricted"
    )


def _unborrowed(plan: TradePlan, sending: AtSending) -> Iterator[str]:
    if plan.side == "long":
        return
    if sending.locates.get(plan.symbol) is not True:
        yield f"no {plan.symbol} to borrow found"
    entry, bid = entry_of(plan, sending), sending.quote.bid if sending.quote is not None else None
    if sending.short_restricted is not False and not (entry and entry.limit_price and bid and entry.limit_price > bid):
        yield f"a short sale at {entry.limit_price if entry else None}, bid {bid}, where short sales may be restricted"


OPENING: Mapping[str, SendingRule] = {
    "C5": _collar,
    "C6": _marketable,
    "C23": _window,
    "C24": _halt,
    "C25": _freshness,
    "C26": _second_price,
    "C27": _crossing,
    "C28c": _borrowed,
}
"""By id of the control, the rule for what opens."""
