"""Real processes that die by a real signal at named points, and what is true at the broker afterwards.

Broker and ledger outlive the process. `python -m tests.gateway.kill [--postgresql]` runs every case and prints one JSON line.
"""

import argparse
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

from resources.clock import RealClock, ReplayedClock
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, reading
from resources.ledger.state import Heartbeats
from resources.ledger.store import SqlLedger
from tests.gateway.parts import BOOK, OPEN, SYMBOLS, plan_of, propose_in, seals_of, state_in
from tests.tws.book import Instrument
from tests.tws.gateway import ACCOUNT, running
from tests.tws.trading import LISTINGS, TradingGateway
from trading_assets.broker.lifecycle import TERMINAL
from trading_assets.broker.settings import ExecutionSettings, InteractiveBrokers, Rhythm
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import SIGNERS

PROJECT = Path(__file__).parents[2]
WAIT_S, HIT_S = 60.0, 8.0
RHYTHM = Rhythm(reconcile_seconds=0.3, heartbeat_seconds=0.1, lease_seconds=4.0, absence_seconds=0.5, probe_seconds=1.0)
CASES: tuple[tuple[str, tuple[int, ...], frozenset[str]], ...] = (
    ("before_accept", (3,), frozenset({"EXPIRED"})),
    ("accepted", (3,), frozenset({"EXPIRED"})),
    ("before_submit", (3,), frozenset({"EXPIRED"})),
    ("submitted", (4,), frozenset({"ABANDONED"})),
    ("written", (6,), frozenset({"FILLED"})),
    ("drained", (6,), frozenset({"FILLED"})),
    ("sent", (7,), frozenset({"FILLED"})),
    ("before_apply", (7,), frozenset({"FILLED"})),
    ("before_apply:KILL:2", (8,), frozenset({"FILLED"})),
    ("applied:KILL:2", (8,), frozenset({"FILLED"})),
    ("submitted:TERM", (10,), frozenset({"FILLED", "ABANDONED"})),
)
DOUBLE = ("connected", "before_look_written", "look_written")
"""Where the second process dies too, while it recovers from the first death."""


@dataclass
class Outcome:
    """What one case ended in."""

    state: str
    violations: list[str] = field(default_factory=list)
    kills: int = 0


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
        self.engine = open_ledger(ledger, durability="FULL", lane=BOOK)
        self.store = SqlDispatch(self.engine, BOOK, client_id=11)
        ib = InteractiveBrokers(port=tws.port, account=ACCOUNT, timeout_seconds=2.0)
        self.settings = ExecutionSettings(broker="ib", ib=ib, rhythm=RHYTHM)
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

    def close(self) -> None:
        """Ends whatever runs."""
        self._done.set()
        self._keeper.join(5)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        self.engine.dispose()
        self._log.close()

    def violations(self, intent: Intent) -> list[str]:
        """What is not as it must be, read from the broker's own truth and never from the desk's word for it."""
        truth, state = self.tws.truth(), state_in(self.engine, intent.id)
        entries = [order for order in truth.orders if order.ref.startswith("D1:") and not order.parent_id]
        held = truth.positions.get("AAPL", Decimal(0))
        with reading(self.engine) as connection:
            booked: set[str] = set(connection.execute(sa.select(t.EXECUTIONS.c.exec_id)).scalars())
        stops = [o for o in truth.orders if o.kind == "STP" and o.status in {"PreSubmitted", "Submitted"}]
        covered = sum((order.quantity - order.filled for order in stops), Decimal(0))
        checks = {
            f"{len(entries)} entries": len(entries) <= 1,
            f"{held} shares for state {state}": held == (intent.quantity if state == "FILLED" else 0),
            f"{covered} of {held} shares covered": covered >= held,
            f"booked {booked}": booked == {fill.exec_id for fill in truth.fills},
            f"known {self.store.known().position('AAPL')}": self.store.known().position("AAPL") == held,
            f"halts {self.store.halts()}": not self.store.halts(),
        }
        return [what for what, holds in checks.items() if not holds]

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


def play(ledger: Path | str, at: str, again: str = "") -> Outcome:
    """One death, perhaps a second one during recovery, and what is true when a living gateway has looked at it all."""
    with arena(ledger) as stage:
        stage.start(at)
        stage.until_active()
        intent = stage.sign_until_hit()
        kills = 1
        if again:
            stage.start(again)
            stage.until_dead()
            kills += 1
        time.sleep(RHYTHM.lease_seconds)
        stage.start()
        stage.until(lambda: state_in(stage.engine, intent.id) in TERMINAL, "the intent to end")
        stage.until_active()
        found = stage.violations(intent)
        stage.stop()
        return Outcome(state_in(stage.engine, intent.id), found, kills)


def main() -> None:
    """Every case, on file SQLite and, when asked for, on PostgreSQL."""
    parser = argparse.ArgumentParser(description="Deaths of the gateway at every point.")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--singles-only", action="store_true")
    options = parser.parse_args()
    cases = [(at, "", states) for at, _, states in CASES]
    cases += [] if options.singles_only else [("drained", again, frozenset({"FILLED"})) for again in DOUBLE]
    kills, wrong = 0, []
    for number, (at, again, states) in enumerate(cases):
        with _ledger(postgresql=options.postgresql) as where:
            outcome = play(where, at, again)
        kills += outcome.kills
        problems = outcome.violations + ([] if outcome.state in states else [f"ended {outcome.state}"])
        wrong += [f"{at} {again}: {problem}" for problem in problems]
        sys.stderr.write(f"{number + 1}/{len(cases)} {at} {again}: {outcome.state} {problems}\n")
    sys.stdout.write(json.dumps({"bench": "gateway_kills", "cases": len(cases), "kills": kills, "wrong": wrong}) + "\n")


@contextmanager
def _ledger(*, postgresql: bool) -> Iterator[Path | str]:
    if postgresql:
        from tests.postgres import running as server

        with server() as database:
            yield database.url()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "desk.sqlite"


if __name__ == "__main__":
    main()
