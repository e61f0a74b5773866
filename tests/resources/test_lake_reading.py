"""Reading only what is asked for gives what a whole reading cut afterwards gives, in order, from groups that can be skipped."""

import tempfile
from itertools import pairwise
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.resources.lakes import DAYS, LATEST, NOTES, files, notes, span
from trading_assets.core.calendar import XNYS
from trading_assets.core.tables import Table

SYMBOLS = ("AAA", "BBB", "CCC")


@settings(deadline=None, max_examples=30)
@given(
    cuts=st.lists(st.integers(1, 59), max_size=6),
    again=st.lists(st.integers(0, 59), max_size=5),
    ask=st.tuples(st.integers(0, 59), st.integers(0, 59)),
    symbols=st.one_of(st.none(), st.lists(st.sampled_from([*SYMBOLS, "ZZZ"]), unique=True)),
    as_of=st.integers(0, 60),
)
def test_what_is_read_is_what_a_whole_reading_cut_afterwards_holds(
    cuts: list[int], again: list[int], ask: tuple[int, int], symbols: list[str] | None, as_of: int
) -> None:
    moment = XNYS.session(DAYS[as_of]).close if as_of < 60 else LATEST
    with tempfile.TemporaryDirectory() as root:
        lake = ParquetLake(Path(root))
        edges = sorted({0, 60, *cuts})
        for begin, end in pairwise(edges):
            lake.write(NOTES, notes(DAYS[begin:end], SYMBOLS), span(begin, end - 1))
        for position in again:
            lake.write(NOTES, notes([DAYS[position]], SYMBOLS, 2.0 + position), span(position))
        first, last = DAYS[min(ask)], DAYS[max(ask)]
        whole = lake.read(NOTES, as_of=LATEST)
        kept = pl.col("session").is_between(first, last) & (pl.col("knowable_at") <= moment)
        wanted = pl.lit(value=True) if symbols is None else pl.col("symbol").is_in(symbols)
        found = lake.read(NOTES, as_of=moment, first=first, last=last, symbols=symbols)
        assert found.equals(whole.filter(kept & wanted), null_equal=True)


def test_rows_of_a_range_stored_in_another_order_are_sorted_by_key(tmp_path: Path) -> None:
    """A table whose key begins with the symbol is stored symbol by symbol in each file."""
    by_symbol = Table(NOTES.name, NOTES.doc, ("symbol", "session"), NOTES.columns)
    lake = ParquetLake(tmp_path)
    for position in range(12):
        lake.write(by_symbol, notes([DAYS[position]], SYMBOLS), span(position))
    lake.compact(by_symbol, sessions_min=10)
    keys = lake.read(by_symbol, as_of=LATEST).select("symbol", "session").rows()
    assert keys == sorted(keys)


def test_a_long_file_is_stored_in_groups_that_a_reader_can_skip(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    names = [f"S{n:04}" for n in range(2_000)]
    lake.write(NOTES, notes(DAYS[:40], names), span(0, 39))
    from pyarrow import parquet

    (file,) = files(tmp_path)
    stored = parquet.ParquetFile(file)
    assert stored.num_row_groups >= 3
    edges = [stored.metadata.row_group(n).column(0).statistics for n in range(stored.num_row_groups)]
    assert all(one.max <= other.min for one, other in pairwise(edges))
