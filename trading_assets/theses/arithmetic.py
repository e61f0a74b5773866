"""The arithmetic of belief: evidence in log-odds that fades as the exchange trades, from sources that count by their record.

    L = prior + sum over sources of damping(source) * said(source) * 2 ** (-age / half-life);  confidence = 1 / (1 + exp(-L))

Age is counted in sessions, with fractions within the open hours: over a weekend nothing trades that could outdate what was said.
A source counts once, by its last words: new ones replace the old, plus a quarter of what is left of those where both have one
sign. A source that says s in every session comes to rest at s / (1 - 0.25 * 2 ** (-1 / half-life)), 1.25 s for a swing thesis, and
never passes 4/3 s, however often it repeats itself.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from trading_assets.core.calendar import XNYS, Session
from trading_assets.theses.model import Contribution, Horizon, Reliability, Thesis

# Two open hours of a regular session, three sessions, fifteen sessions.
HALF_LIFE_SESSIONS: Mapping[Horizon, float] = {"intraday": 2 / 6.5, "swing": 3.0, "position": 15.0}
REINFORCEMENT = 0.25
LOG_ODDS_MAX = 4.0
# How often a claim comes true that knows nothing: 3 ATR to win before 2.5 are lost, within 20 sessions, made every fifth session in
# both directions on five stocks, 2000 to 2013 (4,762 claims). The bands of the other horizons give 0.26 and 0.33.
CHANCE = 0.32
# Edge claimed, summed over theses, at which the record counts as much as the good faith that a source begins with: 80 theses
# at 0.65. One standard error of the slope stays below 0.18.
GOOD_FAITH = 12.0
CERTAIN = 0.95
CERTAIN_THESES = 8
CERTAIN_COUNTS_MAX = 0.5
PLACES = 6


@lru_cache(1024)
def session_of(day: date) -> Session:
    """The exchange session of a day, kept: its hours are asked for at every slot."""
    return XNYS.session(day)


@lru_cache(4096)
def exchange_time(at: datetime) -> float:
    """Sessions traded from the calendar's first day up to a moment; an open one counts by the part that is over."""
    day = at.astimezone(UTC).date()
    before = bisect_left(XNYS.days, day)
    if before == len(XNYS.days) or XNYS.days[before] != day:
        return float(before)
    session = session_of(day)
    return before + min(1.0, max(0.0, (at - session.open) / (session.close - session.open)))


def faded(log_odds: float, since: datetime, until: datetime, horizon: Horizon) -> float:
    """What is left at one moment of what was said at another; before it was said, all of it."""
    age = max(0.0, exchange_time(until) - exchange_time(since))
    return log_odds * math.exp2(-age / HALF_LIFE_SESSIONS[horizon])


def renewed(left: float, said: float) -> float:
    """What a source counts after new words, given what is left of its old ones."""
    return said + REINFORCEMENT * left if left * said > 0 else said


def probability(log_odds: float) -> float:
    """The logistic of log-odds, which are held within ±4 so that nothing is ever certain; 6 places."""
    held = max(-LOG_ODDS_MAX, min(LOG_ODDS_MAX, log_odds))
    return round(1.0 / (1.0 + math.exp(-held)), PLACES)


def first_words(contributions: Sequence[Contribution]) -> dict[str, Contribution]:
    """By source, what it said first: by this it is judged when the thesis ends."""
    found: dict[str, Contribution] = {}
    for each in contributions:
        if each.source not in found or each.at < found[each.source].at:
            found[each.source] = each
    return found


def last_words(contributions: Sequence[Contribution]) -> dict[str, Contribution]:
    """By source, what it said last: of all that it said, only this counts."""
    found: dict[str, Contribution] = {}
    for each in contributions:
        if each.source not in found or each.at > found[each.source].at:
            found[each.source] = each
    return found


def spoken(
    contributions: Sequence[Contribution], said: Mapping[str, float], at: datetime, horizon: Horizon
) -> tuple[Contribution, ...]:
    """The contributions after new words, the first and the last of each source.

    A source that was heard at this moment already is not heard again, so that a slot can be worked out twice.
    """
    first, last = first_words(contributions), last_words(contributions)
    for source, log_odds in said.items():
        old = last.get(source)
        if old is None or old.at < at:
            left = faded(old.log_odds, old.at, at, horizon) if old else 0.0
            last[source] = Contribution(source=source, log_odds=round(renewed(left, log_odds), PLACES), at=at)
            first.setdefault(source, last[source])
    pairs = ((first[source], last[source]) for source in sorted(last))
    return tuple(each for one, other in pairs for each in ((one,) if one.at == other.at else (one, other)))


def worths(records: Mapping[str, Reliability]) -> dict[str, float]:
    """By source, what its record lets its words count, 0 to 1; a source without a record counts in full."""
    return {source: damping(record) for source, record in records.items()}


def weighed(
    contributions: Sequence[Contribution], horizon: Horizon, at: datetime, worth: Mapping[str, float]
) -> dict[str, float]:
    """By source, the log-odds that it adds at a moment: its last words, faded, times what they are worth."""
    return {
        source: faded(last.log_odds, last.at, at, horizon) * worth.get(source, 1.0)
        for source, last in last_words(contributions).items()
    }


def confidence_at(
    thesis: Thesis, at: datetime, worth: Mapping[str, float], contributions: Sequence[Contribution] | None = None
) -> float:
    """The probability of a thesis at a moment, on its own contributions or on others in their place."""
    said = thesis.contributions if contributions is None else contributions
    return probability(thesis.prior + math.fsum(weighed(said, thesis.horizon, at, worth).values()))


def damping(record: Reliability) -> float:
    """What a source's words count, 0 to 1: the slope of its reliability line, shrunk towards 1 while the record is short.

    The line runs from even odds, said, and `CHANCE`, come true, to the means of the record: a source whose theses come true no
    more often than chance claims an edge that is not there. One that was certain of its last 8 theses counts half at most.
    """
    claimed = record.said_sum - record.theses / 2
    realised = record.right_sum - record.theses * CHANCE
    sign = 1.0 if claimed >= 0 else -1.0
    slope = (sign * realised + GOOD_FAITH) / (sign * claimed + GOOD_FAITH)
    most = CERTAIN_COUNTS_MAX if record.certain >= CERTAIN_THESES else 1.0
    return round(max(0.0, min(most, slope)), PLACES)
