"""No secret of the environment leaves the desk in a notice, however it is written in an error text."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.notify.redaction import Redactor
from tests.resources.notify.parts import REPEAT, Desk, Memory, Web
from trading_assets.core.messages import Alert

CANARY = "CANARY-5f2c/81+x=="
URL = "https://hooks.example/services/T0CANARY0/B0CANARY0/CANARYtoken?key=CANARYquery#x"
LOGIN = "postgresql://desk:CANARYpass9@db.example/desk"


@pytest.mark.parametrize(
    "name",
    [
        *("ANTHROPIC_API_KEY", "SLACK_TOKEN", "DESK_SECRET", "DB_PASSWORD", "SMTP_PASS", "DB_PWD", "AWS_CREDENTIALS"),
        *("HTTP_AUTH", "WEBHOOK", "LEDGER_URL", "SENTRY_DSN", "slack_token"),
    ],
)
def test_the_value_of_a_variable_that_sounds_secret_is_replaced_by_its_name(name: str) -> None:
    said = Redactor({name: CANARY})(f"refused: {CANARY}, {quote(CANARY, safe='')}")
    assert said == f"refused: [{name}], [{name}]"


@pytest.mark.parametrize("name", ["HOME", "PATH", "PWD", "OLDPWD", "DESK_HOME", "LANG", "SSH_AUTH_SOCK"])
def test_other_variables_stay_readable(name: str) -> None:
    assert Redactor({name: "/home/operator/desk"})("in /home/operator/desk") == "in /home/operator/desk"


def test_every_part_of_an_address_is_secret() -> None:
    redact = Redactor({"PHONE": URL}, {"PHONE"})
    parts = [URL, "T0CANARY0", "B0CANARY0", "CANARYtoken", "CANARYquery", "services/T0CANARY0/B0CANARY0/CANARYtoken"]
    for part in (*parts, URL.partition("://")[2]):
        assert "CANARY" not in redact(f"POST {part} failed"), part


def test_of_other_urls_only_the_login_is_secret() -> None:
    redact = Redactor({"LEDGER_URL": LOGIN})
    assert redact("password CANARYpass9 refused") == "password [LEDGER_URL] refused"
    assert redact("db.example is away") == "db.example is away"
    assert redact(LOGIN) == "[LEDGER_URL]"


def test_a_login_in_any_url_is_hidden() -> None:
    assert (
        Redactor({})("at http://user:CANARY@host/x and ftp://me@host")
        == "at http://[hidden]@host/x and ftp://[hidden]@host"
    )


def test_a_short_value_would_blank_words_and_stays() -> None:
    assert Redactor({"API_KEY": "on", "TOKEN": ""})("the desk is on") == "the desk is on"


@settings(max_examples=25, deadline=None)
@given(
    st.text("abcdefgh-/%+= ", min_size=8, max_size=40).map(str.strip).filter(lambda s: len(s) >= 8),
    st.text(max_size=40),
)
def test_no_text_around_it_brings_a_secret_back(secret: str, around: str) -> None:
    redact = Redactor({"API_KEY": secret})
    said = redact(f"{around}{secret}{around}")
    assert secret not in said.replace("[API_KEY]", "\n")
    assert redact(said) == said


def test_a_canary_in_an_alert_reaches_no_channel(desk: Desk, web: Web) -> None:
    phone, memory = desk.phone(web), Memory()
    environment = {"PHONE_URL": web.url, "OPENAI_API_KEY": CANARY}
    notifier = desk.notifier(*desk.local(), phone, memory, environment=environment)
    desk.say(Alert(severity="warning", code=f"vendor {CANARY}", sentence=f"401 for {CANARY} at {web.url}"))
    notifier.step(desk.hand.move(1))
    seen = desk.console.getvalue() + json.dumps(desk.filed()) + json.dumps(web.got[0][1]) + repr(memory.told)
    assert seen.count("[OPENAI_API_KEY]") >= 4
    assert "CANARY-5f2c" not in seen
    assert "CANARY-pass" not in seen


def test_a_canary_in_what_a_channel_says_of_its_failure_reaches_no_other(
    desk: Desk, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory("phone", problem=f"POST {web.url} failed, retry with CANARY-pass-1 at /CANARY-path-2")
    environment = {"PHONE_URL": web.url}
    notifier = desk.notifier(*desk.local(), memory, environment=environment)
    desk.pages.raise_page("critical", "W4", "lost", as_of=desk.hand.now())
    notifier.step(desk.hand.move(1))
    assert "channel phone fails" in caplog.text
    seen = desk.console.getvalue() + json.dumps(desk.filed()) + caplog.text
    assert "channel phone fails" in seen
    assert "CANARY-pass" not in seen
    assert desk.pages.due(desk.hand.now(), REPEAT) == []
