"""A broker in memory that does what a script says: the book outlives connections, and tests read it as the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import (
    AccountValues,
    BrokerEvent,
    Commission,
    Commissioned,
    Contract,
    Disconnected,
    Executed,
    Execution,
    HeldPosition,
    MarginImpact,
    Noticed,
    OrderReport,
    OrderRequest,
    Quote,
    Quoted,
    Reported,
    Snapshot,
    Welcome,
)
from trading_assets.broker.ports import BrokerDown, ClientIdInUse, Listener, SnapshotIncomplete
from trading_assets.core.ports import Clock

ACCOUNT = "DU1234567"
FEE = Decimal("1.00")


@dataclass(slots=True)
class Resting:
    """One order at the exchange."""

    request: OrderRequest
    perm_id: int
    client_id: int
    left: int
    status: str = "held"
    filled: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in {"held", "working"}

    def report(self) -> OrderReport:
        order = self.request
        return OrderReport(
            perm_id=self.perm_id,
            order_id=order.order_id,
            client_id=self.client_id,
            ref=order.ref,
            account=ACCOUNT,
            symbol=order.contract.symbol,
            con_id=order.contract.con_id,
            side=order.side,
            kind=order.kind,
            quantity=Decimal(self.left + self.filled),
            filled=Decimal(self.filled),
            status=self.status,  # type: ignore[arg-type] # the words above
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            parent_id=order.parent_id,
            oca_group=order.oca_group,
        )


@dataclass(slots=True)
class Exchange:
    """Orders, executions, shares and cash; the same for every connection."""

    clock: Clock
    cash: Decimal = Decimal(100_000)
    orders: list[Resting] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    lines: "list[ScriptedBroker]" = field(default_factory=list)
    fills: bool = True
    rejects: int = 0
    rejects_stops: bool = False
    reduces: Literal["shares", "proportion"] = "shares"
    is_slow: bool = False

    def accept(self, request: OrderRequest, client_id: int) -> None:
        resting = Resting(request, 1_000 + len(self.orders), client_id, request.quantity)
        self.orders.append(resting)
        if (self.rejects and request.kind == "market") or (self.rejects_stops and request.kind == "stop"):
            self.rejects = max(0, self.rejects - 1)
            resting.status = "rejected"
            self.tell(Reported(resting.report()))
            return
        if request.transmit:
            for sibling in self._family(resting):
                sibling.status = "working"
        self.tell(Reported(resting.report()))
        self.match()

    def cancel(self, order_id: int, client_id: int) -> None:
        if self.is_slow:
            return
        for order in self.orders:
            if (order.request.order_id, order.client_id) == (order_id, client_id) and order.is_open:
                self.end(order)

    def end(self, order: Resting) -> None:
        order.status = "cancelled"
        self.tell(Reported(order.report()))
        if self.reduces == "proportion":
            for other in self._group(order):
                self.end(other)
        for child in self.orders:
            if child.request.parent_id == order.request.order_id and child.is_open and not order.filled:
                self.end(child)

    def quote(self, symbol: str, bid: str, ask: str, /, **fields: object) -> None:
        at = self.clock.now()
        quote = Quote(symbol, at, Decimal(bid), Decimal(ask), last=(Decimal(bid) + Decimal(ask)) / 2)
        self.quotes[symbol] = replace(quote, **fields)  # type: ignore[arg-type] # fields of Quote
        self.tell(Quoted(self.quotes[symbol]))
        self.match()

    def requote(self) -> None:
        """The same prices again, of now."""
        for symbol, quote in sorted(self.quotes.items()):
            self.quotes[symbol] = replace(quote, at=self.clock.now())
            self.tell(Quoted(self.quotes[symbol]))
        self.match()

    def match(self) -> None:
        for order in list(self.orders):
            price = self._price(order) if self.fills and order.status == "working" else None
            if price is not None and self._parent_filled(order):
                self.fill(order, order.left, price)

    def fill(self, order: Resting, quantity: int, price: Decimal) -> None:
        order.filled, order.left = order.filled + quantity, order.left - quantity
        order.status = "working" if order.left else "filled"
        signed = quantity if order.request.side == "buy" else -quantity
        symbol = order.request.contract.symbol
        self.held[symbol] = self.held.get(symbol, 0) + signed
        self.cash -= price * signed + FEE
        done = Execution(
            exec_id=f"{len(self.executions):04d}.01",
            perm_id=order.perm_id,
            order_id=order.request.order_id,
            client_id=order.client_id,
            ref=order.request.ref,
            account=ACCOUNT,
            symbol=symbol,
            con_id=order.request.contract.con_id,
            side=order.request.side,
            quantity=Decimal(quantity),
            price=price,
            at=self.clock.now(),
        )
        self.executions.append(done)
        self.tell(Executed(done))
        self.tell(Reported(order.report()))
        self.tell(Commissioned(Commission(done.exec_id, FEE)))
        self._reduce_group(order, quantity)

    def tell(self, event: BrokerEvent) -> None:
        for line in self.lines:
            line.hear(event)

    def of(self, role: str) -> list[Resting]:
        """Orders by the end of their key."""
        return [order for order in self.orders if role in order.request.key]

    def entries(self, intent_id: str) -> list[Resting]:
        return [o for o in self.orders if o.request.ref == f"D1:{intent_id}" and not o.request.parent_id]

    def _reduce_group(self, filled: Resting, quantity: int) -> None:
        """By as many shares as were traded, or by the share of the order that was traded; what has nothing left ends."""
        before = filled.left + quantity
        for other in self._group(filled):
            gone = quantity if self.reduces == "shares" else -(-other.left * quantity // before)
            other.left = max(0, other.left - gone)
            if not other.left:
                self.end(other)

    def _group(self, one: Resting) -> list[Resting]:
        """The other orders of its group that can still fill."""
        group = one.request.oca_group
        return [o for o in self.orders if group and o is not one and o.request.oca_group == group and o.is_open]

    def _price(self, order: Resting) -> Decimal | None:
        quote = self.quotes.get(order.request.contract.symbol)
        if quote is None or quote.bid is None or quote.ask is None:
            return None
        buys, request = order.request.side == "buy", order.request
        near = quote.ask if buys else quote.bid
        if request.kind == "market":
            return near
        if request.limit_price is not None:
            return near if (near <= request.limit_price if buys else near >= request.limit_price) else None
        stop = request.stop_price
        hit = stop is not None and (quote.ask >= stop if buys else quote.bid <= stop)
        return near if hit else None

    def _parent_filled(self, order: Resting) -> bool:
        parents = [
            o for o in self.orders if o.request.order_id == order.request.parent_id and o.client_id == order.client_id
        ]
        return not order.request.parent_id or any(parent.filled for parent in parents)

    def _family(self, last: Resting) -> list[Resting]:
        parent = last.request.parent_id or last.request.order_id
        return [
            order
            for order in self.orders
            if order.client_id == last.client_id and parent in {order.request.order_id, order.request.parent_id}
        ]


class ScriptedBroker:
    """A connection to the exchange under a client id; each fault is a switch."""

    def __init__(self, exchange: Exchange, client_id: int = 11) -> None:
        self.exchange = exchange
        self.name = "scripted"
        self.client_id = client_id
        self.is_connected = False
        self.listener: Listener | None = None
        self.accounts: tuple[str, ...] = (ACCOUNT,)
        self.contracts: dict[str, tuple[Contract, ...]] = {
            "AAPL": (Contract("AAPL", 1),),
            "MSFT": (Contract("MSFT", 2),),
        }
        self.next_order_id = 1
        self.placed: list[OrderRequest] = []
        self.cancelled: list[int] = []
        self.watched: list[str] = []
        self.snapshots = 0
        self.refuses_connections = self.in_use = self.is_silent = self.snapshot_fails = self.loses_events = False
        self.loses_orders_after: int | None = None
        self.margin: MarginImpact | None = MarginImpact(Decimal(1000), Decimal(800), Decimal(100_000))
        self.during_snapshot: Callable[[], None] = lambda: None
        self.skew_s = 0.0

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    def hear(self, event: BrokerEvent) -> None:
        if self.listener is not None and self.is_connected and not self.loses_events:
            self.listener(event)

    async def connect(self) -> Welcome:
        if self.in_use:
            raise ClientIdInUse("client id 11 is in use", value=11)
        if self.refuses_connections:
            raise BrokerDown("nobody answers at 127.0.0.1:4002, mode paper")
        self.is_connected = True
        if self not in self.exchange.lines:
            self.exchange.lines.append(self)
        return Welcome(self.accounts, self.next_order_id, self.exchange.clock.now())

    async def close(self) -> None:
        self.is_connected = False

    def drop(self, reason: str = "reset by peer") -> None:
        """The socket breaks."""
        self.hear(Disconnected(reason))
        self.is_connected = False

    def notice(self, code: int, reaction: str, text: str = "") -> None:
        self.hear(Noticed(code, text or reaction, reaction))  # type: ignore[arg-type] # a word of the list

    async def snapshot(self) -> Snapshot:
        self._up()
        self.snapshots += 1
        self.during_snapshot()
        if self.snapshot_fails:
            raise SnapshotIncomplete("positions were not answered to the end")
        market, at = self.exchange, self.exchange.clock.now()
        reports = [order.report() for order in market.orders]
        return Snapshot(
            at=at,
            accounts=self.accounts,
            positions=tuple(
                HeldPosition(ACCOUNT, symbol, self.contracts[symbol][0].con_id, Decimal(shares), Decimal(100))
                for symbol, shares in sorted(market.held.items())
                if shares
            ),
            open_orders=tuple(r for r, o in zip(reports, market.orders, strict=True) if o.is_open),
            completed_orders=tuple(
                replace(r, order_id=0, client_id=0)
                for r, o in zip(reports, market.orders, strict=True)
                if not o.is_open
            ),
            executions=tuple(market.executions),
            commissions=tuple(Commission(done.exec_id, FEE) for done in market.executions),
            values=AccountValues(
                equity=market.cash + self._worth(),
                cash=market.cash,
                excess_liquidity=market.cash,
                initial_margin=Decimal(0),
                maintenance_margin=Decimal(0),
                intraday_excess_liquidity=market.cash,
            ),
        )

    def place(self, orders: Sequence[OrderRequest]) -> None:
        self._up()
        for order in orders:
            if self.loses_orders_after is not None and len(self.placed) >= self.loses_orders_after:
                continue
            self.placed.append(order)
            self.exchange.accept(order, self.client_id)

    def cancel(self, order_id: int) -> None:
        self._up()
        self.cancelled.append(order_id)
        self.exchange.cancel(order_id, self.client_id)

    def cancel_everything(self) -> None:
        raise AssertionError("never while anything is held")

    async def drain(self) -> int:
        return 100 * len(self.placed)

    async def time(self) -> datetime:
        if self.is_silent:
            raise BrokerDown("nobody answered in time")
        return self.exchange.clock.now()

    async def resolve(self, symbol: str) -> tuple[Contract, ...]:
        self._up()
        return self.contracts.get(symbol, ())

    async def what_if(self, _: OrderRequest) -> MarginImpact:
        if self.margin is None:
            raise BrokerDown("no answer on what-if")
        return self.margin

    def watch(self, contracts: Sequence[Contract]) -> None:
        self._up()
        self.watched += [contract.symbol for contract in contracts]

    def _up(self) -> None:
        if not self.is_connected:
            raise BrokerDown("not connected")

    def _worth(self) -> Decimal:
        shares = self.exchange.held.items()
        prices = {symbol: quote.mid or Decimal(100) for symbol, quote in self.exchange.quotes.items()}
        return sum((prices.get(symbol, Decimal(100)) * held for symbol, held in shares), Decimal(0))
