"""Where the bars of a replayed tape come from: the lake, or the simulated market."""

from datetime import timedelta

import polars as pl

from resources.brokers.feeds.tape import TapeBar, covers
from resources.market_data.simulated import SimulatedMarketData
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.money import usd
from trading_assets.core.ports import Lake, Span
from trading_assets.market.hours import BAR_LENGTH
from trading_assets.market.model import INTRADAY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, UnknownSymbol

FINEST_FIRST: tuple[Frequency, ...] = ("1m", "5m", "1h")
_LATER = timedelta(days=1)
_SESSIONS_BACK = 5


class LakeBars:
    """Stored intraday bars: of each symbol the finest that reach from the session's open to its close.

    This is the market, not the desk: a session's bars are read when it begins, and told only as the clock passes them.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @property
    def name(self) -> str:
        """`lake`."""
        return "lake"

    def knows(self, symbol: str, session: Session) -> bool:
        """Whether the lake has bars of the symbol that cover the session."""
        return bool(self.bars(symbol, session))

    def bars(self, symbol: str, session: Session) -> tuple[TapeBar, ...]:
        """The session's bars, ascending; empty where none cover it."""
        stored = self._stored(symbol, session)
        for frequency in FINEST_FIRST:
            found = tape_bars(stored.filter(pl.col("frequency") == frequency), frequency, session)
            if covers(found, session):
                return found
        return ()

    def volume_before(self, symbol: str, session: Session) -> int | None:
        """Shares of the last bar of the five sessions before, of the length that the session's bars have."""
        bars = self.bars(symbol, session)
        if not bars:
            return None
        length = bars[0].end - bars[0].start
        first = XNYS.previous(session.day, _SESSIONS_BACK).day
        rows = self._lake.read(INTRADAY_BARS, as_of=session.open, first=first, last=session.day, symbols=[symbol])
        same = [frequency for frequency, each in BAR_LENGTH.items() if each == length]
        found = rows.filter(pl.col("frequency").is_in(same), pl.col("session") < session.day).sort("start")
        return int(found["volume"][-1]) if found.height else None

    def problem(self, session: Session) -> DataNotReady | None:
        """That the lake has no intraday bar of the session at all."""
        rows = self._lake.read(INTRADAY_BARS, as_of=session.close + _LATER, first=session.day, last=session.day)
        if rows.height:
            return None
        return DataNotReady(
            f"the lake has no intraday bars of {session.key}, and daily bars alone make no quotes",
            bound="1m, 5m or 1h bars from the open to the close",
            hint=f"desk ingest --frequency 1m --from {session.key} --to {session.key}, "
            "or feed: {quotes: simulated} in config/execution.yaml",
        )

    def _stored(self, symbol: str, session: Session) -> pl.DataFrame:
        return self._lake.read(
            INTRADAY_BARS, as_of=session.close + _LATER, first=session.day, last=session.day, symbols=[symbol]
        )


class SimulatedBars:
    """Minute bars of the simulated market.

    Args:
        seed: Which market.
    """

    def __init__(self, seed: int) -> None:
        self._market = SimulatedMarketData(seed)

    @property
    def name(self) -> str:
        """`simulated`."""
        return "simulated"

    def knows(self, symbol: str, session: Session) -> bool:
        """Whether the symbol trades in the session."""
        return bool(self.bars(symbol, session))

    def bars(self, symbol: str, session: Session) -> tuple[TapeBar, ...]:
        """The session's minutes; empty when the symbol does not trade in it."""
        try:
            frame = self._market.bars(symbol, "1m", Span(session.day, session.day))
        except (EmptyAnswer, UnknownSymbol):
            return ()
        return tape_bars(frame, "1m", session)

    def volume_before(self, symbol: str, session: Session) -> int | None:
        """Shares of the last minute of the session before."""
        before = self.bars(symbol, XNYS.previous(session.day))
        return before[-1].volume if before else None

    def problem(self, session: Session) -> DataNotReady | None:
        """None: the market trades in every session of the calendar."""


def tape_bars(rows: pl.DataFrame, frequency: Frequency, session: Session) -> tuple[TapeBar, ...]:
    """Rows of INTRADAY_BARS of one symbol and frequency as bars of a tape; the last one ends with the session at the latest."""
    length = BAR_LENGTH[frequency]
    return tuple(
        TapeBar(
            row["symbol"],
            row["start"],
            min(row["start"] + length, session.close),
            usd(row["open"]),
            usd(row["high"]),
            usd(row["low"]),
            usd(row["close"]),
            int(row["volume"]),
        )
        for row in rows.sort("start").rows(named=True)
    )
