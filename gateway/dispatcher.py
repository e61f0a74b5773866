"""Signed intents on their way out: every seal and every control again, at the last moment, against the live market.

What may not go is refused once, with everything that is wrong with it. What waits for too long expires and is never sent late.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from gateway.brackets import Part, bracket, crossing, reducing, reduction, shares_of
from gateway.means import Means, Setup
from gateway.reducer import Reducer
from gateway.sender import Number, Sender, TooLate
from gateway.slicer import Sliced, Slicer, algo_of, tracked, without
from gateway.view import UNKNOWN_CASH, View, portfolio, positions
from trading_assets.broker.algorithms import BEFORE_CLOSE, Schedule, limit_now, slices
from trading_assets.broker.model import Contract, MarginImpact, OrderRequest, Side
from trading_assets.broker.ports import BrokerDown
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import PermanentFailure, TradingHalted
from trading_assets.execution.dispatch import Waiting
from trading_assets.execution.ports import Intent
from trading_assets.signatures.allowance import Surroundings
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.market_rules import entry_window, furthest
from trading_assets.signatures.model import Verdict
from trading_assets.signatures.order_rules import side_of
from trading_assets.signatures.sending import AtSending, Counters
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
        self._slicer = Slicer(view)
        reducer.when_leaving(self._slicer.leave)

    def expire_all(self, why: str) -> None:
        """At start: whatever was on its way is not sent late."""
        for waiting in self._means.store.waiting():
            self._expire(waiting, why)

    async def dispatch(self) -> int:
        """Takes each waiting intent as far as it may go now, and sends further parts that are due; how many sendings there were."""
        sent = 0
        for waiting in self._means.store.waiting():
            why = self._too_old(waiting)
            if why:
                self._expire(waiting, why)
            elif waiting.state == "SIGNED" and self._view.link == "up":
                sent += await self._send_if_allowed(waiting)
        for sliced in self._slicer.due(self._means.clock.now()):
            sent += await self._send_part(sliced)
        self._end_unfinished()
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
        if not intent.plan.opens and not self._may_leave(intent.plan.symbol, intent.quantity):
            return 0
        contract = await self._contract(intent.plan.symbol)
        schedule = self._schedule(intent, contract, self._means.clock.now()) if contract is not None else None
        number = self._number(intent, contract, schedule) if contract is not None else None
        verdict, now = await self._judged(waiting, number, None)
        if verdict.ruling == "veto" or verdict.quantity < 1 or number is None or contract is None:
            _LOG.warning("intent %s refused: %s", intent.id, "; ".join(verdict.sentences))
            self._means.store.refuse(intent.id, verdict, as_of=now)
            return 0
        if not await self._send(waiting, number, now):
            return 0
        if schedule is not None:
            self._slicer.begin(Sliced(waiting, contract, schedule, self._ends(now), now))
        return 1

    async def _send_part(self, sliced: Sliced) -> int:
        """One further part of an entry, after every control has judged the whole of it again."""
        intent = sliced.waiting.intent
        limit = self._limit(intent, sliced.contract)
        if limit is None:
            return 0
        part = sliced.part(limit)
        number: Number = partial(bracket, intent, sliced.contract, part)
        verdict, _ = await self._judged(sliced.waiting, number, sliced)
        if verdict.ruling != "approve":
            self._slicer.stop(intent.id, "; ".join(verdict.sentences))
            return 0
        if not self._slicer.is_at_work(intent.id):
            return 0
        try:
            await self._sender.send(intent.id, number, more=True, written=self._renew)
        except (TooLate, BrokerDown, TradingHalted) as refused:
            self._slicer.stop(intent.id, str(refused))
            return 0
        finally:
            self._renew()
        self._slicer.went(intent.id)
        return 1

    async def _judged(self, waiting: Waiting, number: Number | None, sliced: Sliced | None) -> tuple[Verdict, datetime]:
        """What every control says now of the orders as they would be written; `sliced` when they are a further part."""
        asked = await self._ask(waiting, number)
        now = self._means.clock.now()
        legs = number(1) if number is not None else ()
        sending = self._at_sending(waiting, asked, tuple(leg.request for leg in legs), now)
        if sliced is None:
            return judge_at_sending(waiting.intent.plan, self._around(now), sending), now
        sending = replace(
            sending,
            counters=_of_a_part(sending.counters, waiting.intent.plan.symbol),
            seals=self._seals(waiting, sending.limits_hash, sliced.submitted_at),
        )
        return judge_at_sending(waiting.intent.plan, self._around(now, beside=waiting.intent.id), sending), now

    async def _send(self, waiting: Waiting, number: Number, now: datetime) -> bool:
        intent_id = waiting.intent.id
        self._means.points("before_accept")
        self._means.store.accept(intent_id, token=self._means.tenure.token, as_of=now)
        self._means.points("accepted")
        try:
            await self._sender.send(intent_id, number, written=self._renew)
        except TooLate as late:
            self._means.pager.page("critical", "unsent", str(late), as_of=self._means.clock.now())
            return False
        except BrokerDown as down:
            _LOG.error("intent %s: %s", intent_id, down)
            return False
        finally:
            self._renew()
        if waiting.intent.plan.action == "exit":
            self._reducer.cancel_entries(waiting.intent.plan.symbol, f"exit {intent_id}")
        return True

    def _end_unfinished(self) -> None:
        """Entries whose parts have stopped half-way end with what they filled."""
        ended = self._slicer.ended()
        if ended:
            self._means.store.apply(ended, token=self._means.tenure.token, as_of=self._means.clock.now())
            self._renew()

    def _renew(self) -> None:
        self._view.known = self._means.store.known()

    def _number(self, intent: Intent, contract: Contract, schedule: Schedule | None) -> Number:
        if intent.plan.opens:
            return partial(bracket, intent, contract, self._part(intent, schedule))
        held = positions(self._view.known).get(intent.plan.symbol, 0)
        side: Side = "sell" if intent.plan.side == "long" else "buy"
        shares = shares_of(
            self._view.known, intent.plan.symbol, side, min(intent.quantity, abs(held)) or intent.quantity
        )
        limit = self._reducer.limit(intent.plan.symbol, side, contract)
        return lambda first: reduction(intent.id, "exit", contract, side, shares, first, limit_price=limit)

    def _part(self, intent: Intent, schedule: Schedule | None) -> Part:
        """The first part of an entry; all of it at the plan's limit where there is no schedule, which the controls then refuse."""
        if schedule is None:
            return Part(intent.quantity, intent.plan.entry)
        first = schedule.slices[0]
        algo = algo_of(schedule, first.display_quantity)
        return Part(first.quantity, schedule.limit_price, first.display_quantity, algo)

    def _schedule(self, intent: Intent, contract: Contract, now: datetime) -> Schedule | None:
        """How an entry goes out; None for what is no entry with a limit, and without a sound quote or a session."""
        plan, quote, session = intent.plan, self._view.quotes.get(intent.plan.symbol), _open_session(now)
        limit = furthest(plan, quote, self._setup.preferences, contract.min_tick)
        if not plan.opens or plan.style == "market" or quote is None or limit is None or session is None:
            return None
        found = slices(
            plan.style,
            side_of(plan),
            intent.quantity,
            limit,
            quote,
            self._means.backdrop.average_volume(session.day).get(plan.symbol),
            contract.min_tick,
            now=now,
            close=self._ends(now) + BEFORE_CLOSE,
            collar_fraction=Decimal(str(self._setup.preferences.collar_fraction_max)),
        )
        return found if self._means.broker.name == "ib" else replace(found, algo="")

    def _limit(self, intent: Intent, contract: Contract) -> Decimal | None:
        """What a further part may cost now; None without a sound quote: it waits."""
        plan, quote = intent.plan, self._view.quotes.get(intent.plan.symbol)
        limit = furthest(plan, quote, self._setup.preferences, contract.min_tick)
        if quote is None or limit is None:
            return None
        collar = Decimal(str(self._setup.preferences.collar_fraction_max))
        return limit_now(plan.style, side_of(plan), limit, quote, contract.min_tick, collar)

    def _ends(self, now: datetime) -> datetime:
        """Until when entries may be sent: the hours of entry, and a while before the close."""
        session = XNYS.today(now)
        if session is None:
            return now
        return min(session.close - BEFORE_CLOSE, entry_window(session, self._setup.preferences)[1])

    def _may_leave(self, symbol: str, quantity: int) -> bool:
        """A limit order needs both sides of the market, and a group of its size; what takes shares off waits for both, within the
        life of its seals.
        """
        quote = self._view.quotes.get(symbol)
        return quote is not None and quote.is_sound and self._reducer.is_ready(symbol, quantity)

    async def _contract(self, symbol: str) -> Contract | None:
        """The one contract that the symbol stands for, asked once a connection; another one than last time is told and refused."""
        if symbol in self._view.contracts:
            return self._view.contract(symbol)
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
        second = self._means.second.price(plan.symbol, self._means.clock.now())
        return _Asked(*await asyncio.gather(self._margin(entry), second))

    async def _margin(self, entry: OrderRequest) -> MarginImpact | None:
        try:
            return await self._means.broker.what_if(entry)
        except BrokerDown as silent:
            _LOG.warning("no what-if margin for %s: %s", entry.contract.symbol, silent)
            return None

    def _around(self, now: datetime, *, beside: str = "") -> Surroundings:
        """The account; `beside` an intent, as if nothing of that had been sent: its shares are cash at what they are worth."""
        session = XNYS.today(now) or XNYS.last_closed(now)
        known, brought = without(self._view.known, beside) if beside else (self._view.known, Decimal(0))
        held = portfolio(replace(self._view, known=known), session)
        if brought:
            intent = tracked(self._view.known, beside)
            price = self._view.price(intent.symbol) if intent is not None else None
            held = replace(held, cash=UNKNOWN_CASH if price is None else held.cash + price * brought)
        return Surroundings(
            portfolio=held,
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


def _of_a_part(counters: Counters, symbol: str) -> Counters:
    """What is counted when a further part of an entry is judged: the entry itself is not one before it."""
    entered = {**counters.entries_today, symbol: counters.entries_today.get(symbol, 0) - 1}
    return replace(counters, entries_today=entered)


def _open_session(now: datetime) -> Session | None:
    session = XNYS.today(now)
    return session if session is not None and session.open <= now < session.close else None
