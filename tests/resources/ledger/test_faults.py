"""Databases and disks that fail: faults of the desk's catalogue on real files, real disks and real processes.

What a server adds to them is in test_server_faults.py, two migrations at once and a newer schema in test_migrations.py.
"""

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

from resources.ledger.disks import MOUNTS, file_system_of, require_local_disk
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.schema import DECISIONS, INTENTS, ORDERS
from resources.ledger.store import SqlGateBook, SqlLedger
from tests.resources.ledger.entries import DAYS, EVER, at, close, decided, decision, ledger_at, python, said
from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure
from trading_assets.core.ports import GateRecord, Span

IMPATIENT_MS = 50


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The start of a command that runs in a mount namespace of its own, where `disk` is a file system of 4 MiB."""
    (tmp_path / "disk").mkdir()
    shell = f'mount -t tmpfs -o size=4m none {tmp_path / "disk"} && exec "$@"'
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


STEPS = {
    "decision": "INSERT INTO decisions",
    "verdicts": "INSERT INTO signatures",
    "intents": "INSERT INTO intents",
    "orders": "INSERT INTO orders",
    "commit": "COMMIT",
}


@pytest.mark.fault(1)
@pytest.mark.fault(2)
@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_a_desk_killed_inside_the_decision_leaves_nothing_of_it(ledger_where: Path | str, step: str) -> None:
    """Decision, verdicts, intents and orders are one transaction; the slot is free for the next attempt."""
    process = python("decide_and_die_at(sys.argv[1], sys.argv[2])", ledger_where, step)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    engine = open_ledger(ledger_where, durability="FULL")
    book = SqlLedger(engine, "desk")
    with book.reading() as ledger:
        assert (ledger.decisions(*EVER), ledger.intents(DAYS[9]), ledger.orders_placed(*EVER)) == ([], [], [])
    decided(book, DAYS[0])
    engine.dispose()


def test_a_decision_that_was_committed_survives_the_kill_of_its_process(ledger_where: Path | str) -> None:
    code = "decided(ledger_at(sys.argv[1]), DAYS[0]); say('decided'); os.kill(os.getpid(), signal.SIGKILL)"
    process = python(code, ledger_where)
    assert process.communicate()[0] == "decided\n"
    engine = open_ledger(ledger_where, durability="FULL")
    with SqlLedger(engine, "desk").reading() as ledger:
        assert len(ledger.orders_placed(*EVER)) == 2
    engine.dispose()


@pytest.mark.fault(101)
@pytest.mark.fault(103)
def test_processes_never_decide_the_same_slot(ledger_where: Path | str, engine: sa.Engine) -> None:
    """The unique index decides who was first, whoever starts the runs."""
    deciders = [python("decide_same_slots(sys.argv[1], 15)", ledger_where) for _ in range(3)]
    for decider in deciders:
        assert decider.stdout is not None
        decider.stdout.readline()
    for decider in deciders:
        assert decider.stdin is not None
        decider.stdin.write("go\n")
        decider.stdin.flush()
    won = [position for decider in deciders for position in map(int, decider.communicate()[0].split())]
    assert sorted(won) == list(range(15))
    with reading(engine) as connection:
        counts = [connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in (DECISIONS, INTENTS, ORDERS)]
    assert counts == [15, 15, 30]


# Locked


@pytest.mark.fault(15)
def test_a_locked_ledger_can_be_opened_and_is_a_passing_failure_for_whoever_writes(path: Path) -> None:
    """Within the busy time-out, not after minutes, and not as a damaged file."""
    ledger_at(path)
    with locked(path):
        engine = open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)
        with pytest.raises(TransientFailure, match="locked.*another process holds it") as refused, transaction(engine):
            pass
    assert path.name in str(refused.value.value)
    open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)


@pytest.mark.fault(15)
def test_a_locked_ledger_stores_nothing_and_says_so(path: Path) -> None:
    """No commit, no order; what only reads goes on; when the lock is gone the same slot can be decided."""
    engine = open_ledger(path, durability="FULL", busy_timeout_ms=IMPATIENT_MS)
    book, gates = SqlLedger(engine, "desk"), SqlGateBook(engine)
    with locked(path):
        with pytest.raises(TransientFailure, match="locked"):
            decided(book, DAYS[0])
        with pytest.raises(TransientFailure, match="locked"):
            gates.record_gates([GateRecord("daily_bars", DAYS[0], "v", passed=True)], as_of=at(DAYS[0]))
        assert gates.gates("daily_bars", Span(DAYS[0], DAYS[1])) == {}
    decided(book, DAYS[0])


@pytest.mark.fault(15)
def test_a_lock_that_is_released_in_time_is_waited_for(ledger_where: Path | str, book: SqlLedger) -> None:
    """Two desks' transactions queue instead of failing, also behind one that is killed."""
    code = "s = ledger_at(sys.argv[1]).session(); s.__enter__(); say('held'); sys.stdin.readline(); time.sleep(0.2); os._exit(0)"
    holder = python(f"import time; {code}", ledger_where)
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    holder.stdin.write("release soon\n")
    holder.stdin.flush()
    decided(book, DAYS[0])
    holder.communicate()


