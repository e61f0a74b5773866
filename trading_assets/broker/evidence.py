"""Whose order is it? Reports and executions find their order by reference first, then by the broker's permanent number.

The number that a connection gave an order counts only together with the reference: it is reused. Completed orders and some
executions carry no such number; within one intent they are told apart by what they are: side, kind and prices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from trading_assets.broker.lifecycle import Booked, IntentState, Known, Leg, Mismatch, Tracked
from trading_assets.broker.model import ENDED, REF_PREFIX, Execution, OrderReport

NEVER_THERE: frozenset[IntentState] = frozenset({"PROPOSED", "SIGNED", "INTENT", "VETOED", "EXPIRED", "ABANDONED"})
"""States of intents that the desk believes were never at the broker: a trace of one is a zombie."""
ON_THE_WAY: frozenset[IntentState] = frozenset({"PROPOSED", "SIGNED", "INTENT"})
"""Those among them that may have been sent since what is known was read; only a reading made after a snapshot accuses them."""
_KINDS = {"lmt": "limit", "mkt": "market", "stp": "stop"}


@dataclass(frozen=True, slots=True)
class Sight:
    """An order at the broker and which of the desk's it is. Without a leg it is foreign, or stray: the desk's, and unknown."""

    report: OrderReport
    intent: Tracked | None = None
    leg: Leg | None = None
    is_stray: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it can still fill."""
        return self.report.status not in ENDED

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else placed it."""
        return self.intent is None and not self.is_stray


@dataclass(frozen=True, slots=True)
class Register:
    """What is known, by reference and by the broker's number, and which connections are the desk's."""

    by_ref: dict[str, Tracked]
    by_perm_id: dict[int, tuple[Tracked, Leg]]
    client_ids: frozenset[int] = frozenset()

    @classmethod
    def of(cls, known: Known, client_ids: frozenset[int] = frozenset()) -> "Register":
        """The register of what is known."""
        by_perm_id = {
            perm_id: (intent, leg) for intent in known.intents for leg in intent.legs for perm_id in leg.perm_ids
        }
        return cls({intent.ref: intent for intent in known.intents}, by_perm_id, client_ids)

    def intent_of(self, ref: str, perm_id: int) -> Tracked | None:
        """The intent that a reference names, or without one of the desk's, the number."""
        if ref.startswith(REF_PREFIX):
            return self.by_ref.get(ref)
        found = self.by_perm_id.get(perm_id)
        return found[0] if found is not None else None

    def is_stray(self, ref: str, client_id: int) -> bool:
        """Whether something that no intent explains still claims to be the desk's."""
        return ref.startswith(REF_PREFIX) or client_id in self.client_ids


@dataclass(slots=True)
class Bookings:
    """Executions that are new, and what is wrong about them. `legs` are their orders, `symbols` those of zombies' fills."""

    booked: list[Booked] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)


def sighted(register: Register, reports: Iterable[OrderReport]) -> tuple[Sight, ...]:
    """Every order once, with the leg that it is; the same whatever order the reports come in."""
    found: list[Sight] = []
    taken: set[str] = set()
    for report in sorted(_once(tuple(reports)), key=_certain_first(register)):
        sight = _sight(register, report, taken)
        if sight.leg is not None:
            taken.add(sight.leg.key)
        found.append(sight)
    return tuple(found)


def bookings(register: Register, known: Known, executions: Iterable[Execution], *, is_sure: bool) -> Bookings:
    """What is to be booked of the executions: each once, corrections for what they correct, busts for what they take back.

    `is_sure`: what is known was read after the executions were told, so that an intent that was never sent is accused.
    """
    made = Bookings()
    seen = dict(known.executions)
    for execution in sorted(executions, key=_in_turn):
        if execution.exec_id in seen:
            continue
        head = _head(seen, execution)
        if head is not None and lineage(head)[1] >= lineage(execution)[1]:
            continue
        booking = _booking(register, execution, head)
        if booking is None:
            made.mismatches.append(Mismatch("bust", f"execution {execution.exec_id} takes back what nobody knows of"))
            continue
        seen[execution.exec_id] = execution
        made.booked.append(booking)
        _judge(register, booking, made, is_sure=is_sure)
    return made


