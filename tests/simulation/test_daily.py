"""Daily bars: the calendar, sound prices in whole cents, lives, and what a refusal says."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest

from simulation.market import SimulatedMarket
from simulation.market.cast import SIZE, STEADY
from simulation.market.model import NAME
from simulation.market.timeline import timeline
from tests.simulation.worlds import LIFE, YEAR, cast, market, moves, names, whole_life
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.model import DAILY_BARS
from trading_assets.market.ports import EmptyAnswer, UnknownSymbol

SOME = ["SIM000", "SIM013", "SIM077", "SIM210", "SIM388", "SIM599"]


def everyone() -> pl.DataFrame:
    return market().daily_panel(names(), Span(date(2007, 1, 3), date(2009, 12, 31)))


def test_life_is_from_2004_to_the_end_of_the_calendar() -> None:
    assert (LIFE.first, LIFE.last) == (date(2004, 1, 2), XNYS.last)


@pytest.mark.parametrize(
    "symbol",
    names(
        0,
        STEADY,
    )[::7],
)
def test_the_first_fifty_have_a_bar_in_every_session(symbol: str) -> None:
    expected = [session.day for session in XNYS.sessions(LIFE.first, LIFE.last)]
    assert whole_life(symbol)["session"].to_list() == expected


def test_bars_stand_on_sessions_and_carry_their_hours() -> None:
    bars = market().daily("SIM000", YEAR)
    for row in bars.iter_rows(named=True):
        session = XNYS.session(row["session"])
        assert (row["start"], row["knowable_at"]) == (session.open, session.close)
    assert bars.height == len(XNYS.sessions(YEAR.first, YEAR.last))


def test_an_early_close_and_a_change_of_the_clocks_are_the_exchange_s() -> None:
    bars = {row["session"]: row for row in market().daily("SIM000", YEAR).iter_rows(named=True)}
    black_friday = bars[date(2016, 11, 25)]
    assert (black_friday["knowable_at"] - black_friday["start"]).total_seconds() == 210 * 60
    assert [bars[day]["start"].hour for day in (date(2016, 3, 11), date(2016, 3, 14))] == [14, 13]
    assert [bars[day]["start"].hour for day in (date(2016, 11, 4), date(2016, 11, 7))] == [13, 14]


def test_all_bars_of_three_stormy_years_are_sound_and_in_whole_cents() -> None:
    bars = everyone()
    sound = bars.filter(
        (pl.col("low") <= pl.min_horizontal("open", "close"))
        & (pl.col("high") >= pl.max_horizontal("open", "close"))
        & (pl.col("low") > 0)
        & (pl.col("volume") >= 1)
    )
    assert sound.height == bars.height > 250_000
    for column in ("open", "high", "low", "close"):
        dollars = bars[column].to_numpy()
        assert (dollars == np.rint(100 * dollars) / 100).all()
    assert (bars["volume"] == bars["volume"].round()).all()


def test_no_session_moves_beyond_the_border_of_the_quality_gate() -> None:
    for symbol in names(40, 120):
        worst = moves(symbol)["move"].abs().max()
        assert isinstance(worst, float)
        assert worst < np.log(1.25)


def test_highs_and_lows_reach_as_far_as_those_of_a_random_walk() -> None:
    """Parkinson: the mean squared log range of a driftless walk is 4 ln 2 times its variance; cents and caps take a little."""
    bars = whole_life("SIM003")
    inside = (bars["close"] / bars["open"]).log().to_numpy()
    reach = (bars["high"] / bars["low"]).log().to_numpy()
    assert np.mean(reach**2) / (4 * np.log(2)) == pytest.approx(np.mean(inside**2), rel=0.1)


def test_a_gap_at_the_open_tells_nothing_about_the_day_that_follows() -> None:
    gaps, days = [], []
    for symbol in names(0, 30):
        bars = whole_life(symbol)
        same = moves(symbol).join(market().events([symbol], LIFE), on="session", how="anti")
        day = (bars["close"] / bars["open"]).log()
        both = bars.select("session", day=day).join(same, on="session")
        gaps.append((both["move"] - both["day"]).to_numpy())
        days.append(both["day"].to_numpy())
    assert abs(np.corrcoef(np.concatenate(gaps), np.concatenate(days))[0, 1]) < 0.05


def test_moves_of_one_session_tell_little_about_the_next() -> None:
    found = [moves(symbol)["move"].to_numpy() for symbol in names(0, 30)]
    lagged = [np.corrcoef(move[:-1], move[1:])[0, 1] for move in found]
    assert abs(np.mean(lagged)) < 0.05


def test_volume_is_heavier_when_prices_move() -> None:
    bars = moves("SIM000").with_columns(size=pl.col("move").abs())
    usual = bars["volume"].rolling_median(20).shift(1)
    relative = bars.with_columns(relative=pl.col("volume") / usual).drop_nulls()
    quiet, busy = relative["size"].quantile(0.2), relative["size"].quantile(0.8)
    means = [
        relative.filter(pl.col("size") < quiet)["relative"].mean(),
        relative.filter(pl.col("size") > busy)["relative"].mean(),
    ]
    assert means[0] < means[1]  # type: ignore[operator]


def test_an_early_close_trades_less() -> None:
    bars = whole_life("SIM000").with_columns(hours=pl.col("knowable_at") - pl.col("start"))
    relative = bars.with_columns(
        relative=pl.col("volume") / pl.col("volume").rolling_median(21, center=True)
    ).drop_nulls()
    short = relative.filter(pl.col("hours") < pl.duration(hours=4))
    assert short.height > 40
    assert short["relative"].median() == pytest.approx(210 / 390, rel=0.15)


def test_the_cast_has_late_listings_delistings_sectors_and_a_spread_of_levels() -> None:
    members = list(cast().values())
    assert [one.symbol for one in members] == names()
    assert len(members) == SIZE
    late = [one for one in members if one.first > LIFE.first]
    gone = [one for one in members if one.last < LIFE.last]
    assert 100 < len(late) < 180
    assert 50 < len(gone) < 120
    assert 20 < sum(one.fails for one in members) < 70
    assert all(one.last < LIFE.last for one in members if one.fails)
    assert len({one.sector for one in members}) == 11
    assert all(15 <= one.first_price <= 180 and 0.7 <= one.scale <= 1.4 * 1.2 for one in members)
    betas = [one.beta for one in members]
    assert min(betas) < 0.4
    assert max(betas) > 0.9
    assert all(one.market_share**2 + one.sector_share**2 < 1 for one in members)


@pytest.mark.parametrize("seed", [0, 1, 2, 99])
def test_every_life_has_at_least_five_hundred_sessions(seed: int) -> None:
    for one in SimulatedMarket(seed).cast():
        assert timeline().number(one.last) - timeline().number(one.first) >= 500


def test_bars_begin_at_the_listing_and_end_at_the_delisting() -> None:
    short = [one for one in cast().values() if one.first > LIFE.first and one.last < LIFE.last and not one.halts]
    assert short
    for one in short[:10]:
        sessions = whole_life(one.symbol)["session"]
        assert (sessions[0], sessions[-1]) == (one.first, one.last)
        assert whole_life(one.symbol)["close"][0] == pytest.approx(one.first_price, rel=0.25)


def test_some_of_the_delisted_fall_before_they_go() -> None:
    falls = [float(moves(one.symbol)["move"].tail(120).sum()) for one in cast().values() if one.fails]
    assert np.mean(falls) < -0.2


def test_before_listing_and_after_delisting_the_answer_is_empty_and_says_the_life() -> None:
    one = next(one for one in cast().values() if one.first > LIFE.first and one.last < LIFE.last)
    before = Span(LIFE.first, XNYS.previous(one.first).day)
    after = Span(XNYS.next(one.last).day, LIFE.last)
    outside = Span(date(1999, 1, 4), date(1999, 1, 8))
    for span in (before, after, outside):
        with pytest.raises(EmptyAnswer, match=rf"{NAME} has no 1d bar of {one.symbol}.*{one.first} to {one.last}"):
            market().daily(one.symbol, span)
        assert market().daily_panel([one.symbol], span).equals(DAILY_BARS.empty())


def test_a_panel_holds_each_symbol_once() -> None:
    assert (
        market()
        .daily_panel(["SIM001", "SIM000", "SIM001"], YEAR)
        .equals(market().daily_panel(["SIM000", "SIM001"], YEAR))
    )
    assert market().daily_panel([], YEAR).equals(DAILY_BARS.empty())


@pytest.mark.parametrize("symbol", ["AAPL", "SIM600", "sim000", "SIM0", "", "MARKET"])
def test_a_name_outside_the_cast_is_unknown(symbol: str) -> None:
    world = market()
    asked: list[Callable[[], object]] = [
        lambda: world.daily(symbol, YEAR),
        lambda: world.intraday(symbol, "1m", YEAR),
        lambda: world.quotes(symbol, YEAR),
        lambda: world.news([symbol], YEAR),
        lambda: world.corporate_actions(symbol, YEAR),
        lambda: world.liquidity_truth([symbol], YEAR),
        lambda: world.events([symbol], YEAR),
        lambda: world.halts([symbol], YEAR),
    ]
    for ask in asked:
        with pytest.raises(UnknownSymbol, match=rf"{NAME} does not know {symbol}.*SIM000 to SIM599"):
            ask()


def test_factors_are_shared_by_sectors_and_by_all() -> None:
    members = [one for one in cast().values() if one.life == LIFE and not one.halts and not one.quiet][:80]
    daily = {one.symbol: moves(one.symbol)["move"].to_numpy() for one in members}
    together: dict[bool, list[float]] = {True: [], False: []}
    for place, one in enumerate(members):
        for two in members[place + 1 :]:
            found = np.corrcoef(daily[one.symbol], daily[two.symbol])[0, 1]
            together[one.sector == two.sector].append(float(found))
    same, other = np.mean(together[True]), np.mean(together[False])
    assert 0.15 < other < same < 0.6
    assert same - other > 0.03
