"""The weekly screen: the watch-list's rules over the whole universe of a run day, as it was known at its close."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from trading_assets.features.epochs import usable_bars
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.past import Past
from trading_assets.watchlist.rules import WatchlistRules
from trading_assets.watchlist.screen import first_reason, screened
from trading_assets.weekly.model import WEEKLY_SCREEN


def past_of(facts: Facts, *, last: date) -> Past:
    """Every symbol's sessions relative to the close before, up to a day."""
    return Past.of(usable_bars(facts.bars, last=last), facts.actions)


def weekly_screen(facts: Facts, past: Past, rules: WatchlistRules, *, days: Sequence[date]) -> pl.DataFrame:
    """Rows of WEEKLY_SCREEN: one for each row of INDICATORS in the run days.

    Args:
        facts: Bars, actions, indicators and labels of those days and of the window before them.
        past: What the window is counted in.
        rules: `config/watchlist.yaml`.
        days: Run days, ascending.
    """
    rows = facts.panel.filter(pl.col("session").is_in(list(days))).sort("session", "symbol")
    views = facts.labels.select("session", "symbol", "strategy_view")
    seen = rows.join(views, on=["session", "symbol"], how="left", maintain_order="left")
    windows = past.windows(seen["symbol"], seen["session"], rules.window_sessions)
    listed = screened(seen.with_columns(returns=pl.Series(windows[:, 1] - windows[:, 0])), rules)
    passed = pl.col("reason").is_null()
    placed = pl.format("rank {} of {} by score", "rank", pl.col("rank").max().over("session"))
    told = listed.with_columns(
        pl.col("close").alias("reference"),
        pl.col("mom_252_21").alias("momentum"),
        (pl.col("close") / pl.col("sma_200") - 1).alias("trend"),
        pl.col("vol_20").alias("volatility"),
        passed=passed,
        reason=first_reason([pl.col("reason"), placed]),
    )
    return WEEKLY_SCREEN.conform(told.select(list(WEEKLY_SCREEN.polars_schema())))
