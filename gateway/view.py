"""What the gateway knows at this moment, and what that allows: the ledger's orders, the broker's account, the market, the link.

Nothing here outlives the process, and nothing here is a truth: it is read anew from ledger and broker at each start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.lifecycle import AT_BROKER, Known, Leg, Tracked
from trading_assets.broker.model import AccountValues, Contract, HeldPosition, Quote, Snapshot
from trading_assets.core.calendar import Session
from trading_assets.execution.ports import Halt
from trading_assets.plans.model import PlanSide
from trading_assets.plans.portfolio import Holding, Pending, Portfolio
from trading_assets.signatures.exposure import PendingEntry
from trading_assets.signatures.state import StateRuling

Link = Literal["down", "reconciling", "up", "broken"]
"""`down`: no connection. `reconciling`: no complete snapshot since it began. `broken`: the broker lost its own line."""
NOTHING_KNOWN = Known((), {}, frozenset(), {}, {}, None, frozenset(), is_new=True)
UNKNOWN_CASH = Decimal("NaN")
BEFORE_THE_FIRST_LOOK = StateRuling("HALTED", "the gateway has not reconciled yet")


@dataclass(slots=True)
class View:
    """The gateway's picture; parts of it are replaced as events arrive.

    Args:
        problems: By kind, why nothing may open now; every entry is a sentence.
        closed: By symbol, or "" for all, why reactions closed it to entries.
        opened_again: By symbol, when the exchange last lifted a halt.
        bars: By symbol, the start of the newest complete minute bar.
    """

    known: Known = NOTHING_KNOWN
    link: Link = "down"
    snapshot: Snapshot | None = None
    reconciled_at: datetime | None = None
    disagrees: str = ""
    clock_skew: timedelta | None = None
    quotes: dict[str, Quote] = field(default_factory=dict)
    bars: dict[str, datetime] = field(default_factory=dict)
    halted_symbols: set[str] = field(default_factory=set)
    opened_again: dict[str, datetime] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    contracts: dict[str, tuple[Contract, ...]] = field(default_factory=dict)
    halts: tuple[Halt, ...] = ()
    ruling: StateRuling = BEFORE_THE_FIRST_LOOK

    def hear(self, quote: Quote) -> None:
        """The newest quote of a symbol; one that is older than what is known changes nothing."""
        before = self.quotes.get(quote.symbol)
        if before is not None and quote.at < before.at:
            return
        self.quotes[quote.symbol] = quote
        if quote.halted:
            self.halted_symbols.add(quote.symbol)
        elif quote.symbol in self.halted_symbols:
            self.halted_symbols.discard(quote.symbol)
            self.opened_again[quote.symbol] = quote.at

    def contract(self, symbol: str) -> Contract | None:
        """The one contract of a symbol; None when there is none, or more than one."""
        found = self.contracts.get(symbol, ())
        return found[0] if len(found) == 1 else None

    def price(self, symbol: str) -> Decimal | None:
        """What a share is worth: half way between the sides, else the last trade; None without a quote."""
        quote = self.quotes.get(symbol)
        return None if quote is None else quote.mid or quote.last

    def breaker(self, symbol: str) -> str:
        """Why a symbol, or the desk, is closed to entries; empty when it is not."""
        return "; ".join(self.closed[name] for name in ("", symbol) if name in self.closed)

    @property
    def values(self) -> AccountValues:
        """The account's totals as the broker last told them; before that, nothing."""
        return AccountValues() if self.snapshot is None else self.snapshot.values


def portfolio(view: View, session: Session) -> Portfolio:
    """The account as the controls see it: what is held at what the broker says, and everything that is on its way at full size."""
    cash = view.values.cash
    costs = {held.symbol: held for held in view.snapshot.positions} if view.snapshot is not None else {}
    symbols = sorted(view.known.symbols)
    holdings = {
        symbol: _holding(view, symbol, held, costs.get(symbol), session)
        for symbol in symbols
        if (held := int(view.known.position(symbol)))
    }
    pending = tuple(each for intent in view.known.intents for each in _pending(intent))
    leaving = frozenset(i.symbol for i in view.known.intents if not i.opens and i.state in AT_BROKER and _trades(i))
    return Portfolio(UNKNOWN_CASH if cash is None else cash, holdings, pending, leaving)


def _holding(view: View, symbol: str, quantity: int, told: HeldPosition | None, session: Session) -> Holding:
    """A position without a price is worth what it cost; without that, what cannot be computed, and nothing opens."""
    cost = told.average_cost if told is not None else None
    price = view.price(symbol) or cost
    stops = _prices(view.known, symbol, "stop")
    targets = _prices(view.known, symbol, "target")
    is_long = quantity > 0
    return Holding(
        symbol=symbol,
        quantity=quantity,
        value=UNKNOWN_CASH if price is None else price * quantity,
        strategy="",
        opened=session.day,
        sessions_held=0,
        entry=cost,
        stop=(min(stops) if is_long else max(stops)) if stops else None,
        target=(min(targets) if is_long else max(targets)) if targets else None,
        base_quantity=_base(view.known, symbol) or abs(quantity),
    )


def _prices(known: Known, symbol: str, role: str) -> list[Decimal]:
    legs = [leg for intent in known.intents for leg in intent.legs if leg.symbol == symbol and leg.is_open]
    prices = [leg.stop_price if role == "stop" else leg.limit_price for leg in legs if leg.role == role]
    return [price for price in prices if price is not None]


def _base(known: Known, symbol: str) -> int:
    """The size of the first entry that is still tracked; 0 when none is."""
    entries = [
        leg for i in known.intents for leg in i.legs if leg.symbol == symbol and leg.role == "entry" and leg.filled
    ]
    return min((leg.quantity for leg in entries), default=0)


def _pending(intent: Tracked) -> list[Pending]:
    """What an intent may still open, at its limit, with what it would lose at its stop."""
    if not intent.opens or intent.state not in AT_BROKER:
        return []
    left = intent.quantity - int(intent.filled)
    if left < 1:
        return []
    side: PlanSide = "long" if intent.side == "buy" else "short"
    limit = next((leg.limit_price for leg in intent.legs if not leg.parent_key), None)
    stop = next((leg.stop_price for leg in intent.legs if leg.role == "stop"), None)
    notional = UNKNOWN_CASH if limit is None else limit * left
    risk = notional if limit is None or stop is None else abs(limit - stop) * left
    return [PendingEntry(intent.symbol, notional, side, left, risk)]


def _trades(intent: Tracked) -> bool:
    return any(leg.role in {"exit", "close", "flatten"} and leg.is_open for leg in intent.legs)


def positions(known: Known) -> Mapping[str, int]:
    """Whole shares held, negative when owed, by symbol; flat ones are left out."""
    held = {symbol: int(known.position(symbol)) for symbol in sorted(known.symbols)}
    return {symbol: quantity for symbol, quantity in held.items() if quantity}


def leg_of(known: Known, key: str) -> Leg | None:
    """One order of the ledger."""
    return next((leg for intent in known.intents for leg in intent.legs if leg.key == key), None)
