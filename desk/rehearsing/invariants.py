"""Every invariant of a day, judged on what was found. Pure: evidence in, verdicts out.

Each rule yields a sentence for everything that breaks it. What a fault of the rehearsal makes unavoidable is excused in the
evidence, by name and with its reason; nothing else is.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from desk.rehearsing.seen import Evidence, Fill, Halt, Intent, Order, Sample

TERMINAL = frozenset({"VETOED", "EXPIRED", "REJECTED", "FILLED", "CANCELLED", "ABANDONED"})
RESTING = frozenset({"WORKING", "PARTIAL", "PENDING_CANCEL"})
"""Where an intent may be when the clock stops before the close."""
SIGNERS = frozenset({"risk_gate", "fact_checker", "double_checker"})
SENT = frozenset({"SUBMITTING", "WORKING", "PARTIAL", "PENDING_CANCEL", "UNKNOWN", "FILLED"})
REF = "D1:"
DRIFT = Decimal("1.005")
"""Equity is sampled a few times a second; between two samples it moves a little."""
CENT = Decimal("0.01")
HALT_LAG_S = 2.0
"""Of the machine: an order that was being written when a halt was committed may still arrive."""
Rule = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One invariant: what it says, and what breaks it."""

    name: str
    broken: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.broken


def verdicts(evidence: Evidence) -> tuple[Verdict, ...]:
    """Every invariant, in the order of a day."""
    return tuple(Verdict(name, tuple(rule(evidence))) for name, rule in RULES.items())


def missed_slots(evidence: Evidence) -> tuple[str, ...]:
    """Slots that were due and have no decision."""
    decided = {decision.slot for decision in evidence.decisions}
    return tuple(slot for slot in evidence.due if slot not in decided)


def doubled_slots(evidence: Evidence) -> tuple[str, ...]:
    """Slots with two decisions, or with two successful runs."""
    decided = Counter(decision.slot for decision in evidence.decisions)
    ran = Counter(run.slot for run in evidence.runs if run.job == "decide" and run.status == "SUCCESS" and run.slot)
    return tuple(sorted(slot for slot in decided | ran if decided[slot] > 1 or ran[slot] > 1))


def missed_parts(evidence: Evidence) -> tuple[str, ...]:
    """Parts that were due and are not done."""
    done = {claim.key for claim in evidence.claims if claim.state == "done"}
    done |= {run.part for run in evidence.runs if run.status == "SUCCESS"}
    reported = {f"report/{run.partition}" for run in evidence.runs if run.job == "report" and run.status == "SUCCESS"}
    return tuple(part for part in evidence.parts if part not in done | reported)


def no_slot_missed(evidence: Evidence) -> Iterator[str]:
    """Every due slot has a decision, or a fault excuses it and the journal says that it was missed."""
    for slot in missed_slots(evidence):
        if slot not in evidence.excused:
            yield f"slot {slot} has no decision"
        elif slot not in evidence.missed_in_words:
            yield f"slot {slot} was missed ({evidence.excused[slot]}), and the journal does not say so"


def no_slot_doubled(evidence: Evidence) -> Iterator[str]:
    """One decision for each slot, and one order for what it decided."""
    yield from (f"slot {slot} was decided twice" for slot in doubled_slots(evidence))
    quantities = {REF + intent.id: intent.quantity for intent in evidence.intents}
    sent: Counter[str] = Counter()
    for order in evidence.orders:
        if not order.parent and not order.oca_group and _is_entry_ref(order, evidence):
            sent[order.ref] += order.wanted
    for ref, shares in sorted(sent.items()):
        if shares > quantities.get(ref, 0):
            yield f"{shares} shares were ordered for {ref}, which is for {quantities.get(ref, 0)}"


def parts_once(evidence: Evidence) -> Iterator[str]:
    """Every due part of the day was done, and none twice."""
    yield from (f"{part} was not done" for part in missed_parts(evidence) if part not in evidence.excused)
    ran = Counter(run.part for run in evidence.runs if run.status == "SUCCESS" and run.part)
    yield from (f"{part} ran {count} times" for part, count in sorted(ran.items()) if count > 1)


