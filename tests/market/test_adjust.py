import random
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, SHARED, actions_frame, daily_frame, daily_row, quiet_rows
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.market.adjust import adjusted, split_adjusted

PRICES = ("open", "high", "low", "close")
DAYS = [session.day for session in SESSIONS]
RATIOS = st.sampled_from([0.1, 0.5, 1.5, 2.0, 3.0, 4.0, 7.0])
SPLITS = st.dictionaries(st.sampled_from(DAYS[1:]), RATIOS, max_size=4)


def market_with(splits: dict[date, float]) -> tuple[pl.DataFrame, pl.DataFrame]:
    actions = [("AAA", day, "split", ratio) for day, ratio in splits.items()]
    return daily_frame(quiet_rows()), actions_frame(*actions)


def closes(bars: pl.DataFrame, symbol: str = "AAA") -> list[float]:
    return bars.filter(pl.col("symbol") == symbol)["close"].to_list()


def test_bars_before_the_ex_date_are_divided_and_later_ones_are_left() -> None:
    bars, actions = market_with({DAYS[10]: 4.0})
    adjusted = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    assert closes(adjusted)[:10] == [close / 4 for close in closes(bars)[:10]]
    assert closes(adjusted)[10:] == closes(bars)[10:]


def test_volume_is_multiplied_by_the_ratio() -> None:
    bars, actions = market_with({DAYS[1]: 3.0})
    volume = split_adjusted(bars, actions, as_of_session=DAYS[-1]).filter(pl.col("symbol") == "AAA")["volume"]
    assert volume[:2].to_list() == [3_000_000.0, 1_000_000.0]


def test_two_splits_multiply() -> None:
    bars, actions = market_with({DAYS[3]: 2.0, DAYS[6]: 5.0})
    adjusted = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    factors = [before / after for before, after in zip(closes(bars), closes(adjusted), strict=True)]
    assert factors[:8] == pytest.approx([10, 10, 10, 5, 5, 5, 1, 1])


def test_a_split_after_the_session_is_not_known_yet() -> None:
    bars, actions = market_with({DAYS[10]: 2.0})
    assert split_adjusted(bars, actions, as_of_session=DAYS[9]).equals(bars)


def test_a_split_counts_on_its_own_ex_date() -> None:
    bars, actions = market_with({DAYS[10]: 2.0})
    adjusted = split_adjusted(bars, actions, as_of_session=DAYS[10])
    assert closes(adjusted)[9] == closes(bars)[9] / 2


def test_other_symbols_are_left_alone() -> None:
    bars, actions = market_with({DAYS[10]: 2.0})
    adjusted = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    assert closes(adjusted, "BBB") == closes(bars, "BBB")


def test_a_dividend_changes_nothing() -> None:
    bars = daily_frame(quiet_rows())
    paid = actions_frame(("AAA", DAYS[5], "cash_dividend", 1.5))
    assert split_adjusted(bars, paid, as_of_session=DAYS[-1]).equals(bars)


def test_an_ex_date_without_a_bar_still_counts_for_the_bars_before() -> None:
    rows = [daily_row("AAA", SESSIONS[0], 80.0), daily_row("AAA", SESSIONS[4], 41.0)]
    actions = actions_frame(("AAA", DAYS[2], "split", 2.0))
    assert closes(split_adjusted(daily_frame(rows), actions, as_of_session=DAYS[4])) == [40.0, 41.0]


def test_no_bars_stay_no_bars() -> None:
    bars, actions = market_with({DAYS[10]: 2.0})
    assert split_adjusted(bars.clear(), actions, as_of_session=DAYS[-1]).is_empty()


@settings(deadline=None, max_examples=20)
@given(SPLITS, st.integers(1, len(DAYS) - 1), st.integers(1, len(DAYS) - 1))
def test_ratios_between_two_past_sessions_never_change(splits: dict[date, float], one: int, other: int) -> None:
    bars, actions = market_with(splits)
    early, late = sorted((one, other))
    before = closes(split_adjusted(bars, actions, as_of_session=DAYS[early]))[: early + 1]
    after = closes(split_adjusted(bars, actions, as_of_session=DAYS[late]))[: early + 1]
    assert [x / before[0] for x in before] == pytest.approx([x / after[0] for x in after])


