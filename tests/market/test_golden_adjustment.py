"""Published adjustments reproduced from bars as traded: zipline's sample of 2014, and the factor files of Lean."""

from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from resources.market_data.embedded import actions_in
from tests.market.frames import SHARED, actions_frame, daily_frame, daily_row
from trading_assets.core.calendar import XNYS
from trading_assets.market.adjust import adjusted, split_adjusted

LEAN, ZIPLINE = SHARED / "lean", SHARED / "zipline" / "quandl_wiki_sample_2014.csv"
LAST = date(2021, 3, 31)
EXACT = 1e-6
# Each ticker, from where its file is about one company: the earlier owners of wm and fb are others.
ONE_COMPANY = {
    "aapl": date(1998, 1, 2),
    "ibm": date(1998, 1, 2),
    "spy": date(1998, 1, 2),
    "goog": date(2004, 8, 19),
    "wm": date(2009, 8, 5),
    "fb": date(2012, 5, 18),
}
Action = tuple[str, date, str, float]


def bars_of(symbol: str, days: pl.DataFrame) -> pl.DataFrame:
    """Daily rows from columns date, open, high, low, close and volume."""
    values = ("open", "high", "low", "close", "volume")
    rows = [
        daily_row(symbol, XNYS.session(row["date"]), row["close"], **{name: float(row[name]) for name in values})
        for row in days.iter_rows(named=True)
    ]
    return daily_frame(rows)


def needed(path: Path) -> Path:
    if not path.exists():
        pytest.skip("the golden files are test data that are not part of the project")
    return path


@cache
def lean_bars(symbol: str) -> pl.DataFrame:
    path = needed(LEAN / "daily" / f"{symbol}_daily.csv")
    return pl.read_csv(path, try_parse_dates=True).filter(pl.col("date") >= ONE_COMPANY[symbol]).sort("date")


@cache
def lean_factors(symbol: str) -> pl.DataFrame:
    """Columns day, dividend, split and reference; a row holds up to its day."""
    names = ["day", "dividend", "split", "reference"]
    path = needed(LEAN / "factor_files" / f"{symbol}.csv")
    raw = pl.read_csv(
        path, has_header=False, new_columns=names, schema_overrides={name: pl.Float64() for name in names[1:]}
    )
    return raw.with_columns(pl.col("day").cast(pl.String()).str.to_date("%Y%m%d")).sort("day")


def lean_actions(symbol: str) -> list[Action]:
    """The actions between two rows of a factor file: in force from the session after the earlier row's day."""
    rows, actions = lean_factors(symbol).rows(named=True), []
    for row, after in pairwise(rows):
        if row["day"] < ONE_COMPANY[symbol] or row["day"] > LAST:
            continue
        ex_date = XNYS.next(row["day"]).day
        if row["split"] != after["split"]:
            ratio = after["split"] / row["split"]
            actions.append((symbol, ex_date, "split", round(ratio) if ratio > 1.5 else ratio))
        if row["dividend"] != after["dividend"]:
            amount = row["reference"] * (1 - row["dividend"] / after["dividend"])
            actions.append((symbol, ex_date, "cash_dividend", amount))
    return actions


@pytest.mark.parametrize("places", [None, 4])
@pytest.mark.parametrize("symbol", ONE_COMPANY)
def test_the_factors_of_lean_come_out_to_a_millionth(symbol: str, places: int | None) -> None:
    """Price factor = dividend factor × split factor, for every session.

    With four places the amounts are those that were declared, and no longer taken from the factors themselves.
    """
    days = lean_bars(symbol)
    told = [
        (name, day, kind, round(value, places) if places and kind == "cash_dividend" else value)
        for name, day, kind, value in lean_actions(symbol)
    ]
    bars = bars_of(symbol, days)
    ours = adjusted(bars, actions_frame(*told), as_of_session=LAST)
    held = days.join_asof(lean_factors(symbol), left_on="date", right_on="day", strategy="forward")
    price_factors = ours["close"] / bars["close"]
    assert (price_factors - held["dividend"] * held["split"]).abs().max() <= EXACT  # type: ignore[operator]
    assert (bars["volume"] / ours["volume"] - held["split"]).abs().max() <= EXACT  # type: ignore[operator]


