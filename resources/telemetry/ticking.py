"""The first span of a slot: the tick of the sensor or schedule that asked for its run."""

from datetime import date

from resources.telemetry.processes import tracer_of
from resources.telemetry.spans import TICK, Span
from trading_assets.execution.journaling import decision_id

PROCESS = "daemon"


def begun() -> int:
    """The beginning of a tick, in the machine's nanoseconds."""
    return tracer_of(PROCESS).now_ns()


def tick(book: str, session: date, label: str, begun_ns: int) -> None:
    """Notes that the decision of a slot was asked for."""
    tracer = tracer_of(PROCESS)
    if tracer.is_on:
        correlation = decision_id(book, session, label)
        tracer.record(Span(correlation, TICK, TICK, "", begun_ns, tracer.now_ns(), {"desk.slot": label}))
