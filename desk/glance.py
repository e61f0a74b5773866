"""What a person asks of a book at one instant, read and never written: time, halts, processes, standing, money, day, data.

Each section is read on its own: one that cannot be read says so in a sentence and takes nothing else with it. What is unknown is
shown as unknown, and a book whose halts or standing cannot be read may open nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.clock import RealClock, speed_of
from resources.desk import DESK, DeskResource
from resources.notify.model import plain
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import DeskError
from trading_assets.core.preferences import Preferences, load_preferences
from trading_assets.core.settings import config_folder
from trading_assets.core.slots import NoSlot, Slot, due_slot, slots_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from resources.ledger.dispatch import SqlDispatch
    from resources.ledger.dispatch_reading import StoredSnapshot
    from resources.ledger.state import Heartbeat
    from trading_assets.broker.settings import ExecutionSettings
    from trading_assets.execution.ports import Decision, SessionClose

Told = dict[str, Any]
UNREADABLE = "unreadable"
_EVER = date(2100, 1, 1)


@dataclass(frozen=True)
class Glance:
    """One look at a book.

    Args:
        now: The desk's clock, UTC.
    """

    desk: DeskResource
    lane: str
    now: datetime

    def tell(self) -> Told:
        """Every section, in the order in which a person asks."""
        sections: dict[str, Callable[[], Any]] = {
            "clock": self._clock,
            "halts": self._halts,
            "pages": self._pages,
            "processes": self._processes,
            "standing": self._standing,
            "money": self._money,
            "positions": self._positions,
            "orders": self._orders,
            **({"day": self._day} if self.lane == DESK else {}),
            "data": self._data,
            **({"proposals": self._proposals, "models": self._models, "health": self._health} if self._is_desk else {}),
        }
        told: Told = {"at": self.now.isoformat()}
        for name, read in sections.items():
            try:
                told[name] = read()
            except DeskError as refused:
                told[name] = {UNREADABLE: plain(str(refused))}
        return told

    # Means

    @property
    def _is_desk(self) -> bool:
        return self.lane == DESK

    @cached_property
    def has_ledger(self) -> bool:
        """A look makes no ledger."""
        where = self.desk.ledger_at(self.lane)
        return not isinstance(where, Path) or where.exists()

    @cached_property
    def _engine(self) -> "Engine":
        return self.desk.engine(self.lane)

    @cached_property
    def _execution(self) -> "ExecutionSettings":
        return self.desk.execution()

    @cached_property
    def _preferences(self) -> Preferences:
        return load_preferences(config_folder() / "preferences.yaml")[0]

    @cached_property
    def _session(self) -> Session:
        """The session of the day, or the one before a closed day."""
        return XNYS.today(self.now) or XNYS.previous(self._today)

    @property
    def _today(self) -> date:
        return self.now.astimezone(NEW_YORK).date()

    @property
    def _is_open(self) -> bool:
        session = XNYS.today(self.now)
        return session is not None and session.open <= self.now < session.close

    @property
    def _at_broker(self) -> bool:
        return self._is_desk and self._execution.dispatches and self.has_ledger

    @cached_property
    def _store(self) -> "SqlDispatch":
        from resources.ledger.dispatch import SqlDispatch

        return SqlDispatch(self._engine, self.lane)

    @cached_property
    def _snapshot(self) -> "StoredSnapshot | None":
        return self._store.snapshot() if self._at_broker else None

    @cached_property
    def _close(self) -> "SessionClose | None":
        if not self.has_ledger:
            return None
        with self.desk.ledger(self.lane).reading() as ledger:
            return ledger.latest_close(_EVER)

    @cached_property
    def _beats(self) -> "Mapping[str, Heartbeat]":
        from resources.ledger.state import Heartbeats

        return Heartbeats(self._engine).ages(as_of=self.now) if self.has_ledger else {}

    # Sections

    def _clock(self) -> Told:
        decisions = self.desk.settings().decisions
        session, speed = XNYS.today(self.now), speed_of(self.desk.clock())
        due = due_slot(XNYS, decisions.slots, as_of=self.now, grace=decisions.grace)
        later = [slot for slot in _slots_ahead(decisions.slots, self.now) if slot.at > self.now]
        return {
            "book": self.lane,
            "new_york": f"{self.now.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}",
            "kind": "machine"
            if isinstance(self.desk.clock(), RealClock)
            else f"replay {speed:g}x"
            if speed
            else "stands",
            "session": None if session is None else session.key,
            "opens": None if session is None else _hour(session.open),
            "closes": None if session is None else _hour(session.close),
            "early_close": session is not None and session.is_early_close,
            "is_open": self._is_open,
            "minutes_to_close": None if session is None else _minutes(session.close - self.now),
            "due": due.reason if isinstance(due, NoSlot) else f"{due.session.key} {due.label}",
            "is_due": not isinstance(due, NoSlot),
            "next_slot": f"{later[0].session.key} {later[0].label}",
            "minutes_to_next_slot": _minutes(later[0].at - self.now),
        }

    def _halts(self) -> list[str]:
        """Open halts by number, oldest first, and the file where it is not among them."""
        from resources.ledger.halt_file import HaltFile

        rows = [(halt.id, plain(halt.cause)) for halt in self._store.halts()] if self.has_ledger else []
        told = [f"{number}: {cause}" for number, cause in rows]
        noted = HaltFile(self.desk.home().root).read() if self._is_desk and self.desk.home().root.is_dir() else None
        if noted is not None and not any(plain(noted.cause) in cause for _, cause in rows):
            told.append(f"file: {plain(noted.cause)}")
        return told

    def _pages(self) -> list[Told]:
        from resources.notify.pages import LedgerPages

        waiting = LedgerPages(self._engine, self.lane).unanswered() if self.has_ledger else ()
        return [
            {
                "page": page.id,
                "severity": page.severity,
                "code": page.code,
                "sentence": plain(page.sentence),
                "raised": page.raised_at.isoformat(),
            }
            for page in waiting
        ]

    def _processes(self) -> list[Told]:
        if not self._is_desk:
            return []
        watch = self._execution.watch
        bounds: dict[str, float | None] = {"gateway": watch.gateway_seconds, "watchdog": watch.watchdog_seconds}
        bounds |= {"feed": watch.feed_seconds if self._is_open else None, "daemon": watch.daemon_seconds}
        expected = tuple(bounds) if self._execution.dispatches else ()
        names = (*expected, *sorted(set(self._beats) - {*expected}))
        return [_process(name, self._beats.get(name), bounds.get(name)) for name in names]

    def _standing(self) -> Told:
        """Whether the book may open anything now, with every reason why not."""
        from trading_assets.signatures.market_rules import entry_window

        reasons = list(self._reasons())
        last = entry_window(self._session, self._preferences)[1]
        if not self._is_open:
            reasons.append("the exchange is closed")
        elif self._at_broker and not self.now <= last:
            reasons.append(f"nothing is opened after {_hour(last)}")
        return {"may_open": not reasons, "why_not": reasons}

    def _reasons(self) -> Iterator[str]:
        halts = self._halts()
        yield from (f"halt {halt}" for halt in halts)
        if self._at_broker:
            from resources.standing import standing_of

            said = standing_of(self._engine, self.desk.home().root, self._execution, now=self.now)
            if said:
                yield plain(said)
            return
        if self._is_desk and self._execution.dispatches:
            yield "there is no ledger: the desk has never run"
            return
        from trading_assets.signatures.state import trading_state

        ruling = trading_state(self._history, self._preferences)
        if ruling.state != "ACTIVE":
            yield f"{ruling.state}: {ruling.reason}"

    @cached_property
    def _history(self) -> Sequence[Decimal]:
        if not self.has_ledger:
            return ()
        with self.desk.ledger(self.lane).reading() as ledger:
            return ledger.equity_history(_EVER)

    def _money(self) -> Told:
        """Equity against the day's opening and the peak since the last answered halt, beside the limits."""
        limits = self._preferences
        bounds = {
            "loss_reduces_fraction": limits.daily_loss_reduce_only_fraction,
            "loss_halts_fraction": limits.daily_loss_halt_fraction,
            "drawdown_halts_fraction": limits.drawdown_halt_fraction,
        }
        snapshot, close = self._snapshot, self._close
        if snapshot is not None:
            equity = self._store.equity(self._session.day)
            age = (self.now - snapshot.at).total_seconds()
            source = f"the broker {age:.0f} s ago, {'agrees with' if snapshot.agrees else 'DIFFERS from'} the ledger"
            return _sums(snapshot.equity, snapshot.cash, equity.day_open, equity.peak, source) | bounds
        if close is None:
            return {"source": "nothing is settled yet", "equity_usd": None, **bounds}
        history = self._history
        before = history[-2] if len(history) > 1 else None
        source = f"the close of {close.session}"
        return _sums(close.equity, close.book.cash, before, max(history, default=None), source) | bounds

    def _positions(self) -> list[Told]:
        from desk.glance_book import held_at_broker, held_in_book, seen_prices

        if self._snapshot is not None:
            held = held_at_broker(self._snapshot, self._store.open_legs())
        elif self._close is not None:
            held = held_in_book(self._close)
        else:
            return []
        symbols = [each.symbol for each in held]
        with self.desk.ledger(self.lane).reading() as ledger:
            entries = ledger.entries_of(symbols)
        closes = self._close.prices if self._close else {}
        prices = seen_prices(self.desk, symbols, self.now) if self._is_desk else {}
        strategies = {symbol: entry.plan.strategy for symbol, entry in entries.items()}
        return [each.told(prices, closes, self._close, strategies.get(each.symbol, "")) for each in held]

    def _orders(self) -> list[Told]:
        """Orders that can still fill: at the broker, or waiting for the session's bars."""
        from desk.glance_book import at_the_broker, waiting_for_bars

        if not self.has_ledger:
            return []
        if self._at_broker:
            return [at_the_broker(leg) for leg in self._store.open_legs()]
        first = XNYS.first if self._close is None else self._close.session + timedelta(days=1)
        with self.desk.ledger(self.lane).reading() as ledger:
            placed = [order for order, _ in ledger.orders_placed(first, _EVER)]
        resting = self._close.book.orders.values() if self._close else ()
        return [waiting_for_bars(order) for order in (*resting, *placed) if order.status in {"held", "working"}]

    def _day(self) -> Told:
        from desk.glance_day import day_of

        return day_of(self.desk, self._session, self._decided(), now=self.now, has_ledger=self.has_ledger)

    def _decided(self) -> "Sequence[Decision]":
        if not self.has_ledger:
            return ()
        with self.desk.ledger(self.lane).reading() as ledger:
            return ledger.decisions(self._session.day, self._session.day)

    def _data(self) -> Told:
        from desk.glance_day import data_of

        return data_of(self.desk, self.lane, self._close, now=self.now, has_gates=self._has_gates)

    @property
    def _has_gates(self) -> bool:
        where = self.desk.ledger_at(DESK)
        return not isinstance(where, Path) or where.exists()

    def _proposals(self) -> list[Told]:
        from trading_assets.evaluation.suggestions import proposal_lines

        if not self.has_ledger:
            return []
        lines = proposal_lines(self.desk.proposals().proposals(), on=self._today)
        names = ("id", "name", "before", "after", "origin", "lapses")
        return [{name: getattr(line, name) for name in names} for line in lines if line.state == "open"]

    def _models(self) -> Told:
        """Money is spent in real time, so the day is the machine's."""
        from resources.ledger.costs import SqlCostBook
        from trading_assets.reasoning.budgets import DESK_LANE

        settings = self.desk.reasoning()
        day = RealClock().now().astimezone(NEW_YORK).date()
        cap = Decimal(str(settings.budget.day_usd))
        told = {"mode": settings.mode, "day": day.isoformat(), "cap_usd": str(cap)}
        if not self.has_ledger:
            return {**told, "spent_usd": "0", "left_usd": str(cap)}
        pocket = SqlCostBook(self._engine).pocket(f"day:{DESK_LANE}:{day}")
        left = max(Decimal(0), cap - pocket.spent_usd - pocket.reserved_usd)
        return {**told, "spent_usd": str(pocket.spent_usd), "left_usd": str(left)}

    def _health(self) -> Told:
        from desk.glance_day import health_of

        return health_of(self._engine, self.now) if self.has_ledger else {"state": "unknown", "why": "never checked"}


