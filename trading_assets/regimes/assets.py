"""Regime labels as an asset."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.regimes.model import REGIME_LABELS

GROUP = "regimes"
_FROM = (key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS), key_of(INDICATORS))


@dg.multi_asset(
    specs=[spec(REGIME_LABELS, group=GROUP, kinds={"python", "parquet"}, deps=_FROM)],
    name="regime_labels",
    backfill_policy=SINGLE_RUN,
)
def regime_labels(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Labels of the run's sessions; the share of each regime is shown in the metadata."""
    from trading_assets.regimes.rules import regime_labels as labels_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    labels = labels_of(bars, actions, span=span)
    counts = {f"rows_{regime}": count for regime, count in labels["regime"].value_counts().rows()}
    return stored(REGIME_LABELS, lake.write(REGIME_LABELS, labels, span), extra=counts)
