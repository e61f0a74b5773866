"""Buy-and-hold, worked out by hand and by property."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import CASH, FREE, PAPER, actions, bar_row, bars, day, dividend_row, split_row
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark import buy_and_hold
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.model import Costs

PRICES = st.floats(min_value=5, max_value=500).map(lambda price: round(price, 2))


def held(
    given_bars: pl.DataFrame,
    *due: dict[str, object],
    sessions: int,
    costs: Costs = FREE,
    symbols: list[str] | None = None,
) -> list[Decimal]:
    span = Span(day(1), day(sessions))
    frame = buy_and_hold(given_bars, actions(*due), span=span, starting_cash=CASH, costs=costs, symbols=symbols)
    assert BENCHMARK.conform(frame).equals(frame)
    return frame["equity"].to_list()


def test_cash_is_divided_equally_and_spent_on_whole_shares_at_the_first_open() -> None:
    """50,000 each: 500 shares at 100, and 166 at 300 with 200 left."""
    rows = [
        bar_row(1, 100, 110),
        bar_row(2, 115, 120),
        bar_row(1, 300, 310, symbol="MSFT"),
        bar_row(2, 310, 290, symbol="MSFT"),
    ]
    assert held(bars(*rows), sessions=2) == [500 * 110 + 166 * 310 + 200, 500 * 120 + 166 * 290 + 200]


def test_costs_are_those_of_the_paper_broker() -> None:
    """100 pays 2 basis points and becomes 100.02; 999 shares cost 99,919.98 and a fee of 4.995, rounded up to 5.00."""
    left = CASH - 999 * Decimal("100.02") - Decimal("5.00")
    assert held(bars(bar_row(1, 100, 100)), sessions=1, costs=PAPER) == [left + 999 * 100]


def test_the_brokers_share_of_a_thin_bar_does_not_limit_the_purchase() -> None:
    thin = replace(FREE, volume_share_max=Decimal("0.05"))
    assert held(bars(bar_row(1, 100, 110, volume=1000.0)), sessions=1, costs=thin) == [110_000]


def test_a_later_listing_waits_in_cash() -> None:
    rows = [bar_row(n, 100, 100) for n in (1, 2, 3)] + [bar_row(3, 50, 55, symbol="NEW")]
    assert held(bars(*rows), sessions=3) == [CASH, CASH, 50_000 + 1000 * 55]


def test_a_symbol_that_never_trades_keeps_its_cash_when_the_universe_names_it() -> None:
    rows = bars(bar_row(1, 100, 200))
    assert held(rows, sessions=1, symbols=["AAPL", "NEVER"]) == [150_000]


def test_a_universe_that_is_named_makes_history_independent_of_later_listings() -> None:
    early = [bar_row(n, 100 + n, 101 + n) for n in (1, 2, 3)]
    late = [bar_row(3, 50, 55, symbol="NEW")]
    symbols = ["AAPL", "NEW"]
    assert held(bars(*early, *late), sessions=2, symbols=symbols) == held(bars(*early), sessions=2, symbols=symbols)


def test_a_symbol_without_a_bar_is_worth_its_last_close() -> None:
    rows = bars(bar_row(1, 100, 104), bar_row(3, 90, 91))
    assert held(rows, sessions=4) == [104_000, 104_000, 91_000, 91_000]


def test_a_bar_without_volume_buys_nothing() -> None:
    rows = bars(bar_row(1, 100, 100, volume=0.0), bar_row(2, 200, 220))
    assert held(rows, sessions=2) == [CASH, 110_000]


def test_dividends_stay_cash_and_belong_to_shares_held_before_the_ex_date() -> None:
    rows = bars(bar_row(1, 100, 100), bar_row(2, 99, 99), bar_row(3, 99, 99))
    same_day, later = dividend_row(1, 5.0), dividend_row(2, 1.0)
    assert held(rows, same_day, later, sessions=3) == [CASH, 100_000, 100_000]


def test_a_split_changes_shares_and_not_value() -> None:
    rows = bars(bar_row(1, 100, 100), bar_row(2, 25, 26))
    assert held(rows, split_row(2, 4.0), sessions=2) == [CASH, 104_000]


def test_a_split_without_a_bar_in_its_session_keeps_the_value() -> None:
    rows = bars(bar_row(1, 100, 100), bar_row(3, 51, 52))
    assert held(rows, split_row(2, 2.0), sessions=3) == [CASH, CASH, 104_000]


def test_a_part_of_a_share_after_a_reverse_split_is_paid_in_cash() -> None:
    """333 shares at 300 leave 100; 1 for 2 makes them 166 and a half, and the half is paid at 300 / 0.5 a share: 300."""
    rows = bars(bar_row(1, 300, 300), bar_row(2, 600, 600))
    assert held(rows, split_row(2, 0.5), sessions=2) == [CASH, 100 + 166 * 600 + 300]


def test_without_any_symbol_the_cash_stays() -> None:
    assert held(bars(), sessions=2) == [CASH, CASH]


def test_bars_outside_the_span_are_not_seen() -> None:
    rows = bars(bar_row(1, 100, 100), bar_row(2, 100, 130), bar_row(3, 1, 1))
    frame = buy_and_hold(rows, actions(), span=Span(day(2), day(2)), starting_cash=CASH, costs=FREE)
    assert frame["equity"].to_list() == [130_000]


@settings(deadline=None, max_examples=20)
@given(prices=st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=8))
def test_equity_moves_with_the_price_of_what_is_held_and_with_nothing_else(prices: list[tuple[float, float]]) -> None:
    rows = bars(*(bar_row(n, opens, close) for n, (opens, close) in enumerate(prices, start=1)))
    equity = held(rows, sessions=len(prices), costs=PAPER)
    closes = [Decimal(str(close)) for _, close in prices]
    shares = {(b - a) / (d - c) for a, b, c, d in zip(equity, equity[1:], closes, closes[1:], strict=False) if d != c}
    assert len(shares) <= 1
    assert all(count == int(count) >= 0 for count in shares)


@settings(deadline=None, max_examples=20)
@given(price=PRICES, symbols=st.integers(1, 5), ratio=st.sampled_from([2.0, 3.0, 0.5, 1.5, 0.1]))
def test_at_a_constant_price_only_costs_are_lost_whatever_splits_come(price: float, symbols: int, ratio: float) -> None:
    names = [f"S{n}" for n in range(symbols)]
    rows = bars(*(bar_row(1, price, price, symbol=name) for name in names))
    splits = [split_row(2, ratio, symbol=name) for name in names]
    first, second = held(rows, *splits, sessions=2, costs=PAPER)
    fees = symbols * Decimal("1.00") + CASH / Decimal(str(price)) * Decimal("0.005") + symbols * Decimal("0.01")
    slippage = CASH * Decimal("0.0002") + CASH / Decimal(str(price)) * Decimal("0.01")
    assert CASH - fees - slippage <= first <= CASH
    assert abs(second - first) < Decimal("0.01") * symbols + CASH / Decimal(str(price)) * Decimal(str(ratio)) * Decimal(
        "0.0001"
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(seed: object) -> None:
    rows = [bar_row(n, 100 + n, 99 + 2 * n, symbol=s) for n in (1, 2, 3) for s in ("A", "B", "C")]
    shuffled = list(rows)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert held(bars(*shuffled), sessions=3, costs=PAPER) == held(bars(*rows), sessions=3, costs=PAPER)


@settings(deadline=None, max_examples=20)
@given(
    prices=st.lists(PRICES, min_size=2, max_size=6),
    amount=st.sampled_from([0.01, 0.5, 3.25]),
    ex=st.integers(2, 6),
)
def test_a_dividend_adds_its_cash_once_and_for_good(prices: list[float], amount: float, ex: int) -> None:
    rows = bars(*(bar_row(n, price, price) for n, price in enumerate(prices, start=1)))
    without = held(rows, sessions=len(prices), costs=PAPER)
    paid = held(rows, dividend_row(ex, amount), sessions=len(prices), costs=PAPER)
    gained = [b - a for a, b in zip(without, paid, strict=True)]
    assert all(gain == 0 for gain in gained[: ex - 1])
    assert len(set(gained[ex - 1 :])) <= 1
    assert all(gain % Decimal(str(amount)) == 0 for gain in gained)


@settings(deadline=None, max_examples=20)
@given(prices=st.lists(PRICES, min_size=3, max_size=8), cut=st.integers(1, 7))
def test_later_bars_never_change_earlier_equity(prices: list[float], cut: int) -> None:
    rows = [bar_row(n, price, price) for n, price in enumerate(prices, start=1)]
    known = min(cut, len(prices) - 1)
    assert held(bars(*rows), sessions=known) == held(bars(*rows[:known]), sessions=known)
    assert held(bars(*rows), sessions=len(prices))[:known] == held(bars(*rows), sessions=known)


@settings(deadline=None, max_examples=30)
@given(first=PRICES, cash=st.integers(1, 2000))
def test_the_purchase_never_costs_more_than_the_cash(first: float, cash: int) -> None:
    rows = bars(bar_row(1, first, 0.01))
    span = Span(day(1), day(1))
    frame = buy_and_hold(rows, actions(), span=span, starting_cash=Decimal(cash), costs=PAPER)
    assert frame["equity"][0] >= 0
