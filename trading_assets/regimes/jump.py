"""A second opinion on regimes by a statistical jump model, fitted on earlier years only.

The model (Bemporad, Breschi, Piga and Boyd, Fitting jump models, 2018; Nystrup, Lindstrom and Madsen, Learning hidden Markov
models with persistent states, 2020) puts five centres into the plane of log volatility and trend strength so that the squared
distances of the sessions to their state's centre, plus a penalty for each change of state, are smallest. It is solved here by
compiled loops: the published package takes 0.9 s for thirteen years of one symbol, this file 0.02 s, and a test holds the
two against each other.

For a session, the model of its calendar year counts: fitted on all sessions before that year, 756 at least. States are told
apart by their centres alone. No label of the rules, and no session after the one in question, touches an opinion.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.compiling import compiled
from trading_assets.features.windows import Floats
from trading_assets.regimes.model import MARKET, REGIME_OPINIONS, Regime
from trading_assets.regimes.moves import TREND_SESSIONS, daily_moves, volatility_and_trend

MODEL = "jump_model"
STATES = 5
JUMP_PENALTY = 5.0
FIT_SESSIONS_MIN = 756
SYMBOLS_MAX = 20
STARTS = 20
SEED = 0
ROUNDS_MAX = 300
TREND_ABOVE = 0.5
CALM_QUARTER, WILD_QUARTER = 0.25, 0.75
_VOLATILITY_FLOOR = 1e-5

States = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JumpFit:
    """A fitted model.

    `centres` are standardised by `mean` and `scale` (rows: states; columns: log volatility, trend strength); `quarters` are the log
    volatilities below which the lowest, and above which the highest quarter of the fitted sessions lies.
    """

    centres: Floats
    mean: Floats
    scale: Floats
    quarters: tuple[float, float]
    objective: float


def second_opinions(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    span: Span,
    only: Collection[str] | None = None,
) -> pl.DataFrame:
    """Rows of REGIME_OPINIONS for MARKET and each symbol, for the sessions of the span.

    In sessions with bars of more than 20 symbols only MARKET is judged. A symbol has no opinion in a year before which it has
    fewer than 756 sessions with features.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar in the lake.
        actions: Rows of CORPORATE_ACTIONS.
        labels: Rows of REGIME_LABELS that the opinions are compared with.
        span: Sessions to return; bars after it are not read.
        only: Symbols to judge, MARKET among them; None for all. The index is made of all bars either way.
    """
    moves = daily_moves(bars, actions, last=span.last)
    market, inside = pl.col("symbol") == MARKET, pl.col("session").is_between(span.first, span.last)
    crowd = moves.filter(inside & ~market).group_by("session").len().filter(pl.col("len") > SYMBOLS_MAX)
    quiet = inside & ~pl.col("session").is_in(crowd["session"].to_list())
    asked = moves.filter(quiet & ~market)["symbol"].unique().to_list()
    judged = sorted({*asked, MARKET} & (set(only) if only is not None else {*asked, MARKET}))
    told = list(_told(moves.filter(pl.col("symbol").is_in(judged)), span))
    if not told:
        return REGIME_OPINIONS.empty()
    rules = labels.select("session", "symbol", pl.col("regime").alias("rules_say"))
    opinions = pl.concat(told).filter(market | quiet).join(rules, on=["session", "symbol"], how="left")
    compared = opinions.with_columns((pl.col("regime") == pl.col("rules_say")).alias("agrees"), model=pl.lit(MODEL))
    return REGIME_OPINIONS.conform(compared.select(*REGIME_OPINIONS.polars_schema()))


def jump_features(moves: Floats) -> Floats:
    """Rows of (log of 15-session volatility, 30-session trend strength) from daily moves, NaN until both windows are full.

    A price that stands still has the volatility 0.00001.
    """
    volatility, trend = volatility_and_trend(moves)
    return np.column_stack([np.log(volatility + _VOLATILITY_FLOOR), trend])


def fit_jump(features: Floats) -> JumpFit:
    """The best of twenty seeded starts (k-means++), each improved until no session changes its state."""
    mean = np.array([math.fsum(column) / len(features) for column in features.T])
    spread = [
        math.sqrt(math.fsum((column - m) ** 2) / len(features)) for column, m in zip(features.T, mean, strict=True)
    ]
    scale = np.array([s or 1.0 for s in spread])
    points = (features - mean) / scale
    draws = np.random.default_rng(SEED).random((STARTS, STATES))
    found = [_improved(points, _spread_out(points, draw)) for draw in draws]
    centres, objective = min(found, key=lambda one: one[1])
    ranked = np.sort(features[:, 0])
    quarters = (float(ranked[int(CALM_QUARTER * len(ranked))]), float(ranked[int(WILD_QUARTER * len(ranked))]))
    return JumpFit(centres, mean, scale, quarters, objective)


def online_states(fit: JumpFit, features: Floats) -> States:
    """The state of each session given the sessions up to it and no later one: the end of the cheapest path so far."""
    return _online(_losses((features - fit.mean) / fit.scale, fit.centres), JUMP_PENALTY)


def state_names(fit: JumpFit) -> tuple[Regime, ...]:
    """The regime of each state from its centre and from nothing else.

    A centre whose volatility is in the highest quarter of the sessions that were fitted is high_volatility, in the lowest
    quarter low_volatility; of the others, a trend strength above 0.5 is trending_up, below -0.5 trending_down, else ranging.
    Two states may bear one name.
    """
    return tuple(_name(volatility, trend, fit.quarters) for volatility, trend in fit.centres * fit.scale + fit.mean)


def _name(volatility: float, trend: float, quarters: tuple[float, float]) -> Regime:
    calm, wild = quarters
    if volatility > wild:
        return "high_volatility"
    if volatility < calm:
        return "low_volatility"
    return "trending_up" if trend > TREND_ABOVE else "trending_down" if trend < -TREND_ABOVE else "ranging"


def _told(moves: pl.DataFrame, span: Span) -> Iterator[pl.DataFrame]:
    """One frame for each symbol and calendar year of the span that a model could be fitted for."""
    for every in moves.drop_nulls("move").partition_by("symbol", maintain_order=True):
        full = jump_features(every["move"].to_numpy())
        one, features = every[TREND_SESSIONS - 1 :], full[TREND_SESSIONS - 1 :]
        for year in range(span.first.year, span.last.year + 1):
            past = int(one["session"].search_sorted(date(year, 1, 1)))
            end = int(one["session"].search_sorted(min(date(year, 12, 31), span.last), side="right"))
            if past >= FIT_SESSIONS_MIN and past < end:
                yield _of_year(one[:end], features[:end], past, span)


def _of_year(known: pl.DataFrame, features: Floats, past: int, span: Span) -> pl.DataFrame:
    """The year's opinions inside the span, by a model of the first `past` rows that walks from the first row on."""
    fit = fit_jump(features[:past])
    names = pl.Series(state_names(fit))
    regimes = names.gather(online_states(fit, features)).alias("regime")
    told = known.select("symbol", "session", "knowable_at").with_columns(
        regimes, fitted_through=known["session"][past - 1]
    )
    return told[past:].filter(pl.col("session") >= span.first)


