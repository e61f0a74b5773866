"""The kernel: TA-Lib's numbers, exact windows on series made to break running sums, and bits that depend on nothing else."""

import math
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from tests.features.frames import days_from, embedded, markets, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.kernel import COLUMNS, FIRST_BAR, LANES_MAX, Bits, Floats, indicators_into
from trading_assets.features.model import INDICATOR_COLUMNS
from trading_assets.market.model import DAILY_BARS

Bars = tuple[Floats, Floats, Floats, Floats]
LONG = 11_504


def measured(bars: Bars, *, lanes: int = 8, jobs: list[tuple[int, ...]] | None = None) -> tuple[Floats, Bits]:
    """The kernel on series that stand one after another; one job over all bars unless told otherwise."""
    size = bars[0].size
    table = np.array(jobs or [(0, size, 0, 0, 0)], dtype=np.int64)
    out, valid = np.full((len(COLUMNS), size), math.nan), np.full((len(COLUMNS), -(-size // 8)), 255, dtype=np.uint8)
    nothing, none = np.empty(0, dtype=np.int64), np.empty(0)
    indicators_into(bars, np.arange(size), table, nothing, none, lanes, 0, out, valid)
    return out, valid


def columns_of(bars: Bars) -> dict[str, Floats]:
    """Column to values, NaN where the validity bit is cleared."""
    out, valid = measured(bars)
    defined = np.unpackbits(valid, axis=1, bitorder="little")[:, : out.shape[1]].astype(bool)
    return dict(zip(COLUMNS, np.where(defined, out, math.nan), strict=True))


def by_talib(high: Floats, low: Floats, close: Floats, volume: Floats) -> dict[str, Floats]:
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    line, signal, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    return {
        **{f"sma_{n}": talib.SMA(close, timeperiod=n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(close, timeperiod=n) for n in (12, 26, 50)},
        "macd_12_26_9": line,
        "macd_signal_12_26_9": signal,
        "macd_histogram_12_26_9": histogram,
        "bb_upper_20_2": upper,
        "bb_middle_20_2": middle,
        "bb_lower_20_2": lower,
        "rsi_14": talib.RSI(close, timeperiod=14),
        "atr_14": talib.ATR(high, low, close, timeperiod=14),
        "adx_14": talib.ADX(high, low, close, timeperiod=14),
        **{f"high_{n}": talib.MAX(high, timeperiod=n) for n in (20, 252)},
        **{f"low_{n}": talib.MIN(low, timeperiod=n) for n in (20, 252)},
        "volume_mean_20": talib.SMA(volume, timeperiod=20),
    }


def walked(count: int, *, seed: int, price_usd: float = 100.0, daily: float = 0.015) -> Bars:
    dice = np.random.default_rng(seed)
    close = price_usd * np.exp(np.cumsum(dice.normal(0, daily, count)))
    reach = np.exp(np.abs(dice.normal(0, 0.006, (2, count))))
    return close * reach[0], close / reach[1], close, np.floor(dice.lognormal(13, 0.5, count))


def from_16_cents_to_5000() -> Bars:
    """Thirty-odd years of one company that grew thirty-thousandfold and trades up to 1e10 shares."""
    high, low, close, _ = walked(LONG, seed=4, daily=0.02)
    trend = np.exp(np.linspace(math.log(0.16), math.log(5000), LONG) - np.log(close))
    noise = np.exp(np.random.default_rng(5).normal(0, 0.01, LONG))
    scale = trend * noise
    return high * scale, low * scale, close * scale, np.linspace(1e10, 100, LONG).round()


def a_giant_that_leaves() -> Bars:
    """One bar a million times as dear and as busy as the others."""
    bars = walked(600, seed=6)
    for column in bars:
        column[100] *= 1e6
    return bars


def stands_still() -> Bars:
    still = np.full(600, 4999.99)
    return still, still.copy(), still.copy(), np.full(600, 1e10)


def moves_then_stands_still() -> Bars:
    bars = walked(900, seed=7, price_usd=0.16)
    for column in bars:
        column[300:] = column[300]
    bars[0][300:], bars[1][300:] = bars[2][300], bars[2][300]
    return bars


def of_embedded(symbol: str) -> Bars:
    bars, _ = embedded()
    one = bars.filter(pl.col("symbol") == symbol)
    high, low, close, volume = (one[name].to_numpy() for name in ("high", "low", "close", "volume"))
    return high, low, close, volume


def exact(bars: Bars) -> dict[str, Floats]:
    """The windows with sums that round once."""
    close, volume = bars[2].tolist(), bars[3].tolist()
    upper, lower = textbook.bollinger(close, 20, 2.0)
    typical = ((bars[0] + bars[1] + bars[2]) / 3).tolist()
    lines = {
        **{f"sma_{n}": textbook.sma(close, n) for n in (20, 50, 200)},
        "bb_upper_20_2": upper,
        "bb_middle_20_2": textbook.sma(close, 20),
        "bb_lower_20_2": lower,
        "volume_mean_20": textbook.sma(volume, 20),
        "vwap_20": textbook.weighted_mean(typical, volume, 20),
        "vol_20": [d * math.sqrt(252) for d in textbook.deviation(textbook.log_steps(close), 20)],
    }
    return {name: np.array(line) for name, line in lines.items()}


SERIES: dict[str, Callable[[], Bars]] = {
    "walk": lambda: walked(700, seed=1),
    "long": from_16_cents_to_5000,
    "giant": a_giant_that_leaves,
    "still": stands_still,
    "stops": moves_then_stands_still,
    **{symbol: (lambda name=symbol: of_embedded(name)) for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT")},  # type: ignore[misc]
}


def test_the_columns_are_those_of_the_table() -> None:
    assert tuple(column.name for column in INDICATOR_COLUMNS) == COLUMNS


@pytest.mark.parametrize("name", SERIES)
def test_every_column_that_talib_has_agrees_with_it_to_1e_9(name: str) -> None:
    """Where TA-Lib is itself farther from the exactly rounded window (its running sums keep a rest), by that much more.

    MACD is a difference and comes near zero: there 1e-9 of the price.
    """
    bars = SERIES[name]()
    ours, known = columns_of(bars), exact(bars)
    for column, theirs in by_talib(*bars).items():
        own_error = np.abs(theirs - known[column]) if column in known else np.zeros(theirs.size)
        scale = np.maximum(np.abs(theirs), bars[2]) if column.startswith("macd") else np.abs(theirs)
        assert (np.isnan(ours[column]) == np.isnan(theirs)).all(), column
        both = ~np.isnan(theirs)
        assert (np.abs(ours[column] - theirs)[both] <= (1e-9 * scale + own_error)[both]).all(), column


@pytest.mark.parametrize("name", SERIES)
def test_windows_agree_with_exactly_rounded_sums_to_1e_9(name: str) -> None:
    bars = SERIES[name]()
    ours = columns_of(bars)
    for column, known in exact(bars).items():
        np.testing.assert_allclose(ours[column], known, rtol=1e-9, atol=1e-12, err_msg=column)


def test_a_giant_leaves_nothing_behind() -> None:
    """Windows after it hold the bits that they hold without it."""
    calm, giant = walked(600, seed=6), a_giant_that_leaves()
    without, beside = columns_of(calm), columns_of(giant)
    for column in ("sma_20", "bb_upper_20_2", "vwap_20", "volume_mean_20", "high_20", "low_20"):
        assert beside[column][121:].tobytes() == without[column][121:].tobytes(), column
    assert beside["sma_200"][301:].tobytes() == without["sma_200"][301:].tobytes()
    assert beside["vol_20"][122:].tobytes() == without["vol_20"][122:].tobytes()
    assert beside["high_252"][353:].tobytes() == without["high_252"][353:].tobytes()


def test_a_market_that_stands_still_has_bands_on_the_price_and_no_movement() -> None:
    last = {name: line[-1] for name, line in columns_of(stands_still()).items()}
    assert {last[name] for name in ("vol_20", "atr_14", "adx_14", "rsi_14", "mom_252_21")} == {0.0}
    assert {last[name] for name in ("high_20", "high_252", "low_20", "low_252")} == {4999.99}
    for name in ("bb_upper_20_2", "bb_lower_20_2", "sma_200", "ema_50", "vwap_20"):
        assert last[name] == pytest.approx(4999.99, rel=1e-14)


def test_validity_bits_are_cleared_before_the_first_value_and_nowhere_else() -> None:
    _, valid = measured(walked(300, seed=2))
    defined = np.unpackbits(valid, axis=1, bitorder="little")[:, :300].astype(bool)
    assert (defined == (np.arange(300) >= FIRST_BAR[:, None])).all()


@given(st.integers(1, 40), st.sampled_from([8, 16, 64, LANES_MAX]), st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_a_symbol_has_the_same_bits_in_any_company_and_lane(symbols: int, lanes: int, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 400, symbols)
    alone = [walked(int(length), seed=number) for number, length in enumerate(lengths)]
    together = tuple(np.concatenate(column) for column in zip(*alone, strict=True))
    begins = np.cumsum(lengths) - lengths
    jobs = [(int(begin), int(length), 0, 0, 0) for begin, length in zip(begins, lengths, strict=True)]
    out, _ = measured(together, lanes=lanes, jobs=jobs)  # type: ignore[arg-type]
    for number, begin in enumerate(begins):
        single, _ = measured(alone[number])
        assert out[:, begin : begin + lengths[number]].tobytes() == single.tobytes()


@given(st.integers(0, 999), st.integers(1, 900), st.data())
@settings(deadline=None, max_examples=20)
def test_only_the_wanted_bars_are_written_and_with_the_same_bits(seed: int, count: int, data: st.DataObject) -> None:
    fresh = data.draw(st.integers(0, count - 1))
    bars = walked(count, seed=seed)
    whole, _ = measured(bars)
    part, _ = measured(bars, jobs=[(0, count, fresh, 0, 0)])
    assert np.isnan(part[:, :fresh]).all()
    assert part[:, fresh:].tobytes() == whole[:, fresh:].tobytes()


@given(st.integers(0, 999), st.integers(2, 600), st.data())
@settings(deadline=None, max_examples=20)
def test_later_bars_change_no_bit(seed: int, count: int, data: st.DataObject) -> None:
    end = data.draw(st.integers(1, count))
    bars = walked(count, seed=seed)
    short = measured(tuple(column[:end].copy() for column in bars))[0]  # type: ignore[arg-type]
    assert short.tobytes() == np.ascontiguousarray(measured(bars)[0][:, :end]).tobytes()


@given(markets(), st.lists(st.floats(0, 1), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_any_cutting_of_the_range_gives_the_backfills_bits(
    market: tuple[pl.DataFrame, pl.DataFrame], cuts: list[float]
) -> None:
    """Each piece is asked for on its own last day, with the splits and bars known then."""
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    edges = sorted({0, len(days), *(int(cut * len(days)) for cut in cuts)})
    pieces = []
    for begin, end in pairwise(edges):
        known = pl.col("session") <= days[end - 1]
        span = Span(days[begin], days[end - 1])
        pieces.append(indicator_panel(bars.filter(known), actions.filter(known), span=span))
    assert pl.concat(pieces).equals(indicator_panel(bars, actions, span=span_of(bars)), null_equal=True)


def test_symbols_that_begin_pause_and_end_on_different_days_are_as_they_are_alone() -> None:
    days = days_from(420)
    parts = [walk(f"S{n:02}", 420 - 17 * n, seed=n, first=days[7 * n]) for n in range(12)]
    parts[3] = parts[3].filter(~pl.col("session").is_in(days[100:130]))
    parts[5] = parts[5].filter(pl.col("session") != days[200])
    split = splits_of(("S04", days[150], 3.0), ("S04", days[260], 0.25), ("S07", days[90], 2.0))
    bars = DAILY_BARS.conform(pl.concat(parts))
    whole = indicator_panel(bars, split, span=span_of(bars))
    assert whole.select("session", "symbol").equals(bars.select("session", "symbol"))
    for part in parts:
        alone = indicator_panel(part, split, span=span_of(bars))
        assert whole.filter(pl.col("symbol") == part["symbol"][0]).equals(alone, null_equal=True)


def test_more_symbols_than_lanes_are_done_in_turns() -> None:
    """One more than fits: the last one goes alone."""
    one = walk("AAA", 30, seed=1)
    names = [f"S{number:04}" for number in range(LANES_MAX + 1)]
    bars = DAILY_BARS.conform(pl.concat([one.with_columns(symbol=pl.lit(name)) for name in names]))
    panel = indicator_panel(bars, splits_of(), span=span_of(bars))
    expected = indicator_panel(one, splits_of(), span=span_of(bars)).drop("symbol")
    for name in (names[0], names[-2], names[-1]):
        assert panel.filter(pl.col("symbol") == name).drop("symbol").equals(expected, null_equal=True)


def test_names_longer_than_an_arrow_view_holds_are_told_apart() -> None:
    names = ["ABCDEFGHIJKL-1", "ABCDEFGHIJKL-2", "ABCDEFGHIJKM-2"]
    parts = [walk(name, 40, seed=number) for number, name in enumerate(names)]
    panel = indicator_panel(DAILY_BARS.conform(pl.concat(parts)), splits_of(), span=span_of(parts[0]))
    for part in parts:
        alone = indicator_panel(part, splits_of(), span=span_of(part))
        assert panel.filter(pl.col("symbol") == part["symbol"][0]).equals(alone, null_equal=True)


def test_sums_that_overflow_give_no_nan() -> None:
    """The sum of two such closes is infinite, and so is their spread: the lower band would be infinity minus infinity."""
    bars = walk("AAA", 60, seed=1)
    absurd = pl.col("session").is_in(bars["session"][30:32].to_list())
    prices = (pl.when(absurd).then(1.7e308).otherwise(pl.col(n)).alias(n) for n in ("open", "high", "low", "close"))
    panel = indicator_panel(bars.with_columns(*prices), splits_of(), span=span_of(bars))
    assert panel.height == 60
    assert panel["bb_lower_20_2"][31:50].null_count() == 19
    assert not panel.select(pl.any_horizontal(pl.col(COLUMNS).is_nan().any())).item()


def test_two_splits_between_two_bars_count_both() -> None:
    """A symbol that does not trade from one split to the next comes back in a share count six times as large."""
    days = days_from(60)
    whole = walk("AAA", 60, seed=3)
    after = pl.col("session") >= days[32]
    traded = whole.with_columns(
        *(pl.when(after).then(pl.col(n) / 6).otherwise(pl.col(n)).alias(n) for n in ("open", "high", "low", "close")),
        volume=pl.when(after).then(pl.col("volume") * 6).otherwise(pl.col("volume")),
    )
    gone = ~pl.col("session").is_in(days[30:32])
    split = splits_of(("AAA", days[30], 2.0), ("AAA", days[31], 3.0))
    panel = indicator_panel(traded.filter(gone), split, span=span_of(whole))
    plain = indicator_panel(whole.filter(gone), splits_of(), span=span_of(whole))
    for name in ("rsi_14", "vol_20", "adx_14"):
        np.testing.assert_allclose(panel[name].drop_nulls(), plain[name].drop_nulls(), rtol=1e-9)


def test_a_split_before_the_first_or_after_the_last_bar_changes_nothing() -> None:
    bars = walk("AAA", 60, seed=1, first=date(2001, 3, 1))
    outside = splits_of(
        ("AAA", date(2001, 2, 1), 2.0), ("AAA", bars["session"][0], 3.0), ("AAA", date(2002, 3, 1), 2.0)
    )
    plain = indicator_panel(bars, splits_of(), span=span_of(bars))
    assert indicator_panel(bars, outside, span=span_of(bars)).equals(plain, null_equal=True)
