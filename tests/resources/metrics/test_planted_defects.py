"""Every data test can fail: each is run on built tables into which a defect was planted, and on the sound ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from resources.metrics import MetricsRun
from resources.metrics_plan import plan_of
from resources.metrics_specs import CheckSpec, model_specs
from tests.resources.metrics.built import PROJECT, Lane

# What breaks the tests over whole tables; `main` are models, `raw` the lane's rows.
PLANTED: Mapping[str, str] = {
    "assert_equity_equals_cash_plus_value": "update main.daily_metrics set cash_usd = cash_usd + 0.0001",
    "assert_pnl_sums_to_equity_change": "update main.daily_metrics set pnl_usd = pnl_usd + 1",
    "assert_positions_sum_to_market_value": "update raw.positions set market_value = market_value + 1",
    "assert_fills_sum_to_fees_and_turnover": "update raw.fills set fee = fee + 1",
    "assert_no_trade_without_entry_fill": "delete from raw.fills where role = 'entry'",
    "assert_no_trade_closes_before_it_opens": "update main.trade_metrics set session_opened = session + 1",
    "assert_strategies_sum_to_trades": "delete from main.strategy_metrics where strategy = 'pullback'",
    "assert_regimes_sum_to_trades": "update main.regime_metrics set pnl_usd = pnl_usd + 1",
    "assert_attribution_sums_to_trades": "update raw.attribution_shares set pnl = pnl + 0.0001 where name = 'momentum'",
    "assert_shares_sum_to_one": "update raw.attribution_shares set share = share + 0.01 where name = 'momentum'",
    "assert_every_trade_is_attributed": "delete from raw.attribution_shares where dimension = 'analyst'",
    "assert_attribution_by_session_sums_to_attribution": "delete from main.attribution_daily where name = 'momentum'",
    "assert_slippage_adds_up": "update raw.slippage set delay = 1, execution = 1",
    "assert_every_fill_has_its_slippage": "update raw.slippage set price = price + 1",
    "assert_execution_sums_to_slippage": "update main.execution_quality set slippage_usd = slippage_usd + 1",
    "assert_evidence_sums_to_the_record": "delete from main.evidence_metrics where evidence = 'clean'",
    "assert_every_decided_session_says_what_it_rests_on": "delete from raw.decision_evidence where evidence = 'clean'",
    "assert_intervals_are_in_order": "update raw.metric_intervals set high = low - 1 where low is not null",
}
# What a column may hold that it should not; each is tried until one is caught.
_VALUES = ("null", "'NaN'::double", "-1e12", "1e12", "0", "'whim'", "date '1999-01-01'")
CHECKS = [check for model in model_specs(PROJECT) for check in model.checks]


@pytest.fixture(scope="module")
def opened(clean: tuple[Lane, MetricsRun]) -> Iterator[Any]:
    import duckdb

    with duckdb.connect(str(clean[0].warehouse)) as connection:
        # The intervals of five sessions are too short to have ends.
        connection.execute(
            "update raw.metric_intervals set low = estimate - 1, high = estimate + 1 where estimate is not null"
        )
        yield connection


@pytest.fixture(scope="module")
def queries(target: Path) -> Mapping[str, str]:
    """What each test asks."""
    return {check.name: check.sql for check in plan_of(PROJECT, target).checks}


def failures(connection: Any, query: str, defects: Sequence[str]) -> int:
    """Rows that the test finds after some statements, which are taken back."""
    import duckdb

    connection.execute("begin")
    try:
        for defect in defects:
            connection.execute(defect)
        return len(connection.sql(query))
    except duckdb.Error:
        return 0  # the column's type refuses such a value
    finally:
        connection.execute("rollback")


def defects_of(check: CheckSpec) -> Iterator[Sequence[str]]:
    if check.column is None:
        yield [PLANTED[check.name]]
        return
    for value in _VALUES:
        yield [f"update main.{check.model} set {check.column} = {value}"]
    yield [f"insert into main.{check.model} select * from main.{check.model}"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_planted_defect_trips_the_test_and_a_sound_record_does_not(
    opened: Any, queries: Mapping[str, str], check: CheckSpec
) -> None:
    assert failures(opened, queries[check.name], []) == 0
    assert any(failures(opened, queries[check.name], planted) > 0 for planted in defects_of(check))


def test_every_test_over_whole_tables_has_its_defect() -> None:
    assert PLANTED.keys() == {check.name for check in CHECKS if check.column is None}
