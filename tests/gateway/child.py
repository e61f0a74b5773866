"""A real gateway process over the real client, on a loopback Gateway and a ledger that outlive it: `python -m tests.gateway.child`.

`GATEWAY_AT` names a point and what happens there, once: `submitted:KILL`, `submitted:STOP:2` for the second time it is passed, or
`look_written:KILL:1:written` for the first time after another point was passed.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from gateway.means import Means, Setup
from gateway.opening import LedgerSigns, LedgerTenure, _news, _seconds_awake_or_asleep
from gateway.process import Shell
from resources.brokers.ib import InteractiveBrokersBroker
from resources.clock import desk_clock
from resources.ledger.bus import publish
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger
from resources.ledger.state import Heartbeats, Leases
from tests.gateway.parts import BOOK, LIMITS, SYMBOLS, Prices, Told, Volumes, entries_in, released_in, setup_of
from trading_assets.broker.model import OrderRequest
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import Preferences


def point_hook(text: str) -> Callable[[str], None]:
    """Sends this process a signal at a named point."""
    told = text.split(":")
    name, word, times, since = [*told, *("", "KILL", "1", "")[len(told) :]]
    left, begun = int(times), not since

    def hook(passed: str) -> None:
        nonlocal left, begun
        begun = begun or passed == since
        if begun and passed == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), getattr(signal, f"SIG{word}"))

    return hook


class Stepwise(InteractiveBrokersBroker):
    """Writes a bracket order by order, so that a process can end between two of them, at `wrote_1`, `wrote_2` and `wrote_3`."""

    passes: Callable[[str], None] = staticmethod(lambda _: None)

    def place(self, orders: Sequence[OrderRequest]) -> None:
        """One after the other."""
        for number, order in enumerate(orders, 1):
            super().place([order])
            self.passes(f"wrote_{number}")


def means_of(
    setup: Setup, where: Path | str, hook: Callable[[str], None], *, clock: Clock | None = None
) -> tuple[Means, Callable[[float], bool]]:
    engine, clock = open_ledger(where, durability="FULL", lane=BOOK), clock or desk_clock()
    broker = Stepwise(setup.settings.ib, client_id=11, clock=clock, mode="paper")
    broker.passes = hook
    told = Told()
    means = Means(
        broker=broker,
        store=SqlDispatch(engine, BOOK, client_id=11),
        tenure=LedgerTenure(Leases(engine), BOOK, setup.settings.lease),
        signs=LedgerSigns(Heartbeats(engine), "1", LIMITS),
        clock=clock,
        monotonic=_seconds_awake_or_asleep,
        second=Prices({symbol: Decimal(200 if symbol == "MSFT" else 100) for symbol in setup.symbols}),
        backdrop=Volumes(setup.symbols),
        pager=told,
        publish=lambda drafts: publish(engine, drafts),
        limits_hash=lambda: LIMITS,
        entries=lambda symbols: entries_in(engine, symbols),
        released=lambda: released_in(engine),
        halt_file=lambda: "",
        write_halt=lambda cause, _: sys.stderr.write(f"halt file: {cause}\n"),
        points=hook,
    )
    return means, _news(engine, clock)


def main() -> int:
    """Serves until it is stopped, or killed at its point."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    told = json.loads(sys.argv[1])
    settings = ExecutionSettings.model_validate_json(json.dumps(told["settings"]))
    preferences = Preferences.model_validate_json(json.dumps(told.get("preferences", {})))
    setup = setup_of(settings, preferences, symbols=told.get("symbols", SYMBOLS))
    where = told["ledger"] if "://" in told["ledger"] else Path(told["ledger"])
    means, news = means_of(setup, where, point_hook(os.environ.get("GATEWAY_AT", "")))

    async def serve() -> int:
        return await Shell(setup, means, news=news).run()

    return asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
