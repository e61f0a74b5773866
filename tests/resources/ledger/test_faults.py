"""Databases and disks that fail: F15 to F22 of the desk's fault catalogue, on real files and real processes."""

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import open_ledger
from resources.ledger.schema import DECISIONS, INTENTS, ORDERS
from resources.ledger.store import SqlGateBook, SqlLedger
from tests.resources.ledger.entries import DAYS, EVER, at, close, decided, decision, ledger_at, python, said
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure
from trading_assets.core.ports import GateRecord, Span

IMPATIENT_MS = 50


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The start of a command that runs in a mount namespace of its own, where `disk` is a file system of 512 KiB."""
    (tmp_path / "disk").mkdir()
    shell = f'mount -t tmpfs -o size=512k none {tmp_path / "disk"} && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", shell, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let the tests mount a small file system in a namespace of their own")
    return command


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another connection holds the file exclusively."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


# Kill


@pytest.mark.parametrize("statement", [2, 3, 4, 0], ids=["decision", "intents", "orders", "commit"])
def test_a_desk_killed_inside_the_decision_leaves_nothing_of_it(path: Path, statement: int) -> None:
    """F1, F2: decision, intents and orders are one transaction; the slot is free for the next attempt."""
    process = python("decide_and_die_at(sys.argv[1], int(sys.argv[2]))", path, statement)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    book = ledger_at(path)
    with book.session() as ledger:
        assert (ledger.decisions(*EVER), ledger.intents(DAYS[9]), ledger.orders_placed(*EVER)) == ([], [], [])
    decided(book, DAYS[0])


def test_a_decision_that_was_committed_survives_the_kill_of_its_process(path: Path) -> None:
    code = "decided(ledger_at(sys.argv[1]), DAYS[0]); say('decided'); os.kill(os.getpid(), signal.SIGKILL)"
    process = python(code, path)
    assert process.communicate()[0] == "decided\n"
    with ledger_at(path).session() as ledger:
        assert len(ledger.orders_placed(*EVER)) == 2


def test_two_processes_never_decide_the_same_slot(path: Path) -> None:
    """F101, F103: the unique index decides who was first, whoever starts the runs."""
    ledger_at(path)
    deciders = [python("decide_same_slots(sys.argv[1], 15)", path) for _ in range(3)]
    for decider in deciders:
        assert decider.stdout is not None
        decider.stdout.readline()
    for decider in deciders:
        assert decider.stdin is not None
        decider.stdin.write("go\n")
        decider.stdin.flush()
    won = [position for decider in deciders for position in map(int, decider.communicate()[0].split())]
    assert sorted(won) == list(range(15))
    engine = open_ledger(path, durability="FULL")
    with engine.connect() as connection:
        counts = [connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in (DECISIONS, INTENTS, ORDERS)]
    assert counts == [15, 15, 30]


# Locked


def test_a_locked_ledger_is_a_passing_failure_for_whoever_opens_it(path: Path) -> None:
    """F15: within the busy time-out, not after minutes, and not as a damaged file."""
    ledger_at(path)
    with locked(path), pytest.raises(TransientFailure, match="locked.*another process holds it") as refused:
        open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)
    assert path.name in str(refused.value.value)
    open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)


def test_a_locked_ledger_stores_nothing_and_says_so(path: Path) -> None:
    """F15: no commit, no order; when the lock is gone the same slot can be decided."""
    engine = open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)
    book, gates = SqlLedger(engine, "desk"), SqlGateBook(engine)
    with locked(path):
        with pytest.raises(TransientFailure, match="locked"):
            decided(book, DAYS[0])
        with pytest.raises(TransientFailure, match="locked"):
            gates.gates("daily_bars", Span(DAYS[0], DAYS[1]))
        with pytest.raises(TransientFailure, match="locked"):
            gates.record_gates([GateRecord("daily_bars", DAYS[0], "v", passed=True)], as_of=at(DAYS[0]))
    decided(book, DAYS[0])


def test_a_lock_that_is_released_in_time_is_waited_for(path: Path) -> None:
    """F15: two desks' transactions queue instead of failing."""
    book = ledger_at(path)
    code = "s = ledger_at(sys.argv[1]).session(); s.__enter__(); say('held'); sys.stdin.readline(); time.sleep(0.2); os._exit(0)"
    holder = python(f"import time; {code}", path)
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    holder.stdin.write("release soon\n")
    holder.stdin.flush()
    decided(book, DAYS[0])
    holder.communicate()


# Full


