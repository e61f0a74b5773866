"""Intraday features against lists and loops, on made minutes and on real ones; halts, early closes, splits and cut days."""

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from tests.features.frames import days_from, splits_of
from tests.features.intraday_frames import minutes, quotes
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.slots import slots_of
from trading_assets.features.intraday import intraday_features
from trading_assets.features.model import INTRADAY_FEATURE_COLUMNS, INTRADAY_FEATURES
from trading_assets.market.model import INTRADAY_BARS, QUOTE_BARS, Frequency

NAMES = [column.name for column in INTRADAY_FEATURE_COLUMNS]
LABELS = ("09:30", *(f"{hour}:{minute}" for hour in range(10, 16) for minute in ("00", "30")))
THANKSGIVING_FRIDAY = date(2012, 11, 23)
AROUND = tuple(XNYS.previous(date(2012, 12, 1), back).day for back in range(30, 0, -1))
NONE, NO_QUOTES = splits_of(), QUOTE_BARS.empty()
_MADE: tuple[tuple[str, Frequency, int], ...] = (("AAA", "1m", 7), ("AAA", "5m", 2), ("BBB", "5m", 0))
_CSV = {"open": pl.Float64, "high": pl.Float64, "low": pl.Float64, "close": pl.Float64, "volume": pl.Float64}


def of_day(bars: pl.DataFrame, day: date, told: pl.DataFrame = NO_QUOTES, actions: pl.DataFrame = NONE) -> pl.DataFrame:
    return intraday_features(bars, actions, told, span=Span(day, day))


def from_numbers(rows: Sequence[tuple[int, float, float, float, float, float]], day: date = AROUND[0]) -> pl.DataFrame:
    """One-minute bars of AAA from (minute, open, high, low, close, volume)."""
    opens = XNYS.session(day).open
    return INTRADAY_BARS.frame(
        [
            {
                "symbol": "AAA",
                "session": day,
                "frequency": "1m",
                "start": opens + timedelta(minutes=n),
                "open": o,
                "high": h,
                "low": low,
                "close": c,
                "volume": v,
                "source": "made",
                "knowable_at": opens + timedelta(minutes=n + 1),
            }
            for n, o, h, low, c, v in rows
        ]
    )


def flat(day: date, volume: float, count: int = 390) -> pl.DataFrame:
    """A session in which every minute trades the same."""
    return from_numbers([(n, 10.0, 10.0, 10.0, 10.0, volume) for n in range(count)], day)


