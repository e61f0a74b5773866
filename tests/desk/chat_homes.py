"""Homes for the tests of `desk chat` and `desk brief`: a desk that has lived, and one that asks the scripted server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk.asking_models import configured, environment
from tests.desk.consulted import NOW, lived
from tests.llm.server import ModelServer
from trading_assets.core.settings import Home


@pytest.fixture(scope="session")
def lived_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a desk that has lived; nobody changes it."""
    root = tmp_path_factory.mktemp("lived")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DESK_CONFIG", "DESK_CLOCK", "LEDGER_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("DESK_HOME", str(root))
        lived()
    return root


@pytest.fixture
def living(home: Home, lived_root: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A desk of one's own that traded for three sessions, at the open of the fourth."""
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())
    shutil.copytree(lived_root, home.root)
    return home


@pytest.fixture
def models(living: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """The same desk, asking the scripted server."""
    with ModelServer() as server:
        environment(monkeypatch, configured(tmp_path / "config", server))
        yield server
