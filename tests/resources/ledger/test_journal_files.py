"""The journal as files: readable without tools, whole or absent, inside their folder, and the same from the ledger at any time."""

import fcntl
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger import journal_files
from resources.ledger.engine import open_ledger
from resources.ledger.journal_files import HEAD, LOCK, JournalFiles, names_of, read_anchor
from resources.ledger.verify import verify_ledger
from tests.resources.ledger.entries import DAYS, PROJECT, at, say
from tests.resources.ledger.journaled import HOSTILE, Teller, appended, day_of_trading, desk_week, note, pages
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Record
from trading_assets.core.messages import Alert

UNPRIVILEGED = 65534


@pytest.fixture
def files(tmp_path: Path) -> JournalFiles:
    return JournalFiles(tmp_path / "journal")


@pytest.fixture
def desk(path: Path) -> sa.Engine:
    """A ledger in a file: what the files are made from is the same in both databases."""
    return open_ledger(path, durability="NORMAL")


# Names


@pytest.mark.parametrize("word", HOSTILE)
def test_no_symbol_and_no_title_leads_out_of_the_folder(desk: sa.Engine, files: JournalFiles, word: str) -> None:
    records = appended(desk, [note(0, symbol=word), note(1, title=word), note(2, symbol=word, title=word)])
    assert files.write_after_commit(records) is None
    made = list(files.folder.parent.rglob("*.md"))
    assert len(made) == 3
    assert {path.parent for path in made} == {files.folder / str(DAYS[0])}
    assert all(re.fullmatch(r"\d{6}-[A-Z0-9._-]{1,16}-[a-z0-9-]{1,60}(\.\d+)?\.md", path.name) for path in made)


@settings(max_examples=60, deadline=None)
@given(symbol=st.text(max_size=40), title=st.text(max_size=200), seq=st.integers(1, 10**12))
def test_any_name_is_one_short_component(symbol: str, title: str, seq: int) -> None:
    for path in names_of(Path("journal"), note(0, symbol=symbol, title=title), seq):
        assert path.parent == Path("journal") / str(DAYS[0])
        assert len(path.name.encode()) < 120
        assert not path.name.startswith(".")


def test_an_entry_of_any_clock_is_named_by_new_york_time(files: JournalFiles) -> None:
    summer, winter = note(0), note(0, at=at(DAYS[60 % len(DAYS)]) + timedelta(days=60))
    assert names_of(files.folder, summer, 1)[0].name.startswith("093000-DESK")
    assert names_of(files.folder, winter, 1)[0].name.startswith("083000-DESK"), "one hour after the clocks went back"


def test_entries_of_one_name_are_told_apart_by_their_number(desk: sa.Engine, files: JournalFiles) -> None:
    records = appended(desk, [note(0), note(0), note(0)])
    files.write_after_commit(records)
    assert list(pages(files.folder)) == [f"{DAYS[0]}/093000-DESK-note-0{end}.md" for end in (".2", ".3", "")]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)))
