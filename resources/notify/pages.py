"""The table `pages`: what waits for the operator, whoever raised it, and whether it was sent and answered.

What is unanswered lasts: it is raised once, sent again and again, and ends only by the operator's words. Raising is told on the bus
in the same commit, an answer in the journal.
"""

import contextlib
import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import append_messages
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.text import instant_of, instant_text, words
from resources.ledger.wakeups import wake
from resources.notify.model import SEVERITIES, WANTS_AN_ANSWER, Page, Severity
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError, PermanentFailure
from trading_assets.core.journal import Entry
from trading_assets.core.messages import Alert, Draft

TOLD_BY_PAGE = "page/"
HALT = "halt "
SENDER = "pages"
_P, _H, _A = t.PAGES.c, t.HALTS.c, t.ACKNOWLEDGEMENTS.c
_OPEN = _P.answered_at.is_(None)
_ASKING = _P.severity.in_(sorted(WANTS_AN_ANSWER))
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_LOG = logging.getLogger("desk.pages")


class LedgerPages:
    """The pages of one book."""

    def __init__(self, engine: sa.Engine, book: str) -> None:
        self._engine = engine
        self._book = book

    def raise_page(self, severity: Severity, code: str, sentence: str, *, as_of: datetime) -> int | None:
        """Raises a page and tells it on the bus; its number, or None where the same one waits already.

        The same is: this severity, this code, and these words but for their numbers. So a loss that grows is one page, and two
        symbols with the same trouble are two.
        """
        if severity not in SEVERITIES or not code.strip():
            raise PermanentFailure("a page needs a severity and a code", value=f"{severity} {code!r}", bound=SEVERITIES)
        code, sentence = words(code), words(sentence)
        with transaction(self._engine) as connection:
            if shape_of(sentence) in self._waiting(connection, severity, code):
                return None
            number = self._insert(connection, severity, code, sentence, as_of)
            append_messages(connection, [self._alert(number, severity, code, sentence, as_of)])
        wake(self._engine)
        return number

    def unanswered(self) -> Sequence[Page]:
        """Pages that want an answer and have none, the oldest first."""
        return self._read(_OPEN, _ASKING)

    def every(self) -> Sequence[Page]:
        """All pages of the book, the oldest first."""
        return self._read()

    def answer(self, number: int, said: str, *, as_of: datetime) -> Page:
        """The operator's words on a page, which end its repetition; told in the journal.

        Raises:
            PermanentFailure: No such page, one that is answered, or no words.
        """
        said = words(said.strip())
        if not said:
            raise PermanentFailure("an answer needs words", hint=f'desk answer {number} "what is done about it"')
        with transaction(self._engine) as connection:
            row = connection.execute(sa.select(t.PAGES).where(_P.id == number, _P.book == self._book)).first()
            if row is None or row.answered_at is not None:
                state = "none" if row is None else f"answered on {row.answered_at}: {row.answer or 'by being sent'}"
                raise PermanentFailure("no page with this number waits", value=number, bound=state, hint="desk pages")
            self._close(connection, _P.id == number, said, as_of)
            append_entries(connection, [self._entry(row, said, as_of)])
        return self._read(_P.id == number)[0]

    def due(self, now: datetime, repeat: timedelta) -> Sequence[Page]:
        """What is to be sent now: what never was, and what was `repeat` ago and still has no answer."""
        before = instant_text(now - repeat)
        return self._read(_OPEN, _P.sent_at.is_(None) | (_ASKING & (_P.sent_at <= before)))

    def sent(self, numbers: Sequence[int], *, as_of: datetime) -> None:
        """Marks pages as sent. One that wants no answer is done with that."""
        if not numbers:
            return
        mine = (_P.book == self._book) & _P.id.in_(sorted(numbers))
        values = {"sent_at": instant_text(as_of), "sends": _P.sends + 1}
        with transaction(self._engine) as connection:
            connection.execute(t.PAGES.update().where(mine).values(values))
            self._close(connection, mine & ~_ASKING & _OPEN, "", as_of)

    def follow_halts(self, *, as_of: datetime) -> None:
        """A page for each open halt that has none; what was said to lift a halt answers its page."""
        with reading(self._engine) as connection:
            lifted = connection.execute(sa.select(_A.halt_id, _A.reason).where(_A.halt_id.in_(self._halts()))).all()
            open_halts = connection.execute(
                sa.select(_H.id, _H.cause)
                .where(_H.book == self._book, _H.id.not_in(sa.select(_A.halt_id)))
                .order_by(_H.id)
            ).all()
        waiting = {page.code: page for page in self._read(_OPEN, _P.code.startswith(HALT))}
        for halt in lifted:
            if (page := waiting.get(halt_code(halt.halt_id))) is not None:
                self._answer_once(page.id, f"resumed: {halt.reason}", as_of)
        for halt in open_halts:
            if halt_code(halt.id) not in waiting and not self.was_raised(halt_code(halt.id)):
                hint = f'desk resume {halt.id} "why trading may go on"'
                self.raise_page("critical", halt_code(halt.id), f"{halt.cause}; next: {hint}", as_of=as_of)

    def answer_all(self, code: str, said: str, *, as_of: datetime) -> None:
        """Answers every page whose code begins so and that waits."""
        for page in self._read(_OPEN, _P.code.startswith(code)):
            self._answer_once(page.id, said, as_of)

    def was_raised(self, code: str) -> bool:
        """Whether there ever was a page with the code."""
        with reading(self._engine) as connection:
            return (
                connection.execute(sa.select(_P.id).where(_P.book == self._book, _P.code == code)).first() is not None
            )

    def _answer_once(self, number: int, said: str, as_of: datetime) -> None:
        """An answer that another process gave in the meantime stays."""
        with contextlib.suppress(PermanentFailure):
            self.answer(number, said, as_of=as_of)

    def _halts(self) -> sa.Select[tuple[int]]:
        return sa.select(_H.id).where(_H.book == self._book)

    def _read(self, *conditions: sa.ColumnElement[bool]) -> list[Page]:
        query = sa.select(t.PAGES).where(_P.book == self._book, *conditions).order_by(_P.id)
        with reading(self._engine) as connection:
            return [_page(row) for row in connection.execute(query)]

    def _waiting(self, connection: sa.Connection, severity: Severity, code: str) -> set[str]:
        mine = (_P.book == self._book) & (_P.code == code) & (_P.severity == severity) & _OPEN
        rows = connection.execute(sa.select(_P.sentence).where(mine))
        return {shape_of(row.sentence) for row in rows}

    def _insert(self, connection: sa.Connection, severity: Severity, code: str, sentence: str, as_of: datetime) -> int:
        row = {"book": self._book, "severity": severity, "code": code, "sentence": sentence}
        raised = {"raised_at": instant_text(as_of), "sends": 0, "answer": ""}
        return int(connection.execute(t.PAGES.insert().returning(_P.id), {**row, **raised}).scalar_one())

    def _alert(self, number: int, severity: Severity, code: str, sentence: str, as_of: datetime) -> Draft:
        told = Alert(severity=severity, code=code, sentence=sentence)
        day = as_of.astimezone(NEW_YORK).date()
        return Draft(self._book, day, as_of, SENDER, told, correlation_id=f"{TOLD_BY_PAGE}{number}")

    def _close(self, connection: sa.Connection, which: sa.ColumnElement[bool], said: str, as_of: datetime) -> None:
        connection.execute(t.PAGES.update().where(which).values(answered_at=instant_text(as_of), answer=said))

    def _entry(self, row: sa.Row[tuple[object, ...]], said: str, as_of: datetime) -> Entry:
        told = {"page": row.id, "severity": row.severity, "code": row.code, "sentence": row.sentence, "answer": said}
        return Entry(
            book=self._book,
            session=as_of.astimezone(NEW_YORK).date(),
            at=as_of,
            kind="note",
            title=f"page {row.id} answered",
            body={"of": "page", **told},
        )


class LedgerPager:
    """The gateway's Pager port: a page that cannot be raised is told in the log, and stops nothing."""

    def __init__(self, engine: sa.Engine, book: str) -> None:
        self._pages = LedgerPages(engine, book)

    def page(self, severity: Severity, code: str, sentence: str, *, as_of: datetime) -> None:
        """See the port."""
        try:
            self._pages.raise_page(severity, code, sentence, as_of=as_of)
        except DeskError as failed:
            _LOG.critical("%s %s: %s; and no page could be raised: %s", severity, code, sentence, failed)


def halt_code(halt_id: int) -> str:
    """The code of a halt's page."""
    return f"{HALT}{halt_id}"


def shape_of(sentence: str) -> str:
    """The words without their numbers."""
    return _NUMBER.sub("#", sentence)


def _page(row: sa.Row[tuple[object, ...]]) -> Page:
    return Page(
        id=row.id,
        book=row.book,
        severity=row.severity,
        code=row.code,
        sentence=row.sentence,
        raised_at=instant_of(row.raised_at),
        sent_at=instant_of(row.sent_at) if row.sent_at else None,
        sends=row.sends,
        answered_at=instant_of(row.answered_at) if row.answered_at else None,
        answer=row.answer,
    )
