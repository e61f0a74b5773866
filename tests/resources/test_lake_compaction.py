"""Compaction: the same rows and the same versions in fewer files, beside readers and writers, and whatever kills it."""

import json
import os
import random
import signal
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.compact import run_compact
from resources.lake import ParquetLake
from resources.lake_files import Vanished, listed
from tests.resources.lakes import DAYS, LATEST, NOTES, files, notes, python, span, values
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TransientFailure
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import Home
from trading_assets.core.tables import Column, Table
from trading_assets.signatures.gates import FactGate

SYMBOLS = ("AAA", "BBB", "CCC")
ALL = span(0, 59)


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    """Twenty sessions, one file each."""
    held = ParquetLake(tmp_path)
    single(held, 0, 20)
    return held


def single(lake: ParquetLake, first: int, end: int, value: float = 1.0) -> None:
    """Writes sessions one by one."""
    for position in range(first, end):
        lake.write(NOTES, notes([DAYS[position]], SYMBOLS, value + position), span(position))


def spans(root: Path) -> list[tuple[date, date]]:
    """First and last session of each stored file."""
    return sorted((stored.first, stored.last) for stored in listed(root / "facts" / "notes"))


# What stays and what becomes fewer


def test_rows_and_versions_stay_and_files_become_one(lake: ParquetLake, tmp_path: Path) -> None:
    rows, versions = lake.read(NOTES, as_of=LATEST), lake.versions(NOTES, ALL)
    done = lake.compact(NOTES, sessions_min=10)
    assert (done.files_before, done.files_after, done.written, done.removed) == (20, 1, 1, 20)
    assert len(files(tmp_path)) == 1
    assert lake.read(NOTES, as_of=LATEST).equals(rows)
    assert lake.versions(NOTES, ALL) == versions
    assert lake.damage() == ()


def test_a_second_compaction_has_nothing_to_do(lake: ParquetLake, tmp_path: Path) -> None:
    lake.compact(NOTES, sessions_min=10)
    before = files(tmp_path)
    done = lake.compact(NOTES, sessions_min=10)
    assert (done.files_before, done.files_after, done.written, done.removed) == (1, 1, 0, 0)
    assert files(tmp_path) == before


