"""The five regimes: what is asked, how a label is confirmed, and what strategies are told."""

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from tests.features.frames import embedded, from_returns, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.windows import Floats
from trading_assets.regimes.model import MARKET, REGIME_LABELS, Regime
from trading_assets.regimes.rules import REGIMES, VIEWS, confirmed, raw_labels, regime_labels, strategy_views

UP, DOWN, TURBULENT, CALM, RANGING = range(5)
codes = st.lists(st.integers(0, 4), min_size=1, max_size=80)


def zigzag(count: int, size: float, drift: float = 0.0) -> Floats:
    """Log returns that swing by `size` around `drift`: their deviation is `size` and their mean is `drift`."""
    return np.where(np.arange(count) % 2 == 0, size, -size) + drift


def after_an_ordinary_past(*, size: float, drift: float = 0.0, count: int = 60) -> pl.DataFrame:
    """A year and a half in which half of all sessions were calmer and half were wilder than 1 % a day, then a new phase."""
    past = [zigzag(200, 0.004), zigzag(200, 0.025), zigzag(100, 0.01)]
    return from_returns("AAA", np.concatenate([*past, zigzag(count, size, drift)]))


def labels_of(bars: pl.DataFrame, symbol: str = "AAA") -> pl.DataFrame:
    return regime_labels(bars, splits_of(), span=span_of(bars)).filter(pl.col("symbol") == symbol)


@pytest.mark.parametrize(
    ("size", "drift", "regime"),
    [
        (0.01, 0.006, "trending_up"),
        (0.01, -0.006, "trending_down"),
        (0.05, 0.0, "high_volatility"),
        (0.001, 0.0, "low_volatility"),
        (0.01, 0.0, "ranging"),
        (0.05, 0.03, "high_volatility"),
        (0.001, 0.0006, "low_volatility"),
    ],
)
def test_a_made_phase_gets_its_name(size: float, drift: float, regime: Regime) -> None:
    """The last two cases trend as well: extreme volatility is asked first."""
    labels = labels_of(after_an_ordinary_past(size=size, drift=drift))
    assert labels["regime"].tail(20).unique().to_list() == [regime]


def test_the_market_of_one_symbol_has_the_regime_of_that_symbol() -> None:
    bars = after_an_ordinary_past(size=0.01, drift=0.006)
    columns = ("session", "regime", "strategy_view")
    market, single = labels_of(bars, MARKET), labels_of(bars)
    assert market.tail(40).select(columns).equals(single.tail(40).select(columns))


def test_the_first_label_comes_with_the_252nd_value_of_volatility() -> None:
    bars = walk("AAA", 300, seed=1)
    labels = labels_of(bars)
    assert labels["session"][0] == bars["session"][266]
    assert labels.height == 300 - 266
    assert labels_of(bars.head(266)).is_empty()


def test_a_label_row_is_complete_and_knowable_at_the_close() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=span_of(bars))
    assert labels.equals(REGIME_LABELS.conform(labels))
    closes = bars.select("session", "knowable_at").unique()
    assert labels.join(closes, on=["session", "knowable_at"], how="anti").is_empty()
    assert (
        labels.select(pl.col("volatility_percentile", "trend_strength", "adx_14").is_finite().all()).row(0)
        == (True,) * 3
    )


def test_all_regimes_and_all_views_occur_on_real_bars() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=span_of(bars))
    for symbol in ("AAPL", "GOOG", "IBM", "MSFT", MARKET):
        one = labels.filter(pl.col("symbol") == symbol)
        assert set(one["regime"]) == set(REGIMES)
        assert set(one["strategy_view"]) == set(VIEWS)
    assert "FB" not in labels["symbol"]


def test_the_autumn_of_2008_is_high_volatility_for_every_real_symbol() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=Span(date(2008, 10, 15), date(2008, 11, 28)))
    assert labels["regime"].unique().to_list() == ["high_volatility"]
    assert labels["strategy_view"].unique().to_list() == ["mixed"]
    assert labels["symbol"].n_unique() == 5


def test_the_percentile_is_the_mid_rank_within_three_years() -> None:
    bars = walk("AAA", 900, seed=2)
    returns = textbook.log_steps(bars["close"].to_list())
    volatility = textbook.deviation(returns, 15)
    for row in labels_of(bars).gather([0, 1, 300, 633]).iter_rows(named=True):
        place = bars["session"].index_of(row["session"])
        assert place is not None
        window = volatility[max(place - 755, 15) : place + 1]
        below = sum(v < volatility[place] for v in window) + 0.5 * sum(v == volatility[place] for v in window)
        assert row["volatility_percentile"] == pytest.approx(below / len(window), abs=1e-12)


def test_trend_strength_is_the_month_over_its_deviation() -> None:
    bars = walk("AAA", 320, seed=3)
    returns = textbook.log_steps(bars["close"].to_list())
    spread = textbook.deviation(returns, 30)
    expected = [math.fsum(returns[i - 29 : i + 1]) / (spread[i] * math.sqrt(30)) for i in range(266, 320)]
    assert labels_of(bars)["trend_strength"].to_list() == pytest.approx(expected, rel=1e-9)


