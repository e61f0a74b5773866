"""Evaluation as assets, one set for each lane: buy-and-hold, measures, dbt models with their tests as checks, the report.

What is measured (evidence, attribution, slippage, intervals) and the models that rest on it are one step: a run that selects the
models alone still measures first, so that no model is ever built on yesterday's shares.

The report depends on the metrics for lineage only: its job selects nothing else, so that no gate can keep it from appearing.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from resources.desk import DESK, DeskResource
from resources.metrics_specs import CheckSpec, ModelSpec, model_specs
from trading_assets.catalog import OWNERS, SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.core.tables import Table
from trading_assets.evaluation.model import (
    ATTRIBUTION,
    BENCHMARK,
    DECISION_EVIDENCE,
    EVALUATED,
    MEASURED,
    METRIC_INTERVALS,
    SLIPPAGE,
)
from trading_assets.evaluation.reporting.assets import report_assets
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS, POSITIONS, TRADES
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.theses.model import OPINIONS, SILENCES, THESES

if TYPE_CHECKING:
    import polars as pl

    from resources.metrics import CheckRun, MetricsRun
    from trading_assets.core.ports import Written

_Check = TypeVar("_Check", "CheckSpec", "CheckRun")
DBT_PROJECT = PROJECT / "dbt_metrics"
_RAW = {table.name: table for table in (ACCOUNT, TRADES, POSITIONS, FILLS, *EVALUATED)}
_ALL_MODELS = model_specs(DBT_PROJECT)
MODELS: tuple[ModelSpec, ...] = tuple(model for model in _ALL_MODELS if model.layer == "marts")
COLUMNS_HOLD = "columns_hold"
_OF_COLUMNS = "All {} data tests of the model's columns; docs/metrics.md."
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
    "win_rate_fraction",
    "trades_to_date",
    "slippage_bp_to_date",
    "cost_usd_to_date",
    "model_cost_usd_per_decision",
    "benchmark_equity_usd",
)
# Shown whole as small tables on their assets, the rows that matter most first.
_SHOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "attribution": ("abs(pnl_usd)", ("dimension", "name", "trades", "pnl_usd", "win_rate_fraction", "expectancy_usd")),
    "execution_quality": (
        "decided_value_usd",
        ("strategy", "time_of_day", "role", "fills", "slippage_bp", "slippage_usd", "unfilled_usd", "fees_usd"),
    ),
    "evidence_metrics": ("decisions", ("evidence", "decisions", "sessions", "trades", "pnl_usd", "model_cost_usd")),
    "strategy_metrics": ("trades", ("strategy", "trades", "pnl_usd", "win_rate_fraction", "profit_factor")),
    "regime_metrics": ("trades", ("regime", "trades", "pnl_usd", "win_rate_fraction", "profit_factor")),
}
_ROWS_SHOWN = 25


def evaluation_assets(lane: str) -> Sequence[Any]:
    """All evaluation assets of a lane."""
    return [_benchmark(lane), _metrics(lane), *report_assets(lane, [model.name for model in MODELS])]


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
        _forget_other_lives(desk, lane, life, [BENCHMARK])
        return stored(BENCHMARK, lake.write(BENCHMARK, frame, life, lane=lane), lane=lane)

    return benchmark


def _metrics(lane: str) -> Any:
    @dg.multi_asset(
        specs=[*_measured_specs(lane), *(_model_spec(model, lane) for model in MODELS)],
        check_specs=_check_specs(lane),
        name=f"{lane}_metrics",
        backfill_policy=SINGLE_RUN,
        pool="warehouse",
        can_subset=True,
    )
    def metrics(
        context: dg.AssetExecutionContext, desk: DeskResource
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
        """Measures the run's sessions, then builds the models over the lane's whole record; their data tests are its checks."""
        span, wanted = span_of(context.partition_keys), context.selected_asset_keys
        written = _measure(desk, lane, span)
        run = _build_metrics(desk, lane, span)
        _show_sessions(context, desk, lane)
        for table in MEASURED:
            if key_of(table, lane) in wanted:
                yield stored(table, written[table.name], lane=lane)
        for model in run.models:
            if dg.AssetKey([lane, model.name]) in wanted:
                yield dg.MaterializeResult(asset_key=dg.AssetKey([lane, model.name]), metadata={"rows": model.rows})
        for (model_name, name), runs in _grouped(run.checks).items():
            if dg.AssetCheckKey(_home_of(model_name, lane), name) in context.selected_asset_check_keys:
                yield _check_result(model_name, name, runs, lane)

    return metrics


def _life(desk: DeskResource, lane: str, span: Span) -> Span:
    """From the book's first settled session to the run's last."""
    as_of = XNYS.session(span.last).close
    sessions = desk.lake().read(ACCOUNT, as_of=as_of, lane=lane, last=span.last)["session"]
    return Span(sessions[0], span.last) if sessions.len() else span


def _forget_other_lives(desk: DeskResource, lane: str, life: Span, tables: Sequence[Table]) -> None:
    """Hides rows of a book that is no more: before this one began, and after its last session on record."""
    lake, before, after = desk.lake(), life.first - timedelta(days=1), life.last + timedelta(days=1)
    ended = not lake.versions(ACCOUNT, Span(after, XNYS.last), lane=lane)
    for table in tables:
        lake.forget(table, Span(date.min, before), lane=lane)
        if ended:
            lake.forget(table, Span(after, date.max), lane=lane)


def _measure(desk: DeskResource, lane: str, span: Span) -> "Mapping[str, Written]":
    from resources.metrics_costs import paid_by_decision
    from trading_assets.evaluation.measuring import measure

    _forget_other_lives(desk, lane, _life(desk, lane, span), MEASURED)
    paid, cash = paid_by_decision(desk.engine(DESK), lane), desk.rules(lane).first_book.cash
    lake = desk.lake()
    frames = measure(lake, desk.ledger(lane), span, paid, lane=lane, starting_cash=cash)
    return {table.name: lake.write(table, frames[table.name], span, lane=lane) for table in MEASURED}


def _build_metrics(desk: DeskResource, lane: str, span: Span) -> "MetricsRun":
    from resources.metrics import RawTables, run_metrics

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    frames = {name: lake.read(table, as_of=as_of, lane=lane, last=span.last) for name, table in _RAW.items()}
    raw = RawTables(lane, Decimal(desk.rules(lane).first_book.cash), frames)
    return run_metrics(
        project=DBT_PROJECT,
        warehouse=Path(desk.warehouse(lane).database),
        target=desk.home().root / "dbt" / lane,
        raw=raw,
    )


def _show_sessions(context: dg.AssetExecutionContext, desk: DeskResource, lane: str) -> None:
    """Each session's numbers on its own partition, so that the UI draws them; tables and a picture on the last one."""
    import polars as pl

    with desk.warehouse(lane).get_connection() as connection:
        daily = connection.table(_DAILY).select(*_DRAWN, "session").pl()
        shares = connection.table("raw.attribution_shares").pl()
        shown = {name: _largest(connection, name, order, columns) for name, (order, columns) in _SHOWN.items()}
    days = pl.col("session").cast(pl.String)
    for row in daily.with_columns(days).filter(days.is_in(list(context.partition_keys))).rows(named=True):
        numbers = {name: round(float(row[name]), _DECIMALS) for name in _DRAWN if row[name] is not None}
        _add(context, [lane, _DAILY], numbers, row["session"])
    last = max(context.partition_keys)
    for name, records in shown.items():
        _add(context, [lane, name], {"record": dg.MetadataValue.table(records)} if records else {}, last)
    if shares.height:
        _add(context, [lane, "attribution"], {"picture": _picture(shares)}, last)


