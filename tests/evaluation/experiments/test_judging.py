"""Where experiments stand: nothing before its time, the same whoever looks when, and a verdict for every way it can end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from tests.evaluation.experiments.designs import design, noise, seen
from trading_assets.core.calendar import XNYS
from trading_assets.core.parameters import Change, Parameters, Tuned
from trading_assets.evaluation.experiments.assignment import assignment, sessions_of
from trading_assets.evaluation.experiments.judging import Standing, moved_from, standings, verdict_of
from trading_assets.evaluation.experiments.measures import Measured
from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS, Design, Ended, Registered

REDRAWS = 499


def standing(
    made: Design, values: Mapping[date, float], last: date | None = None, broken: date | None = None
) -> Standing:
    """The one arm's standing after the last session that has a value, or a later one."""
    found, end = seen(values)
    (only,) = standings(
        Registered(made), replace(found, final=last or end), last or end, redraws=REDRAWS, broken=broken
    )
    return only


def test_before_the_first_look_nothing_is_said_but_what_is_missing() -> None:
    made = design()
    found = standing(made, noise(made, 14, effect=100.0))
    assert (found.observations, found.observations_control, found.next_look) == (7, 7, 20) or found.observations in (
        6,
        8,
    )
    assert (found.estimate, found.low, found.high, found.verdict, found.look) == (None, None, None, None, 0)
    assert found.sentence.startswith("not yet: ")
    assert found.sentence.endswith(" of 20 sessions of each arm.")


def test_at_the_look_numbers_appear_and_stay_until_the_next() -> None:
    made = design()
    values = noise(made, 80, seed=3)
    days = list(values)
    at_look, later = (standing(made, {day: values[day] for day in days[:count]}) for count in (40, 56))
    assert (at_look.look, at_look.next_look) == (1, 30)
    assert at_look.estimate is not None
    assert (later.estimate, later.low, later.high, later.look) == (at_look.estimate, at_look.low, at_look.high, 1)
    assert later.observations > at_look.observations
    assert standing(made, {day: values[day] for day in days[:60]}).look == 2


def test_an_effect_is_called_better_or_worse_by_the_direction_that_was_written_down() -> None:
    for effect, better, verdict in ((15, "higher", "better"), (-15, "higher", "worse"), (-15, "lower", "better")):
        made = design(better=better)
        found = standing(made, noise(made, 80, effect=effect))
        assert found.verdict == verdict
        assert found.decided in assignment(made, XNYS)
        assert f"The arm is {verdict} than control." in found.sentence


def test_a_missed_evening_changes_neither_the_verdict_nor_its_numbers() -> None:
    """What was decided at the first look is told in the same numbers after forty more sessions."""
    made = design(spending="pocock")
    values = noise(made, 160, effect=25.0)
    days = list(values)
    first = standing(made, {day: values[day] for day in days[:40]})
    last = standing(made, values)
    assert first.verdict == last.verdict == "better"
    assert (first.estimate, first.low, first.high, first.decided) == (last.estimate, last.low, last.high, last.decided)


def test_noise_ends_without_a_difference_at_the_last_look() -> None:
    made = design()
    found = standing(made, noise(made, 80, seed=8))
    assert (found.verdict, found.look, found.next_look) == ("no_difference", 3, 0)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_sessions_that_the_desk_missed_are_made_up_for() -> None:
    """A week switched off: its sessions count for nobody, and the look comes a week later."""
    made = design()
    values = noise(made, 60, seed=3)
    days = list(values)
    off = {day: value for day, value in values.items() if day not in days[10:15]}
    assert standing(made, {day: off[day] for day in days[:40] if day in off}).look == 0
    late = standing(made, {day: off[day] for day in days[:48] if day in off})
    assert late.look == 1
    assert late.observations + late.observations_control == 43


def test_an_arm_that_has_no_results_is_never_judged() -> None:
    """Sessions without a trade have no P&L per trade; if one arm never trades, time runs out and nothing is claimed."""
    made = design(measure="trade_pnl_usd")
    dealt = assignment(made, XNYS)
    only = {day: 1.0 + (day.day % 3) for day, arm in dealt.items() if arm == "control"}
    last = sessions_of(made, XNYS)[-1]
    midway = standing(made, {day: only[day] for day in list(only)[:45]})
    assert (midway.look, midway.verdict, midway.observations) == (0, None, 0)
    found = standing(made, only, last)
    assert (found.verdict, found.estimate) == ("undecided", None)
    assert "too few sessions" in found.sentence


