"""What follows from reports, executions and fees themselves: the part of reconciliation that needs no complete picture.

An event may be late, double or lost, and so may the next one: it books what it proves and moves states forward. What is gone, what
is too much and what lacks cover is concluded by the snapshot alone. Any shuffle of events, some twice and some never, with one
reconciliation after it, ends where the snapshot alone would have led.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from trading_assets.broker.applying import applied
from trading_assets.broker.evidence import Bookings, Register, Sight, bookings, leg_of, never_there, relatives, sighted
from trading_assets.broker.lifecycle import (
    Absent,
    Change,
    FeeBooked,
    IntentChanged,
    Known,
    Leg,
    LegChanged,
    Mismatch,
    MustCancel,
    Tracked,
)
from trading_assets.broker.model import (
    ENDED,
    REF_PREFIX,
    BrokerEvent,
    Commission,
    Commissioned,
    Executed,
    Execution,
    OrderReport,
    Reported,
    Snapshot,
)
from trading_assets.broker.states import evident_state, leg_state, liveliest, way


@dataclass(slots=True)
class Findings:
    """What some evidence says.

    Args:
        changes: What lasts, in the order in which it is to be written.
        demands: Mismatches and cancels.
        after: What is known when the changes are written.
        traced: Orders of the desk that the evidence shows.
        zombies: Symbols in which something traded that should not have been there.
    """

    after: Known
    sights: tuple[Sight, ...]
    changes: list[Change] = field(default_factory=list)
    demands: list[Change] = field(default_factory=list)
    traced: set[str] = field(default_factory=set)
    zombies: set[str] = field(default_factory=set)

    def write(self, changes: Sequence[Change]) -> None:
        """Adds changes that last."""
        self.changes.extend(changes)
        self.after = applied(self.after, changes)


def absorb(known: Known, event: Reported | Executed | Commissioned) -> tuple[Change, ...]:
    """What one event changes. Foreign orders and those that no intent knows wait for the next snapshot."""
    reports = [event.report] if isinstance(event, Reported) else []
    executions = [event.execution] if isinstance(event, Executed) else []
    commissions = [event.commission] if isinstance(event, Commissioned) else []
    known = replace(known, intents=_concerned(known, (*reports, *executions)))
    executions = executions if known.intents else []
    found = findings(known, reports, executions, commissions, client_ids=frozenset(), is_sure=False)
    return (*found.changes, *found.demands)


def brought_up(snapshot: Snapshot, events: Iterable[BrokerEvent]) -> Snapshot:
    """A snapshot with what was heard while it was being asked, so that no part of it is older than what is booked already.

    What ended stays ended; positions and totals are as they were answered.
    """
    reports, executions, commissions = [], list(snapshot.executions), list(snapshot.commissions)
    for event in events:
        if isinstance(event, Reported):
            reports.append(event.report)
        elif isinstance(event, Executed):
            executions.append(event.execution)
        elif isinstance(event, Commissioned):
            commissions.append(event.commission)
    newest = {report.perm_id: report for report in reports if report.perm_id}
    ended = {report.perm_id for report in reports if report.perm_id and report.status in ENDED}
    ended |= {report.perm_id for report in snapshot.completed_orders if report.perm_id}
    kept = [newest.get(report.perm_id, report) for report in snapshot.open_orders if report.perm_id not in ended]
    shown = {report.perm_id for report in snapshot.reports}
    fresh = [report for perm_id, report in newest.items() if perm_id not in shown and perm_id not in ended]
    closing = [report for report in reports if report.perm_id in ended and report.status in ENDED]
    return replace(
        snapshot,
        open_orders=(*kept, *fresh),
        completed_orders=(*snapshot.completed_orders, *closing),
        executions=tuple({execution.exec_id: execution for execution in executions}.values()),
        commissions=tuple(commissions),
    )


def findings(
    known: Known,
    reports: Sequence[OrderReport],
    executions: Sequence[Execution],
    commissions: Sequence[Commission],
    *,
    client_ids: frozenset[int],
    is_sure: bool,
) -> Findings:
    """What the evidence says; `is_sure` when it is of a complete snapshot."""
    sights = sighted(Register.of(known, client_ids), reports)
    named = applied(known, _names(sights))
    register = Register.of(named, client_ids)
    made = bookings(register, named, executions, is_sure=is_sure)
    found = Findings(known, sights, demands=list(made.mismatches), zombies=made.symbols)
    found.traced = {sight.leg.key for sight in sights if sight.leg is not None}
    found.traced |= {leg.key for leg in _traded(register, executions)}
    found.write(made.booked)
    found.write(_fees(found.after, commissions))
    found.write(_leg_changes(found, made, is_sure=is_sure))
    found.write(_intent_changes(found, is_sure=is_sure))
    found.demands += _overfilled(found, made)
    found.demands += _doubled(found.sights)
    found.demands += _risen(found, known, is_sure=is_sure)
    return found


def cancel(sight: Sight, why: str) -> MustCancel:
    """The demand to cancel what was seen, under the number that it has or was given."""
    leg, report = sight.leg, sight.report
    order_id, client_id = report.order_id, report.client_id
    if not order_id and leg is not None:
        order_id, client_id = leg.order_id, leg.client_id
    return MustCancel(order_id, client_id, report.ref or (leg.ref if leg is not None else ""), why)


def _concerned(known: Known, told: Iterable[OrderReport | Execution]) -> tuple[Tracked, ...]:
    """The intents that reports and executions are of, so that an event costs the same whatever else is at work."""
    names = [(one.ref, one.perm_id) for one in told]
    refs = {ref for ref, _ in names if ref.startswith(REF_PREFIX)}
    perm_ids = {perm_id for ref, perm_id in names if perm_id and not ref.startswith(REF_PREFIX)}
    by_ref = [intent for intent in known.intents if intent.ref in refs] if refs else []
    by_number = [
        intent
        for intent in known.intents
        if perm_ids and any(perm_id in leg.perm_ids for leg in intent.legs for perm_id in perm_ids)
    ]
    return tuple(by_ref or by_number)


def _names(sights: Sequence[Sight]) -> list[Change]:
    return [
        LegChanged(sight.leg.key, sight.leg.state, sight.report.perm_id)
        for sight in sights
        if sight.leg is not None and sight.report.perm_id
    ]


def _traded(register: Register, executions: Iterable[Execution]) -> list[Leg]:
    found = []
    for execution in executions:
        intent = register.intent_of(execution.ref, execution.perm_id)
        leg = leg_of(intent, execution) if intent is not None else None
        if leg is not None:
            found.append(leg)
    return found


def _fees(after: Known, commissions: Iterable[Commission]) -> list[Change]:
    """Fees of executions that are booked, or that a correction replaced before they came; what is not told is pending."""
    told = {one.exec_id: one for one in commissions if one.amount is not None and one.amount.is_finite()}
    return [FeeBooked(told[name]) for name in sorted(told.keys() - after.fees) if relatives(after.executions, name)]


def _leg_changes(found: Findings, made: Bookings, *, is_sure: bool) -> list[Change]:
    seen: dict[str, list[OrderReport]] = {}
    for sight in found.sights:
        if sight.leg is not None:
            seen.setdefault(sight.leg.key, []).append(sight.report)
    filled = {booking.leg_key for booking in made.booked}
    changes: list[Change] = []
    for leg in _legs(found.after):
        if leg.key in seen or leg.key in filled:
            changes += _leg_change(leg, seen.get(leg.key, []), is_sure=is_sure)
    return changes


def _leg_change(leg: Leg, reports: Sequence[OrderReport], *, is_sure: bool) -> list[Change]:
    report = liveliest(reports) if reports else None
    state, why = leg_state(leg, report, is_sure=is_sure), report.why if report is not None else ""
    perm_ids = sorted({one.perm_id for one in reports if one.perm_id} - set(leg.perm_ids))
    if perm_ids:
        return [LegChanged(leg.key, state, perm_id, why) for perm_id in perm_ids]
    return [LegChanged(leg.key, state, 0, why)] if state != leg.state else []


def _intent_changes(found: Findings, *, is_sure: bool) -> list[Change]:
    changes: list[Change] = []
    words = _words(found.sights)
    for intent in found.after.intents:
        firsts = [leg for leg in intent.legs if not leg.parent_key]
        is_traced = any(leg.key in found.traced for leg in firsts)
        is_over = bool(firsts) and not any(leg.is_open for leg in firsts)
        if is_traced or (is_sure and is_over):
            why = "; ".join(sorted(words.get(intent.id, ())))
            changes += [IntentChanged(intent.id, state, why) for state in way(intent.state, evident_state(intent))]
        if is_traced and intent.absences:
            changes.append(Absent(intent.id, 0))
    return changes


def _words(sights: Sequence[Sight]) -> dict[str, set[str]]:
    """The broker's own words about first orders, by intent."""
    words: dict[str, set[str]] = {}
    for sight in sights:
        if sight.intent is not None and sight.leg is not None and not sight.leg.parent_key and sight.report.why:
            words.setdefault(sight.intent.id, set()).add(sight.report.why)
    return words


