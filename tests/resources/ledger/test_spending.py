"""What the booked calls add up to, in groups and over days."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.ledger import spending
from resources.ledger.costs import SqlCostBook
from resources.ledger.engine import reading
from resources.ledger.spending import PerDecision, Reserved, Sum
from tests.resources.ledger.calls import HOLD, NOW, TODAY, ZERO, backfill, budget, ended, planned, usd
from trading_assets.reasoning.model import Usage

TOMORROW = TODAY + timedelta(days=1)
EVER = (date(2000, 1, 1), date(2100, 1, 1))


@pytest.fixture
def booked(engine: sa.Engine) -> sa.Engine:
    """Six calls on two days, two routes, two skills; one of them for a backfill, one lost with a late end, one still open."""
    costs = SqlCostBook(engine)
    other = budget("desk/2026-11-21/09:30", day=TOMORROW)
    wanted = [
        (planned("a", skill="technical"), ended("0.001")),
        (planned("b", skill="news"), ended("0.002", "malformed")),
        (planned("c", route="openai"), ended("0.003")),
        (planned("d", other, route="openai"), ended("0.0005", usage=Usage(1_000, 0, 10))),
        (planned("e", backfill()), ended("0.004", "refused")),
    ]
    for call, end in wanted:
        costs.reserve(call, Decimal("0.01"), as_of=NOW, hold=HOLD)
        costs.settle(call.reservation, end, as_of=NOW)
    costs.reserve(planned("f"), Decimal("0.02"), as_of=NOW, hold=HOLD)
    costs.sweep(as_of=NOW + HOLD)
    costs.settle("f", ended("0.03"), as_of=NOW + HOLD)
    costs.reserve(planned("g"), Decimal("0.005"), as_of=NOW, hold=HOLD)
    return engine


def test_the_total_counts_calls_once_and_every_cost(booked: sa.Engine) -> None:
    with reading(booked) as connection:
        today, all_days = spending.total(connection, TODAY, TODAY), spending.total(connection, *EVER)
    assert (today.calls, today.failed, usd(today.cost_usd)) == (5, 3, "0.04")
    assert (all_days.calls, usd(all_days.cost_usd)) == (6, "0.0405")
    assert today.usage == Usage(30_000, 22_500, 5_000)
    assert today.cached_share == 0.75


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("route", {"anthropic": "0.037", "openai": "0.0035"}),
        ("model", {"anthropic-small": "0.037", "openai-small": "0.0035"}),
        ("skill", {"technical": "0.0385", "news": "0.002"}),
        ("day", {"2026-11-20": "0.04", "2026-11-21": "0.0005"}),
        (
            "decision",
            {
                "desk/2026-11-20/09:30": "0.036",
                "backtest/2012-03-01/briefs": "0.004",
                "desk/2026-11-21/09:30": "0.0005",
            },
        ),
    ],
)
def test_groups_come_in_their_order_and_add_up(
    booked: sa.Engine, by: spending.Grouping, expected: dict[str, str]
) -> None:
    with reading(booked) as connection:
        groups = spending.sums(connection, *EVER, by)
        total = spending.total(connection, *EVER)
    assert [(each.name, usd(each.cost_usd)) for each in groups] == list(expected.items())
    assert sum(each.cost_usd for each in groups) == total.cost_usd
    assert sum(each.calls for each in groups) == total.calls


def test_outcomes_count_calls_and_not_late_ends(booked: sa.Engine) -> None:
    with reading(booked) as connection:
        assert spending.outcomes(connection, *EVER) == {"ok": 3, "lost": 1, "malformed": 1, "refused": 1}


def test_the_cost_of_a_decision(booked: sa.Engine) -> None:
    with reading(booked) as connection:
        found = spending.per_decision(connection, *EVER)
    assert found == PerDecision(3, Decimal("0.0135"), Decimal("0.036"), "desk/2026-11-20/09:30")


def test_what_is_reserved_now(booked: sa.Engine) -> None:
    with reading(booked) as connection:
        assert spending.reserved(connection) == Reserved(1, Decimal("0.005"))
        assert spending.backfills(connection, *EVER) == ["walk-1"]
        assert spending.newest_day(connection) == TOMORROW


def test_an_empty_ledger_has_spent_nothing(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        assert spending.total(connection, *EVER) == Sum("total", 0, 0, ZERO, ZERO, Usage())
        assert spending.total(connection, *EVER).cached_share == 0.0
        assert spending.sums(connection, *EVER, "route") == []
        assert spending.outcomes(connection, *EVER) == {}
        assert spending.per_decision(connection, *EVER) is None
        assert spending.reserved(connection) == Reserved(0, ZERO)
        assert spending.newest_day(connection) is None
