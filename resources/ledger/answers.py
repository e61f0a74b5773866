"""Recorded answers under the digest of their question; a damaged one raises, it is never a miss."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import digest_of, instant_text, storable
from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.ports import AnswerRecord

KEYS_MAX = 500
_COLUMNS = t.ANSWERS.c
_HINT = "restore the ledger from a backup; a record that was changed must not be replayed"


class SqlAnswerBook:
    """The AnswerBook port on a ledger."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def find(self, keys: Sequence[str]) -> AnswerRecord | None:
        """See the port.

        Raises:
            PermanentFailure: the record is not what was stored.
        """
        return self.find_many([keys])[0]

    def find_many(self, questions: Sequence[Sequence[str]]) -> list[AnswerRecord | None]:
        """For each question the record of the first of its keys that has one; as few queries as `KEYS_MAX` allows."""
        wanted = list(dict.fromkeys(key for keys in questions for key in keys))
        found: dict[str, Any] = {}
        with reading(self._engine) as connection:
            for first in range(0, len(wanted), KEYS_MAX):
                found |= _rows(connection, wanted[first : first + KEYS_MAX])
        return [_first(keys, found) for keys in questions]

    def keep(self, record: AnswerRecord, *, as_of: datetime) -> None:
        """See the port.

        Raises:
            PermanentFailure: the key holds another response, or a damaged record.
        """
        if self.keep_first(record, as_of=as_of).response != record.response:
            raise PermanentFailure(
                "an answer is recorded once and never replaced", value=record.key, hint="use the record that stands"
            )

    def keep_first(self, record: AnswerRecord, *, as_of: datetime) -> AnswerRecord:
        """Stores the record unless its key has one; returns the one that stands, which may be another process's."""
        with transaction(self._engine) as connection:
            return stand(connection, record, as_of=as_of)


def stand(connection: sa.Connection, record: AnswerRecord, *, as_of: datetime) -> AnswerRecord:
    """`SqlAnswerBook.keep_first` on an open writing transaction."""
    row = _row(record, as_of)
    standing = _rows(connection, [record.key]).get(record.key)
    if standing is not None:
        return _verified(standing)
    connection.execute(t.ANSWERS.insert(), row)
    return record


def _row(record: AnswerRecord, as_of: datetime) -> dict[str, Any]:
    row = {
        "key": storable("an answer's key", record.key),
        "route": record.route,
        "model": record.model,
        "skill": record.skill,
        "skill_hash": record.skill_hash,
        "request": storable("a recorded request", record.request),
        "response": storable("a recorded response", record.response),
        "at": instant_text(as_of),
    }
    return {**row, "digest": digest_of(*row.values())}


def _first(keys: Sequence[str], found: Mapping[str, Any]) -> AnswerRecord | None:
    return next((_verified(found[key]) for key in keys if key in found), None)


def _verified(row: Any) -> AnswerRecord:
    key, route, model, skill, skill_hash, request, response, at, digest = row
    if digest_of(key, route, model, skill, skill_hash, request, response, at) != digest:
        raise PermanentFailure("a recorded answer is damaged", value=key, bound=f"digest {digest}", hint=_HINT)
    return AnswerRecord(key, route, model, skill, skill_hash, request, response)


def _rows(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Any]:
    """One query; the number of its parameters is rounded up to a power of two, so that few forms of it are ever compiled."""
    size = 1 << max(0, len(keys) - 1).bit_length()
    if not keys:
        return {}
    padded = [*keys, *[keys[-1]] * (size - len(keys))]
    found = connection.execute(_query(size), {f"k{place}": key for place, key in enumerate(padded)})
    return {row[0]: row for row in found.all()}


def _query(size: int) -> sa.Select[Any]:
    if size not in _QUERIES:
        wanted = [sa.bindparam(f"k{place}", type_=_COLUMNS.key.type) for place in range(size)]
        columns = (_COLUMNS[name] for name in _READ)
        _QUERIES[size] = sa.select(*columns).where(_COLUMNS.key.in_(wanted))
    return _QUERIES[size]


_READ = ("key", "route", "model", "skill", "skill_hash", "request", "response", "at", "digest")
_QUERIES: dict[int, sa.Select[Any]] = {}
