"""The two lanes over the one decision cycle: a backtest walks a range, the desk decides the slot that is due.

Both write the same tables, read the same gates and use the same book-keeping; what differs is which sessions may run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from trading_assets.briefs.facts import BEFORE_FIRST, FactBook
from trading_assets.core.calendar import XNYS, days_of
from trading_assets.core.errors import DataNotReady, SlotRefused
from trading_assets.core.messages import Message
from trading_assets.core.operations import Events
from trading_assets.core.ports import GateBook, Lake, Span, Written
from trading_assets.core.slots import NoSlot, Slot, due_slot
from trading_assets.execution.between import news_heard
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.cycle import SlotResult, awake, decide_slot, settle_session, walk_session
from trading_assets.execution.events import Wait, looked_at, next_look_of
from trading_assets.execution.learning import learn
from trading_assets.execution.looking import World, look
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS, POSITIONS, TRADES
from trading_assets.execution.opinions import opinions_of
from trading_assets.execution.ports import LedgerSession, OrderLedger, SessionClose
from trading_assets.execution.rules import Rules
from trading_assets.execution.sealing import ToSeal, to_seal
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.execution.thinking import think
from trading_assets.execution.views import account_rows, fill_rows, order_rows, position_rows, trade_rows
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.plans.trader import plan_rows
from trading_assets.signatures.gates import FactGate
from trading_assets.signatures.model import VERDICTS
from trading_assets.signatures.risk_gate import verdict_rows
from trading_assets.theses.memory.model import LESSONS, Lesson
from trading_assets.theses.memory.records import lesson_rows
from trading_assets.theses.model import THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES, Mind
from trading_assets.theses.rows import edge_rows, event_rows, score_rows, thesis_rows

_DAY = timedelta(days=1)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a lane's facts, gates and ledger are, the rules that it runs by, and whom it asks.

    `standing` says why nothing may be opened now, or nothing; `seal` puts the three signatures on intents that go to a gateway.
    """

    lake: Lake
    gates: GateBook
    ledger: OrderLedger
    rules: Rules
    counsel: Counsel
    standing: Callable[[], str] = lambda: ""
    seal: Callable[[Sequence[ToSeal]], None] = lambda _: None

    @property
    def name(self) -> str:
        """The book: desk or backtest."""
        return self.rules.book

    @property
    def walks(self) -> bool:
        """True for the backtest, whose sessions are settled by a walk and by nothing else."""
        return self.name == "backtest"


@dataclass
class BacktestWalk:
    """A walk over a range, in one transaction per session; what is done before a failure stays done."""

    lane: Lane
    span: Span
    done: list[date] = field(default_factory=list)
    mind: Mind = field(default_factory=Mind)
    _rows: dict[str, list[Row]] = field(default_factory=lambda: {table.name: [] for table in DECIDED})

    @classmethod
    def begin(cls, lane: Lane, span: Span, *, fresh: bool) -> "BacktestWalk":
        """Forgets what the new path replaces: everything for a fresh book, else everything from the span's first session on.

        A book that decided nothing before the span is fresh, whatever was asked for.
        """
        with lane.ledger.session() as ledger:
            new = fresh or not ledger.decisions(XNYS.first, span.first - _DAY)
            first = date.min if new else span.first
            ledger.rewind(first)
        for table in (*DECIDED, *BOOKED):
            lane.lake.forget(table, Span(first, date.max), lane=lane.name)
        return cls(lane, span)

    def walk(self) -> None:
        """Decides and settles every session of the span in order; a new book opens with the close of the session before."""
        sessions = XNYS.sessions(self.span.first, self.span.last)
        world = load_world(self.lane, self.span, as_of=sessions[-1].close)
        with self.lane.ledger.session() as ledger:
            if ledger.latest_close(sessions[0].day) is None:
                settle_session(XNYS.previous(sessions[0].day), world, self.lane.rules, ledger)
        for session in sessions:
            with self.lane.ledger.session() as ledger:
                results = list(walk_session(session, world, self.lane.rules, ledger))
            learn(session, self.lane.ledger, world)
            for result in results:
                _collect(self._rows, result)
                self.mind = result.mind or self.mind
            self.done.append(session.day)

    def store(self) -> Mapping[str, Written]:
        """Writes the rows of the sessions that are done; nothing when none is."""
        if not self.done:
            return {}
        span = Span(self.done[0], self.done[-1])
        return {
            table.name: self.lane.lake.write(table, table.frame(self._rows[table.name]), span, lane=self.lane.name)
            for table in DECIDED
        }


