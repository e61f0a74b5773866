"""Permits in the ledger: what the operator allowed in writing. Rows are never changed; the newest of a kind and account counts."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.journal_files import JournalFiles
from resources.ledger.schema import PERMITS
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import instant_of, instant_text, storable
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry, Json, canonical
from trading_assets.signatures.live_gate import mode_of
from trading_assets.signatures.permits import VALID_MAX, Permit, PermitKind, paper_record, phrase_for

OF = "permit"
BOOK = "desk"
_C = PERMITS.c


class SqlPermits:
    """The operator's permits; the journal's pages are written where there are `files`."""

    def __init__(self, engine: sa.Engine, files: JournalFiles | None = None) -> None:
        self._engine = engine
        self._files = files

    def grant(
        self,
        kind: PermitKind,
        account: str,
        limits_hash: str,
        evidence: Mapping[str, Json],
        phrase: str,
        *,
        as_of: datetime,
        valid: timedelta,
    ) -> Permit:
        """Stores a permit, and tells it in the journal in the same transaction.

        Args:
            kind: `live` to trade now, `promotion` to say that the paper record is good enough.
            account: The live account; a permit for paper is not needed, and not given.
            limits_hash: sha256 of the limits file that it is bound to.
            evidence: What it rests on; a promotion needs whole numbers of sessions, violations and mismatches.
            phrase: What the operator typed; `phrase_for` in full.
            as_of: Now.
            valid: For how long.

        Raises:
            PermanentFailure: Something of it is missing or wrong; nothing is stored.
        """
        told = canonical(dict(evidence))
        _check(kind, account, limits_hash, told, phrase, valid)
        return self._put(Permit(kind, account, limits_hash, told, phrase, as_of, as_of + valid), "granted")

    def revoke(self, kind: PermitKind, account: str, why: str, *, as_of: datetime) -> None:
        """Takes back whatever permit there is, by a newer one that has ended already."""
        ended = as_of - timedelta(microseconds=1)
        self._put(Permit(kind, account, "", canonical({"why": why}), "", as_of, ended), "revoked")

    def current(self, kind: PermitKind, account: str, *, as_of: datetime) -> Permit | None:
        """The newest permit of the kind for the account; None when there is none, or when that one has ended."""
        newest = sa.select(PERMITS).where(_C.kind == kind, _C.account == account).order_by(_C.id.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(newest).first()
        if row is None:
            return None
        at, until = instant_of(row.at), instant_of(row.until)
        found = Permit(kind, row.account, row.limits_hash, row.evidence, row.phrase, at, until)
        return found if found.at <= as_of <= found.until else None

    def _put(self, permit: Permit, done: str) -> Permit:
        """Rows are written in the order of time: a clock that stepped back cannot slip a permit in behind a later one."""
        row = {
            "kind": permit.kind,
            "account": storable("an account", permit.account),
            "limits_hash": storable("a limits hash", permit.limits_hash),
            "evidence": storable("evidence", permit.evidence),
            "phrase": storable("a phrase", permit.phrase),
            "at": instant_text(permit.at),
            "until": instant_text(permit.until),
        }
        with transaction(self._engine) as connection:
            _refuse_the_past(connection, permit)
            connection.execute(PERMITS.insert().values(row))
            records = append_entries(connection, [_entry(permit, done, row)])
        tell_after_commit(self._engine, records, self._files)
        return permit


def _check(kind: PermitKind, account: str, limits_hash: str, evidence: str, phrase: str, valid: timedelta) -> None:
    if kind not in VALID_MAX:
        raise PermanentFailure("there is no such permit", value=kind, bound=", ".join(VALID_MAX))
    if mode_of(account) != "live":
        raise PermanentFailure("a permit is for a live account", value=account, bound="U or F and digits")
    wanted = phrase_for(kind, account)
    if phrase != wanted:
        raise PermanentFailure("the phrase was not typed in full", value=phrase[:100], hint=f"type: {wanted}")
    if len(limits_hash) != 64:
        raise PermanentFailure("a permit is bound to a limits file", value=limits_hash[:80], bound="a sha256")
    if not timedelta(0) < valid <= VALID_MAX[kind]:
        raise PermanentFailure(f"a {kind} permit cannot be good for so long", value=valid, bound=VALID_MAX[kind])
    if kind == "promotion" and paper_record(evidence) is None:
        bound = "whole numbers of sessions, violations, mismatches"
        raise PermanentFailure("a promotion rests on a paper record", value=evidence[:200], bound=bound)


def _refuse_the_past(connection: sa.Connection, permit: Permit) -> None:
    newest = connection.execute(
        sa.select(sa.func.max(_C.at)).where(_C.kind == permit.kind, _C.account == permit.account)
    ).scalar()
    if newest is not None and newest > instant_text(permit.at):
        raise PermanentFailure(
            "a later permit is on record already", value=instant_text(permit.at), bound=newest, hint="check the clock"
        )


def _entry(permit: Permit, done: str, row: Mapping[str, Json]) -> Entry:
    return Entry(
        book=BOOK,
        session=permit.at.astimezone(NEW_YORK).date(),
        at=permit.at,
        kind="note",
        title=f"{permit.kind} permit {done} for {permit.account}",
        body={"of": OF, "done": done, "permit": dict(row)},
    )
