"""Round trips: what was earned from the first share of a symbol bought to the last one sold, or sold short and bought back.

Profit is the cash that moved, nothing estimated: the fills of the trip with their fees, plus dividends and cash in lieu received
while it was open, or paid by a short. Prices and quantities are shown in the share count of the exit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import usd
from trading_assets.execution.corporate import Action, split_shares
from trading_assets.execution.model import Fill, Side
from trading_assets.execution.ports import DividendPaid
from trading_assets.plans.model import PlanSide

_Event = DividendPaid | Action | Fill


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known about the intent that opened a trip; `stop_price` is USD in the share count of that day."""

    strategy: str
    regime: str
    stop_price: Decimal


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One row of TRADES, column by column."""

    session: date
    trade_id: str
    symbol: str
    side: PlanSide
    strategy: str
    regime: str
    opened: date
    quantity: int
    entry_price: Decimal
    exit_price: Decimal
    stop_price: Decimal
    fees: Decimal
    dividends: Decimal
    pnl: Decimal
    return_fraction: float
    sessions_held: int
    exit_reason: str
    knowable_at: datetime


def round_trips(
    fills: Sequence[Fill],
    splits: Iterable[Action],
    dividends: Iterable[DividendPaid],
    openings: Mapping[str, Origin],
) -> tuple[RoundTrip, ...]:
    """The closed round trips, ordered by closing session and trade; a position that is still open is left out.

    Args:
        fills: All fills of one book in booking order.
        splits: Splits of the symbols; other kinds of action are ignored.
        dividends: Cash received for holdings, cash in lieu of split shares included (`ActionResult.payments`); negative for shorts.
        openings: Intent id to what is known about it, at least for each intent whose entry opened a trip.

    Raises:
        PermanentFailure: A payment or a reduction without an open position, an entry against one, or an intent that is not in
            `openings`.
    """
    events: list[tuple[str, date, int, _Event]] = [(paid.symbol, paid.session, 0, paid) for paid in dividends]
    events += [(split.symbol, split.session, 1, split) for split in splits if split.kind == "split"]
    events += [(fill.symbol, fill.session, 2, fill) for fill in fills]
    events.sort(key=lambda event: event[:3])
    trips = [
        trip
        for _, of_symbol in groupby(events, key=lambda event: event[0])
        for trip in _trips((event for *_, event in of_symbol), openings)
    ]
    return tuple(sorted(trips, key=lambda trip: (trip.session, trip.trade_id)))


class _Trip:
    """A trip while it is open. `entered` and `left` are shares in today's count, which a split can make fractional.

    `entry_value` and `exit_value` are what the shares were worth when they were traded, whichever way the cash went.
    """

    def __init__(self, first: Fill, origin: Origin) -> None:
        self.first = first
        self.origin = origin
        self.sign = 1 if first.side == "buy" else -1
        self.held = 0
        self.ratio = Decimal(1)
        self.entered = self.left = Decimal(0)
        self.entry_value = self.exit_value = Decimal(0)
        self.fees = self.entry_fees = Decimal(0)
        self.payments: list[DividendPaid] = []

    @property
    def dividends(self) -> Decimal:
        return sum((payment.amount for payment in self.payments), Decimal(0))

    def enlarge(self, fill: Fill) -> None:
        self._require_side(fill, self.first.side, "opens against a position")
        self.held += fill.quantity
        self.entered += fill.quantity
        self.entry_value += fill.price * fill.quantity
        self.fees += fill.fee
        self.entry_fees += fill.fee

    def reduce(self, fill: Fill) -> None:
        self._require_side(fill, "sell" if self.first.side == "buy" else "buy", "does not reduce its position")
        if fill.quantity > self.held:
            verb = "sells more than is held" if fill.side == "sell" else "buys back more than is owed"
            raise PermanentFailure(f"fill {fill.id} {verb}", value=fill.quantity, bound=self.held)
        self.held -= fill.quantity
        self.left += fill.quantity
        self.exit_value += fill.price * fill.quantity
        self.fees += fill.fee

    def split(self, split: Action) -> None:
        """Into the new share count; a split that leaves no whole share closes all, for the cash paid on its day."""
        whole, _ = split_shares(self.held, split.ratio)
        if whole:
            self.ratio *= split.ratio
            self.entered *= split.ratio
            self.left *= split.ratio
        else:
            self.left += self.held
            paid = sum((p.amount for p in self.payments if p.session == split.session), Decimal(0))
            self.exit_value += self.sign * paid
            self.payments = [p for p in self.payments if p.session != split.session]
        self.held = whole

    def closed(self, session: date, exit_reason: str) -> RoundTrip:
        pnl = self.sign * (self.exit_value - self.entry_value) - self.fees + self.dividends
        return RoundTrip(
            session=session,
            trade_id=self.first.intent_id,
            symbol=self.first.symbol,
            side="long" if self.sign > 0 else "short",
            strategy=self.origin.strategy,
            regime=self.origin.regime,
            opened=self.first.session,
            quantity=int(usd(self.entered)),
            entry_price=usd(self.entry_value / self.entered),
            exit_price=usd(self.exit_value / self.left),
            stop_price=usd(self.origin.stop_price / self.ratio),
            fees=self.fees,
            dividends=self.dividends,
            pnl=pnl,
            return_fraction=float(pnl / (self.entry_value + self.entry_fees)),
            sessions_held=len(XNYS.sessions(self.first.session, session)),
            exit_reason=exit_reason,
            knowable_at=XNYS.session(session).close,
        )

    def _require_side(self, fill: Fill, side: Side, complaint: str) -> None:
        if fill.side != side:
            raise PermanentFailure(f"fill {fill.id} {complaint}", value=fill.side, bound=side)


def _trips(events: Iterable[_Event], openings: Mapping[str, Origin]) -> Iterator[RoundTrip]:
    """The closed trips of one symbol from its events in time order."""
    trip: _Trip | None = None
    for event in events:
        if trip is None:
            trip = _opened(event, openings)
        if trip is None:
            continue
        exit_reason = _moved(trip, event)
        if trip.held == 0:
            yield trip.closed(event.session, exit_reason)
            trip = None


def _opened(event: _Event, openings: Mapping[str, Origin]) -> _Trip | None:
    """A new trip for an entry; None for a split, which changes nothing when nothing is held."""
    if isinstance(event, Action):
        return None
    if isinstance(event, DividendPaid) or not event.opens:
        raise PermanentFailure(f"{event.symbol} has a payment or a reduction without an open position", value=event)
    if event.intent_id not in openings:
        raise PermanentFailure(f"fill {event.id} opens a trip of an unknown intent", value=event.intent_id)
    return _Trip(event, openings[event.intent_id])


def _moved(trip: _Trip, event: _Event) -> str:
    """Applies one event to an open trip; says why the trip is over if this ended it."""
    if isinstance(event, DividendPaid):
        trip.payments.append(event)
    elif isinstance(event, Action):
        trip.split(event)
    elif event.opens:
        trip.enlarge(event)
    else:
        trip.reduce(event)
        return event.role
    return "exit"