def _add(context: dg.AssetExecutionContext, key: Sequence[str], shown: Mapping[str, Any], partition: str) -> None:
    """Metadata on one partition of an asset of the run; an asset that the run leaves out keeps what it shows."""
    if shown and dg.AssetKey(key) in context.selected_asset_keys:
        context.add_asset_metadata(dict(shown), asset_key=dg.AssetKey(key), partition_key=partition)


def _largest(connection: Any, model: str, order: str, columns: Sequence[str]) -> list[dg.TableRecord]:
    frame: pl.DataFrame = (
        connection.table(model)
        .order(f"{order} desc, {columns[0]}, {columns[1]}")
        .limit(_ROWS_SHOWN)
        .select(*columns)
        .pl()
    )
    return [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in frame.rows(named=True)]


def _cell(value: Any) -> str | int | float | bool | None:
    """A value as the UI can show it."""
    if isinstance(value, float | Decimal):
        return round(float(value), _DECIMALS)
    return value if isinstance(value, str | int | bool | None) else str(value)


def _picture(shares: "pl.DataFrame") -> dg.MarkdownMetadataValue:
    from trading_assets.evaluation.attribution_plot import draw_attribution

    content = base64.b64encode(draw_attribution(shares)).decode()
    return dg.MetadataValue.md(f"![attribution](data:image/png;base64,{content})")


