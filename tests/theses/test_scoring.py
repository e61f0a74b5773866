"""Forecasts are judged by what was said first; records add up; calibration counts what came true."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import slot_after, slot_of, thesis
from trading_assets.core.errors import PermanentFailure
from trading_assets.theses.arithmetic import probability, spoken
from trading_assets.theses.model import THESIS_SCORES, Reliability, Score
from trading_assets.theses.rows import score_rows
from trading_assets.theses.scoring import WHOLE, calibration, heard_certain, learned, scores_of


def _score(probability: float, *, came_true: bool, source: str = "technical", regime: str = "mixed") -> Score:
    return Score(
        thesis_id=f"{source}{probability}{came_true}{regime}",
        source=source,
        symbol="AAA",
        regime=regime,
        probability=probability,
        came_true=came_true,
        brier=round((probability - came_true) ** 2, 6),
    )


def _frame(*scores: Score) -> pl.DataFrame:
    return pl.concat([THESIS_SCORES.empty(), pl.DataFrame(score_rows(scores, slot_of()))], how="diagonal_relaxed")


# One thesis


def test_each_source_is_scored_by_its_first_words_and_the_whole_by_its_first_confidence() -> None:
    held = thesis(said={"a": 1.0, "b": -0.5}).model_copy(update={"confidence_formed": 0.7})
    later = spoken(held.contributions, {"a": -3.0, "c": 0.2}, slot_after(5).at, "swing")
    scores = scores_of(held.model_copy(update={"contributions": later, "confidence": 0.01}), came_true=True)
    said = {"a": probability(1.0), "b": probability(-0.5), "c": probability(0.2), WHOLE: 0.7}
    assert {score.source: score.probability for score in scores} == said
    assert [score.source for score in scores] == ["a", "b", "c", WHOLE]
    assert all(score.brier == round((1 - score.probability) ** 2, 6) for score in scores)


def test_a_thesis_that_did_not_come_true_is_scored_against_zero() -> None:
    (score,) = scores_of(thesis().model_copy(update={"confidence_formed": 0.6}), came_true=False)
    assert (score.came_true, score.brier) == (False, 0.36)


# Records


def test_records_add_up() -> None:
    records = learned({}, [_score(0.8, came_true=True), _score(0.6, came_true=False)])
    assert records == {"technical": Reliability(theses=2, brier_sum=0.4, said_sum=1.4, right_sum=1.0)}


def test_who_said_nothing_either_way_gets_no_record_but_the_whole_does() -> None:
    neutral = [_score(0.5, came_true=True), _score(0.509, came_true=True), _score(0.5, came_true=True, source=WHOLE)]
    assert set(learned({}, neutral)) == {WHOLE}


def test_records_of_others_stay_and_nothing_handed_in_is_changed() -> None:
    before = {"news": Reliability(theses=3, certain=2)}
    assert learned(before, [_score(0.9, came_true=True)])["news"] == before["news"]
    assert set(before) == {"news"}


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1).map(lambda p: round(p, 6)), st.booleans()), max_size=20))
def test_the_order_in_which_theses_end_does_not_matter(ends: list[tuple[float, bool]]) -> None:
    scores = [_score(p, came_true=true) for p, true in ends]
    one, other = learned({}, scores), learned({}, scores[::-1])
    assert one.keys() == other.keys()
    for source in one:
        assert one[source].model_dump() == pytest.approx(other[source].model_dump(), abs=1e-5)


@pytest.mark.parametrize(
    ("before", "certain", "after"),
    [(0, [True], 1), (7, [True, True], 9), (7, [False], 0), (7, [True, False], 0), (7, [False, True], 0)],
)
def test_a_streak_of_certainty_ends_with_the_first_doubt(before: int, certain: list[bool], after: int) -> None:
    assert heard_certain(Reliability(theses=4, certain=before), certain) == Reliability(theses=4, certain=after)


# Calibration


def test_calibration_tells_what_was_said_and_what_came_true() -> None:
    scores = [_score(0.8, came_true=True), _score(0.85, came_true=False), _score(0.3, came_true=False)]
    (group,) = calibration(_frame(*scores))
    assert (group.group, group.n) == ("technical", 3)
    assert group.said == pytest.approx(0.65)
    assert group.true == pytest.approx(1 / 3, abs=1e-6)
    assert group.brier == pytest.approx((0.04 + 0.7225 + 0.09) / 3, abs=1e-6)
    assert [(b.low, b.high, b.n, b.true) for b in group.bins] == [(0.3, 0.4, 1, 0.0), (0.8, 0.9, 2, 0.5)]
    assert group.bins[1].said == pytest.approx(0.825)


def test_by_regime_only_whole_theses_count() -> None:
    scores = [
        _score(0.8, came_true=True),
        _score(0.7, came_true=True, source=WHOLE),
        _score(0.6, came_true=False, source=WHOLE, regime="range"),
    ]
    found = calibration(_frame(*scores), by="regime")
    assert [(group.group, group.n, group.said) for group in found] == [("mixed", 1, 0.7), ("range", 1, 0.6)]
    assert [group.group for group in calibration(_frame(*scores))] == ["technical", WHOLE]


def test_no_scores_have_no_calibration() -> None:
    assert calibration(THESIS_SCORES.empty()) == ()


def test_an_unknown_grouping_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(PermanentFailure, match=r"value: moon.*source, regime, symbol"):
        calibration(THESIS_SCORES.empty(), by="moon")


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1).map(lambda p: round(p, 6)), st.booleans()), min_size=1, max_size=30))
def test_bins_hold_every_forecast_once(said: list[tuple[float, bool]]) -> None:
    rows = [{"source": "a", "probability": p, "came_true": true, "brier": (p - true) ** 2} for p, true in said]
    (group,) = calibration(pl.DataFrame(rows))
    assert sum(each.n for each in group.bins) == group.n == len(said)
    assert all(each.low - 1e-6 <= each.said <= each.high + 1e-6 for each in group.bins)
    assert sum(each.n * each.true for each in group.bins) == pytest.approx(sum(true for _, true in said), abs=1e-4)
    assert 0 <= group.brier <= 1
