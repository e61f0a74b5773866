"""A real gateway process over the real client dies by a real signal; what is true at the broker afterwards.

One death runs with every test run. All of them, on both databases, run with DESK_PROVE=1, or as `python -m tests.gateway.kill`.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.gateway.kill import DOUBLE, RHYTHM, arena, play
from tests.gateway.parts import state_in
from trading_assets.broker.lifecycle import TERMINAL

PROVE = pytest.mark.skipif(
    not os.environ.get("DESK_PROVE"), reason="one death suffices here; DESK_PROVE=1 runs them all"
)


@pytest.mark.parametrize(
    ("at", "states"),
    [
        pytest.param("before_accept", {"EXPIRED"}, marks=[pytest.mark.fault(3), PROVE]),
        pytest.param("accepted", {"EXPIRED"}, marks=[pytest.mark.fault(3), PROVE]),
        pytest.param("before_submit", {"EXPIRED"}, marks=[pytest.mark.fault(3), PROVE]),
        pytest.param("submitted", {"ABANDONED"}, marks=[pytest.mark.fault(4), PROVE]),
        pytest.param("drained", {"FILLED"}, marks=[pytest.mark.fault(6)]),
        pytest.param("sent", {"FILLED"}, marks=[pytest.mark.fault(7), PROVE]),
        pytest.param("before_apply:KILL:2", {"FILLED"}, marks=[pytest.mark.fault(8), PROVE]),
        pytest.param("applied:KILL:2", {"FILLED"}, marks=[pytest.mark.fault(8), PROVE]),
        pytest.param("submitted:TERM", {"FILLED", "ABANDONED"}, marks=[pytest.mark.fault(10), PROVE]),
    ],
)
def test_a_gateway_that_dies_leaves_one_order_or_none_and_nothing_is_lost(
    tmp_path: Path, at: str, states: set[str]
) -> None:
    outcome = play(tmp_path / "desk.sqlite", at)
    assert outcome.violations == []
    assert outcome.state in states


@PROVE
@pytest.mark.fault(9)
@pytest.mark.parametrize("again", DOUBLE)
def test_a_gateway_that_dies_while_it_recovers_recovers_the_next_time(tmp_path: Path, again: str) -> None:
    outcome = play(tmp_path / "desk.sqlite", "drained", again)
    assert (outcome.state, outcome.violations, outcome.kills) == ("FILLED", [], 2)


@PROVE
@pytest.mark.fault(12)
def test_a_gateway_that_was_stopped_longer_than_its_lease_sends_nothing_and_ends(tmp_path: Path) -> None:
    with arena(tmp_path / "desk.sqlite") as stage:
        stage.start("submitted:STOP")
        stage.until_active()
        intent = stage.sign()
        stage.until(lambda: state_in(stage.engine, intent.id) == "SUBMITTING", "the commit")
        time.sleep(RHYTHM.lease_seconds + 1)
        assert stage.process is not None
        stage.process.send_signal(signal.SIGCONT)
        assert stage.until_dead() == 3
        assert stage.tws.truth().orders == ()
        stage.start()
        stage.until(lambda: state_in(stage.engine, intent.id) in TERMINAL, "the proof of absence")
        assert state_in(stage.engine, intent.id) == "ABANDONED"
        assert stage.tws.truth().orders == ()
