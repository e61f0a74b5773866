"""A connected broker in a loop of its own, what it told, and orders to give it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from resources.brokers.ib import InteractiveBrokersBroker
from resources.clock import RealClock
from tests.tws.client import until
from tests.tws.gateway import ACCOUNT, LoopbackGateway, running
from tests.tws.trading import TradingGateway
from trading_assets.broker.model import (
    BrokerEvent,
    Contract,
    Executed,
    Noticed,
    OrderReport,
    OrderRequest,
    Quote,
    Quoted,
    Reported,
    Side,
)
from trading_assets.broker.settings import InteractiveBrokers

Result = TypeVar("Result")
Event = TypeVar("Event", bound=BrokerEvent)
REF = "D1:intent"
AAPL = Contract("AAPL", 265598, primary_exchange="NASDAQ")
MSFT = Contract("MSFT", 272093, primary_exchange="NASDAQ")


@dataclass(slots=True)
class Desk:
    """A broker and everything that it told, in order."""

    broker: InteractiveBrokersBroker
    events: list[BrokerEvent] = field(default_factory=list)

    def told(self, kind: type[Event]) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def reports(self, order_id: int) -> list[OrderReport]:
        """What was told of one order."""
        return [event.report for event in self.told(Reported) if event.report.order_id == order_id]

    def statuses(self, order_id: int) -> list[str]:
        """The states that one order went through."""
        return [report.status for report in self.reports(order_id)]

    def notices(self, code: int) -> list[Noticed]:
        """What was said under one code."""
        return [event for event in self.told(Noticed) if event.code == code]

    def quotes(self) -> list[Quote]:
        """The quotes."""
        return [event.quote for event in self.told(Quoted)]

    async def hears(self, order_id: int, status: str) -> OrderReport:
        """Waits until an order has a state."""
        await until(lambda: status in self.statuses(order_id))
        return next(report for report in reversed(self.reports(order_id)) if report.status == status)

    async def hears_code(self, code: int) -> Noticed:
        """Waits for a notice."""
        await until(lambda: self.notices(code))
        return self.notices(code)[-1]

    async def hears_fill(self) -> Executed:
        """Waits for an execution."""
        await until(lambda: self.told(Executed))
        return self.told(Executed)[-1]


def settings(gateway: LoopbackGateway, **changes: Any) -> InteractiveBrokers:
    """Where the loopback Gateway listens."""
    values: Mapping[str, Any] = {"port": gateway.port, "account": ACCOUNT, "timeout_seconds": 3.0, **changes}
    return InteractiveBrokers(**values)


def desk_of(gateway: LoopbackGateway, *, client_id: int = 11, **changes: Any) -> Desk:
    """A broker that is not connected yet."""
    broker = InteractiveBrokersBroker(settings(gateway, **changes), client_id=client_id, clock=RealClock())
    desk = Desk(broker)
    broker.listen(desk.events.append)
    return desk


def with_desk(
    gateway: LoopbackGateway, work: Callable[[Desk], Awaitable[Result]], *, client_id: int = 11, **changes: Any
) -> Result:
    """Runs `work(desk)` with a connected broker."""

    async def connected() -> Result:
        desk = desk_of(gateway, client_id=client_id, **changes)
        await desk.broker.connect()
        try:
            return await work(desk)
        finally:
            await desk.broker.close()

    return asyncio.run(connected())


@contextmanager
def market() -> Iterator[TradingGateway]:
    """A running Gateway where AAPL and MSFT are quoted at 100.00 and 100.02."""
    with running(TradingGateway()) as gateway:
        assert isinstance(gateway, TradingGateway)
        for symbol in ("AAPL", "MSFT"):
            gateway.set_quote(symbol, "100.00", "100.02")
        yield gateway


def order(
    order_id: int,
    side: Side = "buy",
    *,
    quantity: int = 10,
    limit: str | None = None,
    stop: str | None = None,
    contract: Contract = AAPL,
    **changes: Any,
) -> OrderRequest:
    """A limit order with a limit, a stop with a stop, else a market order."""
    values: Mapping[str, Any] = {
        "key": f"intent-{order_id}",
        "ref": REF,
        "tif": "day",
        "kind": "limit" if limit else "stop" if stop else "market",
        "limit_price": Decimal(limit) if limit else None,
        "stop_price": Decimal(stop) if stop else None,
        **changes,
    }
    return OrderRequest(order_id=order_id, contract=contract, side=side, quantity=quantity, **values)


def bracket(first_id: int = 1, *, limit: str = "99.00", quantity: int = 10) -> list[OrderRequest]:
    """An entry, its target and its stop, the stop last and the only one that is transmitted."""
    group: Mapping[str, Any] = {"parent_id": first_id, "oca_group": REF, "tif": "gtc"}
    return [
        order(first_id, limit=limit, quantity=quantity, transmit=False),
        order(first_id + 1, "sell", limit="120.00", quantity=quantity, transmit=False, **group),
        order(first_id + 2, "sell", stop="90.00", quantity=quantity, **group),
    ]
