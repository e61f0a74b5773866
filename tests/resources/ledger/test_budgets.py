"""Which pockets pay for a question: their names, their caps, and that no two decisions share one."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.costs import SqlCostBook
from resources.ledger.text import instant_text
from tests.resources.ledger.calls import HOLD, NOW, TODAY, budget, planned
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.budgets import backfill_budget, desk_budget, pocket_names
from trading_assets.reasoning.settings import BudgetSettings


def test_the_desks_budget_is_that_of_its_settings() -> None:
    made = desk_budget(BudgetSettings(), decision="desk/2026-11-20/09:30", day=TODAY)
    assert made == budget(decision_usd="0.05", day_usd="5", calls_max=40)


def test_a_backfills_budget_has_a_cap_of_its_own() -> None:
    made = backfill_budget(BudgetSettings(), decision="d", day=TODAY, backfill="walk-1")
    assert [(p.name, p.cap_usd, p.calls_max) for p in made.pockets] == [
        ("decision:d@walk-1", Decimal("0.05"), 40),
        ("backfill:walk-1", Decimal(20), None),
    ]
    assert (made.lane, made.backfill) == ("backtest", "walk-1")


def test_both_budgets_can_be_reserved_from(engine: sa.Engine) -> None:
    costs, limits, whole = SqlCostBook(engine), BudgetSettings(), Decimal("0.05")
    today = desk_budget(limits, decision="desk/d", day=TODAY)
    past = backfill_budget(limits, decision="backtest/d", day=TODAY, backfill="walk-1")
    for name, of in (("a", today), ("b", past)):
        assert costs.reserve(planned(name, of), whole, as_of=NOW, hold=HOLD) is None
        assert costs.left(of) == 0


def test_caps_are_the_settings_decimals_and_not_their_binary_neighbours() -> None:
    made = desk_budget(BudgetSettings(decision_usd=0.1, day_usd=0.7), decision="d", day=TODAY)
    assert [str(pocket.cap_usd) for pocket in made.pockets] == ["0.1", "0.7"]


@pytest.mark.parametrize("name", ["", " ", "a b", "a@b", "a\nb", "a\x00b", "x" * 201])
def test_a_decision_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(PermanentFailure, match="decision"):
        desk_budget(BudgetSettings(), decision=name, day=TODAY)


@pytest.mark.parametrize("name", ["", "a/b", "a@b", ".", "-a", "x" * 65, "a b"])
def test_a_backfill_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(PermanentFailure, match="backfill"):
        backfill_budget(BudgetSettings(), decision="d", day=TODAY, backfill=name)


PLAIN = st.text("ab:/-._0", min_size=1, max_size=6)
BACKFILLS = st.from_regex(r"[ab0][ab0._-]{0,4}", fullmatch=True) | st.just("")


@given(st.tuples(PLAIN, BACKFILLS), st.tuples(PLAIN, BACKFILLS))
@settings(max_examples=80)
def test_two_decisions_never_share_a_decisions_pocket(one: tuple[str, str], other: tuple[str, str]) -> None:
    def named(decision: str, walk: str) -> str:
        return pocket_names(lane="desk", decision=decision, day=TODAY, backfill=walk)[0]

    assert (named(*one) == named(*other)) == (one == other)


# Instants as text


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_stored_instants_sort_as_they_happened(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other), key=lambda moment: moment.astimezone(UTC))
    assert instant_text(first) <= instant_text(second)
