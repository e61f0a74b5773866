"""What the checks ask: any altered column of a stored row is found, and the paths agree with two other simulations."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from tests.watchlist.worlds import past_of as random_past
from tests.watchlist.worlds import resampled_exactly
from tests.weekly.worlds import made, open_screen, plan, targets, walked
from trading_assets.core.calendar import XNYS
from trading_assets.watchlist.montecarlo import Design, stream_keys
from trading_assets.watchlist.paths import draw
from trading_assets.weekly.audit import missing, plain_loss, portfolio_problems, sampled, screen_problems
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_SCREEN
from trading_assets.weekly.paths import draws_of, ends_of, measured, uniform
from trading_assets.weekly.runs import runs_in
from trading_assets.weekly.screen import past_of

FACTS, SPAN = made()
HOW = plan(open_screen(), p_loss_max=0.6, capital_fraction=0.2, holdings_max=2)
SCREEN, PORTFOLIOS = walked(FACTS, SPAN, HOW)
DAYS = runs_in(HOW.outline, SPAN)
PAST = past_of(FACTS, last=SPAN.last)
DAY = date(2012, 6, 15)


def of_portfolio(stored: pl.DataFrame) -> tuple[str, ...]:
    return portfolio_problems(stored, SCREEN, PAST, HOW, days=DAYS, before=None)


def of_screen(stored: pl.DataFrame) -> tuple[str, ...]:
    return screen_problems(stored, FACTS, HOW, days=DAYS, gathered=DAYS)


def test_what_was_made_is_found_right() -> None:
    assert of_portfolio(PORTFOLIOS) == ()
    assert of_screen(SCREEN) == ()
    assert missing(PORTFOLIOS, DAYS) == ()


@pytest.mark.parametrize("name", [c.name for c in WEEKLY_PORTFOLIO.columns if c.name not in {"session", "symbol"}])
def test_a_portfolio_with_one_value_of_any_column_altered_is_found_out(name: str) -> None:
    kind = PORTFOLIOS.schema[name]
    other = {pl.Float64(): pl.col(name).fill_null(0.0) + 1e-6, pl.String(): pl.lit("because")}.get(
        kind, pl.col(name).shift(1, fill_value=pl.col(name).last()) if name == "rank" else pl.col(name)
    )
    if kind == pl.Int64():
        other = pl.col(name).fill_null(0) + 1
    if kind == pl.Date():
        other = pl.lit(DAY)
    if isinstance(kind, pl.Datetime):
        other = pl.col(name).dt.offset_by("1m")
    first = pl.int_range(pl.len()) == PORTFOLIOS.height - 1
    altered = PORTFOLIOS.with_columns(pl.when(first).then(other).otherwise(pl.col(name)).alias(name))
    assert not altered.equals(PORTFOLIOS)
    assert of_portfolio(altered)


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        ({"weight": pl.lit(0.2)}, "total"),
        ({"weight": pl.lit(-0.1)}, "is not between 0 and 0.25"),
        ({"weight": pl.lit(float("nan"))}, "is not between 0 and 0.25"),
        ({"middle": pl.lit(0.5)}, "quantiles out of order"),
        ({"p_loss": pl.lit(0.9)}, "p_loss is 0.9, other paths find"),
        ({"expected_return": pl.lit(0.5)}, "expected_return is 0.5, other paths find"),
    ],
)
def test_a_constant_is_found_by_more_than_the_recomputation(alter: dict[str, pl.Expr], told: str) -> None:
    shown = pl.col("p_loss").is_not_null()
    altered = PORTFOLIOS.with_columns(pl.when(shown).then(v).otherwise(pl.col(n)).alias(n) for n, v in alter.items())
    assert any(told in problem for problem in of_portfolio(altered))
    assert any("not what the same facts and seed give" in problem for problem in of_portfolio(altered))


def test_a_missing_total_a_missing_and_a_foreign_day_are_found() -> None:
    assert any("no row for the whole" in p for p in of_portfolio(PORTFOLIOS.filter(pl.col("symbol") != TOTAL)))
    assert of_portfolio(PORTFOLIOS.filter(pl.col("session") != DAYS[0]))
    assert missing(PORTFOLIOS.filter(pl.col("session") != DAYS[0]), DAYS)
    foreign = PORTFOLIOS.with_columns(session=pl.lit(XNYS.next(DAYS[-1]).day))
    assert any("is no run day" in p for p in of_portfolio(foreign))


def test_another_portfolio_before_is_found_by_its_trace() -> None:
    before = targets({"AAA": 0.25}, session=SPAN.first, until=SPAN.last)
    assert portfolio_problems(PORTFOLIOS, SCREEN, PAST, HOW, days=DAYS, before=before)


@pytest.mark.parametrize("name", [c.name for c in WEEKLY_SCREEN.columns if c.type in {"number", "text", "flag"}])
def test_a_screen_with_a_constant_for_a_column_is_found_out(name: str) -> None:
    constants = {"number": pl.lit(0.5), "text": pl.lit("because"), "flag": pl.lit(value=False)}
    kind = next(c.type for c in WEEKLY_SCREEN.columns if c.name == name)
    assert of_screen(SCREEN.with_columns(constants[kind].alias(name)))


def test_a_symbol_without_a_row_is_named() -> None:
    assert of_screen(SCREEN.filter(pl.col("symbol") != "BBB"))[0].startswith("BBB has indicators on")


def test_the_first_the_middle_and_the_last_are_sampled() -> None:
    assert sampled([]) == []
    assert sampled([DAYS[0]]) == [DAYS[0]]
    assert sampled(DAYS) == [DAYS[0], DAYS[len(DAYS) // 2], DAYS[-1]]


# --- the paths -----------------------------------------------------------------------------------------------------


def test_the_random_numbers_are_those_of_the_watch_lists_kernel() -> None:
    key = stream_keys(7, [DAY], ["weekly portfolio"], "bootstrap")
    counters = np.array([0, 1, 2, 1000, 2**40], dtype=np.uint64)
    mine = uniform(key, counters)
    theirs = [float(draw(key[0], counter) >> np.uint64(11)) * 2.0**-53 for counter in counters]
    assert mine.tolist() == theirs
    assert ((mine >= 0) & (mine < 1)).all()


def test_ends_are_those_of_every_path_of_a_short_past() -> None:
    """The mean, exact by enumeration, within five standard errors."""
    past, design = random_past(3, count=4), Design(20_000, 3, 2.0)
    ends = ends_of(past, draws_of(1, DAY, design))
    shown = measured(ends)
    _, _, mean = resampled_exactly(past, 1e-9, 1e9, 3, 2.0)
    assert abs(shown["expected_return"] - (mean - 1)) <= 5 * shown["expected_return_se"]


def test_p_loss_agrees_with_plain_numpy() -> None:
    past, design = random_past(5), Design(20_000, 5, 10.0)
    shown = measured(ends_of(past, draws_of(1, DAY, design)))
    other = plain_loss(past, design, np.random.default_rng(2))
    assert abs(shown["p_loss"] - other) <= 5 * np.sqrt(2) * shown["p_loss_se"]


def test_windows_without_a_gap_move_as_they_moved_together() -> None:
    past, draws = random_past(3), draws_of(1, DAY, Design(500, 5, 10.0))
    twice = past**2
    assert np.allclose((1 + ends_of(past, draws)) ** 2, 1 + ends_of(twice, draws))


def test_another_day_and_another_seed_draw_other_paths_and_the_same_draw_the_same() -> None:
    past, design = random_past(3), Design(200, 5, 10.0)
    ends = ends_of(past, draws_of(1, DAY, design))
    assert np.array_equal(ends, ends_of(past, draws_of(1, DAY, design)))
    assert not np.array_equal(ends, ends_of(past, draws_of(2, DAY, design)))
    assert not np.array_equal(ends, ends_of(past, draws_of(1, XNYS.next(DAY).day, design)))


def test_quantiles_are_in_order_and_a_sure_loss_is_one() -> None:
    shown = measured(np.array([-0.1, -0.2, -0.3]))
    assert shown["p_loss"] == 1.0
    assert shown["low_90"] <= shown["low_50"] <= shown["middle"] <= shown["high_50"] <= shown["high_90"]
    assert measured(np.array([0.0, 0.1]))["p_loss"] == 0.0, "what ends where it began is no loss"
