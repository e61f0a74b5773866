"""Faults, each of them small and to be combined: what stands between, and what the broker does to an order.

`gateway.with_faults(Withhold(POSITION_END), Duplicate(EXECUTION))` puts taps between, `gateway.judge(refuse(201))` decides over an
order. What the broker itself does wrong are hands of `TradingGateway`: corrections, liquidation, orders by hand, restarts.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from tests.tws.gateway import ERROR, Connection, Message, Tap
from tests.tws.orders import CANCEL, PLACE, Verdict, refuse, warn
from tests.tws.trading import TradingGateway
from tests.tws.wire import framed

__all__ = [
    "CutAfter",
    "CutBefore",
    "Duplicate",
    "HalfOpen",
    "Late",
    "LateAnswer",
    "LateCancel",
    "LinkLost",
    "PacingLimit",
    "RefuseCancel",
    "Reordered",
    "ResetAfter",
    "Rewritten",
    "Vanish",
    "Verdict",
    "Withhold",
    "refuse",
    "warn",
]
SOON_S = 0.02
CALLBACKS = (3, 5, 11, 59)


class CutBefore(Tap):
    """The connection is gone before the nth message of a kind is handled: it never reached the broker."""

    def __init__(self, message: int = PLACE, *, number: int = 1) -> None:
        self._message = str(message)
        self._left = number

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Counts down."""
        if fields[0] != self._message:
            return self._left > 0
        self._left -= 1
        if self._left == 0:
            connection.cut()
        return self._left > 0


class CutAfter(Tap):
    """The nth message of a kind is handled, and the connection is gone: before its answer, or with it."""

    def __init__(self, message: int = PLACE, *, number: int = 1, answered: bool = False) -> None:
        self._message = str(message)
        self._left = number
        self._answered = answered
        self._silent: set[Connection] = set()

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Counts down; what is written before the cut is sent or not."""
        if fields[0] == self._message:
            self._left -= 1
            if self._left == 0:
                if not self._answered:
                    self._silent.add(connection)
                asyncio.get_running_loop().call_later(SOON_S if self._answered else 0, connection.cut)
        return self._left >= 0

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:
        """Nothing more to the one that is cut."""
        return () if connection in self._silent else (message,)


class ResetAfter(Tap):
    """The connection ends in the middle of a frame, after so many bytes from the client or to it."""

    def __init__(self, *, heard: int | None = None, told: int | None = None) -> None:
        self._heard = heard
        self._told = told

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """A message that is not there in full is not handled."""
        if self._heard is None:
            return True
        self._heard -= len(framed(fields))
        if self._heard < 0:
            connection.cut()
        return self._heard >= 0

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:
        """The beginning of the message that breaks off, and nothing after."""
        if self._told is None:
            return (message,)
        raw, room, self._told = framed(message), self._told, self._told - len(framed(message))
        if self._told >= 0:
            return (message,)
        if room >= 0:
            connection.send_bytes(raw[:room])
            asyncio.get_running_loop().call_later(SOON_S, connection.cut)
        self._told = -1 - len(raw)
        return ()


class HalfOpen(Tap):
    """The connection stays and says nothing any more; nothing that arrives is handled."""

    def heard(self, connection: Connection, fields: list[str]) -> bool:  # noqa: ARG002
        """No."""
        return False

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:  # noqa: ARG002
        """Nothing."""
        return ()


class Vanish(Tap):
    """Messages of a kind never reach the broker, though the connection lives."""

    def __init__(self, message: int = PLACE, *, times: int = 1, skip: int = 0) -> None:
        self._message = str(message)
        self._times = times
        self._skip = skip

    def heard(self, connection: Connection, fields: list[str]) -> bool:  # noqa: ARG002
        """Not so many of them, after those that are let through."""
        if fields[0] != self._message or not self._times:
            return True
        if self._skip:
            self._skip -= 1
            return True
        self._times -= 1
        return False


class Late(Tap):
    """Messages of a kind arrive when the test says so; the connection may have gone by then."""

    def __init__(self, message: int = PLACE) -> None:
        self._message = str(message)
        self.waiting: list[tuple[Connection, list[str]]] = []

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Kept."""
        if fields[0] != self._message:
            return True
        self.waiting.append((connection, fields))
        return False

    def release(self, gateway: TradingGateway) -> None:
        """They arrive now."""
        gateway.do(self._arrive)

    def _arrive(self) -> None:
        waiting, self.waiting = self.waiting, []
        for connection, fields in waiting:
            connection.handle(fields)


class LateCancel(Late):
    """A cancel is heard, said to be pending, and acknowledged when the test says so."""

    def __init__(self) -> None:
        super().__init__(CANCEL)

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Says so."""
        if super().heard(connection, fields):
            return True
        gateway = connection.gateway
        if isinstance(gateway, TradingGateway):
            order = gateway.book.find(connection.client_id, int(fields[2]))
            if order is not None and not order.ended:
                gateway.book.pending_cancel(order)
        return False


class RefuseCancel(Tap):
    """A cancel is refused with a code, and the order works on."""

    def __init__(self, code: int = 10147, *, times: int = 1) -> None:
        self._code = code
        self._times = times

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Answers in place of the broker."""
        if fields[0] != str(CANCEL) or not self._times:
            return True
        self._times -= 1
        text = {10147: "is not found.", 10148: "cannot be cancelled, state: Filled."}.get(self._code, "is refused.")
        connection.error(fields[2], self._code, f"OrderId {fields[2]} that needs to be cancelled {text}")
        return False


