"""Settling a session: on its intraday bars where they tell the whole of it, else on its daily bar; valued at the daily close."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.execution.desks import FREE, SESSIONS, book, bracket, order
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.matching import match_bars, match_session
from trading_assets.execution.model import Book, Order
from trading_assets.execution.settlement import Opening, Settled, open_session, price_bar, settle

SESSION = SESSIONS[0]
HOUR = timedelta(hours=1)
Row = dict[str, Any]


def daily(prices: str, *, symbol: str = "AAA", volume: float = 1e6) -> Row:
    """A row of DAILY_BARS from "open high low close"."""
    return row(prices, SESSION.open, SESSION.close, symbol=symbol, volume=volume)


def row(prices: str, start: datetime, end: datetime, *, symbol: str = "AAA", volume: float = 1e6) -> Row:
    names = ("open", "high", "low", "close")
    told = dict(zip(names, map(float, prices.split()), strict=True))
    return {"symbol": symbol, "session": SESSION.day, "start": start, "knowable_at": end, "volume": volume, **told}


def hourly(*prices: str, symbol: str = "AAA", frequency: str = "1h", volume: float = 1e6) -> list[Row]:
    """Rows of INTRADAY_BARS: seven hours of a session, the last of them half; further hours stand at the last prices."""
    last = prices[-1].split()[-1]
    whole = [*prices, *[" ".join([last] * 4)] * (7 - len(prices))]
    starts = [SESSION.open + HOUR * number for number in range(7)]
    rows = [
        row(text, start, min(start + HOUR, SESSION.close), symbol=symbol, volume=volume)
        for text, start in zip(whole, starts, strict=True)
    ]
    return [{**each, "frequency": frequency} for each in rows]


def settled(*orders: Order, bars: list[Row], intraday: list[Row] | None = None, **given: Any) -> Settled:
    return settle(SESSION, Opening(book(*orders, **given), {}, ()), bars, FREE, intraday or [])


def fills(result: Settled) -> list[tuple[str, int, str, str, float]]:
    """Fills with the hours since the open."""
    return [
        (fill.order_id, fill.quantity, str(fill.price), fill.reason, (fill.at - SESSION.open) / HOUR)
        for fill in result.fills
    ]


def later(entry: Order, hours: float) -> Order:
    return replace(entry, placed_at=SESSION.open + HOUR * hours)


HALF_PAST_TEN = later(order("i-entry", type="limit", limit="101", tif="day"), 1)


def test_an_order_of_half_past_ten_fills_on_the_first_bar_that_starts_then() -> None:
    result = settled(
        HALF_PAST_TEN,
        bars=[daily("99 103 97 102")],
        intraday=hourly("99 100 97 100", "100.50 101 100 101", "101 103 101 102"),
    )
    assert fills(result) == [("i-entry", 100, "100.50", "open", 1.0)]


def test_an_order_between_two_bars_waits_for_the_next() -> None:
    between = later(order("i-entry", tif="day"), 1.5)
    result = settled(
        between, bars=[daily("99 103 97 102")], intraday=hourly("99 100 97 100", "100 101 99 100", "99.50 103 99 102")
    )
    assert fills(result) == [("i-entry", 100, "99.50", "open", 2.0)]


def test_without_intraday_bars_an_order_of_half_past_ten_fills_nowhere() -> None:
    assert fills(settled(HALF_PAST_TEN, bars=[daily("99 103 97 102")])) == []


def test_a_bracket_lives_through_the_bars_of_its_session() -> None:
    """Entered at the open of the second hour, stopped in the third, and the daily bar's target is no part of it."""
    legs = bracket(HALF_PAST_TEN, stop="98", target="110")
    result = settled(
        *legs,
        bars=[daily("99 112 96 111")],
        intraday=hourly("99 112 99 100", "100 101 99 100", "99 100 97 98", "98 99 96 98", "98 111 98 111"),
    )
    assert fills(result) == [("i-entry", 100, "100.00", "open", 1.0), ("i-stop", 100, "98.00", "stop", 3.0)]


def test_a_stop_and_a_target_in_one_intraday_bar_fill_the_stop_and_in_two_the_first() -> None:
    legs = bracket(order("i-entry"), stop="98", target="110")
    whole = [daily("100 112 96 111")]
    assert fills(settled(*legs, bars=whole, intraday=hourly("100 112 96 111")))[1:] == [
        ("i-stop", 100, "98.00", "stop", 1.0)
    ]
    assert fills(settled(*legs, bars=whole, intraday=hourly("100 101 99 100", "100 112 99 111")))[1:] == [
        ("i-target", 100, "110.00", "limit", 2.0)
    ]


