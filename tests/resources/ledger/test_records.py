"""Counters of agents, changed parameters, experiments and evaluations."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.engine import reading
from resources.ledger.records import (
    Counted,
    Evaluations,
    Experiment,
    Experiments,
    ParameterChange,
    ParameterChanges,
    SqlAgentHealth,
)
from tests.resources.ledger.calls import NOW, TODAY, processes
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.ports import AgentHealth

TOMORROW = TODAY + timedelta(days=1)


# Agents


def test_counters_add_up_for_each_agent_day_and_route(engine: sa.Engine) -> None:
    health = SqlAgentHealth(engine)
    port: AgentHealth = health
    for day, answers in ((TODAY, 2), (TODAY, 3), (TOMORROW, 1)):
        port.count(
            "technical", "anthropic", day, answers=answers, replays=1, failures=0, cost_usd=Decimal("0.001"),
            latency_ms=700, as_of=NOW,
        )  # fmt: skip
    port.count(
        "technical", "rules", TODAY, answers=1, replays=0, failures=4, cost_usd=Decimal(0), latency_ms=0, as_of=NOW
    )
    assert health.between(TODAY, TODAY) == [
        Counted("technical", "anthropic", TODAY, 5, 2, 0, Decimal("0.002"), 1_400),
        Counted("technical", "rules", TODAY, 1, 0, 4, Decimal(0), 0),
    ]
    assert [each.day for each in health.between(TODAY, TOMORROW)] == [TODAY, TODAY, TOMORROW]
    assert health.between(date(2020, 1, 1), date(2020, 1, 2)) == []


def test_many_counts_are_added_in_one_transaction(engine: sa.Engine) -> None:
    commits: list[object] = []
    sa.event.listen(engine, "commit", commits.append)
    one = Counted("technical", "anthropic", TODAY, answers=1)
    SqlAgentHealth(engine).add([one, one, Counted("news", "anthropic", TODAY, failures=1)], as_of=NOW)
    assert len(commits) == 1
    assert [(each.agent, each.answers) for each in SqlAgentHealth(engine).between(TODAY, TODAY)] == [
        ("news", 0),
        ("technical", 2),
    ]


def test_the_newest_moment_stands(engine: sa.Engine) -> None:
    for moment in (NOW, NOW + timedelta(hours=1), NOW - timedelta(hours=1)):
        SqlAgentHealth(engine).add([Counted("a", "r", TODAY)], as_of=moment)
    with reading(engine) as connection:
        assert connection.execute(sa.select(t.AGENT_HEALTH.c.at)).all() == [("2026-11-20T15:30:00.000000+00:00",)]


@pytest.mark.parametrize(
    "wrong", [{"answers": -1}, {"failures": -1}, {"latency_ms": -1}, {"cost_usd": Decimal("-1e-9")}]
)
def test_counters_only_grow(engine: sa.Engine, wrong: dict[str, int]) -> None:
    with pytest.raises(PermanentFailure, match="only grow"):
        SqlAgentHealth(engine).add([Counted("a", "r", TODAY, **wrong)], as_of=NOW)  # type: ignore[arg-type]
    assert SqlAgentHealth(engine).between(TODAY, TODAY) == []


def test_eight_processes_lose_no_count(engine: sa.Engine, ledger_where: Path | str) -> None:
    processes(*(("add_to_health", ledger_where, 10) for _ in range(8)))
    (only,) = SqlAgentHealth(engine).between(TODAY, TODAY)
    assert (only.answers, only.cost_usd) == (80, Decimal("8e-8"))


# Parameters


def changed(name: str, before: str | None, after: str | None, book: str = "desk") -> ParameterChange:
    return ParameterChange(book, TODAY, name, before, after, "preferences.yaml", "the operator said so")


def test_the_newest_change_of_each_parameter_is_found(engine: sa.Engine) -> None:
    changes = ParameterChanges(engine)
    assert changes.latest("desk") == {}
    changes.record([changed("stop_atr", None, "2.0"), changed("fraction", "0.05", "0.04")], as_of=NOW)
    changes.record([changed("stop_atr", "2.0", "2.5"), changed("stop_atr", "1", "9", book="backtest")], as_of=NOW)
    changes.record([changed("fraction", "0.04", None)], as_of=NOW)
    assert {name: change.after for name, change in changes.latest("desk").items()} == {
        "fraction": None,
        "stop_atr": "2.5",
    }
    assert [(each.before, each.after) for each in changes.history("desk", "stop_atr")] == [
        (None, "2.0"),
        ("2.0", "2.5"),
    ]


@pytest.mark.parametrize("wrong", [changed("a", "1", "1"), changed("a", None, None)])
def test_a_change_that_changes_nothing_is_refused_and_with_it_all(engine: sa.Engine, wrong: ParameterChange) -> None:
    with pytest.raises(PermanentFailure, match="two different values"):
        ParameterChanges(engine).record([changed("b", "1", "2"), wrong], as_of=NOW)
    assert ParameterChanges(engine).latest("desk") == {}


def test_a_change_needs_a_reason(engine: sa.Engine) -> None:
    silent = ParameterChange("desk", TODAY, "a", "1", "2", "preferences.yaml", "  ")
    with pytest.raises(PermanentFailure, match="reason"):
        ParameterChanges(engine).record([silent], as_of=NOW)


# Experiments


def test_every_experiment_is_kept_in_its_order_also_the_same_one_twice(engine: sa.Engine) -> None:
    experiments = Experiments(engine)
    tried = Experiment(
        "wider stop", "mean_reversion", "fewer shake-outs", {"stop_atr": 2.5}, {"sharpe": "0.41", "n": 120}
    )
    other = Experiment("slower exit", "momentum_breakout", "rides longer", {"days": [5, 10]}, {"sharpe": None})
    assert [experiments.record(each, as_of=NOW) for each in (tried, other, tried)] == [1, 2, 3]
    assert [(each.seq, each.experiment, each.at) for each in experiments.of("mean_reversion")] == [
        (1, tried, NOW),
        (3, tried, NOW),
    ]
    assert [each.seq for each in experiments.of()] == [1, 2, 3]
    assert experiments.of("unknown") == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_result_that_is_no_number_is_refused(engine: sa.Engine, number: float) -> None:
    with pytest.raises(PermanentFailure, match="canonical JSON"):
        Experiments(engine).record(Experiment("a", "b", "c", {}, {"sharpe": number}), as_of=NOW)
    assert Experiments(engine).of() == []


# Evaluations


def test_measures_are_stored_once_for_each_content(engine: sa.Engine) -> None:
    evaluations = Evaluations(engine)
    assert evaluations.latest("desk", TODAY) is None
    stored = [
        evaluations.record("desk", TODAY, measures, as_of=NOW)
        for measures in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}, {"a": 1, "b": 3})
    ]
    assert stored == [True, False, True, False]
    assert evaluations.latest("desk", TODAY) == {"a": 1, "b": 3}
    assert evaluations.latest("backtest", TODAY) is None
    assert evaluations.latest("desk", TOMORROW) is None


def test_measures_that_go_back_to_what_they_were_stand_again(engine: sa.Engine) -> None:
    evaluations = Evaluations(engine)
    stored = [evaluations.record("desk", TODAY, {"a": value}, as_of=NOW) for value in (1, 2, 1, 2, 1)]
    assert stored == [True] * 5
    assert evaluations.latest("desk", TODAY) == {"a": 1}


WORTH = st.dictionaries(st.text("abc", min_size=1), st.integers() | st.booleans() | st.none() | st.text('xé\n"\\'))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=WORTH, second=WORTH)
def test_what_stands_is_what_was_recorded_last(
    engine: sa.Engine, first: dict[str, str], second: dict[str, str]
) -> None:
    evaluations = Evaluations(engine)
    evaluations.record("desk", TODAY, first, as_of=NOW)
    assert evaluations.latest("desk", TODAY) == first
    assert evaluations.record("desk", TODAY, second, as_of=NOW) == (first != second or type_differs(first, second))
    assert evaluations.latest("desk", TODAY) == second


def type_differs(first: dict[str, str], second: dict[str, str]) -> bool:
    """`True == 1` in Python, and not in JSON."""
    return repr(sorted(first.items(), key=lambda item: item[0])) != repr(
        sorted(second.items(), key=lambda item: item[0])
    )
