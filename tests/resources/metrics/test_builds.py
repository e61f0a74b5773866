"""Specifications read as text, and builds of the project, against dbt itself."""

import os
import re
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

from resources.metrics import MetricsRun, load_raw, write_docs
from resources.metrics_plan import compiled, invoke_dbt, plan_of
from resources.metrics_specs import docs_blocks, exposure_specs, model_specs
from tests.evaluation.books import (
    CASH,
    account,
    account_row,
    tiny,
    trades,
)
from tests.resources.metrics.built import METRICS_PAGE, PROJECT, Lane, built, measured_of, raw_of
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
    assert {"account", "benchmark", "book", "trades", "slippage", "decision_evidence"} <= {
        *specs["daily_metrics"].sources
    }
    assert specs["strategy_metrics"].refs == ("stg_trades",)
    assert specs["strategy_metrics"].sources == ("attribution_shares", "trades")


def test_every_promised_type_is_the_type_of_the_table(clean: tuple[Lane, MetricsRun]) -> None:
    import duckdb

    with duckdb.connect(str(clean[0].warehouse), read_only=True) as connection:
        for spec in model_specs(PROJECT):
            if spec.layer == "marts":
                types = {
                    name: kind.lower() for name, kind, *_ in connection.execute(f"describe {spec.name}").fetchall()
                }
                assert types == {column.name: column.type for column in spec.columns}


def test_every_column_of_every_mart_is_described_and_tested() -> None:
    marts = [spec for spec in model_specs(PROJECT) if spec.layer == "marts"]
    for spec in marts:
        tested = {check.column for check in spec.checks}
        assert [column.name for column in spec.columns if not column.description.endswith(".")] == [], spec.name
        assert [column.name for column in spec.columns if column.name not in tested] == [], spec.name
    daily = next(spec for spec in marts if spec.name == "daily_metrics")
    measures = [column.name for column in daily.columns if "Formula:" in column.description]
    assert len(measures) >= 50


def test_every_measure_says_its_unit_formula_and_source() -> None:
    blocks = docs_blocks(PROJECT)
    assert [
        name for name, text in blocks.items() if not re.search(r"Unit: .+\. Formula: .+\. Source: .+\.$", text)
    ] == []
    used = {
        name for path in (PROJECT / "models").rglob("*.yml") for name in re.findall(r"doc\('(\w+)'\)", path.read_text())
    }
    assert used == blocks.keys()


def test_a_description_that_names_no_block_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1 as n")
    (tmp_path / "models" / "a.yml").write_text(
        "models: [{name: a, description: A., columns: [{name: n, description: \"{{ doc('n') }}\"}]}]"
    )
    with pytest.raises(PermanentFailure, match="docs block"):
        model_specs(tmp_path)


def test_exposures_name_who_uses_the_marts_and_dbt_knows_them(manifest: Any) -> None:
    marts = {spec.name for spec in model_specs(PROJECT) if spec.layer == "marts"}
    exposures = {spec.name: set(spec.models) for spec in exposure_specs(PROJECT)}
    parsed = {
        node.name: {parent.split(".")[-1] for parent in node.depends_on.nodes} for node in manifest.exposures.values()
    }
    assert exposures == parsed
    assert exposures.keys() == {"improvement_report", "desk_status", "dagster_ui"}
    assert set().union(*exposures.values()) <= marts
    assert exposures["improvement_report"] >= {"attribution", "execution_quality", "evidence_metrics"}


# ---- the plan ------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_build_makes_the_tables_and_finds_the_failures_of_dbts_own_build(
    target: Path, clean: tuple[Lane, MetricsRun]
) -> None:
    lane = Lane(target)
    lane.warehouse = target / "by_dbt.duckdb"
    load_raw(lane.warehouse, raw_of(tiny(), measured=measured_of(tiny())))
    results = invoke_dbt(PROJECT, target / "by_dbt", "build", warehouse=lane.warehouse)
    run = [result for result in results if result.node.resource_type in {"model", "test"}]
    assert {str(result.status) for result in run} == {"success", "pass"}
    for spec in model_specs(PROJECT):
        assert lane.read(spec.name).equals(clean[0].read(spec.name)), spec.name


@pytest.mark.slow
def test_failures_are_those_that_dbt_counts(target: Path) -> None:
    book = tiny().with_(
        trades=trades(*({**row, "sessions_held": 0} for row in tiny().trades.drop("knowable_at").rows(named=True)))
    )
    lane, run = built(target, "failing", book)
    by_dbt = invoke_dbt(PROJECT, target / "by_dbt", "test", warehouse=lane.warehouse)
    counted = {result.node.name: result.failures for result in by_dbt}
    assert {check.name: check.failures for check in run.checks} == counted
    assert counted["sessions_held_is_one_or_more"] == 3


@pytest.mark.slow
def test_a_kept_plan_is_what_dbt_compiles_now(target: Path) -> None:
    kept, now = plan_of(PROJECT, target), compiled(PROJECT, target)
    assert kept == now
    assert [model.name for model in now.models][:2] == ["stg_account", "stg_attribution"]
    assert "metrics" not in {word.strip('"') for model in now.models for word in re.findall(r'"\w+"\.', model.sql)}


