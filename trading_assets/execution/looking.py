"""What a slot sees before it thinks: facts, limits, book, memory, and what was said; cut at the slot, checked against the lake.

Looking writes nothing. On the desk a slot looks twice: once to think, outside of any transaction, and once to decide, inside it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from trading_assets.briefs.fact_check import checked_briefs, checked_narratives
from trading_assets.briefs.facts import FactBook, Facts, Row
from trading_assets.briefs.model import Brief
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DataNotReady
from trading_assets.core.money import usd
from trading_assets.core.slots import Slot, slots_of
from trading_assets.execution.at_broker import book_now
from trading_assets.execution.book import place
from trading_assets.execution.counsel import Counsel, Opinions
from trading_assets.execution.portfolio import portfolio_of, ratios_since
from trading_assets.execution.ports import Intent, LedgerSession, Remark, SessionClose
from trading_assets.execution.rules import Rules
from trading_assets.execution.settlement import Opening, open_session
from trading_assets.execution.told import AtBroker
from trading_assets.plans.model import Proposal
from trading_assets.plans.portfolio import Portfolio
from trading_assets.regimes.model import MARKET
from trading_assets.signatures.gates import FactGate
from trading_assets.signatures.state import StateRuling, trading_state
from trading_assets.theses.debate import checked_cases
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind, Voice


def no_bars(_session: date) -> Sequence[Row]:
    """The intraday bars of a world that has none."""
    return ()


@dataclass(frozen=True)
class World:
    """The facts of a range: cut by `as_of` at each slot, gated session by session; and whom to ask about them.

    `intraday_bars` gives a session's rows of INTRADAY_BARS for its settlement. `closed` says why nothing may be opened now,
    whatever the book says: no gateway, no watchdog, or a broker that was not heard; empty where something may.
    """

    facts: FactBook
    gate: FactGate
    counsel: Counsel
    intraday_bars: Callable[[date], Sequence[Row]] = no_bars
    closed: str = ""


@dataclass(frozen=True)
class View:
    """Everything that one slot may know. `said` holds what passed the fact check, `remarks` what did not.

    `held` is what the broker says is held; None where there is no broker. `again` holds the briefs of `said` that were given in
    this very look, because of an event.
    """

    slot: Slot
    facts: Facts
    ruling: StateRuling
    portfolio: Portfolio
    mind: Mind
    said: Opinions
    lessons: Sequence[Lesson] = ()
    proposals: Sequence[Proposal] = ()
    held: Mapping[str, int] | None = None
    remarks: tuple[Remark, ...] = field(default=())
    again: tuple[Brief, ...] = field(default=())

    def spoken(self, weights: Mapping[str, float]) -> tuple[Voice, ...]:
        """The voices that the theses have not heard before: all at the open, later those that spoke again."""
        return self.voices(weights) if self.slot.is_first else tuple(_voice(brief, weights) for brief in self.again)

    def voices(self, weights: Mapping[str, float]) -> tuple[Voice, ...]:
        """The briefs with what each of them counts."""
        return tuple(_voice(brief, weights) for brief in self.said.briefs)

    @property
    def heard(self) -> Mapping[str, int]:
        """How many analysts spoke on each symbol; one who spoke on the market spoke on each."""
        counted = Counter(brief.symbol for brief in self.said.briefs)
        return {symbol: counted[symbol] + counted[MARKET] for symbol in self.facts.symbols}


def look(slot: Slot, world: World, rules: Rules, ledger: LedgerSession) -> View:
    """What the slot sees.

    Raises:
        GateClosed, DataNotReady: The facts of the session before are refused, missing or old, or the book is behind.
    """
    session = slot.session
    facts = fresh_facts(slot, world)
    opening = opening_of(session, world, rules, ledger)
    entries = ledger.entries_of(sorted(opening.book.positions))
    said, remarks = _checked(world.counsel.before(slot), facts)
    return View(
        slot=slot,
        facts=facts,
        ruling=_at(slot, _ruling(session, world, rules, ledger)),
        portfolio=portfolio_of(opening, entries, session.day, ratios=_ratios(entries, session, world)),
        mind=ledger.mind(slot.at),
        said=said,
        lessons=ledger.lessons(slot.at),
        proposals=() if slot.cause else ledger.proposals(_slot_before(slot, rules).at, slot.at),
        held=ledger.at_broker(session.day).held if rules.dispatches else None,
        remarks=remarks,
    )


def fresh_facts(slot: Slot, world: World) -> Facts:
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


def opening_of(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> Opening:
    """The book at the open with the orders that earlier slots placed; where a broker holds them, the book as it is told now."""
    opening = carried_into(session, world, rules, ledger)
    if rules.dispatches:
        return _told(opening, ledger.at_broker(session.day), rules)
    return with_placed(opening, session, ledger)


def carried_into(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> Opening:
    """The book of the session before, after the splits and dividends of this one."""
    before = _carried(session, ledger)
    book = before.book if before else rules.first_book
    return open_session(book, before.prices if before else {}, world.facts.actions(session.day), session)


def with_placed(opening: Opening, session: Session, ledger: LedgerSession) -> Opening:
    """The opening with the orders that were placed in the session."""
    placed = [order for order, _ in ledger.orders_placed(session.day, session.day)]
    return replace(opening, book=place(opening.book, placed))


def _told(opening: Opening, told: AtBroker, rules: Rules) -> Opening:
    """The opening after what the broker told of the session so far; what was bought today is worth what was paid."""
    paid = {booked.execution.symbol: usd(booked.execution.price) for booked in told.executions}
    adopted = {each.symbol: usd(each.average_cost) for each in told.adoptions}
    prices = {**adopted, **paid, **opening.prices}
    return replace(opening, book=book_now(opening.book, told, rules.costs), prices=prices)


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


def _ratios(entries: Mapping[str, Intent], session: Session, world: World) -> Mapping[str, Decimal]:
    """By symbol held, the product of the splits since it was entered."""
    if not entries:
        return {}
    first = min(intent.session for intent in entries.values())
    actions = [row for day in XNYS.sessions(first, session.day) for row in world.facts.actions(day.day)]
    return ratios_since(entries, actions, session.day)


def _ruling(session: Session, world: World, rules: Rules, ledger: LedgerSession) -> StateRuling:
    """The book's state, and no looser than what the world allows."""
    ruling = trading_state(ledger.equity_history(session.day), rules.preferences, open_halt=_open_halt(ledger))
    return StateRuling("REDUCING", world.closed) if world.closed and ruling.state == "ACTIVE" else ruling


