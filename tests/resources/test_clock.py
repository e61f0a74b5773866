"""The clock of the desk, and that nothing else in the tree reads one."""

import ast
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.clock import VARIABLE, FixedClock, RealClock, ReplayedClock, desk_clock, pause, speed_of, until
from trading_assets.core.errors import ConfigurationError

PROJECT = Path(__file__).parents[2]
WATCHED = ("trading_assets", "resources", "sensors", "schedules", "gateway", "watchdog", "desk")
START, BEGAN = datetime(2024, 3, 25, 13, 29, tzinfo=UTC), datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
REPLAY = "2024-03-25T09:29:00-04:00@60/2026-11-21T20:00:00Z"
THE_CLOCK = PROJECT / "resources" / "clock.py"
READINGS = {
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "time.ctime",
    "pandas.Timestamp.now",
    "pandas.Timestamp.today",
    "pandas.Timestamp.utcnow",
}


@pytest.mark.parametrize(
    "text",
    ["2013-02-28T09:31:00-05:00", "2013-02-28T14:31:00Z", "2013-02-28 14:31+00:00", "20130228T143100Z"],
)
def test_the_variable_fixes_the_clock_at_its_instant(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    clock = desk_clock()
    assert clock == FixedClock(datetime(2013, 2, 28, 14, 31, tzinfo=UTC))
    assert clock.now() == clock.now()
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("text", ["2013-02-28T09:31:00", "2013-02-28"])
def test_an_instant_without_an_offset_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=f"no offset.*{text}.*next: {VARIABLE}=") as refused:
        desk_clock()
    monkeypatch.setenv(VARIABLE, refused.value.hint.partition("=")[2])
    assert isinstance(desk_clock(), FixedClock), "the example in the hint works"


@pytest.mark.parametrize("text", ["yesterday", "2013-02-30T09:31:00-05:00", "2013-02-28T25:00:00Z", " ", "1361979060"])
def test_what_is_no_instant_is_refused_with_its_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match="not an ISO 8601 instant") as refused:
        desk_clock()
    assert refused.value.value == text


@pytest.mark.parametrize("text", [None, ""])
def test_without_the_variable_the_desk_reads_the_machine(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(VARIABLE, text)
    assert isinstance(desk_clock(), RealClock)


def test_the_real_clock_is_the_machine_in_utc_and_does_not_stand() -> None:
    before = datetime.now(UTC)  # noqa: TID251 - the real clock is compared with the machine's
    readings = [RealClock().now() for _ in range(3)]
    after = datetime.now(UTC)  # noqa: TID251
    assert [before, *readings, after] == sorted([before, *readings, after])
    assert all(reading.utcoffset() == timedelta(0) for reading in readings)


@given(
    local=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - the offset is drawn apart
    offset=st.timedeltas(timedelta(hours=-14), timedelta(hours=14)),
)
def test_any_instant_comes_back_from_its_iso_text(local: datetime, offset: timedelta) -> None:
    instant = local.replace(tzinfo=timezone(offset))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, instant.isoformat())
        assert desk_clock().now() == instant


# A replayed clock


