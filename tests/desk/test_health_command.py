"""`desk health`, `desk spans` and `desk logs` as a person meets them."""

import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from datetime import date
from pathlib import Path

import pytest
import typer

from desk.health import current, run_health, worst_in_words
from desk.spans import run_logs, run_spans
from resources.ledger.engine import open_ledger
from resources.ledger.health import SqlHealth
from resources.telemetry.spans import Span, SpanFile
from trading_assets.core.errors import DataNotReady
from trading_assets.core.settings import Home

DAY = date(2024, 3, 25)
SLOT = "desk/2024-03-25/09:30"
BEGUN = 1_711_373_400_000_000_000
AT_NOON = "2024-03-26T12:10:00-04:00"


@pytest.fixture(autouse=True)
def _noon(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CLOCK", AT_NOON)


def test_one_round_is_shown_with_what_to_do_next(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_health(follow=False, serve=False, as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("warning at 2024-03-26 16:10:00 UTC")
    assert "next: desk run facts" in said
    assert current().state == "warning"
    assert worst_in_words().startswith("warning; data: no bars of 2024-03-25")


def test_as_json_it_is_one_object(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_health(follow=False, serve=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {check["name"] for check in told["checks"]} >= {"memory", "disk", "ledger", "data", "clock"}


def test_a_ledger_that_is_no_ledger_is_critical_and_ends_with_1(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.ledger("desk").parent.mkdir(parents=True)
    home.ledger("desk").write_bytes(b"no data base at all, but long enough to be read as a header of one" * 30)
    with pytest.raises(typer.Exit) as ended:
        run_health(follow=False, serve=False, as_json=False)
    assert ended.value.exit_code == 1
    assert "the ledger cannot be read" in capsys.readouterr().out


def test_it_goes_on_serves_records_and_stops_at_a_signal(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for path in (Path(__file__).parents[2] / "config").glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    words = "health: {every_seconds: 5.0}\ntelemetry: {prometheus_port: 0}\n"
    (folder / "operations.yaml").write_text(words)
    code = "from desk.health import run_health; run_health(follow=True, serve=True, as_json=True)"
    environment = {**os.environ, "DESK_HOME": str(home.root), "DESK_CONFIG": str(folder)}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert child.stderr is not None
        assert child.stdout is not None
        url = child.stderr.readline().split()[0]
        assert select.select([child.stdout], [], [], 60)[0]
        assert json.loads(child.stdout.readline())["state"] == "warning"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"desk_health_check_state" in answer.read()
        with urllib.request.urlopen(url.replace("metrics", "healthz"), timeout=10) as answer:
            assert answer.status == 200
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    assert child.returncode == 0
    engine = open_ledger(home.ledger("desk"), durability="FULL")
    assert SqlHealth(engine).newest()[0].state == "warning"
    engine.dispose()


def write_spans(home: Home) -> None:
    file = SpanFile(home.root / "traces", "gateway", 14)
    file.take(
        Span(SLOT, "dispatch", "dispatch/i", "decision", BEGUN + 9_000_000, BEGUN + 12_000_000, {"desk.symbol": "AAPL"})
    )
    file.take(Span(SLOT, "decision", "decision", "tick", BEGUN, BEGUN + 5_000_000, {}, "DataNotReady: no bars"))
    file.close()


def test_spans_are_drawn_as_a_tree_with_durations(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_spans(home)
    run_spans(DAY, "09:30", as_json=False)
    first, decision, dispatch = capsys.readouterr().out.splitlines()
    assert first.startswith(SLOT)
    assert "5.0 ms  decision  [gateway]" in decision
    assert "FAILED DataNotReady: no bars" in decision
    assert "3.0 ms    dispatch  [gateway]  AAPL" in dispatch
    run_spans(DAY, "09:30", as_json=True)
    [tree] = json.loads(capsys.readouterr().out)["trees"]
    assert (tree["name"], [below["name"] for below in tree["below"]]) == ("decision", ["dispatch"])


def test_a_decision_without_spans_is_said_with_the_next_step(home: Home) -> None:
    with pytest.raises(DataNotReady, match="no spans") as refused:
        run_spans(DAY, "10:00", as_json=False)
    assert "desk/2024-03-25/10:00" in str(refused.value)


def test_logs_are_shown_by_decision(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home.root / "logs"
    folder.mkdir(parents=True)
    lines = [
        {"time": "2024-03-25T13:30:01", "process": "gateway", "level": "info", "message": "sent", "correlation": SLOT},
        {"time": "2024-03-25T13:30:00", "process": "gateway", "level": "info", "message": "other"},
    ]
    (folder / "gateway.2024-03-25.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nhalf a li")
    run_logs(process="", correlation="", follow=False, as_json=False)
    assert [line.split(": ")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == ["other", "sent"]
    run_logs(process="gateway", correlation=SLOT, follow=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["message"] == "sent"
