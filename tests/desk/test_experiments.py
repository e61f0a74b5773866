"""`desk experiment` and its asset in a home: written down on one evening, judged on later ones, silent before its looks."""

import json
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from desk.experiments import run_list, run_replay, run_show, run_start, run_stop
from resources.desk import DESK, DeskResource
from resources.ledger.experiments import running_arms
from resources.ledger.proposals import SqlProposals
from resources.ledger.records import Experiments
from tests.evaluation.books import account
from tests.execution.world import copy_ledger, market
from tests.orchestration.homes import living_in
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import usd
from trading_assets.core.parameters import Parameters
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.evaluation.experiments.assets import experiment_assets
from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS
from trading_assets.execution.model import ACCOUNT

EVENING = date(2024, 3, 28)
DAYS = [session.day for session in XNYS.sessions(date(2024, 1, 2), date(2024, 8, 30))]
BEGUN = DAYS.index(EVENING) + 1
WALKED = Span(date(2012, 1, 3), date(2012, 2, 15))
DRAFT: dict[str, Any] = {
    "id": "wider-stop",
    "hypothesis": "A wider stop loses less to noise",
    "arms": ["wide:stop_atr=2.1"],
    "measure": "session_return_bp",
    "better": "higher",
    "smallest_effect": 10.0,
    "sessions_max": 40,
    "looks": 3,
}


def told(run: Any, *words: Any, **named: Any) -> dict[str, Any]:
    """What a command printed as JSON."""
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(StringIO()):
        run(*words, **named, as_json=True)
    shown: dict[str, Any] = json.loads(out.getvalue())
    return shown


def at(day: date, root: Path) -> Any:
    """The home, twenty minutes after a session's close."""
    return living_in(root, clock=datetime.combine(day, datetime.min.time()).strftime("%Y-%m-%dT17:00:00-04:00"))


def live(desk: DeskResource, sessions: int, *, effect: float = 0.0) -> None:
    """Books the first sessions of the year: noise of 10 basis points, and an effect where the stop is wide."""
    arms = {day: arm.name for arm in running_arms(desk.engine(DESK), DESK) for day in arm.sessions}
    drawn = np.random.default_rng(5).standard_normal(sessions) * 10
    rows, equity = [], Decimal(100_000)
    for day, value in zip(DAYS, drawn, strict=False):
        equity *= 1 + Decimal(str(float(value) + effect * (arms.get(day) == "wide"))) / 10_000
        zero = dict.fromkeys(("fees", "dividends", "traded_value", "market_value"), Decimal(0))
        counts = {"positions": 0, "decisions": 13, "plans": 0, "vetoes": 0}
        rows.append({"session": day, "cash": usd(equity), "equity": usd(equity), **zero, **counts})
    desk.lake().write(ACCOUNT, account(*rows), Span(DAYS[0], DAYS[sessions - 1]), lane=DESK)


def evening(day: date) -> dict[str, Any]:
    """The asset after a session; the row that it wrote."""
    desk = DeskResource()
    tags = {
        name: day.isoformat() for name in ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    }
    result = dg.materialize(experiment_assets(DESK), resources={"desk": desk}, tags=tags)
    assert result.success
    rows = desk.lake().read(EXPERIMENT_RESULTS, as_of=XNYS.session(day).close, lane=DESK, first=day, last=day)
    return rows.rows(named=True)[0] if rows.height else {}


@pytest.fixture
def begun(home: Home) -> Path:
    """A home on the evening on which an experiment was written down, after sixty sessions of record."""
    with at(EVENING, home.root):
        live(DeskResource(), BEGUN)
        told(run_start, None, DRAFT)
    return home.root


def test_what_was_written_down_is_shown_with_what_it_can_find(begun: Path) -> None:
    with at(EVENING, begun):
        shown = told(run_show, "wider-stop")
        listed = told(run_list)["experiments"]
    assert shown["first_session"] == DAYS[BEGUN].isoformat()
    assert shown["spread"].endswith(f"from {BEGUN - 1} sessions of record")
    assert shown["power"] >= 0.8
    assert shown["arms"] == {"control": "as it is", "wide": {"stop_atr": 2.1}}
    assert len(shown["first_sessions"]) == 10
    assert [(each["id"], each["state"], each["parameters"]) for each in listed] == [
        ("wider-stop", "running", ["stop_atr"])
    ]


def test_nothing_is_told_before_the_first_look_however_large_the_effect(begun: Path) -> None:
    day = DAYS[BEGUN + 29]
    with at(day, begun):
        live(DeskResource(), BEGUN + 30, effect=200.0)
        shown, row = told(run_show, "wider-stop"), evening(day)
    (sentence,) = shown["standing"]
    assert sentence.startswith("wide: not yet: ")
    assert (row["estimate"], row["look"], row["verdict"]) == (None, 0, "")
    assert row["observations"] + row["observations_control"] == 30


