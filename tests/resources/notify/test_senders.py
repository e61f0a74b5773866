"""Console, file and Apprise against a real web server; settings that are wrong are refused by name."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from resources.notify.model import Notice, Severity
from resources.notify.senders import LINES_MAX, NAME, AppriseChannel, Console, Journal, open_senders
from resources.notify.settings import Channel, Notifications, load_notifications
from tests.resources.notify.parts import BOOK, NOW, Web, notice
from trading_assets.core.errors import ConfigurationError, TransientFailure
from trading_assets.core.settings import PROJECT

# Console


def test_the_console_tells_each_notice_on_one_line_in_new_york_time() -> None:
    out = io.StringIO()
    Console(lambda: out).send(
        [notice("W4", "3 % lost", severity="critical", page=7), notice("fill", "7 AAA", severity="info")]
    )
    assert out.getvalue().splitlines() == [
        '2024-03-25 10:00:00 CRITICAL desk W4: 3 % lost; desk answer 7 "words"',
        "2024-03-25 10:00:00 INFO desk fill: 7 AAA",
    ]


@pytest.mark.parametrize("hostile", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\rb", "a\u2028b", "a\0b", "a\x9bb"])
def test_a_strangers_text_never_moves_the_cursor(hostile: str) -> None:
    out = io.StringIO()
    Console(lambda: out).send([notice("code", hostile)])
    (line,) = out.getvalue().splitlines()
    assert line.endswith("a\ufffd[2Jb" if "[" in hostile else "a\ufffdb")


def test_a_console_that_is_closed_is_a_failure_of_the_console_alone() -> None:
    out = io.StringIO()
    out.close()
    with pytest.raises(TransientFailure, match="the console cannot be written"):
        Console(lambda: out).send([notice()])


def test_a_repeated_page_says_how_often_it_was_told() -> None:
    again = Notice("page 1", BOOK, "critical", "W4", "lost", NOW, page=1, sends=2)
    assert "lost (told 3 times); desk answer 1" in again.line


# File


def test_the_file_holds_one_object_a_line_and_is_only_added_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "home")
    journal.send([notice("a", "first\nline"), notice("b", "\u00fc")])
    journal.send([notice("c", severity="critical", page=3)])
    rows = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [(row["code"], row["sentence"], row["page"], row["sends"]) for row in rows] == [
        ("a", "first\nline", 0, 1),
        ("b", "\u00fc", 0, 1),
        ("c", "gone", 3, 1),
    ]
    assert rows[0]["at"] == "2024-03-25T14:00:00.000000+00:00"
    assert journal.path.stat().st_mode & 0o077 == 0


def test_a_line_that_a_power_cut_left_half_spoils_only_itself(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"code": "ha')
    Journal(tmp_path).send([notice("whole")])
    half, whole = (tmp_path / NAME).read_text().splitlines()
    assert half == '{"code": "ha'
    assert json.loads(whole)["code"] == "whole"


def test_the_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine\n")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TransientFailure, match="the file of notifications cannot be written"):
        Journal(tmp_path).send([notice()])
    assert (tmp_path / "elsewhere").read_text() == "mine\n"


def test_a_file_that_cannot_be_written_is_a_failure_and_not_a_silence(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(TransientFailure, match="Is a directory"):
        Journal(tmp_path).send([notice()])


def test_a_disk_that_fills_up_leaves_no_half_of_a_notice(tmp_path: Path) -> None:
    """The process may write so many bytes to a file, and no more: what the kernel says is what a full disk says."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from resources.notify.senders import Journal; from tests.resources.notify.parts import notice\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); journal = Journal(Path(sys.argv[1])); journal.send([notice()])\n"
        "size = journal.path.stat().st_size; resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))\n"
        "try:\n    journal.send([notice('second')])\nexcept Exception as failed:\n    print(type(failed).__name__)\n"
        "print(journal.path.stat().st_size == size)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert said.stdout.split() == ["TransientFailure", "True"]


# Apprise


def test_apprise_reaches_a_server_with_one_message_for_all_notices(web: Web) -> None:
    channel = AppriseChannel(Channel(name="phone", url_variable="PHONE"), web.url, 5.0)
    channel.send([notice("a", "<b>first</b>", severity="info"), notice("b", "second", severity="critical", page=4)])
    ((path, body),) = web.got
    assert path.startswith("/CANARY-path-2")
    assert (body["title"], body["type"]) == ("desk desk: critical", "failure")
    assert body["message"].splitlines() == [
        "INFO desk a: <b>first</b>",
        'CRITICAL desk b: second; desk answer 4 "words"',
    ]


