"""`desk gateway` as the operator starts it: from configuration, a home and a replayed clock, on the paper broker's own account."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from desk.halts import run_resume
from gateway.process import run_gateway
from resources.brokers.opening import PAPER_ACCOUNT
from resources.clock import RealClock, desk_clock
from resources.keys import KeyRing
from resources.lake import ParquetLake
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch, propose
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.state import Heartbeats
from resources.ledger.store import SqlLedger
from tests.gateway.parts import BOOK, DAY, plan_of, state_in
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Decision, Intent
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.signatures.model import SIGNERS, Verdict
from trading_assets.signatures.signing import seal

BEGINS = datetime(2024, 3, 25, 9, 31, 5, tzinfo=NEW_YORK)
WAIT_S = 40.0
MINUTE = timedelta(minutes=1)


class Desk:
    """A home with a ledger, limits and keys, as the processes of a desk share it."""

    def __init__(self, home: Home, config: Path) -> None:
        self.home = home
        self.clock = desk_clock()
        self.engine = open_ledger(home.ledger(BOOK), durability="FULL", lane=BOOK)
        self.store = SqlDispatch(self.engine, BOOK)
        self.limits = hashlib.sha256((config / "preferences.yaml").read_bytes()).hexdigest()
        self._log = home.root / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """`desk gateway`."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "desk.main", "gateway"], cwd=PROJECT, stdout=log, stderr=log
            )

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Waits, some seconds at most."""
        end = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                raise TimeoutError(f"waited in vain for {what}: {self.says()}\n{self._log.read_text()[-4_000:]}")
            time.sleep(0.02)

    def says(self) -> dict[str, object]:
        """The gateway's own words."""
        beat = Heartbeats(self.engine).ages(as_of=self.clock.now()).get("gateway")
        return json.loads(beat.state) if beat is not None else {}

    def sign(self, **changed: object) -> Intent:
        """An intent that was decided and sealed by all three."""
        now = self.clock.now()
        plan = plan_of(as_of=now, **changed)
        verdict = Verdict(
            signer="risk_gate",
            plan_id=plan.id,
            plan_digest=plan.digest,
            ruling="approve",
            quantity=plan.quantity,
            breaches=(),
        )
        intent = intent_for(plan, verdict, book=BOOK, limits_hash=self.limits)
        decision = Decision(plan.session, plan.slot, now, "ACTIVE", "a test", 1, 0, self.limits)
        with SqlLedger(self.engine, BOOK).session() as ledger:
            ledger.add_decision(decision, [(plan, verdict)], [intent], orders_of(intent))
        with transaction(self.engine) as connection:
            entries, _ = propose(connection, BOOK, [intent], as_of=now)
            append_entries(connection, entries)
        keys = KeyRing(self.home)
        seals = [
            seal(
                intent.id,
                plan.digest,
                intent.quantity,
                self.limits,
                signer=signer,
                key=keys.signing(signer),
                signed_at=now,
                valid=timedelta(seconds=60),
            )
            for signer in SIGNERS
        ]
        self.store.seal(seals, as_of=now)
        return intent

    def why(self, intent: Intent) -> str:
        query = sa.select(t.INTENT_STATES.c.why).where(t.INTENT_STATES.c.intent_id == intent.id)
        with reading(self.engine) as connection:
            return str(connection.execute(query).scalar())

    def end(self) -> int:
        """As a service manager ends it."""
        if self.process is None or self.process.poll() is not None:
            return -1
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While a watchdog says that it lives."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(0.5):
                Heartbeats(self.engine).beat(
                    "watchdog", pid=1, state="watching", as_of=self.clock.now(), limits_hash=self.limits
                )

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(5)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        self.engine.dispose()


def lake_of(home: Home) -> None:
    """A day of quiet minutes of one stock at 100 USD, and the volume of the day before."""
    session, lake = XNYS.session(DAY), ParquetLake(home.lake)
    count = int((session.close - session.open) / MINUTE)
    bars = [
        {
            "symbol": "AAPL",
            "session": DAY,
            "frequency": "1m",
            "start": session.open + number * MINUTE,
            "open": 100.0,
            "high": 100.02,
            "low": 99.98,
            "close": 100.0,
            "volume": 200_000.0,
            "source": "a test",
            "knowable_at": session.open + (number + 1) * MINUTE,
        }
        for number in range(count)
    ]
    lake.write(INTRADAY_BARS, pl.DataFrame(bars), Span(DAY, DAY))
    before: date = XNYS.previous(DAY).day
    known = {column.name: 100.0 for column in INDICATORS.columns if column.type == "number"}
    told = {
        "symbol": "AAPL",
        "session": before,
        "volume_mean_20": 5_000_000.0,
        "knowable_at": XNYS.session(before).close,
    }
    lake.write(INDICATORS, pl.DataFrame([known | told]), Span(before, before))


@pytest.fixture
def desk(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    config = tmp_path / "config"
    shutil.copytree(PROJECT / "config", config)
    execution = config / "execution.yaml"
    execution.write_text(execution.read_text().replace("broker: bars ", "broker: paper "))
    monkeypatch.setenv("DESK_CONFIG", str(config))
    lake_of(home)
    monkeypatch.setenv("DESK_CLOCK", f"{BEGINS.isoformat()}@1/{RealClock().now().isoformat()}")
    made = Desk(home, config)
    yield made
    made.close()


def test_the_gateway_of_a_paper_desk_starts_halted_and_after_the_operators_release_fills_what_is_signed(
    desk: Desk,
) -> None:
    desk.start()
    with desk.watched():
        desk.until(lambda: desk.says().get("state") == "HALTED" and desk.store.halts(), "the halt of a first start")
        (halt,) = desk.store.halts()
        run_resume(BOOK, halt.id, "everything was read")
        desk.until(lambda: desk.says().get("state") == "ACTIVE", "the gateway to be ACTIVE")
        intent = desk.sign()
        desk.until(lambda: state_in(desk.engine, intent.id) not in {"PROPOSED", "SIGNED", "INTENT"}, "the dispatch")
        assert state_in(desk.engine, intent.id) not in {"VETOED", "EXPIRED"}, desk.why(intent)
        desk.until(lambda: state_in(desk.engine, intent.id) == "FILLED", "the fill")
        assert desk.store.known().position("AAPL") == intent.quantity
        assert not desk.store.halts()
        assert (desk.home.root / PAPER_ACCOUNT).exists()
    assert desk.end() == 0


def test_a_desk_without_a_broker_needs_no_gateway_and_is_told_so(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    shutil.copytree(PROJECT / "config", config)
    monkeypatch.setenv("DESK_CONFIG", str(config))
    with pytest.raises(ConfigurationError, match="broker bars"):
        run_gateway()
    assert not home.ledger(BOOK).exists()
