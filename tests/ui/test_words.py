"""A newcomer understands the desk from the UI alone: all in it says what it is, when it is made, what to do when it is red."""

import re
from collections import Counter
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

from resources.desk import DESK, LANES
from sensors.reports import request_report
from trading_assets.catalog import groups_of, presented
from trading_assets.core.asking import Claim
from trading_assets.core.calendar import XNYS
from trading_assets.core.day import Part, PartName
from trading_assets.core.ports import Span
from trading_assets.definitions import defs
from trading_assets.jobs import PART_JOBS, request_of

GROUP_MAX = 20
SENTENCE_MIN = 25
GRAPH: AssetGraph = defs.resolve_asset_graph()
ASSETS = [GRAPH.get(key) for key in sorted(GRAPH.get_all_asset_keys())]
JOBS = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
SENSORS, SCHEDULES = list(defs.sensors or ()), list(defs.schedules or ())
SESSION = XNYS.session(XNYS.days[6000])


def told(node: AssetNode) -> str:
    """The description."""
    assert node.description
    return node.description


@pytest.mark.parametrize("node", ASSETS, ids=lambda node: node.key.to_user_string())
def test_every_asset_says_what_it_is_from_what_when_and_what_to_do(node: AssetNode) -> None:
    first, *rest = told(node).split("\n\n")
    assert len(first) >= SENTENCE_MIN
    assert first.endswith(".")
    assert [part.split("**")[1] for part in rest][-2:] == ["Made", "When it is red:"]
    assert ("**From**" in told(node)) == bool(node.parent_keys)
    assert node.owners
    assert node.kinds
    assert node.group_name in groups_of(LANES)


def test_groups_are_small_enough_to_be_read_and_stand_in_the_order_of_the_day() -> None:
    sizes = Counter(node.group_name for node in ASSETS)
    assert {name: size for name, size in sizes.items() if size > GROUP_MAX} == {}
    assert list(groups_of(LANES)) == sorted(groups_of(LANES))
    desk = [name for name in groups_of(LANES) if name.startswith("desk_")]
    assert [name.split("_", 2)[2] for name in desk] == [
        *("opinions", "decisions", "book", "benchmarks", "measures", "learning", "weekly"),
    ]


def test_no_asset_comes_from_a_later_group_of_its_own_lane_on_the_same_day() -> None:
    """The numbers in the names are the order of the day: what an asset is made from stands before it."""
    later = [
        (parent.to_user_string(), node.key.to_user_string())
        for node in ASSETS
        for parent in node.parent_keys
        if _family(GRAPH.get(parent)) == _family(node)
        and _place(GRAPH.get(parent)) > _place(node)
        and node.partition_mappings.get(parent) is None
    ]
    assert later == []


def _family(node: AssetNode) -> str:
    return str(node.group_name).split("_", 1)[0]


def _place(node: AssetNode) -> int:
    return int(str(node.group_name).split("_")[1])


def test_an_asset_of_no_stage_stays_as_it_was() -> None:
    given = dg.AssetSpec(["desk", "nobody_knows"], description="Something.", group_name="desk")
    assert presented(given) == given
    fact = dg.AssetSpec(["thing"], group_name="elsewhere")
    assert presented(fact) == fact


def test_a_description_names_at_most_six_sources_and_counts_the_rest() -> None:
    given = dg.AssetSpec("thing", group_name="features", deps=[f"a{n}" for n in range(9)], description="What.")
    description = presented(given).description
    assert description is not None
    assert "**From** a0, a1, a2, a3, a4, a5 and 3 more." in description
    assert presented(given).group_name == "facts_2_features"


def test_a_backtest_never_claims_to_be_made_by_a_job_of_the_desk() -> None:
    for node in ASSETS:
        if node.key.path[0] == "backtest":
            assert "`desk backtest`" in told(node)
            assert "after the close" not in told(node).split("**When")[0].split("**Made**")[1]


def test_every_job_that_a_description_names_exists() -> None:
    jobs = {job.name for job in JOBS}
    commands = {"desk", "weekly"}
    named = {word for node in ASSETS for word in re.findall(r"by `(\w+)`", told(node))}
    assert named - jobs - commands == set()


@pytest.mark.parametrize("key", sorted(GRAPH.asset_check_keys), ids=lambda key: key.to_user_string())
def test_every_check_is_named_in_words(key: dg.AssetCheckKey) -> None:
    description = GRAPH.get(key).description
    assert description is not None
    assert len(description) >= SENTENCE_MIN
    assert "quality" in key.name or not key.name.startswith("check")


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_is_described_and_tagged(job: Any) -> None:
    assert len(job.description or "") >= SENTENCE_MIN
    assert job.tags["desk/job"] == job.name


@pytest.mark.parametrize("asker", [*SENSORS, *SCHEDULES], ids=lambda asker: asker.name)
def test_every_schedule_and_sensor_is_described_and_says_whether_it_asks_or_watches(asker: Any) -> None:
    assert len(asker.description or "") >= SENTENCE_MIN
    assert asker.tags["desk/role"] in {"asks", "watches"}


@pytest.mark.parametrize("name", sorted(PART_JOBS))
def test_every_run_of_the_day_is_tagged_with_book_part_and_slot(name: PartName) -> None:
    label = "10:00" if name in {"slot", "look", "review"} else ""
    part = Part(name, SESSION, SESSION.open, SESSION.close, label)
    claim = Claim(part.key, "asked", 2, SESSION.open, SESSION.open)
    tags = request_of(part, claim, Span(SESSION.day, SESSION.day), event=7).tags
    assert (tags["desk/book"], tags["desk/part"], tags["desk/attempt"]) == (DESK, part.key, "2")
    assert tags.get("desk/slot", "") == label


def test_the_report_after_a_post_close_is_tagged_like_the_day() -> None:
    run = dg.DagsterRun(job_name="postclose", run_id="1" * 8, tags={"dagster/partition": SESSION.key})
    asked = request_report(run)
    assert isinstance(asked, dg.RunRequest)
    assert (asked.tags["desk/book"], asked.tags["desk/part"]) == (DESK, f"report/{SESSION.key}")
