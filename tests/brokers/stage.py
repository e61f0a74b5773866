"""What a conformance case needs of a member: the broker under test, hands on its market, and the ground truth.

The ground truth is read where the member keeps it, never through the port: a case compares what the broker says with what is so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from trading_assets.broker.model import Side
from trading_assets.broker.ports import Broker


@dataclass(frozen=True, slots=True)
class TrueOrder:
    """One order as it really stands. `lives`: the broker holds it and it can still fill, now or when its parent has filled."""

    perm_id: int
    client_id: int
    order_id: int
    ref: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    lives: bool


@dataclass(frozen=True, slots=True)
class TrueFill:
    """One execution as it really happened, USD a share."""

    exec_id: str
    perm_id: int
    ref: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Truth:
    """The account as it is. `positions` holds no zero; `cash` is USD after fees."""

    orders: tuple[TrueOrder, ...]
    fills: tuple[TrueFill, ...]
    positions: Mapping[str, Decimal]
    cash: Decimal

    def of(self, ref: str) -> tuple[TrueOrder, ...]:
        """The orders behind one reference."""
        return tuple(order for order in self.orders if order.ref == ref)


class Stage(Protocol):
    """One member with a market of its own, inside its session.

    AAPL and MSFT are listed and quoted at 100.00 and 100.02 without sizes; the account holds 1,000,000 USD and nothing else.
    Every hand takes effect before it returns; what the broker tells of it may come later.
    """

    @property
    def name(self) -> str:
        """`ib` or `paper`."""
        ...

    @property
    def cannot(self) -> Mapping[str, str]:
        """Cases that the member cannot show, by number (`B07`), each with its reason; at most two."""
        ...

    @property
    def broker(self) -> Broker:
        """The broker under test: client id 11, not connected yet."""
        ...

    def another(self, client_id: int) -> Broker:
        """A second connection to the same account, not connected yet; of the same client id where a case asks for a collision."""
        ...

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
        """The market moves; without `last` it is the middle to the cent. A size bounds what fills at this quote, None does not."""
        ...

    async def reject_next(self) -> None:
        """The next order is refused by the broker, with a text."""
        ...

    async def foreign_order(self, symbol: str, side: Side, quantity: int, limit_price: str) -> None:
        """A person places a limit order by hand, with no reference of the desk."""
        ...

    async def drop(self) -> None:
        """Cuts every connection from the broker's side; new ones are accepted."""
        ...

    async def outage(self, *, on: bool) -> None:
        """The broker cannot be reached at all, until it can."""
        ...

    async def withhold_ends(self) -> None:
        """From now on the broker never says that a list is complete."""
        ...

    async def truth(self) -> Truth:
        """How it really is."""
        ...
