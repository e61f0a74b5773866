"""Seals: three of them hold for one intent, one minute and one limits file, and any change after signing refuses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import plan
from trading_assets.core.errors import PermanentFailure
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Seal, Signer, Verdict
from trading_assets.signatures.signing import seal, seals_problem, sign

NOW = datetime(2026, 11, 20, 14, 30, 5, 123456, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
LIMITS = "a" * 64
KEYS: Mapping[Signer, bytes] = {signer: bytes([number]) * 32 for number, signer in enumerate(SIGNERS, 1)}
TICK = timedelta(microseconds=1)


PLAN = plan()


@dataclass(frozen=True)
class Sent:
    """What is about to be sent."""

    id: str = "intent-1"
    plan: TradePlan = PLAN
    quantity: int = 100
    limits_hash: str = LIMITS


INTENT = Sent()


def signed(signer: Signer, intent: Sent = INTENT, *, key: bytes | None = None, **changed: Any) -> Seal:
    """One signer's seal on an intent."""
    given_: dict[str, Any] = {"signed_at": NOW, "valid": MINUTE, "limits_hash": intent.limits_hash, **changed}
    limits = given_.pop("limits_hash")
    own = KEYS[signer] if key is None else key
    return seal(intent.id, intent.plan.digest, intent.quantity, limits, signer=signer, key=own, **given_)


def three(intent: Sent = INTENT, **changed: Any) -> list[Seal]:
    return [signed(signer, intent, **changed) for signer in SIGNERS]


def problem(
    seals: Sequence[Seal], intent: Sent = INTENT, *, now: datetime = NOW, keys: Mapping[Signer, bytes] = KEYS
) -> str:
    return seals_problem(intent, seals, keys, limits_hash=LIMITS, now=now, age_max=MINUTE)


def forged(seals: Sequence[Seal], position: int, **changed: Any) -> list[Seal]:
    """The seals with fields of one of them changed after signing."""
    return [each.model_copy(update=changed) if at == position else each for at, each in enumerate(seals)]


def test_three_fresh_seals_hold_in_any_order_for_their_whole_minute() -> None:
    seals = three()
    assert problem(seals) == problem(seals[::-1]) == problem(seals, now=NOW + MINUTE) == ""


def test_seals_are_the_same_in_every_process_and_zone() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert [each.mac for each in three(signed_at=elsewhere)] == [each.mac for each in three()]
    assert signed("risk_gate", Sent(plan=plan().model_copy(update={"reasons": ("it was asked for",)}))).mac == (
        signed("risk_gate").mac
    )


def test_a_seal_survives_its_way_through_the_ledger() -> None:
    stored = [Seal.model_validate_json(each.model_dump_json()) for each in three()]
    assert stored == three()
    assert problem(stored) == ""


