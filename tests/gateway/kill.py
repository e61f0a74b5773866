"""Real processes that die by a real signal at named points, and what is true at the broker afterwards.

Broker and ledger outlive the process. `python -m bench.prove` plays every case on both databases.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.process import LEASE_LOST
from resources.clock import RealClock, ReplayedClock
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, reading
from resources.ledger.state import Heartbeats, Leases
from resources.ledger.store import SqlLedger
from tests.gateway.parts import BOOK, OPEN, SYMBOLS, plan_of, propose_in, seals_of, state_in
from tests.tws.book import Instrument
from tests.tws.gateway import ACCOUNT, running
from tests.tws.trading import LISTINGS, TradingGateway
from trading_assets.broker.lifecycle import TERMINAL
from trading_assets.broker.settings import ExecutionSettings, InteractiveBrokers, Reactions, Rhythm
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import SIGNERS

PROJECT = Path(__file__).parents[2]
WAIT_S, HIT_S = 60.0, 8.0
RHYTHM = Rhythm(reconcile_seconds=0.3, heartbeat_seconds=0.1, lease_seconds=5.0, absence_seconds=0.5, probe_seconds=1.0)
_MIGRATING = threading.Lock()
"""The migration tool keeps a global state, and cases may be played side by side."""
ENDED = frozenset({"EXPIRED", "FILLED", "ABANDONED", "CANCELLED"})
UNSENT, SENT, UNSURE = frozenset({"EXPIRED"}), frozenset({"FILLED"}), frozenset({"ABANDONED"})


def _with_signal(at: str, word: str) -> str:
    """The same place, hit by another signal."""
    point, _, rest = at.partition(":")
    return f"{point}:{word}{rest.removeprefix('KILL')}" if rest else f"{point}:{word}"


@dataclass(frozen=True, slots=True)
class Case:
    """One death, perhaps a second one while the next process recovers, and in what the intent may end.

    Args:
        at: Where which signal hits, as `tests.gateway.child` reads it.
        waits: The intent is signed before the process starts.
    """

    at: str
    fault: int
    states: frozenset[str]
    again: str = ""
    waits: bool = False

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{self.at} then {self.again}" if self.again else self.at


_STARTING = tuple(
    Case(at, 3, UNSENT, waits=True) for at in ("leased", "connected", "before_look_written", "look_written")
)
_SENDING = (
    Case("before_accept", 3, UNSENT),
    Case("accepted", 3, UNSENT),
    Case("before_submit", 3, UNSENT),
    Case("submitted", 4, UNSURE),
    Case("wrote_1", 5, frozenset({"CANCELLED"})),
    Case("wrote_2", 5, frozenset({"CANCELLED"})),
    Case("wrote_3", 6, SENT),
    Case("written", 6, SENT),
    Case("drained", 6, SENT),
    Case("sent", 7, SENT),
)
_BOOKING = (
    *(
        Case(f"{point}:KILL:{number}", 7 if number == 1 else 8, SENT)
        for point in ("before_apply", "applied")
        for number in (1, 2, 3)
    ),
    Case("before_look_written:KILL:1:written", 8, SENT),
    Case("look_written:KILL:1:written", 8, SENT),
)
_SINGLES = (*_STARTING, *_SENDING, *_BOOKING)
_ASKED = tuple(
    Case(_with_signal(case.at, "TERM"), 10, UNSENT if case.waits else ENDED, waits=case.waits) for case in _SINGLES
)
_DOUBLE = tuple(
    Case(first.at, 9, first.states, again=again)
    for first in (_SENDING[3], _SENDING[4], _SENDING[8], _BOOKING[1])
    for again in ("leased", "connected", "before_look_written", "look_written")
)
CASES = (*_SINGLES, *_ASKED, *_DOUBLE)


@dataclass
class Outcome:
    """What one case ended in."""

    state: str
    violations: list[str] = field(default_factory=list)
    kills: int = 0
    lost_fills: int = 0
    duplicate_orders: int = 0


class Arena:
    """A loopback Gateway, a ledger, and gateway processes that come and go."""

    def __init__(
        self,
        ledger: Path | str,
        tws: TradingGateway,
        began: datetime,
        *,
        symbols: Sequence[str] = SYMBOLS,
        preferences: Mapping[str, object] | None = None,
    ) -> None:
        self._symbols, self._preferences = symbols, dict(preferences or {})
        self.tws = tws
        self.where = ledger
        self.clock = ReplayedClock(OPEN.astimezone(UTC), 1.0, began)
        self._clock_text = f"{OPEN.isoformat()}@1/{began.isoformat()}"
        with _MIGRATING:
            self.engine = open_ledger(ledger, durability="FULL", lane=BOOK)
        self.store = SqlDispatch(self.engine, BOOK, client_id=11)
        ib = InteractiveBrokers(port=tws.port, account=ACCOUNT, timeout_seconds=2.0)
        self.settings = ExecutionSettings(broker="ib", ib=ib, rhythm=RHYTHM, reactions=Reactions(naked_seconds=2.0))
        self.process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the arena
        self.prices: dict[str, Decimal] = {}
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._release()
        self._keeper.start()

    def start(self, at: str = "") -> None:
        """One more process; `at` says where which signal hits it."""
        settings = json.loads(self.settings.model_dump_json())
        told = {
            "ledger": str(self.where),
            "settings": settings,
            "symbols": self._symbols,
            "preferences": self._preferences,
        }
        environment = {**os.environ, "DESK_CLOCK": self._clock_text, "GATEWAY_AT": at}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.child", json.dumps(told)],
            cwd=PROJECT,
            env=environment,
            stderr=self._log,
        )

    def until_active(self) -> None:
        """Waits for a living gateway that may open."""
        self.until(lambda: self._says().get("state") == "ACTIVE", "the gateway to be ACTIVE")

    def until_free(self) -> None:
        """Waits until the lease of whoever died has run out."""
        name, leases = f"gateway:{BOOK}", Leases(self.engine)
        while (lease := leases.current(name)) is not None and lease.until >= self.clock.now():
            time.sleep(0.02)

    def until_dead(self) -> int:
        """Waits for the process to end; its exit code, negative for a signal."""
        if self.process is None:
            raise RuntimeError("no process runs")
        return self.process.wait(WAIT_S)

    def until(self, holds: Any, what: str) -> None:
        """Waits for a condition, some seconds at most."""
        end = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                if holds():
                    return
                raise TimeoutError(f"waited in vain for {what}: {self._says()}\n{self.log()}")
            time.sleep(0.02)

    def sign(self, **changed: Any) -> Intent:
        """A signed intent, as a decision would leave it."""
        intent = propose_in(self.engine, plan_of(as_of=self.clock.now(), **changed), self.clock.now())
        self.store.seal(seals_of(intent, SIGNERS, self.clock.now()), as_of=self.clock.now())
        return intent

    def quote(self, symbol: str, price: Decimal, size: int = 5_000) -> None:
        """The market in a symbol, a cent on either side."""
        cent = Decimal("0.01")
        self.tws.set_quote(symbol, str(price - cent), str(price + cent), last=str(price), bid_size=size, ask_size=size)

    def sign_until_hit(self) -> Intent:
        """Signs an intent and waits for the process to die of it.

        A machine that is too slow for the controls signs another one. A point that is not passed within HIT_S, for events came in
        one batch, is a death at whatever moment that is.
        """
        for number in range(5):
            intent = self.sign(slot=f"try {number}")
            end = time.monotonic() + HIT_S
            while state_in(self.engine, intent.id) not in {"VETOED", "EXPIRED"}:
                if self.process is not None and time.monotonic() > end:
                    self.process.kill()
                    self.process.wait(WAIT_S)
                if self.process is not None and self.process.poll() is not None:
                    return intent
                time.sleep(0.02)
        raise TimeoutError(f"every intent was refused\n{self.log()}")

    def log(self) -> str:
        """What the processes said."""
        self._log.seek(0)
        return self._log.read().decode()[-6_000:]

    def stop(self) -> int:
        """Ends the process as a service manager would."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def go_on(self) -> None:
        """Wakes a process that was stopped."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Ends whatever runs."""
        self._done.set()
        self._keeper.join(5)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        self.engine.dispose()
        self._log.close()

    def outcome(self, intent: Intent, kills: int) -> Outcome:
        """What is not as it must be, read from the broker's own truth and never from the desk's word for it."""
        truth, state, known = self.tws.truth(), state_in(self.engine, intent.id), self.store.known()
        entries = [order.ref for order in truth.orders if order.ref.startswith("D1:") and not order.parent_id]
        held = truth.positions.get("AAPL", Decimal(0))
        with reading(self.engine) as connection:
            booked: set[str] = set(connection.execute(sa.select(t.EXECUTIONS.c.exec_id)).scalars())
        stops = [
            o for o in truth.orders if o.kind == "STP" and o.transmit and o.status in {"PreSubmitted", "Submitted"}
        ]
        covered = sum((order.quantity - order.filled for order in stops), Decimal(0))
        told = {fill.exec_id for fill in truth.fills}
        checks = {
            f"{held} shares for state {state}": held == (intent.quantity if state == "FILLED" else 0),
            f"{covered} of {held} shares covered": covered >= held,
            f"booked {booked}, traded {told}": booked == told,
            f"known {known.position('AAPL')}": known.position("AAPL") == held,
            f"cash {known.cash}, at the broker {truth.cash}": known.cash == truth.cash,
            f"halts {self.store.halts()}": not self.store.halts(),
            f"entries {entries}": len(entries) == len(set(entries)) <= 1,
        }
        wrong = [what for what, holds in checks.items() if not holds]
        return Outcome(state, wrong, kills, len(told - booked), len(entries) - len(set(entries)))

    def _says(self) -> dict[str, Any]:
        beat = Heartbeats(self.engine).ages(as_of=self.clock.now()).get("gateway")
        alive = self.process is not None and beat is not None and beat.pid == self.process.pid
        return json.loads(beat.state) if beat is not None and alive else {}

    def _keep(self) -> None:
        """The watchdog's sign of life, and a market that moves its sizes."""
        for size in itertools.cycle((5_000, 5_100)):
            with suppress(Exception):
                Heartbeats(self.engine).beat("watchdog", pid=1, state="watching", as_of=self.clock.now())
            for symbol in self._symbols:
                price = self.prices.get(symbol, Decimal(200 if symbol == "MSFT" else 100))
                self.quote(symbol, price, size)
            if self._done.wait(0.5):
                return

    def _release(self) -> None:
        self.store.halt("C1 first start", as_of=self.clock.now())
        for halt in self.store.halts():
            with SqlLedger(self.engine, BOOK).session() as ledger:
                ledger.acknowledge(halt.id, "begin", as_of=self.clock.now())


