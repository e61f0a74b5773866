"""The hand: cancels, sells and protects, each order recorded before it is sent, and goes on until nothing is left.

It decides nothing. What it may do follows from one complete snapshot at a time (`steps.py`); an order that is refused is tried
again with growing pauses, and a person is told each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading_assets.broker.model import REF_PREFIX, Contract, OrderReport, OrderRequest, Side, Snapshot
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.errors import DeskError
from warden.ports import Takeover, WatchLedger
from warden.seen import Finding, Seen
from warden.steps import Sale, Steps, steps_to_flat

PATIENCE = timedelta(seconds=3)
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
    _newest_id: int = 0
    _asked: dict[int, datetime] = field(default_factory=dict)

    async def stop(self, seen: Seen, spared: Mapping[str, Decimal], cause: str) -> Steps:
        """The next steps to flat: entries first, then what is held, and what protected it last."""
        return await self.sell(seen, spared, cause, None)

    async def sell(
        self, seen: Seen, spared: Mapping[str, Decimal], cause: str, symbols: frozenset[str] | None
    ) -> Steps:
        """The next steps until some symbols, or all, are flat. Nothing is sold while the exchange is closed."""
        if seen.broker is None:
            return Steps()
        self._book(seen.broker, seen.now)
        steps = steps_to_flat(seen.broker, spared, symbols)
        await self._cancel(steps.cancel, seen.now)
        if seen.session is not None:
            await self._sell(steps.sell, seen, cause)
        for sentence in steps.stuck:
            self._page(sentence, seen.now)
        return steps

    async def protect(self, seen: Seen, finding: Finding) -> None:
        """A stop for shares that have none, once in a while until it rests."""
        held = (
            next((each for each in seen.broker.positions if each.symbol == finding.symbol), None)
            if seen.broker
            else None
        )
        if held is None or not self._may_try(f"protect/{finding.symbol}", seen.now):
            return
        side: Side = "sell" if held.quantity > 0 else "buy"
        stop = self._stop_price(held.average_cost, side)
        quantity = int(held.quantity)
        number = self._next_id()
        ref = self.ledger.protect_ahead(
            held.symbol,
            held.con_id,
            quantity,
            stop,
            number,
            self.broker.client_id,
            finding.sentence,
            as_of=seen.now,
        )
        contract = Contract(held.symbol, held.con_id)
        await self._place(
            OrderRequest(
                _key(ref, "protect"), ref, number, contract, side, "stop", abs(quantity), "gtc", stop_price=stop
            )
        )

    async def _cancel(self, orders: tuple[OrderReport, ...], now: datetime) -> None:
        """Own orders at once; those of the gateway are first left to the gateway, for it hears of a halt too."""
        others = []
        for order in orders:
            if order.client_id == self.broker.client_id:
                self.broker.cancel(order.order_id)
            elif now - self._asked.setdefault(order.perm_id, now) >= PATIENCE:
                others.append(order)
        if not others:
            return
        place = await self.takeover.take()
        if place is None:
            names = ", ".join(f"{order.symbol} {order.perm_id}" for order in others)
            self._page(f"orders of the gateway cannot be cancelled from here: {names}", now)
            return
        for order in others:
            if order.client_id == place.client_id:
                place.cancel(order.order_id)
        await place.drain()

    async def _sell(self, sales: tuple[Sale, ...], seen: Seen, cause: str) -> None:
        for sale in sales:
            if not self._may_try(f"sell/{sale.symbol}/{sale.oca_group}", seen.now):
                continue
            number = self._next_id()
            ref = self._recorded(sale, number, cause, seen.now)
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
            await self._place(request)

    def _recorded(self, sale: Sale, number: int, cause: str, now: datetime) -> str:
        """A lost ledger does not keep the hand from selling; the order then names itself."""
        try:
            return self.ledger.write_ahead(sale, number, self.broker.client_id, cause, as_of=now)
        except DeskError:
            return f"{REF_PREFIX}watchdog-{sale.symbol}-{now:%Y%m%dT%H%M%S}-{number}"

    async def _place(self, request: OrderRequest) -> None:
        self.broker.place([request])
        await self.broker.drain()

    def _may_try(self, what: str, now: datetime) -> bool:
        """The first try at once, further ones after growing pauses; each further one is told."""
        due = self._next_try.get(what)
        if due is not None and now < due:
            return False
        tried = self._tries.get(what, 0)
        self._next_try[what] = now + min(PAUSE_MAX, PAUSE_FIRST * 2**tried)
        self._tries[what] = tried + 1
        if tried:
            self._page(f"{what}: try {tried + 1}, for the one before came to nothing", now)
        return True

    def _book(self, snapshot: Snapshot, now: datetime) -> None:
        client_id = self.broker.client_id
        reports = [report for report in snapshot.reports if report.client_id in {0, client_id} and report.is_ours]
        executions = [each for each in snapshot.executions if each.client_id == client_id]
        try:
            self.ledger.book(client_id, reports, executions, snapshot.commissions, as_of=now)
        except DeskError:
            return

    def _page(self, sentence: str, now: datetime) -> None:
        try:
            self.ledger.page("critical", "W4", sentence, as_of=now)
        except DeskError:
            return

    def _next_id(self) -> int:
        if not self._newest_id:
            try:
                self._newest_id = self.ledger.newest_order_id(self.broker.client_id)
            except DeskError:
                self._newest_id = 0
            self._newest_id = max(self._newest_id, self.offered - 1)
        self._newest_id += 1
        return self._newest_id

    def _stop_price(self, cost: Decimal, side: Side) -> Decimal:
        """On the losing side of what a share cost, rounded towards it."""
        distance = Decimal(str(self.settings.reactions.protective_stop_fraction))
        if side == "sell":
            return (cost * (1 - distance)).quantize(_CENT, ROUND_CEILING)
        return (cost * (1 + distance)).quantize(_CENT, ROUND_FLOOR)


def _key(ref: str, role: str) -> str:
    """The desk's name of an order, as the ledger writes it."""
    return f"{ref.removeprefix(REF_PREFIX)}-{role}"
