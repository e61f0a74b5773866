"""The matching engine of the paper broker: what orders, cancels, quotes and the end of a session do to a book. Pure, and in order.

- Orders of one place are matched in the order in which they came, against what the market shows at that moment.
- A market order and a triggered stop trade at the far side plus slippage, a limit order at the far side when it comes and at its
  own price once it has rested. Nothing trades outside a session, in a halt, or against a crossed quote.
- What an order of an OCA group trades is taken off the others of the group, those that joined later too, before they can trade.
- A child can trade as many shares as its parent has filled, and no more.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from resources.brokers.paper.book import Book, Costs, Fill, Holding, PaperOrder, View, fee, session_at, session_for
from resources.brokers.paper.refusals import Refused, refused
from trading_assets.broker.model import (
    BrokerEvent,
    Commission,
    Commissioned,
    Executed,
    Execution,
    Noticed,
    OrderRequest,
    Quote,
    Reaction,
    Reported,
    Side,
)

STANDING: Final = timedelta(seconds=60)
"""How old a quote may be that an order meets when it arrives; an older one is not what the market shows."""
CLOSING: Final = timedelta(seconds=2)
"""How long after the close the last quotes of a session may still arrive."""
_BP: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event and the client that hears it: the one whose order it is about."""

    client_id: int
    event: BrokerEvent


