"""One connection through ib_async's `Client` and `Decoder`, and nothing above them.

The library's `IB` and `Trade` objects keep a state of their own that is wrong in known ways: an unknown code cancels a live order,
fills asked for after a reconnect make no event, everything is forgotten at a disconnect. So they are never made. The client frames
and writes messages, the decoder reads the three longest kinds, and what a message means is decided by `Conversation`.
"""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Final

from ib_async.client import Client
from ib_async.decoder import Decoder

from resources.brokers.ib.codes import CLIENT_ID_IN_USE
from resources.brokers.ib.told import zone_of
from trading_assets.broker.ports import BrokerDown, ClientIdInUse
from trading_assets.broker.settings import InteractiveBrokers, Mode

_ERROR: Final = 4
_GREETING_MAX: Final = 256
_CLOSING_S: Final = 1.0


class Line:
    """A connection that is opened once; a reconnect is another line.

    Args:
        where: Host, port and time-outs.
        listener: Is called by `decoder`, the library's reader of long messages, by the library's own names.
        on_message: Hears the fields of each message, in order.
        on_packet: Hears that a packet has been read to its end.
        on_lost: Hears the reason when an open line breaks; not when it is closed by `close`.
    """

    def __init__(
        self,
        where: InteractiveBrokers,
        *,
        client_id: int,
        mode: Mode,
        listener: object,
        on_message: Callable[[list[str]], None],
        on_packet: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._where = where
        self._client_id = client_id
        self._mode = mode
        self._on_message = on_message
        self._on_lost = on_lost
        self._greeting = b""
        self._reason = ""
        self._is_closed = False
        self._failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.client: Any = Client(_Sink(on_packet, self._ended, self._broken))
        self.client.sendMsg = self._write
        self.client.conn.connectAsync = self._join
        self.decoder: Any = Decoder(listener, 0)
        self.client.decoder = _Fields(self._heard, self.decoder)
        self.client.conn.hasData += self._greeted
        self.client.apiError += self._complained

    @property
    def is_open(self) -> bool:
        """Whether the handshake is over and the socket lives."""
        transport = self.client.conn.transport
        return bool(self.client.isReady() and transport is not None and not transport.is_closing())

    @property
    def buffered(self) -> int:
        """Bytes that wait in this process for the socket to take them."""
        transport = self.client.conn.transport
        return int(transport.get_write_buffer_size()) if transport is not None else 0

    @property
    def bytes_written(self) -> int:
        """Bytes given to the socket since the connection began."""
        return int(self.client.conn.numBytesSent)

    async def open(self) -> None:
        """Connects and waits for accounts and the next order id. ClientIdInUse and BrokerDown as in the port."""
        opening = asyncio.ensure_future(
            self.client.connectAsync(
                self._where.host, self._where.port, self._client_id, timeout=self._where.timeout_seconds
            )
        )
        try:
            await asyncio.wait({opening, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done() and not (opening.done() and opening.exception()):
                raise self._failed.result()
            await opening
        except (OSError, TimeoutError) as failed:
            raise self.down(str(failed) or "the handshake was not answered in time") from failed
        finally:
            if not self.is_open:
                await self._abandon(opening)

    async def close(self) -> None:
        """Ends the connection; waits a moment until the other side has heard of it."""
        self._is_closed = True
        with suppress(OSError):
            self.client.disconnect()
        deadline = asyncio.get_running_loop().time() + _CLOSING_S
        while (transport := self.client.conn.transport) is not None:
            if asyncio.get_running_loop().time() > deadline:
                transport.abort()
            await asyncio.sleep(0.001)

    def down(self, reason: str) -> BrokerDown:
        """The failure with everything that a person needs to find its cause."""
        return BrokerDown(
            f"Interactive Brokers is not connected: {reason}",
            value=f"{self._where.host}:{self._where.port}, client id {self._client_id}",
            bound=f"account {self._where.account or 'not named'}, mode {self._mode}",
            hint="start TWS or the Gateway with its API enabled, or see ib in config/execution.yaml",
        )

    def zone(self, server_time: datetime) -> timezone | None:
        """The zone of the program at the other end; None when its clock is a day off."""
        _, _, rest = self._greeting[4:].partition(b"\0")
        return zone_of(rest.partition(b"\0")[0].decode(errors="replace"), server_time)

    async def _join(self, host: str, port: int) -> None:
        """In the loop that runs: releases of the library before 2.1 remember the first loop of the process, and would use that."""
        conn = self.client.conn
        conn.transport, _ = await asyncio.get_running_loop().create_connection(lambda: conn, host, port)

    def _write(self, text: str) -> None:
        """Past the library's own limiter, whose queue nobody could wait for; `Outbox` holds messages back."""
        raw = text.encode()
        self.client.conn.sendMsg(struct.pack(">I", len(raw)) + raw)

    async def _abandon(self, opening: "asyncio.Future[Any]") -> None:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await self.close()

    def _heard(self, fields: list[str]) -> None:
        if fields[0] == str(_ERROR) and len(fields) > 4 and fields[3] == str(CLIENT_ID_IN_USE):
            self._fail(
                ClientIdInUse(
                    f"client id {self._client_id} is in use at Interactive Brokers: {fields[4]}",
                    value=f"{self._where.host}:{self._where.port}",
                    hint="end the other process; the number is a fence and is never changed for another",
                )
            )
        else:
            self._on_message(fields)

    def _greeted(self, data: bytes) -> None:
        if len(self._greeting) < _GREETING_MAX:
            self._greeting += data[:_GREETING_MAX]

    def _complained(self, reason: str) -> None:
        self._reason = reason
        if self.client.isConnected():
            self._fail(self.down(reason))

    def _ended(self) -> None:
        """The socket is gone, whether or not the handshake was over."""
        self._fail(self.down(self._reason or "the other side ended the connection"))

    def _broken(self) -> None:
        if not self._is_closed:
            self._on_lost(self._reason or "the other side ended the connection")

    def _fail(self, reason: Exception) -> None:
        if not self._failed.done():
            self._failed.set_result(reason)


class _Sink:
    """What the library's client expects of the object behind it."""

    def __init__(self, on_packet: Callable[[], None], ended: Callable[[], None], broken: Callable[[], None]) -> None:
        self.tcpDataProcessed = on_packet
        self.setEventsDone = ended
        self.connectionClosed = broken

    def connectAck(self) -> None:  # noqa: N802 - the library's name
        """The handshake is answered."""


class _Fields:
    """Takes the place of the library's decoder, which logs a message that it cannot read and goes on without it."""

    def __init__(self, heard: Callable[[list[str]], None], decoder: Any) -> None:
        self.interpret = heard
        self._decoder = decoder

    @property
    def serverVersion(self) -> int:  # noqa: N802 - the library's name
        """The version of the wire that both sides speak; told by the client after the handshake."""
        return int(self._decoder.serverVersion)

    @serverVersion.setter
    def serverVersion(self, version: int) -> None:  # noqa: N802 - the library's name
        self._decoder.serverVersion = version
