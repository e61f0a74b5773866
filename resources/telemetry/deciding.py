"""Spans of a decision run: launch, look, think with each question, judge, seal; taken at the ports that the lane is given.

The stages know nothing of it: what is measured is how long they used their ledger, their agents and their keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from resources.telemetry.logs import about
from resources.telemetry.processes import logs_within, tracer_of
from resources.telemetry.spans import DECISION, LAUNCH, TICK, Span, Tracer, nanoseconds_of
from trading_assets.execution.journaling import decision_id

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from trading_assets.core.slots import Slot
    from trading_assets.execution.counsel import Counsel
    from trading_assets.execution.ports import LedgerSession, OrderLedger
    from trading_assets.execution.sealing import ToSeal
    from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Role
    from trading_assets.reasoning.ports import Reasoner

PROCESS = "desk"
Traced = TypeVar("Traced", bound="Ports")
_NS_PER_MS = 1_000_000


@dataclass
class Steps:
    """Spans below one decision, numbered where a step happens more than once. `attempt` tells runs of the same slot apart."""

    tracer: Tracer
    correlation: str
    attempt: str
    _counted: dict[str, int]

    def key(self, name: str) -> str:
        """A key that no other span of the decision has."""
        self._counted[name] = self._counted.get(name, 0) + 1
        return f"{name}/{self._counted[name]}"

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """A span below the decision; what is put into the mapping becomes its attributes, `name` its name."""
        told: dict[str, Any] = {}
        with self.tracer.span(self.correlation, name, key=self.key(name), parent=DECISION) as noted:
            try:
                yield told
            finally:
                noted.attributes.update(told)


class Ports(Protocol):
    """What a lane decides with: a frozen data class that has these fields."""

    @property
    def name(self) -> str:
        """The book."""
        ...

    @property
    def ledger(self) -> "OrderLedger":
        """The book's ledger."""
        ...

    @property
    def counsel(self) -> "Counsel":
        """Whom it asks."""
        ...

    @property
    def seal(self) -> "Callable[[Sequence[ToSeal]], None]":
        """Puts the signatures on."""
        ...


@contextmanager
def traced_decision(lane: Traced, slot: "Slot", *, run_id: str, instance: "DagsterInstance") -> Iterator[Traced]:
    """The lane that the decision is made with, inside the decision's span; the same one where traces are off.

    Args:
        instance: Dagster's, which knows when the run was asked for.
    """
    correlation = decision_id(lane.name, slot.session.day, slot.label)
    tracer = tracer_of(PROCESS)
    with logs_within(PROCESS), about(correlation, slot=slot.label):
        if not tracer.is_on:
            yield lane
            return
        steps = Steps(tracer, correlation, run_id, {})
        told = {
            "desk.run": run_id,
            "desk.slot": slot.label,
            "desk.event": slot.cause,
            "desk.as_of": slot.at.isoformat(),
        }
        with tracer.span(correlation, DECISION, parent=TICK, **told) as noted:
            record = instance.get_run_record_by_id(run_id)
            if record is not None:
                asked = nanoseconds_of(record.create_timestamp.astimezone(UTC))
                tracer.record(Span(correlation, LAUNCH, LAUNCH, TICK, asked, noted.begun_ns, {"desk.run": run_id}))
            yield _traced(lane, steps)


def _traced(lane: Traced, steps: Steps) -> Traced:
    reasoner = cast("Reasoner", TracedReasoner(lane.counsel.reasoner, steps))
    ports = {
        "ledger": TracedLedger(lane.ledger, steps),
        "counsel": replace(lane.counsel, reasoner=reasoner),
        "seal": _timed(lane.seal, steps),
    }
    return cast("Traced", replace(cast("Any", lane), **ports))


def _timed(seal: "Callable[[Sequence[ToSeal]], None]", steps: Steps) -> "Callable[[Sequence[ToSeal]], None]":
    def timed(approved: "Sequence[ToSeal]") -> None:
        with steps.step("seal") as told:
            told["desk.intents"] = len(approved)
            seal(approved)

    return timed


