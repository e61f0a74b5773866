"""What models were paid for decisions, from the booked calls of a real ledger."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from resources.ledger.costs import SqlCostBook
from resources.ledger.engine import open_ledger
from resources.metrics_costs import paid_by_decision
from trading_assets.reasoning.budgets import pocket_names
from trading_assets.reasoning.model import Budget, Pocket, Usage
from trading_assets.reasoning.ports import FinishedCall, PlannedCall

AT = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
DAY = date(2024, 1, 2)


def test_calls_are_summed_by_session_and_slot_and_other_talk_is_no_decision(tmp_path: Path) -> None:
    engine = open_ledger(tmp_path / "desk.sqlite", durability="NORMAL", lane="desk")
    book = SqlCostBook(engine)
    paid = [
        ("desk/2024-01-02/09:30", "0.010000001"),
        ("desk/2024-01-02/09:30", "0.002"),
        ("desk/2024-01-02/close", "0.001"),
        ("desk/2024-01-02/10:03:13", "0.003"),
        ("desk/2024-01-02/chat-1", "0.5"),
        ("desk/someday/09:30", "0.5"),
        ("other/2024-01-02/09:30", "0.5"),
    ]
    for number, (decision, cost) in enumerate(paid):
        names = pocket_names(lane="desk", decision=decision, day=DAY, backfill="")
        budget = Budget("desk", decision, DAY, tuple(Pocket(name, Decimal(9)) for name in names))
        call = PlannedCall(f"call-{number}", budget, "skill", "hash", "route", "model", f"key-{number}")
        assert book.reserve(call, Decimal(1), as_of=AT, hold=timedelta(minutes=5)) is None
        book.settle(f"call-{number}", FinishedCall("ok", Usage(), Decimal(cost), Decimal(0), 5, ""), as_of=AT)
    found = paid_by_decision(engine, "desk")
    assert {key: (calls, round(cost, 9)) for key, (calls, cost) in found.items()} == {
        (DAY, "09:30"): (2, 0.012000001),
        (DAY, "close"): (1, 0.001),
        (DAY, "10:03:13"): (1, 0.003),
    }
    assert paid_by_decision(engine, "backtest") == {}
