"""Rounds of health in the ledger: in order, for as long as they are kept, in both databases."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from resources.ledger.health import SqlHealth
from tests.resources.ledger.calls import NOW
from trading_assets.core.errors import PermanentFailure


def record(store: SqlHealth, hours: int, state: str = "normal", keep: int = 100) -> None:
    at = NOW + timedelta(hours=hours)
    store.record(state, {"told": {"disk": state}, "n": hours}, as_of=at, keep_from=at - timedelta(hours=keep))


def test_the_newest_rounds_come_oldest_first_with_what_they_found(engine: sa.Engine) -> None:
    store = SqlHealth(engine)
    assert list(store.newest()) == []
    for hours in range(4):
        record(store, hours, "warning" if hours == 3 else "normal")
    newest = store.newest(2)
    assert [(each.state, each.checks["n"], each.at) for each in newest] == [
        ("normal", 2, NOW + timedelta(hours=2)),
        ("warning", 3, NOW + timedelta(hours=3)),
    ]
    assert newest[1].checks["told"] == {"disk": "warning"}


def test_rounds_are_forgotten_when_a_later_one_is_written(engine: sa.Engine) -> None:
    store = SqlHealth(engine)
    for hours in range(6):
        record(store, hours, keep=2)
    assert [each.checks["n"] for each in store.newest(10)] == [3, 4, 5]


def test_rounds_of_a_time_are_found(engine: sa.Engine) -> None:
    store = SqlHealth(engine)
    for hours in range(5):
        record(store, hours)
    found = store.between(NOW + timedelta(hours=1), NOW + timedelta(hours=3))
    assert [each.checks["n"] for each in found] == [1, 2, 3]


def test_what_is_no_json_is_refused_and_nothing_is_forgotten(engine: sa.Engine) -> None:
    store = SqlHealth(engine)
    record(store, 0)
    with pytest.raises(PermanentFailure):
        store.record("normal", {"n": float("nan")}, as_of=NOW + timedelta(days=9), keep_from=NOW + timedelta(days=8))
    assert len(store.newest(5)) == 1
