"""Single passes: whose row it is, what can be reckoned with, and moves from bar to bar."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import days_from, embedded, markets, span_of, splits_of, walk
from trading_assets.features.epochs import Histories, histories, jobs_of, sound_bars, usable_bars
from trading_assets.features.kernel import LANES_MAX
from trading_assets.features.passes import LEAST, MOST, all_ordinary
from trading_assets.features.relatives import day_relatives
from trading_assets.market.adjust import split_adjusted
from trading_assets.market.model import DAILY_BARS

Market = tuple[pl.DataFrame, pl.DataFrame]
LAST = date(2028, 12, 29)
rosters = st.lists(
    st.sets(st.sampled_from(["A", "B", "C", "DDDDDDDDDDDDDD-1", "DDDDDDDDDDDDDD-2", "E"])), min_size=1, max_size=12
)


def roster_bars(rosters: list[set[str]]) -> pl.DataFrame:
    """One bar for each session and each symbol that is present in it."""
    one = walk("A", len(rosters), seed=1)
    rows = [one[k].with_columns(symbol=pl.lit(name)) for k, present in enumerate(rosters) for name in sorted(present)]
    return DAILY_BARS.conform(pl.concat([one.clear(), *rows]))


@given(rosters)
@settings(deadline=None, max_examples=20)
def test_every_row_is_given_to_its_symbol(rosters: list[set[str]]) -> None:
    bars = roster_bars(rosters)
    history = histories(bars, last=LAST)
    assert history.names.to_list() == sorted(set().union(*rosters))
    assert history.names.gather(history.codes).to_list() == bars["symbol"].to_list()
    by_symbol = history.bars[history.order]
    assert by_symbol.equals(history.bars.sort("symbol", "session"))
    for place, name in enumerate(history.names):
        assert set(history.bars["symbol"].gather(history.of_symbol(place))) == {name}


@given(rosters, st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_does_not_matter(rosters: list[set[str]], seed: int) -> None:
    bars = roster_bars(rosters)
    shuffled = histories(bars.sample(fraction=1.0, shuffle=True, seed=seed), last=LAST)
    plain = histories(bars, last=LAST)
    assert shuffled.bars.equals(plain.bars)
    assert shuffled.order.tolist() == plain.order.tolist()


def test_a_slice_of_a_frame_keeps_its_own_names() -> None:
    """The names of a slice stand in the middle of a longer column."""
    bars = roster_bars([{"A", "B", "C"}] * 6)
    part = bars.slice(7, 9)
    history = histories(part, last=LAST)
    assert history.names.gather(history.codes).to_list() == part["symbol"].to_list()


def test_no_rows_make_no_histories() -> None:
    history = histories(walk("A", 3, seed=1).clear(), last=LAST)
    assert isinstance(history, Histories)
    assert (history.names.len(), history.order.size, history.starts.tolist()) == (0, 0, [0])
    assert len(jobs_of(history, splits_of(), first_row=0).jobs) == 0


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, MOST, 0.0, LEAST])
def test_ordinary_numbers_are_told_from_strange_ones(column: str, value: float) -> None:
    """No shares traded is ordinary; a price of nothing is not."""
    names = ("open", "high", "low", "close", "volume")
    lines = {name: np.full(9, 10.0) for name in names}
    assert all_ordinary(tuple(lines.values()))
    lines[column][8] = value
    assert all_ordinary(tuple(lines.values())) == (column == "volume" and value in {0.0, LEAST})


def test_sound_bars_are_those_that_can_be_reckoned_with_up_to_the_last_session() -> None:
    bars = pl.concat([walk("B", 30, seed=1), walk("A", 30, seed=2)])
    days = days_from(30)
    spoilt = bars.with_columns(
        close=pl.when(pl.col("session") == days[3]).then(math.nan).otherwise(pl.col("close")),
        volume=pl.when(pl.col("session") == days[4]).then(-1.0).otherwise(pl.col("volume")),
    )
    expected = bars.filter((pl.col("session") <= days[9]) & ~pl.col("session").is_in(days[3:5]))
    kept = ["symbol", "session", "open", "high", "low", "close", "volume", "knowable_at"]
    assert sound_bars(spoilt, last=days[9]).equals(expected.select(kept).sort("session", "symbol"))
    assert usable_bars(spoilt, last=days[9]).equals(expected.select(kept).sort("symbol", "session"))


def test_extreme_but_finite_prices_are_sound() -> None:
    bars = walk("A", 30, seed=1).with_columns(pl.col("open", "high", "low", "close") * 1e200)
    assert sound_bars(bars, last=LAST).height == 30
    assert not histories(bars, last=LAST).ordinary


def test_bars_that_are_in_order_are_not_copied() -> None:
    bars, _ = embedded()
    kept = sound_bars(bars, last=LAST)
    assert kept["close"].to_numpy().ctypes.data == bars.rechunk()["close"].to_numpy().ctypes.data


@given(markets())
@settings(deadline=None, max_examples=25)
def test_jobs_cover_every_wanted_row_once_in_its_own_share_count(market: Market) -> None:
    bars, actions = market
    history = histories(bars, last=LAST)
    jobs = jobs_of(history, actions, first_row=0)
    close, seen = history.bars["close"].to_numpy(), np.zeros(history.bars.height, dtype=np.int64)
    for offset, end, fresh, begin, until in jobs.jobs.tolist():
        rows = history.order[offset : offset + end]
        seen[rows[fresh:]] += 1
        symbol, day = history.bars["symbol"][int(rows[0])], history.bars["session"][int(rows[-1])]
        past = split_adjusted(history.bars[rows], actions, as_of_session=day)
        scale = np.ones(end)
        for place in range(begin, until):
            scale[jobs.scale_bars[place] :] = jobs.scales[place]
        assert set(past["symbol"]) == {symbol}
        assert (close[rows] / scale).tobytes() == past["close"].to_numpy().tobytes()
    assert (seen == 1).all()


def test_jobs_go_side_by_side_in_whole_vectors() -> None:
    jobs = jobs_of(histories(walk("A", 5, seed=1), last=LAST), splits_of(), first_row=0)
    assert jobs.lanes == 8
    many = roster_bars([{f"S{number:03}" for number in range(LANES_MAX + 5)}])
    assert jobs_of(histories(many, last=LAST), splits_of(), first_row=0).lanes == LANES_MAX


@given(markets())
@settings(deadline=None, max_examples=25)
def test_relatives_are_prices_over_the_adjusted_close_before(market: Market) -> None:
    bars, actions = market
    found = day_relatives(bars, actions, first=span_of(bars).first)
    closes = {(row["symbol"], row["session"]): row["close"] for row in bars.iter_rows(named=True)}
    ratios: dict[tuple[str, date], float] = {
        (row["symbol"], row["session"]): row["ratio"] for row in actions.iter_rows(named=True)
    }
    days = days_from(2000)
    for row in found.iter_rows(named=True):
        day_before = days[days.index(row["session"]) - 1]
        before = closes[row["symbol"], day_before] / ratios.get((row["symbol"], row["session"]), 1.0)
        assert row["close_relative"] == row["close"] / before
        assert row["high_relative"] == row["high"] / before
    assert found.select("session", "symbol").equals(found.select("session", "symbol").sort("session", "symbol"))
