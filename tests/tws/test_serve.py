"""The Gateway as a process: its commands, its control port, its end, and that it outlives who trades with it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tws.client import until
from tests.tws.process import ROOT, BrokerProcess, broker_process
from tests.tws.serve import Commands
from tests.tws.trading import TradingGateway

BUYER = """
import asyncio, sys, time
from ib_async import IB, LimitOrder, Stock
async def main():
    ib = IB()
    await ib.connectAsync("127.0.0.1", int(sys.argv[1]), clientId=11, timeout=5)
    trade = ib.placeOrder(Stock("AAPL", "SMART", "USD"), LimitOrder("BUY", 10, 99, tif="GTC", orderRef="D1:killed"))
    while trade.orderStatus.status != "Submitted":
        await asyncio.sleep(0.01)
    print("placed", flush=True)
    time.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    """One process for the tests of this module, with two quotes."""
    with broker_process("--quote", "AAPL=100.00/100.02", "--quote", "MSFT=50.00/50.02") as running:
        yield running


def test_the_order_of_a_killed_process_lives_on_and_fills(broker: BrokerProcess) -> None:
    buyer = subprocess.Popen([sys.executable, "-c", BUYER, str(broker.port)], stdout=subprocess.PIPE, cwd=ROOT)
    assert buyer.stdout is not None
    assert buyer.stdout.readline() == b"placed\n"
    buyer.send_signal(signal.SIGKILL)
    buyer.wait(10)
    buyer.stdout.close()
    broker.do("set_quote", symbol="AAPL", bid="98.98", ask="99.00")
    truth = broker.do("truth")
    (order,) = [order for order in truth["orders"] if order["ref"] == "D1:killed"]
    assert (order["status"], order["filled"]) == ("Filled", "10")
    assert truth["positions"]["AAPL"] == "10"


def test_another_process_commands_it_over_the_control_port(broker: BrokerProcess) -> None:
    with socket.create_connection(("127.0.0.1", broker.control), timeout=5) as control:
        lines = control.makefile("rw")
        for command in ({"do": "by_hand", "symbol": "MSFT", "action": "BUY", "quantity": 3}, {"do": "truth"}):
            lines.write(json.dumps(command) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
    assert answer["positions"]["MSFT"] == "3"


def test_it_can_go_away_and_come_back_by_either_way(broker: BrokerProcess) -> None:
    with socket.create_connection(("127.0.0.1", broker.control), timeout=5) as control:
        lines = control.makefile("rw")
        lines.write('{"do": "away"}\n')
        lines.flush()
        assert json.loads(lines.readline()) == {"ok": True}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port), timeout=5)
    broker.do("back")
    socket.create_connection(("127.0.0.1", broker.port), timeout=5).close()


def test_a_wrong_command_is_an_answer_and_no_end(broker: BrokerProcess) -> None:
    for wrong in ("nothing", "release", "fault"):
        with pytest.raises(ValueError, match=wrong):
            broker.do(wrong)
    assert "cash" in broker.do("truth")


def test_it_ends_with_its_standard_input() -> None:
    with broker_process() as running:
        port = running.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_script_is_run_before_anybody_connects(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"do": "hold", "symbol": "AAPL", "quantity": 5, "cost": "90"}\n')
    with broker_process("--script", str(script)) as running:
        assert running.do("truth")["positions"] == {"AAPL": "5"}


def test_a_script_that_is_wrong_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"do": "dance"}\n')
    done = subprocess.run(
        [sys.executable, "-m", "tests.tws.serve", "--script", str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "dance" in done.stderr


def test_every_command_of_a_process_does_what_the_hand_does() -> None:
    """In this process, without a connection: what the commands change is the book."""
    from tests.tws.gateway import running

    def done(name: str, **arguments: object) -> dict[str, object]:
        answer: dict[str, object] = commands.run(json.dumps({"do": name, **arguments}))
        assert "error" not in answer, answer
        return answer

    with running(TradingGateway()) as gateway:
        commands = Commands(gateway)
        done("set_price", symbol="AAPL", price="100")
        bought = done("by_hand", symbol="AAPL", action="BUY", quantity=10)
        rests = done("by_hand", symbol="AAPL", action="BUY", quantity=10, limit="90")
        exec_id = done("fill", perm_id=rests["perm_id"], shares=4, price="89.50")["exec_id"]
        done("correct", exec_id=exec_id, price="89.40")
        done("cancel", perm_id=rests["perm_id"])
        done("judge", code=201, ref="D1:", times=2)
        late = done("fault", kind="Late")
        done("release", **late)
        lost = done("fault", kind="LinkLost")
        done("release", **lost)
        done("no_faults")
        done("accounts", names=["DU1", "DU2"])
        done("values", ExcessLiquidity=None)
        done("data_kind", kind=3)
        done("restart", next_ids={"11": 1})
        done("close_session")
        done("open_session")
        done("liquidate", symbol="AAPL")
        assert (done("asked", message=3), gateway.accounts) == ({"asked": []}, ("DU1", "DU2"))
        assert gateway.next_ids[11] == 1
        assert len(gateway.orders.verdicts) == 2
        assert "ExcessLiquidity" not in gateway.account.values()
        truth = gateway.truth()
    assert bought["perm_id"] != rests["perm_id"]
    assert truth.positions == {}
    assert [str(fill.price) for fill in truth.fills] == ["100.01", "89.40", "99.99"]


def test_waiting_fails_when_nothing_happens() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(until(lambda: False, seconds=0.01))
