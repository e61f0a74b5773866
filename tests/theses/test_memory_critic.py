"""The critic: its rules member is the card, a model may move the grade by one step, and an anecdote is no lesson."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.lessons import close, lesson
from trading_assets.agents import SCHEMAS
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.model import Abstention, Answer, Budget, Usage
from trading_assets.theses.memory.critic import (
    CRITIC,
    GRADES,
    SENTENCES_MAX,
    CriticInputs,
    Critique,
    complaint,
    critic_asks,
    critic_inputs,
    rules_critique,
    with_critic,
)
from trading_assets.theses.memory.model import Grade, Lesson

BUDGET = Budget("desk", "desk/2024-03-05/close", date(2024, 3, 5), ())
CARD = "It made -1.04 R (-2.1%) in 6 sessions. The plan offered 2.1 R at 0.68. The decision was sound."


def card(text: str = CARD) -> Lesson:
    return lesson(1, votes={"technical-persona": 0.7, "contrarian-persona": -0.4}, r_multiple=-1.04, text=text)


def answered(value: Critique, route: str = "anthropic", model: str = "small") -> Answer[Critique]:
    return Answer(value, route, model, "", "", "key", Usage(), Decimal(0), Decimal(0), 5, False, "clean")  # type: ignore[arg-type]


def test_the_critic_sees_the_decision_and_its_outcome_and_nothing_that_names_them() -> None:
    inputs = critic_inputs(card())
    assert inputs.card == (
        "It made -1.04 R (-2.1%) in 6 sessions.",
        "The plan offered 2.1 R at 0.68.",
        "The decision was sound.",
    )
    assert [(vote.persona, vote.vote) for vote in inputs.votes] == [
        ("contrarian-persona", -0.4),
        ("technical-persona", 0.7),
    ]
    assert not {"symbol", "session", "opened", "pnl", "id", "thesis_id"} & set(CriticInputs.model_fields)
    assert inputs.r_multiple == -1.04


def test_every_field_of_the_inputs_comes_from_the_lesson() -> None:
    inputs = critic_inputs(card())
    told = (inputs.direction, inputs.strategy, inputs.regime, inputs.exit_reason, inputs.sessions_held)
    assert told == ("long", "pullback", "trending_bull", "target", 2)
    assert (inputs.confidence, inputs.return_fraction, inputs.card_grade) == (0.6, 0.01, "B")


def test_without_a_model_the_card_stays_as_it_is() -> None:
    lessons = (card(), lesson(2))
    asks = critic_asks(lessons, budget=BUDGET, as_of=close(3))
    assert [ask.inputs for ask in asks] == [critic_inputs(each) for each in lessons]
    answers = RulesReasoner().gather(asks)
    assert tuple(with_critic(each, answer) for each, answer in zip(lessons, answers, strict=True)) == lessons


def test_nobody_answering_leaves_the_card() -> None:
    assert with_critic(card(), Abstention("too late")) == card()


def test_what_the_critic_says_is_the_lesson_with_its_origin() -> None:
    said = with_critic(card(), answered(Critique(grade="A", sentences=("Sound.", "Wait for agreement."))))
    assert (said.grade, said.lesson) == ("A", "Sound. Wait for agreement.")
    assert (said.author, said.model, said.leakage, said.answer_key) == ("anthropic", "small", "clean", "key")
    assert said.model_copy(update={"grade": "B"}).id == card().id


@pytest.mark.parametrize(
    ("grade", "card_grade", "accepted"),
    [("A", "B", True), ("C", "B", True), ("D", "B", False), ("F", "A", False), ("B", "B", True)],
)
def test_the_grade_may_move_by_one_step(grade: Grade, card_grade: Grade, accepted: bool) -> None:
    inputs = critic_inputs(card()).model_copy(update={"card_grade": card_grade})
    assert (complaint(inputs, Critique(grade=grade, sentences=("Sound.",))) is None) == accepted


@pytest.mark.parametrize(
    "anecdote",
    [
        "It failed on 2024-03-05.",
        "As in 2008, it fell.",
        "Buy below $95.",
        "The stop at 95.25 USD was near.",
        "ASSET_A always gaps.",
        "Every October is like this.",
        "It rose after [DATE_A].",
    ],
)
def test_a_lesson_with_a_day_a_price_or_an_asset_is_refused(anecdote: str) -> None:
    said = complaint(critic_inputs(card()), Critique(grade="B", sentences=("Sound.", anecdote)))
    assert said is not None
    assert "names no day, price or asset" in said


@pytest.mark.parametrize(
    "plain", ["It lost 1.04 R.", "Wait for 2 of 3 votes.", "Do not march ahead; it may gap 2.1%.", "A gap of 3 R."]
)
def test_numbers_that_name_nothing_are_allowed(plain: str) -> None:
    assert complaint(critic_inputs(card()), Critique(grade="B", sentences=(plain,))) is None


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=900), grade=st.sampled_from(GRADES))
def test_the_rules_member_always_answers_within_its_bounds(text: str, grade: Grade) -> None:
    """Whatever a card says, and however long it is."""
    inputs = critic_inputs(card()).model_copy(update={"card": tuple(text.split()) or ("x",), "card_grade": grade})
    said = rules_critique(inputs)
    assert said.grade == grade
    assert 1 <= len(said.sentences) <= SENTENCES_MAX


def test_the_rules_answer_passes_the_check_of_the_role() -> None:
    inputs = critic_inputs(card())
    assert CRITIC.rules is not None
    assert CRITIC.check is not None
    said = CRITIC.rules(inputs)
    assert said is not None
    assert CRITIC.check(inputs, said) is None


def test_the_critic_is_an_agent_by_its_folder() -> None:
    assert SCHEMAS["CriticInputs"] is CriticInputs
    assert SCHEMAS["Critique"] is Critique
    assert CRITIC.skill == "critic"
