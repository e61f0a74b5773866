"""Theses are formed where voices and debate agree, given up where the voices turned, and never by silence."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.theses.council import (
    AS_OF,
    BUDGET,
    SILENT,
    answered,
    cases,
    facts,
    lesson,
    mind,
    narrative,
    ruled,
    stance,
    thesis,
    voices,
)
from trading_assets.reasoning.masking import mask
from trading_assets.reasoning.model import Ask
from trading_assets.regimes.model import MARKET
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Argued, Case, Mind, ThesisUpdate, Voice
from trading_assets.theses.strategist import (
    Backing,
    StrategistInputs,
    SymbolCase,
    ThesisUpdates,
    Update,
    complaint,
    strategist_ask,
    updates_of,
)

LIKED = cases("AAA", 0.6, 0.2)
DISLIKED = cases("AAA", 0.2, 0.6)


def asked(
    said: tuple[Voice, ...] = (),
    argued: tuple[Case, ...] = (),
    believed: Mind | None = None,
    held: frozenset[str] = frozenset(),
    lessons: tuple[Lesson, ...] = (),
    **more: Any,
) -> Ask[StrategistInputs, ThesisUpdates] | None:
    return strategist_ask(
        facts(), said, argued, (narrative(),), believed or mind(), held, lessons, budget=BUDGET, as_of=AS_OF, **more
    )


def ask_of(*args: Any, **more: Any) -> Ask[StrategistInputs, ThesisUpdates]:
    ask = asked(*args, **more)
    assert ask is not None
    return ask


def ruling(*args: Any, **more: Any) -> list[tuple[str, str, str]]:
    """What the rules do: symbol, direction, action."""
    ask = ask_of(*args, **more)
    return [(one.symbol, one.direction, one.action) for one in updates_of(ask, ruled(ask))]


def case_of(ask: Ask[StrategistInputs, ThesisUpdates], symbol: str = "AAA") -> SymbolCase:
    return next(case for case in ask.inputs.symbols if case.symbol == symbol)


def update(**changed: Any) -> Update:
    given: dict[str, Any] = {
        "symbol": "AAA",
        "direction": "long",
        "action": "hold",
        "horizon": "swing",
        "claim": "It rises.",
    }
    return Update(**{**given, "evidence": (), **changed})


def told(*updates: Update) -> ThesisUpdates:
    return ThesisUpdates(updates=updates)


def test_nobody_is_asked_about_nothing() -> None:
    assert asked() is None
    assert asked(voices(("technical", "AAA", 1.0))) is None
    assert asked(argued=cases("ZZZ", 0.5, 0.1), believed=mind(thesis("YYY")), held=frozenset({"WWW"})) is None


def test_held_debated_and_believed_symbols_are_asked_about_in_order() -> None:
    ask = ask_of((), cases("BBB", 0.5, 0.1), mind(thesis("CCC")), frozenset({"AAA"}))
    assert [case.symbol for case in ask.inputs.symbols] == ["AAA", "BBB", "CCC"]
    assert [case.held for case in ask.inputs.symbols] == [True, False, False]


def test_the_strategist_is_told_what_lives_and_for_how_long() -> None:
    (live,) = case_of(ask_of(believed=mind(thesis(claim="AAA goes on.")))).theses
    assert (live.direction, live.age_sessions, live.left_sessions) == ("long", 2, 18)
    assert live.claim == "the symbol goes on."
    assert [(one.source, one.log_odds) for one in live.contributions] == [("technical", 0.4)]


def test_sources_are_those_that_spoke_on_the_symbol_and_on_the_market() -> None:
    said = voices(("technical", "AAA", 0.2), ("news", "BBB", 0.2), ("breadth", MARKET, 0.1))
    assert case_of(ask_of(said, LIKED)).sources == ("technical", "breadth", "narrative", "bull", "bear")
    assert case_of(ask_of(said, (*LIKED, *cases("CCC", 0.1, 0.1))), "CCC").sources == ("breadth", "bull", "bear")


def test_a_debate_of_one_side_alone_is_none() -> None:
    assert case_of(ask_of((), LIKED)).debate is not None
    assert case_of(ask_of((), LIKED[:1])).debate is None
    assert case_of(ask_of((), LIKED[1:])).debate is None


def test_lessons_are_of_the_symbol_the_newest_first_without_its_name_and_never_of_the_future() -> None:
    memory = (
        *(lesson(number=n, hours_ago=n, lesson=f"AAA taught {n}.") for n in (1, 2, 3, 4)),
        lesson("BBB", number=5),
        lesson(number=6, hours_ago=0, lesson="now"),
        lesson(number=7, lesson="too late", resolved_at=AS_OF + timedelta(microseconds=1)),
    )
    assert [one.says for one in case_of(ask_of((), LIKED, lessons=memory)).lessons] == [
        "now",
        "the symbol taught 1.",
        "the symbol taught 2.",
    ]


def test_the_chiefs_word_is_passed_on() -> None:
    assert ask_of((), LIKED, stance=stance("cautious", 0.5)).inputs.stance == "cautious"
    assert ask_of((), LIKED).inputs.stance is None


@pytest.mark.parametrize(
    ("lean", "argued", "done"),
    [
        (0.10, LIKED, [("AAA", "long", "hold")]),
        (0.09, LIKED, []),
        (1.00, DISLIKED, []),
        (-0.30, DISLIKED, [("AAA", "short", "hold")]),
        (-0.29, DISLIKED, []),
        (-1.00, LIKED, []),
        (1.00, cases("AAA", 0.4, 0.4), []),
    ],
)
def test_the_rules_form_where_voices_and_debate_agree(
    lean: float, argued: tuple[Case, ...], done: list[tuple[str, str, str]]
) -> None:
    assert ruling(voices(("technical", "AAA", lean)), argued) == done


def test_the_markets_voices_count_half_and_alone_nothing() -> None:
    own = ("technical", "AAA", 0.05)
    assert ruling(voices(own, ("breadth", MARKET, 0.10)), LIKED) == [("AAA", "long", "hold")]
    assert ruling(voices(own, ("breadth", MARKET, 0.09)), LIKED) == []
    assert ruling(voices(("breadth", MARKET, 1.0)), LIKED) == []


def test_silence_of_either_side_forms_nothing() -> None:
    said = voices(("technical", "AAA", 1.0))
    assert ruling(said, LIKED[:1]) == []
    assert ruling(said, LIKED[1:]) == []
    assert ruling(said, (), held=frozenset({"AAA"})) == []


def test_what_lives_already_is_not_formed_again() -> None:
    assert ruling(voices(("technical", "AAA", 1.0)), LIKED, mind(thesis())) == []


@pytest.mark.parametrize(
    ("lean", "argued", "done"),
    [
        (-0.10, DISLIKED, [("AAA", "long", "give_up")]),
        (-0.10, (), [("AAA", "long", "give_up")]),
        (-0.09, DISLIKED, []),
        (-0.10, LIKED, []),
        (-0.40, DISLIKED, [("AAA", "long", "give_up"), ("AAA", "short", "hold")]),
    ],
)
def test_the_rules_give_up_what_the_voices_turned_against(
    lean: float, argued: tuple[Case, ...], done: list[tuple[str, str, str]]
) -> None:
    assert ruling(voices(("technical", "AAA", lean)), argued, mind(thesis())) == done


def test_a_short_thesis_is_given_up_when_the_voices_turn_up() -> None:
    assert ruling(voices(("technical", "AAA", 0.2)), LIKED, mind(thesis(direction="short"))) == [
        ("AAA", "short", "give_up"),
        ("AAA", "long", "hold"),
    ]


def test_nothing_is_given_up_for_want_of_voices() -> None:
    assert ruling((), DISLIKED, mind(thesis())) == []


def test_the_rules_cite_no_evidence_and_name_no_ticker() -> None:
    ask = ask_of(voices(("technical", "AAA", 1.0)), LIKED)
    (formed,) = updates_of(ask, ruled(ask))
    assert formed.evidence == ()
    assert formed.author == "rules"
    assert formed.claim == "The voices lean +1.00 in log-odds, the bull's case is 0.60 and the bear's 0.20."


@given(
    st.lists(
        st.tuples(st.sampled_from(("technical", "news")), st.sampled_from(("AAA", "BBB", MARKET)), st.floats(-1, 1)),
        max_size=6,
    ),
    st.lists(
        st.tuples(st.sampled_from(("AAA", "BBB")), st.floats(0, 1), st.floats(0, 1)),
        max_size=2,
        unique_by=lambda c: c[0],
    ),
    st.lists(st.tuples(st.sampled_from(("AAA", "BBB")), st.sampled_from(("long", "short"))), max_size=4, unique=True),
)
@settings(max_examples=25, deadline=None)
def test_the_rules_always_pass_their_own_check_and_form_only_what_was_debated(
    said: list[tuple[str, str, float]], argued: list[tuple[str, float, float]], live: list[tuple[str, str]]
) -> None:
    ask = asked(
        voices(*said), tuple(c for each in argued for c in cases(*each)), mind(*(thesis(s, d) for s, d in live))
    )
    if ask is not None:
        for one in updates_of(ask, ruled(ask)):
            assert one.action == "hold" or (one.symbol, one.direction) in live
            assert one.action == "give_up" or one.symbol in {symbol for symbol, _, _ in argued}


def test_an_empty_answer_is_an_answer() -> None:
    ask = ask_of((), LIKED)
    assert complaint(ask.inputs, told()) is None
    assert updates_of(ask, answered(told())) == ()
    assert updates_of(ask, SILENT) == ()


BACKED = Backing(source="technical", supports=True, bucket="large")
AGAINST = Backing(source="technical", supports=False, bucket="small")
SAID = voices(("technical", "AAA", 0.5))


@pytest.mark.parametrize(
    ("updates", "why"),
    [
        ((update(symbol="ZZZ"),), "update 0 is about none of AAA, BBB"),
        ((update(), update(horizon="position")), "at most one update"),
        ((update(), update(direction="short")), "long and short cannot both hold"),
        ((update(action="give_up"),), "no live thesis to give up"),
        (
            (update(evidence=(Backing(source="rumour", supports=True, bucket="large"),)),),
            "evidence must name sources of",
        ),
        ((update(evidence=(BACKED, AGAINST)),), "a source stands twice"),
        ((update(evidence=(AGAINST,)),), "needs evidence that supports it"),
        ((update(symbol="BBB"),), "only a symbol that was debated"),
    ],
)
def test_foreign_doubled_and_contradicting_updates_are_refused(updates: tuple[Update, ...], why: str) -> None:
    ask = ask_of(SAID, LIKED, held=frozenset({"BBB"}))
    said = str(complaint(ask.inputs, told(*updates)))
    assert why in said
    assert "ZZZ" not in said
    assert "rumour" not in said


def test_a_live_thesis_may_be_kept_with_evidence_against_it_or_given_up() -> None:
    ask = ask_of(SAID, (), mind(thesis()))
    assert complaint(ask.inputs, told(update(evidence=(AGAINST,)))) is None
    assert complaint(ask.inputs, told(update(action="give_up"))) is None
    assert "no live thesis" in str(complaint(ask.inputs, told(update(action="give_up", direction="short"))))


def test_a_change_of_sides_is_one_given_up_and_one_formed() -> None:
    ask = ask_of(SAID, DISLIKED, mind(thesis()))
    assert complaint(ask.inputs, told(update(action="give_up"), update(direction="short"))) is None


def test_a_models_answer_becomes_updates_with_its_author() -> None:
    ask = ask_of(SAID, LIKED)
    assert updates_of(ask, answered(told(update(evidence=(BACKED,))))) == (
        ThesisUpdate(
            symbol="AAA",
            direction="long",
            action="hold",
            horizon="swing",
            claim="It rises.",
            evidence=(Argued(source="technical", supports=True, bucket="large"),),
            author="anthropic",
        ),
    )


@pytest.mark.parametrize(
    "wrong",
    [{"claim": ""}, {"claim": "a" * 201}, {"confidence": 1.0}, {"horizon": "for ever"}, {"evidence": (BACKED,) * 7}],
)
def test_an_answer_outside_its_bounds_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        update(**wrong)


def test_the_question_can_be_masked_with_claims_and_lessons_in_it() -> None:
    ask = ask_of(
        SAID, LIKED, mind(thesis()), lessons=(lesson(lesson="AAA was bought at 101.50 on 2012-05-02, BBB too."),)
    )
    masked = mask(ask.inputs, aliases={"BBB": ("Bee Corp",)})
    shown = masked.inputs.model_dump_json()
    assert [word for word in ("AAA", "BBB", "101.50", "2012-05-02", "2012-06-14") if word in shown] == []
    label = masked.inputs.symbols[0].symbol
    assert masked.unmask(told(update(symbol=label))).updates[0].symbol == "AAA"
