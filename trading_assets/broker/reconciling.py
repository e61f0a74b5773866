"""The one function that compares what is known with what the broker says: at start, at each reconnect and every five seconds.

It proves absence, explains positions and cash or says that nothing explains them, and names what must be cancelled or protected.
It repairs nothing: an execution that the broker tells is booked, shares that a foreign order explains are adopted, and every other
difference is a mismatch, which halts. Facts last: written once, they are not told again for the same snapshot. Demands come again
for as long as the broker shows the reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.absorbing import Findings, cancel, findings
from trading_assets.broker.covering import Ground, cover_demands
from trading_assets.broker.evidence import Sight, effective, family_of
from trading_assets.broker.lifecycle import (
    AT_BROKER,
    Absent,
    Adopted,
    Change,
    ForeignOrder,
    IntentChanged,
    Known,
    Leg,
    LegChanged,
    Mismatch,
    Tracked,
)
from trading_assets.broker.model import Execution, HeldPosition, Snapshot
from trading_assets.broker.states import way

_NOTHING = Decimal(0)
_FEE_FRACTION_MAX = Decimal("0.01")  # of the traded value: what a fee that is not told yet may come to


@dataclass(frozen=True, slots=True)
class ReconcileRules:
    """When absence is proven, and how exact agreement must be.

    Args:
        absence: A snapshot counts as proof of absence when it is at least so much younger than the order.
        absences: So many of them in a row.
        naked: How long shares may lack cover while their symbol trades.
        cash_fraction: Of the cash: a smaller difference is none.
        foreign: Whether shares that are not the desk's are protected, or only told.
        settling: So long after an execution, the broker's position may still be the one before it.
        cash_settling: The same for its cash, which Interactive Brokers tells every three minutes.
    """

    absence: timedelta = timedelta(seconds=30)
    absences: int = 3
    naked: timedelta = timedelta(seconds=10)
    cash_fraction: Decimal = Decimal("0.0001")
    foreign: Literal["protect", "warn"] = "protect"
    settling: timedelta = timedelta(seconds=5)
    cash_settling: timedelta = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the broker: what was found so far, and the snapshots it came from."""

    known: Known
    found: Findings
    snapshot: Snapshot
    previous: Snapshot | None
    now: datetime
    rules: ReconcileRules

    @property
    def is_news(self) -> bool:
        """Whether the snapshot is younger than the one before; absence is counted once for each."""
        return self.previous is None or self.snapshot.at > self.previous.at


def reconcile(
    known: Known,
    snapshot: Snapshot,
    *,
    now: datetime,
    client_ids: frozenset[int],
    account: str,
    rules: ReconcileRules,
    previous: Snapshot | None = None,
) -> tuple[Change, ...]:
    """What the snapshot changes: facts first, in the order in which they are written, then demands.

    Args:
        known: Read after the snapshot was answered, so that nothing in it is older than the snapshot.
        client_ids: The desk's own connections: what they carry and no intent explains is a fault, not a foreign order.
        previous: The snapshot before, if there was one on this connection. A position that has just moved, by exactly what is
            unexplained, is judged with the next one: its execution may be on the way.
    """
    wrong = _wrong_account(snapshot, account)
    if wrong:
        return (Mismatch("account", wrong),)
    found = findings(
        known, snapshot.reports, snapshot.executions, snapshot.commissions, client_ids=client_ids, is_sure=True
    )
    look = _Look(known, found, snapshot, previous, now, rules)
    doubted = frozenset(intent.id for intent in found.after.intents if _is_unseen(intent, found.traced, snapshot.at))
    found.write([change for intent in found.after.intents for change in _absence(look, intent, intent.id in doubted)])
    found.write(_new_foreign(look))
    adopted = list(_adoptions(look))
    found.write([change for change in adopted if isinstance(change, Adopted)])
    demands: list[Change] = [change for change in adopted if isinstance(change, Mismatch)]
    if not any(isinstance(change, Adopted) for change in adopted):
        demands += _cash(look)
    demands = [*found.demands, *demands, *_strays(look), *_untransmitted(look)]
    demands += cover_demands(_ground(look, doubted))
    return (*found.changes, *dict.fromkeys(demands))


def held_by_symbol(snapshot: Snapshot) -> dict[str, Decimal]:
    """Shares at the broker."""
    held: dict[str, Decimal] = {}
    for position in snapshot.positions:
        held[position.symbol] = held.get(position.symbol, _NOTHING) + position.quantity
    return held


