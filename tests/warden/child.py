"""A real watchdog process over the real client, beside a real gateway: `python -m tests.warden.child <JSON>`."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from resources.brokers.ib import InteractiveBrokersBroker
from resources.clock import desk_clock
from tests.gateway.parts import LIMITS
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.preferences import Preferences
from warden.core import Means
from warden.opening import LateLedger, Note
from warden.process import Shell
from warden.seen import Identity
from warden.takeover import GatewayTakeover

GATEWAY_OF_A_TEST = (("-m", "tests.gateway.child"),)


def main() -> int:
    """Watches until it is stopped."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="watchdog %(asctime)s %(message)s")
    told = json.loads(sys.argv[1])
    settings = ExecutionSettings.model_validate_json(json.dumps(told["settings"]))
    clock, ledger = desk_clock(), LateLedger(Path(told["ledger"]))

    def connection(client_id: int) -> Broker:
        return InteractiveBrokersBroker(settings.ib, client_id=client_id, clock=clock, mode="paper")

    means = Means(
        broker=connection(settings.ib.watchdog_client_id),
        ledger=ledger,
        note=Note(Path(told["home"])),
        takeover=GatewayTakeover(
            ledger, lambda: connection(settings.ib.gateway_client_id), lease=settings.lease, commands=GATEWAY_OF_A_TEST
        ),
        clock=clock,
        settings=settings,
        preferences=Preferences(),
        identity=Identity("1", LIMITS),
        account=settings.ib.account,
    )

    async def watch() -> int:
        return await Shell(means, opens=ledger.open).run()

    return asyncio.run(watch())


if __name__ == "__main__":
    sys.exit(main())
