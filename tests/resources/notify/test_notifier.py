"""What one look of the notifier tells: pages, news of the bus once each, a ledger that is away, a channel that is not."""

import threading
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.lake import ParquetLake
from resources.ledger.archive import archive
from resources.ledger.engine import open_ledger
from resources.ledger.records import Evaluations
from resources.ledger.roles import open_ledger_as
from resources.notify.news import News
from resources.notify.notifier import Beside, Notifier, open_notifier, telling
from resources.notify.redaction import Redactor
from resources.notify.settings import Notifications
from tests.resources.notify.executed import booked_execution
from tests.resources.notify.parts import BOOK, REPEAT, Desk, Hand, Memory
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.messages import Alert, Executed, Filled, Note, Resumed
from trading_assets.core.settings import PROJECT

FILL = Filled(
    fill_id="f1", order_id="o1", symbol="AAA", side="buy", quantity=7, price=Decimal("100.5"), fee=Decimal("0.35")
)
DONE = Executed(exec_id="e1", intent_id="i1", symbol="AAA", side="sell", quantity=Decimal(7), price=Decimal("101.25"))


def test_executions_fills_and_resumes_are_told_once(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.say(FILL, DONE, Resumed(halt_id=3, reason="all is well"))
    for _ in range(3):
        notifier.step(desk.hand.move(1))
    assert [(each.severity, each.code, each.sentence) for each in memory.told] == [
        ("info", "fill", "bought 7 AAA at 100.5 USD, fee 0.35 USD"),
        ("info", "execution", "sold 7 AAA at 101.25 USD, intent i1"),
        ("info", "resume", "halt 3 is lifted: all is well"),
    ]


def test_an_execution_that_no_order_explains_says_so(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.say(DONE.model_copy(update={"intent_id": ""}))
    notifier.step(desk.hand.move(1))
    assert memory.told[0].sentence == "sold 7 AAA at 101.25 USD, no order of the desk explains it"


def test_what_the_broker_told_is_not_told_again_by_the_settlement(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    booked_execution(desk.engine, "e1", at=desk.hand.now())
    desk.say(DONE, FILL.model_copy(update={"fill_id": "e1"}), FILL)
    notifier.step(desk.hand.move(1))
    assert memory.codes == ["execution", "fill"]


def test_the_past_is_not_told_to_a_desk_that_begins(desk: Desk) -> None:
    desk.say(FILL)
    memory = Memory()
    notifier = desk.notifier(memory)
    notifier.step(desk.hand.move(1))
    assert memory.told == []


def test_other_topics_and_other_books_are_not_told(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.say(Note(text="hello"))
    desk.say(FILL, book="backtest")
    notifier.step(desk.hand.move(1))
    assert memory.told == []


def test_an_alert_on_the_bus_becomes_a_page_and_a_page_is_not_told_twice(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.say(Alert(severity="warning", code="journal", sentence="A file could not be written.", symbol="AAA"))
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    for _ in range(3):
        notifier.step(desk.hand.move(1))
    assert [page.code for page in desk.pages.unanswered()] == ["W4", "journal AAA"]
    assert memory.codes == ["W4", "journal AAA"]


def test_news_waits_on_the_bus_until_somebody_was_told(desk: Desk) -> None:
    memory = Memory(problem="no line")
    notifier = desk.notifier(memory)
    desk.say(FILL)
    notifier.step(desk.hand.move(1))
    memory.problem = ""
    notifier.step(desk.hand.move(6))
    notifier.step(desk.hand.move(6))
    assert memory.codes == ["fill"]


def test_a_halt_that_was_over_before_anybody_looked_is_news(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.resume(desk.halt("lost"), "a test")
    notifier.step(desk.hand.move(1))
    assert [(each.severity, each.code) for each in memory.told] == [("info", "halt"), ("info", "resume")]
    assert memory.told[0].sentence == "halt 1 was open for a moment: lost"


def test_a_halt_that_comes_in_the_middle_of_a_look_is_a_page_and_no_news(desk: Desk) -> None:
    news = News(desk.engine, BOOK, desk.hand)
    news.read(as_of=desk.hand.now())
    desk.halt("lost")
    batch = news.read(as_of=desk.hand.now())
    assert batch.notices == ()
    desk.pages.follow_halts(as_of=desk.hand.now())
    assert [page.code for page in desk.pages.unanswered()] == ["halt 1"]


def test_a_report_is_told_once_with_its_measures(desk: Desk) -> None:
    memory, evaluations = Memory(), Evaluations(desk.engine)
    notifier = desk.notifier(memory)
    measures = {"equity_usd": 101_000.5, "sharpe_ratio": 1.25, "other": 1.0}
    evaluations.record(BOOK, date(2024, 3, 22), measures, as_of=desk.hand.now() - timedelta(days=2))
    evaluations.record(BOOK, date(2024, 3, 25), measures, as_of=desk.hand.now())
    for _ in range(3):
        notifier.step(desk.hand.move(1))
    assert [each.sentence for each in memory.told] == [
        "session 2024-03-25 is measured: equity_usd 101000.5, sharpe_ratio 1.25"
    ]
    assert desk.pages.unanswered() == []


def test_a_notifier_that_slept_until_messages_were_archived_says_so_and_goes_on(desk: Desk) -> None:
    memory = Memory()
    desk.notifier(memory).close()
    desk.say(FILL, FILL, FILL)
    lake = ParquetLake(desk.root / "lake")
    late = desk.hand.move(30 * 86_400)
    archive(desk.engine, lake, before=late.date(), as_of=late, silent_after=timedelta(days=7))
    notifier = desk.notifier(memory, holder="second")
    desk.say(DONE)
    notifier.step(desk.hand.move(1))
    assert memory.codes == ["news missed", "execution"]
    assert "messages 1 to 3 were archived" in memory.told[0].sentence


# One that is away


def test_a_locked_ledger_is_told_once_within_a_look_and_pages_follow_when_it_answers(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    blocked = sa.create_engine(f"sqlite:///{desk.root / 'ledger' / 'desk.sqlite'}")
    with blocked.connect() as held:
        held.exec_driver_sql("begin immediate")
        for _ in range(3):
            told = notifier.step(desk.hand.move(1))
        assert "another process" in told.problem
        assert memory.codes == ["W4", "ledger"], "readers are not locked out, and what was told is not told again"
        notifier.step(desk.hand.move(REPEAT.total_seconds()))
        assert memory.codes == ["W4", "ledger", "ledger"]
        held.exec_driver_sql("rollback")
    notifier.step(desk.hand.move(1))
    assert memory.codes.count("W4") == 1
    assert desk.pages.unanswered()[0].sends == 1
    notifier.step(desk.hand.move(REPEAT.total_seconds()))
    assert memory.codes.count("W4") == 2


def test_a_halt_file_is_told_with_and_without_the_ledger(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.halt_file.write("W4 lost too much", "watchdog", desk.hand.now())
    blocked = sa.create_engine(f"sqlite:///{desk.root / 'ledger' / 'desk.sqlite'}")
    with blocked.connect() as held:
        held.exec_driver_sql("begin immediate")
        notifier.step(desk.hand.move(60))
        assert memory.codes == ["ledger", "halt file"]
        held.exec_driver_sql("rollback")
    for _ in range(2):
        notifier.step(desk.hand.move(1))
    (page,) = desk.pages.unanswered()
    assert page.code.startswith("halt file 2024-03-25")
    assert "W4 lost too much; next: desk status, then desk resume" in page.sentence
    desk.pages.answer(page.id, "I come", as_of=desk.hand.now())
    notifier.step(desk.hand.move(1))
    assert desk.pages.unanswered() == []


def test_a_damaged_halt_file_is_told_as_well(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    desk.halt_file.path.write_bytes(b"\xff{")
    notifier.step(desk.hand.move(1))
    assert "the halt file is damaged" in memory.told[0].sentence


def test_a_channel_that_fails_is_told_on_console_and_file_and_the_page_counts_as_sent(desk: Desk) -> None:
    phone = Memory("phone", problem="no line")
    notifier = desk.notifier(*desk.local(), phone)
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    notifier.step(desk.hand.move(1))
    assert [row["code"] for row in desk.filed()] == ["W4", "channel phone"]
    assert "WARNING desk channel phone: channel phone fails: no line" in desk.console.getvalue()
    assert desk.pages.unanswered()[0].sends == 1
    phone.problem = ""
    notifier.step(desk.hand.move(5))
    assert phone.codes == ["W4"], "the channel is told what it missed"
    assert [row["code"] for row in desk.filed()] == ["W4", "channel phone", "channel phone"]
    assert "works again" in desk.filed()[-1]["sentence"]


def test_a_page_that_reached_nobody_stays_due(desk: Desk) -> None:
    phone, pager = Memory("phone", problem="no line"), Memory("pager", problem="no line")
    notifier = desk.notifier(phone, pager)
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    notifier.step(desk.hand.move(1))
    assert [page.sends for page in desk.pages.unanswered()] == [0]
    pager.problem = ""
    notifier.step(desk.hand.move(6))
    assert [page.sends for page in desk.pages.unanswered()] == [1]


def test_a_channel_that_hangs_delays_the_others_by_its_time_limit_once(desk: Desk) -> None:
    phone, memory = Memory("phone", gate=threading.Event()), Memory()
    notifier = desk.notifier(phone, *desk.local(), memory, timeout_s=0.1)
    for number in range(3):
        desk.pages.raise_page("warning", f"page {number}", "lost", as_of=desk.hand.now())
        notifier.step(desk.hand.move(1))
    assert memory.codes == ["page 0", "page 1", "page 2"]
    assert desk.console.getvalue().count("channel phone hangs") == 1
    assert phone.calls == 1
    assert phone.gate is not None
    phone.gate.set()
    for _ in range(500):
        notifier.step(desk.hand.now())
        if len(phone.told) == 3:
            break
        threading.Event().wait(0.01)
    assert phone.codes == ["page 0", "page 1", "page 2"]


# Beside a loop, and opened from the settings


def test_a_notifier_beside_a_loop_looks_by_itself_and_ends(desk: Desk) -> None:
    memory = Memory()
    beside = Beside(desk.notifier(memory), desk.hand, every_s=0.01)
    beside.start()
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    for _ in range(500):
        if memory.told:
            break
        threading.Event().wait(0.01)
    beside.stop()
    assert memory.codes == ["W4"]
    assert not beside.is_alive()
    other = Memory()
    desk.notifier(other, holder="next").step(desk.hand.move(REPEAT.total_seconds()))
    assert other.codes == ["W4"], "the lease was given back"


def test_a_bug_in_a_look_ends_neither_the_thread_nor_the_next_look(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Hand):
        calls = 0

        def now(self) -> datetime:
            self.calls += 1
            raise RuntimeError("no time")

    clock = Broken()
    beside = Beside(desk.notifier(Memory()), clock, every_s=0.005)
    beside.start()
    for _ in range(500):
        if clock.calls > 2:
            break
        threading.Event().wait(0.01)
    beside.stop()
    assert clock.calls > 2
    assert "a look of the notifier failed" in caplog.text


def test_a_ledger_that_cannot_be_opened_yet_is_told_and_tried_again(desk: Desk) -> None:
    memory, opened = Memory(), [False]

    def opens() -> sa.Engine:
        if not opened[0]:
            raise PermanentFailure("there is no ledger", value="desk.sqlite", hint="desk init makes it")
        return desk.engine

    notifier = Notifier(opens, BOOK, [memory], Notifications(), repeat=REPEAT, redact=Redactor({}), real=desk.hand)
    for _ in range(3):
        notifier.step(desk.hand.move(1))
    assert memory.codes == ["ledger"]
    assert "there is no ledger" in memory.told[0].sentence
    notifier.close()
    opened[0] = True
    notifier.step(desk.hand.move(1))
    desk.halt("lost")
    notifier.step(desk.hand.move(1))
    assert memory.codes == ["ledger", "halt 1"]


def test_telling_lasts_as_long_as_its_block(desk: Desk) -> None:
    memory = Memory()
    with telling(desk.notifier(memory), desk.hand, every_s=0.01):
        desk.halt("lost")
        for _ in range(500):
            if memory.told:
                break
            threading.Event().wait(0.01)
    assert memory.codes == ["halt 1"]
    desk.halt("lost again")
    threading.Event().wait(0.05)
    assert memory.codes == ["halt 1"]


def test_the_notifier_of_the_committed_settings_opens_and_tells(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    notifier = open_notifier(desk.engine, BOOK, desk.root, PROJECT / "config", {}, repeat=REPEAT)
    notifier.step(desk.hand.now())
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    notifier.step(desk.hand.now())
    assert "CRITICAL desk W4: lost" in capsys.readouterr().err
    assert [row["code"] for row in desk.filed()] == ["W4"]


def test_an_address_that_is_missing_stops_the_start(desk: Desk) -> None:
    (desk.root / "notifications.yaml").write_text("channels: [{name: phone, url_variable: DESK_PHONE_URL}]")
    with pytest.raises(ConfigurationError, match="DESK_PHONE_URL is empty"):
        open_notifier(desk.engine, BOOK, desk.root, desk.root, {}, repeat=REPEAT)


def test_a_second_engine_in_the_watchdogs_role_can_notify(desk: Desk) -> None:
    path = desk.root / "ledger" / "desk.sqlite"
    open_ledger(path, durability="FULL").dispose()
    role, memory = open_ledger_as(path, "watchdog"), Memory()
    notifier = Notifier(
        role,
        BOOK,
        [memory],
        Notifications(),
        repeat=REPEAT,
        redact=Redactor({}),
        halt_file=desk.halt_file,
        real=desk.hand,
    )
    notifier.step(desk.hand.now())
    halt = desk.halt("lost")
    Evaluations(desk.engine).record(BOOK, date(2024, 3, 25), {"equity_usd": 1.0}, as_of=desk.hand.now())
    desk.say(FILL)
    assert notifier.step(desk.hand.move(1)).problem == ""
    desk.resume(halt, "a test")
    assert notifier.step(desk.hand.move(1)).problem == ""
    assert memory.codes == ["halt 1", "report 2024-03-25 1", "fill", "resume"]
    notifier.close()
    role.dispose()