def load_world(lane: Lane, span: Span, *, as_of: datetime) -> World:
    """Facts, gate verdicts and opinions for the decisions of a span, as known at `as_of`."""
    reach = Span(span.first - BEFORE_FIRST, span.last)
    facts = FactBook.load(lane.lake, span, as_of=as_of)
    said = opinions_of(lane.lake, span, lane=lane.name, as_of=as_of)
    gate = FactGate.load(lane.lake, lane.gates, reach)
    return World(facts, gate, replace(lane.counsel, said=said), _intraday_bars(lane.lake, span))


def _intraday_bars(lake: Lake, span: Span) -> Callable[[date], Sequence[Mapping[str, Any]]]:
    """Reads a session's intraday bars when it is settled; sessions without any are not read at all."""
    stored = lake.versions(INTRADAY_BARS, span)

    def bars_of(day: date) -> Sequence[Mapping[str, Any]]:
        if day not in stored:
            return ()
        return lake.read(INTRADAY_BARS, as_of=XNYS.session(day).close, first=day, last=day).rows(named=True)

    return bars_of


def due_or_refused(rules: Rules, keys: Sequence[str], label: str, *, now: datetime) -> Slot:
    """The slot that is due now, if it is the one that was asked for; SlotRefused otherwise.

    No keys, or an empty label, ask for whichever session or slot is due.
    """
    decisions = rules.settings.decisions
    due = due_slot(XNYS, decisions.slots, as_of=now, grace=decisions.grace)
    asked = f"{', '.join(keys) or 'today'} {label or 'whichever is due'}"
    if isinstance(due, NoSlot):
        raise SlotRefused(f"the desk decides due slots only; {due.reason}", value=asked)
    if list(keys) not in ([], [due.session.key]) or label not in {"", due.label}:
        raise SlotRefused("the desk decides due slots only", value=asked, bound=f"{due.session.key} {due.label} is due")
    return due


def look_or_refused(
    book: OrderLedger,
    rules: Rules,
    keys: Sequence[str],
    label: str,
    event: Message | None,
    *,
    now: datetime,
    settings: Events,
) -> Slot:
    """The slot of an event, if the event is on the bus, deserves a look now and gives the label that was asked for.

    Args:
        event: The message that was named; None where the bus holds none of that id.

    Raises:
        SlotRefused: Otherwise. What was seen by a later decision is refused like what is old.
    """
    decisions, watched = rules.settings.decisions, rules.settings.market.symbols
    asked = f"{', '.join(keys) or 'today'} {label or 'whichever is due'}"
    if event is None:
        raise SlotRefused("between its slots the desk looks for events on the bus only", value=asked)
    with book.reading() as ledger:
        answer = next_look_of([event], ledger, as_of=now, slots=decisions, settings=settings, symbols=watched)
    if isinstance(answer, Wait):
        raise SlotRefused(f"message {event.id} deserves no look now; {answer.reason}", value=asked, bound=answer.until)
    found = answer.slot
    if list(keys) not in ([], [found.session.key]) or label not in {"", found.label}:
        bound = f"{found.session.key} {found.label} is the slot of message {event.id}"
        raise SlotRefused("a slot between the slots bears the time of its event", value=asked, bound=bound)
    return found


def decide_due(lane: Lane, slot: Slot) -> tuple[SlotResult, Mapping[str, Written]]:
    """Decides a due slot and adds its rows to the session's partitions.

    The slot at the open first settles every session that nobody has settled: it never decides on yesterday's book. Agents are asked
    before the transaction begins: the ledger has one writer, and their calls are booked in it. Signatures are put on after it, and
    hold for a minute.
    """
    day = slot.session.day
    if slot.is_first:
        _settle_up_to(lane, XNYS.previous(day).day)
    world = replace(load_world(lane, Span(day, day), as_of=slot.at), closed=lane.standing())
    learn(XNYS.previous(day), lane.ledger, world)
    thoughts = None
    if awake(slot, world, lane.rules):
        with lane.ledger.reading() as ledger:
            view = look(slot, world, lane.rules, ledger)
        thoughts = think(news_heard(view, lane.rules, world.counsel), lane.rules, world.counsel)
    with lane.ledger.session() as ledger:
        _refuse_overtaken(slot, ledger)
        result = decide_slot(slot, world, lane.rules, ledger, thoughts=thoughts)
    if thoughts is not None and result.mind is not None:
        lane.seal(to_seal(result.intents, result.judged, thoughts.view.said, result.mind))
    rows: dict[str, list[Row]] = {table.name: [] for table in DECIDED}
    _collect(rows, result)
    replacing = {"slot": [slot.label]}
    written = {
        table.name: lane.lake.merge(
            table, table.frame(rows[table.name]), Span(day, day), replacing=replacing, lane=lane.name
        )
        for table in DECIDED
    }
    return result, written


