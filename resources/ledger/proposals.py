"""Proposed parameters, the answers to them, and what changed by them. Rows are only ever added.

Problem: a parameter must never move without somebody who said so, a reason, and a session from which it counts. Decision: an
answer, the change that it makes and the words about both are one transaction, and the change counts from the next session, so that
no two slots of a session see two values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import ValidationError

from resources.ledger.bus import append_messages
from resources.ledger.engine import reading, transaction
from resources.ledger.experiments import break_experiments, running_arms, under_test
from resources.ledger.journal import append_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.records import ParameterChange, add_parameter_changes
from resources.ledger.schema import PARAMETER_CHANGES, PARAMETER_PROPOSALS, PROPOSAL_ANSWERS
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import canonical, digest_of, instant_of, instant_text, storable
from resources.ledger.wakeups import wake
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ids import short_id
from trading_assets.core.journal import Entry, Json, Record
from trading_assets.core.messages import Alert, Draft
from trading_assets.core.parameters import BOUNDS, SWITCHED_OFF, Change, Parameters, Suggestion, Tuned, effective_from
from trading_assets.evaluation.suggestions import Answer, Answered, Moved, Proposed, shown
from trading_assets.execution.journaling import Change as Told
from trading_assets.execution.journaling import change_entry

NAMES = (*sorted(BOUNDS), SWITCHED_OFF)
SENDER, OF = "parameters", "parameter_proposal"
_P, _A, _C = PARAMETER_PROPOSALS.c, PROPOSAL_ANSWERS.c, PARAMETER_CHANGES.c
_EXACT = 1e-9


class _Words(NamedTuple):
    """What a transaction has to tell, and what of it stands in the journal already."""

    entries: list[Entry]
    drafts: list[Draft]
    written: list[Record]


class SqlProposals:
    """Proposals and parameters of one book; the journal's pages are written where there are `files`.

    Args:
        base: What the configuration says: every value is checked on top of it.
    """

    def __init__(self, engine: sa.Engine, book: str, base: Parameters, files: JournalFiles | None = None) -> None:
        self._engine, self._book, self._base, self._files = engine, book, base, files

    def propose(
        self, suggestions: Sequence[Suggestion], *, session: date, origin: str, days_open: int, as_of: datetime
    ) -> tuple[Proposed, ...]:
        """Stores suggestions as proposals and returns those that are new.

        One is left out while the same move waits for an answer, and for `days_open` sessions after it was made: who refused it is
        not asked again on the same evidence.

        Raises:
            PermanentFailure: a suggestion names no parameter, leaves its bounds, moves more than a step, nothing, or what it says
                that it moves from is not in force. Nothing is stored then.
        """
        lapses = _after(session, days_open)
        with transaction(self._engine) as connection:
            now = self._tuned(connection).at(effective_from(as_of))
            for each in suggestions:
                self._refuse_unfit(each, now)
            known, new = _proposals(connection, self._book), list[Proposed]()
            for each in suggestions:
                made = self._made(each, session, origin, lapses, as_of)
                if not any(_again(made, old) for old in (*known, *new)):
                    new.append(made)
            if new:
                connection.execute(PARAMETER_PROPOSALS.insert(), [_row(self._book, each) for each in new])
            records = append_entries(connection, [_proposed_entry(self._book, each) for each in new])
        tell_after_commit(self._engine, records, self._files)
        return tuple(new)

    def answer(self, proposal_id: str, answer: Answer, *, who: str, reason: str, as_of: datetime) -> Proposed:
        """Answers an open proposal; one that is approved moves its parameter from the next session on.

        Raises:
            PermanentFailure: there is no such proposal, it is answered or has lapsed, its parameter has moved since, the value is
                outside the bounds or beside the others, or nobody says why. Nothing is stored then.
        """
        _refuse_silence(who, reason)
        with transaction(self._engine) as connection:
            found = self._open(connection, proposal_id, as_of)
            start = effective_from(as_of) if answer == "approved" else None
            if start is not None:
                self._refuse_moved(found, self._tuned(connection).at(start))
            row = {
                "book": self._book,
                "proposal_id": found.id,
                "answer": answer,
                "who": storable("a name", who),
                "reason": storable("a reason", reason),
                "from_session": start,
                "at": instant_text(as_of),
            }
            connection.execute(PROPOSAL_ANSWERS.insert(), row)
            told = _Words([self._answer_entry(found, answer, who, reason, as_of)], [], [])
            if start is not None:
                why = f"{reason} (proposal {found.id} by {found.origin}, evidence {evidence_digest(found)[:16]})"
                self._move(connection, {found.name: found.after}, start, who, why, as_of, told)
            records = self._tell(connection, told)
        self._after_commit(records)
        return replace(found, answered=Answered(answer, who, reason, start, as_of))

    def set(self, values: Mapping[str, Any], *, who: str, reason: str, as_of: datetime) -> tuple[Moved, ...]:
        """Moves parameters from the next session on, as the strategy monitor does on paper; values that stand already are left.

        Raises:
            PermanentFailure: a value is outside the bounds or beside the others, or nobody says why.
        """
        _refuse_silence(who, reason)
        start = effective_from(as_of)
        with transaction(self._engine) as connection:
            told = _Words([], [], [])
            moved = self._move(connection, values, start, who, reason, as_of, told)
            records = self._tell(connection, told)
        self._after_commit(records)
        return moved

    def roll_back(
        self, *, name: str = "", to: date | None = None, who: str, reason: str, as_of: datetime
    ) -> tuple[Moved, ...]:
        """Restores earlier values as new changes from the next session on.

        Args:
            name: Only this parameter: to what it was before its last change, or to its value on the session `to`.
            to: All parameters as they stood on this session.

        Raises:
            PermanentFailure: there is no such parameter, nothing to go back to, or nobody says why.
        """
        _refuse_silence(who, reason)
        if name and name not in NAMES:
            raise PermanentFailure("there is no such parameter", value=name, bound=", ".join(NAMES))
        start = effective_from(as_of)
        with transaction(self._engine) as connection:
            history = _moved(connection, self._book)
            earlier = _earlier(self._base, history, name, to, start)
            told = _Words([], [], [])
            moved = self._move(connection, earlier, start, who, f"rolled back: {reason}", as_of, told)
            records = self._tell(connection, told)
        self._after_commit(records)
        if not moved:
            raise PermanentFailure(
                "there is nothing to go back to", value=name or to, hint="desk parameters --history NAME"
            )
        return moved

    def proposals(self) -> tuple[Proposed, ...]:
        """Every proposal with its answer, oldest first."""
        with reading(self._engine) as connection:
            return _proposals(connection, self._book)

    def moved(self) -> tuple[Moved, ...]:
        """Every change of a parameter, oldest first."""
        with reading(self._engine) as connection:
            return _moved(connection, self._book)

    def under_test(self) -> frozenset[str]:
        """The parameters that running experiments move."""
        return frozenset(under_test(self._engine, self._book))

    def tuned(self) -> Tuned:
        """The book's parameters over time, without the arms of experiments.

        Raises:
            PermanentFailure: what is stored does not fit the configuration, or the bounds; nothing may be decided on it.
        """
        with reading(self._engine) as connection:
            return self._tuned(connection)

    def _tuned(self, connection: sa.Connection) -> Tuned:
        changes = [Change(each.name, each.after, each.from_session) for each in _moved(connection, self._book)]
        tuned = Tuned(self._base, tuple(changes))
        for day in sorted({each.from_session for each in changes}):
            try:
                tuned.at(day)
            except ValidationError as wrong:
                raise PermanentFailure(
                    f"the parameters from {day} on do not fit config/parameters.yaml or the bounds",
                    value=_first_error(wrong),
                    hint="mend config/parameters.yaml, or desk parameters --rollback NAME --reason ...",
                ) from wrong
        return tuned

    def _made(
        self, suggestion: Suggestion, session: date, origin: str, lapses: date, as_of: datetime
    ) -> Proposed:  # fmt: skip
        after = _plain(suggestion.after)
        return Proposed(
            id=short_id("proposal", self._book, session, suggestion.name, after, origin),
            session=session,
            name=suggestion.name,
            before=_plain(suggestion.before),
            after=after,
            origin=origin,
            reason=suggestion.reason,
            evidence=dict(suggestion.evidence),
            observations=suggestion.observations,
            lapses=lapses,
            at=as_of,
        )

    def _refuse_unfit(self, suggestion: Suggestion, now: Parameters) -> None:
        name, after = suggestion.name, suggestion.after
        if name not in NAMES:
            raise PermanentFailure("a suggestion names no parameter", value=name, bound=", ".join(NAMES))
        _refuse_silence("who suggests", suggestion.reason)
        standing = getattr(now, name)
        if not _same(suggestion.before, standing):
            raise PermanentFailure(
                f"a suggestion starts from a value of {name} that is not in force",
                value=shown(suggestion.before),
                bound=shown(standing),
            )
        if name == SWITCHED_OFF:
            _checked(now, {name: after})
        else:
            _refuse_far(name, after, standing)
        if _same(after, standing):
            raise PermanentFailure(f"a suggestion moves {name} nowhere", value=shown(after))

    def _open(self, connection: sa.Connection, proposal_id: str, as_of: datetime) -> Proposed:
        found = next((each for each in _proposals(connection, self._book) if each.id == proposal_id), None)
        if found is None:
            raise PermanentFailure("there is no such proposal", value=proposal_id[:80], hint="desk proposals")
        state = found.state(_day(as_of))
        if state != "open":
            until = f"open until {found.lapses}" if state == "lapsed" else "answered once"
            raise PermanentFailure(f"proposal {found.id} is {state}", value=state, bound=until, hint="desk proposals")
        return found

    def _refuse_moved(self, found: Proposed, now: Parameters) -> None:
        standing = getattr(now, found.name)
        if not _same(found.before, standing):
            raise PermanentFailure(
                f"{found.name} has moved since it was proposed",
                value=shown(standing),
                bound=shown(found.before),
                hint=f"desk approve {found.id} --refuse, and wait for a proposal that starts from {shown(standing)}",
            )

    def _move(
        self,
        connection: sa.Connection,
        values: Mapping[str, Any],
        start: date,
        who: str,
        reason: str,
        as_of: datetime,
        told: _Words,
    ) -> tuple[Moved, ...]:
        """Adds a change for each value that differs from the one in force when it would take effect.

        An experiment that moves one of them itself is over: its arms would no longer be what was registered.
        """
        standing = _values_on(self._base, _moved(connection, self._book), start)
        fresh = {name: _plain(value) for name, value in values.items() if not _same(value, standing[name])}
        _checked(self._base, {**standing, **fresh})
        rows = [
            ParameterChange(self._book, start, name, canonical(_plain(standing[name])), canonical(value), who, reason)
            for name, value in sorted(fresh.items())
        ]
        add_parameter_changes(connection, rows, as_of=as_of)
        why = f"{', '.join(sorted(fresh))} moved from {start} on"
        told.written.extend(
            break_experiments(connection, self._book, [*fresh], from_session=start, reason=why, as_of=as_of)
        )
        for row in rows:
            change = Told(row.name, row.before, row.after)
            told.entries.append(
                change_entry(change, book=self._book, session=start, origin=who, reason=reason, at=as_of)
            )
            sentence = f"{row.name} {row.before} to {row.after} from {start} on, by {who}: {reason}"[:400]
            alert = Alert(severity="info", code="parameter", sentence=sentence)
            told.drafts.append(Draft(self._book, _day(as_of), as_of, SENDER, alert))
        return tuple(
            Moved(name, standing[name], value, start, who, reason, as_of) for name, value in sorted(fresh.items())
        )

    def _answer_entry(self, found: Proposed, answer: Answer, who: str, reason: str, as_of: datetime) -> Entry:
        body = {"of": OF, "proposal": found.id, "answer": answer, "who": who, "reason": reason}
        evidence = {"evidence_sha256": evidence_digest(found)}
        title = f"{answer} proposal for {found.name}"
        return Entry(self._book, _day(as_of), as_of, "note", title, {**body, **evidence})

    def _tell(self, connection: sa.Connection, told: _Words) -> tuple[Record, ...]:
        records = append_entries(connection, told.entries)
        append_messages(connection, told.drafts)
        return (*told.written, *records)

    def _after_commit(self, records: Sequence[Record]) -> None:
        tell_after_commit(self._engine, records, self._files)
        wake(self._engine)


def tuned_of(engine: sa.Engine, book: str, base: Parameters) -> Tuned:
    """The book's parameters over time, with the arms of its experiments.

    Raises:
        PermanentFailure: as `SqlProposals.tuned`.
    """
    return replace(SqlProposals(engine, book, base).tuned(), arms=running_arms(engine, book))


def evidence_digest(proposed: Proposed) -> str:
    """sha256 of a proposal's evidence as it is stored."""
    return digest_of(canonical(dict(proposed.evidence)))


