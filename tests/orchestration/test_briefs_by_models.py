"""Briefs of a backfill by a model: asked over the wire, paid and recorded; then byte for byte from the record, with no wire."""

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import yaml

from desk.runner import Outcome, run_job
from resources.desk import BACKTEST, DESK, DeskResource
from resources.ledger import schema as t
from resources.ledger.engine import reading
from tests.llm.actions import Action, answer, failing
from tests.llm.server import ModelServer, Request
from tests.orchestration.homes import AFTER_EVERYTHING, done
from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.catalog import key_of
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.jobs import BACKTEST_RANGE

DECEMBER = Span(date(2012, 12, 3), date(2012, 12, 31))
QUESTIONS = 20 * 6


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


def flaky(request: Request) -> Action:
    """An opinion, or for every ninth question none."""
    return failing("overloaded") if sum(request.raw) % 97 % 9 == 0 else opinion(request)


def opinion(request: Request) -> Action:
    """An opinion that depends on the question, so that mixed-up answers would show."""
    number = sum(request.raw) % 97
    cited = "p1" if '"p1' in request.raw.decode() or 'p1\\"' in request.raw.decode() else "r1"
    value = {"signal": number / 100, "confidence": 0.5, "reasons": [f"Reading number {number}."], "evidence": [cited]}
    return answer(value)


def briefed(monkeypatch: pytest.MonkeyPatch, config: Path) -> Outcome:
    """The asset over December, as a backfill runs it."""
    monkeypatch.setenv("DESK_CONFIG", str(config))
    return run_job(BACKTEST_RANGE, DECEMBER, selection=[key_of(ANALYST_BRIEFS, BACKTEST)])


def december() -> pl.DataFrame:
    return (
        DeskResource()
        .lake()
        .read(ANALYST_BRIEFS, as_of=AFTER_EVERYTHING, first=DECEMBER.first, last=DECEMBER.last, lane=BACKTEST)
    )


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
        asked = december()
        charged, calls = server.charged, len(server.log)
        spent = _spent()
    assert asked.height == by_rules.height == QUESTIONS
    by_claude = asked.filter(pl.col("route") == "anthropic")
    assert by_claude.height > QUESTIONS / 2
    assert set(by_claude["leakage"]) == {"contaminated"}
    technical = by_claude.filter(pl.col("agent") == "technical")
    assert technical["answer_key"].n_unique() == technical.height
    assert not asked.select("signal").equals(by_rules.select("signal"))
    assert calls >= QUESTIONS
    assert spent >= charged > 0

    again = briefed(monkeypatch, configured(tmp_path / "config", server, mode="replay_only"))
    assert again.success, again.failures
    assert december().equals(asked)
    assert _spent() == spent


@pytest.mark.usefixtures("keyed")
def test_a_batch_fills_the_past_at_half_price_and_the_backfill_replays_it(
    own_quarter: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handed in by one command, collected by the next, replayed by the asset: nothing is asked twice."""
    words = ("fill", "--from", DECEMBER.first, "--to", DECEMBER.last, "--json")
    with ModelServer() as server:
        server.script("anthropic", opinion)
        monkeypatch.setenv("DESK_CONFIG", str(configured(tmp_path / "config", server, mode="models")))
        handed_in = json.loads(done(*words).out)
        collected = json.loads(done(*words).out)
        again = json.loads(done(*words).out)
        live = [request for request in server.log if request.path.endswith("/messages")]
    assert handed_in["questions"] == QUESTIONS
    assert handed_in["recorded"] == 0
    assert len(handed_in["waiting"]) == 1
    assert collected["recorded"] > QUESTIONS / 2, "questions that are equal once they are masked are asked once"
    assert again["recorded"] == 0
    assert "every question has an answer" in again.values()
    assert live == []
    assert 0 < server.charged <= _spent() == Decimal(collected["cost_usd"])
    assert {charge.batch for charge in server.charges} == {True}

    replayed = briefed(monkeypatch, configured(tmp_path / "config", server, mode="replay_only"))
    assert replayed.success, replayed.failures
    assert set(december()["route"]) == {"anthropic"}


def _spent() -> Decimal:
    with reading(DeskResource().engine(DESK)) as connection:
        return sum((row.cost for row in connection.execute(t.MODEL_CALLS.select())), Decimal(0))