def covered(evidence: Evidence) -> Iterator[str]:
    """While the exchange is open no shares are without a stop for longer than the grace."""
    since: dict[str, float] = {}
    told: set[str] = set()
    for sample in evidence.samples:
        is_open = evidence.opened <= sample.at < evidence.closed
        for symbol in sorted({*sample.held, *since}):
            lacking = sample.naked(symbol) if is_open else 0
            if not lacking:
                since.pop(symbol, None)
                continue
            lasted = sample.machine - since.setdefault(symbol, sample.machine)
            if lasted > evidence.naked_s and symbol not in told:
                told.add(symbol)
                yield f"{lacking} {symbol} had no stop for {lasted:.1f} s of the machine, at {_clock(sample.at)}"


def no_child_missing(evidence: Evidence) -> Iterator[str]:
    """Every entry that bought anything had a stop sent with it."""
    stops = {order.parent for order in evidence.orders if order.kind == "stop" and order.parent}
    for order in evidence.orders:
        if _is_entry_ref(order, evidence) and order.filled and not order.parent and order.perm_id not in stops:
            yield f"entry {order.perm_id} in {order.symbol} was sent without a stop"


def within_limits(evidence: Evidence) -> Iterator[str]:
    """At each moment at which an opening order arrived, it and everything held and in flight were within the limits."""
    openings = [order for order in evidence.orders if opens(order, evidence)]
    for order in openings:
        before = [sample for sample in evidence.samples if sample.at <= order.since]
        base = before[-1] if before else None
        yield from _beyond(order, base, _arrivals(openings, base, order), evidence)


def no_short(evidence: Evidence) -> Iterator[str]:
    """Nothing is owed where short selling is off."""
    if evidence.limits.get("short_selling"):
        return
    for sample in evidence.samples:
        for symbol, quantity in sorted(sample.held.items()):
            if quantity < 0:
                yield f"{-quantity} {symbol} were owed at {_clock(sample.at)}"
                return


def conserved(evidence: Evidence) -> Iterator[str]:
    """Cash and shares of the account follow from its executions, and the ledger's from the account's."""
    last = evidence.last
    if last is None:
        yield from _settled_from_bars(evidence)
        return
    cash, held = _left_by(evidence.fills, evidence.starting_cash)
    if abs(cash - last.cash) > CENT:
        yield f"the account holds {last.cash} USD; its executions leave {cash}"
    if _without_zeros(held) != _without_zeros(last.held):
        yield f"the account holds {_shown(last.held)}; its executions leave {_shown(held)}"
    booked = Counter[str]()
    for each in evidence.booked:
        booked[each.symbol] += int(each.quantity) * (1 if each.side == "buy" else -1)
    if _without_zeros(booked) != _without_zeros(last.held):
        yield f"the account holds {_shown(last.held)}; the ledger's executions leave {_shown(booked)}"
    if evidence.close is not None:
        yield from _settled(evidence, last)


def every_fill_booked(evidence: Evidence) -> Iterator[str]:
    """The ledger holds every execution of the account exactly once and exactly as it was, and no other."""
    truth = {fill.exec_id: fill for fill in evidence.fills}
    booked = Counter(each.exec_id for each in evidence.booked)
    yield from (f"execution {name} is not in the ledger" for name in sorted(truth.keys() - booked.keys()))
    yield from (f"execution {name} is not the account's" for name in sorted(booked.keys() - truth.keys()))
    yield from (f"execution {name} is in the ledger {n} times" for name, n in sorted(booked.items()) if n > 1)
    for each in evidence.booked:
        fill = truth.get(each.exec_id)
        if fill and (fill.symbol, fill.side, Decimal(fill.quantity), fill.price) != (
            each.symbol,
            each.side,
            each.quantity,
            each.price,
        ):
            yield f"execution {each.exec_id} is another one in the ledger"


