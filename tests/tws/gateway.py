"""The Gateway itself: connections, handshake, start of the API, and the messages that every client sends."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

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
Answer = TypeVar("Answer")
Message = tuple[object, ...]


class Tap:
    """Stands between the Gateway and its clients, and lets everything through. What a fault overrides, it breaks."""

    def heard(self, connection: "Connection", fields: list[str]) -> bool:  # noqa: ARG002 - for those that override
        """A message from a client, with its id; whether the Gateway gets it."""
        return True

    def told(self, connection: "Connection", message: Message) -> Iterable[Message]:  # noqa: ARG002 - as above
        """A message to a client, with its id; what is sent in its place."""
        return (message,)


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
        self.accounts: tuple[str, ...] = (ACCOUNT,)
        self.next_ids: dict[int, int] = {}
        self.taps: list[Tap] = []
        self.port = 0
        self.server: asyncio.Server | None = None
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

    def do(self, act: Callable[[], Answer]) -> Answer:
        """Acts in the Gateway's own loop, and waits until it is done."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self.loop:
                return act()

        async def acted() -> Answer:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self.loop).result(10)

    def with_faults(self, *taps: Tap) -> None:
        """From now on these stand between, the last one nearest to the wire."""
        self.do(lambda: self.taps.extend(taps))

    def without_faults(self) -> None:
        """Nothing stands between any more."""
        self.do(self.taps.clear)

    async def listen(self) -> None:
        """Accepts connections, at the port that it had before if it had one."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def leave(self) -> None:
        """Refuses connections, and cuts those there are."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for client in list(self.clients.values()):
            client.cut()

    def away(self) -> None:
        """As the hours in which a Gateway restarts; until `back`."""
        _call(self, self.leave())

    def back(self) -> None:
        """Listens again, at the same port."""
        _call(self, self.listen())

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
        self.is_answering = False
        self._reader = reader
        self._writer = writer

    def send(self, *fields: object) -> None:
        """One message, through whatever stands between."""
        messages = [fields]
        for tap in list(self.gateway.taps):
            messages = [out for message in messages for out in tap.told(self, message)]
        for message in messages:
            self.send_bytes(framed(message))

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
            if all(tap.heard(self, fields) for tap in list(self.gateway.taps)):
                self.handle(fields)

    def handle(self, fields: list[str]) -> None:
        """Answers one message."""
        handler = self.gateway.handlers.get(int(fields[0]))
        if handler is None:
            self.error(-1, 505, f"Fatal Error: Unknown message id {fields[0]}")
            return
        self.is_answering = True
        try:
            handler(self, Fields(fields[1:]))
        except (ValueError, ArithmeticError, StopIteration) as broken:
            self.error(-1, 320, f"Error reading request. {broken}")
        finally:
            self.is_answering = False


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
    connection.send(MANAGED_ACCOUNTS, 1, ",".join(gateway.accounts))
    connection.send(NEXT_ID, 1, gateway.next_ids.setdefault(connection.client_id, 1))
    for code, text in NOTICES.items():
        connection.error(-1, code, text)


def _no_positions(connection: Connection, _: Fields) -> None:
    connection.send(POSITION_END, 1)


def _time(connection: Connection, _: Fields) -> None:
    connection.send(SERVER_TIME, 1, EPOCH)


_STARTING: dict[int, Handler] = {START_API: _start, POSITIONS: _no_positions, SERVER_TIME: _time}


Running = TypeVar("Running", bound=LoopbackGateway)


@contextmanager
def running(gateway: Running) -> Iterator[Running]:
    """The Gateway on a free port of 127.0.0.1, in a thread of its own; everything ends with the `with` block."""
    thread = threading.Thread(target=gateway.loop.run_forever, daemon=True)
    thread.start()
    gateway.back()
    try:
        yield gateway
    finally:
        _call(gateway, _ended(gateway))
        gateway.loop.call_soon_threadsafe(gateway.loop.stop)
        thread.join()
        gateway.loop.close()


def _call(gateway: LoopbackGateway, work: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(work, gateway.loop).result(10)


async def _ended(gateway: LoopbackGateway) -> None:
    await gateway.leave()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
