import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.market.frames import actions_frame
from tests.market.universe.worlds import DAYS, bars_of, facts_of, instrument, one, written
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.universe.config import Universes
from trading_assets.market.universe.membership import Facts
from trading_assets.market.universe.model import UNIVERSE_PAIRS
from trading_assets.market.universe.pairs import (
    PairSnapshot,
    cointegrated_pairs,
    correlations,
    half_life_sessions,
    link,
    pairs_need_from,
)

Floats = NDArray[np.float64]
LENGTH = 320
NOW = DAYS[LENGTH - 1]


def walk(seed: int, *, length: int = LENGTH, deviation: float = 0.012) -> Floats:
    return np.cumsum(np.random.default_rng(seed).normal(0.0, deviation, length))


def reverting(seed: int, *, half_life: float, deviation: float, length: int = LENGTH) -> Floats:
    """A spread whose deviations halve in `half_life` sessions."""
    keep, rng = 0.5 ** (1 / half_life), np.random.default_rng(seed)
    steps, spread = rng.normal(0.0, deviation, length), np.zeros(length)
    for n in range(1, length):
        spread[n] = keep * spread[n - 1] + steps[n]
    return spread


def planted(seed: int, *, beta: float = 0.8, half_life: float = 6.0) -> tuple[Floats, Floats]:
    """Log prices a = 1 + beta b + spread."""
    b = walk(seed)
    return 1.0 + beta * b + reverting(seed + 1, half_life=half_life, deviation=0.008), b


def facts_from(lines: dict[str, Floats], **more: Any) -> Facts:
    return facts_of(bars_of({symbol: (50 * np.exp(line)).tolist() for symbol, line in lines.items()}), **more)


def configured(**pairs: Any) -> Universes:
    return written({"all": {"base": "instruments"}}, pairs={"two": {"base": "all", "rebalance": "daily"} | pairs})


def at(config: Universes, facts: Facts, session: date = NOW.day) -> PairSnapshot:
    return cointegrated_pairs(config, facts, span=one(session), calendar=XNYS)


def found(frame: pl.DataFrame) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in frame.select("symbol_a", "symbol_b").rows()}


def test_a_planted_pair_is_found_with_its_hedge_and_half_life() -> None:
    a, b = planted(1)
    frame = at(configured(), facts_from({"AAA": a, "BBB": b})).frame
    row = frame.row(0, named=True)
    assert found(frame) == {frozenset({"AAA", "BBB"})}
    slope = row["beta"] if row["symbol_a"] == "AAA" else 1 / row["beta"]
    assert slope == pytest.approx(0.8, abs=0.15)
    assert 2.0 < row["half_life_sessions"] < 15.0
    assert row["p_value"] < 0.01
    assert frame.equals(UNIVERSE_PAIRS.conform(frame))


def test_most_planted_pairs_are_found_among_unrelated_walks() -> None:
    hits = 0
    for seed in range(20, 32):
        a, b = planted(seed, half_life=3.0)
        strangers = {f"S{n}": walk(seed * 100 + n) for n in range(2)}
        hits += frozenset({"AAA", "BBB"}) in found(
            at(configured(), facts_from({"AAA": a, "BBB": b, **strangers})).frame
        )
    assert hits >= 10


def test_independent_walks_are_found_no_oftener_than_by_chance() -> None:
    """60 pairs without a link at 5 %: 3 expected with one ordering, fewer with both; 8 or more would be 1 in 100."""
    pairs = [link("A", "B", (walk(2 * n), walk(2 * n + 1)), correlation=0.0) for n in range(60)]
    assert sum(each is not None and each.p_value <= 0.05 for each in pairs) < 8


def test_the_p_value_is_the_larger_one_of_the_two_orderings() -> None:
    from statsmodels.tsa.stattools import coint

    a, b = planted(3)
    forward, backward = coint(a, b)[1], coint(b, a)[1]
    tested = link("AAA", "BBB", (a, b), correlation=0.5)
    assert tested is not None
    assert tested.p_value == max(forward, backward)
    assert (tested.a, tested.b) == (("AAA", "BBB") if forward <= backward else ("BBB", "AAA"))


def test_hedge_spread_and_half_life_are_those_of_least_squares() -> None:
    a, b = planted(5, beta=0.5)
    tested = link("AAA", "BBB", (a, b), correlation=0.5)
    assert tested is not None
    first, second = (a, b) if tested.a == "AAA" else (b, a)
    slope, intercept = np.polyfit(second, first, 1)
    spread = first - intercept - slope * second
    assert (tested.alpha, tested.beta) == pytest.approx((intercept, slope))
    assert tested.deviation == pytest.approx(float(np.std(spread, ddof=1)))
    pull = np.polyfit(spread[:-1], np.diff(spread), 1)[0]
    assert tested.half_life == pytest.approx(-math.log(2) / math.log(1 + pull))


