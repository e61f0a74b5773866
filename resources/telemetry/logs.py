"""Logs of the desk's own processes: lines for people on stderr, and with `telemetry.logs: json` one object a line in a file.

Files stand below DESK_HOME/logs, one a process and day of the machine; what is older than `logs_days` is removed by whoever
writes the next day's first line. Only the loggers below `desk` are written: Dagster's own logs stay where Dagster puts them.
Secrets of the environment are taken out before anything is written.
"""

import json
import logging
import os
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from resources.notify.redaction import Redactor
from resources.telemetry.files import prune_days
from trading_assets.core.operations import Telemetry

ROOT = "desk"
_INTENT = re.compile(r"\bintent ([0-9a-f]{16})\b")
_INTENTS_MAX = 1_000
_MINE: list[logging.Handler] = []
_ABOUT: ContextVar["About | None"] = ContextVar("about", default=None)


@dataclass(frozen=True, slots=True)
class About:
    """Which decision a line is about."""

    correlation: str
    slot: str = ""
    intent: str = ""


@contextmanager
def about(correlation: str, *, slot: str = "", intent: str = "") -> Iterator[None]:
    """What is logged inside carries the decision's correlation id."""
    token = _ABOUT.set(About(correlation, slot, intent))
    try:
        yield
    finally:
        _ABOUT.reset(token)


class Intents:
    """Which decision made which intent: a line that names an intent can then be found by its decision. Keeps the newest."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, intent_id: str, correlation: str) -> None:
        """An intent that this process deals with."""
        self._known[intent_id] = correlation
        while len(self._known) > _INTENTS_MAX:
            self._known.popitem(last=False)

    def correlation_of(self, intent_id: str) -> str:
        """The decision's correlation id; empty for an intent of somebody else."""
        return self._known.get(intent_id, "")


intents_known = Intents()


class JsonLines(logging.Formatter):
    """A record as one JSON object a line: time, level, logger, process, message, and the decision where it is known."""

    def __init__(self, process: str, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._process = process
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """See the base."""
        message = self._redact(record.getMessage())
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": message,
            **_decision_of(message),
        }
        if record.exc_info:
            told["error"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


class Plain(logging.Formatter):
    """A record as a person reads it."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """See the base."""
        return self._redact(super().format(record))


class DailyFile(logging.Handler):
    """A process's lines, one file a day; a disk that is full loses lines and stops nothing."""

    def __init__(self, folder: Path, process: str, days: int) -> None:
        super().__init__()
        self._folder = folder
        self._process = process
        self._days = days
        self._day: date | None = None
        self._file = -1

    def emit(self, record: logging.LogRecord) -> None:
        """See the base."""
        try:
            self._open(datetime.fromtimestamp(record.created, UTC).date())
            os.write(self._file, (self.format(record) + "\n").encode())
        except OSError:
            self._day = None

    def close(self) -> None:
        """See the base."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
        self._file, self._day = -1, None
        super().close()

    def _open(self, day: date) -> None:
        if day == self._day:
            return
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._process}.{day.isoformat()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._day = day
        prune_days(self._folder, day - timedelta(days=self._days))


def begin_logging(process: str, settings: Telemetry, home: Path, environment: Mapping[str, str]) -> None:
    """Sends what the loggers below `desk` say to stderr, and to the process's file where the settings ask for it."""
    end_logging()
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Plain(Redactor(environment)))
    logger = logging.getLogger(ROOT)
    for handler in (lines, *_file(process, settings, home, environment)):
        logger.addHandler(handler)
        _MINE.append(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def end_logging() -> None:
    """Takes away what `begin_logging` gave."""
    logger = logging.getLogger(ROOT)
    while _MINE:
        handler = _MINE.pop()
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


@contextmanager
def logging_to_file(process: str, settings: Telemetry, home: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Inside, the desk's lines go to the process's file as well, wherever else they go: for a run within another program."""
    logger, handlers = logging.getLogger(ROOT), _file(process, settings, home, environment)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _file(process: str, settings: Telemetry, home: Path, environment: Mapping[str, str]) -> list[logging.Handler]:
    if settings.logs == "text":
        return []
    file = DailyFile(home / "logs", process, settings.logs_days)
    file.setFormatter(JsonLines(process, Redactor(environment)))
    return [file]


def _decision_of(message: str) -> dict[str, str]:
    """What the line is about: what was said around it, or the decision of an intent that it names."""
    found = _ABOUT.get()
    told = {} if found is None else {"correlation": found.correlation, "slot": found.slot, "intent": found.intent}
    named = _INTENT.search(message)
    if named is not None:
        correlation = intents_known.correlation_of(named[1]) or told.get("correlation", "")
        told |= {"intent": named[1], "correlation": correlation, "slot": correlation.rpartition("/")[2]}
    return {name: value for name, value in told.items() if value}
