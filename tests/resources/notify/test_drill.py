"""From a halt in the ledger to a phone and back: within a look, again and again, until somebody answers; also with real kills."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from resources.notify.pages import LedgerPages
from resources.notify.senders import NAME
from tests.resources.notify.parts import BOOK, NOW, REPEAT, Desk, Memory, Web
from tests.resources.notify.test_notifier import DONE
from trading_assets.core.settings import PROJECT

AGAIN = REPEAT.total_seconds()


def kinds(desk: Desk) -> list[str]:
    return [row["code"] for row in desk.filed()]


@pytest.mark.control("W9")
def test_a_halt_reaches_console_file_and_phone_within_a_look_and_repeats_until_it_is_answered(
    desk: Desk, web: Web
) -> None:
    notifier = desk.notifier(*desk.local(), desk.phone(web))
    halt = desk.halt("W4 4.2 % lost since the open, halts at 4.0 %")
    notifier.step(desk.hand.move(1))
    line = f'CRITICAL desk halt {halt}: W4 4.2 % lost since the open, halts at 4.0 %; next: desk resume {halt} "why'
    assert line in desk.console.getvalue()
    assert kinds(desk) == ["halt 1"]
    assert [text.startswith(line) for text in web.texts] == [True]

    for _ in range(10):
        notifier.step(desk.hand.move(AGAIN / 10 - 0.1))
    assert len(web.got) == 1, "not before its time"
    notifier.step(desk.hand.move(1))
    notifier.step(desk.hand.move(AGAIN))
    assert len(web.got) == 3
    assert "(told 3 times)" in web.texts[-1]

    (page,) = desk.pages.unanswered()
    desk.pages.answer(page.id, "I look into it", as_of=desk.hand.now())
    for _ in range(3):
        notifier.step(desk.hand.move(AGAIN))
    assert len(web.got) == 3, "answered is silent, though the halt lasts"
    desk.resume(halt, "a loss of one symbol, which is off the list now")
    notifier.step(desk.hand.move(1))
    assert "INFO desk resume: halt 1 is lifted" in web.texts[-1]
    assert len(desk.pages.unanswered()) == 0


@pytest.mark.control("W9")
def test_a_resume_answers_the_page_of_its_halt(desk: Desk) -> None:
    memory = Memory()
    notifier = desk.notifier(memory)
    halt = desk.halt("lost")
    notifier.step(desk.hand.move(1))
    desk.resume(halt, "a test")
    for _ in range(3):
        notifier.step(desk.hand.move(AGAIN))
    assert memory.codes == ["halt 1", "resume"]
    assert desk.pages.unanswered() == []


def test_the_phone_is_away_and_the_operator_is_told_all_the_same(desk: Desk, web: Web) -> None:
    web.status = 500
    notifier = desk.notifier(*desk.local(), desk.phone(web), environment={"PHONE_URL": web.url})
    desk.halt("lost")
    for _ in range(4):
        notifier.step(desk.hand.move(1))
    assert kinds(desk) == ["halt 1", "channel phone"]
    assert desk.pages.unanswered()[0].sends == 1
    web.status = 200
    notifier.step(desk.hand.move(5))
    assert "halt 1" in web.texts[-1]


# Two of them


def test_of_two_notifiers_one_tells_and_the_other_takes_over_when_it_dies(desk: Desk) -> None:
    first, second = Memory("first"), Memory("second")
    one, two = desk.notifier(first, holder="one"), desk.notifier(second, holder="two")
    desk.halt("lost")
    desk.say(DONE)
    for _ in range(5):
        desk.hand.move(1)
        assert not one.step(desk.hand.now()).elsewhere
        assert two.step(desk.hand.now()).elsewhere
    assert (first.codes, second.codes) == (["halt 1", "execution"], [])
    desk.say(DONE)
    for _ in range(40):
        two.step(desk.hand.move(1))
    assert second.codes == ["execution"], "what is told already is not told again"
    assert one.step(desk.hand.move(1)).elsewhere, "who comes back late keeps quiet"


CODE = """
import os, signal, sys, time
from datetime import timedelta
from pathlib import Path
from resources.clock import RealClock
from resources.ledger.engine import open_ledger
from resources.notify.notifier import Notifier
from resources.notify.redaction import Redactor
from resources.notify.senders import Journal
from resources.notify.settings import Notifications
root, dies = Path(sys.argv[1]), sys.argv[2]
engine = open_ledger(root / "ledger" / "desk.sqlite", durability="FULL")
def die(point):
    if dies == point:
        os.kill(os.getpid(), signal.SIGKILL)
