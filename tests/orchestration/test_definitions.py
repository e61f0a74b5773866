"""The code location: it loads without anything, says what everything is, and lets no decision see its own session."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

from resources.desk import LANES
from trading_assets.catalog import groups_of
from trading_assets.core.settings import PROJECT
from trading_assets.definitions import defs
from trading_assets.execution.tables import DECIDED
from trading_assets.partitions import KNOWN_BEFORE, SESSIONS

ANSWERS = Path(__file__).with_name("answers")
HEAVY = {
    *("polars", "pandas", "numpy", "pyarrow", "duckdb", "talib", "sqlalchemy", "alembic"),
    *("great_expectations", "dbt", "matplotlib", "yfinance", "dagster_duckdb", "ib_async", "feedparser"),
    *("numba", "scipy", "sklearn", "statsmodels", "hmmlearn", "arch", "simulation"),
}
GRAPH: AssetGraph = defs.resolve_asset_graph()
ASSETS = [GRAPH.get(key) for key in GRAPH.toposorted_asset_keys]
GROUPS = [group for group in groups_of(LANES) if any(node.group_name == group for node in ASSETS)]


def test_the_definitions_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


def test_loading_imports_no_data_library_and_needs_no_environment() -> None:
    """Every run worker pays for the imports of the code location, and a clone has no credentials."""
    script = "import json, sys, trading_assets.definitions; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], env={"HOME": "/"}, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert not HEAVY & {name.split(".")[0] for name in json.loads(run.stdout)}


@pytest.mark.parametrize("node", ASSETS, ids=lambda node: node.key.to_user_string())
def test_every_asset_says_what_it_is_and_who_owns_it(node: AssetNode) -> None:
    assert node.description
    assert node.owners == ["team:desk"]
    assert node.group_name in GROUPS
    assert node.kinds
    assert node.partitions_def == SESSIONS
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    if node.key.path[-1] not in REPORTS:
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert schema.columns
        assert [column.name for column in schema.columns if not column.description] == []


FEATURES = ("indicators", "breadth", "intraday_features", "liquidity", "correlations")
JUDGED = {
    *(f"{table}:quality" for table in ("daily_bars", "intraday_bars", "quote_bars", "news", "filings", "macro_series")),
    *(f"{table}:{check}" for table in FEATURES for check in ("complete_and_finite", "canary")),
    *("universe:membership", "universe_pairs:pairs", "watchlist:odds_hold"),
    *("regime_labels:complete_and_recomputed", "liquidity_regimes:complete_and_consistent"),
    *("weekly_screen:screen_holds", "weekly_portfolio:portfolio_holds"),
}
# No decision reads the model's opinions, and a portfolio that is missing must not keep the weekly report away.
TOLD = {"regime_opinions:causal_and_recomputed", "weekly_portfolio:run_days_have_portfolios"}
REPORTS = {"improvement_report", "week_in_review", "weekly_report"}


def test_the_checks_that_judge_sessions_are_partitioned_and_blocking() -> None:
    judged = {key.to_user_string(): key for key in GRAPH.asset_check_keys if key.asset_key.path[0] not in LANES}
    assert judged.keys() == {*JUDGED, *TOLD}
    for name, key in judged.items():
        assert GRAPH.get(key).partitions_def == SESSIONS
        assert GRAPH.get(key).blocking == (name not in TOLD)


def test_the_metrics_of_both_lanes_have_the_same_checks_and_none_blocks() -> None:
    """A data test that fails must not keep the report from appearing."""
    per_lane = [
        {(key.asset_key.path[-1], key.name) for key in GRAPH.asset_check_keys if key.asset_key.path[0] == lane}
        for lane in LANES
    ]
    assert per_lane[0] == per_lane[1]
    assert len(per_lane[0]) >= 26
    assert not any(GRAPH.get(key).blocking for key in GRAPH.asset_check_keys if key.asset_key.path[0] in LANES)


# Lineage


def told(node: AssetNode) -> str:
    """One line for each asset: what it is read from, and which session of it."""
    lines = []
    for parent in sorted(node.parent_keys):
        mapping = node.partition_mappings.get(parent)
        lines.append(f"  <- {parent.to_user_string()}{' of the session before' if mapping == KNOWN_BEFORE else ''}")
    checks = sum(key.asset_key == node.key for key in GRAPH.asset_check_keys)
    pool = f" pool {', '.join(sorted(node.pools or []))}" if node.pools else ""
    head = f"{node.key.to_user_string()} ({', '.join(sorted(node.kinds))}) {checks} checks{pool}"
    return "\n".join([head, *lines])


def graph_of(group: str) -> str:
    """A group's part of the graph, as it is committed."""
    nodes = [node for node in ASSETS if node.group_name == group]
    return "\n".join(told(node) for node in sorted(nodes, key=lambda node: node.key)) + "\n"


