"""The contenders beside each other: one row each, over several made markets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from trading_assets.regimes.contenders import CONTENDERS, Contender, World
from trading_assets.regimes.model import MARKET
from trading_assets.regimes.moves import daily_moves
from trading_assets.regimes.scoring import Score, forecast_gain, score, usefulness

RULES = "rules"


@dataclass(frozen=True)
class Judged:
    """One contender in one world."""

    contender: Contender
    score: Score
    gain: Mapping[str, float | None]
    labels: pl.DataFrame


def judged(world: World, moves: pl.DataFrame) -> Iterator[Judged]:
    """Every contender's score on the second half of a world, and what its labels say of the next 20 sessions."""
    for contender in CONTENDERS:
        labels = contender.label(world)
        yield Judged(contender, score(labels, world.judged), forecast_gain(labels, moves), labels)


def standings(worlds: Sequence[World]) -> dict[str, Any]:
    """The table of all contenders, means over the worlds, and what followed the rules' labels of MARKET.

    `contenders`: method, knows, macro_f1 and its standard error over worlds (None with one world), balanced_accuracy, switches,
    delay_sessions, f1 by regime, and gain (see scoring.forecast_gain). `true_switches` and `sessions` are per symbol and in all.
    `next_20_sessions` holds rows of scoring.usefulness, all worlds together.
    """
    found: dict[str, list[Judged]] = {}
    after: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    for number, world in enumerate(worlds):
        moves = daily_moves(world.bars, world.actions, last=world.span.last)
        for one in judged(world, moves):
            found.setdefault(one.contender.name, []).append(one)
        after.append(_market(found[RULES][-1].labels, moves, number))
    labels, moves = (pl.concat(column) for column in zip(*after, strict=True))
    rules = found[RULES]
    return {
        "contenders": [_row(runs) for runs in found.values()],
        "true_switches": _mean(run.score.true_switches for run in rules),
        "sessions": sum(run.score.sessions for run in rules),
        "next_20_sessions": usefulness(labels, moves).rows(named=True),
    }


def _row(runs: Sequence[Judged]) -> dict[str, Any]:
    contender, scores = runs[0].contender, [run.score for run in runs]
    return {
        "method": contender.name,
        "knows": contender.knows,
        "macro_f1": _mean(one.macro_f1 for one in scores),
        "macro_f1_error": _error([one.macro_f1 for one in scores]),
        "balanced_accuracy": _mean(one.balanced_accuracy for one in scores),
        "switches": _mean(one.switches for one in scores),
        "delay_sessions": _mean(one.delay_sessions for one in scores),
        "f1": {
            name: _mean(one.f1.get(name) for one in scores) for name in sorted({n for one in scores for n in one.f1})
        },
        "gain": {name: _mean(run.gain[name] for run in runs) for name in runs[0].gain},
    }


def _market(labels: pl.DataFrame, moves: pl.DataFrame, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """MARKET of one world under a name of its own."""
    market, named = pl.col("symbol") == MARKET, pl.lit(f"{MARKET} {number}").alias("symbol")
    return labels.filter(market).with_columns(named), moves.filter(market).with_columns(named)


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _error(values: Sequence[float]) -> float | None:
    """Standard error of the mean."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
