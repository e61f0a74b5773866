"""The double checker: blind to the plan, sure only of what it measures, and a veto wherever it does not say yes."""

import ast
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import trading_assets.signatures
from tests.signatures.checked import BEFORE, SLOT, altered, facts, leaving, of_symbol, plan, sold
from tests.theses.council import BUDGET, SILENT, answered, candidate, ruled
from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.plans.model import PlanSide
from trading_assets.reasoning.baseline import by_rules
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Abstention, Answer, Ask
from trading_assets.reasoning.prompts import render
from trading_assets.reasoning.skills import SkillShelf
from trading_assets.signatures.double_checker import (
    CHASE,
    DISAGREE_MIN,
    DOUBLE_CHECKER,
    DRIFT,
    KNIFE,
    OPINION_DISAGREES,
    SHOCK,
    TIDE,
    Second,
    SecondInputs,
    SecondOpinion,
    Tape,
    complaint,
    double_check,
    rules_opinion,
    second_asks,
    second_on,
    seconds_of,
)

SIDES: tuple[PlanSide, ...] = ("long", "short")


def asks(*found: Any, known: Facts | None = None, **more: Any) -> tuple[Ask[SecondInputs, SecondOpinion], ...]:
    return second_asks(found, facts() if known is None else known, budget=BUDGET, as_of=SLOT.at, **more)


def opinion(verdict: str = "agree", confidence: float = 0.7, reason: str = "The drift is up.") -> SecondOpinion:
    return SecondOpinion.model_validate({"verdict": verdict, "confidence": confidence, "reason": reason})


def second(**changed: Any) -> Second:
    fields: dict[str, Any] = {
        "symbol": "AAA",
        "side": "long",
        "as_of": SLOT.at,
        "verdict": "agree",
        "confidence": 0.7,
        "reason": "The drift is up.",
        "route": "rules",
        **changed,
    }
    return Second(**fields)


def tape(**changed: float | None) -> Tape:
    """A quiet session at its means: nothing speaks for or against either side."""
    quiet = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "close_before": 100.0}
    means = {"sma_20": 100.0, "sma_50": 100.0, "sma_200": 100.0, "atr_14": 2.0}
    return Tape.model_validate({**quiet, **means, **changed})


def judged(side: PlanSide = "long", *, above: float | None = 0.5, **changed: float | None) -> float:
    """The rules member's opinion, read back from its reason."""
    inputs = SecondInputs(
        symbol="AAA",
        side=side,
        session=BEFORE,
        view=None,
        market_view=None,
        tape=tape(**changed),
        above_sma_200_share=above,
    )
    said = rules_opinion(inputs)
    assert said is not None
    assert complaint(inputs, said) is None
    return float(said.reason.split("leans ")[1].split(" ")[0])


# Blindness


def test_nothing_of_the_plan_is_told() -> None:
    """Neither field by field nor by name: the inputs hold facts of the symbol, the side, and nothing else."""
    fields = {*SecondInputs.model_fields, *Tape.model_fields}
    assert not fields & {"strategy", "thesis_id", "confidence", "reasons", "votes", "entry", "stop", "target"}
    assert not fields & {"quantity", "reference", "consensus", "proposal", "says", "size_fraction", "style", "pair"}


@settings(max_examples=20)
@given(
    strategy=st.text(max_size=8),
    thesis=st.text(max_size=8),
    sure=st.floats(0, 1),
    stop=st.decimals("1", "99", places=2),
    reasons=st.lists(st.text(min_size=1), min_size=1, max_size=3),
    size=st.floats(0.1, 1),
)
def test_whatever_the_plan_argues_the_question_is_the_same(
    strategy: str, thesis: str, sure: float, stop: Decimal, reasons: list[str], size: float
) -> None:
    argued = candidate(
        strategy, stop=stop, thesis_id=thesis, confidence=sure, reasons=tuple(reasons), size_fraction=size
    )
    assert asks(argued) == asks(candidate())


def test_two_strategies_that_want_the_same_are_one_question() -> None:
    found = [candidate("momentum_breakout"), candidate("pullback"), candidate("pullback", "BBB")]
    assert [(ask.inputs.symbol, ask.inputs.side) for ask in asks(*found)] == [("AAA", "long"), ("BBB", "long")]
    assert asks(*found) == asks(*found[::-1])


def test_the_two_sides_of_a_symbol_are_two_questions_and_holdings_may_be_asked_about_too() -> None:
    short = candidate(side="short", stop=Decimal(104), target=Decimal(92))
    assert [ask.inputs.side for ask in asks(short, candidate())] == ["long", "short"]
    assert [ask.inputs.symbol for ask in asks(also=[("BBB", "long")])] == ["BBB"]
    assert asks() == ()


