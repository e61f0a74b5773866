"""How data tests are shown as asset checks: nothing is lost when those of a model's columns stand together."""

import dagster as dg

from resources.metrics import CheckRun
from resources.metrics_specs import model_specs
from trading_assets.evaluation.assets import (
    COLUMNS_HOLD,
    DBT_PROJECT,
    MODELS,
    _check_result,
    _check_specs,
    _grouped,
)


def run_of(name: str, *, column: str | None = "equity_usd", failures: int = 0, severity: str = "error") -> CheckRun:
    message = f"Got {failures} rows that break it" if failures else ""
    return CheckRun(name, "daily_metrics", column, failures == 0, failures, severity, message)


def test_every_data_test_stands_behind_exactly_one_check() -> None:
    tests = [check for model in model_specs(DBT_PROJECT) for check in model.checks]
    grouped = _grouped(tests)
    assert sorted(check.name for each in grouped.values() for check in each) == sorted(check.name for check in tests)
    shown = {(spec.asset_key.path[-1], spec.name) for spec in _check_specs("desk")}
    assert shown == set(grouped)
    assert {(model.name, COLUMNS_HOLD) for model in MODELS} <= shown


def test_a_check_fails_with_the_worst_of_its_tests_and_names_them() -> None:
    runs = [run_of("a"), run_of("b", failures=2, severity="warn"), run_of("c", failures=1)]
    failed = _check_result("daily_metrics", COLUMNS_HOLD, runs, "desk")
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert failed.description == "b: Got 2 rows that break it; c: Got 1 rows that break it"
    assert failed.metadata["rows_that_break_it"].value == 3
    warned = _check_result("daily_metrics", COLUMNS_HOLD, runs[:2], "desk")
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    sound = _check_result("daily_metrics", COLUMNS_HOLD, runs[:1], "desk")
    assert (sound.passed, sound.description, sound.asset_key) == (True, None, dg.AssetKey(["desk", "daily_metrics"]))