def test_the_order_of_the_symbols_does_not_matter() -> None:
    a, b = planted(4)
    one_way, other_way = link("AAA", "BBB", (a, b), correlation=0.5), link("BBB", "AAA", (b, a), correlation=0.5)
    assert one_way == other_way


def test_a_line_that_does_not_move_has_no_link() -> None:
    assert link("AAA", "BBB", (walk(1), np.zeros(LENGTH)), correlation=0.0) is None
    assert link("AAA", "BBB", (np.zeros(LENGTH), np.zeros(LENGTH)), correlation=0.0) is None


@pytest.mark.parametrize("half_life", [2.0, 10.0, 40.0])
def test_the_half_life_of_an_exact_decay_is_its_own(half_life: float) -> None:
    decay = 0.5 ** (np.arange(100) / half_life)
    assert half_life_sessions(decay - decay.mean()) == pytest.approx(half_life, rel=0.05)


@pytest.mark.parametrize("spread", [np.arange(50.0) ** 2, np.tile([1.0, -1.0], 25) * 1.1 ** np.arange(50)])
def test_a_spread_that_does_not_return_has_no_half_life(spread: Floats) -> None:
    assert half_life_sessions(spread) is None


def test_pairs_that_hardly_correlate_are_not_tested() -> None:
    a, b = planted(1)
    snapshot = at(configured(correlation_min=0.99), facts_from({"AAA": a, "BBB": b}))
    assert snapshot.frame.is_empty()
    assert snapshot.tested[0].correlated == snapshot.tested[0].tested == 0


def test_the_number_of_tests_is_bounded_and_what_was_left_out_is_counted() -> None:
    lines = {f"S{n}": walk(7) + reverting(n, half_life=5.0, deviation=0.001 * (n + 1)) for n in range(5)}
    tested = at(configured(tests_max=3), facts_from(lines)).tested[0]
    assert (tested.securities, tested.correlated, tested.tested) == (5, 10, 3)
    assert tested.false_finds_expected == pytest.approx(0.15)


def test_at_most_so_many_pairs_are_kept_the_surest_first() -> None:
    lines = {f"S{n}": walk(7) + reverting(n, half_life=5.0, deviation=0.002) for n in range(5)}
    every = at(configured(), facts_from(lines)).frame
    few = at(configured(pairs_max=2), facts_from(lines)).frame
    assert every.height > 2
    assert few["p_value"].sort().to_list() == every["p_value"].sort().to_list()[:2]


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_a_correction_raises_p_values_and_drops_pairs(correction: str) -> None:
    lines = {f"S{n}": walk(50 + n) for n in range(8)}
    a, b = planted(1)
    facts = facts_from({"AAA": a, "BBB": b, **lines})
    loose, strict = (at(configured(correlation_min=-1.0, correction=each), facts) for each in ("none", correction))
    assert found(strict.frame) <= found(loose.frame)
    assert frozenset({"AAA", "BBB"}) in found(strict.frame)
    assert (strict.frame["p_value_adjusted"] > strict.frame["p_value"]).all()
    assert (loose.frame["p_value_adjusted"] == loose.frame["p_value"]).all()


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_a_pair_that_is_rare_alone_but_not_among_so_many_is_dropped(correction: str) -> None:
    """A p-value of 0.028 is below 0.05 for one pair and above it for the smallest of fifteen."""
    a, b = planted(26, half_life=12.0)
    facts = facts_from({"AAA": a, "BBB": b, **{f"S{n}": walk(50 + n) for n in range(4)}})
    loose, strict = (at(configured(correlation_min=-1.0, correction=each), facts) for each in ("none", correction))
    assert found(loose.frame) == {frozenset({"AAA", "BBB"})}
    assert 0.02 < loose.frame["p_value"][0] < 0.05
    assert strict.tested[0].tested == 15
    assert strict.frame.is_empty()


def test_holm_is_the_step_down_of_its_definition() -> None:
    lines = {f"S{n}": walk(7) + reverting(n, half_life=5.0, deviation=0.002) for n in range(3)}
    frame = at(configured(correction="holm"), facts_from(lines)).frame.sort("p_value")
    assert frame.height == 3
    raw, running = frame["p_value"].to_list(), 0.0
    for place, (value, adjusted) in enumerate(zip(raw, frame["p_value_adjusted"].to_list(), strict=True)):
        running = max(running, min(1.0, value * (3 - place)))
        assert adjusted == pytest.approx(running)


