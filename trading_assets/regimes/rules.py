"""Five regimes by rules: nothing is fitted, nothing can leak, and every label can be recomputed by hand.

A session's raw label asks three questions in this order: is volatility extreme for this symbol, is there a trend, or
neither. Raw labels flicker; the confirmed label changes only after three equal raw labels in a row. That costs days of delay
and saves switches. What remains open: at a turning point the label is late by the length of its windows.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.kernel import Floats
from trading_assets.regimes.evidence import Evidence, market_evidence, symbol_evidence
from trading_assets.regimes.model import MARKET, REGIME_LABELS, Regime, StrategyView

RANK_SESSIONS = 756
RANK_SESSIONS_MIN = 252
HIGH_VOLATILITY_ABOVE = 0.85
LOW_VOLATILITY_BELOW = 0.15
TREND_STRENGTH_ABOVE = 1.0
TREND_ADX_ABOVE = 20.0
STRONG_ADX_ABOVE = 25.0
CONFIRMING_SESSIONS = 3
AGREEMENT_SESSIONS = 10

REGIMES: tuple[Regime, ...] = get_args(Regime)
VIEWS: tuple[StrategyView, ...] = get_args(StrategyView)

Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Labels after confirmation, one per session: regime codes, the position at which each began, and agreement 0 to 1."""

    labels: Codes
    since: Codes
    agreement: Floats


def regime_labels(bars: pl.DataFrame, actions: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of REGIME_LABELS for each symbol and for MARKET, for the sessions of the span.

    No row exists before 252 values of 15-session volatility, so a symbol's first label is at its 267th bar.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar in the lake; a later start gives other labels.
        actions: Rows of CORPORATE_ACTIONS; splits after a row's session do not touch the row.
        span: Sessions to return; bars after it are not read.
    """
    found = (source(bars, actions, last=span.last) for source in (symbol_evidence, market_evidence))
    return REGIME_LABELS.conform(_in_order(pl.concat([_labelled(evidence, span) for evidence in found])))


def raw_labels(percentile: Floats, trend: Floats, adx: Floats) -> Codes:
    """The regime code (place in REGIMES) of each session by itself: volatility first, then trend, else ranging."""
    strong = adx > TREND_ADX_ABOVE
    asked = {
        "high_volatility": percentile > HIGH_VOLATILITY_ABOVE,
        "low_volatility": percentile < LOW_VOLATILITY_BELOW,
        "trending_up": strong & (trend > TREND_STRENGTH_ABOVE),
        "trending_down": strong & (trend < -TREND_STRENGTH_ABOVE),
    }
    return _chosen(REGIMES, asked, otherwise="ranging")


def confirmed(raw: Codes) -> Confirmed:
    """Labels that change only where the last three raw labels are equal; the first raw label needs no confirmation."""
    place = np.arange(raw.size)
    settles = np.ones(raw.size, dtype=np.bool_)
    for back in range(1, CONFIRMING_SESSIONS):
        settles[back:] &= raw[back:] == raw[:-back]
        settles[:back] = place[:back] == 0
    labels = raw[np.maximum.accumulate(np.where(settles, place, 0))]
    changes = np.concatenate([[True], labels[1:] != labels[:-1]])
    since = np.maximum.accumulate(np.where(changes, place, 0))
    return Confirmed(labels, since, _agreement(raw, labels))


def strategy_views(labels: Codes, adx: Floats, climbs: Flags) -> Codes:
    """The view code (place in VIEWS) that strategies ask for; see docs/features.md for the reasons."""
    up, down, turbulent = (labels == REGIMES.index(r) for r in ("trending_up", "trending_down", "high_volatility"))
    strong = adx > STRONG_ADX_ABOVE
    asked = {
        "mixed": turbulent | (down & ~strong),
        "trending_bull": up & strong,
        "trending_bear": down & strong,
        "mild_trend": up | climbs,
    }
    return _chosen(VIEWS, asked, otherwise="range")


def _labelled(evidence: Evidence, span: Span) -> pl.DataFrame:
    percentile = evidence.percentiles(RANK_SESSIONS, RANK_SESSIONS_MIN)
    trend, adx, climbs = (evidence.line(name) for name in ("trend_strength", "adx_14", "climbs"))
    known = ~(np.isnan(percentile) | np.isnan(trend) | np.isnan(adx))
    labels, since = (np.zeros(known.size, dtype=np.int64) for _ in range(2))
    agreement = np.zeros(known.size)
    for rows in (rows[known[rows]] for rows in evidence.of_symbols()):
        if rows.size:
            settled = confirmed(raw_labels(percentile[rows], trend[rows], adx[rows]))
            labels[rows], since[rows], agreement[rows] = settled.labels, rows[settled.since], settled.agreement
    wanted = known & evidence.rows["session"].is_between(span.first, span.last).to_numpy()
    return (
        evidence.rows.with_columns(
            _named(REGIMES, labels).alias("regime"),
            _named(VIEWS, strategy_views(labels, adx, climbs > 0)).alias("strategy_view"),
            pl.Series("probability", agreement),
            evidence.rows["session"].gather(since).alias("since"),
            pl.Series("volatility_percentile", percentile),
            pl.Series("trend_strength", trend),
            pl.Series("adx_14", adx),
        )
        .filter(wanted)
        .select(*REGIME_LABELS.polars_schema())
    )


def _in_order(together: pl.DataFrame) -> pl.DataFrame:
    """Two tables that are sorted by session and symbol, one after the other, as one: MARKET goes between its neighbours."""
    days, symbols = together["session"].to_physical().cast(pl.Int64), together["symbol"]
    place = days * 3 + (symbols >= MARKET).cast(pl.Int64) + (symbols > MARKET).cast(pl.Int64)
    return together[np.argsort(place.to_numpy(), kind="stable")]


def _named(names: tuple[str, ...], codes: Codes) -> pl.Series:
    return pl.Series(names).gather(codes)


def _agreement(raw: Codes, labels: Codes) -> Floats:
    agreeing = np.zeros(raw.size)
    for back in range(min(AGREEMENT_SESSIONS, raw.size)):
        agreeing[back:] += raw[: raw.size - back] == labels[back:]
    return agreeing / np.minimum(np.arange(1, raw.size + 1), AGREEMENT_SESSIONS)


def _chosen(names: tuple[str, ...], asked: dict[str, Flags], *, otherwise: str) -> Codes:
    codes = [names.index(name) for name in asked]
    return np.select(list(asked.values()), codes, default=names.index(otherwise)).astype(np.int64)
