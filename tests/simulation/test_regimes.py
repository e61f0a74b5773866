"""The truth about regimes: lengths, order, scale, and who follows the market."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.market import regimes
from simulation.market.model import MARKET, REGIME_TRUTH, REGIMES
from simulation.market.regimes import Chain, market_chain, symbol_chain
from simulation.market.timeline import timeline
from tests.simulation.worlds import LIFE, YEAR, cast, market, moves, names
from trading_assets.core.calendar import XNYS

LENGTH = timeline().length
SEEDS = st.integers(0, 2**32 - 1)


def spells(chain: Chain) -> list[int]:
    """Lengths of all but the last spell, which the calendar cuts."""
    return [later - earlier for earlier, later in pairwise(chain.starts.tolist())]


def no_repeats(chain: Chain) -> bool:
    return all(one != two for one, two in pairwise(chain.codes.tolist()))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_market_s_spells_last_40_to_159_sessions_and_never_repeat(seed: int) -> None:
    chain = market_chain(seed, LENGTH)
    assert chain.starts[0] == 0
    assert all(40 <= length < 160 for length in spells(chain))
    assert no_repeats(chain)
    assert chain.states(LENGTH).size == LENGTH
    assert LENGTH - chain.starts[-1] < 160


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, symbol=st.sampled_from(names()))
def test_a_symbol_changes_up_to_nine_sessions_after_the_market_and_never_repeats(seed: int, symbol: str) -> None:
    shared = market_chain(seed, LENGTH)
    own = symbol_chain(seed, symbol, shared)
    late = own.starts - shared.starts
    assert late[0] == 0
    assert ((late >= 0) & (late <= 9)).all()
    assert no_repeats(own)
    assert all(31 <= length <= 168 for length in spells(own))


def test_each_regime_is_as_likely_as_the_others_over_many_markets() -> None:
    codes = np.concatenate([market_chain(seed, LENGTH).codes for seed in range(200)])
    shares = np.bincount(codes, minlength=5) / codes.size
    assert np.abs(shares - 0.2).max() < 0.02


def test_symbols_are_mostly_in_the_market_s_regime() -> None:
    truth = market().truth(names(0, 150), LIFE)
    shared = truth.filter(pl.col("symbol") == MARKET).select("session", shared="regime")
    same = truth.filter(pl.col("symbol") != MARKET).join(shared, on="session")
    assert 0.75 < (same["regime"] == same["shared"]).mean() < 0.88  # type: ignore[operator]


def test_truth_has_a_row_for_the_market_and_for_each_lived_session() -> None:
    short = next(one for one in cast().values() if one.life != LIFE)
    truth = market().truth([short.symbol, MARKET, short.symbol], LIFE)
    assert REGIME_TRUTH.conform(truth).equals(truth)
    lived = truth.filter(pl.col("symbol") == short.symbol)["session"].to_list()
    assert lived == [session.day for session in XNYS.sessions(short.first, short.last)]
    assert truth.filter(pl.col("symbol") == MARKET).height == LENGTH
    assert set(truth["regime"]) <= set(REGIMES)
    assert market().truth([], YEAR)["symbol"].unique().to_list() == [MARKET]


def test_deviations_and_drifts_are_ordered_as_the_regimes_say() -> None:
    members = [one for one in cast().values() if one.life == LIFE][:60]
    truth = market().truth([one.symbol for one in members], LIFE)
    parts = []
    for one in members:
        events = market().events([one.symbol], LIFE)
        calm = moves(one.symbol).join(events, on="session", how="anti")
        of = truth.filter(pl.col("symbol") == one.symbol).drop("symbol")
        parts.append(calm.select("session", move=pl.col("move") / one.scale).join(of, on="session"))
    found = (
        pl.concat(parts).group_by("regime").agg(pl.col("move").mean().alias("drift"), pl.col("move").std().alias("sd"))
    )
    drift = dict(found.select("regime", "drift").rows())
    deviation = dict(found.select("regime", "sd").rows())
    for code, regime in enumerate(REGIMES):
        assert drift[regime] == pytest.approx(regimes.DRIFT[code], abs=0.0008), regime
    assert deviation["low_volatility"] < 0.006
    assert deviation["trending_up"] == pytest.approx(0.009, rel=0.15)
    assert deviation["ranging"] == pytest.approx(0.011, rel=0.15)
    assert deviation["trending_down"] == pytest.approx(0.012, rel=0.15)
    assert deviation["high_volatility"] == pytest.approx(0.030, rel=0.1)


def test_ranging_returns_to_its_level_and_trends_do_not() -> None:
    codes = np.repeat([regimes.RANGING, regimes.UP], 160)
    shocks = np.random.default_rng(3).standard_normal((300, 320))
    walked = np.array([np.cumsum(regimes.moves(codes, one)) for one in shocks])
    spread = walked.std(axis=0)
    assert spread[159] == pytest.approx(spread[80], rel=0.2)
    assert spread[159] == pytest.approx(0.011 / np.sqrt(1 - 0.93**2), rel=0.15)
    assert (walked[:, 319] - walked[:, 159]).mean() == pytest.approx(160 * 0.0022, rel=0.1)


def test_the_pulled_level_is_the_recursion_written_out() -> None:
    shocks = np.random.default_rng(4).standard_normal(169)
    found = np.cumsum(regimes.moves(np.full(169, regimes.RANGING), shocks))
    level, expected = 0.0, []
    for shock in shocks:
        level = 0.93 * level + 0.011 * shock
        expected.append(level)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_unrest_has_memory_and_the_stated_deviation() -> None:
    drawn = np.array([regimes.unrest(seed, LENGTH, "market") for seed in range(20)])
    assert drawn.std() == pytest.approx(0.2, rel=0.05)
    assert np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1] == pytest.approx(0.95, abs=0.02)


def test_squared_moves_cluster_within_a_regime() -> None:
    one = market()._factors.diffusion("SIM001")
    inside = np.diff(one.states) == 0
    surprises = np.log(one.sigma[1:] / one.sigma[:-1])[inside]
    assert 0.02 < np.abs(surprises).mean() < 0.15


def test_a_fall_at_the_end_is_a_downtrend_of_120_sessions() -> None:
    states = regimes.falling_at_the_end(np.zeros(1000, dtype=np.int64), 700)
    assert np.flatnonzero(states == regimes.DOWN).tolist() == list(range(581, 701))
    one = next(one for one in cast().values() if one.fails)
    truth = market().truth([one.symbol], LIFE).filter(pl.col("symbol") == one.symbol)
    assert set(truth["regime"].tail(120)) == {"trending_down"}


def test_the_desk_s_words_for_regimes_are_the_truth_s() -> None:
    from typing import get_args

    from trading_assets.regimes.model import MARKET as DESK_MARKET
    from trading_assets.regimes.model import Regime

    assert get_args(Regime) == REGIMES
    assert DESK_MARKET == MARKET


def test_the_desk_s_rules_recognise_the_regimes() -> None:
    """Far above a constant answer; docs/simulation.md has the exact figures."""
    from trading_assets.core.ports import Span
    from trading_assets.regimes.rules import regime_labels

    few, span = names(0, 6), Span(LIFE.first, timeline().days[3500])
    actions = pl.concat([market().corporate_actions(symbol, span) for symbol in few])
    said = regime_labels(market().daily_panel(few, span), actions, span=span).select("session", "symbol", said="regime")
    both = said.join(market().truth(few, span), on=("session", "symbol"))
    assert (both["said"] == both["regime"]).mean() > 0.5  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(8, 200, 8))
def test_a_regime_that_a_symbol_would_enter_after_the_end_is_not_reached(seed: int) -> None:
    """Seed 8: the market changes so late that a symbol's lag leads beyond the last session."""
    chain = market_chain(seed, LENGTH)
    for name in names(10):
        assert symbol_chain(seed, name, chain).states(LENGTH).size == LENGTH
