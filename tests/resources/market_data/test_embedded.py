from datetime import date, timedelta

import polars as pl
import pytest

from resources.market_data.embedded import DAILY, EmbeddedMarketData, Extent, actions_in, checked
from tests.market.frames import SHARED
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.ports import EmptyAnswer, MalformedAnswer, UnknownSymbol, UnsupportedRequest

EMBEDDED = EmbeddedMarketData()
ALL = Span(date(2000, 1, 3), date(2026, 12, 31))


def closes(symbol: str, first: date, last: date) -> list[float]:
    return EMBEDDED.bars(symbol, "1d", Span(first, last))["close"].to_list()


def actions(symbol: str, kind: str) -> list[tuple[date, float, float]]:
    found = EMBEDDED.corporate_actions(symbol, ALL).filter(pl.col("kind") == kind)
    return found.select("session", "ratio", "amount").rows()


def test_five_symbols_are_known() -> None:
    assert EMBEDDED.symbols() == ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@pytest.mark.parametrize("symbol", DAILY)
def test_every_session_of_a_life_has_its_daily_bar(symbol: str) -> None:
    life = EMBEDDED.life(symbol, "1d")
    sessions = EMBEDDED.bars(symbol, "1d", ALL)["session"].to_list()
    assert sessions == [session.day for session in XNYS.sessions(life.first, life.last)]


def test_prices_are_as_traded_across_a_split() -> None:
    assert closes("AAPL", date(2000, 6, 20), date(2000, 6, 21)) == [101.25, 55.63]
    assert closes("MSFT", date(2003, 2, 14), date(2003, 2, 18)) == [48.3, 24.96]


def test_adjusted_daily_bars_of_later_years_are_never_served() -> None:
    with pytest.raises(EmptyAnswer, match="2013-03-01"):
        EMBEDDED.bars("AAPL", "1d", Span(date(2013, 3, 4), date(2026, 8, 5)))


def test_four_full_sessions_of_minutes_exist_and_the_unfinished_one_is_left_out() -> None:
    bars = EMBEDDED.bars("AAPL", "1m", ALL)
    assert bars.group_by("session", maintain_order=True).len()["len"].to_list() == [390] * 4
    assert EMBEDDED.life("AAPL", "1m") == Span(date(2026, 7, 31), date(2026, 8, 5))


def test_the_last_hour_of_a_session_is_half_an_hour() -> None:
    bars = EMBEDDED.bars("AAPL", "1h", Span(date(2026, 8, 5), date(2026, 8, 5)))
    last = bars.row(-1, named=True)
    assert last["knowable_at"] - last["start"] == timedelta(minutes=30)


def test_splits_are_found_and_the_fall_of_september_2000_is_none() -> None:
    assert actions("AAPL", "split") == [(date(2000, 6, 21), 2.0, 0.0), (date(2005, 2, 28), 2.0, 0.0)]
    assert actions("MSFT", "split") == [(date(2003, 2, 18), 2.0, 0.0)]
    assert [symbol for symbol in ("IBM", "GOOG", "FB") if actions(symbol, "split")] == []


def test_dividends_of_2012_are_found_to_the_cent() -> None:
    of_2012 = Span(date(2012, 1, 3), date(2012, 12, 31))
    found = {symbol: EMBEDDED.corporate_actions(symbol, of_2012).select("session", "amount").rows() for symbol in DAILY}
    assert found["AAPL"] == [(date(2012, 8, 9), 2.65), (date(2012, 11, 7), 2.65)]
    assert [amount for _, amount in found["MSFT"]] == [0.20, 0.20, 0.20, 0.23]
    assert [amount for _, amount in found["IBM"]] == [0.75, 0.85, 0.85, 0.85]
    assert found["GOOG"] == found["FB"] == []


def test_the_special_dividend_of_microsoft_is_no_split() -> None:
    assert (date(2004, 11, 15), 1.0, 3.08) in actions("MSFT", "cash_dividend")


@pytest.mark.parametrize(("symbol", "count"), [("AAPL", 3), ("IBM", 52), ("MSFT", 37)])
def test_every_amount_is_whole_cents(symbol: str, count: int) -> None:
    amounts = [amount for _, _, amount in actions(symbol, "cash_dividend")]
    assert len(amounts) == count
    assert all(abs(amount * 100 - round(amount * 100)) < 1e-9 for amount in amounts)
    assert all(0.05 < amount < 3.1 for amount in amounts)


@pytest.mark.parametrize(("symbol", "same"), [("aapl", 3), ("ibm", 52)])
def test_dividends_agree_with_the_factor_files_of_lean(symbol: str, same: int) -> None:
    path = SHARED / "lean" / "factor_files" / f"{symbol}.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    rows = pl.read_csv(path, has_header=False, new_columns=["day", "factor", "split", "reference"]).sort("day")
    steps = rows.with_columns(
        day=pl.col("day").cast(pl.String()).str.to_date("%Y%m%d"),
        amount=pl.col("reference") * (1 - pl.col("factor") / pl.col("factor").shift(-1)),
    ).filter((pl.col("amount") > 0.01) & pl.col("day").is_between(date(2000, 3, 1), date(2013, 2, 28)))
    expected = [(XNYS.next(row["day"]).day, row["amount"]) for row in steps.iter_rows(named=True)]
    found = [(day, amount) for day, _, amount in actions(symbol.upper(), "cash_dividend")]
    assert len(found) == same
    assert [day for day, _ in found] == [day for day, _ in expected]
    assert [amount for _, amount in found] == pytest.approx([amount for _, amount in expected], abs=0.01)


def test_steps_of_the_adjusted_close_become_actions() -> None:
    days = [session.day for session in XNYS.sessions(date(2024, 1, 2), date(2024, 1, 8))]
    close = [100.0, 50.0, 50.0, 500.0, 490.0]
    factors = [4.9, 9.8, 9.8, 0.98, 1.0]
    prices = pl.DataFrame(
        {"session": days, "close": close, "adj_close": [c * f for c, f in zip(close, factors, strict=True)]}
    )
    assert actions_in(prices).rows() == [
        (days[1], "split", 2.0, 0.0),
        (days[3], "split", pytest.approx(0.1), 0.0),
        (days[4], "cash_dividend", 1.0, 10.0),
    ]


def test_a_package_with_other_bars_is_refused() -> None:
    prices = pl.DataFrame({"session": [date(2024, 1, 2)]})
    with pytest.raises(MalformedAnswer, match="AAPL 1d") as caught:
        checked(prices, Extent(2, date(2024, 1, 2), date(2024, 1, 3)), series="AAPL 1d")
    assert "1 rows, 2024-01-02 to 2024-01-02" in str(caught.value)
    assert checked(prices, Extent(1, date(2024, 1, 2), date(2024, 1, 2)), series="AAPL 1d") is prices


def test_lengths_that_no_package_holds_are_unsupported() -> None:
    with pytest.raises(UnsupportedRequest, match="5m"):
        EMBEDDED.bars("AAPL", "5m", ALL)


def test_a_known_symbol_without_intraday_bars_is_empty() -> None:
    with pytest.raises(EmptyAnswer, match="IBM"):
        EMBEDDED.bars("IBM", "1m", ALL)


def test_actions_of_an_unknown_symbol_are_refused() -> None:
    with pytest.raises(UnknownSymbol, match="ZZZ"):
        EMBEDDED.corporate_actions("ZZZ", ALL)
