"""Measures of a record, worked out by hand and by property."""

from decimal import Decimal
from math import isfinite, sqrt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import (
    CASH,
    account,
    account_row,
    benchmark,
    day,
    plan,
    rows,
    tiny,
    trade_row,
    trades,
    walk,
)
from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.slots import Slot
from trading_assets.evaluation.model import DECISION_EVIDENCE, EVIDENCE
from trading_assets.evaluation.summary import (
    Summary,
    drawdowns,
    evidence_labels,
    records_by,
    records_by_evidence,
    side_by_side,
    summarise,
    summarise_equity,
    trade_record,
)
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.plans.trader import plan_rows

AMOUNTS = st.decimals(min_value=-5000, max_value=5000, places=4)
EQUITIES = st.lists(st.decimals(min_value=1, max_value=1_000_000, places=4), min_size=1, max_size=40)


def whole(equity: list[object]) -> Summary:
    return summarise_equity(benchmark(*equity), starting_cash=CASH)


def test_the_tiny_book_has_the_measures_worked_out_by_hand() -> None:
    book = tiny()
    found = summarise(book.account, book.trades, starting_cash=CASH)
    returns = [200 / 100000, -100 / 100200, 0.0, -200 / 100100, 400 / 99900]
    mean = sum(returns) / 5
    deviation = sqrt(sum((r - mean) ** 2 for r in returns) / 4)
    downside = sqrt((returns[1] ** 2 + returns[3] ** 2) / 5)
    assert found.equity_usd == 100300
    assert found.return_fraction_to_date == pytest.approx(0.003)
    assert found.volatility_fraction_annualised == pytest.approx(deviation * sqrt(252))
    assert found.sharpe_ratio == pytest.approx(mean / deviation * sqrt(252))
    assert found.sortino_ratio == pytest.approx(mean / downside * sqrt(252))
    assert found.max_drawdown_fraction == pytest.approx(300 / 100200)
    assert found.trades_to_date == 3
    assert found.win_rate_fraction == pytest.approx(2 / 3)
    assert found.profit_factor == pytest.approx(4)
    assert found.payoff_ratio == pytest.approx(2)
    assert found.exposure_fraction_mean == pytest.approx((1000 / 100100 + 800 / 99900) / 5)
    turnover = 2200 / 100000 + 1900 / 100200 + 1000 / 100100 + 1200 / 99900
    assert found.turnover_fraction_annualised == pytest.approx(turnover / 5 * 252)
    assert found.fees_usd_to_date == 4


def test_a_record_shorter_than_a_year_has_no_yearly_growth() -> None:
    assert whole([CASH * 2] * 251).cagr_fraction is None


def test_a_year_of_252_sessions_grows_by_its_return_and_two_by_its_root() -> None:
    assert whole([CASH * 2] * 252).cagr_fraction == pytest.approx(1.0)
    assert whole([CASH * 2] * 504).cagr_fraction == pytest.approx(sqrt(2) - 1)


def test_one_session_has_a_return_but_no_deviation_and_no_ratio() -> None:
    found = whole([101_000])
    assert found.return_fraction_to_date == pytest.approx(0.01)
    assert (found.volatility_fraction_annualised, found.sharpe_ratio, found.sortino_ratio) == (None, None, None)


def test_a_book_that_never_moves_has_no_ratio_and_no_drawdown() -> None:
    found = whole([CASH] * 10)
    assert (found.sharpe_ratio, found.sortino_ratio, found.max_drawdown_fraction) == (None, None, 0)


def test_a_book_that_only_rises_has_no_sortino_ratio() -> None:
    found = whole([CASH + 100 * n * n for n in range(1, 9)])
    assert found.sortino_ratio is None
    assert found.sharpe_ratio is not None


def test_an_empty_record_is_the_starting_cash_and_nothing_else() -> None:
    found = summarise(account(), trades(), starting_cash=CASH)
    assert found.equity_usd == CASH
    assert found.trades_to_date == 0
    assert found.fees_usd_to_date == 0
    assert found.max_drawdown_fraction is None
    assert found.exposure_fraction_mean is None
    assert found.turnover_fraction_annualised is None


def test_a_loss_on_the_first_session_is_a_drawdown_from_the_starting_cash() -> None:
    assert drawdowns([Decimal(90000), Decimal(99000)], CASH) == [pytest.approx(0.1), pytest.approx(0.01)]


def test_without_a_loss_profit_factor_and_payoff_are_undefined() -> None:
    record = trade_record(trades(trade_row(1, 100), trade_row(2, 50)))
    assert (record.profit_factor, record.payoff_ratio, record.loss_usd_mean) == (None, None, None)
    assert (record.win_rate_fraction, record.win_usd_mean) == (1.0, 75.0)


def test_without_a_win_the_profit_factor_is_zero_and_the_payoff_undefined() -> None:
    record = trade_record(trades(trade_row(1, -100)))
    assert (record.profit_factor, record.payoff_ratio, record.win_rate_fraction) == (0.0, None, 0.0)


def test_a_trade_at_exactly_zero_is_neither_a_win_nor_a_loss() -> None:
    record = trade_record(trades(trade_row(1, 0), trade_row(2, 100)))
    assert (record.trades, record.wins, record.losses, record.win_rate_fraction) == (2, 1, 0, 0.5)


def test_groups_stand_in_alphabetical_order() -> None:
    assert list(records_by(tiny().trades, "strategy")) == ["momentum_breakout", "pullback"]
    assert records_by(tiny().trades, "regime")["ranging"].pnl_usd == 200


