"""The book of a desk whose orders rest at a broker: what was carried into the session, and what the broker told since.

The paper book of a backtest moves by its own matching; here every share and every dollar comes from an execution, and nothing is
matched again. A position may turn into its opposite, for a broker can fill what nobody wanted.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from trading_assets.broker.lifecycle import Leg, LegRole
from trading_assets.core.calendar import NEW_YORK, Session
from trading_assets.core.money import usd
from trading_assets.execution.matching import fee as estimated_fee
from trading_assets.execution.model import Book, Costs, Fill, Order, OrderRole, Position
from trading_assets.execution.ports import SessionClose
from trading_assets.execution.settlement import Opening, Settled
from trading_assets.execution.told import Adoption, AtBroker, BookedExecution

_ROLES: Mapping[LegRole, OrderRole] = {"flatten": "exit", "protect": "stop"}


def book_now(carried: Book, told: AtBroker, costs: Costs) -> Book:
    """The book after what the broker told; its orders are those that can still fill.

    Args:
        costs: Stand in for fees that the broker has not told yet.
    """
    cash, positions = carried.cash, dict(carried.positions)
    for adopted in told.adoptions:
        cash = adopted.cash if adopted.cash is not None else cash
        _move(positions, adopted.symbol, int(adopted.quantity), _cost(adopted))
    for booked in told.executions:
        done = booked.execution
        paid = usd(done.signed * done.price)
        fee = _fee(booked, costs)
        cash -= paid + fee
        _move(positions, done.symbol, int(done.signed), paid + fee)
    return Book(cash, positions, {leg.key: order_of(leg) for leg in told.legs})


def settle_told(
    session: Session, opening: Opening, told: AtBroker, closes: Mapping[str, Decimal], costs: Costs
) -> Settled:
    """Closes a session on what the broker told, valued at the session's closes.

    Args:
        opening: The book that was carried into the session, after its splits and dividends.
        closes: By symbol, the session's close; a symbol without one keeps its last price.
    """
    book = book_now(opening.book, told, costs)
    fills = tuple(fill_of(booked, session.day, costs) for booked in told.executions if booked.leg_key)
    prices = {symbol: closes.get(symbol, opening.prices.get(symbol, _last(told, symbol))) for symbol in book.positions}
    close = SessionClose(
        session=session.day,
        book=book,
        prices=prices,
        fees=sum((fill.fee for fill in fills), Decimal(0)),
        dividends=sum((paid.amount for paid in opening.dividends), Decimal(0)),
        traded_value=sum((fill.price * fill.quantity for fill in fills), Decimal(0)),
    )
    return Settled(close, fills, opening.dividends)


def fill_of(booked: BookedExecution, session: date, costs: Costs) -> Fill:
    """An execution of one of the desk's orders as it is settled."""
    done = booked.execution
    role = booked.role or "exit"
    return Fill(
        id=done.exec_id,
        order_id=booked.leg_key,
        intent_id=booked.intent_id,
        symbol=done.symbol,
        side=done.side,
        role=_ROLES.get(role) or role,  # type: ignore[arg-type] # every other role of a leg is one of an order
        quantity=int(done.quantity),
        price=usd(done.price),
        fee=_fee(booked, costs),
        session=session,
        at=done.at,
        reason="broker" if booked.fee is not None else "broker, fee estimated",
    )


def order_of(leg: Leg) -> Order:
    """A leg as plans and signers see it; a child whose parent has not filled waits."""
    sent = leg.sent_at
    if sent is None:
        raise ValueError(f"{leg.key} was never handed out")
    return Order(
        id=leg.key,
        intent_id=leg.intent_id,
        symbol=leg.symbol,
        side=leg.side,
        type=leg.kind,  # type: ignore[arg-type] # the desk sends market, limit and stop only
        role=_ROLES.get(leg.role) or leg.role,  # type: ignore[arg-type] # as above
        quantity=leg.quantity,
        placed_at=sent,
        session=sent.astimezone(NEW_YORK).date(),
        time_in_force="gtc" if leg.role in {"stop", "target", "protect"} else "day",
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        parent_id=leg.parent_key or None,
        filled=int(leg.filled),
        status="held" if leg.state == "held" else "working",
        fills=1 if leg.filled else 0,
    )


def _fee(booked: BookedExecution, costs: Costs) -> Decimal:
    done = booked.execution
    return booked.fee if booked.fee is not None else estimated_fee(costs, done.price, int(done.quantity))


def _cost(adopted: Adoption) -> Decimal:
    return usd(adopted.average_cost * adopted.quantity)


def _last(told: AtBroker, symbol: str) -> Decimal:
    """The newest price that the broker told of a symbol that has no close."""
    prices = [usd(booked.execution.price) for booked in told.executions if booked.execution.symbol == symbol]
    costs = [usd(adopted.average_cost) for adopted in told.adoptions if adopted.symbol == symbol]
    return [*costs, *prices][-1]


def _move(positions: dict[str, Position], symbol: str, shares: int, paid: Decimal) -> None:
    """Adds shares at what they cost, or takes them off at average cost; what turns the position over opens at the new price."""
    held = positions.get(symbol, Position(symbol, 0, Decimal(0)))
    after = held.quantity + shares
    if not after:
        positions.pop(symbol, None)
    elif held.quantity * shares >= 0:
        positions[symbol] = Position(symbol, after, held.cost + paid)
    elif held.quantity * after > 0:
        positions[symbol] = Position(symbol, after, held.cost - usd(held.cost * -shares / held.quantity))
    else:
        positions[symbol] = Position(symbol, after, usd(paid * after / shares))
