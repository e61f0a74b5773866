"""Asking models, one after the other, until one answers; and what the rules say when none does.

A route that failed as a route (it hung, refused the key, broke off) is not asked again for the same question; a bad or refused
answer, and a budget that is too small, lead to the next model all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from pydantic import BaseModel
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

from resources.ledger.records import Counted
from resources.llm.deadline import Deadline
from resources.llm.exchange import Exchange, Malformed, Manner, manner_of
from resources.llm.failures import Failure, failure_of
from resources.llm.guarded import RouteModel
from resources.llm.inquiry import Inquiry, answered
from resources.llm.keys import scrubbed
from resources.llm.meter import Heard, Meter, NotAsked, Price, Purpose, Spent, TokenRange
from resources.llm.panels import Panel, shares_of
from resources.llm.recording import RULES, Candidate, Recorded, record_of
from resources.llm.routes import OpenRoute, model_of
from resources.llm.stores import Stores, insisting
from resources.llm.thrift import cheaper_together, shared_tokens, tokens_for
from trading_assets.core.ports import Clock
from trading_assets.reasoning.baseline import ruled
from trading_assets.reasoning.model import Abstention, Answer, Attempt, In, Out, RouteName
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings

AnyInquiry = Inquiry[Any, Any]
Said = Answer[Any] | Abstention
# For how long a provider keeps a prompt in its cache, seconds; the desk asks for no longer time.
CACHED_S = 300.0


@dataclass
class _Tried:
    """One question on its way through the candidates, of which the first `passed_over` are not asked."""

    tokens: TokenRange
    within: timedelta | None = None
    deadline: Deadline | None = None
    passed_over: int = 0
    spent: Spent = field(default_factory=Spent)
    failed: list[Attempt] = field(default_factory=list)
    given_up: set[RouteName] = field(default_factory=set)

    def note(self, candidate: Candidate, reason: str) -> None:
        """A candidate did not answer."""
        self.failed.append(Attempt(candidate.route.name, candidate.model, reason))

    def begin(self) -> Deadline:
        """The time begins to run, unless it does already."""
        if self.deadline is None:
            self.deadline = Deadline.after(self.within)
        return self.deadline

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and self.deadline.passed


class ModelDesk:
    """Asks the routes' models; all of it runs on one event loop."""

    def __init__(
        self,
        settings: ReasoningSettings,
        routes: Sequence[OpenRoute],
        stores: Stores,
        registry: ModelRegistry,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._routes: Mapping[RouteName, OpenRoute] = {route.settings.name: route for route in routes}
        self._stores = stores
        self._registry = registry
        self._clock = clock
        self._models: dict[tuple[RouteName, str], RouteModel] = {}
        self._manners: dict[tuple[RouteName, str, str], Manner] = {}
        self._places = asyncio.Semaphore(settings.in_flight_max)
        self._cached: dict[tuple[str, ...], tuple[float, int]] = {}
        self._same: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer_all(self, jobs: Sequence[AnyInquiry], within: timedelta | None = None) -> list[Said]:
        """The answers of every question in order, those of a panel's items one after the other.

        Args:
            jobs: Questions and panels; a panel that is no cheaper than its items is asked item by item.
            within: How long each may take once it has a place among those in flight; then the rules answer for it.

        Raises:
            BaseException: the first failure; it lets what is in flight end and begins nothing more.
        """
        jobs = [each for job in jobs for each in self._as_is_cheaper(job)]
        tokens = shared_tokens(
            jobs, ready=self._ready, limits=self._settings.budget, left_of=self._stores.costs.left, at=self._clock.now()
        )
        said: dict[int, list[Said]] = {}
        waiting, failed = iter(enumerate(jobs)), list[BaseException]()

        async def work() -> None:
            for place, job in waiting:
                try:
                    said[place] = await self._said(job, _Tried(tokens[place], within))
                except BaseException as error:
                    failed.append(error)
                    raise
                if failed:
                    return

        workers = [work() for _ in range(min(self._settings.in_flight_max, len(jobs)))]
        await asyncio.gather(*workers, return_exceptions=True)
        if failed:
            raise failed[0]
        return [each for place in range(len(jobs)) for each in said[place]]

    async def _said(self, job: AnyInquiry, tried: _Tried) -> list[Said]:
        return await self._of_panel(job, tried) if isinstance(job, Panel) else [await self._of_one(job, tried)]

    async def _of_one(self, inquiry: Inquiry[In, Out], tried: _Tried) -> Answer[Out] | Abstention:
        """The recorded answer, or a model's, or the rules'."""
        record, cached = await self._record(inquiry, tried)
        price = tried.spent.price
        if record is not None:
            return answered(inquiry, record, self._registry, price=price, failed=tried.failed, cached=cached)
        return self._ruled(inquiry, tried, price)

    async def _of_panel(self, panel: Panel, tried: _Tried) -> list[Said]:
        """The items' answers; those that did not fit are asked alone, beginning with the next model."""
        record, cached = await self._record(panel, tried)
        prices = shares_of(tried.spent.price, panel.size)
        if record is None:
            return [self._ruled(item, tried, price) for item, price in zip(panel.items, prices, strict=True)]
        good = panel.said(record, self._registry, price=tried.spent.price, failed=tried.failed, cached=cached)
        rest = [place for place in range(panel.size) if place not in good]
        alone = [
            self._of_one(panel.items[place], self._left_over(panel, tried, record, prices[place])) for place in rest
        ]
        said: dict[int, Said] = dict(good)
        for place, found in zip(rest, await asyncio.gather(*alone, return_exceptions=True), strict=True):
            if isinstance(found, BaseException):
                raise found
            said[place] = found
        return [said[place] for place in range(panel.size)]

    def _left_over(self, panel: Panel, tried: _Tried, record: AnswerRecord, price: Price) -> _Tried:
        """An item that the panel did not answer, before it is asked alone: what it has cost, and who comes next."""
        answering = next(
            place
            for place, candidate in enumerate(panel.candidates)
            if (candidate.route.name, candidate.model) == (record.route, record.model)
        )
        alone = replace(tried, passed_over=answering + 1, spent=Spent(price), failed=list(tried.failed))
        alone.tokens, alone.given_up = tokens_for(panel.items[0], self._settings.budget), set(tried.given_up)
        alone.note(panel.candidates[answering], f"malformed: its answer in a panel of {panel.size} did not fit")
        return alone

    def _as_is_cheaper(self, job: AnyInquiry) -> Sequence[AnyInquiry]:
        if not isinstance(job, Panel):
            return [job]
        limits, now = self._settings.budget, self._clock.now()
        together = cheaper_together(job, ready=self._ready, limits=limits, in_cache=self._in_cache, at=now)
        return [job] if together else job.items

    @property
    def _ready(self) -> frozenset[RouteName]:
        """Routes that can be asked at all."""
        return frozenset(name for name, route in self._routes.items() if route.missing is None)

    def _in_cache(self, candidate: Candidate, inquiry: AnyInquiry) -> int:
        """Input tokens of such a question that an answer of the last minutes says are in the provider's cache."""
        at, tokens = self._cached.get(_kind(candidate, inquiry), (0.0, 0))
        return tokens if asyncio.get_running_loop().time() - at < CACHED_S else 0

    async def close(self) -> None:
        """Closes the models' connections."""
        models, self._models = self._models, {}
        for model in models.values():
            await model.aclose()

    def _recorded(self, inquiry: Inquiry[In, Out]) -> AnswerRecord | None:
        """The recorded answer, counted as a replay."""
        record = self._stores.answers.find(inquiry.keys)
        if record is not None:
            replay = Counted(record.skill, record.route, inquiry.budget.day, replays=1)
            self._stores.health.add([replay], as_of=self._clock.now())
        return record

    async def _record(self, job: AnyInquiry, tried: _Tried) -> tuple[AnswerRecord | None, bool]:
        """The record of an answer, and whether it stood before; None when no model answered, or none in time.

        The same question asked twice at once is paid once.
        """
        alike = job.keys[0] if job.keys else job.rules_key
        lock = self._same.setdefault(alike, asyncio.Lock())
        async with lock, self._places:
            deadline = tried.begin()
            try:
                async with asyncio.timeout_at(deadline.at) as clock:
                    found = self._recorded(job)
                    return (await self._ask(job, tried), False) if found is None else (found, True)
            except TimeoutError:
                if not clock.expired():
                    raise
                return None, False

    async def _ask(self, job: AnyInquiry, tried: _Tried) -> AnswerRecord | None:
        for candidate in job.candidates[tried.passed_over :]:
            if candidate.route.name in tried.given_up or tried.late:
                continue
            record = await self._try(job, candidate, tried)
            if record is not None:
                return record
        return None

    def _ruled(self, inquiry: Inquiry[In, Out], tried: _Tried, price: Price) -> Answer[Out] | Abstention:
        """What the rules say, recorded under a key of its own: a replay says the same, no later question is answered by it."""
        value = ruled(inquiry.role, inquiry.inputs)
        recorded = Recorded(value=None if value is None else value.model_dump(mode="json"))
        record = record_of(None, inquiry.asked, recorded)
        record = insisting(lambda: self._stores.answers.keep_first(record, as_of=self._clock.now()))
        failed, late = tried.failed, tried.deadline.sentence if tried.deadline and tried.late else ""
        if late and not any(late in attempt.reason for attempt in failed):
            failed = [*failed, Attempt(RULES, "", late)]
        said = answered(inquiry, record, self._registry, price=price, failed=failed, cached=False)
        if late and isinstance(said, Abstention):
            return replace(said, reason=f"{late}, and the rules have no opinion")
        return said

    async def _try(self, inquiry: AnyInquiry, candidate: Candidate, tried: _Tried) -> AnswerRecord | None:
        """The record of the candidate's answer; None when it gave none, and `tried` says why."""
        missing = self._routes[candidate.route.name].missing
        if missing is not None:
            tried.note(candidate, missing)
            tried.given_up.add(candidate.route.name)
            return None
        meter = self._meter(inquiry, candidate, tried)
        begun = asyncio.get_running_loop().time()
        try:
            tokens_max = meter.reserve(inquiry.text)
            value = await (await self._exchange(inquiry, meter)).answer(tokens_max)
        except NotAsked as passed_over:
            if meter.gate == "trial":
                self._stores.breakers.give_back(candidate.route.name, as_of=self._clock.now())
            tried.note(candidate, str(passed_over))
            return None
        except asyncio.CancelledError as cancelled:
            self._book_cancelled(meter, tried, begun, cancelled)
            raise
        except BaseException as error:
            failure = _failure(error)
            self._book_failure(meter, failure, error)
            if failure is None:
                raise
            tried.note(candidate, f"{failure.outcome}: {failure.reason}")
            if failure.counts or failure.open_now:
                tried.given_up.add(candidate.route.name)
            return None
        return self._keep(inquiry, meter, value)

    def _book_cancelled(self, meter: Meter, tried: _Tried, begun: float, cancelled: BaseException) -> None:
        """Settles what was cut off. Who had most of the time to answer in is at fault; another one may have begun too late."""
        deadline = tried.deadline
        if deadline is None or not deadline.passed:
            self._book_failure(meter, None, cancelled)
            return
        tried.note(meter.candidate, f"timeout: {deadline.sentence}")
        if meter.waiting and deadline.mostly_spent_since(begun):
            self._book_failure(meter, Failure("timeout", deadline.sentence, counts=True), cancelled)
            return
        meter.settle("lost", deadline.sentence)
        if meter.gate == "trial":
            self._stores.breakers.give_back(meter.candidate.route.name, as_of=self._clock.now())

    def _book_failure(self, meter: Meter, failure: Failure | None, error: BaseException) -> None:
        """Settles the request and tells the breaker; an unknown end may have been charged and counts as spent."""
        outcome = failure.outcome if failure else "lost"
        meter.settle(
            outcome, failure.reason if failure else scrubbed(repr(error)), free=failure is not None and _free(error)
        )
        if failure is not None and meter.gate is not None:
            self._tell_breaker(meter, failure)

    def _tell_breaker(self, meter: Meter, failure: Failure) -> None:
        route, breakers, now = meter.candidate.route.name, self._stores.breakers, self._clock.now()
        if failure.counts or failure.open_now:
            policy = self._settings.breaker.policy
            reason = f"{failure.outcome}: {failure.reason}"
            breakers.failed(route, policy, reason, as_of=now, at_least=failure.at_least, open_now=failure.open_now)
        else:
            breakers.succeeded(route, as_of=now)

    def _keep(self, inquiry: AnyInquiry, meter: Meter, value: BaseModel) -> AnswerRecord:
        """Books and records the answer, and closes the breaker."""

        def record(price: Price, heard: Heard) -> AnswerRecord:
            usage = heard.usage
            recorded = Recorded(
                value=value.model_dump(mode="json"),
                served_by=heard.served_by,
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.output_tokens,
                cost_usd=price.cost_usd,
                shadow_usd=price.shadow_usd,
                latency_ms=heard.latency_ms,
            )
            return record_of(meter.candidate, inquiry.asked, recorded)

        if meter.heard is not None:
            now = asyncio.get_running_loop().time()
            self._cached[_kind(meter.candidate, inquiry)] = (now, meter.heard.in_cache)
        standing = meter.keep(record)
        self._stores.breakers.succeeded(meter.candidate.route.name, as_of=self._clock.now())
        return standing

    def _meter(self, inquiry: AnyInquiry, candidate: Candidate, tried: _Tried) -> Meter:
        purpose = Purpose(
            budget=inquiry.budget,
            skill=inquiry.skill.name,
            skill_hash=inquiry.asked.skill_hash,
            cap_usd=inquiry.skill.max_cost_usd,
            tokens=tried.tokens,
            policy=self._settings.breaker.policy,
        )
        return Meter(self._stores, self._clock, purpose, candidate, inquiry.key(candidate), tried.spent)

    async def _exchange(self, inquiry: AnyInquiry, meter: Meter) -> Exchange:
        """The question before its model; client and manner of asking are made at the first question of their kind."""
        candidate = meter.candidate
        client = (candidate.route.name, candidate.model)
        if client not in self._models:
            self._models[client] = model_of(self._routes[candidate.route.name], candidate.model)
        model, kind = self._models[client], (*client, inquiry.asked.schema)
        if kind not in self._manners:
            self._manners[kind] = await manner_of(model, candidate, inquiry)
        return Exchange(model, self._manners[kind], meter, inquiry)


def _kind(candidate: Candidate, inquiry: AnyInquiry) -> tuple[str, ...]:
    """What a provider's prompt cache knows a prompt by."""
    return (candidate.route.name, candidate.model, inquiry.asked.prompt.system, inquiry.asked.schema)


def _failure(error: BaseException) -> Failure | None:
    """The failure in the desk's words; None for a bug or a cancellation, which go on to the caller."""
    if isinstance(error, Malformed):
        return Failure("malformed", str(error), counts=False)
    return failure_of(error)


def _free(error: BaseException) -> bool:
    """Whether nothing can have been charged: no connection was made, or the server answered with an error and no stream."""
    if isinstance(error, ModelConnectionError):
        return error.phase in {"pool", "connect"}
    return isinstance(error, ModelHTTPError) and not error.in_stream
