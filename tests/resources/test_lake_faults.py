"""What the lake does when a writer is killed, the disk is full or read-only, or stored bytes are no longer what was written.

Numbers such as F16 are those of the desk's fault catalogue for databases and disks; here they are applied to the lake's files.
"""

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.resources.lakes import DAYS, LATEST, NOTES, files, notes, python, span, values
from trading_assets.core.errors import LakeDamaged, PermanentFailure, TransientFailure
from trading_assets.core.tables import Column, Table

UNFINISHED = ".unfinished.tmp"
MORE = Table(NOTES.name, NOTES.doc, NOTES.key, (*NOTES.columns, Column("weight", "number", "Added later.")))


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    """A lake that holds 1.0 for AAA in three sessions."""
    held = ParquetLake(tmp_path)
    held.write(NOTES, notes(DAYS[:3], value=1.0), span(0, 2))
    return held


def said(code: str, *arguments: object, prefix: Sequence[str] = ()) -> list[str]:
    """The lines that another process printed; it must end well."""
    process = python(code, *arguments, prefix=prefix)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out.splitlines()


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The start of a command that runs in a mount namespace of its own, where `disk` is a file system of 256 KiB."""
    (tmp_path / "disk").mkdir()
    shell = f'mount -t tmpfs -o size=256k none {tmp_path / "disk"} && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", shell, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let the tests mount a small file system in a namespace of their own")
    return command


# A killed writer


def test_a_writer_killed_at_any_step_leaves_the_old_rows_or_the_new_ones(tmp_path: Path) -> None:
    """F2, for files: the kill comes before each opening, renaming and removing of a file in turn."""
    outcomes = []
    for step in range(1, 20):
        root = tmp_path / str(step)
        lake = ParquetLake(root)
        lake.write(NOTES, notes(DAYS[:3], value=1.0), span(0, 2))
        process = python("write_and_die_at(sys.argv[1], int(sys.argv[2]))", root, step)
        process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        left = (root / "facts" / "notes" / UNFINISHED).exists()
        held = set(values(lake).values())
        assert held in ({1.0}, {2.0})
        assert lake.damage() == (
            (f"facts/notes/{UNFINISHED}: left by a killed writer; the next write replaces it",) * left
        )
        outcomes.append((left, held.pop()))
        lake.write(NOTES, notes(DAYS[:3], value=3.0), span(0, 2))
        assert (set(values(lake).values()), lake.damage()) == ({3.0}, ())
    assert (True, 1.0) in outcomes, "one kill came between the temporary file and its renaming"
    assert outcomes[-1] == (False, 2.0), "one kill came after the renaming"


def test_a_writer_killed_at_random_moments_never_leaves_a_half(tmp_path: Path) -> None:
    dice = random.Random(7)
    lake, newest = ParquetLake(tmp_path), 0.0
    for _ in range(6):
        writer = python("write_until_killed(sys.argv[1])", tmp_path)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(dice.uniform(0, 0.15))
        writer.kill()
        said_last = float(([1.0, *map(float, writer.communicate()[0].split())])[-1])
        frame = lake.read(NOTES, as_of=LATEST)
        assert (frame.height, frame["value"].n_unique()) == (1_000, 1)
        assert frame["value"][0] in {said_last, said_last + 1}, "what a writer said that it wrote is there"
        assert all("killed writer" in sentence for sentence in lake.damage())
        newest = frame["value"][0]
    assert newest > 0


def test_a_file_that_a_living_writer_is_making_is_no_damage(lake: ParquetLake, tmp_path: Path) -> None:
    folder = tmp_path / "facts" / "notes"
    hold = "import fcntl; f = Path(sys.argv[1]).open('w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    holder = subprocess.Popen(
        ["python3", "-c", f"import sys; from pathlib import Path; {hold}", str(folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    (folder / UNFINISHED).write_bytes(b"half")
    assert lake.damage() == ()
    holder.communicate("\n")
    assert len(lake.damage()) == 1


# A full or failing disk


def test_a_file_that_may_not_grow_leaves_the_old_rows_and_a_retry_succeeds(lake: ParquetLake, tmp_path: Path) -> None:
    """F16: the kernel refuses to let the temporary file grow (EFBIG)."""
    failure, held, retried = said("write_with_a_limit(sys.argv[1], 512)", tmp_path)
    assert failure.startswith("TransientFailure: the lake cannot use ")
    assert os.strerror(errno.EFBIG) in failure
    assert "make room" in failure
    assert held == "[1.0] ()"
    assert retried == "True [2.0]"


def test_a_full_disk_is_a_passing_failure_that_names_the_place(small_disk: list[str], tmp_path: Path) -> None:
    """F16: the disk fills while the lake writes; when there is room again the same write succeeds."""
    code = (
        "root = Path(sys.argv[1]); lake = ParquetLake(root / 'lake'); lake.write(NOTES, notes(DAYS[:3]), span(0, 2));"
        "frame = notes(DAYS[:50], [f'S{n:02}' for n in range(50)], 2.0);"
        "filler = root / 'filler'; blocks = open(filler, 'wb', buffering=0);\n"
        "try:\n    while True: blocks.write(bytes(4096))\n"
        "except OSError: pass\n"
        "say_failure(lambda: lake.write(NOTES, frame, span(0, 49)));"
        "print(sorted(set(values(lake).values())), lake.damage()); filler.unlink(); blocks.close();"
        "print(lake.write(NOTES, frame, span(0, 49)).changed, sorted(set(values(lake).values())))"
    )
    failure, held, retried = said(code, tmp_path / "disk", prefix=small_disk)
    assert failure.startswith("TransientFailure: the lake cannot use ")
    assert os.strerror(errno.ENOSPC) in failure
    assert held == "[1.0] ()"
    assert retried == "True [2.0]"


def test_a_read_only_disk_can_be_read_and_refuses_writers(small_disk: list[str], tmp_path: Path) -> None:
    """F17: reading goes on, writing and forgetting are refused with the next step."""
    code = (
        "import subprocess; root = Path(sys.argv[1]); lake = ParquetLake(root);"
        "lake.write(NOTES, notes(DAYS[:3]), span(0, 2));"
        "subprocess.run(['mount', '-o', 'remount,ro', root], check=True);"
        "say_failure(lambda: lake.write(NOTES, notes(DAYS[:3], value=2.0), span(0, 2)));"
        "say_failure(lambda: lake.forget(NOTES, span(0), lane='facts'));"
        "say_failure(lambda: lake.write(NOTES, notes(DAYS[:1]), span(0), lane='desk'));"
        "print(len(values(lake)), lake.damage())"
    )
    *refusals, held = said(code, tmp_path / "disk", prefix=small_disk)
    assert len(refusals) == 3
    assert all(refusal.startswith("PermanentFailure: the lake cannot use ") for refusal in refusals)
    assert all("make the folder readable and writable" in refusal for refusal in refusals)
    assert held == "3 ()"


def test_a_folder_that_may_not_be_read_is_not_an_empty_table(tmp_path: Path) -> None:
    """A failed request is not an empty answer; a file in the folder's place stands for any folder that cannot be listed."""
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "notes").write_text("in the way")
    lake = ParquetLake(tmp_path)
    with pytest.raises(PermanentFailure, match="facts/notes"):
        lake.read(NOTES, as_of=LATEST)
    with pytest.raises((PermanentFailure, TransientFailure), match="facts/notes"):
        lake.write(NOTES, notes(DAYS[:1]), span(0))


