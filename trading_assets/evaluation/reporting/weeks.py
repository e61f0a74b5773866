"""Which session ends a week: by the calendar, so that a Friday without trading takes nothing away."""

from datetime import date

from trading_assets.core.calendar import XNYS


def ends_week(session: date) -> bool:
    """Whether the next session lies in another ISO week."""
    return XNYS.next(session).day.isocalendar()[:2] != session.isocalendar()[:2]
