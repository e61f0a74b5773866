"""The record: a question is answered once; from then on, with the network off, the record says the same, or raises."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from resources.ledger import schema as t
from resources.ledger.engine import transaction
from resources.llm.inquiry import NO_OPINION
from resources.llm.recording import (
    REASONING_VERSION,
    Asked,
    Candidate,
    MissingAnswer,
    Recorded,
    candidates,
    key_of,
    read,
    record_of,
    schema_of,
    value_of,
)
from tests.llm.actions import Action, answer, dropped, failing, prose, refusal, truncated
from tests.llm.desks import (
    CHEAP,
    DAY,
    GOOD,
    JUDGE,
    LONG_AGO,
    MUTE,
    NOON,
    Desk,
    Ruling,
    answered,
    number_in,
    seen,
    write_skill,
)
from tests.llm.server import Request
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.reasoning.model import TIERS, Abstention, Answer
from trading_assets.reasoning.prompts import Prompt
from trading_assets.reasoning.settings import RouteSettings

PROJECT = Path(__file__).parents[2]
ROUTE = RouteSettings(name="anthropic", enabled=True, models={"cheap": CHEAP}, key_variable="K", effort="low")
ASKED = Asked("judge", "a" * 64, Prompt("system", "user", "b" * 64), schema_of(Ruling), '{"number":1}', "1")


def faulty(request: Request) -> Action:
    """Good answers with faults between them, the same for each question every time."""
    number = number_in(request)
    bad = {3: prose(), 5: failing("server_error"), 7: refusal(), 11: truncated(), 13: dropped(0.5)}
    for divisor, action in bad.items():
        if number % divisor == 0 and number:
            return action
    return answer({**GOOD, "signal": (number % 200) / 200, "reasons": [f"ASSET_A, reason {number}."]})


def values(said: Any) -> list[str]:
    """Each answer's value as JSON, or what an abstention says."""
    return [one.value.model_dump_json() if isinstance(one, Answer) else one.reason for one in said]


def test_a_backfill_with_the_network_off_is_byte_identical_and_free(any_desk: Desk) -> None:
    count = 300 if any_desk.engine.dialect.name == "sqlite" else 60
    any_desk.server.script("anthropic", faulty)
    any_desk.server.script("openai", lambda request: failing("overloaded") if number_in(request) % 2 else answer(GOOD))
    any_desk.budget = {"backfill_usd": 20.0}
    any_desk.breaker = {"failures_max": 20, "cooldown_s": 0.001}
    questions = [seen(number, symbol=f"SYM{number}", closes=(100.0 + number, 99.0)) for number in range(count)]
    budgets = [any_desk.past_money(f"d{number}") for number in range(count)]
    asking: dict[str, Any] = {"budget": budgets, "as_of": [LONG_AGO] * count}
    first = any_desk.reasoner(in_flight_max=16).ask_many(MUTE, questions, **asking)
    routes = {one.route if isinstance(one, Answer) else "nobody" for one in first}
    assert {"anthropic", "openai", "nobody"} <= routes
    paid = any_desk.booked()
    any_desk.close()
    any_desk.server.close()
    replay = any_desk.reasoner(mode="replay_only", keys={}).ask_many(MUTE, questions, **asking)
    assert values(replay) == values(first)
    assert all(one.cost_usd == 0 and one.cached for one in replay if isinstance(one, Answer))
    assert [getattr(one, "key", "") for one in replay] == [getattr(one, "key", "") for one in first]
    assert [getattr(one, "leakage", "") for one in replay] == [getattr(one, "leakage", "") for one in first]
    assert any_desk.booked() == paid


