"""Regimes as assets: the rules' labels, a model's second opinion beside them, and how easily symbols could be traded."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.features.model import INDICATORS, LIQUIDITY
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS, REGIME_OPINIONS

if TYPE_CHECKING:
    import polars as pl

GROUP = "regimes"
_BARS = (key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS))


@dg.multi_asset(
    specs=[spec(REGIME_LABELS, group=GROUP, kinds={"python", "parquet"}, deps=(*_BARS, key_of(INDICATORS)))],
    name="regime_labels",
    backfill_policy=SINGLE_RUN,
)
def regime_labels(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Labels of the run's sessions; how long regimes lasted and what followed what is shown in the metadata."""
    from trading_assets.regimes.rules import regime_labels as labels_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    written = lake.write(REGIME_LABELS, labels_of(bars, actions, span=span), span)
    _show_history(context, REGIME_LABELS, lake, span)
    _tell_changes(desk, span)
    return stored(REGIME_LABELS, written)


@dg.multi_asset(
    specs=[spec(REGIME_OPINIONS, group=GROUP, kinds={"numba", "parquet"}, deps=(*_BARS, key_of(REGIME_LABELS)))],
    name="regime_opinions",
    backfill_policy=SINGLE_RUN,
)
def regime_opinions(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """What a statistical model says of the run's sessions; how often it agrees with the rules is shown in the metadata."""
    import polars as pl

    from trading_assets.regimes.jump import second_opinions

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    labels = lake.read(REGIME_LABELS, as_of=as_of, first=span.first, last=span.last)
    opinions = second_opinions(bars, actions, labels, span=span)
    written = lake.write(REGIME_OPINIONS, opinions, span)
    agreement = opinions.group_by("symbol").agg(pl.len().alias("sessions"), pl.col("agrees").mean()).sort("symbol")
    at_last_session(context, key_of(REGIME_OPINIONS), {"agreement_with_rules": _table(agreement)})
    return stored(REGIME_OPINIONS, written)


@dg.multi_asset(
    specs=[spec(LIQUIDITY_REGIMES, group=GROUP, kinds={"python", "parquet"}, deps=(key_of(LIQUIDITY),))],
    name="liquidity_regimes",
    backfill_policy=SINGLE_RUN,
)
def liquidity_regimes(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Liquidity regimes of the run's sessions; their history is shown in the metadata."""
    from trading_assets.regimes.liquidity import liquidity_regimes as regimes_of

    span, lake = span_of(context.partition_keys), desk.lake()
    liquidity = lake.read(LIQUIDITY, as_of=XNYS.session(span.last).close, last=span.last)
    written = lake.write(LIQUIDITY_REGIMES, regimes_of(liquidity, span=span), span)
    _show_history(context, LIQUIDITY_REGIMES, lake, span)
    return stored(LIQUIDITY_REGIMES, written)


def _tell_changes(desk: DeskResource, span: Span) -> None:
    """Tells the bus which regimes changed in the newest closed session, once; labels of older sessions are no news."""
    from resources.bus_events import publish_once
    from trading_assets.regimes.telling import regime_drafts

    session = XNYS.last_closed(desk.clock().now())
    if session.day != span.last:
        return
    before = XNYS.previous(session.day).day
    labels = desk.lake().read(REGIME_LABELS, as_of=session.close, first=before, last=session.day).rows(named=True)
    now = [row for row in labels if row["session"] == session.day]
    drafts = regime_drafts(now, [row for row in labels if row["session"] == before], session)
    if drafts:
        publish_once(desk.engine(DESK), drafts)


def _show_history(context: dg.AssetExecutionContext, table: Table, lake: Lake, span: Span) -> None:
    """Persistence and transitions of all stored sessions up to the run's last one."""
    from trading_assets.regimes.history import persistence, transitions

    labels = lake.read(table, as_of=XNYS.session(span.last).close, last=span.last)
    shown: dict[str, Any] = {
        "sessions_in_history": labels["session"].n_unique(),
        "persistence": _table(persistence(labels)),
        "transitions": _table(transitions(labels)),
    }
    at_last_session(context, key_of(table), shown)


def _table(frame: "pl.DataFrame") -> dg.MetadataValue:
    rows = [
        {name: round(v, 3) if isinstance(v, float) else v for name, v in row.items()} for row in frame.rows(named=True)
    ]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=_schema(frame))


def _schema(frame: "pl.DataFrame") -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name, str(kind)) for name, kind in frame.schema.items()])
