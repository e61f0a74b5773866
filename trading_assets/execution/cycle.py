"""The decision cycle: what every lane runs, one slot at a time, carrying the book.

A session opens with yesterday's book after splits and dividends, decides its slots in order, and is settled against its own bars by
the paper broker. Live, one call decides one slot; a backtest walks the slots of hundreds of sessions with the same functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import Brief
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.slots import Slot, slots_of
from trading_assets.execution.book import place
from trading_assets.execution.model import Order
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.portfolio import portfolio_of
from trading_assets.execution.ports import Decision, Intent, LedgerSession, SessionClose
from trading_assets.execution.rules import Rules
from trading_assets.execution.settlement import Opening, open_session, settle
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Pending, Portfolio
from trading_assets.plans.trader import make_plans
from trading_assets.signatures.gates import FactGate
from trading_assets.signatures.model import Verdict
from trading_assets.signatures.risk_gate import Surroundings, judge
from trading_assets.signatures.state import StateRuling, trading_state
from trading_assets.theses.model import Thesis
from trading_assets.theses.rules import form_theses


@dataclass(frozen=True, slots=True)
class SlotResult:
    """Everything that one slot produced, in the order in which it came about."""

    slot: Slot
    decision: Decision
    theses: tuple[Thesis, ...]
    judged: tuple[tuple[TradePlan, Verdict], ...]
    intents: tuple[Intent, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class World:
    """The facts of a range: cut by `as_of` at each slot, gated session by session."""

    facts: FactBook
    gate: FactGate
    briefs: Mapping[str, Sequence[Brief]]


def walk_session(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> Iterator[SlotResult]:
    """Decides every slot of a past session in order, then settles it; for backtests and replays."""
    for slot in slots_of(session, rules.settings.decisions.slots):
        yield decide_slot(slot, world, rules, ledger)
    settle_session(session, world, rules, ledger)


def decide_slot(slot: Slot, world: World, rules: Rules, ledger: LedgerSession) -> SlotResult:
    """Decides one slot and writes the decision, its intents and its orders in the ledger's transaction."""
    if not slot.is_first:
        return _idle(slot, rules, ledger)
    session = slot.session
    facts = _fresh_facts(slot, world)
    ruling = _ruling(slot, rules, ledger)
    opening = _opening(session, world, rules, ledger)
    portfolio = portfolio_of(opening, ledger.entries_of(sorted(opening.book.positions)), session.day)
    theses = form_theses(slot, facts, world.briefs.get(session.key, ()))
    plans = make_plans(
        slot,
        facts,
        theses,
        portfolio,
        strategies=rules.settings.decisions.strategies,
        preferences=rules.preferences,
        flatten=ruling.reason if ruling.state == "HALTED" else None,
    )
    judged = tuple(_judged(plans, portfolio, ruling, facts, rules))
    approved = [(plan, verdict) for plan, verdict in judged if verdict.quantity > 0]
    intents = tuple(intent_for(p, v, book=rules.book, limits_hash=rules.limits_hash) for p, v in approved)
    orders = tuple(order for intent in intents for order in orders_of(intent))
    decision = Decision(
        session=session.day,
        slot=slot.label,
        as_of=slot.at,
        state=ruling.state,
        reason=_reason(plans, theses, ruling),
        plans=len(plans),
        vetoes=len(judged) - len(approved),
        limits_hash=rules.limits_hash,
    )
    ledger.add_decision(decision, judged, intents, orders)
    return SlotResult(slot, decision, theses, judged, intents, orders)


def settle_session(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> SessionClose:
    """Fills the session's orders on its bars and closes the book; a session that is settled already is returned."""
    done = ledger.close_of(session.day)
    if done is not None:
        return done
    world.gate.require(session.day)
    settled = settle(session, _opening(session, world, rules, ledger), world.facts.bars(session.day), rules.costs)
    ledger.add_settlement(settled.close, settled.fills, settled.dividends)
    return settled.close


def _fresh_facts(slot: Slot, world: World) -> Facts:
    """Facts of the session before, gated; anything older, or nothing, is refused."""
    needed = XNYS.previous(slot.session.day).day
    world.gate.require(needed)
    facts = world.facts.at(slot.at)
    if facts.session != needed:
        hint = f"desk ingest --from {needed} --to {needed}, then the premarket job"
        raise DataNotReady(
            f"slot {slot.label} of {slot.session.day} has no fresh facts", value=facts.session, bound=needed, hint=hint
        )
    if not any(known.indicators for known in facts.symbols.values()):
        hint = "materialize indicators, breadth and regime_labels, then analyst_briefs"
        raise DataNotReady(f"there are no indicators of {needed}", value=sorted(facts.symbols), bound=needed, hint=hint)
    return facts


def _ruling(slot: Slot, rules: Rules, ledger: LedgerSession) -> StateRuling:
    halt = ledger.open_halt()
    history = ledger.equity_history(slot.session.day)
    ruling = trading_state(history, rules.preferences, open_halt=halt.cause if halt else None)
    if ruling.halt:
        ledger.add_halt(ruling.halt, as_of=slot.at)
    return ruling


def _opening(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> Opening:
    """The book at the open, with the orders that earlier slots of the session placed."""
    before = _carried(session, ledger)
    book = before.book if before else rules.first_book
    opening = open_session(book, before.prices if before else {}, world.facts.actions(session.day), session)
    placed = [order for order, _ in ledger.orders_placed(session.day, session.day)]
    return replace(opening, book=place(opening.book, placed))


def _carried(session: Session, ledger: LedgerSession) -> SessionClose | None:
    """The close of the session before; None for a new book. Sessions in between would lose their splits, fills and stops."""
    before, due = ledger.latest_close(session.day), XNYS.previous(session.day).day
    if before is not None and before.session != due:
        raise DataNotReady(
            f"the book was last settled on {before.session} and cannot open {session.day}",
            value=before.session,
            bound=due,
            hint=f"go on from {XNYS.next(before.session).day}, or begin a fresh backtest",
        )
    return before


def _judged(
    plans: Sequence[TradePlan], portfolio: Portfolio, ruling: StateRuling, facts: Facts, rules: Rules
) -> Iterator[tuple[TradePlan, Verdict]]:
    """Judges in order; what was approved counts in full against the next plan."""
    volumes = {s: known.indicators.get("volume_mean_20") for s, known in facts.symbols.items()}
    average = {symbol: volume for symbol, volume in volumes.items() if volume is not None}
    for plan in plans:
        around = Surroundings(portfolio, ruling, rules.settings.market.sectors, average, rules.preferences)
        verdict = judge(plan, around)
        if plan.action == "enter" and verdict.quantity:
            portfolio = portfolio.with_pending(Pending(plan.symbol, plan.entry * verdict.quantity))
        yield plan, verdict


def _idle(slot: Slot, rules: Rules, ledger: LedgerSession) -> SlotResult:
    """A slot in which no strategy acts: swing strategies act at the open. It is on record, and reads nothing."""
    reason = "no strategy acts in this slot"
    decision = Decision(slot.session.day, slot.label, slot.at, "IDLE", reason, 0, 0, rules.limits_hash)
    ledger.add_decision(decision, (), (), ())
    return SlotResult(slot, decision, (), (), (), ())


def _reason(plans: Sequence[TradePlan], theses: Sequence[Thesis], ruling: StateRuling) -> str:
    if ruling.state != "ACTIVE":
        return ruling.reason
    found = f"{len(plans)} plans" if plans else "no strategy found a setup"
    return found if theses else f"no thesis, for want of briefs: exits only; {found}"
