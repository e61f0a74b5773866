"""What a transaction has to tell: journal entries in its own commit, messages with them, and the pages and wake-ups after it.

A walk over the past tells its journal only: nobody listens to a backtest, and it may be walked again.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from resources.ledger.bus import append_messages, publish
from resources.ledger.journal import REWINDABLE, append_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.wakeups import wake
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.journal import Entry, Record
from trading_assets.core.messages import Draft
from trading_assets.execution import journaling, remembering
from trading_assets.execution.journaling import Judged, Placed
from trading_assets.execution.model import Fill, Order
from trading_assets.execution.ports import Decision, DividendPaid, Halt, Intent, Remark, SessionClose
from trading_assets.plans.model import Proposal
from trading_assets.theses.memory.model import Lesson

_LOG = logging.getLogger("desk.ledger")


class Telling:
    """Collects what one transaction of a book tells."""

    def __init__(self, book: str) -> None:
        self._book = book
        self._entries: list[Entry] = []
        self._drafts: list[Draft] = []

    def decided(
        self,
        decision: Decision,
        judged: Sequence[Judged],
        intents: Sequence[Intent],
        orders: Sequence[Order],
        remarks: Sequence[Remark],
    ) -> None:
        """A slot with its plans, vetoes and orders, the mind after it, and what was to be remarked."""
        entries = journaling.decision_entries(decision, judged, intents, orders, book=self._book)
        self._entries += remembering.with_mind(entries, decision.mind_digest)
        self._entries += remembering.remark_entries(decision, remarks, book=self._book)
        self._drafts += journaling.decision_drafts(decision, orders, book=self._book)

    def dispatched(self, entries: Sequence[Entry], drafts: Sequence[Draft]) -> None:
        """Intents that are on their way to a broker."""
        self._entries += entries
        self._drafts += drafts

    def settled(
        self,
        close: SessionClose,
        fills: Sequence[Fill],
        dividends: Sequence[DividendPaid],
        placed: Mapping[str, Placed],
    ) -> None:
        """A session's fills and the book after it."""
        at = XNYS.session(close.session).close
        self._entries += journaling.fill_entries(fills, placed, book=self._book)
        self._entries.append(journaling.settlement_entry(close, dividends, book=self._book, at=at))
        self._drafts += journaling.fill_drafts(fills, placed, book=self._book)

    def halted(self, halt: Halt) -> None:
        """A book stopped."""
        self._entries.append(journaling.halt_entry(halt, book=self._book))
        self._drafts.append(journaling.halt_draft(halt, book=self._book))

    def resumed(self, halt: Halt, reason: str, *, at: datetime) -> None:
        """The operator answered."""
        self._entries.append(journaling.resume_entry(halt, reason, book=self._book, at=at))
        self._drafts.append(journaling.resume_draft(halt, reason, book=self._book, at=at))

    def learned(self, lessons: Sequence[tuple[Lesson, str]]) -> None:
        """Lessons of closed trades, each with the correlation id of the decision that opened it."""
        for lesson, cause in lessons:
            self._entries.append(remembering.lesson_entry(lesson, book=self._book, correlation_id=cause))

    def proposed(self, proposal: Proposal) -> None:
        """Somebody asked for a trade."""
        self._entries.append(remembering.proposal_entry(proposal, book=self._book))

    def changed(self, entries: Sequence[Entry]) -> None:
        """Settings are not what they were."""
        self._entries += entries

    def store(self, connection: sa.Connection) -> tuple[Record, ...]:
        """Writes it into the open transaction, once: last, so that nothing stands between the chain's end and the commit."""
        records = append_entries(connection, self._entries)
        if self._book != REWINDABLE:
            append_messages(connection, self._drafts)
        self._entries, self._drafts = [], []
        return records


def tell_after_commit(engine: sa.Engine, records: Sequence[Record], files: JournalFiles | None) -> None:
    """Writes the pages and wakes whoever listens; a page that cannot be written raises an alarm on the bus, never an error."""
    alert = files.write_after_commit(records) if files else None
    if alert is None:
        wake(engine)
        return
    told = records[-1].entry
    try:
        publish(engine, [Draft(told.book, told.session, told.at, journaling.SENDER, alert)])
    except DeskError as refused:
        # What was to be told is committed: a caller that saw an error here would take it for undone.
        _LOG.error("%s; and the alarm could not be published: %s", alert.sentence, refused)
