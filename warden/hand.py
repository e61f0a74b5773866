"""The hand: cancels, sells and protects, each order recorded before it is sent, and goes on until nothing is left.

It decides nothing. What it may do follows from one complete snapshot at a time (`steps.py`); an order that is refused is tried
again with growing pauses, and a person is told each time. A gateway that acts is given a moment to do it first, for two hands that
sell the same shares would sell them twice; whatever came of that moment, the next snapshot tells it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading_assets.broker.model import REF_PREFIX, Contract, OrderReport, OrderRequest, Side, Snapshot
from trading_assets.broker.ports import Broker, BrokerDown
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.errors import DeskError
from warden.judging import gateway_acts, naked
from warden.ports import Takeover, WatchLedger
from warden.seen import Finding, Seen
from warden.steps import Sale, Steps, steps_to_flat

_LOG = logging.getLogger("desk.watchdog")
PATIENCE = timedelta(seconds=3)
"""How long a gateway that acts may take over what must be done now; what it cancels only in its own looks has longer."""
LOOKS = 3
PAUSE_FIRST, PAUSE_MAX = timedelta(seconds=2), timedelta(seconds=30)
_CENT = Decimal("0.01")


@dataclass
class Hand:
    """Works through what a snapshot asks for. `offered` is the next order id that the broker named at the last connection."""

    broker: Broker
    ledger: WatchLedger
    takeover: Takeover
    settings: ExecutionSettings
    offered: int = 1
    _tries: dict[str, int] = field(default_factory=dict)
    _next_try: dict[str, datetime] = field(default_factory=dict)
    _sent: dict[str, int] = field(default_factory=dict)
    _since: dict[str, datetime] = field(default_factory=dict)
    _newest_id: int = 0

    @property
    def _slow(self) -> float:
        """How much slower than once a second it looks, by the desk's clock."""
        return max(1.0, self.settings.watch.every_seconds)

    @property
    def _patience(self) -> timedelta:
        return PATIENCE * self._slow

    async def stop(self, seen: Seen, spared: Mapping[str, Decimal], cause: str) -> Steps:
        """The next steps to flat: entries first, then what is held, and what protected it last."""
        return await self.sell(seen, spared, cause, None)

    async def sell(
        self, seen: Seen, spared: Mapping[str, Decimal], cause: str, symbols: frozenset[str] | None
    ) -> Steps:
        """The next steps until some symbols, or all, are flat. Nothing is sold while the exchange is closed.

        What this connection can cancel goes first, then what is held, and last what only the gateway's place can cancel:
        ending a gateway takes a moment, and no share waits for it.
        """
        if seen.broker is None:
            return Steps()
        steps = steps_to_flat(seen.broker, spared, symbols)
        self._forget(seen.broker, steps)
        own = [order for order in steps.cancel if order.client_id == self.broker.client_id]
        for order in own:
            self.broker.cancel(order.order_id)
        if seen.session is not None:
            await self._sell(steps.sell, seen, cause)
        await self._cancel_elsewhere([order for order in steps.cancel if order not in own], seen)
        for sentence in steps.stuck:
            self._page(sentence, seen.now)
        return steps

    async def protect(self, seen: Seen, finding: Finding) -> None:
        """A stop for shares that have none, once in a while until it rests."""
        lacking = naked(seen).get(finding.symbol, Decimal(0))
        positions = seen.broker.positions if seen.broker is not None else ()
        held = next((each for each in positions if each.symbol == finding.symbol), None)
        if held is None or abs(lacking) < 1 or not self._may_try(f"protect/{finding.symbol}", seen.now):
            return
        side: Side = "sell" if lacking > 0 else "buy"
        stop = self._stop_price(held.average_cost, side)
        if stop is None:
            self._page(f"{finding.symbol} cost {held.average_cost} USD: no stop can be placed", seen.now)
            return
        number = self._next_id()
        ref = self.ledger.protect_ahead(
            held.symbol,
            held.con_id,
            int(lacking),
            stop,
            number,
            self.broker.client_id,
            finding.sentence,
            as_of=seen.now,
        )
        request = OrderRequest(
            key=_key(ref, "protect"),
            ref=ref,
            order_id=number,
            contract=Contract(held.symbol, held.con_id),
            side=side,
            kind="stop",
            quantity=int(abs(lacking)),
            tif="gtc",
            stop_price=stop,
            oca_group=ref,
        )
        await self._place(f"protect/{finding.symbol}", request)

    async def rest(self) -> None:
        """Nothing is to be stopped any more."""
        self._since.clear()
        self._tries.clear()
        await self.takeover.give_back()

    def book(self, seen: Seen) -> None:
        """Writes what became of the orders of this connection; twice is once."""
        told = seen.broker
        client_id = self.broker.client_id
        if told is None:
            return
        reports = [report for report in told.reports if report.client_id in {0, client_id} and report.is_ours]
        executions = [each for each in told.executions if each.client_id == client_id]
        if not executions and all(report.client_id == 0 for report in reports):
            return
        try:
            self.ledger.book(client_id, reports, executions, told.commissions, as_of=seen.now)
        except DeskError as failed:
            _LOG.warning("what the watchdog's orders came to is not booked yet: %s", failed)

    async def _cancel_elsewhere(self, orders: list[OrderReport], seen: Seen) -> None:
        """Orders of the gateway are its own to cancel, if it acts; entries soon, and what protected shares in its next looks."""
        late = [
            order for order in orders if self._waited(f"cancel/{order.perm_id}", seen.now) >= self._due(order, seen)
        ]
        if not late:
            return
        place = await self.takeover.take(as_of=seen.now)
        if place is None:
            names = ", ".join(f"{order.symbol} {order.perm_id}" for order in late)
            self._page(f"orders of the gateway cannot be cancelled from here: {names}", seen.now)
            return
        for order in late:
            if order.client_id == place.client_id:
                place.cancel(order.order_id)
            else:
                said = f"order {order.perm_id} in {order.symbol} belongs to client {order.client_id}"
                self._page(f"{said}: cancel it by hand", seen.now)
        await place.drain()

    def _due(self, order: OrderReport, seen: Seen) -> timedelta:
        """How long an order of the gateway's may still be left to it."""
        held = seen.broker is not None and any(each.symbol == order.symbol for each in seen.broker.positions)
        protected = order.kind == "stop" or bool(order.oca_group)
        if held or not protected or not gateway_acts(seen, self.settings):
            return self._patience
        return timedelta(seconds=LOOKS * self.settings.rhythm.reconcile_seconds)

    async def _sell(self, sales: tuple[Sale, ...], seen: Seen, cause: str) -> None:
        """One that fails does not keep the others from going."""
        patience = self._patience if gateway_acts(seen, self.settings) else timedelta(0)
        visible = frozenset(report.ref for report in seen.broker.reports) if seen.broker is not None else frozenset()
        for sale in sales:
            if self._waited(f"sell/{sale.symbol}", seen.now) < patience:
                continue
            try:
                await self._sell_one(sale, seen.now, cause, visible)
            except BrokerDown as down:
                _LOG.error("%s was not sold: %s", sale.symbol, down)

    async def _sell_one(self, sale: Sale, now: datetime, cause: str, visible: frozenset[str]) -> None:
        what = f"sell/{sale.symbol}/{sale.oca_group}"
        if not self._may_try(what, now):
            return
        number = self._next_id()
        ref = self._recorded(sale, number, cause, visible, now)
        if not ref:
            self._untry(what)
            return
        request = OrderRequest(
            key=_key(ref, "flatten"),
            ref=ref,
            order_id=number,
            contract=Contract(sale.symbol, sale.con_id),
            side=sale.side,
            kind="market",
            quantity=sale.quantity,
            tif="day",
            oca_group=sale.oca_group,
        )
        await self._place(what, request)

    def _recorded(self, sale: Sale, number: int, cause: str, visible: frozenset[str], now: datetime) -> str:
        """A lost ledger does not keep the hand from selling; the order then names itself."""
        try:
            return self.ledger.write_ahead(sale, number, self.broker.client_id, cause, visible=visible, as_of=now)
        except Exception as failed:  # noqa: BLE001 - whatever is wrong with the ledger, the shares must go
            _LOG.critical("an order is sent without a record, for the ledger failed: %s", failed)
            return f"{REF_PREFIX}watchdog-{sale.symbol}-{now:%Y%m%dT%H%M%S}-{number}"

    async def _place(self, what: str, request: OrderRequest) -> None:
        """A try before this one that the broker has not told of may still be on its way: its cancel reaches it first."""
        before = self._sent.get(what)
        if before is not None:
            self.broker.cancel(before)
        self.broker.place([request])
        self._sent[what] = request.order_id
        await self.broker.drain()

    def _waited(self, what: str, now: datetime) -> timedelta:
        return now - self._since.setdefault(what, now)

    def _may_try(self, what: str, now: datetime) -> bool:
        """The first try at once, further ones after growing pauses; each further one is told."""
        due = self._next_try.get(what)
        if due is not None and now < due:
            return False
        tried = self._tries.get(what, 0)
        self._next_try[what] = now + min(PAUSE_MAX, PAUSE_FIRST * 2**tried) * self._slow
        self._tries[what] = tried + 1
        if tried:
            self._page(f"{what}: try {tried + 1}, for the one before came to nothing", now)
        return True

    def _untry(self, what: str) -> None:
        """Nothing was sent: the next look may."""
        self._tries[what] -= 1
        self._next_try.pop(what, None)

    def _forget(self, snapshot: Snapshot, steps: Steps) -> None:
        """What is flat, and what is cancelled, begins anew the next time."""
        held = {each.symbol for each in snapshot.positions if each.quantity}
        waiting = {f"cancel/{order.perm_id}" for order in steps.cancel}
        for what in [*self._since, *self._tries]:
            kind, _, rest = what.partition("/")
            if (kind == "cancel" and what not in waiting) or (kind != "cancel" and rest.split("/")[0] not in held):
                self._since.pop(what, None)
                self._tries.pop(what, None)
                self._next_try.pop(what, None)
                self._sent.pop(what, None)

    def _page(self, sentence: str, now: datetime) -> None:
        _LOG.warning("%s", sentence)
        try:
            self.ledger.page("critical", "W4", sentence, as_of=now)
        except DeskError:
            return

    def _next_id(self) -> int:
        """After whatever the ledger or the broker has ever seen under this client id."""
        if not self._newest_id:
            try:
                self._newest_id = self.ledger.newest_order_id(self.broker.client_id)
            except DeskError as failed:
                _LOG.warning("the broker's own numbers must do: %s", failed)
        self._newest_id = max(self._newest_id, self.offered - 1) + 1
        return self._newest_id

    def _stop_price(self, cost: Decimal, side: Side) -> Decimal | None:
        """On the losing side of what a share cost, rounded towards it; None where that is no price."""
        distance = Decimal(str(self.settings.reactions.protective_stop_fraction))
        if not (cost.is_finite() and cost > 0):
            return None
        if side == "sell":
            return (cost * (1 - distance)).quantize(_CENT, ROUND_CEILING)
        return (cost * (1 + distance)).quantize(_CENT, ROUND_FLOOR)


def _key(ref: str, role: str) -> str:
    """The desk's name of an order, as the ledger writes it."""
    return f"{ref.removeprefix(REF_PREFIX)}-{role}"
