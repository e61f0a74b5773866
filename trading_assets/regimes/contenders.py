"""Ways to label regimes that are scored beside each other on a market whose regimes are known.

Each is causal: a session's label uses the bars up to it, and a fitted model knows bars, and where it says so true regimes, of the
sessions before the cut only.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.windows import Floats
from trading_assets.regimes.jump import STATES, jump_features, second_opinions
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.regimes.moves import daily_moves
from trading_assets.regimes.rules import REGIMES, raw_labels, regime_labels

SEED = 0
FOREST_TREES = 100
FOREST_LEAF_MIN = 20
HMM_ROUNDS = 100
_KEY = ["session", "symbol"]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """A made market: its bars, actions and truth (session, symbol, regime), and the first session that is scored."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    truth: pl.DataFrame
    cut: date

    @property
    def span(self) -> Span:
        """All its sessions."""
        sessions = self.bars["session"]
        return Span(cast(date, sessions.min()), cast(date, sessions.max()))

    @property
    def judged(self) -> pl.DataFrame:
        """The truth of the sessions that are scored."""
        return self.truth.filter(pl.col("session") >= self.cut)

    @property
    def learned(self) -> pl.DataFrame:
        """The truth that supervised contenders may know."""
        return self.truth.filter(pl.col("session") < self.cut)


@dataclass(frozen=True)
class Contender:
    """One way to label: `label` makes session, symbol and regime for the scored sessions. `knows` says what it was fitted on."""

    name: str
    knows: str
    label: Callable[[World], pl.DataFrame]


def world_of(bars: pl.DataFrame, actions: pl.DataFrame, truth: pl.DataFrame) -> World:
    """A world whose second half is scored."""
    days = truth["session"].unique().sort()
    return World(bars, actions, truth, days[days.len() // 2])


def majority(world: World) -> pl.DataFrame:
    """Each symbol's most frequent regime of the first half, always."""
    counted = world.learned.group_by("symbol", "regime").len().sort("len", "regime", descending=[True, False])
    usual = counted.group_by("symbol", maintain_order=True).agg(pl.col("regime").first())
    return world.judged.select(_KEY).join(usual, on="symbol")


def rules(world: World) -> pl.DataFrame:
    """The desk's labels."""
    return _scored(world, regime_labels(world.bars, world.actions, span=Span(world.cut, world.span.last)))


def unconfirmed_rules(world: World) -> pl.DataFrame:
    """The desk's labels without waiting for three equal ones."""
    labels = _scored(
        world,
        regime_labels(world.bars, world.actions, span=world.span),
        "volatility_percentile",
        "trend_strength",
        "adx_14",
    )
    raw = raw_labels(*(labels[name].to_numpy() for name in ("volatility_percentile", "trend_strength", "adx_14")))
    return labels.with_columns(pl.Series("regime", REGIMES).gather(raw)).select(*_KEY, "regime")


def jump_model(world: World) -> pl.DataFrame:
    """The desk's second opinion."""
    span, scored = Span(world.cut, world.span.last), set(world.truth["symbol"])
    opinions = second_opinions(world.bars, world.actions, REGIME_LABELS.empty(), span=span, only=scored)
    return _scored(world, opinions)


def hidden_markov(world: World) -> pl.DataFrame:
    """A Gaussian hidden Markov model of the jump model's features, filtered forwards; states named by the first half's truth."""
    features = _features(world).drop_nulls()
    told = [_hidden_markov(one, world) for one in features.partition_by("symbol", maintain_order=True)]
    return _scored(world, pl.concat(told))


def forest(world: World) -> pl.DataFrame:
    """A random forest taught with the first half's truth of all symbols: what labels could do that nobody has in a real market."""
    from sklearn.ensemble import RandomForestClassifier

    rows = _rich_features(world)
    taught = rows.join(world.learned, on=_KEY)
    judged = rows.filter(pl.col("session") >= world.cut)
    model = RandomForestClassifier(FOREST_TREES, min_samples_leaf=FOREST_LEAF_MIN, max_samples=0.5, random_state=SEED)
    with _one_thread():
        model.fit(taught.drop(*_KEY, "regime").to_numpy(), _coded(taught))
        codes = model.predict(judged.drop(_KEY).to_numpy())
    return judged.select(_KEY).with_columns(pl.Series("regime", REGIMES).gather(codes))


CONTENDERS = (
    Contender("majority", "truth", majority),
    Contender("rules", "nothing", rules),
    Contender("rules at once", "nothing", unconfirmed_rules),
    Contender("jump model", "bars", jump_model),
    Contender("HMM", "bars, truth", hidden_markov),
    Contender("forest (ceiling)", "bars, truth", forest),
)


def filtered(model: Any, features: Floats) -> Floats:
    """The chance of each state given the rows up to each: the forward recursion (Rabiner 1989, eq. 19 to 20), scaled row by row.

    hmmlearn's own predict and predict_proba use all rows, later ones included.

    Args:
        model: A fitted GaussianHMM with full covariances.
        features: Rows of its features.
    """
    pairs = zip(model.means_, model.covars_, strict=True)
    densities = np.column_stack([_log_density(features - mean, covariance) for mean, covariance in pairs])
    likely = np.exp(densities - densities.max(axis=1, keepdims=True))
    chances = np.empty_like(likely)
    before = model.startprob_
    for row, evidence in enumerate(likely):
        joint = (before if row == 0 else before @ model.transmat_) * evidence
        before = chances[row] = joint / joint.sum()
    return np.asarray(chances)


def _log_density(apart: Floats, covariance: Floats) -> Floats:
    """Of a normal distribution at the distances `apart` from its mean, less a constant that is the same for all."""
    distance = np.einsum("ij,ij->i", apart, np.linalg.solve(covariance, apart.T).T)
    return np.asarray(-0.5 * (distance + np.log(np.linalg.det(covariance))))


def _hidden_markov(one: pl.DataFrame, world: World) -> pl.DataFrame:
    from hmmlearn.hmm import GaussianHMM

    points = one.select("log_volatility", "strength").to_numpy()
    past = one.filter(pl.col("session") < world.cut).join(world.learned, on=_KEY)
    true = _coded(past)
    model = GaussianHMM(STATES, covariance_type="full", n_iter=HMM_ROUNDS, random_state=SEED)
    with _one_thread():
        model.fit(points[: true.size])
    states = filtered(model, points).argmax(axis=1)
    inside = states[: true.size]
    counts = np.array([np.bincount(true[inside == state], minlength=len(REGIMES)) for state in range(STATES)])
    return one.select(_KEY).with_columns(pl.Series("regime", REGIMES).gather(counts.argmax(axis=1)[states]))


def _one_thread() -> AbstractContextManager[object]:
    """Keeps the fits to one thread: on a busy machine two of them wait for each other twenty times as long as they work."""
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1))


