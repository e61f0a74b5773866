"""What a client says when it places an order at server version 176: every field is read, none is guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.tws.book import Instrument, Order
from tests.tws.wire import Fields

LISTED_HERE = ("SMART", "")


@dataclass(frozen=True, slots=True)
class Described:
    """How a client names a contract."""

    con_id: int
    symbol: str
    kind: str
    exchange: str
    primary: str
    currency: str

    @classmethod
    def read(cls, fields: Fields) -> "Described":
        """The twelve fields of a contract."""
        con_id, symbol, kind = fields.number(), fields.text(), fields.text()
        fields.skip(4)  # last trade date, strike, right, multiplier
        exchange, primary, currency = fields.text(), fields.text(), fields.text()
        fields.skip(2)  # local symbol, trading class
        return cls(con_id, symbol, kind, exchange, primary, currency)

    def among(self, listings: Mapping[str, tuple[Instrument, ...]]) -> tuple[Instrument, ...]:
        """The stocks that answer to it."""
        if self.kind not in {"STK", ""}:
            return ()
        known = listings.get(self.symbol, ()) if self.symbol else tuple(i for all_ in listings.values() for i in all_)
        return tuple(
            one
            for one in known
            if self.con_id in (0, one.con_id)
            and self.currency in ("", one.currency)
            and self.primary in ("", one.primary)
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """One placeOrder."""

    contract: Described
    order: Order


def read_order(fields: Fields, client_id: int) -> Placed:
    """The order in a placeOrder, after the message id; a part that no stock order has is refused by an error."""
    order_id = fields.number()
    contract = Described.read(fields)
    fields.skip(2)  # secIdType, secId
    unknown = Instrument(contract.symbol, contract.con_id)
    action, quantity, kind = fields.text(), Decimal(fields.text() or 0), fields.text()
    order = Order(client_id, order_id, unknown, action, quantity, kind)
    order.limit, order.aux = _price(fields), _price(fields)
    order.tif, order.oca_group = fields.text(), fields.text()
    order.account = fields.text()
    fields.skip(2)  # openClose, origin
    order.ref, order.transmit, order.parent_id = fields.text(), fields.flag(), fields.number()
    fields.skip(2)  # block, sweep
    order.display_size = fields.number()
    fields.skip(1)  # trigger method
    order.outside_rth = fields.flag()
    fields.skip(1)  # hidden
    fields.skip(8)  # empty, discretionary amount, good after, good till, group, method, percentage, profile
    _rest(fields, order)
    return Placed(contract, order)


def _rest(fields: Fields, order: Order) -> None:
    fields.skip(4)  # model, short sale slot, location, exemption
    order.oca_type = fields.number()
    fields.skip(17)  # rule 80A … volatility type
    _only_if_empty(fields, "a delta neutral order")
    fields.skip(5)  # its price, continuous update, reference price type, trailing stop, trailing per cent
    fields.skip(2)  # scale levels
    _only_if_empty(fields, "a scale order")
    fields.skip(3)  # scale table, active from, active until
    _only_if_empty(fields, "a hedge")
    fields.skip(4)  # opt out, clearing account and intent, not held
    if fields.flag():
        raise ValueError("a delta neutral contract is not modelled")
    order.algo = fields.text()
    if order.algo:
        order.algo_params = tuple((fields.text(), fields.text()) for _ in range(fields.number()))
    fields.skip(1)  # algo id
    order.what_if = fields.flag()
    fields.skip(4)  # options, solicited, random size, random price
    if fields.number():
        raise ValueError("conditions are not modelled")
    fields.skip(
        19
    )  # adjusted orders, operator, soft dollars, cash, MiFID, hedging, container, discretion, price management
    fields.skip(5)  # duration, post to ATS, cancel with parent, override, manual time
    fields.end()


def _price(fields: Fields) -> Decimal | None:
    text = fields.text()
    return Decimal(text) if text and Decimal(text) else None


def _only_if_empty(fields: Fields, what: str) -> None:
    if fields.text():
        raise ValueError(f"{what} is not modelled")
