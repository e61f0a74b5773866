"""`desk decide`."""

from desk.output import finish, show
from desk.runner import prepare_home, run_job
from resources.desk import DESK, DeskResource
from trading_assets.core.ports import Span
from trading_assets.jobs import DECIDE


def run_decide(label: str, *, as_json: bool) -> None:
    """Runs the decide job for the due slot; what is not due is refused before a run starts."""
    from trading_assets.execution.lanes import due_or_refused

    prepare_home()
    desk = DeskResource()
    now = desk.clock().now()
    rules = desk.rules(DESK)
    slot = due_or_refused(rules, (), label, now=now)
    day = slot.session.day
    finish(run_job(DECIDE, Span(day, day), config={"desk_decisions": {"config": {"slot": slot.label}}}))
    with desk.ledger(DESK).reading() as ledger:
        decision = next(d for d in ledger.decisions(day, day) if d.slot == slot.label)
        intents = [f"{i.plan.action} {i.quantity} {i.plan.symbol}" for i in ledger.intents(day) if i.session == day]
    data = {"session": day, "slot": slot.label, "state": decision.state, "reason": decision.reason}
    show({**data, "plans": decision.plans, "vetoes": decision.vetoes, "intents": intents}, as_json=as_json)
