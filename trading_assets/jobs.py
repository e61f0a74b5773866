"""The jobs: which assets are made together. Every job runs its steps in one process."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from resources.clock import RealClock
from resources.desk import BACKTEST, DESK, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.asking import Claim
from trading_assets.core.day import Part, PartName
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.assets import MODELS
from trading_assets.evaluation.benchmark_model import BENCHMARK_TABLES
from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS
from trading_assets.evaluation.learning.model import PARAMETER_PROPOSALS, PARAMETER_STUDY, STRATEGY_STANDINGS
from trading_assets.evaluation.model import EVALUATED
from trading_assets.evaluation.reporting.assets import REPORT as REPORT_ASSET
from trading_assets.evaluation.reporting.assets import WEEK
from trading_assets.execution.adaptor.model import REVIEWS
from trading_assets.execution.flatness import FLATNESS
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES, LIQUIDITY
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS
from trading_assets.market.model import CORPORATE_ACTIONS, CROSS_CHECK_BARS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS, REGIME_OPINIONS
from trading_assets.theses.model import OPINIONS
from trading_assets.watchlist.model import WATCHLIST
from trading_assets.weekly.model import WEEKLY_TABLES

INGEST = "ingest"
INGEST_INTRADAY = "ingest_intraday"
INGEST_DOCUMENTS = "ingest_documents"
PREMARKET = "premarket"
DECIDE = "decide"
POSTCLOSE = "postclose"
REPORT = "report"
ADAPT = "adapt"
FLAT = "flatness"
EVOLVE = "evolve"
WEEKLY = "weekly"
HOUSEKEEP = "housekeep"
BACKTEST_RANGE = "backtest"

BAR_TABLES = (DAILY_BARS, CORPORATE_ACTIONS, CROSS_CHECK_BARS)
DOCUMENT_TABLES = (NEWS, FILINGS, MACRO_SERIES)
INTRADAY_TABLES = (INTRADAY_BARS, QUOTE_BARS, INTRADAY_FEATURES)
FACT_TABLES = (
    *BAR_TABLES,
    *DOCUMENT_TABLES,
    *(INDICATORS, BREADTH, LIQUIDITY, CORRELATIONS),
    *(REGIME_LABELS, REGIME_OPINIONS, LIQUIDITY_REGIMES),
    *(UNIVERSE, UNIVERSE_PAIRS, WATCHLIST),
)


def _keys(tables: Sequence[Table]) -> tuple[dg.AssetKey, ...]:
    return tuple(key_of(table) for table in tables)


BARS, DOCUMENTS, INTRADAY, FACTS = map(_keys, (BAR_TABLES, DOCUMENT_TABLES, INTRADAY_TABLES, FACT_TABLES))


def _job(name: str, keys: Sequence[dg.AssetKey], description: str) -> Any:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        executor_def=dg.in_process_executor,
        description=description,
        tags={"desk/job": name},
    )


def _evaluated(lane: str) -> list[dg.AssetKey]:
    booked = [key_of(table, lane) for table in (*BOOKED, FLATNESS, *EVALUATED, *BENCHMARK_TABLES)]
    return [*booked, *(dg.AssetKey([lane, model.name]) for model in MODELS)]


def _walked() -> list[dg.AssetKey]:
    decided = [key_of(table, BACKTEST) for table in (*OPINIONS, *DECIDED)]
    return [*decided, *_evaluated(BACKTEST), *(dg.AssetKey([BACKTEST, name]) for name in (REPORT_ASSET, WEEK))]


ingest = _job(
    INGEST, BARS, "By hand: daily bars and corporate actions, with the second opinion where one is configured, gated."
)
ingest_intraday = _job(INGEST_INTRADAY, INTRADAY, "By hand: intraday bars and quotes, gated, and their features.")
ingest_documents = _job(INGEST_DOCUMENTS, DOCUMENTS, "By hand: news, filings and macro series, gated.")
premarket = _job(
    PREMARKET,
    [*FACTS, *(key_of(table, DESK) for table in OPINIONS)],
    "From 08:30 New York until the open: facts that are missing; then documents, briefs and the debate.",
)
decide = _job(
    DECIDE,
    [key_of(table, DESK) for table in DECIDED],
    "The decision slot that is due, or a look between slots after an event: theses, plans, votes, verdicts, orders.",
)
_learned = [key_of(table, DESK) for table in (STRATEGY_STANDINGS, EXPERIMENT_RESULTS, PARAMETER_PROPOSALS)]
postclose = _job(
    POSTCLOSE,
    [*FACTS, *_evaluated(DESK), *_learned],
    "20 minutes after the close: the day's facts, fills and metrics, and what they teach.",
)
weekly = _job(
    WEEKLY,
    [*_keys(WEEKLY_TABLES), dg.AssetKey("weekly_report")],
    "Screen, portfolio, results and report of the weekly desk.",
)
evolve = _job(EVOLVE, [key_of(PARAMETER_STUDY, DESK)], "Once a month: every bounded parameter on the months before.")
report = _job(
    REPORT,
    [dg.AssetKey([DESK, name]) for name in (REPORT_ASSET, WEEK)],
    "The improvement report, whatever else went wrong.",
)
adapt = _job(ADAPT, [key_of(REVIEWS, DESK)], "The hourly review that is due; it may only advise.")
flatness = _job(
    FLAT, [key_of(FLATNESS, DESK)], "Right after the close: whether day strategies are flat, book and broker."
)
backtest = _job(
    BACKTEST_RANGE,
    [*FACTS, *_keys(WEEKLY_TABLES), *_walked()],
    "By hand: everything from bars to the report over a range of past sessions, in one run.",
)


@dg.op(
    description="Deletes runs that are older than runs.history_days, with their events; ledger and lake keep everything."
)
def prune_history(context: dg.OpExecutionContext, desk: DeskResource) -> None:
    """The shell around `resources/housekeeping.py`."""
    from resources.housekeeping import prune

    days, home = desk.operations().runs.history_days, desk.home().dagster
    pruned = prune(context.instance, older_than_days=days, machine=RealClock().now(), home=home)
    context.add_output_metadata(pruned.metadata)


@dg.job(
    name=HOUSEKEEP,
    executor_def=dg.in_process_executor,
    description="After the week: Dagster's own history is cut to what the settings keep.",
    tags={"desk/job": HOUSEKEEP},
)
def housekeep() -> None:
    """One op, no partition."""
    prune_history()


JOBS = (
    ingest,
    ingest_intraday,
    ingest_documents,
    premarket,
    decide,
    adapt,
    flatness,
    postclose,
    report,
    weekly,
    evolve,
    housekeep,
    backtest,
)

PART_JOBS: Mapping[PartName, str] = {
    "facts": PREMARKET,
    "opinions": PREMARKET,
    "slot": DECIDE,
    "look": DECIDE,
    "review": ADAPT,
    "postclose": POSTCLOSE,
    "report": REPORT,
    "flatness": FLAT,
    "weekly": WEEKLY,
    "evolve": EVOLVE,
    "housekeep": HOUSEKEEP,
}
_SELECTIONS: Mapping[PartName, Sequence[dg.AssetKey]] = {
    "facts": FACTS,
    "opinions": (*DOCUMENTS, *(key_of(table, DESK) for table in OPINIONS)),
}
_SLOTTED: Mapping[PartName, str] = {"slot": "desk_decisions", "look": "desk_decisions", "review": "desk_reviews"}


def request_of(part: Part, claim: Claim, span: Span, *, event: int = 0) -> dg.RunRequest:
    """The run that makes a part, over the sessions that it needs; tags say which part it is, for people and for the next look."""
    name = _SLOTTED.get(part.name)
    slotted = {"slot": part.label, **({"event": event} if event else {})}
    config = {"ops": {name: {"config": slotted}}} if name else {}
    tags = {"desk/book": DESK, "desk/part": part.key, "desk/attempt": str(claim.attempt)}
    if name:
        tags["desk/slot"] = part.label
    whole = part.name == "housekeep"
    alone = span.first == span.last
    if not alone and not whole:
        tags["dagster/asset_partition_range_start"] = span.first.isoformat()
        tags["dagster/asset_partition_range_end"] = span.last.isoformat()
    chosen = _SELECTIONS.get(part.name)
    return dg.RunRequest(
        run_key=claim.run_key,
        job_name=PART_JOBS[part.name],
        run_config=config,
        tags=tags,
        asset_selection=list(chosen) if chosen else None,
        partition_key=span.last.isoformat() if alone and not whole else None,
    )