@pytest.mark.parametrize("group", GROUPS)
def test_the_graph_of_each_group_is_the_committed_one(group: str) -> None:
    """After a wanted change: python -m tests.orchestration.test_definitions."""
    assert graph_of(group) == (ANSWERS / f"{group}.txt").read_text()


def test_no_edge_joins_the_two_lanes() -> None:
    lanes = {node.key: node.key.path[0] for node in ASSETS if node.key.path[0] in LANES}
    crossing = [
        (parent, key)
        for key, lane in lanes.items()
        for parent in GRAPH.get(key).parent_keys
        if lanes.get(parent, lane) != lane
    ]
    assert crossing == []
    facts = [node for node in ASSETS if node.key not in lanes]
    assert [node.key for node in facts if node.parent_keys & lanes.keys()] == []


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("name", ["analyst_briefs", "theses", "trade_plans", "verdicts", "orders"])
def test_briefs_and_decisions_see_facts_of_the_session_before_only(lane: str, name: str) -> None:
    """No look-ahead by lineage: a fact of a session is known after its close, the decision falls at its open."""
    node = GRAPH.get(dg.AssetKey([lane, name]))
    facts = {parent for parent in node.parent_keys if len(parent.path) == 1}
    assert all(node.partition_mappings.get(parent) == KNOWN_BEFORE for parent in facts)
    assert bool(facts) == (name in {"analyst_briefs", "theses", "trade_plans"})


# Jobs and the instance


def keys_of(job: str) -> set[str]:
    """The assets of a job."""
    selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    return {key.to_user_string() for key in selected}


def test_the_reports_job_selects_the_report_and_nothing_else() -> None:
    assert keys_of("report") == {"desk/improvement_report", "desk/week_in_review"}


def test_the_desks_jobs_touch_no_backtest_and_the_other_way_round() -> None:
    for job in ("ingest", "ingest_intraday", "premarket", "decide", "postclose", "report"):
        assert not [key for key in keys_of(job) if key.startswith("backtest/")]
    assert not [key for key in keys_of("backtest") if key.startswith("desk/")]


def test_the_decide_job_makes_exactly_what_a_slot_decides() -> None:
    assert keys_of("decide") == {f"desk/{table.name}" for table in DECIDED}


def checks_of(job: str) -> set[str]:
    """The checks of a job."""
    return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys}


def test_no_check_can_stop_the_reports_job() -> None:
    assert checks_of("report") == set()


@pytest.mark.parametrize("job", ["ingest", "premarket", "postclose", "backtest"])
def test_a_job_that_makes_bars_judges_them(job: str) -> None:
    assert "daily_bars:quality" in checks_of(job)
    assert ("indicators:complete_and_finite" in checks_of(job)) == (job != "ingest")


@pytest.mark.parametrize("job", ["ingest", "ingest_intraday", "premarket", "decide", "postclose", "report", "backtest"])
def test_every_job_runs_over_sessions(job: str) -> None:
    assert defs.resolve_job_def(job).partitions_def == SESSIONS


def test_every_job_runs_its_steps_in_one_process() -> None:
    """An interpreter for each step would cost 3 s a step, and a slot has not got them."""
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    ingests = {"ingest", "ingest_intraday", "ingest_documents"}
    day = {"premarket", "decide", "flatness", "postclose", "report", "housekeep"}
    assert names >= {*ingests, *day, "backtest"}
    assert {defs.resolve_job_def(name).executor_def for name in names} == {dg.in_process_executor}


def test_the_instance_starts_from_the_committed_file_without_telemetry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_bytes((PROJECT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled
        assert not instance.run_retries_enabled
        assert instance.run_monitoring_enabled
        assert type(instance.event_log_storage).__name__ == "QuickEventLogStorage"
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1


def test_the_committed_file_names_every_pool_that_an_asset_uses() -> None:
    named = {pool for node in ASSETS for pool in node.pools or ()}
    line = next(line for line in (PROJECT / "dagster.yaml").read_text().splitlines() if "one step at a time" in line)
    assert named == set(line.strip("# ").split(":")[0].split(", "))


def test_the_workspace_loads_the_one_code_location(tmp_path: Path) -> None:
    """As `dagster dev` finds it; nothing is in the environment but the folder to write to."""
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    assert len(workspace["load_from"]) == 1
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    environment = {"HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)}
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "desk" in run.stdout + run.stderr


if __name__ == "__main__":
    for refreshed in GROUPS:
        (ANSWERS / f"{refreshed}.txt").write_text(graph_of(refreshed))
