"""Words of what the operator is told. Severity is what is asked of a person: to act, to look, or nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
WANTS_AN_ANSWER: frozenset[Severity] = frozenset({"warning", "critical"})


@dataclass(frozen=True, slots=True)
class Page:
    """Something that was raised for the operator. `sends` counts how often it went out; an info page is answered by being sent."""

    id: int
    book: str
    severity: Severity
    code: str
    sentence: str
    raised_at: datetime
    sent_at: datetime | None
    sends: int
    answered_at: datetime | None
    answer: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell on every channel.

    Args:
        key: What it is about: a notice under the same key takes the place of an earlier one that still waits.
        at: When it happened, UTC.
        page: Number of the page that it asks to answer; 0 for news.
        sends: How often the page went out before.
    """

    key: str
    book: str
    severity: Severity
    code: str
    sentence: str
    at: datetime
    page: int = 0
    sends: int = 0

    @property
    def line(self) -> str:
        """For a person, on one line and without control characters."""
        again = f" (told {self.sends + 1} times)" if self.sends else ""
        asks = f'; desk answer {self.page} "words"' if self.page and self.severity in WANTS_AN_ANSWER else ""
        return plain(f"{self.severity.upper()} {self.book} {self.code}: {self.sentence}{again}{asks}")


def plain(text: str) -> str:
    """The text with every character that does not print as itself replaced: it comes from strangers and ends on a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
