"""Intents that gateway and watchdog make by themselves: they only ever reduce, or protect, and carry no signatures.

Each is stored like any other intent, as a plan with a verdict on it, so that trace, journal, proof and settlement read it
unchanged. The plan is written here as JSON, for the watchdog knows no stage; the tests hold it against the plan's own model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_states import Work, begin
from resources.ledger.text import canonical, words
from trading_assets.broker import journaling as tell
from trading_assets.broker.lifecycle import LegRole
from trading_assets.broker.model import Side
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ids import digest, short_id
from trading_assets.core.journal import Entry, Json, sha256
from trading_assets.core.money import TICK_USD, to_tick

STRATEGY, SIGNER = "reaction", "gateway"
QUANTITY_MAX = 1_000_000
# What a leg's role is called by orders that know only those of a decision.
ORDER_ROLES: Mapping[LegRole, str] = {"flatten": "exit", "protect": "stop"}
_I, _E, _A = t.INTENTS.c, t.EXECUTIONS.c, t.ADOPTIONS.c
# Statements are made once: making one costs more than running it.
_BOOK: sa.BindParameter[str] = sa.bindparam("book")
_SYMBOL: sa.BindParameter[str] = sa.bindparam("symbol")
_SAME = sa.select(_I.id).where(
    _I.book == _BOOK, _I.symbol == _SYMBOL, _I.strategy == STRATEGY, _I.slot == sa.bindparam("slot")
)
_EXECUTED = sa.select(_E.price).where(_E.book == _BOOK, _E.symbol == _SYMBOL).order_by(_E.seq.desc()).limit(1)
_ADOPTED = sa.select(_A.average_cost).where(_A.book == _BOOK, _A.symbol == _SYMBOL).order_by(_A.seq.desc()).limit(1)
_INSERT_INTENT, _INSERT_ORDER = t.INTENTS.insert(), t.ORDERS.insert()


@dataclass(frozen=True, slots=True)
class Made:
    """An intent of the gateway's own, as it is stored."""

    id: str
    book: str
    symbol: str
    session: date
    slot: str
    quantity: int
    side: Side


def add_reduction(work: Work, **told: Any) -> str | None:
    """As `make_reduction`; the id of what was made."""
    made = make_reduction(work, **told)
    return None if made is None else made.id


def make_reduction(
    work: Work,
    *,
    key: str,
    symbol: str,
    role: LegRole,
    quantity: int,
    is_short: bool,
    cause: str,
    token: int,
    as_of: datetime,
) -> Made | None:
    """A new intent in state INTENT; None when the occasion has one already.

    Args:
        key: Names the occasion; it stands where a decision's slot stands.
        quantity: Shares to take off, or to protect.
        is_short: The shares are owed: they are bought back.

    Raises:
        PermanentFailure: The quantity is not a number of shares that an order can have, or the role opens a position.
    """
    if role in {"entry", "addition"}:
        raise PermanentFailure("what the gateway does by itself never opens a position", value=role)
    if not 0 < quantity <= QUANTITY_MAX:
        raise PermanentFailure("a reduction needs shares", value=quantity, bound=f"1 to {QUANTITY_MAX}")
    if work.connection.execute(_SAME, {"book": work.book, "symbol": symbol, "slot": key}).first() is not None:
        return None
    price = last_price(work.connection, work.book, symbol)
    plan = _plan(key, symbol, quantity, price, is_short=is_short, cause=cause, as_of=as_of)
    session = tell.new_york_day(as_of)
    plan_id = short_id(session, key, STRATEGY, symbol, "exit")
    made = Made(short_id(work.book, plan_id), work.book, symbol, session, key, quantity, "buy" if is_short else "sell")
    kind = "stop" if role == "protect" else "market"
    order = order_text(f"{made.id}-{role}", made.id, symbol, made.side, kind, role, quantity, as_of)
    _store(work, made, plan, plan_id, order, as_of)
    begin(work, made, "INTENT", opens=False, token=token, as_of=as_of)
    return made


