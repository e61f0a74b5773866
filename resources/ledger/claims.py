"""What the ledger's tables hold and what the journal says they hold, in one form, so that the two can be compared field by field.

Rows are read without their types: a field that somebody replaced by nonsense must be found and not stop the search.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from trading_assets.broker import journaling
from trading_assets.core.journal import sha256
from trading_assets.core.money import PLACES
from trading_assets.execution.remembering import LESSON, PROPOSAL

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one journal entry says of one row."""

    table: str
    facts: Facts


def text(value: object) -> object:
    """Words as they are; whatever is no text equals no text."""
    return value if isinstance(value, str) or value is None else f"{type(value).__name__} {value!r}"


def day(value: object) -> object:
    """ISO date: SQLite keeps it so, PostgreSQL's driver makes a date of it."""
    return value.isoformat() if isinstance(value, date) else text(value)


def whole(value: object) -> object:
    """A whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else f"{type(value).__name__} {value!r}"


def amount(value: object) -> object:
    """USD with four places as text, from units of the last place."""
    return format(Decimal(value).scaleb(-PLACES), "f") if isinstance(value, int) else text(value)


def instant(value: object) -> object:
    """UTC with microseconds; a text in any form but the two that the ledger writes stays as it is."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return text(value)
    if moment.tzinfo is None:
        return text(value)
    moment = moment.astimezone(UTC)
    full = moment.isoformat(timespec="microseconds")
    return full if value in {full, moment.isoformat()} else text(value)


def flag(value: object) -> object:
    """Yes or no: SQLite keeps 1 and 0."""
    return bool(value) if value in (0, 1) else f"{type(value).__name__} {value!r}"


def digest_of(value: object) -> object:
    """The sha256 of a text that is stored whole."""
    return sha256(value) if isinstance(value, str) else text(value)


@dataclass(frozen=True)
class Covered:
    """A table whose rows have journal entries.

    Args:
        name: What messages call it.
        key: The columns that name a row.
        columns: Every column that an entry tells, with its form.
        order: The column that says in which order rows came.
        table: The table, where it is not called like `name`.
        where: Which of its rows.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, Callable[[object], object]]
    order: str = "seq"
    table: str = ""
    where: str = ""

    def rows(self, connection: sa.Connection) -> Iterator[Facts]:
        """The rows in their order, each column in its form."""
        names = list(self.columns)
        source = sa.table(self.table or self.name, *(sa.column(name) for name in names), sa.column(self.order))
        query = sa.select(*(source.c[name] for name in names)).order_by(source.c[self.order])
        if self.where:
            query = query.where(sa.text(self.where))
        for row in connection.execution_options(yield_per=1_000).execute(query):
            yield {name: self.columns[name](value) for name, value in zip(names, row, strict=True)}

    def key_of(self, facts: Facts) -> str:
        """The row's name in messages."""
        return " ".join(str(facts[name]) for name in self.key)


def _columns(**forms: str) -> Mapping[str, Callable[[object], object]]:
    """Columns by their form: `_columns(text="book slot", day="session")`."""
    return {name: _FORMS[form] for form, names in forms.items() for name in names.split()}


