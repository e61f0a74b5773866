"""What happened, as it happens: one line each, in the desk's time."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from desk.rehearsing.reading import Ledger, runs_of
from desk.rehearsing.seen import Told
from trading_assets.core.calendar import NEW_YORK

_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
_TABLES = ("journal", "pages")


@dataclass
class Timeline:
    """Reads what is new and tells it.

    Args:
        now: The desk's instant.
        tell: Where a line goes at once.
    """

    ledger: Ledger
    runs: Path
    now: Callable[[], datetime]
    tell: Callable[[str], None]
    lines: list[Told] = field(default_factory=list)
    _after: dict[str, int] = field(default_factory=dict)
    _runs_told: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Tells what is new; a database that is locked or not there yet is read at the next look."""
        try:
            for table in _TABLES:
                for number, told in self.ledger.told(table, self._after.get(table, 0)):
                    self._after[table] = number
                    self._add(told)
            self._look_at_runs()
        except sqlite3.Error:
            return

    def say(self, what: str, words: str) -> None:
        """A line of the rehearsal itself."""
        self._add(Told(self.now(), what, words))

    def _look_at_runs(self) -> None:
        for run in runs_of(self.runs):
            before = self._runs_told.get(run.id)
            self._runs_told[run.id] = run.status
            if run.status == before or (before is not None and run.status not in _ENDED):
                continue
            name = run.part or f"{run.job} {run.slot or run.partition}".strip()
            took = f" after {run.ended - run.started:.1f} s" if run.started and run.ended else ""
            words = f"{name}: {run.status.lower()}{took}" if run.status in _ENDED else f"{name}: a run is asked for"
            self._add(Told(self.now(), "run", words))

    def _add(self, told: Told) -> None:
        self.lines.append(told)
        self.tell(line_of(told))


def line_of(told: Told) -> str:
    """One line for a person."""
    return f"{told.at.astimezone(NEW_YORK):%H:%M:%S}  {told.what:<10}  {told.words}"
