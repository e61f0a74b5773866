"""Each invariant holds on an ordinary day and is broken by the thing that it forbids."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.rehearsing.invariants import RULES, conserved, doubled_slots, missed_slots, verdicts
from desk.rehearsing.seen import Claim, Decision, Evidence, Fill, Halt, Order, Run
from tests.rehearsal.days import (
    BOUGHT,
    CASH,
    CLOSE,
    ENTRY,
    INTENT,
    KEY,
    OPEN,
    RESTING,
    SIGNERS,
    SOLD,
    STOP,
    at,
    ordinary,
    sample,
)

Change = Callable[[Evidence], Evidence]
COVER = "no position without a resting stop beyond the grace"
LIMITS = "limits never exceeded, in flight included"
SEALED = "every decision journaled, every order sealed"


def broken(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """What does not hold, and why."""
    return {verdict.name: verdict.broken for verdict in verdicts(evidence) if not verdict.holds}


def entry(number: int, symbol: str, shares: int, price: int, minutes: float) -> Order:
    """An opening order of an intent that nobody checks here."""
    return replace(
        ENTRY,
        perm_id=number,
        ref=f"D1:{number}",
        symbol=symbol,
        wanted=shares,
        filled=0,
        status="working",
        limit_price=Decimal(price),
        since=at(minutes),
    )


def with_orders(evidence: Evidence, *more: Order) -> Evidence:
    return replace(evidence, orders=(*evidence.orders, *more))


def without_samples_between(evidence: Evidence) -> Evidence:
    """From the purchase on no stop rests for half an hour."""
    naked = sample(5, CASH - 4_001, {"AAA": 40})
    later = sample(30, CASH - 4_001, {"AAA": 40})
    return replace(evidence, samples=(evidence.samples[0], naked, later, *evidence.samples[3:]))


FAULTS: dict[str, list[tuple[str, Change]]] = {
    "no slot missed": [
        ("a slot without a decision", lambda e: replace(e, decisions=e.decisions[:1])),
        (
            "an excused slot that nobody recorded",
            lambda e: replace(e, decisions=e.decisions[:1], excused={"12:00": "kill-daemon"}),
        ),
    ],
    "no slot doubled": [
        ("two decisions", lambda e: replace(e, decisions=(*e.decisions, e.decisions[0]))),
        (
            "two runs that succeeded",
            lambda e: replace(e, runs=(*e.runs, replace(e.runs[0], id="r9", part=""))),
        ),
        (
            "two entries for one intent",
            lambda e: with_orders(e, replace(ENTRY, perm_id=9, filled=0, status="cancelled")),
        ),
    ],
    "each due part of the day done once": [
        ("a part that failed", lambda e: replace(e, claims=(Claim(f"opinions/{KEY}", "failed", 1, ""),))),
        ("a part that ran twice", lambda e: replace(e, runs=(*e.runs, replace(e.runs[2], id="r9")))),
        ("no report run", lambda e: replace(e, runs=e.runs[:3])),
    ],
    COVER: [
        ("no stop at all", without_samples_between),
        (
            "a stop that is too small",
            lambda e: replace(
                e,
                samples=tuple(
                    replace(s, orders=tuple(replace(o, wanted=39) for o in s.orders)) if s.orders else s
                    for s in e.samples
                ),
            ),
        ),
        (
            "a stop that still waits for its parent",
            lambda e: replace(
                e,
                samples=tuple(replace(s, orders=tuple(replace(o, status="held") for o in s.orders)) for s in e.samples),
            ),
        ),
    ],
    "no entry without its stop": [("a bracket without its stop", lambda e: replace(e, orders=e.orders[:2]))],
    LIMITS: [
        ("too many shares", lambda e: with_orders(e, entry(9, "CCC", 501, 5, 70))),
        ("too much money", lambda e: with_orders(e, entry(9, "CCC", 101, 100, 70))),
        (
            "two entries in one symbol that fit alone",
            lambda e: with_orders(e, entry(9, "CCC", 30, 100, 70), entry(10, "CCC", 30, 100, 70.1)),
        ),
        (
            "a ninth position in flight",
            lambda e: with_orders(e, *(entry(n, f"S{n}", 1, 10, 70) for n in range(10, 19))),
        ),
        (
            "a sector that is full",
            lambda e: with_orders(
                replace(e, sectors=dict.fromkeys((f"S{n}" for n in range(10, 16)), "one")),
                *(entry(n, f"S{n}", 45, 100, 70) for n in range(10, 16)),
            ),
        ),
        (
            "what was in flight when it was looked at last counts",
            lambda e: with_orders(
                replace(
                    e, samples=(*e.samples[:4], sample(69, CASH - 82, {}, entry(9, "CCC", 30, 100, 68)), e.samples[4])
                ),
                entry(9, "CCC", 30, 100, 68),
                entry(10, "CCC", 30, 100, 70),
            ),
        ),
        ("what is held counts with what is in flight", lambda e: with_orders(e, entry(9, "AAA", 15, 100, 20))),
    ],
    "nothing sold short": [
        ("shares that are owed", lambda e: replace(e, samples=(*e.samples, sample(401, CASH, {"AAA": -1}))))
    ],
    "cash and shares conserve": [
        (
            "a cent that nobody paid",
            lambda e: replace(e, samples=(*e.samples[:-1], sample(400, CASH - Decimal("82.02"), {}))),
        ),
        ("a share from nowhere", lambda e: replace(e, samples=(*e.samples[:-1], sample(400, CASH - 82, {"AAA": 1})))),
        (
            "the ledger counts other shares",
            lambda e: replace(e, booked=(replace(e.booked[0], quantity=Decimal(41)), e.booked[1])),
        ),
        ("another settlement", lambda e: replace(e, close=replace(e.close, cash=CASH) if e.close else None)),
    ],
    "every fill in the ledger, once": [
        ("one is missing", lambda e: replace(e, booked=e.booked[:1])),
        ("one twice", lambda e: replace(e, booked=(*e.booked, e.booked[0]))),
        ("one that never was", lambda e: replace(e, booked=(*e.booked, replace(e.booked[0], exec_id="x9")))),
        ("another price", lambda e: replace(e, booked=(replace(e.booked[0], price=Decimal(99)), e.booked[1]))),
    ],
    "every intent in one terminal state": [
        ("one still works", lambda e: replace(e, intents=(replace(INTENT, state="WORKING"),))),
        ("two ends", lambda e: replace(e, intents=(replace(INTENT, states=(*INTENT.states, "CANCELLED")),))),
        ("filled by nobody", lambda e: replace(e, fills=(replace(BOUGHT, quantity=39), e.fills[1]))),
        ("nowhere", lambda e: replace(e, intents=(replace(INTENT, state="", states=()),))),
    ],
    "nothing opened while halted": [
        ("an entry under a halt", lambda e: replace(e, halts=(Halt(2, "W4", OPEN - timedelta(hours=1), None),)))
    ],
    "flat at the close for day strategies": [
        (
            "held overnight",
            lambda e: replace(
                e, fills=e.fills[:1], samples=(*e.samples[:-1], sample(400, CASH - 4_001, {"AAA": 40}, RESTING))
            ),
        )
    ],
    SEALED: [
        ("two seals", lambda e: replace(e, intents=(replace(INTENT, seals=dict.fromkeys(SIGNERS[:2], at(2))),))),
        ("another plan", lambda e: replace(e, intents=(replace(INTENT, sealed_digests=frozenset({"d", "e"})),))),
        ("sealed too late", lambda e: replace(e, intents=(replace(INTENT, seals=dict.fromkeys(SIGNERS, at(4))),))),
        ("not in the journal", lambda e: replace(e, journaled=frozenset({"09:30"}))),
        ("an order of nobody's", lambda e: with_orders(e, entry(9, "CCC", 1, 10, 70))),
    ],
    "no fact used before it was knowable": [
        ("a gate that was passed later", lambda e: replace(e, gate_at=at(1))),
        ("no gate", lambda e: replace(e, gate_at=None)),
        ("opinions from later", lambda e: replace(e, late_rows=("3 rows of stances were knowable later",))),
        (
            "sealed before it was decided",
            lambda e: replace(e, intents=(replace(INTENT, seals=dict.fromkeys(SIGNERS, at(-1))),)),
        ),
    ],
    "the report exists": [("no report", lambda e: replace(e, report=""))],
    "the ledger is proven": [("a broken chain", lambda e: replace(e, proof=("journal 7: hash",)))],
    "processes ended": [
        ("one lives on", lambda e: replace(e, alive=(4711,))),
        ("one died by itself", lambda e: replace(e, lost=("gateway ended with code 3",))),
    ],
}


def test_an_ordinary_day_breaks_nothing() -> None:
    assert broken(ordinary()) == {}


def test_every_invariant_has_a_day_that_breaks_it() -> None:
    assert FAULTS.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("name", "change"),
    [pytest.param(name, change, id=f"{name}: {what}") for name, each in FAULTS.items() for what, change in each],
)
def test_a_planted_violation_is_found(name: str, change: Change) -> None:
    assert name in broken(change(ordinary()))


def test_a_missed_slot_that_a_fault_excuses_and_the_journal_tells_is_no_violation() -> None:
    told = replace(
        ordinary(),
        decisions=ordinary().decisions[:1],
        excused={"12:00": "kill-daemon"},
        missed_in_words=frozenset({"12:00"}),
    )
    assert broken(told) == {}
    assert missed_slots(told) == ("12:00",)


def test_an_order_that_was_on_its_way_when_the_halt_was_written_is_no_violation() -> None:
    written = ENTRY.since - timedelta(seconds=100)
    assert "nothing opened while halted" not in broken(replace(ordinary(), halts=(Halt(2, "W4", written, None),)))
    before = ENTRY.since - timedelta(seconds=121)
    assert "nothing opened while halted" in broken(replace(ordinary(), halts=(Halt(2, "W4", before, None),)))


def test_shares_may_be_without_a_stop_for_a_moment_and_after_the_close() -> None:
    brief = (sample(5, CASH - 4_001, {"AAA": 40}), sample(15, CASH - 4_001, {"AAA": 40}, RESTING))
    assert COVER not in broken(replace(ordinary(), samples=(*brief, *ordinary().samples[3:])))
    overnight = tuple(sample(390 + n, CASH - 4_001, {"AAA": 40}) for n in range(40))
    assert COVER not in broken(replace(ordinary(), samples=overnight))


def test_a_sale_that_takes_off_what_was_bought_since_the_last_look_opens_nothing() -> None:
    sale = replace(STOP, perm_id=9, parent=0, oca_group="", kind="market", since=at(4), ref="D1:x")
    assert broken(with_orders(ordinary(), sale)) == {}


def test_without_a_broker_only_what_the_desk_decided_is_judged() -> None:
    alone = replace(
        ordinary(),
        has_broker=False,
        orders=(),
        fills=(),
        samples=(),
        booked=(),
        bar_fills=(BOUGHT, SOLD),
        intents=(replace(INTENT, state="", states=(), seals={}),),
    )
    assert broken(alone) == {}


@given(st.permutations(range(4)), st.integers(0, 3))
@settings(max_examples=40)
def test_the_order_of_rows_never_matters_and_any_doubled_row_is_found(order: list[int], which: int) -> None:
    """Runs and decisions come in any order."""
    day = ordinary()
    runs = tuple(day.runs[n] for n in order)
    assert broken(replace(day, runs=runs, decisions=day.decisions[::-1])) == {}
    twice = replace(day, runs=(*runs, replace(day.runs[which], id="again")))
    doubled = set(doubled_slots(twice)) | {name for name in broken(twice) if "once" in name}
    assert bool(doubled) == bool(day.runs[which].part)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(20, 400))
@settings(max_examples=60)
def test_shares_and_cash_conserve_for_any_trades_and_for_no_other_cash(bought: int, more: int, cents: int) -> None:
    price = Decimal(cents) / 100
    fills = (
        Fill("a", 1, "", "AAA", "buy", bought, price, Decimal("1.00"), at(10)),
        Fill("b", 1, "", "AAA", "buy", more, price, Decimal("1.00"), at(11)),
    )
    cash = CASH - (bought + more) * price - 2
    rows = tuple(
        replace(ordinary().booked[0], exec_id=f.exec_id, quantity=Decimal(f.quantity), price=price) for f in fills
    )
    day = replace(ordinary(), fills=fills, booked=rows, close=None, samples=(sample(30, cash, {"AAA": bought + more}),))
    assert "cash and shares conserve" not in broken(day)
    off = replace(day, samples=(sample(30, cash + Decimal("0.02"), {"AAA": bought + more}),))
    assert "cash and shares conserve" in broken(off)


def test_without_a_broker_the_close_follows_from_the_fills_of_the_ledger() -> None:
    alone = replace(ordinary(), samples=(), orders=(), fills=(), booked=(), has_broker=False, bar_fills=(BOUGHT, SOLD))
    assert tuple(conserved(alone)) == ()
    unsettled = replace(alone, close=None)
    assert tuple(conserved(unsettled)) == ("there are fills from bars, and the session was not settled",)
    assert tuple(conserved(replace(unsettled, bar_fills=()))) == ()
    lost = tuple(conserved(replace(alone, bar_fills=(BOUGHT,))))
    assert [sentence.split(";")[1] for sentence in lost] == [" its fills leave 95999", " its fills leave 40 AAA"]


def test_the_due_time_of_a_slot_is_of_new_york() -> None:
    assert ordinary().slot_at("09:30") == OPEN
    assert ordinary().slot_at("16:00") == CLOSE


def test_a_decision_that_refused_needs_no_gate() -> None:
    refused = replace(
        ordinary(),
        gate_at=None,
        decisions=(Decision("09:30", OPEN, "REFUSED", "no gate"), Decision("12:00", at(150), "REFUSED", "no gate")),
    )
    assert "no fact used before it was knowable" not in broken(refused)


def test_a_run_without_a_slot_is_nobodys_slot() -> None:
    free = replace(ordinary(), runs=(*ordinary().runs, Run("r9", "decide", "SUCCESS", "", KEY, "", 1, 2, 3)))
    assert doubled_slots(free) == ()
