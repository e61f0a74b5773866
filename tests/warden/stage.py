"""A loopback Gateway, a real gateway process and a real watchdog process, and what a test does to them.

Broker and ledger outlive both. The market is quoted all the time; nobody else says that the watchdog lives.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from resources.clock import RealClock, ReplayedClock
from resources.ledger.halt_file import HaltFile
from resources.ledger.state import Heartbeats
from tests.gateway.kill import PROJECT, RHYTHM, WAIT_S, Arena
from tests.gateway.parts import OPEN, SYMBOLS, state_in
from tests.tws.book import Order
from tests.tws.gateway import running
from tests.tws.trading import LISTINGS, TradingGateway
from trading_assets.broker.settings import Watch
from trading_assets.execution.ports import Intent

GATEWAY, WATCHDOG = 11, 12
SHARES = 40


class Stage(Arena):
    """An arena with a watchdog; bounds of signs of life are shorter than at a desk, for a test has no minute."""

    def __init__(self, folder: Path, tws: TradingGateway, watch: Watch) -> None:
        self.folder = folder
        self.watchdog: subprocess.Popen[bytes] | None = None
        self._watchdog_log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the stage
        super().__init__(folder / "desk.sqlite", tws, tws.clock.began)  # type: ignore[attr-defined] # a replayed clock
        self.settings = self.settings.model_copy(update={"watch": watch, "rhythm": RHYTHM})

    def watch(self) -> None:
        """Starts a watchdog."""
        told = {
            "ledger": str(self.where),
            "home": str(self.folder),
            "settings": json.loads(self.settings.model_dump_json()),
        }
        self.watchdog = subprocess.Popen(
            [sys.executable, "-m", "tests.warden.child", json.dumps(told)],
            cwd=PROJECT,
            env={**os.environ, "DESK_CLOCK": self._clock_text},
            stderr=self._watchdog_log,
        )

    def holding(self) -> Intent:
        """Both processes live, forty shares are held with their bracket, and an entry in another symbol waits."""
        self.watch()
        self.start()
        self.until_active()
        intent = self.entered()
        self.until(lambda: state_in(self.engine, intent.id) == "FILLED", "the entry to fill")
        self.until(lambda: self.says("watchdog") == "ACTIVE", "the watchdog to be content")
        return intent

    def entered(self) -> Intent:
        """An entry that was sent; on a machine that is too slow for the controls, another one."""
        for number in range(5):
            intent = self.sign(slot=f"try {number}")
            self.until(
                lambda i=intent: state_in(self.engine, i.id) not in {"PROPOSED", "SIGNED", "INTENT"}, "the dispatch"
            )
            if state_in(self.engine, intent.id) not in {"VETOED", "EXPIRED"}:
                return intent
        raise TimeoutError(f"every intent was refused\n{self.words()}")

    def lose(self, equity: str = "90000.00") -> None:
        """The broker says that the account is worth less."""
        self.tws.do(lambda: self.tws.account.extra.update({"NetLiquidation": equity}))

    def entry_waits(self) -> None:
        """An entry of the gateway's rests at the broker; only the gateway's own client id may cancel it."""
        limit = Decimal(150)
        entry = Order(GATEWAY, 900, self.tws.instrument("MSFT"), "BUY", Decimal(10), "LMT", limit, ref="D1:waits")
        self.tws.do(lambda: self.tws.book.enter(entry))

    def uncover(self) -> None:
        """Stop and target are cancelled by a person."""
        for each in self.tws.book.orders:
            if each.oca_group:
                self.tws.cancel_by_hand(each)

    def freeze(self) -> None:
        """The gateway stands still."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The gateway goes on, if it is still there."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def says(self, process: str) -> str:
        """What a process last said that it allows."""
        beat = Heartbeats(self.engine).ages(as_of=self.clock.now()).get(process)
        return str(json.loads(beat.state)["state"]) if beat is not None and beat.state.startswith("{") else ""

    def halts(self) -> list[str]:
        """Causes of open halts."""
        return [halt.cause for halt in self.store.halts()]

    def noted(self) -> str:
        """What the halt file says."""
        found = HaltFile(self.folder).read()
        return found.cause if found is not None else ""

    def held(self) -> Decimal:
        """Shares of AAPL at the broker."""
        return self.tws.truth().positions.get("AAPL", Decimal(0))

    def open_orders(self) -> list[Order]:
        """Orders that can still fill, at the broker."""
        return [each for each in self.tws.truth().orders if each.status in {"PreSubmitted", "Submitted"}]

    def sold_by(self) -> list[int]:
        """Client ids of the market orders that were sent."""
        return [each.client_id for each in self.tws.truth().orders if each.kind == "MKT"]

    def took(self, holds: Callable[[], bool], what: str, *, since: float) -> float:
        """Seconds until something holds, whatever became of the gateway."""
        end = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"waited in vain for {what}\n{self.words()}")
            time.sleep(0.01)
        return time.monotonic() - since

    def words(self) -> str:
        """What both processes said."""
        self._watchdog_log.seek(0)
        return f"{self.log()}\n--- watchdog\n{self._watchdog_log.read().decode()[-6_000:]}"

    def close(self) -> None:
        """Ends whatever runs, a process that was stopped too."""
        for process in (self.watchdog, self.process):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(WAIT_S)
        super().close()
        self._watchdog_log.close()

    def _keep(self) -> None:
        """A market that moves its sizes."""
        for size in itertools.cycle((5_000, 5_100)):
            for symbol in self._symbols:
                with suppress(Exception):
                    self.quote(symbol, self.prices.get(symbol, Decimal(200 if symbol == "MSFT" else 100)), size)
            if self._done.wait(0.5):
                return


@contextmanager
def stage(folder: Path, **watch: float) -> Iterator[Stage]:
    """A stage of its own, closed at the end; `watch` are bounds of the watchdog."""
    clock = ReplayedClock(OPEN.astimezone(UTC), 1.0, RealClock().now())
    tws = TradingGateway(clock=clock, cash=Decimal(100_000), listings={name: LISTINGS[name] for name in SYMBOLS})
    with running(tws):
        made = Stage(folder, tws, Watch.model_validate(watch))
        try:
            yield made
        finally:
            made.close()