def one_terminal_state(evidence: Evidence) -> Iterator[str]:
    """Every intent came to exactly one end, and to the one that the account tells."""
    bought = Counter[str]()
    entries = {
        order.perm_id: order.ref for order in evidence.orders if _is_entry_ref(order, evidence) and not order.parent
    }
    for fill in evidence.fills:
        bought[entries.get(fill.perm_id, "")] += fill.quantity
    for intent in evidence.intents:
        if not evidence.has_broker:
            continue
        ends = [state for state in intent.states if state in TERMINAL]
        if intent.state in RESTING and evidence.ended_at < evidence.closed:
            continue
        if intent.state not in TERMINAL:
            yield f"intent {intent.id} is {intent.state or 'nowhere'}"
        elif len(ends) != 1:
            yield f"intent {intent.id} ended {len(ends)} times: {', '.join(ends)}"
        elif intent.opens and (intent.state == "FILLED") != (bought[REF + intent.id] >= intent.quantity):
            yield f"intent {intent.id} is {intent.state}; the account bought {bought[REF + intent.id]} of {intent.quantity}"


def nothing_opened_while_halted(evidence: Evidence) -> Iterator[str]:
    """No opening order arrived while a halt was open."""
    lag = timedelta(seconds=HALT_LAG_S * evidence.speed)
    for order in evidence.orders:
        if not opens(order, evidence):
            continue
        for halt in evidence.halts:
            if _stood(halt, order.since, lag):
                yield f"order {order.perm_id} in {order.symbol} arrived at {_clock(order.since)} under halt {halt.id}"


def flat_for_the_day(evidence: Evidence) -> Iterator[str]:
    """What was bought for the day alone is sold by its close."""
    last = evidence.last
    if last is None or evidence.ended_at < evidence.closed:
        return
    days = {REF + intent.id for intent in evidence.intents if intent.flat_by_close and intent.opens}
    for ref in sorted(days):
        net = sum(
            fill.quantity * (1 if fill.side == "buy" else -1)
            for fill in evidence.fills
            if fill.ref == ref and fill.at <= evidence.closed + timedelta(seconds=2)
        )
        symbols = {fill.symbol for fill in evidence.fills if fill.ref == ref}
        if net and any(last.held.get(symbol) for symbol in symbols):
            yield f"{net} shares of {ref} were bought for the day and are still held"


def journaled_and_sealed(evidence: Evidence) -> Iterator[str]:
    """Every decision stands in the journal; whatever was sent had three seals over its own plan, before it was sent."""
    for decision in evidence.decisions:
        if decision.slot not in evidence.journaled:
            yield f"the decision of {decision.slot} is not in the journal"
    first = {order.ref: order.since for order in reversed(evidence.orders)}
    for intent in evidence.intents:
        if evidence.has_broker and SENT & set(intent.states):
            yield from _unsealed(intent, first.get(REF + intent.id))
    known = {REF + intent.id for intent in evidence.intents}
    for order in evidence.orders:
        if opens(order, evidence) and order.ref not in known:
            yield f"order {order.perm_id} in {order.symbol} belongs to no intent: {order.ref or 'no reference'}"


def known_before(evidence: Evidence) -> Iterator[str]:
    """What was decided rests on bars whose gate was passed before, and on rows that were knowable then."""
    for decision in evidence.decisions:
        if decision.state in {"ACTIVE", "REDUCING"} and (evidence.gate_at is None or evidence.gate_at > decision.as_of):
            passed = "never" if evidence.gate_at is None else f"at {evidence.gate_at.isoformat()}"
            yield f"slot {decision.slot} was decided, and the gate of its bars was passed {passed}"
    for intent in evidence.intents:
        early = [at for at in intent.seals.values() if at < _decided_at(evidence, intent)]
        if early:
            yield f"intent {intent.id} was sealed before it was decided"
    yield from evidence.late_rows


def report_exists(evidence: Evidence) -> Iterator[str]:
    """There is a report of the day, unless the clock stopped before it was due."""
    if any(part.startswith("report/") for part in evidence.parts) and not evidence.report:
        yield "there is no report of the session"


