"""Pairs: numbers of numpy, planted breaks and reversions that are found, which pairs there are, lives, and the same bits."""

import math
from datetime import date
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import days_from, embedded, from_returns, markets, scrambled_after, span_of, splits_of, walk
from tests.features.test_epochs import split_at
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features import pairs
from trading_assets.features.canary_daily import correlation_disagreements, peer_disagreements
from trading_assets.features.correlations import correlations, divergence, wilson
from trading_assets.features.model import CORRELATION_COLUMNS, CORRELATIONS
from trading_assets.features.windows import Floats

NONE = splits_of()
NAMES = [column.name for column in CORRELATION_COLUMNS]
Market = tuple[pl.DataFrame, pl.DataFrame]


def of(bars: pl.DataFrame, actions: pl.DataFrame = NONE) -> pl.DataFrame:
    return correlations(bars, actions, span=span_of(bars))


def noise(count: int, *, seed: int, scale: float = 0.01) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, count)


def coupled(rho: float, count: int, *, seed: int) -> tuple[Floats, Floats]:
    """Normal returns with a correlation."""
    one, other = noise(count, seed=seed), noise(count, seed=seed + 1)
    return one, rho * one + math.sqrt(1 - rho * rho) * other


def pair_of(a: Floats, b: Floats) -> pl.DataFrame:
    return pl.concat([from_returns("AAA", a), from_returns("BBB", b)])


def reverting(count: int, *, seed: int, phi: float, width: float = 0.02) -> pl.DataFrame:
    """B walks; A is B plus a deviation that keeps a share `phi` of itself from session to session."""
    walked = np.cumsum(noise(count, seed=seed))
    shocks, apart = noise(count, seed=seed + 1, scale=width * math.sqrt(1 - phi * phi)), np.zeros(count)
    for now in range(1, count):
        apart[now] = phi * apart[now - 1] + shocks[now]
    return pair_of(np.diff(walked + apart, prepend=0.0), np.diff(walked, prepend=0.0))


def crowd(count: int, sessions: int, *, seed: int, groups: int = 4) -> pl.DataFrame:
    """Symbols that share the market and the walk of their group."""
    market = noise(sessions, seed=seed, scale=0.008)
    shared = [noise(sessions, seed=seed + 1 + n, scale=0.008) for n in range(groups)]
    own = [noise(sessions, seed=seed + 100 + n, scale=0.006) for n in range(count)]
    return pl.concat([from_returns(f"S{n:03d}", market + shared[n % groups] + own[n]) for n in range(count)])


# --- definitions ---------------------------------------------------------------------------------------------------


def test_correlations_are_numpys() -> None:
    a, b = coupled(0.6, 200, seed=1)
    rows = of(pair_of(a, b))
    for length in (20, 120):
        column = rows[f"correlation_{length}"]
        assert column.is_null().to_list() == [True] * length + [False] * (200 - length)
        expected = [np.corrcoef(a[i - length + 1 : i + 1], b[i - length + 1 : i + 1])[0, 1] for i in range(length, 200)]
        np.testing.assert_allclose(column.to_numpy()[length:], expected, rtol=1e-9, atol=1e-12)


def test_one_company_twice_is_perfectly_correlated_and_has_no_gap() -> None:
    returns = noise(200, seed=3)
    row = of(pair_of(returns, returns)).row(-1, named=True)
    assert (row["correlation_20"], row["correlation_120"]) == (1.0, 1.0)
    assert (row["divergence"], row["gap_z"], row["half_life_sessions"]) == (None, None, None)


def test_a_price_that_stands_still_is_correlated_with_nothing() -> None:
    row = of(pair_of(noise(200, seed=3), np.zeros(200))).row(-1, named=True)
    assert [row[name] for name in NAMES] == [None] * len(NAMES)
    assert row["episodes"] == 0


def test_divergence_of_unbroken_pairs_has_the_spread_that_its_error_promises() -> None:
    """Normal returns: values of separate windows must scatter with a standard deviation of one, whatever the correlation."""
    for rho in (0.0, 0.5, 0.9):
        a, b = coupled(rho, 120 * 500, seed=int(rho * 10) + 5)
        blocks = [slice(n * 120, (n + 1) * 120) for n in range(500)]
        long = np.array([np.corrcoef(a[s], b[s])[0, 1] for s in blocks])
        short = np.array([np.corrcoef(a[s][-20:], b[s][-20:])[0, 1] for s in blocks])
        assert divergence(short, long).std() == pytest.approx(1.0, abs=0.1)


