"""Sums and deviations over moving windows that give the same bits wherever the series starts or ends.

For the few series that no kernel makes. A running total (add the new row, subtract the old one) carries its rounding along, so
its value depends on where it began. Here every value is made from the rows of its own window, always in the same order.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def window_sum(values: Floats, length: int) -> Floats:
    """Sum of the last `length` values at each position; NaN where the window is not full or holds a NaN.

    Doubling: sums of 1, 2, 4, 8 … neighbours are made once and put together to `length`, so that 20 rows take five
    additions per position. The tree of additions depends on `length` only.
    """
    count = values.size - length + 1
    if count <= 0:
        return np.full(values.size, np.nan)
    total: Floats | None = None
    covered, width, block = 0, 1, values
    while covered < length:
        if length & width:
            part = block[covered : covered + count]
            total = part if total is None else total + part
            covered += width
        block = block[:-width] + block[width:] if covered < length else block
        width *= 2
    return _after(values.size, length, total)


def window_mean(values: Floats, length: int) -> Floats:
    """Mean of the last `length` values at each position; NaN where the window is not full."""
    return window_sum(values, length) / length


def window_deviation(values: Floats, length: int) -> Floats:
    """Sample deviation (divisor length - 1) of the last `length` values, in two passes; NaN where the window is not full.

    Two passes cost more than sums of squares and keep equal values at exactly zero.
    """
    count = values.size - length + 1
    if count <= 0:
        return np.full(values.size, np.nan)
    mean = window_mean(values, length)[length - 1 :]
    squares = np.zeros(count)
    for offset in range(length):
        apart = values[offset : offset + count] - mean
        apart *= apart
        squares += apart
    return _after(values.size, length, np.sqrt(squares / (length - 1)))


def lagged(values: Floats, sessions: int) -> Floats:
    """The value `sessions` rows earlier at each position; NaN where there is none."""
    earlier = np.full(values.size, np.nan)
    earlier[sessions:] = values[: max(values.size - sessions, 0)]
    return earlier


def _after(size: int, length: int, full: Floats | None) -> Floats:
    result = np.full(size, np.nan)
    if full is not None:
        result[length - 1 :] = full
    return result
