"""What is said before the open as assets, one set for each lane: briefs, narratives, the debate, the chief's stance."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from resources.desk import DeskResource
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.model import DAILY_BARS
from trading_assets.partitions import KNOWN_BEFORE, span_of
from trading_assets.regimes.model import LIQUIDITY_REGIMES, REGIME_LABELS
from trading_assets.theses.model import DEBATES, OPINIONS, SILENCES, STANCES

BACKFILL_TAG = "dagster/backfill"
_FACTS = (DAILY_BARS, INDICATORS, BREADTH, REGIME_LABELS, LIQUIDITY_REGIMES, CORRELATIONS, NEWS, MACRO_SERIES)


def opinion_assets(lane: str) -> Sequence[Any]:
    """The lane's opinions. They see the session before: facts of a session are known after its close."""
    facts = [dg.AssetDep(key_of(table), partition_mapping=KNOWN_BEFORE) for table in _FACTS]
    said_first = [key_of(table, lane) for table in (ANALYST_BRIEFS, NARRATIVES)]
    deps: dict[str, list[Any]] = {
        ANALYST_BRIEFS.name: facts,
        NARRATIVES.name: facts,
        DEBATES.name: said_first,
        STANCES.name: said_first,
        SILENCES.name: [key_of(table, lane) for table in (DEBATES, STANCES)],
    }

    @dg.multi_asset(
        specs=[spec(t, lane=lane, group=lane, kinds={"python", "parquet"}, deps=deps[t.name]) for t in OPINIONS],
        name=f"{lane}_opinions",
        backfill_policy=SINGLE_RUN,
    )
    def opinions(context: dg.AssetExecutionContext, desk: DeskResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Asks the agents about each session of the run, as of an hour before its open."""
        from trading_assets.briefs.asking import facts_before_open
        from trading_assets.theses.asking import ask_opinions

        span, lake, rules = span_of(context.partition_keys), desk.lake(), desk.rules(lane)
        facts = facts_before_open(lake, span)
        budget_of = desk.budgets(lane, run=context.run.tags.get(BACKFILL_TAG, context.run_id))
        with desk.reasoner() as reasoner, reasoner.cycle() as skills:
            thought = ask_opinions(
                reasoner,
                facts,
                lambda session: budget_of(session, rules.settings.decisions.slots[0]),
                agents=rules.agents,
                strategies=rules.settings.decisions.strategies,
                skills=skills or desk.skills().take(),
                within=rules.agents.patience if len(facts) == 1 else None,
            )
        for table in OPINIONS:
            written = lake.write(table, table.frame(thought.rows[table.name]), span, lane=lane)
            yield stored(table, written, lane=lane, extra=thought.told(table))

    return [opinions]
