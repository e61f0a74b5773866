"""The ledger of a home as the commands meet it: intents at a broker, and a ledger that somebody holds."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from resources.desk import DESK, DeskResource
from tests.orchestration.homes import configured
from tests.resources.ledger.dispatching import Desk
from trading_assets.core.settings import Home


def sent_desk() -> Desk:
    """The desk's own ledger, with a lease."""
    return Desk(DeskResource().engine(DESK))


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Another process writes to the ledger and does not end."""
    DeskResource().engine(DESK)
    other = sa.create_engine(f"sqlite:///{home.ledger(DESK)}")
    with other.connect() as connection:
        connection.exec_driver_sql("begin immediate")
        yield
        connection.exec_driver_sql("rollback")
    other.dispose()


def set_clock(instant: datetime) -> None:
    """The commands' clock stands at an instant; the fixture `home` takes it away again."""
    os.environ["DESK_CLOCK"] = instant.isoformat()


def with_execution(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed configuration with another execution.yaml."""
    configured(folder, {})
    (folder / "execution.yaml").write_text(text)
    monkeypatch.setenv("DESK_CONFIG", str(folder))


def the_json(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one document on stdout."""
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)