# Bytes that changed


def test_a_truncated_file_is_refused_by_name_and_reported(lake: ParquetLake, tmp_path: Path) -> None:
    (file,) = files(tmp_path)
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(LakeDamaged, match=rf"{file.name}.*materialize notes of {DAYS[0]} to {DAYS[2]} again"):
        lake.read(NOTES, as_of=LATEST)
    assert lake.damage() == (f"facts/notes/{file.name}: bytes do not match the digest in its name",)


@settings(deadline=None, max_examples=25)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_is_ever_read_as_a_fact(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    """F18, for files. Without the digest, Parquet readers return other numbers for most of these flips."""
    root = tmp_path_factory.mktemp("flipped")
    lake = ParquetLake(root)
    lake.write(NOTES, notes(DAYS[:20], ["AAA", "BBB"]), span(0, 19))
    (file,) = files(root)
    content = bytearray(file.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    file.write_bytes(content)
    with pytest.raises(LakeDamaged, match=file.name):
        lake.read(NOTES, as_of=LATEST)
    assert lake.damage() == (f"facts/notes/{file.name}: bytes do not match the digest in its name",)


def test_only_the_sessions_of_the_damaged_file_are_refused(lake: ParquetLake, tmp_path: Path) -> None:
    lake.write(NOTES, notes(DAYS[3:6]), span(3, 5))
    files(tmp_path)[1].write_bytes(b"PAR1")
    assert len(values(lake, last=DAYS[2])) == 3
    with pytest.raises(LakeDamaged, match=files(tmp_path)[1].name):
        lake.read(NOTES, as_of=LATEST, first=DAYS[3])


def test_a_damaged_file_that_newer_ones_cover_does_no_harm(lake: ParquetLake, tmp_path: Path) -> None:
    lake.write(NOTES, notes(DAYS[:3], value=2.0), span(0, 2))
    files(tmp_path)[0].write_bytes(b"")
    assert set(values(lake).values()) == {2.0}
    assert len(lake.damage()) == 1


def test_writing_the_sessions_again_heals_a_damaged_file(lake: ParquetLake, tmp_path: Path) -> None:
    files(tmp_path)[0].write_bytes(b"PAR1")
    assert lake.write(NOTES, notes(DAYS[:3], value=1.0), span(0, 2)).changed
    assert set(values(lake).values()) == {1.0}


def test_a_merge_into_a_damaged_file_is_refused_because_the_other_rows_are_lost(
    lake: ParquetLake, tmp_path: Path
) -> None:
    (file,) = files(tmp_path)
    file.write_bytes(b"PAR1")
    with pytest.raises(LakeDamaged, match="move the file out of the lake"):
        lake.merge(NOTES, notes(DAYS[:3], ["BBB"]), span(0, 2), replacing={"symbol": ["BBB"]})
    file.rename(tmp_path / file.name)
    lake.merge(NOTES, notes(DAYS[:3], ["BBB"]), span(0, 2), replacing={"symbol": ["BBB"]})
    assert set(values(lake)) == {(day, "BBB") for day in DAYS[:3]}


def test_a_mended_file_is_read_again_by_the_same_process(lake: ParquetLake, tmp_path: Path) -> None:
    (file,) = files(tmp_path)
    sound = file.read_bytes()
    file.write_bytes(sound[:-1])
    with pytest.raises(LakeDamaged):
        values(lake)
    file.write_bytes(sound)
    assert len(values(lake)) == 3


# Stored by another version


def test_files_of_other_columns_are_refused_with_both_schemas_and_the_next_step(lake: ParquetLake) -> None:
    with pytest.raises(LakeDamaged, match="weight.*missing.*Float64.*materialize notes of") as refused:
        lake.read(MORE, as_of=LATEST)
    assert refused.value.value == {"weight": "missing"}


def test_the_file_with_other_columns_is_named_among_those_that_fit(lake: ParquetLake, tmp_path: Path) -> None:
    lake.write(MORE, notes(DAYS[3:6]).select(*NOTES.polars_schema(), weight=pl.lit(1.0)), span(3, 5))
    older, newer = files(tmp_path)
    with pytest.raises(LakeDamaged, match=older.name):
        lake.read(MORE, as_of=LATEST)
    with pytest.raises(LakeDamaged, match=newer.name):
        lake.read(NOTES, as_of=LATEST)


def test_writing_the_sessions_again_heals_files_of_other_columns(lake: ParquetLake) -> None:
    lake.write(MORE, notes(DAYS[:3]).select(*NOTES.polars_schema(), weight=pl.lit(1.0)), span(0, 2))
    assert lake.read(MORE, as_of=LATEST)["weight"].to_list() == [1.0, 1.0, 1.0]


# Files that no writer made


def test_files_that_no_writer_makes_are_reported(lake: ParquetLake, tmp_path: Path) -> None:
    (tmp_path / "facts" / "notes" / "notes.csv").write_text("a,b")
    assert lake.damage() == ("facts/notes/notes.csv: no writer of the lake makes such a file",)
    assert len(values(lake)) == 3


def test_a_lake_without_a_folder_has_no_damage(tmp_path: Path) -> None:
    assert ParquetLake(tmp_path / "nowhere").damage() == ()