def _measured_specs(lane: str) -> list[dg.AssetSpec]:
    said = [key_of(table, lane) for table in OPINIONS if table is not SILENCES]
    decided = [key_of(table, lane) for table in (VOTES, THESES)]
    trading = [key_of(table, lane) for table in (FILLS, ORDERS, TRADE_PLANS)]
    deps: Mapping[str, list[dg.AssetKey]] = {
        DECISION_EVIDENCE.name: [*said, *decided, key_of(POSITIONS, lane)],
        ATTRIBUTION.name: [key_of(table, lane) for table in (TRADES, TRADE_PLANS, DECISION_EVIDENCE)] + decided,
        SLIPPAGE.name: [*trading, key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS)],
        METRIC_INTERVALS.name: [
            key_of(table, lane) for table in (ACCOUNT, BENCHMARK, ATTRIBUTION, SLIPPAGE, DECISION_EVIDENCE)
        ],
    }
    return [spec(t, lane=lane, group=lane, kinds={"python", "parquet"}, deps=deps[t.name]) for t in MEASURED]


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


def _check_specs(lane: str) -> list[dg.AssetCheckSpec]:
    grouped = _grouped([check for model in _ALL_MODELS for check in model.checks])
    return [
        dg.AssetCheckSpec(name, asset=_home_of(model, lane), description=_in_words(name, checks))
        for (model, name), checks in grouped.items()
    ]


def _in_words(name: str, checks: Sequence[CheckSpec]) -> str:
    return _OF_COLUMNS.format(len(checks)) if name == COLUMNS_HOLD else checks[0].description


def _grouped(checks: "Sequence[_Check]") -> "Mapping[tuple[str, str], Sequence[_Check]]":
    """Data tests by model and by the name under which they are shown, sorted."""
    found: dict[tuple[str, str], list[_Check]] = {}
    for check in checks:
        found.setdefault(_group_of(check), []).append(check)
    return dict(sorted(found.items()))


def _group_of(check: "CheckSpec | CheckRun") -> tuple[str, str]:
    """Where a data test is shown: tests of whole tables by their own names, those of a model's columns together.

    Each check costs Dagster a dozen statements, most of what a run over a year takes.
    """
    return (check.model, check.name if check.column is None else COLUMNS_HOLD)


def _check_result(model: str, name: str, runs: "Sequence[CheckRun]", lane: str) -> dg.AssetCheckResult:
    """Failed with the worst severity of the data tests that failed, each named with what it found."""
    failed = [run for run in runs if not run.passed]
    severe = not failed or any(run.severity == "error" for run in failed)
    return dg.AssetCheckResult(
        asset_key=_home_of(model, lane),
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{run.name}: {run.message}" for run in failed) or None,
        metadata={"tests": len(runs), "rows_that_break_it": sum(run.failures for run in failed)},
    )


def _home_of(model: str, lane: str) -> dg.AssetKey:
    """A mart carries its own tests; tests of staging views stand with the daily metrics."""
    return dg.AssetKey([lane, model if model in _MARTS else _DAILY])
