"""What paths are made from: the right sessions, in one share count, and nothing across a gap."""

import numpy as np
import polars as pl
import pytest

from tests.features.frames import bars_of, days_from, splits_of, walk
from trading_assets.features.epochs import usable_bars
from trading_assets.features.relatives import day_relatives
from trading_assets.watchlist.past import Past

DAYS = days_from(40)


def past(bars: pl.DataFrame, actions: pl.DataFrame | None = None) -> Past:
    return Past.of(usable_bars(bars, last=DAYS[-1]), splits_of() if actions is None else actions)


def window(made: Past, symbol: str, place: int, length: int) -> tuple[int, int]:
    begin, end = made.windows(pl.Series([symbol]), pl.Series([DAYS[place]]), length)[0]
    return int(begin), int(end)


def test_a_relative_is_a_price_over_the_close_before() -> None:
    bars = walk("AAA", 3, seed=1)
    prices = bars.select("open", "high", "low", "close").to_numpy()
    assert np.array_equal(past(bars).relatives, prices[1:] / prices[:-1, 3:])


def test_two_symbols_do_not_touch_each_other() -> None:
    one, other = walk("AAA", 30, seed=1), walk("BBB", 20, seed=2)
    together = past(pl.concat([other, one]))
    assert np.array_equal(together.relatives, np.concatenate([past(one).relatives, past(other).relatives]))
    assert window(together, "BBB", 10, 5) == (29 + 5, 29 + 10)


def test_a_split_is_no_return_on_its_ex_date_and_another_symbol_keeps_its_own() -> None:
    close = np.array([100.0, 102.0, 51.0, 52.0])
    bars = [bars_of(symbol, DAYS[:4], close * 1.01, close * 0.99, close, np.full(4, 1e6)) for symbol in ("AAA", "BBB")]
    made = past(pl.concat(bars), splits_of(("AAA", DAYS[2], 2.0)))
    assert made.relatives[:, 3].tolist() == pytest.approx([1.02, 1.0, 52 / 51, 1.02, 0.5, 52 / 51])
    assert made.relatives[1, 1] == pytest.approx(1.01)


def test_relatives_agree_with_those_of_the_features() -> None:
    bars = pl.concat([walk("AAA", 40, seed=1), walk("BBB", 40, seed=2)])
    actions = splits_of(("AAA", DAYS[7], 3.0), ("BBB", DAYS[30], 0.1))
    theirs = day_relatives(usable_bars(bars, last=DAYS[-1]), actions, first=DAYS[0]).sort("symbol", "session")
    columns = theirs.select("high_relative", "low_relative", "close_relative").to_numpy()
    assert past(bars, actions).relatives[:, 1:] == pytest.approx(columns, rel=1e-12)


def test_a_session_after_a_gap_has_no_relative() -> None:
    bars = walk("AAA", 10, seed=1).filter(pl.col("session") != DAYS[4])
    made = past(bars)
    assert len(made.relatives) == 7
    assert window(made, "AAA", 9, 9) == (0, 7)
    assert window(made, "AAA", 9, 5) == (3, 7)
    assert window(made, "AAA", 5, 2) == (3, 3), "the sessions of the gap and after it"


def test_a_window_ends_with_its_session_and_never_begins_before_its_length() -> None:
    made = past(walk("AAA", 40, seed=1))
    assert window(made, "AAA", 39, 10) == (29, 39)
    assert window(made, "AAA", 5, 10) == (0, 5)
    assert window(made, "AAA", 0, 10) == (0, 0)


def test_a_symbol_without_a_past_has_an_empty_window() -> None:
    made = past(walk("AAA", 40, seed=1))
    assert window(made, "ZZZ", 39, 10) == (0, 0)
    nothing = past(walk("AAA", 1, seed=1))
    assert nothing.relatives.shape == (0, 4)
    assert window(nothing, "AAA", 0, 10) == (0, 0)


def test_prices_that_cannot_be_reckoned_with_make_no_relative() -> None:
    bars = walk("AAA", 10, seed=1)
    spoilt = bars.with_columns(low=pl.when(pl.col("session") == DAYS[4]).then(float("nan")).otherwise(pl.col("low")))
    made = past(spoilt)
    assert np.isfinite(made.relatives).all()
    assert len(made.relatives) == 7
