"""The market as whole numbers in arrays: sessions by symbols, money in ten-thousandths of a dollar, prices in cents.

Exact in 64 bits: a price below a million dollars times a million shares is below 10^14 cents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.core.money import share_ratio, to_tick, usd

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Row = Mapping[str, Any]
MONEY_PER_USD = 10_000
MONEY_PER_CENT = 100
_HALF_CENT = 1e-6


@dataclass(frozen=True, slots=True)
class Prices:
    """Rows are sessions, columns symbols.

    Args:
        trades: Whether the symbol has a bar with volume.
        open_cents: Of bars that trade; 0 elsewhere.
        close_cents: The same.
        last: The last known close in the session's share count, ten-thousandths of a dollar; 0 before the first bar.
        volume: Shares.
        dividends: USD per share of the day before, in ten-thousandths.
        splits: Session and symbol to the ratio and the last close before it, USD.
    """

    symbols: tuple[str, ...]
    trades: Flags
    open_cents: Ints
    close_cents: Ints
    last: Ints
    volume: Ints
    dividends: Ints
    splits: Mapping[tuple[int, int], tuple[Decimal, Decimal]]


def prices_of(bars: pl.DataFrame, actions: pl.DataFrame, days: Sequence[date], symbols: Sequence[str]) -> Prices:
    """Arrays of the bars and actions of some sessions, which are those of the calendar in order."""
    where, column = {day: n for n, day in enumerate(days)}, {symbol: n for n, symbol in enumerate(symbols)}
    shape = (len(days), len(symbols))
    opens, closes, volume = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    kept = bars.filter(pl.col("session").is_in(list(days)) & pl.col("symbol").is_in(list(symbols)))
    rows = np.array([where[day] for day in kept["session"]], dtype=np.int64)
    columns = np.array([column[symbol] for symbol in kept["symbol"]], dtype=np.int64)
    opens[rows, columns] = cents(kept["open"].to_numpy())
    closes[rows, columns] = cents(kept["close"].to_numpy())
    volume[rows, columns] = np.rint(kept["volume"].to_numpy()).astype(np.int64)
    dividends, ratios = _actions(actions, where, column, shape)
    last, splits = _carried(closes, ratios)
    trades = volume > 0
    return Prices(
        symbols=tuple(symbols),
        trades=trades,
        open_cents=np.where(trades, opens, 0),
        close_cents=np.where(trades, closes, 0),
        last=last,
        volume=volume,
        dividends=dividends,
        splits=splits,
    )


def cents(prices: Floats) -> Ints:
    """Prices to the cent, as `to_tick` rounds them: a product that stands near half a cent is rounded exactly."""
    scaled = prices * 100
    rounded = np.rint(scaled).astype(np.int64)
    near = np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _HALF_CENT)
    for place in near:
        rounded[place] = int(to_tick(float(prices[place])) * 100)
    return rounded


def _actions(
    actions: pl.DataFrame, where: Mapping[date, int], column: Mapping[str, int], shape: tuple[int, int]
) -> tuple[Ints, Mapping[tuple[int, int], Decimal]]:
    dividends, ratios = np.zeros(shape, dtype=np.int64), dict[tuple[int, int], Decimal]()
    for row in actions.sort("session", "symbol").iter_rows(named=True):
        at = (where.get(row["session"], -1), column.get(row["symbol"], -1))
        if min(at) < 0:
            continue
        if row["kind"] == "split":
            ratios[at] = share_ratio(row["ratio"])
        else:
            dividends[at] += int(usd(row["amount"]) * MONEY_PER_USD)
    return dividends, ratios


def _carried(
    closes: Ints, ratios: Mapping[tuple[int, int], Decimal]
) -> tuple[Ints, Mapping[tuple[int, int], tuple[Decimal, Decimal]]]:
    """Last closes carried over sessions without a bar, and each split with the close before it."""
    last, splits = np.zeros_like(closes), dict[tuple[int, int], tuple[Decimal, Decimal]]()
    of_day: dict[int, list[int]] = {}
    for row, column in ratios:
        of_day.setdefault(row, []).append(column)
    carried = np.zeros(closes.shape[1], dtype=np.int64)
    for row in range(len(closes)):
        for column in of_day.get(row, ()):
            before, ratio = Decimal(int(carried[column])) / MONEY_PER_USD, ratios[row, column]
            splits[row, column] = (ratio, before)
            carried[column] = int(usd(before / ratio) * MONEY_PER_USD)
        carried = np.where(closes[row] > 0, closes[row] * MONEY_PER_CENT, carried)
        last[row] = carried
    return last, splits
