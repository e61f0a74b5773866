"""What the weekly desk reads from the lake, each table as far back as it is looked at."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.core.ports import Lake, Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.weekly.model import WEEKLY_PORTFOLIO, WEEKLY_SCREEN, Portfolios, Targets

REACH = timedelta(days=400)
"""Thirteen weeks between two runs, as much again for a run that failed, and the longest horizon."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Judgeable:
    """Portfolios with their universes, and the bars and actions that judge them."""

    portfolios: pl.DataFrame
    screens: pl.DataFrame
    bars: pl.DataFrame
    actions: pl.DataFrame


def portfolio_before(lake: Lake, first: date, *, as_of: datetime) -> Targets | None:
    """The newest portfolio of a session before `first`."""
    rows = lake.read(WEEKLY_PORTFOLIO, as_of=as_of, first=first - REACH, last=first - _DAY)
    return Portfolios(rows.rows(named=True)).at(as_of)


def read_judgeable(lake: Lake, span: Span, *, as_of: datetime) -> Judgeable:
    """Everything that may be judged in the sessions of a span."""
    tables = (WEEKLY_PORTFOLIO, WEEKLY_SCREEN, DAILY_BARS, CORPORATE_ACTIONS)
    return Judgeable(*(lake.read(t, as_of=as_of, first=span.first - REACH, last=span.last) for t in tables))
