"""The watch-list: screen, simulate the candidates, and keep those whose odds pass the filter under both methods.

A row depends on bars, actions, indicators and labels up to its own session. Its odds depend on nothing but its own past, its
levels and its random stream; its rank depends on the other symbols of the session.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.epochs import usable_bars
from trading_assets.watchlist.model import MEASURES, METHODS, WATCHLIST, Method
from trading_assets.watchlist.montecarlo import Design, Tasks, simulated, stream_keys
from trading_assets.watchlist.past import Past
from trading_assets.watchlist.rules import WatchlistRules
from trading_assets.watchlist.screen import at_least, first_reason, screened

_BP = 1e-4


def watchlist(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    panel: pl.DataFrame,
    labels: pl.DataFrame,
    rules: WatchlistRules,
    *,
    span: Span,
    workers: int | None = None,
) -> pl.DataFrame:
    """Rows of WATCHLIST: one for each row of INDICATORS in the span, selected or refused.

    Args:
        bars: Rows of DAILY_BARS; those of the window before the span are enough, later ones are not read.
        actions: Rows of CORPORATE_ACTIONS of the same sessions.
        panel: Rows of INDICATORS.
        labels: Rows of REGIME_LABELS.
        rules: `config/watchlist.yaml`.
        span: Sessions to return.
        workers: Threads that simulate; one per core by default.
    """
    past = Past.of(usable_bars(bars, last=span.last), actions)
    rows = panel.filter(pl.col("session").is_between(span.first, span.last)).sort("session", "symbol")
    views = labels.select("session", "symbol", "strategy_view")
    seen = rows.join(views, on=["session", "symbol"], how="left", maintain_order="left")
    windows = past.windows(seen["symbol"], seen["session"], rules.window_sessions)
    counted = seen.with_columns(
        returns=pl.Series(windows[:, 1] - windows[:, 0]), begin=windows[:, 0], end=windows[:, 1]
    )
    listed = screened(counted, rules)
    candidates = listed.filter(pl.col("reason").is_null())
    odds = _odds(candidates, past, rules, workers)
    whole = listed.join(odds, on=["session", "symbol"], how="left").with_columns(
        pl.col("close").alias("reference"), **_constants(rules)
    )
    judged = whole.with_columns(selected=pl.col("reason").is_null() & _failing(rules).is_null())
    told = judged.with_columns(reason=first_reason([pl.col("reason"), _failing(rules), _praise(rules)]))
    return WATCHLIST.conform(told.select(list(WATCHLIST.polars_schema())))


def _odds(candidates: pl.DataFrame, past: Past, rules: WatchlistRules, workers: int | None) -> pl.DataFrame:
    levels = candidates.select(pl.col("stop", "target") / pl.col("close")).to_numpy()
    tasks = Tasks(past.relatives, candidates.select("begin", "end").to_numpy(), levels)
    design = Design(rules.paths, rules.horizon_sessions, rules.block_sessions)
    sessions, symbols = candidates["session"].to_list(), candidates["symbol"].to_list()
    found: list[pl.Series] = []
    for method in METHODS:
        keys = stream_keys(rules.seed, sessions, symbols, method)
        columns = simulated(tasks, keys, design, method, workers=workers)
        found += [pl.Series(f"{name}_{method}", columns[name]) for name in MEASURES]
    return candidates.select("session", "symbol").with_columns(found)


def _failing(rules: WatchlistRules) -> pl.Expr:
    """The first bound that the odds break, method by method; empty where they break none."""
    reasons: list[pl.Expr] = []
    for method in METHODS:
        likely = pl.col(f"p_target_{method}")
        reasons.append(at_least(likely, rules.filter.p_target_min, f"p(target) by {method}", ""))
        worthless = pl.format(
            f"expected return after costs by {method} {{}} is not above 0", _after_costs(method, rules)
        )
        reasons.append(pl.when(~(_after_costs(method, rules) > 0)).then(worthless))
    return first_reason(reasons)


def _praise(rules: WatchlistRules) -> pl.Expr:
    values: Sequence[pl.Expr] = [
        *(pl.col(f"p_target_{method}").round(4) for method in METHODS),
        *(_after_costs(method, rules).round(6) for method in METHODS),
    ]
    bound = f"{rules.filter.p_target_min:g}"
    return pl.format(
        f"p(target) {{}} by bootstrap and {{}} by gbm reach {bound}; expected return after costs {{}} and {{}} is above 0",
        *values,
    )


def _after_costs(method: Method, rules: WatchlistRules) -> pl.Expr:
    return pl.col(f"expected_return_{method}") - rules.filter.cost_bp * _BP


def _constants(rules: WatchlistRules) -> dict[str, Any]:
    values = {"seed": rules.seed, "paths": rules.paths, "horizon_sessions": rules.horizon_sessions}
    return {name: pl.lit(value, pl.Int64) for name, value in values.items()}
