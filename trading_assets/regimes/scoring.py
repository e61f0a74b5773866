"""How good regime labels are: against a truth that is known because the market was made, and for what comes after them.

A score needs predictions that used no later session; nothing here can check that.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.features.windows import Floats
from trading_assets.regimes.model import Regime
from trading_assets.regimes.rules import REGIMES

AHEAD_SESSIONS = 20
SESSIONS_PER_YEAR = 252
_KEY = ["session", "symbol"]
_NONE = "none"
Words = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Score:
    """Predictions against a truth, all symbols together.

    Args:
        macro_f1: Mean of `f1`, 0 to 1.
        balanced_accuracy: Mean share of each true regime's sessions that were recognised, 0 to 1.
        switches: Changes of the predicted regime, per symbol.
        true_switches: Changes of the true regime, per symbol.
        delay_sessions: Mean sessions from a true change to the first right label of the new regime; the whole spell where there is
            none. None without a change.
        sessions: Rows of the truth; those without a prediction count as wrong.
        f1: F1 of each regime that occurs in the truth.
    """

    macro_f1: float
    balanced_accuracy: float
    switches: float
    true_switches: float
    delay_sessions: float | None
    sessions: int
    f1: Mapping[Regime, float]

    def plain(self) -> dict[str, Any]:
        """The same as a mapping of plain values."""
        return asdict(self)


def score(predictions: pl.DataFrame, truth: pl.DataFrame) -> Score:
    """The score of predictions on the sessions and symbols of the truth. Both have session, symbol and regime."""
    told = predictions.select(*_KEY, pl.col("regime").alias("said"))
    both = truth.select(*_KEY, "regime").join(told, on=_KEY, how="left").with_columns(pl.col("said").fill_null(_NONE))
    parts = both.sort("symbol", "session").partition_by("symbol")
    symbols = [(one["regime"].to_numpy().astype(str), one["said"].to_numpy().astype(str)) for one in parts]
    true, said = (np.concatenate([one[place] for one in symbols]) for place in range(2))
    present = [regime for regime in REGIMES if (true == regime).any()]
    f1 = {regime: _f1(true == regime, said == regime) for regime in present}
    waits = np.concatenate([_waits(*one) for one in symbols])
    return Score(
        macro_f1=math.fsum(f1.values()) / len(f1),
        balanced_accuracy=math.fsum(float((said[true == r] == r).mean()) for r in present) / len(present),
        switches=sum(_switches(one) for _, one in symbols) / len(symbols),
        true_switches=sum(_switches(one) for one, _ in symbols) / len(symbols),
        delay_sessions=float(waits.mean()) if waits.size else None,
        sessions=true.size,
        f1=f1,
    )


def usefulness(labels: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """What the 20 sessions after a label brought, by regime, and for all sessions in the row `all`.

    Columns: regime, sessions, windows (sessions / 20: how many of the overlapping outcomes are separate), volatility_next_20
    (mean sample deviation of the daily log returns times sqrt(252)), volatility_to_all (over that of all sessions),
    return_next_20 (mean log return) with its 95 % interval return_low to return_high from the number of windows. The last
    20 sessions of a symbol have no outcome and do not count.

    Args:
        labels: session, symbol, regime.
        moves: symbol, session, move, every session of the symbols; see moves.daily_moves.
    """
    outcomes = _outcomes(labels, moves)
    told = (
        pl.concat([outcomes, outcomes.with_columns(regime=pl.lit("all"))])
        .group_by("regime")
        .agg(
            pl.len().cast(pl.Int64).alias("sessions"),
            (pl.len() / AHEAD_SESSIONS).alias("windows"),
            pl.col("volatility").mean().alias("volatility_next_20"),
            pl.col("return").mean().alias("return_next_20"),
            (1.96 * pl.col("return").std() / (pl.len() / AHEAD_SESSIONS).sqrt()).alias("reach"),
        )
    )
    whole = pl.col("volatility_next_20").filter(pl.col("regime") == "all").first()
    interval = {
        "return_low": pl.col("return_next_20") - pl.col("reach"),
        "return_high": pl.col("return_next_20") + pl.col("reach"),
    }
    order = pl.col("regime").replace_strict({word: place for place, word in enumerate((*REGIMES, "all"))})
    ordered = told.with_columns(volatility_to_all=pl.col("volatility_next_20") / whole, **interval).sort(order)
    return ordered.select(
        "regime",
        "sessions",
        "windows",
        "volatility_next_20",
        "volatility_to_all",
        "return_next_20",
        "return_low",
        "return_high",
    )


def forecast_gain(labels: pl.DataFrame, moves: pl.DataFrame) -> dict[str, float | None]:
    """The share of the squared error that knowing the regime takes off a forecast of the next 20 sessions, out of sample.

    The forecast of a session is the mean of the outcomes that had ended by then in the same regime of the same symbol; it is
    compared with the mean of all outcomes that had ended. `log_volatility` and `return`; below 0 the regime did harm; None without
    a session that has both forecasts.
    """
    outcomes = _outcomes(labels, moves).with_columns(pl.col("volatility").log().alias("log_volatility"))
    sound = outcomes.filter(pl.col("log_volatility").is_finite()).sort("symbol", "session")
    parts = sound.partition_by("symbol")
    return {name: _gain([_errors(one, name) for one in parts]) for name in ("log_volatility", "return")}


def _outcomes(labels: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    ahead = [pl.col("move").shift(-step).over("symbol") for step in range(1, AHEAD_SESSIONS + 1)]
    lists = pl.concat_list(ahead)
    told = (
        moves.sort("symbol", "session")
        .with_columns(pl.when(pl.all_horizontal(one.is_not_null() for one in ahead)).then(lists).alias("ahead"))
        .drop_nulls("ahead")
    )
    measured = told.select(
        *_KEY,
        (pl.col("ahead").list.std() * math.sqrt(SESSIONS_PER_YEAR)).alias("volatility"),
        pl.col("ahead").list.sum().alias("return"),
    )
    return labels.select(*_KEY, "regime").join(measured, on=_KEY)


def _errors(one: pl.DataFrame, name: str) -> tuple[float, float]:
    """Squared errors of one symbol's forecasts, with and without the regime."""
    outcome = one[name].to_numpy()
    same = one["regime"].to_numpy()[:, None] == np.array(REGIMES)
    known = max(outcome.size - AHEAD_SESSIONS, 0)
    by_regime = np.cumsum(same * outcome[:, None], axis=0)[:known], np.cumsum(same, axis=0)[:known]
    here = same[AHEAD_SESSIONS:]
    total, count = (np.where(here, part, 0).sum(axis=1) for part in by_regime)
    seen = count >= AHEAD_SESSIONS
    overall = np.cumsum(outcome)[:known] / np.arange(1, known + 1)
    later = outcome[AHEAD_SESSIONS:]
    knowing = later[seen] - total[seen] / count[seen]
    return float(np.sum(knowing**2)), float(np.sum((later[seen] - overall[seen]) ** 2))


def _gain(errors: list[tuple[float, float]]) -> float | None:
    knowing, ignoring = (math.fsum(column) for column in zip(*errors, strict=True)) if errors else (0.0, 0.0)
    return 1 - knowing / ignoring if ignoring else None


def _f1(true: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_]) -> float:
    return 2 * float((true & said).sum()) / float(true.sum() + said.sum())


def _switches(words: Words) -> int:
    return int((words[1:] != words[:-1]).sum())


def _waits(true: Words, said: Words) -> Floats:
    """Sessions from each true change to the first right label within the new spell, or the spell's length."""
    edges = [*(np.flatnonzero(true[1:] != true[:-1]) + 1), true.size]
    waits = []
    for begin, end in pairwise(edges):
        right = np.flatnonzero(said[begin:end] == true[begin])
        waits.append(float(right[0] if right.size else end - begin))
    return np.array(waits)
