"""Each bar against the close of the session before, and sums over the symbols of a session."""

from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.features.epochs import Histories, histories
from trading_assets.features.kernel import Places
from trading_assets.features.passes import relatives_into

RELATIVES = ("high_relative", "low_relative", "close_relative")


def day_relatives(bars: pl.DataFrame, actions: pl.DataFrame, *, first: date, last: date = date.max) -> pl.DataFrame:
    """The usable bars from session `first` to `last` whose symbol also has a bar in the session before,
    sorted by session and symbol.

    Added columns: high, low and close of the bar over the close of the session before, in the same share count
    (`high_relative`, `low_relative`, `close_relative`; 1.0 is unchanged).
    """
    history = histories(bars, last=last)
    values = np.empty((len(RELATIVES), history.bars.height))
    follows = np.empty(history.bars.height, dtype=np.bool_)
    places = _places(pl.Series(XNYS.days), history.bars["session"])
    prices = history.columns("high", "low", "close")
    split_rows, ratios = _splits_by_row(history, actions)
    relatives_into(history.codes, places, prices, split_rows, ratios, history.names.len(), values, follows)
    rows = history.bars.with_columns(pl.Series(name, line) for name, line in zip(RELATIVES, values, strict=True))
    first_row = history.row_of(first)
    return rows.slice(first_row).filter(pl.Series(follows[first_row:]))


def session_sums(sessions: pl.Series, row_sessions: pl.Series, values: pl.Series) -> pl.Series:
    """For each of the ascending `sessions`, the sum of the values whose row is from it.

    Adds strictly in row order: a symbol that joins later leaves every earlier sum as it was, to the bit.
    """
    place = _places(sessions, row_sessions)
    return pl.Series(np.bincount(place, weights=values.to_numpy(), minlength=sessions.len()), dtype=pl.Float64)


def _places(sessions: pl.Series, row_sessions: pl.Series) -> Places:
    """The place of each row's session among the ascending `sessions`."""
    runs = row_sessions.rle().struct.unnest()
    return np.repeat(sessions.search_sorted(runs["value"]).to_numpy().astype(np.int64), runs["len"].to_numpy())


def _splits_by_row(history: Histories, actions: pl.DataFrame) -> tuple[Places, npt.NDArray[np.float64]]:
    """The rows of `history` since which a split counts, ascending, and the ratios; the latest of one row's splits comes first."""
    found = [
        (int(rows[bar]), -number, ratio)
        for place, splits in history.splits(actions).items()
        for rows in (history.of_symbol(place),)
        for number, (bar, ratio) in enumerate(splits)
        if bar < rows.size
    ]
    found.sort()
    return np.array([row for row, _, _ in found], dtype=np.int64), np.array(
        [ratio for _, _, ratio in found], dtype=np.float64
    )
