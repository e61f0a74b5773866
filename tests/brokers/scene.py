"""What every conformance case has at hand: a connected broker, what was heard of it, and short words for orders."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.brokers.stage import Stage, TrueOrder, Truth
from trading_assets.broker.model import (
    ENDED,
    BrokerEvent,
    Commissioned,
    Contract,
    Executed,
    Execution,
    Noticed,
    OrderKind,
    OrderReport,
    OrderRequest,
    Quote,
    Quoted,
    Reported,
    Side,
    Tif,
    Welcome,
)
from trading_assets.broker.ports import Broker

PATIENCE_S, STEP_S, MOMENT_S = 5.0, 0.005, 0.1
REFUSED = frozenset({"order_rejected", "no_contract"})
Play = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One numbered claim about every broker."""

    number: str
    claim: str
    play: Play


class Cases:
    """Cases of one subject, in the order of their numbers."""

    def __init__(self) -> None:
        self.all: dict[str, Case] = {}

    def __call__(self, number: str) -> Callable[[Play], Play]:
        """Adds a case; its claim is the function's name."""

        def add(play: Play) -> Play:
            name: str = getattr(play, "__name__", "")
            self.all[number] = Case(number, name.replace("_", " "), play)
            return play

        return add


async def until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE_S) -> None:
    """Waits for something to become so; fails with its name when it does not."""
    for _ in range(int(seconds / STEP_S)):
        if condition():
            return
        await asyncio.sleep(STEP_S)
    raise AssertionError(f"not within {seconds:g} s: {what}")


async def moment() -> None:
    """Long enough for what must not happen to happen."""
    await asyncio.sleep(MOMENT_S)


