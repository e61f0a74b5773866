"""What was tried and how it went: agents' counters, changed parameters, experiments, evaluations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.text import canonical, digest_of, instant_of, instant_text, storable
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.execution.journaling import Change, change_entry

_HEALTH = t.AGENT_HEALTH.c
_COUNTERS = ("answers", "replays", "failures", "cost", "latency_ms")


@dataclass(frozen=True, slots=True)
class Counted:
    """What an agent did on a route on one New York day. `latency_ms` is the sum over the calls that were made."""

    agent: str
    route: str
    day: date
    answers: int = 0
    replays: int = 0
    failures: int = 0
    cost_usd: Decimal = Decimal(0)
    latency_ms: int = 0


class SqlAgentHealth:
    """The AgentHealth port on a ledger."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def count(
        self,
        agent: str,
        route: str,
        day: date,
        *,
        answers: int,
        replays: int,
        failures: int,
        cost_usd: Decimal,
        latency_ms: int,
        as_of: datetime,
    ) -> None:
        """See the port."""
        self.add([Counted(agent, route, day, answers, replays, failures, cost_usd, latency_ms)], as_of=as_of)

    def add(self, counted: Sequence[Counted], *, as_of: datetime) -> None:
        """Adds to many counters in one transaction."""
        with transaction(self._engine) as connection:
            add_counts(connection, counted, as_of=as_of)

    def between(self, first: date, last: date) -> list[Counted]:
        """The counters of the days, by day, agent and route."""
        query = sa.select(t.AGENT_HEALTH).where(_HEALTH.day.between(first, last))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_HEALTH.day, _HEALTH.agent, _HEALTH.route)).all()
        return [
            Counted(
                row.agent, row.route, row.day, row.answers, row.replays, row.failures, row.cost, row.latency_ms
            )
            for row in rows
        ]  # fmt: skip


def add_counts(connection: sa.Connection, counted: Sequence[Counted], *, as_of: datetime) -> None:
    """`SqlAgentHealth.add` on an open writing transaction.

    Raises:
        PermanentFailure: a counter would go down.
    """
    rows = []
    for each in counted:
        numbers = (each.answers, each.replays, each.failures, each.cost_usd, each.latency_ms)
        if not all(number >= 0 for number in numbers):
            raise PermanentFailure("an agent's counters only grow", value=f"{each.agent}: {numbers}", bound="0 or more")
        named = {"agent": each.agent, "route": each.route, "day": each.day, "at": instant_text(as_of)}
        rows.append({**named, **dict(zip(_COUNTERS, numbers, strict=True))})
    if rows:
        connection.execute(_ADDITION[connection.dialect.name], rows)


def _addition(dialect: Any) -> Any:
    """Counters grow by what was to be inserted; `at` is the newest moment."""
    new = dialect.insert(t.AGENT_HEALTH)
    more: dict[str, Any] = {name: _HEALTH[name] + new.excluded[name] for name in _COUNTERS}
    more["at"] = sa.case((new.excluded.at > _HEALTH.at, new.excluded.at), else_=_HEALTH.at)
    return new.on_conflict_do_update(index_elements=[_HEALTH.agent, _HEALTH.day, _HEALTH.route], set_=more)


_ADDITION = {"sqlite": _addition(sqlite), "postgresql": _addition(postgresql)}


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter of a book that changed; values as JSON text, None where there was or is none."""

    book: str
    session: date
    name: str
    before: str | None
    after: str | None
    origin: str
    reason: str


class ParameterChanges:
    """Every change of a book's parameters, append-only."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, changes: Sequence[ParameterChange], *, as_of: datetime) -> None:
        """Stores the changes in their order, each with its journal entry."""
        with transaction(self._engine) as connection:
            add_parameter_changes(connection, changes, as_of=as_of)
            told = (Change(change.name, change.before, change.after) for change in changes)
            entries = [
                change_entry(
                    each,
                    book=change.book,
                    session=change.session,
                    origin=change.origin,
                    reason=change.reason,
                    at=as_of,
                )
                for each, change in zip(told, changes, strict=True)
            ]
            append_entries(connection, entries)

    def latest(self, book: str) -> Mapping[str, ParameterChange]:
        """Each parameter that ever changed, with its newest change."""
        changes = t.PARAMETER_CHANGES.c
        newest = sa.select(sa.func.max(changes.seq)).where(changes.book == book).group_by(changes.name)
        query = sa.select(t.PARAMETER_CHANGES).where(changes.seq.in_(newest)).order_by(changes.name)
        with reading(self._engine) as connection:
            return {row.name: _change(row) for row in connection.execute(query)}

    def history(self, book: str, name: str) -> list[ParameterChange]:
        """All changes of one parameter, oldest first."""
        changes = t.PARAMETER_CHANGES.c
        query = sa.select(t.PARAMETER_CHANGES).where(changes.book == book, changes.name == name).order_by(changes.seq)
        with reading(self._engine) as connection:
            return [_change(row) for row in connection.execute(query)]