@cache
def made() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Two symbols, minutes and five minutes with holes, quotes of one of them, a split of the other; early close included."""
    bars = [
        minutes(symbol, AROUND, seed=seed, frequency=frequency, gaps=gaps)
        for seed, (symbol, frequency, gaps) in enumerate(_MADE)
    ]
    told = quotes("AAA", AROUND, seed=9)
    return INTRADAY_BARS.conform(pl.concat(bars)), splits_of(("BBB", AROUND[20], 2.0)), told


# --- definitions ---------------------------------------------------------------------------------------------------


def test_the_session_average_weighs_typical_prices_by_volume() -> None:
    bars = from_numbers([(0, 10, 12, 9, 11, 100), (1, 11, 13, 11, 12, 300), (2, 12, 12, 10, 10, 0)])
    first, second = (12 + 9 + 11) / 3, (13 + 11 + 12) / 3
    expected = [first, (first * 100 + second * 300) / 400, (first * 100 + second * 300) / 400]
    rows = of_day(bars, AROUND[0])
    assert rows["vwap_session"].to_list() == pytest.approx(expected, rel=1e-15)
    assert rows["above_vwap"].to_list() == [1.0, 1.0, 0.0]


def test_without_volume_there_is_no_average() -> None:
    rows = of_day(from_numbers([(0, 10, 12, 9, 11, 0), (1, 11, 13, 11, 12, 5)]), AROUND[0])
    assert rows["vwap_session"][0] is None
    assert rows["above_vwap"][0] is None
    assert rows["vwap_session"][1] == 12.0


def test_the_rolling_average_begins_anew_each_session() -> None:
    rows = of_day(pl.concat([flat(day, 10.0) for day in AROUND[:2]]), AROUND[1])
    assert rows["vwap_20"].null_count() == 19
    assert rows["vwap_20"][19:].to_list() == [10.0] * 371


def test_oscillators_of_a_session_are_wilders_over_its_own_bars() -> None:
    bars = minutes("AAA", AROUND[:2], seed=4)
    rows, today = of_day(bars, AROUND[1]), bars.filter(pl.col("session") == AROUND[1])
    high, low, close = textbook.lists(*(today[name].to_numpy() for name in ("high", "low", "close")))
    for name, line in (("rsi_14", textbook.rsi(close, 14)), ("atr_14", textbook.atr(high, low, close, 14))):
        assert rows[name].null_count() == 14
        np.testing.assert_allclose(rows[name].to_numpy(), line, rtol=1e-9)


def test_the_return_is_measured_from_the_first_price_of_the_session() -> None:
    rows = of_day(from_numbers([(3, 10, 12, 9, 11, 5), (4, 11, 13, 10, 12, 5)]), AROUND[0])
    assert rows["return_from_open"].to_list() == pytest.approx([0.1, 0.2])


def test_the_opening_range_is_unknown_until_thirty_minutes_are_over() -> None:
    bars = from_numbers([(n, 10, 11 + (n == 7), 9 - (n == 12), 10, 5) for n in range(60)])
    rows = of_day(bars, AROUND[0])
    assert rows["opening_range_high_30"].to_list() == [None] * 29 + [12.0] * 31
    assert rows["opening_range_low_30"].to_list() == [None] * 29 + [8.0] * 31


def test_leaving_the_opening_range_raises_one_flag() -> None:
    closes = [10.0] * 30 + [11.0, 12.5, 8.0]
    bars = from_numbers([(n, 10, max(c, 12), min(c, 9), c, 5) for n, c in enumerate(closes)])
    rows = of_day(bars, AROUND[0]).tail(3)
    assert rows["above_opening_range"].to_list() == [0.0, 1.0, 0.0]
    assert rows["below_opening_range"].to_list() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(("frequency", "first_known"), [("1m", 29), ("5m", 5), ("1h", None)])
def test_the_opening_range_of_each_bar_length(frequency: Frequency, first_known: int | None) -> None:
    """Hours are longer than the opening: what happened in it cannot be told."""
    rows = of_day(minutes("AAA", AROUND[:1], seed=1, frequency=frequency), AROUND[0])
    known = rows["opening_range_high_30"].is_not_null().arg_true().to_list()
    assert known == (list(range(first_known, rows.height)) if first_known is not None else [])


def test_volume_is_compared_with_the_same_minute_of_earlier_sessions() -> None:
    bars = pl.concat([flat(day, 100.0) for day in AROUND[:6]] + [flat(AROUND[6], 250.0)])
    assert of_day(bars, AROUND[6])["volume_ratio"].to_list() == [2.5] * 390
    assert of_day(bars, AROUND[4])["volume_ratio"].null_count() == 390, "four sessions are no norm"
    assert of_day(bars, AROUND[5])["volume_ratio"].null_count() == 0


def test_only_twenty_sessions_count_for_the_norm() -> None:
    early = [flat(day, 9_999.0) for day in AROUND[:3]]
    bars = pl.concat([*early, *(flat(day, 100.0) for day in AROUND[3:24] if day != THANKSGIVING_FRIDAY)])
    assert AROUND[23] != THANKSGIVING_FRIDAY
    assert set(of_day(bars, AROUND[23])["volume_ratio"]) == {1.0}


def test_a_halt_keeps_the_volume_that_was_traded_before_it() -> None:
    halted = flat(AROUND[2], 100.0).filter(~pl.int_range(pl.len()).is_between(100, 199))
    whole = [flat(day, 100.0) for day in AROUND[:2] + AROUND[3:6]]
    rows = of_day(pl.concat([*whole, halted, flat(AROUND[6], 100.0)]), AROUND[6])
    at = rows["volume_ratio"]
    assert at[99] == 1.0
    assert at[150] == pytest.approx(151 / ((5 * 151 + 100) / 6))
    assert at[389] == pytest.approx(390 / ((5 * 390 + 290) / 6))


def test_a_session_that_closed_early_is_no_measure_for_its_afternoon() -> None:
    days = [day for day in AROUND if day <= date(2012, 11, 26)][-8:]
    assert THANKSGIVING_FRIDAY in days[:-1]
    bars = pl.concat([flat(d, 100.0, 210 if d == THANKSGIVING_FRIDAY else 390) for d in days])
    assert set(of_day(bars, days[-1])["volume_ratio"]) == {1.0}
    only_five = bars.filter(pl.col("session").is_in(days[-6:]))
    ratio = of_day(only_five, days[-1])["volume_ratio"]
    assert ratio.is_not_null().arg_true().to_list() == list(range(210)), "in the afternoon only four sessions are left"


def test_volumes_before_a_split_are_counted_in_new_shares() -> None:
    bars = pl.concat([*(flat(day, 100.0) for day in AROUND[:6]), flat(AROUND[6], 200.0), flat(AROUND[7], 200.0)])
    split = splits_of(("AAA", AROUND[6], 2.0))
    assert set(of_day(bars, AROUND[6], actions=split)["volume_ratio"]) == {1.0}
    assert set(of_day(bars, AROUND[7], actions=split)["volume_ratio"]) == {1.0}
    assert set(of_day(bars, AROUND[6])["volume_ratio"]) == {2.0}


# --- quotes --------------------------------------------------------------------------------------------------------


def quote(
    day: date, minute: int, bid: float, ask: float, sizes: tuple[float | None, float | None]
) -> dict[str, object]:
    opens = XNYS.session(day).open
    times = {"start": opens + timedelta(minutes=minute), "knowable_at": opens + timedelta(minutes=minute + 1)}
    shown = {"bid": bid, "ask": ask, "bid_depth": sizes[0], "ask_depth": sizes[1]}
    return {"symbol": "AAA", "session": day, "source": "made", **times, **shown}


def test_quotes_of_a_bar_are_averaged_over_its_minutes() -> None:
    bars = minutes("AAA", AROUND[:1], seed=1, frequency="5m")
    told = QUOTE_BARS.frame(
        [quote(AROUND[0], 0, 99.9, 100.1, (100, 300)), quote(AROUND[0], 3, 99.8, 100.2, (500, 300))]
    )
    row = of_day(bars, AROUND[0], told).row(0, named=True)
    assert row["spread_bp"] == pytest.approx((20 + 40) / 2)
    assert row["depth_imbalance"] == pytest.approx(600 / 1200)
    assert row["spread_ratio_20"] is None
    assert of_day(bars, AROUND[0], told)["spread_bp"].null_count() == bars.height - 1


@pytest.mark.parametrize(
    ("bid", "ask"), [(0.0, 100.0), (-1.0, 100.0), (100.1, 100.0), (math.nan, 100.0), (99.0, math.inf)]
)
def test_an_impossible_quote_counts_for_nothing(bid: float, ask: float) -> None:
    told = QUOTE_BARS.frame([quote(AROUND[0], 0, bid, ask, (100, 100))])
    row = of_day(minutes("AAA", AROUND[:1], seed=1), AROUND[0], told).row(0, named=True)
    assert (row["spread_bp"], row["depth_imbalance"]) == (None, None)


@pytest.mark.parametrize("sizes", [(None, 100.0), (100.0, None), (-5.0, 100.0), (math.nan, 1.0), (0.0, 0.0)])
def test_a_spread_without_depth_is_still_a_spread(sizes: tuple[float | None, float | None]) -> None:
    told = QUOTE_BARS.frame([quote(AROUND[0], 0, 99.9, 100.1, sizes)])
    row = of_day(minutes("AAA", AROUND[:1], seed=1), AROUND[0], told).row(0, named=True)
    assert row["spread_bp"] == pytest.approx(20)
    assert row["depth_imbalance"] is None


def test_a_spread_is_compared_with_the_median_of_its_minute() -> None:
    bars = pl.concat([minutes("AAA", AROUND[:8], seed=1)])
    widths = [1.0, 2.0, 3.0, 4.0, 5.0, 60.0, 7.0]
    told = QUOTE_BARS.frame([quote(AROUND[n], 5, 100 - w, 100 + w, (1, 1)) for n, w in enumerate(widths)])
    wide = of_day(bars, AROUND[5], told).row(5, named=True)
    assert wide["spread_ratio_20"] == pytest.approx(20.0)
    after = of_day(bars, AROUND[6], told).row(5, named=True)
    assert after["spread_ratio_20"] == pytest.approx(7 / 3.5), "one wild session moves the median little"


def test_a_quote_that_became_known_too_late_is_not_used() -> None:
    late = quote(AROUND[0], 0, 99.9, 100.1, (1, 1)) | {"knowable_at": XNYS.session(AROUND[0]).close}
    assert of_day(minutes("AAA", AROUND[:1], seed=1), AROUND[0], QUOTE_BARS.frame([late]))["spread_bp"][0] is None


def test_a_bar_off_the_grid_sees_no_quote_from_after_its_end() -> None:
    """A bar of half an hour that calls itself an hour is known before the hour's quotes are."""
    bars = minutes("AAA", AROUND[:1], seed=1, frequency="1h")
    early = bars.with_columns(knowable_at=pl.col("start") + pl.duration(minutes=30))
    told = quotes("AAA", AROUND[:1], seed=2)
    assert of_day(early, AROUND[0], told)["spread_bp"].to_list()[:-1] == [None] * 6
    assert of_day(bars, AROUND[0], told)["spread_bp"].null_count() == 0


