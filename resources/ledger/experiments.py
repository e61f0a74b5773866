"""Experiments in the ledger: designs as they were written down, and how each ended. Rows of both are never changed.

What an experiment was, when it began and what its seed was stands in the journal as well, in the same commit.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries, last_link
from resources.ledger.journal_files import JournalFiles
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import instant_text, storable
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry, Json, Record, canonical
from trading_assets.core.parameters import Arm
from trading_assets.evaluation.experiments.assignment import arms_of
from trading_assets.evaluation.experiments.model import Design, Ended, Registered, Verdict

OF = "experiment"
_SHOWN = 20  # sessions of the assignment that the journal spells out; all follow from seed and id
_DESIGNS, _ENDS = t.EXPERIMENT_DESIGNS.c, t.EXPERIMENT_ENDS.c
Maker = Callable[[Sequence[Registered], str], Design]


class SqlExperiments:
    """The experiments of a book; the journal's pages are written where there are `files`."""

    def __init__(self, engine: sa.Engine, book: str, files: JournalFiles | None = None) -> None:
        self._engine = engine
        self._book = book
        self._files = files

    def start(self, make: Maker, *, as_of: datetime) -> Design:
        """Stores the design that `make` returns for the experiments on record and the journal's newest hash.

        Nothing can come between looking and storing: the ledger has one writer.

        Raises:
            PermanentFailure: the design is refused, its id is taken, or a parameter of it is under test; nothing is stored.
        """
        with transaction(self._engine) as connection:
            known = _registered(connection, self._book)
            seed = last_link(connection)[1]
            design = make(known, seed)
            _refuse(design, known, seed)
            row = {
                "book": self._book,
                "id": design.id,
                "session": design.first,
                "design": storable("a design", design.text),
                "digest": design.digest,
                "at": instant_text(as_of),
            }
            connection.execute(t.EXPERIMENT_DESIGNS.insert().values(row))
            records = append_entries(connection, [_begun(self._book, design, as_of)])
        tell_after_commit(self._engine, records, self._files)
        return design

    def end(
        self, name: str, verdict: Verdict, reason: str, *, session: date, result: Mapping[str, Json], as_of: datetime
    ) -> bool:
        """Ends an experiment after a session; whether it did: one that has ended stays as it is.

        Raises:
            PermanentFailure: there is no such experiment, or nobody says why.
        """
        with transaction(self._engine) as connection:
            known = {each.design.id: each for each in _registered(connection, self._book)}
            if name not in known:
                raise PermanentFailure("there is no such experiment", value=name, hint="desk experiment list")
            if not known[name].running:
                return False
            records = _end(connection, self._book, [Ended(name, session, verdict, reason)], result, as_of)
        tell_after_commit(self._engine, records, self._files)
        return True

    def registered(self) -> tuple[Registered, ...]:
        """All experiments of the book, oldest first.

        Raises:
            PermanentFailure: a stored design is not what was stored.
        """
        with reading(self._engine) as connection:
            return _registered(connection, self._book)

    def one(self, name: str) -> Registered:
        """One experiment.

        Raises:
            PermanentFailure: there is none of that name.
        """
        found = {each.design.id: each for each in self.registered()}
        if name not in found:
            raise PermanentFailure("there is no such experiment", value=name, hint="desk experiment list")
        return found[name]


def running_arms(engine: sa.Engine, book: str) -> tuple[Arm, ...]:
    """Every arm with the sessions that it has, or had until its experiment ended: what `Tuned.arms` is made of."""
    return arms_of(SqlExperiments(engine, book).registered(), XNYS)


def under_test(engine: sa.Engine, book: str) -> Mapping[str, str]:
    """Each parameter that a running experiment moves, with the experiment."""
    running = (each.design for each in SqlExperiments(engine, book).registered() if each.running)
    return {name: design.id for design in running for name in design.draft.parameters}