def _wrong_account(snapshot: Snapshot, account: str) -> str:
    """What is wrong with whose account this is; nothing else may follow from such a snapshot."""
    if snapshot.accounts != (account,) or not account:
        return f"the broker answers for {', '.join(snapshot.accounts) or 'no account'}, not for {account or 'any'}"
    named = {position.account for position in snapshot.positions}
    named |= {execution.account for execution in snapshot.executions} | {report.account for report in snapshot.reports}
    others = sorted(named - {account, ""})
    return f"the broker tells of {', '.join(others)} beside {account}" if others else ""


def _is_unseen(intent: Tracked, traced: set[str], at: datetime) -> bool:
    """Whether a complete snapshot shows none of the first orders that may be at the broker; children prove nothing of them."""
    firsts = [leg for leg in intent.legs if not leg.parent_key and leg.is_open]
    newest = _newest_sending(intent)
    is_older = newest is None or newest <= at
    return intent.state in AT_BROKER and bool(firsts) and is_older and all(leg.key not in traced for leg in firsts)


def _absence(look: _Look, intent: Tracked, is_unseen: bool) -> Iterator[Change]:
    if not is_unseen:
        yield from _vanished_children(look, intent)
        return
    for state in way(intent.state, "UNKNOWN"):
        yield IntentChanged(intent.id, state, "a complete snapshot does not show it")
    if not look.is_news or not _is_proof(look, _newest_sending(intent)) or _has_live_child(look, intent):
        return
    count = intent.absences + 1
    yield Absent(intent.id, count)
    if count >= look.rules.absences:
        yield from (LegChanged(leg.key, "absent") for leg in intent.legs if leg.is_open)
        why = f"{count} complete snapshots, each {look.rules.absence.total_seconds():g} s or more after it was sent, do not know it"
        yield IntentChanged(intent.id, "ABANDONED", why)


def _newest_sending(intent: Tracked) -> datetime | None:
    """When the last of its first orders may have gone out."""
    moments = [intent.submitted_at, *(leg.sent_at for leg in intent.legs if not leg.parent_key)]
    return max((moment for moment in moments if moment is not None), default=None)


def _is_proof(look: _Look, sent_at: datetime | None) -> bool:
    """Whether the snapshot is late enough to prove absence; an order that was sent nobody knows when never is."""
    return sent_at is not None and look.snapshot.at >= sent_at + look.rules.absence


def _has_live_child(look: _Look, intent: Tracked) -> bool:
    return any(
        sight.is_live and sight.intent is not None and sight.intent.id == intent.id for sight in look.found.sights
    )


def _vanished_children(look: _Look, intent: Tracked) -> Iterator[Change]:
    for leg in intent.legs:
        if leg.parent_key and leg.is_open and leg.key not in look.found.traced and _is_proof(look, leg.sent_at):
            yield LegChanged(leg.key, "absent", 0, "a complete snapshot does not show it")


def _new_foreign(look: _Look) -> list[Change]:
    return [
        ForeignOrder(sight.report)
        for sight in look.found.sights
        if sight.is_foreign and sight.report.perm_id and sight.report.perm_id not in look.known.foreign
    ]


def _adoptions(look: _Look) -> Iterator[Change]:
    """For each symbol whose count differs: who explains it, or that nobody does."""
    held, after = held_by_symbol(look.snapshot), look.found.after
    lines = _lines(look.snapshot)
    for symbol in sorted(after.symbols | held.keys()):
        difference = held.get(symbol, _NOTHING) - after.position(symbol)
        if not difference or _is_settling(look, symbol, held.get(symbol, _NOTHING), difference):
            continue
        position = lines.get(symbol) or _empty_line(look, symbol)
        why = "it was there before the desk" if look.known.is_new else _foreign_hand(look, symbol, difference)
        if why:
            yield Adopted(position, difference, why, cash=_cash_told(look.snapshot))
        else:
            sentence = f"the broker holds {held.get(symbol, _NOTHING)} {symbol}, the ledger {after.position(symbol)}"
            yield Mismatch("position", sentence)


def _lines(snapshot: Snapshot) -> dict[str, HeldPosition]:
    """One line for each symbol, with all its shares."""
    held = held_by_symbol(snapshot)
    return {line.symbol: replace(line, quantity=held[line.symbol]) for line in reversed(snapshot.positions)}


def _empty_line(look: _Look, symbol: str) -> HeldPosition:
    con_ids = [leg.con_id for intent in look.known.intents for leg in intent.legs if leg.symbol == symbol]
    return HeldPosition(look.snapshot.accounts[0], symbol, min(con_ids, default=0), _NOTHING, _NOTHING)