class Machine:
    """A machine whose clock is set by the test."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


def test_the_variable_replays_the_past_at_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, REPLAY)
    clock = desk_clock()
    assert isinstance(clock, ReplayedClock)
    assert (clock.start, clock.speed, clock.began) == (START, 60.0, BEGAN)
    assert speed_of(clock) == 60.0


@given(passed=st.floats(0, 1e6), speed=st.floats(0.01, 3600))
def test_a_replayed_second_is_a_real_one_divided_by_the_speed(passed: float, speed: float) -> None:
    machine = Machine(BEGAN + timedelta(seconds=passed))
    shown = ReplayedClock(START, speed, BEGAN, machine).now()
    assert shown - START == timedelta(seconds=passed) * speed
    assert shown.tzinfo is UTC


def test_before_its_beginning_a_replay_stands_at_its_start() -> None:
    assert ReplayedClock(START, 60, BEGAN, Machine(BEGAN - timedelta(hours=1))).now() == START


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=20))
def test_a_replay_never_steps_back_when_the_machine_does(steps: list[int]) -> None:
    machine = Machine(BEGAN)
    clock, shown = ReplayedClock(START, 60, BEGAN, machine), [START]
    for step in steps:
        machine.instant += timedelta(seconds=step)
        shown.append(clock.now())
    assert shown == sorted(shown)


def test_two_processes_with_the_same_text_show_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"2024-03-25T09:29:00-04:00@60/{RealClock().now().isoformat()}")
    code = "from resources.clock import desk_clock; print(desk_clock().now().isoformat())"
    here = [desk_clock().now()]
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    here.append(desk_clock().now())
    assert here[0] <= datetime.fromisoformat(said.strip()) <= here[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2024-03-25T09:29:00-04:00@60", "does not say when the replay began"),
        ("2024-03-25T09:29:00-04:00@/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@fast/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@0/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@-1/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@nan/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@inf/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00-04:00@3601/2026-11-21T20:00:00Z", "no speed"),
        ("2024-03-25T09:29:00@60/2026-11-21T20:00:00Z", "no offset"),
        ("2024-03-25T09:29:00-04:00@60/2026-11-21T20:00:00", "no offset"),
        ("yesterday@60/2026-11-21T20:00:00Z", "not an ISO 8601 instant"),
        ("2024-03-25T09:29:00-04:00@60/now", "not an ISO 8601 instant"),
        ("2024-03-25T09:29:00-04:00@60/2026-11-21T20:00:00Z/1", "not an ISO 8601 instant"),
    ],
)
def test_a_replay_that_is_not_told_in_full_is_refused(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=f"{said}.*next: {VARIABLE}="):
        desk_clock()


def test_a_replayed_instant_is_waited_for_in_real_time() -> None:
    clock = ReplayedClock(START, 600, RealClock().now())

    async def waited() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await until(clock, START + timedelta(seconds=60))
        await pause(clock, timedelta(seconds=30))
        return loop.time() - began

    assert asyncio.run(waited()) >= 0.04
    assert clock.now() >= START + timedelta(seconds=90)


def test_what_has_passed_is_not_waited_for() -> None:
    asyncio.run(asyncio.wait_for(until(FixedClock(START), START), 1))
    asyncio.run(asyncio.wait_for(until(RealClock(), BEGAN - timedelta(days=9999)), 1))


def test_a_clock_that_stands_is_waited_for_until_it_is_moved() -> None:
    class Moved(Machine):
        """Stands for a few looks."""

        def now(self) -> datetime:
            self.instant += timedelta(seconds=1)
            return self.instant

    asyncio.run(asyncio.wait_for(until(ReplayedClock(START, 60, BEGAN, Moved(BEGAN)), START + timedelta(seconds=3)), 5))

    async def for_ever() -> None:
        async with asyncio.timeout(0.12):
            await until(FixedClock(START), START + timedelta(microseconds=1))

    with pytest.raises(TimeoutError):
        asyncio.run(for_ever())


@pytest.mark.parametrize(("clock", "speed"), [(RealClock(), 1.0), (FixedClock(START), 0.0)])
def test_the_speed_of_a_clock(clock: RealClock | FixedClock, speed: float) -> None:
    assert speed_of(clock) == speed


# Nobody else reads a clock


def test_only_the_clock_reads_a_clock() -> None:
    sources = [path for folder in WATCHED for path in sorted((PROJECT / folder).rglob("*.py")) if path != THE_CLOCK]
    found = {
        f"{path.relative_to(PROJECT)}:{line}": reading
        for path in sources
        for line, reading in readings_of(path.read_text())
    }
    assert len(sources) > 50
    assert found == {}


def test_the_clock_itself_reads_one_clock_once() -> None:
    assert [reading for _, reading in readings_of(THE_CLOCK.read_text())] == ["datetime.datetime.now"]


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime as dt\ndt.utcnow()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import datetime as d\nd.date.today()",
        "from datetime import date\nclock = date.today",
        "import time\ntime.time()",
        "from time import time as now\nnow()",
        "def later():\n    import pandas as pd\n    return pd.Timestamp.now()",
    ],
)
def test_a_reading_is_found_under_any_name(source: str) -> None:
    assert len(list(readings_of(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "clock.now()",
        "XNYS.today(now)",
        "import time\ntime.monotonic()",
        "import time\ntime.perf_counter()",
        "from datetime import datetime\ndatetime.fromisoformat(text)",
        "now = lambda: 1\nnow()",
    ],
)
def test_what_is_no_reading_is_not_found(source: str) -> None:
    assert list(readings_of(source)) == []


def readings_of(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every mention of a function that reads a clock, whatever it was imported as."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        full = _full_name(node, names)
        if full in READINGS and isinstance(node, ast.expr):
            yield node.lineno, full


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name.partition(".")[0], each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)


def _full_name(node: ast.AST, names: Mapping[str, str]) -> str:
    """The dotted name that an expression stands for; empty when it is not one."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        inner = _full_name(node.value, names)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
