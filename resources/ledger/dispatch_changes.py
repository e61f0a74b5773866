"""What the broker said, written down: each change once, in the order in which it came, and a second time without effect.

A state that an order or an intent has passed is not gone back to: of a list that was written before, what leads up to the present
state is skipped. What contradicts the ledger in a way that no late report can explain halts the book; nothing is lost over it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_rows import REPORT, execution_row
from resources.ledger.dispatch_states import STANDING, Work, add_halt, move, standing, subject_of
from resources.ledger.text import instant_text, words
from trading_assets.broker import journaling as tell
from trading_assets.broker.lifecycle import (
    AT_BROKER,
    TERMINAL,
    WAYS,
    Absent,
    Adopted,
    Booked,
    Change,
    FeeBooked,
    ForeignOrder,
    IntentChanged,
    LegChanged,
    LegState,
    Mismatch,
    MustCancel,
    MustProtect,
)
from trading_assets.broker.model import HeldPosition
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import usd

_L, _S, _P, _A = t.LEGS.c, t.INTENT_STATES.c, t.PERM_IDS.c, t.ADOPTIONS.c
# Statements are made once: making one costs more than running it.
_LEG = sa.select(t.LEGS).where(_L.key == sa.bindparam("leg"), _L.book == sa.bindparam("of_book"))
_SET_LEG = t.LEGS.update().where(_L.key == sa.bindparam("leg"))
_ANYWHERE = STANDING.where(_S.intent_id == sa.bindparam("intent"))
# What an order that has ended may still turn out to be; one that was proven absent may turn up.
_AFTER_END: Mapping[LegState, frozenset[LegState]] = {
    "filled": frozenset(),
    "cancelled": frozenset({"filled"}),
    "rejected": frozenset({"filled"}),
}
_ZERO = Decimal(0)
_UNSENT = frozenset({"VETOED", "EXPIRED"})


@dataclass
class Applying:
    """One list of changes on its way into the ledger."""

    work: Work
    token: int
    as_of: datetime
    changes: Sequence[Change]
    _skip: dict[str, int] = field(default_factory=dict)

    def run(self) -> tuple[Change, ...]:
        """Writes what is new and returns it. What only asks for an action of the gateway is always returned."""
        self._find_what_was_passed()
        return tuple(change for place, change in enumerate(self.changes) if self._apply(place, change))

    def _apply(self, place: int, change: Change) -> bool:
        if isinstance(change, LegChanged):
            return self._leg(place, change)
        if isinstance(change, IntentChanged):
            return place > self._skip.get(change.intent_id, -1) and self._intent(change)
        if isinstance(change, MustCancel | MustProtect):
            return True
        return _WRITERS[type(change)](self, change)

    def _find_what_was_passed(self) -> None:
        """By order and intent, the last place in the list that names the state in which it is."""
        present: dict[str, str] = {}
        for place, change in enumerate(self.changes):
            if isinstance(change, LegChanged):
                name, state = change.key, present.get(change.key) or self._leg_row(change.key).state
            elif isinstance(change, IntentChanged):
                name, state = change.intent_id, present.get(change.intent_id) or self._state_of(change.intent_id)
            else:
                continue
            present[name] = state
            if change.state == state:
                self._skip[name] = place

    # Orders and intents

    def _leg(self, place: int, change: LegChanged) -> bool:
        row = self._leg_row(change.key)
        named = bool(change.perm_id) and self._name(row, change.perm_id)
        passed = place <= self._skip.get(change.key, -1) or change.state == row.state
        if passed or change.state not in _AFTER_END.get(row.state, frozenset({change.state})):
            return named
        values = {"state": change.state, "why": words(change.why), "at": instant_text(self.as_of)}
        self.work.connection.execute(_SET_LEG, {**values, "leg": change.key})
        return True

    def _name(self, leg: Any, perm_id: int) -> bool:
        """Keeps what the broker calls an order; a name that belongs to another order halts."""
        row = {"book": self.work.book, "perm_id": perm_id, "key": leg.key, "at": instant_text(self.as_of)}
        if self.work.insert_once(t.PERM_IDS, row, "book", "perm_id"):
            return True
        mine = (_P.book == self.work.book) & (_P.perm_id == perm_id)
        owner = self.work.connection.execute(sa.select(_P.key).where(mine)).scalar()
        return owner != leg.key and self._halt(f"perm_id: the broker calls both {owner} and {leg.key} {perm_id}")

    def _intent(self, change: IntentChanged) -> bool:
        row = standing(self.work, change.intent_id)
        is_out = row.state in AT_BROKER
        if change.state in WAYS[row.state] and (is_out or change.state in _UNSENT):
            move(self.work, row, change.state, why=change.why, as_of=self.as_of)
            return True
        if is_out or row.state in TERMINAL:
            return False
        return self._halt(f"unsent: intent {row.intent_id} is {row.state} here and {change.state} at the broker")

    def _absent(self, change: Absent) -> bool:
        counted = t.INTENT_STATES.update().where(_S.intent_id == change.intent_id, _S.book == self.work.book)
        new = counted.where(_S.absences != change.count).values(absences=change.count)
        return self.work.connection.execute(new).rowcount == 1

    def _leg_row(self, key: str) -> Any:
        row = self.work.connection.execute(_LEG, {"leg": key, "of_book": self.work.book}).first()
        if row is None:
            raise PermanentFailure(f"book {self.work.book} has handed no such order to a broker", value=key)
        return row

    def _state_of(self, intent_id: str) -> str:
        return str(standing(self.work, intent_id).state)

    # Executions, fees, and what is not the desk's

    def _booked(self, change: Booked) -> bool:
        done = change.execution
        explained = {"leg_key": change.leg_key, "intent_id": change.intent_id}
        corrected = {"replaces": change.replaces, "busts": change.busts}
        kept = {"book": self.work.book, "at": instant_text(self.as_of)}
        if not self.work.insert_once(
            t.EXECUTIONS, {**execution_row(done), **explained, **corrected, **kept}, "book", "exec_id"
        ):
            return False
        subject = self._subject(change.intent_id, done.symbol)
        self.work.entries.append(tell.execution_entry(subject, done, **explained, **corrected, at=self.as_of))
        self.work.drafts.append(tell.execution_draft(subject, done, change.intent_id, at=self.as_of))
        return True

    def _fee(self, change: FeeBooked) -> bool:
        fee = change.commission
        if fee.amount is None:
            return False
        row = {"book": self.work.book, "exec_id": fee.exec_id, "amount": usd(fee.amount), "currency": fee.currency}
        if not self.work.insert_once(t.EXECUTION_FEES, {**row, "at": instant_text(self.as_of)}, "book", "exec_id"):
            return False
        columns = t.EXECUTIONS.c
        mine = (columns.book == self.work.book) & (columns.exec_id == fee.exec_id)
        found = self.work.connection.execute(sa.select(columns.symbol, columns.intent_id).where(mine)).first()
        subject = self._subject(found.intent_id if found else "", found.symbol if found else "")
        self.work.entries.append(tell.fee_entry(subject, fee, format(usd(fee.amount), "f"), at=self.as_of))
        return True

    def _adopted(self, change: Adopted) -> bool:
        """Only where the ledger comes to the broker's count by it: told twice, it would not."""
        held = change.position
        if not change.difference or self._shares(held.symbol) + change.difference != held.quantity:
            return False
        _adopt(self.work, held, change.difference, change.why, self.as_of)
        if change.cash is not None:
            adopt_balance(self.work, change.cash, account=held.account, why=change.why, as_of=self.as_of)
        return True

    def _shares(self, symbol: str) -> Decimal:
        """Shares of a symbol that the ledger counts now, with what this transaction has written."""
        executions = Executions(self.work.book, symbol=symbol)
        executions.read(self.work.connection)
        mine = sa.select(_A.quantity).where(_A.book == self.work.book, _A.symbol == symbol)
        adopted: Iterable[str] = self.work.connection.execute(mine).scalars()
        return sum((Decimal(quantity) for quantity in adopted), executions.by_symbol.get(symbol, _ZERO))

    def _foreign(self, change: ForeignOrder) -> bool:
        report = change.report
        row = {"book": self.work.book, "perm_id": report.perm_id, "report": REPORT.dump_json(report).decode()}
        if not self.work.insert_once(t.FOREIGN_ORDERS, {**row, "at": instant_text(self.as_of)}, "book", "perm_id"):
            return False
        self.work.entries.append(tell.foreign_entry(self._subject("", report.symbol), report, at=self.as_of))
        return True

    def _mismatch(self, change: Mismatch) -> bool:
        return self._halt(f"{change.code}: {change.sentence}")

    def _halt(self, cause: str) -> bool:
        return add_halt(self.work, cause, as_of=self.as_of)

    def _subject(self, intent_id: str, symbol: str) -> tell.Subject:
        row = self.work.connection.execute(_ANYWHERE, {"intent": intent_id}).first() if intent_id else None
        return subject_of(row) if row is not None else tell.Subject(self.work.book, symbol)


