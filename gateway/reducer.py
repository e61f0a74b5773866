"""What the gateway does by itself, and only ever to reduce risk: exits, flattening, stops, and what follows when they fail.

Each act has an occasion, and an occasion makes one intent, whoever asks for it again and after whatever restart. An order is never
modified: it is cancelled, and after the broker has confirmed that, a fresh one takes the shares that are left.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gateway.brackets import (
    TRADES,
    Share,
    legs_at_broker,
    opening_legs,
    protection,
    reducing,
    reduction,
    regrouped,
    shares_of,
    uncovered,
)
from gateway.means import Means, Severity
from gateway.regrouping import Again, Division, Regrouping
from gateway.sender import Number, Sender
from gateway.view import View, positions
from trading_assets.broker.algorithms import capped as capped_limit
from trading_assets.broker.lifecycle import Leg, LegRole, MustProtect, Tracked
from trading_assets.broker.model import Contract, Side
from trading_assets.broker.ports import BrokerDown
from trading_assets.broker.settings import Reactions
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import TradingHalted, TransientFailure
from trading_assets.execution.dispatch import NewLeg, Reduction

_LOG = logging.getLogger("desk.gateway")
_OCCASIONS_MAX = 200
_BACK_OFF_S, _BACK_OFF_S_MAX = 1.0, 60.0
_PICTURES_MAX = 10


@dataclass(frozen=True, slots=True)
class _Leaving:
    """Shares that leave, and how: with a limit or, without one, at the market. `is_all`: nothing is held after it."""

    contract: Contract
    side: Side
    quantity: int
    shares: Sequence[Share]
    limit: Decimal | None
    is_all: bool

    @property
    def signed(self) -> int:
        """Negative when owed shares are bought back."""
        return self.quantity if self.side == "sell" else -self.quantity

    def number(self, role: LegRole) -> Callable[[str, int], tuple[NewLeg, ...]]:
        """Makes the orders of an intent, numbered from an order id."""
        return lambda intent_id, first: reduction(
            intent_id, role, self.contract, self.side, self.shares, first, limit_price=self.limit
        )


class Reducer:
    """Makes reductions and sends them."""

    def __init__(self, means: Means, sender: Sender, view: View, rules: Reactions, *, cap_fraction: float) -> None:
        self._means = means
        self._cap = cap_fraction
        self._sender = sender
        self._view = view
        self._rules = rules
        self._naked_since: dict[str, datetime] = {}
        self._attempts: dict[str, int] = {}
        self._next_try: dict[str, float] = {}
        self._cancelled: set[int] = set()
        self._regrouping = Regrouping(view, self.cancel, rules.naked_seconds / 2)
        self._when_leaving: Callable[[str, str], None] = lambda symbol, cause: None  # noqa: ARG005 - nobody listens yet

    def when_leaving(self, tell: Callable[[str, str], None]) -> None:
        """Who is told that entries of a symbol, or of all, are not wanted any more, and why."""
        self._when_leaving = tell

    async def take_off(
        self, symbol: str, role: LegRole, quantity: int, cause: str, occasion: str, *, capped: bool = False
    ) -> bool:
        """Takes shares off, never more than are held and not on their way out already; whether it sent an order.

        Args:
            capped: With a limit a little through the quote instead of at the market; what it leaves is followed up.
        """

        async def again() -> None:
            await self.take_off(symbol, role, quantity, cause, occasion, capped=capped)

        # The watchdog may have sold since the last look: the ledger says so in the transaction that would make the order.
        for _ in range(_PICTURES_MAX):
            leaving = self._leaving(symbol, quantity, capped=capped)
            if leaving is None:
                return False
            self._when_leaving(symbol, cause)
            if self._divides(symbol, leaving.side, leaving.shares, again, all_leave=not capped and leaving.is_all):
                return False
            wanted = Reduction(occasion, symbol, role, leaving.signed, cause)
            done = self._sender.reduce(wanted, leaving.contract, leaving.number(role), self._committed)
            if done != "stale":
                return done == "sent"
            self._renew()
        raise TransientFailure(f"{symbol} cannot leave: the ledger changes with every look at it", value=cause)

    async def flatten(self, symbol: str, cause: str, occasion: str) -> bool:
        """Everything of a symbol at the market: its entries are cancelled first, and a try that failed is followed by another.

        Tries are numbered, and the pauses between them double; at work are at most as many shares as are held.
        """
        self.cancel_entries(symbol, cause)
        held = abs(positions(self._view.known).get(symbol, 0)) - reducing(self._view.known, symbol)
        if held < 1 or self._means.monotonic() < self._next_try.get(symbol, 0.0):
            return False
        if not self._may_trade():
            self._page(
                "critical", "flatten_waits", f"{held} {symbol} are to be flattened when the exchange opens: {cause}"
            )
            return False
        tried = self._attempts.get(symbol, 0)
        for number in range(tried + 1, _OCCASIONS_MAX):
            if self._regrouping.is_at_work(symbol) and number > tried + 1:
                return False
            if await self.take_off(symbol, "flatten", held, cause, f"{occasion}/{number}"):
                self._attempts[symbol] = number
                pause = min(_BACK_OFF_S * 2 ** min(tried, 10), _BACK_OFF_S_MAX)
                self._next_try[symbol] = self._means.monotonic() + pause
                return True
        return False

    async def flatten_all(self, cause: str, occasion: str) -> None:
        """Flattens every position, in order of the symbols; one that fails does not keep the next from going."""
        self.cancel_entries("", cause)
        for symbol in positions(self._view.known):
            try:
                await self.flatten(symbol, cause, f"flatten/{symbol}/{occasion}")
            except (BrokerDown, TradingHalted) as refused:
                _LOG.error("flattening %s failed: %s", symbol, refused)

    def cancel_entries(self, symbol: str, cause: str) -> None:
        """Asks to cancel every entry that can still fill, of a symbol or of all; each once for a connection."""
        self._when_leaving(symbol, cause)
        for leg in opening_legs(self._view.known, symbol):
            self.cancel(leg, cause)

    def cancel(self, leg: Leg, cause: str) -> None:
        """Asks once to cancel one order of ours."""
        if leg.order_id in self._cancelled or not self._means.broker.is_connected:
            return
        if self._sender.cancel(leg.order_id, leg.client_id, cause):
            self._cancelled.add(leg.order_id)

    def cancel_number(self, order_id: int, client_id: int, cause: str) -> None:
        """As `cancel`, for an order that only the broker's report names; one of another client is told to the operator."""
        if order_id in self._cancelled:
            return
        if not self._sender.cancel(order_id, client_id, cause):
            sentence = (
                f"order {order_id} of client {client_id} should not live and is not this process's to cancel: {cause}"
            )
            self._means.pager.page("critical", "foreign_client", sentence, as_of=self._means.clock.now())
            return
        self._cancelled.add(order_id)

    def connected_anew(self) -> None:
        """A cancel that the last connection asked for may have been lost with it."""
        self._cancelled.clear()

    async def protect(self, must: MustProtect) -> None:
        """A resting stop for shares without one; shares that stay without it for too long are sold."""
        if self._regrouping.is_at_work(must.symbol):
            return
        now = self._means.clock.now()
        since = self._naked_since.setdefault(must.symbol, now)
        if (now - since).total_seconds() > self._rules.naked_seconds:
            self._page("critical", "naked", f"{must.symbol} had no stop for too long and is flattened: {must.why}")
            await self.flatten(must.symbol, f"no stop: {must.why}", f"naked/{must.symbol}/{since.isoformat()}")
            return
        contract = self.contract(must.symbol, must.con_id)
        stop = self._stop(must, contract)
        quantity = int(min(abs(must.quantity), Decimal(uncovered(self._view.known, must.symbol))))
        if contract is None or stop is None or quantity < 1:
            return
        self._page("warning", "protect", f"{quantity} {must.symbol} had no stop and get one at {stop} USD: {must.why}")
        side: Side = "sell" if must.quantity > 0 else "buy"
        day = now.astimezone(NEW_YORK).date().isoformat()
        for number in range(1, _OCCASIONS_MAX):
            key = f"protect/{must.symbol}/{day}/{number}"
            intent_id = self._intent(Reduction(key, must.symbol, "protect", quantity, must.why), contract)
            if intent_id is not None:
                await self._send(intent_id, self._resting(intent_id, contract, side, quantity, stop))
                return

    def covered(self, naked: Sequence[str]) -> None:
        """After a complete look: symbols that lack no cover are no longer counted."""
        for symbol in [name for name in self._naked_since if name not in naked]:
            del self._naked_since[symbol]

    async def stop_refused(self, leg: Leg, why: str) -> None:
        """The broker refused a stop: what it should have covered is sold, unless another stop covers it."""
        if leg.role == "protect" and uncovered(self._view.known, leg.symbol) > 0:
            await self.flatten(leg.symbol, f"the stop was refused: {why}", f"refused/{leg.key}")

    async def escalate(self, now: datetime) -> None:
        """Cancels limit orders that should take shares off and did not for too long; what then ends unfilled is followed up."""
        for symbol in self._regrouping.symbols:
            await self._go_on(symbol)
        for symbol in self._regrouping.overdue(self._means.monotonic()):
            self._page("warning", "not_divided", f"the broker does not confirm that orders of {symbol} are cancelled")
        for leg in legs_at_broker(self._view.known):
            waits = leg.sent_at is not None and now - leg.sent_at > timedelta(seconds=self._rules.exit_seconds)
            if leg.role in TRADES and leg.kind == "limit" and waits:
                self.cancel(leg, "it took no shares off in time")

    async def follow_up(self, leg: Leg, why: str) -> None:
        """An order that should take shares off ended without: the shares that are left go at the market."""
        await self._go_on(leg.symbol)
        left = leg.quantity - int(leg.filled)
        if leg.role not in TRADES or left < 1 or not self._may_trade():
            return
        if leg.kind == "market":
            self._page("critical", "flatten_failed", f"{leg.key} came to nothing and is tried again: {why}")
            return
        await self.take_off(leg.symbol, "flatten", left, f"{leg.key} ended unfilled: {why}", f"after/{leg.key}")

    def is_ready(self, symbol: str, quantity: int) -> bool:
        """Whether so many shares can leave at once with orders of the size of their groups; otherwise that is prepared."""
        held = positions(self._view.known).get(symbol, 0)
        wanted = min(quantity, abs(held) - reducing(self._view.known, symbol))
        if wanted < 1:
            return True
        side: Side = "sell" if held > 0 else "buy"
        shares = shares_of(self._view.known, symbol, side, wanted)
        refused = self._regrouping.was_refused(symbol, self._means.monotonic())
        if refused and wanted == abs(held):
            return True
        return not self._divides(symbol, side, shares, None, all_leave=False)

    def limit(self, symbol: str, side: Side, contract: Contract) -> Decimal | None:
        """A price that trades now and not further through the quote than the cap; None without a sound quote."""
        quote = self._view.quotes.get(symbol)
        if quote is None or not quote.is_sound:
            return None
        return capped_limit(quote, side, self._cap, contract.min_tick)

    def contract(self, symbol: str, con_id: int = 0) -> Contract | None:
        """What the symbol was resolved to; for shares that the desk never traded, what the account calls them."""
        known = self._view.contract(symbol) or self._means.store.contract(symbol)
        if known is not None or self._view.snapshot is None:
            return known
        held = [each for each in self._view.snapshot.positions if each.symbol == symbol]
        number = con_id or next((each.con_id for each in held), 0)
        return Contract(symbol, number) if number else None

    def _leaving(self, symbol: str, quantity: int, *, capped: bool) -> _Leaving | None:
        """What can leave; None when nothing can. A picture in which it is not plain is read anew first."""
        found = self._pictured(symbol, quantity, capped=capped)
        if found is not None and all(share.is_even for share in found.shares):
            return found
        self._renew()
        return self._pictured(symbol, quantity, capped=capped)

    def _pictured(self, symbol: str, quantity: int, *, capped: bool) -> _Leaving | None:
        held = positions(self._view.known).get(symbol, 0)
        wanted = min(quantity, abs(held) - reducing(self._view.known, symbol))
        contract = self.contract(symbol)
        if wanted < 1 or contract is None:
            return None
        side: Side = "sell" if held > 0 else "buy"
        limit = self.limit(symbol, side, contract) if capped else None
        if capped and limit is None:
            return None
        shares = shares_of(self._view.known, symbol, side, wanted)
        return _Leaving(contract, side, wanted, shares, limit, is_all=wanted == abs(held))

    def _committed(self, tracked: Tracked) -> None:
        self._view.known = replace(self._view.known, intents=(*self._view.known.intents, tracked))

    def _divides(
        self, symbol: str, side: Side, shares: Sequence[Share], again: Again | None, *, all_leave: bool
    ) -> bool:
        """Whether a group must be divided before the shares can leave; then `again` is called when it is.

        What all leaves at the market goes into a group of another size after all when the broker does not confirm in time: what
        remains of the stop is then cancelled as an order with nothing behind it.
        """
        if self._regrouping.is_at_work(symbol):
            if all_leave and again is not None:
                self._regrouping.leave_instead(symbol, again)
            return True
        uneven = next((share for share in shares if not share.is_even), None)
        if uneven is None:
            return False
        now = self._means.monotonic()
        if self._regrouping.was_refused(symbol, now):
            return not all_leave
        self._regrouping.begin(symbol, side, uneven, now, again, all_leave=all_leave)
        return True

    async def _go_on(self, symbol: str) -> None:
        """Both groups, and then what waited for them, as soon as nothing of the old one can fill."""
        division = self._regrouping.confirmed(symbol)
        if division is None:
            return
        contract = self.contract(symbol, division.stop.con_id)
        naked = min(division.size, uncovered(self._view.known, symbol))
        try:
            if division.quantity and naked > 0 and contract is not None:
                part = min(division.quantity, naked)
                await self._regroup(division, contract, [size for size in (part, naked - part) if size])
        finally:
            self._regrouping.done(symbol)
        if division.again is not None:
            await division.again()

    async def _regroup(self, division: Division, contract: Contract, sizes: Sequence[int]) -> None:
        stop, target = division.stop, division.target
        if stop.role != "protect":
            number: Number = lambda first: regrouped(stop, target, contract, sizes, first)  # noqa: E731 - typed
            await self._send(stop.intent_id, number, more=True)
            return
        for place, size in enumerate(sizes):
            wanted = Reduction(f"regroup/{stop.key}/{place}", stop.symbol, "protect", size, "its group was divided")
            intent_id = self._intent(wanted, contract)
            if intent_id is not None and stop.stop_price is not None:
                await self._send(intent_id, self._resting(intent_id, contract, stop.side, size, stop.stop_price))

    def _stop(self, must: MustProtect, contract: Contract | None) -> Decimal | None:
        """A fraction away from what a share is worth, rounded towards the market."""
        price = self._view.price(must.symbol) or self._average_cost(must.symbol)
        if price is None or contract is None or not price > 0:
            return None
        away = Decimal(str(self._rules.protective_stop_fraction))
        exact = price * (1 - away if must.quantity > 0 else 1 + away)
        steps = exact / contract.min_tick
        rounding = ROUND_CEILING if must.quantity > 0 else ROUND_FLOOR
        return steps.to_integral_value(rounding=rounding) * contract.min_tick

    def _average_cost(self, symbol: str) -> Decimal | None:
        held = self._view.snapshot.positions if self._view.snapshot is not None else ()
        return next((each.average_cost for each in held if each.symbol == symbol and each.average_cost > 0), None)

    def _intent(self, wanted: Reduction, contract: Contract) -> str | None:
        now = self._means.clock.now()
        return self._means.store.reduce(wanted, contract, token=self._means.tenure.token, as_of=now)

    async def _send(self, intent_id: str, number: Number, *, more: bool = False) -> None:
        """The picture is read anew before anybody can look at it: the order is in it from here on, sent or not."""
        try:
            await self._sender.send(intent_id, number, more=more, written=self._renew)
        finally:
            self._renew()

    def _renew(self) -> None:
        self._view.known = self._means.store.known()

    def _resting(self, intent_id: str, contract: Contract, side: Side, quantity: int, stop: Decimal) -> Number:
        return lambda first: protection(intent_id, contract, side, quantity, stop, first)

    def _may_trade(self) -> bool:
        session = XNYS.today(self._means.clock.now())
        return session is not None and session.open <= self._means.clock.now() < session.close

    def _page(self, severity: Severity, code: str, sentence: str) -> None:
        _LOG.warning("%s: %s", code, sentence)
        self._means.pager.page(severity, code, sentence, as_of=self._means.clock.now())
