"""Each symbol's bars in the share count of the session that a value is for.

Prices are stored as traded, so a split is a break in the series. A value of session s must be in the share count of s and
must not know later splits. The splits of a symbol cut its life into epochs; for each epoch the whole past is brought
into that epoch's share count, and only the rows of the epoch are taken from the result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.features.kernel import LANES_MAX, Floats, Places
from trading_assets.features.passes import all_ordinary, line_up, recognise

_PRICES = ("open", "high", "low", "close")
_COLUMNS = ("symbol", "session", *_PRICES, "volume", "knowable_at")
Split = tuple[int, float]
"""The bar of its symbol from which on a split counts, and new shares per old share."""


@dataclass(frozen=True)
class Histories:
    """Usable bars sorted by session and symbol, and whose they are.

    codes: For each row the place of its symbol in `names`, which ascend.
    order: The rows of the first symbol, oldest first, then those of the second, and so on; starts[k] is the place of symbol k.
    """

    bars: pl.DataFrame
    names: pl.Series
    codes: Places
    order: Places
    starts: Places

    def columns(self, *names: str) -> tuple[Floats, ...]:
        """Columns of numbers as arrays."""
        return _arrays(self.bars, *names)

    @cached_property
    def days(self) -> npt.NDArray[np.int32]:
        """The session of each row as days since 1970."""
        return self.bars["session"].to_physical().to_numpy()

    @cached_property
    def ordinary(self) -> bool:
        """Whether no number is so small or large that features could overflow; then NaN needs no looking for."""
        return bool(all_ordinary(self.columns(*_PRICES, "volume")))

    def row_of(self, session: date) -> int:
        """The first row of a session or of a later one."""
        return int(self.bars["session"].search_sorted(session))

    def of_symbol(self, place: int) -> Places:
        """The rows of a symbol, oldest first."""
        return self.order[self.starts[place] : self.starts[place + 1]]

    def splits(self, actions: pl.DataFrame) -> dict[int, list[Split]]:
        """For each symbol that has any, its splits by ex-date."""
        wanted = (pl.col("kind") == "split") & pl.col("symbol").is_in(self.names.implode())
        rows = actions.filter(wanted).sort("session").select("symbol", "session", "ratio")
        places = self.names.search_sorted(rows["symbol"]).to_list()
        found: dict[int, list[Split]] = {}
        for place, day, ratio in zip(places, rows["session"].to_physical(), rows["ratio"], strict=True):
            bar = int(np.searchsorted(self.days[self.of_symbol(place)], day))
            found.setdefault(place, []).append((bar, ratio))
        return found


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the kernels work on: a symbol's past in one share count, and from which bar on its rows are wanted.

    The fields are the arguments of `kernel.indicators_into` of the same names.
    """

    jobs: Places
    scale_bars: Places
    scales: Floats

    @property
    def lanes(self) -> int:
        """How many go side by side: all, in whole vectors, as far as the kernel allows."""
        return min(LANES_MAX, -(-max(len(self.jobs), 1) // 8) * 8)


def usable_bars(bars: pl.DataFrame, *, last: date) -> pl.DataFrame:
    """The rows of `sound_bars`, sorted by symbol and session."""
    return sound_bars(bars, last=last).sort("symbol", "session", maintain_order=True)


def sound_bars(bars: pl.DataFrame, *, last: date) -> pl.DataFrame:
    """The DAILY_BARS rows up to session `last` that can be reckoned with, sorted by session and symbol, less start and source.

    A price that is not finite and positive, or a volume that is not finite or below zero, would spoil every later value of
    a smoothed series. The quality gate has refused such a session; its row gets no features.
    """
    rows = bars.select(_COLUMNS).rechunk()
    if not _in_order(rows):
        rows = rows.sort("session", "symbol", maintain_order=True)
    rows = rows.slice(0, int(rows["session"].search_sorted(last, side="right")))
    if all_ordinary(_arrays(rows, *_PRICES, "volume")):
        return rows
    sound = pl.all_horizontal(pl.col(*_PRICES).is_finite() & (pl.col(*_PRICES) > 0))
    return rows.filter(sound & pl.col("volume").is_finite() & (pl.col("volume") >= 0)).rechunk()


def histories(bars: pl.DataFrame, *, last: date) -> Histories:
    """The usable bars up to session `last`, symbol by symbol."""
    rows = sound_bars(bars, last=last)
    codes, firsts, order = (np.empty(rows.height, dtype=np.int64) for _ in range(3))
    count = recognise(rows["session"].to_physical().to_numpy(), _name_bytes(rows["symbol"]), codes, firsts)
    numbered = rows["symbol"].gather(firsts[:count])
    names = numbered.unique().sort()
    starts = np.zeros(names.len() + 1, dtype=np.int64)
    line_up(names.search_sorted(numbered).to_numpy().astype(np.int64), codes, starts, order)
    return Histories(rows, names, codes, order, starts)


def jobs_of(history: Histories, actions: pl.DataFrame, *, first_row: int) -> Jobs:
    """One job for each symbol and epoch that has a row from `first_row` on; jobs that begin and end alike stand together."""
    lengths = np.diff(history.starts)
    fresh = lengths - np.bincount(history.codes[first_row:], minlength=lengths.size)
    splits = history.splits(actions)
    table: list[tuple[int, int, int, int, int]] = []
    bars: list[int] = []
    scales: list[float] = []
    for place in np.flatnonzero(fresh < lengths).tolist():
        for begin, end, scaled in _epochs(splits.get(place, ()), int(lengths[place])):
            if end > fresh[place]:
                known = len(bars)
                bars.extend(bar for bar, _ in scaled)
                scales.extend(scale for _, scale in scaled)
                table.append((int(history.starts[place]), end, max(begin, int(fresh[place])), known, len(bars)))
    jobs = np.array(table, dtype=np.int64).reshape(-1, 5)
    begun = history.days[history.order[jobs[:, 0]]]
    jobs = jobs[np.lexsort((jobs[:, 0], jobs[:, 1], jobs[:, 2], begun))]
    return Jobs(jobs, np.array(bars, dtype=np.int64), np.array(scales, dtype=np.float64))


def _epochs(splits: Sequence[Split], length: int) -> Iterator[tuple[int, int, list[tuple[int, float]]]]:
    """First bar and end of each epoch, and the scales of its past: (bar since which it counts, what prices are divided by)."""
    edges = sorted({bar for bar, _ in splits} | {0, length})
    for begin, end in pairwise(edges):
        yield begin, end, _scales([split for split in splits if 0 < split[0] < end])


def _scales(splits: Sequence[Split]) -> list[tuple[int, float]]:
    scale, since = 1.0, dict[int, float]()
    for bar, ratio in reversed(splits):
        since.setdefault(bar, scale)
        scale *= ratio
    return [(0, scale), *sorted(since.items())] if splits else []


def _arrays(rows: pl.DataFrame, *names: str) -> tuple[Floats, ...]:
    return tuple(rows[name].to_numpy() for name in names)


def _in_order(rows: pl.DataFrame) -> bool:
    session, symbol = rows["session"], rows["symbol"]
    later, same = session[1:] > session[:-1], session[1:] == session[:-1]
    return bool((later | (same & (symbol[1:] >= symbol[:-1]))).all())


def _name_bytes(symbols: pl.Series) -> npt.NDArray[np.uint64]:
    """Arrow's views, 16 bytes a row: a name of up to 12 bytes itself, else its length, beginning and where it is stored."""
    views = symbols.to_arrow(compat_level=pl.CompatLevel.newest())
    stored = np.frombuffer(views.buffers()[1], dtype=np.uint64).reshape(-1, 2)
    return stored[views.offset : views.offset + len(views)]
