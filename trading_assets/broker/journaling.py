"""What the journal tells, and the bus announces, of orders at a broker.

Pure, and below every stage, so that the watchdog tells its own orders in the same words as the gateway. Entries are notes whose
body says in `of` what they are; a body holds every column of the row that is written with it, so that the two can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from trading_assets.broker.model import Commission, Execution, OrderReport
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.journal import Entry, EntryKind, Json
from trading_assets.core.messages import Draft, Executed, Halted, Payload, Signed, StateChanged

STATE, SEAL, EXECUTION, FEE = "intent_state", "seal", "execution", "execution_fee"
ADOPTION, FOREIGN_ORDER, HANDED_OVER = "adoption", "foreign_order", "orders_handed_over"
SENDER = "ledger"
TITLE_MAX = 120
_NO_LINE = re.compile("[\0\n\r\ud800-\udfff]+")
Body = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about: a book, a symbol, and the decision or occasion that everything came of."""

    book: str
    symbol: str = ""
    cause: str = ""


def new_york_day(moment: datetime) -> date:
    """The New York date, on closed days too."""
    return moment.astimezone(NEW_YORK).date()


def instant(moment: datetime) -> str:
    """UTC with microseconds, as the ledger keeps it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def line(text: str) -> str:
    """One line that every database keeps."""
    return " ".join(_NO_LINE.sub(" ", text).split())[:TITLE_MAX]


# Entries


def note(subject: Subject, of: str, title: str, body: Body, *, at: datetime, kind: EntryKind = "note") -> Entry:
    """An entry about a subject; `of` says what its body holds."""
    return Entry(
        book=subject.book,
        session=new_york_day(at),
        at=at,
        kind=kind,
        title=line(title),
        body={"of": of, **body},
        symbol=line(subject.symbol),
        correlation_id=line(subject.cause),
    )


def state_entry(subject: Subject, intent_id: str, state: str, why: str, *, token: int, at: datetime) -> Entry:
    """An intent reached a state."""
    body: Body = {"intent_id": intent_id, "state": state, "why": why, "token": token}
    return note(subject, STATE, f"intent {intent_id} {state}", body, at=at)


def seal_entry(subject: Subject, intent_id: str, signer: str, seal_sha256: str, *, at: datetime) -> Entry:
    """A signer put its seal on an intent."""
    body: Body = {"intent_id": intent_id, "signer": signer, "seal_sha256": seal_sha256}
    return note(subject, SEAL, f"intent {intent_id} sealed by {signer}", body, at=at)


def handed_over_entry(
    subject: Subject, intent_id: str, orders: list[Json], new: list[Json], *, token: int, at: datetime
) -> Entry:
    """Orders got their numbers and may be on the wire from here on; `new` holds those that no entry has told of before."""
    body: Body = {"intent_id": intent_id, "token": token, "handed_over": orders, "orders": new}
    return note(subject, HANDED_OVER, f"intent {intent_id}, {len(orders)} orders handed over", body, at=at)


def execution_entry(
    subject: Subject, done: Execution, *, leg_key: str, intent_id: str, replaces: str, busts: str, at: datetime
) -> Entry:
    """The broker told of an execution."""
    body: Body = {
        "exec_id": done.exec_id,
        "perm_id": done.perm_id,
        "order_id": done.order_id,
        "client_id": done.client_id,
        "ref": done.ref,
        "leg_key": leg_key,
        "intent_id": intent_id,
        "account": done.account,
        "session": new_york_day(done.at).isoformat(),
        "con_id": done.con_id,
        "side": done.side,
        "quantity": format(done.quantity, "f"),
        "price": format(done.price, "f"),
        "executed_at": instant(done.at),
        "liquidation": done.liquidation,
        "replaces": replaces,
        "busts": busts,
    }
    did = "bought" if done.side == "buy" else "sold"
    return note(subject, EXECUTION, f"{did} {done.quantity:f} at {done.price:f}", body, at=at)


def fee_entry(subject: Subject, fee: Commission, amount: str, *, at: datetime) -> Entry:
    """The broker told what an execution cost."""
    body: Body = {"exec_id": fee.exec_id, "amount": amount, "currency": fee.currency}
    return note(subject, FEE, f"fee {amount} {fee.currency}", body, at=at)


def adoption_entry(subject: Subject, row: Body, *, at: datetime) -> Entry:
    """Shares, or the account's cash, that are counted from now on; `row` holds the columns as they are stored."""
    what = f"{row['quantity']} shares" if subject.symbol else "the account's cash"
    return note(subject, ADOPTION, f"adopted {what}", row, at=at)


def foreign_entry(subject: Subject, report: OrderReport, *, at: datetime) -> Entry:
    """An order that is not the desk's was seen for the first time."""
    body: Body = {
        "perm_id": report.perm_id,
        "account": report.account,
        "side": report.side,
        "kind": report.kind,
        "quantity": format(report.quantity, "f"),
        "status": report.status,
        "why": report.why,
    }
    return note(
        subject, FOREIGN_ORDER, f"an order that is not the desk's: {report.side} {report.quantity:f}", body, at=at
    )


def halt_entry(book: str, halt_id: int, cause: str, *, at: datetime) -> Entry:
    """A book stopped; the same words as those of a halt that a decision calls for."""
    body: Body = {"halt_id": halt_id, "cause": cause}
    return Entry(book, new_york_day(at), at, "halt", f"halted, halt {halt_id}", body, "", _halt_id(book, halt_id))


# Messages


def state_draft(subject: Subject, intent_id: str, state: str, why: str, *, at: datetime) -> Draft:
    """An intent reached a state."""
    return _draft(subject, StateChanged(intent_id=intent_id, state=state, why=why), at)


def signed_draft(subject: Subject, intent_id: str, *, at: datetime) -> Draft:
    """An intent has all its seals: whoever sends orders may begin."""
    return _draft(subject, Signed(intent_id=intent_id, symbol=subject.symbol), at)


def execution_draft(subject: Subject, done: Execution, intent_id: str, *, at: datetime) -> Draft:
    """The broker told of an execution."""
    payload = Executed(
        exec_id=done.exec_id,
        intent_id=intent_id,
        symbol=done.symbol,
        side=done.side,
        quantity=done.quantity,
        price=done.price,
    )
    return _draft(subject, payload, at)


def halt_draft(book: str, halt_id: int, cause: str, *, at: datetime) -> Draft:
    """A book stopped."""
    return _draft(Subject(book, cause=_halt_id(book, halt_id)), Halted(halt_id=halt_id, cause=cause), at)


def _draft(subject: Subject, payload: Payload, at: datetime) -> Draft:
    return Draft(subject.book, new_york_day(at), at, SENDER, payload, correlation_id=subject.cause)


def _halt_id(book: str, halt_id: int) -> str:
    return f"{book}/halt/{halt_id}"
