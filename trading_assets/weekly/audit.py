"""What is wrong with stored rows of the weekly desk: shape, arithmetic, completeness, and a recomputation in two ways.

Up to three run days are made again and must be equal to the last bit. The mean of each simulated symbol of one of them is
simulated by the watch-list's compiled kernel, with other random numbers and levels that no path reaches, and its p_loss by
plain numpy; both must agree within five standard errors. An asset that answers a constant fails.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trading_assets.features.windows import Floats
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.montecarlo import Design, probabilities
from trading_assets.watchlist.past import Past
from trading_assets.watchlist.paths import CLOSE
from trading_assets.weekly.model import QUANTILES, TOTAL, Targets
from trading_assets.weekly.portfolio import Plan, weekly_portfolios
from trading_assets.weekly.screen import past_of, weekly_screen

DAYS_MAX = 3
ERRORS_MAX = 5.0
_FAR, _NEAR = 1e9, 1e-9
_ROUNDED = 1e-6


def screen_problems(
    stored: pl.DataFrame, facts: Facts, plan: Plan, *, days: Sequence[date], gathered: Sequence[date]
) -> tuple[str, ...]:
    """One sentence for each thing that is wrong with WEEKLY_SCREEN.

    Args:
        stored: Rows of the run's sessions.
        facts: What they were made from.
        plan: What they were made by.
        days: Run days of those sessions.
        gathered: Every session that was asked for: rows of any other are wrong.
    """
    return (
        *_foreign(stored, days, gathered),
        *_without_rows(stored, facts, days),
        *_screen_again(stored, facts, plan, days),
    )


def portfolio_problems(
    stored: pl.DataFrame, screen: pl.DataFrame, past: Past, plan: Plan, *, days: Sequence[date], before: Targets | None
) -> tuple[str, ...]:
    """One sentence for each thing that is wrong with WEEKLY_PORTFOLIO.

    Args:
        stored: Rows of the run's sessions.
        screen: Rows of WEEKLY_SCREEN of the same.
        past: Every symbol's sessions relative to the close before.
        plan: What they were made by.
        days: Run days among those sessions.
        before: The newest portfolio before the first of them.
    """
    screened = [day for day in days if screen.filter(pl.col("session") == day).height]
    return (
        *_foreign(stored, screened, days),
        *_unweighed(stored, plan, screened),
        *_portfolio_again(stored, screen, past, plan, days, before),
        *_other_paths(stored, past, plan, screened),
    )


def missing(stored: pl.DataFrame, days: Sequence[date]) -> tuple[str, ...]:
    """One sentence for each run day that has no portfolio."""
    made = set(stored["session"])
    return tuple(f"no portfolio was made on {day}: no symbol has indicators" for day in days if day not in made)


def _foreign(stored: pl.DataFrame, days: Sequence[date], gathered: Sequence[date]) -> Iterator[str]:
    for day in sorted(set(stored["session"]) - set(days)):
        yield f"{day} has rows and is no run day among {len(gathered)} sessions"


def _without_rows(stored: pl.DataFrame, facts: Facts, days: Sequence[date]) -> Iterator[str]:
    key = ["session", "symbol"]
    wanted = facts.panel.filter(pl.col("session").is_in(list(days))).select(key)
    for day, symbol in wanted.join(stored, on=key, how="anti").sort(key).head(1).rows():
        yield f"{symbol} has indicators on {day} and no row"


def _screen_again(stored: pl.DataFrame, facts: Facts, plan: Plan, days: Sequence[date]) -> Iterator[str]:
    for day in sampled(days):
        again = weekly_screen(facts, past_of(facts, last=day), plan.rules, days=[day])
        if not stored.filter(pl.col("session") == day).equals(again, null_equal=True):
            yield f"the screen of {day} is not what the same facts give"


def _unweighed(stored: pl.DataFrame, plan: Plan, days: Sequence[date]) -> Iterator[str]:
    """Weights that cannot be, and quantiles out of order."""
    for day in days:
        rows = stored.filter(pl.col("session") == day).rows(named=True)
        total = next((row for row in rows if row["symbol"] == TOTAL), None)
        weights = [row["weight"] for row in rows if row["symbol"] != TOTAL]
        if total is None:
            yield f"{day} has no row for the whole portfolio"
        elif not all(0 <= weight <= plan.cap for weight in weights):
            yield f"a weight of {day} is not between 0 and {plan.cap:g}"
        elif not abs(math.fsum(weights) - total["weight"]) <= _ROUNDED or not total["weight"] <= 1 + _ROUNDED:
            yield f"the weights of {day} do not make its total, or more than 1"
        yield from (f"{row['symbol']} on {day}: quantiles out of order" for row in rows if not _ordered(row))


def _ordered(row: Mapping[str, Any]) -> bool:
    values = [row[name] for name in QUANTILES]
    if all(value is None for value in values):
        return True
    return None not in values and values == sorted(values) and 0 <= row["p_loss"] <= 1


def _portfolio_again(
    stored: pl.DataFrame, screen: pl.DataFrame, past: Past, plan: Plan, days: Sequence[date], before: Targets | None
) -> Iterator[str]:
    """The whole chain at once: a portfolio depends on the one before it."""
    again = weekly_portfolios(screen, past, plan, days=days, before=before)
    if not stored.equals(again, null_equal=True):
        wrong = [day for day in days if not _of(stored, day).equals(_of(again, day), null_equal=True)]
        yield f"the portfolio of {wrong[0] if wrong else 'some day'} is not what the same facts and seed give"


def _of(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    return frame.filter(pl.col("session") == day)


def _other_paths(stored: pl.DataFrame, past: Past, plan: Plan, days: Sequence[date]) -> Iterator[str]:
    for day in sampled(days)[-1:]:
        rows = [
            row for row in _of(stored, day).rows(named=True) if row["p_loss"] is not None and row["symbol"] != TOTAL
        ]
        symbols = pl.Series([row["symbol"] for row in rows], dtype=pl.String)
        windows = past.windows(symbols, pl.Series([day] * len(rows), dtype=pl.Date), plan.rules.window_sessions)
        for row, (begin, end) in zip(rows, windows, strict=True):
            yield from _contradicted(row, past.relatives[begin:end], plan.design, plan.rules.seed)


def _contradicted(row: Mapping[str, Any], window: Floats, design: Design, seed: int) -> Iterator[str]:
    where = f"{row['symbol']} on {row['session']}"
    kernel = probabilities(
        window,
        entry=1.0,
        stop=_NEAR,
        target=_FAR,
        horizon_sessions=design.horizon_sessions,
        paths=design.paths,
        seed=seed,
        method="bootstrap",
        block_sessions=design.block_sessions,
    )
    yield from _apart(
        where, "expected_return", row["expected_return"], kernel.expected_return, kernel.expected_return_se
    )
    other = plain_loss(window, design, np.random.default_rng(seed))
    error = math.sqrt(other * (1 - other) / design.paths)
    yield from _apart(where, "p_loss", row["p_loss"], other, error + 1 / design.paths)


def _apart(where: str, name: str, held: float | None, other: float, error: float) -> Iterator[str]:
    bound = ERRORS_MAX * math.sqrt(2) * error + _ROUNDED
    if held is None or not abs(held - other) <= bound:
        yield f"{where}: {name} is {held}, other paths find {other:.4f} ± {bound:.4f}"


def plain_loss(window: Floats, design: Design, dice: np.random.Generator) -> float:
    """Share of paths below 0 at their end, step by step with numpy's own random numbers."""
    closes = window[:, CLOSE]
    place = dice.integers(closes.size, size=design.paths)
    total = np.log(closes[place])
    for _ in range(design.horizon_sessions - 1):
        fresh = dice.random(design.paths) < 1 / design.block_sessions
        place = np.where(fresh, dice.integers(closes.size, size=design.paths), (place + 1) % closes.size)
        total = total + np.log(closes[place])
    return float((total < 0).mean())


def sampled(days: Sequence[date]) -> list[date]:
    """The first, the middle and the last."""
    places = sorted({0, len(days) // 2, len(days) - 1}) if days else []
    return [days[place] for place in places[:DAYS_MAX]]
