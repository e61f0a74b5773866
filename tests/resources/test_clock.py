"""The clock of the desk, and that nothing else in the tree reads one."""

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.clock import VARIABLE, FixedClock, RealClock, desk_clock
from trading_assets.core.errors import ConfigurationError

PROJECT = Path(__file__).parents[2]
WATCHED = ("trading_assets", "resources", "sensors", "schedules", "desk")
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
