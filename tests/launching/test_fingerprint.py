"""The fingerprint notices every change of the code, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.launching.fingerprint import LENGTH, fingerprint, watched


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "code" / "room").mkdir(parents=True)
    (tmp_path / "code" / "room" / "one.py").write_text("a = 1\n")
    (tmp_path / "code" / "two.yaml").write_text("b: 2\n")
    return tmp_path / "code"


def _longer(code: Path) -> None:
    (code / "room" / "one.py").write_text("a = 10\n")


def _same_size_later(code: Path) -> None:
    (code / "room" / "one.py").write_text("a = 2\n")
    os.utime(code / "room" / "one.py", ns=(1, 1))


def _another(code: Path) -> None:
    (code / "room" / "three.py").write_text("")


def _fewer(code: Path) -> None:
    (code / "two.yaml").unlink()


def _renamed(code: Path) -> None:
    (code / "room" / "one.py").rename(code / "room" / "uno.py")


def _new_room(code: Path) -> None:
    (code / "hall").mkdir()
    (code / "hall" / "__init__.py").write_text("")


@pytest.mark.parametrize("change", [_longer, _same_size_later, _another, _fewer, _renamed, _new_room])
def test_a_change_of_the_code_changes_it(code: Path, change: Callable[[Path], None]) -> None:
    before = fingerprint([code])
    assert fingerprint([code]) == before
    change(code)
    assert fingerprint([code]) != before


def test_what_python_and_editors_leave_behind_does_not(code: Path) -> None:
    before = fingerprint([code])
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"x")
    (code / ".one.py.swp").write_text("x")
    (code / "notes.md").write_text("x")
    assert fingerprint([code]) == before


def test_a_folder_that_is_missing_differs_from_one_that_is_there(code: Path) -> None:
    assert fingerprint([code]) != fingerprint([code / "none"])
    assert len(fingerprint([code / "none"])) == LENGTH


def test_the_desk_watches_its_code_and_its_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESK_CONFIG", str(tmp_path))
    folders = watched()
    assert tmp_path.resolve() in folders
    assert {"trading_assets", "resources", "sensors", "schedules"} <= {folder.name for folder in folders}
    assert all(folder.is_dir() for folder in folders)
    before = fingerprint(folders)
    (tmp_path / "operations.yaml").write_text("{}\n")
    assert fingerprint(folders) != before
