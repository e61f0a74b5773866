"""What the Yahoo of the tests knows: a 7:1 split and dividends around it, minutes of five weeks, hours of a year."""

from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from tests.resources.market_data.yahoo_server import Listing, Traded
from trading_assets.core.calendar import NEW_YORK, XNYS, Session

SPLIT_DAY = date(2014, 6, 9)
FIRST, LAST = date(2014, 4, 1), date(2014, 7, 3)
AS_OF = datetime(2014, 7, 3, 23, 0, tzinfo=UTC)


def _price(session: Session) -> float:
    level = 645.57 if session.day < SPLIT_DAY else 92.29
    return round(level + session.day.day / 100, 2)


def _bar(session: Session, start: datetime, number: int = 0) -> Traded:
    price = round(_price(session) + (number % 7) / 100, 2)
    local = start.astimezone(NEW_YORK).replace(tzinfo=None)
    volume = 700_000.0 + 700 * (number % 5)
    return Traded(local, price, round(price + 0.5, 2), round(price - 0.5, 2), round(price + 0.11, 2), volume)


def _bars(first: date, minutes: int | None) -> tuple[Traded, ...]:
    sessions = XNYS.sessions(first, LAST)
    if minutes is None:
        return tuple(_bar(session, session.open) for session in sessions)
    length = timedelta(minutes=minutes)
    return tuple(
        _bar(session, session.open + number * length, number)
        for session in sessions
        for number in range(-(-(session.close - session.open) // length))
    )


APPLE = Listing(
    bars={
        "1d": _bars(FIRST, None),
        "1h": _bars(FIRST, 60),
        "5m": _bars(date(2014, 5, 19), 5),
        "1m": _bars(date(2014, 6, 4), 1),
    },
    splits={SPLIT_DAY: 7},
    dividends={date(2014, 5, 8): 3.29, date(2014, 6, 30): 0.47},
)
# Interactive Brokers serves half hours, of which the desk makes its hours.
BROKERS = MappingProxyType(
    {
        "AAPL": Listing({**APPLE.bars, "30m": _bars(FIRST, 30)}, splits=APPLE.splits),
        "OTHR": Listing({"1d": _bars(FIRST, None)[-10:]}),
    }
)
ALL = MappingProxyType({"AAPL": APPLE, "OTHR": Listing({"1d": _bars(FIRST, None)[-10:]})})
