"""Each bar against the close of the session before, and sums over the symbols of a session."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.features.epochs import Epoch, measured
from trading_assets.features.windows import Floats, lagged

RELATIVES = ("high_relative", "low_relative", "close_relative")


def day_relatives(bars: pl.DataFrame, actions: pl.DataFrame, *, first: date) -> pl.DataFrame:
    """The usable bars from session `first` on whose symbol also has a bar in the session before, sorted by session and symbol.

    Added columns: high, low and close of the bar over the close of the session before, in the same share count
    (`high_relative`, `low_relative`, `close_relative`; 1.0 is unchanged).
    """
    place = pl.Series(XNYS.days).search_sorted(bars["session"]).cast(pl.Int64)
    follows = (bars["symbol"] == bars["symbol"].shift(1)) & (place.diff() == 1)
    paired = measured(
        bars.with_columns(follows.alias("follows")), actions, first=first, measure=_over_previous_close, names=RELATIVES
    )
    return paired.filter("follows").drop("follows").sort("session", "symbol")


def session_sums(sessions: pl.Series, row_sessions: pl.Series, values: pl.Series) -> pl.Series:
    """For each of the ascending `sessions`, the sum of the values whose row is from it.

    Adds strictly in row order: a symbol that joins later leaves every earlier sum as it was, to the bit.
    """
    place = sessions.search_sorted(row_sessions).to_numpy()
    return pl.Series(np.bincount(place, weights=values.to_numpy(), minlength=sessions.len()), dtype=pl.Float64)


def _over_previous_close(epoch: Epoch) -> Mapping[str, Floats]:
    previous = lagged(epoch.close, 1)
    return {
        "high_relative": epoch.high / previous,
        "low_relative": epoch.low / previous,
        "close_relative": epoch.close / previous,
    }
