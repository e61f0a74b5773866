"""`desk leak-check` on real bars: the doubles without a key, a model over the wire, what is stored, and how it ends."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
import yaml

from desk.leak_check import EXPECTED, run_leak_check
from resources.desk import DESK, DeskResource
from resources.ledger.records import Experiments
from tests.features.frames import embedded
from tests.llm.actions import Action, answer
from tests.llm.server import ModelServer, Request
from tests.orchestration.homes import Said, living_in
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.reasoning.probes import RECALL_PROBE, TREND_PROBE
from trading_assets.reasoning.prompts import render

pytestmark = pytest.mark.slow

STORED = Span(date(2004, 1, 2), date(2012, 12, 31))
AT = "2026-11-20T12:00:00-05:00"
MODEL = "claude-haiku-5-5"
CASES = 30


@pytest.fixture(scope="module")
def bars_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with real bars of nine years, made once."""
    root = tmp_path_factory.mktemp("leak") / "home"
    with living_in(root, clock=AT):
        inside = pl.col("session").is_between(STORED.first, STORED.last)
        bars, actions = (frame.filter(inside) for frame in embedded())
        DeskResource().lake().write(DAILY_BARS, bars, STORED)
        DeskResource().lake().write(CORPORATE_ACTIONS, actions, STORED)
    return root


@pytest.fixture
def lived(bars_home: Path, tmp_path: Path) -> Iterator[Home]:
    """A copy of it, on a day in November 2026."""
    with living_in(Path(shutil.copytree(bars_home, tmp_path / "home")), clock=AT) as place:
        yield place


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def checked(subject: str = "", cases: int = CASES, *, as_json: bool = True) -> Said:
    """The command; its exit code stands in the result."""
    out, err = StringIO(), StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            run_leak_check(subject, cases, as_json=as_json)
        except typer.Exit as ended:
            code = ended.exit_code
    return Said(code, out.getvalue(), err.getvalue())


def told(said: Said) -> dict[str, Any]:
    assert said.out.count("\n") == 1
    parsed: dict[str, Any] = json.loads(said.out)
    return parsed


def test_without_a_subject_the_check_proves_itself_on_the_doubles(lived: Home) -> None:
    said = checked(cases=200)
    subjects = told(said)["subjects"]
    assert list(subjects) == list(EXPECTED)
    assert {name: one["verdict"] for name, one in subjects.items()} == {
        "memoriser": "memorises", "mixture": "mixed", "reasoner": "reasons", "rules": "reasons"
    }  # fmt: skip
    assert said.code == 0
    assert subjects["memoriser"]["accuracy_named"]["value"] == 1.0
    assert subjects["reasoner"]["recall_answered"]["value"] == 0.0


def test_too_few_cases_to_tell_the_doubles_apart_is_a_failure(lived: Home) -> None:
    assert checked(cases=10).code == 1


@pytest.mark.parametrize(("subject", "code"), [("memoriser", 1), ("mixture", 1), ("reasoner", 0), ("rules", 0)])
def test_a_subject_that_remembers_ends_with_one(lived: Home, subject: str, code: int) -> None:
    said = checked(subject, 200)
    assert said.code == code
    assert list(told(said)["subjects"]) == [subject]


def test_the_table_has_a_line_and_a_sentence_for_each_subject(lived: Home) -> None:
    out = checked(cases=60, as_json=False).out
    for words in ("Leak check: 60 cases", "2012-", "memoriser: memorises: it is right in", "reasoner: reasons:"):
        assert words in out
    assert not out.startswith("{")


def test_each_result_is_stored_with_what_it_was_made_of(lived: Home) -> None:
    numbers = told(checked("reasoner"))["subjects"]["reasoner"]
    (tried,) = Experiments(DeskResource().engine(DESK)).of("reasoner")
    assert tried.experiment.name == "leak-check"
    assert tried.experiment.result == numbers
    assert tried.experiment.parameters["cases"] == CASES
    assert str(tried.experiment.parameters["last_session"]) <= "2012-12-31"
    assert tried.at == DeskResource().clock().now()


def test_the_same_bars_give_the_same_numbers(lived: Home) -> None:
    assert checked("mixture").out == checked("mixture").out


