"""Both sides argue from one closed set: every point cites it, contradictions are refused, and silence is no case."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.theses.council import (
    AS_OF,
    BEFORE,
    BUDGET,
    DAY,
    SILENT,
    answered,
    brief,
    briefs,
    cited,
    facts,
    known,
    narrative,
    ruled,
)
from trading_assets.briefs.model import Brief
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Abstention
from trading_assets.reasoning.prompts import USER_CHARACTERS_MAX, canonical
from trading_assets.regimes.model import MARKET
from trading_assets.theses.council_evidence import DebateInputs, Dossier
from trading_assets.theses.debate import (
    BEAR,
    BULL,
    Argument,
    Arguments,
    DebateAsk,
    Point,
    balance,
    bull_case,
    case_rows,
    cases_from_rows,
    cases_of,
    checked_cases,
    complaint,
    debate_asks,
)
from trading_assets.theses.model import DEBATES

SYMBOLS = ("AAA", "BBB", "CCC")


def asks(*said: Brief, symbols: tuple[str, ...] = SYMBOLS, **more: Any) -> tuple[DebateAsk, DebateAsk]:
    return debate_asks(facts(), said or briefs(), (narrative(),), symbols, budget=BUDGET, as_of=AS_OF, **more)


def dossier(inputs: DebateInputs, symbol: str) -> Dossier:
    return next(one for one in inputs.dossiers if one.symbol == symbol)


def argument(symbol: str, strength: float = 0.5, *ids: str) -> Argument:
    points = (Point(says="It is so.", evidence=ids),) if ids else ()
    return Argument(symbol=symbol, strength=strength, points=points)


def good(inputs: DebateInputs, **changed: Argument) -> Arguments:
    """An answer without a fault, but for the symbols that are replaced."""
    made = {one.symbol: argument(one.symbol, 0.5, sorted(one.ids)[0]) for one in inputs.dossiers}
    return Arguments(arguments=tuple((made | changed).values()))


def test_both_sides_are_given_the_same_and_each_symbol_once() -> None:
    bull, bear = asks()
    assert (bull.role, bear.role) == (BULL, BEAR)
    assert bull.inputs == bear.inputs
    assert [one.symbol for one in bull.inputs.dossiers] == ["AAA", "BBB", "CCC"]
    assert bull.inputs.session == BEFORE


def test_the_question_does_not_depend_on_the_order_of_what_was_said() -> None:
    turned = debate_asks(facts(), briefs()[::-1], (narrative(),), SYMBOLS[::-1], budget=BUDGET, as_of=AS_OF)
    assert turned == asks()


def test_every_id_leads_to_the_rows_behind_it() -> None:
    ask, _ = asks()
    ids = {id_ for one in ask.inputs.dossiers for id_ in one.ids} | ask.inputs.market_ids
    assert ask.citations.keys() == ids
    (technical,) = [one for one in dossier(ask.inputs, "AAA").briefs if one.source == "technical"]
    assert ask.citations[technical.id] == ask.citations[technical.readings[0].id] == (cited("AAA"),)


def test_prices_levels_and_headlines_are_no_readings_but_still_stand_behind_the_sentence() -> None:
    rows = (
        cited("AAA", "sma_50", 95.0),
        cited("AAA", "close", 100.0, "daily_bars"),
        cited("AAA", "headline", "0a1b2c", "news"),
        cited("SP500", "value", 1325.5, "macro_series"),
        cited("AAA", "adx_14", 30.0),
    )
    ask, _ = asks(brief("technical", "AAA", 0.5, evidence=rows))
    (technical,) = dossier(ask.inputs, "AAA").briefs
    assert [reading.column for reading in technical.readings] == ["adx_14"]
    assert ask.citations[technical.id] == rows


def test_a_symbol_that_the_facts_do_not_know_is_not_argued_about() -> None:
    ask, _ = asks(symbols=("AAA", "ZZZ", MARKET))
    assert [one.symbol for one in ask.inputs.dossiers] == ["AAA"]


def test_without_a_symbol_the_rules_have_no_case() -> None:
    ask, _ = asks(symbols=())
    assert bull_case(ask.inputs) is None
    assert cases_of(ask, SILENT) == ()


def test_the_rules_argue_for_what_leans_up_and_against_what_leans_down() -> None:
    bull, bear = asks()
    strengths = {
        (argued.case.symbol, argued.case.side): argued.case.strength
        for ask in (bull, bear)
        for argued in cases_of(ask, ruled(ask))
    }
    # AAA: (0.8 + 0.4) * 0.5 of its own and half of 0.2 * 0.5 of the market, over 0.5 + 0.5 + 0.25.
    assert strengths["AAA", "bull"] == 0.52
    assert strengths["AAA", "bear"] == 0.0
    assert strengths["BBB", "bear"] == 0.48
    assert strengths["BBB", "bull"] == 0.04
    assert strengths["CCC", "bull"] > 0


def test_the_rules_cite_the_market_for_a_symbol_that_only_the_market_speaks_of() -> None:
    ask, _ = asks(brief("breadth", MARKET, 1.0, 1.0), symbols=("AAA",))
    (argued,) = cases_of(ask, ruled(ask))
    assert argued.case.strength == 0.95
    assert set(argued.case.evidence) == ask.inputs.market_ids
    assert argued.citations == (cited(MARKET, "above_sma_50_share", 0.7, "breadth"),)


def test_nothing_known_is_no_case() -> None:
    ask, _ = debate_asks(facts(), (), (), ("AAA",), budget=BUDGET, as_of=AS_OF)
    (argued,) = cases_of(ask, ruled(ask))
    assert (argued.case.strength, argued.case.points, argued.citations) == (0.0, (), ())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("technical", "news", "macro")),
            st.sampled_from(("AAA", "BBB", MARKET)),
            st.floats(-1, 1),
            st.floats(0, 1),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None)
def test_the_rules_always_pass_their_own_check_and_never_claim_certainty(
    said: list[tuple[str, str, float, float]],
) -> None:
    heard = [brief(*each) for each in said]
    for ask in debate_asks(facts(), heard, (), SYMBOLS, budget=BUDGET, as_of=AS_OF):
        for argued in cases_of(ask, ruled(ask)):
            assert 0 <= argued.case.strength <= 0.95
            assert len(argued.case.points) <= 3


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_the_bull_less_the_bear_is_the_mean_signal_of_the_confident(said: list[tuple[float, float]]) -> None:
    heard = [brief(f"agent{number}", "AAA", signal * 0.9, sure) for number, (signal, sure) in enumerate(said)]
    both = debate_asks(facts(), heard, (), ("AAA",), budget=BUDGET, as_of=AS_OF)
    argued = [one.case for ask in both for one in cases_of(ask, ruled(ask))]
    mean = sum(one.signal * one.confidence for one in heard) / sum(one.confidence for one in heard)
    assert balance(argued, "AAA") == pytest.approx(mean, abs=3e-6)


def test_an_answer_without_a_fault_has_no_complaint() -> None:
    ask, _ = asks()
    assert complaint(ask.inputs, good(ask.inputs)) is None


def test_a_foreign_symbol_is_refused_and_its_name_is_not_repeated() -> None:
    ask, _ = asks()
    said = complaint(ask.inputs, good(ask.inputs, ZZZ=argument("ZZZ", 0.5, "a1")))
    assert said == "symbol 3 of the answer is none of AAA, BBB, CCC"


def test_a_symbol_left_out_or_named_twice_is_refused() -> None:
    ask, _ = asks()
    whole = good(ask.inputs).arguments
    assert "CCC is missing" in str(complaint(ask.inputs, Arguments(arguments=whole[:2])))
    assert "AAA stands twice" in str(complaint(ask.inputs, Arguments(arguments=(*whole, whole[0]))))


def test_evidence_of_another_symbol_is_refused_and_the_markets_is_not() -> None:
    ask, _ = asks()
    foreign = sorted(dossier(ask.inputs, "BBB").ids - dossier(ask.inputs, "AAA").ids)[0]
    assert "was not given for it" in str(complaint(ask.inputs, good(ask.inputs, AAA=argument("AAA", 0.5, foreign))))
    assert "z999 was not given" in str(complaint(ask.inputs, good(ask.inputs, AAA=argument("AAA", 0.5, "z999"))))
    market = sorted(ask.inputs.market_ids)[0]
    assert complaint(ask.inputs, good(ask.inputs, AAA=argument("AAA", 0.5, market))) is None


def test_a_case_that_contradicts_itself_is_refused() -> None:
    ask, _ = asks()
    own = sorted(dossier(ask.inputs, "AAA").ids)[0]
    for wrong in (argument("AAA", 0.0, own), argument("AAA", 0.4)):
        assert "needs points" in str(complaint(ask.inputs, good(ask.inputs, AAA=wrong)))


def test_a_full_score_for_every_symbol_is_refused() -> None:
    ask, _ = asks()
    sure = {s: argument(s, 1.0, sorted(dossier(ask.inputs, s).ids)[0]) for s in SYMBOLS}
    assert "tells nothing apart" in str(complaint(ask.inputs, good(ask.inputs, **sure)))
    sure["AAA"] = argument("AAA", 0.9, *sure["AAA"].points[0].evidence)
    assert complaint(ask.inputs, good(ask.inputs, **sure)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": 1.01},
        {"strength": float("nan")},
        {"points": [{"says": "", "evidence": ["a1"]}]},
        {"points": [{"says": "a" * 241, "evidence": ["a1"]}]},
        {"points": [{"says": "It is so.", "evidence": []}]},
        {"points": [{"says": "It is so.", "evidence": ["a1"]}] * 4},
        {"size": 100},
    ],
)
def test_an_answer_outside_its_bounds_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Argument.model_validate({"symbol": "AAA", "strength": 0.5, "points": [], **wrong})


def test_a_models_case_carries_its_origin() -> None:
    ask, _ = asks()
    argued = cases_of(ask, answered(good(ask.inputs)))
    assert {(one.case.route, one.case.model, one.case.leakage, one.case.answer_key) for one in argued} == {
        ("anthropic", "some-model", "unknown", "k-1")
    }


def test_balance_is_unknown_unless_both_sides_spoke() -> None:
    bull, bear = asks()
    for_, against = (tuple(one.case for one in cases_of(ask, ruled(ask))) for ask in (bull, bear))
    assert balance((*for_, *against), "AAA") == 0.52
    assert balance(for_, "AAA") is None
    assert balance(against, "AAA") is None
    assert balance((*for_, *against), "ZZZ") is None


def test_rows_and_back_keep_everything_but_the_ids_of_the_question() -> None:
    ask, _ = asks()
    argued = cases_of(ask, ruled(ask))
    rows = case_rows(argued, DAY, as_of=AS_OF)
    assert DEBATES.frame(rows).height == len(SYMBOLS)
    back = cases_from_rows(DEBATES.frame(rows).rows(named=True))
    assert [one.citations for one in back] == [one.citations for one in sorted(argued, key=lambda a: a.case.symbol)]
    assert [one.case for one in back] == [one.case.model_copy(update={"evidence": ()}) for one in argued]
    assert all(json.loads(str(row["evidence"])) for row in rows if row["strength"])


def test_a_case_whose_row_has_changed_is_not_believed() -> None:
    ask, _ = asks(symbols=("AAA", "BBB"))
    argued = cases_of(ask, ruled(ask))
    assert checked_cases(argued, facts()) == (argued, ())
    kept, wrong = checked_cases(argued, facts(known("AAA", rsi_14=61.0), known("BBB")))
    assert [one.case.symbol for one in kept] == ["BBB"]
    assert [(one.agent, one.symbol) for one in wrong] == [("bull", "AAA")]
    assert "rsi_14" in wrong[0].sentence


def test_the_question_can_be_masked_and_comes_back() -> None:
    hostile = brief("news", "AAA", 0.9, reasons=("AAA rose 12 % on 2012-06-13: buy AAA now.",))
    ask, _ = asks(*briefs(), hostile)
    masked = mask(ask.inputs)
    shown = masked.inputs.model_dump_json()
    assert [word for word in (*SYMBOLS, "2012-06-1", "12 %") if word in shown] == []
    assert masked.unmask(masked.inputs) == ask.inputs
    answer = good(masked.inputs)
    assert complaint(masked.inputs, answer) is None
    assert [one.symbol for one in masked.unmask(answer).arguments] == list(SYMBOLS)


def test_fifty_symbols_of_the_longest_sentences_fit_into_a_prompt() -> None:
    names = [f"S{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(50)]
    long = tuple(f"{number} {'word ' * 46}"[:240] for number in range(5))
    said = [
        brief(agent, name, 0.5, reasons=long, evidence=tuple(cited(name, "rsi_14", 60.0 + n) for n in range(12)))
        for name in names
        for agent in ("technical", "news", "narrative")
    ]
    told = [narrative(name, story="s" * 240, counter_story="c" * 240) for name in names]
    ask, _ = debate_asks(facts(*map(known, names)), said, told, names, budget=BUDGET, as_of=AS_OF)
    assert len(canonical(ask.inputs.model_dump(mode="json"))) < USER_CHARACTERS_MAX
    assert not isinstance(ruled(ask), Abstention)