def test_of_a_symbol_without_facts_nobody_is_asked_and_so_it_is_vetoed() -> None:
    assert asks(candidate(symbol="ZZZ")) == ()
    assert double_check(plan(symbol="ZZZ"), second_on(plan(symbol="ZZZ"), ())).ruling == "veto"


def test_the_question_holds_the_rows_of_the_facts() -> None:
    (ask,) = asks(candidate())
    told = ask.inputs
    assert (told.symbol, told.side, told.session, told.view, told.market_view) == (
        *("AAA", "long", BEFORE),
        *("trending_bull", "trending_bull"),
    )
    assert (told.tape.close, told.tape.close_before, told.tape.atr_14, told.tape.sma_200) == (100.0, 99.0, 2.0, 90.0)
    assert (told.rsi_14, told.advances, told.above_sma_200_share) == (60.0, 7.0, 0.65)
    assert ask.as_of == SLOT.at
    assert ask.role.panel


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -1.0, 0.0])
def test_what_is_no_price_is_unknown(value: Any) -> None:
    row = of_symbol().bar | {"close": value}  # type: ignore[operator]
    (ask,) = asks(candidate(), known=facts(of_symbol(bar=row), breadth={"above_sma_200_share": value}))
    assert ask.inputs.tape.close is None
    assert ask.inputs.above_sma_200_share == (0.0 if value == 0 else None)
    assert isinstance(by_rules(ask.role, ask.inputs), Abstention)


def test_the_question_is_masked_without_a_trace_and_the_answer_comes_back() -> None:
    (ask,) = asks(candidate(symbol="IBM"), known=facts(of_symbol("IBM", close=187.31)))
    hidden = mask(ask.inputs)
    text = hidden.inputs.model_dump_json()
    assert "IBM" not in text
    assert str(BEFORE) not in text
    assert "187.31" not in text
    assert hidden.unmask(hidden.inputs) == ask.inputs
    assert hidden.unmask(opinion(reason="ASSET_A drifts up.")).reason == "IBM drifts up."


def test_the_skill_is_rendered_with_what_is_really_asked() -> None:
    skills = SkillShelf(SKILLS, DOCTRINE, schemas=SCHEMAS).take()
    skill = skills["double-checker"]
    assert (skill.input_schema, skill.output_schema) == ("SecondInputs", "SecondOpinion")
    assert DOUBLE_CHECKER.skill == "double-checker"
    (ask,) = asks(candidate())
    prompt = render(skill, skills.doctrine, mask(ask.inputs).inputs, SecondOpinion)
    assert "ASSET_A" in str(prompt)
    assert "momentum_breakout" not in str(prompt)


# The rules member


def test_a_quiet_tape_is_no_reason_against_either_side() -> None:
    assert judged("long") == judged("short") == 0.0


@pytest.mark.parametrize(
    ("weight", "changed"),
    [
        (DRIFT, {"sma_200": 120.0}),
        (DRIFT, {"sma_200": 1000.0}),
        (KNIFE, {"close_before": 104.0, "high": 104.0, "low": 100.0}),
        (CHASE, {"sma_20": 92.0}),
    ],
)
def test_each_term_weighs_what_the_table_says(weight: float, changed: dict[str, float]) -> None:
    assert judged("long", **changed) == pytest.approx(-weight, abs=0.006)


def test_shock_and_tide_weigh_less() -> None:
    assert judged("long", high=106.0, low=100.0) == pytest.approx(-SHOCK, abs=0.006)
    assert judged("short", close_before=110.0) == pytest.approx(-SHOCK, abs=0.006), "a gap is part of the range"
    assert judged("long", above=0.0) == pytest.approx(-TIDE, abs=0.006)
    assert judged("long", above=1.0) == judged("short", above=0.0) == pytest.approx(TIDE, abs=0.006)
    assert pytest.approx(1.0) == DRIFT + KNIFE + CHASE + SHOCK + TIDE


def test_half_of_a_bound_weighs_half() -> None:
    assert judged("long", sma_200=110.0) == pytest.approx(-DRIFT / 2, abs=0.006)
    assert judged("long", close_before=102.0, high=102.0) == pytest.approx(-KNIFE / 2, abs=0.006)
    assert judged("long", sma_20=94.0) == pytest.approx(-CHASE / 2, abs=0.006)
    assert judged("long", sma_20=96.0) == 0.0


def test_fifty_sessions_stand_in_for_two_hundred_and_nothing_for_none() -> None:
    assert judged("long", sma_200=None, sma_50=110.0) == pytest.approx(-DRIFT / 2, abs=0.006)
    for unknown in ({"close": None}, {"atr_14": None}, {"sma_200": None, "sma_50": None}):
        given_ = SecondInputs(
            symbol="A", side="long", session=BEFORE, view=None, market_view=None, tape=tape(**unknown)
        )
        assert rules_opinion(given_) is None


