"""The decision cycle: what every lane runs, one slot at a time, carrying the book and the mind.

A session opens with yesterday's book after splits and dividends, decides its slots in order, and is settled against its own bars by
the paper broker. A slot looks, thinks and decides; agents are asked while it thinks, and what they said becomes orders only through
the functions here. Live, one call decides one slot; a backtest walks the slots of hundreds of sessions with the same functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trading_assets.core.calendar import Session
from trading_assets.core.money import to_tick
from trading_assets.core.slots import Slot, slots_of
from trading_assets.execution.at_broker import settle_told
from trading_assets.execution.between import only_reducing, with_briefs, with_reductions
from trading_assets.execution.looking import View, World, carried_into, look, with_placed
from trading_assets.execution.model import Order
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Decision, Intent, LedgerSession, Remark, SessionClose
from trading_assets.execution.remembering import mind_digest
from trading_assets.execution.rules import Rules
from trading_assets.execution.settlement import settle
from trading_assets.execution.signing import Ruled, ruled
from trading_assets.execution.thinking import Grown, Thoughts, grow, think
from trading_assets.execution.tuning import withheld
from trading_assets.plans.candidates import acts
from trading_assets.plans.ensemble import persona_weights
from trading_assets.plans.model import TradePlan
from trading_assets.plans.trader import Planned, make_plans
from trading_assets.signatures.double_checker import Second, double_check, second_on
from trading_assets.signatures.fact_checker import check_facts
from trading_assets.signatures.judging import judge_all
from trading_assets.signatures.model import SIGNERS, Verdict
from trading_assets.theses.model import Event, Mind, Score, Thesis
from trading_assets.theses.relations import ordered, related

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlotResult:
    """Everything that one slot produced, in the order in which it came about."""

    slot: Slot
    decision: Decision
    judged: tuple[tuple[TradePlan, Verdict], ...] = ()
    intents: tuple[Intent, ...] = ()
    orders: tuple[Order, ...] = ()
    mind: Mind | None = None
    ended: tuple[Thesis, ...] = ()
    events: tuple[Event, ...] = ()
    scores: tuple[Score, ...] = ()
    vote_rows: tuple[Row, ...] = field(default=())

    @property
    def plans(self) -> tuple[TradePlan, ...]:
        """Every plan of the slot once, in the order in which they were judged."""
        return tuple(plan for plan, verdict in self.judged if verdict.signer == SIGNERS[0])


def walk_session(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> Iterator[SlotResult]:
    """Decides every slot of a past session in order, then settles it; for backtests and replays."""
    for slot in slots_of(session, rules.settings.decisions.slots):
        yield decide_slot(slot, world, rules, ledger)
    settle_session(session, world, rules, ledger)


def awake(slot: Slot, world: World, rules: Rules) -> bool:
    """Whether any strategy of the settings acts in the slot; those that act after the open need intraday features.

    In the slot of an event there is always something to look at.
    """
    if slot.cause:
        return True
    seen = slot.is_first or world.facts.has_intraday(slot.session.day)
    return seen and acts(slot, rules.settings.decisions.strategies)


def decide_slot(
    slot: Slot, world: World, rules: Rules, ledger: LedgerSession, *, thoughts: Thoughts | None = None
) -> SlotResult:
    """Decides one slot and writes the decision, its intents and its orders in the ledger's transaction.

    Args:
        thoughts: What the agents said when the slot was looked at before the transaction; they are asked now where it is absent.
    """
    if not awake(slot, world, rules):
        return _idle(slot, rules, ledger)
    view = look(slot, world, rules, ledger)
    if view.ruling.halt:
        ledger.add_halt(view.ruling.halt, as_of=slot.at)
    if thoughts is None:
        thoughts = think(view, rules, world.counsel)
        return _conclude(view, thoughts.grown, thoughts, rules, ledger)
    view = with_briefs(view, thoughts.view.again)
    return _conclude(view, grow(view, thoughts.updates, rules), thoughts, rules, ledger)


def settle_session(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> SessionClose:
    """Fills the session's orders on its bars and closes the book; a session that is settled already is returned."""
    done = ledger.close_of(session.day)
    if done is not None:
        return done
    world.gate.require(session.day)
    opening, bars = carried_into(session, world, rules, ledger), world.facts.bars(session.day)
    if rules.dispatches:
        closes = {row["symbol"]: to_tick(row["close"]) for row in bars}
        settled = settle_told(session, opening, ledger.at_broker(session.day), closes, rules.costs)
    else:
        opening = with_placed(opening, session, ledger)
        settled = settle(session, opening, bars, rules.costs, intraday=world.intraday_bars(session.day))
    ledger.add_settlement(settled.close, settled.fills, settled.dividends)
    return settled.close