def _checked(base: Parameters, values: Mapping[str, Any]) -> Parameters:
    try:
        return base.with_values(values)
    except ValidationError as wrong:
        raise PermanentFailure(
            "these parameters cannot stand together, or leave their bounds",
            value=", ".join(f"{name} {shown(value)}" for name, value in sorted(values.items())),
            bound=_first_error(wrong),
        ) from wrong


def _refuse_far(name: str, after: Any, standing: float) -> None:
    bound = BOUNDS[name]
    number = after if isinstance(after, (int, float)) and not isinstance(after, bool) else None
    if number is None or not bound.low - _EXACT <= number <= bound.high + _EXACT:
        raise PermanentFailure(
            f"a suggestion leaves the bounds of {name}", value=after, bound=f"{bound.low:g} to {bound.high:g}"
        )
    if abs(number - standing) > bound.step + _EXACT:
        raise PermanentFailure(
            f"a suggestion moves {name} by more than a step",
            value=after,
            bound=f"{standing:g} and {bound.step:g} either way",
        )


def _refuse_silence(who: str, reason: str) -> None:
    if not who.strip() or not reason.strip():
        raise PermanentFailure("a parameter moves only with a name and a reason", hint='--reason "why"')


def _earlier(
    base: Parameters, history: Sequence[Moved], name: str, to: date | None, start: date
) -> Mapping[str, Any]:  # fmt: skip
    """The values to go back to, by name."""
    if to is not None and to >= start:
        raise PermanentFailure("parameters go back to a session of the past", value=to, bound=f"before {start}")
    if to is not None:
        values = _values_on(base, history, to)
        return {name: values[name]} if name else values
    mine = [each for each in history if each.name == name and each.from_session <= start]
    return {name: mine[-1].before} if mine else {}


