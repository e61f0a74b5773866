"""Evaluation as assets, one set for each lane: buy-and-hold, the dbt models with their tests as checks, the report.

The report depends on the metrics for lineage only: its job selects nothing else, so that no gate can keep it from appearing.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DeskResource
from resources.metrics import CheckSpec, ModelSpec, model_specs
from trading_assets.catalog import OWNERS, SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of

if TYPE_CHECKING:
    from resources.metrics import CheckRun, MetricsRun

DBT_PROJECT = PROJECT / "dbt_metrics"
REPORT = "improvement_report"
_RAW = {table.name: table for table in (ACCOUNT, TRADES, POSITIONS, FILLS, BENCHMARK)}
MODELS: tuple[ModelSpec, ...] = tuple(model for model in model_specs(DBT_PROJECT) if model.layer == "marts")
_STAGING_CHECKS: tuple[CheckSpec, ...] = tuple(
    check for model in model_specs(DBT_PROJECT) if model.layer != "marts" for check in model.checks
)
_MARTS = frozenset(model.name for model in MODELS)
_DAILY = "daily_metrics"
_DECIMALS = 6  # of the numbers shown in the UI; files and tables keep all
_DRAWN = (
    "equity_usd",
    "pnl_usd",
    "return_fraction_to_date",
    "drawdown_fraction",
    "exposure_fraction",
    "sharpe_ratio",
    "trades_to_date",
    "benchmark_equity_usd",
)


def evaluation_assets(lane: str) -> Sequence[Any]:
    """All evaluation assets of a lane."""
    return [_benchmark(lane), _metrics(lane), _report(lane)]


def _benchmark(lane: str) -> Any:
    deps = [key_of(ACCOUNT, lane), key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS)]

    @dg.multi_asset(
        specs=[spec(BENCHMARK, lane=lane, group=lane, kinds={"python", "parquet"}, deps=deps)],
        name=f"{lane}_benchmark",
        backfill_policy=SINGLE_RUN,
    )
    def benchmark(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Buy-and-hold over the book's whole life."""
        from trading_assets.evaluation.benchmark import buy_and_hold

        lake, life = desk.lake(), _life(desk, lane, span_of(context.partition_keys))
        as_of, rules = XNYS.session(life.last).close, desk.rules(lane)
        symbols = list(rules.settings.market.symbols)
        frame = buy_and_hold(
            lake.read(DAILY_BARS, as_of=as_of, first=life.first, last=life.last, symbols=symbols),
            lake.read(CORPORATE_ACTIONS, as_of=as_of, first=life.first, last=life.last, symbols=symbols),
            span=life,
            starting_cash=rules.first_book.cash,
            costs=rules.costs,
            symbols=symbols,
        )
        _forget_other_lives(desk, lane, life)
        return stored(BENCHMARK, lake.write(BENCHMARK, frame, life, lane=lane), lane=lane)

    return benchmark


