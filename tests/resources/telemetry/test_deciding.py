"""The run's part of a trace: launch, look, think judge, seal; on a real ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from resources.telemetry.deciding import traced_decision
from resources.telemetry.reading import Node, Read, spans_of, trees
from resources.telemetry.ticking import begun, tick
from tests.resources.ledger.entries import DAYS, decision, intent
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.settings import Home
from trading_assets.core.slots import Slot, slots_of
from trading_assets.core.strict_yaml import Strict
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.sealing import ToSeal
from trading_assets.reasoning.model import Abstention, Answer, Ask, Attempt, Budget, Role, Usage
from trading_assets.reasoning.ports import Reasoner

DAY = DAYS[0]
[SLOT] = slots_of(XNYS.session(DAY), ["09:30"])
CORRELATION = f"desk/{DAY}/09:30"


class Words(Strict):
    """A question, or an answer."""

    text: str


ANALYST = Role("technical", Words, Words)
SAID = Answer(
    Words(text="up"),
    "anthropic",
    "model-1",
    "s",
    "p",
    "k",
    Usage(1200, 1000, 80),
    Decimal("0.0012"),
    Decimal(0),
    700,
    False,
    "clean",
    (Attempt("openai", "model-2", "open breaker"),),
)


class Answers:
    """A reasoner that answers at once: the first question by a model, the others by nobody."""

    def gather(self, asks: Sequence[Ask[Any, Any]], **_: object) -> Sequence[Answer[Any] | Abstention]:
        return [SAID if number == 0 else Abstention("no rule") for number, _ in enumerate(asks)]

    def ask(self, *_: object, **__: object) -> Answer[Any] | Abstention:
        return replace(SAID, cached=True)


@dataclass(frozen=True)
class Lane:
    """What a decision is made with."""

    name: str
    ledger: SqlLedger
    counsel: Counsel
    seal: Any
    other: str = "kept"


@pytest.fixture
def lane(home: Home, tmp_path: Path) -> Lane:
    ledger = SqlLedger(open_ledger(tmp_path / "desk.sqlite", durability="NORMAL"), "desk")
    return Lane("desk", ledger, Counsel(cast(Reasoner, Answers()), cast(Any, None)), lambda _: None)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ask() -> Ask[Any, Any]:
    return Ask(ANALYST, Words(text="?"), cast(Budget, None), datetime(2024, 1, 2, tzinfo=UTC))


def decide(lane: Lane, *, slot: Slot = SLOT) -> None:
    """What `decide_due` does with its lane, in its order."""
    with lane.ledger.reading() as ledger:
        ledger.decisions(DAY, DAY)
    lane.counsel.reasoner.gather([ask(), ask()])
    with lane.ledger.session() as ledger:
        ledger.add_decision(decision(DAY, slot.label), [], [], [])
    lane.seal(cast(Sequence[ToSeal], [intent(DAY)]))


def tree_in(home: Home) -> tuple[Node, dict[str, Read]]:
    found = spans_of(home.root / "traces", CORRELATION)
    [tree] = trees(found)
    return tree, {read.name: read for read in found}


def test_a_decision_is_one_tree_from_its_tick_to_its_seals(
    home: Home, lane: Lane, instance: dg.DagsterInstance
) -> None:
    tick("desk", DAY, "09:30", begun())
    ran = dg.materialize([dg.asset(lambda: 1, name="a")], instance=instance)
    with traced_decision(lane, SLOT, run_id=ran.run_id, instance=instance) as traced:
        decide(traced)
        assert traced.other == "kept"
    tree, by_name = tree_in(home)
    assert tree.span.name == "tick"
    assert sorted(below.span.name for below in tree.below) == ["decision", "launch"]
    [inner] = [below for below in tree.below if below.span.name == "decision"]
    assert [below.span.name for below in inner.below] == ["look", "think", "judge", "seal"]
    assert by_name["launch"].ended_ns == by_name["decision"].begun_ns
    assert by_name["judge"].attributes.items() >= {"desk.plans": 1, "desk.state": "ACTIVE"}.items()
    assert by_name["seal"].attributes["desk.intents"] == 1
    assert by_name["decision"].attributes["desk.run"] == ran.run_id
    assert {read.process for read in by_name.values()} == {"daemon", "desk"}


def test_each_question_tells_its_route_tokens_price_and_time(
    home: Home, lane: Lane, instance: dg.DagsterInstance
) -> None:
    with traced_decision(lane, SLOT, run_id="r", instance=instance) as traced:
        answers = traced.counsel.reasoner.gather([ask(), ask()])
        assert [type(each) for each in answers] == [Answer, Abstention]
        assert cast(Any, traced.counsel.reasoner.ask)(ANALYST, Words(text="?"), budget=None, as_of=None).cached
    found = spans_of(home.root / "traces", CORRELATION)
    first, second, third = [read for read in found if read.name == "ask technical"]
    by_attributes = sorted(
        (first, second, third), key=lambda read: (bool(read.error), bool(read.attributes.get("desk.cached")))
    )
    asked, cached, silent = by_attributes
    wanted = {
        "desk.route": "anthropic",
        "gen_ai.request.model": "model-1",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 80,
        "desk.cost_usd": 0.0012,
        "desk.failed": "openai open breaker",
    }
    assert asked.attributes.items() >= wanted.items()
    assert asked.milliseconds == 700
    assert cached.attributes["desk.cached"] is True
    assert (silent.error, silent.attributes["desk.abstained"]) == ("no rule", True)


def test_a_settlement_is_no_judgement_and_a_failure_stands_in_its_span(
    home: Home, lane: Lane, instance: dg.DagsterInstance
) -> None:
    def settle_and_fail(traced: Lane) -> None:
        with traced.ledger.session() as ledger:
            ledger.latest_close(DAY)
        with traced.ledger.session():
            raise DataNotReady("no bars")

    with pytest.raises(DataNotReady), traced_decision(lane, SLOT, run_id="r", instance=instance) as traced:
        settle_and_fail(traced)
    found = [
        read for read in spans_of(home.root / "traces", CORRELATION) if read.name in {"settle", "judge", "decision"}
    ]
    assert [read.name for read in found] == ["decision", "settle", "settle"]
    assert [bool(read.error) for read in found] == [True, False, True]


def test_what_a_traced_transaction_raises_rolls_it_back(home: Home, lane: Lane, instance: dg.DagsterInstance) -> None:
    def decide_and_fail(traced: Lane) -> None:
        with traced.ledger.session() as ledger:
            ledger.add_decision(decision(DAY), [], [], [])
            raise DataNotReady("after all")

    with pytest.raises(DataNotReady), traced_decision(lane, SLOT, run_id="r", instance=instance) as traced:
        decide_and_fail(traced)
    with lane.ledger.reading() as ledger:
        assert ledger.decisions(DAY, DAY) == []


def test_with_traces_off_the_lane_is_the_same_object_and_nothing_is_written(
    home: Home, lane: Lane, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "operations.yaml").write_text("telemetry: {traces: off, logs: text}\n".replace("off", "'off'"))
    monkeypatch.setenv("DESK_CONFIG", str(folder))
    with traced_decision(lane, SLOT, run_id="r", instance=instance) as traced:
        assert traced is lane
    assert not (home.root / "traces").exists()
