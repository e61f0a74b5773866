"""The examples of the guide are what the code does."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.execution.desks import RETAIL, book, one, order
from trading_assets.execution.matching import fee
from trading_assets.execution.model import OrderType

GUIDE = (Path(__file__).parents[2] / "docs" / "paper-broker.md").read_text()
ORDERS = re.findall(r"^\| (buy|sell), (market|limit|stop) ?([\d.]*) \| (?:([\d.]+)|(none))\b", GUIDE, re.MULTILINE)
FEES = re.findall(r"^\| ([\d,]+) shares at ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.MULTILINE)


def test_the_guide_has_its_examples() -> None:
    assert len(ORDERS) == 8
    assert len(FEES) == 4


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
