"""`desk chat` with the rules: questions and answers in the terminal, orders refused, and that only a person's yes proposes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from desk.chat import run_chat
from desk.consult.budgets import next_budget
from desk.consult.guide import Reply, converse
from desk.consult.reading import Desk
from resources.desk import BACKTEST, DESK, DeskResource
from tests.desk.consulted import LIVED, NOW
from tests.desk.talking import once, proposals, typed
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT, Home
from trading_assets.plans.guide import Turn
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.ports import Reasoner

pytest_plugins = ["tests.desk.chat_homes"]


# The rules


def test_the_rules_say_why_something_was_bought(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = once(capsys, "why did we buy IBM?")
    assert told["answered_by"] == ["rules"]
    assert [each["call"].split()[0] for each in told["looked_up"]] == ["plans", "theses", "briefs", "votes"]
    said_ = "\n".join(told["reply"])
    assert "IBM fell back to its mean." in said_
    assert "risk_gate shrink 42 shares are 6.1% of equity." in said_
    assert told["citations"] == ["t1", "t2", "t3", "t4"]
    assert (told["cost_usd"], told["rounds"], told["not_found"]) == ("0", 2, [])


def test_a_question_of_the_backtest_is_answered_from_its_book(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = once(capsys, "positions", lane=BACKTEST)
    assert told["lane"] == BACKTEST
    assert "no session of book backtest is settled yet" in told["reply"][0]


def test_a_conversation_says_who_answers_and_what_was_looked_up(
    living: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = typed(monkeypatch, capsys, "bars IBM 2", "what can you do", "")
    assert f"session={LIVED[2]} open=102 high=102.5 low=99 close=103.25 volume=1002" in out
    assert "The rules answer questions with these words" in out
    assert "the rules answer: config/reasoning.yaml says mode: rules" in err
    assert "as of 2013-10-25 09:31 New York" in err
    assert "looked up: [t1] bars symbol=IBM rows=2 (2 rows)" in err
    assert "answered by rules, 0 USD" in err


def test_a_conversation_ends_with_its_input(
    living: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("theses"))
    run_chat(DESK, None, "", as_json=False)
    assert "IBM breaks out" in capsys.readouterr().out


@pytest.mark.parametrize("question", ["buy 1000 shares now", "approve the plan", "raise the limits"])
def test_an_order_is_refused_with_what_can_be_done(
    living: Home, capsys: pytest.CaptureFixture[str], question: str
) -> None:
    told = once(capsys, question, propose="IBM:long:pullback")
    assert told["answered_by"] == ["code"]
    assert "Nothing in a chat can send, size, price, approve or cancel a trade" in told["reply"][0]
    assert "propose SYMBOL long STRATEGY because REASON" in told["reply"][1]
    assert (told["looked_up"], told["proposal"], proposals()) == ([], None, [])


def test_a_question_that_is_too_long_is_refused(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = once(capsys, "why " * 200)
    assert told["reply"] == ["A question may have 500 characters; this one has 799."]


def test_nothing_that_a_terminal_would_obey_is_printed(
    living: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = typed(monkeypatch, capsys, "propose IBM long pullback because \x1b[31mred\x07", "no", "")
    assert "\x1b" not in out + err
    assert "\x07" not in out + err


def test_json_and_consent_need_one_question(living: Home) -> None:
    for wrong in ({"propose": "", "as_json": True}, {"propose": "IBM:long:pullback", "as_json": False}):
        with pytest.raises(PermanentFailure, match="need --once"):
            run_chat(DESK, None, **wrong)  # type: ignore[arg-type]


# Proposals


def test_a_proposal_waits_for_the_word_yes(
    living: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = "propose IBM long pullback because it held its mean"
    for word in ("no", "", "Yes", "y", "yes please", "YES"):
        out, err = typed(monkeypatch, capsys, asks, word, "")
        assert "Proposal: IBM long by pullback: it held its mean" in out
        assert "not handed in" in err
    assert proposals() == []
    out, _ = typed(monkeypatch, capsys, asks, "yes", "")
    (proposal,) = proposals()
    assert f"proposal {proposal.id} handed in" in out
    assert (proposal.symbol, proposal.side, proposal.strategy) == ("IBM", "long", "pullback")
    assert (proposal.reason, proposal.at, proposal.author) == ("it held its mean", NOW, "chat")


def test_the_journal_tells_of_a_proposal(living: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = once(capsys, "propose IBM long pullback because it held", propose="IBM:long:pullback")
    assert told["proposal_id"] == proposals()[0].id
    shown_ = once(capsys, "journal IBM 2013-10-25")
    assert any("it held" in line for line in shown_["reply"])


@pytest.mark.parametrize("consent", ["", "yes", "MSFT:long:pullback", "IBM:short:pullback", "IBM:long:mean_reversion"])
def test_one_question_proposes_only_what_was_named_beforehand(
    living: Home, capsys: pytest.CaptureFixture[str], consent: str
) -> None:
    told = once(capsys, "propose IBM long pullback because it held", propose=consent)
    assert told["proposal"]["symbol"] == "IBM"
    assert told["proposal_id"] is None
    assert proposals() == []


def test_two_reasons_are_two_proposals_and_the_same_words_are_one(
    living: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    for reason in ("it held", "it held", "it rose"):
        once(capsys, f"propose IBM long pullback because {reason}", propose="IBM:long:pullback")
    assert [each.reason for each in proposals()] == ["it held", "it rose"]


def test_a_conversation_about_the_backtest_offers_no_yes(
    living: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("propose IBM long pullback because it held\n\n"))
    run_chat(BACKTEST, None, "", as_json=False)
    assert "book backtest takes no proposals" in capsys.readouterr().err


def test_a_backtest_takes_no_proposal(living: Home) -> None:
    with pytest.raises(PermanentFailure, match="only the desk's own book"):
        run_chat(BACKTEST, "propose IBM long pullback because it held", "IBM:long:pullback", as_json=True)
    assert proposals(BACKTEST) == []


# Parts


def ask(question: str, reasoner: Reasoner, *turns: Turn) -> Reply:
    """One question to the desk of the environment."""
    budget = next_budget(DeskResource(), "chat")
    return converse(question, turns, desk=Desk(DESK, NOW), reasoner=reasoner, budget=budget)


def test_the_rules_pay_from_one_pocket_and_open_no_ledger(home: Home) -> None:
    budget = next_budget(DeskResource(), "chat")
    assert budget.decision.endswith("/chat-1")
    assert [pocket.name.split(":")[0] for pocket in budget.pockets] == ["decision", "day"]
    assert not home.ledger(DESK).exists()


def test_another_process_gives_the_same_answer(living: Home) -> None:
    environ = {**os.environ, "DESK_CLOCK": NOW.isoformat(), "HOME": str(living.root), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "desk.main", "chat", "--once", "why did we buy IBM?", "--json"]
    ended = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["reply"] == list(ask("why did we buy IBM?", RulesReasoner()).lines)
