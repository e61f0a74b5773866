"""`desk trace`: from a plan, or from what came of it, to everything behind it, down to the bytes of the rows that it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from desk.output import show
from desk.runner import prepare_home
from resources.desk import BACKTEST, DESK, DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure

if TYPE_CHECKING:
    from desk.tracing.behind import Behind
    from resources.ledger.tracing import Traced
    from trading_assets.theses.memory.model import Lesson


def run_trace(name: str, *, last: bool, lane: str, as_json: bool) -> None:
    """Shows what stands behind a plan.

    Args:
        name: A plan's id or digest, or the id of its intent, of one of its orders or executions.
        last: The newest execution of the book instead.
    """
    if bool(name) == last:
        raise PermanentFailure(
            "name a plan, an intent, an order or a fill, or ask for the last fill", hint="desk trace --last"
        )
    prepare_home()
    found = find(DeskResource(), lane, name)
    if as_json:
        show(found.as_json(), as_json=True)
        return
    from desk.tracing.words import story

    for line in story(found):
        typer.echo(line)


@dataclass(frozen=True)
class Trail:
    """All of it. `recalled` are the lessons that were nearest to the decision; `calls` are model calls with their cost."""

    traced: "Traced"
    behind: "Behind | None"
    recalled: "Sequence[Lesson]"
    calls: Sequence[Mapping[str, Any]]

    @property
    def thesis(self) -> dict[str, Any] | None:
        """The plan's thesis in the mind that the slot left behind."""
        mind, plan = self.traced.mind, self.traced.plan
        theses = mind.theses if mind and plan else ()
        return next((t.model_dump(mode="json") for t in theses if plan and t.id == plan.thesis_id), None)

    def as_json(self) -> dict[str, Any]:
        """One object, everything in it as plain JSON."""
        traced, behind = self.traced, self.behind
        return {
            "lane": traced.book,
            "decision": {
                "session": traced.session.isoformat(),
                "slot": traced.slot,
                "as_of": traced.as_of,
                "state": traced.state,
                "reason": traced.reason,
                "limits_hash": traced.limits_hash,
                "mind_digest": traced.mind_digest,
            },
            "plan_id": traced.plan_id,
            "plan_digest": traced.plan_digest,
            "plan": traced.plan.model_dump(mode="json") if traced.plan else None,
            "signatures": [verdict.model_dump(mode="json") for verdict in traced.verdicts],
            "intent_id": traced.intent_id,
            "opened_by": traced.opened_by,
            "orders": [_json(asdict(order)) for order in traced.orders],
            "fills": [_json(fill) for fill in traced.fills],
            "thesis": self.thesis,
            "rows": {name: [seen.as_json() for seen in rows] for name, rows in (behind.rows if behind else {}).items()},
            "without_rows": list(behind.missing) if behind else [],
            "citations": [citation.as_json() for citation in (behind.citations if behind else ())],
            "lessons": [lesson.model_dump(mode="json") for lesson in traced.lessons],
            "recalled": [lesson.model_dump(mode="json") for lesson in self.recalled],
            "calls": [dict(call) for call in self.calls],
            "journal": [_entry(entry) for entry in traced.entries],
        }


def find(desk: DeskResource, lane: str, name: str) -> Trail:
    """Everything behind what has the name; "" is the newest execution.

    Raises:
        DataNotReady: The book has nothing of that name, or no execution at all.
    """
    from desk.tracing.behind import behind
    from resources.ledger.engine import reading
    from resources.ledger.tracing import calls_of, trace
    from trading_assets.theses.memory.recall import recall

    with reading(desk.engine(lane)) as connection:
        traced = trace(connection, lane, name)
    if traced is None:
        raise _nothing(lane, name)
    plan, as_of = traced.plan, datetime.fromisoformat(traced.as_of)
    # A backtest lies in the past of every clock but its own.
    now = XNYS.session(XNYS.last).close if lane == BACKTEST else desk.clock().now()
    trade = traced.opened_by or traced.intent_id
    found = behind(desk.lake(), lane, plan, traced.intent_id, trade, now=now) if plan else None
    with desk.ledger(lane).reading() as ledger:
        known = ledger.lessons(as_of)
    recalled = (
        recall(known, symbol=plan.symbol, strategy=plan.strategy, regime=plan.regime, as_of=as_of) if plan else ()
    )
    with reading(desk.engine(DESK)) as connection:
        calls = calls_of(connection, traced.correlation_id, found.answer_keys if found else ())
    return Trail(traced, found, recalled, calls)


def _nothing(lane: str, name: str) -> DataNotReady:
    if not name:
        return DataNotReady(
            f"nothing was ever filled in book {lane}", hint="desk backtest --from D --to D, or desk demo"
        )
    return DataNotReady(
        f"book {lane} knows no plan, intent, order or fill of that name",
        value=name,
        hint=f"desk journal --lane {lane} --json shows ids; desk trace --last takes the last fill",
    )


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("seq", "session", "at", "kind", "symbol", "title", "hash")
    return {name: str(entry[name]) if name == "session" else entry[name] for name in shown}


def _json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | None) else str(value) for name, value in row.items()}
