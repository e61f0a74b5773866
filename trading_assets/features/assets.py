"""Features as assets: pure functions of all bars up to the session's close."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES, LIQUIDITY
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
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


@dg.multi_asset(
    specs=[
        spec(
            INTRADAY_FEATURES,
            group=GROUP,
            kinds={"python", "parquet"},
            deps=(key_of(INTRADAY_BARS), key_of(QUOTE_BARS), key_of(CORPORATE_ACTIONS)),
        )
    ],
    name="intraday_features",
    backfill_policy=SINGLE_RUN,
)
def intraday_features(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """What each intraday bar of the run's sessions said at its end."""
    from trading_assets.features.grids import sessions_before
    from trading_assets.features.intraday import HISTORY
    from trading_assets.features.intraday import intraday_features as features_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of, first = XNYS.session(span.last).close, sessions_before(span.first, HISTORY)
    bars = lake.read(INTRADAY_BARS, as_of=as_of, first=first, last=span.last)
    quotes = lake.read(QUOTE_BARS, as_of=as_of, first=first, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, first=first, last=span.last)
    written = lake.write(INTRADAY_FEATURES, features_of(bars, actions, quotes, span=span), span)
    return stored(INTRADAY_FEATURES, written)


@dg.multi_asset(
    specs=[spec(LIQUIDITY, group=GROUP, kinds={"python", "parquet"}, deps=(*_MARKET, key_of(QUOTE_BARS)))],
    name="liquidity",
    backfill_policy=SINGLE_RUN,
)
def liquidity(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Spreads, depth and volume of the run's sessions, from quotes where there are any and else from daily bars."""
    from trading_assets.features.grids import sessions_before
    from trading_assets.features.liquidity import HISTORY
    from trading_assets.features.liquidity import liquidity as liquidity_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of, first = XNYS.session(span.last).close, sessions_before(span.first, HISTORY)
    bars = lake.read(DAILY_BARS, as_of=as_of, first=first, last=span.last)
    quotes = lake.read(QUOTE_BARS, as_of=as_of, first=first, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, first=first, last=span.last)
    return stored(LIQUIDITY, lake.write(LIQUIDITY, liquidity_of(bars, actions, quotes, span=span), span))


@dg.multi_asset(
    specs=[spec(CORRELATIONS, group=GROUP, kinds={"python", "parquet"}, deps=_MARKET)],
    name="correlations",
    backfill_policy=SINGLE_RUN,
)
def correlations(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Pairs of symbols in the run's sessions, with the history of their gaps since the first common bar."""
    from trading_assets.features.correlations import correlations as correlations_of

    span, lake = span_of(context.partition_keys), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    return stored(CORRELATIONS, lake.write(CORRELATIONS, correlations_of(bars, actions, span=span), span))
