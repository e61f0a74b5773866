"""The gateway's place at the broker: orders answer to the client id that sent them, so a gateway that does not act is replaced.

Ended is only a process that the ledger names, on this machine, of this user, whose command line is a gateway's; a number that the
system has given to something else is left alone. It is ended for good (SIGKILL): one that was merely stopped would wake up and go
on. The place is kept as long as the halt lasts, so that a gateway that is started meanwhile finds its client id in use.
"""

import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from trading_assets.broker.ports import Broker, ClientIdInUse
from trading_assets.core.errors import DeskError
from warden.ports import WatchLedger
from warden.seen import Holder

_LOG = logging.getLogger("desk.watchdog")
JUST_RENEWED = timedelta(seconds=1)
DESK_GATEWAY = (("desk", "gateway"), ("desk.main", "gateway"))
"""Neighbouring words of a gateway's command line, the first without its folder."""


@dataclass
class GatewayTakeover:
    """The Takeover port over processes of this machine.

    Args:
        broker: Makes a connection of the gateway's client id; nothing is connected yet.
        lease: How long the gateway's lease runs from each renewal.
        commands: What a gateway's command line looks like.
        end: Ends a process by its number.
        just_renewed: So long after a renewal the gateway may be acting.
    """

    ledger: WatchLedger
    broker: Callable[[], Broker]
    lease: timedelta
    commands: Sequence[tuple[str, str]] = DESK_GATEWAY
    end: Callable[[int], None] = lambda pid: os.kill(pid, signal.SIGKILL)
    just_renewed: timedelta = JUST_RENEWED
    _holder: Holder | None = None
    _place: Broker | None = field(default=None, repr=False)
    _asked: datetime | None = None

    async def take(self, *, as_of: datetime) -> Broker | None:
        """See the port. One try for each call, so that nothing else waits for long."""
        if self._place is not None and self._place.is_connected:
            return self._place
        self._asked = self._asked or as_of
        self._end_gateway(as_of)
        place = self._place or self.broker()
        try:
            await place.connect()
        except ClientIdInUse as used:
            _LOG.warning("the gateway's place is not free yet: %s", used)
            return None
        except DeskError as failed:
            _LOG.error("the gateway's place cannot be taken: %s", failed)
            return None
        self._place = place
        _LOG.critical("the watchdog has taken the gateway's place at the broker, client id %s", place.client_id)
        return place

    async def give_back(self) -> None:
        """See the port."""
        place, self._place, self._asked = self._place, None, None
        if place is not None:
            with suppress(DeskError):
                await place.close()
            _LOG.warning("the gateway's place at the broker is free again")

    def _end_gateway(self, now: datetime) -> None:
        """One that renewed its lease a moment ago gets the next moment too, once: it may be cancelling right now."""
        with suppress(DeskError):
            self._holder = self.ledger.holder()
        holder = self._holder
        if holder is None or not self._is_gateway(holder):
            return
        is_busy = now - (holder.until - self.lease) <= self.just_renewed
        if is_busy and self._asked is not None and now - self._asked <= self.just_renewed:
            return
        _LOG.critical("the gateway, process %s, does not act and is ended", holder.pid)
        with suppress(ProcessLookupError):
            self.end(holder.pid)

    def _is_gateway(self, holder: Holder) -> bool:
        if holder.host != socket.gethostname() or not 1 < holder.pid != os.getpid():
            return False
        return is_command(command_line(holder.pid), self.commands)


def is_command(words: Sequence[str], commands: Sequence[tuple[str, str]]) -> bool:
    """Whether a command line holds one of the pairs of words, side by side."""
    names = [Path(word).name for word in words]
    return any(pair in set(commands) for pair in zip(names, words[1:], strict=False))


def command_line(pid: int) -> tuple[str, ...]:
    """The words with which a process of this user was started; empty for any other process, or none."""
    folder = Path("/proc") / str(pid)
    try:
        if folder.parent.joinpath("self").exists():
            if folder.stat().st_uid != os.getuid():
                return ()
            return tuple(word.decode(errors="replace") for word in (folder / "cmdline").read_bytes().split(b"\0")[:-1])
        told = subprocess.run(  # noqa: S603 - a number, and a program of the system
            ["/bin/ps", "-o", "uid=,command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=2
        ).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(told[1:]) if told and told[0] == str(os.getuid()) else ()
