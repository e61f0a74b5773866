"""Seals: each signer's HMAC over one intent, and everything that can be wrong with a set of them.

A seal is bound to one intent, one plan, one quantity and one limits file, and to a minute. Whoever holds a signer's key can sign as
that signer and as no other, so the three signers have three keys, and the order path, which only verifies, refuses whatever lacks
one of the three. A verdict says why an order may go; a seal says that nobody changed it since.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import canonical
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Seal, Signer, Verdict

KEY_BYTES = 32
_DIGITS_SHOWN = 12


class Sealed(Protocol):
    """What is sealed: an intent on its way to a broker."""

    @property
    def id(self) -> str:
        """The intent."""
        ...

    @property
    def plan(self) -> TradePlan:
        """What was judged."""
        ...

    @property
    def quantity(self) -> int:
        """Shares that may be traded."""
        ...

    @property
    def limits_hash(self) -> str:
        """sha256 of the limits that it was judged under."""
        ...


def seal(
    intent_id: str,
    plan_digest: str,
    quantity: int,
    limits_hash: str,
    *,
    signer: Signer,
    key: bytes,
    signed_at: datetime,
    valid: timedelta,
) -> Seal:
    """One signer's seal, good from `signed_at` for `valid`.

    Raises:
        PermanentFailure: The key is not 32 bytes, the instant has no time zone, or the seal would never be good.
    """
    if len(key) != KEY_BYTES:
        raise PermanentFailure(f"the key of {signer} cannot sign", value=f"{len(key)} bytes", bound=KEY_BYTES)
    if signed_at.tzinfo is None or valid <= timedelta(0):
        raise PermanentFailure("a seal needs an instant with a time zone, and some time to be good for", value=valid)
    unsigned = Seal(
        signer=signer,
        intent_id=intent_id,
        plan_digest=plan_digest,
        quantity=quantity,
        limits_hash=limits_hash,
        signed_at=signed_at.astimezone(UTC),
        expires_at=(signed_at + valid).astimezone(UTC),
        mac="",
    )
    return unsigned.model_copy(update={"mac": _mac(unsigned, key)})


def sign(intent: Sealed, verdict: Verdict, *, key: bytes, signed_at: datetime, valid: timedelta) -> Seal:
    """The seal of the signer that gave the verdict: on its own plan, and on no more than it allowed.

    Raises:
        PermanentFailure: The verdict is a veto, is about another plan, allows less, or is nobody's who signs; and as `seal`.
    """
    signer = next((each for each in SIGNERS if each == verdict.signer), None)
    digest = intent.plan.digest
    if signer is None or verdict.plan_id != intent.plan.id or verdict.plan_digest != digest:
        told = f"{verdict.signer[:40]} on plan {_short(verdict.plan_digest)}"
        raise PermanentFailure(
            "a signer seals its own verdict on this plan and no other", value=told, bound=_short(digest)
        )
    if verdict.ruling == "veto" or not 0 < intent.quantity <= verdict.quantity:
        raise PermanentFailure(
            f"{signer} seals only what it approved",
            value=f"{intent.quantity} shares",
            bound=f"{verdict.ruling}, {verdict.quantity} shares",
        )
    return seal(
        intent.id,
        digest,
        intent.quantity,
        intent.limits_hash,
        signer=signer,
        key=key,
        signed_at=signed_at,
        valid=valid,
    )


def seals_problem(
    intent: Sealed,
    seals: Sequence[Seal],
    keys: Mapping[Signer, bytes],
    *,
    limits_hash: str,
    now: datetime,
    age_max: timedelta,
) -> str:
    """Everything that is wrong with the seals on an intent, in one line; empty when all three hold.

    Args:
        intent: What is about to be sent; its plan's digest is computed here and now.
        seals: All that lie there for it.
        keys: Every signer's own.
        limits_hash: That of the limits file as it lies there now.
        now: The moment of sending.
        age_max: The oldest that a seal may be, however long it says that it is good.
    """
    digest = intent.plan.digest
    problems = [
        *_of_limits(intent, limits_hash),
        *_of_keys(keys),
        *_of_signers(seals),
        *(problem for each in seals for problem in _of_seal(each, intent, digest, keys, limits_hash, now, age_max)),
    ]
    return "; ".join(problems)


def _mac(signed: Seal, key: bytes) -> str:
    """The hex HMAC-SHA256 over the canonical JSON of all other fields, instants in UTC with microseconds."""
    fields = {name: getattr(signed, name) for name in type(signed).model_fields if name != "mac"}
    told = {name: _instant(value) if isinstance(value, datetime) else value for name, value in fields.items()}
    return hmac.new(key, canonical(told).encode(), hashlib.sha256).hexdigest()


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _of_limits(intent: Sealed, limits_hash: str) -> Iterator[str]:
    if not limits_hash:
        yield "the hash of the limits file is not known"
    if intent.limits_hash != limits_hash:
        yield f"the intent was made under limits {_short(intent.limits_hash)}, and {_short(limits_hash)} lie there now"


def _of_keys(keys: Mapping[Signer, bytes]) -> Iterator[str]:
    """A key that two signers share is one signer under two names."""
    known = [keys[signer] for signer in SIGNERS if signer in keys]
    if len(set(map(bytes, known))) < len(known):
        yield "two signers share one key"


def _of_signers(seals: Sequence[Seal]) -> Iterator[str]:
    counted = Counter(str(each.signer) for each in seals)
    yield from (f"{signer} has not signed" for signer in SIGNERS if not counted[signer])
    for signer, times in sorted(counted.items()):
        if signer not in SIGNERS:
            yield f"{signer[:40]!r} is no signer"
        elif times > 1:
            yield f"{signer} has signed {times} times"


def _of_seal(
    signed: Seal,
    intent: Sealed,
    digest: str,
    keys: Mapping[Signer, bytes],
    limits_hash: str,
    now: datetime,
    age_max: timedelta,
) -> Iterator[str]:
    who = signed.signer
    if signed.intent_id != intent.id:
        yield f"the seal of {who} belongs to intent {signed.intent_id[:40]}, not to {intent.id}"
    if signed.plan_digest != digest:
        yield f"{who} signed plan {_short(signed.plan_digest)}, and the plan is {_short(digest)}"
    if signed.quantity != intent.quantity:
        yield f"{who} signed {signed.quantity} shares, and the intent is for {intent.quantity}"
    if signed.limits_hash != limits_hash:
        yield f"{who} signed under limits {_short(signed.limits_hash)}, and {_short(limits_hash)} lie there now"
    yield from _of_time(signed, now, age_max)
    if not _genuine(signed, keys.get(who)):
        yield f"the mac of {who} is not that of its key"


def _of_time(signed: Seal, now: datetime, age_max: timedelta) -> Iterator[str]:
    who = signed.signer
    if signed.signed_at.tzinfo is None or signed.expires_at.tzinfo is None:
        yield f"the seal of {who} has an instant without a time zone"
        return
    if signed.signed_at > now:
        yield f"{who} signed in the future, at {_instant(signed.signed_at)}"
    if now > signed.expires_at:
        yield f"the seal of {who} expired at {_instant(signed.expires_at)}"
    if now - signed.signed_at > age_max:
        age = (now - signed.signed_at).total_seconds()
        yield f"the seal of {who} is {age:.1f} s old, bound {age_max.total_seconds():.0f} s"


def _genuine(signed: Seal, key: bytes | None) -> bool:
    """Whether the signer's own key made the mac; no key, or fields that have no canonical form, is no."""
    if key is None or len(key) != KEY_BYTES:
        return False
    try:
        expected = _mac(signed, key)
    except (TypeError, ValueError, OverflowError):
        return False
    return hmac.compare_digest(expected.encode(), str(signed.mac).encode(errors="replace"))


def _short(digest: str) -> str:
    return digest[:_DIGITS_SHOWN] or "none"
