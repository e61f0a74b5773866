"""What the ledger holds for the gateway: signed intents on their way out, and how often the desk has already acted.

Everything a gateway decides is a transition here first: nothing is written to a socket that is not committed before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from trading_assets.broker.lifecycle import Change, IntentState, Known, LegRole
from trading_assets.broker.model import Contract, OrderRequest, Snapshot
from trading_assets.execution.ports import Halt, Intent
from trading_assets.signatures.model import Seal, Verdict
from trading_assets.signatures.sending import Counters


@dataclass(frozen=True, slots=True)
class Waiting:
    """An intent that has not been sent, with the seals on it. `decided_at` is when its decision was committed."""

    intent: Intent
    state: IntentState
    seals: tuple[Seal, ...]
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class NewLeg:
    """An order that is about to be sent, with what it is for. `parent_key` is empty for the first leg of an intent or slice."""

    request: OrderRequest
    role: LegRole
    parent_key: str = ""


@dataclass(frozen=True, slots=True)
class Reduction:
    """An intent that the gateway or the watchdog makes by itself: it only ever reduces, or protects.

    `key` names the occasion, so that the same occasion makes one intent: for example `flatten/AAPL/2024-03-25/1`. `cause` is told
    in the journal. `role`: `flatten` and `exit` trade now, `close` ends a day position, `protect` is a resting stop.
    """

    key: str
    symbol: str
    role: LegRole
    quantity: int
    cause: str


@dataclass(frozen=True, slots=True)
class Equity:
    """What drawdown and daily loss are measured against, USD. None where there is nothing to measure against."""

    day_open: Decimal | None
    peak: Decimal | None


class DispatchStore(Protocol):
    """One book's orders in the ledger, for the holder of its lease. Each method is one transaction, with full sync.

    Methods with a `token` raise LeaseLost, before anything is written, unless the token is that of the newest grant and still runs.
    """

    def waiting(self) -> Sequence[Waiting]:
        """Intents in PROPOSED, SIGNED or INTENT, oldest first."""
        ...

    def seal(self, seals: Sequence[Seal], *, as_of: datetime) -> None:
        """Stores seals; an intent with all three becomes SIGNED, and the bus says so. A second seal of one signer is refused."""
        ...

    def refuse(self, intent_id: str, verdict: Verdict, *, as_of: datetime) -> None:
        """To VETOED, with the verdict that names every breach, in journal and bus."""
        ...

    def expire(self, intent_id: str, why: str, *, as_of: datetime) -> None:
        """To EXPIRED."""
        ...

    def accept(self, intent_id: str, *, token: int, as_of: datetime) -> None:
        """SIGNED to INTENT: the controls have passed."""
        ...

    def submit(self, intent_id: str, legs: Sequence[NewLeg], *, token: int, as_of: datetime) -> None:
        """INTENT to SUBMITTING, with the legs and their order ids: one update that also needs the lease and, for what opens, that
        no halt is open. After it the orders may be on the wire, whatever happens.

        Raises:
            LeaseLost: Another gateway took over.
            TradingHalted: A halt is open and the intent opens; or the intent is no longer INTENT.
        """
        ...

    def submit_more(self, intent_id: str, legs: Sequence[NewLeg], *, token: int, as_of: datetime) -> None:
        """Further slices of an intent that is at the broker already; the same conditions."""
        ...

    def sent(self, intent_id: str, total_bytes: int, *, as_of: datetime) -> None:
        """The socket has taken the legs; how many bytes went out on the connection so far."""
        ...

    def reduce(self, reduction: Reduction, contract: Contract, *, token: int, as_of: datetime) -> str | None:
        """A new intent of the gateway's own, in state INTENT; its id, or None when the occasion has one already."""
        ...

    def apply(self, changes: Sequence[Change], *, token: int, as_of: datetime) -> Sequence[Change]:
        """Writes changes at once, in their order; returns those that were new. Applying them twice changes nothing.

        A Mismatch becomes an open halt, once for each sentence. Executions become messages on the bus and journal entries; so do
        states of intents.
        """
        ...

    def keep_snapshot(self, snapshot: Snapshot, *, token: int, as_of: datetime) -> None:
        """What the broker said last, for whoever reads the ledger; one row."""
        ...

    def known(self) -> Known:
        """What the ledger holds, for reconciliation."""
        ...

    def newest_order_id(self, client_id: int) -> int:
        """The greatest order id ever given to the client id; 0 for none."""
        ...

    def contract(self, symbol: str) -> Contract | None:
        """The contract that a symbol was resolved to; None before."""
        ...

    def keep_contract(self, contract: Contract, *, as_of: datetime) -> None:
        """Remembers what a symbol was resolved to. A symbol that has another con_id already is refused: PermanentFailure."""
        ...

    def counters(self, session: date, *, decision: str, as_of: datetime) -> Counters:
        """How often the desk acted in the session and in the last minute."""
        ...

    def equity(self, session: date) -> Equity:
        """The close before the session, and the peak since the last acknowledged halt, snapshots of sessions included."""
        ...

    def halts(self) -> Sequence[Halt]:
        """Halts that nobody acknowledged, oldest first."""
        ...

    def halt(self, cause: str, *, as_of: datetime) -> None:
        """Records a halt; a cause that is open already is not recorded again."""
        ...