class Withhold(Tap):
    """Messages of some kinds are never sent.

    62 ends the positions, 53 the open orders, 55 the executions, 102 the completed orders, 54 and 64 the account's values.
    """

    def __init__(self, *kinds: int, times: int | None = None) -> None:
        self._kinds = kinds
        self._times = times

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:  # noqa: ARG002
        """Nothing in their place."""
        if message[0] not in self._kinds or self._times == 0:
            return (message,)
        if self._times is not None:
            self._times -= 1
        return ()


class Duplicate(Tap):
    """Messages of some kinds are sent twice."""

    def __init__(self, *kinds: int) -> None:
        self._kinds = kinds or CALLBACKS

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:  # noqa: ARG002
        """Twice."""
        return (message, message) if message[0] in self._kinds else (message,)


class LateAnswer(Tap):
    """Messages of some kinds are sent when the test says so, after all others."""

    def __init__(self, *kinds: int) -> None:
        self._kinds = kinds or CALLBACKS
        self._waiting: list[tuple[Connection, Message]] = []

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:
        """Kept."""
        if message[0] not in self._kinds:
            return (message,)
        self._waiting.append((connection, message))
        return ()

    def release(self, gateway: TradingGateway) -> None:
        """They are sent now, past everything that stands between."""
        gateway.do(self._send)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection, message in waiting:
            connection.send_bytes(framed(message))


class Reordered(Tap):
    """Callbacks about orders wait until there are so many, and are sent in another order; the rest is sent at once."""

    def __init__(self, places: Sequence[int], *kinds: int) -> None:
        self._places = places
        self._kinds = kinds or CALLBACKS
        self._waiting: list[Message] = []

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:  # noqa: ARG002
        """All of them, or none yet; later ones are in order."""
        if message[0] not in self._kinds or not self._places:
            return (message,)
        self._waiting.append(message)
        if len(self._waiting) < len(self._places):
            return ()
        places, self._places = self._places, ()
        return [self._waiting[place] for place in places]


class Rewritten(Tap):
    """One field of each message of a kind says something else: `Rewritten(59, 3, "-1.0")` is a fee that is not known."""

    def __init__(self, kind: int, field: int, text: str, *, fits: Callable[[Message], bool] = lambda _: True) -> None:
        self._kind = kind
        self._field = field
        self._text = text
        self._fits = fits

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:  # noqa: ARG002
        """With the other text."""
        if message[0] != self._kind or not self._fits(message):
            return (message,)
        return ((*message[: self._field], self._text, *message[self._field + 1 :]),)


class PacingLimit(Tap):
    """More messages than that since the last `release` are answered with error 100 and not handled."""

    def __init__(self, messages_max: int) -> None:
        self._max = messages_max
        self.heard_so_far = 0
        self.refused = 0

    def heard(self, connection: Connection, fields: list[str]) -> bool:  # noqa: ARG002
        """Counts."""
        self.heard_so_far += 1
        if self.heard_so_far <= self._max:
            return True
        self.refused += 1
        connection.error(-1, 100, "Max rate of messages per second has been exceeded")
        return False

    def release(self) -> None:
        """A second has passed."""
        self.heard_so_far = 0


class LinkLost(Tap):
    """The link between the Gateway and the broker: 1100, silence about orders and quotes, then 1102 or 1101.

    Questions are answered with what the Gateway knew when the link was lost. What happens meanwhile is not told afterwards; who
    wants to know must ask. Orders and cancels wait for the link.
    """

    TOLD = (*CALLBACKS, 1, 2, 45)

    def __init__(self, gateway: TradingGateway) -> None:
        self._gateway = gateway
        self._waiting: list[tuple[Connection, list[str]]] = []

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Orders and cancels wait."""
        if fields[0] not in {str(PLACE), str(CANCEL)}:
            return True
        self._waiting.append((connection, fields))
        return False

    def told(self, connection: Connection, message: Message) -> Iterable[Message]:
        """Nothing about orders and quotes, but for answers."""
        return () if message[0] in self.TOLD and not connection.is_answering else (message,)

    def begin(self) -> None:
        """1100."""
        self._gateway.with_faults(self)
        self._gateway.do(lambda: self._gateway.show(self._gateway.book.image()))
        self._say(1100, "Connectivity between IBKR and Trader Workstation has been lost.")

    def end(self, *, data_kept: bool = True) -> None:
        """1102, or 1101 and nobody is subscribed any more."""
        self._gateway.do(lambda: self._gateway.taps.remove(self))
        self._gateway.do(lambda: self._gateway.show(self._gateway.book))
        if data_kept:
            self._say(1102, "Connectivity between IBKR and Trader Workstation has been restored - data maintained.")
        else:
            self._gateway.do(self._gateway.market.forget)
            self._say(1101, "Connectivity between IBKR and Trader Workstation has been restored - data lost.")
        self._gateway.do(self._arrive)

    def _say(self, code: int, text: str) -> None:
        def told() -> None:
            for client in list(self._gateway.clients.values()):
                client.send_bytes(framed((ERROR, 2, -1, code, text, "")))

        self._gateway.do(told)

    def _arrive(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection, fields in waiting:
            connection.handle(fields)
