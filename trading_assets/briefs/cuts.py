"""Rows of one table held in memory, shown as of a moment: each row only from its own `knowable_at` on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trading_assets.core.calendar import NEW_YORK, XNYS

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
NEWS_SESSIONS = 10
MACRO_DAYS = timedelta(days=90)
_DAY = timedelta(days=1)
# A decision within the session asks for five-minute bars; finer ones say the same with more noise, hours are coarse.
_FREQUENCIES = ("5m", "1m", "1h")


def session_at_hand(as_of: datetime) -> date:
    """The session that runs at the moment, or the next one; the last of the calendar after its end."""
    days, day = XNYS.days, as_of.astimezone(NEW_YORK).date()
    position = bisect_left(days, day)
    if position < len(days) and days[position] == day and XNYS.session(day).close < as_of:
        position += 1
    return days[min(position, len(days) - 1)]


class BySession:
    """Rows by session; a session's rows are made when they are first asked for."""

    def __init__(self, frame: pl.DataFrame | None) -> None:
        held = frame is not None and not frame.is_empty()
        parts = frame.partition_by("session", as_dict=True) if held and frame is not None else {}
        self._frames: dict[Any, pl.DataFrame] = {key[0]: part for key, part in parts.items()}
        self._rows: dict[date, list[Row]] = {}
        self._days: list[date] = sorted(self._frames)

    def newest(self, as_of: datetime, *, before: date = date.max) -> date | None:
        """The newest session, before a day if one is given, of which any row is knowable."""
        last = min(before, as_of.date() + _DAY)
        for position in range(bisect_left(self._days, last) - 1, -1, -1):
            if any(row["knowable_at"] <= as_of for row in self.rows(self._days[position])):
                return self._days[position]
        return None

    def of(self, day: date, as_of: datetime) -> Mapping[str, Row]:
        """Rows of one session by symbol (or under "" where the table has none)."""
        return {str(row.get("symbol", "")): row for row in self.known(day, as_of)}

    def known(self, day: date, as_of: datetime) -> Iterator[Row]:
        """Rows of one session that were knowable."""
        return (row for row in self.rows(day) if row["knowable_at"] <= as_of)

    def rows(self, day: date) -> list[Row]:
        """All rows of one session."""
        if day not in self._rows:
            self._rows[day] = [*self._frames[day].rows(named=True)] if day in self._frames else []
        return self._rows[day]


class _Dated:
    """Rows by name, in order of session and of `knowable_at`."""

    def __init__(self, frame: pl.DataFrame | None, name: str, order: Sequence[str]) -> None:
        self._rows: dict[str, list[Row]] = {}
        if frame is not None and not frame.is_empty():
            for row in frame.sort("session", "knowable_at", *order).rows(named=True):
                self._rows.setdefault(row[name], []).append(row)
        self._days = {key: [row["session"] for row in rows] for key, rows in self._rows.items()}
        self._names = sorted(self._rows)

    def within(self, first: date, last: date, as_of: datetime) -> Iterator[tuple[str, list[Row]]]:
        """For each name, its rows of the sessions that were knowable; names without one are left out."""
        named = ((name, self.between(name, first, last, as_of)) for name in self._names)
        return ((name, known) for name, known in named if known)

    def between(self, name: str, first: date, last: date, as_of: datetime) -> list[Row]:
        """The rows of one name."""
        days = self._days.get(name, [])
        window = self._rows[name][bisect_left(days, first) : bisect_right(days, last)] if days else []
        return [row for row in window if row["knowable_at"] <= as_of]


def _news_window(as_of: datetime) -> tuple[date, date]:
    last = session_at_hand(as_of)
    return XNYS.days[max(bisect_left(XNYS.days, last) - NEWS_SESSIONS + 1, 0)], last


class NewsRows(_Dated):
    """Headlines by symbol."""

    def __init__(self, frame: pl.DataFrame | None) -> None:
        super().__init__(frame, "symbol", ("item",))

    def at(self, as_of: datetime) -> Mapping[str, tuple[Row, ...]]:
        """Headlines of the last ten sessions, the one at hand among them, oldest first."""
        first, last = _news_window(as_of)
        return {symbol: tuple(rows) for symbol, rows in self.within(first, last, as_of)}

    def of(self, symbol: str, as_of: datetime) -> Sequence[Row]:
        """The same for one symbol."""
        return self.between(symbol, *_news_window(as_of), as_of)


class MacroRows(_Dated):
    """Observations by series; a revision stands in the place of what it revises from its own moment on."""

    def __init__(self, frame: pl.DataFrame | None) -> None:
        super().__init__(frame, "series", ("observed_on",))
        self._revised = {
            name for name, rows in self._rows.items() if len({row["observed_on"] for row in rows}) < len(rows)
        }

    def at(self, as_of: datetime) -> Mapping[str, tuple[Row, ...]]:
        """What became knowable in the last 90 days: the newest vintage of each observation, oldest observation first."""
        last = session_at_hand(as_of)
        return {name: self._newest(name, rows) for name, rows in self.within(last - MACRO_DAYS, last, as_of)}

    def _newest(self, name: str, rows: Sequence[Row]) -> tuple[Row, ...]:
        vintages = {row["observed_on"]: row for row in rows} if name in self._revised else None
        return tuple(sorted(rows if vintages is None else vintages.values(), key=_observed))


class IntradayRows:
    """Bars of the session at hand by symbol and frequency, in order of `knowable_at`."""

    def __init__(self, frame: pl.DataFrame | None) -> None:
        self._sessions = BySession(frame)
        self._sorted: tuple[date, dict[str, dict[str, tuple[list[datetime], list[Row]]]]] = (date.min, {})

    def has(self, day: date) -> bool:
        """Whether there is any bar of the session."""
        return bool(self._sessions.rows(day))

    def at(self, as_of: datetime) -> Mapping[str, Row]:
        """The newest bar of each symbol, of five minutes if there is one, else of the finest frequency that has one."""
        held = self._of(session_at_hand(as_of))
        newest = ((symbol, _newest_bar(by_frequency, as_of)) for symbol, by_frequency in sorted(held.items()))
        return {symbol: row for symbol, row in newest if row is not None}

    def _of(self, day: date) -> Mapping[str, Mapping[str, tuple[list[datetime], list[Row]]]]:
        if self._sorted[0] != day:
            held: dict[str, dict[str, tuple[list[datetime], list[Row]]]] = {}
            for row in sorted(self._sessions.rows(day), key=lambda row: (row["knowable_at"], row["start"])):
                moments, rows = held.setdefault(row["symbol"], {}).setdefault(row["frequency"], ([], []))
                moments.append(row["knowable_at"])
                rows.append(row)
            self._sorted = (day, held)
        return self._sorted[1]


def _newest_bar(held: Mapping[str, tuple[list[datetime], list[Row]]], as_of: datetime) -> Row | None:
    for frequency in _FREQUENCIES:
        moments, rows = held.get(frequency, ([], []))
        position = bisect_right(moments, as_of)
        if position:
            return rows[position - 1]
    return None


def _observed(row: Row) -> date:
    day: date = row["observed_on"]
    return day
