"""Features as assets: pure functions of all bars up to the session's close."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of

GROUP = "features"
_MARKET = (key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS))


@dg.multi_asset(
    specs=[spec(INDICATORS, group=GROUP, kinds={"python", "parquet"}, deps=_MARKET)],
    name="indicators",
    backfill_policy=SINGLE_RUN,
)
def indicators(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The indicator panel of the run's sessions, started at each symbol's first bar."""
    from trading_assets.features.indicators import indicator_panel

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    return stored(INDICATORS, lake.write(INDICATORS, indicator_panel(bars, actions, span=span), span))


@dg.multi_asset(
    specs=[spec(BREADTH, group=GROUP, kinds={"python", "parquet"}, deps=(*_MARKET, key_of(INDICATORS)))],
    name="breadth",
    backfill_policy=SINGLE_RUN,
)
def breadth(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Participation of the universe in the run's sessions."""
    from trading_assets.features.breadth import breadth as breadth_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    panel = lake.read(INDICATORS, as_of=as_of, first=span.first, last=span.last)
    return stored(BREADTH, lake.write(BREADTH, breadth_of(bars, actions, panel, span=span), span))