def test_names_do_not_depend_on_who_writes_first(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """Two processes may write the pages of two commits in either order."""
    folder = tmp_path_factory.mktemp("order")
    records = [Record(n + 1, note(n % 2), f"{n:064d}", f"{n + 1:064d}") for n in range(6)]
    files, at_once = JournalFiles(folder / "journal"), JournalFiles(folder / "other")
    at_once.write_after_commit(records)
    for position in order:
        files.write_after_commit([records[position]])
    assert pages(files.folder) == pages(at_once.folder)
    assert files.head() == at_once.head()


def test_a_name_with_a_number_is_no_other_entrys_name(files: JournalFiles) -> None:
    plain_name = names_of(files.folder, note(0, title="note 0.2"), 7)[0]
    assert plain_name not in names_of(files.folder, note(0, title="note 0"), 2)


# Rebuilding


def test_rebuilt_files_are_those_that_were_written_at_once(
    engine: sa.Engine, files: JournalFiles, tmp_path: Path
) -> None:
    teller = desk_week(engine)
    again = [*appended(engine, [note(0), note(0)])]
    files.write_after_commit([*teller.records, *again])
    other = JournalFiles(tmp_path / "other")
    done = other.rebuild(engine, anchor=True)
    assert pages(other.folder) == pages(files.folder)
    assert (done.entries, done.written, done.altered, done.foreign) == (28, 28, [], [])
    assert other.head() == files.head()


def test_rebuilding_what_is_right_changes_nothing(desk: sa.Engine, files: JournalFiles) -> None:
    files.write_after_commit(desk_week(desk).records)
    before = {path: path.stat().st_mtime_ns for path in files.folder.rglob("*.md")}
    done = files.rebuild(desk, anchor=True)
    assert (done.written, done.altered, done.foreign, done.forgotten, done.anchored) == (0, [], [], 0, True)
    assert {path: path.stat().st_mtime_ns for path in files.folder.rglob("*.md")} == before


def test_missing_and_altered_pages_are_made_anew_and_named(desk: sa.Engine, files: JournalFiles) -> None:
    records = desk_week(desk).records
    files.write_after_commit(records)
    right = pages(files.folder)
    missing, altered, emptied = list(files.folder.rglob("*.md"))[:3]
    missing.unlink()
    altered.write_bytes(altered.read_bytes().replace(b"Book desk", b"Book desl"))
    emptied.write_bytes(b"")
    done = files.rebuild(desk, anchor=True)
    assert pages(files.folder) == right
    assert (done.altered, done.written, done.foreign) == ([altered], 2, [])


def test_foreign_files_are_named_and_left(desk: sa.Engine, files: JournalFiles) -> None:
    records = appended(desk, [note(0)])
    files.write_after_commit(records)
    mine = files.folder / str(DAYS[0]) / "my own notes.md"
    mine.write_text("remember")
    (files.folder / "elsewhere").mkdir()
    (files.folder / "elsewhere" / "list.txt").write_text("x")
    done = files.rebuild(desk, anchor=True)
    assert sorted(done.foreign) == sorted([mine, files.folder / "elsewhere" / "list.txt"])
    assert mine.read_text() == "remember"


def test_a_foreign_file_in_a_pages_place_is_set_aside(desk: sa.Engine, files: JournalFiles) -> None:
    records = appended(desk, [note(0)])
    place = names_of(files.folder, records[0].entry, 1)[0]
    for write in (lambda: files.write_after_commit(records), lambda: files.rebuild(desk, anchor=True)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("a person's words")
        write()
        assert place.read_text().startswith("---\nseq: 1\n")
    assert [p.read_text() for p in sorted(place.parent.glob("*.aside*"))] == ["a person's words"] * 2


def test_a_page_that_had_to_make_room_later_is_not_left_twice(desk: sa.Engine, files: JournalFiles) -> None:
    """The first of two pages of one name was never written; the second took the name and gives it back."""
    records = appended(desk, [note(0), note(0)])
    files.write_after_commit(records[1:])
    done = files.rebuild(desk, anchor=True)
    assert len(pages(files.folder)) == 2
    assert done.foreign == []
    assert pages(files.folder)[f"{DAYS[0]}/093000-DESK-note-0.md"].startswith(b"---\nseq: 1\n")


def test_pages_of_a_rewound_backtest_are_forgotten(desk: sa.Engine, files: JournalFiles) -> None:
    teller = Teller(desk, "backtest")
    for day in DAYS[:3]:
        day_of_trading(teller, day)
    files.rebuild(desk, anchor=False)
    teller.rewind(DAYS[1])
    done = files.rebuild(desk, anchor=False)
    assert (done.forgotten, done.foreign) == (14, [])
    assert {name.split("/")[0] for name in pages(files.folder)} == {str(DAYS[0])}
    assert files.head() is None


def test_the_backtests_folder_inside_the_desks_is_another_journal(
    desk: sa.Engine, files: JournalFiles, tmp_path: Path
) -> None:
    backtest = open_ledger(tmp_path / "backtest.sqlite", durability="NORMAL")
    day_of_trading(Teller(backtest, "backtest"), DAYS[0])
    inner = JournalFiles(files.folder / "backtest")
    inner.rebuild(backtest, anchor=False)
    appended(desk, [note(0)])
    done = files.rebuild(desk, anchor=True)
    assert (done.foreign, done.forgotten) == ([], 0)
    assert len(pages(inner.folder)) == 7


def test_a_journal_longer_than_a_batch_is_rebuilt_whole(
    desk: sa.Engine, files: JournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_files, "_LOCKED_AT_ONCE", 4)
    appended(desk, [note(number) for number in range(13)])
    assert files.rebuild(desk, anchor=True).written == 13
    assert len(pages(files.folder)) == 13


# What a folder refuses


NOBODY = f"os.getuid() or (os.setgroups([]), os.setgid({UNPRIVILEGED}), os.setuid({UNPRIVILEGED})); "


def elsewhere(code: str, *arguments: object) -> list[str]:
    """Another process runs the code with this module's names; the lines that it printed."""
    names = "import sys; from tests.resources.ledger.test_journal_files import *; "
    command = [sys.executable, "-c", names + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that another user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="desk-journal-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def limit_files(size: int) -> None:
    """Stands for a full disk: writing a file beyond the size fails in the middle."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def write_there(folder: str, count: int) -> None:
    """Writes the pages of made-up records and says what came of it."""
    records = [Record(n + 1, note(n), "0" * 64, f"{n:064d}") for n in range(count)]
    alert = JournalFiles(Path(folder)).write_after_commit(records)
    say(alert.model_dump_json() if alert else "written")


@pytest.mark.fault(27)
def test_a_folder_that_cannot_be_written_is_an_alert_and_the_ledger_keeps_its_rows(
    desk: sa.Engine, reachable: Path
) -> None:
    records = desk_week(desk).records
    files = JournalFiles(reachable / "journal")
    files.folder.mkdir(mode=0o555)
    (line,) = elsewhere(NOBODY + "write_there(sys.argv[1], 3)", files.folder)
    alert = Alert.model_validate_json(line)
    assert (alert.severity, alert.code) == ("critical", "journal_files")
    assert "entries 1 to 3 are in the ledger" in alert.sentence
    assert "Permission denied; desk journal --rebuild writes them" in alert.sentence
    assert list(files.folder.iterdir()) == []
    assert verify_ledger(desk, head=None).proven
    files.folder.chmod(0o755)
    files.rebuild(desk, anchor=True)
    assert len(pages(files.folder)) == len(records)


@pytest.mark.fault(27)
def test_a_file_in_the_journals_place_is_an_alert(desk: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    files = JournalFiles(tmp_path / "journal")
    alert = files.write_after_commit(appended(desk, [note(0)]))
    assert alert is not None
    assert "File exists" in alert.sentence
    with pytest.raises(PermanentFailure, match="journal's files cannot be written") as failure:
        files.rebuild(desk, anchor=True)
    assert "desk journal --rebuild" in failure.value.hint
    assert (tmp_path / "journal").read_text() == "in the way"


@pytest.mark.fault(27)
def test_a_full_disk_leaves_no_half_page(files: JournalFiles) -> None:
    (line,) = elsewhere("limit_files(100); write_there(sys.argv[1], 3)", files.folder)
    assert "File too large" in Alert.model_validate_json(line).sentence
    assert pages(files.folder) == {}
    assert {path.name for path in files.folder.rglob("*") if path.is_file()} == {HEAD, LOCK}


def test_a_session_folder_that_is_a_link_is_not_followed(desk: sa.Engine, files: JournalFiles, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    files.folder.mkdir()
    (files.folder / str(DAYS[0])).symlink_to(tmp_path / "outside")
    alert = files.write_after_commit(appended(desk, [note(0)]))
    assert alert is not None
    assert "symbolic link" in alert.sentence
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_page_that_is_a_link_is_replaced_and_its_target_is_not(
    desk: sa.Engine, files: JournalFiles, tmp_path: Path
) -> None:
    records = appended(desk, [note(0)])
    place = names_of(files.folder, records[0].entry, 1)[0]
    place.parent.mkdir(parents=True)
    (tmp_path / "target").write_text("precious")
    place.symlink_to(tmp_path / "target")
    files.write_after_commit(records)
    assert (tmp_path / "target").read_text() == "precious"
    assert not place.is_symlink()


def test_a_writer_that_was_stopped_does_not_stop_the_desk(
    desk: sa.Engine, files: JournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_files, "LOCK_WAIT_S", 0.05)
    files.folder.mkdir()
    with (files.folder / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        alert = files.write_after_commit(appended(desk, [note(0)]))
    assert alert is not None
    assert alert.code == "journal_files"
    assert files.write_after_commit(appended(desk, [note(1)])) is None


def write_for_ever(where: str, folder: str) -> None:
    """Commits notes and writes their pages until somebody kills this process."""
    engine, files, number = open_ledger(Path(where), durability="FULL"), JournalFiles(Path(folder)), 0
    while True:
        files.write_after_commit(appended(engine, [note(number), note(number)]))
        say(number)
        number += 1


@pytest.mark.parametrize("attempt", range(3))
def test_a_writer_killed_at_any_point_leaves_only_whole_pages(path: Path, files: JournalFiles, attempt: int) -> None:
    names = "import sys; from tests.resources.ledger.test_journal_files import *; "
    command = [sys.executable, "-c", names + "write_for_ever(*sys.argv[1:])", str(path), str(files.folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02 + attempt * 0.013)
        process.send_signal(signal.SIGKILL)
    desk = open_ledger(path, durability="FULL")
    assert verify_ledger(desk, head=files.folder / HEAD).problems == ()
    done = files.rebuild(desk, anchor=True)
    assert (done.altered, done.foreign) == ([], [])
    assert done.written <= 2
    assert len(pages(files.folder)) == done.entries


# The anchor


def test_the_anchor_names_the_newest_entry(desk: sa.Engine, files: JournalFiles) -> None:
    assert files.head() is None
    records = appended(desk, [note(0), note(1)])
    files.write_after_commit(records)
    assert read_anchor(files.folder / HEAD) == files.head()
    assert (files.folder / HEAD).read_text() == f"2 {records[1].hash}\n"
    assert files.write_after_commit([]) is None


def test_an_older_commit_that_is_written_later_does_not_move_the_anchor_back(
    desk: sa.Engine, files: JournalFiles
) -> None:
    records = appended(desk, [note(0), note(1)])
    files.write_after_commit(records[1:])
    assert files.write_after_commit(records[:1]) is None
    head = files.head()
    assert head is not None
    assert head.seq == 2


@pytest.mark.fault(19)
@pytest.mark.parametrize("lost", [1, 3])
def test_entries_that_do_not_follow_the_anchor_are_an_alert_and_the_anchor_stays(
    desk: sa.Engine, files: JournalFiles, tmp_path: Path, lost: int
) -> None:
    """An old copy of the ledger goes on writing: its new entries take the numbers of those that were lost."""
    records = appended(desk, [note(number) for number in range(6)])
    files.write_after_commit(records)
    old = open_ledger(tmp_path / "old.sqlite", durability="NORMAL")
    appended(old, [replace(record.entry) for record in records[:-lost]])
    later = [appended(old, [note(number, title="later")]) for number in range(lost + 1)]
    alerts = [files.write_after_commit(batch) for batch in later]
    assert [alert.code if alert else "" for alert in alerts] == [*[""] * (lost - 1), "journal_anchor", "journal_anchor"]
    head = files.head()
    assert head is not None
    assert (head.seq, head.hash) == (6, records[-1].hash)
    assert not files.rebuild(old, anchor=True).anchored
    assert files.head() == head, "the evidence is kept"
    assert not verify_ledger(old, head=files.folder / HEAD).proven


@pytest.mark.parametrize(
    "nonsense", ["", "1", "x " + "0" * 64 + "\n", f"1 {'0' * 64}", f"1 {'G' * 64}\n", f"-1 {'0' * 64}\n"]
)
def test_an_anchor_that_is_none_is_refused(desk: sa.Engine, files: JournalFiles, nonsense: str) -> None:
    files.folder.mkdir()
    (files.folder / HEAD).write_text(nonsense)
    with pytest.raises(ValueError, match="is not an anchor"):
        files.head()
    alert = files.write_after_commit(appended(desk, [note(0)]))
    assert alert is not None
    assert alert.code == "journal_anchor"
    assert not files.rebuild(desk, anchor=True).anchored
    assert any("is not an anchor" in problem for problem in verify_ledger(desk, head=files.folder / HEAD).problems)
    assert (files.folder / HEAD).read_text() == nonsense


def test_a_lost_anchor_is_written_anew_by_rebuilding(desk: sa.Engine, files: JournalFiles) -> None:
    files.write_after_commit(appended(desk, [note(0)]))
    before = files.head()
    (files.folder / HEAD).unlink()
    assert not verify_ledger(desk, head=files.folder / HEAD).proven
    assert files.rebuild(desk, anchor=True).anchored
    assert files.head() == before


def test_pages_are_readable_by_others_as_the_umask_allows(desk: sa.Engine, files: JournalFiles) -> None:
    before = os.umask(0o027)
    try:
        files.write_after_commit(appended(desk, [note(0)]))
    finally:
        os.umask(before)
    (made,) = files.folder.rglob("*.md")
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
