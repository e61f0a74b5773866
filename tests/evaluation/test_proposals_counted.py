"""Moves that the record supports: enough trades, an interval above nothing, and every try paid for."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from tests.evaluation.books import day
from tests.evaluation.pasts import NEAR, history, record
from trading_assets.core.learning import ProposalRules
from trading_assets.core.parameters import Parameters, Suggestion
from trading_assets.evaluation.proposals_automatic import applied_unasked
from trading_assets.evaluation.proposals_counted import Move, counted, counted_moves, suggestions
from trading_assets.evaluation.proposals_optimizer import (
    OptimizerInputs,
    Pick,
    Picks,
    complaint,
    optimizer_ask,
    picked,
    rules_picks,
)
from trading_assets.evaluation.suggestions import Answered, Moved, Proposed
from trading_assets.reasoning.model import Abstention, Answer, Budget, Usage

RULES = ProposalRules(trades_min=20, level=0.90)
BASE = Parameters()
# It rises to 106, where the next nearer target is (105.60) and the usual one (106.40) is not, and falls to its stop.
JUST_MISSED = ((100.0, 101.0, 99.5, 101.0), (101.0, 106.0, 101.0, 105.0), (105.0, 105.0, 95.0, 95.0))
STRAIGHT = ((100.0, 101.0, 99.5, 101.0), (101.0, 108.0, 101.0, 107.5))


def test_a_record_that_always_missed_its_target_by_a_step_supports_the_nearer_one() -> None:
    moves = counted_moves(record(30, JUST_MISSED, spoiled=6, otherwise=STRAIGHT), NEAR.base, RULES)
    listed = suggestions(moves, NEAR.base, last=day(40))
    assert "target_atr" in {each.name for each in listed}
    (nearer,) = [each for each in listed if each.name == "target_atr"]
    assert (nearer.before, nearer.after, nearer.observations) == (3.2, 2.8, 30)
    assert nearer.evidence["gain_usd"]["low"] > 0
    assert nearer.evidence["tried"] == len(moves) > 1
    assert f"{len(moves)} moves tried" in nearer.reason


def test_too_few_trades_support_nothing() -> None:
    assert counted_moves(record(19, JUST_MISSED), BASE, RULES) == ()
    assert counted_moves(history([], []), BASE, RULES) == ()


def test_nothing_is_suggested_that_cannot_stand_beside_the_others() -> None:
    moves = counted_moves(record(25, JUST_MISSED), BASE, RULES)
    assert {(*each.move.values.items(),) for each in moves} >= {(("stop_atr", 1.75),), (("target_atr", 3.6),)}
    assert not [each for each in moves if each.move.values == {"stop_atr": 2.25}]
    assert not [each for each in moves if each.move.values == {"target_atr": 2.8}], "2.8 over 2.0 wins too little"


def noise(seed: int, count: int = 40, shift: float = 0.0) -> Move:
    rng = Random(seed)
    return Move({"target_atr": 3.6}, tuple(Decimal(str(round(rng.gauss(shift, 10), 2))) for _ in range(count)))


def test_what_one_try_would_support_many_tries_do_not() -> None:
    gained = noise(5, shift=4.2)
    alone, *_ = counted([gained], RULES)
    beside, *_ = counted([gained, *(noise(seed) for seed in range(100, 160))], RULES)
    assert alone.supported
    assert not beside.supported
    assert alone.interval is not None
    assert beside.interval is not None
    assert beside.interval.low < 0 < alone.interval.low
    assert beside.interval.level == pytest.approx(1 - 0.10 / 61)


def test_noise_is_supported_no_more_often_than_the_level_says() -> None:
    """Families of eight moves that gain nothing: at 90 % at most one in ten may support any (one-sided one in twenty)."""
    wrong = sum(any(each.supported for each in counted([noise(8 * n + k) for k in range(8)], RULES)) for n in range(60))
    assert wrong <= 9, "the 99 % quantile of 60 tries at one in twenty is 8"


def test_a_gain_of_nothing_and_a_loss_are_no_support() -> None:
    for value in ("0.00", "-1.00"):
        (flat,) = counted([Move({"target_atr": 3.6}, (Decimal(value),) * 30)], RULES)
        assert not flat.supported


def test_the_same_record_gives_the_same_interval() -> None:
    assert counted([noise(1)], RULES) == counted([noise(1)], RULES)


def made(name: str = "target_atr", after: float = 3.6, **changed: Any) -> Suggestion:
    gain = {"mean": 3.0, "low": 1.0, "high": 5.0}
    evidence = {"gain_usd": gain, "level": 0.99, "tried": 10, "trades": 40}
    return replace(Suggestion(name, getattr(BASE, name), after, "it would have gained", evidence, 40), **changed)


BUDGET = Budget("desk", "desk/2026-11-16/close", date(2026, 11, 16), ())
NOW = datetime(2026, 11, 16, 22, tzinfo=UTC)


def answer(*picks: Pick, route: Any = "rules") -> Answer[Picks]:
    money = Decimal(0)
    return Answer(Picks(picks=picks), route, "m", "s", "p", "key", Usage(), money, money, 1, False, "clean")


def asked(*given: Suggestion) -> OptimizerInputs:
    ask = optimizer_ask(given, (), budget=BUDGET, as_of=NOW)
    assert ask is not None
    return ask.inputs


def test_the_rules_member_proposes_the_whole_list() -> None:
    given = (made(), made("position_fraction", 0.04))
    picks = rules_picks(asked(*given))
    assert [each.name for each in picked(given, answer(*picks.picks))] == ["target_atr", "position_fraction"]
    assert complaint(asked(*given), picks) is None


def test_a_model_may_only_choose_and_comment() -> None:
    given = (made(), made("position_fraction", 0.04))
    (kept,) = picked(given, answer(Pick(id="m2", comment="It is the surer one."), route="anthropic"))
    assert (kept.name, kept.before, kept.after) == ("position_fraction", 0.05, 0.04)
    assert kept.reason == "it would have gained. It is the surer one."
    assert kept.evidence["chosen_by"]["route"] == "anthropic"
    inputs = asked(*given)
    assert "m3" in str(complaint(inputs, Picks(picks=(Pick(id="m3", comment="x"),))))
    assert "twice" in str(complaint(inputs, Picks(picks=(Pick(id="m1", comment="x"),) * 2)))
    with pytest.raises(ValidationError):
        Pick.model_validate({"id": "m1", "comment": "x", "after": 6.0})


def test_nobody_is_asked_about_nothing_and_silence_proposes_nothing() -> None:
    assert optimizer_ask((), (), budget=BUDGET, as_of=NOW) is None
    assert picked((made(),), Abstention("no route")) == ()


def stored(name: str = "target_atr", after: Any = 3.6, number: int = 1, **changed: Any) -> Proposed:
    before = getattr(BASE, name)
    fields = {"origin": "optimizer", "reason": "r", "evidence": {}, "observations": 40, "lapses": day(30), "at": NOW}
    return Proposed(
        **{
            "id": f"p{number}",
            "session": day(number),
            "name": name,
            "before": before,
            "after": after,
            **fields,
            **changed,
        }
    )


def unasked(*given: Proposed, moved: tuple[Moved, ...] = (), under_test: frozenset[str] = frozenset()) -> list[str]:
    found = applied_unasked(given, moved, BASE, under_test=under_test, on=day(20), start=day(21), days_open=10)
    return [each.id for each in found]


def test_one_open_proposal_for_each_parameter_is_applied_the_oldest_first() -> None:
    given = (stored(number=3), stored(number=2), stored("position_fraction", 0.04, number=4))
    assert unasked(*given) == ["p2", "p4"]


def test_what_rests_is_tested_answered_lapsed_or_stale_is_not_applied() -> None:
    change = Moved("target_atr", 2.8, 3.2, day(12), "operator", "r", NOW)
    assert unasked(stored(), moved=(change,)) == []
    assert unasked(stored(), moved=(replace(change, from_session=day(11)),)) == ["p1"]
    assert unasked(stored(), under_test=frozenset({"target_atr"})) == []
    assert unasked(stored(answered=Answered("refused", "operator", "no", None, NOW))) == []
    assert unasked(stored(lapses=day(19))) == []
    assert unasked(stored(before=2.8)) == []
    assert unasked(stored("stop_atr", 2.25)) == [], "reward over risk"
    assert unasked(stored("switched_off", ["pullback"])) == [], "the monitor switches by itself"


def test_two_proposals_that_cannot_stand_together_are_not_both_applied() -> None:
    nearer, wider = stored("target_fraction", 0.012, number=1), stored("stop_fraction", 0.009, number=2)
    assert unasked(nearer, wider) == ["p1"]
