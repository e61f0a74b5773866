"""Analyst briefs as assets, one for each lane."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import DAILY_BARS
from trading_assets.partitions import KNOWN_BEFORE, span_of
from trading_assets.regimes.model import REGIME_LABELS

BACKFILL_TAG = "dagster/backfill"
_FACTS = (DAILY_BARS, INDICATORS, BREADTH, REGIME_LABELS)


def brief_assets(lane: str) -> Sequence[Any]:
    """The lane's briefs. They see the session before: facts of a session are known after its close."""

    @dg.multi_asset(
        specs=[
            spec(
                ANALYST_BRIEFS,
                lane=lane,
                group=lane,
                kinds={"python", "parquet"},
                deps=[dg.AssetDep(key_of(table), partition_mapping=KNOWN_BEFORE) for table in _FACTS],
            )
        ],
        name=f"{lane}_analyst_briefs",
        backfill_policy=SINGLE_RUN,
    )
    def analyst_briefs(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Asks the analysts for each session of the run, as of an hour before its open."""
        from trading_assets.briefs.asking import ask_briefs, facts_before_open

        span, lake = span_of(context.partition_keys), desk.lake()
        facts = facts_before_open(lake, span)
        run = context.run.tags.get(BACKFILL_TAG, context.run_id)
        with desk.reasoner() as reasoner, reasoner.cycle():
            asked = ask_briefs(reasoner, facts, desk.budgets(lane, work="briefs", backfill=run))
        written = lake.write(ANALYST_BRIEFS, ANALYST_BRIEFS.frame(asked.rows), span, lane=lane)
        return stored(ANALYST_BRIEFS, written, lane=lane, extra=asked.told)

    return [analyst_briefs]
