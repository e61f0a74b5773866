"""Costs over arrays, against the paper broker's own functions."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.execution.desks import bar, book, order, run
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.money import to_tick
from trading_assets.evaluation.benchmarks.costing import Charges
from trading_assets.evaluation.benchmarks.prices import Ints, cents
from trading_assets.execution.matching import fee
from trading_assets.execution.model import Costs

PRICES = st.integers(1, 5_000_000)
SHARES = st.integers(1, 500_000)
COSTS = st.builds(
    Costs,
    fee_per_share=st.sampled_from(["0", "0.005", "0.0035", "0.1"]).map(Decimal),
    fee_min=st.sampled_from(["0", "1.0", "0.35"]).map(Decimal),
    fee_fraction_max=st.sampled_from(["0.01", "0.005", "1"]).map(Decimal),
    slippage_bp=st.sampled_from(["0", "2.0", "0.5", "37.25"]).map(Decimal),
    volume_share_max=st.sampled_from(["0.05", "1", "0.333"]).map(Decimal),
)


def one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)


@settings(deadline=None, max_examples=60)
@given(costs=COSTS, price=PRICES, shares=SHARES)
def test_the_fee_is_the_paper_brokers_to_the_cent(costs: Costs, price: int, shares: int) -> None:
    found = Charges.of(costs).fee_cents(one(price), one(shares))[0]
    assert Decimal(int(found)) / 100 == fee(costs, Decimal(price) / 100, shares)


@settings(deadline=None, max_examples=40)
@given(costs=COSTS, price=st.integers(1, 500_000), volume=st.integers(100, 10_000_000))
def test_slippage_and_volume_are_the_paper_brokers(costs: Costs, price: int, volume: int) -> None:
    told = f"{Decimal(price) / 100} {Decimal(price) / 100} {Decimal(price) / 100} {Decimal(price) / 100}"
    wide = Costs(Decimal(0), Decimal(0), Decimal(1), costs.slippage_bp, costs.volume_share_max)
    bought = run(book(order("a-entry", quantity=900_000), cash=10**15), [bar(told, volume=volume)], wide)[0]
    sold = run(book(order("a-exit", "exit", quantity=50), held={"AAA": 50}), [bar(told, volume=10**6)], wide)[0]
    charges = Charges.of(wide)
    room = int(charges.room(one(volume))[0])
    if room:
        assert bought.fills[0].price == Decimal(int(charges.bought_at(one(price))[0])) / 100
        assert bought.fills[0].quantity == min(room, 900_000)
    assert sold.fills[0].price == Decimal(int(charges.sold_at(one(price))[0])) / 100


@settings(deadline=None, max_examples=60)
@given(price=st.floats(0.011, 90_000).map(lambda p: round(p, 4)) | st.integers(1, 10**6).map(lambda n: n + 0.005))
def test_prices_become_cents_as_orders_carry_them(price: float) -> None:
    assert Decimal(int(cents(np.array([price]))[0])) / 100 == to_tick(price)


@pytest.mark.parametrize("price", [1.005, 1.015, 1.025, 2.675, 1.115, 0.125, 4.35, 1.1])
def test_half_a_cent_is_rounded_as_its_decimal_and_not_as_its_float(price: float) -> None:
    assert Decimal(int(cents(np.array([price]))[0])) / 100 == to_tick(price)


def test_a_cost_that_cannot_be_counted_exactly_is_refused() -> None:
    fine = Costs(Decimal("0.0000000001"), Decimal(0), Decimal(1), Decimal(0), Decimal(1))
    with pytest.raises(ConfigurationError, match="decimal places"):
        Charges.of(fine)
