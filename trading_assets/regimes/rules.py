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
from trading_assets.features.epochs import usable_bars
from trading_assets.features.windows import Floats
from trading_assets.regimes.evidence import market_evidence, symbol_evidence
from trading_assets.regimes.model import REGIME_LABELS, Regime, StrategyView

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
    usable = usable_bars(bars, last=span.last)
    evidence = pl.concat([symbol_evidence(usable, actions), market_evidence(usable, actions)])
    ranked = evidence.with_columns(_percentile().over("symbol").alias("volatility_percentile"))
    known = ranked.drop_nulls(["volatility_percentile", "trend_strength", "adx_14"])
    labelled = [_labelled(one) for one in known.partition_by("symbol", maintain_order=True)]
    table = pl.concat([REGIME_LABELS.empty(), *labelled])
    return REGIME_LABELS.conform(table.filter(pl.col("session").is_between(span.first, span.last)))


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


def _labelled(known: pl.DataFrame) -> pl.DataFrame:
    adx = known["adx_14"].to_numpy()
    raw = raw_labels(known["volatility_percentile"].to_numpy(), known["trend_strength"].to_numpy(), adx)
    settled = confirmed(raw)
    views = strategy_views(settled.labels, adx, known["climbs"].to_numpy() > 0)
    return known.with_columns(
        pl.Series(REGIMES).gather(settled.labels).alias("regime"),
        pl.Series(VIEWS).gather(views).alias("strategy_view"),
        pl.Series("probability", settled.agreement),
        known["session"].gather(settled.since).alias("since"),
    ).select(*REGIME_LABELS.polars_schema())


def _percentile() -> pl.Expr:
    """Mid-rank of each volatility within its trailing window: the share below plus half of the share that is equal."""
    volatility = pl.col("volatility")
    rank = volatility.rolling_rank(RANK_SESSIONS, method="average", min_samples=RANK_SESSIONS_MIN)
    count = volatility.is_not_null().cast(pl.Int64).rolling_sum(RANK_SESSIONS, min_samples=1)
    return (rank - 0.5) / count


def _agreement(raw: Codes, labels: Codes) -> Floats:
    agreeing = np.zeros(raw.size)
    for back in range(min(AGREEMENT_SESSIONS, raw.size)):
        agreeing[back:] += raw[: raw.size - back] == labels[back:]
    return agreeing / np.minimum(np.arange(1, raw.size + 1), AGREEMENT_SESSIONS)


def _chosen(names: tuple[str, ...], asked: dict[str, Flags], *, otherwise: str) -> Codes:
    codes = [names.index(name) for name in asked]
    return np.select(list(asked.values()), codes, default=names.index(otherwise)).astype(np.int64)
