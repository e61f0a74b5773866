"""Days and instants on a line of sessions without weekends, holidays and summer time: the newest day is always the same one.

One session is one day on the line, so two stretches of the calendar with as many sessions between their days look alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import PermanentFailure

ANCHOR = date(2100, 1, 1)
OLDEST = date(2040, 1, 1)
_ONE_DAY, _ONE_SECOND = timedelta(days=1), timedelta(seconds=1)


class SessionLine:
    """The days of one question and where they stand on the line; order is kept, and different days stay different.

    A closed day stands where the session before it stands, or a day before the next newer one when that place is taken. Outside
    the exchange calendar every weekday counts as a session.
    """

    def __init__(self, days: Iterable[date], instants: Iterable[datetime] = ()) -> None:
        instants = tuple(instants)
        known = sorted({*days, *(_local(moment).date() for moment in instants)}, reverse=True)
        self._hidden = dict(_placed(known))
        self._shown = {hidden: day for day, hidden in self._hidden.items()}
        self._hidden_sorted = sorted(self._shown)
        self._moments: dict[datetime, datetime] = {}
        for aware in (True, False):
            self._place([moment for moment in instants if (moment.tzinfo is not None) is aware])
        self._shown_moments = {hidden: moment for moment, hidden in self._moments.items()}

    def hide(self, day: date) -> date:
        """The place of one of the question's days."""
        return self._hidden[day]

    def hide_instant(self, moment: datetime) -> datetime:
        """The place of one of the question's instants: New York's time of day to the minute; UTC is its zone if it had one."""
        return self._moments[moment]

    def show(self, hidden: date) -> date:
        """The day at a place; between and beyond the question's own days, sessions are counted from the next newer one."""
        if hidden in self._shown or not self._shown:
            return self._shown.get(hidden, hidden)
        after = bisect_left(self._hidden_sorted, hidden)
        near = self._hidden_sorted[min(after, len(self._hidden_sorted) - 1)]
        return _day_of(_rank(self._shown[near]) + (hidden - near).days)

    def show_instant(self, hidden: datetime) -> datetime:
        """The instant at a place."""
        if hidden in self._shown_moments:
            return self._shown_moments[hidden]
        local = datetime.combine(self.show(hidden.date()), hidden.time())
        return local if hidden.tzinfo is None else local.replace(tzinfo=NEW_YORK).astimezone(UTC)

    def knows(self, hidden: date) -> bool:
        """Whether a day of the question stands at this place."""
        return hidden in self._shown

    def _place(self, moments: Sequence[datetime]) -> None:
        last: datetime | None = None
        for moment in sorted(set(moments)):
            local = _local(moment)
            zone = None if moment.tzinfo is None else UTC
            minute = local.time().replace(second=0, microsecond=0, tzinfo=None, fold=0)
            place = datetime.combine(self._hidden[local.date()], minute, zone)
            last = place if last is None else max(place, last + _ONE_SECOND)
            self._moments[moment] = last


def _placed(newest_first: Sequence[date]) -> Iterable[tuple[date, date]]:
    before: date | None = None
    for day in newest_first:
        place = ANCHOR - timedelta(days=_rank(newest_first[0]) - _rank(day))
        before = place if before is None else min(place, before - _ONE_DAY)
        if before < OLDEST:
            raise PermanentFailure(
                "the days of a question lie too far apart to be masked", value=f"{day} and {newest_first[0]}"
            )
        yield day, before


def _local(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(NEW_YORK)


def _rank(day: date) -> int:
    """How many sessions there were up to and including the day."""
    if day < XNYS.first:
        return _weekdays(day) - _weekdays(XNYS.first - _ONE_DAY)
    if day > XNYS.last:
        return len(XNYS.days) + _weekdays(day) - _weekdays(XNYS.last)
    return bisect_right(XNYS.days, day)


def _day_of(rank: int) -> date:
    """The session of a rank."""
    if rank <= 0:
        return _weekday(rank + _weekdays(XNYS.first - _ONE_DAY))
    if rank > len(XNYS.days):
        return _weekday(rank - len(XNYS.days) + _weekdays(XNYS.last))
    return XNYS.days[rank - 1]


def _weekdays(day: date) -> int:
    weeks, rest = divmod(day.toordinal(), 7)
    return weeks * 5 + min(rest, 5)


def _weekday(count: int) -> date:
    weeks, rest = divmod(count - 1, 5)
    return date.fromordinal(weeks * 7 + rest + 1)
