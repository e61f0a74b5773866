"""`desk proposals`, `desk approve`, `desk parameters`: what is open, the operator's word, what is in force, and the way back."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from desk.approve import run_approve, run_proposals
from desk.parameters import run_parameters
from resources.desk import DeskResource
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.parameters import Suggestion
from trading_assets.core.settings import Home

NOW = datetime(2026, 11, 16, 22, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 17, 22, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())


def proposed() -> str:
    """A proposal that waits for the operator."""
    evidence = {"gain_usd": {"mean": 3.1, "low": 0.4, "high": 5.9}, "tried": 8}
    made = Suggestion("target_atr", 3.2, 3.6, "40 trades would have gained", evidence, 40)
    (found,) = (
        DeskResource()
        .proposals()
        .propose([made], session=date(2026, 11, 16), origin="optimizer", days_open=10, as_of=NOW)
    )
    return found.id


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def parameters(capsys: pytest.CaptureFixture[str], **given: Any) -> Any:
    run_parameters(**{"history": "", "rollback": "", "to": None, "reason": "", **given}, as_json=True)
    return shown(capsys)


def test_an_open_proposal_is_listed_with_its_gain_and_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    id_ = proposed()
    run_proposals(everything=False, as_json=True)
    (line,) = shown(capsys)["proposals"]
    assert (line["id"], line["state"], line["gain_usd"], line["tried"]) == (id_, "open", [3.1, 0.4, 5.9], 8)


def test_an_answered_proposal_is_listed_only_where_everything_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    id_ = proposed()
    run_approve(id_, refuse=True, reason="too early", as_json=True)
    assert shown(capsys) == {"proposal": id_, "answer": "refused", "parameter": "target_atr", "reason": "too early"}
    run_proposals(everything=False, as_json=True)
    assert shown(capsys) == {"proposals": []}
    run_proposals(everything=True, as_json=True)
    (line,) = shown(capsys)["proposals"]
    assert (line["state"], line["who"], line["answer_reason"]) == ("refused", "operator", "too early")


def test_what_is_approved_is_shown_as_coming_and_then_as_standing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_approve(proposed(), refuse=False, reason="", as_json=True)
    assert shown(capsys)["from_session"] == "2026-11-17"
    before = parameters(capsys)
    assert (before["then"], before["from"]) == ({"target_atr": "3.6"}, "2026-11-17")
    monkeypatch.setenv("DESK_CLOCK", LATER.isoformat())
    now = {line["name"]: line for line in parameters(capsys)["parameters"]}
    assert (now["target_atr"]["value"], now["target_atr"]["configured"]) == ("3.6", "3.2")
    assert (now["target_atr"]["since"], now["target_atr"]["who"]) == ("2026-11-17", "operator")
    assert now["stop_atr"]["who"] == "configuration"
    assert now["position_fraction"]["bounds"] == "0.03 to 0.1 by 0.01"


def test_the_way_back_is_a_change_with_a_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_approve(proposed(), refuse=False, reason="", as_json=True)
    capsys.readouterr()
    monkeypatch.setenv("DESK_CLOCK", LATER.isoformat())
    (back,) = parameters(capsys, rollback="target_atr", reason="it lost")["rolled_back"]
    assert (back["before"], back["after"], back["from_session"]) == (3.6, 3.2, "2026-11-18")
    history = parameters(capsys, history="target_atr")["changes"]
    assert [each["after"] for each in history] == [3.6, 3.2]
    assert history[1]["reason"] == "rolled back: it lost"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rollback": "target_atr"}, "a name and a reason"),
        ({"rollback": "target", "reason": "x"}, "no such parameter"),
        ({"to": date(2026, 11, 13), "reason": "x"}, "nothing to go back to"),
        ({"history": "target"}, "no such parameter"),
        ({"history": "target_atr", "rollback": "target_atr", "reason": "x"}, "not both"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    given: dict[str, Any], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        parameters(capsys, **given)


def test_an_unknown_proposal_is_refused_with_the_command_that_lists_them() -> None:
    with pytest.raises(PermanentFailure, match="no such proposal.*desk proposals"):
        run_approve("no-such-id", refuse=False, reason="", as_json=True)


def test_the_tables_for_a_person_name_everything(capsys: pytest.CaptureFixture[str]) -> None:
    id_ = proposed()
    run_proposals(everything=False, as_json=False)
    run_parameters(history="", rollback="", to=None, reason="", as_json=False)
    run_parameters(history="stop_atr", rollback="", to=None, reason="", as_json=False)
    told = capsys.readouterr()
    assert id_ in told.out
    assert "target_fraction" in told.out
    assert "stop_atr never moved" in told.err
