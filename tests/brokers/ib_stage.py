"""Interactive Brokers on its stage: the desk's own adapter with the unmodified client, on the loopback Gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal

from resources.brokers.ib import InteractiveBrokersBroker
from tests.brokers.stage import TrueFill, TrueOrder, Truth
from tests.tws import messages
from tests.tws.faults import Withhold, refuse
from tests.tws.gateway import ACCOUNT, running
from tests.tws.trading import TradingGateway
from trading_assets.broker.model import Side
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import InteractiveBrokers

CLIENT_ID = 11
TIMEOUT_S = 1.0
SIDES: Mapping[str, Side] = {"BUY": "buy", "SELL": "sell"}


class IbStage:
    """The Gateway runs in a thread of its own; the adapter in the loop of the case."""

    name = "ib"
    cannot: Mapping[str, str] = {}

    def __init__(self, gateway: TradingGateway) -> None:
        self.gateway = gateway
        self.broker: Broker = self.another(CLIENT_ID)

    def another(self, client_id: int) -> Broker:
        """One more adapter."""
        settings = InteractiveBrokers(port=self.gateway.port, account=ACCOUNT, timeout_seconds=TIMEOUT_S)
        return InteractiveBrokersBroker(settings, client_id=client_id, mode="paper")

    async def quote(
        self,
        symbol: str,
        bid: str | None,
        ask: str | None,
        *,
        last: str | None = None,
        bid_size: int | None = None,
        ask_size: int | None = None,
        halted: bool = False,
    ) -> None:
        """The market moves."""
        self.gateway.set_quote(symbol, bid, ask, last=last, bid_size=bid_size, ask_size=ask_size, halted=halted)

    async def reject_next(self) -> None:
        """201 for the next order that is transmitted."""
        self.gateway.judge(refuse(201))

    async def foreign_order(self, symbol: str, side: Side, quantity: int, limit_price: str) -> None:
        """In the broker's own window."""
        self.gateway.place_by_hand(symbol, side.upper(), quantity, limit_price)

    async def drop(self) -> None:
        """Resets every socket."""
        self.gateway.drop()

    async def outage(self, *, on: bool) -> None:
        """Nobody listens at the port."""
        if on:
            self.gateway.away()
        else:
            self.gateway.back()

    async def withhold_ends(self) -> None:
        """The ends of lists are never sent."""
        self.gateway.with_faults(Withhold(messages.POSITION_END, messages.OPEN_ORDER_END))

    async def truth(self) -> Truth:
        """From the book, past the wire."""
        ground = self.gateway.truth()
        orders = tuple(
            TrueOrder(
                perm_id=one.perm_id,
                client_id=one.client_id,
                order_id=one.order_id,
                ref=one.ref,
                symbol=one.instrument.symbol,
                side=SIDES[one.action],
                quantity=one.quantity,
                filled=one.filled,
                lives=not one.ended,
            )
            for one in ground.orders
        )
        fills = tuple(
            TrueFill(
                exec_id=one.exec_id,
                perm_id=one.order.perm_id,
                ref=one.order.ref,
                symbol=one.order.instrument.symbol,
                side=SIDES[one.order.action],
                quantity=one.quantity,
                price=one.price,
                fee=one.fee,
            )
            for one in ground.fills
        )
        return Truth(orders, fills, ground.positions, ground.cash)


@asynccontextmanager
async def ib_stage(*, cash: Decimal = Decimal(1_000_000)) -> AsyncIterator[IbStage]:
    """A Gateway of its own, quoted and running."""
    gateway = TradingGateway(cash=cash)
    with running(gateway):
        for symbol in ("AAPL", "MSFT"):
            gateway.set_quote(symbol, "100.00", "100.02")
        yield IbStage(gateway)
