"""dbt really runs here: on a book worked out by hand, on a broken one, on an empty one and on a longer one."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.metrics import (
    RAW_TABLES,
    CheckRun,
    MetricsRun,
    RawTables,
    load_raw,
    model_specs,
    read_model,
    run_metrics,
)
from tests.evaluation.books import (
    CASH,
    Book,
    account,
    account_row,
    day,
    fill_row,
    fills,
    positions,
    tiny,
    trade_row,
    trades,
    walk,
)
from trading_assets.core.errors import PermanentFailure, TableMismatch, TransientFailure
from trading_assets.evaluation.summary import SESSIONS_PER_YEAR, Summary, records_by, summarise, summarise_equity

PROJECT = Path(__file__).parents[2] / "dbt_metrics"
METRICS_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def raw_of(book: Book, lane: str = "backtest") -> RawTables:
    return RawTables(
        lane=lane,
        starting_cash=CASH,
        account=book.account,
        trades=book.trades,
        positions=book.positions,
        fills=book.fills,
        benchmark=book.benchmark,
    )


class Lane:
    """A warehouse with its target folder, as one lane has them."""

    def __init__(self, root: Path, project: Path = PROJECT) -> None:
        self.project = project
        self.warehouse = root / "backtest.duckdb"
        self.target = root / "dbt"

    def build(self, book: Book) -> MetricsRun:
        return run_metrics(project=self.project, warehouse=self.warehouse, target=self.target, raw=raw_of(book))

    def read(self, model: str) -> pl.DataFrame:
        return read_model(self.warehouse, model)

    def last(self) -> dict[str, Any]:
        return self.read("daily_metrics").row(-1, named=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all lanes of this module, so that dbt parses the project once."""
    return tmp_path_factory.mktemp("lanes")


def built(root: Path, name: str, book: Book) -> tuple[Lane, MetricsRun]:
    """A built warehouse of its own; building always at one path spares dbt a new parse."""
    lane = Lane(root)
    run = lane.build(book)
    lane.warehouse = lane.warehouse.rename(root / f"{name}.duckdb")
    return lane, run


@pytest.fixture(scope="module")
def clean(target: Path) -> tuple[Lane, MetricsRun]:
    return built(target, "clean", tiny())


@pytest.fixture(scope="module")
def broken(target: Path) -> Mapping[str, CheckRun]:
    _, run = built(target, "broken", broken_book())
    return {check.name: check for check in run.failed}


def broken_book() -> Book:
    """The tiny book with one defect for each of the tests below."""
    book = tiny()
    nameless = account_row(7, 0)
    return book.with_(
        account=pl.concat(
            [
                book.account.head(1),
                account(
                    account_row(2, 100100, equity=-123),
                    account_row(3, -100, 200_000, fees=-1, vetoes=-2),
                    account_row(4, 99100, 800),
                    account_row(4, 99100, 800),
                    {**nameless, "equity": None},
                ),
            ]
        ),
        trades=trades(
            trade_row(1, 200, return_fraction=float("nan"), exit_reason="whim", sessions_held=0),
            trade_row(1, 200),
            trade_row(2, -100, opened=day(3), fees=Decimal(-1)),
            trade_row(9, -100, strategy=None),
        ),
        positions=positions((1, 5, 100)),
        fills=fills(fill_row(1, 7, "buy", 100)),
        benchmark=book.benchmark.head(2),
    )


# ---- what the models say -------------------------------------------------------------------------------------------------------


def test_a_sound_book_passes_every_test_and_builds_every_model(clean: tuple[Lane, MetricsRun]) -> None:
    _, run = clean
    assert run.failed == ()
    assert {model.status for model in run.models} == {"success"}
    assert {model.name: model.rows for model in run.models} == {
        "daily_metrics": 5,
        "trade_metrics": 3,
        "strategy_metrics": 2,
        "regime_metrics": 2,
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
    empty = Book(*(table.empty() for table in RAW_TABLES))
    lane, run = built(target, "empty", empty)
    assert run.failed == ()
    assert lane.read("daily_metrics").height == 0


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


# ---- specifications ------------------------------------------------------------------------------------------------------------


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
