"""An unmodified client for tests of the Gateway itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.tws.gateway import LoopbackGateway

Result = TypeVar("Result")
PATIENCE_S = 5.0
STEP_S = 0.005


def with_client(
    gateway: LoopbackGateway, work: Callable[[Any], Awaitable[Result]], *, client_id: int = 5, everything: bool = False
) -> Result:
    """Runs `work(ib)` with a client that is connected to the Gateway, in a loop of its own.

    Args:
        gateway: A running one.
        work: What the client is for.
        client_id: Its number.
        everything: Whether it asks for the account at the start, as it does by default.
    """
    from ib_async import IB
    from ib_async.ib import StartupFetchALL, StartupFetchNONE

    async def connected() -> Result:
        _forget_loops()
        client = IB()
        await client.connectAsync(
            "127.0.0.1",
            gateway.port,
            clientId=client_id,
            timeout=PATIENCE_S,
            readonly=not everything,
            fetchFields=StartupFetchALL if everything else StartupFetchNONE,
            raiseSyncErrors=True,
        )
        try:
            return await work(client)
        finally:
            client.disconnect()

    return asyncio.run(connected())


def _forget_loops() -> None:
    """Clients below 2.1 keep the first loop that they ever saw."""
    from ib_async.util import getLoop

    clear = getattr(getLoop, "cache_clear", None)
    if clear is not None:
        clear()


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE_S) -> None:
    """Waits for something to become so; fails when it does not."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(STEP_S)