def _metrics(lane: str) -> Any:
    @dg.multi_asset(
        specs=[_model_spec(model, lane) for model in MODELS],
        check_specs=[_check_spec(check, lane) for model in MODELS for check in model.checks]
        + [_check_spec(check, lane) for check in _STAGING_CHECKS],
        name=f"{lane}_metrics",
        backfill_policy=SINGLE_RUN,
        pool="warehouse",
    )
    def metrics(
        context: dg.AssetExecutionContext, desk: DeskResource
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
        """One dbt build over the lane's whole record; each data test is an asset check."""
        run = _build_metrics(desk, lane, span_of(context.partition_keys))
        _show_sessions(context, desk, lane)
        for model in run.models:
            if model.name in _MARTS:
                yield dg.MaterializeResult(asset_key=dg.AssetKey([lane, model.name]), metadata={"rows": model.rows})
        for check in run.checks:
            yield _check_result(check, lane)

    return metrics


def _report(lane: str) -> Any:
    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                dg.AssetKey([lane, REPORT]),
                description="What worked, what failed, what was vetoed, what to look at: markdown, JSON and plots.",
                group_name=lane,
                kinds={"python", "markdown"},
                owners=OWNERS,
                deps=[dg.AssetKey([lane, model.name]) for model in MODELS],
                partitions_def=SESSIONS,
            )
        ],
        name=f"{lane}_{REPORT}",
        backfill_policy=SINGLE_RUN,
    )
    def improvement_report(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The report of the run's last session, over the lane's record so far."""
        from trading_assets.evaluation.making import make_report

        span = span_of(context.partition_keys)
        made = make_report(desk.lake(), desk.gates(), desk.ledger(lane), desk.rules(lane), span, desk.home().reports)
        desk.note_evaluation(lane, span.last, made.headline)
        paths = {"markdown": str(made.paths.markdown), "json": str(made.paths.json)}
        numbers = {name: round(value, _DECIMALS) for name, value in made.headline.items()}
        shown = {"report": dg.MetadataValue.md(made.markdown_with_pictures), **numbers}
        at_last_session(context, dg.AssetKey([lane, REPORT]), shown)
        return dg.MaterializeResult(metadata={name: dg.MetadataValue.path(path) for name, path in paths.items()})

    return improvement_report


def _life(desk: DeskResource, lane: str, span: Span) -> Span:
    """From the book's first settled session to the run's last."""
    as_of = XNYS.session(span.last).close
    sessions = desk.lake().read(ACCOUNT, as_of=as_of, lane=lane, last=span.last)["session"]
    return Span(sessions[0], span.last) if sessions.len() else span


def _forget_other_lives(desk: DeskResource, lane: str, life: Span) -> None:
    """Hides buy-and-hold of a book that is no more: before this one began, and after its last session on record."""
    lake, before, after = desk.lake(), life.first - timedelta(days=1), life.last + timedelta(days=1)
    lake.forget(BENCHMARK, Span(date.min, before), lane=lane)
    if not lake.versions(ACCOUNT, Span(after, XNYS.last), lane=lane):
        lake.forget(BENCHMARK, Span(after, date.max), lane=lane)


def _build_metrics(desk: DeskResource, lane: str, span: Span) -> "MetricsRun":
    from resources.metrics import RawTables, run_metrics

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    frames = {name: lake.read(table, as_of=as_of, lane=lane, last=span.last) for name, table in _RAW.items()}
    raw = RawTables(lane, Decimal(desk.rules(lane).first_book.cash), **frames)
    return run_metrics(
        project=DBT_PROJECT,
        warehouse=Path(desk.warehouse(lane).database),
        target=desk.home().root / "dbt" / lane,
        raw=raw,
    )


def _show_sessions(context: dg.AssetExecutionContext, desk: DeskResource, lane: str) -> None:
    """Each session's own numbers on its own partition, so that the UI draws them over sessions."""
    import polars as pl

    with desk.warehouse(lane).get_connection() as connection:
        frame = connection.table(_DAILY).select(*_DRAWN, "session").pl()
    days = pl.col("session").cast(pl.String)
    for row in frame.with_columns(days).filter(days.is_in(list(context.partition_keys))).rows(named=True):
        numbers = {name: round(float(row[name]), _DECIMALS) for name in _DRAWN if row[name] is not None}
        context.add_asset_metadata(numbers, asset_key=dg.AssetKey([lane, _DAILY]), partition_key=row["session"])


def _model_spec(model: ModelSpec, lane: str) -> dg.AssetSpec:
    columns = [dg.TableColumn(c.name, c.type or "double", description=c.description) for c in model.columns]
    raw = [key_of(_RAW[name], lane) for name in model.sources if name in _RAW]
    return dg.AssetSpec(
        dg.AssetKey([lane, model.name]),
        description=model.description,
        group_name=lane,
        kinds={"dbt", "duckdb"},
        owners=OWNERS,
        deps=[*raw, *(dg.AssetKey([lane, name]) for name in model.refs if name in _MARTS)],
        partitions_def=SESSIONS,
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
    )


def _check_spec(check: CheckSpec, lane: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.name, asset=_home_of(check.model, lane), description=check.description)


def _check_result(check: "CheckRun", lane: str) -> dg.AssetCheckResult:
    severe = check.severity == "error"
    return dg.AssetCheckResult(
        asset_key=_home_of(check.model, lane),
        check_name=check.name,
        passed=check.passed,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=check.message or None,
        metadata={"rows_that_break_it": check.failures},
    )


def _home_of(model: str, lane: str) -> dg.AssetKey:
    """A mart carries its own tests; tests of staging views stand with the daily metrics."""
    return dg.AssetKey([lane, model if model in _MARTS else _DAILY])
