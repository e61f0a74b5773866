"""Questions about the past in batches, at half price: handed in by one process, collected by another, hours later.

Problem: a batch costs money from the moment that its provider has it, and the process that handed it in may die at any statement.
Decision: its row and its whole reserve stand in the ledger before the first byte is sent, and every question has a name that
follows from them. Whoever hands the same questions in again finds the row and goes on from there; a batch whose handing in was
cut off is looked for at its provider. Collecting settles and records a question in one transaction: it may be cut off and repeated.
Gap: only Anthropic's batches are supported; a batch whose handing in was cut off and that still runs cannot be told from a
stranger's of the same size until it ends, and counts as reserved until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from resources.ledger.answers import SqlAnswerBook
from resources.ledger.costs import SqlCostBook, settle_call
from resources.ledger.engine import reading, transaction
from resources.llm import batch_rows as rows
from resources.llm.batch_results import Collected, Judge, Unrecorded, Verdict, book, summed, verdict_on
from resources.llm.batch_rows import BatchRow, BatchTicket, PreparedRequest, StoredRequest
from resources.llm.failures import failure_of
from resources.llm.prices import input_tokens_bound, most_of
from resources.llm.recording import schema_of
from resources.llm.routes import OpenRoute, capabilities_of, model_of, output_of
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure, TransientFailure
from trading_assets.reasoning.model import Outcome, RouteName, Usage
from trading_assets.reasoning.ports import FinishedCall, OverBudget, PlannedCall

if TYPE_CHECKING:
    from pydantic_ai.models.batch import Batch, BatchRequest

    from resources.llm.guarded import RouteModel

__all__ = ["BatchTicket", "Batches", "Collected", "Judge", "PreparedRequest", "Unrecorded"]

# A batch runs for up to a day, its results stay for weeks; a reserve that nobody settles within this time counts as spent.
HOLD = timedelta(days=7)
# A request may take ten minutes at most, and a provider a while to show what it has taken.
LISTING_GRACE = timedelta(minutes=30)
# By how much the provider's clock and ours may differ.
CLOCKS_DIFFER = timedelta(days=1)
# A process needs seconds from the row to the first byte; after this time it is taken for dead.
ABANDONED_AFTER = timedelta(hours=1)
REQUESTS_MAX = 1_000
SUPPORTED: frozenset[RouteName] = frozenset({"anthropic"})
_AT_ONCE = 50
_NOTHING = Decimal(0)

T = TypeVar("T")


class Batches:
    """Batches of one ledger over its routes. Each method opens its connections and closes them again."""

    def __init__(self, engine: sa.Engine, routes: Sequence[OpenRoute]) -> None:
        self._engine = engine
        self._routes = {route.name: route for route in routes}
        self._costs = SqlCostBook(engine)

    def open(self) -> tuple[BatchTicket, ...]:
        """Batches that are not collected yet, oldest first."""
        with reading(self._engine) as connection:
            return tuple(row.ticket for row in rows.unfinished(connection))

    def submit(
        self, route: RouteName, model: str, prepared: Sequence[PreparedRequest], *, as_of: datetime
    ) -> BatchTicket | OverBudget | None:
        """Reserves the whole bill and hands the questions in; None when each of them has an answer or waits for one.

        Questions handed in before are not handed in again: their batch's ticket comes back. OverBudget: nothing was reserved.

        Raises:
            ConfigurationError: the route is not open, has no batches, or the model has no price.
            PermanentFailure: the provider refused the batch; its reserve is free again.
            TransientFailure: the provider cannot be reached, or whether it took the batch is not known; `poll` finds out.
        """
        opened = self._opened(route)
        self._check(prepared)
        wanted = self._unasked(route, model, prepared, as_of)
        if isinstance(wanted, BatchTicket):
            return wanted
        if not wanted:
            return None
        row = self._begin(opened, model, wanted, as_of)
        if row.ticket.state != "reserving":
            return row.ticket
        over = self._reserve(row, wanted, as_of)
        if over is not None:
            self._move(row, "refused")
            return over
        return asyncio.run(self._hand_in(opened, row, wanted, as_of))

    def poll(self, batch: str, *, as_of: datetime) -> BatchTicket:
        """How far the batch is; asks the provider where that can have changed.

        Raises:
            TransientFailure: the provider cannot be asked now.
            PermanentFailure: the provider does not know the batch any more.
        """
        row = self._load(batch)
        if row.ticket.state == "submitted":
            asyncio.run(self._ask_state(row))
        elif row.ticket.state == "submitting":
            asyncio.run(self._look_for(row, as_of))
        else:
            self._abandoned(row, as_of)
        return self._load(batch).ticket

    def collect(self, batch: str, judge: Judge, *, as_of: datetime) -> Collected:
        """Settles every question of an ended batch and records the good answers; doing it again changes nothing.

        Raises:
            TransientFailure: the batch has not ended, or its provider cannot be asked now.
        """
        row = self._load(batch)
        if row.ticket.state not in {"ended", "collected"}:
            raise TransientFailure(
                "the batch has not ended", value=f"{batch}: {row.ticket.state}", hint="poll it later"
            )
        verdicts = asyncio.run(self._results(row, judge))
        for first in range(0, len(verdicts), _AT_ONCE):
            places = range(first, min(first + _AT_ONCE, len(verdicts)))
            with transaction(self._engine) as connection:
                for place in places:
                    book(connection, row, place, verdicts[place], as_of)
        if row.ticket.state == "ended":
            self._move(row, "collected", collected=as_of)
        return summed(row, verdicts)

    def cancel(self, batch: str) -> BatchTicket:
        """Asks the provider to stop; what it has answered already is charged and can be collected when the batch has ended."""
        row = self._load(batch)
        if row.ticket.state == "submitted":
            asyncio.run(self._with(row, lambda model: model.batch_cancel(_handle(row.pending))))
        return row.ticket

    # Handing in

    def _opened(self, route: RouteName) -> OpenRoute:
        opened = self._routes.get(route)
        if opened is None or opened.missing is not None:
            missing = "it is not enabled" if opened is None else opened.missing
            raise ConfigurationError(f"route {route} cannot take a batch: {missing}")
        if route not in SUPPORTED:
            raise ConfigurationError(f"route {route} has no batches here", bound=", ".join(sorted(SUPPORTED)))
        return opened

    def _check(self, prepared: Sequence[PreparedRequest]) -> None:
        if len(prepared) > REQUESTS_MAX:
            raise PermanentFailure("a batch is too large", value=len(prepared), bound=REQUESTS_MAX)
        if len({one.key for one in prepared}) < len(prepared):
            raise PermanentFailure("a question stands twice in a batch")

    def _unasked(
        self, route: RouteName, model: str, prepared: Sequence[PreparedRequest], as_of: datetime
    ) -> list[PreparedRequest] | BatchTicket:
        """The questions that have no answer and wait in no batch; the ticket, when one batch holds exactly these."""
        found = SqlAnswerBook(self._engine).find_many([[one.key] for one in prepared])
        unanswered = [one for one, record in zip(prepared, found, strict=True) if record is None]
        with reading(self._engine) as connection:
            unfinished = rows.unfinished(connection)
        waiting = [row for row in unfinished if not self._abandoned(row, as_of)]
        asked = {one.key for one in unanswered}
        for row in waiting:
            same = {one.key for one in row.requests} == asked
            if same and (row.ticket.route, row.ticket.model) == (route, model):
                return unanswered if row.ticket.state == "reserving" else row.ticket
        elsewhere = {one.key for row in waiting for one in row.requests}
        return [one for one in unanswered if one.key not in elsewhere]

    def _abandoned(self, row: BatchRow, as_of: datetime) -> bool:
        """Frees a batch whose process died before it could send anything."""
        if row.ticket.state != "reserving" or as_of - row.ticket.at < ABANDONED_AFTER:
            return False
        self._release(row, "lost", "its process ended before it was handed in", as_of)
        return True

    def _begin(self, route: OpenRoute, model: str, wanted: Sequence[PreparedRequest], as_of: datetime) -> BatchRow:
        """The batch's row, with the most that each question can cost."""
        stored = [_stored(route, model, one, as_of) for one in wanted]
        identity = rows.identity_of(route.name, model, [one.key for one in wanted])
        with transaction(self._engine) as connection:
            standing = rows.newest(connection, identity)
            if standing is not None and standing.ticket.state in rows.OPEN:
                return standing
            return rows.insert(connection, rows.next_id(identity, standing), route.name, model, stored, as_of)

    def _reserve(self, row: BatchRow, wanted: Sequence[PreparedRequest], as_of: datetime) -> OverBudget | None:
        place_of = {one.key: place for place, one in enumerate(row.requests)}
        planned = [
            (_planned(row, place_of[one.key], one), row.requests[place_of[one.key]].reserved_usd) for one in wanted
        ]
        return self._costs.reserve_all(planned, as_of=as_of, hold=HOLD)

    async def _hand_in(
        self, route: OpenRoute, row: BatchRow, wanted: Sequence[PreparedRequest], as_of: datetime
    ) -> BatchTicket:
        async with _model(route, row.ticket.model) as model:
            place_of = {one.key: place for place, one in enumerate(row.requests)}
            asked = [await _as_asked(route, model, one, row.reservation(place_of[one.key])) for one in wanted]
            encoded = [await model.batch_encode(one) for one in asked]
            pending = {"group": encoded[0].group, "sent": as_of.isoformat()}
            if not self._move(row, "submitting", pending=pending):
                return self._load(row.ticket.id).ticket
            sending = self._load(row.ticket.id)
            try:
                handle = await model.batch_create(encoded)
            except Exception as error:
                known = self._not_taken(sending, error, as_of)
                if known is None:
                    raise
                raise known from error
            if not self._move(sending, "submitted", pending=_plain(handle)):
                # This process slept for longer than a request may take and was taken for dead: its money is free already.
                await model.batch_cancel(handle)
                raise TransientFailure("the batch was taken too late and is cancelled", value=handle.id)
        return self._load(row.ticket.id).ticket

    def _not_taken(self, row: BatchRow, error: Exception, as_of: datetime) -> DeskError | None:
        """The failure of handing in, None for a bug; frees the reserve where the provider certainly has no batch."""
        from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

        failure = failure_of(error)
        if failure is None:
            return None
        status = error.status_code if isinstance(error, ModelHTTPError) else 0
        unsent = isinstance(error, ModelConnectionError) and error.phase in {"pool", "connect"}
        if unsent or 400 <= status < 500:
            self._release(row, failure.outcome, failure.reason, as_of)
            kind: type[DeskError] = PermanentFailure if failure.outcome in _LASTING else TransientFailure
            return kind(f"the batch was not taken: {failure.reason}", value=row.ticket.id)
        return TransientFailure(
            f"whether the batch was taken is not known: {failure.reason}",
            value=row.ticket.id,
            hint="poll it; its money stays reserved until its provider has said",
        )

    def _release(self, row: BatchRow, outcome: Outcome, reason: str, as_of: datetime) -> None:
        """Frees the whole reserve of a batch that its provider does not have."""
        finished = FinishedCall(outcome, Usage(), _NOTHING, _NOTHING, 0, reason)
        with transaction(self._engine) as connection:
            if rows.move(connection, row, "refused"):
                for reservation in rows.reserved(connection, row):
                    settle_call(connection, reservation, finished, as_of=as_of)

    # Asking the provider

    async def _ask_state(self, row: BatchRow) -> None:
        handle = await self._with(row, lambda model: model.batch_status(_handle(row.pending)))
        self._move(row, "ended" if handle.status == "ended" else "submitted", pending=_plain(handle))

    async def _look_for(self, row: BatchRow, as_of: datetime) -> None:
        """Finds a batch whose handing in was cut off, by the names of its questions; frees it when its provider has none."""
        found = await self._with(row, lambda model: self._candidates(model, row))
        for handle, names in found:
            if names is not None and row.reservation(0) in names:
                self._move(row, "ended", pending=_plain(handle))
                return
        undecided = any(names is None for _, names in found)
        if not undecided and as_of - _sent(row) > LISTING_GRACE:
            self._release(row, "unreachable", "the provider has no such batch", as_of)

    async def _candidates(self, model: RouteModel, row: BatchRow) -> list[tuple[Batch, set[str] | None]]:
        """The provider's batches that may be this one, with the names of their questions once they have ended."""
        from resources.llm.batch_listing import listed

        with reading(self._engine) as connection:
            known = rows.provider_ids(connection)
        since = _sent(row) - CLOCKS_DIFFER
        found: list[tuple[Batch, set[str] | None]] = []
        async for handle in listed(model, row.ticket.model, str(row.pending["group"]), since=since):
            if handle.id in known or handle.request_count != len(row.requests):
                continue
            results = await model.batch_results(handle) if handle.status == "ended" else None
            found.append((handle, None if results is None else {result.custom_id for result in results}))
        return found

    async def _results(self, row: BatchRow, judge: Judge) -> list[Verdict]:
        """How each question of the batch ended, in their order."""
        async with _model(self._opened(row.ticket.route), row.ticket.model) as model:
            results = await _asking(model.batch_results(_handle(row.pending)))
            by_name = {result.custom_id: result for result in results}
            route = self._opened(row.ticket.route)
            return [
                verdict_on(route, model, row, place, by_name.get(row.reservation(place)), judge)
                for place in range(len(row.requests))
            ]

    async def _with(self, row: BatchRow, ask: Callable[[RouteModel], Awaitable[T]]) -> T:
        async with _model(self._opened(row.ticket.route), row.ticket.model) as model:
            return await _asking(ask(model))

    # Rows

    def _load(self, batch: str) -> BatchRow:
        with reading(self._engine) as connection:
            return rows.load(connection, batch)

    def _move(
        self,
        row: BatchRow,
        state: rows.State,
        *,
        pending: dict[str, Any] | None = None,
        collected: datetime | None = None,
    ) -> bool:
        with transaction(self._engine) as connection:
            return rows.move(connection, row, state, pending=pending, collected=collected)


