"""Checks on regimes: complete, consistent, and for a few sampled rows the same when computed a second time by another way."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.model import LIQUIDITY
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS, REGIME_OPINIONS


@dg.asset_check(
    asset=key_of(REGIME_LABELS),
    name="complete_and_recomputed",
    description="Each symbol with enough history, and MARKET, has one label per session in known words and bounds; "
    "one row of MARKET and one of a symbol are computed again in plain Python.",
    blocking=True,
    partitions_def=SESSIONS,
)
def regime_labels_complete_and_recomputed(
    context: dg.AssetCheckExecutionContext, desk: DeskResource
) -> dg.AssetCheckResult:
    """Judges the run's labels against the bars that they were made from."""
    from trading_assets.regimes.audit import miscomputed_labels, missing_labels, strange_labels

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    as_of = XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=span.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=span.last)
    labels = lake.read(REGIME_LABELS, as_of=as_of, first=span.first, last=span.last)
    findings = [
        *missing_labels(bars, labels, span),
        *strange_labels(labels),
        *miscomputed_labels(bars, actions, labels),
    ]
    return _result(findings, rows=labels.height)


@dg.asset_check(
    asset=key_of(LIQUIDITY_REGIMES),
    name="complete_and_consistent",
    description="Each row of liquidity has one regime in known words, and the numbers beside it say the same.",
    blocking=True,
    partitions_def=SESSIONS,
)
def liquidity_regimes_complete_and_consistent(
    context: dg.AssetCheckExecutionContext, desk: DeskResource
) -> dg.AssetCheckResult:
    """Judges the run's regimes against the liquidity that they were made from."""
    from trading_assets.regimes.audit import strange_liquidity

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    as_of = XNYS.session(span.last).close
    liquidity = lake.read(LIQUIDITY, as_of=as_of, first=span.first, last=span.last)
    regimes = lake.read(LIQUIDITY_REGIMES, as_of=as_of, first=span.first, last=span.last)
    return _result(strange_liquidity(liquidity, regimes), rows=regimes.height)


@dg.asset_check(
    asset=key_of(REGIME_OPINIONS),
    name="causal_and_recomputed",
    description="Known words, models fitted on earlier years only; one session is computed again from what was known then.",
    partitions_def=SESSIONS,
)
def regime_opinions_causal_and_recomputed(
    context: dg.AssetCheckExecutionContext, desk: DeskResource
) -> dg.AssetCheckResult:
    """Judges the run's opinions. No decision reads them, so a finding stops nothing."""
    from trading_assets.regimes.audit import strange_opinions

    span, lake = span_of(list(context.partition_keys)), desk.lake()
    as_of = XNYS.session(span.last).close
    labels = lake.read(REGIME_LABELS, as_of=as_of, first=span.first, last=span.last)
    opinions = lake.read(REGIME_OPINIONS, as_of=as_of, first=span.first, last=span.last)
    findings = [*strange_opinions(labels, opinions), *_other_opinions(desk, opinions, span)]
    return _result(findings, rows=opinions.height)


def _other_opinions(desk: DeskResource, opinions: Any, span: Span) -> list[str]:
    """Differences between the stored opinions of one session and those made from a lake that ends with it."""
    import polars as pl

    from trading_assets.regimes.audit import differing, sampled_session
    from trading_assets.regimes.jump import second_opinions

    session = sampled_session(opinions) or span.last
    day, lake, as_of = Span(session, session), desk.lake(), XNYS.session(session).close
    bars = lake.read(DAILY_BARS, as_of=as_of, last=session)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, last=session)
    labels = lake.read(REGIME_LABELS, as_of=as_of, first=session, last=session)
    again = second_opinions(bars, actions, labels, span=day)
    return differing(opinions.filter(pl.col("session") == session), again)


def _result(findings: Sequence[str], *, rows: int) -> dg.AssetCheckResult:
    otherwise = f"{rows} rows passed"
    return check_result(findings, otherwise=otherwise, rows=rows, findings=len(findings), shown=bullets(findings))
