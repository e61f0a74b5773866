"""The Gateway itself: connections, handshake, start of the API, and the messages that every client sends."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from tests.tws.wire import HELLO, SERVER_VERSION, Fields, fields_of, framed, received, versions_of

ACCOUNT = "DU0000001"
START_API, POSITIONS, SERVER_TIME = 71, 61, 49
MANAGED_ACCOUNTS, NEXT_ID, ERROR, POSITION_END = 15, 9, 4, 62
NOTICES = {
    2104: "Market data farm connection is OK:usfarm",
    2106: "HMDS data farm connection is OK:ushmds",
    2158: "Sec-def data farm connection is OK:secdefil",
}
EPOCH = 1_404_428_400


class LoopbackGateway:
    """The state that outlives connections.

    Args:
        handlers: What answers a message, by message id; those of the start are built in.
        version: The server version that it offers at most.
    """

    def __init__(self, handlers: "Mapping[int, Handler]", *, version: int = SERVER_VERSION) -> None:
        self.handlers: dict[int, Handler] = {**_STARTING, **handlers}
        self.version = version
        self.clients: dict[int, Connection] = {}
        self.received: list[list[str]] = []
        self.connections = 0
        self.refusing = False
        self.mute = False
        self.port = 0
        self.loop = asyncio.new_event_loop()

    def tell(self, code: int, text: str) -> None:
        """Sends a notice about nothing in particular (1100, 1102, 2103 …) to every client."""
        self._in_loop(lambda client: client.error(-1, code, text))

    def drop(self) -> None:
        """Cuts every connection, as a restart does."""
        self._in_loop(lambda client: client.cut())

    def asked(self, message: int) -> list[list[str]]:
        """The messages of one id that arrived, without the id."""
        return [fields[1:] for fields in self.received if fields[0] == str(message)]

    def _in_loop(self, act: "Callable[[Connection], None]") -> None:
        for client in list(self.clients.values()):
            self.loop.call_soon_threadsafe(act, client)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its last."""
        self.connections += 1
        connection = Connection(self, reader, writer)
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            await connection.run()
        if self.clients.get(connection.client_id) is connection:
            del self.clients[connection.client_id]
        writer.close()


class Connection:
    """One client."""

    def __init__(self, gateway: LoopbackGateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gateway = gateway
        self.client_id = -1
        self._reader = reader
        self._writer = writer

    def send(self, *fields: object) -> None:
        """One message."""
        self.send_bytes(framed(fields))

    def send_bytes(self, raw: bytes) -> None:
        """Bytes as they are: a part of a frame, or none."""
        if not self._writer.is_closing():
            self._writer.write(raw)

    def error(self, request: int | str, code: int, text: str) -> None:
        """An error or notice; its last field belongs to rejected orders."""
        self.send(ERROR, 2, request, code, text, "")

    def cut(self) -> None:
        """Ends the connection without a word."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Ends the connection once everything is sent."""
        self._writer.close()

    async def run(self) -> None:
        """Handshake, then one handler for each message."""
        if await self._reader.readexactly(len(HELLO)) != HELLO:
            return
        _, highest = versions_of(await received(self._reader))
        if self.gateway.mute:
            await self._reader.read()
        self.send(min(self.gateway.version, highest), "20140703 19:00:00 EST")
        while True:
            fields = fields_of(await received(self._reader))
            self.gateway.received.append(fields)
            handler = self.gateway.handlers.get(int(fields[0]))
            if handler is None:
                self.error(-1, 505, f"Fatal Error: Unknown message id {fields[0]}")
            else:
                handler(self, Fields(fields[1:]))


Handler = Callable[[Connection, Fields], None]


def _start(connection: Connection, fields: Fields) -> None:
    fields.skip(1)
    gateway, connection.client_id = connection.gateway, fields.number()
    if gateway.refusing or connection.client_id in gateway.clients:
        connection.error(
            -1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id."
        )
        connection.close()
        return
    gateway.clients[connection.client_id] = connection
    connection.send(MANAGED_ACCOUNTS, 1, ACCOUNT)
    connection.send(NEXT_ID, 1, 1)
    for code, text in NOTICES.items():
        connection.error(-1, code, text)


def _no_positions(connection: Connection, _: Fields) -> None:
    connection.send(POSITION_END, 1)


def _time(connection: Connection, _: Fields) -> None:
    connection.send(SERVER_TIME, 1, EPOCH)


_STARTING: dict[int, Handler] = {START_API: _start, POSITIONS: _no_positions, SERVER_TIME: _time}


@contextmanager
def running(gateway: LoopbackGateway) -> Iterator[LoopbackGateway]:
    """The Gateway on a free port of 127.0.0.1, in a thread of its own; everything ends with the `with` block."""
    thread = threading.Thread(target=gateway.loop.run_forever, daemon=True)
    thread.start()
    server = _call(gateway, asyncio.start_server(gateway.serve, "127.0.0.1", 0))
    gateway.port = server.sockets[0].getsockname()[1]
    try:
        yield gateway
    finally:
        _call(gateway, _ended(gateway, server))
        gateway.loop.call_soon_threadsafe(gateway.loop.stop)
        thread.join()
        gateway.loop.close()


def _call(gateway: LoopbackGateway, work: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(work, gateway.loop).result(10)


async def _ended(gateway: LoopbackGateway, server: asyncio.Server) -> None:
    server.close()
    for client in list(gateway.clients.values()):
        client.cut()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