@contextmanager
def arena(
    ledger: Path | str,
    *,
    listings: Mapping[str, tuple[Instrument, ...]] = LISTINGS,
    symbols: Sequence[str] = SYMBOLS,
    preferences: Mapping[str, object] | None = None,
) -> Iterator[Arena]:
    """An arena of its own, closed at the end."""
    began = RealClock().now()
    clock = ReplayedClock(OPEN.astimezone(UTC), 1.0, began)
    tws = TradingGateway(clock=clock, cash=Decimal(100_000), listings=listings)
    with running(tws):
        made = Arena(ledger, tws, began, symbols=symbols, preferences=preferences)
        try:
            yield made
        finally:
            made.close()


def play(ledger: Path | str, case: Case) -> Outcome:
    """The deaths of a case, and what is true when a living gateway has looked at it all."""
    with arena(ledger) as stage:
        if case.waits:
            intent = stage.sign()
            stage.start(case.at)
            stage.until_dead()
        else:
            stage.start(case.at)
            stage.until_active()
            intent = stage.sign_until_hit()
        if case.again:
            stage.until_free()
            stage.start(case.again)
            stage.until_dead()
        stage.until_free()
        stage.start()
        stage.until(lambda: state_in(stage.engine, intent.id) in TERMINAL, "the intent to end")
        stage.until_active()
        outcome = stage.outcome(intent, 2 if case.again else 1)
        stage.stop()
    if outcome.state not in case.states:
        outcome.violations.append(f"ended {outcome.state}")
    return outcome


def play_stopped(ledger: Path | str) -> Outcome:
    """A gateway that is stopped between its commit and the wire for longer than its lease, and then goes on."""
    with arena(ledger) as stage:
        stage.start("submitted:STOP")
        stage.until_active()
        intent = stage.sign()
        stage.until(lambda: state_in(stage.engine, intent.id) == "SUBMITTING", "the commit")
        stage.until_free()
        stage.go_on()
        wrong = [] if stage.until_dead() == LEASE_LOST else ["it went on without its lease"]
        wrong += [f"{len(stage.tws.truth().orders)} orders were sent late"] if stage.tws.truth().orders else []
        stage.start()
        stage.until(lambda: state_in(stage.engine, intent.id) in TERMINAL, "the proof of absence")
        stage.until_active()
        outcome = stage.outcome(intent, 1)
        stage.stop()
    outcome.violations += wrong + ([] if outcome.state == "ABANDONED" else [f"ended {outcome.state}"])
    return outcome
