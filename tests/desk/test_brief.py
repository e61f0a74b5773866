"""`desk brief`: what the analysts say of the facts as of now, by the rules and by models over the loopback wire."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from desk.brief import facts_now, fresh_brief, only, run_brief
from resources.desk import DESK, DeskResource
from resources.ledger import schema as t
from resources.ledger.engine import reading
from tests.desk.asking_models import configured, environment
from tests.desk.consulted import LIVED, NOW
from tests.llm.actions import hang
from tests.llm.council import answering, is_panel, skill_in
from tests.llm.server import ModelServer
from trading_assets.agents import DOCTRINE
from trading_assets.briefs.questions import ROLES
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.settings import Home

pytest_plugins = ["tests.desk.chat_homes"]


def brief(capsys: pytest.CaptureFixture[str], symbol: str = "") -> dict[str, Any]:
    """What `desk brief --json` prints."""
    run_brief(symbol, as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told: dict[str, Any] = json.loads(out)
    return told


def said_of(told: dict[str, Any]) -> set[tuple[str, str]]:
    """Who spoke of what."""
    return {(each["agent"], each["symbol"]) for each in told["briefs"]}


def files(home: Home) -> set[tuple[str, int]]:
    """Every file of the lake."""
    return {(str(path), path.stat().st_mtime_ns) for path in home.lake.rglob("*") if path.is_file()}


@pytest.fixture
def council(models: ModelServer) -> ModelServer:
    """A server that answers each analyst as its rules would, at once."""
    models.script("anthropic", answering(ROLES, delay_s=0.0))
    return models


# The rules


def test_without_a_symbol_only_the_market_is_judged(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = brief(capsys)
    assert said_of(told) == {("breadth", "MARKET"), ("news", "MARKET"), ("narrative", "MARKET")}
    assert {each["route"] for each in told["briefs"]} == {"rules"}
    assert (told["cost_usd"], told["silent"]) == ("0", [])


def test_with_a_symbol_its_own_analysts_speak_too(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = brief(capsys, "ibm")
    assert said_of(told) - said_of(brief(capsys)) == {("technical", "IBM"), ("news", "IBM"), ("narrative", "IBM")}
    assert {each["symbol"] for each in told["narratives"]} == {"IBM", "MARKET"}
    assert all(each["evidence"] for each in told["briefs"])


def test_the_age_of_the_facts_is_told(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = brief(capsys)
    close = XNYS.session(LIVED[-1]).close
    assert told["facts_of"] == str(LIVED[-1])
    assert told["facts_age_hours"] == pytest.approx((NOW - close).total_seconds() / 3600, abs=0.01)
    assert told["as_of"] == NOW.isoformat()


def test_a_person_sees_signals_reasons_and_citations(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_brief("IBM", as_json=False)
    said = capsys.readouterr()
    assert "technical" in said.out
    assert "close 103.25 is above sma_50 98.00" in said.out
    assert f"indicators.close=103.25 (IBM {LIVED[-1]})" in said.out
    assert "nothing was written to the lake" in said.err
    assert "known for 17.5 hours" in said.err


def test_nothing_is_written_to_the_lake(living: Home) -> None:
    before = files(living)
    fresh_brief(DeskResource(), "IBM")
    assert files(living) == before


def test_facts_that_came_later_are_not_seen(living: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = XNYS.session(LIVED[-1]).close - timedelta(minutes=1)
    monkeypatch.setenv("DESK_CLOCK", earlier.isoformat())
    fresh = fresh_brief(DeskResource(), "IBM")
    assert fresh.facts.session == LIVED[-2]
    cited = {each.session for said in fresh.briefs for each in said.evidence}
    assert max(cited) <= LIVED[-2]


def test_facts_are_cut_to_the_market_and_the_symbol(living: Home) -> None:
    facts = facts_now(DeskResource())
    assert set(facts.symbols) == {"AAPL", "IBM"}
    cut = only(facts, "IBM")
    assert (set(cut.symbols), set(cut.news)) == ({"IBM"}, {"IBM", "MARKET"})
    assert set(only(facts, "").symbols) == set()
    assert cut.breadth == facts.breadth


def test_a_symbol_that_is_not_traded_is_refused_with_those_that_are(living: Home) -> None:
    with pytest.raises(PermanentFailure, match="AAPL, FB, GOOG, IBM, MSFT"):
        run_brief("TSLA", as_json=True)


def test_without_facts_the_next_command_is_named(home: Home, living: Home) -> None:
    with pytest.raises(DataNotReady, match="no recent facts of MSFT"):
        run_brief("MSFT", as_json=True)


def test_an_empty_lake_is_refused(home: Home) -> None:
    with pytest.raises(DataNotReady, match="desk ingest"):
        run_brief("", as_json=True)


# Models


def test_all_analysts_are_asked_at_once_and_their_cost_is_told(
    council: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    told = brief(capsys, "IBM")
    assert {each["route"] for each in told["briefs"]} == {"anthropic"}
    assert said_of(told) >= {("technical", "IBM"), ("breadth", "MARKET"), ("news", "IBM")}
    assert float(told["cost_usd"]) == pytest.approx(float(council.charged))
    with reading(DeskResource().engine(DESK)) as connection:
        booked = list(connection.execute(sa.select(t.MODEL_CALLS)))
    assert {row.decision.rpartition("/")[2] for row in booked} == {"brief-1"}


def test_two_briefs_send_the_same_beginning_byte_for_byte(
    council: ModelServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brief(capsys, "IBM")
    first = list(council.asked("anthropic"))
    monkeypatch.setenv("DESK_CLOCK", XNYS.session(LIVED[-1]).open.isoformat())
    brief(capsys, "IBM")
    second = council.asked("anthropic")[len(first) :]
    texts = [{(skill_in(r), is_panel(r)): json.dumps(r.body["system"]) for r in asked} for asked in (first, second)]
    common = texts[0].keys() & texts[1].keys()
    assert {"technical-analyst", "breadth-analyst"} <= {skill for skill, _ in common}
    assert all(texts[0][who] == texts[1][who] for who in common)
    doctrine = json.dumps(DOCTRINE.read_text().strip())[1:-1]
    assert all(doctrine in text[: len(doctrine) + 100] for text in texts[1].values())
    assert [r.body["messages"] for r in first] != [r.body["messages"] for r in second]


def test_the_same_facts_are_answered_from_the_record(council: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    first = brief(capsys, "IBM")
    asked = len(council.log)
    again = brief(capsys, "IBM")
    assert len(council.log) == asked
    assert (again["briefs"], again["cost_usd"]) == (first["briefs"], "0")


def test_an_analyst_that_hangs_is_left_alone_and_the_rules_answer(
    living: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module("resources.llm.asking")  # takes seconds, which are not the analysts'
    with ModelServer() as server:
        config = configured(tmp_path / "config", server)
        reasoning = config / "reasoning.yaml"
        reasoning.write_text(reasoning.read_text().replace("timeout_s: 5.0", "timeout_s: 60.0"))
        agents = yaml.safe_load((config / "agents.yaml").read_text())
        (config / "agents.yaml").write_text(yaml.safe_dump({**agents, "agent_seconds_max": 3.0}))
        environment(monkeypatch, config)
        server.script("anthropic", answering(ROLES, delay_s=0.0, instead={"breadth-analyst": hang(60)}))
        told = brief(capsys, "IBM")
    routes = {each["agent"]: each["route"] for each in told["briefs"]}
    assert routes["breadth"] == "rules"
    assert routes["technical"] == "anthropic"
    assert told["seconds"] < 60, "nobody waited for the route's own time-out"