def test_a_spread_that_returns_too_slowly_is_left_out() -> None:
    a, b = planted(1, half_life=6.0)
    assert at(configured(half_life_sessions_max=0.5), facts_from({"AAA": a, "BBB": b})).frame.is_empty()


def test_mirror_images_are_no_pair() -> None:
    """Their hedge would be two positions of the same sign."""
    b = walk(9)
    a = -b + reverting(10, half_life=5.0, deviation=0.004)
    assert at(configured(correlation_min=-1.0), facts_from({"AAA": a, "BBB": b})).frame.is_empty()


def test_a_split_leaves_pairs_as_they_are() -> None:
    a, b = planted(1)
    facts = facts_from({"AAA": a, "BBB": b})
    cut = DAYS[LENGTH - 50].day
    halved = pl.when((pl.col("symbol") == "AAA") & (pl.col("session") >= cut)).then(pl.col("close") / 2)
    split = Facts(
        facts.bars.with_columns(close=halved.otherwise("close")),
        actions_frame(("AAA", cut, "split", 2.0)),
        facts.reference,
        facts.instruments,
    )
    whole, other = at(configured(), facts).frame, at(configured(), split).frame
    assert found(other) == found(whole)
    for column in ("p_value", "beta", "half_life_sessions", "spread_z"):
        assert other[column].to_list() == pytest.approx(whole[column].to_list(), rel=1e-6)


def test_the_spread_is_carried_on_with_the_hedge_of_the_rebalancing_session() -> None:
    a, b = planted(1)
    config, facts = configured(rebalance="monthly"), facts_from({"AAA": a, "BBB": b})
    begun = next(day for day in DAYS[300:] if day.day.month != XNYS.previous(day.day).day.month)
    span = Span(begun.day, XNYS.next(begun.day, 3).day)
    frame = cointegrated_pairs(config, facts, span=span, calendar=XNYS).frame
    assert frame["rebalanced_on"].unique().to_list() == [begun.day]
    assert frame["beta"].n_unique() == 1
    prices = {(s, d): c for s, d, c in facts.bars.select("symbol", "session", "close").iter_rows()}
    for row in frame.iter_rows(named=True):
        log_a, log_b = (math.log(prices[row[side], row["session"]]) for side in ("symbol_a", "symbol_b"))
        expected = (log_a - row["alpha"] - row["beta"] * log_b) / row["spread_deviation"]
        assert row["spread_z"] == pytest.approx(expected)


def test_a_split_between_rebalance_and_session_does_not_move_the_spread() -> None:
    a, b = planted(1)
    config, facts = configured(rebalance="monthly"), facts_from({"AAA": a, "BBB": b})
    begun = next(day for day in DAYS[300:] if day.day.month != XNYS.previous(day.day).day.month)
    cut = XNYS.next(begun.day, 2).day
    halved = pl.when((pl.col("symbol") == "BBB") & (pl.col("session") >= cut)).then(pl.col("close") / 2)
    split = facts_of(
        facts.bars.with_columns(close=halved.otherwise("close")), actions=actions_frame(("BBB", cut, "split", 2.0))
    )
    before, after = (at(config, each, XNYS.next(cut).day).frame for each in (facts, split))
    assert after["spread_z"].to_list() == pytest.approx(before["spread_z"].to_list())


def test_a_session_without_one_of_the_two_bars_has_no_spread() -> None:
    a, b = planted(1)
    config = configured(rebalance="monthly")
    begun = next(day for day in DAYS[300:] if day.day.month != XNYS.previous(day.day).day.month)
    silent = XNYS.next(begun.day).day
    facts = facts_from({"AAA": a, "BBB": b})
    hushed = facts_of(facts.bars.filter((pl.col("symbol") != "AAA") | (pl.col("session") != silent)))
    assert at(config, hushed, silent).frame["spread_z"].to_list() == [None]
    assert at(config, hushed, XNYS.next(silent).day).frame["spread_z"].null_count() == 0


def test_a_pair_ends_with_the_life_of_either() -> None:
    a, b = planted(1)
    config = configured(rebalance="monthly")
    begun = next(day for day in DAYS[300:] if day.day.month != XNYS.previous(day.day).day.month)
    lives = [instrument("AAA", last_session=begun.day), instrument("BBB")]
    facts = facts_from({"AAA": a, "BBB": b}, instruments=lives)
    assert at(config, facts, begun.day).frame.height == 1
    assert at(config, facts, XNYS.next(begun.day).day).frame.is_empty()


