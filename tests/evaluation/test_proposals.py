"""Proposals and caveats: only from enough evidence, and with it."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import trade_row, trades
from trading_assets.evaluation.proposals import ControlRecord, Proposal, caveats, propose
from trading_assets.evaluation.summary import TradeRecord, records_by


def records(*pnl: float) -> dict[str, TradeRecord]:
    return records_by(trades(*(trade_row(n, amount) for n, amount in enumerate(pnl, start=1))), "strategy")


def proposed(
    strategies: dict[str, TradeRecord] | None = None,
    *controls: ControlRecord,
    fees: int = 0,
    profit: int = 0,
    count: int = 0,
) -> tuple[Proposal, ...]:
    return propose(
        strategies or {}, {}, controls, fees_usd=Decimal(fees), gross_profit_usd=Decimal(profit), trades=count
    )


def control(won: int, lost: int, pnl: int) -> ControlRecord:
    return ControlRecord("sector", won + lost, won + lost, 0, won, lost, Decimal(pnl))


def test_ten_trades_with_a_profit_factor_below_the_bound_are_proposed_for_review() -> None:
    [found] = proposed(records(*[100] * 5, *[-130] * 5))
    assert (found.subject, found.observations) == ("strategy pullback", 10)
    assert found.evidence == "profit factor 0.77, below 0.8, P&L -150.00 USD"


def test_nine_trades_are_not_enough_for_a_proposal() -> None:
    assert proposed(records(*[-100] * 9)) == ()


def test_a_profit_factor_at_the_bound_is_left_alone() -> None:
    assert proposed(records(*[80] * 5, *[-100] * 5)) == ()


def test_a_low_win_rate_is_named_when_the_profit_factor_is_fair() -> None:
    [found] = proposed(records(*[400] * 3, *[-100] * 7))
    assert found.action == "review its entries"
    assert "win rate 30%, below 35%" in found.evidence


def test_regimes_are_judged_like_strategies() -> None:
    rows = trades(*(trade_row(n, -50) for n in range(1, 11)))
    found = propose({}, records_by(rows, "regime"), (), fees_usd=Decimal(0), gross_profit_usd=Decimal(0), trades=10)
    assert [proposal.subject for proposal in found] == ["regime trending_up"]


def test_a_control_that_refused_mostly_winners_is_proposed_for_review() -> None:
    [found] = proposed(None, control(8, 2, 500))
    assert found == Proposal(
        "control sector",
        "review the plans that meet it, then its bound",
        "8 of 10 refused entries would have won, 500.00 USD together",
        10,
    )


@pytest.mark.parametrize(("won", "lost", "pnl"), [(8, 1, 500), (5, 5, 500), (8, 2, -10)])
def test_a_control_is_left_alone_without_enough_clear_evidence(won: int, lost: int, pnl: int) -> None:
    assert proposed(None, control(won, lost, pnl)) == ()


def test_fees_above_a_quarter_of_what_winners_earned_are_named() -> None:
    assert [p.subject for p in proposed(fees=26, profit=100, count=10)] == ["costs"]
    assert proposed(fees=25, profit=100, count=10) == ()
    assert proposed(fees=26, profit=100, count=9) == ()
    assert proposed(fees=26, profit=0, count=10) == ()


@settings(deadline=None)
@given(pnl=st.lists(st.integers(-500, 500), max_size=40))
def test_no_proposal_rests_on_fewer_observations_than_ten(pnl: list[int]) -> None:
    assert all(found.observations >= 10 for found in proposed(records(*pnl), fees=50, profit=100, count=len(pnl)))


def said(*pnl: int, sessions: int = 300, has_benchmark: bool = True, incidents: int = 0) -> str:
    return " ".join(
        caveats([Decimal(p) for p in pnl], sessions=sessions, has_benchmark=has_benchmark, incidents=incidents)
    )


def test_without_trades_nothing_is_said_about_strategies() -> None:
    assert said() == "No trade has closed: nothing can be said about any strategy."


def test_few_trades_cannot_be_told_from_luck() -> None:
    assert said(1, 2, 3) == "3 closed trades cannot be told from luck; 30 is the least to judge by."


def test_an_interval_that_includes_zero_cannot_be_told_from_luck() -> None:
    assert "includes zero: this record cannot be told from luck" in said(*[100, -90] * 20)


def test_an_interval_that_excludes_zero_is_called_so() -> None:
    """Mean 95, deviation 5.0637 over 40 trades: 95 ± 1.96 · 5.0637 / √40 = 93.43 to 96.57."""
    assert said(*[100, 90] * 20).endswith("95 % interval 93.43 to 96.57 excludes zero.")


def test_short_records_missing_benchmarks_and_failed_gates_are_named() -> None:
    words = said(sessions=5, has_benchmark=False, incidents=2)
    assert "5 sessions are less than a year" in words
    assert "no buy-and-hold" in words
    assert "Quality gates failed 2 times" in words
