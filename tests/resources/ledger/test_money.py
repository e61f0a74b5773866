"""Amounts are booked to the last place or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from resources.ledger.schema import Usd
from resources.ledger.store import SqlLedger
from tests.resources.ledger.entries import DAYS, EVER, close, intent, ledger_at, order, paid
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import usd
from trading_assets.execution.model import Book, Position
from trading_assets.execution.ports import SessionClose

SQLITE = dialect()
LARGEST = Decimal(2**63 - 1).scaleb(-4)


@given(st.decimals(-LARGEST, LARGEST, places=4))
def test_every_amount_of_four_places_is_exact_both_ways(amount: Decimal) -> None:
    stored = Usd.process_bind_param(amount, SQLITE)
    back = Usd.process_result_value(stored, SQLITE)
    assert back == amount
    assert back is not None
    assert back.as_tuple().exponent == -4


@given(amount=st.decimals(-(10**9), 10**9, places=4), more=st.integers(1, 9), place=st.integers(5, 40))
def test_an_amount_with_more_than_four_places_is_refused(amount: Decimal, more: int, place: int) -> None:
    """Also where the places lie beyond the 28 digits that decimal arithmetic keeps."""
    sign, digits, _ = amount.as_tuple()
    longer = Decimal((sign, (*digits, *(0,) * (place - 5), more), -place))
    with pytest.raises(PermanentFailure, match="too many places"):
        Usd.process_bind_param(longer, SQLITE)


@given(st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False))
def test_whatever_money_rounds_can_be_booked(amount: Decimal) -> None:
    assert Usd.process_result_value(Usd.process_bind_param(usd(amount), SQLITE), SQLITE) == usd(amount)


@pytest.mark.parametrize("amount", ["1.5E+3", "1.50000000", "-0.0000", "1E-4", "0E-30"])
def test_the_way_an_amount_is_written_does_not_matter(amount: str) -> None:
    assert Usd.process_result_value(Usd.process_bind_param(Decimal(amount), SQLITE), SQLITE) == Decimal(amount)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_not_finite_is_refused(amount: str) -> None:
    with pytest.raises(PermanentFailure, match="not finite"):
        Usd.process_bind_param(Decimal(amount), SQLITE)


def test_an_amount_beyond_the_column_is_refused() -> None:
    assert Usd.process_bind_param(LARGEST, SQLITE) == 2**63 - 1
    with pytest.raises(PermanentFailure, match="too large"):
        Usd.process_bind_param(LARGEST + Decimal("0.0001"), SQLITE)


def test_a_missing_amount_stays_missing() -> None:
    assert Usd.process_bind_param(None, SQLITE) is None
    assert Usd.process_result_value(None, SQLITE) is None


def test_a_settlement_with_an_amount_that_cannot_be_booked_leaves_nothing(book: SqlLedger) -> None:
    with pytest.raises(PermanentFailure, match="too many places"), book.session() as ledger:
        ledger.add_settlement(close(DAYS[0]), [], [paid(DAYS[0]), paid(DAYS[0], "BBB", "0.00001")])
    with book.session() as ledger:
        assert ledger.dividends(DAYS[9]) == []
        assert ledger.close_of(DAYS[0]) is None


@settings(deadline=None, max_examples=25)
@given(amounts=st.lists(st.decimals(-LARGEST, LARGEST, places=4), min_size=1, max_size=5))
def test_amounts_come_back_exactly_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[Decimal]
) -> None:
    book = ledger_at(tmp_path_factory.mktemp("money") / "ledger.sqlite")
    dividends = [paid(DAYS[0], f"S{number}", str(amount)) for number, amount in enumerate(amounts)]
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[0]), [], dividends)
    with book.session() as ledger:
        assert ledger.dividends(DAYS[0]) == dividends


cents = st.decimals(0, 10**7, places=4)


@settings(deadline=None, max_examples=20)
@given(cash=st.decimals(-(10**9), 10**9, places=4), cost=cents, price=cents, quantity=st.integers(1, 10**6), fees=cents)
def test_a_close_comes_back_as_the_same_book_whatever_its_amounts(
    tmp_path_factory: pytest.TempPathFactory, cash: Decimal, cost: Decimal, price: Decimal, quantity: int, fees: Decimal
) -> None:
    state = Book(cash, {"AAA": Position("AAA", quantity, cost)}, {"o": order(intent(DAYS[0]))})
    settled = SessionClose(DAYS[0], state, {"AAA": price}, fees, cost, cash.copy_abs())
    book = ledger_at(tmp_path_factory.mktemp("close") / "ledger.sqlite")
    with book.session() as ledger:
        ledger.add_settlement(settled, [], [])
    with book.session() as ledger:
        assert ledger.closes(*EVER) == [settled]
        assert ledger.equity_history(DAYS[1]) == [settled.equity]
