"""Plans, portfolios and small markets that the tests of the weekly desk share."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import polars as pl

from tests.watchlist.worlds import CONFIG, facts_of, made, real, rules
from trading_assets.core.operations import OperationsSettings, Weekly
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import load_settings
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.rules import WatchlistRules
from trading_assets.weekly.model import Targets
from trading_assets.weekly.portfolio import Plan, weekly_portfolios
from trading_assets.weekly.runs import outline_of, runs_in
from trading_assets.weekly.screen import past_of, weekly_screen

__all__ = ["facts_of", "made", "open_screen", "plan", "real", "rules", "targets", "walked"]

DECISIONS = load_settings(CONFIG).decisions


def plan(how: WatchlistRules | None = None, *, limits: Preferences | None = None, **weekly: Any) -> Plan:
    """The committed settings with few paths, and other values of the weekly desk where given."""
    told = Weekly.model_validate(weekly)
    outline = outline_of(OperationsSettings(weekly=told), DECISIONS)
    return Plan(told, how or rules(), limits or Preferences(), outline)


def open_screen(**changed: Any) -> WatchlistRules:
    """Rules that refuse only symbols without history."""
    return rules(screen=(), **changed)


def walked(facts: Facts, span: Span, how: Plan, *, before: Targets | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Screen and portfolios of the run days of a span."""
    past, days = past_of(facts, last=span.last), runs_in(how.outline, span)
    screen = weekly_screen(facts, past, how.rules, days=days)
    return screen, weekly_portfolios(screen, past, how, days=days, before=before)


@cache
def real_weeks() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The embedded symbols' last forty sessions before 2012, by the committed settings."""
    facts, span = real()
    return walked(facts, span, plan(open_screen(), p_loss_max=0.6))


def targets(
    weights: Mapping[str, float], *, session: date, until: date, fraction: float = 0.5, **reasons: str
) -> Targets:
    """A portfolio as the cycle sees it."""
    return Targets(session, until, fraction, dict(weights), reasons)
