"""`desk decide`."""

from typing import TYPE_CHECKING

from desk.output import finish, show
from desk.runner import prepare_home, run_job
from resources.desk import DESK, DeskResource
from trading_assets.core.ports import Span
from trading_assets.jobs import DECIDE

if TYPE_CHECKING:
    from trading_assets.core.slots import Slot


def run_decide(label: str, *, event: int = 0, as_json: bool) -> None:
    """Runs the decide job for the due slot, or for that of an event; what is not due is refused before a run starts.

    Args:
        event: The id of a message of the bus; 0 for a scheduled slot.
    """
    prepare_home()
    desk = DeskResource()
    slot = _slot(desk, label, event)
    day = slot.session.day
    config = {"slot": slot.label, "event": event}
    finish(run_job(DECIDE, Span(day, day), config={"desk_decisions": {"config": config}}))
    with desk.ledger(DESK).reading() as ledger:
        decision = next(d for d in ledger.decisions(day, day) if d.slot == slot.label)
        intents = [
            f"{i.plan.action} {i.quantity} {i.plan.symbol}"
            for i in ledger.intents(day)
            if i.session == day and i.slot == slot.label
        ]
    data = {"session": day, "slot": slot.label, "state": decision.state, "reason": decision.reason}
    show({**data, "plans": decision.plans, "vetoes": decision.vetoes, "intents": intents}, as_json=as_json)


def _slot(desk: DeskResource, label: str, event: int) -> "Slot":
    """The slot that may be decided now; SlotRefused otherwise."""
    from resources.bus_events import message_of
    from trading_assets.execution.lanes import due_or_refused, look_or_refused

    now, rules = desk.clock().now(), desk.rules(DESK)
    if not event:
        return due_or_refused(rules, (), label, now=now)
    message = message_of(desk.engine(DESK), event)
    return look_or_refused(desk.ledger(DESK), rules, (), label, message, now=now, settings=desk.operations().events)