_FORMS = {
    "text": text,
    "day": day,
    "whole": whole,
    "amount": amount,
    "instant": instant,
    "digest": digest_of,
    "flag": flag,
}
_SIGNED = _columns(text="book plan_id signer ruling", whole="quantity", digest="verdict")
COVERED: tuple[Covered, ...] = (
    Covered(
        "decisions",
        ("book", "session", "slot"),
        _columns(
            text="book slot state reason limits_hash mind_digest",
            day="session",
            instant="as_of",
            whole="plans vetoes",
        ),
        order="id",
    ),
    Covered(
        "minds",
        ("book", "session", "slot"),
        _columns(text="book slot digest", day="session", instant="at", digest="mind"),
    ),
    Covered(
        "signatures",
        ("book", "plan_id", "signer"),
        {**_SIGNED, **_columns(day="session", text="slot plan_digest", instant="at")},
    ),
    Covered("vetoes", ("book", "plan_id", "signer"), _SIGNED, table="signatures", where="ruling <> 'approve'"),
    Covered(
        "intents",
        ("id",),
        _columns(
            text="id book slot strategy symbol action plan_digest limits_hash",
            day="session",
            whole="quantity",
            digest="plan verdict",
        ),
    ),
    Covered("orders", ("id",), _columns(text="id book intent_id", day="session", digest="placed")),
    Covered(
        "fills",
        ("book", "id"),
        _columns(
            text="book id order_id intent_id symbol side role reason",
            day="session",
            whole="quantity",
            amount="price fee",
            instant="at",
        ),
    ),
    Covered("dividends", ("book", "session", "symbol"), _columns(text="book symbol", day="session", amount="amount")),
    Covered(
        "closes",
        ("book", "session"),
        _columns(text="book", day="session", digest="state", amount="cash equity fees dividends traded_value"),
    ),
    Covered("halts", ("id",), _columns(whole="id", text="book cause", instant="at"), order="id"),
    Covered("acknowledgements", ("halt_id",), _columns(whole="halt_id", text="reason", instant="at"), order="id"),
    Covered(
        "parameter_changes",
        ("book", "name", "at"),
        _columns(text="book name before after origin reason", day="session", instant="at"),
    ),
    Covered(
        "lessons",
        ("book", "id"),
        _columns(text="book id symbol strategy regime", day="session", instant="resolved_at", digest="lesson"),
    ),
    Covered("proposals", ("book", "id"), _columns(text="book id", instant="at", digest="proposal")),
    Covered(
        "intent_history",
        ("intent_id", "state"),
        _columns(text="book intent_id state why", whole="token", instant="at"),
    ),
    Covered("seals", ("intent_id", "signer"), _columns(text="book intent_id signer", instant="at", digest="seal")),
    Covered(
        "executions",
        ("book", "exec_id"),
        _columns(
            text="book exec_id ref leg_key intent_id account symbol side quantity price replaces busts",
            whole="perm_id order_id client_id con_id",
            day="session",
            instant="executed_at at",
            flag="liquidation",
        ),
    ),
    Covered(
        "execution_fees",
        ("book", "exec_id"),
        _columns(text="book exec_id currency", amount="amount", instant="at"),
    ),
    Covered(
        "adoptions",
        ("book", "symbol", "at"),
        _columns(
            text="book account symbol quantity average_cost why",
            whole="con_id through",
            amount="cash",
            instant="at",
        ),
    ),
)
_EXECUTED = (
    *("exec_id", "perm_id", "order_id", "client_id", "ref", "leg_key", "intent_id", "account", "session", "con_id"),
    *("side", "quantity", "price", "executed_at", "liquidation", "replaces", "busts"),
)


