"""The facts that a watch-list is made from, as the lake holds them."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.watchlist.rules import WatchlistRules


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of DAILY_BARS, CORPORATE_ACTIONS, INDICATORS and REGIME_LABELS."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    panel: pl.DataFrame
    labels: pl.DataFrame


def read_facts(lake: Lake, rules: WatchlistRules, span: Span, *, as_of: datetime) -> Facts:
    """Indicators and labels of the span; bars and actions of the span and of the window before it."""
    begin = _before(span.first, rules.window_sessions)
    return Facts(
        lake.read(DAILY_BARS, as_of=as_of, first=begin, last=span.last),
        lake.read(CORPORATE_ACTIONS, as_of=as_of, first=begin, last=span.last),
        lake.read(INDICATORS, as_of=as_of, first=span.first, last=span.last),
        lake.read(REGIME_LABELS, as_of=as_of, first=span.first, last=span.last),
    )


def _before(day: date, sessions: int) -> date:
    """The session so many before a day, or the calendar's first."""
    return XNYS.days[max(XNYS.days.index(day) - sessions, 0)]
