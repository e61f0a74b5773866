"""`desk report`: a session or a week, on a real ledger, with a PDF where a browser is at hand."""

import json
import os
import shutil
from datetime import date
from pathlib import Path

import pytest

from desk.printing import VARIABLE, browser, print_pdf
from desk.report import run_report
from resources.desk import DeskResource
from resources.lake import ParquetLake
from resources.reporting import happening, told_of
from tests.evaluation.books import day, tiny
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.journal import Entry
from trading_assets.core.ports import Span
from trading_assets.execution.model import ACCOUNT

SPAN = Span(day(1), day(5))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the tiny book's account in both lanes."""
    monkeypatch.setenv("DESK_HOME", str(tmp_path))
    monkeypatch.delenv("DESK_CLOCK", raising=False)
    lake = ParquetLake(tmp_path / "lake")
    for lane in ("desk", "backtest"):
        lake.write(ACCOUNT, tiny().account, SPAN, lane=lane)
    return tmp_path


def fake_browser(folder: Path, body: str) -> dict[str, str]:
    """A program that takes a browser's options."""
    program = folder / "chromium"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


PRINTS = 'for word in "$@"; do case "$word" in --print-to-pdf=*) printf "%%PDF-1.4 made" > "${word#--print-to-pdf=}";; esac; done'


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_session_and_its_week_lie_beside_each_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_report("backtest", day(2), as_json=True)
    session = said(capsys)
    run_report("backtest", day(2), as_json=True, week=True)
    week = said(capsys)
    assert session["session"] == str(day(2))
    assert week["week"] == "2024-W01"
    reports = home / "reports" / "backtest"
    for name in (str(day(2)), "2024-W01"):
        assert {"report.md", "report.html", "report.json"} <= {path.name for path in (reports / name).iterdir()}
    data = json.loads((reports / "2024-W01" / "report.json").read_text())
    assert (data["kind"], data["first"], data["last"]) == ("week", "2024-01-02", str(day(4)))
    assert session["missing"] == week["missing"] == []


def test_a_week_on_a_closed_day_and_one_with_no_data_are_made_as_well(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_report("backtest", date(2024, 1, 6), as_json=True, week=True)
    assert said(capsys)["week"] == "2024-W01"
    run_report("backtest", date(2024, 3, 13), as_json=True, week=True)
    assert said(capsys)["week"] == "2024-W11"
    text = (home / "reports" / "backtest" / "2024-W11" / "report.md").read_text()
    assert "The book has no settled account for 2024-03-15" in text
    assert "5 sessions of 5 without a settled account" in text


def test_a_session_that_has_not_closed_is_refused(home: Path) -> None:
    with pytest.raises(PermanentFailure, match="has not closed"):
        run_report("desk", date(2028, 12, 28), as_json=True)
    with pytest.raises(DataNotReady, match="no settled session"):
        run_report("desk", None, as_json=True)


@pytest.mark.usefixtures("home")
def test_yesterdays_halt_is_on_the_page_and_a_backtest_proposes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    desk, at = DeskResource(), XNYS.session(day(2)).open
    with desk.ledger("desk").session() as ledger:
        ledger.add_halt("watchdog: equity below its floor", as_of=at)
    told = told_of(desk, "desk", on=day(2))
    assert [(each.kind, each.session) for each in told.happened(Span(day(2), day(2)))] == [("halt", day(2))]
    assert told.happened(Span(day(3), day(3))) == []
    assert told_of(desk, "backtest", on=day(2)).proposals is None
    run_report("desk", day(2), as_json=False)
    path = next(line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("report"))
    text = Path(path).read_text()
    assert "- **halt**" in text
    assert "equity below its floor" in text
    assert "No proposal is open" in text


def test_the_journals_missed_parts_and_watches_are_told_and_its_trades_are_not() -> None:
    at = XNYS.session(day(2)).open
    missed = {"of": "part", "part": "slot", "label": "10:00", "state": "missed", "why": "the machine was asleep"}
    notes = (
        Entry("desk", day(2), at, "note", "missed: slot 10:00", missed),
        Entry("desk", day(2), at, "note", "drift", {"of": "watch", "sentence": "AAPL: book 10, broker 9"}),
        Entry("desk", day(2), at, "note", "briefing", {"of": "brief"}),
        Entry("desk", day(2), at, "fill", "bought", {}),
    )
    told = [each for entry in notes if (each := happening(entry)) is not None]
    assert [(each.kind, each.sentence) for each in told] == [
        ("missed", "missed: slot 10:00: the machine was asleep"),
        ("watch", "drift: AAPL: book 10, broker 9"),
    ]


def test_the_pdf_appears_whole_beside_the_page(
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", fake_browser(tmp_path_factory.mktemp("bin"), PRINTS)["PATH"])
    run_report("backtest", day(2), as_json=True, pdf=True)
    pdf = Path(str(said(capsys)["pdf"]))
    assert pdf.read_bytes() == b"%PDF-1.4 made"
    assert pdf.parent == home / "reports" / "backtest" / str(day(2))
    assert [path for path in pdf.parent.iterdir() if path.name.endswith(".tmp")] == []


def test_without_a_browser_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="apt-get install chromium"):
        browser({"PATH": str(tmp_path)})
    with pytest.raises(PermanentFailure, match="netscape"):
        browser({"PATH": str(tmp_path), VARIABLE: "netscape"})


@pytest.mark.parametrize("body", ["echo no display >&2; exit 1", PRINTS.replace("%%PDF", "GIF")])
def test_a_browser_that_prints_nothing_leaves_the_old_pdf(tmp_path: Path, body: str) -> None:
    page, target = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text("<p>x</p>")
    target.write_bytes(b"old")
    with pytest.raises(PermanentFailure, match="printed no PDF"):
        print_pdf(page, target, fake_browser(tmp_path, body))
    assert target.read_bytes() == b"old"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_a_real_browser_prints_the_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<!DOCTYPE html><title>t</title><p>A page.</p>")
    made = print_pdf(page, tmp_path / "report.pdf", os.environ)
    assert made.read_bytes().startswith(b"%PDF-")