def test_a_bar_off_the_grid_is_in_the_opening_range_of_later_bars_only() -> None:
    """Two bars share the thirtieth minute; the first is known before the second has been traded."""
    bars = from_numbers([(n, 10, 11, 9, 10, 5) for n in range(31)])
    half = pl.duration(seconds=30)
    odd = bars.filter(pl.int_range(pl.len()) == 29).with_columns(
        pl.col("start", "knowable_at") + half, high=pl.lit(20.0)
    )
    rows = of_day(pl.concat([bars, odd]), AROUND[0])
    assert rows["opening_range_high_30"].to_list() == [None] * 29 + [11.0, 20.0, 20.0]


# --- bad and odd input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_an_unusable_bar_has_no_row_and_spoils_no_other(column: str, value: float) -> None:
    bars = minutes("AAA", AROUND[:1], seed=1)
    spoilt = bars.with_columns(pl.when(pl.int_range(pl.len()) == 5).then(value).otherwise(pl.col(column)).alias(column))
    without = bars.filter(pl.int_range(pl.len()) != 5)
    assert of_day(spoilt, AROUND[0]).equals(of_day(without, AROUND[0]))
    assert of_day(without, AROUND[0]).height == 389


def test_bars_outside_the_session_have_no_row() -> None:
    bars = minutes("AAA", [THANKSGIVING_FRIDAY], seed=1)
    after = bars.tail(1).with_columns(pl.col("start", "knowable_at") + pl.duration(hours=1))
    before = bars.head(1).with_columns(pl.col("start", "knowable_at") - pl.duration(hours=1))
    assert of_day(pl.concat([before, bars, after]), THANKSGIVING_FRIDAY).equals(of_day(bars, THANKSGIVING_FRIDAY))
    assert bars.height == 210


