"""Briefs of a backfill by a model: asked over the wire, paid and recorded; then byte for byte from the record, with no wire."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from desk.runner import Outcome, run_job
from resources.desk import BACKTEST, DESK, DeskResource
from resources.ledger import schema as t
from resources.ledger.engine import reading
from tests.llm.actions import Action, failing
from tests.llm.council import answering, asked_skills, by_skill, skill_in
from tests.llm.server import ModelServer, Request
from tests.orchestration.homes import AFTER_EVERYTHING, done
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.questions import roles_at
from trading_assets.briefs.settings import load_agents
from trading_assets.catalog import key_of
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.core.tables import Table
from trading_assets.jobs import BACKTEST_RANGE
from trading_assets.reasoning.model import Role
from trading_assets.theses.debate import BEAR, BULL
from trading_assets.theses.model import OPINIONS
from trading_assets.theses.stance import CHIEF

DECEMBER = Span(date(2012, 12, 3), date(2012, 12, 31))
SESSIONS = 20


def configured(folder: Path, server: ModelServer, *, mode: str, **budget: object) -> Path:
    """The committed configuration with the server's address."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROJECT / "config", folder)
    path = folder / "reasoning.yaml"
    told = yaml.safe_load(path.read_text())
    told["mode"] = mode
    told["budget"].update(budget)
    for route in told["routes"]:
        route["enabled"] = route["name"] in {"anthropic", "openai"}
        if route["enabled"]:
            route["base_url"] = server.url(route["name"])
    path.write_text(yaml.safe_dump(told))
    return folder


def everyone() -> Mapping[str, Role[Any, Any]]:
    """Who is asked before the open."""
    analysts = [asked.role for asked in roles_at(load_agents(PROJECT / "config"), None)]
    return by_skill(*analysts, BULL, BEAR, CHIEF)


def flaky(request: Request) -> Action:
    """What the rules would say, or for every ninth request nothing."""
    return failing("overloaded") if sum(request.raw) % 97 % 9 == 0 else answering(everyone(), 0.0)(request)


def briefed(monkeypatch: pytest.MonkeyPatch, config: Path) -> Outcome:
    """The opinions of December, as a backfill asks for them."""
    monkeypatch.setenv("DESK_CONFIG", str(config))
    return run_job(BACKTEST_RANGE, DECEMBER, selection=[key_of(table, BACKTEST) for table in OPINIONS])


def december(table: Table = ANALYST_BRIEFS) -> pl.DataFrame:
    lake = DeskResource().lake()
    return lake.read(table, as_of=AFTER_EVERYTHING, first=DECEMBER.first, last=DECEMBER.last, lane=BACKTEST)


def everything() -> dict[str, pl.DataFrame]:
    return {table.name: december(table) for table in OPINIONS}


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-the-test-1234567890")
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-test-0987654321")


@pytest.mark.usefixtures("keyed")
def test_a_backfill_by_a_model_replays_to_the_byte_without_a_network(
    own_quarter: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_rules = december()
    with ModelServer() as server:
        server.script("anthropic", flaky)
        server.script("openai", flaky)
        first = briefed(monkeypatch, configured(tmp_path / "config", server, mode="models"))
        assert first.success, first.failures
        asked, kept = december(), everything()
        charged, skills = server.charged, asked_skills(server)
        spent = _spent()
    assert asked.height == by_rules.height
    by_claude = asked.filter(pl.col("route") == "anthropic")
    assert by_claude.height > asked.height / 2
    assert set(by_claude["leakage"]) == {"contaminated"}
    apart = (asked["signal"] - by_rules["signal"]).abs().max()
    assert apart is not None
    assert float(str(apart)) < 0.02, "these models say what the rules say of rebased prices"
    assert (
        min(skills[skill] for skill in ("technical-analyst", "bull-researcher", "bear-researcher", "chief")) >= SESSIONS
    )
    assert kept["silences"].height > 0, "whoever had to be replaced is told"
    assert spent >= charged > 0

    again = briefed(monkeypatch, configured(tmp_path / "config", server, mode="replay_only"))
    assert again.success, again.failures
    assert all(frame.equals(kept[name]) for name, frame in everything().items() if name != "silences")
    assert _spent() == spent


@pytest.mark.usefixtures("keyed")
def test_a_batch_fills_the_past_at_half_price_and_the_backfill_replays_it(
    own_quarter: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handed in by one command, collected by the next, replayed by the asset: nothing is asked twice."""
    words = ("fill", "--from", DECEMBER.first, "--to", DECEMBER.last, "--json")
    with ModelServer() as server:
        server.script("anthropic", answering(everyone(), 0.0))
        monkeypatch.setenv("DESK_CONFIG", str(configured(tmp_path / "config", server, mode="models")))
        handed_in = json.loads(done(*words).out)
        collected = json.loads(done(*words).out)
        again = json.loads(done(*words).out)
        live = [request for request in server.log if request.path.endswith("/messages")]
        charged, before = server.charged, len(server.log)
        assert {charge.batch for charge in server.charges} == {True}
        assert 0 < charged <= _spent() == Decimal(collected["cost_usd"])

        filled = briefed(monkeypatch, configured(tmp_path / "config", server, mode="models"))
        asked = Counter(skill_in(request) for request in server.log[before:])
    assert handed_in["questions"] >= 7 * SESSIONS
    assert handed_in["recorded"] == 0
    assert len(handed_in["waiting"]) == 1
    assert collected["recorded"] > handed_in["questions"] / 2, (
        "questions that are equal once they are masked are asked once"
    )
    assert again["recorded"] == 0
    assert "every question has an answer" in again.values()
    assert live == []
    assert filled.success, filled.failures
    assert set(december()["route"]) == {"anthropic"}
    assert asked.keys() == {"bull-researcher", "bear-researcher", "chief"}


def _spent() -> Decimal:
    with reading(DeskResource().engine(DESK)) as connection:
        return sum((row.cost for row in connection.execute(t.MODEL_CALLS.select())), Decimal(0))
