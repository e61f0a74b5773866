"""What the regime rules look at, for each symbol and for the market as a whole.

The market is the equal-weighted universe. The close of its index is chained from the mean close-to-close move of the symbols
that have a bar in the session and in the one before; its high and low are the mean high and mean low of the same symbols
over their previous closes. Highs of different symbols do not fall on one moment, so the index's range is a little wider than
a traded basket's; only the directional index, a ratio of ranges, uses it.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.features.epochs import Jobs, histories, jobs_of
from trading_assets.features.kernel import Floats, Places
from trading_assets.features.relatives import RELATIVES, day_relatives, session_sums
from trading_assets.features.windows import lagged
from trading_assets.regimes.kernel import evidence_into, percentiles_into
from trading_assets.regimes.model import MARKET

MEASURES = ("volatility", "trend_strength", "adx_14", "climbs")
_KEYS = ("symbol", "session", "knowable_at")
_INDEX_BASE = 100.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each row, NaN until it is defined.

    rows: symbol, session and knowable_at, sorted by session and symbol.
    order: The rows of the first symbol, oldest first, then those of the second, and so on; starts[k] is the place of symbol k.
    values: One line for each of MEASURES.
        volatility: sample deviation of 15 daily log returns, not annualised.
        trend_strength: 30-session log return over (sample deviation of the 30 daily log returns times sqrt(30)); 0 when flat.
        adx_14: average directional index, Wilder, 0 to 100.
        climbs: 1.0 when the close is above a 50-session mean that stands higher than 10 sessions ago, else 0.0.
    """

    rows: pl.DataFrame
    order: Places
    starts: Places
    values: Floats

    def line(self, name: str) -> Floats:
        """The values of one of MEASURES."""
        line: Floats = self.values[MEASURES.index(name)]
        return line

    def percentiles(self, longest: int, least: int) -> Floats:
        """Mid-rank of each volatility within its symbol's last `longest`, NaN with fewer than `least` of them."""
        ranks = np.empty(self.rows.height)
        percentiles_into(self.line("volatility"), self.order, self.starts, longest, least, ranks)
        return ranks

    def of_symbols(self) -> list[Places]:
        """The rows of each symbol, oldest first."""
        return np.split(self.order, self.starts[1:-1])


def symbol_evidence(bars: pl.DataFrame, actions: pl.DataFrame, *, last: date) -> Evidence:
    """Of every usable bar up to session `last`."""
    history = histories(bars, last=last)
    values = _measured(history.bars, history.order, jobs_of(history, actions, first_row=0))
    return Evidence(history.bars.select(_KEYS), history.order, history.starts, values)


def market_evidence(bars: pl.DataFrame, actions: pl.DataFrame, *, last: date) -> Evidence:
    """Of MARKET: one row per session in which at least one symbol has a bar in it and in the one before."""
    index = market_index(bars, actions, last=last)
    order, starts = np.arange(index.height), np.array([0, index.height])
    whole = np.array([[0, index.height, 0, 0, 0]] if index.height else np.empty((0, 5)), dtype=np.int64)
    values = _measured(index, order, Jobs(whole, np.empty(0, dtype=np.int64), np.empty(0)))
    return Evidence(index.with_columns(symbol=pl.lit(MARKET)).select(_KEYS), order, starts, values)


def market_index(bars: pl.DataFrame, actions: pl.DataFrame, *, last: date) -> pl.DataFrame:
    """The equal-weighted index of the usable bars: session, knowable_at, high, low, close, symbols (how many took part).

    It stands at 100 before the first session; a later bar or symbol never changes an earlier value.
    """
    moves = day_relatives(bars, actions, first=date.min, last=last)
    index = moves.group_by("session").agg(pl.col("knowable_at").max(), pl.len().alias("symbols")).sort("session")
    sums = (session_sums(index["session"], moves["session"], moves[name]) for name in RELATIVES)
    high, low, close = ((total / index["symbols"]).to_numpy() for total in sums)
    level = _INDEX_BASE * np.cumprod(close)
    before = lagged(level, 1)
    before[:1] = _INDEX_BASE
    return index.with_columns(
        pl.Series("high", before * high), pl.Series("low", before * low), pl.Series("close", level)
    )


def _measured(prices: pl.DataFrame, order: Places, jobs: Jobs) -> Floats:
    values = np.empty((len(MEASURES), prices.height))
    if len(jobs.jobs):
        traded = tuple(prices[name].to_numpy() for name in ("high", "low", "close"))
        evidence_into(traded, order, jobs.jobs, jobs.scale_bars, jobs.scales, values)
    return values