def test_a_replay_imports_no_model_client_and_opens_no_socket(desk: Desk, tmp_path: Path) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON)
    code = """
import socket, sys
def refuse(*_): raise OSError("no sockets here")
socket.socket.connect = refuse
from resources.ledger.engine import open_ledger
from tests.llm.desks import *
class Nobody:
    def url(self, name): return "http://127.0.0.1:9/x"
desk = Desk(open_ledger(Path(sys.argv[1]), durability="FULL"), Nobody(), Path(sys.argv[2]), mode="replay_only", keys={})
said = desk.reasoner().ask(JUDGE, seen(1), budget=desk.desk_money(), as_of=NOON)
print(said.value.signal, said.cached, said.cost_usd, said.route)
print(sorted(name for name in ("pydantic_ai", "anthropic", "openai", "google.genai", "httpx2") if name in sys.modules))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "ledger" / "desk.sqlite"), str(desk.folder)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["0.25 True 0 anthropic", "[]"], ran.stderr


def test_a_question_without_a_record_raises_and_names_skill_key_and_next_step(any_desk: Desk) -> None:
    reasoner = any_desk.reasoner(mode="replay_only")
    with pytest.raises(MissingAnswer, match="skill judge") as missing:
        reasoner.ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    assert len(str(missing.value.value)) == 64
    assert "mode: models" in missing.value.hint
    with pytest.raises(MissingAnswer, match="2 of 2"):
        reasoner.ask_many(JUDGE, [seen(1), seen(2)], budget=any_desk.desk_money(), as_of=[NOON, NOON])


def _edited_skill(desk: Desk) -> None:
    write_skill(desk.folder, persona="Another judge.")


def _effort(desk: Desk) -> None:
    raw = desk.settings.model_copy()
    route = raw.routes[0].model_copy(update={"effort": "high"})
    desk.settled = raw.model_copy(update={"mode": "replay_only", "routes": (route,)})


def _model(desk: Desk) -> None:
    desk.models = {"anthropic": {"cheap": "claude-haiku-4-5"}}


def _version(desk: Desk) -> None:
    desk.version = "another"


@pytest.mark.parametrize("change", [_edited_skill, _effort, _model, _version])
def test_what_changes_the_answer_makes_the_record_another_one(desk: Desk, change: Any) -> None:
    desk.routes = ("anthropic",)
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert answered(desk.reasoner(mode="replay_only").ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)).cached
    change(desk)
    with pytest.raises(MissingAnswer):
        desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)


def test_what_does_not_change_the_answer_finds_the_record_again(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    desk.budget = {"decision_usd": 0.002, "output_tokens_max": 500}
    desk.timeout_s = 3.0
    desk.clock.move(86_400)
    said = desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money("another-decision"), as_of=LONG_AGO)
    assert answered(said).cached
    assert len(desk.server.log) == 1


def test_a_route_that_answered_in_place_of_the_first_is_found_before_the_first_is_asked(desk: Desk) -> None:
    desk.server.script("anthropic", failing("server_error"))
    desk.server.script("openai", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    desk.server.script("anthropic", answer(GOOD))
    again = answered(desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON))
    assert (again.route, again.cached, len(desk.server.asked("anthropic"))) == ("openai", True, 1)


def test_what_the_rules_said_is_replayed_and_never_served_to_a_model_run(any_desk: Desk) -> None:
    for provider in ("anthropic", "openai"):
        any_desk.server.script(provider, failing("server_error"))
    first = answered(any_desk.reasoner().ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    replay = any_desk.reasoner(mode="replay_only")
    again = answered(replay.ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON))
    assert (first.route, again.route, again.cached, again.value, again.key) == (
        "rules", "rules", True, first.value, first.key,
    )  # fmt: skip
    any_desk.server.script("anthropic", answer(GOOD))
    model = any_desk.reasoner(mode="models").ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    assert (answered(model).route, answered(model).cached) == ("anthropic", False)
    last = replay.ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    assert answered(last).route == "anthropic"


def test_an_abstention_is_replayed(desk: Desk) -> None:
    desk.keys = {}
    assert isinstance(desk.reasoner().ask(MUTE, seen(), budget=desk.desk_money(), as_of=NOON), Abstention)
    again = desk.reasoner(mode="replay_only").ask(MUTE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert again == Abstention(NO_OPINION)


def test_two_questions_that_look_alike_when_masked_share_a_model_answer_but_not_the_rules(desk: Desk) -> None:
    alike = [seen(symbol="AAA", closes=(50.0, 51.0)), seen(symbol="BBB", closes=(100.0, 102.0))]
    desk.keys = {}
    rules = [desk.reasoner().ask(JUDGE, one, budget=desk.past_money(), as_of=LONG_AGO) for one in alike]
    assert len({answered(one).key for one in rules}) == 2
    desk.keys = {"ANTHROPIC_API_KEY": "key-for-anthropic-1234567890"}
    desk.server.script("anthropic", answer({**GOOD, "reasons": ["ASSET_A is fine."]}))
    said = [answered(desk.reasoner().ask(JUDGE, one, budget=desk.past_money(), as_of=LONG_AGO)) for one in alike]
    assert [one.value.reasons for one in said] == [("AAA is fine.",), ("BBB is fine.",)]
    assert (said[0].key, len(desk.server.log)) == (said[1].key, 1)


# Damage


def _damage(engine: sa.Engine, column: str, words: str) -> None:
    with transaction(engine) as connection:
        names = connection.execute(
            sa.text("select name from sqlite_master where type='trigger' and tbl_name='answers'")
        )
        trigger: str
        for trigger in list(names.scalars()):
            connection.execute(sa.text(f'drop trigger "{trigger}"'))
        connection.execute(sa.update(t.ANSWERS).values({column: words}))


@pytest.mark.parametrize("mode", ["models", "replay_only"])
@pytest.mark.parametrize(
    ("column", "words"),
    [("response", f'{{"value":{json.dumps(GOOD)}}}'), ("response", "{"), ("digest", "0" * 64), ("model", "x")],
)
def test_a_damaged_record_raises_in_every_mode_and_is_never_a_miss(
    desk: Desk, mode: str, column: str, words: str
) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    _damage(desk.engine, column, words)
    with pytest.raises(PermanentFailure, match="damaged"):
        desk.reasoner(mode=mode).ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    assert len(desk.server.log) == 1


def test_a_record_that_does_not_fit_its_type_raises(desk: Desk) -> None:
    candidate = Candidate(ROUTE, CHEAP)
    record = record_of(candidate, ASKED, Recorded(value={"signal": 7}))
    with pytest.raises(PermanentFailure, match="cannot be read"):
        value_of(record, read(record), Ruling)
    with pytest.raises(PermanentFailure, match="cannot be read"):
        read(replace(record, response='{"value":{},"more":1}'))


# Two processes


def test_of_two_answers_to_one_question_the_first_one_stands_and_both_are_paid(any_desk: Desk) -> None:
    def slowly(signal: float) -> Action:
        return replace(answer({**GOOD, "signal": signal}), delay_s=0.3)

    any_desk.server.script("anthropic", slowly(0.1), slowly(0.2))
    one, other = any_desk.reasoner(), any_desk.reasoner()
    with ThreadPoolExecutor(2) as threads:
        jobs = [
            threads.submit(who.ask, JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON) for who in (one, other)
        ]
        said = [answered(job.result()) for job in jobs]
    assert said[0].value == said[1].value
    assert len(any_desk.records()) == 1
    assert any_desk.booked() == any_desk.server.charged
    assert len(any_desk.calls()) == 2
    replay = any_desk.reasoner(mode="replay_only").ask(JUDGE, seen(), budget=any_desk.desk_money(), as_of=NOON)
    assert answered(replay).value == said[0].value


# Keys


def test_the_key_of_a_known_question_is_pinned() -> None:
    """A change of this digest makes every record unreadable: raise REASONING_VERSION and say so in the changelog."""
    assert REASONING_VERSION == "1"
    asked = replace(ASKED, schema="{}")
    assert key_of(Candidate(ROUTE, CHEAP), asked) == "421c511d785b75c82486b54468f27a9543c31263231b98fbb945ef53bc548c53"
    assert key_of(None, asked) == "ccac9e8220efde65c461416e67c97b341d3212ff5eb1aa3f6a67bc4d02897002"


def _variants() -> Iterator[tuple[str, Candidate | None, Asked]]:
    candidate = Candidate(ROUTE, CHEAP)
    yield "same", candidate, ASKED
    yield "route", Candidate(ROUTE.model_copy(update={"name": "openai"}), CHEAP), ASKED
    yield "model", Candidate(ROUTE, "claude-haiku-4-5"), ASKED
    yield "effort", Candidate(ROUTE.model_copy(update={"effort": None}), CHEAP), ASKED
    yield "search", Candidate(ROUTE.model_copy(update={"search": True}), CHEAP), ASKED
    yield "skill", candidate, replace(ASKED, skill="other")
    yield "skill hash", candidate, replace(ASKED, skill_hash="c" * 64)
    yield "prompt", candidate, replace(ASKED, prompt=Prompt("system", "user", "c" * 64))
    yield "schema", candidate, replace(ASKED, schema="{}")
    yield "version", candidate, replace(ASKED, version="2")
    yield "rules", None, ASKED
    yield "rules, other inputs", None, replace(ASKED, inputs="{}")


def test_whatever_shapes_an_answer_is_in_its_key() -> None:
    keys = {name: key_of(candidate, asked) for name, candidate, asked in _variants()}
    assert len(set(keys.values())) == len(keys)


def test_what_does_not_shape_an_answer_is_not_in_its_key() -> None:
    slow = ROUTE.model_copy(update={"timeout_s": 1.0, "base_url": "http://127.0.0.1:9", "key_variable": "OTHER"})
    assert key_of(Candidate(slow, CHEAP), ASKED) == key_of(Candidate(ROUTE, CHEAP), ASKED)
    assert key_of(Candidate(ROUTE, CHEAP), replace(ASKED, inputs="{}")) == key_of(Candidate(ROUTE, CHEAP), ASKED)


def test_a_record_holds_the_whole_request_in_words() -> None:
    request = json.loads(record_of(Candidate(ROUTE, CHEAP), ASKED, Recorded(value=None)).request)
    assert (request["system"], request["user"]) == ("system", "user")
    assert request["schema"] == Ruling.model_json_schema()
    assert request["identity"]["settings"] == {"effort": "low"}


@settings(max_examples=25)
@given(
    signal=st.floats(-1, 1),
    reasons=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5),
    tokens=st.integers(0, 10**6),
)
def test_a_recorded_answer_comes_back_to_the_bit(signal: float, reasons: list[str], tokens: int) -> None:
    value = Ruling(signal=signal, reasons=tuple(reasons), evidence=("p1",))
    recorded = Recorded(value=value.model_dump(mode="json"), input_tokens=tokens)
    try:
        record = record_of(Candidate(ROUTE, CHEAP), ASKED, recorded)
        record.response.encode()
    except (UnicodeEncodeError, ValueError):
        return
    back = read(record)
    assert back == recorded
    assert value_of(record, back, Ruling).model_dump_json() == value.model_dump_json()


def test_candidates_stand_by_tier_then_by_route_and_none_twice() -> None:
    models = {"cheap": "c", "standard": "s", "strong": "x"}
    one = ROUTE.model_copy(update={"models": models})
    two = ROUTE.model_copy(update={"name": "openai", "models": {"cheap": "c", "strong": "c"}})
    names = {tier: [(c.route.name, c.model) for c in candidates((one, two), tier)] for tier in TIERS}
    assert names["cheap"] == [("anthropic", "c"), ("openai", "c")]
    assert names["standard"] == [("anthropic", "s"), ("anthropic", "c"), ("openai", "c")]
    assert names["strong"] == [("anthropic", "x"), ("openai", "c"), ("anthropic", "s"), ("anthropic", "c")]


def test_an_output_type_that_could_carry_more_than_its_fields_is_refused() -> None:
    class Open(BaseModel):
        text: str

    class Holder(BaseModel):
        model_config = ConfigDict(extra="forbid")
        inner: Open

    class Loose(BaseModel):
        model_config = ConfigDict(extra="forbid")
        anything: dict[str, int]

    for output in (Open, Holder, Loose):
        with pytest.raises(ConfigurationError, match="forbid"):
            schema_of(output)


def test_replays_are_counted_for_the_agent(desk: Desk) -> None:
    desk.server.script("anthropic", answer(GOOD))
    desk.reasoner().ask(JUDGE, seen(), budget=desk.desk_money(), as_of=NOON)
    replay = desk.reasoner(mode="replay_only")
    replay.ask_many(JUDGE, [seen()] * 5, budget=desk.desk_money(), as_of=[NOON] * 5)
    [counted] = replay._stores.health.between(DAY, DAY)
    assert (counted.answers, counted.replays) == (1, 5)
