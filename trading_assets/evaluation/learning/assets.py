"""What the desk learns about its own numbers, as assets: standings of the strategies, the night's proposals, the monthly study.

They only ever propose, but for two things on a paper desk: the strategy monitor switches, and `automatic: true` applies proposals.
Only the newest closed session may do either: looking at an older one again writes its table and moves nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, bullets, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.parameters import SWITCHED_OFF, effective_from
from trading_assets.core.ports import Span
from trading_assets.evaluation.learning.model import PARAMETER_PROPOSALS, PARAMETER_STUDY, STRATEGY_STANDINGS
from trading_assets.execution.model import TRADES
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.assets import BACKFILL_TAG

if TYPE_CHECKING:
    from resources.ledger.proposals import SqlProposals
    from trading_assets.core.parameters import Suggestion
    from trading_assets.evaluation.suggestions import Proposed

_RECORD = (TRADES, TRADE_PLANS, VERDICTS)
_FACTS = (DAILY_BARS, CORPORATE_ACTIONS)


def learning_assets() -> Sequence[Any]:
    """The desk's assets of this room; a backtest has none: it is walked by the parameters that it was started with."""
    return [_standings(), _proposals(), _study()]


def _standings() -> Any:
    deps = [*(key_of(table, DESK) for table in _RECORD), *(key_of(table) for table in _FACTS)]

    @dg.multi_asset(
        specs=[spec(STRATEGY_STANDINGS, lane=DESK, group=DESK, kinds={"python", "parquet"}, deps=deps)],
        name="desk_strategy_standings",
        backfill_policy=SINGLE_RUN,
    )
    def strategy_standings(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Judges every strategy in every regime; on paper a switch counts from the next session, live it is proposed."""
        from trading_assets.evaluation.learning.gathering import standings_of
        from trading_assets.evaluation.monitor import pictured, standing_rows, switch

        last, as_of = span_of(context.partition_keys).last, desk.clock().now()
        rules, book = desk.rules(DESK), desk.proposals()
        now, moved = rules.parameters(effective_from(as_of)), book.moved()
        found = standings_of(desk.lake(), rules, last, now=now, moved=moved, monitor=desk.learning().monitor)
        known = [{**row, "knowable_at": XNYS.session(last).close} for row in standing_rows(found, last)]
        written = desk.lake().write(STRATEGY_STANDINGS, STRATEGY_STANDINGS.frame(known), Span(last, last), lane=DESK)
        suggestion = switch(found, now, last=last) if _is_newest(last, as_of) else None
        done, mode, days_open = "no strategy is switched", desk.execution().mode, desk.learning().proposal.days_open
        if suggestion:
            done = move_switches(book, suggestion, mode, session=last, days_open=days_open, as_of=as_of)
        shown = {"standings": bullets(list(pictured(found))), "done": done}
        at_last_session(context, key_of(STRATEGY_STANDINGS, DESK), shown)
        return stored(STRATEGY_STANDINGS, written, lane=DESK)

    return strategy_standings


def _proposals() -> Any:
    @dg.multi_asset(
        specs=[
            spec(
                PARAMETER_PROPOSALS,
                lane=DESK,
                group=DESK,
                kinds={"python", "sqlite"},
                deps=[key_of(TRADES, DESK), key_of(STRATEGY_STANDINGS, DESK), *(key_of(table) for table in _FACTS)],
            )
        ],
        name="desk_parameter_proposals",
        backfill_policy=SINGLE_RUN,
    )
    def parameter_proposals(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Counts each parameter one step up and down, lets the optimizer choose, and stores what is new."""
        from trading_assets.evaluation.learning.gathering import history_of
        from trading_assets.evaluation.proposals_counted import counted_moves, suggestions

        last, as_of = span_of(context.partition_keys).last, desk.clock().now()
        rules, learning = desk.rules(DESK), desk.learning()
        now, sessions = rules.parameters(effective_from(as_of)), desk.operations().evolution.sessions
        history = history_of(desk.lake(), desk.ledger(DESK), rules, last, sessions=sessions)
        moves = counted_moves(history, now, learning.proposal)
        listed = suggestions(moves, now, last=last)
        told = {"trades": len(history.trades), "tried": len(moves), "supported": len(listed)}
        if not _is_newest(last, as_of):
            return dg.MaterializeResult(metadata={**told, "proposed": 0, "why": "a newer session has closed"})
        chosen = _picked(desk, listed, _read_standings(desk, last), last, context.run.tags.get(BACKFILL_TAG, ""))
        days_open = learning.proposal.days_open
        new = desk.proposals().propose(chosen, session=last, origin="optimizer", days_open=days_open, as_of=as_of)
        applied = _apply_unasked(desk, last, as_of) if learning.automatic else ()
        at_last_session(context, key_of(PARAMETER_PROPOSALS, DESK), {"proposals": _lines(new)})
        return dg.MaterializeResult(metadata={**told, "proposed": len(new), "applied": len(applied)})

    return parameter_proposals


def _study() -> Any:
    deps = [key_of(TRADES, DESK), *(key_of(table) for table in _FACTS)]

    @dg.multi_asset(
        specs=[spec(PARAMETER_STUDY, lane=DESK, group=DESK, kinds={"python", "parquet"}, deps=deps)],
        name="desk_parameter_study",
        backfill_policy=SINGLE_RUN,
    )
    def parameter_study(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Replays the months before over the whole grid of every parameter, and proposes a step towards what it supports."""
        from trading_assets.evaluation.learning.gathering import history_of
        from trading_assets.evaluation.study import study, study_rows

        last, as_of = span_of(context.partition_keys).last, desk.clock().now()
        rules, learning = desk.rules(DESK), desk.learning()
        now, sessions = rules.parameters(effective_from(as_of)), desk.operations().evolution.sessions
        found = study(
            history_of(desk.lake(), desk.ledger(DESK), rules, last, sessions=sessions),
            now,
            learning.proposal,
            last=last,
        )
        known = [{**row, "knowable_at": XNYS.session(last).close} for row in study_rows(found, last)]
        written = desk.lake().write(PARAMETER_STUDY, PARAMETER_STUDY.frame(known), Span(last, last), lane=DESK)
        new: Sequence[Proposed] = ()
        if _is_newest(last, as_of):
            days_open = learning.proposal.days_open
            new = desk.proposals().propose(
                found.suggestions, session=last, origin="study", days_open=days_open, as_of=as_of
            )
        at_last_session(context, key_of(PARAMETER_STUDY, DESK), {"proposals": _lines(new), "tried": len(found.trials)})
        return stored(PARAMETER_STUDY, written, lane=DESK)

    return parameter_study


def move_switches(
    book: "SqlProposals", suggestion: "Suggestion", mode: str, *, session: date, days_open: int, as_of: datetime
) -> str:
    """A switch as the mode allows: at once on paper, as a proposal anywhere else. Gives the sentence of what was done."""
    from trading_assets.execution.tuning import MONITOR

    if mode == "paper":
        book.set({SWITCHED_OFF: suggestion.after}, who=MONITOR, reason=suggestion.reason, as_of=as_of)
        return suggestion.reason
    book.propose([suggestion], session=session, origin=MONITOR, days_open=days_open, as_of=as_of)
    return f"proposed: {suggestion.reason}"


def _picked(
    desk: DeskResource, listed: Sequence["Suggestion"], standings: Sequence[dict[str, Any]], last: date, run: str
) -> Sequence["Suggestion"]:
    """What the optimizer leaves of the night's suggestions; nobody is asked about none."""
    from trading_assets.evaluation.proposals_optimizer import Weak, optimizer_ask, picked

    session = XNYS.session(last)
    budget = desk.budgets(DESK, run=run)(session, "close")
    weak = [
        Weak(
            **{name: row[name] for name in ("strategy", "regime", "word", "trades", "win_rate")},
            net_pnl_usd=row["net_pnl"],
        )
        for row in standings
    ]
    ask = optimizer_ask(listed, weak, budget=budget, as_of=session.close)
    if ask is None:
        return ()
    with desk.reasoner() as reasoner, reasoner.cycle():
        (answer,) = reasoner.gather([ask], within=desk.rules(DESK).agents.patience)
    return picked(listed, answer)


def _apply_unasked(desk: DeskResource, last: date, as_of: datetime) -> Sequence["Proposed"]:
    """Applies what `automatic: true` allows; `desk.rules` has refused it where real money is traded."""
    from trading_assets.evaluation.proposals_automatic import applied_unasked

    book, start = desk.proposals(), effective_from(as_of)
    chosen = applied_unasked(
        book.proposals(),
        book.moved(),
        desk.rules(DESK).parameters(start),
        under_test=book.under_test(),
        on=last,
        start=start,
        days_open=desk.learning().proposal.days_open,
    )
    return [book.answer(each.id, "approved", who="automatic", reason=each.reason, as_of=as_of) for each in chosen]


def _read_standings(desk: DeskResource, last: date) -> list[dict[str, Any]]:
    as_of = XNYS.session(last).close
    return desk.lake().read(STRATEGY_STANDINGS, as_of=as_of, lane=DESK, first=last, last=last).rows(named=True)


def _is_newest(last: date, as_of: datetime) -> bool:
    """Whether no later session has closed."""
    return XNYS.session(last).close <= as_of < XNYS.next(last).close


def _lines(new: Sequence["Proposed"]) -> dg.MarkdownMetadataValue:
    return bullets([f"{each.name} {each.before:g} to {each.after:g}: {each.reason}" for each in new])


__all__ = ["PARAMETER_PROPOSALS", "learning_assets"]