class TracedLedger:
    """A book's ledger whose snapshots are looks, and whose transactions judge a slot or settle a session."""

    def __init__(self, ledger: "OrderLedger", steps: Steps) -> None:
        self._ledger = ledger
        self._steps = steps

    @contextmanager
    def reading(self) -> "Iterator[LedgerSession]":
        """See the port."""
        with self._steps.step("look"), self._ledger.reading() as session:
            yield session

    @contextmanager
    def session(self) -> "Iterator[LedgerSession]":
        """See the port."""
        tracer, begun_ns = self._steps.tracer, self._steps.tracer.now_ns()
        error = ""
        watched: _Watched | None = None
        try:
            with self._ledger.session() as session:
                watched = _Watched(session)
                yield cast("LedgerSession", watched)
        except BaseException as failed:
            error = f"{type(failed).__name__}: {failed}"
            raise
        finally:
            told = watched.told if watched is not None else {}
            name = "judge" if told else "settle"
            correlation, key = self._steps.correlation, self._steps.key(name)
            tracer.record(Span(correlation, name, key, DECISION, begun_ns, tracer.now_ns(), told, error))


class _Watched:
    """A ledger's transaction that remembers what was decided in it."""

    def __init__(self, session: "LedgerSession") -> None:
        self._session = session
        self.told: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def add_decision(self, decision: Any, *arguments: Any, **named: Any) -> Any:
        """See the port."""
        self.told = {
            "desk.state": decision.state,
            "desk.plans": decision.plans,
            "desk.vetoes": decision.vetoes,
            "desk.reason": decision.reason,
        }
        return self._session.add_decision(decision, *arguments, **named)


class TracedReasoner:
    """A reasoner whose rounds are spans, with one below for each question: its route, model, tokens, price and time.

    A question's span begins with its round and is as long as its answer took; how long it waited for a place is not known.
    """

    def __init__(self, reasoner: "Reasoner", steps: Steps) -> None:
        self._reasoner = reasoner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reasoner, name)

    def ask(
        self, role: "Role[Any, Any]", inputs: Any, *, budget: "Budget", as_of: datetime
    ) -> "Answer[Any] | Abstention":
        """See the port."""
        with self._round([role]) as said:
            found = self._reasoner.ask(role, inputs, budget=budget, as_of=as_of)
            said.append(found)
        return found

    def ask_many(
        self, role: "Role[Any, Any]", questions: Sequence[Any], *, budget: Any, as_of: Sequence[datetime]
    ) -> "Sequence[Answer[Any] | Abstention]":
        """See the port."""
        with self._round([role] * len(questions)) as said:
            found = self._reasoner.ask_many(role, questions, budget=budget, as_of=as_of)
            said.extend(found)
        return found

    def gather(
        self, asks: "Sequence[Ask[Any, Any]]", *, within: timedelta | None = None
    ) -> "Sequence[Answer[Any] | Abstention]":
        """See the port."""
        with self._round([ask.role for ask in asks]) as said:
            found = self._reasoner.gather(asks, within=within)
            said.extend(found)
        return found

    def _round(self, roles: "Sequence[Role[Any, Any]]") -> "AbstractContextManager[list[Answer[Any] | Abstention]]":
        return self._asked(roles)

    @contextmanager
    def _asked(self, roles: "Sequence[Role[Any, Any]]") -> "Iterator[list[Answer[Any] | Abstention]]":
        said: list[Any] = []
        steps = self._steps
        key = steps.key("think")
        attributes = {"desk.questions": len(roles)}
        with steps.tracer.span(steps.correlation, "think", key=key, parent=DECISION, **attributes) as noted:
            yield said
            for number, (role, answer) in enumerate(zip(roles, said, strict=True), 1):
                self._question(f"{key}/{number}", key, role, answer, noted.begun_ns)

    def _question(self, key: str, parent: str, role: "Role[Any, Any]", answer: Any, begun_ns: int) -> None:
        told = _told_of(answer)
        ended = begun_ns + int(told.get("desk.latency_ms", 0)) * _NS_PER_MS
        name, error = f"ask {role.skill}", str(getattr(answer, "reason", ""))
        self._steps.tracer.record(Span(self._steps.correlation, name, key, parent, begun_ns, ended, told, error))


def _told_of(answer: Any) -> Mapping[str, Any]:
    """Route, model, tokens and price; the names of the generative-AI conventions where those have one."""
    failed = ",".join(f"{each.route} {each.reason}" for each in answer.failed)
    if not hasattr(answer, "route"):
        return {"desk.abstained": True, "desk.failed": failed}
    return {
        "desk.route": answer.route,
        "gen_ai.request.model": answer.model,
        "gen_ai.usage.input_tokens": answer.usage.input_tokens,
        "gen_ai.usage.output_tokens": answer.usage.output_tokens,
        "desk.cached_tokens": answer.usage.cached_tokens,
        "desk.cost_usd": float(answer.cost_usd),
        "desk.latency_ms": answer.latency_ms,
        "desk.cached": answer.cached,
        "desk.failed": failed,
    }
