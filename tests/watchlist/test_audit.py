"""The check's eyes: each way in which a stored list can be wrong is seen, and a right one passes."""

from collections.abc import Callable

import polars as pl
import pytest

from tests.watchlist.worlds import listed, made, real, rules
from trading_assets.watchlist.audit import problems
from trading_assets.watchlist.model import METHODS

FREE = rules(screen=(), window_sessions=60, window_missing_max=3, paths=2_000)
SIMULATED = pl.col("stop").is_not_null()
Spoiling = Callable[[pl.DataFrame], pl.DataFrame]


def said(rows: pl.DataFrame) -> str:
    facts, span = made()
    return "; ".join(problems(rows, facts, FREE, span=span))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """A right list."""
    facts, span = made()
    return listed(facts, span, FREE)


def test_a_right_list_has_no_problem(rows: pl.DataFrame) -> None:
    assert said(rows) == ""


@pytest.mark.parametrize("seed", range(8))
def test_right_lists_of_other_seeds_have_no_problem(seed: int) -> None:
    facts, span = real()
    how = rules(seed=seed)
    assert problems(listed(facts, span, how), facts, how, span=span) == ()


def constant(value: float) -> Spoiling:
    """The same odds for every symbol and session: what an asset with a constant for a body would store."""
    odds = {f"p_target_{m}": value for m in METHODS} | {f"p_stop_{m}": 0.9 - value for m in METHODS}
    odds |= {f"p_neither_{m}": 0.1 for m in METHODS}
    return lambda rows: rows.with_columns(pl.when(SIMULATED).then(v).alias(name) for name, v in odds.items())


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: rows[1:], "has indicators on"),
        (lambda rows: rows.clear(), "has indicators on"),
        (lambda rows: rows.with_columns(symbol=pl.col("symbol") + "X"), "AAAX has a row"),
        (lambda rows: rows.with_columns(p_stop_gbm=1.2), "a probability by gbm is not between 0 and 1"),
        (
            lambda rows: rows.with_columns(p_stop_gbm=pl.lit(float("nan"))),
            "a probability by gbm is not between 0 and 1",
        ),
        (lambda rows: rows.with_columns(p_neither_bootstrap=0.9), "probabilities by bootstrap do not sum to 1"),
        (lambda rows: rows.with_columns(p_target_gbm=pl.lit(None, pl.Float64)), "is not between 0 and 1"),
        (lambda rows: rows.with_columns(stop=pl.col("target")), "not in this order"),
        (lambda rows: rows.with_columns(stop=pl.lit(None, pl.Float64)), "selected without a simulation"),
        (lambda rows: rows.with_columns(reason=pl.lit("")), "no reason"),
        (lambda rows: rows.with_columns(reason=pl.lit("because")), "are not what the same facts and seed give"),
        (lambda rows: rows.with_columns(selected=~pl.col("selected")), "are not what the same facts and seed give"),
        (lambda rows: rows.with_columns(pl.col("rank") + 1), "are not what the same facts and seed give"),
    ],
)
def test_a_spoilt_list_is_named(rows: pl.DataFrame, spoil: Spoiling, sentence: str) -> None:
    assert sentence in said(spoil(rows))


@pytest.mark.parametrize("value", [0.05, 0.75])
def test_constant_odds_are_seen_twice(rows: pl.DataFrame, value: float) -> None:
    told = said(constant(value)(rows))
    assert "are not what the same facts and seed give" in told
    assert "plain numpy finds" in told


def test_odds_of_yesterday_are_seen(rows: pl.DataFrame) -> None:
    late = rows.with_columns(pl.col("^p_.*$", "^expected.*$").shift(1).over("symbol"))
    assert "are not what the same facts and seed give" in said(late.drop_nulls("p_target_gbm"))


def test_odds_that_are_right_for_other_levels_are_seen(rows: pl.DataFrame) -> None:
    """The second opinion reads the stored levels: odds of a nearer target are too good for the stored one."""
    facts, span = made()
    eager = listed(
        facts, span, FREE.model_copy(update={"levels": FREE.levels.model_copy(update={"reward_to_risk": 0.5})})
    )
    assert "plain numpy finds" in said(eager.with_columns(rows["target"]))


def test_no_facts_and_no_rows_are_no_problem() -> None:
    facts, span = made()
    nothing = type(facts)(facts.bars, facts.actions, facts.panel.clear(), facts.labels)
    assert problems(listed(facts, span, FREE).clear(), nothing, FREE, span=span) == ()
