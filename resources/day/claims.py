"""Who asked for which part of the day: one row of the ledger for each part, replaced only by whoever read what it said.

Two daemons, a schedule and a sensor, or a tick that is evaluated again ask at once: one of them writes the claim, the others
find it changed and ask for nothing. A part that is recorded as missed is told in the journal and on the bus in the same commit.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import append_messages
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.state import put_state, state_value
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import canonical, instant_of, instant_text, words
from trading_assets.core.asking import Ask, Claim, Missed, Settle
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry
from trading_assets.core.messages import Alert, Draft

if TYPE_CHECKING:
    from dagster import DagsterInstance

SENDER = "day"
PREFIX = "day/part/"
BEGUN = "day/begun"


def history_of(instance: "DagsterInstance") -> str:
    """What names the history of runs behind an instance; empty for a storage that has no name."""
    from dagster._core.storage.runs import SqlRunStorage

    storage = instance.run_storage
    return storage.get_run_storage_id() if isinstance(storage, SqlRunStorage) else ""


class Claims:
    """The claims of one book.

    Args:
        by: Which history of runs knows the attempts of whoever holds this.
    """

    def __init__(self, engine: sa.Engine, book: str, by: str, files: JournalFiles | None = None) -> None:
        self._engine = engine
        self._book = book
        self._by = by
        self._files = files

    @property
    def by(self) -> str:
        """Whose claims are written here."""
        return self._by

    def begun(self, *, as_of: datetime, keep: bool) -> datetime:
        """When the desk first looked at its parts: what was over by then was never asked of it.

        A replay of an earlier day begins with that day. `keep`: this may be the first look.
        """
        with reading(self._engine) as connection:
            stored = state_value(connection, BEGUN)
        if stored is None and keep:
            with transaction(self._engine) as connection:
                stored = state_value(connection, BEGUN) or instant_text(as_of)
                put_state(connection, BEGUN, stored, as_of)
        return min(instant_of(stored), as_of) if stored else as_of

    def read(self, keys: Iterable[str]) -> Mapping[str, Claim]:
        """The claims of some parts; a part that nobody asked for has none."""
        names = sorted({PREFIX + key for key in keys})
        query = sa.select(t.APP_STATE.c.key, t.APP_STATE.c.value).where(t.APP_STATE.c.key.in_(names))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return {row.key.removeprefix(PREFIX): _claim(row.key.removeprefix(PREFIX), row.value) for row in rows}

    def take(self, ask: Ask, before: Claim | None, *, machine: datetime) -> Claim | None:
        """The part's next attempt, or None where somebody else changed the claim since it was read."""
        claim = self.next(ask, before, machine=machine)
        with transaction(self._engine) as connection:
            return claim if self._replace(connection, before, claim, machine) else None

    def next(self, ask: Ask, before: Claim | None, *, machine: datetime) -> Claim:
        """The attempt that follows, before it is written down."""
        attempt = 1 if before is None else before.attempt + 1
        return Claim(ask.part.key, "asked", attempt, ask.tick, machine, self._by)

    def settle(self, settle: Settle, before: Claim | None, *, machine: datetime) -> bool:
        """Says how the attempt ended, or that the part was there unasked; False where somebody else did so already."""
        attempt, tick = (before.attempt, before.tick) if before else (0, settle.part.at)
        claim = Claim(settle.part.key, settle.state, attempt, tick, machine, self._by, words(settle.why))
        with transaction(self._engine) as connection:
            return self._replace(connection, before, claim, machine)

    def miss(
        self, missed: Sequence[Missed], before: Mapping[str, Claim], *, as_of: datetime, machine: datetime
    ) -> tuple[str, ...]:
        """Records parts as missed, in journal and bus; returns the keys of those that nobody recorded before."""
        if not missed:
            return ()
        recorded: list[Missed] = []
        with transaction(self._engine) as connection:
            for one in missed:
                old = before.get(one.part.key)
                attempt, tick = (old.attempt, old.tick) if old else (0, one.part.at)
                claim = Claim(one.part.key, "missed", attempt, tick, machine, self._by, words(one.why))
                if self._replace(connection, old, claim, as_of):
                    recorded.append(one)
            records = append_entries(connection, [self._entry(one, as_of) for one in recorded])
            append_messages(connection, [self._alert(one, as_of) for one in recorded])
        if records:
            tell_after_commit(self._engine, records, self._files)
        return tuple(one.part.key for one in recorded)

    def done_by_hand(self, key: str, *, machine: datetime) -> None:
        """The operator made the part; whoever asked before, it is done."""
        before = self.read([key]).get(key)
        claim = Claim(key, "done", before.attempt if before else 0, machine, machine, self._by, "by hand")
        with transaction(self._engine) as connection:
            put_state(connection, PREFIX + key, _text(claim), machine)

    def _replace(self, connection: sa.Connection, before: Claim | None, after: Claim, at: datetime) -> bool:
        expected = None if before is None else _text(before)
        if state_value(connection, PREFIX + after.key) != expected:
            return False
        put_state(connection, PREFIX + after.key, _text(after), at)
        return True

    def _entry(self, missed: Missed, as_of: datetime) -> Entry:
        part = missed.part
        told = {"of": "part", "part": part.name, "label": part.label, "state": "missed", "why": missed.why}
        title = f"missed: {part.name} {part.label}".strip()
        return Entry(self._book, part.session.day, as_of, "note", title, told, correlation_id=part.key)

    def _alert(self, missed: Missed, as_of: datetime) -> Draft:
        part = missed.part
        sentence = f"{part.name} {part.label} of {part.session.day} was missed: {missed.why}".replace("  ", " ")
        told = Alert(severity="warning", code=f"missed {part.name}", sentence=words(sentence))
        day = as_of.astimezone(NEW_YORK).date()
        return Draft(self._book, day, as_of, SENDER, told, correlation_id=part.key)


def _text(claim: Claim) -> str:
    return canonical(
        {
            "state": claim.state,
            "attempt": claim.attempt,
            "tick": instant_text(claim.tick),
            "at": instant_text(claim.at),
            "by": claim.by,
            "why": claim.why,
        }
    )


def _claim(key: str, text: str) -> Claim:
    try:
        told = json.loads(text)
        return Claim(
            key,
            told["state"],
            told["attempt"],
            instant_of(told["tick"]),
            instant_of(told["at"]),
            told["by"],
            told["why"],
        )
    except (ValueError, KeyError, TypeError) as damaged:
        raise PermanentFailure(
            "the claim of a part of the day cannot be read", value=f"{key}: {text[:200]}", hint="desk doctor"
        ) from damaged