def test_a_burst_is_one_message_that_says_how_many_more(web: Web) -> None:
    channel = AppriseChannel(Channel(name="phone", url_variable="PHONE"), web.url, 5.0)
    channel.send([notice(f"n{number}") for number in range(LINES_MAX + 7)])
    lines = web.texts[0].splitlines()
    assert len(lines) == LINES_MAX + 1
    assert lines[-1] == "and 7 more: desk pages"


def test_a_server_that_refuses_is_a_failure_with_its_reason(web: Web) -> None:
    web.status = 503
    channel = AppriseChannel(Channel(name="phone", url_variable="PHONE"), web.url, 5.0)
    with pytest.raises(TransientFailure, match=r"channel phone did not take a message: .*503"):
        channel.send([notice()])


def test_apprise_logs_to_nobody(web: Web) -> None:
    """What a server answers is a stranger's text; it belongs into one sentence of ours, and not into a process's log."""
    web.status, out = 500, io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger().addHandler(handler)
    try:
        channel = AppriseChannel(Channel(name="phone", url_variable="PHONE"), web.url, 5.0)
        with pytest.raises(TransientFailure):
            channel.send([notice()])
    finally:
        logging.getLogger().removeHandler(handler)
    assert out.getvalue() == ""


def test_a_server_that_never_answers_ends_with_the_time_limit(web: Web) -> None:
    web.gate = threading.Event()
    channel = AppriseChannel(Channel(name="phone", url_variable="PHONE"), web.url, 0.2)
    with pytest.raises(TransientFailure, match="channel phone did not take a message"):
        channel.send([notice()])


# Settings


def settings_of(*channels: Channel) -> Notifications:
    return Notifications(channels=channels)


PHONE = Channel(name="phone", url_variable="DESK_PHONE_URL")


def test_the_committed_settings_tell_console_and_file(tmp_path: Path) -> None:
    settings = load_notifications(PROJECT / "config")
    assert [sender.name for sender in open_senders(settings, tmp_path, {})] == ["console", "file"]
    assert all(sender.is_local for sender in open_senders(settings, tmp_path, {}))


def test_a_channel_reads_its_address_from_the_environment(tmp_path: Path, web: Web) -> None:
    senders = open_senders(settings_of(PHONE), tmp_path, {"DESK_PHONE_URL": web.url})
    assert [(sender.name, sender.is_local) for sender in senders] == [
        ("console", True),
        ("file", True),
        ("phone", False),
    ]


@pytest.mark.parametrize("environment", [{}, {"DESK_PHONE_URL": ""}, {"DESK_PHONE_URL": "  "}])
def test_a_channel_without_an_address_stops_the_start_by_the_name_of_the_variable(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=r"channel phone has no address .*DESK_PHONE_URL is empty"):
        open_senders(settings_of(PHONE), tmp_path, environment)


@pytest.mark.parametrize("url", ["CANARY://secret", "not an address CANARY", "json://", "a://CANARY, b://CANARY"])
def test_an_address_that_nobody_knows_is_refused_without_being_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address that Apprise knows") as refused:
        open_senders(settings_of(PHONE), tmp_path, {"DESK_PHONE_URL": url})
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("console: true\nconsole: false", "stands twice"),
        ("consol: true", "consol"),
        ("console: false\nfile: false", "console or file must be true"),
        ("console: yes", "console"),
        ("timeout_seconds: 0", "timeout_seconds"),
        ("timeout_seconds: .nan", "timeout_seconds"),
        ("channels: [{name: phone, url: 'https://x'}]", "url"),
        ("channels: [{name: phone, url_variable: 'https://x'}]", "url_variable"),
        ("channels: [{name: file, url_variable: X}]", "names of channels must differ"),
        ("channels: [{name: a, url_variable: X}, {name: a, url_variable: Y}]", "names of channels must differ"),
        ("channels: [{name: a, url_variable: X, severities: []}]", "severities"),
        ("channels: [{name: a, url_variable: X, severities: [fatal]}]", "severities"),
    ],
)
def test_settings_that_are_wrong_are_refused_with_the_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "notifications.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load_notifications(tmp_path)


def test_a_desk_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a settings file is missing"):
        load_notifications(tmp_path)


def test_apprise_is_imported_only_where_a_channel_is_configured() -> None:
    code = (
        "import sys; from pathlib import Path; from resources.notify.notifier import open_notifier\n"
        "from resources.notify.senders import open_senders; from resources.notify.settings import Notifications\n"
        "open_senders(Notifications(), Path('.'), {}); print('apprise' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert said.stdout.strip() == "False"


def severities(*wanted: Severity) -> Channel:
    return Channel(name="phone", url_variable="X", severities=wanted)


def test_a_channel_hears_the_severities_that_it_names(web: Web) -> None:
    assert AppriseChannel(severities("critical"), web.url, 1.0).severities == {"critical"}
    assert Channel(name="phone", url_variable="X").severities == ("info", "warning", "critical")