def test_an_unknown_bar_length_is_refused() -> None:
    bars = minutes("AAA", AROUND[:1], seed=1).with_columns(frequency=pl.lit("7m"))
    with pytest.raises(TableMismatch, match="7m"):
        of_day(bars, AROUND[0])


def test_no_bars_give_no_rows() -> None:
    assert of_day(INTRADAY_BARS.empty(), AROUND[0]).equals(INTRADAY_FEATURES.empty())
    assert of_day(minutes("AAA", AROUND[:1], seed=1), AROUND[1]).equals(INTRADAY_FEATURES.empty())


def test_undefined_values_are_empty_and_the_rest_finite() -> None:
    bars, actions, told = made()
    rows = intraday_features(bars, actions, told, span=Span(AROUND[0], AROUND[-1]))
    assert rows.height == bars.height
    for name in NAMES:
        assert rows[name].drop_nulls().is_finite().all(), name
    for name in ("rsi_14",):
        assert rows[name].drop_nulls().is_between(0, 100).all()
    assert rows["depth_imbalance"].drop_nulls().is_between(0, 1).all()


def test_each_row_is_knowable_when_its_bar_is() -> None:
    bars, actions, told = made()
    rows = intraday_features(bars, actions, told, span=Span(AROUND[0], AROUND[-1]))
    key = ["session", "symbol", "frequency", "start", "close", "knowable_at"]
    assert rows.select(key).equals(bars.sort(*INTRADAY_BARS.key).select(key))


# --- the same bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [date(2012, 11, 5), THANKSGIVING_FRIDAY, AROUND[20]], ids=str)
def test_a_day_cut_at_any_slot_has_the_rows_of_the_whole_day(day: date) -> None:
    """The day after clocks went back, an early close, and an ex-date."""
    bars, actions, told = made()
    whole = of_day(bars, day, told, actions)
    moments = [slot.at for slot in slots_of(XNYS.session(day), LABELS)]
    for moment in [*moments, moments[3] + timedelta(minutes=7)]:
        known = [frame.filter(pl.col("knowable_at") <= moment) for frame in (bars, actions, told)]
        cut = of_day(known[0], day, known[2], known[1])
        assert cut.equals(whole.filter(pl.col("knowable_at") <= moment)), moment
    assert whole.height > 0


