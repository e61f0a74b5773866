"""The examples of the guide are what the code does."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.execution.desks import RETAIL, book, one, order
from trading_assets.execution.matching import fee
from trading_assets.execution.model import OrderType

GUIDE = (Path(__file__).parents[2] / "docs" / "paper-broker.md").read_text()
ORDERS = re.findall(r"^\| (buy|sell), (market|limit|stop) ?([\d.]*) \| (?:([\d.]+)|(none))\b", GUIDE, re.MULTILINE)
HELD = re.findall(
    r"^\| 100 (bought|sold short) at 100, fee 1.00 \| (\S+) \| (\S+) \| worth (\S+), (ahead|behind) by (\S+) \|$",
    GUIDE,
    re.MULTILINE,
)
FEES = re.findall(r"^\| ([\d,]+) shares at ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.MULTILINE)


def test_the_guide_has_its_examples() -> None:
    assert len(ORDERS) == 8
    assert len(FEES) == 4
    assert len(HELD) == 2


@pytest.mark.parametrize(("side", "kind", "price", "filled", "none"), ORDERS)
def test_an_order_of_the_guide_fills_where_the_guide_says(
    side: str, kind: OrderType, price: str, filled: str, none: str
) -> None:
    limit, stop = (price if kind == name else None for name in ("limit", "stop"))
    example = order("a", "entry" if side == "buy" else "exit", kind, limit=limit, stop=stop)
    matched = one(book(example, held={"AAA": 100}), "100 102 99 101")
    assert [fill.price for fill in matched.fills] == ([] if none else [Decimal(filled)])


@pytest.mark.parametrize(("shares", "price", "expected"), FEES)
def test_a_fee_of_the_guide_is_the_fee(shares: str, price: str, expected: str) -> None:
    assert fee(RETAIL, Decimal(price), int(shares.replace(",", ""))) == Decimal(expected)


@pytest.mark.parametrize(("verb", "cost", "each", "worth", "way", "by"), HELD)
def test_a_position_of_the_guide_costs_and_is_worth_what_the_guide_says(
    verb: str, cost: str, each: str, worth: str, way: str, by: str
) -> None:
    entry = order("i-entry", side="buy" if verb == "bought" else "sell")
    state = one(book(entry), "100 104 99 103", replace(RETAIL, slippage_bp=Decimal(0))).book
    held, value = state.positions["AAA"], state.market_value({"AAA": Decimal(103)})
    assert (held.cost, held.average_cost, value) == (_amount(cost), _amount(each), _amount(worth))
    assert value - held.cost == _amount(by) * (1 if way == "ahead" else -1)


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))
