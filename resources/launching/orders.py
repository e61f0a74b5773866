"""What a launcher tells its fork server once, at the start, and how lines are read from a socket."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LINE_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """How a fork server prepares itself.

    Args:
        instance: Dagster's instance, serialized.
        preload: Modules that it imports; none may start a thread.
        locations: Modules whose definitions it builds.
        warm: Modules that a waiting fork imports; they may start threads.
        watch: Folders whose source files are its code.
        spare: One fork waits in advance.
        pause_seconds: After a run was given out, the next fork waits this long, unless the run ends before.
        linger_seconds: How long runs may go on when their launcher is gone.
    """

    instance: str
    preload: tuple[str, ...]
    locations: tuple[str, ...]
    warm: tuple[str, ...]
    watch: tuple[str, ...]
    spare: bool
    pause_seconds: float
    linger_seconds: float

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders to watch."""
        return tuple(map(Path, self.watch))

    def line(self) -> bytes:
        """As it goes over the socket: never on a command line, where others could read the instance's passwords."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "Order":
        """The order in a line."""
        told: dict[str, Any] = json.loads(line)
        fields: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in told.items()}
        return cls(**fields)


def read_line(link: socket.socket) -> bytes:
    """The next line, or nothing where the other side has gone; at most a megabyte. Each side waits for the other's line."""
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            more = link.recv(65536)
        except (ConnectionError, TimeoutError):
            return b""
        if not more or len(line) > LINE_MAX:
            return b""
        line += more
    return bytes(line)
