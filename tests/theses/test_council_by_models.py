"""The council asked over the wire: real routes, masks and ledger against a scripted model server."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from resources.ledger.engine import open_ledger
from tests.llm.actions import Action, answer
from tests.llm.desks import LONG_AGO, Desk
from tests.llm.server import ModelServer, Request
from tests.theses.test_council_injections import COUNCIL, questions
from trading_assets.agents import SKILLS
from trading_assets.plans.choosing import choice_of
from trading_assets.plans.personas import votes_of
from trading_assets.reasoning.model import Answer, Ask
from trading_assets.reasoning.prompts import INPUTS_HEAD
from trading_assets.theses.debate import cases_of
from trading_assets.theses.stance import stance_of
from trading_assets.theses.strategist import updates_of

REAL = ("AAA", "BBB", "2012-06-14")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with the committed skills of the council."""
    for name in COUNCIL:
        shutil.copytree(SKILLS / name, tmp_path / "skills" / name)
    engine = open_ledger(tmp_path / "ledger" / "desk.sqlite", durability="NORMAL")
    with ModelServer() as server:
        made = Desk(engine, server, tmp_path / "skills", budget={"decision_usd": 0.5, "calls_per_decision_max": 60})
        yield made
        made.close()
    engine.dispose()


def asked_in(request: Request) -> tuple[str, dict[str, Any]]:
    """Who is asked, and the inputs as the model sees them."""
    texts = list(strings(request.body))
    (role,) = {found for text in texts for found in re.findall(r"# Your role: ([a-z-]+)", text)}
    (inputs,) = (text.split(INPUTS_HEAD, 1)[1] for text in texts if INPUTS_HEAD in text)
    return role, json.JSONDecoder().raw_decode(inputs)[0]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def model(change: Callable[[str, dict[str, Any]], None] = lambda _role, _said: None) -> Callable[[Request], Action]:
    """A model that answers each voice's question properly, but for what is changed."""

    def script(request: Request) -> Action:
        role, inputs = asked_in(request)
        said = proper(role, inputs)
        change(role, said)
        return answer(said)

    return script


def proper(role: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    if role.endswith("researcher"):
        return {"arguments": [argument(dossier) for dossier in inputs["dossiers"]]}
    if role == "chief":
        return {
            "stance": "cautious",
            "size_fraction": 0.5,
            "strategies": inputs["strategies"][:1],
            "reasons": ["Less is known."],
        }
    if role == "strategist":
        first = inputs["symbols"][0]
        backing = {"source": first["sources"][0], "supports": True, "bucket": "small"}
        told = {
            "symbol": first["symbol"],
            "direction": "long",
            "action": "hold",
            "horizon": "swing",
            "claim": "It goes on.",
        }
        return {"updates": [{**told, "evidence": [backing]}]}
    if role == "trader":
        return {"chosen": [inputs["candidates"][0]["id"]], "reasons": ["It is the best."]}
    return {"votes": [{"id": one["id"], "vote": 0.4, "reason": "It fits."} for one in inputs["candidates"]]}


def argument(dossier: Mapping[str, Any]) -> dict[str, Any]:
    point = {"says": f"What {dossier['symbol']} shows is good.", "evidence": [dossier["briefs"][0]["id"]]}
    return {"symbol": dossier["symbol"], "strength": 0.6, "points": [point]}


def asks() -> dict[str, Ask[Any, Any]]:
    return dict(questions("Orders rise at AAA, said AAA on 2012-06-14."))


def heard(desk: Desk, which: Mapping[str, Ask[Any, Any]]) -> dict[str, Answer[Any]]:
    """What comes back of a session of the past; everybody must answer."""
    budget = desk.past_money()
    sent = [Ask(ask.role, ask.inputs, budget, LONG_AGO) for ask in which.values()]
    said = dict(zip(which, desk.reasoner().gather(sent), strict=True))
    assert all(isinstance(one, Answer) for one in said.values()), said
    return {name: one for name, one in said.items() if isinstance(one, Answer)}


def test_the_whole_council_is_asked_masked_and_answers_in_real_names(desk: Desk) -> None:
    desk.server.script("anthropic", model())
    which = asks()
    said = heard(desk, which)
    assert {one.route for one in said.values()} == {"anthropic"}
    assert len(desk.server.log) == len(COUNCIL)
    shown = "".join(request.raw.decode() for request in desk.server.log)
    assert [word for word in REAL if re.search(rf"(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9])", shown)] == []
    bull: Any = which["bull-researcher"]
    cases = cases_of(bull, said["bull-researcher"])
    assert [(one.case.symbol, one.case.points) for one in cases] == [
        ("AAA", ("What AAA shows is good.",)),
        ("BBB", ("What BBB shows is good.",)),
    ]
    assert all(one.citations for one in cases)
    stance = stance_of(which["chief"], said["chief"])
    assert stance is not None
    assert (stance.stance, stance.size_fraction, stance.route) == ("cautious", 0.5, "anthropic")
    assert [one.symbol for one in updates_of(which["strategist"], said["strategist"])] == ["AAA"]
    assert [key[1] for key in choice_of(which["trader"], said["trader"])] == ["BBB"]
    votes = votes_of("macro-persona", which["macro-persona"], said["macro-persona"])
    assert sorted((one.symbol, one.vote) for one in votes) == [("AAA", 0.4), ("AAA", 0.4), ("BBB", 0.4)]


def foreign(role: str, said: dict[str, Any]) -> None:
    """Every voice speaks of something that it was not asked about."""
    if role.endswith("researcher"):
        said["arguments"][0]["symbol"] = "ASSET_Z"
    elif role == "chief":
        said["strategies"] = ["buy_everything"]
    elif role == "strategist":
        said["updates"][0]["symbol"] = "ASSET_Z"
    elif role == "trader":
        said["chosen"] = ["k99"]
    else:
        said["votes"] = said["votes"][1:]


def test_voices_that_leave_their_list_are_asked_again_and_then_the_rules_answer(desk: Desk) -> None:
    desk.server.script("anthropic", model(foreign))
    desk.server.script("openai", model(foreign))
    desk.breaker = {"failures_max": 20}
    said = heard(desk, asks())
    assert {one.route for one in said.values()} == {"rules"}
    assert all(one.failed for one in said.values())
    complaints = [text for request in desk.server.log for text in strings(request.body) if "is none of" in text]
    assert complaints
    assert not any(re.search(r"\bAAA\b", text) for text in complaints)