def break_experiments(
    connection: sa.Connection, book: str, names: Collection[str], *, from_session: date, reason: str, as_of: datetime
) -> tuple[Record, ...]:
    """Ends, on an open writing transaction, each running experiment that moves one of the parameters.

    For whoever changes a parameter: in the same commit as the change. The last session that counts is the one before it takes
    effect. What is returned goes to `tell_after_commit`.
    """
    last = XNYS.previous(from_session).day
    broken = [
        Ended(each.design.id, last, "broken", reason)
        for each in _registered(connection, book)
        if each.running and {*each.design.draft.parameters} & {*names}
    ]
    return _end(connection, book, broken, {}, as_of)


def _registered(connection: sa.Connection, book: str) -> tuple[Registered, ...]:
    ends = {
        row.experiment_id: Ended(row.experiment_id, row.session, row.verdict, row.reason)
        for row in connection.execute(sa.select(t.EXPERIMENT_ENDS).where(_ENDS.book == book))
    }
    rows = connection.execute(sa.select(t.EXPERIMENT_DESIGNS).where(_DESIGNS.book == book).order_by(_DESIGNS.seq))
    return tuple(Registered(_design(row), ends.get(row.id)) for row in rows)


def _design(row: Any) -> Design:
    """What was stored, proven by its digest: a design that somebody changed assigns nothing."""
    design = Design.model_validate_json(row.design)
    if design.digest != row.digest or (design.id, design.first) != (row.id, row.session):
        raise PermanentFailure(
            "the stored design of an experiment is not what was stored",
            value=row.id,
            hint="desk doctor --verify-ledger",
        )
    return design


def _refuse(design: Design, known: Sequence[Registered], seed: str) -> None:
    if any(each.design.id == design.id for each in known):
        raise PermanentFailure("an experiment of this name is on record already", value=design.id, hint="a new id")
    if design.seed != seed:
        raise PermanentFailure("the seed of an experiment is the journal's newest hash", value=design.seed, bound=seed)
    moved = {*design.draft.parameters}
    for each in known:
        if each.running and moved & {*each.design.draft.parameters}:
            raise PermanentFailure("two experiments on one parameter", value=design.id, bound=each.design.id)


def _end(
    connection: sa.Connection, book: str, ended: Sequence[Ended], result: Mapping[str, Json], as_of: datetime
) -> tuple[Record, ...]:
    if any(not each.reason.strip() for each in ended):
        raise PermanentFailure("the end of an experiment needs a reason", hint='desk experiment stop ID --reason "why"')
    rows = [
        {
            "book": book,
            "experiment_id": each.experiment,
            "session": each.session,
            "verdict": each.verdict,
            "reason": storable("a reason", each.reason),
            "result": canonical(dict(result)),
            "at": instant_text(as_of),
        }
        for each in ended
    ]
    if rows:
        connection.execute(t.EXPERIMENT_ENDS.insert(), rows)
    return append_entries(connection, [_over(book, each, result, as_of) for each in ended])


def _begun(book: str, design: Design, at: datetime) -> Entry:
    dealt = {day.isoformat(): arm.name for arm in arms_of([Registered(design)], XNYS) for day in arm.sessions}
    told: dict[str, Json] = {day: dealt[day] for day in sorted(dealt)[:_SHOWN]}
    body: dict[str, Json] = {
        "of": OF,
        "done": "begun",
        "hypothesis": design.draft.hypothesis,
        "design": design.model_dump(mode="json"),
        "digest": design.digest,
        "sessions_assigned": len(dealt),
        "first_sessions": told,
    }
    return Entry(
        book, design.first, at, "note", f"experiment {design.id} begun", body, "", _correlation(book, design.id)
    )


def _over(book: str, ended: Ended, result: Mapping[str, Json], at: datetime) -> Entry:
    body: dict[str, Json] = {
        "of": OF,
        "done": "ended",
        "verdict": ended.verdict,
        "reason": ended.reason,
        "result": dict(result),
    }
    title = f"experiment {ended.experiment} ended, {ended.verdict}"
    return Entry(book, ended.session, at, "note", title, body, "", _correlation(book, ended.experiment))


def _correlation(book: str, name: str) -> str:
    return f"{book}/experiment/{name}"
