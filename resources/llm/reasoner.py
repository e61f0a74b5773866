"""The reasoner: asks a role's routes in order, inside the budget, once; from then on the record answers.

With `mode: rules` nothing is opened and nothing is written. With `replay_only` no model client is even imported: an answer stands
in the record, or the question raises.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from resources.llm.forecast import BillTooHigh, Forecast, forecast_of
from resources.llm.inquiry import Inquiry, prepare
from resources.llm.lookup import Lookup
from resources.llm.loop import LoopThread
from resources.llm.recording import REASONING_VERSION
from resources.llm.routes import OpenRoute, open_routes
from resources.llm.stores import Stores
from trading_assets.core.ports import Clock
from trading_assets.reasoning.baseline import by_rules
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, In, Out, Role
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings
from trading_assets.reasoning.skills import SkillSet, SkillShelf

if TYPE_CHECKING:
    from resources.llm.asking import ModelDesk

NOTHING = Decimal(0)
Said = Answer[Out] | Abstention


class DeskReasoner:
    """The Reasoner port over the routes of the settings.

    Args:
        settings: Mode, routes, budgets, breaker, masking.
        routes: The enabled routes, opened.
        shelf: The skills.
        stores: Opens what is kept in the ledger; not called with `mode: rules`.
        registry: What each model may know of the past.
        clock: The moment at which money is spent.
        code_version: Part of every record's key.
    """

    def __init__(
        self,
        settings: ReasoningSettings,
        *,
        routes: Sequence[OpenRoute],
        shelf: SkillShelf,
        stores: Callable[[], Stores],
        registry: ModelRegistry,
        clock: Clock,
        code_version: str = REASONING_VERSION,
    ) -> None:
        self._settings = settings
        self._routes = tuple(routes)
        self._shelf = shelf
        self._open_stores = stores
        self._opened: Stores | None = None
        self._registry = registry
        self._clock = clock
        self._version = code_version
        self._lock = threading.Lock()
        self._cycles = 0
        self._held: SkillSet | None = None
        self._loop = LoopThread("reasoner")
        self._models: ModelDesk | None = None

    @contextmanager
    def cycle(self) -> Iterator[SkillSet | None]:
        """One decision cycle: all its questions use the skills as they are now. Cycles that overlap share one set.

        The rules need no skills: with `mode: rules` none are read.
        """
        with self._lock:
            if self._cycles == 0 and self._settings.mode != "rules":
                self._held = self._shelf.take()
            self._cycles += 1
            held = self._held
        try:
            yield held
        finally:
            with self._lock:
                self._cycles -= 1
                if self._cycles == 0:
                    self._held = None

    def ask(self, role: Role[In, Out], inputs: In, *, budget: Budget, as_of: datetime) -> Said[Out]:
        """See the port; may be called from many threads.

        Raises:
            MissingAnswer: with `mode: replay_only`, no answer is recorded.
            DeskError: the ledger cannot be read or written; then nothing was sent that is not reserved.
        """
        return self.gather([Ask(role, inputs, budget, as_of)])[0]

    async def aask(self, role: Role[In, Out], inputs: In, *, budget: Budget, as_of: datetime) -> Said[Out]:
        """`ask` for callers with an event loop of their own."""
        return await asyncio.to_thread(partial(self.ask, role, inputs, budget=budget, as_of=as_of))

    def ask_many(
        self,
        role: Role[In, Out],
        questions: Sequence[In],
        *,
        budget: Budget | Sequence[Budget],
        as_of: Sequence[datetime],
    ) -> Sequence[Said[Out]]:
        """See the port; records are looked up all at once, the rest is asked, `in_flight_max` at a time.

        Raises:
            BillTooHigh: the questions of a backfill that are not recorded are expected to cost more than its pocket has left.
            MissingAnswer: with `mode: replay_only`, an answer is not recorded.
            DeskError: the ledger cannot be read or written.
        """
        if self._settings.mode == "rules":
            return [by_rules(role, inputs) for inputs in questions]
        return self.gather(_asks(role, questions, budget, as_of))

    def gather(
        self, asks: Sequence[Ask[Any, Any]], *, within: timedelta | None = None
    ) -> Sequence[Answer[Any] | Abstention]:
        """See the port; records are looked up all at once, the rest is asked, `in_flight_max` at a time, in panels where cheaper.

        Args:
            asks: Questions of any roles, each with its budget.
            within: How long each question may take from the moment at which it has a place among those in flight.

        Raises:
            BillTooHigh: see `ask_many`.
            MissingAnswer: with `mode: replay_only`, an answer is not recorded.
            DeskError: the ledger cannot be read or written.
        """
        if self._settings.mode == "rules":
            return [by_rules(ask.role, ask.inputs) for ask in asks]
        skills = self._skills()
        inquiries = self._inquiries(asks, skills)
        found = Lookup(inquiries, skills, self._stores, self._registry, panel_max=self._settings.panel_max)
        if self._replays or len(asks) > 1:
            found.look_up(rules=self._replays, as_of=self._clock.now())
        if self._replays:
            found.insist()
        elif found.missing:
            if len(asks) > 1:
                self._refuse_what_costs_too_much([inquiries[place] for place in found.missing])
            found.fill(self._loop.run(self._ask_all(found.jobs, within)))
        return found.answers

    def forecast(
        self,
        role: Role[In, Out],
        questions: Sequence[In],
        *,
        budget: Budget | Sequence[Budget],
        as_of: Sequence[datetime],
    ) -> Forecast:
        """The bill of the questions before the first call: how many are recorded already, what the others may cost.

        Nothing is reserved and nobody is asked. Without models (`mode: rules` or `replay_only`) there is nothing to pay.
        """
        if self._settings.mode == "rules":
            return Forecast(0, 0, len(questions), NOTHING, NOTHING)
        inquiries = self._inquiries(_asks(role, questions, budget, as_of), self._skills())
        found = self._stores.answers.find_many([inquiry.keys for inquiry in inquiries])
        missing = [inquiry for inquiry, record in zip(inquiries, found, strict=True) if record is None]
        return self._forecast(missing, replayed=len(inquiries) - len(missing))

    def close(self) -> None:
        """Cancels what is being asked, books it, and ends the thread."""
        with self._lock:
            models, self._models = self._models, None
        self._loop.close(models.close() if models is not None else None)

    def __enter__(self) -> DeskReasoner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _stores(self) -> Stores:
        with self._lock:
            if self._opened is None:
                self._opened = self._open_stores()
            return self._opened

    @property
    def _replays(self) -> bool:
        return self._settings.mode == "replay_only"

    def _skills(self) -> SkillSet:
        """Those of the cycle, or as they are now."""
        with self._lock:
            held = self._held
        return held or self._shelf.take()

    def _inquiries(self, asks: Sequence[Ask[Any, Any]], skills: SkillSet) -> list[Inquiry[Any, Any]]:
        return [
            prepare(
                ask.role,
                ask.inputs,
                settings=self._settings,
                skills=skills,
                budget=ask.budget,
                as_of=ask.as_of,
                version=self._version,
            )
            for ask in asks
        ]

    async def _ask_all(self, jobs: Sequence[Inquiry[Any, Any]], within: timedelta | None) -> list[Said[Any]]:
        return await self._model_desk().answer_all(jobs, within)

    def _model_desk(self) -> ModelDesk:
        """The models' side, opened at the first question: importing the clients takes seconds."""
        from resources.llm.asking import ModelDesk

        stores = self._stores
        with self._lock:
            if self._models is None:
                stores.costs.sweep(as_of=self._clock.now())
                self._models = ModelDesk(self._settings, self._routes, stores, self._registry, self._clock)
            return self._models

    def _refuse_what_costs_too_much(self, missing: Sequence[Inquiry[In, Out]]) -> None:
        if any(inquiry.budget.backfill for inquiry in missing):
            bill = self._forecast(missing, replayed=0)
            if bill.refusal is not None:
                raise BillTooHigh(
                    bill.refusal, value=f"{bill.usd_expected} USD", hint="ask about fewer, or raise budget.backfill_usd"
                )

    def _forecast(self, missing: Sequence[Inquiry[Any, Any]], *, replayed: int) -> Forecast:
        return forecast_of(
            missing,
            replayed=replayed,
            routes=() if self._replays else self._routes,
            limits=self._settings.budget,
            left_of=lambda pocket: self._stores.costs.pocket(pocket.name).left_of(pocket),
            at=self._clock.now(),
        )


def _asks(
    role: Role[In, Out], questions: Sequence[In], budget: Budget | Sequence[Budget], as_of: Sequence[datetime]
) -> list[Ask[In, Out]]:
    budgets = [budget] * len(questions) if isinstance(budget, Budget) else budget
    return [Ask(role, *each) for each in zip(questions, budgets, as_of, strict=True)]


def open_reasoner(
    settings: ReasoningSettings,
    *,
    engine: Callable[[], sa.Engine],
    shelf: SkillShelf,
    registry: ModelRegistry,
    environment: Mapping[str, str],
    clock: Clock,
) -> DeskReasoner:
    """A reasoner on a ledger, which is opened at the first question that needs it; keys come from the environment."""
    return DeskReasoner(
        settings,
        routes=open_routes(settings, environment),
        shelf=shelf,
        stores=lambda: Stores.on(engine()),
        registry=registry,
        clock=clock,
    )
