"""The same seed gives the same bits, whatever is asked, in which order, in how many parts and in which process."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.market import SimulatedMarket
from simulation.market.streams import dice
from tests.simulation.worlds import LIFE, MONTH, SEED, YEAR, cast, digest, market, names, sample, whole_life
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market.ports import EmptyAnswer

COMMITTED = "03dac268e4931385a2d725ab792ac1c69b76bf027693664e4743be3164adbaf5"
DAYS = st.dates(LIFE.first, LIFE.last)
SYMBOLS = st.sampled_from(names())


def test_the_market_of_seed_seven_is_the_one_that_was_committed() -> None:
    assert digest(sample(SimulatedMarket(SEED))) == COMMITTED


def test_another_process_with_another_hash_seed_makes_the_same_market() -> None:
    code = (
        "from simulation.market import SimulatedMarket; from tests.simulation.worlds import digest, sample;"
        f"print(digest(sample(SimulatedMarket({SEED}))))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert answers == {COMMITTED}


def test_other_seeds_are_other_markets() -> None:
    few = [digest([SimulatedMarket(seed).daily("SIM000", YEAR)]) for seed in (0, 1, 7, 2**32 - 1)]
    assert len(set(few)) == 4


@settings(max_examples=25, deadline=None)
@given(symbol=SYMBOLS, days=st.tuples(DAYS, DAYS).map(sorted))
def test_any_span_of_daily_bars_is_a_part_of_the_whole_life(symbol: str, days: list[date]) -> None:
    span = Span(days[0], days[1])
    expected = whole_life(symbol).filter(pl.col("session").is_between(span.first, span.last))
    try:
        found = market().daily(symbol, span)
    except EmptyAnswer:
        assert expected.is_empty()
    else:
        assert found.equals(expected)


@settings(max_examples=10, deadline=None)
@given(cut=st.dates(MONTH.first, MONTH.last - timedelta(days=4)), frequency=st.sampled_from(("1m", "5m", "1h")))
def test_intraday_bars_of_two_halves_are_those_of_the_whole(cut: date, frequency: str) -> None:
    halves = (Span(MONTH.first, cut), Span(cut + timedelta(days=1), MONTH.last))
    found = pl.concat([market().intraday("SIM004", frequency, half) for half in halves])  # type: ignore[arg-type]
    assert found.equals(market().intraday("SIM004", frequency, MONTH))  # type: ignore[arg-type]


@settings(max_examples=5, deadline=None)
@given(cut=st.dates(MONTH.first, MONTH.last - timedelta(days=4)))
def test_quotes_news_and_truth_of_two_halves_are_those_of_the_whole(cut: date) -> None:
    halves, few = (Span(MONTH.first, cut), Span(cut + timedelta(days=1), MONTH.last)), names(0, 8)
    world = market()
    asked: list[Callable[[Span], pl.DataFrame]] = [
        partial(world.quotes, "SIM004"),
        partial(world.news, few),
        partial(world.truth, few),
        partial(world.liquidity_truth, few),
        partial(world.events, few),
        partial(world.halts, few),
    ]
    for ask in asked:
        assert pl.concat([ask(half) for half in halves]).equals(ask(MONTH))


@settings(max_examples=10, deadline=None)
@given(few=st.lists(SYMBOLS, min_size=2, max_size=6, unique=True), shuffle=st.randoms(use_true_random=False))
def test_order_and_company_of_symbols_do_not_matter(few: list[str], shuffle: object) -> None:
    fresh, turned = SimulatedMarket(SEED), list(few)
    shuffle.shuffle(turned)  # type: ignore[attr-defined]
    expected = market().daily_panel(few, LIFE)
    assert fresh.daily_panel(turned, LIFE).equals(expected)
    assert fresh.daily(few[0], LIFE).equals(expected.filter(pl.col("symbol") == few[0]))


def test_what_was_asked_before_does_not_matter() -> None:
    fresh = SimulatedMarket(SEED)
    for frame, again in zip(reversed(sample(fresh)), reversed(sample(market())), strict=True):
        assert frame.equals(again)
    assert fresh.intraday("SIM000", "1m", MONTH).equals(SimulatedMarket(SEED).intraday("SIM000", "1m", MONTH))


def test_four_threads_get_what_one_gets() -> None:
    fresh, few = SimulatedMarket(SEED), names(0, 24)
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda symbol: fresh.daily(symbol, YEAR), few))
    assert pl.concat(frames).sort("session", "symbol").equals(market().daily_panel(few, YEAR))


def test_the_lead_of_news_moves_news_and_nothing_else() -> None:
    early, few = SimulatedMarket(SEED, lead_sessions=9), names(0, 12)
    assert early.daily_panel(few, LIFE).equals(market().daily_panel(few, LIFE))
    assert early.intraday("SIM003", "1m", MONTH).equals(market().intraday("SIM003", "1m", MONTH))
    assert not early.news(few, LIFE).equals(market().news(few, LIFE))


@pytest.mark.parametrize("lead", [0, -1, 21])
def test_a_lead_beyond_its_bounds_is_refused(lead: int) -> None:
    with pytest.raises(PermanentFailure, match="lead_sessions"):
        SimulatedMarket(SEED, lead_sessions=lead)


def test_streams_differ_by_every_name_and_by_the_order_of_names() -> None:
    streams = [
        (1, "a", "b"),
        (1, "b", "a"),
        (1, "ab"),
        (1, "a", "b", 0),
        (2, "a", "b"),
        (1, "a"),
        (11, "a"),
        (1, "1", "a"),
    ]
    drawn = {tuple(dice(seed, *rest).random(4).tolist()) for seed, *rest in streams}  # type: ignore[arg-type]
    assert len(drawn) == len(streams)


def test_streams_of_neighbouring_names_are_not_correlated() -> None:
    drawn = np.array([dice(SEED, "shocks", symbol).standard_normal(4000) for symbol in names(0, 40)])
    correlations = np.corrcoef(drawn)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 0.08
    assert abs(correlations.mean()) < 0.005


def test_the_cast_is_the_same_in_every_market_of_a_seed() -> None:
    assert cast() == {one.symbol: one for one in SimulatedMarket(SEED).cast()}
    assert cast() != cast(8)
