"""A real gateway process over the real client dies by a real signal; what is true at the broker afterwards.

Two deaths and a sleep run with every test run, side by side. All of them run with DESK_PROVE=1, and on both databases with
`python -m bench.prove`.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.kill import CASES, Case, Outcome, play, play_stopped

OFTEN = {case.name: case for case in CASES if case.name in {"wrote_1", "drained"}}
STOPPED = "stopped"
RARELY = pytest.mark.skipif(
    not os.environ.get("DESK_PROVE"), reason="a few deaths suffice here; DESK_PROVE=1 plays all"
)


def marked(case: Case) -> object:
    return pytest.param(case, id=case.name, marks=pytest.mark.fault(case.fault))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Most of their time is waiting for leases to run out."""
    folder = tmp_path_factory.mktemp("kills")
    with ThreadPoolExecutor(len(OFTEN) + 1) as pool:
        played = {name: pool.submit(play, folder / f"{name}.sqlite", case) for name, case in OFTEN.items()}
        played[STOPPED] = pool.submit(play_stopped, folder / "stopped.sqlite")
        return {name: future.result() for name, future in played.items()}


@pytest.mark.parametrize("case", [marked(case) for case in OFTEN.values()])
def test_a_gateway_that_dies_leaves_one_order_or_none_and_nothing_is_lost(
    outcomes: Mapping[str, Outcome], case: Case
) -> None:
    outcome = outcomes[case.name]
    assert (outcome.violations, outcome.lost_fills, outcome.duplicate_orders) == ([], 0, 0)


@pytest.mark.fault(12)
def test_a_gateway_that_was_stopped_longer_than_its_lease_sends_nothing_and_ends(
    outcomes: Mapping[str, Outcome],
) -> None:
    assert outcomes[STOPPED].violations == []


@RARELY
@pytest.mark.parametrize("case", [marked(case) for case in CASES if case.name not in OFTEN])
def test_every_other_death_leaves_one_order_or_none_and_nothing_is_lost(tmp_path: Path, case: Case) -> None:
    outcome = play(tmp_path / "desk.sqlite", case)
    assert (outcome.violations, outcome.lost_fills, outcome.duplicate_orders) == ([], 0, 0)


def test_every_point_of_the_gateway_is_a_place_where_it_is_killed() -> None:
    folder = Path(__file__).parents[2] / "gateway"
    named = {
        line.split('points("')[1].split('"')[0]
        for path in sorted(folder.glob("*.py"))
        for line in path.read_text().splitlines()
        if 'points("' in line
    }
    for word in ("KILL", "TERM"):
        hit = {case.at.split(":")[0] for case in CASES if [*case.at.split(":"), "KILL"][1] == word}
        assert named <= hit, word
