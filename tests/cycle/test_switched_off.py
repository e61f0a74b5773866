"""Parameters in a whole cycle: defaults change nothing, a switch keeps its entries on record, the journal tells what counted."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.ledger import schema as t
from resources.ledger.engine import open_ledger, reading
from resources.ledger.verify import verify_ledger
from tests.cycle.worlds import book_at, busy_slot, desk_rules, frames
from tests.execution.world import world_of
from trading_assets.core.parameters import Arm, Change, Parameters, Tuned
from trading_assets.execution.cycle import SlotResult, decide_slot
from trading_assets.execution.looking import look
from trading_assets.execution.thinking import think
from trading_assets.execution.tuning import MONITOR

DAY = timedelta(days=1)


def decided(file: Path, tuned: Tuned | None = None) -> SlotResult:
    """The busy slot by some parameters; looked at first, as the desk does it."""
    rules, world, ledger = desk_rules(), world_of(frames()), book_at(file)
    rules = replace(rules, tuned=tuned) if tuned else rules
    with ledger.reading() as looking:
        view = look(busy_slot(), world, rules, looking)
    thoughts = think(view, rules, world.counsel)
    with ledger.session() as writing:
        return decide_slot(busy_slot(), world, rules, writing, thoughts=thoughts)


def since(days: int = 0, **values: Any) -> Tuned:
    """Changes that count so many days after the busy slot's session."""
    start = busy_slot().session.day + days * DAY
    return Tuned(changes=tuple(Change(name, value, start) for name, value in values.items()))


def notes(file: Path, title: str) -> list[dict[str, Any]]:
    with reading(open_ledger(file, durability="NORMAL", lane="desk")) as connection:
        rows = connection.execute(t.JOURNAL.select().where(t.JOURNAL.c.title == title)).mappings()
        return [json.loads(row["body"]) for row in rows]


def entered(result: SlotResult) -> list[str]:
    return sorted(f"{intent.plan.strategy}@{intent.plan.regime}" for intent in result.intents if intent.plan.opens)


def test_what_counts_from_tomorrow_on_changes_nothing_today(tmp_path: Path) -> None:
    usual = decided(tmp_path / "usual.sqlite")
    later = decided(tmp_path / "later.sqlite", since(1, target_atr=4.0, position_fraction=0.03))
    assert later == usual
    assert notes(tmp_path / "later.sqlite", "parameters in force") == []


def test_what_is_in_force_shapes_the_plans_and_stands_in_the_journal(tmp_path: Path) -> None:
    usual = decided(tmp_path / "usual.sqlite")
    tuned = decided(tmp_path / "tuned.sqlite", since(position_fraction=0.03))
    for plan, smaller in zip(usual.plans, tuned.plans, strict=True):
        assert (plan.entry, plan.stop, plan.target) == (smaller.entry, smaller.stop, smaller.target)
        assert smaller.notional <= 3_000
    assert any(smaller.quantity < plan.quantity for plan, smaller in zip(usual.plans, tuned.plans, strict=True))
    (note,) = notes(tmp_path / "tuned.sqlite", "parameters in force")
    assert "position_fraction 0.03 instead of 0.05; digest " in json.dumps(note)


def test_the_arm_of_an_experiment_stands_in_the_journal_even_where_it_changes_nothing(tmp_path: Path) -> None:
    arms = Tuned(arms=(Arm("wide-targets", "control", {}, frozenset({busy_slot().session.day})),))
    assert decided(tmp_path / "arm.sqlite", arms).plans == decided(tmp_path / "usual.sqlite").plans
    (note,) = notes(tmp_path / "arm.sqlite", "parameters in force")
    assert "experiment wide-targets: arm control" in json.dumps(note)


def test_a_strategy_that_is_switched_off_opens_nothing_and_leaves_a_veto_for_each_entry(tmp_path: Path) -> None:
    usual = decided(tmp_path / "usual.sqlite")
    names = entered(usual)
    assert names, "the busy slot enters something, else this proves nothing"
    off = decided(tmp_path / "off.sqlite", since(switched_off=[names[0]]))
    assert names[0] not in entered(off)
    vetoes = [(plan, verdict) for plan, verdict in off.judged if [b.control for b in verdict.breaches] == [MONITOR]]
    assert {f"{plan.strategy}@{plan.regime}" for plan, _ in vetoes} == {names[0]}
    assert {verdict.ruling for _, verdict in vetoes} == {"veto"}
    assert all(plan in off.plans for plan, _ in vetoes), "they are rows of the plans, so that they can be replayed"
    assert off.decision.vetoes >= len(vetoes)
    told = notes(tmp_path / "off.sqlite", f"entry vetoed, {vetoes[0][0].strategy}")
    assert len(told) >= len(vetoes)


def test_the_ledger_proves_itself_with_withheld_entries_in_it(tmp_path: Path) -> None:
    off = [name.partition("@")[0] for name in entered(decided(tmp_path / "usual.sqlite"))]
    assert entered(decided(tmp_path / "off.sqlite", since(switched_off=sorted(set(off))))) == []
    proof = verify_ledger(open_ledger(tmp_path / "off.sqlite", durability="NORMAL", lane="desk"), head=None)
    assert proof.problems == ()


def test_a_decision_is_the_same_when_it_is_made_again_after_later_changes(tmp_path: Path) -> None:
    first = since(target_atr=3.6)
    again = Tuned(changes=(*first.changes, *since(5, target_atr=4.8, position_fraction=0.03).changes))
    assert decided(tmp_path / "then.sqlite", first) == decided(tmp_path / "now.sqlite", again)


@pytest.mark.parametrize("name", ["pullback", "momentum_breakout@range"])
def test_a_switch_leaves_other_strategies_as_they_are(tmp_path: Path, name: str) -> None:
    usual = decided(tmp_path / "usual.sqlite")
    assert not any(each.startswith(name) for each in entered(usual))
    off = decided(tmp_path / "off.sqlite", Tuned(Parameters(switched_off=(name,))))
    assert [intent.plan for intent in off.intents] == [intent.plan for intent in usual.intents]
