"""Lines of logs: one object each, about a decision where that is known, without secrets, a file a day, old ones gone."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.notify.redaction import Redactor
from resources.telemetry.logs import (
    DailyFile,
    JsonLines,
    about,
    begin_logging,
    end_logging,
    intents_known,
    logging_to_file,
)
from resources.telemetry.reading import log_lines
from trading_assets.core.operations import Telemetry

SLOT = "desk/2024-03-25/09:30"
JSON, TEXT = Telemetry(), Telemetry(logs="text")
LOG = logging.getLogger("desk.gateway")


@pytest.fixture(autouse=True)
def _handlers_go() -> Iterator[None]:
    yield
    end_logging()


def lines(home: Path, **which: str) -> list[dict[str, Any]]:
    return list(log_lines(home / "logs", **which))


def record(message: str, at: datetime) -> logging.LogRecord:
    made = logging.LogRecord("desk.x", logging.INFO, "f.py", 1, message, (), None)
    made.created = at.timestamp()
    return made


def test_a_line_says_when_who_and_about_which_decision(tmp_path: Path) -> None:
    begin_logging("gateway", JSON, tmp_path, {})
    intents_known.note("0123456789abcdef", SLOT)
    LOG.warning("intent %s (%s) expires", "0123456789abcdef", "AAPL")
    with about("desk/2024-03-25/10:00", slot="10:00"):
        LOG.info("within")
    LOG.info("intent fedcba9876543210 of somebody else")
    first, second, third = lines(tmp_path)
    assert (first["level"], first["logger"], first["process"]) == ("warning", "desk.gateway", "gateway")
    assert (first["correlation"], first["slot"], first["intent"]) == (SLOT, "09:30", "0123456789abcdef")
    assert (second["correlation"], second["slot"]) == ("desk/2024-03-25/10:00", "10:00")
    assert "correlation" not in third
    assert third["intent"] == "fedcba9876543210"
    assert datetime.fromisoformat(first["time"]).tzinfo is not None


def test_lines_are_found_by_process_and_by_decision(tmp_path: Path) -> None:
    for process, slot in (("gateway", "09:30"), ("watchdog", "09:30"), ("gateway", "10:00")):
        begin_logging(process, JSON, tmp_path, {})
        with about(f"desk/2024-03-25/{slot}"):
            LOG.info("%s %s", process, slot)
    assert [line["message"] for line in lines(tmp_path, process="gateway")] == ["gateway 09:30", "gateway 10:00"]
    assert {line["message"] for line in lines(tmp_path, correlation=SLOT)} == {"gateway 09:30", "watchdog 09:30"}


def test_an_exception_stays_on_its_line(tmp_path: Path) -> None:
    begin_logging("gateway", JSON, tmp_path, {})
    try:
        int("two\nlines")
    except ValueError:
        LOG.exception("a step failed")
    [line] = lines(tmp_path)
    assert line["message"] == "a step failed"
    assert "ValueError: invalid literal" in line["error"]
    assert "\n" in line["error"]


def test_no_secret_of_the_environment_is_written_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "sk-ant-very-secret-1234"
    begin_logging("gateway", JSON, tmp_path, {"ANTHROPIC_API_KEY": secret})
    try:
        int(f"401 for key {secret}")
    except ValueError:
        LOG.exception("asked with %s", secret)
    written = "".join(path.read_text() for path in (tmp_path / "logs").iterdir()) + capsys.readouterr().err
    assert secret not in written
    assert written.count("[ANTHROPIC_API_KEY]") >= 4


def test_text_writes_to_stderr_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin_logging("gateway", TEXT, tmp_path, {})
    LOG.warning("for people")
    assert "WARNING desk.gateway: for people" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_other_programs_logs_are_left_alone(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    begin_logging("gateway", JSON, tmp_path, {})
    logging.getLogger("dagster").warning("not ours")
    assert logging.getLogger().handlers == before
    assert [line["message"] for line in lines(tmp_path)] == []


def test_beginning_twice_writes_each_line_once(tmp_path: Path) -> None:
    begin_logging("gateway", JSON, tmp_path, {})
    begin_logging("gateway", JSON, tmp_path, {})
    LOG.info("once")
    assert len(lines(tmp_path)) == 1


def test_within_another_program_lines_go_to_the_file_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with logging_to_file("desk", JSON, tmp_path, {}):
        LOG.warning("inside")
    LOG.warning("outside")
    assert [line["message"] for line in lines(tmp_path)] == ["inside"]
    assert [record.message for record in caplog.records] == ["inside", "outside"]


def test_a_new_day_is_a_new_file_and_old_days_go(tmp_path: Path) -> None:
    handler = DailyFile(tmp_path, "gateway", days=2)
    handler.setFormatter(JsonLines("gateway", str))
    first = datetime(2024, 3, 25, 23, 59, tzinfo=UTC)
    for days in range(4):
        handler.emit(record(f"day {days}", first + timedelta(days=days)))
    handler.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"gateway.2024-03-{day}.jsonl" for day in (26, 27, 28)]
    assert [line["message"] for line in log_lines(tmp_path)] == ["day 1", "day 2", "day 3"]


def test_a_disk_that_refuses_loses_lines_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    begin_logging("gateway", JSON, tmp_path, {})
    LOG.warning("lost")
    (tmp_path / "logs").unlink()
    LOG.warning("kept")
    assert [line["message"] for line in lines(tmp_path)] == ["kept"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_whatever_is_said_is_one_object_on_one_line(message: str) -> None:
    made = JsonLines("p", Redactor({})).format(record(message.replace("%", "%%"), datetime(2024, 3, 25, tzinfo=UTC)))
    assert "\n" not in made
    assert "\r" not in made
    told = json.loads(made)
    assert told["time"] == "2024-03-25T00:00:00.000+00:00"
    assert "://" in message or told["message"] == message.replace("%", "%%")


def test_the_warden_logs_without_the_modules_it_may_not_know(tmp_path: Path) -> None:
    code = (
        "import sys, resources.telemetry.processes as p; p.logs_of('watchdog');"
        "print(sorted(m for m in sys.modules if m.startswith(('gateway', 'resources.desk', 'resources.llm', 'dagster',"
        "'trading_assets.execution', 'trading_assets.plans'))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"DESK_HOME": str(tmp_path)}
    )
    assert ran.stdout.strip() == "[]"