def _improved(points: Floats, centres: Floats) -> tuple[Floats, float]:
    """Coordinate descent: the best path for the centres, then the centres of the path, until the path stays.

    Returns the centres and the objective: half the squared distances plus the penalties. A state without sessions keeps its centre.
    """
    path, objective = _cheapest(_losses(points, centres), JUMP_PENALTY)
    for _ in range(ROUNDS_MAX):
        centres = _centres_of(points, path, centres)
        again, objective = _cheapest(_losses(points, centres), JUMP_PENALTY)
        if np.array_equal(again, path):
            break
        path = again
    return centres, objective


def _centres_of(points: Floats, path: States, before: Floats) -> Floats:
    """The mean point of each state's sessions, added up in their order."""
    size = np.bincount(path, minlength=STATES)
    totals = np.column_stack([np.bincount(path, weights=column, minlength=STATES) for column in points.T])
    return np.asarray(np.where(size[:, None] > 0, totals / np.maximum(size, 1)[:, None], before))


def _losses(points: Floats, centres: Floats) -> Floats:
    """Half the squared distance of each session (row) to each state's centre (column)."""
    across, up = (np.subtract.outer(points[:, place], centres[:, place]) for place in range(2))
    return np.asarray(0.5 * (across * across + up * up))


def _spread_out(points: Floats, draws: Floats) -> Floats:
    """Starting centres by k-means++ (Arthur and Vassilvitskii, 2007): each new one far from those before, by the draws."""
    nearest = np.ones(len(points))
    centres: list[Floats] = []
    for draw in draws:
        reached = np.cumsum(nearest)
        row = min(int(np.searchsorted(reached, draw * reached[-1], side="right")), len(points) - 1)
        centres.append(points[row])
        distance = 2.0 * _losses(points, points[row : row + 1])[:, 0]
        nearest = np.minimum(nearest, distance) if len(centres) > 1 else distance
    return np.array(centres)


@compiled("Tuple((int64[::1], float64))(float64[:, ::1], float64)")
def _cheapest(losses: Floats, penalty: float) -> tuple[States, float]:
    """The state of each row on the cheapest whole path, and its cost (Viterbi's recursion)."""
    count, states = losses.shape
    came_from = np.empty((count, states), dtype=np.int64)
    cost = np.zeros(states)
    for row in range(count):
        cheapest = int(np.argmin(cost))
        jumped = cost[cheapest] + penalty
        for state in range(states):
            stays = cost[state] <= jumped
            came_from[row, state] = state if stays else cheapest
            cost[state] = (cost[state] if stays else jumped) + losses[row, state]
    path = np.empty(count, dtype=np.int64)
    here = int(np.argmin(cost))
    value = cost[here]
    for row in range(count - 1, -1, -1):
        path[row] = here
        here = came_from[row, here]
    return path, value


@compiled("int64[::1](float64[:, ::1], float64)")
def _online(losses: Floats, penalty: float) -> States:
    """The state in which the cheapest path up to each row ends. Costs are kept relative to the cheapest, or they would grow."""
    count, states = losses.shape
    ends = np.empty(count, dtype=np.int64)
    cost = np.zeros(states)
    for row in range(count):
        best = cost.min()
        for state in range(states):
            cost[state] = min(cost[state] - best, penalty) + losses[row, state]
        ends[row] = np.argmin(cost)
    return ends
