"""What changed and lasts is told once, a critical state is a page that its end answers, and a restart tells nothing anew."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.clock import FixedClock
from resources.health.checks import CHECKS
from resources.health.following import Follower, Lasting, code_of
from resources.health.model import STATES, Check, Report, State
from resources.health.sight import Eyes, Sight
from resources.ledger.bus import read_messages
from resources.ledger.engine import open_ledger, reading
from resources.ledger.health import SqlHealth
from resources.notify.pages import LedgerPages
from tests.resources.health.test_checks import NOW, sight
from trading_assets.core.errors import ConfigurationError, TransientFailure
from trading_assets.core.messages import Alert, Wanted
from trading_assets.core.settings import PROJECT

GB = 1_000_000_000
FULL, ROOM = GB // 2, 50 * GB


class Scripted(Eyes):
    """Sees what a test says: free bytes of disk, round after round, the last one for ever."""

    def __init__(self, free: Sequence[int | Exception]) -> None:
        super().__init__(Path(), PROJECT / "config", None, FixedClock(NOW))
        self.free = list(free)
        self.rounds = 0

    def look(self) -> Sight:
        told = self.free[min(self.rounds, len(self.free) - 1)]
        self.rounds += 1
        if isinstance(told, Exception):
            raise told
        return sight(disk_free_bytes=told)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_ledger(tmp_path / "desk.sqlite", durability="NORMAL")
    yield engine
    engine.dispose()


def follow(engine: sa.Engine | None, *free: int | Exception, rounds: int = 0) -> list[Report]:
    follower = Follower(Scripted(free), engine, machine=FixedClock(NOW), counter=lambda: 0.0)
    return [follower.step().report for _ in range(rounds or len(free))]


def alerts(engine: sa.Engine) -> list[tuple[str, str]]:
    with reading(engine) as connection:
        found = read_messages(connection, wanted=Wanted(topics=frozenset({"alert"})), after=0, limit=100)
    return [(p.severity, p.code) for m in found if isinstance(p := m.draft.payload, Alert)]


def pages(engine: sa.Engine) -> list[tuple[str, str]]:
    return [(page.code, page.answer) for page in LedgerPages(engine, "desk").every()]


def test_a_critical_state_that_lasts_is_one_page_and_its_end_answers_it(engine: sa.Engine) -> None:
    follow(engine, ROOM, FULL, FULL, FULL, FULL, ROOM, ROOM, ROOM)
    [(code, answer)] = pages(engine)
    assert code == "health/disk."
    assert answer.startswith("by itself: disk is normal again")
    assert alerts(engine) == [("critical", "health/disk."), ("info", "health/disk.")]


def test_a_value_that_swings_tells_nothing(engine: sa.Engine) -> None:
    follow(engine, *[ROOM, FULL] * 6)
    assert pages(engine) == []
    assert alerts(engine) == []


def test_a_warning_is_news_and_no_page(engine: sa.Engine) -> None:
    follow(engine, 3 * GB, 3 * GB, 3 * GB)
    assert pages(engine) == []
    assert alerts(engine) == [("info", "health/disk.")]


def test_after_a_restart_nothing_is_told_anew_and_the_end_is_still_told(engine: sa.Engine) -> None:
    follow(engine, FULL, FULL)
    follow(engine, FULL, FULL, FULL)
    assert len(pages(engine)) == len(alerts(engine)) == 1
    follow(engine, ROOM, ROOM)
    assert pages(engine)[0][1] != ""


def test_each_round_is_recorded_with_every_check(engine: sa.Engine) -> None:
    follow(engine, ROOM, FULL)
    first, second = SqlHealth(engine).newest(5)
    assert (first.state, second.state) == ("normal", "critical")
    names = {check["name"] for check in second.checks["checks"]}
    assert names >= {*CHECKS, "clock", "configuration"} - {"processes"}


def test_a_ledger_that_cannot_be_written_is_critical_and_the_rounds_go_on(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise TransientFailure("another process wrote for too long")

    with monkeypatch.context() as patched:
        patched.setattr(SqlHealth, "record", refuse)
        reports = follow(engine, ROOM, ROOM)
    assert [report.state for report in reports] == ["critical", "critical"]
    [check] = [check for check in reports[0].checks if check.name == "ledger"]
    assert "for too long" in check.sentence
    assert follow(engine, ROOM)[0].state == "normal"


def test_a_configuration_that_breaks_is_critical_and_ends_nothing(engine: sa.Engine) -> None:
    broken = ConfigurationError("operations.yaml is not as it must be")
    reports = follow(engine, broken, broken, ROOM, ROOM)
    assert [report.state for report in reports] == ["critical", "critical", "normal", "normal"]
    [(code, answer)] = pages(engine)
    assert code == "health/configuration."
    assert answer


def test_without_a_ledger_the_rounds_go_on_and_nobody_is_told() -> None:
    assert [report.state for report in follow(None, ROOM, FULL)] == ["normal", "critical"]


def test_a_step_of_the_machines_clock_is_seen_between_two_rounds(engine: sa.Engine) -> None:
    instants = iter([NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=20)])

    class Stepping:
        def now(self) -> datetime:
            return next(instants)

    counted = iter([0.0, 60.0, 120.0])
    follower = Follower(Scripted([ROOM]), engine, machine=Stepping(), counter=lambda: next(counted))
    states = [{c.name: c.state for c in follower.step().report.checks}["clock"] for _ in range(3)]
    assert states == ["normal", "normal", "critical"]


def test_no_code_begins_with_another_one() -> None:
    names = [*CHECKS, "clock", "configuration", "gateway", "watchdog", "daemon"]
    codes = [code_of(name) for name in names]
    assert [(a, b) for a in codes for b in codes if a != b and a.startswith(b)] == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STATES), max_size=20))
def test_what_is_told_is_always_what_two_rounds_in_a_row_found(found: list[State]) -> None:
    lasting, told = Lasting({}), ["normal"]
    for number, state in enumerate(found):
        check = Check("disk", state, "", "", "")
        changes = lasting.take(Report(datetime(2024, 1, 2, tzinfo=UTC), NOW, (check,)))
        for change in changes:
            assert number > 0
            assert Check("", found[number - 1], "", "", "").told == check.told == change.after
            assert change.before == told[-1] != change.after
            told.append(change.after)
    if len(found) >= 2 and found[-1] == found[-2]:
        assert told[-1] == Check("", found[-1], "", "", "").told
