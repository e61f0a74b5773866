"""Texts of the account file: values as JSON, and back. Money is text, so that it stays exact; instants are ISO 8601."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from resources.brokers.paper.book import Fill, PaperOrder
from trading_assets.broker.model import (
    BrokerEvent,
    Commission,
    Commissioned,
    Executed,
    Execution,
    Noticed,
    OrderReport,
    Quote,
    Reported,
)

_MONEY: Final = frozenset(
    {"limit_price", "stop_price", "tick", "price", "quantity", "filled", "bid", "ask", "last", "fee", "amount"}
)
_INSTANTS: Final = frozenset({"at", "since", "ends_at"})
_FLAGS: Final = frozenset({"triggered", "rested", "liquidation", "halted"})
Row = Mapping[str, Any]


def order_row(order: PaperOrder) -> tuple[object, ...]:
    """What is looked for in orders, and the order as text."""
    keys = (order.perm_id, order.client_id, order.order_id, order.ref, int(order.is_open), stored(order.since))
    return (*keys, _text(order))


def order_of(text: str) -> PaperOrder:
    """The order in a text."""
    return PaperOrder(**_values(json.loads(text), whole=frozenset({"filled"})))


def fill_row(fill: Fill) -> tuple[object, ...]:
    """What is looked for in fills, and the fill as text."""
    said = json.dumps({**_plain(fill.execution), "fee": str(fill.fee)})
    return (fill.execution.exec_id, fill.execution.perm_id, stored(fill.execution.at), said)


def fill_of(text: str) -> Fill:
    """The fill in a text."""
    values = _values(json.loads(text))
    return Fill(fee=values.pop("fee"), execution=Execution(**values))


def quote_text(quote: Quote) -> str:
    """A quote as text."""
    return _text(quote)


def quote_of(text: str) -> Quote:
    """The quote in a text."""
    return Quote(**_values(json.loads(text)))


def event_text(event: BrokerEvent) -> tuple[str, str]:
    """The kind of an event and what it says."""
    inner = event if isinstance(event, Noticed) else next(iter(vars_of(event).values()))
    return type(event).__name__, _text(inner)


def event_of(kind: str, text: str) -> BrokerEvent:
    """The event in a row."""
    values = json.loads(text)
    if kind == "Reported":
        return Reported(OrderReport(**_values(values)))
    if kind == "Executed":
        return Executed(Execution(**_values(values)))
    if kind == "Commissioned":
        return Commissioned(Commission(**_values(values)))
    return Noticed(**values)


def vars_of(value: object) -> dict[str, Any]:
    """The fields of a dataclass, not those within them."""
    return {each.name: getattr(value, each.name) for each in fields(value)} if is_dataclass(value) else {}


def stored(value: object) -> object:
    """A value as SQLite and JSON keep it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return int(value) if isinstance(value, bool) else value


def _plain(value: object) -> dict[str, object]:
    return {name: stored(each) for name, each in vars_of(value).items()}


def _text(value: object) -> str:
    return json.dumps(_plain(value))


def _values(row: Row, *, whole: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {name: value if value is None or name in whole else _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if name in _MONEY:
        return Decimal(value)
    if name in _INSTANTS:
        return datetime.fromisoformat(value)
    return bool(value) if name in _FLAGS else value
