"""Ways to tell a person: the console, a file in the desk's home, and whatever Apprise can reach."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from resources.ledger.text import instant_text
from resources.notify.model import SEVERITIES, Notice, Severity
from resources.notify.redaction import Redactor
from resources.notify.settings import Channel, Notifications
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import ConfigurationError, TransientFailure

if TYPE_CHECKING:
    from apprise import Apprise

NAME = "notifications.jsonl"
LINES_MAX = 20
_MODE = 0o600


class Sender(Protocol):
    """One way to tell."""

    @property
    def name(self) -> str:
        """As it is called in the settings."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it needs nobody but this machine; there it is told what fails elsewhere."""
        ...

    @property
    def severities(self) -> frozenset[Severity]:
        """What it is told."""
        ...

    def send(self, notices: Sequence[Notice]) -> None:
        """Tells all of them, or raises TransientFailure; may take its time."""
        ...


class Console:
    """One line for each notice on stderr, or wherever `stream` writes."""

    name = "console"
    is_local = True
    severities = frozenset(SEVERITIES)

    def __init__(self, stream: Callable[[], TextIO] = lambda: sys.stderr) -> None:
        self._stream = stream

    def send(self, notices: Sequence[Notice]) -> None:
        """See the protocol."""
        lines = [f"{each.at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} {each.line}\n" for each in notices]
        try:
            out = self._stream()
            out.write("".join(lines))
            out.flush()
        except (OSError, ValueError) as closed:
            raise TransientFailure(f"the console cannot be written: {closed}") from closed


class Journal:
    """One JSON object a line in a file that is only added to; what was told is on the disk when `send` returns."""

    name = "file"
    is_local = True
    severities = frozenset(SEVERITIES)

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def send(self, notices: Sequence[Notice]) -> None:
        """See the protocol. A line that a power cut left half is ended first."""
        text = "".join(json.dumps(_fields(each)) + "\n" for each in notices).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
            try:
                _write(handle, b"\n" + text if _is_half(handle) else text)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as refused:
            raise TransientFailure(
                f"the file of notifications cannot be written: {refused.strerror or refused}", value=self.path
            ) from refused


class AppriseChannel:
    """One address that Apprise knows how to reach; several notices are one message.

    Args:
        url: The address; it shows itself nowhere.
        timeout_s: How long a message may take, seconds.

    Raises:
        ConfigurationError: Apprise does not know such an address.
    """

    is_local = False

    def __init__(self, channel: Channel, url: str, timeout_s: float) -> None:
        self.name = channel.name
        self.severities = frozenset(channel.severities)
        self._timeout_s = timeout_s
        self._apprise = _reached(channel, url)

    def send(self, notices: Sequence[Notice]) -> None:
        """See the protocol."""
        from apprise import NotifyFormat, NotifyType

        kinds = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}
        worst = max((each.severity for each in notices), key=SEVERITIES.index)
        shown, more = notices[:LINES_MAX], len(notices) - LINES_MAX
        body = "\n".join([*(each.line for each in shown), *([f"and {more} more: desk pages"] if more > 0 else [])])
        result = self._apprise.notify(
            body=body,
            title=f"desk {notices[0].book}: {worst}",
            notify_type=kinds[worst],
            body_format=NotifyFormat.TEXT,
            timeout=self._timeout_s,
        )
        if not result:
            said = "; ".join(entry.message for entry in result.logs()) or str(getattr(result, "status", "failed"))
            raise TransientFailure(f"channel {self.name} did not take a message: {said}")


def open_senders(settings: Notifications, home: Path, environment: Mapping[str, str]) -> tuple[Sender, ...]:
    """The senders of the settings, local ones first.

    Raises:
        ConfigurationError: A variable is not set, or holds no address that Apprise knows; it is named, its value is not.
    """
    local: list[Sender] = [*([Console()] if settings.console else []), *([Journal(home)] if settings.file else [])]
    return (*local, *(_channel(each, environment, settings.timeout_seconds) for each in settings.channels))


def redactor_of(settings: Notifications, environment: Mapping[str, str]) -> Redactor:
    """What takes the secrets of this environment out of every notice."""
    return Redactor(environment, settings.secrets(environment))


def _channel(channel: Channel, environment: Mapping[str, str], timeout_s: float) -> Sender:
    url = environment.get(channel.url_variable, "").strip()
    if not url:
        raise ConfigurationError(
            f"channel {channel.name} has no address",
            value=f"{channel.url_variable} is empty",
            bound="an Apprise URL",
            hint=f"set {channel.url_variable}, or take the channel out of config/notifications.yaml",
        )
    return AppriseChannel(channel, url, timeout_s)


def _reached(channel: Channel, url: str) -> "Apprise":
    """Apprise with the one address. Its log may quote what a server answers, so it goes to nobody but `send`."""
    from apprise import Apprise

    log = logging.getLogger("apprise")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    made = Apprise()
    if not made.add(url) or len(made) != 1:
        raise ConfigurationError(
            f"channel {channel.name} has no address that Apprise knows",
            value=f"what stands in {channel.url_variable}",
            bound="one Apprise URL",
            hint="apprise --details lists the kinds of addresses",
        )
    return made


def _fields(notice: Notice) -> dict[str, str | int]:
    return {
        "at": instant_text(notice.at),
        "book": notice.book,
        "severity": notice.severity,
        "code": notice.code,
        "sentence": notice.sentence,
        "key": notice.key,
        "page": notice.page,
        "sends": notice.sends + 1,
    }


def _is_half(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def _write(handle: int, text: bytes) -> None:
    """All of it; what a full disk took half of is taken back, so that a later attempt repeats no line."""
    before = os.fstat(handle).st_size
    try:
        done = 0
        while done < len(text):
            done += os.write(handle, text[done:])
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, before)
        raise
