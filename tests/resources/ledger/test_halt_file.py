"""The halt that needs no ledger: durable, the first cause stays, and whatever cannot be read halts."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.ledger.halt_file import FileHalt, HaltFile
from tests.resources.ledger.entries import python
from trading_assets.core.errors import TransientFailure

NOW = datetime(2024, 3, 25, 14, 30, 0, 5, UTC)


def test_a_folder_without_the_file_is_not_halted(tmp_path: Path) -> None:
    assert HaltFile(tmp_path).read() is None
    assert not HaltFile(tmp_path).clear()


@pytest.mark.control("W4")
def test_a_halt_is_read_back_by_whoever_comes_later(tmp_path: Path) -> None:
    told = HaltFile(tmp_path).write("the ledger is locked", "watchdog", NOW)
    assert told == FileHalt("the ledger is locked", "watchdog", NOW) == HaltFile(tmp_path).read()
    assert [path.name for path in tmp_path.iterdir()] == ["HALT"]


def test_the_first_cause_stays_until_the_operator_clears_it(tmp_path: Path) -> None:
    file = HaltFile(tmp_path)
    file.write("first", "watchdog", NOW)
    assert file.write("second", by="gateway", as_of=NOW).cause == "first"
    assert file.clear()
    assert file.read() is None
    assert file.write("third", by="gateway", as_of=NOW).cause == "third"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"{}", b'{"cause":"c"}', b'{"cause":"c","by":"b","at":"never"}', b"\xff\xfe"]
)
def test_a_damaged_file_halts_and_stays(tmp_path: Path, content: bytes) -> None:
    file = HaltFile(tmp_path)
    file.path.write_bytes(content)
    assert file.read() == FileHalt("the halt file is damaged", "", None)
    assert "damaged" in file.write("new", by="gateway", as_of=NOW).cause


def test_what_stands_in_the_files_place_halts(tmp_path: Path) -> None:
    makers: tuple[Callable[[Path], None], ...] = (Path.mkdir, lambda path: path.symlink_to("nowhere"), os.mkfifo)
    for number, make in enumerate(makers):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / "HALT")
        halt = HaltFile(folder).read()
        assert halt is not None
        assert "damaged" in halt.cause


def test_a_folder_that_is_missing_halts(tmp_path: Path) -> None:
    halt = HaltFile(tmp_path / "gone").read()
    assert halt is not None
    assert "missing" in halt.cause
    with pytest.raises(TransientFailure, match="cannot be written"):
        HaltFile(tmp_path / "gone").write("c", by="b", as_of=NOW)


def test_words_that_no_file_holds_are_replaced(tmp_path: Path) -> None:
    assert HaltFile(tmp_path).write("a\ud800b\0c", by="w", as_of=NOW).cause == "a\ufffdb\ufffdc"


@pytest.mark.fault(16)
def test_a_full_disk_still_takes_an_empty_file_which_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for bytes, but for a name."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr("resources.ledger.halt_file.os.link", lambda *_: full(0))
        told = HaltFile(tmp_path).write("cause", by="gateway", as_of=NOW)
    assert told == HaltFile(tmp_path).read() == FileHalt("the halt file is damaged", "", None)
    assert [path.name for path in tmp_path.iterdir()] == ["HALT"]


def test_of_many_writers_one_is_first_and_all_read_the_same(tmp_path: Path) -> None:
    code = (
        "from datetime import UTC, datetime\nfrom resources.ledger.halt_file import HaltFile\n"
        "say('ready'); sys.stdin.readline()\n"
        "say(HaltFile(Path(sys.argv[1])).write(sys.argv[2], by='w', as_of=datetime(2024, 3, 25, tzinfo=UTC)).cause)"
    )
    writers = [python(code, tmp_path, f"cause {number}") for number in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    heard = {writer.communicate("go\n")[0] for writer in writers}
    assert len(heard) == 1
    halt = HaltFile(tmp_path).read()
    assert heard == {f"{halt.cause if halt else None}\n"}
