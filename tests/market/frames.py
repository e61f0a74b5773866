"""Small markets that the tests of this room share: quiet bars on real sessions, and the one row that a test spoils."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FIRST, LAST = date(2024, 5, 1), date(2024, 7, 12)
SESSIONS = XNYS.sessions(FIRST, LAST)
SPAN = Span(SESSIONS[30].day, SESSIONS[-1].day)
SYMBOLS = ("AAA", "BBB", "CCC")


def daily_row(symbol: str, session: Session, close: float, /, **changed: Any) -> dict[str, Any]:
    """One sound bar around its close."""
    row = {
        "symbol": symbol,
        "session": session.day,
        "start": session.open,
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": 1_000_000.0,
        "source": "test",
        "knowable_at": session.close,
    }
    return row | changed


def quiet_rows(symbols: Sequence[str] = SYMBOLS, sessions: Sequence[Session] = SESSIONS) -> list[dict[str, Any]]:
    """Bars whose closes wander by a percent or so."""
    return [
        daily_row(symbol, session, 100.0 + (7 * number + 3 * place) % 5)
        for number, session in enumerate(sessions)
        for place, symbol in enumerate(symbols)
    ]


def daily_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with the columns of DAILY_BARS, not conformed: tests put defects into it."""
    return pl.DataFrame(rows, schema=dict(DAILY_BARS.polars_schema()))


def actions_frame(*actions: tuple[str, date, str, float]) -> pl.DataFrame:
    """Splits as (symbol, ex-date, "split", ratio) and dividends as (symbol, ex-date, "cash_dividend", amount)."""
    return CORPORATE_ACTIONS.frame(
        [
            {
                "symbol": symbol,
                "session": day,
                "kind": kind,
                "ratio": value if kind == "split" else 1.0,
                "amount": 0.0 if kind == "split" else value,
                "source": "test",
                "knowable_at": XNYS.session(day).open,
            }
            for symbol, day, kind, value in actions
        ]
    )


def minute_rows(symbol: str, session: Session, *, minutes: int = 5) -> list[dict[str, Any]]:
    """All bars of a session, `minutes` long, sound and quiet."""
    length = timedelta(minutes=minutes)
    count = (session.close - session.open) // length
    return [
        daily_row(
            symbol,
            session,
            50.0 + (number % 3) / 10,
            frequency=f"{minutes}m",
            start=session.open + number * length,
            knowable_at=session.open + (number + 1) * length,
        )
        for number in range(count)
    ]


def intraday_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with the columns of INTRADAY_BARS, not conformed."""
    return pl.DataFrame(rows, schema=dict(INTRADAY_BARS.polars_schema()))