def small(folder: Path, sql: str = "select session, equity_usd from {{ ref('stg_account') }}") -> Path:
    """A project of one mart and its staging, which dbt compiles in a second."""
    project = folder / "project"
    shutil.copytree(PROJECT / "macros", project / "macros")
    shutil.copytree(PROJECT / "tests" / "generic", project / "tests" / "generic")
    for name in ("dbt_project.yml", "profiles.yml", "models/staging/sources.yml", "models/staging/stg_account.sql"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    marts = project / "models" / "marts"
    marts.mkdir()
    (marts / "small.sql").write_text(sql)
    columns = (
        "[{name: session, data_type: date, data_tests: [not_null]}, {name: equity_usd, data_type: 'decimal(18,4)'}]"
    )
    (marts / "small.yml").write_text(f"models: [{{name: small, columns: {columns}}}]")
    return project


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment that keeps plans."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "no environment"))


def test_a_plan_that_cannot_be_read_or_is_of_another_project_is_compiled_anew(alone: None, tmp_path: Path) -> None:
    project = small(tmp_path)
    plan = plan_of(project, tmp_path / "dbt")
    (kept,) = (tmp_path / "dbt").glob("dbt-*.json")
    whole = kept.read_text()
    kept.write_text(whole[:100])
    assert plan_of(project, tmp_path / "dbt") == plan
    assert kept.read_text() == whole
    (project / "models" / "marts" / "small.sql").write_text(
        "select session, cash_usd as equity_usd from {{ ref('stg_account') }}"
    )
    assert plan_of(project, tmp_path / "dbt") != plan
    assert len(list((tmp_path / "dbt").glob("dbt-*.json"))) == 2


def test_a_view_still_works_where_the_file_is_attached_under_another_name(clean: tuple[Lane, MetricsRun]) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"attach '{clean[0].warehouse}' as elsewhere (read_only)")
        assert connection.execute("select count(*) from elsewhere.stg_trades").fetchall() == [(3,)]


@pytest.mark.slow
def test_the_documentation_is_one_page_without_network(target: Path, clean: tuple[Lane, MetricsRun]) -> None:
    page = write_docs(project=PROJECT, warehouse=clean[0].warehouse, target=target / "docs").read_text()
    assert "Perold 1988" in page
    assert "improvement_report" in page


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
        "import sys; from pathlib import Path; from resources.metrics_specs import model_specs;"
        f"model_specs(Path({str(PROJECT)!r})); sys.exit(any(name in sys.modules for name in ('dbt', 'duckdb', 'polars')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=PROJECT.parent).returncode == 0


# ---- manners -------------------------------------------------------------------------------------------------------------------


def test_building_again_gives_the_same_rows_and_leaves_no_trace_but_its_own(
    target: Path, clean: tuple[Lane, MetricsRun], capfd: pytest.CaptureFixture[str]
) -> None:
    before, environment = sorted(PROJECT.rglob("*")), dict(os.environ)
    lane, _ = built(target, "again", tiny(), **measured_of(tiny()))
    assert sorted(PROJECT.rglob("*")) == before
    assert dict(os.environ) == environment
    assert capfd.readouterr() == ("", "")
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
        load_raw(warehouse, replace(raw_of(tiny().with_(account=rows)), starting_cash=cash))
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            stored = connection.execute("select equity from raw.account order by session").fetchall()
            assert [amount for (amount,) in stored] == equity
            assert connection.execute("select starting_cash from raw.book").fetchall() == [(cash,)]


def test_a_build_that_fails_leaves_the_tables_of_the_build_before(alone: None, tmp_path: Path) -> None:
    lane = Lane(tmp_path, project=small(tmp_path))
    lane.build(tiny())
    (lane.project / "models" / "marts" / "small.sql").write_text("select error('no')::date as session, 1 as equity_usd")
    with pytest.raises(PermanentFailure, match="small: .*no"):
        lane.build(tiny().with_(account=account()))
    assert lane.read("small").height == 5
    assert lane.read("stg_account").height == 5


def test_a_model_that_is_gone_leaves_no_table_behind(tmp_path: Path) -> None:
    import duckdb

    lane = Lane(tmp_path)
    with duckdb.connect(str(lane.warehouse)) as connection:
        connection.execute("create table forgotten as select 1 as n; create table stg_book as select 1 as n")
    lane.build(tiny())
    with duckdb.connect(str(lane.warehouse)) as connection:
        names = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
    assert "forgotten" not in names
    assert lane.read("stg_book").columns == ["lane", "starting_cash_usd"]


def test_one_target_serves_another_warehouse_without_mixing_their_names(
    target: Path, clean: tuple[Lane, MetricsRun]
) -> None:
    other = Lane(target)
    other.warehouse = target / "desk.duckdb"
    assert other.build(tiny(), **measured_of(tiny())).failed == ()
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
        ("select no_such_column from {{ ref('stg_account') }}", "small: .*no_such_column"),
        ("select * from {{ ref('nobody') }}", "depends on a node named 'nobody'"),
        ("select session, 1 as equity_usd from {{ ref('stg_account') }}", "small breaks the promise .*equity_usd"),
        ("select session from {{ ref('stg_account') }}", "small breaks the promise .*equity_usd"),
    ],
)
def test_a_project_that_cannot_be_built_is_a_permanent_failure_in_dbts_or_duckdbs_words(
    alone: None, tmp_path: Path, sql: str, sentence: str
) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        Lane(tmp_path, project=small(tmp_path, sql)).build(tiny())
