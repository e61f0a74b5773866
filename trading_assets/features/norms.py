"""What is usual: means and medians over the rows before a row, from those rows alone and always in the same order.

Rows are consecutive exchange sessions, so a norm reaches back by sessions of the exchange and not by whatever the symbol
happens to have: reading `LENGTH` sessions before a span is enough, and reading more changes no bit.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.features.compiling import compiled
from trading_assets.features.windows import Floats

Places = npt.NDArray[np.int64]
LENGTH = 20


def mean_before(values: Floats, *, least: int, ratio: Floats | None = None, length: int = LENGTH) -> Floats:
    """Mean of the finite values in the `length` rows before each row; NaN where there are fewer than `least`.

    Args:
        values: Sessions by anything.
        least: How many finite values a mean needs, at least 1.
        ratio: New shares per old share from the row's session on; the values before are brought into the row's share count.
        length: How many rows to look back.
    """
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    shares = np.ones(values.shape)
    for back in range(1, min(length, len(values) - 1) + 1):
        if ratio is not None:
            shares[back:] *= ratio[1 : len(values) - back + 1]
        past = values[:-back] * shares[back:]
        known = np.isfinite(past)
        total[back:] += np.where(known, past, 0.0)
        count[back:] += known
    means: Floats = np.divide(total, count, out=np.full(values.shape, np.nan), where=count >= least)
    return means


def median_before(values: Floats, *, least: int, length: int = LENGTH) -> Floats:
    """Median of the finite values in the `length` rows before each row; NaN where there are fewer than `least`."""
    medians = np.full(values.shape, np.nan)
    _medians(np.array(values, order="C"), length, least, medians)
    return medians


def over(value: Floats, norm: Floats) -> Floats:
    """Value over norm; NaN where the norm is not above zero."""
    ratio: Floats = np.divide(value, norm, out=np.full(value.shape, np.nan), where=norm > 0)
    return ratio


def cell_sums(cells: Places, values: pl.Series, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Sum and count of the values that are not null, for each cell of a matrix; adds strictly in row order."""
    known = values.is_not_null().to_numpy()
    size = shape[0] * shape[1]
    total = np.bincount(cells[known], weights=values.to_numpy()[known], minlength=size).astype(np.float64)
    count = np.bincount(cells[known], minlength=size).astype(np.float64)
    return total.reshape(shape), count.reshape(shape)


@compiled("void(float64[:, ::1], int64, int64, float64[:, ::1])")
def _medians(values: Floats, length: int, least: int, medians: Floats) -> None:
    """Insertion into a short sorted buffer: sorting 20 numbers costs less than calling a sort."""
    ordered = np.empty(length)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            count = 0
            for before in range(max(row - length, 0), row):
                value = values[before, column]
                if not np.isfinite(value):
                    continue
                place = count
                while place > 0 and ordered[place - 1] > value:
                    ordered[place] = ordered[place - 1]
                    place -= 1
                ordered[place] = value
                count += 1
            if count >= least:
                medians[row, column] = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