def test_a_broken_pair_diverges() -> None:
    a, b = coupled(0.9, 400, seed=11)
    b[300:] = noise(100, seed=77)
    rows = of(pair_of(a, b))["divergence"]
    assert rows[150:300].abs().max() < 3.5  # type: ignore[operator]
    assert rows[300:340].min() < -4  # type: ignore[operator]


def test_the_gap_is_a_z_score_of_the_beta_weighted_spread() -> None:
    bars = reverting(300, seed=2, phi=0.8)
    row = of(bars).row(-1, named=True)
    a, b = (np.log(bars.filter(pl.col("symbol") == s)["close"].to_numpy()) for s in ("AAA", "BBB"))
    covariance = np.cov(np.diff(a)[-120:], np.diff(b)[-120:])
    spread = a[-60:] - covariance[0, 1] / covariance[1, 1] * b[-60:]
    assert row["gap_z"] == pytest.approx((spread[-1] - spread.mean()) / spread.std(ddof=1), rel=1e-9)
    slope = np.polyfit(spread[:-1], spread[1:], 1)[0]
    assert row["half_life_sessions"] == pytest.approx(math.log(0.5) / math.log(slope), rel=1e-7)


def test_a_faster_reversion_has_a_shorter_half_life_and_better_odds() -> None:
    quick, slow = (of(reverting(1500, seed=8, phi=phi)).tail(800) for phi in (0.7, 0.97))
    assert quick["half_life_sessions"].median() < slow["half_life_sessions"].median()  # type: ignore[operator]
    assert quick["convergence_odds"][-1] > 0.95
    assert slow["convergence_odds"][-1] < quick["convergence_odds"][-1]


def test_a_gap_that_never_closes_counts_as_lost_after_twenty_sessions() -> None:
    """A level that jumps once: far outside, and not back inside within 20 sessions."""
    bars = reverting(400, seed=5, phi=0.3, width=0.001)
    jump = pl.when((pl.col("symbol") == "AAA") & (pl.col("session") >= days_from(400)[300])).then(1.5).otherwise(1.0)
    rows = of(bars.with_columns(pl.col("high", "low", "close", "open") * jump))
    before, after = rows.row(299, named=True), rows.row(321, named=True)
    assert rows["gap_z"][300] > 5
    assert rows["episodes"][300] == before["episodes"] or rows["gap_z"][299] > 2
    assert after["episodes"] == rows["episodes"][320] + 1
    hits = [round(row["convergence_odds"] * row["episodes"]) for row in (rows.row(320, named=True), after)]
    assert hits[0] == hits[1], "the episode is lost"


def test_odds_count_only_what_ended_before_the_session() -> None:
    rows = of(reverting(600, seed=4, phi=0.6))
    z, episodes, hits, since = rows["gap_z"].to_list(), 0, 0, None
    for now, row in enumerate(rows.rows(named=True)):
        assert row["episodes"] == episodes
        assert row["convergence_odds"] == (hits / episodes if episodes else None)
        here, before = z[now], z[now - 1] if now else None
        if since is not None and ((here is not None and abs(here) < 0.5) or now - since >= 20):
            hits += here is not None and abs(here) < 0.5
            episodes, since = episodes + 1, None
        elif since is None and here is not None and before is not None and abs(here) > 2 >= abs(before):
            since = now
    assert episodes > 5


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_the_interval_is_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    """Values of the printed tables (Brown, Cai and DasGupta 2001)."""
    found = wilson(np.array([float(hits)]), np.array([float(trials)]))
    assert (found[0][0], found[1][0]) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_without_episodes_there_are_no_odds() -> None:
    low, high = wilson(np.zeros(1), np.zeros(1))
    assert math.isnan(low[0])
    assert math.isnan(high[0])


# --- lives and holes -----------------------------------------------------------------------------------------------


def test_a_missing_session_joins_its_two_returns() -> None:
    a, b = coupled(0.5, 160, seed=9)
    hole = days_from(160)[140]
    rows = of(pair_of(a, b).filter(~((pl.col("symbol") == "BBB") & (pl.col("session") == hole))))
    joined = [np.concatenate([x[:140], [x[140] + x[141]], x[142:]]) for x in (a, b)]
    expected = np.corrcoef(joined[0][-20:], joined[1][-20:])[0, 1]
    assert rows["correlation_20"][-1] == pytest.approx(expected, rel=1e-9)
    assert hole not in rows["session"].to_list()


