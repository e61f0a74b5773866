"""The weekly desk as assets: screen, portfolio, results, and the report that a person reads.

A session that is no run day has no rows; the metadata says when the next run is.
"""

import base64
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import OWNERS, SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import config_folder
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.weekly.model import WEEKLY_PORTFOLIO, WEEKLY_RESULTS, WEEKLY_SCREEN

if TYPE_CHECKING:
    from trading_assets.weekly.portfolio import Plan

GROUP = "weekly"
REPORT_ASSET = "weekly_report"
_KINDS = {"python", "parquet"}
_FROM = tuple(key_of(table) for table in (DAILY_BARS, CORPORATE_ACTIONS, INDICATORS, REGIME_LABELS))


@dg.multi_asset(
    specs=[spec(WEEKLY_SCREEN, group=GROUP, kinds=_KINDS, deps=_FROM)],
    name=WEEKLY_SCREEN.name,
    backfill_policy=SINGLE_RUN,
)
def weekly_screen(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Screens the universe of the run days among the run's sessions."""
    from trading_assets.watchlist.facts import read_facts
    from trading_assets.weekly.runs import runs_in
    from trading_assets.weekly.screen import past_of
    from trading_assets.weekly.screen import weekly_screen as screen_of

    span, lake, plan = span_of(context.partition_keys), desk.lake(), plan_of(desk)
    facts = read_facts(lake, plan.rules, span, as_of=XNYS.session(span.last).close)
    days = runs_in(plan.outline, span)
    rows = screen_of(facts, past_of(facts, last=span.last), plan.rules, days=days)
    extra = {**_when(plan, span), "passed": int(rows["passed"].sum()), "refused": int((~rows["passed"]).sum())}
    return stored(WEEKLY_SCREEN, lake.write(WEEKLY_SCREEN, rows, span), extra=extra)


@dg.multi_asset(
    specs=[spec(WEEKLY_PORTFOLIO, group=GROUP, kinds=_KINDS, deps=[*_FROM[:2], key_of(WEEKLY_SCREEN)])],
    name=WEEKLY_PORTFOLIO.name,
    backfill_policy=SINGLE_RUN,
)
def weekly_portfolio(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Filters by simulated paths and weighs what is left, run day after run day."""
    from trading_assets.watchlist.facts import read_facts
    from trading_assets.weekly.facts import portfolio_before
    from trading_assets.weekly.portfolio import weekly_portfolios
    from trading_assets.weekly.runs import runs_in
    from trading_assets.weekly.screen import past_of

    span, lake, plan = span_of(context.partition_keys), desk.lake(), plan_of(desk)
    as_of = XNYS.session(span.last).close
    facts, days = read_facts(lake, plan.rules, span, as_of=as_of), runs_in(plan.outline, span)
    screen = lake.read(WEEKLY_SCREEN, as_of=as_of, first=span.first, last=span.last)
    before = portfolio_before(lake, span.first, as_of=as_of)
    rows = weekly_portfolios(screen, past_of(facts, last=span.last), plan, days=days, before=before)
    at_last_session(context, key_of(WEEKLY_PORTFOLIO), {"newest": _shown(rows)})
    extra = {
        **_when(plan, span),
        "capital_fraction": plan.weekly.capital_fraction,
        "portfolios": rows["session"].n_unique(),
    }
    return stored(WEEKLY_PORTFOLIO, lake.write(WEEKLY_PORTFOLIO, rows, span), extra=extra)


@dg.multi_asset(
    specs=[
        spec(
            WEEKLY_RESULTS,
            group=GROUP,
            kinds=_KINDS,
            deps=[*_FROM[:2], key_of(WEEKLY_SCREEN), key_of(WEEKLY_PORTFOLIO)],
        )
    ],
    name=WEEKLY_RESULTS.name,
    backfill_policy=SINGLE_RUN,
)
def weekly_results(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Judges every portfolio whose horizon has ended since the run before."""
    from trading_assets.weekly.facts import read_judgeable
    from trading_assets.weekly.results import weekly_results as results_of
    from trading_assets.weekly.runs import runs_in

    span, lake, plan = span_of(context.partition_keys), desk.lake(), plan_of(desk)
    known = read_judgeable(lake, span, as_of=XNYS.session(span.last).close)
    days = runs_in(plan.outline, span)
    rows = results_of(known.portfolios, known.screens, known.bars, known.actions, plan.outline, days=days)
    extra = {**_when(plan, span), "judged": rows["made"].n_unique()}
    return stored(WEEKLY_RESULTS, lake.write(WEEKLY_RESULTS, rows, span), extra=extra)


@dg.asset(
    key=[REPORT_ASSET],
    group_name=GROUP,
    kinds={"python", "markdown"},
    owners=OWNERS,
    deps=[key_of(WEEKLY_PORTFOLIO), key_of(WEEKLY_RESULTS)],
    partitions_def=SESSIONS,
    backfill_policy=SINGLE_RUN,
    description="What the weekly desk wants, what changes and why, and what came of earlier portfolios beside what was expected.",
)
def weekly_report(context: dg.AssetExecutionContext, desk: DeskResource) -> None:
    """Writes the report of the run's last run day; there is one on the day on which no portfolio could be made, too."""
    from trading_assets.weekly.reporting import report_of, write_report
    from trading_assets.weekly.runs import runs_in

    span, plan = span_of(context.partition_keys), plan_of(desk)
    days = runs_in(plan.outline, span)
    if not days:
        context.add_asset_metadata(_when(plan, span), partition_key=max(context.partition_keys))
        return
    told = report_of(desk.lake(), days[-1], as_of=XNYS.session(days[-1]).close)
    folder = write_report(told, desk.home().reports / GROUP / days[-1].isoformat())
    plots = {name.removesuffix(".png"): _picture(content) for name, content in told.plots.items()}
    shown = {"report": dg.MetadataValue.md(told.markdown), "folder": dg.MetadataValue.path(str(folder)), **plots}
    context.add_asset_metadata({**_when(plan, span), **shown}, partition_key=max(context.partition_keys))


def plan_of(desk: DeskResource) -> "Plan":
    """What portfolios are made by, as it is configured now."""
    from trading_assets.watchlist.rules import load_rules
    from trading_assets.weekly.portfolio import Plan
    from trading_assets.weekly.runs import outline_of

    folder, operations = config_folder(), desk.operations()
    preferences, _ = load_preferences(folder / "preferences.yaml")
    outline = outline_of(operations, desk.settings().decisions)
    return Plan(operations.weekly, load_rules(folder), preferences, outline)


def _when(plan: "Plan", span: Span) -> Mapping[str, Any]:
    """How many run days the run had, and when the next one is."""
    from trading_assets.weekly.runs import next_run, runs_in

    enabled, days = plan.weekly.enabled, runs_in(plan.outline, span)
    following: date | str = next_run(plan.outline, span.last) if enabled else "never: weekly.enabled is false"
    return {"run_days": len(days), "next_run": str(following)}


def _shown(rows: Any) -> dg.MetadataValue:
    """The newest portfolio as a table."""
    names = ("symbol", "action", "weight", "weight_before", "p_loss", "expected_return", "low_90", "high_90", "reason")
    newest = (
        [] if rows.is_empty() else rows.filter(rows["session"] == rows["session"].max()).select(names).rows(named=True)
    )
    records = [dg.TableRecord({name: _word(value) for name, value in row.items()}) for row in newest]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]))


def _word(value: Any) -> Any:
    return "" if value is None else round(value, 4) if isinstance(value, float) else value


def _picture(content: bytes) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(content).decode()})")
