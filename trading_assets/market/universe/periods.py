"""When a membership is computed anew."""

from datetime import date, timedelta

from trading_assets.core.calendar import Calendar
from trading_assets.market.universe.config import Rebalance


def rebalanced_on(session: date, rebalance: Rebalance, calendar: Calendar) -> date:
    """The session at whose close the membership of `session` was computed: the first one of its day, ISO week or month."""
    if rebalance == "daily":
        return session
    begins = session.replace(day=1) if rebalance == "monthly" else session - timedelta(days=session.weekday())
    return calendar.sessions(max(begins, calendar.first), session)[0].day