def _refuse_overtaken(slot: Slot, ledger: LedgerSession) -> None:
    """A look whose event a later decision has seen meanwhile would plan on an older mind than the book's."""
    newest = looked_at(ledger.decisions(slot.session.day, slot.session.day)) if slot.cause else None
    if newest is not None and newest > slot.at:
        raise SlotRefused(
            f"slot {slot.label} was overtaken by a later decision", value=slot.at.isoformat(), bound=newest.isoformat()
        )


def store_booked(lane: Lane, span: Span) -> Mapping[str, Written]:
    """Writes the ledger's rows of the span's sessions, after settling what the desk has not settled yet.

    Raises:
        DataNotReady: A backtest has not walked all sessions of the span.
    """
    if not lane.walks:
        _settle_up_to(lane, span.last)
    with lane.ledger.reading() as ledger:
        closes = ledger.closes(span.first, span.last)
        if lane.walks:
            _require_walked(closes, span)
        rows = {
            FILLS.name: fill_rows(ledger.fills(span.last), span),
            POSITIONS.name: position_rows(closes),
            ACCOUNT.name: account_rows(closes, ledger.decisions(span.first, span.last)),
            TRADES.name: trade_rows(ledger, lane.lake, span),
            LESSONS.name: lesson_rows(_learned_in(ledger, span)),
        }
    return {table.name: lane.lake.write(table, table.frame(rows[table.name]), span, lane=lane.name) for table in BOOKED}


def _require_walked(closes: Sequence[SessionClose], span: Span) -> None:
    missing = sorted(set(days_of(XNYS.sessions(span.first, span.last))) - {close.session for close in closes})
    if missing:
        hint = f"desk backtest --from {missing[0]} --to {span.last} --continue"
        raise DataNotReady("the backtest has not walked all sessions", value=missing[0], hint=hint)


def _settle_up_to(lane: Lane, last: date) -> None:
    """Settles every session since the newest close, in order; a book that never decided anything begins at `last`.

    Facts and gate verdicts are read before a transaction begins: the desk keeps both in one file, which has one writer.
    """
    with lane.ledger.session() as ledger:
        newest = ledger.latest_close(last + _DAY)
        first = XNYS.next(newest.session).day if newest else _first_decided(ledger, last)
    pending = XNYS.sessions(first, last) if first <= last else ()
    if pending:
        world = load_world(lane, Span(first, last), as_of=pending[-1].close)
        for session in pending:
            with lane.ledger.session() as ledger:
                settle_session(session, world, lane.rules, ledger)
            learn(session, lane.ledger, world)


def _learned_in(ledger: LedgerSession, span: Span) -> list[Lesson]:
    until = XNYS.session(span.last).close
    return [lesson for lesson in ledger.lessons(until) if span.first <= lesson.session <= span.last]


def _first_decided(ledger: LedgerSession, last: date) -> date:
    decided = ledger.decisions(XNYS.first, last)
    return decided[0].session if decided else last


def _collect(rows: dict[str, list[Row]], result: SlotResult) -> None:
    slot = result.slot
    if result.mind is not None:
        rows[THESES.name].extend(thesis_rows(result.mind, result.ended, slot))
        rows[THESIS_EDGES.name].extend(edge_rows(result.mind, slot))
        rows[THESIS_EVENTS.name].extend(event_rows(result.events, (*result.mind.theses, *result.ended), slot))
    rows[THESIS_SCORES.name].extend(score_rows(result.scores, slot))
    rows[VOTES.name].extend(result.vote_rows)
    rows[TRADE_PLANS.name].extend(plan_rows(result.plans, slot))
    rows[VERDICTS.name].extend(verdict_rows(result.judged, slot))
    rows[ORDERS.name].extend(order_rows(result.orders, result.intents, slot))
