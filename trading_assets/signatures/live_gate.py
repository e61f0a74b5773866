"""The live gate: whether a process may connect to an account at all. Everything must agree, and every mismatch is named.

The account id that the broker itself tells decides what is real money and what is not. The port is only a hint: a port that is
known to belong to the other mode refuses, a port of the operator's own says nothing. It is asked at the start and again at each
reconnect, for the person at the broker's program may have changed the account.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from trading_assets.broker.settings import Mode
from trading_assets.signatures.permits import NO_RECORD, PaperRecord, Permit, problem_with

PAPER_SESSIONS_MIN = 20
PORTS: Mapping[int, Mode] = {
    **dict.fromkeys((7497, 4002, 4004, 7499), "paper"),
    **dict.fromkeys((7496, 4001, 4003, 7498), "live"),
}
_ACCOUNTS: Mapping[Mode, re.Pattern[str]] = {
    "paper": re.compile(r"(?:DU|DF)[0-9]{4,12}", re.ASCII),
    "live": re.compile(r"[UF][0-9]{4,12}", re.ASCII),
}


def live_gate(
    mode: Mode,
    port: int,
    accounts: tuple[str, ...],
    expected: str,
    *,
    optin: Permit | None = None,
    typed_account: str = "",
    paper_sessions: PaperRecord = NO_RECORD,
    limits_hash: str = "",
    limits_writable: bool = True,
    now: datetime,
) -> tuple[str, ...]:
    """Why the process may not start, one sentence for each mismatch; empty when it may.

    Args:
        mode: Of the settings.
        port: Where the broker's program was reached.
        accounts: All that the broker told at the welcome.
        expected: The account of the settings.
        optin: The newest live permit of that account.
        typed_account: What the operator typed at the start.
        paper_sessions: What the promotion permit proves (`permits.record_of`).
        limits_hash: sha256 of the limits file.
        limits_writable: Whether this process could change the limits file; live only.
        now: The moment of the start.
    """
    problems = [*_of_port(mode, port), *_of_accounts(mode, accounts, expected)]
    if mode == "live":
        problems += problem_with(optin, "live", account=expected, limits_hash=limits_hash, now=now)
        problems += _of_live(expected, typed_account, paper_sessions, limits_writable=limits_writable)
    return tuple(problems)


def mode_of(account: str) -> Mode | None:
    """What an account id says of itself; None when it says nothing that is known."""
    return next((mode for mode, pattern in _ACCOUNTS.items() if pattern.fullmatch(account)), None)


def _of_port(mode: Mode, port: int) -> Iterator[str]:
    if mode not in _ACCOUNTS:
        yield f"mode {mode!r} is neither paper nor live"
    hint = PORTS.get(port)
    if hint not in {None, mode}:
        yield f"port {port} belongs to {hint} trading, and the mode is {mode}"


def _of_accounts(mode: Mode, accounts: tuple[str, ...], expected: str) -> Iterator[str]:
    if not expected:
        yield "no account is configured; set ib.account in config/execution.yaml"
    if len(accounts) != 1:
        yield f"the broker tells {len(accounts)} accounts ({', '.join(accounts) or 'none'}), and must tell exactly one"
    for account in accounts:
        told = mode_of(account)
        if account != expected:
            yield f"the broker's account is {account or 'empty'}, and {expected or 'none'} is configured"
        if told is None:
            yield f"account {account or 'empty'} has no known prefix: it is neither paper nor live"
        elif told != mode:
            yield f"account {account} is a {told} account, and the mode is {mode}"


def _of_live(expected: str, typed: str, record: PaperRecord, *, limits_writable: bool) -> Iterator[str]:
    if not typed or typed != expected:
        yield f"the account typed at the start is {typed or 'empty'}, and {expected or 'none'} is configured"
    if not record.sessions >= PAPER_SESSIONS_MIN:
        yield f"{record.sessions} sessions on paper are on record, and live needs {PAPER_SESSIONS_MIN}"
    if record.violations != 0:
        yield f"{record.violations} invariants were violated on paper, bound 0"
    if record.mismatches != 0:
        yield f"{record.mismatches} mismatches on paper were never explained, bound 0"
    if limits_writable:
        yield "this process could change the limits file; make it another user's, 0444 in a folder of 0555"
