"""A look between the slots for what the bus tells: fills, alerts, news, changes of regime, halts.

Problem: an event must lead to one look, whatever dies in between. Decision: the place on the bus is a consumer's cursor in the
ledger, and it moves only past messages that deserve no look any more; a look is claimed like a part of the day, and its slot
bears the time of the event, so the ledger's index refuses a second one. Which messages deserve a look is decided in
trading_assets/execution/events.py. Remaining gap: a look whose run failed is not tried again; the next event makes the next
one.
"""

from datetime import datetime

import dagster as dg

from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from resources.telemetry.ticking import begun, tick
from trading_assets.core.asking import Ask
from trading_assets.core.day import Part
from trading_assets.core.ports import Span
from trading_assets.execution.events import Look, Wait, age_max, next_look_of, topics_of
from trading_assets.jobs import DECIDE, request_of

CONSUMER = "looks"
_PAGE = 500


@dg.sensor(
    job_name=DECIDE,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "asks"},
    description="Asks for a look between the slots when something happened; what is done there only reduces.",
)
def bus_events(context: dg.SensorEvaluationContext, desk: DeskResource) -> dg.RunRequest | dg.SkipReason:
    """The shell around `next_look`."""
    answer = ask_for_look(desk, context.instance)
    return dg.SkipReason(answer) if isinstance(answer, str) else answer


def ask_for_look(desk: DeskResource, instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """The run of a look that is claimed here, or why there is none."""
    from resources.ledger.bus import Consumer

    begun_ns, now = begun(), desk.clock().now()
    settings, decisions = desk.operations().events, desk.settings().decisions
    with Consumer(
        desk.engine(DESK), CONSUMER, clock=desk.clock(), start="end", topics=topics_of(settings), book=DESK
    ) as consumer:
        messages = consumer.poll(_PAGE)
        with desk.ledger(DESK).reading() as ledger:
            watched = desk.settings().market.symbols
            found = next_look_of(messages, ledger, as_of=now, slots=decisions, settings=settings, symbols=watched)
        if isinstance(found, Wait):
            if messages and found.until is None:
                consumer.advance(messages[-1].id)
            return found.reason
    answer = _claimed(desk, instance, found, now + age_max(decisions, settings))
    if isinstance(answer, dg.RunRequest):
        tick(DESK, found.slot.session.day, found.slot.label, begun_ns)
    return answer


def _claimed(desk: DeskResource, instance: dg.DagsterInstance, look: Look, until: datetime) -> dg.RunRequest | str:
    """The run, where nobody asked for this look before."""
    from resources.day.claims import Claims, history_of

    slot, machine = look.slot, RealClock().now()
    part = Part("look", slot.session, slot.at, until, slot.label)
    claims = Claims(desk.engine(DESK), DESK, history_of(instance))
    before = claims.read([part.key]).get(part.key)
    if before is not None:
        return f"a look at {slot.label} was asked for already: {look.cause}"
    claim = claims.take(Ask(part, slot.at), None, machine=machine)
    if claim is None:
        return f"somebody else asks for the look at {slot.label}"
    return request_of(part, claim, Span(slot.session.day, slot.session.day), event=look.event)