def test_undefined_values_are_shown_as_such_on_both_sides() -> None:
    lines = {label: (desk, hold) for label, desk, hold in side_by_side(whole([101_000]), None)}
    assert lines["Equity, USD"] == ("101,000.00", "n/a")
    assert lines["Sharpe ratio"] == ("n/a", "n/a")
    assert lines["Total return"] == ("+1.00%", "n/a")


def test_the_order_of_rows_changes_nothing() -> None:
    book = walk(60)
    mixed = summarise(book.account.reverse(), book.trades.reverse(), starting_cash=CASH)
    assert mixed == summarise(book.account, book.trades, starting_cash=CASH)


@settings(deadline=None)
@given(pnl=st.lists(AMOUNTS, min_size=1, max_size=30))
def test_the_groups_of_a_record_sum_to_the_record(pnl: list[Decimal]) -> None:
    rows = [trade_row(n, p, strategy=f"s{n % 3}", return_fraction=0.0) for n, p in enumerate(pnl, start=1)]
    total, groups = trade_record(trades(*rows)), records_by(trades(*rows), "strategy").values()
    assert sum(group.pnl_usd for group in groups) == total.pnl_usd == sum(pnl)
    assert sum(group.trades for group in groups) == total.trades == len(pnl)
    assert sum(group.wins + group.losses for group in groups) == total.wins + total.losses


@settings(deadline=None)
@given(equity=EQUITIES)
def test_every_measure_is_finite_or_undefined(equity: list[Decimal]) -> None:
    found = whole(list(equity))
    values = [
        found.return_fraction_to_date,
        found.volatility_fraction_annualised,
        found.sharpe_ratio,
        found.sortino_ratio,
    ]
    assert all(value is None or isfinite(value) for value in values)
    assert found.max_drawdown_fraction is not None
    assert 0 <= found.max_drawdown_fraction < 1


@settings(deadline=None)
@given(equity=EQUITIES, factor=st.sampled_from([2, 10]))
def test_fractions_and_ratios_do_not_depend_on_the_size_of_the_book(equity: list[Decimal], factor: int) -> None:
    small = whole(list(equity))
    large = summarise_equity(benchmark(*(e * factor for e in equity)), starting_cash=CASH * factor)
    assert small.return_fraction_to_date == pytest.approx(large.return_fraction_to_date)
    assert small.max_drawdown_fraction == pytest.approx(large.max_drawdown_fraction)
    if small.sharpe_ratio is not None:
        assert small.sharpe_ratio == pytest.approx(large.sharpe_ratio, rel=1e-6)


def test_fees_and_exposure_come_from_the_account() -> None:
    rows = account(account_row(1, 50_000, 50_000, fees=3, traded_value=50_000), account_row(2, 100_000, fees=4))
    found = summarise(rows, trades(), starting_cash=CASH)
    assert found.fees_usd_to_date == 7
    assert found.exposure_fraction_mean == 0.25
    assert found.turnover_fraction_annualised == pytest.approx(0.5 / 2 * 252)


def labelled(*slots: tuple[int, str, str]) -> pl.DataFrame:
    """Rows of DECISION_EVIDENCE from session, slot and label."""
    base = {"state": "ACTIVE", "models": "", "plans": 1, "vetoes": 0, "calls": 0, "model_cost": 0.0}
    return rows(
        DECISION_EVIDENCE,
        [{"session": day(n), "slot": s, "evidence": e, "book_evidence": e, **base} for n, s, e in slots],
    )


def opened(*numbers: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Plans of some sessions and the trades that they became, earning ten times their number."""
    made = [plan(n) for n in numbers]
    slots = [Slot(XNYS.session(p.session), p.slot, p.as_of) for p in made]
    frame = TRADE_PLANS.frame([row for p, s in zip(made, slots, strict=True) for row in plan_rows([p], s)])
    ids = [short_id("desk", p.id) for p in made]
    return frame, trades(*(trade_row(n + 20, 10 * n, trade_id=i) for n, i in zip(numbers, ids, strict=True)))


def test_a_trade_has_the_label_of_the_decision_that_opened_it() -> None:
    plans, made = opened(1, 2, 3)
    evidence = labelled((1, "09:30", "clean"), (2, "09:30", "contaminated"), (2, "10:00", "rules"))
    found = evidence_labels("desk", made, plans, evidence)
    assert list(found.values()) == ["clean", "contaminated", "unknown"]


def test_evidence_is_never_mixed_and_every_trade_stands_in_one_record() -> None:
    plans, made = opened(1, 2, 3, 4)
    evidence = labelled(
        (1, "09:30", "contaminated"), (2, "09:30", "clean"), (3, "09:30", "clean"), (4, "10:00", "rules")
    )
    found = records_by_evidence(made, evidence_labels("desk", made, plans, evidence))
    assert {kind: record.pnl_usd for kind, record in found.items()} == {"clean": 50, "unknown": 40, "contaminated": 10}
    assert list(found) == [kind for kind in EVIDENCE if kind in found]


def test_a_trade_of_another_book_or_without_a_plan_is_unknown() -> None:
    plans, made = opened(1)
    evidence = labelled((1, "09:30", "clean"))
    assert set(evidence_labels("backtest", made, plans, evidence).values()) == {"unknown"}
    assert set(evidence_labels("desk", made, plans.clear(), evidence).values()) == {"unknown"}
    assert records_by_evidence(trades(), {}) == {}
