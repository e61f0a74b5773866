"""Pages on both databases: raised once, repeated until answered, answered in words, and told on the bus and in the journal."""

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.bus import read_messages
from resources.ledger.engine import open_ledger, reading
from resources.ledger.journal import read_journal
from resources.ledger.roles import open_ledger_as
from resources.ledger.store import SqlLedger
from resources.notify.model import Severity
from resources.notify.pages import LedgerPager, LedgerPages, shape_of
from tests.resources.notify.parts import BOOK, NOW, REPEAT, Desk
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import Alert, Message, Wanted
from warden.ledger import SqlWatchLedger

SECOND = timedelta(seconds=1)


def alerts(engine: sa.Engine) -> list[Message]:
    with reading(engine) as connection:
        return list(read_messages(connection, Wanted(frozenset({"alert"})), after=0, limit=100))


def numbers(pages: LedgerPages, after: timedelta) -> list[int]:
    """What is due so long after the first page."""
    return [page.id for page in pages.due(NOW + after, REPEAT)]


def test_a_page_is_raised_once_and_told_on_the_bus(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("critical", "W4", "3.1 % lost, halts at 4 %", as_of=NOW)
    assert number is not None
    assert pages.raise_page("critical", "W4", "3.7 % lost, halts at 4 %", as_of=NOW + SECOND) is None
    (page,) = pages.unanswered()
    assert (page.id, page.severity, page.code, page.sentence) == (number, "critical", "W4", "3.1 % lost, halts at 4 %")
    (told,) = alerts(engine)
    assert told.draft.payload == Alert(severity="critical", code="W4", sentence="3.1 % lost, halts at 4 %")
    assert told.draft.correlation_id == f"page/{number}"


def test_another_severity_symbol_or_book_is_another_page(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    first = pages.raise_page("critical", "contract", "AAPL is another contract", as_of=NOW)
    others = [
        pages.raise_page("warning", "contract", "AAPL is another contract", as_of=NOW),
        pages.raise_page("critical", "contract", "MSFT is another contract", as_of=NOW),
        pages.raise_page("critical", "link", "AAPL is another contract", as_of=NOW),
        LedgerPages(engine, "backtest").raise_page("critical", "contract", "AAPL is another contract", as_of=NOW),
    ]
    assert first is not None
    assert None not in others
    assert len(pages.unanswered()) == 4


@pytest.mark.control("W9")
def test_an_unanswered_page_is_due_again_and_again_until_it_is_answered(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("warning", "link", "gone", as_of=NOW)
    assert number is not None
    assert numbers(pages, 0 * SECOND) == [number]
    pages.sent([number], as_of=NOW)
    assert numbers(pages, REPEAT - SECOND) == []
    assert numbers(pages, REPEAT) == [number]
    pages.sent([number], as_of=NOW + REPEAT)
    assert numbers(pages, REPEAT + SECOND) == []
    assert numbers(pages, 2 * REPEAT) == [number]
    answered = pages.answer(number, " the cable is back ", as_of=NOW + 2 * REPEAT)
    assert (answered.answer, answered.sends, answered.answered_at) == ("the cable is back", 2, NOW + 2 * REPEAT)
    assert numbers(pages, 9 * REPEAT) == []
    assert pages.unanswered() == []


def test_an_answer_is_told_in_the_journal_and_the_same_trouble_may_be_raised_again(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("warning", "link", "gone", as_of=NOW)
    assert number is not None
    pages.answer(number, "seen", as_of=NOW)
    (record,) = read_journal(engine, kind="note")
    assert record.entry.title == f"page {number} answered"
    assert record.entry.body["answer"] == "seen"
    assert pages.raise_page("warning", "link", "gone", as_of=NOW) is not None


@pytest.mark.parametrize("said", ["", "   ", "\n\t"])
def test_an_answer_needs_words(engine: sa.Engine, said: str) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("warning", "link", "gone", as_of=NOW)
    assert number is not None
    with pytest.raises(PermanentFailure, match="an answer needs words"):
        pages.answer(number, said, as_of=NOW)
    assert len(pages.unanswered()) == 1


def test_an_answer_names_a_page_that_waits_in_this_book(engine: sa.Engine) -> None:
    pages, others = LedgerPages(engine, BOOK), LedgerPages(engine, "backtest")
    number = others.raise_page("warning", "link", "gone", as_of=NOW)
    assert number is not None
    for wrong in (number, 99, 0, -1):
        with pytest.raises(PermanentFailure, match="no page with this number waits"):
            pages.answer(wrong, "words", as_of=NOW)
    others.answer(number, "words", as_of=NOW)
    with pytest.raises(PermanentFailure, match="answered on .*: words"):
        others.answer(number, "other words", as_of=NOW)


def test_news_is_sent_once_and_asks_for_nothing(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("info", "report", "made", as_of=NOW)
    assert number is not None
    assert numbers(pages, 0 * SECOND) == [number]
    assert pages.unanswered() == []
    pages.sent([number], as_of=NOW)
    assert numbers(pages, 100 * REPEAT) == []
    assert pages.raise_page("info", "report", "made", as_of=NOW) is not None


def test_a_clock_that_steps_back_repeats_nothing(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    number = pages.raise_page("critical", "W4", "lost", as_of=NOW)
    assert number is not None
    pages.sent([number], as_of=NOW)
    assert numbers(pages, -timedelta(hours=1)) == []


@pytest.mark.parametrize(("severity", "code"), [("fatal", "x"), ("", "x"), ("info", ""), ("info", "  ")])
def test_a_page_needs_a_known_severity_and_a_code(engine: sa.Engine, severity: Severity, code: str) -> None:
    with pytest.raises(PermanentFailure, match="a page needs a severity and a code"):
        LedgerPages(engine, BOOK).raise_page(severity, code, "s", as_of=NOW)


def test_words_that_no_database_holds_are_replaced(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    pages.raise_page("warning", "c\0de", "half \ud800 and \0", as_of=NOW)
    (page,) = pages.unanswered()
    assert (page.code, page.sentence) == ("c\ufffdde", "half \ufffd and \ufffd")


# Halts


def test_each_open_halt_has_a_page_and_the_resume_answers_it(engine: sa.Engine) -> None:
    pages, ledger = LedgerPages(engine, BOOK), SqlLedger(engine, BOOK)
    with ledger.session() as session:
        session.add_halt("lost too much", as_of=NOW)
        session.add_halt("lost too much", as_of=NOW)
    for _ in range(2):
        pages.follow_halts(as_of=NOW)
    assert [(page.severity, page.code) for page in pages.unanswered()] == [
        ("critical", "halt 1"),
        ("critical", "halt 2"),
    ]
    assert 'lost too much; next: desk resume 1 "why' in pages.unanswered()[0].sentence
    with ledger.session() as session:
        session.acknowledge(1, "it was a test", as_of=NOW)
    pages.follow_halts(as_of=NOW + SECOND)
    assert [page.code for page in pages.unanswered()] == ["halt 2"]
    assert pages.every()[0].answer == "resumed: it was a test"


def test_a_halt_whose_page_was_answered_is_not_paged_again_while_it_lasts(engine: sa.Engine) -> None:
    pages = LedgerPages(engine, BOOK)
    with SqlLedger(engine, BOOK).session() as session:
        session.add_halt("lost", as_of=NOW)
    pages.follow_halts(as_of=NOW)
    pages.answer(pages.unanswered()[0].id, "I look into it", as_of=NOW)
    pages.follow_halts(as_of=NOW + REPEAT)
    assert pages.unanswered() == []


def test_a_halt_that_was_lifted_before_anybody_looked_needs_no_page(engine: sa.Engine) -> None:
    with SqlLedger(engine, BOOK).session() as session:
        session.add_halt("lost", as_of=NOW)
        session.acknowledge(1, "a test", as_of=NOW)
    pages = LedgerPages(engine, BOOK)
    pages.follow_halts(as_of=NOW)
    assert pages.every() == []


# Other hands


def test_a_page_of_the_watchdog_is_one_of_these(desk: Desk) -> None:
    role = open_ledger_as(desk.root / "ledger" / "desk.sqlite", "watchdog")
    SqlWatchLedger(role, BOOK).page("critical", "W1 AAPL", "40 AAPL have no stop", as_of=NOW)
    (page,) = desk.pages.unanswered()
    assert (page.code, page.sends, page.sent_at) == ("W1 AAPL", 0, None)
    watched = LedgerPages(role, BOOK)
    watched.raise_page("warning", "W8", "a bad fill", as_of=NOW)
    watched.sent([page.id], as_of=NOW)
    watched.answer(page.id, "covered by hand", as_of=NOW)
    assert [each.code for each in desk.pages.unanswered()] == ["W8"]
    role.dispose()


def test_the_gateways_pager_raises_a_page_and_never_raises_an_error(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    pager = LedgerPager(desk.engine, BOOK)
    pager.page("warning", "link", "gone", as_of=NOW)
    assert [page.code for page in desk.pages.unanswered()] == ["link"]
    second = open_ledger(desk.root / "ledger" / "desk.sqlite", durability="FULL")
    with second.connect() as held:
        held.exec_driver_sql("select 1")
        pager.page("critical", "unsent", "an order", as_of=NOW)
    second.dispose()
    assert "critical unsent: an order; and no page could be raised" in caplog.text


# Any order of events

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["raise", "answer", "sent", "wait"]),
        st.sampled_from(["critical", "warning", "info"]),
        st.sampled_from(["a 1", "a 2", "b 1"]),
    ),
    max_size=25,
)


@settings(max_examples=12, deadline=None)
@given(EVENTS)
def test_whatever_happens_one_thing_waits_once_and_only_what_waits_is_due(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, Severity, str]]
) -> None:
    engine = open_ledger(tmp_path_factory.mktemp("pages") / "desk.sqlite", durability="NORMAL")
    pages, now = LedgerPages(engine, BOOK), NOW
    for what, severity, sentence in events:
        now += SECOND
        waiting = [page for page in pages.every() if page.answered_at is None]
        same = [page for page in waiting if (page.severity, shape_of(page.sentence)) == (severity, shape_of(sentence))]
        if what == "raise":
            assert (pages.raise_page(severity, "code", sentence, as_of=now) is None) == bool(same)
        elif what == "answer" and same:
            pages.answer(same[0].id, "words", as_of=now)
        elif what == "sent":
            pages.sent([page.id for page in pages.due(now, REPEAT)], as_of=now)
            assert pages.due(now, REPEAT) == []
        else:
            now += REPEAT
    left = [page for page in pages.every() if page.answered_at is None]
    assert max(Counter((page.severity, shape_of(page.sentence)) for page in left).values(), default=0) <= 1
    assert {page.id for page in pages.due(now + REPEAT, REPEAT)} == {page.id for page in left}
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.PAGES)).scalar() == len(pages.every())
    engine.dispose()
