"""The proof of the pockets: whatever is changed behind the cost book's back is found."""

from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.costs import SqlCostBook
from tests.resources.ledger.calls import DAY_POCKET, HOLD, NOW, ZERO, backfill, ended, planned, problems, unguarded
from trading_assets.reasoning.model import Budget


@pytest.fixture
def costs(engine: sa.Engine) -> SqlCostBook:
    return SqlCostBook(engine)


def reserved(costs: SqlCostBook, name: str, of: Budget | None = None) -> None:
    assert costs.reserve(planned(name, of), Decimal("0.02"), as_of=NOW, hold=HOLD) is None


def test_a_changed_pocket_is_found(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    reserved(costs, "b", of=backfill())
    costs.settle("a", ended("0.004"), as_of=NOW)
    assert problems(engine) == []
    with engine.begin() as connection:
        mine = t.POCKETS.update().where(t.POCKETS.c.name == DAY_POCKET)
        connection.execute(mine.values(spent=Decimal("0.003")))
    assert problems(engine) == [
        f"pocket {DAY_POCKET} says 0.003 USD spent, 0 reserved, 1 calls, its calls say 0.004 USD spent, 0 reserved, 1 calls"
    ]


@pytest.mark.parametrize("column", ["spent", "reserved", "calls"])
def test_a_pocket_without_calls_is_found(engine: sa.Engine, column: str) -> None:
    with engine.begin() as connection:
        empty = {"name": "day:desk:2026-01-02", "spent": ZERO, "reserved": ZERO, "calls": 0}
        connection.execute(t.POCKETS.insert(), {**empty, column: 1 if column == "calls" else Decimal(1)})
    assert len(problems(engine)) == 1


def test_a_lost_reservation_is_found(costs: SqlCostBook, engine: sa.Engine) -> None:
    reserved(costs, "a")
    with engine.begin() as connection:
        connection.execute(t.RESERVATIONS.delete())
    assert len(problems(engine)) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", Decimal("0.03")),
        ("pockets", '["decision:desk/2026-11-20/09:30"]'),
        ("pockets", "7"),
        ("pockets", "no JSON"),
        ("call", "{}"),
        ("call", "[]"),
        ("call", '{"lane":"desk","decision":"other","day":"2026-11-20","backfill":""}'),
        ("call", '{"lane":"desk","decision":7,"day":"2026-11-20","backfill":""}'),
    ],
)
def test_a_changed_reservation_is_found(costs: SqlCostBook, engine: sa.Engine, column: str, value: object) -> None:
    reserved(costs, "a")
    with engine.begin() as connection:
        connection.execute(t.RESERVATIONS.update().values({column: value}))
    assert problems(engine)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cost", Decimal("0.002")),
        ("decision", "other"),
        ("decision", "no plain name"),
        ("day", date(2026, 11, 21)),
        ("lane", "backtest"),
        ("backfill", "walk-1"),
        ("backfill", "a/b"),
    ],
)
def test_a_changed_call_is_found(costs: SqlCostBook, engine: sa.Engine, column: str, value: object) -> None:
    reserved(costs, "a")
    costs.settle("a", ended("0.001"), as_of=NOW)
    with engine.begin() as connection:
        unguarded(connection, "model_calls")
        connection.execute(t.MODEL_CALLS.update().values({column: value}))
    assert problems(engine)
