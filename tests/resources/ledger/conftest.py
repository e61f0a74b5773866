"""A fresh ledger file for each test."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "desk.sqlite"


@pytest.fixture
def engine(path: Path) -> sa.Engine:
    return open_ledger(path, durability="FULL")


@pytest.fixture
def book(engine: sa.Engine) -> SqlLedger:
    return SqlLedger(engine, "desk")
