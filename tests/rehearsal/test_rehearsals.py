"""Days that are lived by the real processes: an ordinary one, an early close, and days on which something goes wrong.

Each is the command itself, in a home of its own. The short one runs everywhere; the others take minutes and are marked slow.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import yaml

from desk.rehearsing.home import simulated_instruments
from desk.rehearsing.plan import PAST_SESSIONS
from resources.market_data.simulated import SimulatedMarketData
from tests.rehearsal.test_plan import asked
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT

ORDINARY, HALF_DAY, REAL_PRICES = "2023-06-26", "2023-07-03", "2012-10-22"
WAIT_S = 900.0
PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Told:
    """What the command said: its exit code, its last line, its document."""

    code: int
    figures: Mapping[str, Any]
    document: Mapping[str, Any]
    said: str

    def __getitem__(self, name: str) -> Any:
        return self.figures[name]

    @property
    def words(self) -> list[str]:
        """The timeline."""
        return [f"{line['what']}: {line['words']}" for line in self.document["timeline"]]

    @property
    def broken(self) -> list[str]:
        """Invariants that do not hold."""
        return [each["invariant"] for each in self.document["verdicts"] if not each["holds"]]

    @property
    def is_well(self) -> bool:
        """Every slot once, no violation, and the command says so."""
        return (self.code, self["slots_missed"], self["slots_doubled"], self["violations"]) == (0, 0, 0, 0)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator's home: the past that the first rehearsal of a day makes is there for the next."""
    return tmp_path_factory.mktemp("operator")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "desk.main", "rehearse", *options, "--json"]


def environment(operator: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in {"DESK_CONFIG", "DESK_CLOCK", "DAGSTER_HOME"}
    }
    return {**kept, "DESK_HOME": str(operator)}


def files_of(folder: Path) -> tuple[Path, Path]:
    """A configuration and a folder of bars: what three symbols of the simulated market traded."""
    day = date.fromisoformat(ORDINARY)
    chosen = simulated_instruments(replace(asked(), symbols=3))
    market, past = SimulatedMarketData(7), Span(XNYS.previous(day, PAST_SESSIONS + 1).day, day)
    for frequency, span, start in (("daily", past, "session"), ("intraday/1m", Span(day, day), "start")):
        (folder / "bars" / frequency).mkdir(parents=True)
        for symbol in (each["symbol"] for each in chosen):
            rows = market.bars(symbol, "1m" if start == "start" else "1d", span)
            told = rows.select(pl.col(start).alias("date" if start == "session" else "time"), *PRICES)
            told.write_csv(folder / "bars" / frequency / f"{symbol}.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.f%:z")
    shutil.copytree(PROJECT / "config", folder / "config")
    settings = yaml.safe_load((folder / "config" / "settings.yaml").read_text())
    settings["market"]["instruments"] = [dict(each) for each in chosen]
    (folder / "config" / "settings.yaml").write_text(yaml.safe_dump(settings))
    return folder / "config", folder / "bars"


