"""Orders as one connection has heard of them: what openOrder, orderStatus, executions and refusals say, put together.

The broker tells the terms of an order in one message and its progress in another. A code of an error message ends no order that was
acknowledged; most refusals are nothing but a code, and they end an order of which the broker never said anything else.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from resources.brokers.ib.told import INACTIVE, STATUSES, amount, open_order
from trading_assets.broker.model import BrokerStatus, Execution, OrderReport, OrderRequest

_HOLDABLE: Final = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", INACTIVE})
_WAITS: Final = frozenset({"", "locate", "child", "trigger", "child,trigger"})


@dataclass(slots=True)
class _Order:
    """One order; `sent` is what this connection placed, `words` the broker's last word for its state."""

    terms: OrderReport | None = None
    words: str = ""
    filled: Decimal = Decimal(0)
    why_held: str = ""
    refusal: str = ""
    is_held: bool = False
    executed: dict[str, Decimal] = field(default_factory=dict)
    last_told: OrderReport | None = None

    @property
    def status(self) -> BrokerStatus:
        """The state in the desk's words; what is not certain counts as pending."""
        if not self.words and self.refusal:
            return "rejected"
        if self.is_held and self.words in _HOLDABLE:
            return "held"
        if self.words == INACTIVE:
            return "rejected" if self.reason else "pending"
        return STATUSES.get(self.words, "pending")

    @property
    def reason(self) -> str:
        """Why the broker ended it, in its words; empty where it says only that it waits."""
        return self.refusal or ("" if self.why_held in _WAITS else self.why_held)

    def report(self) -> OrderReport | None:
        """The order as it stands, once its terms are known."""
        if self.terms is None:
            return None
        status = self.status
        filled = max(self.filled, sum(self.executed.values(), Decimal(0)))
        filled = max(filled, self.terms.quantity) if status == "filled" else filled
        return replace(self.terms, status=status, filled=filled, why=self.refusal or self.why_held)


class OrdersHeard:
    """The orders of one connection, by the broker's numbers."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._by_id: dict[tuple[int, int], _Order] = {}
        self._by_perm: dict[int, _Order] = {}

    def placed(self, request: OrderRequest, account: str) -> None:
        """What this connection sends, before anything is heard of it; a transmitted child transmits its family."""
        order = _Order(is_held=not request.transmit, terms=_terms(request, account, self._client_id))
        self._by_id[self._client_id, request.order_id] = order
        if request.transmit and request.parent_id:
            for other in self._by_id.values():
                if other.terms is not None and request.parent_id in (other.terms.order_id, other.terms.parent_id):
                    other.is_held = False

    def on_open(self, order_id: int, contract: Any, order: Any, words: str) -> OrderReport | None:
        """The terms of an order, and a word for its state."""
        heard = self._found(order.clientId, order_id, order.permId)
        heard.terms = open_order(order_id, contract, order, "pending", Decimal(0))
        heard.words = words or heard.words
        return heard.report()

    def on_status(self, fields: list[str]) -> OrderReport | None:
        """The progress of an order from message 3; None while its terms are unknown."""
        heard = self._found(int(fields[9] or 0), int(fields[1]), int(fields[6] or 0))
        heard.words = fields[2]
        heard.filled = max(heard.filled, amount(fields[3] or 0))
        heard.why_held = fields[10] if len(fields) > 10 else ""
        report = heard.report()
        if report is not None and report.perm_id == 0 and int(fields[6] or 0) > 0:
            heard.terms = replace(report, perm_id=int(fields[6]))
        return heard.report()

    def on_execution(self, execution: Execution) -> None:
        """Shares filled; a correction takes the place of what it corrects."""
        heard = self._found(execution.client_id, execution.order_id, execution.perm_id)
        heard.executed[execution.family] = execution.quantity

    def on_refusal(self, order_id: int, text: str) -> OrderReport | None:
        """Why the broker refuses an order. It ends one that the broker never acknowledged, or calls inactive as well; no other."""
        heard = self._by_id.get((self._client_id, order_id))
        if heard is None or heard.executed:
            return None
        heard.refusal = text
        return heard.report() if heard.words in ("", INACTIVE) else None

    def is_news(self, report: OrderReport) -> bool:
        """Whether the order was told differently before; remembers that it is told now."""
        heard = self._found(report.client_id, report.order_id, report.perm_id)
        was, heard.last_told = heard.last_told, report
        return was != report

    def now(self, report: OrderReport) -> OrderReport:
        """The same order as it stands by now."""
        return self._found(report.client_id, report.order_id, report.perm_id).report() or report

    def is_readable(self, words: str) -> bool:
        """Whether a word for a state is known."""
        return words in STATUSES or words == INACTIVE

    def _found(self, client_id: int, order_id: int, perm_id: int) -> _Order:
        """The order under either of its numbers; an order id that comes back under another perm id is another order."""
        heard = self._by_perm.get(perm_id) if perm_id > 0 else None
        if heard is None and order_id > 0:
            heard = self._by_id.get((client_id, order_id))
            if (
                heard is not None
                and perm_id > 0
                and heard.terms is not None
                and heard.terms.perm_id not in (0, perm_id)
            ):
                heard = None
        heard = heard or _Order()
        if perm_id > 0:
            self._by_perm[perm_id] = heard
        if order_id > 0:
            self._by_id[client_id, order_id] = heard
        return heard


def _terms(request: OrderRequest, account: str, client_id: int) -> OrderReport:
    return OrderReport(
        perm_id=0,
        order_id=request.order_id,
        client_id=client_id,
        ref=request.ref,
        account=account,
        symbol=request.contract.symbol,
        con_id=request.contract.con_id,
        side=request.side,
        kind=request.kind,
        quantity=Decimal(request.quantity),
        filled=Decimal(0),
        status="pending",
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        parent_id=request.parent_id,
        oca_group=request.oca_group,
    )
