"""What was said in a slot becomes log-odds for a thesis, whatever the order in which it was said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import case, hold, thesis, voice
from trading_assets.regimes.model import MARKET
from trading_assets.theses.hearing import STRATEGIST_MAX, Word, heard_of, words_on
from trading_assets.theses.model import Bucket, Case, Direction, ThesisUpdate, Voice


def _said(
    *voices: Voice,
    cases: tuple[Case, ...] = (),
    direction: Direction = "long",
    weight: float = 0.6,
    update: ThesisUpdate | None = None,
) -> dict[str, Word]:
    heard = heard_of(voices, cases, debate_weight=weight)
    return words_on(thesis(direction=direction), heard, update)


def test_a_voice_is_its_weight_times_signal_times_confidence() -> None:
    assert _said(voice(0.5, 0.5))["technical"].log_odds == pytest.approx(1.2 * 0.25)


def test_what_speaks_for_a_rise_speaks_against_a_short_thesis() -> None:
    assert _said(voice(0.5), direction="short")["technical"].log_odds == pytest.approx(-0.6)


def test_the_market_counts_half_beside_or_without_words_on_the_symbol() -> None:
    market = voice(1.0, symbol=MARKET)
    assert _said(market)["technical"].log_odds == pytest.approx(0.6)
    assert _said(voice(0.25), market)["technical"].log_odds == pytest.approx(0.3 + 0.6)


def test_words_on_another_symbol_are_not_heard() -> None:
    assert _said(voice(1.0, symbol="BBB")) == {}


def test_a_source_that_says_two_things_of_one_symbol_says_their_mean() -> None:
    assert _said(voice(1.0), voice(0.0))["technical"].log_odds == pytest.approx(0.6)


def test_a_source_without_weight_is_not_heard_and_one_without_opinion_is() -> None:
    assert _said(voice(1.0, weight=0.0)) == {}
    assert _said(voice(0.0))["technical"].log_odds == 0.0


@pytest.mark.parametrize(("confidence", "certain"), [(0.95, True), (0.9499, False)])
def test_who_is_certain_is_known(confidence: float, certain: bool) -> None:
    assert _said(voice(0.5, confidence))["technical"].certain is certain
    both = _said(voice(0.5, confidence), voice(0.5, 0.5, symbol=MARKET))
    assert both["technical"].certain is False, "on both of its words"


# The debate


def test_the_debate_is_the_bulls_strength_less_the_bears() -> None:
    cases = (case("bull", 0.75), case("bear", 0.25))
    assert _said(cases=cases)["debate"].log_odds == pytest.approx(0.3)
    assert _said(cases=cases, direction="short")["debate"].log_odds == pytest.approx(-0.3)


def test_a_debate_of_one_side_says_nothing() -> None:
    assert _said(cases=(case("bull", 1.0),)) == {}
    assert _said(cases=(case("bull", 1.0), case("bear", 0.2, symbol="BBB"))) == {}


def test_a_debate_of_no_weight_is_not_heard() -> None:
    assert _said(cases=(case("bull", 1.0), case("bear", 0.0)), weight=0.0) == {}


@pytest.mark.parametrize(("bull", "bear", "certain"), [(1.0, 0.1, True), (0.1, 0.96, True), (0.9, 0.9, False)])
def test_a_debate_is_certain_where_one_side_is(bull: float, bear: float, certain: bool) -> None:
    assert _said(cases=(case("bull", bull), case("bear", bear)))["debate"].certain is certain


# The strategist


@pytest.mark.parametrize(
    ("evidence", "counts"),
    [
        ([(True, "small")], 0.15),
        ([(True, "medium")], 0.3),
        ([(True, "large")], 0.5),
        ([(False, "large"), (True, "small")], -0.35),
        ([(True, "large")] * 5, STRATEGIST_MAX),
        ([(False, "large")] * 5, -STRATEGIST_MAX),
    ],
)
def test_the_strategists_buckets_add_up_to_a_bound(evidence: list[tuple[bool, Bucket]], counts: float) -> None:
    assert _said(update=hold(evidence=evidence))["strategist"].log_odds == pytest.approx(counts)


def test_buckets_speak_for_the_thesis_and_not_for_a_rise() -> None:
    update = hold(direction="short", evidence=[(True, "large")])
    assert _said(direction="short", update=update)["strategist"].log_odds == 0.5


def test_a_strategist_without_evidence_adds_nothing_of_its_own() -> None:
    assert _said(update=hold()) == {}


@settings(max_examples=25)
@given(
    st.lists(
        st.builds(
            voice,
            st.floats(-1, 1),
            st.floats(0, 1),
            source=st.sampled_from(["a", "b"]),
            symbol=st.sampled_from(["AAA", MARKET, "BBB"]),
        ),
        max_size=8,
    ),
    st.lists(st.builds(case, st.sampled_from(["bull", "bear"]), st.floats(0, 1)), max_size=4),
)
def test_the_order_of_words_does_not_matter(voices: list[Voice], cases: list[Case]) -> None:
    said = _said(*voices, cases=tuple(cases))
    again = _said(*reversed(voices), cases=tuple(reversed(cases)))
    assert said == again
    assert list(said) == sorted(said)
    assert all(abs(word.log_odds) <= 1.2 * 1.5 + 1e-9 for word in said.values())