def test_an_entry_inside_an_intraday_bar_takes_profit_from_the_next_bar_on() -> None:
    legs = bracket(order("i-entry", type="limit", limit="100"), stop="95", target="104")
    result = settled(*legs, bars=[daily("102 106 99 105")], intraday=hourly("102 105 99 103", "103 106 103 105"))
    assert fills(result) == [("i-entry", 100, "100.00", "limit", 1.0), ("i-target", 100, "104.00", "limit", 2.0)]


def test_each_intraday_bar_has_its_own_volume() -> None:
    thin = replace(FREE, volume_share_max=Decimal("0.05"))
    opening = Opening(book(order("i-entry", tif="day")), {}, ())
    result = settle(SESSION, opening, [daily("100 101 99 100")], thin, hourly("100 101 99 100", volume=600))
    assert [(fill.quantity, fill.at) for fill in result.fills] == [
        (30, SESSION.open + HOUR * number) for number in range(3)
    ] + [(10, SESSION.open + HOUR * 3)]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_position_that_ends_with_the_session_trades_at_the_close_of_its_last_bar(side: Any) -> None:
    stop, target = ("90", "120") if side == "buy" else ("120", "90")
    entry = replace(HALF_PAST_TEN, side=side, type="market", limit_price=None)
    legs = bracket(entry, stop=stop, target=target, close=True)
    result = settled(
        *legs,
        bars=[daily("99 103 97 102.50")],
        intraday=hourly("99 100 97 100", "100 101 99 100", "101 103 100 102.50"),
    )
    assert fills(result) == [("i-entry", 100, "100.00", "open", 1.0), ("i-close", 100, "102.50", "close", 6.5)]
    assert (result.close.book.positions, result.close.book.orders) == ({}, {})


def test_a_last_bar_without_volume_closes_nothing_and_the_stop_stays() -> None:
    """Nobody knew at half past three that nothing would trade any more."""
    legs = bracket(replace(HALF_PAST_TEN, type="market", limit_price=None), stop="90", target="120", close=True)
    rows = hourly("99 100 97 100", "100 101 99 100")
    rows[-1]["volume"] = 0.0
    result = settled(*legs, bars=[daily("99 101 97 100")], intraday=rows)
    assert [fill.order_id for fill in result.fills] == ["i-entry"]
    assert [(o.role, o.open_quantity) for o in result.close.book.orders.values()] == [("stop", 100), ("target", 100)]


def test_the_finest_bars_that_tell_the_whole_session_are_walked() -> None:
    fine = hourly("100 101 99 100", "100 100 97 99", frequency="5m")
    coarse = hourly("100 111 97 100", frequency="1h")
    legs = bracket(order("i-entry"), stop="98", target="110")
    whole = [daily("100 111 97 100")]
    assert fills(settled(*legs, bars=whole, intraday=[*coarse, *fine]))[1][3:] == ("stop", 2.0)
    assert fills(settled(*legs, bars=whole, intraday=[*coarse, *fine[:-1]]))[1][3:] == ("stop", 1.0)


@pytest.mark.parametrize("missing", [0, -1])
def test_bars_that_begin_late_or_end_early_are_not_walked(missing: int) -> None:
    """A stop would go unwatched; the daily bar tells of all of it."""
    part = hourly("100 101 99 100", "100 101 99 100", "99 100 90 91")
    part.pop(missing)
    legs = bracket(order("i-entry"), stop="95", target="110")
    result = settled(*legs, bars=[daily("100 101 90 91")], intraday=part)
    assert fills(result) == [("i-entry", 100, "100.00", "open", 0.0), ("i-stop", 100, "95.00", "stop", 6.5)]


def test_intraday_bars_of_another_session_or_of_a_symbol_without_a_daily_bar_count_for_nothing() -> None:
    strangers = [{**each, "session": SESSIONS[1].day} for each in hourly("90 91 89 90")]
    result = settled(order("i-entry"), bars=[daily("100 101 99 100")], intraday=strangers)
    assert fills(result) == [("i-entry", 100, "100.00", "open", 0.0)]
    assert fills(settled(order("i-entry"), bars=[], intraday=hourly("100 101 99 100"))) == []


