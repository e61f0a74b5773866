"""What changes make of what is known: the ledger's own arithmetic without the ledger, for whoever looks ahead in memory.

Only what lasts counts: bookings, states, adoptions. A mismatch, a cancel or a protection that is wanted is a demand: it changes
nothing here, and comes again for as long as the broker shows the reason for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from trading_assets.broker.lifecycle import (
    WAYS,
    Absent,
    Adopted,
    Booked,
    Change,
    FeeBooked,
    ForeignOrder,
    IntentChanged,
    Known,
    Leg,
    LegChanged,
    Mismatch,
    MustCancel,
    MustProtect,
    Tracked,
)
from trading_assets.broker.model import Execution

DEMANDS = (Mismatch, MustCancel, MustProtect)


def lasting(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes without the demands among them."""
    return tuple(change for change in changes if not isinstance(change, DEMANDS))


def applied(known: Known, changes: Sequence[Change]) -> Known:
    """What is known after the changes, in their order. A change that is there already, or that no way allows, changes nothing."""
    changes = lasting(changes)
    if not changes:
        return known
    draft = _Draft(known)
    for change in changes:
        draft.apply(change)
    return draft.done()


class _Draft:
    """What is known while changes are written into it, each at the place that a look-up finds at once."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._executions = dict(known.executions)
        self._adopted = dict(known.adopted)
        self._booked = dict(known.booked)
        self._fees = set(known.fees)
        self._foreign = set(known.foreign)
        self._cash = known.cash
        self._is_new = known.is_new
        self._intents = {intent.id: intent for intent in known.intents}
        self._owners: dict[str, str] = {}

    def done(self) -> Known:
        """What is known now."""
        return replace(
            self._known,
            intents=tuple(self._intents.values()),
            executions=self._executions,
            fees=frozenset(self._fees),
            adopted=self._adopted,
            booked=self._booked,
            cash=self._cash,
            foreign=frozenset(self._foreign),
            is_new=self._is_new,
        )

    def apply(self, change: Change) -> None:
        """Writes one change."""
        match change:
            case Booked():
                self._book(change)
            case FeeBooked():
                self._book_fee(change)
            case LegChanged():
                self._with_leg(change.key, lambda leg: _renamed(leg, change))
            case IntentChanged():
                self._with_intent(change.intent_id, lambda intent: _moved(intent, change))
            case Absent():
                self._with_intent(change.intent_id, lambda intent: replace(intent, absences=change.count))
            case Adopted():
                self._adopt(change)
            case ForeignOrder():
                self._foreign.add(change.report.perm_id)

    def _book(self, change: Booked) -> None:
        execution = change.execution
        if execution.exec_id in self._executions:
            return
        shares = _moved_by(self._executions, change, _signed)
        if self._cash is not None:
            self._cash += _moved_by(self._executions, change, _value)
        self._executions[execution.exec_id] = execution
        self._booked[execution.symbol] = self._booked.get(execution.symbol, Decimal(0)) + shares
        if change.leg_key:
            self._with_leg(
                change.leg_key, lambda leg: replace(leg, filled=leg.filled + (shares if leg.side == "buy" else -shares))
            )

    def _book_fee(self, change: FeeBooked) -> None:
        commission = change.commission
        if commission.exec_id in self._fees or commission.amount is None:
            return
        self._fees.add(commission.exec_id)
        if self._cash is not None:
            self._cash -= commission.amount

    def _adopt(self, change: Adopted) -> None:
        symbol = change.position.symbol
        self._adopted[symbol] = self._adopted.get(symbol, Decimal(0)) + change.difference
        self._cash = self._cash if change.cash is None else change.cash
        self._is_new = False

    def _with_leg(self, key: str, changed: Callable[[Leg], Leg]) -> None:
        if not self._owners:
            self._owners = {leg.key: intent.id for intent in self._intents.values() for leg in intent.legs}
        owner = self._intents.get(self._owners.get(key, ""))
        if owner is not None:
            legs = tuple(changed(leg) if leg.key == key else leg for leg in owner.legs)
            self._intents[owner.id] = replace(owner, legs=legs)

    def _with_intent(self, intent_id: str, changed: Callable[[Tracked], Tracked]) -> None:
        if intent_id in self._intents:
            self._intents[intent_id] = changed(self._intents[intent_id])


def _moved_by(executions: Mapping[str, Execution], change: Booked, measure: Callable[[Execution], Decimal]) -> Decimal:
    """What a booking changes: a correction counts for the difference that it makes, a bust for what it takes back."""
    own = Decimal(0) if change.busts else measure(change.execution)
    earlier = executions.get(change.replaces or change.busts)
    return own if earlier is None else own - measure(earlier)


def _signed(execution: Execution) -> Decimal:
    return execution.signed


def _value(execution: Execution) -> Decimal:
    return -execution.signed * execution.price


def _renamed(leg: Leg, change: LegChanged) -> Leg:
    is_new = change.perm_id and change.perm_id not in leg.perm_ids
    return replace(leg, state=change.state, perm_ids=(*leg.perm_ids, change.perm_id) if is_new else leg.perm_ids)


def _moved(intent: Tracked, change: IntentChanged) -> Tracked:
    return replace(intent, state=change.state) if change.state in WAYS[intent.state] else intent
