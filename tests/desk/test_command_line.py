"""The commands as a person or a script meets them: help, one JSON document on stdout, exit codes, and the demo from end to end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from desk.main import app
from tests.orchestration.homes import desk, done, living_in
from trading_assets.core.settings import PROJECT, Home

COMMANDS = [
    *(
        "answer",
        "approve",
        "backtest",
        "bars",
        "brief",
        "chat",
        "compact",
        "compile",
        "costs",
        "decide",
        "demo",
        "doctor",
        "documents",
        "fill",
        "gateway",
        "halt",
        "health",
        "ingest",
    ),
    *(
        "journal",
        "leak-check",
        "logs",
        "messages",
        "notify",
        "orders",
        "pages",
        "parameters",
        "permit",
        "proposals",
        "regimes",
        "rehearse",
        "report",
        "resume",
        "run",
        "skills",
        "spans",
        "sql",
        "status",
        "theses",
        "trace",
        "ui",
        "watch",
        "watchdog",
        "weekly",
    ),
]
REPORTING = sorted(set(COMMANDS) - {"answer", "gateway", "halt", "resume", "ui", "watch", "watchdog"})


def process(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {"HOME": str(home), "DESK_HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "200"}
    command = [sys.executable, "-m", "desk.main", *words]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def the_json(text: str) -> Any:
    """The one document that stdout must be."""
    assert text.count("\n") == 1
    return json.loads(text)


# Help


def test_the_commands_are_the_documented_ones() -> None:
    named = {info.name or (info.callback.__name__ if info.callback else "") for info in app.registered_commands}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(home: Home, command: str) -> None:
    said = done(command, "--help")
    assert f"desk {command}" in said.out
    assert ("--json" in said.out) == (command in REPORTING)
    assert not home.root.exists(), "asking for help writes nothing"


def test_without_a_command_the_desk_lists_them(home: Home) -> None:
    said = desk()
    assert all(command in said.out + said.err for command in COMMANDS)


# One JSON document on stdout


def test_the_status_of_an_empty_home_says_what_to_do(home: Home) -> None:
    with living_in(home.root, clock="2012-12-31T09:31:00-05:00"):
        status = the_json(done("status", "--json").out)
    assert status["clock"]["due"] == "2012-12-31 09:30"
    assert status["data"]["last_settled_session"] is None
    assert status["data"]["tables"][0]["newest"] is None


def test_the_status_of_a_walked_book_tells_its_last_session(quarter: Home) -> None:
    status = the_json(done("status", "--lane", "backtest", "--json").out)
    assert status["data"]["last_settled_session"] == "2012-12-31"
    assert float(status["money"]["equity_usd"]) > 90_000
    assert 0 <= status["money"]["drawdown_fraction"] < 0.08
    bars = status["data"]["tables"][0]
    assert (bars["table"], bars["newest"], bars["gate"], bars["fresh"]) == ("daily_bars", "2012-12-31", "passed", False)


def test_the_status_without_json_is_for_a_person(quarter: Home) -> None:
    said = done("status", "--lane", "backtest")
    assert "settled 2012-12-31" in said.out
    assert "the close of 2012-12-31" in said.out
    assert not said.out.startswith("{")


def test_an_ingest_says_what_it_fetched(home: Home) -> None:
    words = ("--provider", "embedded", "--symbols", "IBM, AAPL", "--from", "2012-12-22", "--to", "2012-12-31")
    said = done("ingest", *words, "--json")
    told = the_json(said.out)
    assert (told["job"], told["first"], told["last"]) == ("ingest", "2012-12-24", "2012-12-31")
    rows = the_json(done("sql", "select distinct symbol from facts.daily_bars order by 1", "--json").out)
    assert rows == [{"symbol": "AAPL"}, {"symbol": "IBM"}]


def test_intraday_bars_are_fetched_by_their_length(home: Home) -> None:
    words = ("--frequency", "1h", "--symbols", "AAPL", "--from", "2026-06-01", "--to", "2026-06-02")
    told = the_json(done("ingest", *words, "--json").out)
    assert told["job"] == "ingest_intraday"
    query = "select count(*) as bars, min(frequency) as length from facts.intraday_bars"
    assert the_json(done("sql", query, "--json").out) == [{"bars": 14, "length": "1h"}]


@pytest.mark.slow
def test_a_backtest_ends_with_its_summary(own_quarter: Home) -> None:
    told = the_json(done("backtest", "--from", "2012-12-31", "--to", "2012-12-31", "--continue", "--json").out)
    assert (told["book"], told["first"], told["last"]) == ("backtest", "2012-10-01", "2012-12-31")
    assert {"equity_usd", "sharpe_ratio", "max_drawdown_fraction"} <= told["desk"].keys() & told["buy_and_hold"].keys()
    assert all(Path(path).exists() for path in told["paths"].values())


def test_the_report_says_where_it_lies(own_quarter: Home) -> None:
    told = the_json(done("report", "--json").out)
    assert (told["book"], told["session"]) == ("backtest", "2012-12-31")
    assert Path(told["report"]).read_text()
    assert json.loads(Path(told["json"]).read_text())


# SQL


def test_sql_reads_facts_results_and_metrics(quarter: Home) -> None:
    query = """
        select m.session, m.equity_usd, a.equity, b.close
        from metrics_backtest.daily_metrics m
        join backtest.account a using (session)
        join facts.daily_bars b using (session)
        where b.symbol = 'IBM' order by m.session desc limit 1
    """
    (row,) = the_json(done("sql", query, "--json").out)
    assert row["session"] == "2012-12-31"
    assert float(row["equity_usd"]) == float(row["equity"])
    assert row["close"] == pytest.approx(191.55)


def test_sql_sees_nothing_that_was_not_knowable_at_the_desks_clock(quarter: Home) -> None:
    with living_in(quarter.root, clock="2012-12-31T15:59:00-05:00"):
        rows = the_json(done("sql", "select max(session) as newest from facts.daily_bars", "--json").out)
    assert rows == [{"newest": "2012-12-28"}]


def test_sql_without_json_is_a_table(quarter: Home) -> None:
    said = done("sql", "select count(*) as sessions from backtest.account")
    assert "sessions" in said.out
    assert "62" in said.out


# The doctor


def examined() -> tuple[int, dict[str, Any]]:
    """The doctor's exit code and findings."""
    said = desk("doctor", "--json")
    return said.code, the_json(said.out)


