"""Random plans and books before the risk gate: whatever is allowed satisfies every limit, computed once more in other words."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

import pytest

from tests.signatures.gated import LIMITS, around, holding, leaving, plan, portfolio, tight
from trading_assets.plans.model import PlanSide, TradePlan
from trading_assets.plans.portfolio import Holding, Pending, Portfolio
from trading_assets.signatures.exposure import PendingEntry
from trading_assets.signatures.risk_gate import judge
from trading_assets.signatures.state import TradingState

T = TypeVar("T")
SIDES: tuple[PlanSide, ...] = ("long", "short")
ABSURD = (None, float("nan"), float("inf"), -1.0, 0.0)


class _Case:
    """A plan, a book and limits; the same number makes the same case. Half of them are close to what the limits allow."""

    def __init__(self, number: int) -> None:
        self.rng = Random(number)
        self.limits = self.one(LIMITS, *[tight(**self.some_limits())] * 4)
        self.state: TradingState = self.one("ACTIVE", "ACTIVE", "ACTIVE", "HALTED")
        self.volume = self.one(self.one(*ABSURD), float(self.whole(0, 50_000)), *[1e6] * 6)
        self.related = self.one({}, {"AAA": {"AAA", "BBB"}}, {"AAA": {"BBB", "CCC", "ZZZ"}})
        self.book = self.some_book()
        self.plan = self.some_plan()

    def some_limits(self) -> dict[str, Any]:
        return {
            "short_selling": self.one(True, True, False),
            "add_to_losers": self.one(True, False),
            "position_fraction_max": self.one(0.05, 0.25),
            "related_risk_fraction_max": self.one(0.002, 0.01, 0.1),
            "short_exposure_fraction_max": self.one(0.0, 0.1, 1.0),
            "risk_per_trade_fraction_max": self.one(0.001, 0.05),
            "sector_fraction_max": self.one(0.1, 1.0),
        }

    def some_plan(self) -> TradePlan:
        held = self.book.holdings.get("AAA")
        entry = self.price()
        side: PlanSide = self.one(held.side, held.side, *SIDES) if held else self.one(*SIDES)
        risk = self.part(entry, *self.one((0, 60), (4, 49), (4, 49)))
        reward = self.one(self.part(entry, 0, 150), 2 * risk, 2 * risk)
        sign = 1 if side == "long" else -1
        return plan(
            self.one(self.whole(1, 300), self.whole(1, 30), self.whole(1, 1_000_000)),
            action=self.one("enter", "add") if held else self.one("enter", "enter", "add"),
            side=side,
            entry=str(entry),
            stop=str(max(Decimal("0.01"), entry - sign * risk)),
            target=str(max(Decimal("0.01"), entry + sign * reward)),
            reference=str(self.one(entry, self.price())),
        )

    def some_book(self) -> Portfolio:
        book = portfolio(
            *(self.some_holding(symbol) for symbol in ("AAA", "BBB", "CCC", "ZZZ") if self.rng.random() < 0.35),
            cash=self.one(0, 20_000, 100_000, 100_000, 300_000, 300_000),
        )
        for symbol in ("AAA", "BBB", "H1"):
            if self.rng.random() < 0.2:
                book = book.with_pending(self.some_pending(symbol))
        return book

    def some_holding(self, symbol: str) -> Holding:
        price, quantity, side = self.price(), self.whole(1, 60), self.one("long", "long", "short")
        sign = 1 if side == "long" else -1
        near = str(max(Decimal("0.01"), price - sign * self.part(price, -20, 60)))
        return holding(
            symbol,
            str(price * quantity * sign),
            quantity=quantity * sign,
            entry=self.one(None, str(self.price()), "50.00"),
            stop=self.one(None, near, near, near),
            base=self.one(quantity, quantity, 0, quantity // 3),
        )

    def some_pending(self, symbol: str) -> Pending:
        notional = Decimal(self.whole(1, 500_000)) / 100
        if self.rng.random() < 0.3:
            return Pending(symbol, notional)
        return PendingEntry(symbol, notional, self.one(*SIDES), self.whole(1, 100), notional / self.whole(10, 300))

    def price(self) -> Decimal:
        return Decimal(self.one(self.whole(4_000, 6_000), self.whole(4_900, 5_100), self.whole(1, 200_000))) / 100

    def part(self, price: Decimal, low: int, high: int) -> Decimal:
        """Some thousandths of a price, in cents."""
        return (price * self.whole(low, high) / 1_000).quantize(Decimal("0.01"))

    def whole(self, low: int, high: int) -> int:
        return low + int(self.rng.random() * (high - low + 1))

    def one(self, *options: T) -> T:
        return options[self.whole(0, len(options) - 1)]


def test_whatever_the_plan_what_is_allowed_satisfies_every_limit() -> None:
    allowed = Counter[tuple[str, str]]()
    for number in range(4_000):
        case = _Case(number)
        asked = case.plan
        surroundings = around(case.book, case.limits, state=case.state, volume=case.volume, related=case.related)
        verdict = judge(asked, surroundings)
        assert 0 <= verdict.quantity <= asked.quantity
        assert (verdict.ruling == "approve") == (verdict.quantity == asked.quantity)
        assert (verdict.ruling == "veto") == (verdict.quantity == 0)
        assert bool(verdict.breaches) == (verdict.quantity < asked.quantity)
        if verdict.quantity:
            allowed[asked.side, "add" if "AAA" in case.book.holdings else "enter"] += 1
            _within_every_limit(case, verdict.quantity)
    assert min(allowed[side, action] for side in SIDES for action in ("enter", "add")) >= 5


def _within_every_limit(case: _Case, quantity: int) -> None:
    """The limits once more, in the words of the preferences and not in those of the gate."""
    asked, book, limits = case.plan, case.book, case.limits
    equity, cost = book.equity, asked.entry * quantity
    held = {symbol: abs(each.value) for symbol, each in book.holdings.items()}
    pending = sum((each.notional for each in book.pending), Decimal(0))
    own, peer = (
        held.get(s, Decimal(0)) + sum(p.notional for p in book.pending if p.symbol == s) for s in ("AAA", "BBB")
    )
    assert case.state == "ACTIVE"
    assert quantity <= limits.order_quantity_max
    assert cost <= limits.order_notional_usd
    assert own + cost <= equity * _exact(limits.position_fraction_max)
    assert own + peer + cost <= equity * _exact(limits.sector_fraction_max)
    assert sum(held.values()) + pending + cost <= equity * _exact(limits.gross_exposure_fraction_max)
    shorts = sum(abs(each.value) for each in book.holdings.values() if each.quantity < 0)
    assert pending + cost + 2 * shorts <= book.cash
    assert len({*held, *(p.symbol for p in book.pending), "AAA"}) <= limits.positions_max
    assert asked.reference >= _exact(limits.price_usd_min)
    assert case.volume is not None
    assert quantity <= _exact(case.volume) * _exact(limits.order_share_of_volume_max)
    _within_the_bracket(case, quantity)
    _on_one_side(case, quantity)


def _within_the_bracket(case: _Case, quantity: int) -> None:
    asked, limits, equity = case.plan, case.limits, case.book.equity
    assert asked.stop is not None
    assert asked.target is not None
    sign = 1 if asked.side == "long" else -1
    risk = sign * (asked.entry - asked.stop)
    assert _exact(limits.stop_distance_fraction_min) <= risk / asked.entry <= _exact(limits.stop_distance_fraction_max)
    assert sign * (asked.target - asked.entry) / risk >= _exact(limits.reward_to_risk_min)
    own = _risk_in({"AAA"}, case.book.holdings.values(), ())
    assert own + risk * quantity <= equity * _exact(limits.risk_per_trade_fraction_max)
    related = {"AAA", *case.related.get("AAA", ())}
    shared = _risk_in(related, case.book.holdings.values(), case.book.pending)
    assert shared + risk * quantity <= equity * _exact(limits.related_risk_fraction_max)


def _risk_in(symbols: set[str], holdings: Iterable[Holding], pending: Iterable[Pending]) -> Decimal:
    total = Decimal(0)
    for each in holdings:
        price = each.value / each.quantity
        loss = price if each.stop is None else (price - each.stop) * (1 if each.quantity > 0 else -1)
        if each.symbol in symbols:
            total += max(Decimal(0), loss) * abs(each.quantity)
    for coming in pending:
        if coming.symbol in symbols:
            total += getattr(coming, "risk", coming.notional)
    return total


def _on_one_side(case: _Case, quantity: int) -> None:
    asked, limits, held = case.plan, case.limits, case.book.holdings.get("AAA")
    mine = [each for each in case.book.pending if each.symbol == "AAA"]
    assert all(getattr(each, "side", None) == asked.side for each in mine)
    if asked.side == "short":
        assert limits.short_selling
        coming = [each.notional for each in case.book.pending if getattr(each, "side", "short") == "short"]
        owed = sum(
            (abs(each.value) for each in case.book.holdings.values() if each.quantity < 0), sum(coming, Decimal(0))
        )
        assert owed + asked.entry * quantity <= case.book.equity * _exact(limits.short_exposure_fraction_max)
    if held is None:
        assert asked.action == "enter"
        return
    assert held.side == asked.side
    assert (
        abs(held.quantity) + sum(getattr(each, "quantity", 10**9) for each in mine) + quantity <= 3 * held.base_quantity
    )
    if not limits.add_to_losers:
        assert held.entry is not None
        assert (asked.reference - held.entry) * (1 if asked.side == "long" else -1) >= 0


def _exact(value: float) -> Decimal:
    return Decimal(str(value))


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING", "HALTED"])
def test_a_reduction_never_trades_more_than_is_held(state: TradingState) -> None:
    for number in range(300):
        book, side = _Case(number).book, SIDES[number % 2]
        verdict = judge(leaving(number + 1, side=side), around(book, LIMITS, state=state))
        held = book.holdings["AAA"].quantity if "AAA" in book.holdings else 0
        assert verdict.quantity == min(number + 1, max(0, held if side == "long" else -held))
