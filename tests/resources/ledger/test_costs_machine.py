"""After any sequence of reserving, settling, sweeping and settling late, pockets equal the sum of their calls, to the unit."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from resources.ledger.costs import SqlCostBook
from resources.ledger.engine import reading
from tests.resources.ledger.calls import NOW, TODAY, ended, planned, problems
from trading_assets.reasoning.model import Budget, Pocket
from trading_assets.reasoning.ports import FinishedCall

AMOUNTS = st.decimals(0, "0.02", places=9)
COSTS = st.decimals(0, "0.03", places=9)
DECISION_USD, BOTH_USD, CALLS_MAX = Decimal("0.03"), Decimal("0.06"), 5
HOLD = timedelta(seconds=10)
_WORLD: Iterator[int] = count()


@dataclass
class Believed:
    """What a pocket must hold."""

    cap: Decimal
    calls_max: int | None = None
    spent: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    calls: int = 0


@dataclass
class Call:
    """A call that was granted money."""

    amount: Decimal
    until: int
    pockets: tuple[str, ...]
    state: str = "open"


class Money(RuleBasedStateMachine):
    """Two decisions that share a day's pocket, or a backfill's, beside a model of it in plain arithmetic."""

    engine: sa.Engine

    def __init__(self) -> None:
        super().__init__()
        self.world = f"w{next(_WORLD)}"
        self.costs = SqlCostBook(self.engine)
        self.now, self.number = 0, 0
        self.calls: dict[str, Call] = {}
        self.pockets: dict[str, Believed] = {}

    def budget(self, which: int, backfill: bool) -> Budget:
        """Caps so small that calls are often refused."""
        walk = self.world if backfill else ""
        decision = f"{self.world}/{which}"
        own = f"decision:{decision}@{walk}" if backfill else f"decision:{decision}"
        shared = f"backfill:{walk}" if backfill else f"day:{self.world}:{TODAY}"
        lane = self.world
        return Budget(lane, decision, TODAY, (Pocket(own, DECISION_USD, CALLS_MAX), Pocket(shared, BOTH_USD)), walk)

    @rule(which=st.integers(0, 1), backfill=st.booleans(), amount=AMOUNTS)
    def reserve(self, which: int, backfill: bool, amount: Decimal) -> None:
        of = self.budget(which, backfill)
        held = [self.pockets.setdefault(p.name, Believed(p.cap_usd, p.calls_max)) for p in of.pockets]
        fits = all(
            one.cap - one.spent - one.reserved >= amount and (one.calls_max is None or one.calls < one.calls_max)
            for one in held
        )
        self.number += 1
        name = f"{self.world}-{self.number}"
        refusal = self.costs.reserve(planned(name, of), amount, as_of=self.moment(), hold=HOLD)
        assert (refusal is None) == fits
        if fits:
            self.calls[name] = Call(amount, self.now + 10, tuple(pocket.name for pocket in of.pockets))
            for one in held:
                one.reserved, one.calls = one.reserved + amount, one.calls + 1

    @rule(data=st.data(), cost=COSTS)
    def settle(self, data: st.DataObject, cost: Decimal) -> None:
        """Any call: an open one, one that was settled, one that was swept, one whose late end was told."""
        if not self.calls:
            return
        name = data.draw(st.sampled_from(sorted(self.calls)))
        call = self.calls[name]
        finished: FinishedCall = ended(str(cost))
        if data.draw(st.booleans()):
            self.costs.settle(name, finished, as_of=self.moment())
        else:
            self.costs.finish(name, finished, as_of=self.moment())
        if call.state == "open":
            self.book(call, cost, freed=call.amount)
            call.state = "settled"
        elif call.state == "lost":
            self.book(call, max(Decimal(0), cost - call.amount), freed=Decimal(0))
            call.state = "late"

    @rule(seconds=st.integers(-3, 15))
    def wait(self, seconds: int) -> None:
        """Clocks also step back."""
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        overdue = [call for call in self.calls.values() if call.state == "open" and call.until <= self.now]
        # Calls of earlier worlds stand in the same ledger.
        assert self.costs.sweep(as_of=self.moment()) >= len(overdue)
        for call in overdue:
            self.book(call, call.amount, freed=call.amount)
            call.state = "lost"

    def book(self, call: Call, cost: Decimal, *, freed: Decimal) -> None:
        """The model's side of a settlement."""
        for name in call.pockets:
            self.pockets[name].spent += cost
            self.pockets[name].reserved -= freed

    def moment(self) -> datetime:
        return NOW + timedelta(seconds=self.now)

    @invariant()
    def pockets_are_as_believed(self) -> None:
        for name, one in self.pockets.items():
            state = self.costs.pocket(name)
            assert (state.spent_usd, state.reserved_usd, state.calls) == (one.spent, one.reserved, one.calls)
            assert one.reserved >= 0

    def teardown(self) -> None:
        """The ledger's own proof, and the same sum by hand from raw rows."""
        assert problems(self.engine) == []
        with reading(self.engine) as connection:
            cents = connection.exec_driver_sql("select coalesce(sum(cost), 0) from model_calls").scalar()
            spent = connection.exec_driver_sql("select coalesce(sum(spent), 0) from pockets").scalar()
        assert 2 * int(str(cents)) == int(str(spent)), "each call is paid from two pockets"


def test_pockets_equal_the_sum_of_their_calls_after_any_sequence(engine: sa.Engine) -> None:
    machine = type("Money", (Money,), {"engine": engine})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))
