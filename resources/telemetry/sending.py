"""Spans of an intent between its seals and its fills, from the transactions that the gateway makes on the way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resources.ledger.dispatch import SqlDispatch
from resources.telemetry.logs import intents_known
from resources.telemetry.spans import DECISION, OFF, Span, Tracer
from trading_assets.broker.lifecycle import Booked, Change, LegChanged
from trading_assets.execution.dispatch import NewLeg, Waiting
from trading_assets.execution.journaling import decision_id
from trading_assets.signatures.model import Verdict

_REMEMBERED_MAX = 1_000
_TOLD = frozenset({"working", "held", "filled"})


@dataclass
class _Way:
    """What is known of one intent on its way: when it was seen first, when its orders were written."""

    correlation: str
    symbol: str
    seen_ns: int
    submitted_ns: int = 0
    legs: tuple[str, ...] = ()
    acknowledged: bool = False


class TracedDispatch(SqlDispatch):
    """The gateway's store, which notes when it made each transaction; its own intents, which no decision made, have no trace."""

    def __init__(self, *arguments: Any, tracer: Tracer = OFF, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._tracer = tracer
        self._ways: dict[str, _Way] = {}
        self._intent_of_leg: dict[str, str] = {}

    def waiting(self) -> Sequence[Waiting]:
        """See the port."""
        found = super().waiting()
        for each in found:
            if each.intent.id not in self._ways:
                self._remember(each)
        return found

    def accept(self, intent_id: str, *, token: int, as_of: datetime) -> None:
        """See the port."""
        with self._span(intent_id, "accept"):
            super().accept(intent_id, token=token, as_of=as_of)

    def submit(self, intent_id: str, legs: Sequence[NewLeg], *, token: int, as_of: datetime) -> None:
        """See the port. The socket is written right after it."""
        with self._span(intent_id, "submit"):
            super().submit(intent_id, legs, token=token, as_of=as_of)
        if (way := self._ways.get(intent_id)) is not None:
            way.submitted_ns = self._tracer.now_ns()
            way.legs = tuple(leg.request.key for leg in legs)
            self._intent_of_leg.update(dict.fromkeys(way.legs, intent_id))

    def sent(self, intent_id: str, total_bytes: int, *, as_of: datetime) -> None:
        """See the port."""
        way = self._ways.get(intent_id)
        if way is not None and way.submitted_ns:
            self._record(intent_id, way, "socket", way.submitted_ns, bytes=total_bytes)
            self._record(intent_id, way, "dispatch", way.seen_ns, outcome="sent")
        super().sent(intent_id, total_bytes, as_of=as_of)

    def refuse(self, intent_id: str, verdict: Verdict, *, as_of: datetime) -> None:
        """See the port."""
        super().refuse(intent_id, verdict, as_of=as_of)
        controls = ",".join(breach.control for breach in verdict.breaches)
        self._ended(intent_id, "refused", controls=controls)

    def expire(self, intent_id: str, why: str, *, as_of: datetime) -> None:
        """See the port."""
        super().expire(intent_id, why, as_of=as_of)
        self._ended(intent_id, "expired", why=why)

    def apply(self, changes: Sequence[Change], *, token: int, as_of: datetime) -> Sequence[Change]:
        """See the port."""
        new = super().apply(changes, token=token, as_of=as_of)
        if self._tracer.is_on:
            for change in new:
                self._note(change)
        return new

    def _note(self, change: Change) -> None:
        if isinstance(change, LegChanged) and change.state in _TOLD:
            intent_id = self._intent_of_leg.get(change.key, "")
            way = self._ways.get(intent_id)
            if way is not None and not way.acknowledged:
                way.acknowledged = True
                self._record(intent_id, way, "ack", way.submitted_ns, state=change.state)
        elif isinstance(change, Booked) and (way := self._ways.get(change.intent_id)) is not None:
            told: Mapping[str, Any] = {
                "shares": str(change.execution.quantity),
                "price_usd": str(change.execution.price),
                "side": change.execution.side,
            }
            key = f"fill/{change.intent_id}/{change.execution.exec_id}"
            self._record(change.intent_id, way, "fill", way.submitted_ns or way.seen_ns, key=key, **told)

    def _remember(self, each: Waiting) -> None:
        """The newest intents only: a process that lives for weeks must not grow by what it did."""
        while len(self._ways) >= _REMEMBERED_MAX:
            for leg in self._ways.pop(next(iter(self._ways))).legs:
                self._intent_of_leg.pop(leg, None)
        correlation = decision_id(self._book, each.intent.session, each.intent.slot)
        self._ways[each.intent.id] = _Way(correlation, each.intent.plan.symbol, self._tracer.now_ns())
        intents_known.note(each.intent.id, correlation)

    @contextmanager
    def _span(self, intent_id: str, name: str) -> Iterator[None]:
        way = self._ways.get(intent_id)
        if way is None:
            yield
            return
        named = {"key": f"{name}/{intent_id}", "parent": f"dispatch/{intent_id}"}
        with self._tracer.span(way.correlation, name, **named, **_said(intent_id, way)):
            yield

    def _ended(self, intent_id: str, outcome: str, **told: str) -> None:
        way = self._ways.get(intent_id)
        if way is not None:
            self._record(intent_id, way, "dispatch", way.seen_ns, outcome=outcome, **told)

    def _record(self, intent_id: str, way: _Way, name: str, begun_ns: int, *, key: str = "", **told: Any) -> None:
        parent = DECISION if name == "dispatch" else f"dispatch/{intent_id}"
        attributes = {**_said(intent_id, way), **{f"desk.{word}": value for word, value in told.items()}}
        ended = self._tracer.now_ns()
        self._tracer.record(
            Span(way.correlation, name, key or f"{name}/{intent_id}", parent, begun_ns, ended, attributes)
        )


def _said(intent_id: str, way: _Way) -> dict[str, Any]:
    return {"desk.intent": intent_id, "desk.symbol": way.symbol}