def test_the_mac_is_that_of_the_standard_library_over_all_other_fields() -> None:
    """Written out, so that another program can check a seal."""
    import hashlib
    import hmac
    import json

    one = signed("fact_checker")
    fields = {
        "signer": "fact_checker",
        "intent_id": "intent-1",
        "plan_digest": INTENT.plan.digest,
        "quantity": 100,
        "limits_hash": LIMITS,
        "signed_at": "2026-11-20T14:30:05.123456+00:00",
        "expires_at": "2026-11-20T14:31:05.123456+00:00",
    }
    assert {*fields, "mac"} == set(Seal.model_fields)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert one.mac == hmac.new(KEYS["fact_checker"], text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.control("C2")
@pytest.mark.parametrize("down", SIGNERS)
def test_one_signer_that_is_down_refuses_the_order(down: Signer) -> None:
    assert problem([each for each in three() if each.signer != down]) == f"{down} has not signed"


@pytest.mark.control("C2")
def test_without_any_seal_every_signer_is_named() -> None:
    assert problem([]) == "; ".join(f"{signer} has not signed" for signer in SIGNERS)


@pytest.mark.control("C2")
def test_one_signer_twice_is_not_two_signers() -> None:
    doubled = [signed("risk_gate"), signed("risk_gate"), signed("fact_checker")]
    assert problem(doubled) == "double_checker has not signed; risk_gate has signed 2 times"
    assert problem([*three(), signed("risk_gate")]) == "risk_gate has signed 2 times"


@pytest.mark.control("C2")
@pytest.mark.parametrize("signer", SIGNERS)
def test_a_seal_by_another_signers_key_refuses(signer: Signer) -> None:
    for other in SIGNERS:
        seals = [signed(each, key=KEYS[other] if each == signer else None) for each in SIGNERS]
        assert problem(seals) == ("" if other == signer else f"the mac of {signer} is not that of its key")


@pytest.mark.control("C2")
@pytest.mark.fault(99)
def test_two_signers_with_one_key_are_one_signer() -> None:
    keys = {**KEYS, "fact_checker": KEYS["risk_gate"]}
    seals = [signed(signer, key=keys[signer]) for signer in SIGNERS]
    assert problem(seals, keys=keys) == "two signers share one key"


@pytest.mark.control("C2")
def test_a_signer_whose_key_is_not_known_or_too_short_refuses() -> None:
    without: Mapping[Signer, bytes] = {s: k for s, k in KEYS.items() if s != "risk_gate"}
    assert problem(three(), keys=without) == "the mac of risk_gate is not that of its key"
    assert "risk_gate" in problem(three(), keys={**KEYS, "risk_gate": b""})
    assert "risk_gate" in problem(three(), keys={**KEYS, "risk_gate": KEYS["risk_gate"] + b"\0"})


@pytest.mark.control("C2")
def test_seals_copied_from_another_intent_refuse() -> None:
    other = Sent(id="intent-2")
    said = problem(three(other))
    assert said.count("belongs to intent intent-2, not to intent-1") == len(SIGNERS)


@pytest.mark.control("C2")
@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": 101},
        {"entry": Decimal("50.01")},
        {"stop": Decimal("40.00")},
        {"target": Decimal("60.00")},
        {"symbol": "BBB"},
        {"side": "short"},
        {"style": "market"},
        {"reasons": ("another",)},
        {"thesis_id": "another"},
        {"session": date(2012, 6, 18)},
    ],
)
def test_a_plan_that_was_changed_after_signing_is_refused_by_the_order_path(changed: dict[str, Any]) -> None:
    """K2: an order whose plan digest lacks three fresh signatures does not pass."""
    other = replace(INTENT, plan=INTENT.plan.model_copy(update=changed))
    assert problem(three(), other).count(" signed plan ") == len(SIGNERS)


@pytest.mark.control("C2")
def test_a_larger_or_smaller_quantity_than_was_signed_refuses() -> None:
    for quantity in (99, 101, 10**18):
        said = problem(three(), replace(INTENT, quantity=quantity))
        assert said.count(f"signed 100 shares, and the intent is for {quantity}") == len(SIGNERS)


@pytest.mark.control("C2")
@pytest.mark.control("C32")
def test_seals_under_other_limits_refuse() -> None:
    assert problem(three(limits_hash="b" * 64)).count("signed under limits bbbbbbbbbbbb, and aaaaaaaaaaaa") == 3
    assert problem(three(), replace(INTENT, limits_hash="b" * 64)).startswith("the intent was made under limits bbbb")
    blank = Sent(limits_hash="")
    said = seals_problem(blank, three(blank), KEYS, limits_hash="", now=NOW, age_max=MINUTE)
    assert said == "the hash of the limits file is not known"


@pytest.mark.control("C2")
def test_a_seal_ends_a_microsecond_after_its_minute() -> None:
    late = problem(three(), now=NOW + MINUTE + TICK)
    assert late.count("expired at 2026-11-20T14:31:05.123456+00:00") == len(SIGNERS)
    assert late.count("s old, bound 60 s") == len(SIGNERS)


@pytest.mark.control("C2")
def test_a_seal_that_says_it_is_good_for_a_year_is_good_for_a_minute() -> None:
    seals = three(valid=timedelta(days=365))
    assert problem(seals, now=NOW + MINUTE) == ""
    assert problem(seals, now=NOW + MINUTE + TICK).count("old, bound 60 s") == len(SIGNERS)


@pytest.mark.control("C2")
def test_a_seal_of_the_future_refuses() -> None:
    assert problem(three(), now=NOW - TICK).count("signed in the future") == len(SIGNERS)


@pytest.mark.control("C2")
def test_every_problem_is_named_at_once() -> None:
    seals = [signed("risk_gate", Sent(id="copied")), signed("fact_checker", key=b"x" * 32)]
    said = problem(seals, now=NOW + 2 * MINUTE)
    for part in ("double_checker has not signed", "belongs to intent copied", "the mac of fact_checker", "expired"):
        assert part in said


CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "signer": lambda signer: SIGNERS[(SIGNERS.index(signer) + 1) % 3],
    "intent_id": lambda text: text + "x",
    "plan_digest": lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
    "quantity": lambda number: number + 1,
    "limits_hash": lambda text: text.upper(),
    "signed_at": lambda moment: moment - TICK,
    "expires_at": lambda moment: moment + TICK,
    "mac": lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
}


@pytest.mark.control("C2")
@settings(max_examples=25)
@given(
    name=st.sampled_from(sorted(CHANGES)),
    position=st.integers(0, 2),
    after=st.timedeltas(timedelta(0), MINUTE),
    quantity=st.integers(1, 10**6),
)
def test_changing_any_one_field_after_signing_refuses(
    name: str, position: int, after: timedelta, quantity: int
) -> None:
    intent = replace(INTENT, quantity=quantity)
    seals = three(intent)
    assert problem(seals, intent, now=NOW + after) == ""
    changed = CHANGES[name](getattr(seals[position], name))
    assert problem(forged(seals, position, **{name: changed}), intent, now=NOW + after) != ""


def test_every_field_of_a_seal_is_among_the_changes() -> None:
    assert set(CHANGES) == set(Seal.model_fields)


@pytest.mark.control("C2")
@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": 100.0},
        {"quantity": float("nan")},
        {"quantity": True},
        {"quantity": Decimal(100)},
        {"signer": "somebody"},
        {"mac": ""},
        {"mac": "é" * 64},
        {"mac": "\ud800"},
        {"mac": None},
        {"signed_at": NOW.replace(tzinfo=None)},
        {"intent_id": b"intent-1"},
    ],
)
def test_a_seal_that_was_never_validated_refuses_and_does_not_raise(changed: dict[str, Any]) -> None:
    assert problem(forged(three(), 0, **changed)) != ""


def verdict(signer: str = "risk_gate", **changed: Any) -> Verdict:
    """A signer's approval of all 100 shares."""
    given_: dict[str, Any] = {"ruling": "approve", "quantity": 100, "plan_id": PLAN.id, "plan_digest": PLAN.digest}
    return Verdict(signer=signer, breaches=(), **{**given_, **changed})


def test_a_verdict_is_sealed_by_its_own_signer() -> None:
    for signer in SIGNERS:
        made = sign(INTENT, verdict(signer), key=KEYS[signer], signed_at=NOW, valid=MINUTE)
        assert made == signed(signer)


def test_less_than_was_allowed_may_be_sealed() -> None:
    smaller = replace(INTENT, quantity=60)
    gate = verdict("risk_gate", ruling="shrink", quantity=60)
    given_ = (gate, verdict("fact_checker"), verdict("double_checker"))
    seals = [
        sign(smaller, each, key=KEYS[who], signed_at=NOW, valid=MINUTE)
        for who, each in zip(SIGNERS, given_, strict=True)
    ]
    assert problem(seals, smaller) == ""


@pytest.mark.control("C2")
@pytest.mark.parametrize(
    "given_",
    [
        verdict(ruling="veto", quantity=0),
        verdict(ruling="veto"),
        verdict(ruling="shrink", quantity=99),
        verdict(quantity=0),
        verdict(plan_digest="0" * 64),
        verdict(plan_id="another"),
        verdict("gateway"),
        verdict(""),
    ],
)
def test_nobody_seals_what_it_did_not_approve(given_: Verdict) -> None:
    with pytest.raises(PermanentFailure, match="seals"):
        sign(INTENT, given_, key=KEYS["risk_gate"], signed_at=NOW, valid=MINUTE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": b""},
        {"key": b"x" * 31},
        {"key": b"x" * 33},
        {"signed_at": NOW.replace(tzinfo=None)},
        {"valid": timedelta(0)},
        {"valid": -MINUTE},
    ],
)
def test_nothing_is_signed_with_a_wrong_key_or_for_no_time(wrong: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure) as refused:
        signed("risk_gate", **wrong)
    assert "xxxx" not in str(refused.value)


def test_no_problem_tells_a_mac_or_a_key() -> None:
    seals = forged(three(), 1, mac="f" * 64)
    said = problem(seals)
    assert said
    assert "ffff" not in said
    assert not any(each.mac in said or KEYS[each.signer].hex() in said for each in three())
