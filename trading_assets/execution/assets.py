"""The decision cycle and the book's results as assets, one set for each lane.

The backtest lane walks a whole range in one run and carries the book; the desk lane decides the one slot that is due, or that of an
event between them, or refuses.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import BACKTEST, DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.errors import DeskError
from trading_assets.execution.flatness import FLATNESS
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS, POSITIONS, TRADES
from trading_assets.execution.tables import BOOKED, DECIDED, THOUGHT
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import KNOWN_BEFORE, span_of
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.assets import BACKFILL_TAG
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import OPINIONS, THESES

if TYPE_CHECKING:
    from trading_assets.core.slots import Slot
    from trading_assets.execution.lanes import Lane
    from trading_assets.theses.model import Mind

_FACTS = (DAILY_BARS, INDICATORS, REGIME_LABELS)
_FLAT = "day_strategies_are_flat"


class BacktestConfig(dg.Config):
    """How a backtest begins: `fresh` opens a new book at the first session; otherwise the book of the session before goes on.

    `as_desk` walks with the parameters that the desk had on each session instead of those of config/parameters.yaml.
    """

    fresh: bool = False
    as_desk: bool = False


class DecideConfig(dg.Config):
    """The slot that was asked for; it must be the one that is due. Empty means whichever is due.

    `event` is the id of a message of the bus: then it is the slot of that event, between the scheduled ones.
    """

    slot: str = ""
    event: int = 0


def _decided_specs(lane: str) -> list[dg.AssetSpec]:
    facts = [dg.AssetDep(key_of(table), partition_mapping=KNOWN_BEFORE) for table in _FACTS]
    said = [key_of(table, lane) for table in OPINIONS]
    deps: dict[str, list[Any]] = {
        THESES.name: [*said, *facts],
        **{table.name: [key_of(THESES, lane)] for table in THOUGHT[1:]},
        VOTES.name: [key_of(THESES, lane)],
        TRADE_PLANS.name: [key_of(THESES, lane), key_of(VOTES, lane), *facts],
        VERDICTS.name: [key_of(TRADE_PLANS, lane)],
        ORDERS.name: [key_of(VERDICTS, lane)],
    }
    return [spec(t, lane=lane, group=lane, kinds={"python", "parquet", "sqlite"}, deps=deps[t.name]) for t in DECIDED]


def backtest_cycle() -> Sequence[Any]:
    """The backtest lane's decision cycle."""

    @dg.multi_asset(
        specs=_decided_specs(BACKTEST), name="backtest_decisions", backfill_policy=SINGLE_RUN, pool="backtest_book"
    )
    def backtest_decisions(
        context: dg.AssetExecutionContext, config: BacktestConfig, desk: DeskResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Walks the run's sessions in order and settles each; sessions done before a failure are kept."""
        from trading_assets.execution.lanes import BacktestWalk

        with _lane(desk, BACKTEST, context, as_desk=config.as_desk) as lane:
            walk = BacktestWalk.begin(lane, span_of(context.partition_keys), fresh=config.fresh)
            try:
                walk.walk()
            except DeskError:
                walk.store()
                _log_done(context, walk.done)
                raise
        written = walk.store()
        at_last_session(context, key_of(THESES, BACKTEST), _pictured(walk.mind))
        for table in DECIDED:
            yield stored(table, written[table.name], lane=BACKTEST)

    return [backtest_decisions]


def desk_cycle() -> Sequence[Any]:
    """The desk lane's decision cycle: exactly one due slot."""

    @dg.multi_asset(specs=_decided_specs(DESK), name="desk_decisions", backfill_policy=SINGLE_RUN, pool="desk_book")
    def desk_decisions(
        context: dg.AssetExecutionContext, config: DecideConfig, desk: DeskResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Decides the slot that is due now, or that of an event; anything else is refused with the reason."""
        from resources.telemetry.deciding import traced_decision
        from trading_assets.execution.lanes import decide_due

        now = desk.clock().now()
        with _lane(desk, DESK, context) as lane:
            slot = _asked_for(desk, lane, list(context.partition_keys), config, now)
            with traced_decision(lane, slot, run_id=context.run_id, instance=context.instance) as traced:
                result, written = decide_due(traced, slot)
            desk.note_parameters(DESK)
        seen = {
            "slot": slot.label,
            "event": slot.cause or "none",
            "reason": result.decision.reason,
            "seconds_after_slot": (now - slot.at).total_seconds(),
        }
        for table in DECIDED:
            shown = _pictured(result.mind) if table is THESES and result.mind else {}
            yield stored(table, written[table.name], lane=DESK, extra={**seen, **shown})

    return [desk_decisions]


def _asked_for(desk: DeskResource, lane: "Lane", keys: Sequence[str], config: DecideConfig, now: datetime) -> "Slot":
    """The slot that may be decided now; SlotRefused otherwise."""
    from resources.bus_events import message_of
    from trading_assets.execution.lanes import due_or_refused, look_or_refused

    if not config.event:
        return due_or_refused(lane.rules, keys, config.slot, now=now)
    event = message_of(desk.engine(DESK), config.event)
    return look_or_refused(
        lane.ledger, lane.rules, keys, config.slot, event, now=now, settings=desk.operations().events
    )


def booked_assets(lane: str) -> Sequence[Any]:
    """Fills, positions, account, trades and lessons, read from the lane's ledger in the same way in both lanes."""
    sources = [key_of(ORDERS, lane), key_of(DAILY_BARS), key_of(CORPORATE_ACTIONS)]
    deps: dict[str, list[Any]] = {
        FILLS.name: sources,
        POSITIONS.name: [key_of(FILLS, lane)],
        ACCOUNT.name: [key_of(FILLS, lane)],
        TRADES.name: [key_of(FILLS, lane)],
        LESSONS.name: [key_of(FILLS, lane)],
    }

    @dg.multi_asset(
        specs=[spec(t, lane=lane, group=lane, kinds={"python", "parquet"}, deps=deps[t.name]) for t in BOOKED],
        name=f"{lane}_booked",
        backfill_policy=SINGLE_RUN,
        pool=f"{lane}_book",
    )
    def booked(context: dg.AssetExecutionContext, desk: DeskResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Settles what is not settled yet, then shows the ledger's rows of the run's sessions."""
        from trading_assets.execution.lanes import store_booked

        with _lane(desk, lane, context) as booking:
            written = store_booked(booking, span_of(context.partition_keys))
        for table in BOOKED:
            yield stored(table, written[table.name], lane=lane)

    return [booked]


def flatness_assets(lane: str) -> Sequence[Any]:
    """The proof that day strategies are flat after the close; on the desk a proof that fails halts."""
    key = key_of(FLATNESS, lane)

    @dg.multi_asset(
        specs=[
            spec(
                FLATNESS,
                lane=lane,
                group=lane,
                kinds={"python", "parquet"},
                deps=[key_of(FILLS, lane), key_of(POSITIONS, lane)],
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                _FLAT, asset=key, description="No position of a day strategy is left, in the book or at the broker."
            )
        ],
        name=f"{lane}_flatness",
        backfill_policy=SINGLE_RUN,
    )
    def flatness(
        context: dg.AssetExecutionContext, desk: DeskResource
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
        """Every symbol that a day strategy traded, with what is left of it; red means that the desk is halted."""
        from resources.flatness import flatness_of, halt_unless_flat
        from trading_assets.execution.flatness import violations

        span = span_of(context.partition_keys)
        rows = flatness_of(desk, lane, span)
        written = desk.lake().write(FLATNESS, FLATNESS.frame(rows), span, lane=lane)
        broken = violations(rows)
        halted = halt_unless_flat(desk, rows) if lane == DESK else ""
        yield stored(FLATNESS, written, lane=lane, extra={"not_flat": len(broken), "halted": halted or "no"})
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=_FLAT,
            passed=not broken,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(broken[:3]) or "every day strategy is flat",
            metadata={"symbols": len(rows)},
        )

    return [flatness]


@contextmanager
def _lane(
    desk: DeskResource, name: str, context: dg.AssetExecutionContext, *, as_desk: bool = False
) -> "Iterator[Lane]":
    """The lane with whom it asks: all questions of the run use the skills as they are at its start."""
    from trading_assets.execution.counsel import Counsel
    from trading_assets.execution.lanes import Lane

    rules = desk.rules(name, as_desk=as_desk)
    budget_of = desk.budgets(name, run=context.run.tags.get(BACKFILL_TAG, context.run_id))
    with desk.reasoner() as reasoner, reasoner.cycle():
        counsel = Counsel(reasoner, lambda slot: budget_of(slot.session, slot.label), rules.agents.patience)
        lane = Lane(desk.lake(), desk.gates(), desk.ledger(name), rules, counsel)
        yield replace(lane, standing=desk.standing, seal=desk.seal) if rules.dispatches else lane


def _pictured(mind: "Mind") -> dict[str, Any]:
    """The thesis graph as the UI shows it; nothing where there is no thesis."""
    from trading_assets.theses.picture import draw

    if not mind.theses:
        return {}
    picture = base64.b64encode(draw(mind)).decode()
    return {"graph": dg.MetadataValue.md(f"![theses](data:image/png;base64,{picture})"), "theses": len(mind.theses)}


def _log_done(context: dg.AssetExecutionContext, done: Sequence[date]) -> None:
    """Records the sessions that a failed walk finished: their rows are in the lake and the ledger."""
    for table in DECIDED:
        for day in done:
            context.log_event(dg.AssetMaterialization(key_of(table, BACKTEST), partition=day.isoformat()))
