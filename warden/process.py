"""The process around a watchdog: one event loop, one look after another, and nothing that ends it but a person.

A look that fails is told and followed by the next one. One that fails for a reason that nobody foresaw halts the desk: a watchdog
that does not understand what it sees must not let it go on.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress

from trading_assets.broker.ports import ClientIdInUse
from trading_assets.core.errors import DeskError
from warden.core import PROCESS, Means, Watchdog

_LOG = logging.getLogger("desk.watchdog")
ENDED = 0


class Shell:
    """Calls a watchdog's step when it is due, until it is told to stop.

    Args:
        opens: Opens the ledger; what it raises is a ledger that cannot be watched against now.
        speed: Seconds of the desk's clock in a real second; looks follow the desk's clock.
    """

    def __init__(self, means: Means, *, opens: Callable[[], object], speed: float = 1.0) -> None:
        self._means = means
        self._opens = opens
        self._pause = means.settings.watch.every_seconds / speed
        self._stop = asyncio.Event()
        self._failed: set[str] = set()
        self.watchdog = Watchdog(means)

    async def run(self) -> int:
        """Starts and watches; 0 after a stop. What refuses the start is raised."""
        self._listen_to_signals()
        try:
            await self._start()
            while not self._stop.is_set():
                await self._look()
        finally:
            for end in (self._means.takeover.give_back, self._means.broker.close):
                with suppress(DeskError):
                    await end()
        return ENDED

    def stop(self) -> None:
        """Ends `run` after the look that is under way."""
        self._stop.set()

    async def _start(self) -> None:
        """A broker that does not answer yet is asked at each look. A ledger that cannot be opened halts what is to be guarded."""
        refused = self._refusal()
        try:
            await self.watchdog.connect()
            if refused is not None and not await self._has_anything_to_guard():
                raise refused
        except ClientIdInUse:
            raise
        except DeskError as down:
            if refused is not None:
                raise refused from None
            _LOG.error("%s; asked again at each look", down)
        if refused is not None:
            await self._wait_for_the_ledger(refused)

    async def _wait_for_the_ledger(self, refused: DeskError) -> None:
        """A gateway of a new version may be bringing it up to date; after as long as a gateway may be silent, that is a halt."""
        seconds = self._means.settings.watch.gateway_seconds
        for _ in range(max(1, int(seconds / self._means.settings.watch.every_seconds))):
            await asyncio.sleep(self._pause)
            if self._stop.is_set() or self._refusal() is None:
                return
        cause = f"the ledger cannot be opened: {refused}"
        self._means.note.write(cause, by=PROCESS, as_of=self._means.clock.now())
        _LOG.critical("%s; the account is watched all the same", cause)

    def _refusal(self) -> DeskError | None:
        try:
            self._opens()
        except DeskError as refused:
            return refused
        return None

    async def _has_anything_to_guard(self) -> bool:
        seen = await self._means.broker.snapshot()
        return bool(any(each.quantity for each in seen.positions) or any(each.is_ours for each in seen.open_orders))

    async def _look(self) -> None:
        """One look, and the pause until the next is due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._pause
        try:
            ruling = await self.watchdog.step()
            if ruling.state != "HALTED":
                self._failed.clear()
        except DeskError as failed:
            _LOG.error("a look failed: %s", failed)
        except Exception as bug:  # noqa: BLE001 - shares still need their watchdog
            _LOG.exception("a look failed")
            self._halt(bug)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(due - loop.time(), self._pause / 10))

    def _halt(self, bug: Exception) -> None:
        """Once for each kind of failure, whatever numbers its words carry."""
        kind = type(bug).__name__
        if kind in self._failed:
            return
        self._failed.add(kind)
        try:
            self.watchdog.halt(f"W4 watchdog: a look failed: {kind}: {bug}")
        except DeskError as failed:
            _LOG.critical("not even a halt could be written: %s", failed)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            with suppress(RuntimeError, ValueError):
                loop.add_signal_handler(each, self.stop)


def run_watchdog(*, typed_account: str = "") -> int:
    """Watches the desk's account until it is stopped; the exit code.

    Args:
        typed_account: The account as the operator typed it; live mode needs it.

    Raises:
        DeskError: Why it does not start, in one sentence, with the next step.
    """
    from resources.telemetry.processes import logs_of
    from warden.opening import notifier_of, opened

    logs_of("watchdog")
    with opened(typed_account) as (means, ledger, speed), notifier_of(means):

        async def watch() -> int:
            return await Shell(means, opens=ledger.open, speed=speed).run()

        return asyncio.run(watch())