def test_a_security_with_too_few_bars_is_not_considered() -> None:
    a, b = planted(1)
    young = np.concatenate([np.full(LENGTH - 200, np.nan), b[-200:] * 1.01])
    assert at(configured(), facts_from({"AAA": a, "BBB": b, "NEW": young})).tested[0].securities == 2


def test_a_few_missing_bars_do_not_exclude_a_security() -> None:
    a, b = planted(1)
    holes = a.copy()
    holes[LENGTH - 100 : LENGTH - 92] = np.nan
    snapshot = at(configured(), facts_from({"AAA": holes, "BBB": b}))
    assert found(snapshot.frame) == {frozenset({"AAA", "BBB"})}


def test_a_base_that_refuses_refuses_the_pairs() -> None:
    config = written(
        {"all": {"base": "instruments", "filters": [{"field": "pe", "operator": "top_n", "value": 2}]}},
        pairs={"two": {"base": "all", "rebalance": "daily"}},
    )
    snapshot = at(config, facts_from({"AAA": walk(1), "BBB": walk(2)}))
    assert "its base all has no members: pe has no value" in snapshot.refusals[0].what


def test_a_single_security_makes_no_pair_and_no_error() -> None:
    snapshot = at(configured(), facts_from({"AAA": walk(1)}))
    assert snapshot.frame.is_empty()
    assert not snapshot.refusals
    assert snapshot.tested[0].tested == 0


def test_only_as_many_bars_are_needed_as_are_asked_for() -> None:
    a, b = planted(1)
    config, facts = configured(rebalance="weekly"), facts_from({"AAA": a, "BBB": b})
    first = pairs_need_from(config, one(NOW.day), XNYS)
    near = Facts(facts.bars.filter(pl.col("session") >= first), facts.actions, facts.reference, facts.instruments)
    assert at(config, near).frame.equals(at(config, facts).frame)


def test_one_session_and_a_range_agree_to_the_last_bit() -> None:
    a, b = planted(1)
    config, facts = configured(rebalance="weekly"), facts_from({"AAA": a, "BBB": b})
    span = Span(DAYS[LENGTH - 8].day, NOW.day)
    whole = cointegrated_pairs(config, facts, span=span, calendar=XNYS).frame
    alone = [at(config, facts, each.day).frame for each in DAYS[LENGTH - 8 : LENGTH]]
    assert whole.equals(pl.concat(alone))


@pytest.mark.parametrize("cut", [True, False], ids=["the future is missing", "the future is another"])
def test_nothing_after_a_session_changes_its_pairs(cut: bool) -> None:
    a, b = planted(1)
    config, session = configured(rebalance="weekly"), DAYS[LENGTH - 20].day
    facts = facts_from({"AAA": a, "BBB": b})
    later = pl.col("session") > session
    bars = (
        facts.bars.filter(~later)
        if cut
        else facts.bars.with_columns(close=pl.when(later).then(pl.col("close") * 3 + 1).otherwise("close"))
    )
    splits = actions_frame(("AAA", DAYS[LENGTH - 10].day, "split", 5.0))
    assert at(config, facts_of(bars, actions=splits), session).frame.equals(at(config, facts, session).frame)


def plain_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    both = [(x, y) for x, y in zip(a, b, strict=True) if x == x and y == y]  # noqa: PLR0124 - not NaN
    return float(np.corrcoef(np.array(both).T)[0, 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 59), max_size=10))
def test_correlations_are_over_the_sessions_that_both_have(seed: int, missing: list[int]) -> None:
    returns = np.random.default_rng(seed).normal(0, 0.01, (3, 60))
    returns[0, missing] = np.nan
    matrix = correlations(returns)
    for i in range(3):
        for j in range(3):
            assert matrix[i, j] == pytest.approx(plain_correlation(returns[i].tolist(), returns[j].tolist()), abs=1e-7)


def test_a_line_that_stands_still_correlates_with_nothing() -> None:
    assert not np.isfinite(correlations(np.array([[0.0] * 60, np.linspace(0, 1, 60).tolist()]))[0, 1])


def test_pairs_planted_in_the_simulated_market_are_found() -> None:
    """Ten steady pairs among forty securities; five more break at times and count neither way."""
    simulation = pytest.importorskip("simulation.market.market", reason="the simulated market is not there")
    from bench.pairs import search

    market = simulation.SimulatedMarket(7)
    planted_pairs = {frozenset((each.first, each.second)): each.breaks for each in market.planted_pairs()}
    steady = {pair for pair, breaks in planted_pairs.items() if not breaks}
    hits = found(search(market, date(2016, 3, 2), "benjamini_hochberg").frame)
    assert len(hits & steady) >= 8
    assert len(hits - planted_pairs.keys()) <= 4
