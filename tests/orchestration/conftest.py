"""Homes that the tests of assets, jobs, sensors and schedules share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.homes import copied, files_home, living_in, quarter_home
from trading_assets.core.settings import Home


@pytest.fixture(scope="session")
def quarter_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the quarter; nobody changes it."""
    return quarter_home(tmp_path_factory.getbasetemp())


@pytest.fixture
def quarter(quarter_root: Path) -> Iterator[Home]:
    """The quarter, to be read."""
    with living_in(quarter_root) as home:
        yield home


@pytest.fixture
def own_quarter(quarter_root: Path, tmp_path: Path) -> Iterator[Home]:
    """A copy of the quarter, to be changed."""
    with living_in(copied(quarter_root, tmp_path / "home")) as home:
        yield home


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Path]:
    """A copy of the home that reads CSV files: `home`, `bars` and `config` in one folder."""
    root = copied(files_home(tmp_path_factory.getbasetemp()), tmp_path / "files")
    settings = root / "config" / "settings.yaml"
    settings.write_text(settings.read_text().replace(str(files_home(tmp_path_factory.getbasetemp())), str(root)))
    with living_in(root / "home", config=root / "config"):
        yield root
