"""`desk pages`, `desk answer`, `desk notify`: what waits, the operator's words, and telling it without a watchdog."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from desk.pages import run_answer, run_notify, run_pages
from resources.desk import DESK, DeskResource
from resources.notify.pages import LedgerPages
from resources.notify.senders import NAME
from tests.desk.at_a_broker import the_json, with_execution
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.settings import PROJECT, Home

NOW = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands still."""
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())
    monkeypatch.setenv("COLUMNS", "200")


def pages() -> LedgerPages:
    return LedgerPages(DeskResource().engine(DESK), DESK)


def raised(code: str = "W4", sentence: str = "lost") -> int:
    number = pages().raise_page("critical", code, sentence, as_of=NOW)
    assert number is not None
    return number


def test_nothing_waits_in_a_home_that_begins(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run_pages(DESK, every=False, as_json=False)
    assert "nothing waits for an answer in book desk" in capsys.readouterr().err
    run_pages(DESK, every=True, as_json=True)
    assert the_json(capsys) == {"book": "desk", "pages": []}


def test_what_waits_is_shown_with_the_way_to_answer_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    number = raised(sentence="4 % lost \x1b[2J")
    pages().raise_page("info", "report", "made", as_of=NOW)
    run_pages(DESK, every=False, as_json=False)
    said = capsys.readouterr()
    assert "4 % lost \ufffd[2J" in said.out
    assert "2024-03-25 10:00:00" in said.out
    assert "report" not in said.out
    assert f"desk answer {number}" in said.err


def test_json_holds_every_field(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    number = raised()
    run_pages(DESK, every=False, as_json=True)
    (page,) = the_json(capsys)["pages"]
    assert page == {
        "id": number,
        "book": "desk",
        "severity": "critical",
        "code": "W4",
        "sentence": "lost",
        "raised_at": NOW.isoformat(),
        "sent_at": None,
        "sends": 0,
        "answered_at": None,
        "answer": "",
    }


def test_an_answer_ends_a_page_and_says_what_is_left(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = raised(), raised("W1 AAPL")
    run_answer(DESK, first, "a single loss")
    assert "1 more wait" in capsys.readouterr().err
    run_answer(DESK, second, "covered")
    assert "nothing else waits" in capsys.readouterr().err
    run_pages(DESK, every=True, as_json=False)
    out = capsys.readouterr().out
    assert "a single loss" in out
    assert "covered" in out
    with pytest.raises(PermanentFailure, match="no page with this number waits"):
        run_answer(DESK, first, "again")


def test_notify_tells_what_is_due_once(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    raised()
    run_notify(DESK, follow=False, as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out) == {"told": 1, "elsewhere": False, "problem": "none"}
    assert "CRITICAL desk W4: lost" in said.err
    run_notify(DESK, follow=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["told"] == 0
    assert len((home.root / NAME).read_text().splitlines()) == 1


def test_notify_refuses_a_channel_without_its_address(
    home: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("settings") / "config"
    with_execution(folder, "broker: bars\n", monkeypatch)
    (folder / "notifications.yaml").write_text("channels: [{name: phone, url_variable: DESK_PHONE_URL}]\n")
    with pytest.raises(ConfigurationError, match="DESK_PHONE_URL is empty"):
        run_notify(DESK, follow=False, as_json=False)


def test_following_tells_what_comes_until_it_is_interrupted(home: Home) -> None:
    pages()
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from desk.pages import run_notify; run_notify('desk', follow=True, as_json=False)"
    )
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, cwd=PROJECT, env=os.environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Ctrl-C ends" in line:
                break
        raised()
        assert "CRITICAL desk W4: lost" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
