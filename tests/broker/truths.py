"""Random histories of brackets at a broker: what really happened, the events that told it, and the snapshot at the end."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import strategies as st

from tests.broker.accounts import SENT, bracket, fill, report, seen
from trading_assets.broker.lifecycle import Leg, Tracked
from trading_assets.broker.model import (
    BrokerStatus,
    Commission,
    Commissioned,
    Executed,
    Execution,
    OrderReport,
    Reported,
    Snapshot,
)

QUANTITY = 10
Event = Reported | Executed | Commissioned


@dataclass
class Truth:
    """A broker that does what it is told; `events` in the order in which they happened."""

    intents: list[Tracked] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    fees: list[Commission] = field(default_factory=list)
    cash: Decimal = Decimal(10_000)
    clock: int = 0

    @property
    def position(self) -> Decimal:
        return sum((execution.signed for execution in self.executions.values()), Decimal(0))

    def tell(self, leg: Leg, status: BrokerStatus, *, quantity: int | None = None) -> None:
        done = int(sum(e.quantity for e in self.executions.values() if e.perm_id == 1000 + leg.order_id))
        self.orders[leg.key] = report(leg, status, done=done, quantity=quantity)
        self.events.append(Reported(self.orders[leg.key]))

    def trade(self, leg: Leg, shares: int, *, price: Decimal, paid: bool) -> str:
        self.clock += 1
        name = f"e{self.clock}.01"
        execution = fill(leg, shares, name, price=price, at=SENT + timedelta(seconds=self.clock))
        self.executions[name] = execution
        self.events.append(Executed(execution))
        self.cash -= execution.signed * price
        if paid:
            self.fees.append(Commission(name, Decimal("0.35")))
            self.events.append(Commissioned(self.fees[-1]))
            self.cash -= Decimal("0.35")
        return name

    def correct(self, name: str, shares: int) -> None:
        """The broker restates an execution; the earlier one is not told again."""
        old = self.executions.pop(name)
        new = replace(old, exec_id=name.replace(".01", ".02"), quantity=Decimal(shares))
        self.executions[new.exec_id] = new
        self.events.append(Executed(new))
        self.cash += (old.signed - new.signed) * old.price

    def snapshot(self, *, numbered: bool) -> Snapshot:
        reports = [
            one if numbered or one.status in {"working", "pending_cancel"} else replace(one, order_id=0, client_id=0)
            for one in self.orders.values()
        ]
        return seen(reports, self.executions.values(), held=int(self.position), fees=self.fees, cash=self.cash)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    """Up to three brackets, each as far as chance takes it."""
    truth = Truth()
    for number in range(draw(st.integers(1, 3))):
        intent = bracket(
            "abc"[number], quantity=QUANTITY, state="SUBMITTING", legs="sent", first_id=1 + 3 * number, named=False
        )
        truth.intents.append(intent)
        _live(draw, truth, intent)
    return truth


def _live(draw: st.DrawFn, truth: Truth, intent: Tracked) -> None:
    entry, target, stop = intent.legs
    fate = draw(st.sampled_from(["vanishes", "rejected", "rests", "filled", "cancelled"]))
    if fate == "vanishes":
        return
    if fate == "rejected":
        for leg in intent.legs:
            truth.tell(leg, "rejected")
        return
    for leg in intent.legs:
        truth.tell(leg, "working")
    wanted = {"rests": draw(st.integers(0, 9)), "filled": QUANTITY, "cancelled": draw(st.integers(0, 9))}[fate]
    done = _fill(draw, truth, entry, wanted, Decimal(100))
    if fate == "cancelled":
        if draw(st.booleans()):
            truth.tell(entry, "pending_cancel")
        truth.tell(entry, "cancelled")
    elif done == QUANTITY:
        truth.tell(entry, "filled")
    if fate != "rests":
        _leave(draw, truth, target, stop, done)


def _fill(draw: st.DrawFn, truth: Truth, leg: Leg, wanted: int, price: Decimal) -> int:
    done = 0
    while done < wanted:
        shares = draw(st.integers(1, wanted - done))
        name = truth.trade(leg, shares, price=price, paid=draw(st.booleans()))
        done += shares
        # An intent that was full stays FILLED whatever is corrected, so that here only what was not full is.
        if shares > 1 and (leg.parent_key or done < QUANTITY) and draw(st.integers(0, 5)) == 0:
            truth.correct(name, shares - 1)
            done -= 1
            return done
        if draw(st.booleans()):
            truth.tell(leg, "working")
    return done


def _leave(draw: st.DrawFn, truth: Truth, target: Leg, stop: Leg, held: int) -> None:
    """The stop and the target of one group: what one of them sells, the other cannot."""
    first, second, price = (stop, target, Decimal(95)) if draw(st.booleans()) else (target, stop, Decimal(110))
    if not held:
        truth.tell(first, "cancelled")
        truth.tell(second, "cancelled")
        return
    sold = _fill(draw, truth, first, draw(st.integers(0, held)), price)
    if sold == held:
        truth.tell(first, "filled", quantity=held)
        truth.tell(second, "cancelled")
    else:
        truth.tell(first, "working", quantity=held)
        truth.tell(second, "working", quantity=held - sold)
