"""The monthly study: the whole grid inside the bounds, every trial paid for, and one step proposed at a time."""

import pytest

from tests.evaluation.books import day, rows
from tests.evaluation.pasts import NEAR, history, record
from tests.evaluation.test_proposals_counted import JUST_MISSED, STRAIGHT
from trading_assets.core.learning import ProposalRules
from trading_assets.core.parameters import BOUNDS
from trading_assets.evaluation.learning.model import PARAMETER_STUDY
from trading_assets.evaluation.study import Study, study, study_rows

RULES = ProposalRules(trades_min=20, level=0.90)


@pytest.fixture(scope="module")
def found() -> Study:
    """A record that mostly missed its target by a step."""
    return study(record(30, JUST_MISSED, spoiled=6, otherwise=STRAIGHT), NEAR.base, RULES, last=day(40))


def test_every_value_that_can_stand_is_tried_once_and_the_best_two_together(found: Study) -> None:
    tried = [tuple(sorted(each.move.values.items())) for each in found.trials]
    assert len(set(tried)) == len(tried)
    assert {name for values in tried for name, _ in values} == {"position_fraction", "stop_atr", "target_atr"}
    assert [len(values) for values in tried].count(2) == 1
    for values in tried:
        for name, value in values:
            assert BOUNDS[name].low <= value <= BOUNDS[name].high
        NEAR.base.with_values(dict(values))


def test_every_trial_is_judged_at_the_level_that_all_keep_together(found: Study) -> None:
    levels = {each.interval.level for each in found.trials if each.interval}
    assert sorted(levels) == pytest.approx([1 - 0.10 / len(found.trials)])
    assert {each.tried for each in found.trials} == {len(found.trials)}


def test_what_it_finds_is_proposed_one_step_at_a_time(found: Study) -> None:
    assert found.suggestions
    for each in found.suggestions:
        assert abs(each.after - each.before) == pytest.approx(BOUNDS[each.name].step)
        assert each.evidence["tried"] == len(found.trials)
        assert each.evidence["step_gain_usd"] > 0
        assert each.evidence["gain_usd"]["low"] > 0


def test_a_short_record_tries_nothing_and_says_nothing() -> None:
    assert study(history([], []), NEAR.base, RULES, last=day(40)) == Study((), ())
    assert study(record(5, JUST_MISSED), NEAR.base, RULES, last=day(40)).suggestions == ()


def test_the_same_record_gives_the_same_study(found: Study) -> None:
    assert study(record(30, JUST_MISSED, spoiled=6, otherwise=STRAIGHT), NEAR.base, RULES, last=day(40)) == found


def test_trials_are_rows_of_their_table(found: Study) -> None:
    frame = rows(PARAMETER_STUDY, study_rows(found, day(40)))
    assert PARAMETER_STUDY.conform(frame).height == len(found.trials)
