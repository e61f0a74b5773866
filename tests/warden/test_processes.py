"""A real gateway and a real watchdog at one loopback Gateway: what each does when the other stands still, dies, or cannot write."""

import signal
import sqlite3
import time
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.process import LEASE_LOST
from tests.gateway.kill import RHYTHM
from tests.gateway.parts import state_in
from tests.warden.stage import GATEWAY, SHARES, WATCHDOG, Stage, stage
from trading_assets.broker.lifecycle import TERMINAL

pytestmark = pytest.mark.slow

DECIDED_S, SENT_S = 2.0, 10.0


def flat(desk: Stage) -> bool:
    """Nothing held, nothing owed, nothing that could fill."""
    return desk.held() == 0 and not desk.open_orders()


@pytest.mark.control("W4")
@pytest.mark.fault(12)
@pytest.mark.fault(29)
def test_with_the_gateway_stopped_a_loss_is_halted_and_sold_and_the_gateway_never_sends_again(tmp_path: Path) -> None:
    """Dagster is not even started."""
    with stage(tmp_path) as desk:
        desk.holding()
        desk.freeze()
        desk.lose()
        begun = time.monotonic()
        decided = desk.took(lambda: bool(desk.halts()), "the halt", since=begun)
        sent = desk.took(lambda: desk.sold_by() == [WATCHDOG], "the sale", since=begun)
        desk.took(lambda: flat(desk), "an account with nothing in it", since=begun)
        assert (decided <= DECIDED_S, sent <= SENT_S) == (True, True), (decided, sent)
        assert "W4 the day" in desk.halts()[0]
        orders = len(desk.tws.truth().orders)
        time.sleep(max(0.0, begun + RHYTHM.lease_seconds + 0.5 - time.monotonic()))
        desk.thaw()
        assert desk.until_dead() == LEASE_LOST
        assert len(desk.tws.truth().orders) == orders
        assert desk.says("watchdog") == "HALTED"


@pytest.mark.control("W4")
@pytest.mark.fault(16)
def test_with_the_ledger_locked_a_note_halts_and_the_gateways_place_is_taken_to_cancel_its_entry(
    tmp_path: Path,
) -> None:
    with stage(tmp_path) as desk:
        desk.holding()
        desk.freeze()
        desk.entry_waits()
        with sqlite3.connect(desk.where, isolation_level=None, timeout=30) as other:
            other.execute("begin exclusive")
            desk.lose()
            begun = time.monotonic()
            decided = desk.took(lambda: bool(desk.noted()), "the note", since=begun)
            sent = desk.took(lambda: bool(desk.sold_by()), "the sale", since=begun)
            desk.took(lambda: flat(desk), "an account with nothing in it", since=begun)
            assert (decided <= DECIDED_S, sent <= SENT_S) == (True, True), (decided, sent)
            assert desk.halts() == []
            other.execute("rollback")
        desk.took(lambda: bool(desk.halts()), "the note to be told to the ledger", since=begun)
        assert desk.noted() in desk.halts()[0]
        assert desk.sold_by() == [WATCHDOG]
        assert desk.until_dead() == -signal.SIGKILL
        time.sleep(max(0.0, begun + RHYTHM.lease_seconds + 0.5 - time.monotonic()))
        desk.start()
        assert desk.until_dead() != 0
        assert "client id 11 is in use" in desk.log()


@pytest.mark.control("W3")
@pytest.mark.fault(106)
def test_without_a_watchdog_the_gateway_opens_nothing_and_one_that_comes_back_goes_on_with_the_halt(
    tmp_path: Path,
) -> None:
    with stage(tmp_path, watchdog_seconds=3.0) as desk:
        desk.watch()
        desk.start()
        desk.until_active()
        assert desk.watchdog is not None
        desk.watchdog.send_signal(signal.SIGKILL)
        desk.watchdog.wait()
        desk.until(lambda: desk.says("gateway") == "REDUCING", "the gateway to miss its watchdog")
        intent = desk.sign()
        desk.until(lambda: state_in(desk.engine, intent.id) in TERMINAL, "the refusal")
        assert state_in(desk.engine, intent.id) == "VETOED"
        assert desk.tws.truth().orders == ()
        desk.store.halt("a halt from before", as_of=desk.clock.now())
        desk.watch()
        desk.until(lambda: desk.says("watchdog") == "HALTED", "the watchdog to find the halt")


@pytest.mark.control("W4")
def test_with_both_alive_what_a_loss_asks_for_is_sold_once(tmp_path: Path) -> None:
    """The stop is gone, so no group of the broker's keeps two sales apart: only that one hand waits for the other does."""
    with stage(tmp_path) as desk:
        desk.holding()
        desk.uncover()
        desk.lose()
        begun = time.monotonic()
        desk.took(lambda: flat(desk), "an account with nothing in it", since=begun)
        time.sleep(2)
        assert desk.held() == 0
        assert len(desk.sold_by()) == 1
        assert desk.sold_by()[0] in {GATEWAY, WATCHDOG}
        sold = sum((fill.quantity for fill in desk.tws.truth().fills if fill.order.action == "SELL"), Decimal(0))
        assert sold == SHARES
        assert desk.process is not None
        assert desk.process.poll() is None
