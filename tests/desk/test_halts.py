"""`desk halt` and `desk resume`: a halt works when nothing else does, and only the operator lifts it, by its number."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from desk.halts import WAIT_MS, adopt_halt_file, halts_shown, open_halts, run_halt, run_resume
from desk.status import run_status
from resources.desk import DESK, DeskResource
from resources.ledger.halt_file import HaltFile
from resources.ledger.journal import read_journal
from resources.notify.pages import LedgerPages
from tests.desk.at_a_broker import held, the_json
from trading_assets.core.errors import PermanentFailure, TransientFailure
from trading_assets.core.settings import PROJECT, Home

NOW = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands still."""
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())


def file_of(home: Home) -> HaltFile:
    home.root.mkdir(parents=True, exist_ok=True)
    return HaltFile(home.root)


def causes() -> list[str]:
    return [halt.cause for halt in open_halts(DeskResource(), DESK)]


def test_a_halt_stands_in_the_ledger_and_in_the_journal(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_halt(DESK, "checking the brake")
    assert 'book desk is halted; desk resume 1 "reason" lifts it' in capsys.readouterr().err
    assert causes() == ["operator: checking the brake"]
    assert not file_of(home).path.exists()
    (record,) = read_journal(DeskResource().engine(DESK), kind="halt")
    assert "checking the brake" in str(record.entry.body)


@pytest.mark.fault(15)
def test_a_halt_works_while_the_ledger_is_locked_and_says_where_it_stands(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(home):
        run_halt(DESK, "stop everything")
        said = capsys.readouterr().err
    assert "the ledger cannot be written" in said
    assert f"halted by the file {home.root / 'HALT'}: operator: stop everything" in said
    found = HaltFile(home.root).read()
    assert found is not None
    assert (found.cause, found.by, found.at) == ("operator: stop everything", "operator", NOW)
    assert WAIT_MS <= 2_000, "a halt is decided within two seconds"


def test_a_ledger_that_is_no_ledger_does_not_stop_a_halt(home: Home) -> None:
    home.ledger(DESK).parent.mkdir(parents=True)
    home.ledger(DESK).write_bytes(b"garbage" * 100)
    run_halt(DESK, "damaged")
    assert HaltFile(home.root).read() is not None


def test_a_backtest_has_no_halt_file(home: Home) -> None:
    home.ledger("backtest").parent.mkdir(parents=True)
    home.ledger("backtest").write_bytes(b"garbage" * 100)
    with pytest.raises(PermanentFailure):
        run_halt("backtest", "damaged")
    assert not (home.root / "HALT").exists()


@pytest.mark.fault(108)
def test_a_resume_names_the_halt_its_cause_and_a_reason(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_halt(DESK, "checking the brake")
    for number, reason in ((2, "why"), (0, "why"), (1, " "), (1, "")):
        with pytest.raises(PermanentFailure):
            run_resume(DESK, number, reason)
    assert causes() == ["operator: checking the brake"]
    capsys.readouterr()
    run_resume(DESK, 1, "it holds")
    said = capsys.readouterr().err
    assert "halt 1 since 2024-03-25T14:00:00+00:00: operator: checking the brake" in said
    assert "no halt is open, and trading may go on" in said
    assert causes() == []


def test_halts_are_lifted_one_by_one_the_oldest_first(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_halt(DESK, "one")
    run_halt(DESK, "two")
    with pytest.raises(PermanentFailure, match="halt 1: operator: one"):
        run_resume(DESK, 2, "why")
    run_resume(DESK, 1, "why")
    assert "halt 2 is still open: operator: two" in capsys.readouterr().err
    run_resume(DESK, 2, "why")
    assert causes() == []


def test_a_resume_answers_the_pages_of_its_halt_and_of_the_file(home: Home) -> None:
    file_of(home).write("W4 lost", "watchdog", NOW)
    pages = LedgerPages(DeskResource().engine(DESK), DESK)
    pages.raise_page("critical", "halt file 2024-03-25T14:00:00", "halted by a file", as_of=NOW)
    adopt_halt_file(DESK)
    pages.follow_halts(as_of=NOW)
    assert [page.code for page in pages.unanswered()] == ["halt file 2024-03-25T14:00:00", "halt 1"]
    run_resume(DESK, 1, "the losses are explained")
    assert pages.unanswered() == []


# The file


def test_a_halt_file_gets_a_number_once_and_goes_with_the_last_halt(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    run_halt(DESK, "mine")
    file_of(home).write("W4 lost; the ledger could not be written", "watchdog", NOW)
    for _ in range(2):
        shown = halts_shown(DeskResource(), DESK)
    assert shown == [
        "1: operator: mine",
        "2: halt file: W4 lost; the ledger could not be written (by watchdog)",
    ]
    run_resume(DESK, 1, "why")
    assert HaltFile(home.root).read() is not None, "a halt is still open"
    run_resume(DESK, 2, "why")
    assert HaltFile(home.root).read() is None
    assert "is taken away" in capsys.readouterr().err
    assert halts_shown(DeskResource(), DESK) == []


def test_a_resume_that_names_no_number_of_the_file_leaves_it(home: Home) -> None:
    file_of(home).write("W4 lost", "watchdog", NOW)
    with pytest.raises(PermanentFailure, match="halt 1: halt file: W4 lost"):
        run_resume(DESK, 7, "why")
    assert HaltFile(home.root).read() is not None
    assert causes() == ["halt file: W4 lost (by watchdog)"], "it has a number now"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"cause": 1}'])
def test_a_damaged_halt_file_halts_and_can_be_lifted(home: Home, content: bytes) -> None:
    file_of(home).path.write_bytes(content)
    assert halts_shown(DeskResource(), DESK) == ["1: halt file: the halt file is damaged"]
    run_resume(DESK, 1, "a disk was full")
    assert not (home.root / "HALT").exists()


def test_a_file_that_came_back_after_the_resume_is_a_new_halt(home: Home) -> None:
    """As after a kill between the acknowledgement and the taking away: it fails closed."""
    file_of(home).write("W4 lost", "watchdog", NOW)
    run_resume_of_file()
    file_of(home).write("W4 lost", "watchdog", NOW)
    assert halts_shown(DeskResource(), DESK) == ["2: halt file: W4 lost (by watchdog)"]


def run_resume_of_file() -> None:
    adopt_halt_file(DESK)
    run_resume(DESK, 1, "why")


def test_a_file_whose_ledger_is_locked_is_shown_and_cannot_be_lifted(home: Home) -> None:
    file_of(home).write("W4 lost\x1b[2J", "watchdog", NOW)
    with held(home):
        (shown,) = halts_shown(DeskResource(), DESK)
        assert shown.startswith("file: W4 lost\ufffd[2J (the ledger cannot be written")
        with pytest.raises(TransientFailure):
            run_resume(DESK, 1, "why")
    assert HaltFile(home.root).read() is not None


def test_a_file_of_the_desk_halts_no_backtest(home: Home) -> None:
    file_of(home).write("W4 lost", "watchdog", NOW)
    assert halts_shown(DeskResource(), "backtest") == []


def test_a_new_halt_written_while_the_operator_resumes_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is taken away only while it says what the operator was shown."""
    file_of(home).write("W4 lost", "watchdog", NOW)
    adopt_halt_file(DESK)

    def another(self: LedgerPages, *, as_of: datetime) -> None:
        HaltFile(home.root).clear()
        HaltFile(home.root).write("W1 naked", "watchdog", NOW)

    monkeypatch.setattr(LedgerPages, "follow_halts", another)
    run_resume(DESK, 1, "why")
    found = HaltFile(home.root).read()
    assert found is not None
    assert found.cause == "W1 naked"


def test_the_status_gives_a_halt_file_its_number(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    file_of(home).write("W4 lost", "watchdog", NOW)
    run_status(DESK, as_json=True)
    told = the_json(capsys)
    assert told["halts"] == ["1: halt file: W4 lost (by watchdog)"]
    assert told["pages"] == []
    LedgerPages(DeskResource().engine(DESK), DESK).raise_page("warning", "link", "gone", as_of=NOW)
    run_status(DESK, as_json=True)
    assert [page["code"] for page in the_json(capsys)["pages"]] == ["link"]


def test_a_desk_whose_processes_are_stopped_is_halted_by_hand_within_seconds(home: Home) -> None:
    """For real: a process holds the ledger and is stopped; the command runs in a process of its own."""
    DeskResource().engine(DESK)
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('begin immediate'); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, home.ledger(DESK)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        try:
            command = [sys.executable, "-m", "desk.main", "halt", "now"]
            ran = subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False)
        finally:
            holder.kill()
    assert ran.returncode == 0, ran.stderr
    assert "the desk is halted by the file" in ran.stderr
    found = HaltFile(home.root).read()
    assert found is not None
    assert found.cause == "operator: now"