@pytest.mark.parametrize(("silent", "known"), [(5, True), (6, False)])
def test_after_more_than_five_silent_sessions_a_pair_begins_a_new_life(silent: int, known: bool) -> None:
    """A ticker that changed owner must not meet its predecessor's past."""
    days = days_from(300)
    away = days[200 : 200 + silent]
    bars = pair_of(*coupled(0.5, 300, seed=9)).filter(~((pl.col("symbol") == "AAA") & pl.col("session").is_in(away)))
    row = of(bars).filter(pl.col("session") == days[215]).row(0, named=True)
    assert (row["correlation_20"] is not None) == known
    assert (row["episodes"] > 0 or row["correlation_120"] is not None) == known


def test_a_split_changes_nothing_that_matters() -> None:
    whole, actions = pair_of(*coupled(0.6, 250, seed=6)), splits_of(("AAA", days_from(250)[150], 4.0))
    split = pl.concat(
        [
            split_at(whole.filter(pl.col("symbol") == "AAA"), days_from(250)[150], 4.0),
            whole.filter(pl.col("symbol") == "BBB"),
        ]
    )
    one, other = of(whole), of(split, actions)
    for name in NAMES:
        np.testing.assert_allclose(other[name].to_numpy(), one[name].to_numpy(), rtol=1e-7, atol=1e-9, err_msg=name)
    assert not of(split)["correlation_20"].equals(one["correlation_20"])


# --- which pairs ---------------------------------------------------------------------------------------------------


def test_a_small_universe_has_all_its_pairs() -> None:
    bars = crowd(6, 40, seed=1)
    rows = of(bars)
    last = rows.filter(pl.col("session") == days_from(40)[-1])
    symbols = sorted(bars["symbol"].unique())
    assert last.select("symbol_a", "symbol_b").rows() == list(combinations(symbols, 2))
    assert rows.height == 15 * 40


def test_a_large_universe_has_each_symbols_ten_most_correlated_peers() -> None:
    bars = crowd(44, 150, seed=2)
    day = days_from(150)[-1]
    rows = correlations(bars, NONE, span=Span(day, day))
    drawn = rows.select("symbol_a", "symbol_b").rows()
    alike = [abs(int(a[1:]) - int(b[1:])) % 4 == 0 for a, b in drawn]
    assert all(alike), "eleven symbols walk with each group, so all ten peers are of the own group"
    assert {name for pair in drawn for name in pair} == set(bars["symbol"])
    assert len(drawn) == 4 * 55
    assert peer_disagreements(bars, NONE, rows, span=Span(day, day)) == ()


def test_peers_are_those_of_the_end_of_the_month_before() -> None:
    """Whatever happens within the month chooses nobody; the next month does."""
    bars = crowd(60, 190, seed=3)
    days = days_from(190)
    month = [day for day in days if (day.year, day.month) == (2000, 10)]
    assert month
    assert len([day for day in days if day < month[0]]) > 121
    altered = scrambled_after(bars, XNYS.previous(month[0]).day, seed=5).filter(pl.col("session") <= month[-1])
    names = ["symbol_a", "symbol_b"]
    for day in (month[0], month[-1]):
        true = correlations(bars, NONE, span=Span(day, day)).select(names).rows()
        other = correlations(altered, NONE, span=Span(day, day)).select(names).rows()
        present = set(altered.filter(pl.col("session") == day)["symbol"])
        assert other == [pair for pair in true if present.issuperset(pair)]
    following = [correlations(bars, NONE, span=Span(d, d)).select(names) for d in (month[-1], XNYS.next(month[-1]).day)]
    assert not following[0].equals(following[1])


def test_a_symbol_that_is_new_or_lacks_a_session_has_no_peers_yet() -> None:
    bars = crowd(40, 150, seed=4)
    days = days_from(150)
    holed = bars.filter(~((pl.col("symbol") == "S003") & (pl.col("session") == days[100])))
    rows = correlations(holed, NONE, span=Span(days[-1], days[-1]))
    assert "S003" not in {*rows["symbol_a"], *rows["symbol_b"]}
    early = correlations(bars, NONE, span=Span(days[60], days[60]))
    assert early.equals(CORRELATIONS.empty())


def test_thirty_symbols_are_small_and_thirty_one_are_large() -> None:
    bars = crowd(31, 130, seed=5)
    day = days_from(130)[-1]
    small = bars.filter(pl.col("symbol") != "S000")
    assert correlations(small, NONE, span=Span(day, day)).height == 30 * 29 // 2
    assert correlations(bars, NONE, span=Span(day, day)).height < 31 * 30 // 2


# --- shape, bits ---------------------------------------------------------------------------------------------------


def test_real_bars_agree_with_numpy_and_a_loop_over_the_past() -> None:
    bars, actions = embedded()
    for year in (2000, 2003, 2005, 2012):
        span = Span(date(year, 5, 1), date(year, 6, 29))
        rows = correlations(bars, actions, span=span)
        assert rows.height > 100
        assert correlation_disagreements(bars, actions, rows, span=span) == ()


