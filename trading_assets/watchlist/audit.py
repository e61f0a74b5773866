"""What is wrong with a stored watch-list: shape, arithmetic, completeness, and a recomputation in two ways.

Rows of up to three sessions are made again and must be equal to the last bit; one simulated row of each is simulated by plain numpy
with other random numbers and must agree within five standard errors. An asset that answers a constant fails both.
"""

import hashlib
import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.epochs import usable_bars
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.listing import watchlist
from trading_assets.watchlist.model import METHODS, OUTCOMES, Method
from trading_assets.watchlist.montecarlo import Design
from trading_assets.watchlist.past import Past
from trading_assets.watchlist.plain import plain_odds
from trading_assets.watchlist.rules import WatchlistRules

SESSIONS_MAX = 3
ERRORS_MAX = 5.0
_ROUNDING = 1e-12


def problems(stored: pl.DataFrame, facts: Facts, rules: WatchlistRules, *, span: Span) -> tuple[str, ...]:
    """One sentence for each thing that is wrong with the span's stored rows of WATCHLIST; none when all is well."""
    return (*_incomplete(stored, facts, span), *_misshapen(stored), *_not_repeated(stored, facts, rules, span))


def _incomplete(stored: pl.DataFrame, facts: Facts, span: Span) -> Iterator[str]:
    key = ["session", "symbol"]
    wanted = facts.panel.filter(pl.col("session").is_between(span.first, span.last)).select(key)
    for missing in wanted.join(stored, on=key, how="anti").sort(key).head(1).rows():
        yield f"{missing[1]} has indicators on {missing[0]} and no row"
    for extra in stored.join(wanted, on=key, how="anti").sort(key).head(1).rows(named=True):
        yield f"{extra['symbol']} has a row on {extra['session']} and no indicators"


def _misshapen(stored: pl.DataFrame) -> Iterator[str]:
    simulated = pl.col("stop").is_not_null()
    for method in METHODS:
        shares = [pl.col(f"{name}_{method}") for name in OUTCOMES]
        inside = pl.all_horizontal(share.is_between(0, 1) for share in shares)
        whole = (shares[0] + shares[1] + shares[2] - 1).abs() <= _ROUNDING
        yield from _rows(stored, simulated & ~_sure(inside), f"a probability by {method} is not between 0 and 1")
        yield from _rows(stored, simulated & ~_sure(whole), f"probabilities by {method} do not sum to 1")
    ordered = (pl.col("stop") < pl.col("reference")) & (pl.col("reference") < pl.col("target"))
    yield from _rows(stored, simulated & ~_sure(ordered), "stop, reference and target are not in this order")
    yield from _rows(stored, pl.col("selected") & ~simulated, "selected without a simulation")
    yield from _rows(stored, pl.col("reason") == "", "no reason")


def _sure(claim: pl.Expr) -> pl.Expr:
    return claim.fill_null(value=False)


def _rows(stored: pl.DataFrame, wrong: pl.Expr, what: str) -> Iterator[str]:
    found = stored.filter(wrong)
    for row in found.head(1).rows(named=True):
        yield f"{row['symbol']} on {row['session']}: {what} ({found.height} rows)"


def _not_repeated(stored: pl.DataFrame, facts: Facts, rules: WatchlistRules, span: Span) -> Iterator[str]:
    for day in _sampled(facts, span):
        held = stored.filter(pl.col("session") == day)
        again = watchlist(facts.bars, facts.actions, facts.panel, facts.labels, rules, span=Span(day, day))
        if not held.equals(again, null_equal=True):
            yield f"the rows of {day} are not what the same facts and seed give"
        simulated = held.filter(pl.col("stop").is_not_null())
        if simulated.height:
            place = int(_dice(rules, day).integers(simulated.height))
            yield from _contradicted(simulated.row(place, named=True), facts, rules)


def _sampled(facts: Facts, span: Span) -> list[date]:
    days = facts.panel.filter(pl.col("session").is_between(span.first, span.last))["session"].unique().sort()
    places = sorted({0, days.len() // 2, days.len() - 1}) if days.len() else []
    return [days[place] for place in places[:SESSIONS_MAX]]


def _contradicted(row: dict[str, Any], facts: Facts, rules: WatchlistRules) -> Iterator[str]:
    """Where plain numpy finds other odds for a stored row."""
    day, symbol = row["session"], row["symbol"]
    past = Past.of(usable_bars(facts.bars.filter(pl.col("symbol") == symbol), last=day), facts.actions)
    ((begin, end),) = past.windows(pl.Series([symbol]), pl.Series([day]), rules.window_sessions)
    if end - begin < rules.returns_min:
        yield f"{symbol} on {day}: simulated from {end - begin} returns of the {rules.returns_min} that it needs"
        return
    stop, target = (row[name] / row["reference"] for name in ("stop", "target"))
    design = Design(rules.paths, rules.horizon_sessions, rules.block_sessions)
    for method in METHODS:
        dice = _dice(rules, day)
        other = plain_odds(past.relatives[begin:end], stop=stop, target=target, design=design, method=method, dice=dice)
        yield from _apart(row, method, "p_target", other.p_target, other.p_target_se, design.paths)
        yield from _apart(row, method, "p_stop", other.p_stop, other.p_stop_se, design.paths)
        yield from _apart(row, method, "expected_return", other.expected_return, other.expected_return_se, design.paths)


def _apart(row: dict[str, Any], method: Method, name: str, other: float, error: float, paths: int) -> Iterator[str]:
    """Both are estimates, so their difference has the root of two times the error of one; one path is always allowed."""
    held = row[f"{name}_{method}"]
    bound = ERRORS_MAX * (math.sqrt(2) * error + 1 / paths)
    if not isinstance(held, float) or not abs(held - other) <= bound:
        yield f"{row['symbol']} on {row['session']}: {name} by {method} is {held}, plain numpy finds {other:.4f} ± {bound:.4f}"


def _dice(rules: WatchlistRules, day: date) -> np.random.Generator:
    digest = hashlib.blake2b(f"audit/{rules.seed}/{day.isoformat()}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
