"""What a book holds and has ordered, as a glance shows it: each position with its stop and how far away that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from resources.desk import DeskResource
from trading_assets.core.calendar import NEW_YORK

if TYPE_CHECKING:
    from resources.ledger.dispatch_reading import StoredSnapshot
    from trading_assets.broker.lifecycle import Leg
    from trading_assets.execution.model import Order
    from trading_assets.execution.ports import SessionClose

_PROTECTING = frozenset({"stop", "protect"})


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest price that was knowable, USD, and of when it is."""

    price: Decimal
    of: str


@dataclass(frozen=True, slots=True)
class Held:
    """Shares with their average cost and the stop nearest to the price that rests for them, USD."""

    symbol: str
    quantity: Decimal
    average_cost: Decimal
    stop: Decimal | None

    def told(
        self,
        prices: Mapping[str, Seen],
        closes: Mapping[str, Decimal],
        close: "SessionClose | None",
        strategy: str,
    ) -> dict[str, Any]:
        """Its line. `stop_distance_fraction` is of the price; None where price or stop is unknown."""
        seen = prices.get(self.symbol)
        if seen is None and close is not None and self.symbol in closes:
            seen = Seen(closes[self.symbol], f"close of {close.session}")
        gained = None if seen is None else (seen.price - self.average_cost) * self.quantity
        apart = None if seen is None or self.stop is None else abs(seen.price - self.stop) / seen.price
        return {
            "symbol": self.symbol,
            "strategy": strategy,
            "quantity": str(self.quantity),
            "average_cost_usd": f"{self.average_cost:.4f}",
            "price_usd": None if seen is None else str(seen.price),
            "price_of": None if seen is None else seen.of,
            "unrealised_usd": None if gained is None else f"{gained:.2f}",
            "stop_usd": None if self.stop is None else str(self.stop),
            "stop_distance_fraction": None if apart is None else round(float(apart), 6),
        }


def held_at_broker(snapshot: "StoredSnapshot", legs: Sequence["Leg"]) -> list[Held]:
    """What the broker says is held, with the stops that the ledger knows."""
    stops = _nearest((leg.symbol, leg.side, leg.stop_price) for leg in legs if leg.role in _PROTECTING)
    return [
        Held(each.symbol, each.quantity, each.average_cost, stops.get((each.symbol, _closing(each.quantity))))
        for each in sorted(snapshot.positions, key=lambda held: held.symbol)
        if each.quantity
    ]


def held_in_book(close: "SessionClose") -> list[Held]:
    """What the book held at its last close, with the stops that rest at the paper broker."""
    resting = [order for order in close.book.orders.values() if order.status in {"held", "working"}]
    stops = _nearest((order.symbol, order.side, order.stop_price) for order in resting if order.role in _PROTECTING)
    return [
        Held(symbol, quantity, held.average_cost, stops.get((symbol, _closing(quantity))))
        for symbol, held in sorted(close.book.positions.items())
        if (quantity := Decimal(held.quantity))
    ]


def seen_prices(desk: DeskResource, symbols: Sequence[str], now: datetime) -> dict[str, Seen]:
    """The newest intraday bar of the day that had ended; a symbol without one is missing."""
    if not symbols:
        return {}
    from trading_assets.market.model import INTRADAY_BARS

    day = now.astimezone(NEW_YORK).date()
    bars = desk.lake().read(INTRADAY_BARS, as_of=now, first=day, last=day, symbols=sorted(symbols))
    newest = bars.sort("knowable_at").group_by("symbol", maintain_order=True).last()
    return {
        row["symbol"]: Seen(
            Decimal(str(row["close"])).quantize(Decimal("0.0001")),
            f"{row['knowable_at'].astimezone(NEW_YORK):%H:%M}",
        )
        for row in newest.iter_rows(named=True)
    }


def at_the_broker(leg: "Leg") -> dict[str, Any]:
    """An order that was handed over and can still fill."""
    return _order(leg.symbol, leg.role, leg.side, leg.kind, leg.quantity, leg.filled, leg.state) | {
        "limit_usd": _text(leg.limit_price),
        "stop_usd": _text(leg.stop_price),
    }


def waiting_for_bars(order: "Order") -> dict[str, Any]:
    """An order of the paper broker that fills from the session's bars."""
    told = _order(order.symbol, order.role, order.side, order.type, order.quantity, Decimal(order.filled), order.status)
    return told | {"limit_usd": _text(order.limit_price), "stop_usd": _text(order.stop_price)}


def _order(symbol: str, role: str, side: str, kind: str, quantity: int, filled: Decimal, state: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "role": role,
        "side": side,
        "kind": kind,
        "quantity": quantity,
        "filled": str(filled),
        "state": state,
    }


def _nearest(stops: Iterable[tuple[str, str, Decimal | None]]) -> dict[tuple[str, str], Decimal]:
    """By symbol and side, the stop that is hit first: the highest to sell, the lowest to buy."""
    found: dict[tuple[str, str], Decimal] = {}
    for symbol, side, price in stops:
        if price is not None:
            before = found.get((symbol, side), price)
            found[symbol, side] = max(before, price) if side == "sell" else min(before, price)
    return found


def _closing(quantity: Decimal) -> str:
    return "sell" if quantity > 0 else "buy"


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