def _slots_ahead(labels: Sequence[str], now: datetime) -> Iterator[Slot]:
    """Slots of the day and of the next session."""
    session = XNYS.today(now)
    if session is not None:
        yield from slots_of(session, labels)
    yield from slots_of(XNYS.next(now.astimezone(NEW_YORK).date()), labels)


def _sums(
    equity: Decimal | None, cash: Decimal | None, opened: Decimal | None, peak: Decimal | None, source: str
) -> Told:
    """What the broker does not tell stays None."""
    profit = None if equity is None or opened is None else equity - opened
    return {
        "source": source,
        "equity_usd": _text(equity),
        "cash_usd": _text(cash),
        "day_usd": _text(profit),
        "day_fraction": None if profit is None or not opened else round(float(profit / opened), 6),
        "drawdown_fraction": None
        if equity is None or not peak
        else round(float(max(Decimal(0), 1 - equity / peak)), 6),
    }


def _process(name: str, beat: "Heartbeat | None", bound_s: float | None) -> Told:
    if beat is None:
        alive = None if bound_s is None else False
        return {"process": name, "alive": alive, "age_seconds": None, "pid": None, "says": "never seen"}
    age = round(beat.age.total_seconds(), 1)
    alive = None if bound_s is None else beat.is_fresh(timedelta(seconds=bound_s))
    return {"process": name, "alive": alive, "age_seconds": age, "pid": beat.pid, "says": _words(beat.state)}


def _words(state: str) -> str:
    """What a process says of itself: its ruling and why, where it says so."""
    try:
        told = json.loads(state)
    except ValueError:
        return plain(state)
    if not isinstance(told, dict):
        return plain(state)
    parts = [str(told.get("state", "")), f"link {told['link']}" if "link" in told else "", str(told.get("reason", ""))]
    return plain(", ".join(part for part in parts if part))


def _minutes(length: timedelta) -> float:
    return round(length.total_seconds() / 60, 1)


def _hour(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M}"


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