def processes_ended(evidence: Evidence) -> Iterator[str]:
    """Nothing is left running, and nothing ended by itself."""
    yield from (f"process {pid} could not be ended" for pid in evidence.alive)
    yield from evidence.lost


def ledger_proven(evidence: Evidence) -> Iterator[str]:
    """Chain, journal and sums of the ledger agree with each other."""
    yield from evidence.proof


RULES: Mapping[str, Rule] = {
    "no slot missed": no_slot_missed,
    "no slot doubled": no_slot_doubled,
    "each due part of the day done once": parts_once,
    "no position without a resting stop beyond the grace": covered,
    "no entry without its stop": no_child_missing,
    "limits never exceeded, in flight included": within_limits,
    "nothing sold short": no_short,
    "cash and shares conserve": conserved,
    "every fill in the ledger, once": every_fill_booked,
    "every intent in one terminal state": one_terminal_state,
    "nothing opened while halted": nothing_opened_while_halted,
    "flat at the close for day strategies": flat_for_the_day,
    "every decision journaled, every order sealed": journaled_and_sealed,
    "no fact used before it was knowable": known_before,
    "the report exists": report_exists,
    "the ledger is proven": ledger_proven,
    "processes ended": processes_ended,
}


def _is_entry_ref(order: Order, evidence: Evidence) -> bool:
    """Whether an order is of an intent that opens, and buys."""
    opening = {REF + intent.id for intent in evidence.intents if intent.opens}
    return order.ref in opening and order.side == "buy"


def opens(order: Order, evidence: Evidence) -> bool:
    """Whether an order adds to a position: no child, no member of a group that reduces, and not what takes off what is held."""
    if order.parent or order.oca_group:
        return False
    before = [sample for sample in evidence.samples if sample.at <= order.since]
    held = before[-1].held.get(order.symbol, 0) if before else 0
    return held >= 0 if order.side == "buy" else held <= 0 and not _sold_by_now(order, evidence)


def _sold_by_now(order: Order, evidence: Evidence) -> bool:
    """A sale between two samples: what it sells was bought meanwhile."""
    bought = sum(
        fill.quantity * (1 if fill.side == "buy" else -1)
        for fill in evidence.fills
        if fill.symbol == order.symbol and fill.at <= order.since
    )
    return bought > 0


def _arrivals(openings: list[Order], base: Sample | None, order: Order) -> list[Order]:
    """Opening orders since the last sample, the order itself among them."""
    since = base.at if base is not None else None
    there = {each.perm_id for each in base.orders} if base is not None else set()
    return [
        each
        for each in openings
        if each.since <= order.since
        and each.perm_id <= order.perm_id
        and each.perm_id not in there
        and (since is None or each.since > since)
    ]


def _beyond(order: Order, base: Sample | None, new: list[Order], evidence: Evidence) -> Iterator[str]:
    limits, at = evidence.limits, f"order {order.perm_id} in {order.symbol} at {_clock(order.since)}"
    equity = base.equity if base is not None else evidence.starting_cash
    marks = base.marks if base is not None else {}
    worth: Counter[str] = Counter()
    values: dict[str, Decimal] = {}
    for symbol, quantity in base.held.items() if base is not None else ():
        worth[symbol] += abs(quantity)
        values[symbol] = values.get(symbol, Decimal(0)) + abs(quantity) * marks.get(symbol, Decimal(0))
    flying = [each for each in (base.orders if base is not None else ()) if opens(each, evidence) and each.remaining]
    for each in (*flying, *new):
        shares = each.remaining if each in flying else each.wanted
        values[each.symbol] = values.get(each.symbol, Decimal(0)) + shares * _price_of(each, marks)
    notional = order.wanted * _price_of(order, marks)
    sector = evidence.sectors.get(order.symbol)
    grouped = sum((value for name, value in values.items() if evidence.sectors.get(name) == sector), Decimal(0))
    checks = (
        ("shares in an order", Decimal(order.wanted), _limit(limits, "order_quantity_max")),
        ("USD in an order", notional, _limit(limits, "order_notional_usd_max")),
        ("of the equity in a symbol", values[order.symbol], equity * _limit(limits, "position_fraction_max") * DRIFT),
        ("positions", Decimal(sum(1 for value in values.values() if value)), _limit(limits, "positions_max")),
        ("of the equity in a sector", grouped, equity * _limit(limits, "sector_fraction_max") * DRIFT),
        ("gross", sum(values.values(), Decimal(0)), equity * _limit(limits, "gross_exposure_fraction_max") * DRIFT),
    )
    yield from (f"{at}: {value:.2f} {name}, limit {bound:.2f}" for name, value, bound in checks if not value <= bound)


