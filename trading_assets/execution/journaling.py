"""What the journal tells, and the bus announces, of decisions, fills, settlements, halts and changed settings.

Pure: from the values that the ledger stores to entries and message drafts. An entry holds everything of the rows that are written
with it, texts that are stored whole as their sha256, so that `resources/ledger/verify.py` can compare rows and entries field by
field. Everything that comes of one slot, up to its last fill, carries the correlation id of its decision:
`<book>/<session>/<slot>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import TypeAdapter

from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry, Json, canonical, sha256
from trading_assets.core.messages import Decided, Draft, Filled, Halted, Ordered, Payload, Resumed
from trading_assets.core.money import usd
from trading_assets.execution.model import Fill, Order
from trading_assets.execution.ports import Decision, DividendPaid, Halt, Intent, SessionClose
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict

SENDER = "ledger"
Judged = tuple[TradePlan, Verdict]
Placed = tuple[Order, Intent]
Body = dict[str, Json]
_ORDER = TypeAdapter(Order)
_CLOSE = TypeAdapter(SessionClose)
_BASIS_POINTS = 10_000
_TENTH = Decimal("0.1")
_RULED = {"veto": "vetoed", "shrink": "shrunk"}
_TRADED = {
    ("buy", True): "bought",
    ("sell", True): "sold short",
    ("sell", False): "sold",
    ("buy", False): "bought to cover",
}
_NOUN = {"enter": "entry", "add": "addition", "trim": "trim", "exit": "exit"}


def decision_id(book: str, session: date, slot: str) -> str:
    """The correlation id of everything that comes of one slot."""
    return f"{book}/{session.isoformat()}/{slot}"


# Entries


def decision_entries(
    decision: Decision, judged: Sequence[Judged], intents: Sequence[Intent], orders: Sequence[Order], *, book: str
) -> tuple[Entry, ...]:
    """One entry for the decision, one for each plan that was vetoed or shrunk, one for each intent with its orders.

    Raises:
        PermanentFailure: The orders of an intent do not stand together, or belong to none of the intents.
    """
    entries = [_slot_entry(decision, "decision", _slot_title(decision), _decision_body(decision, judged), book=book)]
    for plan, verdict in judged:
        if verdict.ruling != "approve":
            title = f"{_noun(plan)} {_RULED[verdict.ruling]}, {plan.strategy}"
            body = _veto_body(decision, plan, verdict)
            entries.append(_slot_entry(decision, "veto", title, body, book=book, symbol=plan.symbol))
    for intent, mine in _by_intent(intents, orders):
        title = f"{_noun(intent.plan)} ordered, {intent.plan.strategy}"
        body = _order_body(intent, mine)
        entries.append(_slot_entry(decision, "order", title, body, book=book, symbol=intent.plan.symbol))
    return tuple(entries)


def fill_entries(fills: Sequence[Fill], placed: Mapping[str, Placed], *, book: str) -> tuple[Entry, ...]:
    """One entry for each execution.

    Args:
        placed: By order id, each filled order as it was placed, with its intent.

    Raises:
        PermanentFailure: A fill's order is not in `placed`.
    """
    return tuple(
        Entry(
            book=book,
            session=fill.session,
            at=fill.at,
            kind="fill",
            title=_fill_title(fill, _placed(fill, placed)[1].plan),
            body=_fill_body(fill, *_placed(fill, placed)),
            symbol=fill.symbol,
            correlation_id=_cause(fill, placed, book),
        )
        for fill in fills
    )


def settlement_entry(close: SessionClose, dividends: Sequence[DividendPaid], *, book: str, at: datetime) -> Entry:
    """The book after a session; `at` is the session's close."""
    prices = close.prices
    positions: list[Json] = [
        {"symbol": p.symbol, "quantity": p.quantity, "cost": _amount(p.cost), "price": _amount(prices[p.symbol])}
        for p in close.book.positions.values()
    ]
    body: Body = {
        "cash": _amount(close.book.cash),
        "equity": _amount(close.equity),
        "fees": _amount(close.fees),
        "dividends": _amount(close.dividends),
        "traded_value": _amount(close.traded_value),
        "paid": [{"symbol": paid.symbol, "amount": _amount(paid.amount)} for paid in dividends],
        "positions": positions,
        "state_sha256": sha256(_CLOSE.dump_json(close).decode()),
    }
    return Entry(book, close.session, at, "settlement", "settled", body)


def halt_entry(halt: Halt, *, book: str) -> Entry:
    """A book stopped."""
    body: Body = {"halt_id": halt.id, "cause": halt.cause}
    return Entry(book, _day(halt.at), halt.at, "halt", f"halted, halt {halt.id}", body, "", halt_id_text(book, halt.id))