def _is_settling(look: _Look, symbol: str, quantity: Decimal, difference: Decimal) -> bool:
    """Whether the position is only older, or only younger, than the executions told with it."""
    recent = [
        execution
        for execution in look.found.after.executions.values()
        if execution.symbol == symbol and execution.at > look.snapshot.at - look.rules.settling
    ]
    lag = _NOTHING
    for execution in sorted(effective(recent), key=lambda one: (one.at, one.exec_id), reverse=True):
        lag += execution.signed
        if difference == -lag:
            return True
    if look.previous is None:
        return False
    moved = quantity - held_by_symbol(look.previous).get(symbol, _NOTHING)
    return bool(moved) and moved == difference


def _foreign_hand(look: _Look, symbol: str, difference: Decimal) -> str:
    """How foreign orders in the snapshot explain a difference; empty where they cannot have made it."""
    traded = {"buy": _NOTHING, "sell": _NOTHING}
    for sight in look.found.sights:
        if sight.is_foreign and sight.report.symbol == symbol:
            traded[sight.report.side] += sight.report.filled
    is_explained = 0 < difference <= traded["buy"] or 0 < -difference <= traded["sell"]
    return f"an order that is not the desk's traded {difference} {symbol}" if is_explained else ""


def _cash_told(snapshot: Snapshot) -> Decimal | None:
    return snapshot.values.cash if snapshot.values.currency == "USD" else None


def _cash(look: _Look) -> list[Change]:
    """A verdict on the cash where both sides tell it and nothing is on its way."""
    ledger, broker = look.found.after.cash, _cash_told(look.snapshot)
    executions = look.found.after.executions.values()
    if ledger is None or broker is None or any(_is_fresh(look, execution) for execution in executions):
        return []
    paid = {family_of(exec_id) for exec_id in look.found.after.fees}
    pending = effective(one for one in executions if one.family not in paid)
    fees = sum((one.quantity * one.price for one in pending), _NOTHING) * _FEE_FRACTION_MAX
    allowed = look.rules.cash_fraction * max(abs(ledger), abs(broker)) + fees
    if abs(broker - ledger) <= allowed:
        return []
    return [
        Mismatch(
            "cash", f"the broker holds {broker:.2f} USD of cash, the ledger {ledger:.2f}: more than {allowed:.2f} apart"
        )
    ]


def _is_fresh(look: _Look, execution: Execution) -> bool:
    return execution.at > look.snapshot.at - look.rules.cash_settling


def _strays(look: _Look) -> Iterator[Change]:
    """Orders that claim to be the desk's and are none that it knows: what could open is cancelled, what reduces is left alone."""
    held = held_by_symbol(look.snapshot)
    for sight in look.found.sights:
        if not sight.is_stray or not sight.is_live:
            continue
        report = sight.report
        name = report.ref or f"connection {report.client_id}"
        yield Mismatch(
            "zombie", f"an order of {name} in {report.symbol} that the ledger does not know ({report.perm_id})"
        )
        quantity = held.get(report.symbol, _NOTHING)
        reducible = quantity if report.side == "sell" else -quantity
        if report.remaining > reducible:
            yield cancel(sight, "the ledger does not know it")


def _untransmitted(look: _Look) -> Iterator[Change]:
    """First orders that the broker keeps and nobody will ever transmit: the connection died before the stop was written."""
    for sight in look.found.sights:
        leg = sight.leg
        if leg is None or leg.parent_key or sight.report.status != "held":
            continue
        is_young = leg.sent_at is not None and look.now - leg.sent_at < look.rules.naked
        if not is_young and not any(_is_transmitted_child(other, leg) for other in look.found.sights):
            yield cancel(sight, f"{leg.key} was never transmitted")


def _is_transmitted_child(sight: Sight, parent: Leg) -> bool:
    is_child = sight.leg is not None and sight.leg.parent_key == parent.key
    return is_child and sight.report.status in {"pending", "working"}


def _ground(look: _Look, doubted: frozenset[str]) -> Ground:
    held: Mapping[str, Decimal] = held_by_symbol(look.snapshot)
    return Ground(
        known=look.found.after,
        sights=look.found.sights,
        held=held,
        lines=_lines(look.snapshot),
        now=look.now,
        naked=look.rules.naked,
        urgent=frozenset(look.found.zombies),
        protects_foreign=look.rules.foreign == "protect",
        doubted=doubted,
    )
