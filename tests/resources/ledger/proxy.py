"""A wire between a client and a server of which a test can cut either end, at the moment that it names."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType


class Proxy:
    """Passes bytes between a port of its own and the server's, and calls `at` when the client sends the word that it waits for.

    Args:
        port: The server's port on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._word: bytes | None = None
        self._at: Callable[[Wire, bytes], None] | None = None
        self.heard = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def when(self, word: bytes, at: "Callable[[Wire, bytes], None]") -> None:
        """The next bytes of the client that hold the word are handed to `at` instead of the server, once."""
        self._word, self._at = word, at

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            wire = Wire(client, socket.create_connection(("127.0.0.1", self._server_port)))
            threading.Thread(target=self._carry_out, args=(wire,), daemon=True).start()
            threading.Thread(target=wire.carry_in, daemon=True).start()

    def _carry_out(self, wire: "Wire") -> None:
        while data := wire.from_client():
            if self._word is not None and self._at is not None and self._word in data:
                at, self._word = self._at, None
                self.heard += 1
                at(wire, data)
            else:
                wire.to_server(data)
        wire.cut()


class Wire:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client, self._server = client, server
        self._deaf = threading.Event()
        self._answered = threading.Event()

    def from_client(self) -> bytes:
        """What the client says; nothing at its end."""
        return _received(self._client)

    def to_server(self, data: bytes) -> None:
        """Says it to the server."""
        try:
            self._server.sendall(data)
        except OSError:
            self.cut()

    def drop_answers(self) -> None:
        """From now on the client hears nothing."""
        self._deaf.set()

    def wait_for_an_answer(self) -> None:
        """Until the server has said something that the client does not hear."""
        self._answered.wait()

    def carry_in(self) -> None:
        """Passes what the server says, until the answers are dropped or the wire is cut."""
        while data := _received(self._server):
            if self._deaf.is_set():
                self._answered.set()
                continue
            try:
                self._client.sendall(data)
            except OSError:
                break
        self._answered.set()
        self.cut()

    def cut(self) -> None:
        """Both ends are gone."""
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""
