"""Single passes over bars in order of session and symbol: which can be reckoned with, whose they are, and moves from bar to bar."""

import numpy as np
import numpy.typing as npt

from trading_assets.features.compiling import compiled
from trading_assets.features.kernel import Floats, Places

_VECTOR = "Array(float64, 1, 'C', True)"
_PLACES = "Array(int64, 1, 'C', True)"
_DAYS = "Array(int32, 1, 'C', True)"
LEAST, MOST = 1e-100, 1e100
"""Prices and volumes between these bounds cannot overflow in any feature."""


@compiled(f"boolean(UniTuple({_VECTOR}, 5))")
def all_ordinary(bars: tuple[Floats, ...]) -> bool:
    """Of open, high, low, close and volume: whether every price lies between LEAST and MOST and every volume between 0 and MOST.

    False for a NaN.
    """
    open_, high, low, close, volume = bars
    strange = 0
    for k in range(close.size):
        strange += not (LEAST < open_[k] < MOST)
        strange += not (LEAST < high[k] < MOST)
        strange += not (LEAST < low[k] < MOST)
        strange += not (LEAST < close[k] < MOST)
        strange += not (0 <= volume[k] < MOST)
    return strange == 0


@compiled(f"int64({_DAYS}, Array(uint64, 2, 'C', True), int64[::1], int64[::1])")
def recognise(sessions: npt.NDArray[np.int32], names: npt.NDArray[np.uint64], codes: Places, firsts: Places) -> int:
    """Numbers the symbols of rows sorted by session and symbol; returns how many numbers were given.

    A row gets the number of the same name in the session before, found by walking both sessions together; a name that was not
    there gets a new number, and `firsts` holds its row. A symbol that was away has more than one number.

    Args:
        sessions: Day number of each row.
        names: Sixteen bytes for each row; equal bytes mean equal names.
        codes: Receives the number of each row.
        firsts: Receives, for each number, its first row; as long as `codes`.
    """
    count, begin, candidate, candidates_end = 0, 0, 0, 0
    for row in range(sessions.size):
        if row > 0 and sessions[row] != sessions[row - 1]:
            candidate, candidates_end, begin = begin, row, row
        found = candidate
        while found < candidates_end and (names[found, 0] != names[row, 0] or names[found, 1] != names[row, 1]):
            found += 1
        if found < candidates_end:
            codes[row] = codes[found]
            candidate = found + 1
        else:
            codes[row] = count
            firsts[count] = row
            count += 1
    return count


@compiled(f"void({_PLACES}, int64[::1], int64[::1], int64[::1])")
def line_up(meaning: Places, codes: Places, starts: Places, order: Places) -> None:
    """Replaces each code by its meaning and lists the rows of each symbol: those of symbol k from starts[k] to starts[k + 1]."""
    for row in range(codes.size):
        codes[row] = meaning[codes[row]]
        starts[codes[row] + 1] += 1
    for symbol in range(1, starts.size):
        starts[symbol] += starts[symbol - 1]
    following = starts.copy()
    for row in range(codes.size):
        order[following[codes[row]]] = row
        following[codes[row]] += 1


@compiled(
    f"void({_PLACES}, {_PLACES}, UniTuple({_VECTOR}, 3), {_PLACES}, {_VECTOR}, int64, float64[:, ::1], boolean[::1])"
)
def relatives_into(
    codes: Places,
    places: Places,
    prices: tuple[Floats, ...],
    split_rows: Places,
    split_ratios: Floats,
    symbols: int,
    out: Floats,
    follows: npt.NDArray[np.bool_],
) -> None:
    """High, low and close of each bar over its symbol's close before, in the bar's share count; NaN for a symbol's first bar.

    Args:
        codes: Symbol number of each row, rows sorted by session.
        places: Place of each row's session in the calendar.
        prices: High, low and close, as traded.
        split_rows: Rows since which a split counts, ascending; a row stands there once for each of its splits.
        split_ratios: New shares per old share.
        symbols: How many symbols there are.
        out: Receives the three relatives.
        follows: Receives whether the symbol also has a bar in the calendar's session before.
    """
    high, low, close = prices
    before, place_before = np.full(symbols, np.nan), np.full(symbols, -2)
    split = 0
    for row in range(codes.size):
        symbol = codes[row]
        scale = 1.0
        while split < split_rows.size and split_rows[split] == row:
            scale *= split_ratios[split]
            split += 1
        previous = before[symbol] / scale
        out[0, row] = high[row] / previous
        out[1, row] = low[row] / previous
        out[2, row] = close[row] / previous
        follows[row] = place_before[symbol] + 1 == places[row]
        before[symbol], place_before[symbol] = close[row], places[row]
