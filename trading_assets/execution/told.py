"""What the broker told of one session, as decisions and settlements read it back from the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading_assets.broker.lifecycle import Leg, LegRole
from trading_assets.broker.model import Execution


@dataclass(frozen=True, slots=True)
class BookedExecution:
    """An execution that counts: corrected ones and busts are left out. `leg_key` is empty where no order of the desk explains it.

    `fee` is None while the broker has not told it.
    """

    execution: Execution
    leg_key: str
    intent_id: str
    role: LegRole | None
    fee: Decimal | None


@dataclass(frozen=True, slots=True)
class Adoption:
    """Shares that were there before the desk, or came by hand; `cash` instead of shares for the account's first balance, USD."""

    symbol: str
    quantity: Decimal
    average_cost: Decimal
    cash: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AtBroker:
    """What the broker told of one session, for a decision within it or for its settlement.

    Args:
        executions: Of the session, in the order in which they happened.
        adoptions: Of the session.
        legs: Orders that can still fill, with those of intents that are on their way to the broker.
        held: By symbol, whole shares as the broker last told them, negative when owed; None where it never told any.
    """

    executions: tuple[BookedExecution, ...] = ()
    adoptions: tuple[Adoption, ...] = ()
    legs: tuple[Leg, ...] = ()
    held: Mapping[str, int] | None = None
