"""Permits on real databases: typed in full, kept for ever, told in the journal, and ending by themselves."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from resources.ledger.engine import reading, transaction
from resources.ledger.journal import read_journal
from resources.ledger.journal_files import JournalFiles
from resources.ledger.permits import SqlPermits
from resources.ledger.schema import PERMITS
from resources.ledger.verify import verify_ledger
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.signatures.live_gate import live_gate
from trading_assets.signatures.permits import PaperRecord, Permit, phrase_for, record_of

NOW = datetime(2026, 11, 20, 14, 30, 0, 250, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
ACCOUNT, LIMITS = "U1234567", "e" * 64
RECORD: Mapping[str, Json] = {"sessions": 21, "violations": 0, "mismatches": 0, "last": "2026-11-19"}


def granted(permits: SqlPermits, **changed: Any) -> Permit:
    """A live permit for 30 days, but for what is changed."""
    given: dict[str, Any] = {
        "kind": "live",
        "account": ACCOUNT,
        "limits_hash": LIMITS,
        "evidence": {"promotion": "of yesterday"},
        "as_of": NOW,
        "valid": 30 * DAY,
        **changed,
    }
    if "phrase" not in given:
        given["phrase"] = phrase_for(given["kind"], given["account"])
    named = {name: given.pop(name) for name in ("as_of", "valid")}
    return permits.grant(*(given[n] for n in ("kind", "account", "limits_hash", "evidence", "phrase")), **named)


def stored(engine: sa.Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(sa.select(PERMITS).order_by(PERMITS.c.id)))


def test_a_permit_comes_back_as_it_was_granted(engine: sa.Engine) -> None:
    made = granted(SqlPermits(engine))
    assert SqlPermits(engine).current("live", ACCOUNT, as_of=NOW) == made
    assert made.phrase == "trade account U1234567 with real money"
    assert (made.at, made.until, made.evidence) == (NOW, NOW + 30 * DAY, '{"promotion":"of yesterday"}')


def test_there_is_none_before_for_another_account_of_another_kind_or_after_its_end(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    assert permits.current("live", ACCOUNT, as_of=NOW) is None
    granted(permits)
    assert permits.current("live", ACCOUNT, as_of=NOW + 30 * DAY) is not None
    assert permits.current("live", ACCOUNT, as_of=NOW + 30 * DAY + TICK) is None
    assert permits.current("live", ACCOUNT, as_of=NOW - TICK) is None
    assert permits.current("live", "U7654321", as_of=NOW) is None
    assert permits.current("promotion", ACCOUNT, as_of=NOW) is None


def test_the_newest_permit_counts_and_the_older_ones_stay(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    granted(permits, limits_hash="1" * 64)
    newest = granted(permits, as_of=NOW + DAY, valid=DAY)
    assert permits.current("live", ACCOUNT, as_of=NOW + DAY) == newest
    assert permits.current("live", ACCOUNT, as_of=NOW + 3 * DAY) is None, "an older permit does not come back"
    assert [row.limits_hash for row in stored(engine)] == ["1" * 64, LIMITS]


def test_a_permit_that_is_taken_back_is_gone_at_once_and_may_be_granted_again(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    granted(permits)
    permits.revoke("live", ACCOUNT, "I go on holiday", as_of=NOW + TICK)
    assert permits.current("live", ACCOUNT, as_of=NOW + TICK) is None
    assert permits.current("live", ACCOUNT, as_of=NOW + DAY) is None
    again = granted(permits, as_of=NOW + DAY)
    assert permits.current("live", ACCOUNT, as_of=NOW + DAY) == again


def test_a_clock_that_stepped_back_slips_no_permit_in(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    granted(permits)
    permits.revoke("live", ACCOUNT, "stop", as_of=NOW + DAY)
    with pytest.raises(PermanentFailure, match="a later permit is on record"):
        granted(permits, as_of=NOW + DAY - TICK)
    assert permits.current("live", ACCOUNT, as_of=NOW + DAY) is None
    assert len(stored(engine)) == 2


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"phrase": ""}, "the phrase was not typed in full"),
    ({"phrase": "y"}, "the phrase was not typed in full"),
    ({"phrase": "trade account U1234567 with real money "}, "the phrase was not typed in full"),
    ({"phrase": "Trade account U1234567 with real money"}, "the phrase was not typed in full"),
    ({"phrase": phrase_for("live", "U7654321")}, "the phrase was not typed in full"),
    ({"kind": "promotion", "evidence": RECORD, "phrase": phrase_for("live", ACCOUNT)}, "the phrase was not typed"),
    ({"account": "DU1234567"}, "a permit is for a live account"),
    ({"account": ""}, "a permit is for a live account"),
    ({"account": "X1234567"}, "a permit is for a live account"),
    ({"limits_hash": ""}, "a permit is bound to a limits file"),
    ({"limits_hash": "e" * 63}, "a permit is bound to a limits file"),
    ({"valid": timedelta(0)}, "cannot be good for so long"),
    ({"valid": -DAY}, "cannot be good for so long"),
    ({"valid": 30 * DAY + TICK}, "cannot be good for so long"),
    ({"kind": "promotion"}, "a promotion rests on a paper record"),
    ({"kind": "promotion", "evidence": {**RECORD, "sessions": 21.5}}, "a promotion rests on a paper record"),
    ({"kind": "paper", "phrase": ""}, "there is no such permit"),
)


@pytest.mark.control("C29")
def test_what_is_not_in_order_is_refused_and_leaves_nothing(engine: sa.Engine) -> None:
    for changed, words in REFUSED:
        with pytest.raises(PermanentFailure, match=words):
            granted(SqlPermits(engine), **changed)
    assert stored(engine) == []
    assert read_journal(engine) == ()


def test_the_refusal_tells_what_must_be_typed(engine: sa.Engine) -> None:
    with pytest.raises(PermanentFailure) as refused:
        granted(SqlPermits(engine), phrase="yes")
    assert refused.value.hint == "type: trade account U1234567 with real money"


@pytest.mark.parametrize("hostile", ["\x00", "\ud800"])
def test_what_no_database_keeps_is_refused(engine: sa.Engine, hostile: str) -> None:
    with pytest.raises(PermanentFailure):
        SqlPermits(engine).revoke("live", hostile, "why", as_of=NOW)
    assert stored(engine) == []


def test_a_grant_and_a_revocation_stand_in_the_journal_with_every_word(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    granted(permits)
    permits.revoke("live", ACCOUNT, "stop", as_of=NOW + TICK)
    first, second = read_journal(engine, kind="note")
    assert first.entry.title == "live permit granted for U1234567"
    assert second.entry.title == "live permit revoked for U1234567"
    told = first.entry.body["permit"]
    assert isinstance(told, dict)
    assert told["phrase"] == "trade account U1234567 with real money"
    assert told["until"] == "2026-12-20T14:30:00.000250+00:00"
    assert second.entry.body["done"] == "revoked"
    assert verify_ledger(engine, head=None).problems == ()


def test_the_journals_page_is_written(engine: sa.Engine, tmp_path: Path) -> None:
    granted(SqlPermits(engine, JournalFiles(tmp_path / "journal")))
    (page,) = (tmp_path / "journal").rglob("*permit*.md")
    assert "real money" in page.read_text()


@pytest.mark.parametrize("change", [sa.update(PERMITS).values(until="9999"), sa.delete(PERMITS)])
def test_the_database_refuses_to_change_a_permit(engine: sa.Engine, change: Any) -> None:
    made = granted(SqlPermits(engine))
    with pytest.raises(Exception, match="append-only"), transaction(engine) as connection:
        connection.execute(change)
    assert SqlPermits(engine).current("live", ACCOUNT, as_of=NOW) == made


@pytest.mark.control("C29")
def test_what_the_operator_grants_is_what_the_gate_asks_for(engine: sa.Engine) -> None:
    permits = SqlPermits(engine)
    granted(permits, kind="promotion", evidence=RECORD, valid=60 * DAY)
    granted(permits)

    def asked(account: str, limits_hash: str, now: datetime) -> tuple[str, ...]:
        promotion = permits.current("promotion", account, as_of=now)
        return live_gate(
            "live",
            7496,
            (account,),
            account,
            optin=permits.current("live", account, as_of=now),
            typed_account=account,
            paper_sessions=record_of(promotion, account=account, limits_hash=limits_hash, now=now),
            limits_hash=limits_hash,
            limits_writable=False,
            now=now,
        )

    assert asked(ACCOUNT, LIMITS, NOW) == asked(ACCOUNT, LIMITS, NOW + 30 * DAY) == ()
    assert asked(ACCOUNT, LIMITS, NOW + 31 * DAY) == ("there is no live permit for U1234567",)
    assert len(asked(ACCOUNT, "f" * 64, NOW)) == 2
    assert len(asked("U7654321", LIMITS, NOW)) == 2


def test_evidence_is_kept_as_canonical_json(engine: sa.Engine) -> None:
    made = granted(SqlPermits(engine), kind="promotion", evidence=RECORD, valid=DAY)
    assert json.loads(made.evidence) == RECORD
    assert record_of(made, account=ACCOUNT, limits_hash=LIMITS, now=NOW) == PaperRecord(21, 0, 0)
