"""Specifications read as text, and builds of the project, against dbt itself."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.metrics import (
    MetricsRun,
    load_raw,
    model_specs,
)
from tests.evaluation.books import (
    CASH,
    account,
    account_row,
    tiny,
    trades,
)
from tests.resources.metrics.built import METRICS_PAGE, PROJECT, Lane, built, raw_of
from trading_assets.core.errors import PermanentFailure, TableMismatch, TransientFailure


@pytest.fixture(scope="module")
def manifest(clean: tuple[Lane, MetricsRun]) -> Any:
    from dbt.cli.main import dbtRunner

    folders = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", clean[0].target]
    quiet = ["--log-path", clean[0].target / "logs", "--quiet", "--log-level", "none", "--no-write-json"]
    return dbtRunner().invoke(["parse", *map(str, [*folders, *quiet])]).result


def test_specifications_agree_with_what_dbt_parses(manifest: Any) -> None:
    specs = {spec.name: spec for spec in model_specs(PROJECT)}
    models = {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}
    assert specs.keys() == models.keys()
    for name, node in models.items():
        spec, parents = specs[name], [parent.split(".") for parent in node.depends_on.nodes]
        assert spec.description == node.description
        assert spec.layer == Path(node.original_file_path).parent.name
        assert [(c.name, c.type or None, c.description) for c in spec.columns] == [
            (column.name, column.data_type, column.description) for column in node.columns.values()
        ]
        assert set(spec.refs) == {parent[-1] for parent in parents if parent[0] == "model"}
        assert set(spec.sources) >= {parent[-1] for parent in parents if parent[0] == "source"}


def test_checks_agree_with_what_dbt_parses_and_with_what_a_run_reports(
    manifest: Any, clean: tuple[Lane, MetricsRun]
) -> None:
    specs = [check for spec in model_specs(PROJECT) for check in spec.checks]
    parsed = {
        (node.name, (getattr(node, "column_name", None)), node.config.severity.lower())
        for node in manifest.nodes.values()
        if node.resource_type == "test"
    }
    assert len({spec.name for spec in specs}) == len(specs)
    assert {(spec.name, spec.column, spec.severity) for spec in specs} == parsed
    reported = {(check.name, check.model, check.column, check.severity) for check in clean[1].checks}
    assert {(spec.name, spec.model, spec.column, spec.severity) for spec in specs} == reported


def test_sources_reach_through_other_models() -> None:
    specs = {spec.name: spec for spec in model_specs(PROJECT)}
    assert specs["daily_metrics"].sources == ("account", "benchmark", "book", "trades")
    assert specs["strategy_metrics"].refs == ("stg_trades",)
    assert specs["strategy_metrics"].sources == ("trades",)


def test_every_promised_type_is_the_type_of_the_table(clean: tuple[Lane, MetricsRun]) -> None:
    import duckdb

    with duckdb.connect(str(clean[0].warehouse), read_only=True) as connection:
        for spec in model_specs(PROJECT):
            if spec.layer == "marts":
                types = {
                    name: kind.lower() for name, kind, *_ in connection.execute(f"describe {spec.name}").fetchall()
                }
                assert types == {column.name: column.type for column in spec.columns}


def test_every_daily_measure_is_described_and_tested() -> None:
    daily = next(spec for spec in model_specs(PROJECT) if spec.name == "daily_metrics")
    tested = {check.column for check in daily.checks}
    assert len(daily.columns) >= 15
    assert all(column.description.endswith(".") for column in daily.columns)
    assert {column.name for column in daily.columns} <= tested


def test_every_measure_stands_in_the_metrics_page() -> None:
    page = METRICS_PAGE.read_text()
    for spec in model_specs(PROJECT):
        if spec.layer == "marts":
            assert [column.name for column in spec.columns if f"`{column.name}`" not in page] == [], spec.name


def test_a_test_that_dbt_would_name_by_itself_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "a.sql").write_text("select 1 as n")
    (models / "a.yml").write_text(
        "models: [{name: a, description: A., columns: [{name: n, description: N.,"
        " data_tests: [within: {arguments: {low: 0}}]}]}]"
    )
    with pytest.raises(PermanentFailure, match="needs a name of its own | value: within_a_n"):
        model_specs(tmp_path)


def test_reading_specifications_imports_no_dbt() -> None:
    script = (
        "import sys; from pathlib import Path; from resources.metrics import model_specs;"
        f"model_specs(Path({str(PROJECT)!r})); sys.exit(any(name in sys.modules for name in ('dbt', 'duckdb', 'polars')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=PROJECT.parent).returncode == 0


# ---- manners -------------------------------------------------------------------------------------------------------------------


def test_building_again_gives_the_same_rows_and_leaves_no_trace_but_its_own(
    target: Path, clean: tuple[Lane, MetricsRun], capfd: pytest.CaptureFixture[str]
) -> None:
    before, environment = sorted(PROJECT.rglob("*")), dict(os.environ)
    lane, _ = built(target, "again", tiny())
    assert sorted(PROJECT.rglob("*")) == before
    assert dict(os.environ) == environment
    assert capfd.readouterr() == ("", "")
    assert (lane.target / "logs" / "dbt.log").is_file()
    assert lane.read("daily_metrics").equals(clean[0].read("daily_metrics"))


def test_the_warehouse_can_be_opened_by_another_process_after_a_build(clean: tuple[Lane, MetricsRun]) -> None:
    script = f"import duckdb; print(len(duckdb.connect({str(clean[0].warehouse)!r}).table('daily_metrics')))"
    seen = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (seen.stdout, seen.stderr) == ("5\n", "")


def test_a_warehouse_held_by_another_process_is_a_passing_trouble(tmp_path: Path) -> None:
    lane = Lane(tmp_path)
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(lane.warehouse)!r}); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientFailure, match="warehouse cannot be opened"):
            lane.build(tiny())
        holder.communicate()
    load_raw(lane.warehouse, raw_of(tiny()))


def test_loading_again_replaces_the_rows(tmp_path: Path) -> None:
    import duckdb

    warehouse = tmp_path / "desk.duckdb"
    load_raw(warehouse, raw_of(tiny()))
    load_raw(warehouse, raw_of(tiny().with_(trades=trades()), lane="desk"))
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.table("raw.trades").fetchall() == []
        assert connection.table("raw.book").fetchall() == [("desk", CASH)]


@settings(deadline=None, max_examples=20)
@given(
    cash=st.decimals(min_value=Decimal("0.0001"), max_value=Decimal("99999999999999.9999"), places=4),
    equity=st.lists(st.decimals(min_value=0, max_value=Decimal("99999999999999.9999"), places=4), max_size=5),
)
def test_money_reaches_the_warehouse_to_the_hundredth_of_a_cent(cash: Decimal, equity: list[Decimal]) -> None:
    import duckdb

    rows = account(*(account_row(n, amount) for n, amount in enumerate(equity, start=1)))
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder) / "desk.duckdb"
        load_raw(warehouse, replace(raw_of(tiny()), account=rows, starting_cash=cash))
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            stored = connection.execute("select equity from raw.account order by session").fetchall()
            assert [amount for (amount,) in stored] == equity
            assert connection.execute("select starting_cash from raw.book").fetchall() == [(cash,)]


def test_one_target_serves_another_warehouse_without_mixing_their_names(
    target: Path, clean: tuple[Lane, MetricsRun]
) -> None:
    other = Lane(target)
    other.warehouse = target / "desk.duckdb"
    assert other.build(tiny()).failed == ()
    assert other.read("daily_metrics").equals(clean[0].read("daily_metrics"))


def test_checks_are_described_in_words() -> None:
    words = {check.name: check.description for spec in model_specs(PROJECT) for check in spec.checks}
    assert words["drawdown_is_between_0_and_1"] == "drawdown_fraction: within (low 0, high 1)"
    assert words["not_null_daily_metrics_pnl_usd"] == "pnl_usd: not null"
    assert words["assert_no_trade_without_entry_fill"].startswith("Every trade has an entry fill")


def test_a_frame_of_the_wrong_shape_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    warehouse = tmp_path / "desk.duckdb"
    wrong = tiny().with_(fills=tiny().fills.drop("fee"))
    with pytest.raises(TableMismatch, match="does not fit table fills"):
        load_raw(warehouse, raw_of(wrong))
    assert not warehouse.exists()


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select no_such_column from {{ ref('stg_trades') }}", "regime_metrics: .*no_such_column"),
        ("select * from {{ ref('nobody') }}", "depends on a node named 'nobody'"),
    ],
)
def test_a_project_that_dbt_cannot_build_is_a_permanent_failure_in_its_own_words(
    tmp_path: Path, sql: str, sentence: str
) -> None:
    copy = shutil.copytree(PROJECT, tmp_path / "project")
    (copy / "models" / "marts" / "regime_metrics.sql").write_text(sql)
    with pytest.raises(PermanentFailure, match=sentence):
        Lane(tmp_path, project=copy).build(tiny())
