"""How the questions of a batch ended, and their settling: one transaction settles, records and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from resources.ledger.answers import stand
from resources.ledger.costs import settle_call
from resources.ledger.records import Counted, add_counts
from resources.ledger.text import canonical
from resources.llm.batch_rows import BatchRow, StoredRequest
from resources.llm.failures import failure_of
from resources.llm.prices import bill_of
from resources.llm.recording import Recorded
from resources.llm.routes import OpenRoute
from trading_assets.reasoning.model import Outcome, Usage
from trading_assets.reasoning.ports import AnswerRecord, FinishedCall

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models.batch import BatchResult

    from resources.llm.guarded import RouteModel

_NOTHING = Decimal(0)
# The value to record for a key's raw answer, or the complaint about it.
Judge = Callable[[str, str], Mapping[str, Any] | str]


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A question of a batch that got no answer that can be recorded."""

    key: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What a batch brought: the keys that are recorded now, the questions that are not, and what it cost, USD."""

    recorded: tuple[str, ...]
    unrecorded: tuple[Unrecorded, ...]
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one question ended; `value` is what is to be recorded."""

    outcome: Outcome
    reason: str
    usage: Usage
    cost_usd: Decimal
    value: Mapping[str, Any] | None = None
    served_by: str = ""


def verdict_on(
    route: OpenRoute, model: RouteModel, row: BatchRow, place: int, result: BatchResult | None, judge: Judge
) -> Verdict:
    """How one question ended. What never ran costs nothing, an answer costs its tokens, and what nobody knows the whole reserve."""
    from pydantic_ai.exceptions import AgentRunError
    from pydantic_ai.models.batch import BatchRequest

    one = row.requests[place]
    if result is None:
        return Verdict("lost", "the batch ended without a result for it", Usage(), one.reserved_usd)
    if result.status in {"expired", "canceled"}:
        return Verdict("unreachable", f"the question {result.status} before it was asked", Usage(), _NOTHING)
    try:
        response = model.batch_decode(result, BatchRequest(custom_id=result.custom_id, messages=[]))
    except AgentRunError as error:
        failure = failure_of(error)
        if failure is None:
            raise
        # An error instead of an answer costs nothing; an answer that cannot be read costs nobody knows what.
        cost = _NOTHING if result.status == "errored" else one.reserved_usd
        return Verdict(failure.outcome, failure.reason, Usage(), cost)
    return _of_response(route, row, one, response, judge)


def _of_response(route: OpenRoute, row: BatchRow, one: StoredRequest, response: ModelResponse, judge: Judge) -> Verdict:
    bill = bill_of(route.settings, row.ticket.model, response, at=row.ticket.at, batch=True)
    usage, cost = (bill.usage, bill.cost_usd) if bill else (Usage(), one.reserved_usd)
    served_by = response.model_name or ""
    if response.finish_reason == "content_filter":
        return Verdict("refused", "the model declined to answer", usage, cost)
    if response.finish_reason == "length":
        return Verdict("truncated", "the answer was cut off at the limit of output tokens", usage, cost)
    judged = judge(one.key, response.text or "")
    if isinstance(judged, str):
        return Verdict("malformed", judged, usage, cost)
    return Verdict("ok", "", usage, cost, judged, served_by)


def book(connection: sa.Connection, row: BatchRow, place: int, verdict: Verdict, as_of: datetime) -> None:
    """Settles one question, records its answer and counts for the agent's health."""
    one = row.requests[place]
    finished = FinishedCall(verdict.outcome, verdict.usage, verdict.cost_usd, _NOTHING, 0, verdict.reason)
    good = verdict.value is not None
    if settle_call(connection, row.reservation(place), finished, as_of=as_of):
        day = date.fromisoformat(one.day)
        counted = Counted(one.skill, row.ticket.route, day, int(good), 0, int(not good), verdict.cost_usd)
        add_counts(connection, [counted], as_of=as_of)
    if verdict.value is not None:
        stand(connection, _record(row, one, verdict), as_of=as_of)


def _record(row: BatchRow, one: StoredRequest, verdict: Verdict) -> AnswerRecord:
    recorded = Recorded(
        value=dict(verdict.value or {}),
        served_by=verdict.served_by,
        input_tokens=verdict.usage.input_tokens,
        cached_tokens=verdict.usage.cached_tokens,
        output_tokens=verdict.usage.output_tokens,
        cost_usd=verdict.cost_usd,
    )
    response = canonical(recorded.model_dump(mode="json"))
    return AnswerRecord(one.key, row.ticket.route, row.ticket.model, one.skill, one.skill_hash, one.request, response)


def summed(row: BatchRow, verdicts: Sequence[Verdict]) -> Collected:
    """What the batch brought, in the order of its questions."""
    pairs = list(zip(row.requests, verdicts, strict=True))
    return Collected(
        recorded=tuple(one.key for one, verdict in pairs if verdict.value is not None),
        unrecorded=tuple(
            Unrecorded(one.key, verdict.outcome, verdict.reason) for one, verdict in pairs if verdict.value is None
        ),
        cost_usd=sum((verdict.cost_usd for verdict in verdicts), _NOTHING),
    )
