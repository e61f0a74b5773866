"""The trader's choice is an order of what is on the list: no stranger, no double, no half of a hedge, and nothing by silence."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.theses.council import AS_OF, BUDGET, SILENT, answered, candidate, facts, mind, ruled, stance, thesis
from trading_assets.plans.choosing import (
    NOMINEES_MAX,
    Choice,
    TraderInputs,
    choice_of,
    complaint,
    reward_to_risk,
    rules_choice,
    trader_ask,
)
from trading_assets.plans.model import Candidate
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Ask

SHORT: dict[str, Any] = {"side": "short", "stop": Decimal(104), "target": Decimal(92)}


def asked(*candidates: Candidate) -> Ask[TraderInputs, Choice]:
    return trader_ask(candidates, facts(), mind(thesis()), stance(), budget=BUDGET, as_of=AS_OF)


def chosen(*candidates: Candidate) -> tuple[tuple[str, str, str], ...]:
    """What the rules choose."""
    ask = asked(*candidates)
    return choice_of(ask, ruled(ask))


def says(*ids: str) -> Choice:
    return Choice(chosen=ids, reasons=("The first is the best.",))


def test_the_list_tells_what_each_setup_may_gain_and_lose() -> None:
    (nominee,) = asked(candidate()).inputs.candidates
    assert (nominee.id, nominee.reward_to_risk, nominee.risk_fraction) == ("k1", 2.0, 0.04)
    assert (nominee.thesis_status, nominee.pair, nominee.asked_for) == ("active", None, False)
    (asked_for,) = asked(candidate(symbol="BBB", proposal="from-a-chat")).inputs.candidates
    assert (asked_for.thesis_status, asked_for.asked_for) == (None, True)


def test_a_short_gains_when_the_price_falls_and_a_stop_on_the_wrong_side_is_worth_nothing() -> None:
    assert reward_to_risk(candidate(**SHORT)) == 2.0
    assert reward_to_risk(candidate(stop=Decimal(101))) == 0.0
    assert reward_to_risk(candidate(side="short")) == 0.0


def test_ids_do_not_depend_on_the_order_in_which_setups_were_found() -> None:
    found = [candidate(symbol="BBB"), candidate("pullback"), candidate()]
    assert asked(*found).inputs == asked(*reversed(found)).inputs
    assert [(n.id, n.strategy, n.symbol) for n in asked(*found).inputs.candidates] == [
        ("k1", "momentum_breakout", "AAA"),
        ("k2", "momentum_breakout", "BBB"),
        ("k3", "pullback", "AAA"),
    ]


def test_a_list_that_is_too_long_keeps_the_surest_setups() -> None:
    many = [candidate(symbol=f"S{chr(65 + n // 26)}{chr(65 + n % 26)}", confidence=0.5 + n / 100) for n in range(45)]
    shown = asked(*many).inputs.candidates
    assert len(shown) == NOMINEES_MAX
    assert min(nominee.confidence for nominee in shown) == 0.55


def test_the_rules_take_the_surest_first_and_then_the_better_reward() -> None:
    better = candidate(symbol="CCC", target=Decimal(110))
    assert chosen(candidate(symbol="BBB"), better, candidate(confidence=0.7)) == (
        ("momentum_breakout", "AAA", "long"),
        ("momentum_breakout", "CCC", "long"),
        ("momentum_breakout", "BBB", "long"),
    )


def test_the_rules_take_one_setup_of_a_symbol_whatever_its_side() -> None:
    assert chosen(candidate(), candidate("pullback", confidence=0.61), candidate("mean_reversion", **SHORT)) == (
        ("pullback", "AAA", "long"),
    )


def test_the_rules_take_both_legs_of_a_pair_or_neither() -> None:
    long_leg = candidate("correlation_convergence", "AAA", pair="AAA/BBB", confidence=0.8)
    short_leg = candidate("correlation_convergence", "BBB", pair="AAA/BBB", confidence=0.5, **SHORT)
    assert [key[1] for key in chosen(long_leg, short_leg)] == ["AAA", "BBB"]
    assert [key[1:] for key in chosen(long_leg, short_leg, candidate(symbol="BBB", confidence=0.9))] == [
        ("BBB", "long")
    ]


def test_names_of_pairs_do_not_reach_the_question() -> None:
    long_leg = candidate("correlation_convergence", "AAA", pair="AAA/BBB")
    short_leg = candidate("correlation_convergence", "BBB", pair="AAA/BBB", **SHORT)
    assert [nominee.pair for nominee in asked(long_leg, short_leg).inputs.candidates] == ["p1", "p1"]


def test_without_candidates_there_is_no_choice() -> None:
    assert rules_choice(asked().inputs) is None
    assert choice_of(asked(candidate()), SILENT) == ()


def test_no_choice_is_an_answer() -> None:
    ask = asked(candidate())
    assert complaint(ask.inputs, says()) is None
    assert choice_of(ask, answered(says())) == ()


def test_the_order_of_the_answer_is_the_order_to_trade() -> None:
    ask = asked(candidate(), candidate(symbol="BBB"))
    assert [key[1] for key in choice_of(ask, answered(says("k2", "k1")))] == ["BBB", "AAA"]


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        (("k9",), "k9 is not on the list; choose of k1, k2, k3, k4, k5"),
        (("k1", "k1"), "stands twice"),
        (("k1", "k5"), "at most one candidate of a symbol and side"),
        (("k2",), "both legs of a pair"),
        (("k3", "k1"), "both legs of a pair"),
    ],
)
def test_strangers_doubles_and_half_a_hedge_are_refused(ids: tuple[str, ...], why: str) -> None:
    ask = asked(
        candidate("breakout", "CCC"),
        candidate("correlation_convergence", "AAA", pair="x"),
        candidate("correlation_convergence", "BBB", pair="x", **SHORT),
        candidate("mean_reversion", "AAA", **SHORT),
        candidate("pullback", "CCC"),
    )
    assert why in str(complaint(ask.inputs, says(*ids)))
    assert complaint(ask.inputs, says("k4", "k2", "k3", "k1")) is None


@pytest.mark.parametrize("wrong", [{"chosen": ("AAA",)}, {"chosen": ("k1",) * 41}, {"reasons": ()}, {"quantity": 5}])
def test_an_answer_outside_its_bounds_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Choice.model_validate({"chosen": ("k1",), "reasons": ("Good.",), **wrong})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("momentum_breakout", "pullback", "correlation_convergence")),
            st.sampled_from(("AAA", "BBB", "CCC")),
            st.booleans(),
            st.floats(0, 1),
            st.sampled_from(("", "", "x", "y")),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda one: one[:3],
    )
)
@settings(max_examples=25, deadline=None)
def test_the_rules_always_pass_their_own_check(found: list[tuple[str, str, bool, float, str]]) -> None:
    made = [
        candidate(strategy, symbol, confidence=sure, pair=pair, **(SHORT if short else {}))
        for strategy, symbol, short, sure, pair in found
    ]
    keys = chosen(*made)
    assert len({symbol for _, symbol, _ in keys}) == len(keys)
    assert set(keys) <= {one.key for one in made}


def test_the_question_can_be_masked() -> None:
    reasons = ("close 100.00 broke the 20-session high 99.50 of AAA", "volume was 1,500,000")
    masked = mask(asked(candidate(reasons=reasons), candidate(symbol="BBB")).inputs)
    shown = masked.inputs.model_dump_json()
    assert [word for word in ("AAA", "BBB", "99.50", "1,500,000") if word in shown] == []
    assert complaint(masked.inputs, says("k2", "k1")) is None
