"""Past sessions relative to the close before: what paths are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.features.windows import Floats
from trading_assets.watchlist.paths import Places

_PRICES = ("open", "high", "low", "close")
_PER_SYMBOL = 1_000_000
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Past:
    """Every symbol's sessions relative to the close before, one symbol after the other.

    Args:
        relatives: [n, 4] open, high, low and close over the close before, in the same share count.
        order: [n] symbol number times a million plus the session's place in the calendar, ascending.
        numbers: Symbol to number.
    """

    relatives: Floats
    order: Places
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, usable: pl.DataFrame, actions: pl.DataFrame) -> "Past":
        """From bars that can be reckoned with, sorted by symbol and session, and rows of CORPORATE_ACTIONS.

        A session without a bar in the session before has no relative. A split counts on its ex-date. Dividends are left in, as they
        are in the prices at which levels are touched.
        """
        splits = actions.filter(pl.col("kind") == "split").select("symbol", "session", "ratio")
        placed = usable.with_columns(place=_places(usable["session"]))
        joined = placed.join(splits, on=["symbol", "session"], how="left", maintain_order="left")
        follows = (pl.col("symbol") == pl.col("symbol").shift(1)) & (pl.col("place").diff() == 1)
        before = pl.col("close").shift(1) / pl.col("ratio").fill_null(1.0)
        rows = joined.with_columns(pl.col(*_PRICES) / before).filter(follows)
        numbers = {symbol: number for number, symbol in enumerate(rows["symbol"].unique(maintain_order=True))}
        relatives = np.ascontiguousarray(rows.select(_PRICES).to_numpy())
        return cls(relatives, _order(rows["symbol"], rows["place"], numbers), numbers)

    def windows(self, symbols: pl.Series, sessions: pl.Series, length: int) -> Places:
        """[rows, 2] first row and end row in `relatives` of the `length` sessions up to each symbol's session."""
        ends = _order(symbols, _places(sessions), self.numbers)
        edges = [np.searchsorted(self.order, end, side="right") for end in (ends - length, ends)]
        return np.stack(edges, axis=1).astype(np.int64)


def _places(sessions: pl.Series) -> pl.Series:
    return pl.Series(XNYS.days).search_sorted(sessions).cast(pl.Int64)


def _order(symbols: pl.Series, places: pl.Series, numbers: Mapping[str, int]) -> Places:
    number = symbols.replace_strict(numbers, default=_UNKNOWN, return_dtype=pl.Int64)
    return (number * _PER_SYMBOL + places).to_numpy()