def claims_of(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    """What an entry says of rows; `entry` holds the row of the journal, `body` its JSON.

    Raises:
        KeyError, TypeError, AttributeError: The body is not one of the entry's kind.
    """
    claims = _CLAIMS.get(str(entry["kind"]))
    if claims is not None:
        yield from claims(entry, body)


def _decision(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    slot = {"book": entry["book"], "session": entry["session"], "slot": body["slot"]}
    told = ("as_of", "state", "reason", "plans", "vetoes", "limits_hash")
    # An entry of a slot that left no mind behind has no word of one.
    mind = body.get("mind_digest", "")
    yield Claim("decisions", {**slot, **{name: body[name] for name in told}, "mind_digest": mind})
    if mind:
        yield Claim("minds", {**slot, "at": body["as_of"], "mind": mind, "digest": mind})
    for line in body["judged"]:
        yield _signature(slot, line, at=body["as_of"])


def _signature(slot: Facts, line: Mapping[str, Any], *, at: object) -> Claim:
    signed = {name: line[name] for name in ("plan_id", "plan_digest", "signer", "ruling")}
    ruled = {"quantity": line["allowed"], "verdict": line["verdict_sha256"], "at": at}
    return Claim("signatures", {**slot, **signed, **ruled})


def _veto(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body["verdict"][name] for name in ("plan_id", "signer", "ruling", "quantity")}
    yield Claim("vetoes", {"book": entry["book"], **told, "verdict": body["verdict_sha256"]})
    # A veto after the decision is a ruling of its own; one within it is told by the decision's entry.
    slot = {"book": entry["book"], "session": entry["session"], "slot": body["slot"]}
    for line in body.get("judged", ()):
        yield _signature(slot, line, at=entry["at"])


def _order(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    plan = body["plan"]
    yield Claim(
        "intents",
        {
            **{name: entry[name] for name in ("book", "session")},
            **{name: plan[name] for name in ("strategy", "symbol", "action")},
            **{name: body[name] for name in ("slot", "quantity", "plan_digest", "limits_hash")},
            "id": body["intent_id"],
            "plan": body["plan_sha256"],
            "verdict": body["verdict_sha256"],
        },
    )
    yield from _orders(entry, body)


def _orders(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    for order in body["orders"]:
        placed = {name: order["placed"][name] for name in ("id", "intent_id", "session")}
        yield Claim("orders", {"book": entry["book"], **placed, "placed": order["sha256"]})


def _fill(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = ("order_id", "intent_id", "side", "role", "quantity", "price", "fee", "reason")
    same = ("book", "session", "symbol", "at")
    yield Claim("fills", {"id": body["fill_id"], **{n: body[n] for n in told}, **{n: entry[n] for n in same}})


def _settlement(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    settled = {"book": entry["book"], "session": entry["session"]}
    told = {name: body[name] for name in ("cash", "equity", "fees", "dividends", "traded_value")}
    yield Claim("closes", {**settled, **told, "state": body["state_sha256"]})
    for paid in body["paid"]:
        yield Claim("dividends", {**settled, "symbol": paid["symbol"], "amount": paid["amount"]})


def _halt(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {"id": body["halt_id"], "cause": body["cause"], "book": entry["book"], "at": entry["at"]}
    yield Claim("halts", told)


def _resume(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    yield Claim("acknowledgements", {"halt_id": body["halt_id"], "reason": body["reason"], "at": entry["at"]})


def _parameter_change(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body[name] for name in ("name", "before", "after", "origin", "reason")}
    yield Claim("parameter_changes", {**told, **{name: entry[name] for name in ("book", "session", "at")}})


def _note(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = _NOTES.get(str(body.get("of")))
    if told is not None:
        yield from told(entry, body)


def _state(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body[name] for name in ("intent_id", "state", "why", "token")}
    yield Claim("intent_history", {**told, "book": entry["book"], "at": entry["at"]})


def _seal(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body[name] for name in ("intent_id", "signer")}
    yield Claim("seals", {**told, "book": entry["book"], "at": entry["at"], "seal": body["seal_sha256"]})


def _execution(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    same = {name: entry[name] for name in ("book", "symbol", "at")}
    yield Claim("executions", {**same, **{name: body[name] for name in _EXECUTED}})


def _execution_fee(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body[name] for name in ("exec_id", "amount", "currency")}
    yield Claim("execution_fees", {**told, "book": entry["book"], "at": entry["at"]})


def _adoption(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body[name] for name in ("account", "con_id", "quantity", "average_cost", "cash", "through", "why")}
    yield Claim("adoptions", {**told, **{name: entry[name] for name in ("book", "symbol", "at")}})


def _lesson(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    told = {name: body["lesson"][name] for name in ("id", "strategy", "regime")}
    same = {name: entry[name] for name in ("book", "session", "symbol")}
    yield Claim("lessons", {**same, **told, "resolved_at": entry["at"], "lesson": body["lesson_sha256"]})


def _proposal(entry: Facts, body: Mapping[str, Any]) -> Iterator[Claim]:
    same = {"book": entry["book"], "at": entry["at"]}
    yield Claim("proposals", {**same, "id": body["proposal"]["id"], "proposal": body["proposal_sha256"]})


_NOTES: Mapping[str, Callable[[Facts, Mapping[str, Any]], Iterator[Claim]]] = {
    LESSON: _lesson,
    PROPOSAL: _proposal,
    journaling.STATE: _state,
    journaling.SEAL: _seal,
    journaling.EXECUTION: _execution,
    journaling.FEE: _execution_fee,
    journaling.ADOPTION: _adoption,
    journaling.HANDED_OVER: _orders,
}
_CLAIMS: Mapping[str, Callable[[Facts, Mapping[str, Any]], Iterator[Claim]]] = {
    "decision": _decision,
    "veto": _veto,
    "order": _order,
    "fill": _fill,
    "settlement": _settlement,
    "halt": _halt,
    "resume": _resume,
    "parameter_change": _parameter_change,
    "note": _note,
}