def lineage(execution: Execution) -> tuple[tuple[str, str, int], int]:
    """What a correction shares with what it corrects, and its place in that line; an id without a numbered end stands alone."""
    stem, _, last = execution.exec_id.rpartition(".")
    if not stem or not last.isdigit():
        return (execution.exec_id, execution.symbol, execution.perm_id), 0
    return (stem, execution.symbol, execution.perm_id), int(last)


def family_of(exec_id: str) -> str:
    """What the ids of an execution and of its corrections share."""
    return exec_id.rpartition(".")[0] or exec_id


def is_bust(execution: Execution, earlier: Execution | None) -> bool:
    """Whether an execution takes another one back: it is for nothing, or for the other side."""
    return not execution.quantity > 0 or (earlier is not None and earlier.side != execution.side)


def effective(executions: Iterable[Execution]) -> tuple[Execution, ...]:
    """Executions that count: the last of each line, without those that were taken back; by id."""
    lines: dict[tuple[str, str, int], list[Execution]] = {}
    for execution in executions:
        lines.setdefault(lineage(execution)[0], []).append(execution)
    ordered = [sorted(line, key=lambda execution: lineage(execution)[1]) for line in lines.values()]
    last = [(line[-1], line[-2] if len(line) > 1 else None) for line in ordered]
    return tuple(sorted((one for one, earlier in last if not is_bust(one, earlier)), key=lambda one: one.exec_id))


def kind_of(report: OrderReport) -> str:
    """What kind of order it is, in the desk's words."""
    kind = report.kind.lower()
    return _KINDS.get(kind, kind)


def relatives(executions: Mapping[str, Execution], exec_id: str) -> list[Execution]:
    """Executions whose ids differ from this one in the last part only; looked up by name, for there may be years of them."""
    stem, _, last = exec_id.rpartition(".")
    if not stem or not last.isdigit():
        return [executions[exec_id]] if exec_id in executions else []
    if len(last) > 2:
        return [execution for execution in executions.values() if execution.family == stem]
    names = (f"{stem}.{number:0{len(last)}d}" for number in range(10 ** len(last)))
    return [executions[name] for name in names if name in executions]


def _head(executions: Mapping[str, Execution], execution: Execution) -> Execution | None:
    """The last of the line that an execution belongs to."""
    family, _ = lineage(execution)
    line = [one for one in relatives(executions, execution.exec_id) if lineage(one)[0] == family]
    return max(line, key=lambda one: lineage(one)[1], default=None)


def _booking(register: Register, execution: Execution, head: Execution | None) -> Booked | None:
    """The booking of a new execution; None for a bust of something that was never booked."""
    if not execution.quantity.is_finite() or not execution.price.is_finite():
        return None
    intent = register.intent_of(execution.ref, execution.perm_id)
    leg = leg_of(intent, execution) if intent is not None else None
    names = (leg.key if leg is not None else "", intent.id if intent is not None else "")
    if is_bust(execution, head):
        return None if head is None else Booked(execution, *names, busts=head.exec_id)
    return Booked(execution, *names, replaces=head.exec_id if head is not None else "")


def never_there(intent: Tracked, *, is_sure: bool) -> bool:
    """Whether the desk is certain that nothing of the intent is at the broker."""
    return intent.state in NEVER_THERE and (is_sure or intent.state not in ON_THE_WAY)


def _judge(register: Register, booking: Booked, made: Bookings, *, is_sure: bool) -> None:
    execution = booking.execution
    if execution.liquidation:
        sentence = f"the broker liquidated {execution.quantity} {execution.symbol} (execution {execution.exec_id})"
        made.mismatches.append(Mismatch("liquidation", sentence))
    if booking.busts:
        sentence = f"the broker took back execution {booking.busts} of {execution.symbol} ({execution.exec_id})"
        made.mismatches.append(Mismatch("bust", sentence))
        return
    intent = register.intent_of(execution.ref, execution.perm_id)
    why = _zombie(intent, booking, is_sure=is_sure) if intent is not None else _stray(register, execution)
    if why:
        made.symbols.add(execution.symbol)
        made.mismatches.append(Mismatch("zombie", f"execution {execution.exec_id} of {execution.symbol}: {why}"))