def _values_on(base: Parameters, history: Sequence[Moved], day: date) -> dict[str, Any]:
    values = {name: getattr(base, name) for name in NAMES}
    return values | {each.name: each.after for each in history if each.from_session <= day}


def _proposals(connection: sa.Connection, book: str) -> tuple[Proposed, ...]:
    joined = sa.outerjoin(PARAMETER_PROPOSALS, PROPOSAL_ANSWERS, (_A.book == _P.book) & (_A.proposal_id == _P.id))
    answer = [_A[name].label(f"answered_{name}") for name in ("answer", "who", "reason", "from_session", "at")]
    query = sa.select(PARAMETER_PROPOSALS, *answer).select_from(joined).where(_P.book == book).order_by(_P.seq)
    return tuple(_proposed(row) for row in connection.execute(query))


def _proposed(row: Any) -> Proposed:
    answered = None
    if row.answered_answer is not None:
        answered = Answered(
            row.answered_answer,
            row.answered_who,
            row.answered_reason,
            row.answered_from_session,
            instant_of(row.answered_at),
        )
    return Proposed(
        id=row.id,
        session=row.session,
        name=row.name,
        before=json.loads(row.before),
        after=json.loads(row.after),
        origin=row.origin,
        reason=row.reason,
        evidence=json.loads(row.evidence),
        observations=row.observations,
        lapses=row.lapses,
        at=instant_of(row.at),
        answered=answered,
    )