_WRITERS: Mapping[type[Any], Callable[[Applying, Any], bool]] = {
    Absent: Applying._absent,
    Booked: Applying._booked,
    FeeBooked: Applying._fee,
    Adopted: Applying._adopted,
    ForeignOrder: Applying._foreign,
    Mismatch: Applying._mismatch,
}


def adopt_balance(work: Work, cash: Decimal, *, account: str, why: str, as_of: datetime) -> None:
    """Counts the account's cash from now on, USD; what is booked by now is part of it."""
    _adopt(work, HeldPosition(account, "", 0, _ZERO, _ZERO), _ZERO, why, as_of, cash=usd(cash))


def _adopt(
    work: Work, held: HeldPosition, quantity: Decimal, why: str, as_of: datetime, *, cash: Decimal | None = None
) -> None:
    columns = t.EXECUTIONS.c
    newest = work.connection.scalar(sa.select(sa.func.max(columns.seq)).where(columns.book == work.book))
    row: dict[str, Any] = {
        "account": held.account,
        "con_id": held.con_id,
        "quantity": format(quantity, "f"),
        "average_cost": format(held.average_cost, "f"),
        "through": newest or 0,
        "why": words(why),
    }
    kept = {"book": work.book, "symbol": held.symbol, "at": instant_text(as_of)}
    work.connection.execute(t.ADOPTIONS.insert(), {**row, **kept, "cash": cash})
    told = {**row, "cash": None if cash is None else format(cash, "f")}
    work.entries.append(tell.adoption_entry(tell.Subject(work.book, held.symbol), told, at=as_of))
