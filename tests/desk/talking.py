"""What a person types into `desk chat`, and what it leaves behind."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from desk.chat import run_chat
from resources.desk import DESK, DeskResource
from resources.ledger import schema as t
from resources.ledger.engine import reading
from tests.desk.consulted import NOW
from trading_assets.plans.model import Proposal


def once(capsys: pytest.CaptureFixture[str], question: str, *, lane: str = DESK, propose: str = "") -> dict[str, Any]:
    """What `desk chat --once … --json` prints."""
    run_chat(lane, question, propose, as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told: dict[str, Any] = json.loads(out)
    return told


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: str) -> tuple[str, str]:
    """What a conversation leaves on stdout and stderr when the person types these lines."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    run_chat(DESK, None, "", as_json=False)
    left = capsys.readouterr()
    return left.out, left.err


def proposals(lane: str = DESK) -> list[Proposal]:
    """Everything that was ever handed in and is of these tests."""
    with DeskResource().ledger(lane).reading() as ledger:
        found = ledger.proposals(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    return list(found)


def calls() -> list[Any]:
    """The cost ledger."""
    with reading(DeskResource().engine(DESK)) as connection:
        return list(connection.execute(sa.select(t.MODEL_CALLS).order_by(t.MODEL_CALLS.c.id)))