@settings(deadline=None, max_examples=20)
@given(SPLITS)
def test_price_times_volume_is_invariant(splits: dict[date, float]) -> None:
    bars, actions = market_with(splits)
    adjusted = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    for price in PRICES:
        assert (adjusted[price] * adjusted["volume"]).to_list() == pytest.approx(
            (bars[price] * bars["volume"]).to_list()
        )


@settings(deadline=None, max_examples=20)
@given(SPLITS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(splits: dict[date, float], chance: random.Random) -> None:
    bars, actions = market_with(splits)
    order = list(range(bars.height))
    chance.shuffle(order)
    straight = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    assert split_adjusted(bars[order], actions, as_of_session=DAYS[-1]).equals(straight[order])


def paid(*dividends: tuple[int, float]) -> pl.DataFrame:
    return actions_frame(*(("AAA", DAYS[number], "cash_dividend", amount) for number, amount in dividends))


def test_a_dividend_is_taken_out_of_the_prices_before_its_ex_date() -> None:
    bars = daily_frame(quiet_rows())
    whole = adjusted(bars, paid((10, 1.5)), as_of_session=DAYS[-1])
    step = 1 - 1.5 / closes(bars)[9]
    assert closes(whole)[:10] == pytest.approx([close * step for close in closes(bars)[:10]])
    assert closes(whole)[10:] == closes(bars)[10:]
    assert whole["volume"].equals(bars["volume"])
    assert closes(whole, "BBB") == closes(bars, "BBB")


def test_without_dividends_only_splits_count() -> None:
    bars = daily_frame(quiet_rows())
    actions = actions_frame(("AAA", DAYS[4], "split", 2.0), ("AAA", DAYS[8], "cash_dividend", 1.0))
    plain = split_adjusted(bars, actions, as_of_session=DAYS[-1])
    assert adjusted(bars, actions, as_of_session=DAYS[-1], dividends=False).equals(plain)
    assert not adjusted(bars, actions, as_of_session=DAYS[-1]).equals(plain)


def test_a_dividend_on_the_day_of_a_split_is_per_share_as_held_before() -> None:
    """4 USD on a share of 100 that becomes two: the holder of one share has 4 USD and two shares."""
    rows = [daily_row("AAA", SESSIONS[0], 100.0), daily_row("AAA", SESSIONS[1], 48.0)]
    actions = actions_frame(("AAA", DAYS[1], "split", 2.0), ("AAA", DAYS[1], "cash_dividend", 4.0))
    assert closes(adjusted(daily_frame(rows), actions, as_of_session=DAYS[1])) == pytest.approx([48.0, 48.0])


def test_a_dividend_after_the_session_is_not_known_yet() -> None:
    bars = daily_frame(quiet_rows())
    assert adjusted(bars, paid((10, 1.5)), as_of_session=DAYS[9]).equals(bars)


def test_a_dividend_before_the_first_bar_moves_nothing() -> None:
    bars = daily_frame(quiet_rows(sessions=SESSIONS[5:]))
    assert adjusted(bars, paid((2, 1.5)), as_of_session=DAYS[-1]).equals(bars)


def test_a_dividend_is_measured_by_the_last_sound_close() -> None:
    rows = [row | {"close": float("nan")} if row["session"] == DAYS[9] else row for row in quiet_rows()]
    whole = adjusted(daily_frame(rows), paid((10, 1.5)), as_of_session=DAYS[-1])
    assert closes(whole)[8] == pytest.approx(closes(daily_frame(rows))[8] * (1 - 1.5 / closes(daily_frame(rows))[8]))


@pytest.mark.parametrize("amount", [104.0, 200.0])
def test_a_dividend_as_large_as_the_price_is_refused_by_name(amount: float) -> None:
    bars = daily_frame(quiet_rows())
    with pytest.raises(PermanentFailure, match=rf"AAA: the dividend of {DAYS[2]}.*value: {amount}"):
        adjusted(bars, paid((2, amount)), as_of_session=DAYS[-1])


@settings(deadline=None, max_examples=20)
@given(SPLITS, st.dictionaries(st.integers(1, len(DAYS) - 1), st.floats(0.01, 20.0), max_size=4))
def test_the_ratio_of_two_adjusted_closes_is_what_a_reinvesting_holder_has(
    splits: dict[date, float], dividends: dict[int, float]
) -> None:
    """Walked forward by hand: shares grow with splits, and with each dividend at the last close before its ex-date."""
    bars, actions = market_with(splits)
    both = pl.concat([actions, paid(*dividends.items())])
    raw, shares, wealth = closes(bars), 1.0, []
    for number, (day, close) in enumerate(zip(DAYS, raw, strict=True)):
        if number in dividends:
            shares /= 1 - dividends[number] / raw[number - 1]
        shares *= splits.get(day, 1.0)
        wealth.append(shares * close)
    whole = closes(adjusted(bars, both, as_of_session=DAYS[-1]))
    assert [value / whole[0] for value in whole] == pytest.approx([value / wealth[0] for value in wealth], rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(SPLITS, st.integers(1, len(DAYS) - 2))
def test_later_dividends_never_change_the_ratio_of_two_past_closes(splits: dict[date, float], day: int) -> None:
    bars, actions = market_with(splits)
    both = pl.concat([actions, paid((3, 2.0), (day + 1, 5.0))]) if day != 2 else pl.concat([actions, paid((3, 2.0))])
    early = closes(adjusted(bars, both, as_of_session=DAYS[day]))[: day + 1]
    late = closes(adjusted(bars, both, as_of_session=DAYS[-1]))[: day + 1]
    assert [x / early[0] for x in early] == pytest.approx([x / late[0] for x in late])


def test_the_golden_file_of_zipline_has_the_same_ratios() -> None:
    """Its adjusted columns also hold dividends: between two dividends the ratios must be those of splits alone."""
    path = SHARED / "zipline" / "quandl_wiki_sample_2014.csv"
    if not path.exists():
        pytest.skip("the zipline golden file is test data that is not part of the project")
    golden = pl.read_csv(path, try_parse_dates=True).filter(
        (pl.col("ticker") == "AAPL") & pl.col("date").is_between(date(2014, 5, 8), date(2014, 8, 6))
    )
    rows = [
        daily_row("AAPL", XNYS.session(r["date"]), r["close"], volume=r["volume"]) for r in golden.iter_rows(named=True)
    ]
    split = actions_frame(("AAPL", date(2014, 6, 9), "split", 7.0))
    adjusted = split_adjusted(daily_frame(rows), split, as_of_session=date(2014, 8, 6))
    level = golden["adj_close"][-1] / adjusted["close"][-1]
    assert (adjusted["close"] * level).to_list() == pytest.approx(golden["adj_close"].to_list(), rel=1e-9)
    assert adjusted["volume"].to_list() == pytest.approx(golden["adj_volume"].to_list(), rel=1e-9)


def test_factor_files_of_lean_agree_with_the_share_counts() -> None:
    folder = SHARED / "lean"
    if not folder.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    names = ["day", "dividend", "split", "reference"]
    factors = pl.read_csv(folder / "factor_files" / "aapl.csv", has_header=False, new_columns=names)
    steps = factors.with_columns(pl.col("day").cast(pl.String()).str.to_date("%Y%m%d")).sort("day")
    last, bars = date(2021, 3, 31), pl.read_csv(folder / "daily" / "aapl_daily.csv", try_parse_dates=True)
    expected = bars.join_asof(steps, left_on="date", right_on="day", strategy="forward")["split"]
    rows = [daily_row("AAPL", XNYS.session(r["date"]), r["close"]) for r in bars.iter_rows(named=True)]
    known = {date(2000, 6, 21): 2.0, date(2005, 2, 28): 2.0, date(2014, 6, 9): 7.0, date(2020, 8, 31): 4.0}
    splits = actions_frame(*(("AAPL", day, "split", ratio) for day, ratio in known.items()))
    adjusted = split_adjusted(daily_frame(rows), splits, as_of_session=last)
    assert (adjusted["close"] / bars["close"]).to_list() == pytest.approx(expected.to_list(), rel=1e-5)
