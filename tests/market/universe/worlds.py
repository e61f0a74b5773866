"""Small markets with known members, and universes written as the operator would write them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from tests.market.frames import actions_frame, daily_frame, daily_row
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.universe.config import Universes
from trading_assets.market.universe.membership import Facts
from trading_assets.market.universe.model import REFERENCE_FACTS

DAYS = XNYS.sessions(date(2010, 1, 4), date(2012, 12, 31))


def bars_of(
    closes: Mapping[str, Sequence[float]], *, sessions: Sequence[Session] = DAYS, volume: float = 1_000_000.0
) -> pl.DataFrame:
    """Bars of each symbol on the first sessions, one for each close; NaN means that there is no bar."""
    return daily_frame(
        [
            daily_row(symbol, session, close, volume=volume)
            for symbol, series in closes.items()
            for session, close in zip(sessions, series, strict=False)
            if close == close  # noqa: PLR0124 - not NaN
        ]
    )


def reference_rows(*rows: tuple[str, Session, str, float]) -> pl.DataFrame:
    """Reference facts (symbol, session, field, value), knowable at the session's close."""
    return REFERENCE_FACTS.frame(
        [
            {
                "symbol": symbol,
                "session": session.day,
                "field": field,
                "value": value,
                "source": "test",
                "knowable_at": session.close,
            }
            for symbol, session, field, value in rows
        ]
    )


def instrument(symbol: str, **changed: Any) -> Instrument:
    """An instrument of the sector "Widgets"."""
    return Instrument(**({"symbol": symbol, "sector": "Widgets"} | changed))


def facts_of(
    bars: pl.DataFrame,
    *,
    instruments: Sequence[Instrument] | None = None,
    actions: pl.DataFrame | None = None,
    reference: pl.DataFrame | None = None,
) -> Facts:
    """Facts with an instrument for each symbol of the bars, unless others are given."""
    symbols = sorted(bars["symbol"].unique().to_list())
    return Facts(
        bars,
        actions_frame() if actions is None else actions,
        REFERENCE_FACTS.empty() if reference is None else reference,
        [instrument(symbol) for symbol in symbols] if instruments is None else instruments,
    )


def written(universes: Mapping[str, Mapping[str, Any]], **more: Any) -> Universes:
    """A file of universes; `rebalance` is daily where it is not said."""
    full = {name: {"rebalance": "daily", **universe} for name, universe in universes.items()}
    return Universes.model_validate_json(_json({"universes": full, **more}))


def one(session: date) -> Span:
    """The span of one session."""
    return Span(session, session)


def names(frame: pl.DataFrame, universe: str, session: date) -> list[str]:
    """The members of a universe in a session, best rank first; empty when there are none."""
    held = frame.filter((pl.col("universe") == universe) & (pl.col("session") == session))
    return [str(symbol) for symbol in held.sort("rank")["symbol"]]


def _json(content: Mapping[str, Any]) -> str:
    import json

    return json.dumps(content)
