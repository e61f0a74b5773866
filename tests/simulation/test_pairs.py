"""Planted pairs: cointegrated where they are meant to be, broken where the truth says so, and converging afterwards."""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from simulation.market import SimulatedMarket
from simulation.market.model import BREAKDOWN_TRUTH, Pair
from simulation.market.timeline import timeline
from tests.simulation.worlds import LIFE, SEED, all_actions, cast, log_closes, market, names
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span

WINDOWS = [Span(date(year, 1, 1), date(year, 12, 31)) for year in (2006, 2011, 2015, 2021)]
SEEDS = (SEED, 11)


def steady(seed: int = SEED) -> list[Pair]:
    return [pair for pair in market(seed).planted_pairs() if not pair.breaks]


def breaking(seed: int = SEED) -> list[Pair]:
    return [pair for pair in market(seed).planted_pairs() if pair.breaks]


def correlation(pair: Pair, span: Span, seed: int = SEED) -> float:
    first, second = (np.diff(log_closes(symbol, span, seed)) for symbol in (pair.first, pair.second))
    return float(np.corrcoef(first, second)[0, 1])


def coint_p(first: str, second: str, span: Span, seed: int = SEED) -> float:
    from statsmodels.tsa.stattools import coint

    return float(coint(log_closes(second, span, seed), log_closes(first, span, seed))[1])


@pytest.mark.parametrize("seed", [0, 7, 8, 2**31])
def test_there_are_ten_steady_and_five_breaking_pairs_of_thirty_symbols(seed: int) -> None:
    pairs = SimulatedMarket(seed).planted_pairs()
    legs = [symbol for pair in pairs for symbol in (pair.first, pair.second)]
    assert [pair.breaks for pair in pairs] == [False] * 10 + [True] * 5
    assert len(set(legs)) == 30
    assert set(legs) <= set(names(10, 50))
    assert all(0.8 <= pair.hedge_ratio <= 1.2 for pair in pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_engle_granger_finds_every_steady_pair_in_every_year(seed: int) -> None:
    found = [coint_p(pair.first, pair.second, span, seed) for pair in steady(seed) for span in WINDOWS]
    assert np.mean(np.array(found) < 0.05) == 1.0


def test_engle_granger_finds_few_others() -> None:
    others = names(0, 10)
    found = [coint_p(one, two, span) for one, two in pairwise(others) for span in WINDOWS]
    assert np.mean(np.array(found) < 0.05) < 0.3


def test_the_regression_over_the_whole_life_gives_the_hedge_ratio() -> None:
    for pair in steady():
        first, second = log_closes(pair.first, LIFE), log_closes(pair.second, LIFE)
        slope = np.polyfit(first, second, 1)[0]
        assert slope == pytest.approx(pair.hedge_ratio, abs=0.02)


def test_the_spread_of_a_steady_pair_stays_narrow_for_25_years() -> None:
    for pair in steady():
        spread = log_closes(pair.second, LIFE) - pair.hedge_ratio * log_closes(pair.first, LIFE)
        assert np.std(spread) < 0.02
        assert np.ptp(log_closes(pair.first, LIFE)) > 0.5


def test_legs_share_sector_and_regimes_and_pay_nothing() -> None:
    for pair in market().planted_pairs():
        first, second = cast()[pair.first], cast()[pair.second]
        assert first.sector == second.sector
        assert second.beta == pytest.approx(pair.hedge_ratio * first.beta)
        truth = market().truth([pair.first, pair.second], LIFE)
        legs = [truth.filter(pl.col("symbol") == leg)["regime"] for leg in (pair.first, pair.second)]
        assert legs[0].equals(legs[1])
        for leg in (pair.first, pair.second):
            assert all_actions(leg).filter(pl.col("kind") == "cash_dividend").is_empty()


def test_steady_pairs_are_correlated_in_every_year() -> None:
    assert min(correlation(pair, span) for pair in steady() for span in WINDOWS) > 0.5


def test_breakdowns_conform_and_belong_to_the_breaking_pairs() -> None:
    episodes = market().breakdowns()
    assert BREAKDOWN_TRUTH.conform(episodes).equals(episodes)
    assert set(episodes.select("first", "second").rows()) == {(pair.first, pair.second) for pair in breaking()}
    assert episodes.height > 40
    for row in episodes.iter_rows(named=True):
        sessions = XNYS.sessions(row["session"], row["last_session"])
        assert 30 <= len(sessions) <= 59
        assert (sessions[0].day, sessions[-1].day) == (row["session"], row["last_session"])
        assert row["last_session"] < row["converged_session"] <= XNYS.next(row["last_session"], 120).day


def test_correlation_vanishes_in_an_episode_and_is_high_before() -> None:
    inside, before = [], []
    for row in market().breakdowns().iter_rows(named=True):
        pair = Pair(row["first"], row["second"], 1.0, breaks=True)
        inside.append(correlation(pair, Span(row["session"], row["last_session"])))
        earlier = Span(XNYS.previous(row["session"], 60).day, XNYS.previous(row["session"]).day)
        before.append(correlation(pair, earlier))
    assert abs(np.mean(inside)) < 0.1
    assert np.mean(before) > 0.8
    assert np.median(before) > 0.85


def test_after_an_episode_the_spread_returns_to_where_it_was() -> None:
    apart, together = [], []
    spreads = {pair.second: log_closes(pair.second, LIFE) - log_closes(pair.first, LIFE) for pair in breaking()}
    for row in market().breakdowns().iter_rows(named=True):
        spread = spreads[row["second"]]
        usual = np.median(spread)
        begin, end = timeline().number(row["session"]), timeline().number(row["converged_session"])
        apart.append(np.abs(spread[begin:end] - usual).max())
        together.append(abs(spread[end] - usual))
    assert np.median(apart) > 0.04
    assert np.max(together) < 0.04


def test_breaking_pairs_are_found_less_often_than_steady_ones() -> None:
    found = [coint_p(pair.first, pair.second, span) < 0.05 for pair in breaking() for span in WINDOWS]
    assert np.mean(found) < 0.8