def _at(slot: Slot, ruling: StateRuling) -> StateRuling:
    """The ruling in a slot: between the scheduled ones it is never looser than reducing, and its reason names the event."""
    if not slot.cause:
        return ruling
    looked = f"the desk looked because of {slot.cause}"
    if ruling.state == "ACTIVE":
        return StateRuling("REDUCING", f"between its slots the desk only reduces; {looked}")
    return replace(ruling, reason=f"{ruling.reason}; {looked}")


def _open_halt(ledger: LedgerSession) -> str | None:
    halt = ledger.open_halt()
    return halt.cause if halt else None


def _slot_before(slot: Slot, rules: Rules) -> Slot:
    """The last slot in which the same strategies acted: those of the open act at the open before."""
    labels = rules.settings.decisions.slots
    if slot.is_first:
        return slots_of(XNYS.previous(slot.session.day), labels)[0]
    return [earlier for earlier in slots_of(slot.session, labels) if earlier.at < slot.at][-1]


def _checked(said: Opinions, facts: Facts) -> tuple[Opinions, tuple[Remark, ...]]:
    """What was said and still stands in the lake as it was cited."""
    briefs, wrong_briefs = checked_briefs(said.briefs, facts)
    narratives, wrong_narratives = checked_narratives(said.narratives, facts)
    cases, wrong_cases = checked_cases(said.cases, facts)
    wrong = (*wrong_briefs, *wrong_narratives, *wrong_cases)
    return Opinions(briefs, narratives, cases, said.stance, said.silences), (
        *(Remark(f"{one.agent} not believed", one.sentence, one.symbol) for one in wrong),
        *(
            Remark(f"{one.agent} answered by {one.answered_by or 'nobody'}", one.reason, one.symbol)
            for one in said.silences
        ),
    )


def _voice(brief: Brief, weights: Mapping[str, float]) -> Voice:
    return Voice(
        source=brief.agent,
        symbol=brief.symbol,
        signal=brief.signal,
        confidence=brief.confidence,
        weight=weights.get(brief.agent, 0.0),
    )