def test_the_doctor_finds_nothing_wrong_with_a_sound_home(quarter: Home) -> None:
    code, found = examined()
    assert code == 0
    assert {found[name] for name in ("configuration", "calendar", "lake", "ledgers", "disk")} == {"well"}


def test_the_doctor_finds_one_flipped_byte_in_the_lake(own_quarter: Home) -> None:
    path = next((own_quarter.lake / "facts" / "daily_bars").glob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, found = examined()
    assert code == 1
    assert path.name in found["lake"]
    assert "bytes do not match" in found["lake"]


def test_the_doctor_finds_what_a_killed_writer_left(own_quarter: Home) -> None:
    (own_quarter.lake / "facts" / "indicators" / ".unfinished.tmp").write_bytes(b"half")
    (own_quarter.lake / "facts" / "breadth" / "notes.txt").write_text("mine")
    code, found = examined()
    assert code == 1
    assert "left by a killed writer" in found["lake"]
    assert "notes.txt" in found["lake"]


def test_the_doctor_finds_a_ledger_that_is_none(own_quarter: Home) -> None:
    own_quarter.ledger("desk").write_bytes(b"garbage" * 100)
    for left in own_quarter.ledger("desk").parent.glob("desk.sqlite-*"):
        left.unlink()
    code, found = examined()
    assert code == 1
    assert "not a database" in found["ledgers"]
    assert found["lake"] == "well"


def test_the_doctor_finds_broken_settings_and_goes_on(own_quarter: Home, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.yaml").write_text("mode: [")
    with living_in(own_quarter.root, config=tmp_path / "config"):
        code, found = examined()
    assert code == 1
    assert ".yaml" in found["configuration"]
    assert found["ledgers"] == "well"


# A process of its own


def test_a_good_a_wrong_and_a_failed_command_end_with_0_2_and_1(tmp_path: Path) -> None:
    """Scripts branch on the code, so it is tried where they meet it."""
    good = process(tmp_path, "status", "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert the_json(good.stdout)["clock"]["book"] == "desk"
    wrong = process(tmp_path, "backtest", "--from", "2024-07-04", "--to", "2024-07-04")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("desk: 2024-07-04 (Thursday) is not a session of XNYS")
    failed = process(tmp_path, "ingest", "--symbols", "ZZZZ", "--from", "2012-12-31", "--to", "2012-12-31")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "embedded does not know ZZZZ" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_demo_goes_from_bars_to_the_report_and_prints_one_object(tmp_path: Path) -> None:
    """The end-to-end test: six years of facts, two years walked, metrics and report, in a process as a person starts it."""
    ran = process(tmp_path, "demo", "--json")
    assert ran.returncode == 0, ran.stderr
    told = the_json(ran.stdout)
    assert (told["first"], told["last"]) == ("2011-03-01", "2013-02-28")
    assert told["desk"]["trades_to_date"] > 0
    assert told["buy_and_hold"]["equity_usd"]
    assert Path(told["paths"]["report"]).read_text()
    assert all(Path(path).is_relative_to(tmp_path) for path in told["paths"].values())
    assert not (PROJECT / "desk.log").exists()
    assert (tmp_path / "dagster" / "dagster.yaml").stat().st_mode & 0o077 == 0, "the home is its owner's"
