"""The money of one route's attempt: each request is reserved in every pocket before it is sent and settled once after it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from resources.ledger.records import Counted
from resources.llm.prices import Bill, input_tokens_bound, most_of, output_tokens_within
from resources.llm.recording import Candidate
from resources.llm.stores import Stores, insisting
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Clock
from trading_assets.reasoning.model import Budget, Outcome, Usage
from trading_assets.reasoning.ports import AnswerRecord, BreakerPolicy, FinishedCall, Gate, OverBudget, PlannedCall

NOTHING = Decimal(0)
ERROR_MAX = 500
WORDS_MAX = 4_000
GRACE = timedelta(seconds=60)  # between a route's timeout and the sweep that takes its caller for dead


class NotAsked(Exception):
    """No request is sent, and why not: a route passed over, which is no failure of the route."""


@dataclass(frozen=True, slots=True)
class TokenRange:
    """Output tokens that a request may use at most, and without which it is not worth sending."""

    most: int
    least: int


@dataclass(frozen=True, slots=True)
class Purpose:
    """What every request of a question is paid for."""

    budget: Budget
    skill: str
    skill_hash: str
    cap_usd: Decimal | None
    tokens: TokenRange
    policy: BreakerPolicy


@dataclass(frozen=True, slots=True)
class Heard:
    """What a request brought back; `words` is the raw answer. No bill: what it cost is not known.

    `in_cache` are the input tokens that the provider read from its prompt cache or wrote to it, where the next such prompt finds
    them.
    """

    bill: Bill | None
    latency_ms: int
    served_by: str
    words: str
    in_cache: int = 0

    @property
    def usage(self) -> Usage:
        """The tokens."""
        return self.bill.usage if self.bill else Usage()


@dataclass(frozen=True, slots=True)
class Price:
    """What something costs, USD; a subscription's call costs nothing and has a list price."""

    cost_usd: Decimal = NOTHING
    shadow_usd: Decimal = NOTHING

    def __add__(self, other: Price) -> Price:
        return Price(self.cost_usd + other.cost_usd, self.shadow_usd + other.shadow_usd)


@dataclass
class Spent:
    """What one question has cost so far over all its routes."""

    price: Price = Price()


@dataclass
class _Request:
    reservation: str
    reserved: Price
    at: datetime
    sent: bool = False
    heard: Heard | None = None


