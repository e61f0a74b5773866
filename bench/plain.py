"""The backtest job's work as plain function calls, without Dagster: the yardstick of `bench.backtest`."""

import time
from decimal import Decimal
from pathlib import Path

from resources.desk import BACKTEST, DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import PROJECT
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS


def run(span: Span) -> dict[str, float]:
    """Everything from bars to the report over the span, on DESK_HOME; seconds by stage."""
    desk, seconds = DeskResource(), {}
    for stage in (_market, _features, _briefs, _walk, _evaluate, _report):
        begun = time.perf_counter()
        stage(desk, span)
        seconds[f"plain{stage.__name__}_s"] = round(time.perf_counter() - begun, 2)
    return seconds


def _market(desk: DeskResource, span: Span) -> None:
    from trading_assets.market.ingest import collect_actions, collect_bars
    from trading_assets.market.quality import judge_daily

    provider, lake, symbols = desk.market_data("embedded"), desk.lake(), list(desk.settings().market.symbols)
    bars = collect_bars(provider, symbols, "1d", span).frame
    actions = collect_actions(provider, symbols, span).frame
    lake.merge(DAILY_BARS, bars, span, replacing={"symbol": symbols})
    lake.merge(CORPORATE_ACTIONS, actions, span, replacing={"symbol": symbols})
    verdicts = judge_daily(bars, actions, span=span, calendar=XNYS)
    versions = lake.versions(DAILY_BARS, span)
    records = [GateRecord(DAILY_BARS.name, v.session, versions[v.session], v.passed, v.failures) for v in verdicts]
    desk.gates().record_gates(records, as_of=desk.clock().now())


def _features(desk: DeskResource, span: Span) -> None:
    from trading_assets.features.breadth import breadth
    from trading_assets.features.indicators import indicator_panel
    from trading_assets.features.model import BREADTH, INDICATORS
    from trading_assets.regimes.model import REGIME_LABELS
    from trading_assets.regimes.rules import regime_labels

    lake, as_of = desk.lake(), XNYS.session(span.last).close
    reach = Span(XNYS.previous(span.first).day, span.last)
    bars, actions = lake.read(DAILY_BARS, as_of=as_of), lake.read(CORPORATE_ACTIONS, as_of=as_of)
    panel = indicator_panel(bars, actions, span=reach)
    lake.write(INDICATORS, panel, reach)
    lake.write(BREADTH, breadth(bars, actions, panel, span=reach), reach)
    lake.write(REGIME_LABELS, regime_labels(bars, actions, span=reach), reach)


def _briefs(desk: DeskResource, span: Span) -> None:
    from trading_assets.briefs.assets import BEFORE_OPEN
    from trading_assets.briefs.facts import FactBook
    from trading_assets.briefs.model import ANALYST_BRIEFS
    from trading_assets.briefs.rules import brief_rows, briefs_at

    sessions = XNYS.sessions(span.first, span.last)
    book = FactBook.load(desk.lake(), span, as_of=sessions[-1].open - BEFORE_OPEN)
    rows = [row for s in sessions for row in brief_rows(briefs_at(book.at(s.open - BEFORE_OPEN)), s.day)]
    desk.lake().write(ANALYST_BRIEFS, ANALYST_BRIEFS.frame(rows), span, lane=BACKTEST)


def _walk(desk: DeskResource, span: Span) -> None:
    from trading_assets.execution.lanes import BacktestWalk, Lane, store_booked

    lane = Lane(desk.lake(), desk.gates(), desk.ledger(BACKTEST), desk.rules(BACKTEST))
    walk = BacktestWalk.begin(lane, span, fresh=True)
    walk.walk()
    walk.store()
    store_booked(lane, span)


def _evaluate(desk: DeskResource, span: Span) -> None:
    from resources.metrics import RAW_TABLES, RawTables, run_metrics
    from trading_assets.evaluation.benchmark import buy_and_hold
    from trading_assets.evaluation.model import BENCHMARK

    lake, rules, as_of = desk.lake(), desk.rules(BACKTEST), XNYS.session(span.last).close
    held = buy_and_hold(
        lake.read(DAILY_BARS, as_of=as_of),
        lake.read(CORPORATE_ACTIONS, as_of=as_of),
        span=span,
        starting_cash=rules.first_book.cash,
        costs=rules.costs,
        symbols=list(rules.settings.market.symbols),
    )
    lake.write(BENCHMARK, held, span, lane=BACKTEST)
    frames = {table.name: lake.read(table, as_of=as_of, lane=BACKTEST) for table in RAW_TABLES}
    run_metrics(
        project=PROJECT / "dbt_metrics",
        warehouse=Path(desk.warehouse(BACKTEST).database),
        target=desk.home().root / "dbt" / BACKTEST,
        raw=RawTables(BACKTEST, Decimal(rules.first_book.cash), **frames),
    )


def _report(desk: DeskResource, span: Span) -> None:
    from trading_assets.evaluation.making import make_report

    make_report(desk.lake(), desk.gates(), desk.rules(BACKTEST), span, desk.home().reports)
