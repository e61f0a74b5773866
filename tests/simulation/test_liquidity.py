"""Quotes and their truth: what generated a session is what the definitions find in its quotes."""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from simulation.market.liquidity import BUYERS, NORMAL, SELLERS, STRESSED, liquidity_codes, planted
from simulation.market.model import LIQUIDITY, LIQUIDITY_TRUTH
from simulation.market.timeline import timeline
from tests.simulation.worlds import LIFE, MONTH, SEED, cast, market, names
from trading_assets.core.ports import Span
from trading_assets.market.model import QUOTE_BARS

YEARS = Span(date(2012, 1, 3), date(2014, 12, 31))


def measured(symbol: str, span: Span) -> pl.DataFrame:
    """The regime that the definitions give, from quotes alone; sessions with 20 before them."""
    middle = (pl.col("ask") + pl.col("bid")) / 2
    depth = pl.col("bid_depth").sum() / (pl.col("bid_depth").sum() + pl.col("ask_depth").sum())
    days = (
        market()
        .quotes(symbol, span)
        .group_by("session", maintain_order=True)
        .agg(((pl.col("ask") - pl.col("bid")) / middle).mean().alias("spread"), depth.alias("depth"))
        .with_columns(norm=pl.col("spread").rolling_median(20).shift(1))
        .drop_nulls("norm")
    )
    return days.with_columns(
        found=pl.when(pl.col("spread") > 2 * pl.col("norm"))
        .then(pl.lit("stressed"))
        .when(pl.col("depth") > 0.7)
        .then(pl.lit("buyer_dominated"))
        .when(pl.col("depth") < 0.3)
        .then(pl.lit("seller_dominated"))
        .otherwise(pl.lit("normal"))
    )


@pytest.mark.parametrize("symbol", ["SIM000", "SIM007", "SIM031", "SIM200", "SIM444"])
def test_the_truth_is_what_the_definitions_find_in_the_quotes(symbol: str) -> None:
    truth = market().liquidity_truth([symbol], YEARS)
    both = measured(symbol, YEARS).join(truth, on="session")
    assert both.height > 250
    assert (both["found"] == both["liquidity"]).mean() > 0.995  # type: ignore[operator]
    assert both.filter(pl.col("liquidity") != "normal").height > 5


def test_all_four_regimes_occur_and_normal_is_usual() -> None:
    truth = market().liquidity_truth(names(0, 50), LIFE)
    shares = dict(truth.group_by("liquidity").agg(pl.len() / truth.height).rows())
    assert set(shares) == set(LIQUIDITY)
    assert shares["normal"] > 0.9
    assert min(shares.values()) > 0.01


def test_truth_conforms_and_covers_the_sessions_that_trade() -> None:
    rare = next(one for one in cast().values() if one.halts)
    truth = market().liquidity_truth([rare.symbol, rare.symbol], LIFE)
    assert LIQUIDITY_TRUTH.conform(truth).equals(truth)
    assert truth["session"].equals(market().daily(rare.symbol, LIFE)["session"])
    assert market().liquidity_truth([], LIFE).equals(LIQUIDITY_TRUTH.empty())


def test_episodes_last_two_to_six_sessions_and_leave_room_for_a_norm() -> None:
    for symbol in names(0, 30):
        codes = planted(SEED, symbol)
        borders = np.flatnonzero(np.diff(codes)) + 1
        lengths = np.diff(borders)
        kinds = codes[borders[:-1]]
        assert set(codes) <= {NORMAL, STRESSED, BUYERS, SELLERS}
        assert all(2 <= length <= 6 for length, kind in zip(lengths, kinds, strict=True) if kind != NORMAL)
        assert all(40 <= length <= 109 for length, kind in zip(lengths, kinds, strict=True) if kind == NORMAL)


def test_quotes_conform_and_stand_beside_each_minute_bar() -> None:
    quotes, minutes = market().quotes("SIM004", MONTH), market().intraday("SIM004", "1m", MONTH)
    assert QUOTE_BARS.conform(quotes).equals(quotes)
    for column in ("session", "start", "knowable_at", "source"):
        assert quotes[column].equals(minutes[column])


