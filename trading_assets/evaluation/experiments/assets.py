"""Experiments after the close as an asset of the desk's lane: where each stands, and the end of those that are over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, bullets, key_of, spec, stored
from trading_assets.core.calendar import XNYS, days_of
from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES
from trading_assets.partitions import span_of
from trading_assets.plans.model import TRADE_PLANS

if TYPE_CHECKING:
    from trading_assets.core.ports import Span
    from trading_assets.evaluation.experiments.evening import Evening

_SOURCES = (ACCOUNT, TRADES, FILLS, POSITIONS, TRADE_PLANS)


def experiment_assets(lane: str) -> Sequence[Any]:
    """The results of a lane's experiments."""

    @dg.multi_asset(
        specs=[
            spec(
                EXPERIMENT_RESULTS,
                lane=lane,
                group=lane,
                kinds={"python", "parquet"},
                deps=[key_of(table, lane) for table in _SOURCES],
            )
        ],
        name=f"{lane}_{EXPERIMENT_RESULTS.name}",
        backfill_policy=SINGLE_RUN,
    )
    def experiment_results(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Judges every experiment at the looks that were planned, and ends those that are decided."""
        span = span_of(context.partition_keys)
        evening = _judged(desk, lane, span)
        rows = [each.row for each in evening.standings]
        written = desk.lake().write(EXPERIMENT_RESULTS, EXPERIMENT_RESULTS.frame(rows), span, lane=lane)
        now = [f"{each.experiment}: {each.sentence}" for each in evening.standings if each.session == span.last]
        at_last_session(context, key_of(EXPERIMENT_RESULTS, lane), {"experiments": bullets(now)})
        return stored(EXPERIMENT_RESULTS, written, lane=lane, extra={"ended": len(evening.endings)})

    return [experiment_results]


def _judged(desk: DeskResource, lane: str, span: "Span") -> "Evening":
    """The evening of a span; what it ends is stored before anything is shown."""
    from resources.ledger.experiments import SqlExperiments
    from trading_assets.evaluation.experiments.evening import judged, result_of
    from trading_assets.evaluation.experiments.measures import Record

    now, lake = desk.clock().now(), desk.lake()
    experiments = SqlExperiments(desk.engine(lane), lane, desk.journal_files(lane))
    registered = experiments.registered()
    evening = judged(
        registered,
        lambda session: Record.read(lake, lane, session),
        desk.rules(lane).tuned,
        days_of(XNYS.sessions(span.first, span.last)) if registered else (),
        now=now,
        calendar=XNYS,
    )
    for each in evening.endings:
        last = max(s.session for s in evening.standings if s.experiment == each.experiment)
        result = result_of([s for s in evening.standings if s.experiment == each.experiment and s.session == last])
        experiments.end(each.experiment, each.verdict, each.reason, session=each.session, result=result, as_of=now)
    return evening
