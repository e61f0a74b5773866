"""A ledger on disk for each test; pages are also tried on a PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.ledger.conftest import engine, ledger_where, migrated, path, server, url
from tests.resources.notify.parts import Desk, Web

__all__ = ["engine", "ledger_where", "migrated", "path", "server", "url"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk's ledger with its home, and a clock moved by hand."""
    made = Desk(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def web() -> Iterator[Web]:
    """A server on loopback that remembers what it is sent."""
    with Web() as made:
        yield made