_LASTING: frozenset[Outcome] = frozenset({"unauthorized", "rejected", "quota"})


@asynccontextmanager
async def _model(route: OpenRoute, name: str) -> AsyncIterator[RouteModel]:
    model = model_of(route, name)
    try:
        yield model
    finally:
        await model.aclose()


async def _asking(answer: Awaitable[T]) -> T:
    """The provider's answer; what it refuses in the desk's words."""
    from pydantic_ai.exceptions import ModelNotFoundError

    try:
        return await answer
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        if isinstance(error, ModelNotFoundError):
            raise PermanentFailure(f"the provider does not know the batch: {failure.reason}") from error
        raise TransientFailure(f"the provider cannot be asked: {failure.reason}", hint="try again later") from error


async def _as_asked(route: OpenRoute, model: RouteModel, one: PreparedRequest, name: str) -> BatchRequest:
    """The request exactly as the reasoner would send it live."""
    from pydantic_ai import Agent
    from pydantic_ai.models.batch import BatchRequest

    from resources.llm.batch_listing import Catcher, Caught

    agent = Agent(
        output_type=output_of(route.settings, model.model_name, one.output),
        capabilities=capabilities_of(route.settings),
    )
    try:
        await agent.run(
            one.user, model=Catcher(model), instructions=one.system, model_settings={"max_tokens": one.max_tokens}
        )
    except Caught as caught:
        return BatchRequest(
            custom_id=name,
            messages=caught.messages,
            model_settings=caught.settings,
            model_request_parameters=caught.parameters,
        )
    raise PermanentFailure("the agent asked nothing", value=one.key)


