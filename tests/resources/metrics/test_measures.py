"""What the models say, against numbers worked out by hand and against the pure summary."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import sqrt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.metrics import (
    RAW_TABLES,
    CheckRun,
    MetricsRun,
)
from tests.evaluation.books import (
    CASH,
    Book,
    day,
    tiny,
    trade_row,
    trades,
    walk,
)
from tests.resources.metrics.built import Lane, built, measured_of
from trading_assets.evaluation.summary import SESSIONS_PER_YEAR, Summary, records_by, summarise, summarise_equity


def test_a_sound_book_passes_every_test_and_builds_every_model(clean: tuple[Lane, MetricsRun]) -> None:
    _, run = clean
    assert run.failed == ()
    assert {model.name: model.rows for model in run.models} == {
        "daily_metrics": 5,
        "trade_metrics": 3,
        "strategy_metrics": 2,
        "regime_metrics": 2,
        "attribution": 16,
        "attribution_daily": 39,
        "execution_quality": 2,
        "evidence_metrics": 4,
        "stg_attribution": 39,
        "stg_decisions": 5,
        "stg_intervals": 19,
        "stg_sessions": 5,
        "stg_slippage": 6,
        "stg_account": 5,
        "stg_benchmark": 5,
        "stg_book": 1,
        "stg_fills": 6,
        "stg_positions": 2,
        "stg_trades": 3,
    }


HAND: Mapping[str, Sequence[float | None]] = {
    "pnl_usd": [200, -100, 0, -200, 400],
    "pnl_usd_to_date": [200, 100, 100, -100, 300],
    "return_fraction": [200 / 100000, -100 / 100200, 0, -200 / 100100, 400 / 99900],
    "return_fraction_to_date": [0.002, 0.001, 0.001, -0.001, 0.003],
    "drawdown_fraction": [0, 100 / 100200, 100 / 100200, 300 / 100200, 0],
    "max_drawdown_fraction": [0, 100 / 100200, 100 / 100200, 300 / 100200, 300 / 100200],
    "cagr_fraction": [None] * 5,
    "exposure_fraction": [0, 0, 1000 / 100100, 800 / 99900, 0],
    "turnover_fraction": [2200 / 100000, 1900 / 100200, 1000 / 100100, 0, 1200 / 99900],
    "capital_efficiency_fraction": [None, None, 100 / (1000 / 3), -100 / 450, 300 / 360],
    "gross_exposure_fraction": [0, 0, 1000 / 100100, 800 / 99900, 0],
    "slippage_usd": [0, 300, 0, 0, 0],
    "slippage_usd_to_date": [0, 300, 300, 300, 300],
    "slippage_bp_to_date": [0, 300 / 2400 * 10_000, 300 / 2400 * 10_000, 300 / 2400 * 10_000, 300 / 3600 * 10_000],
    "unfilled_usd_to_date": [0, 0, 0, 0, 0],
    "model_cost_usd": [0, 0, 0.01, 0, 0],
    "model_cost_usd_to_date": [0, 0, 0.01, 0.01, 0.01],
    "model_cost_usd_per_decision": [0, 0, 0.01 / 3, 0.01 / 4, 0.01 / 5],
    "cost_usd_to_date": [2, 302, 303.01, 303.01, 304.01],
    "fees_usd": [2, 0, 1, 0, 1],
    "fees_usd_to_date": [2, 2, 3, 3, 4],
    "dividends_usd_to_date": [0, 5, 5, 5, 5],
    "veto_rate_fraction": [1 / 2, 1 / 3, 2 / 4, 2 / 4, 2 / 4],
    "trades_closed": [1, 1, 0, 0, 1],
    "trades_to_date": [1, 2, 2, 2, 3],
    "realised_pnl_usd": [200, -100, 0, 0, 200],
    "realised_pnl_usd_to_date": [200, 100, 100, 100, 300],
    "win_rate_fraction": [1, 1 / 2, 1 / 2, 1 / 2, 2 / 3],
    "win_usd_mean": [200, 200, 200, 200, 200],
    "loss_usd_mean": [None, -100, -100, -100, -100],
    "payoff_ratio": [None, 2, 2, 2, 2],
    "profit_factor": [None, 2, 2, 2, 4],
    "expectancy_usd": [200, 50, 50, 50, 100],
    "r_multiple_mean": [4, 1, 1, 1, 2],
    "sessions_held_mean": [1, 1, 1, 1, 5 / 3],
    "benchmark_return_fraction": [0.001, 100 / 100100, -200 / 100200, 300 / 100000, -100 / 100300],
    "benchmark_return_fraction_to_date": [0.001, 0.002, 0, 0.003, 0.002],
    "benchmark_drawdown_fraction": [0, 0, 200 / 100200, 0, 100 / 100300],
    "benchmark_max_drawdown_fraction": [0, 0, 200 / 100200, 200 / 100200, 200 / 100200],
    "excess_return_fraction_to_date": [0.001, -0.001, 0.001, -0.004, 0.001],
}


@pytest.mark.parametrize("measure", HAND)
def test_daily_measures_equal_those_worked_out_by_hand(clean: tuple[Lane, MetricsRun], measure: str) -> None:
    found = clean[0].read("daily_metrics")[measure].to_list()
    assert [None if value is None else float(value) for value in found] == pytest.approx(HAND[measure], abs=1e-12)


def test_ratios_of_returns_begin_with_the_second_session(clean: tuple[Lane, MetricsRun]) -> None:
    daily = clean[0].read("daily_metrics")
    first, second = 200 / 100000, -100 / 100200
    mean, deviation, downside = (first + second) / 2, abs(first - second) / sqrt(2), abs(second) / sqrt(2)
    expected = {
        "volatility_fraction_annualised": deviation * sqrt(SESSIONS_PER_YEAR),
        "sharpe_ratio": mean / deviation * sqrt(SESSIONS_PER_YEAR),
        "sortino_ratio": mean / downside * sqrt(SESSIONS_PER_YEAR),
    }
    assert daily.select(list(expected)).row(0) == (None, None, None)
    assert daily.select(list(expected)).row(1) == pytest.approx(tuple(expected.values()))


def test_trades_carry_their_planned_risk_and_r_multiple(clean: tuple[Lane, MetricsRun]) -> None:
    found = clean[0].read("trade_metrics").sort("session")
    assert found["planned_risk_usd"].to_list() == [50, 50, 50]
    assert found["r_multiple"].to_list() == [4, -2, 4]
    assert found["is_win"].to_list() == [True, False, True]


def test_a_session_says_what_it_rests_on_and_a_mixed_record_says_that_it_is_mixed(
    clean: tuple[Lane, MetricsRun],
) -> None:
    daily = clean[0].read("daily_metrics")
    assert daily["evidence"].to_list() == ["rules", "rules", "clean", "rules", "rules"]
    assert daily["evidence_to_date"].to_list() == ["rules", "rules", "mixed", "mixed", "mixed"]


def test_evidence_is_reported_apart_and_each_kind_has_its_row(clean: tuple[Lane, MetricsRun]) -> None:
    kinds = clean[0].read("evidence_metrics").rows_by_key("evidence", named=True, unique=True)
    assert kinds.keys() == {"rules", "clean", "unknown", "contaminated"}
    told = ("decisions", "sessions", "trades", "wins", "session_pnl_usd", "pnl_usd", "model_cost_usd")
    assert [float(kinds["rules"][name]) for name in told] == [4, 4, 2, 1, 300, 100, 0]
    assert [float(kinds["clean"][name]) for name in told] == [1, 1, 1, 1, 0, 200, 0.01]
    assert kinds["contaminated"]["win_rate_fraction"] is None
    strategies = clean[0].read("strategy_metrics").rows_by_key("strategy", named=True, unique=True)
    assert (strategies["pullback"]["trades_rules"], strategies["pullback"]["trades_clean"]) == (1, 1)


def test_trades_carry_their_slot_evidence_and_thesis(clean: tuple[Lane, MetricsRun]) -> None:
    found = clean[0].read("trade_metrics").sort("session")
    assert found["evidence"].to_list() == ["rules", "rules", "clean"]
    assert set(found["time_of_day"]) == {"09:30"}
    assert set(found["thesis_author"]) == {"rules"}
    assert found["thesis"][0].startswith("AAPL long ")


def test_attribution_sums_what_each_name_got(clean: tuple[Lane, MetricsRun]) -> None:
    """Shares 0.4, 0.4, -0.2 and 0.4 of +200, -100 and +200."""
    personas = clean[0].read("attribution").filter(pl.col("dimension") == "persona")
    rows = personas.rows_by_key("name", named=True, unique=True)
    assert [float(rows["contrarian"][name]) for name in ("pnl_usd", "expectancy_usd", "share_sum")] == [
        120,
        40,
        pytest.approx(1.2),
    ]
    assert (rows["momentum"]["wins"], rows["momentum"]["losses"], rows["contrarian"]["wins"]) == (1, 2, 2)
    assert float(personas["pnl_usd"].sum()) == 300
    daily = (
        clean[0].read("attribution_daily").filter((pl.col("dimension") == "persona") & (pl.col("name") == "momentum"))
    )
    assert [float(each) for each in daily.sort("session")["pnl_usd_to_date"]] == [-40, -20, -60]


def test_a_recent_record_is_that_of_the_last_thirty_trades(target: Path) -> None:
    """Forty trades of one session each: ten lose 1 at first, thirty earn 1 later."""
    book = walk(41)
    numbers = range(1, 41)
    shown = trades(*(trade_row(n, -1 if n <= 10 else 1, opened=day(n)) for n in numbers))
    book = book.with_(trades=shown)
    lane, _ = built(target, "recent", book, **measured_of(book))
    row = lane.read("attribution").filter(pl.col("dimension") == "author").row(0, named=True)
    assert (row["trades"], row["win_rate_fraction"], float(row["pnl_usd"])) == (40, 0.75, 20)
    recent = ("trades_recent", "win_rate_fraction_recent", "pnl_usd_recent", "expectancy_usd_recent")
    assert [float(row[name]) for name in recent] == [30, 1.0, 30, 1.0]


def test_execution_quality_is_the_shortfall_of_its_fills(clean: tuple[Lane, MetricsRun]) -> None:
    """Targets wanted 120 for ten shares three times and got 120, 90 and 120; what the entries decided on is not known."""
    rows = clean[0].read("execution_quality").rows_by_key("role", named=True, unique=True)
    target, entered = rows["target"], rows["entry"]
    assert (target["fills"], float(target["slippage_usd"]), float(target["decided_value_usd"])) == (3, 300, 3600)
    assert target["slippage_bp"] == pytest.approx(300 / 3600 * 10_000)
    assert target["slippage_bp_worst"] == pytest.approx(2500)
    assert float(target["implementation_shortfall_usd"]) == 300 + 2
    assert (entered["fills"], entered["fills_unmeasured"], entered["slippage_bp"]) == (3, 3, None)


def test_a_record_that_nobody_measured_is_unknown_and_says_so(target: Path) -> None:
    lane, run = built(target, "unmeasured", tiny())
    assert {check.name for check in run.failed} == {
        "assert_every_trade_is_attributed",
        "assert_every_fill_has_its_slippage",
        "assert_every_decided_session_says_what_it_rests_on",
    }
    assert {check.severity for check in run.failed} == {"warn"}
    assert set(lane.read("daily_metrics")["evidence"]) == {"unknown"}
    assert set(lane.read("trade_metrics")["evidence"]) == {"unknown"}
    kinds = lane.read("evidence_metrics").rows_by_key("evidence", named=True, unique=True)
    assert (kinds["unknown"]["trades"], kinds["clean"]["trades"]) == (3, 0)


def test_groups_of_trades_agree_with_the_pure_records(clean: tuple[Lane, MetricsRun]) -> None:
    for column in ("strategy", "regime"):
        built_rows = clean[0].read(f"{column}_metrics").rows_by_key(column, named=True, unique=True)
        for name, record in records_by(tiny().trades, column).items():
            for field in fields(record):
                assert built_rows[name][field.name] == pytest.approx(getattr(record, field.name)), field.name


# ---- what the tests catch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "unique_daily_metrics_session",
        "not_null_daily_metrics_equity_usd",
        "cash_is_not_negative",
        "fees_are_not_negative",
        "vetoes_are_not_negative",
        "exposure_is_between_0_and_1",
        "drawdown_is_between_0_and_1",
        "equity_is_not_negative",
        "not_null_daily_metrics_benchmark_equity_usd",
        "unique_trade_metrics_trade_id",
        "not_null_trade_metrics_strategy",
        "not_null_strategy_metrics_strategy",
        "every_trade_closes_in_a_session_of_the_book",
        "exit_reason_is_known",
        "trade_return_is_finite",
        "trade_fees_are_not_negative",
        "sessions_held_is_one_or_more",
        "assert_equity_equals_cash_plus_value",
        "assert_positions_sum_to_market_value",
        "assert_fills_sum_to_fees_and_turnover",
        "assert_no_trade_without_entry_fill",
        "assert_no_trade_closes_before_it_opens",
    ],
)
def test_a_defect_trips_the_test_that_is_there_for_it(broken: Mapping[str, CheckRun], name: str) -> None:
    assert name in broken, sorted(broken)
    assert broken[name].failures > 0
    assert broken[name].message.startswith("Got ")


def test_a_failed_test_says_where_it_belongs_and_how_bad_it_is(broken: Mapping[str, CheckRun]) -> None:
    fraction, equity = broken["exposure_is_between_0_and_1"], broken["assert_equity_equals_cash_plus_value"]
    assert (fraction.model, fraction.column, fraction.severity) == ("daily_metrics", "exposure_fraction", "error")
    assert (equity.model, equity.column, equity.severity) == ("daily_metrics", None, "error")
    assert broken["not_null_daily_metrics_benchmark_equity_usd"].severity == "warn"


def test_failed_tests_keep_no_model_from_being_built(target: Path, broken: Mapping[str, CheckRun]) -> None:
    assert broken
    lane = Lane(target)
    lane.warehouse = target / "broken.duckdb"
    assert lane.read("daily_metrics").height == 6
    assert lane.read("strategy_metrics")["trades"].sum() == 4


def test_an_empty_lane_builds_empty_models_and_passes(target: Path) -> None:
    empty = Book(*(table.empty() for table in RAW_TABLES[:5]))
    lane, run = built(target, "empty", empty)
    assert run.failed == ()
    assert lane.read("daily_metrics").height == 0
    assert lane.read("attribution").height == 0
    assert lane.read("evidence_metrics")["trades"].sum() == 0


# ---- agreement with the pure summary -------------------------------------------------------------------------------------------


def compare(last: Mapping[str, Any], summary: Summary, *, prefix: str = "") -> None:
    for field in fields(summary):
        value = getattr(summary, field.name)
        if f"{prefix}{field.name}" in last:
            assert last[f"{prefix}{field.name}"] == (None if value is None else pytest.approx(value)), field.name


def test_the_summary_equals_the_last_row_of_the_tiny_book(clean: tuple[Lane, MetricsRun]) -> None:
    last, book = clean[0].last(), tiny()
    compare(last, summarise(book.account, book.trades, starting_cash=CASH))
    compare(last, summarise_equity(book.benchmark, starting_cash=CASH), prefix="benchmark_")


@pytest.fixture(scope="module")
def long(target: Path) -> tuple[Lane, Book]:
    book = walk(300)
    lane, _ = built(target, "long", book)
    return lane, book


def test_the_summary_equals_the_last_row_of_a_longer_book(long: tuple[Lane, Book]) -> None:
    lane, book = long
    last = lane.last()
    summary = summarise(book.account, book.trades, starting_cash=CASH)
    assert {field.name for field in fields(summary)} <= last.keys()
    assert last["cagr_fraction"] is not None
    compare(last, summary)
    compare(last, summarise_equity(book.benchmark, starting_cash=CASH), prefix="benchmark_")


def test_every_row_is_the_summary_of_the_record_up_to_it(long: tuple[Lane, Book]) -> None:
    lane, book = long
    for number, row in enumerate(lane.read("daily_metrics").sort("session").rows(named=True), start=1):
        known = book.trades.filter(pl.col("session") <= row["session"])
        compare(row, summarise(book.account.head(number), known, starting_cash=CASH))
        compare(row, summarise_equity(book.benchmark.head(number), starting_cash=CASH), prefix="benchmark_")