def test_the_reported_adx_is_the_panels() -> None:
    bars = walk("AAA", 300, seed=4)
    expected = textbook.adx(bars["high"].to_list(), bars["low"].to_list(), 14, first_sum=13)[266:]
    assert labels_of(bars)["adx_14"].to_list() == pytest.approx(expected, rel=1e-9)


def test_a_market_that_stands_still_is_ranging() -> None:
    labels = labels_of(from_returns("AAA", np.zeros(300)))
    assert labels["regime"].unique().to_list() == ["ranging"]
    assert labels["volatility_percentile"].unique().to_list() == [0.5]
    assert labels["trend_strength"].unique().to_list() == [0.0]


def test_the_bounds_themselves_are_not_extreme() -> None:
    percentile = np.array([0.85, 0.15, 0.86, 0.14, 0.5, 0.5, 0.5, 0.5])
    trend = np.array([0.0, 0.0, 9.0, -9.0, 1.0, 1.1, -1.1, 1.1])
    adx = np.array([30.0, 30.0, 30.0, 30.0, 30.0, 20.1, 20.1, 20.0])
    assert raw_labels(percentile, trend, adx).tolist() == [
        RANGING,
        RANGING,
        TURBULENT,
        CALM,
        RANGING,
        UP,
        DOWN,
        RANGING,
    ]


def test_a_change_needs_three_equal_labels_in_a_row() -> None:
    raw = np.array([RANGING, UP, UP, RANGING, UP, UP, UP, UP, DOWN, UP])
    settled = confirmed(raw)
    assert settled.labels.tolist() == [RANGING] * 6 + [UP] * 4
    assert settled.since.tolist() == [0] * 6 + [6] * 4


def test_probability_is_the_share_of_the_last_ten_raw_labels_that_agree() -> None:
    raw = np.array([RANGING, RANGING, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP])
    assert confirmed(raw).agreement.tolist() == [
        1.0,
        1.0,
        2 / 3,
        2 / 4,
        3 / 5,
        4 / 6,
        5 / 7,
        6 / 8,
        7 / 9,
        0.8,
        0.9,
        1.0,
    ]


def by_hand(raw: Sequence[int]) -> list[int]:
    """The rule as a machine that remembers its label and how long the raw label has lasted."""
    label, run, result = raw[0], 0, []
    for place, code in enumerate(raw):
        run = run + 1 if place and code == raw[place - 1] else 1
        label = code if run >= 3 else label
        result.append(label)
    return result


@given(codes)
@settings(deadline=None)
def test_confirmation_agrees_with_a_machine_that_walks_the_sessions(raw: list[int]) -> None:
    settled = confirmed(np.array(raw))
    assert settled.labels.tolist() == by_hand(raw)
    for place, since in enumerate(settled.since):
        assert set(settled.labels[since : place + 1]) == {settled.labels[place]}
        assert since == 0 or settled.labels[since - 1] != settled.labels[place]
    assert ((settled.agreement >= 0) & (settled.agreement <= 1)).all()


@given(codes, st.data())
@settings(deadline=None)
def test_later_raw_labels_change_no_confirmed_label(raw: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(raw)))
    whole, part = confirmed(np.array(raw)), confirmed(np.array(raw[:cut]))
    assert part.labels.tolist() == whole.labels[:cut].tolist()
    assert part.since.tolist() == whole.since[:cut].tolist()
    assert part.agreement.tolist() == whole.agreement[:cut].tolist()


@given(codes)
@settings(deadline=None)
def test_confirmation_never_adds_a_switch(raw: list[int]) -> None:
    assert switches(confirmed(np.array(raw)).labels.tolist()) <= switches(raw)


def switches(labels: Sequence[int]) -> int:
    return sum(a != b for a, b in pairwise(labels))


def test_confirmation_halves_the_switches_on_real_bars() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=span_of(bars)).filter(pl.col("symbol") == "AAPL")
    raw = raw_labels(*(labels[name].to_numpy() for name in ("volatility_percentile", "trend_strength", "adx_14")))
    settled = confirmed(raw)
    assert pl.Series(REGIMES).gather(settled.labels).to_list() == labels["regime"].to_list()
    assert switches(settled.labels.tolist()) <= 0.5 * switches(raw.tolist())


@pytest.mark.parametrize(
    ("regime", "adx", "climbs", "view"),
    [
        (UP, 25.1, False, "trending_bull"),
        (UP, 25.0, False, "mild_trend"),
        (DOWN, 25.1, True, "trending_bear"),
        (DOWN, 25.0, True, "mixed"),
        (TURBULENT, 40.0, True, "mixed"),
        (CALM, 40.0, True, "mild_trend"),
        (CALM, 40.0, False, "range"),
        (RANGING, 10.0, True, "mild_trend"),
        (RANGING, 10.0, False, "range"),
    ],
)
def test_each_regime_has_its_view(regime: int, adx: float, climbs: bool, view: str) -> None:
    assert VIEWS[strategy_views(np.array([regime]), np.array([adx]), np.array([climbs]))[0]] == view
