"""What is said on one connection: each message read, each question asked, each order written. A reconnect begins another one.

States of orders come from openOrder, orderStatus and executions. An error code is passed on with its reaction; it ends no order
but one that was refused before anything else was said of it.
A message that cannot be read is told, and makes every snapshot that is being taken incomplete.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import UTC, datetime, timezone
from functools import partial
from itertools import count
from typing import Any, Final

from resources.brokers.ib import told
from resources.brokers.ib.codes import DELAYED_IS_SERVED, reaction_to
from resources.brokers.ib.line import Line
from resources.brokers.ib.orders import OrdersHeard
from resources.brokers.ib.outbox import Outbox
from resources.brokers.ib.questions import Question, Questions, Refused
from resources.brokers.ib.ticks import Ticks
from resources.brokers.ib.written import ORDER_ID_BELOW, contract_of, order_of
from trading_assets.broker.model import (
    BrokerEvent,
    Commission,
    Commissioned,
    Contract,
    Disconnected,
    Executed,
    MarginImpact,
    Noticed,
    OrderReport,
    OrderRequest,
    Quoted,
    Reaction,
    Reported,
)
from trading_assets.broker.ports import BrokerDown
from trading_assets.broker.settings import InteractiveBrokers, Mode
from trading_assets.core.ports import Clock

TIME: Final = "time"
OPEN_ORDERS: Final = "open orders"
COMPLETED_ORDERS: Final = "completed orders"
POSITIONS: Final = "positions"
_NOBODY_ASKED: Final = -1
_QUANTITY_IN_OPEN: Final = 14
_QUANTITY_IN_COMPLETED: Final = 13
_LIVE_DATA: Final = 1
_LINK: Final[dict[Reaction, bool]] = {"link_lost": False, "link_back": True, "link_back_data_lost": True}
_DOUBTS: Final[frozenset[Reaction]] = frozenset({"link_back", "link_back_data_lost", "data_lost"})
_QUOTES_REFUSED: Final[frozenset[Reaction]] = frozenset(
    {"no_contract", "no_live_data", "competing_login", "look_again"}
)


class Conversation:
    """One connection and all that was heard on it.

    Args:
        where: Host, port, time-outs and how fast messages may be written.
        tell: Hears every event, in order.
    """

    def __init__(
        self,
        where: InteractiveBrokers,
        *,
        client_id: int,
        mode: Mode,
        clock: Clock,
        tell: Callable[[BrokerEvent], None],
    ) -> None:
        self._where = where
        self._client_id = client_id
        self._clock = clock
        self._tell = tell
        self._ids = count(ORDER_ID_BELOW)
        self._zone: timezone | None = None
        self._fees: dict[str, Commission] = {}
        self._time: Question | None = None
        self._fields: list[str] = []
        self._has_begun = False
        self.line = Line(
            where,
            client_id=client_id,
            mode=mode,
            listener=_Long(self),
            on_message=self._on_message,
            on_packet=self._on_packet,
            on_lost=self._on_lost,
        )
        self.outbox = Outbox(
            asyncio.get_running_loop(),
            per_second=where.messages_per_second_max,
            reserve=where.messages_reserved_for_cancels,
        )
        self.questions = Questions()
        self.orders = OrdersHeard(client_id)
        self.ticks = Ticks()
        self.accounts: tuple[str, ...] = ()
        self.next_order_id = 0
        self.is_linked = True
        self.movements = 0
        self.unread = 0
        self._readers: dict[int, Callable[[list[str]], None]] = {
            1: self._on_price,
            2: lambda fields: self.ticks.on_size(int(fields[2]), int(fields[3]), fields[4], self._clock.now()),
            3: self._on_status,
            4: self._on_error,
            5: partial(self._read, self.line.decoder.openOrder),
            9: self._on_next_id,
            10: self.line.decoder.contractDetails,
            11: self._on_execution,
            15: self._on_accounts,
            45: lambda fields: self.ticks.on_generic(int(fields[2]), int(fields[3]), fields[4], self._clock.now()),
            49: self._on_time,
            52: lambda fields: self.questions.end(int(fields[2])),
            53: lambda _: self.questions.end(OPEN_ORDERS),
            55: lambda fields: self.questions.end(int(fields[2])),
            58: lambda fields: self.ticks.on_kind(int(fields[2]), int(fields[3])),
            59: self._on_fee,
            61: self._on_position,
            62: lambda _: self.questions.end(POSITIONS),
            73: lambda fields: self.questions.row(int(fields[2]), fields),
            74: lambda fields: self.questions.end(int(fields[2])),
            101: partial(self._read, self.line.decoder.completedOrder),
            102: lambda _: self.questions.end(COMPLETED_ORDERS),
        }

    async def begin(self) -> datetime:
        """Opens the line; the broker's time. Failures as in the port."""
        await self.line.open()
        now = await self.time()
        self._zone = self.line.zone(now)
        self.ask(lambda client: client.reqMarketDataType(_LIVE_DATA))
        self._has_begun = True
        return now

    async def end(self) -> None:
        """Ends the connection; whoever still waits for an answer is told so."""
        self._give_up(self.line.down("the connection was closed"))
        await self.line.close()

    def ask(self, write: Callable[[Any], None]) -> None:
        """One message to the broker through the limiter."""
        self.outbox.ask(lambda: write(self.line.client))

    def question(self, key: Hashable, write: Callable[[Any], None]) -> Question:
        """A question without a number on the wire."""
        return self.questions.ask(key, lambda: self.ask(write), is_numbered=False)

    def numbered(self, write: Callable[[Any, int], None]) -> tuple[int, Question]:
        """A question with a number, and that number."""
        number = next(self._ids)
        return number, self.questions.ask(
            number, lambda: self.ask(lambda client: write(client, number)), is_numbered=True
        )

    async def answered(self, question: Question, about: str) -> Question:
        """The answer. BrokerDown when it does not come in time, Refused when the broker says no."""
        try:
            return await asyncio.wait_for(asyncio.shield(question.answer), self._where.timeout_seconds)
        except TimeoutError as late:
            raise self.line.down(f"{about} not answered in {self._where.timeout_seconds:g} s") from late

    async def time(self) -> datetime:
        """The broker's clock. Calls at the same time are one question."""
        if self._time is None or self._time.answer.done():
            self._time = self.question(TIME, lambda client: client.reqCurrentTime())
        return (await self.answered(self._time, "the time was")).rows[-1]  # type: ignore[no-any-return]

    def place(self, requests: Sequence[OrderRequest], account: str) -> None:
        """Writes orders in their sequence, or queues them in it."""
        for request in requests:
            self.orders.placed(request, account)
        writes = [partial(self._write, request, account) for request in requests]
        self.outbox.place([request.order_id for request in requests], writes)

    def cancel(self, order_id: int) -> None:
        """Asks to cancel an order."""
        self.outbox.cancel(order_id, lambda: self.line.client.cancelOrder(order_id))

    def cancel_everything(self) -> None:
        """Asks to cancel every order of the account."""
        self.outbox.cancel_all(self.line.client.reqGlobalCancel)

    async def what_if(self, request: OrderRequest, account: str) -> MarginImpact:
        """The margin after an order that is not placed; a refusal is a warning without numbers."""
        contract, order = contract_of(request.contract), order_of(request, account, what_if=True)
        key = ("what if", request.order_id)
        question = self.questions.ask(
            key,
            lambda: self.ask(lambda client: client.placeOrder(request.order_id, contract, order)),
            is_numbered=True,
        )
        try:
            return told.margin_impact((await self.answered(question, "the what-if was")).rows[-1])
        except Refused as refused:
            return MarginImpact(None, None, None, warning=str(refused))
        finally:
            self.questions.drop(key)

    async def contracts(self, symbol: str) -> tuple[Contract, ...]:
        """Every stock in USD under a symbol."""
        wanted = contract_of(Contract(symbol, 0))
        number, question = self.numbered(lambda client, number: client.reqContractDetails(number, wanted))
        try:
            rows = (await self.answered(question, f"the contract of {symbol} was")).rows
        except Refused as refused:
            if reaction_to(refused.code) == "no_contract":
                return ()
            raise self.line.down(f"the contract of {symbol} was refused: {refused}") from refused
        finally:
            self.questions.drop(number)
        found = {row.con_id: row for row in (told.contract(details, symbol) for details in rows)}
        return tuple(found[key] for key in sorted(found) if (found[key].kind, found[key].currency) == ("STK", "USD"))

    def watch(self, contracts: Iterable[Contract]) -> None:
        """Asks for quotes of what is not watched yet, and of all that are given after doubt."""
        for ended in self.ticks.dropped_in_doubt():
            self.ask(partial(_end_stream, number=ended))
        for contract in contracts:
            if not self.ticks.watching(contract.con_id):
                self._watch(contract)

    def _watch(self, contract: Contract) -> None:
        number, wire = next(self._ids), contract_of(contract)
        self.ticks.start(number, contract.symbol, contract.con_id)
        self.ask(lambda client: client.reqMktData(number, wire, "", False, False, []))

    def fees(self, exec_ids: Iterable[str]) -> tuple[Commission, ...]:
        """What is known of the fees of executions."""
        return tuple(self._fees[exec_id] for exec_id in exec_ids if exec_id in self._fees)

    def _write(self, request: OrderRequest, account: str) -> None:
        self.line.client.placeOrder(request.order_id, contract_of(request.contract), order_of(request, account))

    def _on_message(self, fields: list[str]) -> None:
        try:
            reader = self._readers.get(int(fields[0]))
            if reader is not None:
                reader(fields)
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is told and not passed over
            self.unread += 1
            self.notice(0, f"message {fields[0]} cannot be read: {broken}", "protocol")

    def _read(self, reader: Callable[[list[str]], None], fields: list[str]) -> None:
        """The library reads a long message and calls `on_open_order` or `on_completed_order`."""
        self._fields = fields
        reader(list(fields))

    def _on_packet(self) -> None:
        for quote in self.ticks.news():
            self._tell(Quoted(quote))

    def _on_lost(self, reason: str) -> None:
        self._give_up(self.line.down(reason))
        if self._has_begun:
            self._tell(Disconnected(reason))

    def _give_up(self, reason: BrokerDown) -> None:
        self.outbox.clear()
        self.questions.fail_all(reason)

    def _on_price(self, fields: list[str]) -> None:
        self.ticks.on_price(int(fields[2]), int(fields[3]), fields[4], fields[5], self._clock.now())

    def _on_next_id(self, fields: list[str]) -> None:
        self.next_order_id = int(fields[2])

    def _on_accounts(self, fields: list[str]) -> None:
        self.accounts = tuple(account for account in fields[2].split(",") if account)

    def _on_time(self, fields: list[str]) -> None:
        self.questions.row(TIME, datetime.fromtimestamp(int(fields[2]), UTC))
        self.questions.end(TIME)

    def _on_position(self, fields: list[str]) -> None:
        if self.questions.is_open(POSITIONS):
            self.questions.row(POSITIONS, told.position(fields))
        else:
            self.movements += 1

    def _on_status(self, fields: list[str]) -> None:
        order_id = int(fields[1])
        if not self.orders.is_readable(fields[2]):
            self.notice(0, f"the order status {fields[2]!r} is not known", "look_again", order_id)
        report = self.orders.on_status(fields)
        if report is None:
            self.notice(0, f"a status of an order that is not known: {fields[2]}", "look_again", order_id)
        else:
            self._report(report)

    def on_open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        """An order, or the answer to a what-if."""
        told.with_digits(order, self._fields, _QUANTITY_IN_OPEN)
        if order.whatIf:
            self.questions.row(("what if", order_id), state)
            self.questions.end(("what if", order_id))
            return
        if state.status and not self.orders.is_readable(state.status):
            self.notice(0, f"the order status {state.status!r} is not known", "look_again", order_id)
        report = self.orders.on_open(order_id, contract, order, state.status)
        if report is not None:
            self.questions.row(OPEN_ORDERS, report)
            self._report(report)

    def on_completed_order(self, contract: Any, order: Any, state: Any) -> None:
        """An order that has ended."""
        told.with_digits(order, self._fields, _QUANTITY_IN_COMPLETED)
        report, is_understood = told.completed_order(contract, order, state)
        if not is_understood:
            self.notice(
                0, f"the status {state.status!r} of the completed order {report.perm_id} is not known", "look_again"
            )
        self.questions.row(COMPLETED_ORDERS, report)

    def _on_execution(self, fields: list[str]) -> None:
        request, execution = told.execution(fields, self._zone)
        self.orders.on_execution(execution)
        if request != _NOBODY_ASKED:
            self.questions.row(request, execution)
            return
        self.movements += 1
        self._tell(Executed(execution))

    def _on_fee(self, fields: list[str]) -> None:
        fee = told.commission(fields)
        if self._fees.get(fee.exec_id) != fee:
            self._fees[fee.exec_id] = fee
            self._tell(Commissioned(fee))

    def _report(self, report: OrderReport) -> None:
        if self.orders.is_news(report):
            self._tell(Reported(report))

    def _on_error(self, fields: list[str]) -> None:
        about, code, text = int(fields[2]), int(fields[3]), fields[4]
        reaction = reaction_to(code)
        self._note_link(reaction)
        if self.questions.is_open(about):
            self.questions.fail(about, Refused(code, text))
        elif self.questions.is_open(("what if", about)):
            self.questions.fail(("what if", about), Refused(code, text))
        elif about >= ORDER_ID_BELOW:
            self._on_stream_error(about, code, text, reaction)
        else:
            self._on_order_error(max(about, 0), code, text, reaction)

    def _on_stream_error(self, request: int, code: int, text: str, reaction: Reaction) -> None:
        symbol = self.ticks.symbol_of(request)
        if code != DELAYED_IS_SERVED and reaction in _QUOTES_REFUSED:
            self.ticks.end(request)
        self.notice(code, f"{symbol}: {text}" if symbol else text, reaction)

    def _on_order_error(self, order_id: int, code: int, text: str, reaction: Reaction) -> None:
        self.notice(code, text, reaction, order_id)
        if order_id and reaction in {"order_rejected", "no_contract"}:
            report = self.orders.on_refusal(order_id, f"{code}: {text}")
            if report is not None:
                self._report(report)

    def _note_link(self, reaction: Reaction) -> None:
        self.is_linked = _LINK.get(reaction, self.is_linked)
        if reaction in _LINK:
            self.movements += 1
        if reaction in _DOUBTS:
            self.ticks.doubt()

    def notice(self, code: int, text: str, reaction: Reaction, order_id: int = 0) -> None:
        """Tells something that is no state of an order."""
        self._tell(Noticed(code, text, reaction, order_id))


def _end_stream(client: Any, number: int) -> None:
    client.cancelMktData(number)


class _Long:
    """What the library's decoder calls for the messages that it reads."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def openOrder(self, order_id: str | int, contract: Any, order: Any, state: Any) -> None:  # noqa: N802 - the library's name
        """Message 5."""
        self._conversation.on_open_order(int(order_id), contract, order, state)

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:  # noqa: N802 - the library's name
        """Message 101."""
        self._conversation.on_completed_order(contract, order, state)

    def contractDetails(self, request: int, details: Any) -> None:  # noqa: N802 - the library's name
        """Message 10."""
        self._conversation.questions.row(request, details)
