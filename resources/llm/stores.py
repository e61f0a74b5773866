"""What the reasoner keeps in the ledger.

It is read and written on the event loop's own thread. A second thread would wait for the interpreter's lock after every statement
while the loop is busy: with 32 questions in flight that took three times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from resources.ledger.answers import SqlAnswerBook
from resources.ledger.breakers import SqlBreakers
from resources.ledger.costs import SqlCostBook
from resources.ledger.records import SqlAgentHealth
from trading_assets.core.errors import TransientFailure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one ledger."""

    costs: SqlCostBook
    answers: SqlAnswerBook
    breakers: SqlBreakers
    health: SqlAgentHealth

    @classmethod
    def on(cls, engine: sa.Engine) -> Stores:
        """The stores of an open ledger."""
        return cls(SqlCostBook(engine), SqlAnswerBook(engine), SqlBreakers(engine), SqlAgentHealth(engine))


def insisting(work: Callable[[], T]) -> T:
    """The work's result; repeated once when the database refused in passing. For work that may be done twice."""
    try:
        return work()
    except TransientFailure:
        return work()
