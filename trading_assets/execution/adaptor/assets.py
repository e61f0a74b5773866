"""The hourly review as an asset of the desk lane; a backtest has none."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.ports import Span
from trading_assets.execution.adaptor.model import REVIEWS
from trading_assets.features.model import INTRADAY_FEATURES
from trading_assets.partitions import KNOWN_BEFORE
from trading_assets.regimes.model import REGIME_LABELS

if TYPE_CHECKING:
    from trading_assets.core.slots import Slot
    from trading_assets.execution.adaptor.reviewing import Review


class ReviewConfig(dg.Config):
    """The review that was asked for, New York HH:MM; it must be the one that is due. Empty means whichever is due."""

    slot: str = ""


def review_assets() -> Sequence[Any]:
    """The review of the hour that is due."""
    labels = dg.AssetDep(key_of(REGIME_LABELS), partition_mapping=KNOWN_BEFORE)

    @dg.multi_asset(
        specs=[
            spec(
                REVIEWS,
                lane=DESK,
                group=DESK,
                kinds={"python", "parquet"},
                deps=[labels, key_of(INTRADAY_FEATURES)],
            )
        ],
        name="desk_reviews",
        backfill_policy=SINGLE_RUN,
        pool="desk_review",
    )
    def desk_reviews(
        context: dg.AssetExecutionContext, config: ReviewConfig, desk: DeskResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Reviews the hour that is due; advice becomes proposals, and a turn of the market a message."""
        from trading_assets.execution.adaptor.reviewing import review_due_or_refused

        now, decisions = desk.clock().now(), desk.settings().decisions
        slot = review_due_or_refused(
            list(context.partition_keys), config.slot, now=now, settings=desk.operations().adaptor, decisions=decisions
        )
        made = _reviewed(desk, slot, context.run.run_id, now)
        day = Span(slot.session.day, slot.session.day)
        replacing = {"slot": [slot.label]}
        written = desk.lake().merge(REVIEWS, REVIEWS.frame([made.row]), day, replacing=replacing, lane=DESK)
        proposed = _tell(desk, made, slot, now)
        shown = {name: made.row[name] for name in ("slot", "view_open", "view_now", "turned", "advice", "flags")}
        return stored(REVIEWS, written, lane=DESK, extra={**shown, "proposed": proposed})

    return [desk_reviews]


def _reviewed(desk: DeskResource, slot: "Slot", run: str, now: datetime) -> "Review":
    """The review of the slot, on the facts of its own moment."""
    from trading_assets.core.parameters import effective_from
    from trading_assets.execution.adaptor.reviewing import book_today, review
    from trading_assets.execution.counsel import Counsel
    from trading_assets.execution.lanes import Lane, load_world

    rules, lake, day = desk.rules(DESK), desk.lake(), slot.session.day
    budget_of = desk.budgets(DESK, run=run)
    with desk.reasoner() as reasoner, reasoner.cycle():
        counsel = Counsel(reasoner, lambda at: budget_of(at.session, at.label), rules.agents.patience)
        lane = Lane(lake, desk.gates(), desk.ledger(DESK), rules, counsel)
        world = load_world(lane, Span(day, day), as_of=slot.at)
        facts = world.facts.at(slot.at)
        with lane.ledger.reading() as ledger:
            book = book_today(slot, world, rules, ledger, facts)
        bars = lake.read(INTRADAY_FEATURES, as_of=slot.at, first=day, last=day).rows(named=True)
        earlier = lake.read(REVIEWS, as_of=slot.at, first=day, last=day, lane=DESK).rows(named=True)
        return review(slot, facts, bars, book, rules.parameters(effective_from(now)), counsel, before=earlier)


def _tell(desk: DeskResource, made: "Review", slot: "Slot", now: datetime) -> int:
    """Tells and proposes what a stored review asks for, once however often it is made; how many proposals are new."""
    from resources.bus_events import publish_once
    from trading_assets.execution.adaptor.reviewing import ORIGIN_NAME

    if made.drafts:
        publish_once(desk.engine(DESK), made.drafts)
    if not made.suggestions:
        return 0
    days_open = desk.learning().proposal.days_open
    new = desk.proposals().propose(
        made.suggestions, session=slot.session.day, origin=ORIGIN_NAME, days_open=days_open, as_of=now
    )
    return len(new)
