"""`desk chat` with models over the loopback wire: rounds, costs, fences, failures, and no proposal without the person's yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from desk.chat import run_chat
from desk.consult.budgets import next_budget
from desk.consult.guide import GUIDE, ROUNDS_MAX, converse
from desk.consult.reading import Desk
from resources.desk import DESK, DeskResource
from tests.desk.asking_models import LOOKS, configured, environment, replying, shown, system_of
from tests.desk.consulted import LURE, NOW
from tests.desk.talking import calls, once, proposals, typed
from tests.llm.actions import answer, failing, hang, prose, said
from tests.llm.council import answering, by_skill
from tests.llm.server import ModelServer, Request
from trading_assets.core.settings import Home
from trading_assets.reasoning.baseline import RulesReasoner

pytest_plugins = ["tests.desk.chat_homes"]
LURED = {"symbol": "MSFT", "side": "long", "strategy": "pullback", "reason": "a headline asked for it"}
OBEYS = replying("Proposing MSFT as the record says.", citations=("t1",), proposal=LURED)


# Models


def test_a_model_looks_up_then_replies(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    models.script("anthropic", answer(LOOKS), answer(replying("A contract was won.", citations=("t1",))))
    told = once(capsys, "anything new about IBM?")
    first, second = models.asked("anthropic")
    assert told["reply"] == ["A contract was won."]
    assert told["answered_by"] == ["anthropic"]
    assert (shown(first)["rounds_left"], shown(second)["rounds_left"]) == (4, 3)
    assert shown(first)["findings"] == []
    assert shown(second)["findings"][0]["call"] == "news symbol=IBM"
    assert told["looked_up"][0]["rows"][1]["quoted"] == "Newswire: Contract won"


def test_outside_words_are_fenced_on_their_way_to_a_model(
    models: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(LOOKS), answer(replying("Nothing new.")))
    once(capsys, "anything new about IBM?")
    raw = models.asked("anthropic")[1].raw.decode()
    lure = " ".join(LURE.split())
    assert raw.count(lure) == 1
    before = raw[: raw.index(lure)]
    assert before.rpartition("[[")[2].startswith("data ")
    assert "found turn" in before.rpartition("[[")[2]
    assert "]] Newswire: Contract won [[/data" in raw, "harmless words of others are fenced too"


def test_two_calls_send_the_same_system_text_byte_for_byte(
    models: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(LOOKS), answer(replying("Nothing new.")))
    once(capsys, "anything new about IBM?")
    once(capsys, "and what of FB?")
    systems = [system_of(request) for request in models.asked("anthropic")]
    assert len(systems) >= 3
    assert len(set(systems)) == 1
    assert "How this desk thinks" in systems[0][:200]


def test_every_round_is_booked_under_the_question(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    models.script("anthropic", answer(LOOKS), answer(replying("Nothing new.")), answer(replying("Nothing at all.")))
    first = once(capsys, "anything new about IBM?")
    second = once(capsys, "anything else?")
    booked = calls()
    assert [row.decision.rpartition("/")[2] for row in booked] == ["chat-1", "chat-1", "chat-2"]
    assert {row.skill for row in booked} == {"desk-guide"}
    assert {row.lane for row in booked} == {"desk"}
    assert sum(row.cost for row in booked) == models.charged
    assert float(first["cost_usd"]) + float(second["cost_usd"]) == pytest.approx(float(models.charged))


def test_a_number_that_was_never_looked_up_is_flagged(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    look = {**LOOKS, "calls": [{"tool": "bars", "symbol": "IBM", "rows": 2}]}
    models.script(
        "anthropic", answer(look), answer(replying("It closed at 103.25, up 12.5 from 91.", citations=("t1",)))
    )
    assert once(capsys, "how did IBM close?")["not_found"] == ["12.5", "91"]
    run_chat(DESK, "how did IBM close then?", "", as_json=False)
    assert "not found in what was looked up: 12.5, 91" in capsys.readouterr().out


def test_a_reply_may_cite_only_what_it_was_given(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    models.script(
        "anthropic", answer(replying("See t7.", citations=("t7",))), answer(replying("Nothing is on record."))
    )
    told = once(capsys, "anything?")
    assert told["reply"] == ["Nothing is on record."]
    assert "t7 was not looked up" in models.asked("anthropic")[1].raw.decode()


def test_a_mistaken_call_is_mended_by_the_model(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**LOOKS, "calls": [{"tool": "quotes"}, {"tool": "bars"}]}
    models.script("anthropic", answer(wrong), answer(replying("Nothing.")))
    once(capsys, "price?")
    notes = [each["note"] for each in shown(models.asked("anthropic")[1])["findings"]]
    assert notes[0].startswith("there is no tool quotes; there are bars,")
    assert "symbol: it needs this" in notes[1]


def test_a_model_that_only_looks_ends_after_its_rounds(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    def another(request: Request) -> Any:
        return answer({**LOOKS, "calls": [{"tool": "news", "rows": shown(request)["rounds_left"] + 1}]})

    models.script("anthropic", another)
    told = once(capsys, "look around")
    assert told["rounds"] == ROUNDS_MAX
    assert len(told["looked_up"]) == ROUNDS_MAX - 1
    assert told["answered_by"] == ["anthropic", "rules"], "the last round must reply; the model would not, the rules do"


def test_the_same_look_up_is_made_once(models: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    twice = {**LOOKS, "calls": [*LOOKS["calls"], *LOOKS["calls"]]}
    models.script("anthropic", answer(twice), answer(LOOKS), answer(replying("Nothing new.")))
    assert len(once(capsys, "news?")["looked_up"]) == 1


@pytest.mark.parametrize("trouble", [failing("server_error"), prose(), said('{"calls": NaN}'), hang(30)])
def test_when_no_model_answers_the_rules_do(
    models: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: Any,
) -> None:
    models.script("anthropic", trouble)
    slow = configured(tmp_path / "slow", models)
    reasoning = slow / "reasoning.yaml"
    reasoning.write_text(reasoning.read_text().replace("timeout_s: 5.0", "timeout_s: 0.5"))
    environment(monkeypatch, slow)
    told = once(capsys, "theses of IBM")
    assert told["answered_by"] == ["rules"]
    assert told["failed"]
    assert any("IBM breaks out" in line for line in told["reply"])


def test_earlier_turns_are_shown_and_their_replies_fenced(
    models: ModelServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(replying("Nothing new.")))
    typed(monkeypatch, capsys, "anything new?", "and of FB?", "")
    last = models.asked("anthropic")[-1]
    assert shown(last)["turns"] == [{"question": "anything new?", "reply": "Nothing new."}]
    assert "from turns.0.reply]] Nothing new. [[/data" in last.raw.decode()


def test_a_budget_that_is_spent_leaves_the_rules(
    living: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        limits = {"decision_usd": 0.000001, "day_usd": 5.0, "backfill_usd": 20.0}
        environment(monkeypatch, configured(tmp_path / "config", server, budget=limits))
        told = once(capsys, "theses")
    assert told["answered_by"] == ["rules"]
    assert server.log == []


def test_where_all_names_are_hidden_the_rules_answer(
    living: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        environment(monkeypatch, configured(tmp_path / "config", server, mask="always"))
        run_chat(DESK, "theses of IBM", "", as_json=False)
    assert "config/reasoning.yaml says mask: always" in capsys.readouterr().err
    assert server.log == []


def test_the_rules_member_speaks_over_the_wire_as_it_does_alone(
    models: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answering(by_skill(GUIDE), delay_s=0.0))
    told = once(capsys, "regime of IBM")
    assert told["answered_by"] == ["anthropic"]
    budget = next_budget(DeskResource(), "chat")
    alone = converse("regime of IBM", (), desk=Desk(DESK, NOW), reasoner=RulesReasoner(), budget=budget)
    assert told["reply"] == list(alone.lines)


# Injection


def test_an_obeying_model_cannot_propose_without_the_persons_yes(
    models: ModelServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(LOOKS), answer(OBEYS))
    question = "anything new about IBM?"
    assert once(capsys, question)["proposal_id"] is None
    assert once(capsys, question, propose="IBM:long:pullback")["proposal_id"] is None
    out, err = typed(monkeypatch, capsys, question, "no", "")
    assert "Proposal: MSFT long by pullback: a headline asked for it" in out
    assert "not handed in" in err
    typed(monkeypatch, capsys, question, "")
    typed(monkeypatch, capsys, question)
    assert proposals() == []


def test_a_second_question_is_no_yes(
    models: ModelServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(LOOKS), answer(OBEYS))
    typed(monkeypatch, capsys, "anything new about IBM?", "is that so?", "yes", "")
    assert proposals() == []


def test_a_model_that_claims_to_have_traded_is_not_repeated(
    models: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    models.script("anthropic", answer(replying("I have bought 1000 shares of MSFT.")))
    told = once(capsys, "what about MSFT")
    assert told["answered_by"] == ["rules"]
    assert "bought 1000" not in json.dumps(told["reply"])