def _features(world: World) -> pl.DataFrame:
    """session, symbol, move, and the two features of the jump model, log volatility and strength, for the scored symbols."""
    moves = daily_moves(world.bars, world.actions, last=world.span.last).drop_nulls("move")
    parts = []
    for one in moves.filter(pl.col("symbol").is_in(world.truth["symbol"].unique().to_list())).partition_by("symbol"):
        pair = jump_features(one["move"].to_numpy())
        columns = {"log_volatility": pair[:, 0], "strength": pair[:, 1]}
        parts.append(one.with_columns(pl.Series(name, line, nan_to_null=True) for name, line in columns.items()))
    return pl.concat(parts).sort("symbol", "session").select(*_KEY, "move", "log_volatility", "strength")


def _rich_features(world: World) -> pl.DataFrame:
    """session, symbol, and what the forest sees: all that rules and jump model see, longer windows, and 10 to 40 sessions ago."""
    seen = regime_labels(world.bars, world.actions, span=world.span).select(*_KEY, "volatility_percentile", "adx_14")
    both = _features(world).join(seen, on=_KEY).sort("symbol", "session")
    pair = both.with_columns(pl.col("move").shift(1).over("symbol").alias("before"))
    longer = pair.with_columns(expression.over("symbol").alias(name) for name, expression in _LONGER.items())
    unusual = longer.with_columns(unusual=pl.col("log_volatility") - pl.col("volatility_250").log())
    lags = [
        pl.col(name).shift(back).over("symbol").alias(f"{name}_{back}")
        for name in ("unusual", "strength")
        for back in (10, 20, 40)
    ]
    return unusual.with_columns(lags).drop("move", "before").drop_nulls()


_LONGER: Mapping[str, pl.Expr] = {
    "volatility_60": pl.col("move").rolling_std(60),
    "volatility_250": pl.col("move").rolling_std(250, min_samples=60),
    "return_15": pl.col("move").rolling_sum(15),
    "return_60": pl.col("move").rolling_sum(60),
    "echo_15": pl.rolling_corr("move", "before", window_size=15),
}


def _coded(rows: pl.DataFrame) -> Codes:
    """The places in REGIMES of the rows' regimes."""
    codes = {word: code for code, word in enumerate(REGIMES)}
    return rows["regime"].replace_strict(codes, return_dtype=pl.Int64).to_numpy()


def _scored(world: World, rows: pl.DataFrame, *more: str) -> pl.DataFrame:
    judged = rows.join(world.judged.select(_KEY), on=_KEY, how="semi")
    return judged.select(*_KEY, "regime", *more)