def _stored(route: OpenRoute, model: str, one: PreparedRequest, as_of: datetime) -> StoredRequest:
    bound = input_tokens_bound("\n".join((one.system, one.user, schema_of(one.output))))
    most = most_of(route.settings, model, bound, one.max_tokens, at=as_of, batch=True)
    if most is None:
        raise ConfigurationError(f"model {model} has no price", hint="name another model in config/reasoning.yaml")
    return StoredRequest(one.key, one.skill, one.skill_hash, one.request, one.budget.day.isoformat(), most)


def _planned(row: BatchRow, place: int, one: PreparedRequest) -> PlannedCall:
    ticket = row.ticket
    return PlannedCall(
        row.reservation(place), one.budget, one.skill, one.skill_hash, ticket.route, ticket.model, one.key
    )


def _sent(row: BatchRow) -> datetime:
    """When its handing in began."""
    return datetime.fromisoformat(row.pending["sent"])


def _plain(handle: Batch) -> dict[str, Any]:
    """The provider's handle as JSON."""
    from pydantic import TypeAdapter
    from pydantic_ai.models.batch import Batch as Handle

    dumped: dict[str, Any] = TypeAdapter(Handle).dump_python(handle, mode="json")
    return dumped


def _handle(pending: Mapping[str, Any]) -> Batch:
    """The provider's handle again."""
    from pydantic import TypeAdapter
    from pydantic_ai.models.batch import Batch as Handle

    return TypeAdapter(Handle).validate_python(pending)
