"""The quality gate as blocking asset checks, and as records in the ledger that decisions read."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.tables import Table
from trading_assets.market.model import CORPORATE_ACTIONS, CROSS_CHECK_BARS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.partitions import SESSIONS, span_of

if TYPE_CHECKING:
    import polars as pl

    from resources.lake import ParquetLake
    from trading_assets.market.cross_check import SecondOpinion
    from trading_assets.market.expectations import SessionVerdict

HISTORY = timedelta(days=60)
INTRADAY_HISTORY_SESSIONS = 8


@dg.asset_check(
    asset=key_of(DAILY_BARS),
    name="quality",
    description=(
        "Great Expectations suite: prices, duplicates, missing sessions, staleness, volume, unexplained jumps, units, "
        "unrecorded lives, feeds that stand still; and the second source, where one is configured."
    ),
    blocking=True,
    partitions_def=SESSIONS,
    additional_deps=[key_of(CORPORATE_ACTIONS), key_of(CROSS_CHECK_BARS)],
)
def daily_bars_quality(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Judges the run's sessions and records one verdict for each."""
    from trading_assets.market.quality import judge_daily

    span = span_of(list(context.partition_keys))
    lake, as_of = desk.lake(), XNYS.session(span.last).close
    first = span.first - HISTORY
    bars = _with_last_seen(lake, lake.read(DAILY_BARS, as_of=as_of, first=first, last=span.last), first, as_of)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, first=first, last=span.last)
    verdicts = judge_daily(
        bars,
        actions,
        span=span,
        calendar=XNYS,
        instruments=desk.settings().market.instruments,
        second_opinion=_second_opinion(lake, desk, span, as_of),
    )
    return recorded(DAILY_BARS, verdicts, span, desk)


@dg.asset_check(
    asset=key_of(INTRADAY_BARS),
    name="quality",
    description="Great Expectations suite: prices, duplicates, bars inside the session, volume.",
    blocking=True,
    partitions_def=SESSIONS,
)
def intraday_bars_quality(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Judges the run's sessions and records one verdict for each."""
    from trading_assets.market.quality import judge_intraday

    span = span_of(list(context.partition_keys))
    lake = desk.lake()
    first = XNYS.previous(span.first, INTRADAY_HISTORY_SESSIONS).day
    bars = lake.read(INTRADAY_BARS, as_of=XNYS.session(span.last).close, first=first, last=span.last)
    verdicts = judge_intraday(bars, span=span, calendar=XNYS)
    return recorded(INTRADAY_BARS, verdicts, span, desk)


@dg.asset_check(
    asset=key_of(QUOTE_BARS),
    name="quality",
    description="Great Expectations suite: bid below ask, minutes inside the session, duplicates, quotes that stand still.",
    blocking=True,
    partitions_def=SESSIONS,
)
def quote_bars_quality(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Judges the run's sessions and records one verdict for each."""
    from trading_assets.market.quotes import judge_quotes

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    quotes = lake.read(QUOTE_BARS, as_of=XNYS.session(span.last).close, first=span.first, last=span.last)
    verdicts = judge_quotes(quotes, span=span, calendar=XNYS)
    return recorded(QUOTE_BARS, verdicts, span, desk)


def _with_last_seen(lake: "ParquetLake", bars: "pl.DataFrame", first: date, as_of: datetime) -> "pl.DataFrame":
    """The bars, and for each symbol that begins within them its last bar from before, if it has one: a silence has two ends."""
    import polars as pl

    if bars.is_empty():
        return bars
    opening = bars["session"].min()
    begun = bars.group_by("symbol").agg(pl.col("session").min()).filter(pl.col("session") > opening)["symbol"]
    if begun.is_empty():
        return bars
    before = lake.read(DAILY_BARS, as_of=as_of, last=first - timedelta(days=1), symbols=begun.to_list())
    return pl.concat([before.group_by("symbol", maintain_order=True).last().select(bars.columns), bars])


def _second_opinion(lake: "ParquetLake", desk: DeskResource, span: Span, as_of: datetime) -> "SecondOpinion | None":
    from trading_assets.market.cross_check import SecondOpinion

    tolerance = desk.settings().market.cross_check
    if tolerance is None:
        return None
    return SecondOpinion(lake.read(CROSS_CHECK_BARS, as_of=as_of, first=span.first, last=span.last), tolerance)


def recorded(table: Table, verdicts: Sequence["SessionVerdict"], span: Span, desk: DeskResource) -> dg.AssetCheckResult:
    """Stores one verdict for each session in the ledger, for the write that was judged, and tells them to the UI."""
    versions = desk.lake().versions(table, span)
    records = [GateRecord(table.name, v.session, versions[v.session], v.passed, v.failures) for v in verdicts]
    desk.gates().record_gates(records, as_of=desk.clock().now())
    failures = [f"{v.session}: {sentence}" for v in verdicts for sentence in v.failures]
    warnings = [f"{v.session}: {sentence}" for v in verdicts for sentence in v.warnings]
    return check_result(
        failures,
        otherwise=f"{len(verdicts)} sessions passed",
        sessions=len(verdicts),
        sessions_failed=sum(not v.passed for v in verdicts),
        failures=bullets(failures),
        warnings=bullets(warnings),
    )
