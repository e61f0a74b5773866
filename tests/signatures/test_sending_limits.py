"""Random orders at random moments: what leaves satisfies every limit, computed once more; nothing opens but for an active desk."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.at_sending import (
    HASH,
    LATER,
    SESSION,
    STRICT,
    bracket,
    counters,
    exiting,
    quote,
    ready,
    refused,
    unknown,
    values,
)
from tests.signatures.gated import around, holding, leaving, plan, portfolio, short
from trading_assets.broker.model import MarginImpact, OrderRequest
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Portfolio
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.exposure import PendingEntry
from trading_assets.signatures.sending import AtSending
from trading_assets.signatures.state import STRICTNESS, StateRuling, TradingState

T = TypeVar("T")
NAN = Decimal("NaN")
LIMITS = STRICT.model_copy(update={"position_fraction_max": 0.07})
BAD: dict[str, tuple[Any, ...]] = {
    "session": (None,),
    "quantity": (0, 101, -1, 1.5, float("nan")),
    "orders": ((),),
    "seals": ("expired",),
    "quote": (None, quote(ask=None), quote("50.01", "50.00"), quote(kind="frozen"), quote(halted=True)),
    "bar_at": (None, LATER, LATER - timedelta(minutes=9)),
    "clock_skew": (None, timedelta(seconds=2)),
    "second_price": (None, Decimal(0), NAN, Decimal(500)),
    "contracts": (0, 2),
    "listed": (False,),
    "universe": (0, 51),
    "crossing": (("own order",),),
    "halted": (True,),
    "reopened_at": (LATER, LATER + timedelta(days=1)),
    "breaker": ("flash crash",),
    "account": ("another",),
    "values": (values(equity=None), values(cash=None, intraday_excess_liquidity=None), values(excess_liquidity=NAN)),
    "margin": (None, MarginImpact(None, None, None), MarginImpact(NAN, NAN, NAN)),
    "capital_usd": (Decimal(0), NAN),
    "counters": (counters(orders_today=60), counters(entries_today={"AAA": 3}), counters(day_cost_usd=NAN)),
    "cost_per_decision_usd": (Decimal(-1), NAN),
    "cost_per_day_usd": (Decimal(-1), NAN),
    "limits_hash": ("", "b" * 64),
    "pinned_hash": ("", "b" * 64),
    "intent_hash": ("", "b" * 64),
    "lease": ("lost",),
    "reconciled_at": (None, LATER - timedelta(seconds=16)),
    "disagrees": ("cash differs",),
    "own": (True,),
}
LATER_ON: dict[str, Any] = {"now": LATER, "session": SESSION, "bar_at": LATER - timedelta(seconds=70)}


def moment(asked: TradePlan, **otherwise: Any) -> AtSending:
    """Everything in order an hour after the open, where shares to borrow are found and short sales are free."""
    free = {"locates": {"AAA": True}, "short_restricted": False}
    return ready(asked, **{**LATER_ON, **free, **otherwise})


@pytest.mark.parametrize("asked", [plan(), short()], ids=["long", "short"])
def test_any_single_thing_that_is_wrong_keeps_an_entry_back(asked: TradePlan) -> None:
    assert refused(judge_at_sending(asked, around(preferences=LIMITS), moment(asked))) == []
    for name, bad in BAD.items():
        for each in bad:
            fresh = replace(each, at=LATER) if name == "quote" and each is not None else each
            found = judge_at_sending(asked, around(preferences=LIMITS), moment(asked, **{name: fresh}))
            assert found.ruling == "veto", (name, each)


def test_every_answer_is_wrong_once_in_the_table_of_bad_ones() -> None:
    harmless = {"now", "leaving", "locates", "short_restricted", "flattens"}
    assert set(BAD) | harmless == set(AtSending.__dataclass_fields__)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_two_wrong_things_are_both_told(data: st.DataObject) -> None:
    one, two = (data.draw(st.sampled_from(sorted(set(BAD) - {"quantity", "orders", "own"}))) for _ in range(2))
    bad = {name: data.draw(st.sampled_from(BAD[name])) for name in {one, two}}
    if bad.get("quote") is not None:
        bad["quote"] = replace(bad["quote"], at=LATER)
    alone = [_controls(moment(plan(), **{name: value})) for name, value in bad.items()]
    assert set().union(*alone) <= _controls(moment(plan(), **bad)) | {"C23"}


def _controls(sending: AtSending) -> set[str]:
    return {each.control for each in judge_at_sending(plan(), around(preferences=LIMITS), sending).breaches}


class _Case:
    """An order at some moment; the same number makes the same case. Most of them are close to what may leave."""

    def __init__(self, number: int) -> None:
        self.rng = Random(number)
        self.state: TradingState = self.one("ACTIVE", "ACTIVE", "ACTIVE", "REDUCING", "HALTED")
        self.bid = Decimal(self.whole(4_950, 5_050)) / 100
        self.ask = self.bid + Decimal(self.whole(0, 4)) / 100
        self.book = self.some_book()
        self.plan = self.some_plan()
        self.sending = self.some_moment()

    def some_plan(self) -> TradePlan:
        if self.rng.random() < 0.2:
            return leaving(self.whole(1, 120), side=self.one("long", "short"))
        entry = self.one(self.ask, self.ask + Decimal("0.10"), self.ask + Decimal("0.30"), self.bid - Decimal("0.20"))
        width = self.one(Decimal("0.50"), Decimal(1), Decimal(3))
        return plan(
            self.whole(1, 130),
            entry=str(entry),
            stop=str(entry - width),
            target=str(entry + 2 * width),
            reference="50.00",
        )

    def some_book(self) -> Portfolio:
        held = [holding("AAA", 5_000, quantity=self.whole(1, 120), stop="49.00")] if self.rng.random() < 0.25 else []
        book = portfolio(*held, cash=self.one(6_000, 100_000, 100_000))
        if self.rng.random() < 0.3:
            coming = PendingEntry("H1", Decimal(self.whole(1, 60_000)), "long", 10, Decimal(10))
            book = book.with_pending(coming)
        return book

    def some_moment(self) -> AtSending:
        market = quote(str(self.bid), str(self.ask), at=LATER - timedelta(seconds=self.whole(0, 6)), last=self.bid)
        known = moment(
            self.plan,
            quote=market,
            second_price=self.bid + Decimal(self.whole(-60, 60)) / 100,
            leaving=self.one(0, 0, 0, self.whole(0, 120)),
            counters=counters(orders_last_minute=self.one(0, 9, 10), entries_today={"AAA": self.one(0, 2, 3)}),
            flattens=self.rng.random() < 0.1,
        )
        if self.rng.random() < 0.3:
            name = self.one(*BAD)
            known = replace(known, **{name: self.one(*BAD[name])})
        if known.orders and self.rng.random() < 0.2:
            known = replace(known, orders=self.mangled(known.orders))
        return known

    def mangled(self, orders: tuple[OrderRequest, ...]) -> tuple[OrderRequest, ...]:
        number = self.whole(0, len(orders) - 1)
        changes: tuple[dict[str, Any], ...] = (
            {"transmit": not orders[number].transmit},
            {"side": "buy"},
            {"quantity": self.whole(1, 200)},
            {"kind": "market", "limit_price": None, "stop_price": None},
            {"limit_price": self.ask + Decimal("0.26")},
        )
        change = self.one(*changes)
        return tuple(replace(each, **change) if place == number else each for place, each in enumerate(orders))

    def whole(self, low: int, high: int) -> int:
        return low + int(self.rng.random() * (high - low + 1))

    def one(self, *options: T) -> T:
        return options[self.whole(0, len(options) - 1)]


@pytest.mark.control("C1")
def test_whatever_the_moment_what_leaves_satisfies_every_limit() -> None:
    left = Counter[tuple[str, TradingState]]()
    for number in range(3_000):
        case = _Case(number)
        verdict = judge_at_sending(case.plan, around(case.book, LIMITS, state=case.state), case.sending)
        assert verdict.ruling in {"approve", "veto"}
        assert (verdict.ruling == "veto") == bool(verdict.breaches) == (verdict.quantity == 0)
        if verdict.quantity:
            left[case.plan.action, case.state] += 1
            (_opened if case.plan.opens else _reduced)(case, verdict.quantity)
    assert left["enter", "ACTIVE"] >= 20
    assert min(left["exit", state] for state in STRICTNESS) >= 5
    assert {action for action, state in left if state != "ACTIVE"} == {"exit"}


def _opened(case: _Case, quantity: int) -> None:
    """The limits once more, in other words than those of the controls."""
    sending, entry = case.sending, case.sending.orders[0]
    market = sending.quote
    assert case.state == "ACTIVE"
    assert market is not None
    assert market.kind == "live"
    assert market.bid is not None
    assert market.ask is not None
    assert 0 < market.bid < market.ask
    assert entry.limit_price is not None
    assert entry.kind == "limit"
    assert entry.side == "buy"
    assert entry.quantity == quantity == sending.quantity
    assert entry.limit_price <= min(case.plan.entry, market.ask * Decimal("1.005"))
    assert abs(entry.limit_price - market.ask) <= market.ask * Decimal("0.03")
    assert [each.transmit for each in sending.orders] == [False] * (len(sending.orders) - 1) + [True]
    stop = sending.orders[-1]
    assert (stop.kind, stop.side, stop.quantity, stop.parent_id) == ("stop", "sell", quantity, entry.order_id)
    assert stop.stop_price is not None
    assert stop.stop_price < market.bid
    assert LATER - market.at <= timedelta(seconds=5)
    assert sending.second_price is not None
    assert abs(market.bid - sending.second_price) <= sending.second_price / 100
    assert sending.counters.orders_last_minute < 10
    assert sending.counters.entries_today.get("AAA", 0) < 3
    assert {sending.limits_hash, sending.pinned_hash, sending.intent_hash} == {HASH}
    problems = (sending.seals, sending.account, sending.lease, sending.crossing, sending.breaker, sending.disagrees)
    assert not any(problems)
    _paid(case, entry.limit_price * quantity)


def _paid(case: _Case, cost: Decimal) -> None:
    book, pending = case.book, case.book.pending_notional
    own = sum((each.value for each in book.holdings.values()), Decimal(0))
    assert cost <= min(Decimal(10_000), book.cash - pending)
    assert own + cost <= book.equity * Decimal("0.07")
    assert own + pending + cost <= book.equity * Decimal("0.6")


def _reduced(case: _Case, quantity: int) -> None:
    sending = case.sending
    held = case.book.holdings["AAA"].quantity
    assert case.plan.side == "long"
    assert quantity <= held - sending.leaving
    assert sum(each.quantity for each in sending.orders) <= quantity
    assert {each.side for each in sending.orders} == {"sell"}
    assert sending.flattens or all(each.kind != "market" for each in sending.orders)
    assert not any((sending.lease, sending.account))


@pytest.mark.control("C1")
@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["REDUCING", "HALTED"]),
    st.text(max_size=20),
    st.integers(1, 500),
    st.sampled_from(["enter", "add"]),
    st.sampled_from(["long", "short"]),
    st.booleans(),
)
def test_nothing_that_raises_exposure_leaves_a_desk_that_is_not_active(
    state: Any, reason: str, quantity: int, action: Any, side: Any, own: bool
) -> None:
    make = plan if side == "long" else short
    asked = make(quantity, action=action)
    surroundings = replace(around(preferences=LIMITS), state=StateRuling(state, reason))
    found = judge_at_sending(asked, surroundings, moment(asked, own=own, flattens=own))
    assert (found.ruling, found.quantity, found.breaches[0].control) == ("veto", 0, "C1")


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["ACTIVE", "REDUCING", "HALTED"]),
    st.integers(1, 10_000),
    st.sampled_from(["long", "short"]),
    st.sampled_from([Preferences(), LIMITS]),
)
def test_what_reduces_always_leaves_whatever_else_is_not_known(
    state: Any, shares: int, side: Any, limits: Preferences
) -> None:
    """Only the lease, the account and the orders themselves must be in order."""
    held = shares if side == "long" else -shares
    book = portfolio(holding("AAA", "NaN", quantity=held), cash="NaN")
    asked = leaving(shares, side=side)
    blind = replace(unknown(LATER, quantity=shares), orders=exiting(asked), account="", lease="", own=True)
    surroundings = around(book, limits, state=state, volume=None, sectors={})
    assert refused(judge_at_sending(asked, surroundings, blind)) == []


def test_a_bracket_never_passes_for_a_reduction() -> None:
    asked = plan()
    disguised = leaving().model_copy(update={"stop": asked.stop, "target": asked.target})
    book = portfolio(holding("AAA", 5_000), cash=95_000)
    found = judge_at_sending(disguised, around(book, LIMITS, state="HALTED"), moment(asked, orders=bracket(asked)))
    assert "C3" in refused(found)
