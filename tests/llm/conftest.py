"""A ledger in both databases, the scripted model server, and a desk on top of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from tests.llm.desks import Desk
from tests.llm.server import ModelServer
from tests.postgres import Server, running


@pytest.fixture
def models() -> Iterator[ModelServer]:
    """The models' side of the wire."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[sa.Engine]:
    """A ledger in an SQLite file."""
    engine = open_ledger(tmp_path / "ledger" / "desk.sqlite", durability="FULL")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The PostgreSQL server of this test process."""
    with running() as server:
        yield server


@pytest.fixture
def heavy(postgres: Server) -> Iterator[sa.Engine]:
    """A ledger in a PostgreSQL database of its own."""
    name = f"reasoner{id(object())}"
    postgres.run(f'create database "{name}"')
    engine = open_ledger(postgres.address(name), durability="FULL")
    yield engine
    engine.dispose()
    postgres.drop(postgres.address(name))


@pytest.fixture(params=["lite", "heavy"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """A ledger, once in each database."""
    chosen: sa.Engine = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def desk(lite: sa.Engine, models: ModelServer, tmp_path: Path) -> Iterator[Desk]:
    """A desk on SQLite."""
    made = Desk(lite, models, tmp_path / "skills")
    yield made
    made.close()


@pytest.fixture
def any_desk(engine: sa.Engine, models: ModelServer, tmp_path: Path) -> Iterator[Desk]:
    """A desk on each database."""
    made = Desk(engine, models, tmp_path / "skills")
    yield made
    made.close()
