"""The weekly portfolio: which of the screened symbols simulated paths leave standing, and what each is wanted to weigh.

Weights are shares of the weekly desk's capital. They follow the score, up to a cap that keeps each within the limit of one
position; what the cap leaves over stays cash. A change that is smaller than `turnover_min_fraction` is not made: a symbol that
is kept keeps its weight, and one that would be bought for less is not bought. What leaves the portfolio leaves it whole. A
portfolio depends on the one before it, so a range is made in order from the newest portfolio before it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.day import Outline
from trading_assets.core.operations import Weekly
from trading_assets.core.preferences import Preferences
from trading_assets.features.windows import Floats
from trading_assets.watchlist.montecarlo import Design
from trading_assets.watchlist.past import Past
from trading_assets.watchlist.rules import WatchlistRules
from trading_assets.weekly.model import PLACES, TOTAL, WEEKLY_PORTFOLIO, Targets, targets_of
from trading_assets.weekly.paths import draws_of, ends_of, measured
from trading_assets.weekly.runs import next_run

Row = Mapping[str, Any]
_UNIT = 10**PLACES
_HAIR = 1e-6


@dataclass(frozen=True, slots=True)
class Plan:
    """What portfolios are made by: the settings of the weekly desk, rules of screen and paths, limits, and the run days."""

    weekly: Weekly
    rules: WatchlistRules
    preferences: Preferences
    outline: Outline

    @property
    def design(self) -> Design:
        """How paths are made: as the watch-list's, over the weekly horizon."""
        return Design(self.rules.paths, self.weekly.horizon_sessions, self.rules.block_sessions)

    @property
    def cap(self) -> float:
        """The most that one symbol may weigh, share of the weekly desk's capital: within the limit of one position of equity.

        Without capital no position is taken, and nothing caps.
        """
        fraction = self.weekly.capital_fraction
        return min(1.0, self.preferences.position_fraction_max / fraction) if fraction > 0 else 1.0

    @property
    def holdings_max(self) -> int:
        """The most symbols that are wanted."""
        return min(self.weekly.holdings_max, self.preferences.positions_max)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A symbol of a run day with its paths, if it passed the screen."""

    row: Row
    ends: Floats | None = None
    shown: Mapping[str, float] | None = None

    @property
    def symbol(self) -> str:
        return str(self.row["symbol"])


def weekly_portfolios(
    screen: pl.DataFrame, past: Past, plan: Plan, *, days: Sequence[date], before: Targets | None = None
) -> pl.DataFrame:
    """Rows of WEEKLY_PORTFOLIO for run days, in order.

    Args:
        screen: Rows of WEEKLY_SCREEN of those days. A day without any has no portfolio: the one before it grows stale, which opens
            nothing and sells nothing; one that wants nothing would sell all.
        past: Every symbol's sessions relative to the close before.
        plan: Settings, rules, limits and run days.
        days: Run days, ascending.
        before: The newest portfolio before the first of them.
    """
    rows: list[Row] = []
    for day in days:
        screened = screen.filter(pl.col("session") == day).rows(named=True)
        if screened:
            made = _portfolio(screened, past, plan, day, before)
            rows += made
            before = targets_of(made)
    return WEEKLY_PORTFOLIO.frame(rows)


def shares_by_score(scores: Sequence[float], cap: float) -> tuple[float, ...]:
    """Weights in proportion to scores above 0, none above the cap and together at most 1; rounded down to 6 places.

    What one cannot take because of the cap, the others share.
    """
    given, left, open_ = dict[int, float](), 1.0, list(range(len(scores)))
    while open_:
        total = math.fsum(scores[place] for place in open_)
        shares = {place: left * scores[place] / total for place in open_}
        full = [place for place in open_ if shares[place] > cap]
        if not full:
            given |= shares
            break
        given |= dict.fromkeys(full, cap)
        left -= cap * len(full)
        open_ = [place for place in open_ if place not in full]
    return tuple(min(cap, math.floor(given[place] * _UNIT + _HAIR) / _UNIT) for place in range(len(scores)))


def settled(wanted: Mapping[str, float], before: Mapping[str, float], *, least: float, cap: float) -> dict[str, float]:
    """The weights after small changes were left out; all changes are made where the weights together would pass 1.

    Args:
        wanted: By symbol, above 0.
        before: The same in the portfolio before.
        least: The smallest change that is made; what leaves the portfolio leaves it whatever it weighed.
        cap: The most that a symbol may weigh: one that weighed more comes down, however little it is.
    """
    then = {symbol: before.get(symbol, 0.0) for symbol in wanted}
    kept = {
        symbol: then[symbol] if abs(weight - then[symbol]) < least and then[symbol] <= cap else weight
        for symbol, weight in wanted.items()
    }
    return kept if math.fsum(kept.values()) <= 1 else dict(wanted)


def _portfolio(rows: Sequence[Row], past: Past, plan: Plan, day: date, before: Targets | None) -> list[Row]:
    """The rows of one run day: every symbol that was simulated or held before, and the total."""
    seen = _simulated(rows, past, plan, day)
    held = before.weights if before else {}
    refusals = {each.symbol: _refusal(each, plan) for each in seen}
    best = sorted((s for s in seen if refusals[s.symbol] is None), key=lambda s: (s.row["rank"], s.symbol))
    chosen, late = best[: plan.holdings_max], best[plan.holdings_max :]
    refusals |= {s.symbol: f"rank {s.row['rank']} is beyond the {plan.holdings_max} that are held" for s in late}
    shares = shares_by_score([s.row["score"] for s in chosen], plan.cap)
    wanted = {s.symbol: share for s, share in zip(chosen, shares, strict=True) if share > 0}
    weights = settled(wanted, held, least=plan.weekly.turnover_min_fraction, cap=plan.cap)
    shared = _shared(plan, day, before)
    known = {each.symbol: each for each in seen}
    lines = [
        {**shared, **_line(known.get(symbol), symbol, wanted, weights, held, refusals, plan)}
        for symbol in sorted({s.symbol for s in seen if s.ends is not None} | held.keys())
    ]
    return [*lines, {**shared, **_total(seen, weights, held, wanted, known)}]


def _simulated(rows: Sequence[Row], past: Past, plan: Plan, day: date) -> tuple[_Seen, ...]:
    """Every screened symbol, those that passed with the ends of their paths."""
    draws, length = draws_of(plan.rules.seed, day, plan.design), plan.rules.window_sessions
    symbols = pl.Series([row["symbol"] for row in rows], dtype=pl.String)
    windows = past.windows(symbols, pl.Series([day] * len(rows), dtype=pl.Date), length)
    made: list[_Seen] = []
    for row, (begin, end) in zip(rows, windows, strict=True):
        ends = ends_of(past.relatives[begin:end], draws) if row["passed"] else None
        made.append(_Seen(row, ends, measured(ends) if ends is not None else None))
    return tuple(made)


def _refusal(each: _Seen, plan: Plan) -> str | None:
    """Why the symbol may not be held, or nothing."""
    if each.shown is None:
        return str(each.row["reason"])
    p_loss, bound = each.shown["p_loss"], plan.weekly.p_loss_max
    return None if 0 <= p_loss <= bound else f"p(loss) {p_loss:.4f} is above {bound:g}"


def _line(
    each: _Seen | None,
    symbol: str,
    wanted: Mapping[str, float],
    weights: Mapping[str, float],
    held: Mapping[str, float],
    refusals: Mapping[str, str | None],
    plan: Plan,
) -> dict[str, Any]:
    now, then, ideal = weights.get(symbol, 0.0), held.get(symbol, 0.0), wanted.get(symbol, 0.0)
    refused = refusals.get(symbol, "it has no indicators") or ""
    action, reason = _told(now, then, ideal, refused, plan)
    return {
        "symbol": symbol,
        "action": action,
        "weight": now,
        "weight_before": then,
        "weight_wanted": ideal,
        "rank": each.row["rank"] if each else None,
        "score": each.row["score"] if each else None,
        **(each.shown if each and each.shown else {}),
        "reason": reason,
    }


def _told(now: float, then: float, ideal: float, refused: str, plan: Plan) -> tuple[str, str]:
    """The action and its sentence."""
    least = plan.weekly.turnover_min_fraction
    if now > 0 and then > 0:
        if now != then:
            return "change", f"{then:.1%} becomes {now:.1%}"
        return "keep", f"{then:.1%} stays: {ideal:.1%} is wanted, and less than {least:.1%} of change is not made"
    if now > 0:
        return "enter", f"{now:.1%} of the weekly desk's capital by score"
    if then > 0:
        return "leave", refused or f"{ideal:.1%} is wanted, and less than {least:.1%} is not held"
    return "pass", refused or f"{ideal:.1%} is wanted, and less than {least:.1%} is not bought"


def _total(
    seen: Sequence[_Seen],
    weights: Mapping[str, float],
    held: Mapping[str, float],
    wanted: Mapping[str, float],
    known: Mapping[str, _Seen],
) -> dict[str, Any]:
    """The row of the whole portfolio: what it weighs, and what its paths show; nothing is shown of an empty one."""
    ends = [(known[symbol].ends, weight) for symbol, weight in sorted(weights.items()) if weight > 0]
    paths = [end * weight for end, weight in ends if end is not None]
    passed, count = sum(each.ends is not None for each in seen), sum(weight > 0 for weight in weights.values())
    return {
        "symbol": TOTAL,
        "action": "total",
        "weight": round(math.fsum(weights.values()), PLACES),
        "weight_before": round(math.fsum(held.values()), PLACES),
        "weight_wanted": round(math.fsum(wanted.values()), PLACES),
        **(measured(np.sum(paths, axis=0)) if paths else {}),
        "reason": f"{len(seen)} screened, {passed} simulated, {count} wanted",
    }


def _shared(plan: Plan, day: date, before: Targets | None) -> dict[str, Any]:
    empty = dict.fromkeys(WEEKLY_PORTFOLIO.polars_schema())
    return {
        **empty,
        "session": day,
        "capital_fraction": plan.weekly.capital_fraction,
        "valid_until": next_run(plan.outline, day),
        "made_before": before.session if before else None,
        "horizon_sessions": plan.weekly.horizon_sessions,
        "paths": plan.rules.paths,
        "seed": plan.rules.seed,
        "knowable_at": XNYS.session(day).close,
    }