def test_it_disagrees_from_its_bound_on_and_every_rules_disagreement_is_firm() -> None:
    edge = 100.0 + 20.0 * -OPINION_DISAGREES / DRIFT
    for level, verdict in ((edge - 0.1, "agree"), (edge + 0.1, "disagree")):
        given_ = SecondInputs(
            symbol="A", side="long", session=BEFORE, view=None, market_view=None, tape=tape(sma_200=level)
        )
        said = rules_opinion(given_)
        assert said is not None
        assert said.verdict == verdict
        assert (said.confidence >= DISAGREE_MIN) == (verdict == "disagree")


LEVELS = st.floats(1.0, 1000.0)


@settings(max_examples=25)
@given(
    levels=st.fixed_dictionaries(
        dict.fromkeys(("close", "close_before", "high", "low", "sma_20", "sma_50", "sma_200", "atr_14"), LEVELS)
    ),
    above=st.none() | st.floats(0, 1),
    side=st.sampled_from(SIDES),
    scale=st.sampled_from([0.5, 2.0, 16.0]),
)
def test_the_rules_always_answer_within_bounds_and_not_by_the_unit_of_the_price(
    levels: Mapping[str, float], above: float | None, side: PlanSide, scale: float
) -> None:
    def said(factor: float) -> SecondOpinion | None:
        moved = {name: value * factor for name, value in levels.items()}
        return rules_opinion(
            SecondInputs(
                symbol="AAA",
                side=side,
                session=BEFORE,
                view=None,
                market_view=None,
                tape=tape(**moved, open=moved["close"]),
                above_sma_200_share=above,
            )
        )

    here, there = said(1.0), said(scale)
    assert here is not None
    assert here == there
    assert here.verdict in {"agree", "disagree"}
    assert 0.5 <= here.confidence <= 1.0


@settings(max_examples=20)
@given(lower=st.floats(1, 500), higher=st.floats(1, 500), side=st.sampled_from(SIDES))
def test_a_worse_drift_never_makes_it_surer(lower: float, higher: float, side: PlanSide) -> None:
    low, high = sorted((lower, higher))
    worse, better = (high, low) if side == "long" else (low, high)
    assert judged(side, sma_200=worse) <= judged(side, sma_200=better)


def test_it_looks_at_both_sides_of_one_tape_and_cannot_like_both_much() -> None:
    trend: SymbolFacts = of_symbol()
    by_side = {}
    for ask in asks(candidate(), candidate(side="short", stop=Decimal(104), target=Decimal(92)), known=facts(trend)):
        (said,) = seconds_of(ask, ruled(ask))
        by_side[said.side] = said.verdict
    assert by_side == {"long": "agree", "short": "disagree"}


# Answers


def test_an_answer_keeps_its_origin() -> None:
    (ask,) = asks(candidate())
    (said,) = seconds_of(ask, answered(opinion("disagree", 0.8), model="some-model"))
    assert (said.symbol, said.side, said.as_of) == ("AAA", "long", SLOT.at)
    assert (said.verdict, said.confidence) == ("disagree", 0.8)
    assert (said.route, said.model, said.leakage, said.answer_key) == ("anthropic", "some-model", "unknown", "k-1")


def test_silence_is_no_opinion_and_no_opinion_is_a_veto() -> None:
    (ask,) = asks(candidate())
    assert seconds_of(ask, SILENT) == ()
    verdict = double_check(plan(), second_on(plan(), seconds_of(ask, SILENT)))
    assert (verdict.signer, verdict.ruling, verdict.quantity) == ("double_checker", "veto", 0)
    assert verdict.sentences == ("D1 second opinion: nobody spoke on AAA long, bound an opinion",)


@pytest.mark.parametrize(
    ("verdict", "confidence", "complains"),
    [
        ("agree", 0.5, False),
        ("agree", 0.0, True),
        ("disagree", 0.0, True),
        ("disagree", 1.0, False),
        ("abstain", 0.0, False),
        ("abstain", 0.3, True),
    ],
)
def test_an_abstention_is_unsure_and_an_opinion_is_not(verdict: str, confidence: float, complains: bool) -> None:
    (ask,) = asks(candidate())
    assert (complaint(ask.inputs, opinion(verdict, confidence)) is not None) == complains