def last_price(connection: sa.Connection, book: str, symbol: str) -> Decimal:
    """The newest price of a symbol that the ledger has heard of, USD; a tick where it has heard of none."""
    for query in (_EXECUTED, _ADOPTED):
        told = connection.execute(query, {"book": book, "symbol": symbol}).scalar()
        price = to_tick(Decimal(told)) if told is not None else Decimal(0)
        if price > 0:
            return price
    return TICK_USD


def order_text(
    key: str,
    intent_id: str,
    symbol: str,
    side: str,
    kind: str,
    role: LegRole,
    quantity: int,
    as_of: datetime,
    **more: Any,
) -> str:
    """An order as `orders` keeps it, for those that no decision has written."""
    is_resting = role in {"stop", "target", "protect"}
    return canonical(
        {
            "id": key,
            "intent_id": intent_id,
            "symbol": symbol,
            "side": side,
            "type": kind,
            "role": ORDER_ROLES.get(role, role),
            "quantity": quantity,
            "placed_at": _instant(as_of),
            "session": tell.new_york_day(as_of).isoformat(),
            "time_in_force": "gtc" if is_resting else "day",
            "limit_price": None,
            "stop_price": None,
            "parent_id": None,
            "filled": 0,
            "status": "working",
            "fills": 0,
            "reason": "",
            **more,
        }
    )


def _plan(
    key: str, symbol: str, quantity: int, price: Decimal, *, is_short: bool, cause: str, as_of: datetime
) -> dict[str, Any]:
    """The plan, without what has its default: that is what its digest is made from."""
    plan = {
        "session": tell.new_york_day(as_of).isoformat(),
        "slot": key,
        "as_of": _instant(as_of),
        "action": "exit",
        "strategy": STRATEGY,
        "symbol": symbol,
        "regime": "",
        "quantity": quantity,
        "reference": format(price, "f"),
        "entry": format(price, "f"),
        "stop": None,
        "target": None,
        "thesis_id": "",
        "confidence": 1.0,
        "reasons": [words(cause) or key],
    }
    return plan | ({"side": "short"} if is_short else {})


def _store(work: Work, made: Made, plan: dict[str, Any], plan_id: str, order: str, as_of: datetime) -> None:
    plan_digest, plan_text = digest(plan), canonical(plan)
    verdict = {
        "signer": SIGNER,
        "plan_id": plan_id,
        "plan_digest": plan_digest,
        "ruling": "approve",
        "quantity": made.quantity,
        "breaches": [],
    }
    row = {
        "id": made.id,
        "book": made.book,
        "session": made.session,
        "slot": made.slot,
        "strategy": STRATEGY,
        "symbol": made.symbol,
        "action": "exit",
        "quantity": made.quantity,
        "plan": plan_text,
        "plan_digest": plan_digest,
        "verdict": canonical(verdict),
        "limits_hash": "",
    }
    work.connection.execute(_INSERT_INTENT, row)
    body: dict[str, Any] = {
        "intent_id": made.id,
        "slot": made.slot,
        "quantity": made.quantity,
        "limits_hash": "",
        "plan": plan,
        "plan_digest": plan_digest,
        "plan_sha256": sha256(plan_text),
        "verdict": verdict,
        "verdict_sha256": sha256(canonical(verdict)),
        "orders": insert_orders(work, made.id, made.session, [order]),
    }
    cause = f"{made.book}/{made.session.isoformat()}/{made.slot}"
    title = tell.line(f"exit ordered, {STRATEGY}")
    work.entries.append(Entry(made.book, made.session, as_of, "order", title, body, made.symbol, tell.line(cause)))


def insert_orders(work: Work, intent_id: str, session: date, texts: Sequence[str]) -> list[Json]:
    """Stores orders that no decision has written, and returns them as an entry tells them."""
    told: list[Json] = []
    for text in texts:
        placed: dict[str, Json] = json.loads(text)
        row = {"id": placed["id"], "book": work.book, "intent_id": intent_id, "session": session, "placed": text}
        work.connection.execute(_INSERT_ORDER, row)
        told.append({"placed": placed, "sha256": sha256(text)})
    return told


def _instant(moment: datetime) -> str:
    """As the models write it: without a fraction where there is none, and Z for UTC."""
    moment = moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")