def resume_entry(halt: Halt, reason: str, *, book: str, at: datetime) -> Entry:
    """The operator answered a halt."""
    body: Body = {"halt_id": halt.id, "cause": halt.cause, "reason": reason}
    return Entry(book, _day(at), at, "resume", f"resumed, halt {halt.id}", body, "", halt_id_text(book, halt.id))


def halt_id_text(book: str, halt_id: int) -> str:
    """The correlation id of a halt and its answer."""
    return f"{book}/halt/{halt_id}"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting before and after, as JSON text; None where it does not exist."""

    name: str
    before: str | None
    after: str | None


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Change, ...]:
    """What differs between two trees of settings, name by name (`budget.day_usd`), sorted; numbers compare by value and type."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return tuple(Change(name, old.get(name), new.get(name)) for name in names)


def parameter_entries(
    before: Mapping[str, object], after: Mapping[str, object], *, book: str, origin: str, reason: str, at: datetime
) -> tuple[Entry, ...]:
    """One entry for each setting that changed; `origin` says who or what changed it."""
    return tuple(
        change_entry(change, book=book, session=_day(at), origin=origin, reason=reason, at=at)
        for change in changes(before, after)
    )


def change_entry(change: Change, *, book: str, session: date, origin: str, reason: str, at: datetime) -> Entry:
    """One setting that changed."""
    values: Body = {"name": change.name, "before": change.before, "after": change.after}
    body = {**values, "origin": origin, "reason": reason}
    return Entry(book, session, at, "parameter_change", f"changed {change.name}", body)


# Messages


def decision_drafts(decision: Decision, orders: Sequence[Order], *, book: str) -> tuple[Draft, ...]:
    """The decision, then each order that it placed."""
    cause = decision_id(book, decision.session, decision.slot)
    decided = Decided(
        slot=decision.slot,
        state=decision.state,
        reason=decision.reason,
        plans=decision.plans,
        vetoes=decision.vetoes,
    )
    payloads: tuple[Payload, ...] = (decided, *(_ordered(order) for order in orders))
    return tuple(
        Draft(book, decision.session, decision.as_of, SENDER, payload, correlation_id=cause) for payload in payloads
    )


def fill_drafts(fills: Sequence[Fill], placed: Mapping[str, Placed], *, book: str) -> tuple[Draft, ...]:
    """One message for each execution; `placed` as in `fill_entries`."""
    return tuple(
        Draft(book, fill.session, fill.at, SENDER, _filled(fill), correlation_id=_cause(fill, placed, book))
        for fill in fills
    )


def halt_draft(halt: Halt, *, book: str) -> Draft:
    """A book stopped."""
    payload = Halted(halt_id=halt.id, cause=halt.cause)
    return Draft(book, _day(halt.at), halt.at, SENDER, payload, correlation_id=halt_id_text(book, halt.id))


def resume_draft(halt: Halt, reason: str, *, book: str, at: datetime) -> Draft:
    """The operator answered a halt."""
    payload = Resumed(halt_id=halt.id, reason=reason)
    return Draft(book, _day(at), at, SENDER, payload, correlation_id=halt_id_text(book, halt.id))


# Bodies


def _slot_entry(
    decision: Decision,
    kind: Literal["decision", "veto", "order"],
    title: str,
    body: Body,
    *,
    book: str,
    symbol: str = "",
) -> Entry:
    cause = decision_id(book, decision.session, decision.slot)
    return Entry(book, decision.session, decision.as_of, kind, title, body, symbol, cause)


def _noun(plan: TradePlan) -> str:
    """What a plan is called: an entry, an addition, a trim or an exit, of a long position unless it says short."""
    noun = _NOUN[plan.action]
    return noun if plan.side == "long" else f"short {noun}"


def _fill_title(fill: Fill, plan: TradePlan) -> str:
    """What was traded and why: the order's role, but for a trim, which the plan knows."""
    why = "trim" if plan.action == "trim" else fill.role
    return f"{_TRADED[fill.side, fill.opens]} {fill.quantity}, {why}"


def _slot_title(decision: Decision) -> str:
    if decision.state == "IDLE":
        return "idle"
    return f"decided, {decision.plans} planned, {decision.vetoes} vetoed"


def _decision_body(decision: Decision, judged: Sequence[Judged]) -> Body:
    return {
        "slot": decision.slot,
        "as_of": _instant(decision.as_of),
        "state": decision.state,
        "reason": decision.reason,
        "plans": decision.plans,
        "vetoes": decision.vetoes,
        "limits_hash": decision.limits_hash,
        "judged": [_judged_line(plan, verdict) for plan, verdict in judged],
    }


