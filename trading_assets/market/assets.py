"""Market facts as assets: fetched from a provider, conformed, merged into the session's partition."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.model import (
    CORPORATE_ACTIONS,
    CROSS_CHECK_BARS,
    DAILY_BARS,
    INTRADAY_BARS,
    QUOTE_BARS,
    Frequency,
)
from trading_assets.partitions import span_of

if TYPE_CHECKING:
    from trading_assets.market.ingest import Collected
    from trading_assets.market.ports import MarketData
    from trading_assets.market.universe.listings import Listed

GROUP = "market"
NO_SECOND_SOURCE = "no second source is configured (market.cross_check in config/settings.yaml): nothing was fetched"


class IngestConfig(dg.Config):
    """What to fetch; empty values mean what settings.yaml says."""

    provider: str | None = None
    files_path: str | None = None
    seed: int | None = None
    symbols: list[str] = Field(default_factory=list)


class SecondSourceConfig(dg.Config):
    """Of which symbols a second opinion is wanted; none means those of settings.yaml, which also names the source."""

    symbols: list[str] = Field(default_factory=list)


class IntradayConfig(IngestConfig):
    """What to fetch, and in which bar length."""

    frequency: Literal["1h", "5m", "1m"] = "1m"


@dg.multi_asset(
    specs=[spec(DAILY_BARS, group=GROUP, kinds={"python", "parquet"})],
    name="daily_bars",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def daily_bars(context: dg.AssetExecutionContext, config: IngestConfig, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Daily bars as traded, of every symbol asked for."""
    return _ingest_bars(context, config, desk, "1d", DAILY_BARS)


@dg.multi_asset(
    specs=[spec(INTRADAY_BARS, group=GROUP, kinds={"python", "parquet"})],
    name="intraday_bars",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def intraday_bars(
    context: dg.AssetExecutionContext, config: IntradayConfig, desk: DeskResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Intraday bars as traded, of every symbol asked for, in one bar length."""
    return _ingest_bars(context, config, desk, config.frequency, INTRADAY_BARS)


@dg.multi_asset(
    specs=[spec(QUOTE_BARS, group=GROUP, kinds={"python", "parquet"})],
    name="quote_bars",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def quote_bars(context: dg.AssetExecutionContext, config: IngestConfig, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Quotes by the minute, of every symbol asked for; empty when the source has none."""
    from trading_assets.market.ingest import collect_quotes

    return _ingested(context, desk, config, QUOTE_BARS, collect_quotes)


@dg.multi_asset(
    specs=[spec(CORPORATE_ACTIONS, group=GROUP, kinds={"python", "parquet"})],
    name="corporate_actions",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def corporate_actions(
    context: dg.AssetExecutionContext, config: IngestConfig, desk: DeskResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Splits and cash dividends by ex-date."""
    from trading_assets.market.ingest import collect_actions

    return _ingested(context, desk, config, CORPORATE_ACTIONS, collect_actions)


@dg.multi_asset(
    specs=[spec(CROSS_CHECK_BARS, group=GROUP, kinds={"python", "parquet"})],
    name="cross_check_bars",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def cross_check_bars(
    context: dg.AssetExecutionContext, config: SecondSourceConfig, desk: DeskResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The same daily bars from the second source of the settings; empty when none is configured."""
    second = desk.settings().market.cross_check
    if second is None:
        context.log.info(NO_SECOND_SOURCE)
        written = desk.lake().write(CROSS_CHECK_BARS, CROSS_CHECK_BARS.empty(), _closed_span(context, desk))
        return stored(CROSS_CHECK_BARS, written, extra={"symbols": 0, "notes": NO_SECOND_SOURCE})
    return _ingest_bars(
        context, IngestConfig(provider=second.provider, symbols=config.symbols), desk, "1d", CROSS_CHECK_BARS
    )


def _ingest_bars(
    context: dg.AssetExecutionContext, config: IngestConfig, desk: DeskResource, frequency: Frequency, table: Table
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from trading_assets.market.ingest import collect_bars

    def collect(provider: "MarketData", wanted: "tuple[Listed, ...]", span: Span) -> "Collected":
        return collect_bars(provider, wanted, frequency, span)

    only: dict[str, list[str]] = {} if frequency == "1d" else {"frequency": [frequency]}
    return _ingested(context, desk, config, table, collect, **only)


def _wanted(symbols: list[str], desk: DeskResource) -> "tuple[Listed, ...]":
    """The instruments asked for, or all of the settings."""
    from trading_assets.market.universe.listings import listed

    market = desk.settings().market
    return listed(symbols or market.symbols, market.instruments)


def _ingested(
    context: dg.AssetExecutionContext,
    desk: DeskResource,
    config: IngestConfig,
    table: Table,
    collect: "Callable[[MarketData, tuple[Listed, ...], Span], Collected]",
    **only: list[str],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Replaces what the lake holds of the instruments asked for, and says how many rows each source delivered."""
    from trading_assets.market.ingest import refuse_mixture

    span, wanted = _closed_span(context, desk), _wanted(config.symbols, desk)
    provider = desk.market_data(config.provider, config.files_path, config.seed)
    collected = collect(provider, wanted, span)
    symbols = [instrument.symbol for instrument in wanted]
    refuse_mixture(set(collected.frame["source"]), _sources_stored(desk))
    written = desk.lake().merge(table, collected.frame, span, replacing={"symbol": symbols, **only})
    sources = ", ".join(f"{name}: {rows}" for name, rows in sorted(Counter(collected.frame["source"]).items()))
    notes = "; ".join(f"{symbol}: {note}" for symbol, note in sorted(collected.notes.items()))
    told = {"symbols": len(symbols), "rows_by_source": sources, "notes": notes, "provider": provider.name}
    return stored(table, written, extra=told)


def _sources_stored(desk: DeskResource) -> set[str]:
    """Where the daily bars of the newest stored session came from."""
    lake = desk.lake()
    held = lake.versions(DAILY_BARS, Span(XNYS.first, XNYS.last))
    if not held:
        return set()
    newest = max(held)
    return set(lake.read(DAILY_BARS, as_of=XNYS.session(newest).close, first=newest, last=newest)["source"])


def _closed_span(context: dg.AssetExecutionContext, desk: DeskResource) -> Span:
    """The run's sessions, all of which must have closed: a bar that still forms is not a fact."""
    span = span_of(context.partition_keys)
    newest = XNYS.last_closed(desk.clock().now())
    if span.last > newest.day:
        raise DataNotReady(
            f"the session of {span.last} has not closed", value=span.last, bound=f"sessions up to {newest.day}"
        )
    return span