def _row(book: str, made: Proposed) -> dict[str, Any]:
    return {
        "book": book,
        "id": made.id,
        "session": made.session,
        "name": made.name,
        "before": canonical(made.before),
        "after": canonical(made.after),
        "origin": storable("an origin", made.origin),
        "reason": storable("a reason", made.reason),
        "evidence": storable("evidence", canonical(dict(made.evidence))),
        "observations": made.observations,
        "lapses": made.lapses,
        "at": instant_text(made.at),
    }


def _proposed_entry(book: str, made: Proposed) -> Entry:
    body: dict[str, Json] = {
        "of": OF,
        "proposal": made.id,
        "name": made.name,
        "before": canonical(made.before),
        "after": canonical(made.after),
        "origin": made.origin,
        "reason": made.reason,
        "observations": made.observations,
        "evidence_sha256": evidence_digest(made),
        "lapses": made.lapses.isoformat(),
    }
    return Entry(book, made.session, made.at, "note", f"proposed {made.name}", body)


def _again(made: Proposed, old: Proposed) -> bool:
    """Whether an earlier proposal is the same move, and is open or was so until lately; its days open are the measure."""
    return old.name == made.name and _same(old.after, made.after) and made.session <= old.lapses


def _moved(connection: sa.Connection, book: str) -> tuple[Moved, ...]:
    query = sa.select(PARAMETER_CHANGES).where(_C.book == book, _C.name.in_(NAMES)).order_by(_C.seq)
    return tuple(_one(row) for row in connection.execute(query))


def _one(row: Any) -> Moved:
    before, after = json.loads(row.before), json.loads(row.after)
    return Moved(row.name, before, after, row.session, row.origin, row.reason, instant_of(row.at))


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return sorted(value) if isinstance(value, (list, tuple)) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return sorted(one) == sorted(other)
    if isinstance(one, (list, tuple)) or isinstance(other, (list, tuple)):
        return False
    return isinstance(one, (int, float)) and abs(one - other) < _EXACT


def _first_error(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    return f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()


def _after(session: date, sessions: int) -> date:
    return XNYS.next(session, sessions).day


def _day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
