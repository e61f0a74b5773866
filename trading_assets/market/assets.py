"""Market facts as assets: fetched from a provider, conformed, merged into the session's partition."""

from typing import Literal

import dagster as dg
from pydantic import Field

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, Frequency
from trading_assets.partitions import span_of

GROUP = "market"


class IngestConfig(dg.Config):
    """What to fetch; empty values mean what settings.yaml says."""

    provider: str | None = None
    files_path: str | None = None
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
    return _ingest_bars(context, config, desk, "1d")


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
    return _ingest_bars(context, config, desk, config.frequency)


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

    span = _closed_span(context, desk)
    symbols = config.symbols or list(desk.settings().market.symbols)
    collected = collect_actions(desk.market_data(config.provider, config.files_path), symbols, span)
    written = desk.lake().merge(CORPORATE_ACTIONS, collected.frame, span, replacing={"symbol": symbols})
    return stored(CORPORATE_ACTIONS, written, extra={"symbols": len(symbols)})


def _ingest_bars(
    context: dg.AssetExecutionContext, config: IngestConfig, desk: DeskResource, frequency: Frequency
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from trading_assets.market.ingest import collect_bars

    table = DAILY_BARS if frequency == "1d" else INTRADAY_BARS
    span = _closed_span(context, desk)
    symbols = config.symbols or list(desk.settings().market.symbols)
    provider = desk.market_data(config.provider, config.files_path)
    collected = collect_bars(provider, symbols, frequency, span)
    replacing = {"symbol": symbols} if frequency == "1d" else {"symbol": symbols, "frequency": [frequency]}
    written = desk.lake().merge(table, collected.frame, span, replacing=replacing)
    notes = "; ".join(f"{symbol}: {note}" for symbol, note in sorted(collected.notes.items()))
    return stored(table, written, extra={"symbols": len(symbols), "provider": provider.name, "notes": notes})


def _closed_span(context: dg.AssetExecutionContext, desk: DeskResource) -> Span:
    """The run's sessions, all of which must have closed: a bar that still forms is not a fact."""
    span = span_of(context.partition_keys)
    newest = XNYS.last_closed(desk.clock().now())
    if span.last > newest.day:
        raise DataNotReady(
            f"the session of {span.last} has not closed", value=span.last, bound=f"sessions up to {newest.day}"
        )
    return span
