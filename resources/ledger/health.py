"""What the checks of health found, round by round, for as long as the settings keep it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import canonical, instant_of, instant_text, storable

_C = t.HEALTH_CHECKS.c


@dataclass(frozen=True, slots=True)
class Recorded:
    """One round: the overall state, and whatever the round wrote of its checks, as JSON."""

    seq: int
    state: str
    checks: Mapping[str, Any]
    at: datetime


class SqlHealth:
    """The rounds in a ledger, oldest first."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, state: str, checks: Mapping[str, Any], *, as_of: datetime, keep_from: datetime) -> None:
        """Adds a round and forgets those before `keep_from`, in one transaction.

        Raises:
            DeskError: The ledger cannot be written.
        """
        row = {"state": storable("a state", state), "checks": canonical(checks), "at": instant_text(as_of)}
        with transaction(self._engine) as connection:
            connection.execute(t.HEALTH_CHECKS.insert().values(row))
            connection.execute(t.HEALTH_CHECKS.delete().where(_C.at < instant_text(keep_from)))

    def newest(self, count: int = 1) -> Sequence[Recorded]:
        """The last so many rounds."""
        query = sa.select(t.HEALTH_CHECKS).order_by(_C.seq.desc()).limit(count)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Recorded(row.seq, row.state, json.loads(row.checks), instant_of(row.at)) for row in reversed(rows)]

    def between(self, first: datetime, last: datetime) -> Sequence[Recorded]:
        """Rounds of a time, both ends included."""
        query = sa.select(t.HEALTH_CHECKS).where(_C.at >= instant_text(first), _C.at <= instant_text(last))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_C.seq)).all()
        return [Recorded(row.seq, row.state, json.loads(row.checks), instant_of(row.at)) for row in rows]
