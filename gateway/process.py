"""The process around a gateway: one event loop, its timers, its wake-ups, and its end.

There is no orderly shutdown that a kill would miss: whatever ends the process, the next one reads ledger and broker anew.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.core import Gateway
from gateway.means import Means, Setup
from resources.ledger.state import LeaseLost
from trading_assets.broker.ports import BrokerDown, ClientIdInUse
from trading_assets.core.errors import DeskError

_LOG = logging.getLogger("desk.gateway")
ENDED, REFUSED, LEASE_LOST = 0, 2, 3
TEND_S, REACT_S, POLL_S = 0.1, 0.25, 0.5
News = Callable[[float], bool]
"""Waits at most so many seconds for a reason to look into the ledger; runs in a thread."""


class Shell:
    """Calls a gateway's steps when they are due, until it is told to stop or may not go on.

    Args:
        news: Whether the bus had something to say.
        speed: Seconds of the desk's clock in a real second: the lease runs by that clock, the loop's own timers by the machine's.
    """

    def __init__(self, setup: Setup, means: Means, *, news: News, speed: float = 1.0) -> None:
        self._setup = setup
        self._means = means
        self._news = news
        self._speed = speed
        self._heard = asyncio.Event()
        self._told = asyncio.Event()
        self._stop = asyncio.Event()
        self._code = ENDED
        self.gateway = Gateway(setup, means, wake=self._heard.set)

    async def run(self) -> int:
        """Starts and serves; the exit code: 0 after a stop, 3 when the lease was lost. What refuses the start is raised."""
        self._listen_to_signals()
        tasks = [asyncio.create_task(self._forever(self._keep))]
        try:
            await self._start()
            _LOG.info("gateway of book %s: %s", self._setup.book, self.gateway.state)
            tasks += [asyncio.create_task(self._forever(step)) for step in self._steps()]
            tasks.append(asyncio.create_task(self._hear_the_bus()))
            await self._stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(DeskError):
                await self._means.broker.close()
        return self._code

    def stop(self, code: int = ENDED) -> None:
        """Ends `run`; the first reason counts."""
        if not self._stop.is_set():
            self._code = code
            self._stop.set()

    async def _start(self) -> None:
        """A broker that does not answer yet is waited for, with the lease held: stops rest there, and nothing else opens."""
        try:
            await self.gateway.start()
        except BrokerDown as down:
            _LOG.error("%s; trying again", down)

    def _steps(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        return (self._pump, self._tend, self._dispatch, self._react)

    async def _pump(self) -> None:
        await self._heard.wait()
        self._heard.clear()
        await self.gateway.pump()

    async def _keep(self) -> None:
        await self._pause(self._setup.settings.rhythm.lease_seconds / 10 / self._speed)
        if self._means.tenure.until is not None:
            self.gateway.keeper.keep()

    async def _tend(self) -> None:
        await self._pause(TEND_S)
        await self.gateway.tend()

    async def _dispatch(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), POLL_S)
        self._told.clear()
        await self.gateway.dispatch()

    async def _react(self) -> None:
        await self._pause(REACT_S)
        await self.gateway.react()

    async def _hear_the_bus(self) -> None:
        while not self._stop.is_set():
            if await asyncio.to_thread(self._news, POLL_S):
                self._told.set()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            try:
                await step()
            except (LeaseLost, ClientIdInUse) as lost:
                _LOG.critical("%s", lost)
                self.stop(LEASE_LOST if isinstance(lost, LeaseLost) else REFUSED)
            except DeskError as failed:
                _LOG.error("%s", failed)
                await self._pause(REACT_S)
            except Exception as bug:  # noqa: BLE001 - positions still need their gateway
                _LOG.exception("a step of the gateway failed")
                self.gateway.keeper.halt(f"F14 a step of the gateway failed: {type(bug).__name__}: {bug}")
                await self._pause(REACT_S)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            with suppress(RuntimeError, ValueError):
                loop.add_signal_handler(each, self.stop)


def run_gateway(*, typed_account: str = "") -> int:
    """Serves the desk's book until it is stopped; the exit code.

    Args:
        typed_account: The account as the operator typed it; live mode needs it.

    Raises:
        DeskError: Why it does not start, in one sentence, with the next step.
    """
    from gateway.opening import opened
    from resources.telemetry.processes import logs_of

    logs_of("gateway")
    with opened(typed_account) as (setup, means, news, speed):

        async def serve() -> int:
            return await Shell(setup, means, news=news, speed=speed).run()

        return asyncio.run(serve())
