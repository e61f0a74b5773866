"""The quality gates of news, filings and macro series as blocking asset checks, and as records in the ledger."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import config_folder
from trading_assets.core.tables import Table
from trading_assets.market.checks import recorded
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS, SOURCE_ANSWERS
from trading_assets.market.documents.settings import Documents, load_documents
from trading_assets.partitions import SESSIONS, span_of

_HISTORY = timedelta(days=400)


def _quality(table: Table, part: Callable[[Documents], Any], description: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key_of(table), name="quality", description=description, blocking=True, partitions_def=SESSIONS
    )
    def check(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
        return _judged(context, desk, table, part(load_documents(config_folder())))

    return check


news_quality = _quality(
    NEWS,
    lambda settings: settings.news,
    "Great Expectations suite: future items, empty headlines, duplicates, knowable before published, failed and silent sources.",
)
filings_quality = _quality(
    FILINGS,
    lambda settings: settings.filings,
    "Great Expectations suite: future filings, duplicates, knowable before published, failed and silent sources.",
)
macro_series_quality = _quality(
    MACRO_SERIES,
    lambda settings: settings.macro,
    "Great Expectations suite: values that are not finite or in another unit, times, duplicates, failed and silent sources.",
)


def _judged(
    context: dg.AssetCheckExecutionContext, desk: DeskResource, table: Table, settings: Any
) -> dg.AssetCheckResult:
    """Judges the run's sessions and records one verdict for each."""
    import polars as pl

    from trading_assets.market.documents.quality import judge_documents

    span, lake, now = span_of(list(context.partition_keys)), desk.lake(), desk.clock().now()
    first = span.first - _HISTORY
    answers = lake.read(SOURCE_ANSWERS, as_of=now, first=first, last=span.last)
    verdicts = judge_documents(
        table,
        lake.read(table, as_of=now, first=first, last=span.last),
        answers.filter(pl.col("documents") == table.name),
        span=span,
        calendar=XNYS,
        sources=settings.sources,
        silent_sessions_max=settings.silent_sessions_max,
    )
    return recorded(table, verdicts, span, desk)
