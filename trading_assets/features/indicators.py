"""The indicator panel: every value depends on the symbol's bars up to its session and on nothing else.

Not on the span asked for, not on later bars, not on other symbols. The arithmetic stands in `kernel.py`.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from trading_assets.core.ports import Span
from trading_assets.features.epochs import Histories, Jobs, histories, jobs_of
from trading_assets.features.kernel import COLUMNS, Bits, Floats, indicators_into
from trading_assets.features.model import INDICATORS

_KEYS = ("symbol", "session", "close", "knowable_at")


def indicator_panel(bars: pl.DataFrame, actions: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of INDICATORS for the sessions of the span.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar in the lake; a later start gives other values.
        actions: Rows of CORPORATE_ACTIONS; splits after a row's session do not touch the row.
        span: Sessions to return; bars after it are not read.
    """
    history = histories(bars, last=span.last)
    first_row = history.row_of(span.first)
    rows = history.bars.slice(first_row).select(_KEYS)
    if rows.is_empty():
        return INDICATORS.empty()
    values, valid = _measured(history, jobs_of(history, actions, first_row=first_row), first_row)
    columns = [_series(*named) for named in zip(COLUMNS, values, valid, strict=True)]
    if not history.ordinary:
        columns = [column.fill_nan(None) for column in columns]
    return INDICATORS.conform(rows.with_columns(columns))


def _measured(history: Histories, jobs: Jobs, first_row: int) -> tuple[Floats, Bits]:
    rows = history.bars.height - first_row
    values = np.empty((len(COLUMNS), rows))
    valid = np.full((len(COLUMNS), -(-rows // 8)), 255, dtype=np.uint8)
    bars = history.columns("high", "low", "close", "volume")
    indicators_into(bars, history.order, jobs.jobs, jobs.scale_bars, jobs.scales, jobs.lanes, first_row, values, valid)
    return values, valid


def _series(name: str, values: Floats, valid: Bits) -> pl.Series:
    """The numbers and their validity bits as a column, without copying either."""
    buffers = [pa.py_buffer(valid), pa.py_buffer(values)]
    return pl.Series(name, pa.Array.from_buffers(pa.float64(), values.size, buffers))