def _overfilled(found: Findings, made: Bookings) -> list[Change]:
    grown = {booking.leg_key for booking in made.booked if not booking.busts}
    return [
        Mismatch(
            "overfill", f"order {leg.key} filled {leg.filled} of {leg.quantity} {leg.symbol}: more than was ordered"
        )
        for leg in _legs(found.after)
        if leg.key in grown and leg.filled > leg.quantity
    ]


def _doubled(sights: Sequence[Sight]) -> list[Change]:
    """Two orders at the broker behind one of ours: all that live are cancelled."""
    behind: dict[str, list[Sight]] = {}
    for sight in sights:
        if sight.leg is not None and sight.report.perm_id:
            behind.setdefault(sight.leg.key, []).append(sight)
    demands: list[Change] = []
    for key in sorted(behind):
        numbers = {sight.report.perm_id for sight in behind[key]}
        leg = behind[key][0].leg
        numbers |= set(leg.perm_ids) if leg is not None else set()
        if len(numbers) > 1:
            told = ", ".join(str(number) for number in sorted(numbers))
            demands.append(Mismatch("two_perm_ids", f"more than one order at the broker is {key}: {told}"))
            demands += [
                cancel(sight, f"one of the orders {told} behind {key}") for sight in behind[key] if sight.is_live
            ]
    return demands


def _risen(found: Findings, known: Known, *, is_sure: bool) -> list[Change]:
    """Orders that live though their intents are over, or never began."""
    states = {intent.id: intent for intent in known.intents}
    demands: list[Change] = []
    for sight in found.sights:
        if sight.intent is None or sight.leg is None or not sight.is_live:
            continue
        intent = states[sight.intent.id]
        is_first = not sight.leg.parent_key
        if not _is_zombie(intent, sight, is_first=is_first, is_sure=is_sure):
            continue
        sentence = f"order {sight.leg.key} of {intent.symbol} lives at the broker: its intent is {intent.state}"
        demands.append(Mismatch("zombie", sentence))
        if is_first:
            demands.append(cancel(sight, f"its intent is {intent.state}"))
    return demands


def _is_zombie(intent: Tracked, sight: Sight, *, is_first: bool, is_sure: bool) -> bool:
    if never_there(intent, is_sure=is_sure):
        return is_first or not intent.filled
    is_ended = intent.state in {"CANCELLED", "REJECTED"}
    return is_ended and is_first and is_sure and sight.report.status != "pending_cancel"


def _legs(known: Known) -> list[Leg]:
    return [leg for intent in known.intents for leg in intent.legs]