def test_a_run_waits_until_it_is_long_enough_and_big_files_are_left_alone(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    lake.write(NOTES, notes(DAYS[:12]), span(0, 11))
    single(lake, 12, 21)
    assert lake.compact(NOTES, sessions_min=10).written == 0
    single(lake, 21, 22)
    assert lake.compact(NOTES, sessions_min=10).written == 1
    assert spans(tmp_path) == [(DAYS[0], DAYS[11]), (DAYS[12], DAYS[21])]


def test_a_missing_session_ends_a_run(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    single(lake, 0, 10)
    single(lake, 11, 21)
    lake.compact(NOTES, sessions_min=10)
    assert spans(tmp_path) == [(DAYS[0], DAYS[9]), (DAYS[11], DAYS[20])]
    assert DAYS[10] not in lake.versions(NOTES, ALL)


def test_a_forgotten_session_stays_forgotten(lake: ParquetLake) -> None:
    lake.forget(NOTES, span(10), lane="facts")
    rows = values(lake)
    lake.compact(NOTES, sessions_min=5)
    assert values(lake) == rows
    assert DAYS[10] not in lake.versions(NOTES, ALL)


def test_merged_files_can_be_merged_again_and_remember_the_first_writes(lake: ParquetLake, tmp_path: Path) -> None:
    versions = lake.versions(NOTES, ALL)
    lake.compact(NOTES, sessions_min=10)
    single(lake, 20, 40)
    versions = {**versions, **lake.versions(NOTES, span(20, 39))}
    lake.compact(NOTES, sessions_min=10)
    assert len(files(tmp_path)) == 2
    lake.compact(NOTES, sessions_min=40)
    assert len(files(tmp_path)) == 1
    assert lake.versions(NOTES, ALL) == versions


def test_a_session_without_rows_keeps_its_version(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    single(lake, 0, 10)
    empty = lake.write(NOTES, NOTES.empty(), span(5)).version
    lake.compact(NOTES, sessions_min=10)
    assert lake.versions(NOTES, ALL)[DAYS[5]] == empty
    assert len(values(lake)) == 27


def test_other_tables_and_lanes_are_left_alone(lake: ParquetLake, tmp_path: Path) -> None:
    for position in range(20):
        lake.write(NOTES, notes([DAYS[position]]), span(position), lane="desk")
    lake.compact(NOTES, sessions_min=10)
    assert (len(files(tmp_path)), len(files(tmp_path, "desk"))) == (1, 20)
    assert lake.folders() == (("desk", "notes"), ("facts", "notes"))
    assert lake.compact_folder("desk", "notes", sessions_min=10).removed == 20


def test_a_table_that_was_never_written_has_nothing_to_compact(tmp_path: Path) -> None:
    done = ParquetLake(tmp_path / "none").compact(NOTES, sessions_min=10)
    assert (done.files_before, done.files_after) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_runs_of_one_session_are_refused_by_name(lake: ParquetLake) -> None:
    with pytest.raises(PermanentFailure, match="sessions_min.*1.*2"):
        lake.compact(NOTES, sessions_min=1)


# Writing after compaction


def test_equal_content_is_still_not_written_again_and_other_content_wins(lake: ParquetLake, tmp_path: Path) -> None:
    versions = lake.versions(NOTES, ALL)
    lake.compact(NOTES, sessions_min=10)
    again = lake.write(NOTES, notes([DAYS[3]], SYMBOLS, 4.0), span(3))
    assert (again.version, again.changed) == (versions[DAYS[3]], False)
    merged = lake.merge(NOTES, notes([DAYS[3]], ["BBB"], 4.0), span(3), replacing={"symbol": ["BBB"]})
    assert (merged.version, merged.changed) == (versions[DAYS[3]], False)
    other = lake.write(NOTES, notes([DAYS[3]], SYMBOLS, 99.0), span(3))
    assert lake.versions(NOTES, ALL) == {**versions, DAYS[3]: other.version}
    assert values(lake)[DAYS[3], "AAA"] == 99.0


def test_a_session_changed_inside_a_merged_file_is_merged_with_its_new_rows(lake: ParquetLake, tmp_path: Path) -> None:
    lake.compact(NOTES, sessions_min=20)
    other = lake.write(NOTES, notes([DAYS[3]], SYMBOLS, 99.0), span(3))
    rows = values(lake)
    assert lake.compact(NOTES, sessions_min=20).written == 0, "one small file is no run"
    lake.compact(NOTES, sessions_min=30)
    single(lake, 20, 30)
    rows |= values(lake, first=DAYS[20])
    lake.compact(NOTES, sessions_min=30)
    assert values(lake) == rows
    assert lake.versions(NOTES, ALL)[DAYS[3]] == other.version
    assert len(files(tmp_path)) == 1


def test_a_verdict_on_a_session_outlives_compaction_and_not_a_change(lake: ParquetLake) -> None:
    """The gate compares versions; here it is asked with the versions of another table."""
    gates = {day: GateRecord("daily_bars", day, version, True) for day, version in lake.versions(NOTES, ALL).items()}
    lake.compact(NOTES, sessions_min=10)
    gate = FactGate(gates, lake.versions(NOTES, ALL))
    assert [gate.problem(day) for day in DAYS[:20]] == [None] * 20
    lake.write(NOTES, notes([DAYS[3]], SYMBOLS, 99.0), span(3))
    lake.compact(NOTES, sessions_min=20)
    after = FactGate(gates, lake.versions(NOTES, ALL))
    assert "changed after the quality gate judged them" in str(after.problem(DAYS[3]))
    assert after.problem(DAYS[4]) is None


# Any history


Step = tuple[str, int, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "single", "single", "merge", "forget", "compact", "compact"]),
        st.integers(0, 11),
        st.integers(0, 11),
        st.integers(2, 12),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=25)
@given(history=steps)
def test_a_lake_that_is_compacted_now_and_then_equals_one_that_never_is(history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as root:
        compacted, plain = ParquetLake(Path(root, "a")), ParquetLake(Path(root, "b"))
        named: dict[str, str] = {}
        for kind, one, other, number in history:
            first, last = sorted((one, other))
            if kind == "compact":
                compacted.compact(NOTES, sessions_min=number)
            else:
                _remember(named, [_done(each, kind, first, last, number) for each in (compacted, plain)])
            assert compacted.read(NOTES, as_of=LATEST).equals(plain.read(NOTES, as_of=LATEST))
            theirs = plain.versions(NOTES, ALL)
            assert {day: named[version] for day, version in compacted.versions(NOTES, ALL).items()} == theirs
        assert compacted.damage() == ()


def _done(lake: ParquetLake, kind: str, first: int, last: int, value: int) -> list[str]:
    """Versions that the step wrote."""
    if kind == "forget":
        lake.forget(NOTES, span(first, last), lane="facts")
        return []
    if kind == "merge":
        frame = notes(DAYS[first : last + 1], ["BBB"], value)
        return [lake.merge(NOTES, frame, span(first, last), replacing={"symbol": ["BBB"]}).version]
    if kind == "write":
        return [lake.write(NOTES, notes(DAYS[first : last + 1], SYMBOLS, value), span(first, last)).version]
    return [lake.write(NOTES, notes([DAYS[n]], value=value), span(n)).version for n in range(first, last + 1)]


def _remember(named: dict[str, str], written: list[list[str]]) -> None:
    """Generations differ between the two lakes; writes that were made together are the same write."""
    for ours, theirs in zip(*written, strict=True):
        assert named.setdefault(ours, theirs) == theirs


# Beside others


def test_readers_in_other_threads_never_miss_a_row_while_files_are_merged_and_removed(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    single(lake, 0, 30, 0.0)
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        mine = ParquetLake(tmp_path)
        while not done.is_set():
            frame = mine.read(NOTES, as_of=LATEST)
            days = len(mine.versions(NOTES, ALL))
            if frame.height != 90 or days != 30:
                wrong.append((frame.height, days))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 6):
        lake.compact(NOTES, sessions_min=10 + number)
        single(lake, 0, 30, 100.0 * number)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_reader_never_misses_a_row_while_another_process_writes_and_compacts(tmp_path: Path) -> None:
    writer = python("write_and_compact_until_killed(sys.argv[1])", tmp_path)
    assert writer.stdout is not None
    writer.stdout.readline()
    lake = ParquetLake(tmp_path)
    seen = 0.0
    for _ in range(60):
        frame = lake.read(NOTES, as_of=LATEST)
        assert frame.height == 60
        assert frame["value"].is_sorted(descending=True), "sessions are written in their order"
        assert frame["value"].max() - frame["value"].min() <= 1  # type: ignore[operator]
        assert frame["value"][0] >= seen, "a reader never goes back"
        seen = frame["value"][0]
        assert len(lake.versions(NOTES, ALL)) == 60
    writer.kill()
    writer.communicate()
    assert seen > 1


def test_writers_and_a_compactor_in_different_processes_lose_nothing(tmp_path: Path) -> None:
    single(ParquetLake(tmp_path), 0, 20)
    merging = "[merge_repeatedly(sys.argv[1], sys.argv[2], 25)]"
    writers = [python(merging, tmp_path, symbol) for symbol in ("DDD", "EEE")]
    lake = ParquetLake(tmp_path)
    while any(writer.poll() is None for writer in writers):
        lake.compact(NOTES, sessions_min=5)
    assert [writer.wait() for writer in writers] == [0, 0]
    for writer in writers:
        writer.communicate()
    lake.compact(NOTES, sessions_min=5)
    held = values(lake)
    assert (held[DAYS[0], "DDD"], held[DAYS[0], "EEE"]) == (25.0, 25.0)
    assert len(held) == 62
    assert lake.damage() == ()


@pytest.mark.parametrize("merged_before", [False, True])
def test_a_reader_whose_files_vanish_between_listing_and_opening_lists_again(
    lake: ParquetLake, tmp_path: Path, *, merged_before: bool
) -> None:
    if merged_before:
        lake.compact(NOTES, sessions_min=10)
        single(lake, 20, 40)
    reader = python("read_while_compacting(sys.argv[1], int(sys.argv[2]))", tmp_path, 40 if merged_before else 20)
    out, errors = reader.communicate()
    assert out.split() == ["120" if merged_before else "60", "True", "1"], errors


def test_a_listing_waits_while_files_are_removed(lake: ParquetLake, tmp_path: Path) -> None:
    """Names that come and go during a listing may both be missed, so the two exclude each other."""
    lake.compact(NOTES, sessions_min=10)
    folder = tmp_path / "facts" / "notes"
    lock = "import fcntl, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
    hold = f"{lock}; print('held', flush=True); time.sleep(60)"
    holder = python(hold, folder / ".sweep")
    assert holder.stdout is not None
    holder.stdout.readline()
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(len(values(lake))))
    reader.start()
    reader.join(0.3)
    waited = reader.is_alive()
    holder.kill()
    holder.communicate()
    reader.join()
    assert waited
    assert found == [60]


def test_a_file_that_stays_away_is_a_passing_failure_that_names_it(lake: ParquetLake, tmp_path: Path) -> None:
    (tmp_path / "facts" / "notes" / files(tmp_path)[0].name.replace("00000001", "00000099")).symlink_to("nowhere")
    with pytest.raises(TransientFailure, match="00000099.*listed and cannot be opened") as refused:
        lake.read(NOTES, as_of=LATEST)
    assert isinstance(refused.value, Vanished)


# Killed, damaged


def test_a_compaction_killed_at_any_step_leaves_every_row_and_version_and_the_next_one_tidies_up(
    tmp_path: Path,
) -> None:
    left = []
    for step in range(1, 80, 4):
        root = tmp_path / str(step)
        lake = ParquetLake(root)
        single(lake, 0, 12)
        lake.write(NOTES, notes([DAYS[4]], SYMBOLS, 77.0), span(4))
        rows, versions = lake.read(NOTES, as_of=LATEST), lake.versions(NOTES, ALL)
        process = python("compact_and_die_at(sys.argv[1], int(sys.argv[2]))", root, step)
        process.communicate()
        assert lake.read(NOTES, as_of=LATEST).equals(rows)
        assert lake.versions(NOTES, ALL) == versions
        left.append(len(files(root)))
        lake.compact(NOTES, sessions_min=10)
        assert lake.read(NOTES, as_of=LATEST).equals(rows)
        assert lake.versions(NOTES, ALL) == versions
        assert lake.damage() == ()
        assert len(files(root)) == 2, "the merged file, and the one that was replaced before"
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert process.returncode == 0, "one run came to its end"
    assert 13 in left, "one kill came before anything was published"
    assert set(left) & set(range(3, 15)) - {13}, "one kill came while files were being removed"


def test_compactions_killed_at_random_moments_never_lose_a_row(tmp_path: Path) -> None:
    dice = random.Random(3)
    lake = ParquetLake(tmp_path)
    for _ in range(4):
        writer = python("write_and_compact_until_killed(sys.argv[1])", tmp_path)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(dice.uniform(0, 0.4))
        writer.kill()
        writer.communicate()
        assert len(values(lake)) == 60
        assert len(lake.versions(NOTES, ALL)) == 60
        assert all("killed writer" in sentence for sentence in lake.damage())


def test_a_damaged_file_is_not_merged_and_nothing_is_removed(lake: ParquetLake, tmp_path: Path) -> None:
    spoilt = files(tmp_path)[7]
    spoilt.write_bytes(spoilt.read_bytes()[:-1])
    with pytest.raises(LakeDamaged, match=spoilt.name):
        lake.compact(NOTES, sessions_min=10)
    assert len(files(tmp_path)) == 20
    assert len(values(lake, last=DAYS[6])) == 21


def test_a_flipped_bit_in_a_merged_file_refuses_rows_and_versions(lake: ParquetLake, tmp_path: Path) -> None:
    lake.compact(NOTES, sessions_min=10)
    (file,) = files(tmp_path)
    content = bytearray(file.read_bytes())
    where = content.find(b"versions")
    content[where + 20] ^= 1
    file.write_bytes(content)
    for asked in (lambda: lake.read(NOTES, as_of=LATEST), lambda: lake.versions(NOTES, ALL)):
        with pytest.raises(LakeDamaged, match=file.name):
            asked()
    assert lake.damage() == (f"facts/notes/{file.name}: bytes do not match the digest in its name",)
    assert lake.write(NOTES, notes(DAYS[:20], SYMBOLS), span(0, 19)).changed


def test_files_of_different_columns_are_not_merged(lake: ParquetLake, tmp_path: Path) -> None:
    more = Table(NOTES.name, NOTES.doc, NOTES.key, (*NOTES.columns, Column("weight", "number", "Added later.")))
    weighed = notes([DAYS[20]]).select(*NOTES.polars_schema(), weight=pl.lit(1.0))
    lake.write(more, weighed, span(20))
    with pytest.raises(LakeDamaged, match="different columns.*materialize these sessions again"):
        lake.compact(NOTES, sessions_min=10)
    assert len(files(tmp_path)) == 21


def test_the_folder_of_a_compacted_table_can_be_read_where_nobody_may_write(lake: ParquetLake, tmp_path: Path) -> None:
    lake.compact(NOTES, sessions_min=10)
    folder = tmp_path / "facts" / "notes"
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert len(values(lake)) == 60
        assert os.access(folder / ".sweep", os.R_OK)
    finally:
        folder.chmod(0o755)


def test_a_whole_calendar_is_one_run(tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path)
    single(lake, 0, 60)
    lake.compact(NOTES, sessions_min=60)
    assert lake.versions(NOTES, Span(date.min, date.max)).keys() == set(DAYS)
    assert spans(tmp_path) == [(DAYS[0], DAYS[59])]


def test_desk_compact_does_every_table_names_the_one_that_it_cannot_and_ends_with_1(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = ParquetLake(home.lake)
    for lane in ("facts", "desk"):
        for position in range(12):
            lake.write(NOTES, notes([DAYS[position]]), span(position), lane=lane)
    run_compact(10, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "files_before": 24,
        "files_after": 2,
        "written": 2,
        "removed": 24,
        "failed": 0,
    }
    for lane in ("facts", "desk"):
        for position in range(12, 24):
            lake.write(NOTES, notes([DAYS[position]]), span(position), lane=lane)
    spoilt = files(home.lake)[-1]
    spoilt.write_bytes(b"PAR1")
    with pytest.raises(typer.Exit) as ended:
        run_compact(10, as_json=True)
    said = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert f"facts notes: {spoilt.name}" in said.err
    assert json.loads(said.out)["failed"] == 1
    assert (len(files(home.lake)), len(files(home.lake, "desk"))) == (13, 2)
