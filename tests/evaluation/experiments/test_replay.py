"""Both arms over the same sessions: equal arms walk equally, a moved stop walks another way, and the lake is left as it was."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.evaluation.experiments.designs import design
from tests.execution.world import EVER, backtest, booked, lane, market
from trading_assets.core.errors import DataNotReady
from trading_assets.core.parameters import Parameters
from trading_assets.core.ports import Span
from trading_assets.evaluation.experiments.measures import Record, measured
from trading_assets.evaluation.experiments.replay import arms_parameters, paired, walked
from trading_assets.execution.model import ACCOUNT, FILLS, TRADES

SPAN = Span(date(2012, 1, 3), date(2012, 2, 15))


@cache
def walk(parameters: Parameters) -> Record:
    """The weeks under some parameters, on a ledger of its own."""
    home = Path(mkdtemp(prefix="desk-tests-")) / "home"
    return walked(lane(home, of=market(SPAN)), SPAN, parameters)


def test_a_walk_under_the_values_in_force_is_the_backtest() -> None:
    found, there = walk(Parameters()), booked(backtest(SPAN), SPAN)
    assert found.account.equals(there[ACCOUNT.name])
    assert found.trades.equals(there[TRADES.name])
    assert found.fills.equals(there[FILLS.name])
    assert found.fills.height > 0
    assert {*found.fills.filter(role="entry")["intent_id"]} <= found.references.keys()


def test_nothing_of_a_replay_reaches_the_lake(tmp_path: Path) -> None:
    where = lane(tmp_path / "home", of=market(SPAN))
    walked(where, Span(date(2012, 1, 3), date(2012, 1, 20)), Parameters())
    assert where.lake.read(ACCOUNT, as_of=EVER, lane="backtest").is_empty()


def test_arms_are_what_the_design_began_with_and_their_own_changes() -> None:
    made = design(arms={"wide": {"stop_atr": 2.1, "target_atr": 4.0}})
    later = Parameters(stop_atr=1.5, position_fraction=0.04)
    arms = arms_parameters(made, later)
    assert arms["control"] == Parameters(stop_atr=2.0, target_atr=3.2, position_fraction=0.04)
    assert arms["wide"] == Parameters(stop_atr=2.1, target_atr=4.0, position_fraction=0.04)


def replayed(arm: Mapping[str, float]) -> tuple[dict[str, Record], str]:
    made = design(id="sizes", arms={"other": dict(arm)})
    records = {name: walk(parameters) for name, parameters in arms_parameters(made, Parameters()).items()}
    return records, made.id


def test_an_arm_that_moves_the_size_walks_another_way_over_the_same_sessions() -> None:
    made = design(id="sizes", arms={"other": {"position_fraction": 0.03}})
    records, _ = replayed({"position_fraction": 0.03})
    (found,) = paired(made, records)
    assert found.sessions == records["control"].account.height - 1
    assert 0 < found.differing <= found.sessions
    assert found.difference is not None
    assert found.difference.low <= found.difference.mean <= found.difference.high
    values = {name: measured("session_return_bp", record).counted for name, record in records.items()}
    means = {name: sum(each.values()) / len(each) for name, each in values.items()}
    assert found.difference.mean == pytest.approx(means["other"] - means["control"])


def test_an_arm_beside_itself_differs_nowhere() -> None:
    made = design(id="sizes", arms={"other": {"position_fraction": 0.03}})
    (found,) = paired(made, {"control": walk(Parameters()), "other": walk(Parameters())})
    assert (found.differing, found.difference and found.difference.high) == (0, 0.0)


def test_sessions_without_opinions_are_not_walked(tmp_path: Path) -> None:
    with pytest.raises(DataNotReady, match="desk backtest --from 2013-01-02"):
        walked(lane(tmp_path / "home", of=market(SPAN)), Span(date(2013, 1, 2), date(2013, 1, 10)), Parameters())