@dataclass(slots=True)
class Exchange:
    """One step of the account's life. `touched` are the orders that changed, `happened` what is told, `fills` what traded."""

    book: Book
    costs: Costs
    happened: list[Happened] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything must be kept."""
        return bool(self.touched or self.happened)

    def place(self, requests: Sequence[OrderRequest], *, client_id: int, taken: Set[int], now: datetime) -> None:
        """Orders arrive, one after the other. `taken` are the order ids that the client has used before."""
        used = set(taken)
        for request in requests:
            self._arrive(request, client_id, used, now)
            used.add(request.order_id)
        for symbol in dict.fromkeys(request.contract.symbol for request in requests):
            self.meet(symbol, now)

    def cancel(self, order_id: int, *, client_id: int, ended: bool) -> None:
        """A client asks to cancel an order of its own; `ended` says whether it had one of this number that is done."""
        mine = (
            o for o in self.book.orders.values() if (o.client_id, o.order_id) == (client_id, order_id) and o.is_open
        )
        order = next(mine, None)
        if order is not None:
            self._cancel(order, "cancelled by the client")
        elif ended:
            self._notice(
                client_id, 10148, f"order {order_id} has ended and cannot be cancelled", "look_again", order_id
            )
        else:
            self._notice(client_id, 10147, f"order {order_id} is not known here", "look_again", order_id)

    def cancel_everything(self) -> None:
        """Every open order of the account is cancelled, whoever placed it."""
        for perm_id in sorted(self.book.orders):
            if self.book.orders[perm_id].is_open:
                self._cancel(self.book.orders[perm_id], "everything was cancelled")

    def quote(self, quote: Quote) -> None:
        """The market moves, and orders meet it; what is older than what it has shown is ignored."""
        if self._shows(quote):
            self._match(quote.symbol)

    def show(self, quotes: Iterable[Quote]) -> None:
        """What the market has shown already, where the book does not know it yet; no order meets it."""
        for quote in quotes:
            self._shows(quote)

    def _shows(self, quote: Quote) -> bool:
        view = self.book.views.get(quote.symbol)
        if view is not None and quote.at < view.quote.at:
            return False
        self.book.views[quote.symbol] = view.then(quote) if view else View(quote)
        return True

    def meet(self, symbol: str, now: datetime) -> None:
        """The symbol's orders meet what the market shows, if that is not old."""
        view = self.book.views.get(symbol)
        if view is not None and now - view.quote.at <= STANDING:
            self._match(symbol)

    def expire(self, now: datetime) -> None:
        """Day orders whose session is over end."""
        for perm_id in expired(self.book, now):
            if self.book.orders[perm_id].is_open:
                self._cancel(self.book.orders[perm_id], "the session ended")

    def _arrive(self, request: OrderRequest, client_id: int, taken: Set[int], now: datetime) -> None:
        problem = refused(request, self.book, client_id=client_id, taken=taken, costs=self.costs)
        if problem is not None and not problem.is_an_order:
            self._notice(client_id, problem.code, problem.text, problem.reaction, request.order_id)
            return
        order = self._numbered(request, client_id, now)
        if problem is not None:
            self._reject(order, problem)
            return
        self._keep(order)
        if request.transmit:
            self._transmit(order, now)
        else:
            self._report(order)

    def _numbered(self, request: OrderRequest, client_id: int, now: datetime) -> PaperOrder:
        perm_id, self.book.next_perm_id = self.book.next_perm_id, self.book.next_perm_id + 1
        parent = self.book.parent_of(request, client_id)
        return PaperOrder(
            perm_id=perm_id,
            client_id=client_id,
            order_id=request.order_id,
            key=request.key,
            ref=request.ref,
            symbol=request.contract.symbol,
            con_id=request.contract.con_id,
            tick=request.contract.min_tick,
            side=request.side,
            kind=request.kind,
            tif=request.tif,
            wanted=request.quantity,
            since=now,
            limit_price=request.limit_price if request.kind == "limit" else None,
            stop_price=request.stop_price if request.kind == "stop" else None,
            parent=parent.perm_id if parent else 0,
            parent_id=request.parent_id,
            oca_group=request.oca_group,
            ends_at=session_for(now).close if request.tif == "day" else None,
        )

    def _reject(self, order: PaperOrder, problem: Refused) -> None:
        if problem.scripted:
            self.book.refusals = self.book.refusals[1:]
        self._keep(replace(order, status="rejected", why=problem.text))
        self._notice(order.client_id, problem.code, problem.text, problem.reaction, order.order_id)
        self._report(self.book.orders[order.perm_id])

    def _transmit(self, order: PaperOrder, now: datetime) -> None:
        """The order goes to the market, and with it its parent and the children that wait there untransmitted."""
        family = {order.perm_id}
        if order.parent:
            family |= {o.perm_id for o in self.book.orders.values() if order.parent in (o.perm_id, o.parent)}
        for perm_id in sorted(family):
            member = self.book.orders[perm_id]
            if member.status == "held":
                self._keep(replace(member, status="working", since=now))
                self._report(self.book.orders[perm_id])
                if session_at(now) is None:
                    text = f"the order waits until {session_for(now).open:%Y-%m-%d %H:%M} UTC"
                    self._notice(member.client_id, 399, text, "order_lives", member.order_id)

    def _match(self, symbol: str) -> None:
        view = self.book.views[symbol]
        if view.quote.halted or session_at(view.quote.at) is None or _crossed(view.quote):
            return
        for perm_id in [p for p, order in sorted(self.book.orders.items()) if order.symbol == symbol]:
            order = self.book.orders.get(perm_id)
            if order is not None and order.status == "working":
                self._try(order)

    def _try(self, order: PaperOrder) -> None:
        fillable, far = self._fillable(order), self._far(order)
        if fillable <= 0 or far is None:
            return
        if order.kind == "stop" and not order.triggered:
            if not _triggers(order, self.book.views[order.symbol].quote):
                return
            order = self._keep(replace(order, triggered=True))
        price = self._price(order, far)
        if price is None:
            if not order.rested:
                self._keep(replace(order, rested=True))
            return
        available = self.book.views[order.symbol].available(order.side, self.costs.volume_share_max)
        shares = fillable if available is None else min(fillable, available)
        if shares > 0:
            self._fill(order, shares, price)

    def _fillable(self, order: PaperOrder) -> int:
        if not order.parent:
            return order.remaining
        return min(order.wanted, self.book.orders[order.parent].filled) - order.reduced - order.filled

    def _far(self, order: PaperOrder) -> Decimal | None:
        quote = self.book.views[order.symbol].quote
        return quote.ask if order.side == "buy" else quote.bid

    def _price(self, order: PaperOrder, far: Decimal) -> Decimal | None:
        """What it trades at, USD; None while a limit order waits."""
        if order.limit_price is None:
            return slipped(far, order.side, order.tick, self.costs)
        reached = far <= order.limit_price if order.side == "buy" else far >= order.limit_price
        return (order.limit_price if order.rested else far) if reached else None

    def _fill(self, order: PaperOrder, shares: int, price: Decimal) -> None:
        book, view = self.book, self.book.views[order.symbol]
        cost = fee(self.costs, price, shares)
        signed = shares if order.side == "buy" else -shares
        cash = -price * signed - cost
        book.cash += cash
        held = book.holdings.get(order.symbol) or Holding(order.symbol, order.con_id, 0, Decimal(0))
        after = held.after(signed, cash)
        book.holdings.pop(order.symbol, None)
        if after.quantity:
            book.holdings[order.symbol] = after
        book.views[order.symbol] = view.taking(order.side, shares)
        filled = order.filled + shares
        status = "filled" if filled == order.quantity else order.status
        order = self._keep(replace(order, filled=filled, status=status))
        self._tell_fill(order, shares, price, cost, max(view.quote.at, order.since))
        self._reduce_the_group(order, shares)

    def _tell_fill(self, order: PaperOrder, shares: int, price: Decimal, cost: Decimal, at: datetime) -> None:
        number, self.book.next_execution = self.book.next_execution, self.book.next_execution + 1
        execution = Execution(
            exec_id=f"paper.{number:06}.01",
            perm_id=order.perm_id,
            order_id=order.order_id,
            client_id=order.client_id,
            ref=order.ref,
            account=self.book.account,
            symbol=order.symbol,
            con_id=order.con_id,
            side=order.side,
            quantity=Decimal(shares),
            price=price,
            at=at,
        )
        self.fills.append(Fill(execution, cost))
        self.happened.append(Happened(order.client_id, Executed(execution)))
        self._report(order)
        self.happened.append(Happened(order.client_id, Commissioned(Commission(execution.exec_id, cost))))

    def _reduce_the_group(self, traded: PaperOrder, shares: int) -> None:
        if not traded.oca_group:
            return
        for perm_id in sorted(self.book.orders):
            other = self.book.orders[perm_id]
            if other.oca_group == traded.oca_group and other.is_open and perm_id != traded.perm_id:
                less = min(shares, other.remaining)
                self._shrink(replace(other, reduced=other.reduced + less), "others of its group traded for it")

    def _shrink(self, order: PaperOrder, why: str) -> None:
        """Keeps an order that wants fewer shares than before; it ends when nothing is left."""
        self._keep(order)
        if order.remaining > 0:
            self._report(order)
        elif order.filled and not order.reduced:
            self._report(self._keep(replace(order, status="filled")))
        else:
            self._cancel(order, why)

    def _cancel(self, order: PaperOrder, why: str) -> None:
        ended = self._keep(replace(order, status="cancelled", why=why))
        self._notice(
            order.client_id, 202, f"order {order.order_id} is cancelled: {why}", "order_cancelled", order.order_id
        )
        self._report(ended)
        for perm_id in sorted(self.book.orders):
            child = self.book.orders[perm_id]
            if child.parent == order.perm_id and child.is_open:
                # An early end leaves the children what the parent has filled.
                self._shrink(
                    replace(child, wanted=max(min(child.wanted, ended.filled), child.reduced + child.filled)), why
                )

    def _keep(self, order: PaperOrder) -> PaperOrder:
        self.book.orders[order.perm_id] = order
        self.touched.add(order.perm_id)
        return order

    def _report(self, order: PaperOrder) -> None:
        self.happened.append(Happened(order.client_id, Reported(order.report(self.book.account))))

    def _notice(self, client_id: int, code: int, text: str, reaction: Reaction, order_id: int) -> None:
        self.happened.append(Happened(client_id, Noticed(code, text, reaction, order_id)))


def expired(book: Book, now: datetime) -> tuple[int, ...]:
    """Open day orders whose session is over, by perm_id, parents first."""
    return tuple(
        perm_id
        for perm_id, order in sorted(book.orders.items())
        if order.is_open and order.ends_at is not None and order.ends_at + CLOSING <= now
    )


def slipped(far: Decimal, side: Side, tick: Decimal, costs: Costs) -> Decimal:
    """The far side worsened by the slippage, to the tick against the trader, never below one tick."""
    if side == "buy":
        return (far * (1 + costs.slippage_bp / _BP) / tick).to_integral_value(ROUND_CEILING) * tick
    return max(tick, (far * (1 - costs.slippage_bp / _BP) / tick).to_integral_value(ROUND_FLOOR) * tick)


def _triggers(order: PaperOrder, quote: Quote) -> bool:
    if order.stop_price is None:
        return False
    if order.side == "sell":
        return any(price is not None and price <= order.stop_price for price in (quote.last, quote.bid))
    return any(price is not None and price >= order.stop_price for price in (quote.last, quote.ask))


def _crossed(quote: Quote) -> bool:
    return quote.bid is not None and quote.ask is not None and quote.bid > quote.ask