clock = RealClock()
notifier = Notifier(engine, "desk", [Journal(root)], Notifications(), repeat=timedelta(hours=1), redact=Redactor({}),
                    at_point=die)
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    told = notifier.step(clock.now())
    if told.keys:
        print(" ".join(told.keys), flush=True)
    time.sleep(0.02)
"""


def started(root: Path, dies: str = "", seconds: float = 1.0) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CODE, str(root), dies, str(seconds)]
    return subprocess.Popen(words, cwd=PROJECT, env=os.environ, stdout=subprocess.PIPE, text=True)


def times(root: Path) -> Counter[str]:
    """How often each thing was told."""
    path = root / NAME
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(json.loads(line)["key"] for line in lines)


def test_a_kill_between_telling_and_writing_down_repeats_each_thing_at_most_once(desk: Desk) -> None:
    """Twice, for real; the lease of the killed one is let run out by hand."""
    desk.notifier().close()
    pages = [f"page {desk.pages.raise_page('critical', f'code {n}', 'lost', as_of=NOW)}" for n in range(3)]
    desk.say(DONE, DONE)
    with started(desk.root, dies="told", seconds=30) as killed:
        assert killed.wait(20) == -signal.SIGKILL
    assert set(times(desk.root)) >= set(pages)
    _free(desk)
    with started(desk.root, seconds=0.3) as process:
        assert process.wait(20) == 0
    told = times(desk.root)
    assert set(told) == {*pages, "message 4", "message 5"}
    assert set(told.values()) == {2}
    _free(desk)
    with started(desk.root, seconds=0.3) as process:
        assert process.wait(20) == 0
    assert times(desk.root) == told, "and never again"
    assert {page.sends for page in desk.pages.unanswered()} == {1}


def test_two_processes_tell_each_fill_once(desk: Desk) -> None:
    desk.notifier().close()
    with started(desk.root, seconds=2) as one, started(desk.root, seconds=2) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        assert one.stdout.readline() == two.stdout.readline() == "ready\n"
        for _ in range(10):
            desk.say(DONE)
            threading.Event().wait(0.02)
        assert (one.wait(20), two.wait(20)) == (0, 0)
        spoke = [bool(each.stdout.read()) for each in (one, two) if each.stdout is not None]
    assert sorted(spoke) == [False, True]
    told = times(desk.root)
    assert len(told) == 10
    assert set(told.values()) == {1}


def _free(desk: Desk) -> None:
    """The lease of a dead process, let go."""
    from resources.clock import RealClock
    from resources.ledger.state import Leases

    leases = Leases(desk.engine)
    lease = leases.current(f"notifier:{BOOK}")
    assert lease is not None
    leases.release(lease, as_of=RealClock().now())


def test_ten_thousand_answered_pages_do_not_slow_a_look(desk: Desk) -> None:
    """What is read is what waits; a look costs a handful of statements, however long the record is."""
    import sqlalchemy as sa

    from resources.ledger import schema as t
    from resources.ledger.engine import transaction

    row = {"book": BOOK, "severity": "critical", "sentence": "s", "sends": 1, "answer": "x"}
    instants = {"raised_at": NOW.isoformat(), "sent_at": NOW.isoformat(), "answered_at": NOW.isoformat()}
    with transaction(desk.engine) as connection:
        rows = [{**row, **instants, "code": f"c{number}"} for number in range(10_000)]
        connection.execute(t.PAGES.insert(), rows)
    notifier = desk.notifier(Memory())
    statements: list[str] = []
    sa.event.listen(desk.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    notifier.step(desk.hand.move(1))
    assert len([each for each in statements if each.lstrip().startswith(("SELECT", "UPDATE", "INSERT"))]) <= 15
    assert LedgerPages(desk.engine, BOOK).unanswered() == []
