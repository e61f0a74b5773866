"""Booked money is exact."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import to_tick, usd

CENTS = st.integers(-(10**12), 10**12)


@given(CENTS)
def test_whole_cents_survive_booking_unchanged(cents: int) -> None:
    assert usd(Decimal(cents).scaleb(-2)) * 100 == cents


@given(st.lists(CENTS, max_size=20))
def test_sums_of_booked_amounts_do_not_depend_on_their_order(cents: list[int]) -> None:
    amounts = [usd(Decimal(c).scaleb(-2)) for c in cents]
    assert sum(amounts) == sum(reversed(amounts))


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), "-Infinity"])
def test_amounts_that_are_not_finite_are_refused(amount: float | str) -> None:
    with pytest.raises(PermanentFailure, match="finite"):
        usd(amount)


def test_prices_round_half_even_to_a_cent() -> None:
    assert [to_tick(Decimal(text)) for text in ("1.005", "1.015", "1.0251")] == [
        Decimal("1.0000"),
        Decimal("1.0200"),
        Decimal("1.0300"),
    ]


def test_a_price_is_rounded_to_a_cent_once() -> None:
    """Rounding 0.99495 to four places first would make it 0.995, and then 1.00."""
    assert to_tick(Decimal("0.99495")) == Decimal("0.99")


@given(st.decimals(min_value=0, max_value=100_000, places=8))
def test_a_price_moves_by_at_most_half_a_cent(price: Decimal) -> None:
    assert abs(to_tick(price) - price) <= Decimal("0.005")


def test_a_float_is_booked_as_it_is_written() -> None:
    assert usd(0.1) + usd(0.2) == usd(0.3)