def test_the_bid_is_below_the_ask_by_a_cent_at_least_around_the_trades() -> None:
    for symbol in names(0, 8):
        both = market().quotes(symbol, MONTH).join(market().intraday(symbol, "1m", MONTH), on=("session", "start"))
        spread = both["ask"] - both["bid"]
        assert spread.min() >= 0.01 - 1e-9  # type: ignore[operator]
        off = ((both["ask"] + both["bid"]) / 2 - (both["open"] + both["close"]) / 2).abs()
        assert off.max() < 1e-4  # type: ignore[operator]
        assert (both["bid"] > 0).all()
        assert both["bid_depth"].min() >= 1  # type: ignore[operator]
        assert both["ask_depth"].min() >= 1  # type: ignore[operator]


def test_spreads_are_wider_at_the_open() -> None:
    place = pl.int_range(pl.len()).over("session")
    quotes = market().quotes("SIM004", MONTH).with_columns(place=place, spread=pl.col("ask") - pl.col("bid"))
    opening = quotes.filter(pl.col("place") < 5)["spread"].mean()
    later = quotes.filter(pl.col("place") > 60)["spread"].mean()
    assert opening > 1.8 * later  # type: ignore[operator]


def test_spreads_are_wider_in_high_volatility_and_narrower_in_low() -> None:
    wide, narrow = [], []
    for symbol in names(0, 4):
        days = measured(symbol, YEARS).join(
            market().truth([symbol], YEARS).filter(pl.col("symbol") == symbol), on="session"
        )
        calm = days.filter(pl.col("found") == "normal")
        by = dict(calm.group_by("regime").agg(pl.col("spread").median()).rows())
        wide += [by["high_volatility"] / by["ranging"]] if {"high_volatility", "ranging"} <= by.keys() else []
        narrow += [by["low_volatility"] / by["ranging"]] if {"low_volatility", "ranging"} <= by.keys() else []
    assert wide
    assert narrow
    assert np.mean(wide) > 1.15
    assert np.mean(narrow) < 0.95


def test_in_stress_the_book_is_thin() -> None:
    days = (
        market()
        .quotes("SIM000", YEARS)
        .group_by("session")
        .agg((pl.col("bid_depth") + pl.col("ask_depth")).mean().alias("depth"))
    )
    both = days.join(market().liquidity_truth(["SIM000"], YEARS), on="session")
    depth = dict(both.group_by("liquidity").agg(pl.col("depth").median()).rows())
    assert depth["stressed"] < 0.6 * depth["normal"]


def test_a_name_with_more_turnover_has_a_narrower_spread() -> None:
    members = sorted(cast().values(), key=lambda one: one.turnover)
    assert members[0].spread_bp > members[300].spread_bp > members[-1].spread_bp


def test_the_first_twenty_sessions_of_a_life_are_never_stressed() -> None:
    for one in [one for one in cast().values() if one.first > timeline().days[0]][:20]:
        first = market().liquidity_truth([one.symbol], LIFE).head(20)
        assert "stressed" not in set(first["liquidity"])


def test_the_norm_is_that_of_the_twenty_sessions_before_and_not_of_the_session_itself() -> None:
    """Eleven wide sessions in a row: the tenth is judged by nine wide of twenty, the eleventh by ten of twenty."""
    one, life = cast()["SIM000"], market()._life("SIM000")
    same = np.flatnonzero(np.diff(life.states) != 0) + 1
    begin = next(int(a) + 25 for a, b in pairwise(same) if b - a > 60 and life.prices[0, a:b].min() > 4_000)
    episodes = np.zeros(timeline().length, dtype=np.int64)
    episodes[begin : begin + 11] = STRESSED
    codes = liquidity_codes(one, life, episodes)
    assert codes[begin : begin + 11].tolist() == [STRESSED] * 10 + [NORMAL]
    assert not codes[begin - 20 : begin].any()