def test_a_full_disk_stores_nothing_of_the_decision_and_a_retry_succeeds(path: Path) -> None:
    """F16: SQLite's own limit on pages stands for the disk; not recorded means not sent."""
    engine = open_ledger(path, durability="FULL")
    book, limit = SqlLedger(engine, "desk"), [0]

    def narrow(raw: sqlite3.Connection, _: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {limit[0] or 1_000_000}")

    sa.event.listen(engine, "connect", narrow)
    limit[0] = 1
    with pytest.raises(TransientFailure, match="full.*make room"):
        [decided(book, day) for day in DAYS]
    limit[0] = 0
    with book.session() as ledger:
        stored = len(ledger.decisions(*EVER))
        assert stored == len(ledger.intents(DAYS[-1])) < len(DAYS)
    decided(book, DAYS[stored])


def test_a_real_full_disk_stores_nothing_of_the_decision_and_a_retry_succeeds(
    small_disk: list[str], tmp_path: Path
) -> None:
    """F16: a file system without room, in a process of its own."""
    code = (
        "root = Path(sys.argv[1]); book = ledger_at(root / 'desk.sqlite'); decided(book, DAYS[0]);"
        "filler = root / 'filler'; blocks = open(filler, 'wb', buffering=0);\n"
        "try:\n    while True: blocks.write(bytes(4096))\n"
        "except OSError: pass\n"
        "def fill_up():\n    for day in DAYS[1:]: decided(book, day)\n"
        "def held():\n    with book.session() as s: return len(s.decisions(*EVER)), len(s.intents(DAYS[-1]))\n"
        "say_failure(fill_up); filler.unlink(); blocks.close(); one, two = held(); say(one == two and one < len(DAYS));"
        "decided(book, DAYS[one]); say(held() == (one + 1, one + 1))"
    )
    failure, whole, retried = said(code, tmp_path / "disk", prefix=small_disk)
    assert failure.startswith("TransientFailure: the ledger refused: ")
    assert "desk.sqlite" in failure
    assert (whole, retried) == ("True", "True")


# Read-only


def test_a_ledger_that_cannot_be_written_is_refused_at_the_start(small_disk: list[str], tmp_path: Path) -> None:
    """F17: refuse to start, both for a ledger that exists and for one that would have to be made."""
    code = (
        "root = Path(sys.argv[1]); book = ledger_at(root / 'desk.sqlite'); decided(book, DAYS[0]);"
        "subprocess.run(['mount', '-o', 'remount,ro', root], check=True);"
        "say_failure(lambda: ledger_at(root / 'desk.sqlite')); say_failure(lambda: ledger_at(root / 'new.sqlite'));"
        "say_failure(lambda: ledger_at(root / 'folder' / 'new.sqlite')); say_failure(lambda: decided(book, DAYS[1]))"
    )
    refusals = said(code, tmp_path / "disk", prefix=small_disk)
    assert len(refusals) == 4
    assert all(refusal.startswith("PermanentFailure: the ledger ") for refusal in refusals)
    assert all("writable for this user" in refusal for refusal in refusals)
    assert os.strerror(errno.EROFS) in refusals[0]


def test_a_folder_in_the_place_of_the_ledger_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(PermanentFailure, match="ledger"):
        open_ledger(path, durability="FULL")


# Damaged or gone


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """F18: the file is evidence; it is named and not replaced."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(PermanentFailure, match="restore a backup") as refused:
        open_ledger(path, durability="FULL")
    assert path.name in str(refused.value.value)
    assert path.read_bytes() == content


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_a_page_of_garbage_is_refused_or_harmless_but_never_a_bare_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """F18: whichever page is hit, the desk's own failure names the file, or the page was not needed."""
    path = tmp_path_factory.mktemp("pages") / "desk.sqlite"
    book = ledger_at(path)
    for day in DAYS[:5]:
        decided(book, day)
        with book.session() as ledger:
            ledger.add_settlement(close(day), [], [])
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    pages = path.stat().st_size // 4096
    dice = random.Random(seed)
    content = bytearray(path.read_bytes())
    start = dice.randrange(pages) * 4096
    content[start : start + 4096] = dice.randbytes(4096)
    path.write_bytes(content)
    answer = _sessions_or_failure(path)
    if isinstance(answer, DeskError):
        assert isinstance(answer, PermanentFailure)
        assert path.name in str(answer.value)
    else:
        assert answer == ([*DAYS[:5]], [*DAYS[:5]])


def _sessions_or_failure(path: Path) -> tuple[list[date], list[date]] | DeskError:
    try:
        with ledger_at(path).session() as ledger:
            decisions = [row.session for row in ledger.decisions(*EVER)]
            return decisions, [row.session for row in ledger.intents(DAYS[9])]
    except DeskError as failure:
        return failure


def test_a_ledger_deleted_while_the_desk_runs_stops_it(path: Path) -> None:
    """F20: the next transaction fails closed instead of beginning an empty book."""
    book = ledger_at(path)
    decided(book, DAYS[0])
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(PermanentFailure, match="unable to open.*the folder") as refused:
        decided(book, DAYS[1])
    assert path.name in str(refused.value.value)
    assert not path.exists()


def test_a_bug_in_a_statement_stays_a_bug(engine: sa.Engine) -> None:
    """Only the file, the disk and amounts are translated; a wrong statement keeps its own words."""
    with pytest.raises(sa.exc.IntegrityError, match="NOT NULL"), SqlLedger(engine, "desk").session() as ledger:
        ledger.add_halt(None, as_of=at(DAYS[0]))  # type: ignore[arg-type]
    with SqlLedger(engine, "desk").session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [])
