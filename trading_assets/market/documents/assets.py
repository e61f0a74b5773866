"""News, filings and macro series as assets: fetched from all sources, stamped, added to what is stored."""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import config_folder
from trading_assets.core.tables import Table
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS, SOURCE_ANSWERS
from trading_assets.partitions import span_of

if TYPE_CHECKING:
    import polars as pl

    from trading_assets.market.documents.ingest import Collected
    from trading_assets.market.documents.ports import Window

GROUP = "market"
_KINDS = {"python", "parquet"}
_SHOWN = 20


@dg.multi_asset(specs=[spec(NEWS, group=GROUP, kinds=_KINDS)], name="news", backfill_policy=SINGLE_RUN, pool="ingest")
def news(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Headlines of every source of the settings; items that are stored already stay as they were first seen."""
    from resources.documents import news_sources
    from trading_assets.market.documents.ingest import collect_news
    from trading_assets.market.documents.settings import load_documents

    window = _window(context, desk)
    market = desk.settings().market
    sources = news_sources(load_documents(config_folder()), home=desk.home().root, seed=market.simulated_seed)
    held = _stored(desk, NEWS)
    collected = collect_news(sources, market.symbols, window, stored=held, calendar=XNYS)
    result = _added(desk, NEWS, collected, held, window, item="item")
    _tell(desk, collected, as_of=window.as_of)
    return result


@dg.multi_asset(
    specs=[spec(FILINGS, group=GROUP, kinds=_KINDS)], name="filings", backfill_policy=SINGLE_RUN, pool="ingest"
)
def filings(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Filings of every source of the settings; those that are stored already stay as they were first seen."""
    from resources.documents import filing_sources
    from trading_assets.market.documents.ingest import collect_filings
    from trading_assets.market.documents.settings import load_documents

    window = _window(context, desk)
    sources = filing_sources(load_documents(config_folder()), home=desk.home().root)
    held = _stored(desk, FILINGS)
    collected = collect_filings(sources, desk.settings().market.symbols, window, stored=held, calendar=XNYS)
    return _added(desk, FILINGS, collected, held, window, item="accession")


@dg.multi_asset(
    specs=[spec(MACRO_SERIES, group=GROUP, kinds=_KINDS)],
    name="macro_series",
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
def macro_series(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Releases of the series of the settings; a revision is a row of its own."""
    from resources.documents import macro_sources
    from trading_assets.market.documents.macro import collect_macro
    from trading_assets.market.documents.settings import load_documents

    window = _window(context, desk)
    settings = load_documents(config_folder())
    held = _stored(desk, MACRO_SERIES)
    sources = macro_sources(settings, home=desk.home().root)
    collected = collect_macro(sources, settings.macro.wanted, window, stored=held, calendar=XNYS)
    return _added(desk, MACRO_SERIES, collected, held, window, item="item")


def _tell(desk: DeskResource, collected: "Collected", *, as_of: datetime) -> None:
    """Tells the bus of new headlines once they are stored; one that was told already is not told again."""
    from resources.bus_events import publish_once
    from trading_assets.market.documents.telling import news_drafts

    drafts = news_drafts(collected.frame.rows(named=True), as_of=as_of)
    if drafts:
        publish_once(desk.engine(DESK), drafts)


def _window(context: dg.AssetExecutionContext, desk: DeskResource) -> "Window":
    from trading_assets.market.documents.times import window_of

    return window_of(span_of(context.partition_keys), as_of=desk.clock().now(), calendar=XNYS)


def _stored(desk: DeskResource, table: Table) -> "pl.DataFrame":
    """All that is stored. This is not a decision's reading: an item must be recognised in whatever session it was first seen."""
    return desk.lake().read(table, as_of=XNYS.session(XNYS.last).close)


def _added(
    desk: DeskResource, table: Table, collected: "Collected", held: "pl.DataFrame", window: "Window", *, item: str
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Stores the new rows beside the old ones, then what the sources answered."""
    from trading_assets.market.documents.ingest import added, answers_frame

    lake, span = desk.lake(), window.span
    frame, replacing = added(collected.frame, held, span, item=item)
    written = lake.merge(table, frame, span, replacing=replacing)
    now_held = lake.read(table, as_of=XNYS.session(XNYS.last).close, first=span.first, last=span.last)
    answers = answers_frame(table, collected.outcomes, window, held=now_held, calendar=XNYS)
    sources = [outcome.source.name for outcome in collected.outcomes]
    lake.merge(SOURCE_ANSWERS, answers, span, replacing={"documents": [table.name]})
    notes = "; ".join(collected.notes[:_SHOWN])
    extra = {"added": collected.frame.height, "sources": ", ".join(sources), "notes": notes}
    return stored(table, written, extra=extra)
