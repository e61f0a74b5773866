"""`desk permit`: what the operator allows in writing before real money is traded, and what the live gate says of it."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

import sqlalchemy as sa

from desk.output import say, show
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from resources.keys import could_write
from resources.ledger import schema as t
from resources.ledger.dispatch_states import open_halts
from resources.ledger.engine import reading
from resources.ledger.permits import SqlPermits
from resources.ledger.verify import examine
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.core.settings import config_folder
from trading_assets.signatures.live_gate import live_gate, mode_of
from trading_assets.signatures.permits import VALID_MAX, Permit, PermitKind, phrase_for, record_of

KINDS: Mapping[str, PermitKind] = {"live": "live", "promote": "promotion", "promotion": "promotion"}
USAGE = 'desk permit show|live|promote ACCOUNT, or desk permit revoke live|promotion ACCOUNT "why"'


def run_permit(words: Sequence[str], *, phrase: str | None, days: int | None, as_json: bool) -> None:
    """Grants, takes back or shows; `phrase` instead of asking for it at the terminal."""
    prepare_home()
    desk = DeskResource()
    match [*words]:
        case ["show", account]:
            pass
        case ["live" | "promote" as what, account]:
            _grant(desk, KINDS[what], account, phrase, days)
        case ["revoke", "live" | "promote" | "promotion" as what, account, why] if why.strip():
            _permits(desk).revoke(KINDS[what], account, why, as_of=desk.clock().now())
            say(f"the {KINDS[what]} permit for {account} is taken back")
        case _:
            raise PermanentFailure("desk permit does not know what to do", value=" ".join(words), hint=USAGE)
    show(shown(desk, account), as_json=as_json)


def shown(desk: DeskResource, account: str) -> dict[str, Any]:
    """The permits of an account, its record on paper, and everything that the live gate would say now."""
    now, permits = desk.clock().now(), _permits(desk)
    current = {kind: permits.current(kind, account, as_of=now) for kind in get_args(PermitKind)}
    problems = gate_says(desk, account, current["live"], current["promotion"], now)
    return {
        "account": account,
        "account_kind": mode_of(account) or "unknown",
        **{f"{kind}_permit": _told(permit) for kind, permit in current.items()},
        "record_on_paper": paper_record(desk),
        "live_gate": list(problems) or ["open"],
    }


def gate_says(
    desk: DeskResource, account: str, optin: Permit | None, promotion: Permit | None, now: datetime
) -> tuple[str, ...]:
    """Why live trading of the account would be refused now, were it the one that answers and were it typed at the start."""
    execution, limits_hash = desk.execution(), _limits_hash()
    settings = []
    if execution.mode != "live":
        settings.append(f"config/execution.yaml says mode {execution.mode}, and live needs live")
    if execution.broker != "ib":
        settings.append(f"config/execution.yaml says broker {execution.broker}, and live needs ib")
    return (
        *settings,
        *live_gate(
            "live",
            execution.ib.port,
            (account,),
            execution.ib.account,
            optin=optin,
            typed_account=account,
            paper_sessions=record_of(promotion, account=account, limits_hash=limits_hash, now=now),
            limits_hash=limits_hash,
            limits_writable=could_write(config_folder() / "preferences.yaml"),
            now=now,
        ),
    )


def paper_record(desk: DeskResource) -> dict[str, Json]:
    """What the ledger proves of the desk on paper.

    sessions: settled ones with an execution in a paper account at a broker. violations: what `desk doctor --verify-ledger` finds
    wrong. mismatches: halts that no operator has explained.
    """
    executions, closes = t.EXECUTIONS.c, t.CLOSES.c
    query = (
        sa.select(executions.session, executions.account)
        .join(t.CLOSES, (closes.book == executions.book) & (closes.session == executions.session))
        .where(executions.book == DESK)
        .distinct()
    )
    with reading(desk.engine(DESK)) as connection:
        sessions = {row.session for row in connection.execute(query) if mode_of(row.account) == "paper"}
        proof = examine(connection, head=desk.home().journal(DESK) / "HEAD")
        open_now = open_halts(connection, DESK)
    span = {"first": min(sessions).isoformat(), "last": max(sessions).isoformat()} if sessions else {}
    return {
        "sessions": len(sessions),
        "violations": len(proof.problems),
        "mismatches": len(open_now),
        **span,
    }


def _grant(desk: DeskResource, kind: PermitKind, account: str, phrase: str | None, days: int | None) -> None:
    """Asks for the phrase; what a permit rests on is read from the ledger and not from the operator."""
    now, limits_hash = desk.clock().now(), _limits_hash()
    valid = VALID_MAX[kind] if days is None else timedelta(days=days)
    promotion = _permits(desk).current("promotion", account, as_of=now)
    record = record_of(promotion, account=account, limits_hash=limits_hash, now=now)
    evidence: dict[str, Json] = (
        paper_record(desk) if kind == "promotion" else {"promoted_on": promotion.at.isoformat() if promotion else ""}
    )
    say(f"{kind} permit for {account}, good for {valid.days} days under limits {limits_hash[:16]}")
    say(f"it rests on: {evidence or 'nothing'}; sessions on paper that count: {record.sessions}")
    typed = phrase if phrase is not None else _typed(phrase_for(kind, account))
    made = _permits(desk).grant(kind, account, limits_hash, evidence, typed, as_of=now, valid=valid)
    say(f"granted until {made.until.isoformat()}")


def _typed(wanted: str) -> str:
    """The phrase from a terminal; a pipe types nothing."""
    if not sys.stdin.isatty():
        raise PermanentFailure("a permit is typed at a terminal", hint=f'there, or with --phrase "{wanted}"')
    say(f"type in full: {wanted}")
    return sys.stdin.readline().rstrip("\n")


def _permits(desk: DeskResource) -> SqlPermits:
    return SqlPermits(desk.engine(DESK), desk.journal_files(DESK))


def _limits_hash() -> str:
    return hashlib.sha256((config_folder() / "preferences.yaml").read_bytes()).hexdigest()


def _told(permit: Permit | None) -> str:
    return "none" if permit is None else f"since {permit.at.isoformat()} until {permit.until.isoformat()}"
