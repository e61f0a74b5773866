"""The launcher's side of a fork server: it starts one, asks it for forks, and lets it go."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from resources.launching import server
from resources.launching.orders import Order, read_line
from resources.launching.worker import Worker, parse_worker
from trading_assets.core.errors import PermanentFailure, TransientFailure

_ANSWER_S = 10.0
_LINE = 4096


@dataclass(slots=True)
class Fork:
    """A process that waits for its run; `go` gives it one, `drop` ends it."""

    worker: Worker
    hand: socket.socket

    def go(self, run_id: str) -> None:
        """From here on the run is the fork's.

        Raises:
            TransientFailure: It has died meanwhile, and nothing was started.
        """
        try:
            self.hand.sendall(run_id.encode() + b"\n")
        except OSError as gone:
            raise TransientFailure("the process that waited for the run has died", value=self.worker) from gone
        finally:
            self.hand.close()

    def drop(self) -> None:
        """Ends the process without a run."""
        self.hand.close()


class ForkServer:
    """A running fork server of this process. It ends by itself when this process does, whatever way."""

    def __init__(self, process: "subprocess.Popen[bytes]", link: socket.socket, code: str) -> None:
        self._process = process
        self._link = link
        self.code = code
        """The fingerprint of the code that its forks execute."""

    @classmethod
    def start(cls, order: Order, *, seconds: float) -> "ForkServer":
        """Starts one and waits until it is ready.

        Raises:
            PermanentFailure: It refused; the sentence says why.
            TransientFailure: It was not ready in time.
        """
        mine, its = socket.socketpair()
        path = [entry or str(Path.cwd()) for entry in sys.path]
        program = (
            f"import sys; sys.path[:] = {path!r}; from {server.__name__} import main; sys.exit(main({its.fileno()}))"
        )
        process = subprocess.Popen(  # noqa: S603 - our own interpreter on our own module
            [sys.executable, "-c", program], pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
        )
        its.close()
        try:
            return cls(process, mine, _greeted(mine, order, seconds))
        except BaseException:
            mine.close()
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """The server's own process."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._link.fileno() >= 0 and self._process.poll() is None

    def fork(self, run_id: str) -> Fork:
        """A process for a run, which waits to be told so.

        Raises:
            TransientFailure: The server broke; nothing was started.
        """
        try:
            self._link.settimeout(_ANSWER_S)
            self._link.sendall(json.dumps({"run": run_id}).encode() + b"\n")
            line, hands, _, _ = socket.recv_fds(self._link, _LINE, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError as broken:
            raise TransientFailure("the fork server does not answer", value=self.pid) from broken
        hand = socket.socket(fileno=hands[0]) if hands else None
        worker = parse_worker(json.loads(line)["worker"]) if line else None
        if worker is None or hand is None:
            if hand is not None:
                hand.close()
            raise TransientFailure("the fork server has ended", value=self.pid)
        return Fork(worker, hand)

    def release(self) -> None:
        """Lets it go: it takes no more runs and ends after those that it has."""
        self._link.close()

    def kill(self) -> None:
        """Ends a server that does not answer; its forks go on."""
        self._link.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether its process is gone, after at most so long; a process that is gone is also taken off the system's table."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _greeted(link: socket.socket, order: Order, seconds: float) -> str:
    link.sendall(order.line())
    if not select.select([link], [], [], seconds)[0]:
        raise TransientFailure("the fork server is not ready", bound=f"{seconds:g} s")
    told = json.loads(read_line(link) or b'{"error": "it ended without a word"}')
    if "again" in told:
        raise TransientFailure(told["error"])
    if "ready" not in told:
        raise PermanentFailure("no run can be forked", value=told["error"], hint="set runs.launcher: stock")
    return str(told["ready"])
