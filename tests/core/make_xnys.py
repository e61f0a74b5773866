"""Rebuilds the frozen calendar: `python -m tests.core.make_xnys`, then review the diff of trading_assets/core/xnys.csv."""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import exchange_calendars
import pandas as pd

from trading_assets.core.calendar import NEW_YORK, REGULAR_CLOSE, REGULAR_OPEN

FIRST = date(1990, 1, 2)
LAST = date(2028, 12, 29)
TARGET = Path(__file__).parents[2] / "trading_assets" / "core" / "xnys.csv"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Rows `day, kind, open, close`: the bounds, weekdays without a session, sessions with unusual hours (New York)."""
    exchange = exchange_calendars.get_calendar("XNYS", start=str(FIRST), end=str(LAST))
    yield FIRST.isoformat(), "first", "", ""
    yield LAST.isoformat(), "last", "", ""
    for day in pd.bdate_range(str(FIRST), str(LAST)).difference(exchange.sessions):
        yield day.date().isoformat(), "closed", "", ""
    for day in exchange.sessions:
        opens = exchange.session_open(day).tz_convert(NEW_YORK).time()
        closes = exchange.session_close(day).tz_convert(NEW_YORK).time()
        if (opens, closes) != (REGULAR_OPEN, REGULAR_CLOSE):
            yield day.date().isoformat(), "hours", opens.isoformat("minutes"), closes.isoformat("minutes")


def main() -> None:
    """Writes the table."""
    with TARGET.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("day", "kind", "open", "close"))
        writer.writerows(rows())


if __name__ == "__main__":
    main()