def add_parameter_changes(
    connection: sa.Connection, changes: Sequence[ParameterChange], *, as_of: datetime
) -> None:  # fmt: skip
    """The rows of `ParameterChanges.record` on an open writing transaction; their journal entries are the caller's.

    Raises:
        PermanentFailure: nothing changed, or nobody says why.
    """
    for change in changes:
        if change.before == change.after or not change.reason.strip():
            raise PermanentFailure(
                "a changed parameter needs two different values and a reason", value=f"{change.name}: {change.after}"
            )
    rows = [
        {
            "book": change.book,
            "session": change.session,
            "name": change.name,
            "before": change.before,
            "after": change.after,
            "origin": change.origin,
            "reason": storable("a reason", change.reason),
            "at": instant_text(as_of),
        }
        for change in changes
    ]
    if rows:
        connection.execute(t.PARAMETER_CHANGES.insert(), rows)


def _change(row: Any) -> ParameterChange:
    return ParameterChange(row.book, row.session, row.name, row.before, row.after, row.origin, row.reason)


@dataclass(frozen=True, slots=True)
class Experiment:
    """Something that was tried: on what, what was expected, with which parameters, and what came of it."""

    name: str
    subject: str
    hypothesis: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    result: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """A stored experiment."""

    seq: int
    experiment: Experiment
    at: datetime


class Experiments:
    """Every experiment, also those that failed: how many were tried says what a good result is worth."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, experiment: Experiment, *, as_of: datetime) -> int:
        """Stores it; its number."""
        row = {
            "name": experiment.name,
            "subject": experiment.subject,
            "hypothesis": storable("a hypothesis", experiment.hypothesis),
            "parameters": canonical(experiment.parameters),
            "result": canonical(experiment.result),
            "at": instant_text(as_of),
        }
        with transaction(self._engine) as connection:
            return int(connection.execute(t.EXPERIMENTS.insert().returning(t.EXPERIMENTS.c.seq), row).scalar_one())

    def of(self, subject: str | None = None) -> list[Tried]:
        """All experiments, or those on one subject, oldest first."""
        query = sa.select(t.EXPERIMENTS).order_by(t.EXPERIMENTS.c.seq)
        if subject is not None:
            query = query.where(t.EXPERIMENTS.c.subject == subject)
        with reading(self._engine) as connection:
            return [_tried(row) for row in connection.execute(query)]


def _tried(row: Any) -> Tried:
    parameters, result = json.loads(row.parameters), json.loads(row.result)
    experiment = Experiment(row.name, row.subject, row.hypothesis, parameters, result)
    return Tried(row.seq, experiment, instant_of(row.at))


class Evaluations:
    """The measures of a book as of a session. Measures that did not change are not stored again."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, book: str, session: date, measures: Mapping[str, Json], *, as_of: datetime) -> bool:
        """Stores the measures unless they are those that stand; whether it did."""
        text = canonical(measures)
        with transaction(self._engine) as connection:
            row = _newest(connection, book, session)
            if row is not None and row.measures == text:
                return False
            # Measures may go back to what they were, and the newest row must say so: the digest covers the one before.
            digest = digest_of(text, "" if row is None else row.digest)
            new = {"book": book, "session": session, "measures": text, "digest": digest, "at": instant_text(as_of)}
            connection.execute(t.EVALUATIONS.insert().values(new))
        return True

    def latest(self, book: str, session: date) -> Mapping[str, Json] | None:
        """The measures that stand."""
        with reading(self._engine) as connection:
            row = _newest(connection, book, session)
        return None if row is None else dict(json.loads(row.measures))


def _newest(connection: sa.Connection, book: str, session: date) -> Any:
    evaluations = t.EVALUATIONS.c
    query = sa.select(t.EVALUATIONS).where(evaluations.book == book, evaluations.session == session)
    return connection.execute(query.order_by(evaluations.seq.desc()).limit(1)).first()