@pytest.mark.parametrize(
    "words",
    [
        {"verdict": "yes", "confidence": 0.5, "reason": "x"},
        {"verdict": "agree", "confidence": 1.1, "reason": "x"},
        {"verdict": "agree", "confidence": float("nan"), "reason": "x"},
        {"verdict": "agree", "confidence": 0.5, "reason": ""},
        {"verdict": "agree", "confidence": 0.5, "reason": "x" * 241},
        {"verdict": "agree", "confidence": 0.5, "reason": "x", "quantity": 500},
        {"verdict": "agree", "confidence": 0.5},
    ],
)
def test_what_is_no_answer_is_none(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SecondOpinion.model_validate(words)


# The verdict


def test_who_agrees_signs_the_whole_plan() -> None:
    verdict = double_check(plan(), second())
    assert (verdict.ruling, verdict.quantity, verdict.breaches) == ("approve", 100, ())
    assert (verdict.plan_id, verdict.plan_digest) == (plan().id, plan().digest)


@pytest.mark.parametrize(
    ("said", "control"),
    [
        ({"verdict": "disagree", "confidence": 1.0}, "D4"),
        ({"verdict": "disagree", "confidence": 0.6}, "D4"),
        ({"verdict": "disagree", "confidence": 0.599999}, None),
        ({"verdict": "abstain", "confidence": 0.0}, "D3"),
        ({"verdict": "abstain", "confidence": 1.0}, "D3"),
        ({"verdict": "agree", "confidence": 0.01}, None),
        ({"symbol": "BBB"}, "D2"),
        ({"side": "short"}, "D2"),
        ({"as_of": SLOT.at - timedelta(minutes=30)}, "D2"),
    ],
)
def test_only_a_firm_no_an_abstention_or_another_question_stops_a_plan(
    said: dict[str, Any], control: str | None
) -> None:
    verdict = double_check(plan(), second(**said))
    assert [breach.control for breach in verdict.breaches] == ([control] if control else [])
    assert verdict.quantity == (0 if control else 100)


@pytest.mark.fault(93)
@pytest.mark.parametrize(
    "changed", [{"verdict": "disagree", "confidence": float("nan")}, {"verdict": "AGREE"}, {"verdict": ""}]
)
def test_valid_nonsense_is_a_veto(changed: dict[str, Any]) -> None:
    sure: dict[str, Any] = {"confidence": 0.9, **changed}
    assert double_check(plan(), second().model_copy(update=sure)).ruling == "veto"


def test_what_opens_needs_an_opinion_and_what_reduces_needs_none() -> None:
    for opening in (plan(), plan(action="add"), sold()):
        assert double_check(opening, None).ruling == "veto"
    for reducing in (leaving(), leaving(40, action="trim"), leaving(side="short")):
        verdict = double_check(reducing, None)
        assert (verdict.ruling, verdict.quantity, verdict.breaches) == ("approve", reducing.quantity, ())
        assert double_check(reducing, second(verdict="disagree", confidence=1.0)).ruling == "approve"


def test_the_opinion_on_a_plan_is_found_by_symbol_and_side() -> None:
    seconds = [second(), second(symbol="BBB", verdict="disagree"), second(side="short", verdict="disagree")]
    assert second_on(plan(), seconds) == seconds[0]
    assert second_on(sold(), seconds) == seconds[2]
    assert second_on(plan(symbol="ZZZ"), seconds) is None


def test_two_opinions_that_contradict_each_other_are_none() -> None:
    assert second_on(plan(), [second(), second()]) == second()
    assert second_on(plan(), [second(), second(verdict="disagree")]) is None


@settings(max_examples=25)
@given(
    verdict=st.sampled_from(["agree", "disagree", "abstain"]),
    sure=st.floats(0, 1),
    action=st.sampled_from(["enter", "add"]),
)
def test_nothing_but_a_yes_or_a_faint_doubt_opens(verdict: str, sure: float, action: str) -> None:
    said = double_check(altered(plan(), action=action), second(verdict=verdict, confidence=sure))
    opens = verdict == "agree" or (verdict == "disagree" and sure < DISAGREE_MIN)
    assert (said.quantity > 0) == opens


# Who may ask a model


@pytest.mark.fault(99)
def test_one_model_cannot_play_all_signers_for_only_one_signer_has_a_way_to_a_model() -> None:
    folder = Path(trading_assets.signatures.__path__[0])
    ways = {
        path.stem: sorted(
            name for name in _imported(path) if "reasoning" in name or "llm" in name or "pydantic_ai" in name
        )
        for path in sorted(folder.glob("*.py"))
    }
    assert {module for module, names in ways.items() if names} == {"double_checker"}
    assert "trading_assets.reasoning.ports" not in ways["double_checker"], "it words questions, and asks nobody itself"
    assert {"risk_gate", "fact_checker", "signing", "live_gate"} <= set(ways)


def _imported(path: Path) -> set[str]:
    """Every name that a module imports, itself and what it takes from it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_rules_answer_what_the_role_is_asked_and_pass_its_check() -> None:
    (ask,) = asks(candidate())
    answer = ruled(ask)
    assert isinstance(answer, Answer)
    assert answer.route == "rules"
    assert by_rules(ask.role, ask.inputs) == answer