@dataclass
class Meter:
    """Books what one candidate is asked for one question."""

    stores: Stores
    clock: Clock
    purpose: Purpose
    candidate: Candidate
    key: str
    spent: Spent
    gate: Gate | None = field(default=None, init=False)
    heard: Heard | None = field(default=None, init=False)
    _open: _Request | None = field(default=None, init=False)

    def reserve(self, text: str, *, after: str = "") -> int:
        """Reserves a request with this text and returns the output tokens that it may use.

        A request before it is settled as malformed with the complaint `after`: nobody asks again after a good answer.

        Raises:
            NotAsked: the price is unknown, the breaker is open, or a pocket is too small.
        """
        if self._open is not None:
            self.settle("malformed", after)
        at, bound = self.clock.now(), input_tokens_bound(text)
        tokens = self.purpose.tokens.most
        most = self._most(bound, tokens, at)
        self._pass_breaker(at)
        if most > self._cap_left or self._take(most, at) is not None:
            tokens = self._fewer_tokens(bound, at)
            over = self._take(self._most(bound, tokens, at), at)
            if over is not None:
                raise NotAsked(f"budget: {over.sentence}")
        return tokens

    def _take(self, amount_usd: Decimal, at: datetime) -> OverBudget | None:
        """Reserves the amount in every pocket, or says which one is too small."""
        request = _Request(uuid.uuid4().hex, Price(amount_usd), at)
        hold = timedelta(seconds=self.candidate.route.timeout_s) + GRACE
        over = self.stores.costs.reserve(self._planned(request), amount_usd, as_of=at, hold=hold)
        if over is None:
            self._open = request
        return over

    @property
    def reserved_at(self) -> datetime:
        """The moment whose prices hold for the open request."""
        return self._open.at if self._open else self.clock.now()

    @property
    def waiting(self) -> bool:
        """Whether a request is under way that nothing came back from."""
        return self._open is not None and self._open.sent and self._open.heard is None

    def sending(self) -> None:
        """From here on the request may be charged."""
        if self._open is not None:
            self._open.sent = True

    def hear(self, heard: Heard) -> None:
        """The request brought an answer, good or bad, which is charged by its tokens."""
        self.heard = heard
        if self._open is not None:
            self._open.heard = heard

    def settle(self, outcome: Outcome, error: str = "", *, free: bool = False) -> None:
        """Books the open request, if there is one, and frees the rest of its reserve.

        An answer costs its tokens; without one the whole reserve is booked unless the request is known to be `free`.
        """
        if self._open is not None:
            self._finish(self._open, outcome, error, free=free, answer_of=None)

    def keep(self, answer_of: Callable[[Price, Heard], AnswerRecord]) -> AnswerRecord:
        """Books the good answer and records it in one transaction; what comes back is the record that stands.

        That is another process's, where it answered the same question first: whoever acts on it acts on what a replay says.
        """
        request = self._open
        if request is None or request.heard is None:
            raise PermanentFailure("an answer that nobody gave cannot be kept", value=self.key)
        kept = self._finish(request, "ok", "", free=False, answer_of=answer_of)
        if kept is None:
            raise PermanentFailure("the ledger kept no answer", value=self.key)
        return kept

    def _finish(
        self,
        request: _Request,
        outcome: Outcome,
        error: str,
        *,
        free: bool,
        answer_of: Callable[[Price, Heard], AnswerRecord] | None,
    ) -> AnswerRecord | None:
        price, heard = self._charged(request, free=free), request.heard
        answer = answer_of(self.spent.price + price, heard) if answer_of and heard else None
        finished = FinishedCall(
            outcome=outcome,
            usage=heard.usage if heard else Usage(),
            cost_usd=price.cost_usd,
            shadow_usd=price.shadow_usd,
            latency_ms=heard.latency_ms if heard else 0,
            error=_in_short(error, heard, outcome),
        )
        kept = insisting(
            lambda: self.stores.costs.finish(
                request.reservation, finished, as_of=self.clock.now(), answer=answer, counted=self._counted(finished)
            )
        )
        self._open = None
        self.spent.price += price
        return kept

    def _counted(self, finished: FinishedCall) -> Counted:
        good = finished.outcome == "ok"
        return Counted(
            agent=self.purpose.skill,
            route=self.candidate.route.name,
            day=self.purpose.budget.day,
            answers=int(good),
            failures=int(not good),
            cost_usd=finished.cost_usd,
            latency_ms=finished.latency_ms,
        )

    def _charged(self, request: _Request, *, free: bool) -> Price:
        if request.heard is not None and request.heard.bill is not None:
            return Price(request.heard.bill.cost_usd, request.heard.bill.shadow_usd)
        return Price() if free or not request.sent else request.reserved

    def _fewer_tokens(self, bound: int, at: datetime) -> int:
        """The output tokens that the money lasts for, fewer than the settings would allow."""
        left = min(self.stores.costs.left(self.purpose.budget), self._cap_left)
        tokens = output_tokens_within(self.candidate.route, self.candidate.model, left, bound, at=at)
        tokens, least = min(tokens, self.purpose.tokens.most), self.purpose.tokens.least
        if tokens < least:
            raise NotAsked(f"budget: {left:f} USD left pay for {tokens} output tokens, at least {least} are wanted")
        return tokens

    def _most(self, input_tokens: int, output_tokens: int, at: datetime) -> Decimal:
        most = most_of(self.candidate.route, self.candidate.model, input_tokens, output_tokens, at=at)
        if most is None:
            raise NotAsked("the price is unknown")
        return most

    @property
    def _cap_left(self) -> Decimal:
        """What the skill's own cap leaves for this question, USD."""
        cap = self.purpose.cap_usd
        return Decimal("Infinity") if cap is None else max(NOTHING, cap - self.spent.price.cost_usd)

    def _pass_breaker(self, at: datetime) -> None:
        if self.gate is None:
            gate = self.stores.breakers.acquire(self.candidate.route.name, self.purpose.policy, as_of=at)
            if gate == "open":
                raise NotAsked("the breaker is open")
            self.gate = gate

    def _planned(self, request: _Request) -> PlannedCall:
        purpose, candidate = self.purpose, self.candidate
        return PlannedCall(
            reservation=request.reservation,
            budget=purpose.budget,
            skill=purpose.skill,
            skill_hash=purpose.skill_hash,
            route=candidate.route.name,
            model=candidate.model,
            answer_key=self.key,
        )


def _in_short(error: str, heard: Heard | None, outcome: Outcome) -> str:
    """The error with the raw answer behind it, so that a bad answer can be read later."""
    if outcome == "ok" or heard is None or not heard.words:
        return error[:ERROR_MAX]
    return f"{error[:ERROR_MAX]} | the answer was: {heard.words[:WORDS_MAX]}"