def test_the_evening_of_the_deciding_look_ends_it_and_the_arms_with_it(begun: Path) -> None:
    day = DAYS[BEGUN + 39]
    with at(day, begun):
        desk = DeskResource()
        live(desk, BEGUN + 40, effect=30.0)
        row = evening(day)
        shown = told(run_show, "wider-stop")
        tuned = desk.rules(DESK).tuned
    assert (row["verdict"], row["look"]) == ("better", 1)
    assert shown["state"] == "better"
    assert shown["ended_after"] == day.isoformat()
    assert {tuned.at(each).stop_atr for each in DAYS[BEGUN : BEGUN + 40]} == {2.0, 2.1}
    assert {tuned.at(each).stop_atr for each in DAYS[BEGUN + 40 :]} == {2.0}


def test_the_desk_decides_under_the_arm_of_the_session(begun: Path) -> None:
    with at(EVENING, begun):
        tuned = DeskResource().rules(DESK).tuned
    for line in told_sessions(begun):
        day, arm = line.split(" ")
        assert tuned.arm_names(date.fromisoformat(day)) == {"wider-stop": arm}
        assert tuned.at(date.fromisoformat(day)).stop_atr == (2.1 if arm == "wide" else 2.0)


def told_sessions(root: Path) -> list[str]:
    with at(EVENING, root):
        return list(told(run_show, "wider-stop")["first_sessions"])


def test_an_approval_of_the_tested_parameter_breaks_it(begun: Path) -> None:
    changed = DAYS[BEGUN + 5]
    with at(changed, begun):
        desk = DeskResource()
        now = desk.clock().now()
        live(desk, BEGUN + 6)
        SqlProposals(desk.engine(DESK), DESK, Parameters()).set(
            {"stop_atr": 1.75}, who="operator", reason="calm", as_of=now
        )
    with at(DAYS[BEGUN + 9], begun):
        live(DeskResource(), BEGUN + 10)
        row = evening(DAYS[BEGUN + 9])
        shown = told(run_show, "wider-stop")
    assert shown["state"] == "broken"
    assert shown["ended_after"] == changed.isoformat()
    assert row == {} or row["verdict"] == "broken"


def test_the_operator_stops_it_once_and_says_why(begun: Path) -> None:
    with at(DAYS[BEGUN + 3], begun):
        assert told(run_stop, "wider-stop", "the broker changes its fees")["state"] == "stopped"
        with pytest.raises(PermanentFailure, match="ended already"):
            run_stop("wider-stop", "again", as_json=True)
        shown = told(run_show, "wider-stop")
    assert (shown["state"], shown["reason"]) == ("stopped", "the broker changes its fees")


def test_one_that_has_not_begun_leaves_no_session_behind(begun: Path) -> None:
    with at(EVENING, begun):
        desk = DeskResource()
        told(run_stop, "wider-stop", "changed our minds")
        assert not desk.rules(DESK).tuned.arm_names(DAYS[BEGUN])


def test_without_experiments_the_evening_writes_an_empty_session(home: Home) -> None:
    with at(EVENING, home.root):
        live(DeskResource(), BEGUN)
        assert evening(EVENING) == {}
        assert told(run_list) == {"experiments": []}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"arms": ["wide"]}, "an arm names its parameters"),
        ({"arms": ["wide:stop_atr=much"]}, "an arm names its parameters"),
        ({"arms": ["wide:stop_atr=9"]}, "outside 1 to 3"),
        ({"sessions_max": 10}, "below sessions_min"),
        ({"measure": "slippage_bp"}, "name a spread"),
        ({"smallest_effect": 1.0}, "more sessions, a larger effect or less power"),
        ({"id": "wider-stop"}, "on record already"),
    ],
)
def test_a_bad_draft_is_refused_and_leaves_nothing(begun: Path, changed: dict[str, Any], words: str) -> None:
    with at(EVENING, begun):
        with pytest.raises(PermanentFailure, match=words):
            run_start(None, {**DRAFT, "id": "other", **changed}, as_json=True)
        assert len(told(run_list)["experiments"]) == 1


@pytest.mark.slow
def test_a_replay_walks_both_arms_and_stands_apart_from_the_verdict(home: Home) -> None:
    source = market(WALKED)
    shutil.copytree(source.folder / "lake", home.lake, copy_function=os.link)
    home.ledger(DESK).parent.mkdir(parents=True)
    copy_ledger(source.folder / "desk.sqlite", home.ledger(DESK))
    draft = {**DRAFT, "arms": ["small:position_fraction=0.03"], "spread": 10.0}
    with living_in(home.root, clock="2012-02-20T17:00:00-05:00"):
        told(run_start, None, draft)
        found = told(run_replay, "wider-stop", date(2012, 1, 3), date(2012, 2, 3))
        shown, desk = told(run_show, "wider-stop"), DeskResource()
        tried = Experiments(desk.engine(DESK)).of("experiment/wider-stop")
        untouched = desk.lake().read(ACCOUNT, as_of=desk.clock().now(), lane="backtest")
    assert found["evidence"] == "replayed, not live: it never enters the verdict"
    assert found["small"]["sessions"] == 22
    assert found["small"]["sessions_that_differ"] > 0
    assert found["small"]["low"] <= found["small"]["difference"] <= found["small"]["high"]
    assert [each.experiment.result["small"] for each in tried] == [found["small"]]
    assert shown["standing"] == ["not yet: its first session is 2012-02-21"]
    assert untouched.is_empty()
