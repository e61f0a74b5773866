"""Waking the readers of the bus: one datagram to each registered port after a commit on SQLite, NOTIFY on PostgreSQL.

A wake-up carries nothing and may get lost: whoever waits looks into the ledger before and after every wait, so that a lost one only
delays. A file watch would be simpler and is wrong: it fires when the frames are written, before the commit is visible.

A listener that closes or dies leaves its row behind; the next publisher finds the port refused, and the publication after that
takes the row out in its own transaction.
"""

import errno
import math
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import reading, transaction
from resources.ledger.text import instant_text
from trading_assets.core.ports import Clock

if TYPE_CHECKING:
    import psycopg

_HOST = "127.0.0.1"
_BELL = b"!"
_CHANNEL = "'bus.' || current_schema()"
_NOTIFY = sa.text(f"select pg_notify({_CHANNEL}, '')")
_PORTS = sa.select(t.LISTENERS.c.port, t.LISTENERS.c.pid)


class _Port(NamedTuple):
    port: int
    pid: int


class _OfThisThread(threading.local):
    """Whom the transactions of this thread have to wake, and who did not answer."""

    def __init__(self) -> None:
        self.due: WeakKeyDictionary[sa.Engine, tuple[_Port, ...]] = WeakKeyDictionary()
        self.refused: WeakKeyDictionary[sa.Engine, tuple[_Port, ...]] = WeakKeyDictionary()


_mine = _OfThisThread()


class Listener(Protocol):
    """Waits for wake-ups of one consumer."""

    def open(self) -> None:
        """Makes sure that wake-ups from now on are heard; safe to call again, also in a forked child."""
        ...

    def wait(self, seconds: float) -> bool:
        """True as soon as there is reason to look, False when the time is over."""
        ...

    def renew(self) -> None:
        """A message came without its wake-up: registers again where the registration is lost."""
        ...

    def close(self) -> None:
        """Hears nothing any more."""
        ...


def listener_on(engine: sa.Engine, consumer: str, clock: Clock) -> Listener:
    """The database's own kind of listener."""
    if engine.dialect.name == "postgresql":
        return NotificationListener(engine)
    return DatagramListener(engine, consumer, clock)


def announce(connection: sa.Connection) -> None:
    """Called in a transaction that appends: PostgreSQL notifies at its commit, on SQLite `wake` knows whom to wake after it."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY)
        return
    engine, ports = connection.engine, t.LISTENERS.c
    for gone in _mine.refused.pop(engine, ()):
        connection.execute(t.LISTENERS.delete().where(ports.port == gone.port, ports.pid == gone.pid))
    _mine.due[engine] = tuple(_Port(row.port, row.pid) for row in connection.execute(_PORTS))


def wake(engine: sa.Engine) -> None:
    """Wakes the readers of what this thread appended since it last woke them; to be called after the commit.

    Costs nothing where nothing was appended, and never fails: the messages are stored, and readers look by themselves.
    """
    due = _mine.due.pop(engine, ())
    refused = tuple(each for each in due if not _rung(each.port))
    if refused:
        _mine.refused[engine] = refused


def _rung(port: int) -> bool:
    """Sends the datagram; False when nobody listens there. What else goes wrong is left to the reader's own looks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        try:
            bell.connect((_HOST, port))
            bell.send(_BELL)
            return bell.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != errno.ECONNREFUSED
        except ConnectionRefusedError:
            return False
        except OSError:
            return True


class DatagramListener:
    """A port on 127.0.0.1, registered in the table `listeners`."""

    def __init__(self, engine: sa.Engine, consumer: str, clock: Clock) -> None:
        self._engine = engine
        self._consumer = consumer
        self._clock = clock
        self._socket: socket.socket | None = None
        self._pid = 0

    def open(self) -> None:
        """See the protocol. A forked child gets a port of its own; where there is none to be had, the consumer's looks must do."""
        if self._socket is not None and self._pid == os.getpid():
            return
        self.close()
        with suppress(OSError):
            self._socket, self._pid = _bound(), os.getpid()
        if self._socket is not None:
            self._register(self._socket)

    def wait(self, seconds: float) -> bool:
        """See the protocol."""
        if self._socket is None:
            time.sleep(seconds)
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        rung = bool(poll.poll(math.ceil(seconds * 1000)))
        with suppress(BlockingIOError):
            while self._socket.recv(16):
                rung = True
        return rung

    def renew(self) -> None:
        """See the protocol."""
        if self._socket is None:
            return
        mine = t.LISTENERS.c.port == self._socket.getsockname()[1], t.LISTENERS.c.pid == self._pid
        with reading(self._engine) as connection:
            known = connection.execute(sa.select(t.LISTENERS.c.port).where(*mine)).first()
        if known is None:
            self._register(self._socket)

    def close(self) -> None:
        """See the protocol."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _register(self, opened: socket.socket) -> None:
        port, ports = opened.getsockname()[1], t.LISTENERS.c
        row = {"port": port, "consumer": self._consumer, "pid": self._pid, "at": instant_text(self._clock.now())}
        with transaction(self._engine) as connection:
            others = connection.execute(_PORTS).all()
            gone = [each.port for each in others if each.port == port or not _lives(each.pid)]
            connection.execute(t.LISTENERS.delete().where(ports.port.in_(gone)))
            connection.execute(t.LISTENERS.insert(), row)


class NotificationListener:
    """LISTEN on a connection of its own; one that breaks is opened anew by the next `open`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._raw: psycopg.Connection | None = None
        self._pid = 0

    def open(self) -> None:
        """See the protocol. A server that is away leaves it closed: the look that follows says so in the ledger's words."""
        import psycopg

        if self._raw is not None and self._pid == os.getpid():
            return
        # A forked child must not close the connection of its parent; psycopg lets go of it without a word to the server.
        self._raw, self._pid = None, os.getpid()
        with suppress(psycopg.Error, sa.exc.DBAPIError):
            self._raw = self._listening()

    def wait(self, seconds: float) -> bool:
        """See the protocol."""
        import psycopg

        if self._raw is None:
            time.sleep(seconds)
            return False
        try:
            return any(True for _ in self._raw.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error:
            self.close()
            return True

    def renew(self) -> None:
        """See the protocol. A connection that is broken, or listens no more, is closed and opened anew."""
        import psycopg

        if self._raw is None:
            return
        try:
            heard = self._raw.execute("select pg_listening_channels()").fetchall()
        except psycopg.Error:
            heard = []
        if not heard:
            self.close()
            self.open()

    def close(self) -> None:
        """See the protocol."""
        import psycopg

        if self._raw is not None and self._pid == os.getpid():
            with suppress(psycopg.Error):
                self._raw.close()
        self._raw = None

    def _listening(self) -> "psycopg.Connection":
        from psycopg import sql

        borrowed = self._engine.raw_connection()
        raw: psycopg.Connection = borrowed.driver_connection  # type: ignore[assignment]
        borrowed.detach()
        raw.commit()
        raw.autocommit = True
        (channel,) = raw.execute(f"select {_CHANNEL}").fetchone() or ("",)
        raw.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        return raw


def _bound() -> socket.socket:
    """A socket on a free port."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.bind((_HOST, 0))
    except OSError:
        opened.close()
        raise
    return opened


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
