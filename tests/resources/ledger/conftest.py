"""A fresh ledger for each test: once in an SQLite file, once on a PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from tests.postgres import Server, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of this test process."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(server: Server) -> str:
    """A database with the desk's lane at head, to be copied."""
    server.run("create database migrated")
    open_ledger(server.address("migrated"), durability="FULL").dispose()
    return "migrated"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite file may be made."""
    return tmp_path / "ledger" / "desk.sqlite"


@pytest.fixture
def url(server: Server, migrated: str) -> Iterator[str]:
    """A database of the test's own with the desk's lane at head."""
    url = server.url(migrated)
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_where(request: pytest.FixtureRequest) -> Path | str:
    """A ledger's place, in either database; `str()` of it is what another process is told."""
    where: Path | str = request.getfixturevalue("path" if request.param == "sqlite" else "url")
    return where


@pytest.fixture
def engine(ledger_where: Path | str) -> Iterator[sa.Engine]:
    engine = open_ledger(ledger_where, durability="FULL")
    yield engine
    engine.dispose()


@pytest.fixture
def book(engine: sa.Engine) -> SqlLedger:
    return SqlLedger(engine, "desk")
