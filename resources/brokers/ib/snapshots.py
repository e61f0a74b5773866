"""The whole account, asked in five questions at once; a part that is not answered to its end makes no snapshot.

Open orders are asked before completed ones, so that an order that ends in between is in one of the lists at least. A fill that
comes while the questions are out makes positions and executions disagree: then all of it is asked again.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ib_async.objects import ExecutionFilter

from resources.brokers.ib import told
from resources.brokers.ib.conversation import COMPLETED_ORDERS, OPEN_ORDERS, POSITIONS, Conversation
from resources.brokers.ib.questions import Question
from trading_assets.broker.model import ENDED, OrderReport, Snapshot
from trading_assets.broker.ports import BrokerDown, SnapshotIncomplete

EXECUTIONS: Final = "executions"
VALUES: Final = "account values"
_TAG, _VALUE, _CURRENCY = 5, 6, 7


async def taken(talk: Conversation, *, account: str, timeout_s: float, now: datetime) -> Snapshot | None:
    """The account as it was for a moment; None when it moved meanwhile.

    Raises:
        SnapshotIncomplete: A part was not answered, or refused, or could not be read, or the link behind TWS is lost.
        BrokerDown: The connection is gone.
    """
    if not talk.is_linked:
        raise SnapshotIncomplete("what TWS shows is old: its link to Interactive Brokers is lost", value="notice 1100")
    moved, unread = talk.movements, talk.unread
    answers = await _answers(talk, account, timeout_s)
    if talk.unread != unread:
        raise SnapshotIncomplete("a message of the snapshot could not be read", bound=", ".join(answers))
    return _built(talk, answers, now) if talk.movements == moved else None


async def _answers(talk: Conversation, account: str, timeout_s: float) -> Mapping[str, Question]:
    executions, of_executions = talk.numbered(lambda client, number: client.reqExecutions(number, ExecutionFilter()))
    values, of_values = talk.numbered(lambda client, number: client.reqAccountUpdatesMulti(number, account, "", False))
    parts = {
        POSITIONS: talk.question(POSITIONS, lambda client: client.reqPositions()),
        OPEN_ORDERS: talk.question(OPEN_ORDERS, lambda client: client.reqAllOpenOrders()),
        COMPLETED_ORDERS: talk.question(COMPLETED_ORDERS, lambda client: client.reqCompletedOrders(False)),
        EXECUTIONS: of_executions,
        VALUES: of_values,
    }
    try:
        await asyncio.wait({part.answer for part in parts.values()}, timeout=timeout_s)
        return {name: _whole(name, part, timeout_s) for name, part in parts.items()}
    finally:
        for key in (POSITIONS, OPEN_ORDERS, COMPLETED_ORDERS, executions, values):
            talk.questions.drop(key)
        if talk.line.is_open:
            talk.ask(lambda client: client.cancelPositions())
            talk.ask(lambda client: client.cancelAccountUpdatesMulti(values))


def _whole(name: str, part: Question, timeout_s: float) -> Question:
    if not part.answer.done():
        raise SnapshotIncomplete(f"the {name} were not answered to their end", bound=f"{timeout_s:g} s")
    failed = part.answer.exception()
    if isinstance(failed, BrokerDown):
        raise failed
    if failed is not None:
        raise SnapshotIncomplete(f"the {name} were refused", value=failed)
    return part


def _built(talk: Conversation, answers: Mapping[str, Question], now: datetime) -> Snapshot:
    listed = {(r.perm_id, r.client_id, r.order_id): talk.orders.now(r) for r in answers[OPEN_ORDERS].rows}
    completed: list[OrderReport] = answers[COMPLETED_ORDERS].rows
    known = {report.perm_id for report in completed}
    ended = [r for r in listed.values() if r.status in ENDED and r.perm_id not in known]
    executions = {row.exec_id: row for row in answers[EXECUTIONS].rows}
    held = {(row.account, row.con_id): row for row in answers[POSITIONS].rows}
    return Snapshot(
        at=now,
        accounts=talk.accounts,
        positions=tuple(row for row in held.values() if row.quantity != 0),
        open_orders=tuple(report for report in listed.values() if report.status not in ENDED),
        completed_orders=(*completed, *ended),
        executions=tuple(executions.values()),
        commissions=talk.fees(executions),
        values=told.account_values({row[_TAG]: (row[_VALUE], row[_CURRENCY]) for row in answers[VALUES].rows}),
    )