def test_when_its_time_is_over_what_is_there_is_judged_once() -> None:
    """Half of the sessions never came: the last look is taken early in results and late in time."""
    made = design()
    dealt = list(assignment(made, XNYS))
    values = noise(made, 160, effect=15.0)
    some = {day: values[day] for day in dealt[:60]}
    found = standing(made, some, sessions_of(made, XNYS)[-1])
    assert found.verdict == "better"
    assert standing(made, noise(made, 60, seed=8), sessions_of(made, XNYS)[-1]).verdict == ("no_difference")


def test_results_that_may_still_change_do_not_count() -> None:
    made = design()
    values = noise(made, 60)
    days = list(values)
    (found,) = standings(Registered(made), Measured(values, days[30]), days[59], redraws=REDRAWS)
    assert found.look == 0
    assert found.observations + found.observations_control == 31


def test_a_parameter_moved_by_something_else_breaks_the_experiment_there() -> None:
    made = design()
    values = noise(made, 80, effect=15.0)
    days = list(values)
    found = standing(made, values, broken=days[12])
    assert found.verdict == "broken"
    assert found.decided == days[11]
    assert found.observations + found.observations_control == 12


def test_a_verdict_that_stood_before_something_else_moved_the_parameter_stands() -> None:
    made = design(spending="pocock")
    values = noise(made, 80, effect=25.0)
    assert standing(made, values, broken=list(values)[60]).verdict == "better"


def test_a_stopped_experiment_says_so_and_shows_the_looks_it_had() -> None:
    made = design()
    values = noise(made, 80, seed=3)
    days = list(values)
    ended = Registered(made, Ended(made.id, days[44], "stopped", "enough"))
    (found,) = standings(ended, Measured(values, days[-1]), days[-1], redraws=REDRAWS)
    assert (found.verdict, found.look, found.assigned) == ("stopped", 1, "")
    assert found.observations + found.observations_control == 45


def test_several_arms_are_each_compared_with_control() -> None:
    made = design(arms={"wide": {"stop_atr": 2.1}, "tight": {"stop_atr": 1.5}}, smallest_effect=10.0)
    values = noise(made, 120, effect=20.0, arm="tight")
    found = standings(Registered(made), *seen(values), redraws=REDRAWS)
    assert [each.arm for each in found] == ["tight", "wide"]
    assert [each.level for each in found] == [0.975, 0.975]
    assert found[0].verdict == "better"
    assert found[1].verdict != "better"
    ended = verdict_of(found)
    assert ended is not None
    assert ended[:2] == ("better", found[0].decided)


def test_an_experiment_goes_on_while_an_arm_is_open_and_none_differs() -> None:
    made = design()
    open_still = standings(Registered(made), *seen(noise(made, 40, seed=3)), redraws=REDRAWS)
    over = standings(Registered(made), *seen(noise(made, 80, seed=8)), redraws=REDRAWS)
    assert verdict_of(open_still) is None
    ended = verdict_of(over)
    assert ended is not None
    assert ended[0] == "no_difference"


def test_rows_fit_their_table() -> None:
    made = design()
    frame = EXPERIMENT_RESULTS.frame([standing(made, noise(made, count)).row for count in (8, 40)])
    assert frame["look"].to_list() == [0, 1]
    assert frame["assigned"].to_list() == [assignment(made, XNYS)[day] for day in frame["session"]]


@pytest.mark.parametrize("place", [0, 1, 7])
def test_a_change_of_a_tested_parameter_is_seen_from_its_session_on(place: int) -> None:
    made = design()
    days = sessions_of(made, XNYS)
    moved = Tuned(Parameters(), (Change("stop_atr", 1.75, days[place]),))
    assert moved_from(made, moved, days[20]) == days[place]
    assert moved_from(made, moved, XNYS.previous(days[place]).day) is None
    arms_alone = Tuned(Parameters(), (Change("position_fraction", 0.04, days[2]),))
    assert moved_from(made, arms_alone, days[20]) is None


def test_a_configuration_edited_by_hand_breaks_it_as_well() -> None:
    made = design()
    assert moved_from(made, Tuned(Parameters(stop_atr=1.75)), made.first) == made.first
    assert moved_from(made, Tuned(Parameters(stop_atr=1.75)), XNYS.previous(made.first).day) is None