def test_prices_are_those_of_the_session_and_no_split_is_a_move(lived: Home) -> None:
    from desk.leak_check import _histories

    histories = _histories(DeskResource())
    raw = {(row["symbol"], row["session"]): row["close"] for row in embedded()[0].iter_rows(named=True)}
    assert len(histories) >= 4
    for symbol, closes in histories.items():
        assert all(close.traded_usd == raw[symbol, close.session] for close in closes)
        moves = [after.adjusted_usd / before.adjusted_usd for before, after in pairwise(closes)]
        assert min(moves) > 0.6, "Apple's split of 2005 is taken out"
        assert closes[-1].adjusted_usd == closes[-1].traded_usd


def test_nothing_after_the_desks_clock_is_asked_about(lived: Home) -> None:
    with living_in(lived.root, clock="2009-06-30T18:00:00-04:00"):
        checked("rules")
        (tried,) = Experiments(DeskResource().engine(DESK)).of("rules")
        assert str(tried.experiment.parameters["last_session"]) < "2009-06-30"


# Requests that are wrong


@pytest.mark.parametrize("cases", [0, -1, 5_001])
def test_a_number_of_cases_that_makes_no_sense_is_refused(lived: Home, cases: int) -> None:
    with pytest.raises(PermanentFailure, match="1 to 5000"):
        checked(cases=cases)


@pytest.mark.parametrize("subject", ["oracle", ":", "anthropic:", ":claude", "Memoriser"])
def test_an_unknown_subject_names_those_that_there_are(lived: Home, subject: str) -> None:
    with pytest.raises(PermanentFailure, match="no such subject.*memoriser.*route"):
        checked(subject)


def test_an_empty_lake_names_what_fills_it(home: Home) -> None:
    with pytest.raises(DataNotReady, match="desk ingest"):
        checked()


def test_with_mode_rules_no_model_is_asked(lived: Home) -> None:
    with pytest.raises(PermanentFailure, match=r"no model may be asked.*mode: rules.*reasoning.yaml"):
        checked(f"anthropic:{MODEL}")


# A model over the wire


def configured(folder: Path, server: ModelServer, *, mode: str = "models") -> Path:
    """The committed configuration, with the anthropic route on the loopback server."""
    shutil.copytree(PROJECT / "config", folder)
    path = folder / "reasoning.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["mode"] = mode
    for route in settings["routes"]:
        if route["name"] == "anthropic":
            route["base_url"] = server.url("anthropic")
    path.write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture
def asked(lived: Home, models: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-anthropic-1234567890")
    with living_in(lived.root, clock=AT, config=configured(tmp_path / "config", models)):
        yield models


def question(request: Request) -> dict[str, Any]:
    """The inputs at the end of what the model was sent."""
    content = request.body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    parsed: dict[str, Any] = json.loads(text[text.index("{") :])
    return parsed


def by_heart(outcomes: Mapping[tuple[str, str], str]) -> Callable[[Request], Action]:
    """A model that knows what happened, by symbol and day."""

    def said(request: Request) -> Action:
        inputs = question(request)
        otherwise = "up" if "closes" in inputs else "unknown"
        direction = outcomes.get((inputs["symbol"], inputs["session"]), otherwise)
        return answer({"direction": direction, "confidence": 0.7})

    return said


def by_prices(request: Request) -> Action:
    """A model that goes with the last ten moves."""
    inputs = question(request)
    closes = inputs.get("closes")
    direction = "unknown" if closes is None else "up" if closes[-1] > closes[-11] else "down"
    return answer({"direction": direction, "confidence": 0.6})


def outcomes() -> Mapping[tuple[str, str], str]:
    from desk.leak_check import _histories
    from trading_assets.reasoning.probes import cases_of

    found = cases_of(_histories(DeskResource()), count=CASES)
    return {(case.inputs.symbol, case.inputs.session.isoformat()): case.outcome for case in found}


def test_a_model_that_knows_the_past_by_heart_is_found_out(asked: ModelServer) -> None:
    asked.script("anthropic", by_heart(outcomes()))
    said = checked(f"anthropic:{MODEL}")
    numbers = told(said)["subjects"][f"anthropic:{MODEL}"]
    assert (said.code, numbers["verdict"]) == (1, "memorises")
    assert numbers["accuracy_named"]["value"] == numbers["recall_accuracy"]["value"] == 1.0
    assert numbers["leakage"] == {"clean": 0, "contaminated": CASES, "unknown": 0}


def test_a_model_that_reads_the_prices_is_not_suspected_and_sees_names_only_where_it_should(asked: ModelServer) -> None:
    asked.script("anthropic", by_prices)
    said = checked(f"anthropic:{MODEL}")
    numbers = told(said)["subjects"][f"anthropic:{MODEL}"]
    assert (said.code, numbers["verdict"]) == (0, "reasons")
    assert numbers["recall_answered"]["value"] == 0.0
    inputs = [question(request) for request in asked.log]
    masked = [one for one in inputs if one["symbol"] == "ASSET_A"]
    assert 0 < len(masked) <= CASES
    assert {one["session"] for one in masked} == {"2100-01-01"}
    named = {one["symbol"] for one in inputs} - {"ASSET_A"}
    assert named == {symbol for symbol, _ in outcomes()}
    assert all(one["session"] < "2013" for one in inputs if one["symbol"] in named)


def test_the_bill_is_said_before_the_first_question_and_every_answer_is_asked_once(asked: ModelServer) -> None:
    asked.script("anthropic", by_prices)
    first = checked(f"anthropic:{MODEL}")
    assert f"anthropic:{MODEL}: {6 * CASES} calls, 0 answers on record; about 0." in first.err
    sent = len(asked.log)
    # Masked questions of different cases can be the same question.
    assert 5 * CASES < sent <= 6 * CASES
    again = checked(f"anthropic:{MODEL}")
    assert len(asked.log) == sent, "the second time the record answers"
    assert f"0 calls, {6 * CASES} answers on record; about 0.0000 USD" in again.err
    assert again.out == first.out


def test_what_the_rules_say_in_a_models_place_is_no_answer_of_the_model(asked: ModelServer) -> None:
    asked.script("anthropic", answer({"direction": "sideways", "confidence": 0.5}))
    said = checked(f"anthropic:{MODEL}", 5)
    numbers = told(said)["subjects"][f"anthropic:{MODEL}"]
    assert numbers["answered"] == 0
    assert numbers["verdict"] == "cannot tell"


def test_a_missing_key_is_named_before_anything_is_asked(asked: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(PermanentFailure, match="cannot answer.*ANTHROPIC_API_KEY"):
        checked(f"anthropic:{MODEL}")
    assert asked.log == []


def test_a_model_without_a_price_is_not_asked(asked: ModelServer) -> None:
    with pytest.raises(PermanentFailure, match="cannot answer.*price is unknown"):
        checked("anthropic:claude-unheard-of")
    assert asked.log == []


def test_a_route_that_is_not_enabled_is_refused(asked: ModelServer) -> None:
    with pytest.raises(PermanentFailure, match=r"not enabled.*gemini.*anthropic, openai"):
        checked("gemini:gemini-3.8-flash")


def test_a_bill_beyond_a_backfills_budget_is_refused(asked: ModelServer, tmp_path: Path) -> None:
    path = tmp_path / "config" / "reasoning.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["budget"]["backfill_usd"] = 0.01
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(PermanentFailure, match=r"cost more than a backfill may.*--cases"):
        checked(f"anthropic:{MODEL}")
    assert asked.log == []


def test_a_broken_registry_stops_the_check(asked: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "config" / "models.yaml").write_text("models: {}")
    with pytest.raises(ConfigurationError, match="models.yaml"):
        checked(f"anthropic:{MODEL}")


def test_with_the_network_off_the_record_answers_or_nobody(asked: ModelServer, tmp_path: Path) -> None:
    asked.script("anthropic", by_prices)
    first = checked(f"anthropic:{MODEL}")
    asked.close()
    path = tmp_path / "config" / "reasoning.yaml"
    path.write_text(path.read_text().replace("mode: models", "mode: replay_only"))
    assert checked(f"anthropic:{MODEL}").out == first.out
    with pytest.raises(PermanentFailure, match="no answer of skill trend-probe is recorded"):
        checked(f"anthropic:{MODEL}", 31)


def test_the_probes_skills_agree_with_their_types_and_render_their_samples(lived: Home) -> None:
    skills = DeskResource().skills().take()
    for role in (TREND_PROBE, RECALL_PROBE):
        skill = skills[role.skill]
        assert (skill.input_schema, skill.output_schema) == (role.inputs.__name__, role.output.__name__)
        assert skill.tier == "cheap"
        (sample,) = (PROJECT / "skills" / role.skill / "samples").glob("*.json")
        prompt = render(skill, skills.doctrine, role.inputs.model_validate_json(sample.read_text()), role.output)
        assert prompt.user.endswith("}")


def test_every_session_that_is_asked_about_is_one(lived: Home) -> None:
    assert all(XNYS.is_session(date.fromisoformat(day)) for _, day in outcomes())