def test_every_value_is_finite_and_within_its_bounds() -> None:
    rows = of(*embedded())
    for name in NAMES:
        assert rows[name].drop_nulls().is_finite().all(), name
    for name in ("correlation_20", "correlation_120"):
        assert rows[name].drop_nulls().is_between(-1, 1).all()
    odds = rows.drop_nulls("convergence_odds")
    assert (odds["convergence_low"] <= odds["convergence_odds"]).all()
    assert (odds["convergence_odds"] <= odds["convergence_high"]).all()
    assert (rows["half_life_sessions"].drop_nulls() > 0).all()
    assert (rows["symbol_a"] < rows["symbol_b"]).all()


@given(markets(sessions_min=130, sessions_max=200), st.data())
@settings(deadline=None, max_examples=15)
def test_any_part_is_the_whole_to_the_bit(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    first = data.draw(st.integers(0, len(days) - 1))
    last = data.draw(st.integers(first, len(days) - 1))
    span, known = Span(days[first], days[last]), pl.col("session") <= days[last]
    part = correlations(bars.filter(known), actions.filter(known), span=span)
    inside = pl.col("session").is_between(span.first, span.last)
    assert part.equals(of(bars, actions).filter(inside), null_equal=True)


@given(markets(sessions_min=130, sessions_max=200), st.data())
@settings(deadline=None, max_examples=15)
def test_altering_the_future_changes_nothing(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    day = days[data.draw(st.integers(0, len(days) - 2))]
    past = pl.col("session") <= day
    changed = scrambled_after(bars, day, seed=data.draw(st.integers(0, 999)))
    other = pl.concat([actions.filter(past), splits_of(("AAA", days[-1], 5.0))])
    truth = of(bars, actions).filter(past)
    assert correlations(changed, other, span=span_of(bars)).filter(past).equals(truth, null_equal=True)


def test_the_compiled_loop_gives_the_bits_of_the_written_one() -> None:
    x, y = (np.cumsum(noise(400, seed=seed)) for seed in (1, 2))
    moments = np.full((400, 5), math.nan)
    written = moments.copy()
    pairs._window_moments(x, y, 400, 60, moments)
    pairs._window_moments.py_func(x, y, 400, 60, written)  # type: ignore[attr-defined]
    assert moments.tobytes() == written.tobytes()
    for at in (59, 60, 119, 120, 121, 399):
        a, b = x[at - 59 : at + 1], y[at - 59 : at + 1]
        expected = [59 * a.var(ddof=1), 59 * b.var(ddof=1), 59 * np.cov(a, b)[0, 1], a[-1] - a.mean(), b[-1] - b.mean()]
        np.testing.assert_allclose(moments[at], expected, rtol=1e-11)


def test_a_high_level_costs_no_digits() -> None:
    """Sums of squares taken from zero would lose them."""
    x, y = (1e4 + np.cumsum(noise(200, seed=seed, scale=1e-4)) for seed in (1, 2))
    moments = np.full((200, 5), math.nan)
    pairs._window_moments(x, y, 200, 60, moments)
    np.testing.assert_allclose(moments[150, 0], 59 * x[91:151].var(ddof=1), rtol=1e-9)


def test_the_order_of_rows_does_not_matter() -> None:
    bars, actions = embedded()
    span = Span(date(2011, 1, 3), date(2011, 3, 31))
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=1)
    assert correlations(shuffled, actions.reverse(), span=span).equals(correlations(bars, actions, span=span))


def test_another_symbol_changes_no_bit_of_a_pair() -> None:
    both = pair_of(*coupled(0.4, 180, seed=1))
    three = pl.concat([both, walk("CCC", 200, seed=3, first=XNYS.previous(days_from(1)[0], 20).day)])
    inside = (pl.col("symbol_a") == "AAA") & (pl.col("symbol_b") == "BBB")
    assert of(three).filter(inside)["correlation_120"].equals(of(both)["correlation_120"])
    assert of(three).filter(inside)["gap_z"].equals(of(both)["gap_z"])


def test_no_bars_and_one_symbol_give_no_rows() -> None:
    bars = walk("AAA", 30, seed=1)
    assert of(bars).equals(CORRELATIONS.empty())
    assert correlations(bars.clear(), NONE, span=span_of(bars)).equals(CORRELATIONS.empty())
    early = Span(XNYS.previous(days_from(1)[0], 5).day, XNYS.previous(days_from(1)[0]).day)
    assert correlations(bars, NONE, span=early).equals(CORRELATIONS.empty())