def test_the_known_dividends_of_apple_stand_in_its_factor_file() -> None:
    amounts = {day: round(value, 2) for _, day, kind, value in lean_actions("aapl") if kind == "cash_dividend"}
    known = {
        date(2013, 11, 6): 3.05,
        date(2014, 2, 6): 3.05,
        date(2014, 5, 8): 3.29,
        date(2014, 8, 7): 0.47,
        date(2014, 11, 6): 0.47,
    }
    assert {day: amounts[day] for day in known} == known
    splits = [(day, ratio) for _, day, kind, ratio in lean_actions("aapl") if kind == "split"]
    assert splits == [
        (date(2000, 6, 21), 2),
        (date(2005, 2, 28), 2),
        (date(2014, 6, 9), 7),
        (date(2020, 8, 31), 4),
    ]


def test_the_earlier_owner_of_a_ticker_has_no_part_in_its_factors() -> None:
    """The file of wm is about Waste Management; its reference closes of 2008 are not those of Washington Mutual."""
    raw = pl.read_csv(needed(LEAN / "daily" / "wm_daily.csv"), try_parse_dates=True)
    met = lean_factors("wm").join(raw, left_on="day", right_on="date").filter(pl.col("reference") > 1)
    apart = (met["close"] - met["reference"]).abs()
    before = met["day"] < ONE_COMPANY["wm"]
    assert apart.filter(~before).max() == 0.0
    assert apart.filter(before).min() > 0.1  # type: ignore[operator]


@cache
def golden(symbol: str) -> pl.DataFrame:
    return pl.read_csv(needed(ZIPLINE), try_parse_dates=True).filter(pl.col("ticker") == symbol).sort("date")


def golden_actions(symbol: str) -> list[Action]:
    rows = golden(symbol).rows(named=True)
    dividends = [(symbol, r["date"], "cash_dividend", r["ex-dividend"]) for r in rows if r["ex-dividend"]]
    splits = [(symbol, r["date"], "split", r["split_ratio"]) for r in rows if r["split_ratio"] != 1]
    return [*dividends, *splits]


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "BRK_A", "ZEN"])
def test_the_actions_of_zipline_are_those_that_its_adjusted_close_implies(symbol: str) -> None:
    prices = golden(symbol).select("close", "adj_close", session="date")
    found = {
        (row["session"], row["kind"], row["ratio"] if row["kind"] == "split" else row["amount"])
        for row in actions_in(prices).iter_rows(named=True)
    }
    assert found == {(day, kind, value) for _, day, kind, value in golden_actions(symbol)}


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "BRK_A", "ZEN"])
def test_total_returns_are_those_of_zipline_once_dividends_are_reinvested_at_the_same_price(symbol: str) -> None:
    """Its publisher reinvests at the close of the ex-date, Lean and this desk at the last close before it.

    So each dividend step is replaced by the publisher's, close / (close + amount), and every ratio must agree.
    """
    days = golden(symbol)
    bars, actions = bars_of(symbol, days), actions_frame(*golden_actions(symbol))
    ours = adjusted(bars, actions, as_of_session=date(2014, 12, 31))["close"]
    paid = days.with_columns(before=pl.col("close").shift(1)).filter(pl.col("ex-dividend") > 0)
    for row in paid.iter_rows(named=True):
        step = 1 - row["ex-dividend"] / row["before"]
        theirs = row["close"] / (row["close"] + row["ex-dividend"])
        ours = pl.select(pl.when(days["date"] < row["date"]).then(ours * (theirs / step)).otherwise(ours)).to_series()
    level = days["adj_close"][-1] / ours[-1]
    assert (ours * level / days["adj_close"] - 1).abs().max() <= 1e-12


@pytest.mark.parametrize(("symbol", "apart"), [("AAPL", 4e-5), ("MSFT", 2e-4)])
def test_the_two_ways_of_reinvesting_differ_by_little_over_a_year(symbol: str, apart: float) -> None:
    days = golden(symbol)
    bars, actions = bars_of(symbol, days), actions_frame(*golden_actions(symbol))
    ours = adjusted(bars, actions, as_of_session=date(2014, 12, 31))["close"]
    total, theirs = ours[-1] / ours[0], days["adj_close"][-1] / days["adj_close"][0]
    assert total / theirs == pytest.approx(1, abs=apart)


def test_apple_on_both_sides_of_its_seven_for_one_split() -> None:
    """645.57 and then 93.70: a rise of 1.6 %, and not a fall of 85 %."""
    days = golden("AAPL")
    bars, split = bars_of("AAPL", days), actions_frame(("AAPL", date(2014, 6, 9), "split", 7.0))
    closes = dict(split_adjusted(bars, split, as_of_session=date(2014, 6, 9)).select("session", "close").rows())
    assert closes[date(2014, 6, 9)] / closes[date(2014, 6, 6)] - 1 == pytest.approx(0.016, abs=5e-4)
    raw = dict(bars.select("session", "close").rows())
    assert raw[date(2014, 6, 6)] == 645.57