def rehearse(operator: Path, *options: str, config: Path | None = None) -> Told:
    """Runs the command to its end."""
    done = subprocess.run(
        command(*options),
        env={**environment(operator), **({"DESK_CONFIG": str(config)} if config is not None else {})},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stdout.strip(), done.stderr[-2_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    document = json.loads((Path(figures["home"]) / "rehearsal.json").read_text())
    return Told(done.returncode, figures, document, done.stderr)


def living(home: Path) -> list[str]:
    """Command lines of processes that work in a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in process.environ().get("DESK_HOME", "") and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_first_minutes_of_a_day_are_lived_by_real_processes_without_a_violation(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "120", "--start", "09:15", "--slots", "09:30", "--until", "09:42"),
        *("--symbols", "3"),
    )
    assert told.is_well, told.said[-3_000:]
    assert (told["slots_due"], told["halts"]) == (1, 0)
    assert told["orders"] >= 3 * told["plans"] > 0
    assert {"gateway", "watchdog", "daemon"} == told.document["processes"].keys()
    assert living(operator / "rehearsals") == []
    assert (Path(told["home"]) / "rehearsal.md").read_text().startswith(f"# Rehearsal of {ORDINARY}")
    assert not (operator / "ledger").exists()


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_an_ordinary_day_has_each_of_its_parts_once_and_its_report(operator: Path) -> None:
    told = rehearse(operator, "--session", ORDINARY, "--speed", "200", "--slots", "09:30,11:00,12:30,14:00")
    assert told.is_well, told.said[-3_000:]
    assert (told["slots_due"], told["parts_missed"]) == (4, 0)
    assert any("report" in words and "success" in words for words in told.words)
    assert any(words.startswith("settlement") for words in told.words)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_on_an_early_close_the_day_ends_with_it_and_no_slot_lies_after_it(operator: Path) -> None:
    told = rehearse(operator, "--session", HALF_DAY, "--speed", "200", "--slots", "09:30,11:00,12:30,13:00,14:00,15:30")
    assert told.is_well, told.said[-3_000:]
    assert (told["slots_due"], told["parts_missed"]) == (3, 0)
    assert {each["slot"] for each in told.document["decisions"] if len(each["slot"]) == 5} == {
        "09:30",
        "11:00",
        "12:30",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_in_a_flash_crash_somebody_is_told_and_nothing_opens_any_more(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--slots", "09:30,10:30", "--until", "11:10"),
        *("--fault", "flash-crash@10:05"),
    )
    assert told.is_well, told.said[-3_000:]
    assert any("flash_crash" in words for words in told.words)
    assert any(each["invariant"].startswith("expected of flash-crash") for each in told.document["verdicts"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_broker_that_is_gone_while_an_order_is_submitted_gets_it_once_or_never(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--slots", "09:30", "--until", "10:30"),
        *("--fault", "broker-outage@submitting+300s"),
    )
    assert told.is_well, told.said[-3_000:]
    assert [each["fault"] for each in told.document["faults"]] == [
        "broker-outage while submitting for 5 s of the machine"
    ]
    assert any("SUBMITTING" in words for words in told.words)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_daemon_doubles_nothing_and_what_it_slept_through_is_recorded_as_missed(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--until", "12:50"),
        *("--slots", "09:30,10:00,10:30,11:00,11:30,12:00", "--fault", "kill-daemon@09:55+60m"),
    )
    assert (told.code, told["slots_doubled"], told["violations"]) == (0, 0, 0), told.said[-3_000:]
    decided = {each["slot"] for each in told.document["decisions"]}
    assert {"09:30", "12:00"} <= decided
    missed = {"09:30", "10:00", "10:30", "11:00", "11:30", "12:00"} - decided
    assert missed
    assert missed <= told.document["excused"].keys()
    assert told["slots_missed"] == len(missed)
    assert told.document["processes"]["daemon"]["starts"] == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("launcher", ["warm", "stock"])
def test_a_killed_decision_fails_closed_is_not_retried_and_the_next_slot_is_decided(
    operator: Path, launcher: str
) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--slots", "09:30,10:15", "--until", "10:50"),
        *("--fault", "kill-run@deciding", "--launcher", launcher),
    )
    assert (told.code, told["slots_doubled"], told["violations"]) == (0, 0, 0), told.said[-3_000:]
    assert [each["slot"] for each in told.document["decisions"] if len(each["slot"]) == len("10:15")] == ["10:15"]
    assert list(told.document["excused"]) == ["09:30"]
    (fault,) = told.document["faults"]
    assert fault["note"].endswith("of slot 09:30")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_gateway_and_a_locked_ledger_lose_nothing(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--slots", "09:30,10:30", "--until", "11:20"),
        *("--fault", "kill-gateway@09:45+300s", "--fault", "lock-ledger@10:10+5real"),
    )
    assert told.is_well, told.said[-3_000:]
    assert told.document["processes"]["gateway"]["starts"] == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_daemon_that_never_comes_back_is_a_violation_and_the_command_says_so_with_its_exit_code(
    operator: Path,
) -> None:
    """Nobody recorded the slot as missed: a day like that must not look well."""
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "120", "--start", "09:28", "--slots", "10:00", "--until", "10:40"),
        *("--fault", "kill-daemon@09:40+900m", "--launcher", "stock"),
    )
    assert told.code == 1
    assert "no slot missed" in told.broken
    assert living(operator / "rehearsals") == []


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_real_prices_without_minutes_are_lived_by_the_daemon_alone_and_fill_after_the_close(operator: Path) -> None:
    told = rehearse(
        operator,
        *("--session", REAL_PRICES, "--market", "embedded", "--broker", "bars"),
        *("--speed", "300", "--slots", "09:30,12:00"),
    )
    assert told.is_well, told.said[-3_000:]
    assert (told["slots_due"], told["parts_missed"]) == (2, 0)
    assert told.document["processes"].keys() == {"daemon"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_market_without_minutes_is_refused_to_the_broker_that_needs_them(operator: Path) -> None:
    done = subprocess.run(
        command("--session", REAL_PRICES, "--market", "embedded"),
        env=environment(operator),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr[-2_000:]
    assert "--broker bars" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_folder_of_bars_is_lived_by_all_three_processes(operator: Path, tmp_path: Path) -> None:
    config, folder = files_of(tmp_path)
    told = rehearse(
        operator,
        *("--session", ORDINARY, "--speed", "120", "--start", "09:15", "--slots", "09:30", "--until", "09:42"),
        *("--market", "files", "--path", str(folder)),
        config=config,
    )
    assert told.is_well, told.said[-3_000:]
    assert told.document["decisions"][0]["slot"] == "09:30"
    assert told.document["decisions"][0]["state"] == "ACTIVE"
    assert {"gateway", "watchdog", "daemon"} == told.document["processes"].keys()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "terminated", "killed"]
)
def test_an_interrupted_rehearsal_leaves_no_process_behind(operator: Path, number: signal.Signals) -> None:
    options = ("--session", ORDINARY, "--speed", "60", "--start", "09:20", "--slots", "09:30", "--until", "12:00")
    process = subprocess.Popen(
        command(*options), env=environment(operator), cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ends = time.monotonic() + WAIT_S
    while time.monotonic() < ends and not any("gateway" in line for line in living(operator / "rehearsals")):
        time.sleep(0.5)
    time.sleep(5)
    process.send_signal(number)
    assert process.wait(120) != 0
    ends = time.monotonic() + (30 if number == signal.SIGKILL else 0)
    while time.monotonic() < ends and living(operator / "rehearsals"):
        time.sleep(0.5)
    assert living(operator / "rehearsals") == []