class Ear:
    """What one connection has heard, and what follows from it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.events: list[BrokerEvent] = []
        broker.listen(self.events.append)

    def reports(self, order_id: int) -> list[OrderReport]:
        """What was said of one order of this connection, oldest first."""
        mine = self.broker.client_id
        told = [event.report for event in self.events if isinstance(event, Reported)]
        return [report for report in told if (report.order_id, report.client_id) == (order_id, mine)]

    def status(self, order_id: int) -> str:
        """The last state that was told; empty before the first."""
        told = self.reports(order_id)
        return told[-1].status if told else ""

    @property
    def executions(self) -> list[Execution]:
        """Each execution once, in the order in which they were heard."""
        told = {event.execution.exec_id: event.execution for event in self.events if isinstance(event, Executed)}
        return list(told.values())

    def filled(self, order_id: int) -> Decimal:
        """Shares of the executions of one order."""
        return sum((e.quantity for e in self.executions if e.order_id == order_id), Decimal(0))

    @property
    def fees(self) -> Mapping[str, Decimal]:
        """By execution, the fees that are known."""
        told = [event.commission for event in self.events if isinstance(event, Commissioned)]
        return {one.exec_id: one.amount for one in told if one.amount is not None}

    def notices(self, order_id: int) -> list[Noticed]:
        """What was said about one order with a code."""
        return [event for event in self.events if isinstance(event, Noticed) and event.order_id == order_id]

    def quotes(self, symbol: str) -> list[Quote]:
        """The quotes of one symbol."""
        told = [event.quote for event in self.events if isinstance(event, Quoted)]
        return [quote for quote in told if quote.symbol == symbol]

    def was_refused(self, order_id: int) -> bool:
        """By its state, or by a notice."""
        by_notice = any(notice.reaction in REFUSED for notice in self.notices(order_id))
        return by_notice or self.status(order_id) == "rejected"


class Scene:
    """One stage with its broker connected under client id 11."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.broker = stage.broker
        self.ear = Ear(self.broker)
        self.contracts: dict[str, Contract] = {}
        self.next_ids: dict[int, int] = {}
        self.welcome: Welcome

    async def begin(self) -> None:
        """Connects, and looks up the contracts."""
        self.welcome = await self.broker.connect()
        self.next_ids[self.broker.client_id] = self.welcome.next_order_id
        for symbol in ("AAPL", "MSFT"):
            (self.contracts[symbol],) = await self.broker.resolve(symbol)
        self.broker.watch(tuple(self.contracts.values()))

    async def another(self, client_id: int = 12) -> Ear:
        """A second connection that watches the same market."""
        ear = Ear(self.stage.another(client_id))
        self.next_ids[client_id] = (await ear.broker.connect()).next_order_id
        ear.broker.watch(tuple(self.contracts.values()))
        return ear

    def order(
        self,
        side: Side,
        quantity: int,
        kind: OrderKind = "limit",
        *,
        at: str | None = None,
        name: str = "case",
        leg: str = "entry",
        parent: OrderRequest | None = None,
        transmit: bool = True,
        group: str = "",
        tif: Tif = "day",
        symbol: str = "AAPL",
        client_id: int = 11,
    ) -> OrderRequest:
        """An order that is not sent yet, with the next id. `at` is its limit or its stop price."""
        number = self.next_ids[client_id]
        self.next_ids[client_id] += 1
        price = Decimal(at) if at else None
        return OrderRequest(
            key=f"{name}-{leg}-{number}",
            ref=f"D1:{name}",
            order_id=number,
            contract=self.contracts[symbol],
            side=side,
            kind=kind,
            quantity=quantity,
            tif=tif,
            limit_price=price if kind == "limit" else None,
            stop_price=price if kind == "stop" else None,
            transmit=transmit,
            parent_id=parent.order_id if parent else 0,
            oca_group=group,
        )

    def bracket(
        self, quantity: int, *, entry: str = "100.02", stop: str = "98.00", target: str = "104.00"
    ) -> tuple[OrderRequest, OrderRequest, OrderRequest]:
        """Entry, target and stop to buy; the stop is transmitted last, and the exits share the group `D1:case`."""
        group = "D1:case"
        first = self.order("buy", quantity, at=entry, transmit=False)
        gain = self.order(
            "sell", quantity, at=target, leg="target", parent=first, transmit=False, group=group, tif="gtc"
        )
        loss = self.order("sell", quantity, "stop", at=stop, leg="stop", parent=first, group=group, tif="gtc")
        return first, gain, loss

    async def place(self, *orders: OrderRequest) -> None:
        """Places them, and waits until each was acknowledged or refused."""
        self.broker.place(orders)
        await self.broker.drain()
        await until(
            lambda: all(self.ear.reports(one.order_id) or self.ear.was_refused(one.order_id) for one in orders),
            "every order is acknowledged",
        )

    async def bought(self, quantity: int) -> tuple[OrderRequest, OrderRequest, OrderRequest]:
        """A bracket whose entry has filled."""
        legs = self.bracket(quantity)
        await self.place(*legs)
        await self.has_filled(legs[0], quantity)
        return legs

    async def has_status(self, order: OrderRequest, *statuses: str) -> None:
        """Waits for one of some states."""
        await until(
            lambda: self.ear.status(order.order_id) in statuses,
            f"{order.key} is {statuses}, not {self.ear.status(order.order_id)!r}",
        )

    async def has_filled(self, order: OrderRequest, shares: int) -> None:
        """Waits for executions of so many shares."""
        await until(lambda: self.ear.filled(order.order_id) == shares, f"{order.key} has filled {shares}")

    async def has_left(self, order: OrderRequest, shares: int) -> None:
        """Waits until the broker says that so many shares can still fill."""

        def left() -> Decimal:
            told = self.ear.reports(order.order_id)
            return told[-1].remaining if told else Decimal(-1)

        await until(lambda: left() == shares, f"{order.key} has {shares} left")

    async def really(self, order: OrderRequest) -> TrueOrder | None:
        """The order as it stands at the broker; None where there is none, and a failure where there are two."""
        found = [o for o in (await self.stage.truth()).orders if (o.client_id, o.order_id) == (11, order.order_id)]
        assert len(found) <= 1, f"{len(found)} orders behind one id"
        return found[0] if found else None

    async def lives(self, order: OrderRequest) -> bool:
        """Whether it can still fill, as it really is."""
        found = await self.really(order)
        return found is not None and found.lives

    async def truth(self) -> Truth:
        """How it really is."""
        return await self.stage.truth()


def has_ended(report: OrderReport) -> bool:
    """Whether it can never fill again."""
    return report.status in ENDED