@given(st.data())
@settings(deadline=None, max_examples=15)
def test_any_split_of_a_range_is_the_range(data: st.DataObject) -> None:
    bars, actions, told = made()
    begin = data.draw(st.integers(0, 24))
    end = data.draw(st.integers(begin + 1, 29))
    cut = data.draw(st.integers(begin, end - 1))
    parts = [Span(AROUND[begin], AROUND[cut]), Span(AROUND[cut + 1], AROUND[end])]
    whole = intraday_features(bars, actions, told, span=Span(AROUND[begin], AROUND[end]))
    made_in_parts = []
    for span in parts:
        past = pl.col("session").is_between(XNYS.previous(span.first, 20).day, span.last)
        made_in_parts.append(intraday_features(bars.filter(past), actions.filter(past), told.filter(past), span=span))
    assert pl.concat(made_in_parts).equals(whole, null_equal=True)


def test_the_order_of_rows_does_not_matter() -> None:
    bars, actions, told = made()
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=1)
    assert of_day(shuffled, AROUND[25], told.reverse(), actions).equals(of_day(bars, AROUND[25], told, actions))


def test_another_symbol_changes_nothing() -> None:
    bars, actions, told = made()
    alone = of_day(bars.filter(pl.col("symbol") == "AAA"), AROUND[25], told, actions)
    assert of_day(bars, AROUND[25], told, actions).filter(pl.col("symbol") == "AAA").equals(alone)


# --- real minutes --------------------------------------------------------------------------------------------------


def real(shared_data: Path, symbol: str) -> pl.DataFrame:
    """Minutes of the regular session from the sample files."""
    raw = pl.read_csv(shared_data / "lean" / "minute" / f"{symbol.lower()}_1min_trade.csv", schema_overrides=_CSV)
    local = pl.col("time_et_bar_start").str.to_datetime(time_unit="us")
    frame = raw.with_columns(
        start=local.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC"), session=local.dt.date()
    ).with_columns(symbol=pl.lit(symbol), frequency=pl.lit("1m"), source=pl.lit("lean"))
    hours = [XNYS.session(day) for day in frame["session"].unique().sort()]
    closes = pl.DataFrame(
        {"session": [s.day for s in hours], "open_at": [s.open for s in hours], "close_at": [s.close for s in hours]},
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("open_at", "close_at")},
    )
    inside = (pl.col("start") >= pl.col("open_at")) & (pl.col("start") < pl.col("close_at"))
    known = frame.join(closes, on="session").filter(inside)
    timed = known.with_columns(knowable_at=pl.col("start") + pl.duration(minutes=1))
    return INTRADAY_BARS.conform(timed.select(list(INTRADAY_BARS.polars_schema())))


@pytest.mark.parametrize("symbol", ["SPY", "IBM", "TWX", "GOOG", "SHY", "AAPL"])
def test_real_minutes_agree_with_sums_over_lists(shared_data: Path, symbol: str) -> None:
    """With gaps, an early close, a session of six bars and an illiquid name."""
    bars = real(shared_data, symbol)
    days = bars["session"].unique().sort().to_list()
    rows = intraday_features(bars, NONE, NO_QUOTES, span=Span(days[0], days[-1]))
    assert rows.height == bars.height
    for day in days:
        mine, theirs = rows.filter(pl.col("session") == day), bars.filter(pl.col("session") == day)
        typical = ((theirs["high"] + theirs["low"] + theirs["close"]) / 3).to_list()
        volume = theirs["volume"].to_list()
        vwap = math.fsum(t * v for t, v in zip(typical, volume, strict=True)) / math.fsum(volume)
        assert mine["vwap_session"][-1] == pytest.approx(vwap, rel=1e-12)
        assert mine["vwap_20"].null_count() == min(19, theirs.height)
        rolling = textbook.weighted_mean(typical, volume, 20)
        np.testing.assert_allclose(mine["vwap_20"].to_numpy(), rolling, rtol=1e-12)
        first = theirs.filter(pl.col("start") < XNYS.session(day).open + timedelta(minutes=30))
        assert set(mine["opening_range_high_30"].drop_nulls()) <= {first["high"].max()}


def test_the_half_day_of_christmas_eve_ends_at_one(shared_data: Path) -> None:
    day = date(2015, 12, 24)
    rows = of_day(real(shared_data, "GOOG"), day)
    assert rows.height == 210
    last: datetime = rows["knowable_at"][-1]
    assert last == XNYS.session(day).close


def test_days_of_the_test_are_sessions() -> None:
    assert set(AROUND) <= set(XNYS.days)
    assert days_from(1, THANKSGIVING_FRIDAY) == [THANKSGIVING_FRIDAY]
    assert XNYS.session(THANKSGIVING_FRIDAY).is_early_close
