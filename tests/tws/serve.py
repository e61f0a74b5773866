"""The Gateway as a process of its own, which outlives those that a test kills: `python -m tests.tws.serve --quote AAPL=100/100.02`.

It prints one line, `{"port": …, "control": …}`, and then answers commands: JSON lines on its standard input, or on the control port
from any other process. `{"do": "set_price", "symbol": "AAPL", "price": "98"}` is a hand of `TradingGateway`; `Commands` lists the
rest. It ends with its standard input.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.tws import faults
from tests.tws.book import Fill, Order
from tests.tws.gateway import Tap, running
from tests.tws.trading import TradingGateway

HANDS = frozenset({"set_quote", "set_price", "halt", "hold", "tell", "drop", "away", "back", "liquidate", "correct"})
Answer = dict[str, Any]


class Commands:
    """What a line may ask for; the answer is a mapping, `{"error": …}` where something is wrong with it."""

    def __init__(self, gateway: TradingGateway) -> None:
        self._gateway = gateway
        self._faults: list[Tap] = []
        self._known: dict[str, Callable[..., Answer | None]] = {
            "truth": lambda: _truth(gateway),
            "fault": self._fault,
            "release": self._release,
            "no_faults": gateway.without_faults,
            "judge": lambda code, ref="", **more: self._judge(code, ref, **more),
            "by_hand": lambda **order: {"perm_id": gateway.place_by_hand(**order).perm_id},
            "cancel": self._cancel,
            "fill": self._fill,
            "restart": lambda next_ids=None: gateway.restart(next_ids={int(k): v for k, v in (next_ids or {}).items()}),
            "accounts": self._accounts,
            "values": lambda **tags: gateway.account.extra.update(tags),
            "close_session": lambda: gateway.do(gateway.book.close_session),
            "open_session": lambda: gateway.do(gateway.book.open_session),
            "data_kind": lambda kind: gateway.do(lambda: gateway.market.change_kind(kind)),
            "asked": lambda message: {"asked": gateway.asked(message)},
        }

    def run(self, line: str) -> Answer:
        """One command."""
        try:
            command = json.loads(line)
            name = command.pop("do")
            act = getattr(self._gateway, name) if name in HANDS else self._known[name]
            done = act(**command)
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            return {"error": f"{type(wrong).__name__}: {wrong}"}
        return done if isinstance(done, dict) else {"ok": True}

    def _fault(self, kind: str, *, args: Iterable[Any] = (), **more: Any) -> Answer:
        if kind not in faults.__all__:
            raise ValueError(f"there is no fault {kind}")
        if kind == "LinkLost":
            lost = faults.LinkLost(self._gateway)
            lost.begin()
            self._faults.append(lost)
        else:
            tap: Tap = getattr(faults, kind)(*args, **more)
            self._faults.append(tap)
            self._gateway.with_faults(tap)
        return {"fault": len(self._faults) - 1}

    def _release(self, fault: int, *, data_kept: bool = True) -> Answer | None:
        tap = self._faults[fault]
        if isinstance(tap, faults.LinkLost):
            tap.end(data_kept=data_kept)
        elif isinstance(tap, faults.Late | faults.LateAnswer):
            tap.release(self._gateway)
        else:
            raise TypeError(f"{type(tap).__name__} holds nothing back")
        return None

    def _judge(self, code: int, ref: str, *, lives: bool = False, times: int = 1) -> None:
        def fits(order: Order) -> bool:
            return order.ref.startswith(ref)

        verdict = faults.warn(code, fits=fits) if lives else faults.refuse(code, fits=fits)
        for _ in range(times):
            self._gateway.judge(verdict)

    def _order(self, perm_id: int) -> Order:
        return next(order for order in self._gateway.book.orders if order.perm_id == perm_id)

    def _cancel(self, perm_id: int) -> None:
        self._gateway.cancel_by_hand(self._order(perm_id))

    def _fill(self, perm_id: int, shares: int, price: str) -> Answer:
        return {"exec_id": self._gateway.fill(self._order(perm_id), shares, price).exec_id}

    def _accounts(self, names: list[str]) -> None:
        self._gateway.accounts = tuple(names)


def _truth(gateway: TradingGateway) -> Answer:
    ground = gateway.truth()
    return {
        "orders": [_order(order) for order in ground.orders],
        "fills": [_fill(fill) for fill in ground.fills],
        "positions": {symbol: str(quantity) for symbol, quantity in sorted(ground.positions.items())},
        "cash": str(ground.cash),
    }


def _order(order: Order) -> Answer:
    return {
        "perm_id": order.perm_id,
        "client_id": order.client_id,
        "order_id": order.order_id,
        "ref": order.ref,
        "symbol": order.instrument.symbol,
        "action": order.action,
        "kind": order.kind,
        "quantity": str(order.quantity),
        "filled": str(order.filled),
        "limit": str(order.limit) if order.limit is not None else None,
        "aux": str(order.aux) if order.aux is not None else None,
        "parent_id": order.parent_id,
        "oca_group": order.oca_group,
        "transmit": order.transmit,
        "status": order.status,
    }


def _fill(fill: Fill) -> Answer:
    return {
        "exec_id": fill.exec_id,
        "perm_id": fill.order.perm_id,
        "ref": fill.order.ref,
        "symbol": fill.order.instrument.symbol,
        "action": fill.order.action,
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "fee": str(fill.fee),
    }


async def _control(commands: Commands, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers lines on one control connection; hands wait for the loop, so they act from a thread."""
    loop = asyncio.get_running_loop()
    while line := await reader.readline():
        answer = await loop.run_in_executor(None, commands.run, line.decode())
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


def _control_port(gateway: TradingGateway, commands: Commands) -> int:
    async def opened() -> int:
        server = await asyncio.start_server(lambda r, w: _control(commands, r, w), "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    return asyncio.run_coroutine_threadsafe(opened(), gateway.loop).result(10)


def _say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Serves until the standard input ends; the exit code."""
    parser = argparse.ArgumentParser(description="A loopback Gateway that trades.")
    parser.add_argument("--quote", action="append", default=[], metavar="SYMBOL=BID/ASK")
    parser.add_argument("--cash", type=Decimal, default=Decimal(1_000_000))
    parser.add_argument("--reduces", choices=("shares", "proportion"), default="shares")
    parser.add_argument("--script", type=Path, help="commands, one on each line, before anybody may connect")
    options = parser.parse_args(arguments)
    gateway = TradingGateway(cash=options.cash, reduces=options.reduces)
    commands = Commands(gateway)
    with running(gateway):
        for text in options.quote:
            symbol, sides = text.split("=")
            gateway.set_quote(symbol, *sides.split("/"))
        for line in options.script.read_text().splitlines() if options.script else ():
            answer = commands.run(line)
            if "error" in answer:
                sys.stderr.write(f"{line}: {answer['error']}\n")
                return 2
        _say({"port": gateway.port, "control": _control_port(gateway, commands)})
        for line in sys.stdin:
            _say(commands.run(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