def _limit(limits: Mapping[str, float], name: str) -> Decimal:
    """A limit that is missing is zero: nothing fits into it."""
    return Decimal(str(limits.get(name, 0)))


def _price_of(order: Order, marks: Mapping[str, Decimal]) -> Decimal:
    return order.limit_price or order.stop_price or marks.get(order.symbol, Decimal(0))


def _left_by(fills: Sequence[Fill], cash: Decimal) -> tuple[Decimal, Counter[str]]:
    """Cash and shares after executions."""
    held = Counter[str]()
    for fill in fills:
        sign = 1 if fill.side == "buy" else -1
        cash -= sign * fill.quantity * fill.price + fill.fee
        held[fill.symbol] += sign * fill.quantity
    return cash, held


def _settled_from_bars(evidence: Evidence) -> Iterator[str]:
    """Without a broker the ledger is the account: its close follows from its fills."""
    cash, held = _left_by(evidence.bar_fills, evidence.starting_cash)
    if evidence.close is None:
        if evidence.bar_fills:
            yield "there are fills from bars, and the session was not settled"
        return
    if abs(cash - evidence.close.cash) > CENT:
        yield f"the session was settled with {evidence.close.cash} USD; its fills leave {cash}"
    if _without_zeros(held) != _without_zeros(evidence.close.held):
        yield f"the session was settled with {_shown(evidence.close.held)}; its fills leave {_shown(held)}"


def _settled(evidence: Evidence, last: Sample) -> Iterator[str]:
    close = evidence.close
    if close is None or any(fill.at > evidence.closed + timedelta(seconds=2) for fill in evidence.fills):
        return
    if abs(close.cash - last.cash) > CENT:
        yield f"the session was settled with {close.cash} USD; the account holds {last.cash}"
    if _without_zeros(close.held) != _without_zeros(last.held):
        yield f"the session was settled with {_shown(close.held)}; the account holds {_shown(last.held)}"


def _unsealed(intent: Intent, sent: datetime | None) -> Iterator[str]:
    if intent.seals.keys() != SIGNERS:
        yield f"intent {intent.id} was sent with the seals of {', '.join(sorted(intent.seals)) or 'nobody'}"
    if intent.sealed_digests - {intent.digest}:
        yield f"intent {intent.id} was sealed for another plan"
    late = [signer for signer, at in sorted(intent.seals.items()) if sent is not None and at > sent]
    if late:
        yield f"intent {intent.id} was sent before {', '.join(late)} sealed it"


def _decided_at(evidence: Evidence, intent: Intent) -> datetime:
    return next((each.as_of for each in evidence.decisions if each.slot == intent.slot), evidence.opened)


def _stood(halt: Halt, at: datetime, lag: timedelta) -> bool:
    return halt.at + lag < at and (halt.lifted is None or at < halt.lifted)


def _without_zeros(held: Mapping[str, int]) -> Mapping[str, int]:
    return {symbol: quantity for symbol, quantity in sorted(held.items()) if quantity}


def _shown(held: Mapping[str, int]) -> str:
    return ", ".join(f"{quantity} {symbol}" for symbol, quantity in _without_zeros(held).items()) or "nothing"


def _clock(instant: datetime) -> str:
    from trading_assets.core.calendar import NEW_YORK

    return f"{instant.astimezone(NEW_YORK):%H:%M:%S}"
