"""Minute bars: they add up to the day exactly, keep the exchange's hours, and look like a trading day."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.market.model import NAME
from tests.simulation.worlds import LIFE, MONTH, SEED, YEAR, cast, market, names, whole_life
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.market.hours import BAR_LENGTH, session_hours
from trading_assets.market.model import INTRADAY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, UnsupportedRequest

VALUES = ("open", "high", "low", "close", "volume")
FREQUENCIES: tuple[Frequency, ...] = ("1m", "5m", "1h")


def added_up(bars: pl.DataFrame) -> pl.DataFrame:
    """One row per session from bars in order of time."""
    return (
        bars.sort("start")
        .group_by("session", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("symbol", ["SIM000", "SIM021", "SIM333"])
def test_bars_of_a_year_add_up_to_the_daily_bars(symbol: str, frequency: Frequency) -> None:
    days = market().daily(symbol, YEAR).select("session", *VALUES)
    assert added_up(market().intraday(symbol, frequency, YEAR)).equals(days)


@settings(max_examples=25, deadline=None)
@given(symbol=st.sampled_from(names()), place=st.integers(0, 10_000), seed=st.sampled_from([0, SEED, 2**32 - 1]))
def test_any_session_of_any_symbol_adds_up(symbol: str, place: int, seed: int) -> None:
    bars = whole_life(symbol, seed)
    day = bars["session"][place % bars.height]
    found = market(seed).intraday(symbol, "1m", Span(day, day))
    assert added_up(found).equals(bars.filter(pl.col("session") == day).select("session", *VALUES))
    assert found.filter((pl.col("low") > pl.min_horizontal("open", "close")) | (pl.col("volume") < 1)).is_empty()
    assert found.filter(pl.col("high") < pl.max_horizontal("open", "close")).is_empty()


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_rows_conform_and_are_knowable_at_their_end(frequency: Frequency) -> None:
    bars = market().intraday("SIM002", frequency, MONTH)
    assert INTRADAY_BARS.conform(bars).equals(bars)
    for row in bars.iter_rows(named=True):
        session = XNYS.session(row["start"].astimezone(NEW_YORK).date())
        assert row["session"] == session.day
        assert session.open <= row["start"] < session.close
        assert row["knowable_at"] == min(row["start"] + BAR_LENGTH[frequency], session.close)
    assert set(bars["source"]) == {NAME}
    assert set(bars["frequency"]) == {frequency}


@pytest.mark.parametrize(
    ("day", "minutes", "hours"),
    [(date(2016, 11, 23), 390, 7), (date(2016, 11, 25), 210, 4), (date(2016, 11, 28), 390, 7)],
)
def test_a_session_has_its_minutes_and_an_early_close_has_210(day: date, minutes: int, hours: int) -> None:
    counts = {f: market().intraday("SIM000", f, Span(day, day)).height for f in FREQUENCIES}
    assert counts == {"1m": minutes, "5m": minutes // 5, "1h": hours}


def test_hours_are_anchored_at_half_past_nine_and_the_last_is_half_an_hour() -> None:
    day = date(2016, 11, 23)
    hours = market().intraday("SIM000", "1h", Span(day, day))
    local = [start.astimezone(NEW_YORK).strftime("%H:%M") for start in hours["start"]]
    assert local == ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]
    last = hours.row(-1, named=True)
    assert last["knowable_at"] - last["start"] == timedelta(minutes=30)


@pytest.mark.parametrize("day", [date(2016, 3, 11), date(2016, 3, 14), date(2016, 11, 4), date(2016, 11, 7)])
def test_the_first_minute_is_half_past_nine_on_both_sides_of_a_clock_change(day: date) -> None:
    first = market().intraday("SIM000", "1m", Span(day, day))["start"][0]
    assert first.astimezone(NEW_YORK).strftime("%H:%M") == "09:30"


@pytest.mark.parametrize("length", [5, 60])
def test_longer_bars_are_their_minutes(length: int) -> None:
    frequency: Frequency = "5m" if length == 5 else "1h"
    minutes = market().intraday("SIM005", "1m", MONTH)
    opens = session_hours(XNYS, MONTH.first, MONTH.last).rename({"session_open": "at"}).drop("session_close")
    place = (pl.col("start") - pl.col("at")).dt.total_minutes() // length
    expected = (
        minutes.join(opens, on="session")
        .with_columns(bucket=pl.col("at") + pl.duration(minutes=place * length))
        .sort("start")
        .group_by("session", "bucket", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .rename({"bucket": "start"})
    )
    assert market().intraday("SIM005", frequency, MONTH).select("session", "start", *VALUES).equals(expected)


def test_volume_is_heaviest_at_both_ends_of_the_day() -> None:
    minutes = pl.concat([market().intraday(symbol, "1m", MONTH) for symbol in names(0, 6)])
    full = minutes.filter(pl.col("session") != date(2016, 11, 25))
    local = pl.col("start").dt.convert_time_zone("America/New_York").dt.time()
    by_minute = full.with_columns(at=local).group_by("at").agg(pl.col("volume").mean()).sort("at")["volume"].to_numpy()
    first, middle, last = by_minute[:30].mean(), by_minute[150:240].mean(), by_minute[-15:].mean()
    assert first > 1.8 * middle
    assert last > 1.4 * middle


def test_minutes_move_like_a_walk_and_not_like_a_straight_line() -> None:
    """A walk of n steps spans about 1.6 times the root of its squared steps; a straight line spans sqrt(390) times as much."""
    minutes = pl.concat([market().intraday(symbol, "1m", YEAR) for symbol in names(0, 4)])
    steps = minutes.select("session", "symbol", step=pl.col("close") - pl.col("open"))
    walked = steps.group_by("session", "symbol").agg(pl.col("step").pow(2).sum().sqrt().alias("walked"))
    days = market().daily_panel(names(0, 4), YEAR).select("session", "symbol", reach=pl.col("high") - pl.col("low"))
    wide = walked.join(days, on=("session", "symbol")).filter(pl.col("reach") > 1.0)
    assert wide.height > 200
    assert 1.2 < wide.select((pl.col("reach") / pl.col("walked")).median()).item() < 1.8


def test_extremes_come_at_any_time_of_the_day_and_most_near_its_ends() -> None:
    minutes = market().intraday("SIM001", "1m", YEAR)
    place = pl.int_range(pl.len()).over("session") / pl.len().over("session")
    tops = (
        minutes.with_columns(place=place)
        .sort("high", descending=True)
        .unique("session", keep="first")["place"]
        .to_numpy()
    )
    thirds = np.histogram(tops, bins=3, range=(0, 1))[0]
    assert thirds.min() > 20
    assert thirds[1] < thirds[0] + thirds[2]


def test_a_minute_opens_where_the_one_before_closed() -> None:
    minutes = market().intraday("SIM001", "1m", MONTH)
    follows = minutes.with_columns(before=pl.col("close").shift(1).over("session")).drop_nulls("before")
    assert (follows["open"] == follows["before"]).all()


def test_after_a_jump_the_symbol_pauses_and_the_truth_says_when() -> None:
    halts = market().halts(names(0, 10), LIFE).filter(pl.col("kind") == "pause")
    jumps = market().events(names(0, 10), LIFE).filter(pl.col("kind") == "jump")
    assert halts.select("session", "symbol").equals(jumps.select("session", "symbol"))
    assert halts.height > 50
    for row in halts.head(12).iter_rows(named=True):
        day = Span(row["session"], row["session"])
        bars = market().intraday(row["symbol"], "1m", day)
        inside = bars.filter(pl.col("start").is_between(row["start"], row["end"], closed="left"))
        length = (row["end"] - row["start"]) // timedelta(minutes=1)
        assert inside.is_empty()
        assert 5 <= length <= 10
        session = XNYS.session(row["session"])
        assert bars.height == (session.close - session.open) // timedelta(minutes=1) - length
        assert market().quotes(row["symbol"], day).height == bars.height


def test_the_jump_is_the_minute_before_its_pause() -> None:
    jumps = market().events(names(0, 10), LIFE).filter(pl.col("kind") == "jump")
    halts = market().halts(names(0, 10), LIFE)
    found = []
    for row in jumps.join(halts, on=("session", "symbol")).iter_rows(named=True):
        bars = market().intraday(row["symbol"], "1m", Span(row["session"], row["session"]))
        before = bars.filter(pl.col("start") == row["start"] - timedelta(minutes=1)).row(0, named=True)
        found.append((row["move"], float(np.log(before["close"] / before["open"]))))
    moved = np.array(found)
    assert np.abs(moved[:, 0] - moved[:, 1]).mean() < 0.01
    assert (np.sign(moved[:, 0]) == np.sign(moved[:, 1])).all()


def test_a_few_symbols_lose_whole_sessions_and_only_those_that_the_truth_names() -> None:
    rare = [one.symbol for one in cast().values() if one.halts]
    assert 5 <= len(rare) <= 35
    for symbol in rare[:5]:
        life = cast()[symbol].life
        lost = market().halts([symbol], LIFE).filter(pl.col("kind") == "session")
        every = {session.day for session in XNYS.sessions(life.first, life.last)}
        assert every - set(whole_life(symbol)["session"]) == set(lost["session"]) != set()
        for row in lost.iter_rows(named=True):
            session = XNYS.session(row["session"])
            assert (row["start"], row["end"]) == (session.open, session.close)
            day = Span(session.day, session.day)
            with pytest.raises(EmptyAnswer, match=rf"{NAME} has no 1d bar of {symbol}"):
                market().daily(symbol, day)
            for frequency in FREQUENCIES:
                with pytest.raises(EmptyAnswer, match=rf"{NAME} has no {frequency} bar of {symbol}"):
                    market().intraday(symbol, frequency, day)


def test_other_bar_lengths_are_never_served() -> None:
    for frequency in ("2m", "1d", "", "1M"):
        with pytest.raises(UnsupportedRequest, match=f"{NAME}.*SIM000"):
            market().intraday("SIM000", frequency, MONTH)  # type: ignore[arg-type]


def test_a_closed_day_is_an_empty_answer() -> None:
    weekend = Span(date(2016, 11, 26), date(2016, 11, 27))
    refusal = "SIM000 from 2016-11-26 to 2016-11-27"
    with pytest.raises(EmptyAnswer, match=refusal):
        market().intraday("SIM000", "1m", weekend)
    with pytest.raises(EmptyAnswer, match=refusal):
        market().quotes("SIM000", weekend)