def test_symbols_with_and_without_intraday_bars_share_the_cash_in_order_of_time() -> None:
    """A daily bar's inside belongs to the close: the stop of BBB pays for nothing that is bought at noon."""
    stop = order("s-stop", "stop", "stop", symbol="BBB", stop="98")
    noon = later(order("n-entry", tif="day"), 2)
    rows = [daily("100 101 99 100"), daily("100 101 97 98", symbol="BBB")]
    result = settled(stop, noon, bars=rows, intraday=hourly("100 101 99 100"), cash=0, held={"BBB": 100})
    assert fills(result) == [("s-stop", 100, "98.00", "stop", 6.5)]
    opened = order("x-exit", "exit", symbol="BBB")
    result = settled(opened, noon, bars=rows, intraday=hourly("100 101 99 100"), cash=0, held={"BBB": 100})
    assert fills(result) == [("x-exit", 100, "100.00", "open", 0.0), ("n-entry", 100, "100.00", "open", 2.0)]


def test_the_book_is_valued_at_the_daily_close() -> None:
    result = settled(order("i-entry"), bars=[daily("100 104 99 103.25")], intraday=hourly("100 104 99 103"))
    assert result.close.prices == {"AAA": Decimal("103.2500")}
    assert result.close.equity == 100_325


def test_a_short_position_is_valued_below_zero() -> None:
    result = settled(order("i-entry", side="sell"), bars=[daily("100 104 99 103")])
    assert result.close.book.market_value(result.close.prices) == -10_300
    assert result.close.equity == 99_700
    assert result.close.traded_value == 10_000


def test_a_position_without_a_bar_keeps_its_last_price() -> None:
    opening = open_session(book(held={"AAA": -10}), {"AAA": Decimal(100)}, [], SESSION)
    assert settle(SESSION, opening, [], FREE).close.prices == {"AAA": Decimal(100)}


def test_what_a_short_pays_on_its_ex_date_is_a_negative_dividend() -> None:
    paid = {"symbol": "AAA", "session": SESSION.day, "kind": "cash_dividend", "ratio": 1.0, "amount": 0.5}
    opening = open_session(book(held={"AAA": -10}), {"AAA": Decimal(100)}, [paid], SESSION)
    result = settle(SESSION, opening, [daily("100 101 99 100")], FREE)
    assert result.close.dividends == -5
    assert result.close.book.cash == 99_995


def test_a_row_becomes_exact_cents_and_whole_shares() -> None:
    bar = price_bar({**daily("100.004 101.006 99 100"), "volume": 99.5})
    assert (bar.open, bar.high, bar.volume) == (Decimal("100.00"), Decimal("101.01"), 100)
    with pytest.raises(PermanentFailure):
        price_bar({**daily("100 101 99 100"), "close": float("nan")})


CENTS = st.integers(9_000, 11_000)


@st.composite
def _hours(draw: st.DrawFn) -> list[Row]:
    rows = []
    for _ in range(7):
        prices = [draw(CENTS) for _ in range(4)]
        rows.append(" ".join(str(each / 100) for each in (prices[0], max(prices), min(prices), prices[1])))
    return hourly(*rows)


def _joined(rows: list[Row]) -> Row:
    high, low = max(each["high"] for each in rows), min(each["low"] for each in rows)
    return daily(f"{rows[0]['open']} {high} {low} {rows[-1]['close']}")


@settings(deadline=None, max_examples=25)
@given(_hours(), st.sampled_from(["buy", "sell"]), st.booleans())
def test_intraday_bars_never_fill_what_their_daily_bar_cannot(rows: list[Row], side: Any, ends: bool) -> None:
    """Prices stay within the day, times ascend, nothing turns over, and a leg fills at its price or worse."""
    stop, target = ("95", "105") if side == "buy" else ("105", "95")
    legs = bracket(order("i-entry", side=side, tif="day"), stop=stop, target=target, close=ends)
    whole = _joined(rows)
    result = settled(*legs, bars=[whole], intraday=rows)
    times = [fill.at for fill in result.fills]
    assert times == sorted(times)
    assert all(whole["low"] <= float(fill.price) <= whole["high"] for fill in result.fills)
    assert result.fills[0].order_id == "i-entry"
    assert len(result.fills) <= 2
    assert bool(result.close.book.positions) == (len(result.fills) == 1)
    assert not (ends and result.close.book.positions)


@settings(deadline=None, max_examples=25)
@given(_hours(), st.sampled_from(["buy", "sell"]))
def test_one_bar_a_symbol_is_matched_as_a_session_is(rows: list[Row], side: Any) -> None:
    bars = [replace(price_bar(_joined(rows)), symbol=name) for name in ("AAA", "BBB")]
    state: Book = book(*bracket(order("i-entry", side=side), stop="90" if side == "buy" else "120", target=None))
    session = match_session(state, {bar.symbol: bar for bar in bars}, FREE)
    assert match_bars(state, reversed(bars), FREE) == session
