"""Regime labels as an asset."""

from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.regimes.model import REGIME_LABELS

if TYPE_CHECKING:
    import polars as pl

GROUP = "regimes"
_FROM = (key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS), key_of(INDICATORS))


@dg.multi_asset(
    specs=[spec(REGIME_LABELS, group=GROUP, kinds={"python", "parquet"}, deps=_FROM)],
    name="regime_labels",
    backfill_policy=SINGLE_RUN,
)
def regime_labels(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Labels of the run's sessions; how long regimes lasted and what followed what is shown in the metadata."""
    from trading_assets.regimes.history import persistence, transitions
    from trading_assets.regimes.rules import regime_labels as labels_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    labels = labels_of(bars, actions, span=span)
    shown = {"persistence": _table(persistence(labels)), "transitions": _table(transitions(labels))}
    at_last_session(context, key_of(REGIME_LABELS), shown)
    return stored(REGIME_LABELS, lake.write(REGIME_LABELS, labels, span))


def _table(frame: "pl.DataFrame") -> dg.MetadataValue:
    rows = [
        {name: round(v, 3) if isinstance(v, float) else v for name, v in row.items()} for row in frame.rows(named=True)
    ]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=_schema(frame))


def _schema(frame: "pl.DataFrame") -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name, str(kind)) for name, kind in frame.schema.items()])
