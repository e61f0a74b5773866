"""From a draft to a design: what it promises, what is refused before the first session, and who belongs to which arm."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.experiments.designs import FIRST, NOW, SEED, design, draft
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.evaluation.experiments.assignment import arms_of, assignment, blocks_of, sessions_of
from trading_assets.evaluation.experiments.designing import impossible, load_draft, power_at, sessions_needed
from trading_assets.evaluation.experiments.model import Design, Draft, Ended, Registered

DRAFT_FILE = """
id: wider-stop
hypothesis: A wider stop loses less to noise
arms:
  wide: {stop_atr: 2.1}
measure: session_return_bp
better: higher
smallest_effect: 8.0
spread: 10.0
sessions_min: 20
sessions_max: 40
looks: 3
"""


def test_a_design_comes_back_from_its_text_with_its_digest() -> None:
    made = design()
    assert Design.model_validate_json(made.text) == made
    assert Design.model_validate_json(made.text).digest == made.digest
    assert design(smallest_effect=8.5).digest != made.digest


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "draft.yaml").write_text(DRAFT_FILE)
    assert load_draft(tmp_path / "draft.yaml") == draft()


@pytest.mark.parametrize(
    "line",
    ["sessions_min: 0", "alpha: .nan", "measure: luck", "typo: 1", "looks: 0", "power: 1.0", "smallest_effect: 0"],
)
def test_a_file_with_a_slip_is_refused_with_its_key(tmp_path: Path, line: str) -> None:
    key = line.split(":", maxsplit=1)[0]
    kept = [each for each in DRAFT_FILE.splitlines() if not each.startswith(f"{key}:")]
    (tmp_path / "draft.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigurationError, match=key):
        load_draft(tmp_path / "draft.yaml")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sessions_min": 0}, "sessions_min"),
        ({"arms": {}}, "arms"),
        ({"arms": {"control": {}}}, "beside control"),
        ({"arms": {"control": {"stop_atr": 2.5}, "wide": {"stop_atr": 2.1}}}, "changes nothing"),
        ({"arms": {"wide": {"stop_atr": float("nan")}}}, "finite"),
        ({"arms": {"wide": {"stop_atr": "2.5"}}}, "number"),
        ({"sessions_max": 19}, "below sessions_min"),
        ({"sessions_min": 38, "looks": 5}, "looks do not fit"),
        ({"id": "Bad Name"}, "id"),
        ({"hypothesis": "why not"}, "hypothesis"),
        ({"better": "sideways"}, "better"),
    ],
)
def test_a_draft_that_is_none_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentFailure, match=words):
        draft(**changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"arms": {"wide": {"stop_atr": 3.5}}}, "outside 1 to 3"),
        ({"arms": {"wide": {"position_fraction": 0.2}}}, "outside 0.03 to 0.1"),
        ({"arms": {"wide": {"leverage": 2.0}}}, "cannot be tuned"),
        ({"arms": {"wide": {"stop_atr": 2.0}}}, "changes nothing"),
        ({"arms": {"wide": {}}}, "changes nothing"),
        ({"arms": {"one": {"stop_atr": 2.1}, "two": {"stop_atr": 2.1}}}, "two arms are the same"),
        ({"arms": {"wide": {"stop_atr": 3.0}}}, "no parameters are valid"),
        ({"smallest_effect": 2.0}, "needs .* sessions of each arm for a power of 0.8"),
        ({"spread": None}, "name a spread"),
    ],
)
def test_what_would_make_the_result_worthless_is_refused_before_the_first_session(
    changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(PermanentFailure, match=words):
        design(**changed)


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(PermanentFailure) as refused:
        design(arms={"wide": {"leverage": 2.0}}, smallest_effect=0.5)
    assert "cannot be tuned" in str(refused.value)
    assert "more sessions, a larger effect or less power" in str(refused.value)


def test_the_spread_comes_from_the_record_where_the_draft_names_none() -> None:
    made = design(spread=None, record=[10.0, -10.0] * 30)
    assert made.spread == pytest.approx(10.08, abs=0.01)
    assert made.spread_sessions == 60
    for record in ([10.0, -10.0] * 19, [5.0] * 60):
        with pytest.raises(PermanentFailure, match="name a spread"):
            design(spread=None, record=record)


def test_the_sessions_needed_are_those_of_the_textbook_and_a_little_for_the_looks() -> None:
    """Two means, 5 % two-sided, 80 %: 15.7 spread² / effect² for one look; O'Brien and Fleming's looks cost a few percent."""
    single = sessions_needed(draft(looks=1), 10.0)
    assert single == pytest.approx(2 * (1.959964 + 0.841621) ** 2 * 100 / 64, abs=1)
    assert single <= sessions_needed(draft(looks=3), 10.0) <= 1.06 * single + 1
    assert sessions_needed(draft(looks=3, spending="pocock"), 10.0) > 1.1 * single


def test_more_arms_share_the_level() -> None:
    two = draft(arms={"wide": {"stop_atr": 2.1}, "wider": {"stop_atr": 2.05}})
    assert two.level == 0.025
    assert sessions_needed(two, 10.0) > sessions_needed(draft(), 10.0)


def test_the_power_shown_is_that_of_the_planned_sessions() -> None:
    made = design()
    assert power_at(made.draft, made.spread, 8.0) >= 0.8
    assert power_at(made.draft, made.spread, 1e-9) == pytest.approx(0.05, abs=1e-6)


def test_two_experiments_never_move_one_parameter_until_one_has_ended() -> None:
    running = Registered(design())
    ended = Registered(running.design, Ended("wider-stop", FIRST, "stopped", "enough"))
    with pytest.raises(PermanentFailure, match="wider-stop already moves stop_atr"):
        design(id="tighter-stop", arms={"tight": {"stop_atr": 1.5}}, registered=[running])
    assert design(id="tighter-stop", arms={"tight": {"stop_atr": 1.5}}, registered=[ended]).id == "tighter-stop"
    assert design(id="smaller", arms={"small": {"position_fraction": 0.04}}, registered=[running]).id == "smaller"


def test_arms_that_are_valid_alone_but_not_together_are_refused() -> None:
    """A stop of 2.1 needs a target of 3.15; a target of 3.0 is fine beside the stop in force."""
    running = Registered(design())
    assert design(id="nearer", arms={"near": {"target_atr": 3.0}}).id == "nearer"
    with pytest.raises(PermanentFailure, match="under nearer near, wider-stop wide"):
        design(id="nearer", arms={"near": {"target_atr": 3.0}}, registered=[running])
    assert not list(impossible(Parameters(), [running.design.draft]))
    assert list(impossible(Parameters(target_atr=3.0), [running.design.draft]))


def test_a_name_is_used_once_even_after_its_experiment_ended() -> None:
    ended = Registered(design(), Ended("wider-stop", FIRST, "stopped", "enough"))
    with pytest.raises(PermanentFailure, match="on record already"):
        design(registered=[ended])


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (datetime(2024, 1, 3, 13, 0, tzinfo=UTC), date(2024, 1, 3)),  # before the open
        (datetime(2024, 1, 3, 14, 30, tzinfo=UTC), date(2024, 1, 4)),  # at the open
        (datetime(2024, 1, 3, 17, 0, tzinfo=UTC), date(2024, 1, 4)),  # mid-session
        (datetime(2024, 1, 5, 22, 0, tzinfo=UTC), date(2024, 1, 8)),  # a Friday evening
        (datetime(2024, 1, 6, 3, 0, tzinfo=UTC), date(2024, 1, 8)),  # still Friday in New York
        (datetime(2024, 1, 15, 15, 0, tzinfo=UTC), date(2024, 1, 16)),  # a holiday
    ],
)
def test_an_experiment_counts_from_the_next_session_that_has_not_opened(now: datetime, first: date) -> None:
    assert design(now=now).first == first


@settings(max_examples=25, deadline=None)
@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 3))
def test_every_block_holds_each_arm_equally_often(seed: str, treatments: int) -> None:
    arms = {f"arm-{number}": {"stop_atr": 1.0 + number / 10} for number in range(treatments)}
    made = design(seed=seed, arms=arms, smallest_effect=12.0)
    dealt = assignment(made, XNYS)
    assert list(dealt) == sorted(dealt) == list(sessions_of(made, XNYS))
    for block in blocks_of(made, XNYS):
        if len(block) == 2 * len(made.draft.names):
            assert Counter(dealt[day] for day in block) == dict.fromkeys(made.draft.names, 2)


def test_all_six_orders_of_a_block_occur_about_equally_often() -> None:
    plain = design()
    orders = Counter(
        tuple(assignment(made, XNYS)[day] == "wide" for day in block)
        for made in (plain.model_copy(update={"seed": f"{number:064x}"}) for number in range(40))
        for block in list(blocks_of(made, XNYS))[:20]
    )
    assert len(orders) == 6
    assert max(orders.values()) - min(orders.values()) < 60


def test_the_seed_decides_the_assignment_and_the_day_nothing_else() -> None:
    plain, other = assignment(design(), XNYS), assignment(design(seed="6" * 64), XNYS)
    assert plain == assignment(design(), XNYS)
    assert plain != other
    assert plain == assignment(design(hypothesis="Another sentence altogether"), XNYS)


def test_another_process_knows_the_same_assignment() -> None:
    code = (
        "from trading_assets.core.calendar import XNYS\n"
        "from trading_assets.evaluation.experiments.assignment import assignment\n"
        "from trading_assets.evaluation.experiments.model import Design\n"
        f"print(list(assignment(Design.model_validate_json({design().text!r}), XNYS).values()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == str(list(assignment(design(), XNYS).values()))


def test_arms_change_the_parameters_of_their_sessions_and_of_no_other() -> None:
    made = design()
    dealt = assignment(made, XNYS)
    tuned = Tuned(Parameters(), (), arms_of([Registered(made)], XNYS))
    for day, arm in list(dealt.items())[:40]:
        assert tuned.at(day).stop_atr == (2.1 if arm == "wide" else 2.0)
        assert tuned.arm_names(day) == {"wider-stop": arm}
    before = XNYS.previous(made.first).day
    assert tuned.at(before) == Parameters()
    assert tuned.arm_names(before) == {}


def test_an_ended_experiment_keeps_its_past_and_moves_nothing_any_more() -> None:
    made = design()
    days = sessions_of(made, XNYS)
    tuned = Tuned(Parameters(), (), arms_of([Registered(made, Ended(made.id, days[9], "stopped", "enough"))], XNYS))
    assert [bool(tuned.arm_names(day)) for day in days[:20]] == [True] * 10 + [False] * 10


def test_the_end_of_the_calendar_ends_the_assignment_and_changes_none_of_it() -> None:
    late = datetime(2028, 10, 2, 22, 0, tzinfo=UTC)
    made = design(now=late)
    dealt = assignment(made, XNYS)
    assert 0 < len(dealt) < 160
    assert max(dealt) <= XNYS.last


def test_looks_stand_at_whole_blocks_from_the_least_to_the_most() -> None:
    assert draft().look_sizes == (20, 30, 40)
    assert draft(looks=1).look_sizes == (40,)
    odd: Draft = draft(sessions_min=15, sessions_max=33, looks=4)
    assert odd.look_sizes == (16, 22, 28, 34)
    assert odd.fractions[-1] == 1.0


def test_a_design_says_what_it_began_from() -> None:
    made = design(arms={"wide": {"stop_atr": 2.1, "position_fraction": 0.06}})
    assert made.base == {"stop_atr": 2.0, "position_fraction": 0.05}
    assert (made.seed, made.first) == (SEED, XNYS.next(NOW.date()).day)