def _conclude(view: View, grown: Grown, thoughts: Thoughts, rules: Rules, ledger: LedgerSession) -> SlotResult:
    """From opinions to orders: plans by code, verdicts by three signers, and one transaction that holds all of it."""
    grown = only_reducing(view, grown)
    planned = with_reductions(view, grown.advanced.mind, _planned(view, grown, thoughts, rules), rules)
    gated = _judged(view, grown.advanced.mind, planned.plans, rules)
    signed = ruled(gated, partial(_other_eyes, view, grown.advanced.mind, thoughts.seconds))
    approved = [each for each in signed if each.quantity]
    judged = (*(pair for each in signed for pair in each.judged), *withheld(planned.withheld))
    intents = tuple(_intent(each, rules) for each in approved)
    orders = tuple(order for intent in intents for order in orders_of(intent))
    mind = _with_orders(grown.advanced.mind, intents, view)
    plans = (*planned.plans, *planned.withheld)
    decision = Decision(
        session=view.slot.session.day,
        slot=view.slot.label,
        as_of=view.slot.at,
        state=view.ruling.state,
        reason=_reason(plans, view),
        plans=len(plans),
        vetoes=len(plans) - len(approved),
        limits_hash=rules.limits_hash,
        mind_digest=mind_digest(mind),
    )
    remarks = (
        *view.remarks,
        *thoughts.remarks,
        *map(_remark, (*grown.advanced.flags, *grown.refused, *planned.remarks)),
    )
    ledger.add_decision(decision, judged, intents, orders, mind=mind, remarks=remarks)
    told = grown.advanced
    return SlotResult(
        view.slot, decision, judged, intents, orders, mind, told.ended, told.events, told.scores, planned.vote_rows
    )


def _intent(each: Ruled, rules: Rules) -> Intent:
    gate, quantity = each.verdicts[0], each.quantity
    return intent_for(each.plan, gate, book=rules.book, limits_hash=rules.limits_hash, quantity=quantity)


def _planned(view: View, grown: Grown, thoughts: Thoughts, rules: Rules) -> Planned:
    return make_plans(
        view.slot,
        view.facts,
        grown.advanced.mind,
        view.portfolio,
        ended=grown.advanced.ended,
        candidates=grown.candidates,
        votes=thoughts.votes,
        choice=thoughts.choice,
        weights=_weights(view, grown, rules),
        heard=view.heard,
        stance=view.said.stance,
        related=related(grown.advanced.mind),
        agents=rules.agents,
        preferences=rules.preferences,
        parameters=rules.parameters(view.slot.session.day),
        flatten=view.ruling.reason if view.ruling.state == "HALTED" else None,
    )


def _weights(view: View, grown: Grown, rules: Rules) -> Mapping[str, float]:
    """What each persona's vote counts; nobody votes where there is no candidate."""
    if not grown.candidates:
        return {}
    return persona_weights(rules.agents.personas, view.lessons, view.slot.session.day)


def _judged(view: View, mind: Mind, plans: Sequence[TradePlan], rules: Rules) -> tuple[tuple[TradePlan, Verdict], ...]:
    volumes = {symbol: known.indicators.get("volume_mean_20") for symbol, known in view.facts.symbols.items()}
    return judge_all(
        plans,
        view.portfolio,
        view.ruling,
        sectors=rules.settings.market.sectors,
        average_volume={symbol: volume for symbol, volume in volumes.items() if volume is not None},
        related=related(mind),
        preferences=rules.preferences,
    )


def _other_eyes(view: View, mind: Mind, seconds: Sequence[Second], plan: TradePlan) -> tuple[Verdict, Verdict]:
    """What the fact checker and the double checker say of a plan that the gate allows."""
    facts = check_facts(plan, view.facts, view.said, mind=mind, held=view.held)
    return facts, double_check(plan, second_on(plan, seconds))


def _with_orders(mind: Mind, intents: Sequence[Intent], view: View) -> Mind:
    """The mind with an edge from each thesis to the plan that it became."""
    for intent in intents:
        if intent.plan.opens:
            mind = ordered(mind, intent.plan.thesis_id, intent.plan.id, view.slot.session.day)
    return mind


def _remark(told: tuple[str, str, str] | Remark) -> Remark:
    return told if isinstance(told, Remark) else Remark(*told)


def _idle(slot: Slot, rules: Rules, ledger: LedgerSession) -> SlotResult:
    """A slot in which no strategy acts. It is on record, and reads nothing."""
    reason = "no strategy acts in this slot"
    decision = Decision(slot.session.day, slot.label, slot.at, "IDLE", reason, 0, 0, rules.limits_hash)
    ledger.add_decision(decision, (), (), ())
    return SlotResult(slot, decision)


def _reason(plans: Sequence[TradePlan], view: View) -> str:
    if view.ruling.state != "ACTIVE":
        return view.ruling.reason
    found = f"{len(plans)} plans" if plans else "no strategy found a setup"
    return found if view.said.briefs else f"no analyst was heard: exits only; {found}"
