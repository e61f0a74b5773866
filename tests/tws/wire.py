"""Framing of the text protocol: a length of four bytes, big end first, then fields that each end with a zero byte."""

import asyncio
import struct
from collections.abc import Iterator, Sequence

SERVER_VERSION = 176
HELLO = b"API\0"


def framed(fields: Sequence[object]) -> bytes:
    """One message on the wire; booleans travel as 1 and 0."""
    body = "".join(f"{int(field) if isinstance(field, bool) else field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


async def received(reader: asyncio.StreamReader) -> bytes:
    """The body of the next message."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(length)


def fields_of(body: bytes) -> list[str]:
    """The fields of a message."""
    return body.decode().split("\0")[:-1]


def versions_of(body: bytes) -> tuple[int, int]:
    """The lowest and the highest version that a client offers (`v157..178`)."""
    low, high = body.decode().split(" ")[0].removeprefix("v").split("..")
    return int(low), int(high)


class Fields:
    """A cursor over the fields of one message."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._rest: Iterator[str] = iter(fields)

    def text(self) -> str:
        """The next field."""
        return next(self._rest)

    def number(self) -> int:
        """The next field as a whole number; an empty one is 0."""
        return int(self.text() or 0)

    def flag(self) -> bool:
        """The next field as a truth value."""
        return self.text() == "1"

    def skip(self, count: int) -> None:
        """Passes over some fields."""
        for _ in range(count):
            self.text()

    def end(self) -> None:
        """Refuses fields that nobody has read."""
        rest = list(self._rest)
        if rest:
            raise ValueError(f"{len(rest)} fields too many, from {rest[0]!r}")
