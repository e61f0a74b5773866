"""Checks on features: every bar has its indicators, and what is there is finite."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS
from trading_assets.features.model import INDICATOR_COLUMNS, INDICATORS
from trading_assets.market.model import DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of


@dg.asset_check(
    asset=key_of(INDICATORS),
    name="complete_and_finite",
    description="Each daily bar has one row of indicators, no value is NaN or infinite, and the close is the bar's.",
    blocking=True,
    partitions_def=SESSIONS,
)
def indicators_complete_and_finite(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Compares the run's rows with the bars that they were made from."""
    import polars as pl

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, first=span.first, last=span.last)
    panel = lake.read(INDICATORS, as_of=as_of, first=span.first, last=span.last)
    values = [pl.col(column.name) for column in INDICATOR_COLUMNS]
    broken = panel.filter(pl.any_horizontal(*(value.is_nan() | value.is_infinite() for value in values))).height
    same = bars.select("session", "symbol", "close").join(panel, on=["session", "symbol", "close"]).height
    passed = broken == 0 and same == bars.height == panel.height
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"bars": bars.height, "rows": panel.height, "rows_with_the_bars_close": same, "not_finite": broken},
    )
