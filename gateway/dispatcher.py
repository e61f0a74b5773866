"""Signed intents on their way out: every seal and every control again, at the last moment, against the live market.

What may not go is refused once, with everything that is wrong with it. What waits for too long expires and is never sent late.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.brackets import Part, bracket, crossing, reducing, reduction, shares_of
from gateway.means import Means, Setup
from gateway.reducer import Reducer
from gateway.sender import Number, Sender, TooLate
from gateway.view import View, portfolio, positions
from trading_assets.broker.model import Contract, MarginImpact, OrderRequest, Side
from trading_assets.broker.ports import BrokerDown
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.dispatch import Waiting
from trading_assets.signatures.allowance import Surroundings
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.market_rules import furthest
from trading_assets.signatures.sending import AtSending
from trading_assets.signatures.signing import seals_problem

_LOG = logging.getLogger("desk.gateway")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What had to be asked for, and took time."""

    margin: MarginImpact | None
    second_price: Decimal | None


class Dispatcher:
    """Sends what is signed. One intent at a time; `account` says what is wrong with the account, empty when nothing is."""

    def __init__(
        self,
        setup: Setup,
        means: Means,
        sender: Sender,
        reducer: Reducer,
        view: View,
        account: Callable[[], str],
    ) -> None:
        self._setup = setup
        self._means = means
        self._sender = sender
        self._reducer = reducer
        self._view = view
        self._account = account

    def expire_all(self, why: str) -> None:
        """At start: whatever was on its way is not sent late."""
        for waiting in self._means.store.waiting():
            self._expire(waiting, why)

    async def dispatch(self) -> int:
        """Takes each waiting intent as far as it may go now; how many were sent."""
        sent = 0
        for waiting in self._means.store.waiting():
            why = self._too_old(waiting)
            if why:
                self._expire(waiting, why)
            elif waiting.state == "SIGNED" and self._view.link == "up":
                sent += await self._send_if_allowed(waiting)
        return sent

    def _too_old(self, waiting: Waiting) -> str:
        """An intent that was accepted and is still here was not sent when it should have been."""
        if waiting.state == "INTENT":
            return "it was accepted and not sent"
        now = self._means.clock.now()
        if waiting.state == "PROPOSED":
            age = now - waiting.decided_at
            limit = timedelta(seconds=self._setup.settings.rhythm.signature_seconds)
            return "" if age <= limit else f"decided {age.total_seconds():.0f} s ago and still not signed"
        ended = [seal for seal in waiting.seals if seal.expires_at < now]
        return "; ".join(f"the seal of {seal.signer} ended at {seal.expires_at.isoformat()}" for seal in ended)

    def _expire(self, waiting: Waiting, why: str) -> None:
        _LOG.warning("intent %s (%s) expires: %s", waiting.intent.id, waiting.intent.plan.symbol, why)
        self._means.store.expire(waiting.intent.id, why, as_of=self._means.clock.now())

    async def _send_if_allowed(self, waiting: Waiting) -> int:
        intent = waiting.intent
        if not intent.plan.opens and not self._has_price(intent.plan.symbol):
            return 0
        contract = await self._contract(intent.plan.symbol)
        number = self._number(waiting, contract) if contract is not None else None
        asked = await self._ask(waiting, number)
        now = self._means.clock.now()
        legs = number(1) if number is not None else ()
        sending = self._at_sending(waiting, asked, tuple(leg.request for leg in legs), now)
        verdict = judge_at_sending(intent.plan, self._around(now), sending)
        if verdict.ruling == "veto" or verdict.quantity < 1 or number is None:
            _LOG.warning("intent %s refused: %s", intent.id, "; ".join(verdict.sentences))
            self._means.store.refuse(intent.id, verdict, as_of=now)
            return 0
        return await self._send(waiting, number, now)

    async def _send(self, waiting: Waiting, number: Number, now: datetime) -> int:
        intent_id = waiting.intent.id
        self._means.points("before_accept")
        self._means.store.accept(intent_id, token=self._means.tenure.token, as_of=now)
        self._means.points("accepted")
        try:
            await self._sender.send(intent_id, number, written=self._renew)
        except TooLate as late:
            self._means.pager.page("critical", "unsent", str(late), as_of=self._means.clock.now())
            return 0
        except BrokerDown as down:
            _LOG.error("intent %s: %s", intent_id, down)
            return 0
        finally:
            self._renew()
        if waiting.intent.plan.action == "exit":
            self._reducer.cancel_entries(waiting.intent.plan.symbol, f"exit {intent_id}")
        return 1

    def _renew(self) -> None:
        self._view.known = self._means.store.known()

    def _number(self, waiting: Waiting, contract: Contract) -> Number:
        intent = waiting.intent
        if intent.plan.opens:
            part = self._part(waiting, contract)
            return lambda first: bracket(intent, contract, part, first)
        held = positions(self._view.known).get(intent.plan.symbol, 0)
        side: Side = "sell" if intent.plan.side == "long" else "buy"
        shares = shares_of(
            self._view.known, intent.plan.symbol, side, min(intent.quantity, abs(held)) or intent.quantity
        )
        limit = self._reducer.limit(intent.plan.symbol, side, contract)
        return lambda first: reduction(intent.id, "exit", contract, side, shares, first, limit_price=limit)

    def _part(self, waiting: Waiting, contract: Contract) -> Part:
        """The whole entry at a limit that is no worse than the plan's and no further through the quote than the cap."""
        plan, quote = waiting.intent.plan, self._view.quotes.get(waiting.intent.plan.symbol)
        limit = furthest(plan, quote, self._setup.preferences, contract.min_tick)
        return Part(waiting.intent.quantity, plan.entry if limit is None else limit)

    def _has_price(self, symbol: str) -> bool:
        """A limit order needs both sides of the market; what takes shares off waits for them, within the life of its seals."""
        quote = self._view.quotes.get(symbol)
        return quote is not None and quote.is_sound

    async def _contract(self, symbol: str) -> Contract | None:
        """The one contract that the symbol stands for, asked once a connection; another one than last time is told and refused."""
        if symbol not in self._view.contracts:
            self._view.contracts[symbol] = await self._means.broker.resolve(symbol)
        contract = self._view.contract(symbol)
        if contract is not None:
            try:
                self._means.store.keep_contract(contract, as_of=self._means.clock.now())
            except PermanentFailure as other:
                self._means.pager.page("critical", "contract", str(other), as_of=self._means.clock.now())
                self._view.contracts[symbol] = ()
                return None
        return contract

    async def _ask(self, waiting: Waiting, number: Number | None) -> _Asked:
        """What-if margin and the second price, for what opens; an answer that does not come is unknown, and refuses."""
        plan = waiting.intent.plan
        if not plan.opens or number is None:
            return _Asked(None, None)
        entry = number(self._sender.take())[0].request
        try:
            margin = await self._means.broker.what_if(entry)
        except BrokerDown as silent:
            _LOG.warning("no what-if margin for %s: %s", plan.symbol, silent)
            margin = None
        return _Asked(margin, await self._means.second.price(plan.symbol, self._means.clock.now()))

    def _around(self, now: datetime) -> Surroundings:
        session = XNYS.today(now) or XNYS.last_closed(now)
        return Surroundings(
            portfolio=portfolio(self._view, session),
            state=self._view.ruling,
            sectors=self._setup.sectors,
            average_volume=self._means.backdrop.average_volume(session.day),
            preferences=self._setup.preferences,
            related=self._means.backdrop.related(session.day),
        )

    def _at_sending(
        self, waiting: Waiting, asked: _Asked, orders: tuple[OrderRequest, ...], now: datetime
    ) -> AtSending:
        intent, view, setup = waiting.intent, self._view, self._setup
        symbol, limits = intent.plan.symbol, self._means.limits_hash()
        first = orders[0] if orders else None
        day = now.astimezone(NEW_YORK).date()
        decision = f"{setup.book}/{intent.session.isoformat()}/{intent.slot}"
        return AtSending(
            now=now,
            session=_open_session(now),
            quantity=intent.quantity,
            orders=orders,
            seals=self._seals(waiting, limits, now),
            quote=view.quotes.get(symbol),
            bar_at=view.bars.get(symbol),
            clock_skew=view.clock_skew,
            second_price=asked.second_price,
            contracts=len(view.contracts.get(symbol, ())),
            listed=symbol in setup.symbols,
            universe=len(setup.symbols),
            crossing=crossing(view.known, symbol, first.side, first.limit_price) if first is not None else (),
            halted=symbol in view.halted_symbols,
            reopened_at=view.opened_again.get(symbol),
            breaker=view.breaker(symbol),
            account=self._account(),
            values=view.values,
            margin=asked.margin,
            capital_usd=Decimal(str(setup.settings.capital_usd)),
            counters=self._means.store.counters(day, decision=decision, as_of=now),
            cost_per_decision_usd=setup.cost_per_decision_usd,
            cost_per_day_usd=setup.cost_per_day_usd,
            limits_hash=limits,
            pinned_hash=setup.limits_hash,
            intent_hash=intent.limits_hash,
            lease=self._lease(now),
            reconciled_at=view.reconciled_at,
            disagrees=view.disagrees,
            leaving=reducing(view.known, symbol),
        )

    def _seals(self, waiting: Waiting, limits: str, now: datetime) -> str:
        age = timedelta(seconds=self._setup.settings.rhythm.signature_seconds)
        return seals_problem(waiting.intent, waiting.seals, self._setup.keys, limits_hash=limits, now=now, age_max=age)

    def _lease(self, now: datetime) -> str:
        until = self._means.tenure.until
        if until is None or until <= now:
            return f"it ran out at {until.isoformat()}" if until is not None else "it was never acquired"
        return ""


def _open_session(now: datetime) -> Session | None:
    session = XNYS.today(now)
    return session if session is not None and session.open <= now < session.close else None
