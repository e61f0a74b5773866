"""The chief can only reduce: the size fits the word, strategies come from the list, and silence opens nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.theses.council import (
    AS_OF,
    BEFORE,
    BREADTH_ROW,
    BUDGET,
    DAY,
    MARKET_ROW,
    SILENT,
    STRATEGIES,
    answered,
    brief,
    briefs,
    facts,
    narrative,
    ruled,
)
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import Brief
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Ask
from trading_assets.regimes.model import MARKET
from trading_assets.theses.model import STANCES, Stance
from trading_assets.theses.stance import (
    CHASING,
    ChiefInputs,
    DayStance,
    chief_ask,
    complaint,
    rules_stance,
    stance_from_rows,
    stance_of,
    stance_rows,
)

LIQUID = {
    "AAA": {"regime": "normal"},
    "BBB": {"regime": "normal"},
    "CCC": {"regime": "stressed"},
    "DDD": {"regime": "unknown"},
}


def asked(
    known: Facts | None = None, *said: Brief, strategies: tuple[str, ...] = STRATEGIES
) -> Ask[ChiefInputs, DayStance]:
    return chief_ask(known or facts(), said, (), strategies=strategies, budget=BUDGET, as_of=AS_OF)


def by_rules(known: Facts, *said: Brief) -> Stance:
    ask = asked(known, *said)
    stance = stance_of(ask, ruled(ask))
    assert stance is not None
    return stance


def market(**changed: Any) -> dict[str, Any]:
    return {**MARKET_ROW, **changed}


def breadth(**changed: Any) -> dict[str, Any]:
    return {**BREADTH_ROW, **changed}


def says(**changed: Any) -> DayStance:
    given: dict[str, Any] = {
        "stance": "normal",
        "size_fraction": 1.0,
        "strategies": STRATEGIES[:2],
        "reasons": ("Calm.",),
    }
    return DayStance(**{**given, **changed})


def test_the_question_tells_what_is_known_of_the_market_and_no_more() -> None:
    ask = chief_ask(
        facts(liquidity=LIQUID),
        briefs(),
        (narrative(), narrative(MARKET)),
        strategies=STRATEGIES,
        budget=BUDGET,
        as_of=AS_OF,
    )
    inputs = ask.inputs
    assert inputs.session == BEFORE
    assert inputs.market is not None
    assert (inputs.market.view, inputs.market.volatility_percentile) == ("trending_bull", 0.4)
    assert inputs.participation is not None
    assert inputs.participation.above_sma_200_share == 0.65
    assert inputs.liquidity is not None
    assert (inputs.liquidity.known, inputs.liquidity.stressed_share) == (3, 0.333333)
    assert [one.source for one in inputs.voices] == ["breadth"]
    assert inputs.narrative is not None
    assert [word for word in ("AAA", "looked", "Orders") if word in inputs.model_dump_json()] == []


def test_what_is_unknown_is_null() -> None:
    inputs = asked(facts(breadth=None, market_regime=None)).inputs
    assert (inputs.market, inputs.participation, inputs.liquidity, inputs.narrative) == (None, None, None, None)
    partly = asked(facts(breadth=breadth(above_sma_50_share=None, up_volume_share=float("nan")))).inputs.participation
    assert partly is not None
    assert (partly.above_sma_50_share, partly.up_volume_share, partly.advances) == (None, None, 7)


def test_a_strong_market_is_risk_on_and_a_plain_one_normal() -> None:
    assert by_rules(facts()).stance == "risk_on"
    plain = by_rules(facts(market_regime=market(strategy_view="mild_trend")))
    assert (plain.stance, plain.size_fraction, plain.strategies) == ("normal", 1.0, STRATEGIES)


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (facts(market_regime=market(strategy_view="trending_bear")), "trends down"),
        (facts(market_regime=market(volatility_percentile=0.90)), "percentile 0.90"),
        (facts(breadth=breadth(above_sma_200_share=0.35)), "Only 35%"),
        (facts(liquidity=LIQUID), "stressed in 33%"),
        (facts(market_regime=None), "unknown"),
    ],
)
def test_one_caution_costs_a_quarter_and_is_named(known: Facts, word: str) -> None:
    stance = by_rules(known)
    assert (stance.stance, stance.size_fraction) == ("cautious", 0.75)
    assert word in stance.reasons[0]


def test_a_bad_macro_brief_is_a_caution_and_a_mild_one_is_not() -> None:
    assert by_rules(facts(), brief("macro", MARKET, -0.5, 0.5)).stance == "cautious"
    assert by_rules(facts(), brief("macro", MARKET, -0.5, 0.4)).stance == "risk_on"
    assert by_rules(facts(), brief("breadth", MARKET, -1.0, 1.0)).stance == "risk_on"


def test_more_cautions_cost_more_but_never_all() -> None:
    two = facts(market_regime=market(strategy_view="trending_bear", volatility_percentile=0.95))
    assert by_rules(two).size_fraction == 0.5
    five = facts(
        market_regime=market(strategy_view="trending_bear", volatility_percentile=0.95),
        breadth=breadth(above_sma_200_share=0.2),
        liquidity=LIQUID,
    )
    stance = by_rules(five, brief("macro", MARKET, -1.0, 1.0))
    assert (stance.stance, stance.size_fraction, len(stance.reasons)) == ("cautious", 0.25, 5)


def test_a_falling_market_leaves_the_chasing_strategies_out_unless_nothing_else_is_there() -> None:
    falling = facts(market_regime=market(strategy_view="trending_bear"))
    assert by_rules(falling).strategies == ("mean_reversion", "pullback")
    ask = asked(falling, strategies=tuple(sorted(CHASING)))
    answer = ruled(ask)
    assert answer.value.strategies == tuple(sorted(CHASING))


@pytest.mark.parametrize(
    "known",
    [
        facts(liquidity={"AAA": {"regime": "stressed"}, "BBB": {"regime": "normal"}}),
        facts(market_regime=market(volatility_percentile=0.97), breadth=breadth(above_sma_50_share=0.15)),
    ],
)
def test_clear_stress_stands_aside(known: Facts) -> None:
    stance = by_rules(known)
    assert (stance.stance, stance.size_fraction, stance.strategies) == ("stand_aside", 0.0, ())


@pytest.mark.parametrize(
    "known",
    [
        facts(market_regime=market(volatility_percentile=0.96), breadth=breadth(above_sma_50_share=0.15)),
        facts(market_regime=market(volatility_percentile=0.97), breadth=breadth(above_sma_50_share=0.16)),
        facts(market_regime=market(volatility_percentile=1.0), breadth=None),
    ],
)
def test_half_a_stress_is_a_caution_only(known: Facts) -> None:
    assert by_rules(known).stance == "cautious"


def test_where_nothing_is_known_of_the_market_the_rules_have_no_stance() -> None:
    assert rules_stance(asked(facts(breadth=None, market_regime=None)).inputs) is None
    assert rules_stance(asked(strategies=()).inputs) is None


@given(
    st.none()
    | st.tuples(st.sampled_from(("trending_bull", "trending_bear", "range", "mixed")), st.none() | st.floats(0, 1)),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.lists(st.sampled_from(("normal", "stressed", "unknown")), max_size=4),
    st.floats(-1, 1),
    st.lists(st.sampled_from(STRATEGIES), min_size=1, unique=True),
)
@settings(max_examples=25, deadline=None)
def test_the_rules_always_pass_their_own_check_and_never_ask_for_more(
    regime: tuple[str, float | None] | None,
    shares: tuple[float, float] | None,
    liquidity: list[str],
    macro: float,
    strategies: list[str],
) -> None:
    known = facts(
        market_regime=market(strategy_view=regime[0], volatility_percentile=regime[1]) if regime else None,
        breadth=breadth(above_sma_50_share=shares[0], above_sma_200_share=shares[1]) if shares else None,
        liquidity={f"S{n}": {"regime": word} for n, word in enumerate(liquidity)},
    )
    ask = asked(known, brief("macro", MARKET, macro, 1.0), strategies=tuple(strategies))
    said = rules_stance(ask.inputs)
    assert (said is None) == (regime is None and shares is None)
    if said is not None:
        assert complaint(ask.inputs, said) is None
        assert set(said.strategies) <= set(strategies)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (says(strategies=("buy_everything",)), "strategies must be some of"),
        (says(strategies=(STRATEGIES[0], STRATEGIES[0])), "twice"),
        (says(size_fraction=0.5), "must be 1 to 1"),
        (says(stance="risk_on", size_fraction=0.99), "must be 1 to 1"),
        (says(stance="cautious", size_fraction=0.76), "must be 0.25 to 0.75"),
        (says(stance="cautious", size_fraction=0.24), "must be 0.25 to 0.75"),
        (says(stance="stand_aside", size_fraction=0.1, strategies=()), "must be 0 to 0"),
        (says(stance="stand_aside", size_fraction=0.0), "leaves no strategy"),
        (says(strategies=()), "at least one"),
    ],
)
def test_a_stance_that_contradicts_itself_or_the_list_is_refused(said: DayStance, why: str) -> None:
    assert why in str(complaint(asked().inputs, said))
    assert "buy_everything" not in str(complaint(asked().inputs, said))


@pytest.mark.parametrize("size", [0.25, 0.5, 0.75])
def test_a_cautious_stance_chooses_its_size_between_a_quarter_and_three(size: float) -> None:
    assert complaint(asked().inputs, says(stance="cautious", size_fraction=size)) is None


@pytest.mark.parametrize("wrong", [{"size_fraction": 1.5}, {"stance": "all_in"}, {"reasons": ()}, {"leverage": 3}])
def test_an_answer_outside_its_bounds_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        says(**wrong)


def test_silence_is_no_stance_and_no_row() -> None:
    assert stance_of(asked(), SILENT) is None
    assert stance_rows([None], DAY, as_of=AS_OF) == []
    assert stance_from_rows([]) is None


def test_rows_and_back_keep_everything() -> None:
    ask = asked()
    stance = stance_of(ask, answered(says(stance="cautious", size_fraction=0.5)))
    assert stance is not None
    assert (stance.route, stance.model, stance.leakage, stance.answer_key) == (
        "anthropic",
        "some-model",
        "unknown",
        "k-1",
    )
    frame = STANCES.frame(stance_rows([stance], DAY, as_of=AS_OF))
    assert stance_from_rows(frame.rows(named=True)) == stance


def test_the_question_can_be_masked() -> None:
    said = brief("macro", MARKET, -0.2, reasons=("SP500 closed at 1325.66 on 2012-06-13.",))
    masked = mask(asked(facts(), said).inputs)
    shown = masked.inputs.model_dump_json()
    assert [word for word in ("1325", "2012-06-1", "SP500") if word in shown] == []
    assert complaint(masked.inputs, says()) is None
