"""What the operator allows in writing, and for how long: to trade real money in one account under one limits file.

A permit is asked for with a phrase that must be typed in full, and ends by itself. Nothing in the desk can make one: only a person
at a terminal, through the ledger (`resources/ledger/permits.py`), which journals it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

PermitKind = Literal["live", "promotion"]
VALID_MAX: Mapping[PermitKind, timedelta] = {"live": timedelta(days=30), "promotion": timedelta(days=90)}
_PHRASES: Mapping[PermitKind, str] = {
    "live": "trade account {account} with real money",
    "promotion": "promote account {account} to real money",
}


@dataclass(frozen=True, slots=True)
class Permit:
    """One permit as it is kept. `evidence` is canonical JSON of what it rests on; `phrase` is what the operator typed."""

    kind: PermitKind
    account: str
    limits_hash: str
    evidence: str
    phrase: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """How the desk did on paper: sessions traded, invariants violated, mismatches with the broker that nothing explained."""

    sessions: int
    violations: int
    mismatches: int


NO_RECORD = PaperRecord(0, 0, 0)


def phrase_for(kind: PermitKind, account: str) -> str:
    """What the operator must type, to the letter."""
    return _PHRASES[kind].format(account=account)


def problem_with(
    permit: Permit | None, kind: PermitKind, *, account: str, limits_hash: str, now: datetime
) -> tuple[str, ...]:
    """Everything because of which a permit does not count; empty when it does."""
    if permit is None:
        return (f"there is no {kind} permit for {account or 'no account'}",)
    wrong = {
        f"the permit is of kind {permit.kind}, not {kind}": permit.kind != kind,
        f"the {kind} permit is for account {permit.account}, not {account or 'none'}": permit.account != account,
        f"the {kind} permit is bound to other limits": not limits_hash or permit.limits_hash != limits_hash,
        f"the {kind} permit was not asked for in full words": permit.phrase != phrase_for(kind, account),
        f"the {kind} permit was granted in the future": not permit.at <= now,
        f"the {kind} permit is older than {VALID_MAX[kind].days} days": not now - permit.at <= VALID_MAX[kind],
        f"the {kind} permit ended on {permit.until:%Y-%m-%d %H:%M} UTC": not now <= permit.until,
    }
    return tuple(sentence for sentence, is_so in wrong.items() if is_so)


def record_of(promotion: Permit | None, *, account: str, limits_hash: str, now: datetime) -> PaperRecord:
    """The paper record that a promotion permit proves; nothing where it does not count or cannot be read."""
    if promotion is None or problem_with(promotion, "promotion", account=account, limits_hash=limits_hash, now=now):
        return NO_RECORD
    return paper_record(promotion.evidence) or NO_RECORD


def paper_record(evidence: str) -> PaperRecord | None:
    """The record that a promotion's evidence holds; None where it does not hold three whole numbers."""
    try:
        told = json.loads(evidence)
    except ValueError:
        return None
    names = ("sessions", "violations", "mismatches")
    numbers = [told.get(name) for name in names] if isinstance(told, dict) else []
    whole = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool) and number >= 0]
    return PaperRecord(*whole) if len(whole) == len(names) else None
