"""What bus and ledger tell that asks for no answer: fills, halts that are over, resumes, reports. Alerts become pages.

The cursor is that of the consumer `notifier`: it moves when at least one channel has told; `desk messages` has all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import Consumer, archived_through, newest_id
from resources.ledger.engine import reading
from resources.ledger.text import instant_text
from resources.notify.model import Notice, Severity
from resources.notify.pages import TOLD_BY_PAGE, LedgerPages, halt_code
from trading_assets.core.messages import Alert, Executed, Filled, Halted, Message, Resumed, Topic
from trading_assets.core.ports import Clock

CONSUMER = "notifier"
TOPICS: tuple[Topic, ...] = ("halt", "resume", "execution", "fill", "alert")
REPORTS_SINCE = timedelta(days=1)
_AT_ONCE = 100
_PASSED_BY_MAX = 500
_MEASURES = ("equity_usd", "return_fraction_to_date", "max_drawdown_fraction", "sharpe_ratio", "trades_to_date")


@dataclass(frozen=True, slots=True)
class Batch:
    """Notices of messages up to an id, which counts as told when one of them was."""

    notices: tuple[Notice, ...]
    through: int


class News:
    """Reads what is new for one book. A consumer that begins does so at the end: the past is not told."""

    def __init__(self, engine: sa.Engine, book: str, clock: Clock) -> None:
        self._engine = engine
        self._book = book
        self._clock = clock
        self._pages = LedgerPages(engine, book)
        self._made: Consumer | None = None

    def read(self, *, as_of: datetime) -> Batch:
        """The next messages as notices; alerts are raised as pages on the way."""
        newest = self._newest(as_of)
        messages = self._consumer.poll(_AT_ONCE)
        told = [notice for message in messages if (notice := self._notice(message)) is not None]
        last = messages[-1].id if messages else 0
        return Batch(tuple(told), last if len(messages) == _AT_ONCE else max(last, newest))

    def told(self, through: int) -> None:
        """Messages up to an id are told; they never are again."""
        if through:
            self._consumer.advance(through)

    def reports(self, *, as_of: datetime) -> None:
        """One page, which asks for nothing, for each new account of a session's measures."""
        rows = t.EVALUATIONS.c
        since = instant_text(as_of - REPORTS_SINCE)
        query = sa.select(t.EVALUATIONS).where(rows.book == self._book, rows.at >= since).order_by(rows.seq)
        with reading(self._engine) as connection:
            found = connection.execute(query).all()
        for row in found:
            code = f"report {row.session.isoformat()} {row.seq}"
            if not self._pages.was_raised(code):
                sentence = f"session {row.session.isoformat()} is measured: {_measured(json.loads(row.measures))}"
                self._pages.raise_page("info", code, sentence, as_of=as_of)

    @property
    def _consumer(self) -> Consumer:
        """Made when the ledger first answers."""
        if self._made is None:
            name = f"{CONSUMER}:{self._book}"
            self._made = Consumer(self._engine, name, clock=self._clock, start="end", topics=TOPICS, book=self._book)
        return self._made

    def _newest(self, as_of: datetime) -> int:
        """An id to move on to when nothing is to be told, now and then: an old cursor would hold up the archive.

        Who slept until messages were archived says so, and goes on behind them.
        """
        position = self._consumer.position
        with reading(self._engine) as connection:
            newest, archived = newest_id(connection), archived_through(connection)
        if position < archived:
            sentence = (
                f"messages {position + 1} to {archived} were archived before anybody was told of them; desk messages"
            )
            self._pages.raise_page("warning", "news missed", sentence, as_of=as_of)
            self._consumer.advance(archived)
        return newest if newest - position > _PASSED_BY_MAX else 0

    def _notice(self, message: Message) -> Notice | None:
        draft = message.draft
        if isinstance(draft.payload, Alert):
            self._alert(message, draft.payload)
            return None
        said = self._said(message)
        if said is None:
            return None
        severity, code, sentence = said
        return Notice(f"message {message.id}", self._book, severity, code, sentence, draft.at)

    def _alert(self, message: Message, alert: Alert) -> None:
        if message.draft.correlation_id.startswith(TOLD_BY_PAGE):
            return
        code = f"{alert.code} {alert.symbol}".strip() or "alert"
        self._pages.raise_page(alert.severity, code, alert.sentence, as_of=message.draft.at)

    def _said(self, message: Message) -> tuple[Severity, str, str] | None:
        match message.draft.payload:
            case Executed() as done:
                whose = f"intent {done.intent_id}" if done.intent_id else "no order of the desk explains it"
                return "info", "execution", f"{_traded(done.side, done.quantity, done.symbol, done.price)}, {whose}"
            case Filled() as fill:
                if self._was_executed(fill.fill_id):
                    return None
                return (
                    "info",
                    "fill",
                    f"{_traded(fill.side, fill.quantity, fill.symbol, fill.price)}, fee {fill.fee} USD",
                )
            case Halted() as halt:
                if self._pages.was_raised(halt_code(halt.halt_id)) or not self._is_lifted(halt.halt_id):
                    return None
                return "info", "halt", f"halt {halt.halt_id} was open for a moment: {halt.cause}"
            case Resumed() as resumed:
                return "info", "resume", f"halt {resumed.halt_id} is lifted: {resumed.reason}"
        return None

    def _is_lifted(self, halt_id: int) -> bool:
        """One that came since the pages were raised is open: the next look raises its page."""
        with reading(self._engine) as connection:
            query = sa.select(t.ACKNOWLEDGEMENTS.c.halt_id).where(t.ACKNOWLEDGEMENTS.c.halt_id == halt_id)
            return connection.execute(query).first() is not None

    def _was_executed(self, exec_id: str) -> bool:
        """Whether the broker's own message told of it before the settlement did."""
        mine = (t.EXECUTIONS.c.book == self._book) & (t.EXECUTIONS.c.exec_id == exec_id)
        with reading(self._engine) as connection:
            return connection.execute(sa.select(t.EXECUTIONS.c.seq).where(mine)).first() is not None


def _traded(side: str, quantity: object, symbol: str, price: object) -> str:
    return f"{'bought' if side == 'buy' else 'sold'} {quantity} {symbol} at {price} USD"


def _measured(measures: Mapping[str, object]) -> str:
    told = [f"{name} {measures[name]}" for name in _MEASURES if name in measures]
    return ", ".join(told) or f"{len(measures)} measures; desk report"
