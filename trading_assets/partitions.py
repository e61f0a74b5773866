"""Sessions as partitions, and the one mapping that keeps decisions from seeing their own session's facts.

Use partition *keys* only: with exclusions, a partition's time window runs over into closed days (docs/architecture.md). Opens and
closes come from the calendar.
"""

from datetime import date, datetime, time

import dagster as dg

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span

SESSIONS = dg.DailyPartitionsDefinition(
    XNYS.first.isoformat(),
    timezone="America/New_York",
    end_offset=1,
    exclusions=["0 0 * * 6", "0 0 * * 0", *(datetime.combine(day, time()) for day in sorted(XNYS.closed))],
)

KNOWN_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


def span_of(keys: list[str]) -> Span:
    """The sessions of a run, from its partition keys: one key live, a range in a backfill."""
    return Span(date.fromisoformat(min(keys)), date.fromisoformat(max(keys)))