def _zombie(intent: Tracked, booking: Booked, *, is_sure: bool) -> str:
    """Why a fill of an intent should not be there."""
    is_never, is_ended = never_there(intent, is_sure=is_sure), intent.state in {"CANCELLED", "REJECTED"}
    if booking.replaces or not (is_never or is_ended):
        return ""
    is_first = any(leg.key == booking.leg_key and not leg.parent_key for leg in intent.legs)
    if is_first or (is_never and not intent.filled):
        return f"its intent {intent.id} is {intent.state}"
    return ""


def _stray(register: Register, execution: Execution) -> str:
    is_stray = register.is_stray(execution.ref, execution.client_id)
    return f"it is the desk's own by {execution.ref or 'its connection'}, and no intent knows it" if is_stray else ""


def leg_of(intent: Tracked, execution: Execution) -> Leg | None:
    """The order of an intent that an execution belongs to; where only the side is left to tell, the one at the nearest price."""
    for leg in intent.legs:
        if execution.perm_id and execution.perm_id in leg.perm_ids:
            return leg
    for leg in intent.legs:
        if _same_number(leg, execution.client_id, execution.order_id):
            return leg
    alike = [leg for leg in intent.legs if leg.side == execution.side]
    return min(alike, key=lambda leg: (bool(leg.perm_ids), _distance(leg, execution.price), leg.key), default=None)


def _distance(leg: Leg, price: Decimal) -> Decimal:
    own = leg.limit_price if leg.limit_price is not None else leg.stop_price
    return abs(own - price) if own is not None else Decimal(0)


def _same_number(leg: Leg, client_id: int, order_id: int) -> bool:
    return order_id > 0 and leg.order_id == order_id and leg.client_id == client_id


def _sight(register: Register, report: OrderReport, taken: set[str]) -> Sight:
    intent = register.intent_of(report.ref, report.perm_id)
    if intent is None:
        return Sight(report, is_stray=register.is_stray(report.ref, report.client_id))
    leg = _leg_of_report(intent, report, taken)
    return Sight(report, intent, leg, is_stray=leg is None)


def _leg_of_report(intent: Tracked, report: OrderReport, taken: set[str]) -> Leg | None:
    for leg in intent.legs:
        if report.perm_id and report.perm_id in leg.perm_ids:
            return leg
    for leg in intent.legs:
        if _same_number(leg, report.client_id, report.order_id):
            return leg
    alike = [leg for leg in intent.legs if _looks_like(leg, report)]
    free = [leg for leg in alike if not leg.perm_ids and leg.key not in taken]
    return min(free or alike, key=lambda leg: leg.key, default=None)


def _looks_like(leg: Leg, report: OrderReport) -> bool:
    if leg.side != report.side or leg.kind != kind_of(report):
        return False
    prices = ((leg.limit_price, report.limit_price), (leg.stop_price, report.stop_price))
    return all(ours is None or theirs is None or ours == theirs for ours, theirs in prices)


def _once(reports: Sequence[OrderReport]) -> Sequence[OrderReport]:
    """Each order once: what ended wins over what was live a moment before, then what filled more."""
    newest: dict[tuple[int, ...], OrderReport] = {}
    for report in reports:
        name = (report.perm_id,) if report.perm_id else (0, report.client_id, report.order_id)
        other = newest.get(name)
        if other is None or _standing(report) > _standing(other):
            newest[name] = report
    numbers = {one.perm_id: (one.order_id, one.client_id) for one in reports if one.perm_id and one.order_id}
    return [_numbered(report, numbers) for report in newest.values()]


def _numbered(report: OrderReport, numbers: Mapping[int, tuple[int, int]]) -> OrderReport:
    """A completed order carries no number of its connection; another report of the same order may."""
    if report.order_id or report.perm_id not in numbers:
        return report
    order_id, client_id = numbers[report.perm_id]
    return replace(report, order_id=order_id, client_id=client_id)


def _standing(report: OrderReport) -> tuple[bool, Decimal, str]:
    return report.status in ENDED, report.filled, report.status


def _certain_first(register: Register) -> Callable[[OrderReport], tuple[bool, bool, str, int, int, int]]:
    def key(report: OrderReport) -> tuple[bool, bool, str, int, int, int]:
        is_named = report.perm_id in register.by_perm_id
        return not is_named, not report.order_id, report.ref, report.client_id, report.order_id, report.perm_id

    return key


def _in_turn(execution: Execution) -> tuple[object, ...]:
    family, rank = lineage(execution)
    return execution.at, family, rank, execution.exec_id
