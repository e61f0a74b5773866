"""The checks on the weekly desk: complete, in bounds, and what the same facts and seed give again."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.weekly.model import WEEKLY_PORTFOLIO, WEEKLY_SCREEN


@dg.asset_check(
    asset=key_of(WEEKLY_SCREEN),
    name="screen_holds",
    description="A row for each symbol with indicators on each run day and no other; sampled run days are made again to the bit.",
    blocking=True,
    partitions_def=SESSIONS,
)
def weekly_screen_holds(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Compares the run's stored rows with the facts that they were made from."""
    from trading_assets.watchlist.facts import read_facts
    from trading_assets.weekly.assets import plan_of
    from trading_assets.weekly.audit import screen_problems
    from trading_assets.weekly.runs import runs_in

    span, lake, plan = span_of(list(context.partition_keys)), desk.lake(), plan_of(desk)
    as_of = XNYS.session(span.last).close
    stored = lake.read(WEEKLY_SCREEN, as_of=as_of, first=span.first, last=span.last)
    days, sessions = runs_in(plan.outline, span), [s.day for s in XNYS.sessions(span.first, span.last)]
    facts = read_facts(lake, plan.rules, span, as_of=as_of)
    found = screen_problems(stored, facts, plan, days=days, gathered=sessions)
    return check_result(found, otherwise=f"{stored.height} rows hold", rows=stored.height, problems=bullets(found))


@dg.asset_check(
    asset=key_of(WEEKLY_PORTFOLIO),
    name="portfolio_holds",
    description="Weights within the cap and together at most 1; all run days are made again to the last bit, and the paths of one "
    "agree with the watch-list's kernel and with plain numpy within five standard errors.",
    blocking=True,
    partitions_def=SESSIONS,
)
def weekly_portfolio_holds(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Compares the run's stored rows with the screen and the facts that they were made from."""
    from trading_assets.watchlist.facts import read_facts
    from trading_assets.weekly.assets import plan_of
    from trading_assets.weekly.audit import portfolio_problems
    from trading_assets.weekly.facts import portfolio_before
    from trading_assets.weekly.runs import runs_in
    from trading_assets.weekly.screen import past_of

    span, lake, plan = span_of(list(context.partition_keys)), desk.lake(), plan_of(desk)
    as_of = XNYS.session(span.last).close
    stored, screen = (
        lake.read(t, as_of=as_of, first=span.first, last=span.last) for t in (WEEKLY_PORTFOLIO, WEEKLY_SCREEN)
    )
    past = past_of(read_facts(lake, plan.rules, span, as_of=as_of), last=span.last)
    before = portfolio_before(lake, span.first, as_of=as_of)
    found = portfolio_problems(stored, screen, past, plan, days=runs_in(plan.outline, span), before=before)
    return check_result(found, otherwise=f"{stored.height} rows hold", rows=stored.height, problems=bullets(found))


@dg.asset_check(
    asset=key_of(WEEKLY_PORTFOLIO),
    name="run_days_have_portfolios",
    description="Each run day has a portfolio. Without one the one before grows stale: it opens nothing and sells nothing more.",
    partitions_def=SESSIONS,
)
def weekly_run_days_have_portfolios(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Stops nothing, so that the report appears."""
    from trading_assets.weekly.assets import plan_of
    from trading_assets.weekly.audit import missing
    from trading_assets.weekly.runs import runs_in

    span, plan = span_of(list(context.partition_keys)), plan_of(desk)
    days = runs_in(plan.outline, span)
    stored = desk.lake().read(WEEKLY_PORTFOLIO, as_of=XNYS.session(span.last).close, first=span.first, last=span.last)
    found = missing(stored, days)
    return check_result(found, otherwise=f"{len(days)} run days", run_days=len(days), problems=bullets(found))
