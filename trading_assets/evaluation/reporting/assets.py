"""The reports as assets: of each session, and of the week on its last session.

They depend on the metrics for lineage only: their job selects nothing else, so that no gate can keep a report from appearing.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import OWNERS, SINGLE_RUN, at_last_session
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.reporting.weeks import ends_week
from trading_assets.partitions import SESSIONS, span_of

if TYPE_CHECKING:
    from trading_assets.evaluation.making import Made

REPORT = "improvement_report"
WEEK = "week_in_review"
_DECIMALS = 6  # of the numbers shown in the UI; files and tables keep all
_SAYS = {
    REPORT: "What happened, why, what to change and what comes next: one page, the details behind it; markdown, JSON, HTML.",
    WEEK: "The same page for a week, made on its last session: markdown, JSON, HTML.",
}


def report_assets(lane: str, models: Sequence[str]) -> Sequence[Any]:
    """A lane's reports; `models` are the names of its metrics."""
    return [_report(lane, models), _week(lane)]


def _spec(name: str, lane: str, deps: Sequence[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey([lane, name]),
        description=_SAYS[name],
        group_name=lane,
        kinds={"python", "markdown"},
        owners=OWNERS,
        deps=[dg.AssetKey([lane, dep]) for dep in deps],
        partitions_def=SESSIONS,
    )


def _report(lane: str, models: Sequence[str]) -> Any:
    @dg.multi_asset(specs=[_spec(REPORT, lane, models)], name=f"{lane}_{REPORT}", backfill_policy=SINGLE_RUN)
    def improvement_report(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The report of the run's last session, over the lane's record so far."""
        last = span_of(context.partition_keys).last
        made = _made(desk, lane, last, week=False)
        desk.note_evaluation(lane, last, made.headline)
        numbers = {name: round(value, _DECIMALS) for name, value in made.headline.items()}
        at_last_session(context, dg.AssetKey([lane, REPORT]), {**_shown(made), **numbers})
        return dg.MaterializeResult(metadata=_paths(made))

    return improvement_report


def _week(lane: str) -> Any:
    @dg.multi_asset(specs=[_spec(WEEK, lane, [REPORT])], name=f"{lane}_{WEEK}", backfill_policy=SINGLE_RUN)
    def week_in_review(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The week of the run's last session, where that session ends it; on other sessions it says which one will."""
        last = span_of(context.partition_keys).last
        if not ends_week(last):
            return dg.MaterializeResult(metadata={"why": f"{last} does not end its week"})
        made = _made(desk, lane, last, week=True)
        at_last_session(context, dg.AssetKey([lane, WEEK]), _shown(made))
        return dg.MaterializeResult(metadata=_paths(made))

    return week_in_review


def _made(desk: DeskResource, lane: str, last: date, *, week: bool) -> "Made":
    from resources.reporting import told_of
    from trading_assets.core.ports import Span
    from trading_assets.evaluation.making import make_report

    told = told_of(desk, lane, on=XNYS.session(last).day)
    folder, span = desk.home().reports, Span(last, last)
    return make_report(
        desk.lake(), desk.gates(), desk.ledger(lane), desk.rules(lane), span, folder, told=told, week=week
    )


def _shown(made: "Made") -> dict[str, Any]:
    missing = {"missing": ", ".join(made.missing)} if made.missing else {}
    return {"report": dg.MetadataValue.md(made.markdown_with_pictures), **missing}


def _paths(made: "Made") -> dict[str, Any]:
    paths = {"markdown": made.paths.markdown, "json": made.paths.json, "html": made.paths.html}
    return {name: dg.MetadataValue.path(str(path)) for name, path in paths.items()}