# Full


@pytest.mark.fault(16)
def test_a_full_disk_stores_nothing_of_the_decision_and_a_retry_succeeds(path: Path) -> None:
    """SQLite's own limit on pages stands for the disk; not recorded means not sent."""
    engine = open_ledger(path, durability="FULL")
    book, limit = SqlLedger(engine, "desk"), [0]

    def narrow(raw: sqlite3.Connection, *_: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {limit[0] or 1_000_000}")

    sa.event.listen(engine, "checkout", narrow)
    limit[0] = 1
    with pytest.raises(TransientFailure, match="full.*make room"):
        [decided(book, day) for day in DAYS]
    limit[0] = 0
    with book.session() as ledger:
        stored = len(ledger.decisions(*EVER))
        assert stored == len(ledger.intents(DAYS[-1])) < len(DAYS)
    decided(book, DAYS[stored])


@pytest.mark.fault(16)
def test_a_real_full_disk_stores_nothing_of_the_decision_and_a_retry_succeeds(
    small_disk: list[str], tmp_path: Path
) -> None:
    """A file system without room, in a process of its own."""
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


@pytest.mark.fault(17)
def test_a_ledger_that_cannot_be_written_is_refused_at_the_start(small_disk: list[str], tmp_path: Path) -> None:
    """Refuse to start, both for a ledger that exists and for one that would have to be made."""
    code = (
        "root = Path(sys.argv[1]); engine = open_ledger(root / 'desk.sqlite', durability='FULL');"
        "book = SqlLedger(engine, 'desk'); decided(book, DAYS[0]); engine.dispose();"
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


@pytest.mark.fault(18)
@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """The file is evidence; it is named and not replaced."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(PermanentFailure, match="restore a backup") as refused:
        open_ledger(path, durability="FULL")
    assert path.name in str(refused.value.value)
    assert path.read_bytes() == content


@pytest.mark.fault(18)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_a_page_of_garbage_is_refused_or_harmless_but_never_a_bare_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Whichever page is hit, the desk's own failure names the file, or the page was not needed."""
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


GONE = "deleted or replaced while it was in use.*restore the file"


@pytest.mark.fault(20)
@pytest.mark.parametrize("pause", [False, True], ids=["kept connection", "new connection"])
def test_a_ledger_deleted_while_the_desk_runs_stops_it(path: Path, pause: bool) -> None:
    """The next transaction fails closed instead of writing into a file without a name, or beginning an empty book."""
    engine = open_ledger(path, durability="FULL")
    book = SqlLedger(engine, "desk")
    decided(book, DAYS[0])
    for file in path.parent.iterdir():
        file.unlink()
    if pause:
        engine.dispose()
    for _ in range(2):
        with pytest.raises(PermanentFailure, match=f"{GONE}|unable to open.*the folder") as refused:
            decided(book, DAYS[1])
        assert path.name in str(refused.value.value)
    with pytest.raises(PermanentFailure, match=f"{GONE}|unable to open.*the folder"), book.reading():
        pass
    assert not path.exists()


@pytest.mark.fault(20)
@pytest.mark.parametrize("pause", [False, True], ids=["kept connection", "new connection"])
def test_a_ledger_replaced_while_the_desk_runs_stops_it(path: Path, tmp_path: Path, pause: bool) -> None:
    """A backup that is put in its place is another book; only a new start may take it up."""
    decided(ledger_at(tmp_path / "backup.sqlite"), DAYS[5])
    with sqlite3.connect(tmp_path / "backup.sqlite") as backup:
        backup.execute("pragma wal_checkpoint(truncate)")
    backup.close()
    engine = open_ledger(path, durability="FULL")
    book = SqlLedger(engine, "desk")
    decided(book, DAYS[0])
    (tmp_path / "backup.sqlite").rename(path)
    if pause:
        engine.dispose()
    with pytest.raises(PermanentFailure, match=GONE):
        decided(book, DAYS[1])


@pytest.mark.fault(19)
def test_a_log_that_is_deleted_while_the_desk_runs_stops_it(path: Path) -> None:
    """What is committed into a log without a name is seen by nobody and lost at the end of the process."""
    book = ledger_at(path)
    decided(book, DAYS[0])
    path.with_name(f"{path.name}-wal").unlink()
    with pytest.raises(PermanentFailure, match=GONE):
        decided(book, DAYS[1])


# The disk itself


LINES = "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n{source} {point} {kind} rw 0 0\n"
SHARED = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "virtiofs", "vboxsf", "vmhgfs", "ceph", "glusterfs"]
SHARED += ["fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.vmhgfs-fuse", "fakeowner", "grpcfuse", "afs"]


@pytest.mark.fault(26)
@pytest.mark.parametrize("kind", [*SHARED, "never-heard-of"])
def test_a_file_system_that_is_not_of_this_machine_alone_is_refused(kind: str) -> None:
    mounts = LINES.format(source="server:/export", point="/mnt/share", kind=kind)
    with pytest.raises(PermanentFailure, match=f"/mnt/share is {kind}.*LEDGER_URL"):
        require_local_disk(Path("/mnt/share/home/ledger.sqlite"), mounts)
    require_local_disk(Path("/mnt/shared/ledger.sqlite"), mounts)


@pytest.mark.fault(26)
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk"])
def test_a_local_disk_is_allowed_also_below_a_share(kind: str) -> None:
    mounts = LINES.format(source="server:/", point="/net", kind="nfs") + f"/dev/sdb /net/local {kind} rw 0 0\n"
    require_local_disk(Path("/net/local/ledger.sqlite"), mounts)
    with pytest.raises(PermanentFailure, match="/net is nfs"):
        require_local_disk(Path("/net/ledger.sqlite"), mounts)


@pytest.mark.fault(26)
def test_the_disk_of_a_virtual_machine_is_its_root_and_not_a_folder_of_its_host() -> None:
    mounts = "root / 9p rw,trans=fd 0 0\nC:\\134 /mnt/c 9p rw,aname=drvfs 0 0\n"
    require_local_disk(Path("/home/desk/ledger.sqlite"), mounts)
    with pytest.raises(PermanentFailure, match="/mnt/c is 9p"):
        require_local_disk(Path("/mnt/c/desk/ledger.sqlite"), mounts)


def test_of_two_mounts_on_one_folder_the_later_one_counts_and_blanks_are_read() -> None:
    mounts = "a / ext4 rw 0 0\nb /a\\040b nfs rw 0 0\nc /a\\040b xfs rw 0 0\nd /late nfs rw 0 0\ne / ext4 rw 0 0\n"
    assert file_system_of(Path("/a b/ledger"), mounts) == ("/a b", "xfs")
    assert file_system_of(Path("/other"), mounts) == ("/", "ext4")


@pytest.mark.fault(26)
@pytest.mark.skipif(not MOUNTS.exists(), reason="the kernel of this machine keeps no list of mounts in /proc")
def test_the_kernels_own_list_is_read(small_disk: list[str], tmp_path: Path) -> None:
    """A file system that is mounted now, in a process of its own, is found and allowed."""
    code = (
        "from resources.ledger.disks import MOUNTS, file_system_of, require_local_disk\n"
        "folder = Path(sys.argv[1]); require_local_disk(folder / 'new.sqlite')\n"
        "say(file_system_of(folder, MOUNTS.read_text()) == (str(folder), 'tmpfs'))"
    )
    assert said(code, tmp_path / "disk", prefix=small_disk) == ["True"]


@pytest.mark.fault(26)
def test_a_ledger_is_not_opened_where_the_kernel_says_that_the_disk_is_shared(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mounts").write_text(LINES.format(source="server:/", point=tmp_path.resolve(), kind="nfs4"))
    monkeypatch.setattr("resources.ledger.disks.MOUNTS", tmp_path / "mounts")
    with pytest.raises(PermanentFailure, match="is nfs4"):
        open_ledger(path, durability="FULL")
    assert not path.exists()


# Neither


def test_a_bug_in_a_statement_stays_a_bug(engine: sa.Engine) -> None:
    """Only the file, the disk and amounts are translated; a wrong statement keeps its own words."""
    with pytest.raises(sa.exc.IntegrityError, match="(?i)not.null"), SqlLedger(engine, "desk").session() as ledger:
        ledger.add_halt(None, as_of=at(DAYS[0]))  # type: ignore[arg-type]
    with SqlLedger(engine, "desk").session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [], [])