def _judged_line(plan: TradePlan, verdict: Verdict) -> Json:
    return {
        "plan_id": verdict.plan_id,
        "plan_digest": verdict.plan_digest,
        "symbol": plan.symbol,
        "action": plan.action,
        "strategy": plan.strategy,
        "quantity": plan.quantity,
        "entry": str(plan.entry),
        "stop": _maybe(plan.stop),
        "target": _maybe(plan.target),
        "reasons": list(plan.reasons),
        "signer": verdict.signer,
        "ruling": verdict.ruling,
        "allowed": verdict.quantity,
        "verdict_sha256": sha256(verdict.model_dump_json()),
    }


def _veto_body(decision: Decision, plan: TradePlan, verdict: Verdict) -> Body:
    return {"slot": decision.slot, **_texts(plan, verdict)}


def _order_body(intent: Intent, orders: Sequence[Order]) -> Body:
    texts = [_ORDER.dump_json(order).decode() for order in orders]
    return {
        "intent_id": intent.id,
        "slot": intent.slot,
        "quantity": intent.quantity,
        "limits_hash": intent.limits_hash,
        **_texts(intent.plan, intent.verdict),
        "orders": [{"placed": json.loads(text), "sha256": sha256(text)} for text in texts],
    }


def _texts(plan: TradePlan, verdict: Verdict) -> Body:
    """Plan and verdict as they are, and the digests of the texts that the ledger stores."""
    plan_text, verdict_text = plan.model_dump_json(), verdict.model_dump_json()
    return {
        "plan": json.loads(plan_text),
        "plan_digest": plan.digest,
        "plan_sha256": sha256(plan_text),
        "verdict": json.loads(verdict_text),
        "verdict_sha256": sha256(verdict_text),
    }


def _by_intent(intents: Sequence[Intent], orders: Sequence[Order]) -> Iterator[tuple[Intent, Sequence[Order]]]:
    """Each intent with its orders, which must stand in the order of the intents, each intent's together."""
    left = list(orders)
    for intent in intents:
        mine = []
        while left and left[0].intent_id == intent.id:
            mine.append(left.pop(0))
        yield intent, mine
    if left:
        raise PermanentFailure(
            "an order does not stand with its intent", value=left[0].id, bound=f"intent {left[0].intent_id}"
        )


def _placed(fill: Fill, placed: Mapping[str, Placed]) -> Placed:
    if fill.order_id not in placed:
        raise PermanentFailure("a fill's order is not known to the ledger", value=fill.id, bound=fill.order_id)
    return placed[fill.order_id]


def _cause(fill: Fill, placed: Mapping[str, Placed], book: str) -> str:
    intent = _placed(fill, placed)[1]
    return decision_id(book, intent.session, intent.slot)


def _fill_body(fill: Fill, order: Order, intent: Intent) -> Body:
    wanted, kind = _wanted(order, intent)
    lost = fill.price - wanted if fill.side == "buy" else wanted - fill.price
    return {
        "fill_id": fill.id,
        "order_id": fill.order_id,
        "intent_id": fill.intent_id,
        "side": fill.side,
        "role": fill.role,
        "quantity": fill.quantity,
        "price": _amount(fill.price),
        "fee": _amount(fill.fee),
        "reason": fill.reason,
        "wanted": _amount(wanted),
        "wanted_is": kind,
        "slippage": _amount(lost),
        "slippage_bp": format((lost / wanted * _BASIS_POINTS).quantize(_TENTH) + 0, "f"),
        "ordered_in": order.session.isoformat(),
        "strategy": intent.plan.strategy,
    }


def _wanted(order: Order, intent: Intent) -> tuple[Decimal, str]:
    """The price that a fill is measured against: the order's own, or the last price known when a market order was decided."""
    if order.limit_price is not None:
        return order.limit_price, "limit"
    if order.stop_price is not None:
        return order.stop_price, "stop"
    return intent.plan.reference, "last price at the decision"


def _ordered(order: Order) -> Ordered:
    return Ordered(
        order_id=order.id,
        intent_id=order.intent_id,
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=order.quantity,
    )


def _filled(fill: Fill) -> Filled:
    return Filled(
        fill_id=fill.id,
        order_id=fill.order_id,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
    )


def _leaves(tree: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, canonical(value)


def _amount(amount: Decimal) -> str:
    """USD with four places, as booked."""
    return format(usd(amount), "f")


def _maybe(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _day(moment: datetime) -> date:
    """The New York date, on closed days too: a person may halt a book on a Sunday."""
    return moment.astimezone(NEW_YORK).date()
