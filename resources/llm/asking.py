"""Asking models, one after the other, until one answers; and what the rules say when none does.

A route that failed as a route (it hung, refused the key, broke off) is not asked again for the same question; a bad or refused
answer, and a budget that is too small, lead to the next model all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from pydantic import BaseModel
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

from resources.ledger.records import Counted
from resources.llm.exchange import Exchange, Malformed, Manner, manner_of
from resources.llm.failures import Failure, failure_of
from resources.llm.guarded import RouteModel
from resources.llm.inquiry import Inquiry, answered, replayed, ruled
from resources.llm.keys import scrubbed
from resources.llm.meter import Heard, Meter, NotAsked, Price, Purpose, Spent
from resources.llm.recording import Candidate, Recorded, record_of
from resources.llm.routes import OpenRoute, model_of
from resources.llm.stores import Stores, insisting
from trading_assets.core.ports import Clock
from trading_assets.reasoning.model import Abstention, Answer, Attempt, In, Out, RouteName
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings


@dataclass
class _Tried:
    """One question on its way through the candidates."""

    spent: Spent = field(default_factory=Spent)
    failed: list[Attempt] = field(default_factory=list)
    given_up: set[RouteName] = field(default_factory=set)

    def note(self, candidate: Candidate, reason: str) -> None:
        """A candidate did not answer."""
        self.failed.append(Attempt(candidate.route.name, candidate.model, reason))


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
        self._same: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer_all(self, inquiries: Sequence[Inquiry[In, Out]]) -> list[Answer[Out] | Abstention]:
        """The answers in the order of the questions; a failure lets what is in flight end and begins nothing more."""
        said: dict[int, Answer[Out] | Abstention] = {}
        waiting, failed = iter(enumerate(inquiries)), list[BaseException]()

        async def work() -> None:
            for place, inquiry in waiting:
                try:
                    said[place] = await self.answer(inquiry)
                except BaseException as error:
                    failed.append(error)
                    raise
                if failed:
                    return

        workers = [work() for _ in range(min(self._settings.in_flight_max, len(inquiries)))]
        await asyncio.gather(*workers, return_exceptions=True)
        if failed:
            raise failed[0]
        return [said[place] for place in range(len(inquiries))]

    async def answer(self, inquiry: Inquiry[In, Out]) -> Answer[Out] | Abstention:
        """The recorded answer, or a model's, or the rules'. The same question asked twice at once is paid once."""
        alike = inquiry.keys[0] if inquiry.keys else inquiry.rules_key
        lock = self._same.setdefault(alike, asyncio.Lock())
        async with lock, self._places:
            found = self._recorded(inquiry)
            if found is not None:
                return replayed(inquiry, found, self._registry)
            return await self._ask(inquiry)

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

    async def _ask(self, inquiry: Inquiry[In, Out]) -> Answer[Out] | Abstention:
        tried = _Tried()
        for candidate in inquiry.candidates:
            if candidate.route.name in tried.given_up:
                continue
            record = await self._try(inquiry, candidate, tried)
            if record is not None:
                return self._answered(inquiry, record, tried)
        record = self._by_rules(inquiry)
        return self._answered(inquiry, record, tried)

    def _answered(self, inquiry: Inquiry[In, Out], record: AnswerRecord, tried: _Tried) -> Answer[Out] | Abstention:
        return answered(
            inquiry, record, self._registry, price=tried.spent.price, failed=tuple(tried.failed), cached=False
        )

    def _by_rules(self, inquiry: Inquiry[In, Out]) -> AnswerRecord:
        """What the rules say, recorded under a key of its own: a replay says the same, no later question is answered by it."""
        value = ruled(inquiry.role, inquiry.inputs)
        recorded = Recorded(value=None if value is None else value.model_dump(mode="json"))
        record = record_of(None, inquiry.asked, recorded)
        return insisting(lambda: self._stores.answers.keep_first(record, as_of=self._clock.now()))

    async def _try(self, inquiry: Inquiry[In, Out], candidate: Candidate, tried: _Tried) -> AnswerRecord | None:
        """The record of the candidate's answer; None when it gave none, and `tried` says why."""
        missing = self._routes[candidate.route.name].missing
        if missing is not None:
            tried.note(candidate, missing)
            tried.given_up.add(candidate.route.name)
            return None
        meter = self._meter(inquiry, candidate, tried.spent)
        try:
            tokens_max = meter.reserve(inquiry.text)
            value = await (await self._exchange(inquiry, meter)).answer(tokens_max)
        except NotAsked as passed_over:
            if meter.gate == "trial":
                self._stores.breakers.give_back(candidate.route.name, as_of=self._clock.now())
            tried.note(candidate, str(passed_over))
            return None
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

    def _keep(self, inquiry: Inquiry[In, Out], meter: Meter, value: BaseModel) -> AnswerRecord:
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

        standing = meter.keep(record)
        self._stores.breakers.succeeded(meter.candidate.route.name, as_of=self._clock.now())
        return standing

    def _meter(self, inquiry: Inquiry[In, Out], candidate: Candidate, spent: Spent) -> Meter:
        purpose = Purpose(
            budget=inquiry.budget,
            skill=inquiry.skill.name,
            skill_hash=inquiry.asked.skill_hash,
            cap_usd=inquiry.skill.max_cost_usd,
            limits=self._settings.budget,
            policy=self._settings.breaker.policy,
        )
        return Meter(self._stores, self._clock, purpose, candidate, inquiry.key(candidate), spent)

    async def _exchange(self, inquiry: Inquiry[In, Out], meter: Meter) -> Exchange:
        """The question before its model; client and manner of asking are made at the first question of their kind."""
        candidate = meter.candidate
        client = (candidate.route.name, candidate.model)
        if client not in self._models:
            self._models[client] = model_of(self._routes[candidate.route.name], candidate.model)
        model, kind = self._models[client], (*client, inquiry.asked.schema)
        if kind not in self._manners:
            self._manners[kind] = await manner_of(model, candidate, inquiry)
        return Exchange(model, self._manners[kind], meter, inquiry)


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
